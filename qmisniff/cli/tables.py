# SPDX-License-Identifier: GPL-2.0-or-later
"""Definitions as tables for people: the messages of a service, the TLVs of a message, one line about a field."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from qmisniff.definitions import Service
from qmisniff.definitions.model import KINDS, Message, Number, parts
from qmisniff.definitions.notation import Written, sections, written
from qmisniff.field import FieldSpec, Kind

_LETTERS = "QRI"  # of the kinds, as in a list of messages
_SHOWN_VALUES = 8


def service_lines(service: Service) -> Iterator[str]:
    """A service and its messages: id, kinds, how many TLVs, name, title."""
    header = service.header
    yield f"{header.service}, service {header.id}: {header.title}"
    yield f"filter names: {service.prefix}.MESSAGE.TLV; Q request, R response, I indication"
    yield ""
    messages = [message for name in service.message_names() if (message := service.message_named(name))]
    width = max([len(message.name) for message in messages], default=0)
    for message in messages:
        kinds = "".join("-" if tlvs is None else letter for letter, tlvs in zip(_LETTERS, message.tlvs, strict=True))
        count = sum(len(tlvs or ()) for tlvs in message.tlvs)
        yield f"0x{message.id:04x}  {kinds}  {count:>3} TLVs  {message.name:<{width}}  {message.title}"


def message_lines(service: Service, message: Message) -> Iterator[str]:
    """A message and its TLVs with everything inside them, then the enums they use."""
    yield f"{service.header.service} {message.title}, message 0x{message.id:04x}"
    yield f"filter names: {service.prefix}.{message.name}.TLV"
    enums: dict[str, bool] = {}  # name -> whether it names masks
    for kinds, tlvs in sections(message).items():
        yield ""
        yield ", ".join(kind for kind in KINDS if kind in kinds)
        rows: list[tuple[str, str, str]] = []
        for tlv in sorted(tlvs):
            how = "mandatory" if tlv.mandatory else "optional"
            rows += _rows(f"0x{tlv.id:02x} {tlv.name}", written(tlv.type), how)
            for part in parts(tlv.type):
                if isinstance(part, Number):
                    enums |= {name: False for name in (part.enum, *(bits.enum for bits in part.bits)) if name}
                    enums |= {part.flags: True} if part.flags else {}
        width = max([len(name) for name, _, _ in rows], default=0)
        for name, what, how in rows:
            yield f"  {name:<{width}}  {how:<9}  {what}".rstrip()
        if not rows:
            yield "  no TLVs"
    for name, masks in enums.items():
        yield ""
        yield f"{'flags' if masks else 'enum'} {name}"
        for value, label in service.enums[name].items():
            yield f"  {f'0x{value:x}' if masks else value!s:>6}  {label}"


def field_line(spec: FieldSpec, where: str) -> str:
    """Name, type, names of values, where it occurs; between them tabs."""
    size = str(spec.size * 8) if spec.kind in (Kind.UINT, Kind.INT) and spec.size else ""
    words = (spec.kind.value + size, spec.unit, "personal" * spec.personal)
    form = "0x{:x}={}" if spec.flags or spec.hex else "{}={}"
    values = [form.format(value, label) for value, label in (spec.labels or {}).items()]
    shown = ", ".join(values[:_SHOWN_VALUES])
    if len(values) > _SHOWN_VALUES:
        shown += f", ... ({len(values)} in all)"
    return "\t".join((spec.name, " ".join(word for word in words if word), shown, where))


def _rows(name: str, what: Written, how: str = "") -> Iterator[tuple[str, str, str]]:
    """Name, type, presence of a value and of everything inside it, which is indented."""
    inner: Mapping[str, Written]
    match what:
        case str():
            yield name, what, how
            return
        case {"any": list(layouts)}:
            head, inner = "whichever fits", {f"layout {at}": layout for at, layout in enumerate(layouts, 1)}
        case dict():
            head, inner = _opened(what)
        case _:
            raise TypeError(what)
    yield name, head, how
    for key, each in inner.items():
        for inside, words, _ in _rows(key, each):
            yield f"  {inside}", words, ""


def _opened(what: dict[str, Written]) -> tuple[str, Mapping[str, Written]]:
    """What a type that is no word is called, and what is inside it."""
    match what:
        case {"array": str(count), "of": dict(element)}:
            head, inner = _opened(element)
            return f"array {count} of {head}", inner
        case {"bits": str(base), **fields}:
            return f"bits of {base}", fields
        case {"union": str(on), **cases}:
            return f"by {on}", cases
        case _:
            return "struct", what
