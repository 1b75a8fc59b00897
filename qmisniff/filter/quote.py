# SPDX-License-Identifier: GPL-2.0-or-later
"""Text and numbers as they are written in a filter."""

from __future__ import annotations

from qmisniff.dissect.frame_layer import NANOSECONDS
from qmisniff.field import FieldSpec


def quoted(text: str) -> str:
    """The string literal that stands for the text."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    parts = (char if char.isprintable() else _bytes(char) for char in escaped)
    return f'"{"".join(parts)}"'


def number(spec: FieldSpec, value: float) -> str:
    """The value of a field as it is decoded; times to the nanosecond, and without exponents, which they do not take."""
    return f"{value:.9f}" if spec.name in NANOSECONDS else repr(value)


def _bytes(char: str) -> str:
    return "".join(f"\\x{byte:02x}" for byte in char.encode("utf-8", "surrogateescape"))
