# SPDX-License-Identifier: GPL-2.0-or-later
"""Every message of every definition: what the encoder put in comes out, at its offsets, in all of the outputs."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from qmisniff.definitions import Registry
from qmisniff.dissect import Dissector
from qmisniff.field import Field, Kind, Value
from qmisniff.frame import Frame
from qmisniff.protocol.context import Context
from tests.differential.corpus import SERVICES, Case, Sample, cases, cases_of, frame, in_json, registry, sample
from tests.encoder import leaves

SAMPLES = 3

# What the format has, whether a service uses it or not.
CONSTRUCTS = """\
service: ALL
id: 199
title: Every construct
enums:
  coding: {0: ascii, 1: utf8_b, 2: latin_1, 3: gsm7, 4: gsm8_unpacked, 5: ucs2, 6: ucs2_le, 7: octet}
  bit: {0x1: one, 0x80: top}
types:
  pair: {x: u8, y: i16 be}
messages:
  every:
    id: 1
    request:
      0x10 coded: {coding: u8 enum coding, text: text by coding u8}
      0x11 coded_rest: {coding: u8 enum coding, text: text by coding rest}
      0x12 coded_fixed: {coding: u8 enum coding, text: text by coding 9}
      0x13 coded_field: {coding: u8 enum coding, n: u8, text: text by coding n}
      0x14 wide: utf16 u8
      0x15 wide_bytes: utf16 u8 bytes
      0x16 wide_fixed: utf16 4
      0x17 digits_fixed: bcd 5
      0x18 digits: bcd u8
      0x19 packed: gsm7 u8
      0x1a packed_field: {n: u8, t: gsm7 n}
      0x1b layouts: {any: [{w: u32}, {w: u16}, {a: u8, b: u8, c: string u8}]}
      0x1c byte_count: array u16 bytes of u24 be
      0x1d chosen: {k: u8, v: {union: k, 0 x: u16, 1 y: {a: f32 be, b: f64}, 7 z: string u8}}
      0x1e network: plmn
      0x1f address6: ipv6
      0x20 address4: ipv4
      0x21 address4_be: ipv4 be
      0x22 card: mac
      0x23 parts: {bits: u16 be, lo: 0, mid: "1..7", hi: "8..15"}
      0x24 negative: i64 -0.5 dB
      0x25 large: {a: u48, b: u40 be, c: u64, d: u64 hex}
      0x26 nested: {array: rest, of: {a: u8, b: array u8 of i16, c: {array: 2, of: pair}}}
      0x27 counted: {n: u16, m: u8, list: array n of pair, raw: bytes m, names: array m of string u8}
      0x28 truth: {a: bool, b: u32 bool, f: u8 flags bit}
      0x29 times: {a: u32 s since unix, b: u64 ms since gps}
      0x2a raw: bytes rest
      0x2b text: string
      0x2c fixed: {a: string 6, b: bytes 3, c: array 3 of f32}
      0x2d inside: protobuf u16
"""
Row = tuple[str, Value, int, int]


def expected(case: Case, made: Sample) -> list[Row]:
    """Name, value, offset and size of everything that was encoded, in the order of the bytes."""
    rows: list[Row] = []
    end = len(made.data)
    for _, node in reversed(made.tlvs):
        rows[:0] = leaves(node, end - len(node.data))
        end -= 3 + len(node.data)
    return rows


def decoded(root: Field, prefix: str) -> list[Row]:
    """The same of a tree; problems stand among them, because there should be none."""
    rows: list[Row] = []
    for each in root.walk():
        if each.problem is not None:
            rows.append((f"PROBLEM {each.problem.text}", None, each.problem.offset, each.problem.size))
        elif each.spec.kind is not Kind.NONE and each.spec.name.startswith(prefix):
            rows.append((each.spec.name, each.value, each.offset, each.size))
    return rows


def same(ours: Value, theirs: Value) -> bool:
    if isinstance(ours, float) and isinstance(theirs, float):
        return math.isclose(ours, theirs, rel_tol=1e-15)
    return type(ours) is type(theirs) and ours == theirs


def differences(wanted: list[Row], got: list[Row]) -> Iterator[str]:
    for want, have in zip(wanted, got, strict=False):
        if want[0] != have[0] or want[2:] != have[2:] or not same(want[1], have[1]):
            yield f"wanted {want}, got {have}"
            return
    if len(wanted) != len(got):
        longer, word = (wanted, "missing") if len(wanted) > len(got) else (got, "too many")
        yield f"{word}: {longer[min(len(wanted), len(got))]}"


def flat(rows: list[Row]) -> dict[str, Any]:
    """The rows under their names, as `Dissector.values` gives them: a list where a name occurs more than once."""
    found: dict[str, list[Value]] = {}
    for name, value, _, _ in rows:
        found.setdefault(name, []).append(value)
    return {name: values[0] if len(values) == 1 else values for name, values in found.items()}


def outcome(dissector: Dissector, case: Case, seed: int | str) -> Iterator[str]:
    """Every way in which the sample of this seed does not come back."""
    return lost(dissector, case, sample(case, seed), f"{case}, seed {seed}")


def lost(dissector: Dissector, case: Case, made: Sample, where: str) -> Iterator[str]:
    """Every way in which one sample does not come back; `where` says which it is."""
    given: tuple[Frame, Context] = frame(case.service.header.id, made.data)
    prefix = f"{case.service.prefix}.{case.message.name}."
    wanted = expected(case, made)
    for text in differences(wanted, decoded(dissector.tree(*given), prefix)):
        yield f"{where}: {text}: {made.data.hex()}"
    values = dissector.values(*given)
    decoded_values = {
        name: value for name, value in values.items() if name.startswith(prefix) and not name.endswith(".label")
    }
    yield from unequal("values()", where, flat(wanted), decoded_values)
    text = json.loads(dissector.json(*given))
    yield from unequal("json()", where, {name: in_json(each) for name, each in values.items()}, text)


def unequal(what: str, where: str, wanted: dict[str, Any], got: dict[str, Any]) -> Iterator[str]:
    if wanted != got:
        name = min(name for name in wanted.keys() | got.keys() if wanted.get(name) != got.get(name))
        yield f"{where}: {name}: wanted {wanted.get(name)!r}, {what} gave {got.get(name)!r}"


@pytest.mark.parametrize("number", SERVICES, ids=lambda number: registry().headers[number].name)
def test_what_was_encoded_comes_back(number: int) -> None:
    dissector = Dissector(registry())
    wrong = [text for case in cases(number) for seed in range(SAMPLES) for text in outcome(dissector, case, seed)]
    assert not wrong, "\n".join([f"{len(wrong)} differences", *wrong[:20]])


def test_every_construct_comes_back(tmp_path: Path) -> None:
    (tmp_path / "all.yaml").write_text(CONSTRUCTS)
    made = Registry([tmp_path])
    service = made.service(199)
    assert service is not None, made.problems
    (case,) = cases_of(service)
    assert not (wrong := [text for seed in range(200) for text in outcome(Dissector(made), case, seed)]), wrong[:5]


def test_there_are_messages() -> None:
    assert sum(1 for number in SERVICES for _ in cases(number)) > 2000
