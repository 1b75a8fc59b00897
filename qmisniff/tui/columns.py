# SPDX-License-Identifier: GPL-2.0-or-later
"""The columns of the packet list: those there are, any field as one, and which of them a narrow terminal can show."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from qmisniff.dissect import Summary
from qmisniff.dissect.text import value_text
from qmisniff.export.fields import seconds_text
from qmisniff.field import Field, FieldSpec, Kind
from qmisniff.filter.catalogue import Catalogue
from qmisniff.filter.quote import quoted
from qmisniff.frame import Flag, Frame, Link
from qmisniff.protocol import qrtr
from qmisniff.protocol.context import Context
from qmisniff.tui.conditions import of_field
from qmisniff.tui.times import DEFAULT, TIME_FORMATS


class Packet(NamedTuple):
    """All that a cell of the list can be made of.

    `start_ns` is the time that times count from, `before_ns` that of the packet shown above; `tree` decodes.
    """

    frame: Frame
    context: Context
    summary: Summary
    start_ns: int
    before_ns: int
    tree: Callable[[], Field]


@dataclass(frozen=True, slots=True)
class Column:
    """A column: `width` in cells (0 takes what is left), `rank` 0 is the last to be left out when space is short.

    `condition` is the filter for packets that show the same, "" where none can be made.
    """

    id: str  # a field's name where it shows a field: those have a dot
    title: str
    width: int
    rank: int
    text: Callable[[Packet], str]
    condition: Callable[[Packet], str]
    right: bool = False
    shown: bool = True


def process(packet: Packet) -> str:
    """Command and pid of the sender; of a packet that a capture wrote itself, that it did."""
    frame = packet.frame
    if frame.flags & Flag.SYNTHETIC:
        return "(synthetic)"
    if frame.pid < 0:
        return frame.comm
    return f"{frame.comm}[{frame.pid}]"


def _same_process(packet: Packet) -> str:
    frame = packet.frame
    if frame.flags & Flag.SYNTHETIC:
        return "tap.synthetic == 1"
    parts = [f"tap.comm == {quoted(frame.comm)}"] if frame.comm else []
    if frame.pid >= 0:
        parts.append(f"tap.pid == {frame.pid}")
    return " && ".join(parts) or "!tap.pid && !tap.comm"


def _same_address(side: str) -> Callable[[Packet], str]:
    def condition(packet: Packet) -> str:
        header = qrtr.parse_header(packet.frame.data) if packet.frame.link is Link.QRTR else None
        if header is None:
            return ""
        node, port = (header.src_node, header.src_port) if side == "src" else (header.dst_node, header.dst_port)
        return f"qrtr.{side}_node == {node} && qrtr.{side}_port == {port:#x}"

    return condition


def _same_protocol(packet: Packet) -> str:
    layers = {each.spec.name: each for each in packet.tree().children}
    if "qmi" in layers:
        return _same(packet, "qmi.service") or "qmi"
    return next((name for name in ("tftp", "qrtr", "qmux", "mbim") if name in layers), "")


def _same_message(packet: Packet) -> str:
    parts = [_same(packet, name) for name in ("qmi.service", "qmi.msgid", "qmi.type")]
    return " && ".join(filter(None, parts)) or _same(packet, "qrtr.type")


def _same(packet: Packet, *names: str) -> str:
    return " && ".join(of_field(field) for field in packet.tree().walk() if field.spec.name in names)


def conversation(packet: Packet) -> str:
    """The filter for packets between the same two ends, "" where a packet has none."""
    header = qrtr.parse_header(packet.frame.data) if packet.frame.link is Link.QRTR else None
    if header is not None:
        ends = (header.src_node, header.src_port), (header.dst_node, header.dst_port)
        ways = (
            f"(qrtr.src_node == {a[0]} && qrtr.src_port == {a[1]:#x} && "
            f"qrtr.dst_node == {b[0]} && qrtr.dst_port == {b[1]:#x})"
            for a, b in (ends, ends[::-1])
        )
        return " || ".join(ways)
    service, client = _same(packet, "qmux.service"), _same(packet, "qmux.client")
    return f"{service} && {client}" if service and client else ""


def builtin(time_format: str = DEFAULT) -> dict[str, Column]:
    """The columns that show no single field, by id, in their first order."""
    columns = (
        Column(
            "number", "No.", 6, 1,
            lambda packet: str(packet.context.number), lambda packet: f"frame.number == {packet.context.number}", True,
        ),
        Column(
            "time", "Time", TIME_FORMATS[time_format].width, 2,
            lambda packet: TIME_FORMATS[time_format].text(packet.frame.ts_ns, packet.start_ns, packet.before_ns),
            lambda packet: f"frame.time_epoch == {seconds_text(packet.frame.ts_ns)}", True,
        ),
        Column("source", "Source", 14, 4, lambda packet: packet.summary.source, _same_address("src")),
        Column("destination", "Destination", 14, 5, lambda packet: packet.summary.destination, _same_address("dst")),
        Column("protocol", "Protocol", 9, 3, lambda packet: packet.summary.protocol, _same_protocol),
        Column(
            "length", "Length", 6, 6,
            lambda packet: str(packet.frame.orig_len), lambda packet: _same(packet, "frame.len"), True,
        ),
        Column("process", "Process", 20, 7, process, _same_process),
        Column("info", "Info", 0, 0, lambda packet: packet.summary.info, _same_message),
    )  # fmt: skip
    return {column.id: column for column in columns}


def field_column(spec: FieldSpec) -> Column:
    """A column that shows every value of a field."""
    names = qrtr.ENDS.get(spec.name, (spec.name,))

    def text(packet: Packet) -> str:
        found = (field for field in packet.tree().walk() if field.spec.name in names)
        return ", ".join(value_text(field) if field.spec.kind is not Kind.NONE else "✓" for field in found)

    title = spec.name.rpartition(".")[2]
    right = spec.kind in (Kind.UINT, Kind.INT, Kind.FLOAT) and spec.labels is None
    return Column(spec.name, title, max(12, len(title)), 3, text, lambda packet: _same(packet, *names), right)


def columns_of(remembered: Iterable[Sequence[Any]], catalogue: Catalogue, time_format: str = DEFAULT) -> list[Column]:
    """The columns that were remembered ([id, width, shown] each); the first ones where nothing was.

    A field that no definition has any more is left out.
    """
    known = builtin(time_format)
    found: dict[str, Column] = {}
    for name, width, shown in remembered:
        column = known.get(name)
        if column is None and (spec := catalogue.find(name)) is not None:
            column = field_column(spec)
        if column is not None:
            kept = column.width if name in ("info", "time") else min(max(width, 1), 200)
            found[name] = replace(column, width=kept, shown=shown)
    return list((found or known).values())


INFO_LEAST = 22  # cells the last column wants before another column is shown


def fit_columns(columns: Sequence[Column], width: int, rows: int) -> list[tuple[Column, int]]:
    """The columns to show in `width` cells, in order, each with its own width; one cell stands between two.

    Columns of high rank go first. `rows` is how many packets there are: the number column grows with it.
    """
    widths = {column.id: column.width for column in columns}
    if "number" in widths:
        widths["number"] = max(widths["number"], len(str(rows)))
    shown = [column for column in columns if column.shown]
    while len(shown) > 1 and sum(widths[column.id] + 1 for column in shown) + INFO_LEAST > width:
        shown.remove(max(shown, key=lambda column: column.rank))
    rest = max(0, width - sum(widths[column.id] + 1 for column in shown if column.width))
    return [(column, widths[column.id] or rest) for column in shown]
