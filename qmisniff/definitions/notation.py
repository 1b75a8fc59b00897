# SPDX-License-Identifier: GPL-2.0-or-later
"""A definition -> the text of a definition file: what `load` reads (dissectors/README.md), written.

Structs lose the name that they had in a file when it is read; whoever writes says which names to use for which structs.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from fractions import Fraction

from qmisniff.definitions.load import Definition, Enum
from qmisniff.definitions.model import (
    KINDS,
    Address,
    Array,
    BitField,
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
    parts,
)
from qmisniff.definitions.words import RESULT

# A type as the format writes it: words, or a mapping. `any` alone has a list of them.
Written = str | dict[str, "Written"] | list["Written"]
Names = Mapping[Type, str]

_WIDTH = 118
_PREFIX = {1: "u8", 2: "u16", 4: "u32"}


def definition_text(definition: Definition, names: Names | None = None) -> str:
    """The file that reads as `definition`. `names` are written as `types:`, and used wherever such a struct occurs."""
    names = names or {}
    head = definition.header
    lines = [f"service: {quoted(head.service)}", f"id: {head.id}", f"title: {quoted(head.title)}", ""]
    if definition.enums:
        lines.append("enums:")
        for enum in definition.enums:
            lines += _entry(2, enum.name, _enum(enum, definition))
        lines.append("")
    if names:
        lines.append("types:")
        for kind, name in names.items():
            lines += _entry(2, name, written(kind, {other: n for other, n in names.items() if n != name}))
        lines.append("")
    lines.append("messages:" if definition.messages else "messages: {}")
    for message in definition.messages:
        lines += [*_message(message, names), ""]
    return "\n".join(lines).rstrip("\n") + "\n"


def written(kind: Type, names: Names | None = None) -> Written:
    """A type as the format writes it."""
    names = names or {}
    if kind in names:
        return names[kind]
    match kind:
        case Number():
            return (
                {"bits": _number(kind), **{bits.name: _bits(bits) for bits in kind.bits}}
                if kind.bits
                else (_number(kind))
            )
        case Text():
            return _words(kind.encoding, kind.by and f"by {kind.by}", _length(kind.length), "personal" * kind.personal)
        case Bytes():
            base = "protobuf" if kind.protobuf else "bytes"
            return _words(base, _length(kind.length), "personal" * kind.personal)
        case Address():
            return _words(kind.form, "be" * kind.big_endian, "personal" * kind.personal)
        case Array():
            count, element = _length(kind.count) or "rest", written(kind.element, names)
            return f"array {count} of {element}" if isinstance(element, str) else {"array": count, "of": element}
        case Struct():
            return "result" if kind == RESULT else {name: written(each, names) for name, each in kind.fields}
        case Union():
            return {"union": kind.on, **{f"{value} {name}": written(each, names) for value, name, each in kind.cases}}
        case Choice():
            return {"any": [written(each, names) for each in kind.layouts]}


def flow(what: Written) -> str:
    """The type on one line."""
    if isinstance(what, str):
        return quoted(what)
    if isinstance(what, list):
        return f"[{', '.join(flow(each) for each in what)}]"
    return f"{{{', '.join(f'{quoted(key)}: {flow(each)}' for key, each in what.items())}}}"


def tlv_key(tlv: Tlv) -> str:
    """What stands before the colon of a TLV: id, name, and whether it is there where that is not usual for the id."""
    usual = tlv.mandatory == (tlv.id < 0x10)
    return _words(f"0x{tlv.id:02x}", tlv.name, "" if usual else "mandatory" if tlv.mandatory else "optional")


def quoted(text: str) -> str:
    """The text as a YAML scalar, in quotes where it could be read as anything else."""
    plain = text[:1].isalnum() or text[:1] in "-_("
    if plain and text[:2] != "- " and text == text.strip() and not set(text) & set("#:,[]{}\"'\\&*!|>%@`\n\t"):
        return text if text.isprintable() else _in_quotes(text)
    return _in_quotes(text)


def _in_quotes(text: str) -> str:
    """YAML's double quotes; control characters as escapes, a line break would become a blank."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return '"' + "".join(char if char.isprintable() else f"\\U{ord(char):08x}" for char in escaped) + '"'


