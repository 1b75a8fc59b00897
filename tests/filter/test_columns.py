# SPDX-License-Identifier: GPL-2.0-or-later
"""Filters made at random are asked of captures made at random: by columns and frame by frame the same rows pass."""

from __future__ import annotations

import random
import struct
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qmisniff.capture_file import Reader
from qmisniff.dissect.names import held
from qmisniff.dissect.tlv import tlv_ranges
from qmisniff.field import Kind
from qmisniff.filter import Filter, compile, compile_filter
from qmisniff.filter.catalogue import Catalogue
from qmisniff.frame import Direction, Frame, Hook, Link
from qmisniff.protocol import qrtr as qrtr_header
from qmisniff.store import Store
from tests import factories
from tests.differential import corpus
from tests.factories import CTRL, HOST, MODEM, NEW_SERVER, qrtr, server, tlv
from tests.filter import capture

SERVICES = ("nas", "wds", "dms", "wms")
ROOT = Path(__file__).parents[2]


def _messages() -> list[corpus.Case]:
    found = [corpus.registry().service_named(name) for name in SERVICES]
    return [case for service in found if service for case in corpus.cases_of(service)]


MESSAGES = _messages()


def _message(rng: random.Random, case: corpus.Case) -> bytes:
    """A message as it should be, or with something about its TLVs that is not."""
    data = corpus.sample(case, rng.randrange(5)).data
    body = bytearray(data[7:])
    match rng.randrange(12):
        case 0:
            types = [found.type for found in tlv_ranges(data, 7, len(data))] or [1]
            body += tlv(rng.choice(types), rng.choice([b"\1\2\3\4", b"again"]))  # one type twice
        case 1 if len(body) > 4:
            body[rng.randrange(len(body))] = rng.randrange(256)
        case 2:
            body = bytearray(tlv(2, rng.randbytes(rng.randrange(6))) + body[7:])
        case 3:
            body += tlv(rng.randrange(256), rng.randbytes(rng.randrange(4)))  # probably not described
        case 4:
            body = bytearray(tlv(2, b"\1\0\3\0")) if case.kind == 1 else bytearray()  # nothing else is needed
        case 5:
            data = data[:3] + rng.randbytes(2) + data[5:]  # probably not described
    return bytes(data[:1]) + struct.pack("<H", rng.randrange(4)) + data[3:5] + struct.pack("<H", len(body)) + body


def _frame(rng: random.Random, at_ms: float) -> Frame:
    case = rng.choice(MESSAGES)
    message = _message(rng, case)
    number = case.service.header.id
    pid, comm = rng.choice([(-1, ""), (12, "qmicli"), (13, "ModemManager")])
    lost = rng.choice([0, 0, 0, 5])
    if rng.random() < 0.2:
        side = rng.choice([0, 0x80])
        qmux = struct.pack("<BHBBB", 1, len(message) + 5, side, number, 1) + message
        return factories.frame(qmux, at_ms, link=Link.QMUX, pid=pid, comm=comm, lost=lost)
    at_ms -= rng.choice([0, 0, 0, 2.5])  # clocks are set
    client, service = (HOST, rng.choice([0x4001, 0x4002, CTRL])), (MODEM, number + rng.choice([10, 10, 10, 60]))
    ends = (client, service) if case.kind == 0 else (service, client)
    packet = qrtr(message, *ends)
    if rng.random() < 0.1:
        packet = packet[: rng.randrange(len(packet) + 1)]
    hook = rng.choice(list(Hook))
    return factories.frame(packet, at_ms, rng.choice(list(Direction)), hook, pid, comm, lost=lost)


@cache
def made(seed: int) -> Store:
    """A capture of its own for each seed."""
    rng = random.Random(seed)
    store = Store()
    if seed == 0:
        store.extend(capture.frames())
        return store
    if seed == 1:
        with (ROOT / "captures/first-contact.pcapng").open("rb") as stream:
            store.extend(Reader(stream, "first-contact.pcapng"))
        return store
    numbers = [corpus.registry().service_named(name) for name in SERVICES]
    servers = [each.header.id for each in numbers if each]
    store.extend(factories.frame(server(NEW_SERVER, each, 1, MODEM, each + 10), 1) for each in servers)
    store.extend(_frame(rng, 2 + at) for at in range(120))
    return store


