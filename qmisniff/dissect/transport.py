# SPDX-License-Identifier: GPL-2.0-or-later
"""What carries QMI messages: QRTR packets, QMUX frames, MBIM messages."""

from __future__ import annotations

from collections.abc import Callable

from qmisniff.definitions import Registry
from qmisniff.dissect.qmi_layer import data_layer
from qmisniff.dissect.sinks import Sink
from qmisniff.field import FieldSpec, Kind, Severity
from qmisniff.protocol import mbim, qmi, qmux, qrtr, tftp
from qmisniff.protocol.context import Context

QRTR = FieldSpec("qrtr", "QRTR", Kind.NONE)
CONTROL = FieldSpec("qrtr.ctrl", "QRTR control packet", Kind.NONE)
TRAILER = FieldSpec("qrtr.trailer", "QRTR padding", Kind.NONE)
QMUX = FieldSpec("qmux", "QMUX", Kind.NONE)
MBIM = FieldSpec("mbim", "MBIM", Kind.NONE)
TFTP = FieldSpec("tftp", "TFTP", Kind.NONE)

# What takes a QMI message apart: data, start, end, service, context, sink.
Message = Callable[[bytes, int, int, int | None, Context, Sink], None]


class Transports:
    """Takes a frame apart down to its QMI message, and hands that to `message`."""

    def __init__(self, registry: Registry, message: Message) -> None:
        self._registry = registry
        self._message = message
        names = registry.service_names
        self._ctrl_service = FieldSpec("qrtr.ctrl.service", "Service", Kind.UINT, 4, labels=names)
        self._other_service = FieldSpec("qrtr.service", "Service", Kind.UINT, labels=names)

    # ---- QRTR ----

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

    # ---- QMUX ----

    def qmux_frame(self, data: bytes, start: int, end: int, context: Context, sink: Sink) -> None:
        """A QMUX frame."""
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
        if stop < end:
            data_layer(data, stop, end, sink)
            if any(data[stop:end]) or end - stop > 3:  # some senders pad with zeros
                sink.problem(Severity.WARN, f"{end - stop} bytes after the frame", stop, end - stop)

    # ---- MBIM ----

    def mbim_message(self, data: bytes, context: Context, sink: Sink) -> None:
        """An MBIM control message."""
        size = len(data)
        rows = mbim.HEADER.rows(data, 0, size)
        kind = rows[0][1] if rows else None
        sink.layer(MBIM, mbim.TYPES.get(kind) if isinstance(kind, int) else None, 0, size)
        sink.rows(rows)
        at = mbim.HEADER.size
        tail = mbim.TAILS.get(kind) if isinstance(kind, int) else None
        if size < at:
            sink.problem(Severity.ERROR, "the MBIM header is cut short", 0, size)
            return
        if tail is None:
            if plain := mbim.PLAIN.get(kind) if isinstance(kind, int) else None:
                sink.rows(plain.rows(data, at, size))
                at += plain.size
            data_layer(data, at, size, sink)
            return
        rows = mbim.FRAGMENT.rows(data, at, size)
        sink.rows(rows)
        at += mbim.FRAGMENT.size
        if len(rows) == 2 and rows[1][1] != 0:
            sink.problem(Severity.NOTE, "a later fragment: fragments are not put together", 0, at)
            data_layer(data, at, size, sink)
            return
        if size < at + 16 + tail.size:
            sink.problem(Severity.ERROR, "the MBIM header is cut short", 0, size)
            data_layer(data, at, size, sink)
            return
        uuid = data[at : at + 16]
        sink.field(mbim.UUID, uuid, at, 16)
        rows = tail.rows(data, at + 16, size)
        sink.rows(rows)
        at += 16 + tail.size
        length, cid = rows[-1][1], rows[0][1]
        assert isinstance(length, int)
        stop = min(at + length, size)
        if at + length > size:
            sink.problem(Severity.ERROR, f"{at + length - size} bytes of the buffer are missing", at, stop - at)
        if uuid == mbim.QMI_UUID and cid == mbim.QMI_CID and stop > at:
            self.qmux_frame(data, at, stop, context, sink)
        else:
            data_layer(data, at, stop, sink)
        data_layer(data, stop, size, sink)


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
