# SPDX-License-Identifier: GPL-2.0-or-later
"""What carries QMI messages: QRTR packets here, QMUX frames, MBIM messages and USB requests in modules of their own."""

from __future__ import annotations

from qmisniff.definitions import Registry
from qmisniff.dissect.mbim_layer import MbimLayer
from qmisniff.dissect.qmi_layer import data_layer
from qmisniff.dissect.qmux_layer import Message, QmuxLayer, turns
from qmisniff.dissect.sinks import Sink
from qmisniff.dissect.usb_layer import UsbLayer
from qmisniff.field import FieldSpec, Kind, Severity
from qmisniff.frame import Frame, Link
from qmisniff.protocol import qmi, qrtr, tftp
from qmisniff.protocol.context import Context, Transfer

QRTR = FieldSpec("qrtr", "QRTR", Kind.NONE)
CONTROL = FieldSpec("qrtr.ctrl", "QRTR control packet", Kind.NONE)
TRAILER = FieldSpec("qrtr.trailer", "QRTR padding", Kind.NONE)
TFTP = FieldSpec("tftp", "TFTP", Kind.NONE)


class Transports:
    """Takes a frame apart down to its QMI message, and hands that to `message`."""

    def __init__(self, registry: Registry, message: Message) -> None:
        self._registry = registry
        self._message = message
        self._qmux = QmuxLayer(message)
        self._mbim = MbimLayer(self._qmux)
        self._usb = UsbLayer(self._qmux, self._mbim)
        names = registry.service_names
        self._ctrl_service = FieldSpec("qrtr.ctrl.service", "Service", Kind.UINT, 4, labels=names)
        self._other_service = FieldSpec("qrtr.service", "Service", Kind.UINT, labels=names)

    def take_apart(self, frame: Frame, context: Context, sink: Sink) -> None:
        """A frame of any link, from its first byte on."""
        data = frame.data
        match frame.link:
            case Link.QRTR:
                self.packet(data, context, sink)
            case Link.QMUX:
                self._qmux.frames(data, 0, len(data), turns(context, sink))
            case Link.MBIM:
                self._mbim.message(data, 0, Transfer(), turns(context, sink), sink)
            case Link.USBMON | Link.USBMON_MMAPPED | Link.USBPCAP:
                self._usb.request(frame, context, sink)
            case Link.QMI:
                self._message(data, 0, len(data), context.service, context, sink)
            case Link.OTHER:
                data_layer(data, 0, len(data), sink)

    def packet(self, data: bytes, context: Context, sink: Sink) -> None:
        """A QRTR packet, from its header on."""
        size = len(data)
        header = qrtr.parse_header(data)
        if header is None or header.payload > size:
            sink.layer(QRTR, None, 0, size)
            sink.rows(qrtr.header_rows(data))
            known = data[:1] in (b"\1", b"\3")
            sink.problem(Severity.ERROR, "the QRTR header is cut short" if known else "not a QRTR packet", 0, size)
            if not known:
                data_layer(data, 0, size, sink)
            return
        kind = qrtr.TYPES.get(header.type, f"type {header.type}")
        source, destination = address(header.src_node, header.src_port), address(header.dst_node, header.dst_port)
        sink.layer(QRTR, f"{kind}, {source} > {destination}", 0, header.payload)
        sink.rows(qrtr.header_rows(data))
        if header.type not in qrtr.TYPES:
            sink.problem(Severity.WARN, f"packet type {header.type} is unknown", 0, header.payload)
        end = header.payload + header.size
        if end > size:
            sink.problem(Severity.ERROR, f"{end - size} bytes of the payload are missing", 0, header.payload)
            end = size
        if header.type != qrtr.DATA or self._is_control(header, end):
            self._control(data, end, header, sink)
        elif end > header.payload:
            self._payload(data, header.payload, end, context, sink)
        if end < size:
            sink.layer(TRAILER, f"{size - end} bytes", end, size - end)
            sink.field(qrtr.PADDING, data[end:], end, size - end)
            if size - end > 3:
                sink.problem(Severity.WARN, f"{size - end} bytes after the payload", end, size - end)

    def _is_control(self, header: qrtr.Header, end: int) -> bool:
        """A program and the name service of its own node talk by data packets."""
        return qrtr.PORT_CONTROL in (header.src_port, header.dst_port) and end - header.payload == 20

    def _control(self, data: bytes, end: int, header: qrtr.Header, sink: Sink) -> None:
        start = header.payload
        rows = qrtr.control_rows(data, start, end)
        command = rows[0][1] if rows else None
        name = qrtr.TYPES.get(command, f"command {command}") if isinstance(command, int) else None
        sink.layer(CONTROL, name, start, end - start)
        sink.rows([(self._ctrl_service, *row[1:]) if row[0] is qrtr.SERVICE else row for row in rows])
        if end - start < 20:
            sink.problem(Severity.ERROR, "a control packet has 20 bytes", start, end - start)
        elif end - start > 20:
            more = end - start - 20
            sink.problem(Severity.WARN, f"{more} bytes after the control packet", start + 20, more)
        if header.type != qrtr.DATA and command not in (None, header.type):
            sink.problem(Severity.WARN, "the command is not the packet's type", start, 4)

    def _payload(self, data: bytes, start: int, end: int, context: Context, sink: Sink) -> None:
        """What a service is sent or sends: QMI, unless it is known or seen to be something else."""
        service = context.service
        if service == tftp.SERVICE:
            _tftp(data, start, end, sink)
            return
        described = service is not None and self._registry.service(service) is not None
        if described or (service not in qmi.NOT_QMI and qmi.looks_like_message(data, start, end)):
            self._message(data, start, end, service, context, sink)
            return
        data_layer(data, start, end, sink)
        if service is not None:
            sink.field(self._other_service, service, start, 0)


def _tftp(data: bytes, start: int, end: int, sink: Sink) -> None:
    text, rows, stop, problem = tftp.parse(data, start, end)
    sink.layer(TFTP, text, start, stop - start)
    for row in rows:
        sink.field(*row)
    if problem:
        sink.problem(Severity.WARN, problem, start, stop - start)
    data_layer(data, stop, end, sink)


def address(node: int, port: int) -> str:
    """`node:port` as qmisniff writes it everywhere: the port hexadecimal unless it is a small number."""
    shown = "CTRL" if port in qrtr.CONTROL_PORTS else f"0x{port:x}" if port >= 0x4000 else str(port)
    return f"{'BCAST' if node == qrtr.NODE_BROADCAST else node}:{shown}"