@cache
def catalogue() -> Catalogue:
    return Catalogue(capture.registry())


def _literal(rng: random.Random, name: str, value: Any) -> str | None:
    """A value of a field, or one near it, as it is written."""
    spec = catalogue().find(name)
    if spec is None or spec.kind is Kind.NONE or name == "frame.time":
        return None
    match value:
        case bool():
            return rng.choice(["true", "false"])
        case int():
            size = spec.size or 4
            low, high = (0, 2 ** (8 * size) - 1) if spec.kind is Kind.UINT else (-(2 ** (8 * size - 1)), 2**7 - 1)
            near = value + rng.choice([0, 0, 0, -1, 1])
            return str(near) if spec.scale != 1 or low <= near <= high else str(value)
        case float() if abs(value) < 1e15 and value == value:
            return f"{value:.9f}" if abs(value) > 1e-3 or value == 0 else None
        case str() if spec.kind is Kind.STRING:
            return '"' + "".join(f"\\x{byte:02x}" for byte in value.encode("utf-8", "surrogatepass")[:20]) + '"'
        case str():
            return value
        case bytes() if value:
            return value[:20].hex(":") if len(value) > 1 else f"0x{value.hex()}"
    return None


def _leaf(rng: random.Random, store: Store) -> str:
    """A test that the frame it is taken from is near to passing."""
    row = rng.randrange(len(store))
    found = capture.dissector().values(store.frame(row), store.context(row))
    found |= {name: values for name in qrtr_header.ENDS if (values := held(found, name))}
    while True:
        name = rng.choice([name for name in found if catalogue().find(name)])
        if name.startswith("qmi.") and name.count(".") > 3 and rng.random() < 0.15:
            heading = name.rpartition(".")[0]
            if catalogue().find(heading):
                return heading
        values = found[name] if isinstance(found[name], list) else [found[name]]
        literal = _literal(rng, name, rng.choice(values))
        if literal is None:
            continue
        spec = catalogue().find(name)
        assert spec is not None
        text = spec.kind in (Kind.STRING, Kind.BYTES)
        forms = [
            name,
            f"{name} {rng.choice(['==', '!=', '===', '!==', '<', '<=', '>', '>='])} {literal}",
            f"{rng.choice(['any', 'all'])} {name} {rng.choice(['==', '!=', '<', '>='])} {literal}",
            f"{name} {rng.choice(['in', 'not in'])} {{{literal}}}",
            f"{name} in {{{literal}..{literal}, {literal}}}",
            f"count({name}) {rng.choice(['==', '>'])} {rng.randrange(3)}",
            f"{name} == {name}",
            f"{name} {rng.choice(['==', '!='])} {rng.choice([each for each in found if _comparable(name, each)])}",
        ]
        if text and len(literal) > 2:
            forms += [f"{name} contains {literal}", f"len({name}) > {rng.randrange(9)}", f"{name}[0:2]"]
            forms += [f'{name} matches "{rng.choice(["^[a-m]", "[0-9]{2}$", "a.*e"])}"', f"{name}[1:2] > 20"]
        if spec.kind is Kind.STRING and len(literal) > 2:
            forms += [f"upper({name}) == {literal}", f"lower({name}) contains {literal}"]
        if spec.kind is Kind.UINT and spec.scale == 1:
            forms += [f"{name} & {rng.randrange(200)}", f"{name} & 3 == {rng.randrange(4)}"]
        if spec.kind in (Kind.UINT, Kind.INT, Kind.FLOAT):
            forms += [f"max({name}, {literal}) == {literal}", f"abs({name}) > {literal}"]
        return rng.choice(forms)


def _comparable(one: str, other: str) -> bool:
    first, second = catalogue().find(one), catalogue().find(other)
    return first is not None and second is not None and catalogue().type_of(first) is catalogue().type_of(second)


