# SPDX-License-Identifier: GPL-2.0-or-later
"""Messages that came in parts: on the frame of the last part stands the whole, on the others where that is.

The whole has no place in its frame's own bytes. Its fields have offsets that go on where these end: `assembled` are the
bytes they point into.
"""

from __future__ import annotations

from qmisniff.dissect.qmi_layer import DATA_BYTES
from qmisniff.dissect.sinks import Sink
from qmisniff.field import FieldSpec, Kind, Severity
from qmisniff.frame import Frame
from qmisniff.protocol import mbim, qmux, usb
from qmisniff.protocol.context import Context, Transfer


class Parts:
    """The fields of one protocol's messages."""

    def __init__(self, prefix: str) -> None:
        self._whole = FieldSpec(f"{prefix}.reassembled", "Reassembled message", Kind.NONE)
        self._part = FieldSpec(f"{prefix}.part", "Part in frame", Kind.UINT)
        self._piece = FieldSpec(f"{prefix}.piece", "Part of a message", Kind.NONE)
        self._whole_in = FieldSpec(f"{prefix}.reassembled_in", "Reassembled in frame", Kind.UINT)
        self.specs = (self._whole, self._part, self._piece, self._whole_in)

    def whole(self, at: int, size: int, transfer: Transfer, sink: Sink) -> None:
        """The heading of a whole message."""
        sink.layer(self._whole, f"{size} bytes", at, size)
        for number in transfer.parts:
            sink.field(self._part, number, at, 0)

    def part(self, data: bytes, start: int, transfer: Transfer, sink: Sink) -> None:
        """The bytes from `start` on, a part of a message that does not end here."""
        size = len(data) - start
        sink.layer(self._piece, f"{size} bytes, part of a message", start, size)
        sink.field(DATA_BYTES, data[start:], start, size)
        if transfer.whole_in is not None:
            sink.field(self._whole_in, transfer.whole_in, start, 0)
        else:
            sink.problem(Severity.WARN, "the rest of this message is missing", start, size)


def qmux_rest(data: bytes, start: int, transfer: Transfer) -> int:
    """Where in the frame's data from `start` on the frame ends of which earlier transfers brought the beginning."""
    return min(start + qmux.frame_end(transfer.earlier, 0) - len(transfer.earlier), len(data))


def assembled(frame: Frame, context: Context) -> bytes:
    """The frame's bytes, and behind them those of the message whose last part it holds."""
    data, transfer = frame.data, context.transfer
    urb = usb.parse_urb(data, frame.link) if transfer is not None and transfer.earlier else None
    if urb is None or transfer is None:
        return data
    if mbim.parse_head(data, urb.start, len(data), usb.missing(urb, data, frame.orig_len)):
        return data + transfer.earlier + data[urb.start + mbim.BODY :]
    return data + transfer.earlier + data[urb.start : qmux_rest(data, urb.start, transfer)]