def _message(message: Message, names: Names) -> Iterator[str]:
    yield f"  {message.name}:"
    yield f"    id: 0x{message.id:02x}"
    if message.title != message.name.replace("_", " ").title():
        yield f"    title: {quoted(message.title)}"
    if message.indication_title:
        yield f"    indication_title: {quoted(message.indication_title)}"
    for kinds, tlvs in sections(message).items():
        yield f"    {', '.join(kinds)}:"
        for tlv in sorted(tlvs):
            yield from _entry(6, tlv_key(tlv), written(tlv.type, names))
    if message.examples:
        yield "    examples:"
        for example in message.examples:
            yield f"      - hex: {quoted(example.data)}"
            values = {name: _value(value) for name, value in example.values}
            yield f"        values: {{{', '.join(f'{name}: {value}' for name, value in values.items())}}}"


def sections(message: Message) -> dict[tuple[str, ...], list[Tlv]]:
    """The TLVs under the kinds that they belong to; a TLV of several kinds stands once, under all of them."""
    kinds_of: dict[Tlv, list[str]] = {}
    for kind, tlvs in zip(KINDS, message.tlvs, strict=True):
        for tlv in tlvs or ():
            kinds_of.setdefault(tlv, []).append(kind)
    found: dict[tuple[str, ...], list[Tlv]] = {
        (kind,): [] for kind, tlvs in zip(KINDS, message.tlvs, strict=True) if tlvs is not None
    }
    for tlv, kinds in kinds_of.items():
        found.setdefault(tuple(kinds), []).append(tlv)
    mentioned = {kind for kinds, tlvs in found.items() if tlvs for kind in kinds}
    empty = tuple(kind for kind in KINDS if (kind,) in found and kind not in mentioned)
    return ({empty: []} if empty else {}) | {kinds: tlvs for kinds, tlvs in found.items() if tlvs}


def _enum(enum: Enum, definition: Definition) -> dict[str, Written]:
    flags = any(enum.name == number.flags for number in numbers(definition))
    return {f"0x{value:x}" if flags and value >= 0 else str(value): label for value, label in enum.values}


def numbers(definition: Definition) -> Iterator[Number]:
    """Every number of every type of every message."""
    for message in definition.messages:
        for tlvs in message.tlvs:
            for tlv in tlvs or ():
                yield from (kind for kind in parts(tlv.type) if isinstance(kind, Number))


def _entry(indent: int, key: str, what: Written) -> Iterator[str]:
    line = f"{' ' * indent}{quoted(key)}: {flow(what)}"
    if isinstance(what, str) or len(line) <= _WIDTH:
        yield line
        return
    yield f"{' ' * indent}{quoted(key)}:"
    if isinstance(what, list):
        for each in what:
            yield f"{' ' * indent}  - {flow(each)}"
        return
    for name, each in what.items():
        yield from _entry(indent + 2, name, each)


def _number(kind: Number) -> str:
    base = "bool" if kind.truth and kind.size == 1 and kind.form == "u" else f"{kind.form}{kind.size * 8}"
    scale = "" if (kind.num, kind.den) == (1, 1) else _decimal(Fraction(kind.num, kind.den))
    return _words(
        base,
        "be" * kind.big_endian,
        kind.enum and f"enum {kind.enum}",
        kind.flags and f"flags {kind.flags}",
        "bool" * (kind.truth and base != "bool"),
        "hex" * kind.hex,
        scale,
        kind.unit,
        kind.since and f"since {kind.since}",
        "personal" * kind.personal,
    )


def _decimal(value: Fraction) -> str:
    """The scale as it was written: a loader's scale has at most nine decimal places."""
    digits = f"{abs(value.numerator) * 10**9 // value.denominator:010d}"
    return ("-" * (value < 0) + f"{digits[:-9]}.{digits[-9:]}").rstrip("0").rstrip(".")


def _bits(bits: BitField) -> str:
    place = str(bits.low) if bits.width == 1 else f"{bits.low}..{bits.low + bits.width - 1}"
    return _words(place, bits.enum and f"enum {bits.enum}")


def _length(length: Length) -> str:
    """Nothing for the rest."""
    base = {"fixed": str(length.size), "prefix": _PREFIX.get(length.size, ""), "field": length.field}
    return _words(base.get(length.form, ""), "bytes" * length.counts_bytes)


def _words(*words: str) -> str:
    return " ".join(word for word in words if word)


def _value(value: object) -> str:
    if isinstance(value, tuple):
        return f"[{', '.join(_value(each) for each in value)}]"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float):
        return str(value)
    return _in_quotes(str(value))  # a text of digits is no number
