# SPDX-License-Identifier: GPL-2.0-or-later
"""The columns of the packet list, and which of them a narrow terminal can show."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from qmisniff.dissect import Summary
from qmisniff.frame import Flag, Frame


class Packet(NamedTuple):
    """All that a cell of the list can be made of. `start_ns` is the time of the capture's first frame."""

    number: int
    frame: Frame
    summary: Summary
    start_ns: int


@dataclass(frozen=True, slots=True)
class Column:
    """A column: `width` in cells (0 takes what is left), `rank` 0 is the last to be left out when space is short."""

    id: str
    title: str
    width: int
    rank: int
    text: Callable[[Packet], str]
    right: bool = False


def relative_time(packet: Packet) -> str:
    """Seconds since the first frame with microseconds, as Wireshark's default time column."""
    micros = (packet.frame.ts_ns - packet.start_ns) // 1000
    sign, micros = ("-", -micros) if micros < 0 else ("", micros)
    return f"{sign}{micros // 1_000_000}.{micros % 1_000_000:06}"


def process(packet: Packet) -> str:
    """Command and pid of the sender; of a packet that a capture wrote itself, that it did."""
    frame = packet.frame
    if frame.flags & Flag.SYNTHETIC:
        return "(synthetic)"
    if frame.pid < 0:
        return frame.comm
    return f"{frame.comm}[{frame.pid}]"


COLUMNS = (
    Column("number", "No.", 6, 1, lambda packet: str(packet.number), right=True),
    Column("time", "Time", 11, 3, relative_time, right=True),
    Column("source", "Source", 14, 4, lambda packet: packet.summary.source),
    Column("destination", "Destination", 14, 5, lambda packet: packet.summary.destination),
    Column("protocol", "Protocol", 9, 2, lambda packet: packet.summary.protocol),
    Column("length", "Length", 6, 6, lambda packet: str(packet.frame.orig_len), right=True),
    Column("process", "Process", 20, 7, process),
    Column("info", "Info", 0, 0, lambda packet: packet.summary.info),
)

INFO_LEAST = 22  # cells the last column wants before another column is shown


def fit_columns(columns: Sequence[Column], width: int, rows: int) -> list[tuple[Column, int]]:
    """The columns to show in `width` cells, in order, each with its own width; one cell stands between two.

    Columns of high rank go first. `rows` is how many packets there are: the number column grows with it.
    """
    widths = {column.id: column.width for column in columns}
    if "number" in widths:
        widths["number"] = max(widths["number"], len(str(rows)))
    shown = list(columns)
    while len(shown) > 1 and sum(widths[column.id] + 1 for column in shown) + INFO_LEAST > width:
        shown.remove(max(shown, key=lambda column: column.rank))
    rest = max(0, width - sum(widths[column.id] + 1 for column in shown if column.width))
    return [(column, widths[column.id] or rest) for column in shown]
