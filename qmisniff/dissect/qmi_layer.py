# SPDX-License-Identifier: GPL-2.0-or-later
"""QMI messages: header, result, TLVs, and everything that can be wrong with them."""

from __future__ import annotations

from qmisniff.definitions import Registry
from qmisniff.definitions.registry import Service
from qmisniff.dissect.message import MessageDecoder
from qmisniff.dissect.sinks import Sink
from qmisniff.dissect.tlv import MAX_TLVS, RESULT_DECODER, TlvRange, tlv_ranges
from qmisniff.field import FieldSpec, Kind, Severity
from qmisniff.protocol import qmi
from qmisniff.protocol.context import Context
from qmisniff.protocol.layout import Row

QMI = FieldSpec("qmi", "QMI", Kind.NONE)
DATA = FieldSpec("data", "Data", Kind.NONE)
DATA_BYTES = FieldSpec("data.data", "Bytes", Kind.BYTES)


class Messages:
    """Takes QMI messages apart by the definitions of a registry; what it compiles is kept for the next message."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._decoders: dict[tuple[int, int, int], MessageDecoder | None] = {}
        self._msgid_specs: dict[tuple[int, bool], FieldSpec] = {}
        names = registry.service_names
        self._service = FieldSpec("qmi.service", "Service", Kind.UINT, labels=names)

    def message(self, data: bytes, start: int, end: int, number: int | None, context: Context, sink: Sink) -> None:
        """The message in `data[start:end]`; `number` is its service, None where that is not known."""
        layout = qmi.CTL_HEADER if number == qmi.CTL else qmi.SERVICE_HEADER
        rows = layout.rows(data, start, end)
        if len(rows) < len(layout.items):
            sink.layer(QMI, None, start, end - start)
            sink.rows([(self._service, number, start, 0), *rows] if number is not None else rows)
            sink.problem(Severity.ERROR, "the QMI header is cut short", start, end - start)
            return
        header = qmi.parse_header(data, start, number == qmi.CTL)
        assert header is not None
        service = self._registry.service(number) if number is not None else None
        decoder = self._decoder(number, header, service)
        sink.layer(QMI, None, start, end - start)
        sink.rows(self._header(rows, header, number, service, context))
        if header.type > qmi.INDICATION:
            sink.problem(Severity.ERROR, "neither request, response nor indication", start, 1)
        if header.compound:
            sink.problem(Severity.NOTE, "a compound message: how its body is laid out is not public", start, 1)
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
            data_layer(data, stop, end, sink)
            sink.problem(Severity.WARN, f"{end - stop} bytes after the message", stop, end - stop)

    def _header(
        self, rows: list[Row], header: qmi.Header, number: int | None, service: Service | None, context: Context
    ) -> list[Row]:
        """The message's header with what is known besides: its service, its request or response."""
        flags, txn, (_, msgid, msgid_at, msgid_size), length = rows
        start = flags[2]
        found: list[Row] = []
        if number is not None:
            found.append((self._service, number, start, 0))
        if context.instance is not None:
            found.append((qmi.INSTANCE, context.instance, start, 0))
        msgid_spec = self._msgid_spec(service, header.type == qmi.INDICATION)
        found += (
            flags,
            (qmi.TYPE, header.type, start, 1),
            (qmi.COMPOUND, header.compound, start, 1),
            txn,
            (msgid_spec, msgid, msgid_at, msgid_size),
            length,
        )
        if context.request is not None:
            found.append((qmi.RESPONSE_TO, context.request, start, 0))
        if context.response is not None:
            found.append((qmi.RESPONSE_IN, context.response, start, 0))
        if context.response_ns is not None:
            found.append((qmi.TIME, context.response_ns / 1e9, start, 0))
        return found

    def _tlvs(self, data: bytes, header: qmi.Header, end: int, decoder: MessageDecoder | None, sink: Sink) -> None:
        at = header.tlvs
        if decoder is not None and decoder.known and sink.tlvs(decoder, data, at, end):
            return
        described = decoder.tlvs if decoder is not None else {}
        complete = decoder is not None and decoder.known
        seen: set[int] = set()
        failed = False
        for count, found in enumerate(tlv_ranges(data, at, end)):
            if count >= MAX_TLVS:
                sink.problem(Severity.ERROR, f"more than {MAX_TLVS} TLVs", at, end - at)
                break
            tlv = described.get(found.type)
            if tlv is None and found.type == qmi.RESULT_TLV and header.type == qmi.RESPONSE:
                tlv = RESULT_DECODER
            if tlv is RESULT_DECODER:
                failed = data[found.value : min(found.value + 2, found.end)] != b"\0\0"
            sink.tlv(found, tlv, data)
            _tlv_problem(found, end, found.type in seen, complete and tlv is None, sink)
            seen.add(found.type)
            at = found.end
        if at < end:
            sink.field(qmi.TLV_VALUE, data[at:end], at, end - at)
            if end - at < 3:
                sink.problem(Severity.ERROR, f"{end - at} bytes are no TLV", at, end - at)
        for missing in decoder.mandatory if decoder is not None else ():
            if missing.id not in seen and (not failed or missing.id == qmi.RESULT_TLV):
                text = f"mandatory TLV 0x{missing.id:02x} {missing.name} is missing"
                sink.problem(Severity.WARN, text, header.tlvs, 0)

    def _decoder(self, number: int | None, header: qmi.Header, service: Service | None) -> MessageDecoder | None:
        if number is None or service is None:
            return None
        key = (number, header.msgid, header.type)
        if key not in self._decoders:
            message = service.message(header.msgid)
            made = MessageDecoder(service.prefix, message, header.type, service.enums) if message else None
            self._decoders[key] = made
        return self._decoders[key]

    def _msgid_spec(self, service: Service | None, indication: bool) -> FieldSpec:
        """Message ids have other names in every service, and some other names for indications."""
        key = (service.header.id if service else -1, indication)
        if key not in self._msgid_specs:
            titles = None if service is None else service.indication_titles if indication else service.titles
            self._msgid_specs[key] = FieldSpec("qmi.msgid", "Message", Kind.UINT, 2, hex=True, labels=titles)
        return self._msgid_specs[key]


def _tlv_problem(found: TlvRange, end: int, again: bool, unknown: bool, sink: Sink) -> None:
    size = found.end - found.start
    if found.value + found.length > end:
        text = f"TLV 0x{found.type:02x} says {found.length} bytes, {end - found.value} are left"
        sink.problem(Severity.ERROR, text, found.start, size)
    elif again:
        sink.problem(Severity.WARN, f"TLV 0x{found.type:02x} again", found.start, size)
    elif unknown:
        severity = Severity.WARN if found.type < 0x10 else Severity.NOTE
        sink.problem(severity, f"TLV 0x{found.type:02x} is not described", found.start, size)


def data_layer(data: bytes, start: int, end: int, sink: Sink) -> None:
    """Bytes that nothing is known of."""
    if start < end:
        sink.layer(DATA, f"{end - start} bytes", start, end - start)
        sink.field(DATA_BYTES, data[start:end], start, end - start)
