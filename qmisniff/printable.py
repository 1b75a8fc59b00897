# SPDX-License-Identifier: GPL-2.0-or-later
"""Text from packets, definitions and file names on its way to a terminal."""


def plain(text: str) -> str:
    """The text with everything a terminal could act on written as an escape."""
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)
