# SPDX-License-Identifier: GPL-2.0-or-later
"""Lines of many frames at once against the text of each alone."""

from __future__ import annotations

import json
import random
from collections.abc import Iterable

import numpy as np
import pytest

from qmisniff.dissect import Dissector, bulk_json
from qmisniff.dissect.bulk_json import BulkJson
from qmisniff.frame import Flag, Frame, Link
from qmisniff.store import Store
from tests import factories
from tests.differential.corpus import SERVICES, Case, cases, registry, sample
from tests.differential.mutations import mutate
from tests.oracle.libqmi import qmux

OPENING = '{"schema":1,'


def stored(frames: Iterable[Frame]) -> Store:
    store = Store()
    store.extend(frames)
    return store


def lines(store: Store, bulk: BulkJson, chosen: range | list[int] | None = None) -> list[str]:
    """The lines of these rows, of all of them if none are named."""
    found: list[str] = []
    for rows in store.columns():
        own = np.arange(len(rows)) if chosen is None else np.array(chosen, np.int64) - rows.first
        text = "".join(bulk.lines(rows, own, lambda row: (store.frame(row), store.context(row))))
        assert text.endswith("\n") or not len(own)
        found += text.split("\n")[:-1]
    return found


def wanted(store: Store, dissector: Dissector, rows: Iterable[int]) -> list[str]:
    return [OPENING + dissector.json(store.frame(row), store.context(row))[1:] for row in rows]


def agree(frames: Iterable[Frame]) -> None:
    store, dissector = stored(frames), Dissector(registry())
    bulk = BulkJson(dissector, OPENING)
    everything = wanted(store, dissector, range(len(store)))
    assert lines(store, bulk) == everything
    assert lines(store, bulk) == everything  # by what was remembered
    packets = BulkJson(dissector, OPENING, ("frame.", "tap."))
    assert lines(store, packets) == [without_capture(line) for line in everything]
    assert lines(store, packets) == [without_capture(line) for line in everything]


def without_capture(line: str) -> str:
    """The line without what no packet carries."""
    kept = {name: value for name, value in json.loads(line).items() if not name.startswith(("frame.", "tap."))}
    return json.dumps(kept, separators=(",", ":"))


def carried(case: Case, message: bytes, number: int) -> Frame:
    """The message in some transport, with whatever else a capture says about a frame."""
    service = case.service.header.id
    rng = random.Random(number)
    link = Link.QRTR if service > 255 or number % 2 else Link.QMUX
    if link is Link.QMUX:
        data = qmux(service, case.kind, message)
    else:
        client, server = (1, 0x4001), (0, 100 + service)
        source, target = (server, client) if case.kind else (client, server)
        data = factories.qrtr(message, source, target)
    return factories.frame(
        data,
        rng.random() * 1e6,
        pid=rng.choice((-1, 7)),
        comm=rng.choice(("", 'a"b', "%s")),
        link=link,
        lost=rng.choice((0, 0, 0, 3)),
        flags=rng.choice((Flag(0), Flag.SYNTHETIC)),
    )


@pytest.mark.parametrize("service", SERVICES)
def test_every_message(service: int) -> None:
    rng = random.Random(service)
    frames = [factories.frame(factories.server(factories.NEW_SERVER, service, 1, 0, 100 + service))]
    for case in cases(service):
        whole = sample(case, "bulk").data
        other = sample(case, "other").data
        for message in (whole, whole, other, mutate(rng, whole), mutate(rng, other)):
            frames.append(carried(case, message, len(frames)))
    agree(frames)


def test_requests_and_responses_name_each_other(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bulk_json, "BATCH", 2)
    service = factories.server(factories.NEW_SERVER, 2, 1, 0, 10)
    asked = factories.qrtr(factories.qmi(0, 7, 0x25))
    answered = factories.qrtr(
        factories.qmi(2, 7, 0x25, factories.tlv(2, bytes(4)), factories.tlv(0x10, b"0")), (0, 10), (1, 0x4001)
    )
    frames = [factories.frame(data, at) for at, data in enumerate((service, asked, answered, asked))]
    agree(frames)
    store = stored(frames)
    text = lines(store, BulkJson(Dissector(registry())))
    assert '"qmi.response_in":3' in text[1] and '"qmi.response_to":2,"qmi.time":0.001' in text[2]


def test_version_two_headers_and_everything_that_is_not_a_message() -> None:
    message = factories.qmi(0, 7, 0x25)
    header = bytes([3, 1, 0, 4]) + len(message).to_bytes(4, "little") + bytes.fromhex("0100014000000a00")
    agree(
        [
            factories.frame(factories.server(factories.NEW_SERVER, 2, 1, 0, 10)),
            factories.frame(header + b"abcd" + message),
            factories.frame(header + b"efgh" + message + b"\0"),
            factories.frame(b""),
            factories.frame(b"\1\2", link=Link.OTHER),
            factories.frame(b"\1\2", link=Link.MBIM),
            factories.frame(factories.qmi(0, 7, 0x25), link=Link.QMI),
            factories.frame(qmux(0, 0, bytes.fromhex("000122000400010100 1a".replace(" ", ""))), link=Link.QMUX),
        ]
    )


def test_chosen_rows_only() -> None:
    case = next(cases(3))
    store = stored(carried(case, sample(case, number).data, 2 * number) for number in range(50))
    dissector = Dissector(registry())
    chosen = [3, 4, 30]
    assert lines(store, BulkJson(dissector, OPENING), chosen) == wanted(store, dissector, chosen)
    assert lines(store, BulkJson(dissector, OPENING), []) == []


def test_what_is_remembered_of_headers_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bulk_json, "MAX_HEADS", 4)
    case = next(cases(3))
    frames = [factories.frame(qmux(3, case.kind, sample(case, 1).data), pid=pid, link=Link.QMUX) for pid in range(20)]
    store, dissector = stored(frames), Dissector(registry())
    bulk = BulkJson(dissector, OPENING)
    for row in range(20):
        assert lines(store, bulk, [row]) == wanted(store, dissector, [row])
        assert len(bulk.heads) <= 5
