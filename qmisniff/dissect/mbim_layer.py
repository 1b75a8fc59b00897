# SPDX-License-Identifier: GPL-2.0-or-later
"""MBIM control messages, as far as they carry QMUX frames."""

from __future__ import annotations

from collections.abc import Iterator

from qmisniff.dissect.parts import Parts
from qmisniff.dissect.qmi_layer import data_layer
from qmisniff.dissect.qmux_layer import QmuxLayer, Turn
from qmisniff.dissect.sinks import Sink
from qmisniff.field import FieldSpec, Kind, Severity
from qmisniff.protocol import mbim
from qmisniff.protocol.context import Transfer

MBIM = FieldSpec("mbim", "MBIM", Kind.NONE)
PARTS = Parts("mbim")


class MbimLayer:
    """Takes MBIM messages apart, and hands the frames in them to `qmux`."""

    def __init__(self, qmux: QmuxLayer) -> None:
        self._qmux = qmux

    def message(self, data: bytes, start: int, transfer: Transfer, turn: Iterator[Turn], sink: Sink) -> None:
        """The message, or fragment of one, in the bytes from `start` on."""
        size = len(data)
        rows = mbim.HEADER.rows(data, start, size)
        kind = rows[0][1] if rows else None
        sink.layer(MBIM, mbim.TYPES.get(kind) if isinstance(kind, int) else None, start, size - start)
        sink.rows(rows)
        at = start + mbim.HEADER.size
        if size < at:
            sink.problem(Severity.ERROR, "the MBIM header is cut short", start, size - start)
            return
        if not isinstance(kind, int) or kind not in mbim.TAILS:
            if plain := mbim.PLAIN.get(kind) if isinstance(kind, int) else None:
                sink.rows(plain.rows(data, at, size))
                at += plain.size
            data_layer(data, at, size, sink)
            return
        rows = mbim.FRAGMENT.rows(data, at, size)
        sink.rows(rows)
        at += mbim.FRAGMENT.size
        if transfer.unfinished is not None:
            PARTS.part(data, transfer.unfinished, transfer, sink)
        elif transfer.earlier:
            whole = data + transfer.earlier + data[at:]
            PARTS.whole(size, len(whole) - size, transfer, sink)
            self._body(whole, size, kind, turn, sink)
        elif len(rows) == 2 and rows[1][1] != 0:
            sink.problem(Severity.WARN, "the fragments before this one are missing", start, at - start)
            data_layer(data, at, size, sink)
        elif size < at + mbim.UUID_SIZE + mbim.TAILS[kind].size:
            sink.problem(Severity.ERROR, "the MBIM header is cut short", start, size - start)
            data_layer(data, at, size, sink)
        else:
            self._body(data, at, kind, turn, sink)

    def _body(self, data: bytes, at: int, kind: int, turn: Iterator[Turn], sink: Sink) -> None:
        """What follows the headers of the fragments: device service, command, buffer."""
        size, tail = len(data), mbim.TAILS[kind]
        sink.field(mbim.UUID, data[at : at + mbim.UUID_SIZE], at, mbim.UUID_SIZE)
        rows = tail.rows(data, at + mbim.UUID_SIZE, size)
        sink.rows(rows)
        buffer = mbim.qmi_buffer(kind, data, at)
        at += mbim.UUID_SIZE + tail.size
        length = rows[-1][1]
        assert isinstance(length, int)
        stop = min(at + length, size)
        if at + length > size:
            sink.problem(Severity.ERROR, f"{at + length - size} bytes of the buffer are missing", at, stop - at)
        if buffer is not None:
            self._qmux.frames(data, *buffer, turn)
        else:
            data_layer(data, at, stop, sink)
        data_layer(data, stop, size, sink)
