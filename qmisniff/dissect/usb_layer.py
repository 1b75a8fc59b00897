# SPDX-License-Identifier: GPL-2.0-or-later
"""USB requests: their headers, and what those of a modem's control pipe carry."""

from __future__ import annotations

from collections.abc import Iterator

from qmisniff.dissect.mbim_layer import MbimLayer
from qmisniff.dissect.parts import Parts, qmux_rest
from qmisniff.dissect.qmi_layer import data_layer
from qmisniff.dissect.qmux_layer import QmuxLayer, Turn, rest, turns
from qmisniff.dissect.sinks import Sink
from qmisniff.field import FieldSpec, Kind, Severity
from qmisniff.frame import Frame
from qmisniff.protocol import mbim, qmux, usb
from qmisniff.protocol.context import Context, Transfer

USB = FieldSpec("usb", "USB", Kind.NONE)
NOTIFICATION = FieldSpec("usbcom", "CDC notification", Kind.NONE)
PARTS = Parts("qmux")


class UsbLayer:
    """Takes USB requests apart, and hands what is QMUX and MBIM in them on."""

    def __init__(self, qmux_layer: QmuxLayer, mbim_layer: MbimLayer) -> None:
        self._qmux = qmux_layer
        self._mbim = mbim_layer

    def request(self, frame: Frame, context: Context, sink: Sink) -> None:
        """A frame of one of USB_LINKS."""
        data, size = frame.data, len(frame.data)
        urb = usb.parse_urb(data, frame.link)
        if urb is None:
            sink.layer(USB, None, 0, size)
            sink.rows(usb.header_rows(data, frame.link))
            sink.problem(Severity.ERROR, "the USB header is cut short", 0, size)
            return
        sink.layer(USB, _text(urb, data), 0, urb.start)
        source, destination = urb.ends
        sink.rows([(usb.SOURCE, source, 0, 0), (usb.DESTINATION, destination, 0, 0)])
        sink.rows(usb.header_rows(data, frame.link))
        missing = usb.missing(urb, data, frame.orig_len)
        if _carries(urb, data, missing, context):
            self._carried(data, urb.start, missing, context, sink)
        elif _is_notification(urb, data):
            rows = usb.NOTIFICATION.rows(data, urb.start, size)
            sink.layer(NOTIFICATION, _notification(data, urb.start), urb.start, size - urb.start)
            sink.rows(rows)
        else:
            data_layer(data, urb.start, size, sink)

    def _carried(self, data: bytes, start: int, missing: int, context: Context, sink: Sink) -> None:
        turn, transfer = turns(context, sink), context.transfer or Transfer()
        if mbim.parse_head(data, start, len(data), missing):
            self._mbim.message(data, start, transfer, turn, sink)
            return
        at = start
        if transfer.earlier:
            at = qmux_rest(data, start, transfer)
            whole = data + transfer.earlier + data[start:at]
            PARTS.whole(len(data), len(whole) - len(data), transfer, sink)
            self._qmux.frame(whole, len(data), len(whole), *next(turn))
        stop = len(data) if transfer.unfinished is None else transfer.unfinished
        self._frames(data, at, stop, turn, sink)
        if transfer.unfinished is not None:
            PARTS.part(data, stop, transfer, sink)

    def _frames(self, data: bytes, at: int, end: int, turn: Iterator[Turn], sink: Sink) -> None:
        while qmux.begins(data, at, end):
            stop = min(qmux.frame_end(data, at), end)
            self._qmux.frame(data, at, stop, *next(turn))
            at = stop
        rest(data, at, end, sink)


def _carries(urb: usb.Urb, data: bytes, missing: int, context: Context) -> bool:
    """Does the request carry QMUX or MBIM, as other frames or else its own bytes say?"""
    if context.transfer is not None:
        return context.transfer.carries
    return (usb.is_command(urb, data) or usb.is_response(urb, data)) and usb.looks_carried(data, urb.start, missing)


def _is_notification(urb: usb.Urb, data: bytes) -> bool:
    from_device = urb.transfer == usb.INTERRUPT and urb.completed and urb.endpoint & usb.IN != 0
    return from_device and usb.is_notification(data, urb.start, len(data))


def _notification(data: bytes, start: int) -> str:
    code = data[start + 1]
    return usb.NOTIFICATIONS.get(code, f"notification 0x{code:02x}")


def _text(urb: usb.Urb, data: bytes) -> str:
    """What a request does: `control out, GET_ENCAPSULATED_RESPONSE`, `bulk in, 512 bytes`."""
    kind = usb.TRANSFERS.get(urb.transfer, f"transfer type {urb.transfer}")
    text = f"{kind} {'in' if urb.endpoint & usb.IN else 'out'}"
    if urb.setup is not None:
        setup = urb.setup
        text += f", {usb.REQUESTS.get(setup.code, f'request 0x{setup.request_type:02x} 0x{setup.request:02x}')}"
    elif _is_notification(urb, data):
        text += f", {_notification(data, urb.start)}"
    size = len(data) - urb.start
    return f"{text}, {size} bytes" if size else f"{text}, {'completed' if urb.completed else 'submitted'}"
