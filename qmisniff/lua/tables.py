# SPDX-License-Identifier: GPL-2.0-or-later
"""Definitions -> Lua tables, as runtime/types.lua and runtime/message.lua read them.

Everything that comes from a definition is written as a quoted Lua string or a number, table keys included, so that no
name can become code.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping

from qmisniff.definitions import Registry, Service
from qmisniff.definitions.model import (
    Address,
    Array,
    Bytes,
    Choice,
    Length,
    Message,
    Number,
    Struct,
    Text,
    Tlv,
    Type,
    Union,
)
from qmisniff.dissect import values
from qmisniff.dissect.names import header_specs
from qmisniff.field import FieldSpec, Kind
from qmisniff.protocol import instances, mbim, qmi, qmux, qrtr, tftp, usb
from qmisniff.protocol.errors import ERRORS, RESULTS
from qmisniff.protocol.layout import Layout

_OURS = ("tap", "qrtr", "qmux", "qmi", "protobuf", "tftp", "mbim", "usbcom")  # the others are Wireshark's alone
_FRAMES = {qmi.RESPONSE_TO.name: "request_frame", qmi.RESPONSE_IN.name: "response_frame"} | {
    f"{protocol}.{name}": "frame" for protocol in ("qmux", "mbim") for name in ("part", "reassembled_in")
}
_SERVICES = (qmi.SERVICE.name, qrtr.SERVICE.name, qrtr.OTHER_SERVICE.name, "qmux.service")
_LAYOUTS = {
    "qrtr_v1": qrtr.V1,
    "qrtr_v2": qrtr.V2,
    "qmux": qmux.HEADER,
    "qmux_wide": qmux.WIDE_HEADER,
    "qmi": qmi.SERVICE_HEADER,
    "ctl": qmi.CTL_HEADER,
    "notification": usb.NOTIFICATION,
}
_UNSAFE = re.compile(rb"[^ !#-\[\]-~]")  # printable ASCII but the quote and the backslash


def quoted(text: str) -> str:
    """A Lua string with exactly this text in UTF-8, whatever is in it."""
    raw = text.encode("utf-8", "backslashreplace")
    return '"' + _UNSAFE.sub(lambda match: b"\\%03d" % match[0][0], raw).decode("ascii") + '"'


def tables(registry: Registry, services: Iterable[int]) -> Iterator[str]:
    """The chunk's `definitions`, a line or more at a time; services without a definition are left out."""
    yield "local definitions = { services = {} }\n\n"
    names = registry.service_names
    yield f"definitions.service_names = {_labels(names)}\n"
    yield f"definitions.results = {_labels(RESULTS)}\n"
    yield f"definitions.errors = {_labels(ERRORS)}\n"
    yield f"definitions.packet_types = {_labels(qrtr.TYPES)}\n"
    yield f"definitions.notifications = {_labels(usb.NOTIFICATIONS)}\n"
    yield f"definitions.tftp_opcodes = {_labels(tftp.OPCODES)}\n"
    yield f"definitions.tftp_errors = {_labels(tftp.ERRORS)}\n"
    labels = ", ".join(f"[{quoted(spec.name)}]={quoted(spec.label)}" for spec in tftp.SPECS)
    yield f"definitions.tftp_labels = {{{labels}}}\n"
    yield f"definitions.gsm7 = {quoted(values.GSM7)}\n"
    yield f"definitions.gsm7_extension = {_labels(values.GSM7_EXTENSION)}\n"
    yield from _headers(names)
    yield from _control()
    yield from _mbim()
    for number in services:
        service = registry.service(number)
        if service is not None:
            yield from _service(service)


def _labels(labels: Mapping[int, str]) -> str:
    return "{" + ", ".join(f"[{int(value)}]={quoted(label)}" for value, label in labels.items()) + "}"


# ---- headers ----


def _headers(names: Mapping[int, str]) -> Iterator[str]:
    """Fields that no definition makes: name, label, kind, size; and the layouts of the headers."""
    yield "definitions.fields = {\n"
    for spec in header_specs():
        ours = spec.name.split(".")[0] in _OURS or spec.name.startswith("usb.setup.")
        if ours and spec.name not in _OURS:
            labels = names if spec.name in _SERVICES else None
            yield f"  {_field(spec, labels or spec.labels)},\n"
    yield "}\ndefinitions.layouts = {\n"
    for name, layout in _LAYOUTS.items():
        yield f"  [{quoted(name)}] = {_layout(layout)},\n"
    ends = (f"[{quoted(side)}]={quoted(name)}" for name, sides in qrtr.ENDS.items() for side in sides)
    yield f"}}\ndefinitions.ends = {{{', '.join(ends)}}}\n"


