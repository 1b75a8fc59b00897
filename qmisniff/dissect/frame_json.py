# SPDX-License-Identifier: GPL-2.0-or-later
"""Frames -> flat JSON objects, for whole captures: the text of headers is remembered.

In a conversation all but a few numbers of the headers repeat with every frame. The text around these numbers is kept
under everything it was made of; a frame that is all right is then this text and that of its TLVs. Any other frame goes
the long way, by its values.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from qmisniff.dissect.frame_layer import time_text
from qmisniff.dissect.head import Head, HeadSink
from qmisniff.dissect.message import MessageDecoder
from qmisniff.dissect.sinks import Sink, ValuesSink, to_json
from qmisniff.frame import Frame, Link
from qmisniff.protocol import qmi, qmux, qrtr
from qmisniff.protocol.context import Context

Walk = Callable[[Frame, Context, Sink], None]

_MAX_HEADS = 4096


class _Place(NamedTuple):
    """Where a frame's QMI message is, and the header around it without the numbers that change."""

    start: int
    end: int
    header: bytes
    length: str  # of the outer header


class _TlvByTlv(ValuesSink):
    """Values of a message that the quick way is known not to go through."""

    def tlvs(self, decoder: MessageDecoder, data: bytes, start: int, end: int) -> bool:
        return False


class FrameJson:
    """Writes frames as JSON; `walk` is what takes a frame apart where the short way is not open."""

    def __init__(self, walk: Walk) -> None:
        self._walk = walk
        self._heads: dict[object, Head | None] = {}

    def text(self, frame: Frame, context: Context) -> str:
        """One object on one line: filter name -> value, bytes as hexadecimal, a float that is no number as text."""
        return self._short(frame, context) or self._long(frame, context, ValuesSink())

    def _long(self, frame: Frame, context: Context, sink: ValuesSink) -> str:
        self._walk(frame, context, sink)
        return to_json(sink.into)

    def _short(self, frame: Frame, context: Context) -> str | None:
        data = frame.data
        place = _place(frame)
        if place is None or frame.lost or frame.orig_len != len(data):
            return None
        _, txn, msgid, length = qmi.SERVICE_HEADER.struct.unpack_from(data, place.start)
        tlvs = place.start + qmi.SERVICE_HEADER.size
        if tlvs + length != place.end:
            return None
        head = self._head(frame, context, place, (data[place.start], msgid))
        values = head.decoder.json(data, tlvs, place.end) if head else None
        if head is None:
            return None
        if values is None:
            return self._long(frame, context, _TlvByTlv())
        size = len(data)
        delta, relative = context.since_previous_ns / 1e9, context.since_first_ns / 1e9
        a, b, c, d, e, f, g, h, i, j, last = head.literals
        pieces = [
            *(a, str(context.number), b, f'"{time_text(frame.ts_ns)}"', c, repr(frame.ts_ns / 1e9)),
            *(d, repr(delta), e, repr(relative), f, str(size), g, str(size)),
            *(h, place.length, i, str(txn), j, str(length), last),
            values,
        ]
        if place.end < size:
            pieces.append(f',"qrtr.padding":"{data[place.end :].hex()}"')
        if context.request is not None:
            pieces.append(f',"qmi.response_to":{context.request}')
        if context.response is not None:
            pieces.append(f',"qmi.response_in":{context.response}')
        if context.response_ns is not None:
            pieces.append(f',"qmi.time":{context.response_ns / 1e9!r}')
        pieces.append("}")
        return "".join(pieces)

    def _head(self, frame: Frame, context: Context, place: _Place, message: tuple[int, int]) -> Head | None:
        key = (
            place.header,
            message,
            context.service,
            context.instance,
            frame.link,
            frame.direction,
            frame.hook,
            frame.flags,
            frame.pid,
            frame.comm,
            frame.cpu,
            frame.origin,
        )
        if key not in self._heads:
            if len(self._heads) >= _MAX_HEADS:
                self._heads.clear()
            sink = HeadSink()
            self._walk(frame, context, sink)
            self._heads[key] = sink.head()
        return self._heads[key]


def _place(frame: Frame) -> _Place | None:
    """Where the service message of a whole, ordinary frame is; None for any other frame."""
    data = frame.data
    match frame.link:
        case Link.QRTR if len(data) >= 39 and data[0] == 1 and data[4] == qrtr.DATA:
            size = int.from_bytes(data[20:24], "little")
            end = qrtr.V1.size + size
            if size >= 7 and 0 <= len(data) - end <= 3:
                return _Place(qrtr.V1.size, end, data[:20] + data[24:32], str(size))
        case Link.QMUX if len(data) >= 13 and data[0] == qmux.MARKER and data[4] != qmi.CTL:
            length = data[1] | data[2] << 8
            if length + 1 == len(data):
                return _Place(qmux.HEADER.size, len(data), data[3:6], str(length))
        case Link.QMI if len(data) >= 7:
            return _Place(0, len(data), b"", "")
    return None
