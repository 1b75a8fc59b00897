# SPDX-License-Identifier: GPL-2.0-or-later
"""The kernel's own encoder: what Linux put into a message is what we read out of it (tests/data/kernel_vectors.tsv)."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pytest

from qmisniff.definitions.model import Address, Array, Bytes, Choice, Length, Message, Number, Struct, Text, Type, Union
from qmisniff.dissect import Dissector
from qmisniff.field import Field, Kind, Severity
from tests.differential.corpus import frame, registry

DATA = Path(__file__).parents[1] / "data" / "kernel_vectors.tsv"
_HEADING = 2  # the type and the length of a TLV stand before its fields

# service, message, TLV -> why a kernel puts something else there.
EXPLAINED: dict[tuple[str, int, int], str] = {
    ("dms", 0x5C, 0x10): "a random number of bytes; a real address has six",
}


class Vector(NamedTuple):
    """One message and, by TLV, the values in it: numbers, texts; the lengths of arrays are left out."""

    service: int
    kernels: str
    data: bytes
    tlvs: dict[int, list[int | str]]


@cache
def vectors() -> list[Vector]:
    found = []
    for line in DATA.read_text().splitlines():
        if line.startswith("#"):
            continue
        service, kernels, data, texts = line.split("\t")
        tlvs: dict[int, list[int | str]] = {}
        for text in filter(None, texts.split(";")):
            kind, *values = text.split(" ")
            tlvs[int(kind, 16)] = [
                each[1:] if each[0] == "S" else int(each, 16) for each in values if each and each[0] != "L"
            ]
        found.append(Vector(int(service), kernels, bytes.fromhex(data), tlvs))
    return found


def types(kind: Type, path: str) -> Iterator[tuple[str, Type]]:
    """Filter name and type of everything inside a type that has a value."""
    match kind:
        case Struct(fields=fields):
            counts = {length.field for _, each in fields if (length := length_of(each)) is not None}
            for name, each in fields:
                if name not in counts:  # the kernel's lists leave the lengths out too
                    yield from types(each, f"{path}.{name}")
        case Array(element=element):
            yield from types(element, path)
        case Union(cases=cases):
            for _, name, each in cases:
                yield from types(each, f"{path}.{name}")
        case Choice(layouts=layouts):
            for each in layouts:
                yield from types(each, path)
        case _:
            yield path, kind


def length_of(kind: Type) -> Length | None:
    match kind:
        case Array(count=length) | Text(length=length) | Bytes(length=length):
            return length
        case _:
            return None


def values(tlv: Field, known: dict[str, Type], data: bytes) -> Iterator[int | bytes]:
    """What a decoded TLV holds: numbers as they are in the message, and the bytes of everything else."""
    for each in tlv.walk():
        kind = known.get(each.spec.name)
        if kind is None or each.spec.kind is Kind.NONE:
            continue
        length = length_of(kind)
        prefix = length.size if length and length.form == "prefix" else 0
        body = data[each.offset + prefix : each.offset + each.size]
        number = isinstance(kind, Number) or (isinstance(kind, Address) and kind.form == "ipv4")
        yield int.from_bytes(body, "little") if number else body


def agrees(ours: list[int | bytes], theirs: list[int | str]) -> bool:
    """Whether both are the same values. The kernel's list has every byte of what is not a text as a number."""
    rest = list(theirs)
    for each in ours:
        if isinstance(each, int):
            if not rest or rest.pop(0) != each:
                return False
        elif rest and isinstance(rest[0], str):
            if rest.pop(0) != each.decode():
                return False
        else:
            head, rest = rest[: len(each)], rest[len(each) :]
            if head != list(each):
                return False
    return not rest


def differences(dissector: Dissector, vector: Vector) -> Iterator[tuple[int, str]]:
    """TLV and what is wrong with it; TLV 0 for the message as a whole."""
    service = registry().service(vector.service)
    message: Message | None = service.message(int.from_bytes(vector.data[3:5], "little")) if service else None
    if service is None or message is None:
        yield 0, "not described"
        return
    given = frame(vector.service, vector.data)
    qmi = dissector.tree(*given).children[-1]
    section = message.tlvs[vector.data[0] >> 1] or ()
    found = {each.children[0].value: each for each in qmi.children if each.children}
    for number, wanted in vector.tlvs.items():
        if number == 2 and vector.data[0] == 2:
            result = [each.value for each in found[2].children[_HEADING:]]
            if result != wanted:
                yield 2, f"result {result}, kernel {wanted}"
            continue
        tlv = next((each for each in section if each.id == number), None)
        if tlv is None:
            yield number, "not described"
            continue
        known = dict(types(tlv.type, f"{service.prefix}.{message.name}.{tlv.name}"))
        got = list(values(found[number], known, vector.data))
        if not agrees(got, wanted):
            yield number, f"{tlv.name}: {got}, kernel {wanted}"
        for each in found[number].walk():
            if each.problem is not None and each.problem.severity >= Severity.WARN:
                yield number, f"{tlv.name}: {each.problem.text}"


@pytest.mark.parametrize("number", sorted({vector.service for vector in vectors()}))
def test_the_kernel_agrees(number: int) -> None:
    dissector = Dissector(registry())
    name = registry().headers[number].name
    wrong: dict[tuple[str, int, int], str] = {}
    for vector in vectors():
        if vector.service == number:
            id_ = int.from_bytes(vector.data[3:5], "little")
            for tlv, text in differences(dissector, vector):
                wrong.setdefault((name, id_, tlv), f"{name} 0x{id_:x} TLV 0x{tlv:02x} ({vector.kernels}): {text}")
    unexplained = [text for key, text in wrong.items() if key not in EXPLAINED]
    assert not unexplained, "\n".join([f"{len(unexplained)} differences", *unexplained])
    assert not (stale := [key for key in EXPLAINED if key[0] == name and key not in wrong]), stale


def test_a_wrong_value_is_a_difference() -> None:
    assert agrees([1, b"ab", b"\1\2"], [1, "ab", 1, 2])
    assert not agrees([1], [2])
    assert not agrees([1], [1, 2])
    assert not agrees([1, 2], [1])
    assert not agrees([b"ab"], ["ac"])
    assert not agrees([b"\1\2"], [1, 3])