def _field(spec: FieldSpec, labels: Mapping[int, str] | None) -> str:
    kind = _FRAMES.get(spec.name, spec.kind.value)
    # Where a number's size is not said, it is no more than a word; Wireshark's own protobuf fields have 64 bits.
    size = spec.size or (8 if spec.name.startswith("protobuf.") else 4)
    words = [quoted(spec.name), quoted(spec.label), quoted(kind), str(size)]
    if spec.hex:
        words.append("hex=true")
    if spec.unit and spec.kind is not Kind.FLOAT:
        words.append(f"unit={quoted(spec.unit)}")
    if labels:
        words.append(f"labels={_labels(labels)}")
    return "{" + ", ".join(words) + "}"


def _layout(layout: Layout) -> str:
    return "{" + ", ".join(f"{{{quoted(spec.name)}, {spec.size}}}" for spec in layout.specs) + "}"


def _control() -> Iterator[str]:
    yield "definitions.control_forms = {\n"
    for command, form in qrtr.FORMS.items():
        yield f"  [{command}] = {_form(form)},\n"
    yield f"  other = {_form(qrtr.UNKNOWN_FORM)},\n}}\n"
    yield "definitions.instance_labels = {\n"
    for service, labels in instances.LABELS.items():
        yield f"  [{service}] = {_labels(labels)},\n"
    yield "}\n"
    yield f"definitions.diag_processors = {_labels(instances.PROCESSORS)}\n"
    yield f"definitions.diag_channels = {_labels(instances.CHANNELS)}\n"


def _mbim() -> Iterator[str]:
    yield "definitions.mbim = {\n"
    yield f"  header = {_layout(mbim.HEADER)}, fragment = {_layout(mbim.FRAGMENT)},\n"
    for name, layouts in (("tails", mbim.TAILS), ("plain", mbim.PLAIN)):
        yield f"  {name} = {{{', '.join(f'[{kind}]={_layout(layout)}' for kind, layout in layouts.items())}}},\n"
    uuid = "".join(f"\\{byte:03d}" for byte in mbim.QMI_UUID)
    yield f'  types = {_labels(mbim.TYPES)}, qmi_uuid = "{uuid}", qmi_cid = {mbim.QMI_CID},\n}}\n'


def _form(form: tuple[tuple[FieldSpec, int, int], ...]) -> str:
    return "{" + ", ".join(f"{{{quoted(spec.name)}, {at}, {size}}}" for spec, at, size in form) + "}"


# ---- services ----


def _service(service: Service) -> Iterator[str]:
    """A function that makes one service's tables: enums and shared types are its locals `e` and `t`."""
    writer = _Types(service.enums)
    messages = [message for name in service.message_names() if (message := service.message_named(name))]
    lines = [line for message in messages for line in _message(service, message, writer)]
    header = service.header
    yield f"\ndefinitions.services[{header.id}] = function() -- {quoted(header.service)}\nlocal e = {{\n"
    for name, labels in service.enums.items():
        if name in writer.enums_used:
            yield f"  [{quoted(name)}] = {_labels(labels)},\n"
    yield "}\nlocal t = {}\n"
    for number, text in enumerate(writer.shared, 1):
        yield f"t[{number}] = {text}\n"
    yield f"return {{ name = {quoted(header.name)}, messages = {{\n"
    yield from lines
    yield "}}\nend\n"


def _message(service: Service, message: Message, writer: _Types) -> Iterator[str]:
    title = service.titles[message.id]
    indication_title = service.indication_titles[message.id]
    yield f"  [{message.id}] = {{{quoted(message.name)}, {quoted(title)}, {quoted(indication_title)}, tlvs = {{\n"
    for section in message.tlvs:
        if section is None:
            yield "    false,\n"
            continue
        yield "    {\n"
        for tlv in section:
            yield f"      {_tlv(tlv, writer)},\n"
        yield "    },\n"
    yield "  }},\n"


