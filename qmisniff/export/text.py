# SPDX-License-Identifier: GPL-2.0-or-later
"""Text as tshark prints it: a line a packet, the tree, the bytes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TextIO

from qmisniff.dissect import Dissector
from qmisniff.dissect.text import field_text
from qmisniff.export import Detail
from qmisniff.field import Field
from qmisniff.frame import Frame
from qmisniff.protocol.context import Context


class TextFormat:
    """One line a packet, as aligned columns; with detail, the tree and the bytes below it."""

    def __init__(self, dissector: Dissector, out: TextIO, detail: Detail) -> None:
        self._dissector = dissector
        self._out = out
        self._detail = detail
        self._start_ns: int | None = None

    def write(self, frame: Frame, context: Context) -> None:
        """Print one frame; times are seconds since the first frame written."""
        lines = [self._row(frame, context)] if self._detail.frame else []
        if self._detail.tree:
            lines += tree_lines(self._detail.layers(self._dissector.tree(frame, context)))
        if self._detail.bytes:
            lines += hex_lines(frame.data)
        if self._detail.tree or self._detail.bytes:
            lines.append("")
        self._out.write("\n".join(lines) + "\n")

    def close(self) -> None:
        """Nothing ends a text."""

    def _row(self, frame: Frame, context: Context) -> str:
        if self._start_ns is None:
            self._start_ns = frame.ts_ns
        row = self._dissector.summary(frame, context)
        since = (frame.ts_ns - self._start_ns) / 1e9
        return (
            f"{context.number:>6} {since:>11.6f} {row.source:>14} → {row.destination:<14} "
            f"{row.protocol:<9} {len(frame.data):>5}  {row.info}"
        )


def tree_lines(layers: Sequence[Field], indent: str = "    ") -> Iterator[str]:
    """The lines of trees, each level indented by `indent`, problems in brackets."""
    stack = [(layer, 0) for layer in reversed(layers)]
    while stack:
        field, depth = stack.pop()
        yield indent * depth + field_text(field)
        if field.problem is not None:
            yield indent * (depth + 1) + f"[{field.problem.severity.name.lower()}: {field.problem.text}]"
        stack.extend((child, depth + 1) for child in reversed(field.children))


def hex_lines(data: bytes) -> Iterator[str]:
    """The bytes, sixteen a line: offset, hex, ASCII."""
    for at in range(0, len(data), 16):
        part = data[at : at + 16]
        shown = "".join(chr(byte) if 32 <= byte < 127 else "." for byte in part)
        yield f"{at:04x}  {part[:8].hex(' '):<23}  {part[8:].hex(' '):<23}  {shown}"
