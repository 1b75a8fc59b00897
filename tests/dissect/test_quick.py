# SPDX-License-Identifier: GPL-2.0-or-later
"""The quick ways through a message against the way TLV by TLV: every message of every definition."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest

from qmisniff.dissect import Dissector, quick
from qmisniff.dissect.compile import Output, compile_sequence
from qmisniff.dissect.message import MessageDecoder
from qmisniff.dissect.quick import Quick
from qmisniff.dissect.sinks import ValuesSink, to_json
from qmisniff.frame import Frame, Link
from qmisniff.protocol.context import Context
from tests import factories
from tests.differential.corpus import SERVICES, cases, registry, sample

DMS = 2


class SlowSink(ValuesSink):
    """Takes every message TLV by TLV."""

    def tlvs(self, decoder: MessageDecoder, data: bytes, start: int, end: int) -> bool:
        return False


def slow(dissector: Dissector, frame: Frame, context: Context) -> dict[str, Any]:
    sink = SlowSink()
    dissector.walk(frame, context, sink)
    return sink.into


def agree(dissector: Dissector, message: bytes, service: int) -> None:
    frame, context = factories.frame(message, link=Link.QMI), Context(7, service)
    wanted = to_json(slow(dissector, frame, context))
    values = to_json(dissector.values(frame, context))
    assert json.loads(values) == json.loads(wanted)
    assert dissector.json(frame, context) == values


@pytest.mark.parametrize("often", [1, 10**9], ids=["sequences", "one by one"])
@pytest.mark.parametrize("service", SERVICES)
def test_every_message(service: int, often: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quick, "OFTEN", often)
    dissector = Dissector(registry())
    rng = random.Random(service)
    for case in cases(service):
        message = sample(case, "quick").data
        agree(dissector, message, service)  # learned
        agree(dissector, message, service)  # by what was learned
        agree(dissector, sample(case, "other values").data, service)
        at = rng.randrange(len(message))
        damaged = message[:at] + bytes([message[at] ^ 1 << rng.randrange(8)]) + message[at + 1 :]
        agree(dissector, damaged, service)
        agree(dissector, message[: rng.randrange(len(message))], service)


def compiled(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """A list that grows with every sequence that is compiled."""
    made: list[int] = []
    real = compile_sequence

    def counted(parts: Any, enums: Any, output: Any) -> Any:
        made.append(len(parts))
        return real(parts, enums, output)

    monkeypatch.setattr(quick, "compile_sequence", counted)
    return made


def ids(*types: int) -> bytes:
    """A DMS response with these text TLVs."""
    tlvs = [factories.tlv(kind, b"0") for kind in types]
    return factories.qmi(2, 1, 0x25, factories.tlv(2, bytes(4)), *tlvs)


def test_a_sequence_is_compiled_when_it_was_met_often(monkeypatch: pytest.MonkeyPatch) -> None:
    made = compiled(monkeypatch)
    dissector = Dissector(registry())
    for count in range(quick.OFTEN * 3):
        agree(dissector, ids(0x10, 0x11), DMS)
        assert len(made) == (0 if count + 1 < quick.OFTEN else 2)  # values and JSON text


def test_the_number_of_compiled_sequences_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quick, "OFTEN", 1)
    made = compiled(monkeypatch)
    dissector = Dissector(registry())
    rng = random.Random(1)
    for _ in range(200):
        types = rng.sample([0x10, 0x11, 0x12, 0x13, 0x14], rng.randrange(6))
        agree(dissector, ids(*types), DMS)
    assert len(made) == 2 * quick.MAX_SEQUENCES


def test_a_failed_request_needs_no_other_tlv(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quick, "OFTEN", 1)
    dissector = Dissector(registry())
    failed = factories.qmi(2, 1, 0x25, factories.tlv(2, b"\1\0\x5e\0"))
    for message in (failed, failed, ids(), ids(), failed):
        agree(dissector, message, DMS)


def test_the_order_of_tlvs_is_free(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quick, "OFTEN", 1)
    dissector = Dissector(registry())
    for types in ((0x10, 0x11), (0x11, 0x10), (0x10, 0x11), (0x11, 0x10)):
        agree(dissector, ids(*types), DMS)


def test_a_message_without_tlvs() -> None:
    assert Quick({}, frozenset(), {}, Output.VALUES).decode(b"", 0, 0, {})
    assert not Quick({}, frozenset({1}), {}, Output.VALUES).decode(b"", 0, 0, {})