def _tlv(tlv: Tlv, writer: _Types) -> str:
    # What a number says by itself (below 0x10: mandatory) is not written.
    usual = tlv.mandatory == (tlv.id < 0x10)
    mandatory = "" if usual else f", mandatory={str(tlv.mandatory).lower()}"
    return f"{{{tlv.id}, {quoted(tlv.name)}, {writer.written(tlv.type)}{mandatory}}}"


class _Types:
    """Writes the types of one service; what looks the same is written once."""

    def __init__(self, enums: Mapping[str, Mapping[int, str]]) -> None:
        self.enums_used: set[str] = set()
        self.shared: list[str] = []
        self._enums = enums
        self._known: dict[str, str] = {}  # text of a type -> its name

    def written(self, kind: Type) -> str:
        """The type as a Lua expression."""
        return self._named(kind, {})

    def _named(self, kind: Type, scope: Mapping[str, Type]) -> str:
        """The name of the table that the type is written as, the same for every type that looks the same."""
        text = self._written(kind, scope)
        if text not in self._known:
            self.shared.append(text)
            self._known[text] = f"t[{len(self.shared)}]"
        return self._known[text]

    def _written(self, kind: Type, scope: Mapping[str, Type]) -> str:
        match kind:
            case Number():
                return self._number(kind)
            case Text():
                return self._text(kind, scope)
            case Bytes():
                more = ", protobuf=true" if kind.protobuf else ""
                return f'{{"bytes", {_length(kind.length)}{more}}}'
            case Address():
                return f"{{{quoted(kind.form)}{', be=true' if kind.big_endian else ''}}}"
            case Struct():
                inner = dict(kind.fields)
                fields = (f"{{{quoted(name)}, {self._named(each, inner)}}}" for name, each in kind.fields)
                return f'{{"struct", {", ".join(fields)}}}'
            case Array():
                return f'{{"array", {_length(kind.count)}, {self._named(kind.element, scope)}}}'
            case Union():
                cases = "".join(
                    f", {{{int(value)}, {quoted(name)}, {self._named(each, scope)}}}"
                    for value, name, each in kind.cases
                )
                return f'{{"union", {quoted(kind.on)}{cases}}}'
            case Choice():
                layouts = ", ".join(self._named(each, {}) for each in kind.layouts)
                return f'{{"any", {layouts}}}'

    def _enum(self, name: str) -> str:
        self.enums_used.add(name)
        return f"e[{quoted(name)}]"

    def _number(self, kind: Number) -> str:
        words = [quoted(kind.form), str(kind.size)]
        words += [
            f"{word}=true" for word, said in (("be", kind.big_endian), ("truth", kind.truth), ("hex", kind.hex)) if said
        ]
        words += [f"{word}={self._enum(name)}" for word, name in (("enum", kind.enum), ("flags", kind.flags)) if name]
        words += [f"{word}={number}" for word, number in (("num", kind.num), ("den", kind.den)) if number != 1]
        words += [f"{word}={quoted(text)}" for word, text in (("unit", kind.unit), ("since", kind.since)) if text]
        if kind.bits:
            parts = (
                f"{{{quoted(bits.name)}, {bits.low}, {bits.width}{', ' + self._enum(bits.enum) if bits.enum else ''}}}"
                for bits in kind.bits
            )
            words.append(f"bits={{{', '.join(parts)}}}")
        return "{" + ", ".join(words) + "}"

    def _text(self, kind: Text, scope: Mapping[str, Type]) -> str:
        more = ""
        if kind.by:
            selector = scope[kind.by]
            labels = self._enum(selector.enum) if isinstance(selector, Number) and selector.enum else "{}"
            more = f", by={quoted(kind.by)}, labels={labels}"
        return f'{{"text", {quoted(kind.encoding)}, {_length(kind.length)}{more}}}'


def _length(length: Length) -> str:
    counts = ", bytes=true" if length.counts_bytes else ""
    match length.form:
        case "fixed":
            return f"{{fixed={length.size}{counts}}}"
        case "prefix":
            return f"{{prefix={length.size}{counts}}}"
        case "field":
            return f"{{field={quoted(length.field)}{counts}}}"
        case _:
            return "{}"
