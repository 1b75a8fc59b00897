# SPDX-License-Identifier: GPL-2.0-or-later
"""Frames -> trees, values, packet-list rows. Nothing here raises on any bytes."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from qmisniff.definitions import Registry
from qmisniff.definitions.registry import Service
from qmisniff.dissect.frame_json import FrameJson
from qmisniff.dissect.message import MAX_TLVS, RESULT_DECODER, MessageDecoder, tlv_ranges
from qmisniff.dissect.sinks import Sink, TreeSink, ValuesSink
from qmisniff.dissect.summary import Summary, SummarySink, address
from qmisniff.field import Field, FieldSpec, Kind, Severity
from qmisniff.frame import Direction, Flag, Frame, Hook, Link
from qmisniff.protocol import mbim, qmi, qmux, qrtr, tftp
from qmisniff.protocol.context import Context
from qmisniff.protocol.layout import Row

FRAME = FieldSpec("frame", "Frame", Kind.NONE)
TAP = FieldSpec("tap", "Tap", Kind.NONE)
QRTR = FieldSpec("qrtr", "QRTR", Kind.NONE)
CONTROL = FieldSpec("qrtr.ctrl", "QRTR control packet", Kind.NONE)
QMUX = FieldSpec("qmux", "QMUX", Kind.NONE)
MBIM = FieldSpec("mbim", "MBIM", Kind.NONE)
QMI = FieldSpec("qmi", "QMI", Kind.NONE)
TFTP = FieldSpec("tftp", "TFTP", Kind.NONE)
DATA = FieldSpec("data", "Data", Kind.NONE)
DATA_BYTES = FieldSpec("data.data", "Bytes", Kind.BYTES)

_NUMBER = FieldSpec("frame.number", "Number", Kind.UINT)
_TIME = FieldSpec("frame.time", "Time", Kind.STRING)
_EPOCH = FieldSpec("frame.time_epoch", "Seconds since 1970", Kind.FLOAT, unit="s")
_LEN = FieldSpec("frame.len", "Length", Kind.UINT, unit="bytes")
_CAP_LEN = FieldSpec("frame.cap_len", "Captured length", Kind.UINT, unit="bytes")
_INTERFACE = FieldSpec("frame.interface_name", "Interface", Kind.STRING)
_HOOK = FieldSpec("tap.hook", "Hook", Kind.UINT, labels={hook: hook.name.lower() for hook in Hook})
_DIRECTION = FieldSpec("tap.direction", "Direction", Kind.UINT, labels={each: each.name.lower() for each in Direction})
_PID = FieldSpec("tap.pid", "Process id", Kind.UINT)
_COMM = FieldSpec("tap.comm", "Process", Kind.STRING)
_CPU = FieldSpec("tap.cpu", "CPU", Kind.UINT)
_SYNTHETIC = FieldSpec("tap.synthetic", "Written by the capture, never on a wire", Kind.BOOL)
_TRUNCATED = FieldSpec("tap.truncated", "Cut short", Kind.BOOL)
_REBUILT = FieldSpec("tap.header_rebuilt", "Header rebuilt from the function's arguments", Kind.BOOL)
_LOST = FieldSpec("tap.lost", "Packets lost before this one", Kind.UINT)
FRAME_SPECS = (_NUMBER, _TIME, _EPOCH, _LEN, _CAP_LEN, _INTERFACE, _HOOK, _DIRECTION, _PID, _COMM, _CPU, _SYNTHETIC,
               _TRUNCATED, _REBUILT, _LOST)


class Dissector:
    """Decodes frames by the definitions of a registry; what it compiles is kept for the next frame."""

    def __init__(self, registry: Registry) -> None:
        self.registry = registry
        self._messages: dict[tuple[int, int, int], MessageDecoder | None] = {}
        self._json = FrameJson(self._walk)
        self._msgid_specs: dict[tuple[int, bool], FieldSpec] = {}
        names = {header.id: header.service for header in registry.headers.values()}
        self._service = FieldSpec("qmi.service", "Service", Kind.UINT, labels=names)
        self._ctrl_service = FieldSpec("qrtr.ctrl.service", "Service", Kind.UINT, 4, labels=names)

    # ---- the three outputs ----

    def tree(self, frame: Frame, context: Context) -> Field:
        """The frame as a tree; its children are the layers: frame, tap, qrtr, ..."""
        root = Field(FRAME, None, 0, len(frame.data))
        self._walk(frame, context, TreeSink(root))
        return root

    def values(self, frame: Frame, context: Context) -> dict[str, Any]:
        """The frame as filter name -> value (number, text, bytes, truth value), or a list of values where a field
        occurs more than once; the label of an enum stands under `NAME.label`."""
        sink = ValuesSink()
        self._walk(frame, context, sink)
        return sink.into

    def message_values(self, service: int, data: bytes) -> dict[str, Any]:
        """`values` of a bare QMI message of a service."""
        sink = ValuesSink()
        self._qmi(data, 0, len(data), service, Context(), sink)
        return sink.into

    def json(self, frame: Frame, context: Context) -> str:
        """`values` as one flat JSON object; bytes are hexadecimal, infinite numbers null."""
        return self._json.text(frame, context)

    def summary(self, frame: Frame, context: Context) -> Summary:
        """The frame as a row of a packet list."""
        sink = SummarySink()
        self._walk(frame, context, sink)
        return sink.row(frame, context, self.registry)

    # ---- layers ----

    def _walk(self, frame: Frame, context: Context, sink: Sink) -> None:
        _frame_layers(frame, context, sink)
        data = frame.data
        if frame.link is Link.QRTR:
            self._qrtr(data, context, sink)
        elif frame.link is Link.QMUX:
            self._qmux(data, 0, len(data), context, sink)
        elif frame.link is Link.MBIM:
            self._mbim(data, context, sink)
        else:
            self._datagram(data, 0, len(data), context, sink)

    def _qrtr(self, data: bytes, context: Context, sink: Sink) -> None:
        header = qrtr.parse_header(data)
        if header is None or header.payload > len(data):
            sink.layer(QRTR, None, 0, len(data))
            sink.rows(qrtr.header_rows(data))
            known = data[:1] in (b"\1", b"\3")
            sink.problem(Severity.ERROR, "the QRTR header is cut short" if known else "not a QRTR packet", 0, len(data))
            if not known:
                self._data(data, 0, len(data), sink)
            return
        kind = qrtr.TYPES.get(header.type, f"type {header.type}")
        addresses = f"{address(header.src_node, header.src_port)} > {address(header.dst_node, header.dst_port)}"
        sink.layer(QRTR, f"{kind}, {addresses}", 0, header.payload)
        sink.rows(qrtr.header_rows(data))
        end = header.payload + header.size
        if header.type not in qrtr.TYPES:
            sink.problem(Severity.WARN, f"packet type {header.type} is unknown", 0, 8)
        if end > len(data):
            missing = end - len(data)
            sink.problem(Severity.ERROR, f"{missing} bytes of the payload are missing", 0, header.payload)
            end = len(data)
        elif end < len(data):
            padding = data[end:]
            sink.field(qrtr.PADDING, padding, end, len(padding))
            if len(padding) > 3:
                sink.problem(Severity.WARN, f"{len(padding)} bytes after the payload", end, len(padding))
        if header.type == qrtr.DATA:
            self._payload(data, header.payload, end, header, context, sink)
        else:
            self._control(data, header.payload, end, header, sink)

    def _payload(self, data: bytes, start: int, end: int, header: qrtr.Header, context: Context, sink: Sink) -> None:
        control = qrtr.PORT_CONTROL in (header.src_port, header.dst_port)
        if control and end - start == 20:  # a program talking to the name service of its own node
            self._control(data, start, end, header, sink)
        elif start < end:
            self._datagram(data, start, end, context, sink)

    def _datagram(self, data: bytes, start: int, end: int, context: Context, sink: Sink) -> None:
        """What a service is sent or sends."""
        if context.service == tftp.SERVICE:
            self._tftp(data, start, end, sink)
        elif context.service in qmi.NOT_QMI:
            self._data(data, start, end, sink)
        else:
            self._qmi(data, start, end, context.service, context, sink)

    def _tftp(self, data: bytes, start: int, end: int, sink: Sink) -> None:
        text, rows, stop, problem = tftp.parse(data, start, end)
        sink.layer(TFTP, text, start, stop - start)
        for row in rows:
            sink.field(*row)
        if problem:
            sink.problem(Severity.WARN, problem, stop, end - stop)
        self._data(data, stop, end, sink)

    def _control(self, data: bytes, start: int, end: int, header: qrtr.Header, sink: Sink) -> None:
        rows = qrtr.control_rows(data, start, end)
        command = rows[0].value if rows else header.type
        text = qrtr.TYPES.get(command, f"command {command}") if isinstance(command, int) else None
        sink.layer(CONTROL, text, start, end - start)
        sink.rows([row._replace(spec=self._ctrl_service) if row.spec is qrtr.SERVICE else row for row in rows])
        if end - start < 20:
            sink.problem(Severity.ERROR, "a control packet has 20 bytes", start, end - start)
        if header.type != qrtr.DATA and rows and command != header.type:
            sink.problem(Severity.WARN, "the command is not the packet's type", start, 4)

    def _qmux(self, data: bytes, start: int, end: int, context: Context, sink: Sink) -> None:
        layout = qmux.WIDE_HEADER if data[start : start + 1] == bytes([qmux.MARKER_WIDE]) else qmux.HEADER
        rows = layout.rows(data[:end], start)
        sink.layer(QMUX, None, start, min(layout.size, end - start))
        sink.rows(rows)
        if len(rows) < len(layout.items):
            sink.problem(Severity.ERROR, "the QMUX header is cut short", start, end - start)
            return
        found = {row.spec.name: row.value for row in rows}
        marker, length, service = found["qmux.marker"], found["qmux.length"], found["qmux.service"]
        assert isinstance(length, int) and isinstance(service, int)
        if marker not in (qmux.MARKER, qmux.MARKER_WIDE):
            sink.problem(Severity.ERROR, "not a QMUX frame: the marker is not 0x01", start, 1)
            self._data(data, start + layout.size, end, sink)
            return
        stop = start + 1 + length
        if stop > end:
            sink.problem(Severity.ERROR, f"{stop - end} bytes of the frame are missing", start, end - start)
        elif stop < end:
            sink.problem(Severity.WARN, f"{end - stop} bytes after the frame", stop, end - stop)
        self._qmi(data, start + layout.size, max(start + layout.size, min(stop, end)), service, context, sink)
        if stop < end:
            self._data(data, max(stop, start + layout.size), end, sink)

    def _mbim(self, data: bytes, context: Context, sink: Sink) -> None:
        sink.layer(MBIM, None, 0, len(data))
        rows = mbim.HEADER.rows(data, 0)
        sink.rows(rows)
        at = mbim.HEADER.size
        tail = mbim.TAILS.get(rows[0].value) if rows and isinstance(rows[0].value, int) else None
        if len(data) < at or tail is None:
            if len(data) < at:
                sink.problem(Severity.ERROR, "the MBIM header is cut short", 0, len(data))
            self._data(data, at, len(data), sink)
            return
        sink.rows(mbim.FRAGMENT.rows(data, at))
        at += mbim.FRAGMENT.size
        uuid = data[at : at + 16]
        if len(data) < at + 16 + tail.size:
            sink.problem(Severity.ERROR, "the MBIM header is cut short", 0, len(data))
            return
        sink.field(mbim.UUID, uuid, at, 16)
        rows = tail.rows(data, at + 16)
        sink.rows(rows)
        at += 16 + tail.size
        length, cid = rows[-1].value, rows[0].value
        assert isinstance(length, int)
        stop = min(at + length, len(data))
        if at + length > len(data):
            sink.problem(Severity.ERROR, f"{at + length - len(data)} bytes of the buffer are missing", at, stop - at)
        if uuid == mbim.QMI_UUID and cid == mbim.QMI_CID and stop > at:
            self._qmux(data, at, stop, context, sink)
        else:
            self._data(data, at, stop, sink)
        self._data(data, stop, len(data), sink)

    def _data(self, data: bytes, start: int, end: int, sink: Sink) -> None:
        if start < end:
            sink.layer(DATA, f"{end - start} bytes", start, end - start)
            sink.field(DATA_BYTES, data[start:end], start, end - start)

    # ---- QMI ----

    def _qmi(self, data: bytes, start: int, end: int, number: int | None, context: Context, sink: Sink) -> None:
        ctl = number == qmi.CTL
        header = qmi.parse_header(data[:end], start, ctl)
        layout = qmi.CTL_HEADER if ctl else qmi.SERVICE_HEADER
        if header is None:
            sink.layer(QMI, None, start, end - start)
            sink.rows(layout.rows(data[:end], start))
            sink.problem(Severity.ERROR, "the QMI header is cut short", start, end - start)
            return
        service = self.registry.service(number) if number is not None else None
        decoder = self._decoder(number, header.msgid, header.type, service)
        sink.layer(QMI, None, start, end - start)
        if number is not None:
            sink.field(self._service, number, start, 0)
        if context.instance is not None:
            sink.field(qmi.INSTANCE, context.instance, start, 0)
        flags, txn, msgid, length = layout.rows(data, start)
        sink.rows((flags, Row(qmi.TYPE, header.type, start, 1), Row(qmi.COMPOUND, header.compound, start, 1), txn,
                   msgid._replace(spec=self._msgid_spec(service, header.type == qmi.INDICATION)), length))
        _context_fields(context, start, sink)
        if header.type > qmi.INDICATION:
            sink.problem(Severity.ERROR, "neither request, response nor indication", start, 1)
        stop = header.tlvs + header.length
        if stop > end:
            sink.problem(Severity.ERROR, f"{stop - end} bytes of the message are missing", header.tlvs - 2, 2)
        if decoder is None and service is not None:
            sink.problem(Severity.NOTE, f"message 0x{header.msgid:04x} is not described", header.tlvs - 4, 2)
        elif decoder is not None and not decoder.known and header.type in qmi.TYPES:
            kind = qmi.TYPES[header.type].lower()
            sink.problem(Severity.NOTE, f"{decoder.message.title} is not described as {kind}", start, 1)
        self._tlvs(data, header, min(stop, end), decoder, sink)
        if stop < end:
            self._data(data, stop, end, sink)
            sink.problem(Severity.WARN, f"{end - stop} bytes after the message", stop, end - stop)

    def _tlvs(self, data: bytes, header: qmi.Header, end: int, decoder: MessageDecoder | None, sink: Sink) -> None:
        at = header.tlvs
        if decoder is not None and decoder.known and sink.tlvs(decoder, data, at, end):
            return
        seen: set[int] = set()
        failed = False
        for count, found in enumerate(tlv_ranges(data, at, end)):
            if count >= MAX_TLVS:
                sink.problem(Severity.ERROR, f"more than {MAX_TLVS} TLVs", at, end - at)
                break
            tlv = decoder.tlvs.get(found.type) if decoder else None
            if tlv is None and found.type == qmi.RESULT_TLV and header.type == qmi.RESPONSE:
                tlv = RESULT_DECODER
            if tlv is RESULT_DECODER:
                failed = data[found.value : min(found.value + 2, found.end)] != b"\0\0"
            sink.tlv(found, tlv, data)
            at, size = found.end, found.end - found.start
            if found.value + found.length > end:
                left = end - found.value
                text = f"TLV 0x{found.type:02x} says {found.length} bytes, {left} are left"
                sink.problem(Severity.ERROR, text, found.start, size)
            elif found.type in seen:
                sink.problem(Severity.WARN, f"TLV 0x{found.type:02x} again", found.start, size)
            elif tlv is None and decoder and decoder.known:
                severity = Severity.WARN if found.type < 0x10 else Severity.NOTE
                sink.problem(severity, f"TLV 0x{found.type:02x} is not described", found.start, size)
            seen.add(found.type)
        if at < end:
            sink.field(qmi.TLV_VALUE, data[at:end], at, end - at)
            if end - at < 3:
                sink.problem(Severity.ERROR, f"{end - at} bytes are no TLV", at, end - at)
        if decoder is None:
            return
        for tlv_ in decoder.mandatory:
            if tlv_.id not in seen and (not failed or tlv_.id == qmi.RESULT_TLV):
                text = f"mandatory TLV 0x{tlv_.id:02x} {tlv_.name} is missing"
                sink.problem(Severity.WARN, text, header.tlvs, 0)

    def _decoder(self, number: int | None, msgid: int, kind: int, service: Service | None) -> MessageDecoder | None:
        if number is None or service is None:
            return None
        key = (number, msgid, kind)
        if key not in self._messages:
            message = service.message(msgid)
            self._messages[key] = MessageDecoder(service.prefix, message, kind, service.enums) if message else None
        return self._messages[key]

    def _msgid_spec(self, service: Service | None, indication: bool) -> FieldSpec:
        """Message ids have other names in every service, and some other names for indications."""
        key = (service.header.id if service else -1, indication)
        if key not in self._msgid_specs:
            titles = None if service is None else service.indication_titles if indication else service.titles
            self._msgid_specs[key] = FieldSpec("qmi.msgid", "Message", Kind.UINT, 2, hex=True, labels=titles)
        return self._msgid_specs[key]


def _frame_layers(frame: Frame, context: Context, sink: Sink) -> None:
    sink.layer(FRAME, str(context.number), 0, len(frame.data))
    seconds, nanoseconds = divmod(frame.ts_ns, 1_000_000_000)
    try:
        time = f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{nanoseconds:09d}Z"
    except (ValueError, OverflowError, OSError):
        time = "out of range"
    sink.rows((
        Row(_NUMBER, context.number, 0, 0),
        Row(_TIME, time, 0, 0),
        Row(_EPOCH, frame.ts_ns / 1e9, 0, 0),
        Row(_LEN, frame.orig_len, 0, 0),
        Row(_CAP_LEN, len(frame.data), 0, 0),
    ))
    if frame.origin.name:
        sink.field(_INTERFACE, frame.origin.name, 0, 0)
    if len(frame.data) < frame.orig_len:
        sink.problem(Severity.NOTE, f"{frame.orig_len - len(frame.data)} bytes were not captured", 0, 0)
    sink.layer(TAP, None, 0, 0)
    sink.rows((Row(_HOOK, int(frame.hook), 0, 0), Row(_DIRECTION, int(frame.direction), 0, 0)))
    if frame.pid >= 0:
        sink.field(_PID, frame.pid, 0, 0)
    if frame.comm:
        sink.field(_COMM, frame.comm, 0, 0)
    if frame.cpu >= 0:
        sink.field(_CPU, frame.cpu, 0, 0)
    sink.field(_SYNTHETIC, Flag.SYNTHETIC in frame.flags, 0, 0)
    if Flag.TRUNCATED in frame.flags:
        sink.field(_TRUNCATED, True, 0, 0)
    if Flag.HEADER_REBUILT in frame.flags:
        sink.field(_REBUILT, True, 0, 0)
    if frame.lost:
        sink.field(_LOST, frame.lost, 0, 0)
        sink.problem(Severity.WARN, f"{frame.lost} packets were lost before this one", 0, 0)


def _context_fields(context: Context, offset: int, sink: Sink) -> None:
    if context.request is not None:
        sink.field(qmi.RESPONSE_TO, context.request, offset, 0)
    if context.response is not None:
        sink.field(qmi.RESPONSE_IN, context.response, offset, 0)
    if context.response_ns is not None:
        sink.field(qmi.TIME, context.response_ns / 1e9, offset, 0)
