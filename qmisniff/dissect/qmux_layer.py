# SPDX-License-Identifier: GPL-2.0-or-later
"""QMUX frames, one after the other where there are several."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import chain

from qmisniff.dissect.qmi_layer import data_layer
from qmisniff.dissect.sinks import Sink
from qmisniff.field import FieldSpec, Kind, Severity
from qmisniff.protocol import qmux
from qmisniff.protocol.context import Context

QMUX = FieldSpec("qmux", "QMUX", Kind.NONE)

# What takes a QMI message apart: data, start, end, service, context, sink.
Message = Callable[[bytes, int, int, int | None, Context, Sink], None]
Turn = tuple[Context, Sink]


def turns(context: Context, sink: Sink) -> Iterator[Turn]:
    """For each message of a frame, in order, what is known about it and what takes it."""
    yield context, sink
    for other in chain(context.others, _nothing(context.number)):
        yield other, sink.next_message()


def _nothing(number: int) -> Iterator[Context]:
    while True:
        yield Context(number)


class QmuxLayer:
    """Takes QMUX frames apart, and hands what is in them to `message`."""

    def __init__(self, message: Message) -> None:
        self._message = message

    def frames(self, data: bytes, start: int, end: int, turn: Iterator[Turn]) -> None:
        """The frames in `data[start:end]`, of which the first is one for sure."""
        starts = qmux.frames(data, start, end)
        for at, stop in zip(starts, [*starts[1:], end], strict=True):
            self.frame(data, at, stop, *next(turn))

    def frame(self, data: bytes, start: int, end: int, context: Context, sink: Sink) -> None:
        """A frame and what follows it in `data[start:end]`."""
        layout = qmux.WIDE_HEADER if data[start : start + 1] == bytes([qmux.MARKER_WIDE]) else qmux.HEADER
        rows = layout.rows(data, start, end)
        head = start + layout.size
        sink.layer(QMUX, None, start, min(head, end) - start)
        sink.rows(rows)
        if len(rows) < len(layout.items):
            sink.problem(Severity.ERROR, "the QMUX header is cut short", start, end - start)
            return
        found = {spec.name: value for spec, value, _, _ in rows}
        marker, length, service = found["qmux.marker"], found["qmux.length"], found["qmux.service"]
        if marker not in (qmux.MARKER, qmux.MARKER_WIDE):
            sink.problem(Severity.ERROR, "not a QMUX frame: the marker is not 0x01", start, 1)
            data_layer(data, head, end, sink)
            return
        assert isinstance(length, int) and isinstance(service, int)
        stop = start + 1 + length
        if not head <= stop <= end:
            missing = f"{stop - end} bytes of the frame are missing"
            sink.problem(Severity.ERROR, missing if stop > end else "shorter than its header", start + 1, 2)
            stop = end
        self._message(data, head, stop, service, context, sink)
        rest(data, stop, end, sink)


def rest(data: bytes, start: int, end: int, sink: Sink) -> None:
    """What follows a frame: some senders pad with zeros."""
    if start < end:
        data_layer(data, start, end, sink)
        if any(data[start:end]) or end - start > 3:
            sink.problem(Severity.WARN, f"{end - start} bytes after the frame", start, end - start)
