# SPDX-License-Identifier: GPL-2.0-or-later
"""Text on its way to a terminal: from packets, definitions and file names; numbers of things."""


def plain(text: str) -> str:
    """The text with everything a terminal could act on written as an escape."""
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)


def counted(count: int, what: str) -> str:
    """`1 packet`, `2,000 packets`."""
    return f"{count:,} {what}{'' if count == 1 else 's'}"
