# SPDX-License-Identifier: GPL-2.0-or-later
"""Text as it is written in a filter."""

from __future__ import annotations


def quoted(text: str) -> str:
    """The string literal that stands for the text."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    parts = (char if char.isprintable() else _bytes(char) for char in escaped)
    return f'"{"".join(parts)}"'


def _bytes(char: str) -> str:
    return "".join(f"\\x{byte:02x}" for byte in char.encode("utf-8", "surrogateescape"))
