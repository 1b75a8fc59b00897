# SPDX-License-Identifier: GPL-2.0-or-later
"""Types of a definition -> FieldSpecs under their filter names."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from qmisniff.definitions.model import (
    ADDRESS_SIZE,
    Address,
    Array,
    BitField,
    Bytes,
    Choice,
    Message,
    Number,
    Struct,
    Text,
    Type,
    Union,
)
from qmisniff.field import FieldSpec, Kind

Enums = Mapping[str, Mapping[int, str]]

_ADDRESS_KIND = {"ipv4": Kind.IPV4, "ipv6": Kind.IPV6, "mac": Kind.ETHER, "plmn": Kind.STRING}


def spec_of(path: str, kind: Type, enums: Enums) -> FieldSpec:
    """What a value of this type is under the filter name `path`; its label is the last part of the name."""
    label = path.rpartition(".")[2]
    match kind:
        case Number():
            return _number(path, label, kind, enums)
        case Text():
            return FieldSpec(
                path, label, Kind.STRING, kind.length.size if kind.length.form == "fixed" else 0, personal=kind.personal
            )
        case Bytes():
            return FieldSpec(
                path, label, Kind.BYTES, kind.length.size if kind.length.form == "fixed" else 0, personal=kind.personal
            )
        case Address():
            return FieldSpec(path, label, _ADDRESS_KIND[kind.form], ADDRESS_SIZE[kind.form], personal=kind.personal)
        case _:
            return FieldSpec(path, label, Kind.NONE)


def _number(path: str, label: str, kind: Number, enums: Enums) -> FieldSpec:
    if kind.truth:
        sort = Kind.BOOL
    elif kind.form == "f" or kind.den != 1:
        sort = Kind.FLOAT
    else:
        sort = Kind.INT if kind.form == "i" or kind.num < 0 else Kind.UINT
    return FieldSpec(
        path,
        label,
        sort,
        kind.size,
        hex=kind.hex or bool(kind.flags) or bool(kind.bits),
        labels=enums.get(kind.enum or kind.flags) if kind.enum or kind.flags else None,
        flags=bool(kind.flags),
        unit=kind.unit,
        scale=kind.num / kind.den,
        since=kind.since,
        personal=kind.personal,
    )


def bit_spec(path: str, bits: BitField, size: int, enums: Enums) -> FieldSpec:
    """What some bits of a number are; `size` is the bytes of the whole number."""
    sort = Kind.BOOL if bits.width == 1 and not bits.enum else Kind.UINT
    return FieldSpec(f"{path}.{bits.name}", bits.name, sort, size, labels=enums.get(bits.enum) if bits.enum else None)


def message_specs(prefix: str, message: Message, enums: Enums) -> dict[str, FieldSpec]:
    """Every filter name of a message (`prefix` is that of its service) and what stands under it."""
    found: dict[str, FieldSpec] = {}
    for spec in all_specs(prefix, message, enums):
        found.setdefault(spec.name, spec)
    return found


def all_specs(prefix: str, message: Message, enums: Enums) -> Iterator[FieldSpec]:
    """What stands under the message's filter names, one for every place that a name is used in."""
    for section in message.tlvs:
        for tlv in section or ():
            yield from specs(f"{prefix}.{message.name}.{tlv.name}", tlv.type, enums)


def specs(path: str, kind: Type, enums: Enums) -> Iterator[FieldSpec]:
    """What stands under the filter names of a type, one for every place that a name is used in."""
    match kind:
        case Array():
            yield from specs(path, kind.element, enums)
            return
        case Choice():
            for each in kind.layouts:
                yield from specs(path, each, enums)
            return
    yield spec_of(path, kind, enums)
    match kind:
        case Struct():
            for name, each in kind.fields:
                yield from specs(f"{path}.{name}", each, enums)
        case Union():
            for _, name, each in kind.cases:
                yield from specs(f"{path}.{name}", each, enums)
        case Number():
            for bits in kind.bits:
                yield bit_spec(path, bits, kind.size, enums)
