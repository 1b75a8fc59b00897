# SPDX-License-Identifier: GPL-2.0-or-later
"""Text as tshark prints it: a line a packet, the tree, the bytes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import repeat
from typing import TYPE_CHECKING, TextIO

from qmisniff.dissect import Dissector
from qmisniff.dissect.parts import assembled
from qmisniff.dissect.text import field_text
from qmisniff.export import Detail, Format, few
from qmisniff.field import Field
from qmisniff.frame import Frame
from qmisniff.protocol.context import Context
from qmisniff.store import Store

if TYPE_CHECKING:
    from qmisniff.export.packet_list import PacketList

_COUNTED = "%6d %11.6f "


@lru_cache(1 << 14)
def _addressed(source: str, destination: str, protocol: str) -> str:
    return f"{source:>14} → {destination:<14} {protocol:<9} "


@lru_cache(1 << 16)
def _sized(length: int) -> str:
    return f"{length:5}  "


class TextFormat(Format):
    """One line a packet, as aligned columns; with detail, the tree and the bytes below it."""

    def __init__(self, dissector: Dissector, out: TextIO, detail: Detail) -> None:
        self._dissector = dissector
        self._out = out
        self._detail = detail
        self._start_ns = 0
        self._list: PacketList | None = None

    def begin(self, ts_ns: int) -> None:
        """When the first frame of the capture was seen; see Format."""
        self._start_ns = ts_ns

    def write(self, frame: Frame, context: Context) -> None:
        """Print one frame."""
        lines = [self._row(frame, context)] if self._detail.frame else []
        if self._detail.tree:
            lines += tree_lines(self._detail.layers(self._dissector.tree(frame, context)))
        if self._detail.bytes:
            whole, size = assembled(frame, context), len(frame.data)
            lines += hex_lines(frame.data)
            if len(whole) > size:
                lines += [f"Reassembled message ({len(whole) - size} bytes, from {size} on):", *hex_lines(whole[size:])]
        if self._detail.tree or self._detail.bytes:
            lines.append("")
        self._out.write("\n".join(lines) + "\n")

    def rows(self, store: Store, rows: Sequence[int]) -> None:
        """Print the frames of these rows; times are seconds since the first frame of the store."""
        if not len(store):
            return
        self._start_ns = store.tracker.ts_ns(0)
        if few(rows) or self._detail.tree or self._detail.bytes:
            super().rows(store, rows)
            return
        from qmisniff.export.batches import batches
        from qmisniff.export.packet_list import PacketList

        self._list = self._list or PacketList(store, self._dissector)
        for columns, places in batches(store, rows):
            numbers = (places + (columns.first + 1)).tolist()
            since = ((columns.ts_ns[places] - self._start_ns) / 1e9).tolist()
            source, destination, protocol, info = self._list.rows(columns, places)
            columns_of_text = (
                map(_COUNTED.__mod__, zip(numbers, since, strict=True)),
                map(_addressed, source, destination, protocol),
                map(_sized, columns.length[places].tolist()),
                info,
                repeat("\n", len(info)),
            )
            # A line is put together of a piece of each of them.
            pieces = [""] * (len(columns_of_text) * len(info))
            for at, texts in enumerate(columns_of_text):
                pieces[at :: len(columns_of_text)] = texts
            self._out.write("".join(pieces))

    def close(self) -> None:
        """Nothing ends a text."""

    def _row(self, frame: Frame, context: Context) -> str:
        row = self._dissector.summary(frame, context)
        since = (frame.ts_ns - self._start_ns) / 1e9
        counted, sized = _COUNTED % (context.number, since), _sized(len(frame.data))
        return f"{counted}{_addressed(row.source, row.destination, row.protocol)}{sized}{row.info}"


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