def _of_bytes(rng: random.Random, store: Store) -> str:
    """A test of the bytes of a layer, which some frame is near to passing."""
    layer = rng.choice(["frame", "qrtr", "qmux", "qmi", "qrtr.padding"])
    data = store.frame(rng.randrange(len(store))).data or b"\0"
    at = rng.choice([0, 7, 32, rng.randrange(len(data))])
    part = data[at : at + rng.randrange(1, 5)] or b"\2"
    literal = part.hex(":") if len(part) > 1 else f"0x{part.hex()}"
    start = at - 32 if layer == "qmi" and at >= 32 else at
    near = rng.randrange(-3, 40)
    return rng.choice(
        [
            f"{layer} contains {literal}",
            f"{layer}[{start}:{len(part)}] {rng.choice(['==', '!=', '===', '!==', '<'])} {literal}",
            f"{layer}[{start}-{start + len(part) - 1}] == {literal}",
            f"{layer}[0,{start}:{len(part)}] == 01:{part.hex(':')}",
            f"{layer}[{near}:2] contains {part[:1].hex()}",
            f"{layer}[{near}:1] & {literal[:4]}" if len(part) == 1 else f"{layer}[{near}:]",
            f"{layer} {rng.choice(['==', '!=', '<'])} {literal}",
            f'{layer} matches r"\\x{part[0]:02x}.?\\x{part[-1]:02x}"',
            f"{rng.choice(['len', 'count'])}({layer}) > {rng.randrange(60)}",
            f"{layer} == {rng.choice(['frame', 'qmi', 'qrtr'])}",
        ]
    )


def _text(rng: random.Random, store: Store, depth: int = 0) -> str:
    layers = ["frame", "qrtr", "qmux", "qmi", "qrtr.ctrl", "tap", "data", 'qmi contains "a"', "len(qrtr) > 30"]
    layers += ["qmi.result", "qmi.error != none", "qmi.result == success", "expert.severity >= warn"]
    layers += ["expert.severity", 'expert.message contains "mandatory"', "qmi.tlv.value", "qmi.tlv.value[0] == 01"]
    layers += ["qmi.tlv.undecoded", "count(qmi.tlv.type) == 3", "qrtr.ctrl.service", "qrtr.trailer"]
    layers += ['frame.interface_name contains "e"', 'string(qmi.msgid) matches "7$"', "qmi.tlv.value contains 01"]
    if depth > 2 or rng.random() < 0.4:
        if rng.random() < 0.25:
            return _of_bytes(rng, store)
        return rng.choice(layers) if rng.random() < 0.25 else _leaf(rng, store)
    if rng.random() < 0.2:
        return f"not ({_text(rng, store, depth + 1)})"
    parts = [f"({_text(rng, store, depth + 1)})" for _ in range(rng.randrange(2, 4))]
    return f" {rng.choice(['and', 'or', 'xor'])} ".join(parts)


def by_columns(chosen: Filter, store: Store, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    with monkeypatch.context() as patched:
        patched.setattr(compile, "FEW", 0)
        return [row for part in chosen.rows(store, capture.dissector()) for row in part.rows]


@settings(deadline=None, max_examples=300)
@given(st.integers(0, 30), st.integers(0, 2**32))
def test_columns_and_frames_agree(capture_seed: int, filter_seed: int) -> None:
    store = made(capture_seed)
    text = _text(random.Random(filter_seed), store)
    chosen = compile_filter(text, capture.registry())
    with pytest.MonkeyPatch.context() as monkeypatch:
        found = by_columns(chosen, store, monkeypatch)
    assert [row + 1 for row in found] == capture.numbers(text, store), text


@pytest.mark.parametrize("seed", range(4))
def test_every_header_column_holds_what_frames_hold(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    from qmisniff.filter.header_fields import HEADERS

    store = made(seed)
    everything = [capture.dissector().values(store.frame(row), store.context(row)) for row in range(len(store))]
    for name in sorted(HEADERS):
        found = [values[name] for values in everything if name in values and name != "frame.time"]
        texts = [name, *(f"{name} >= {value:.9f}" for value in found[:3] if isinstance(value, float))]
        texts += [f"{name} >= {int(value)}" for value in {*found[:30]} if isinstance(value, int)]
        for text in texts:
            chosen = compile_filter(text, capture.registry())
            rows = by_columns(chosen, store, monkeypatch)
            assert [row + 1 for row in rows] == capture.numbers(text, store), text
