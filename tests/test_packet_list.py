# SPDX-License-Identifier: GPL-2.0-or-later
"""The packet list in bulk says of every frame what decoding it alone says."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from qmisniff import cli, export
from qmisniff.dissect import Dissector
from qmisniff.dissect.sinks import Sink
from qmisniff.export import packet_list
from qmisniff.export.batches import batches
from qmisniff.export.packet_list import PacketList
from qmisniff.frame import Frame
from qmisniff.protocol.context import Context
from qmisniff.store import Store
from tests import factories as make
from tests.filter import capture
from tests.filter.test_columns import made

SAMPLE = str(Path(__file__).parents[1] / "captures" / "first-contact.pcapng")


class Counting(Dissector):
    """Counts the frames that it is asked to decode."""

    count = 0

    def walk(self, frame: Frame, context: Context, sink: Sink) -> None:
        self.count += 1
        super().walk(frame, context, sink)


def listed(store: Store, dissector: Dissector, rows: list[int]) -> list[tuple[str, ...]]:
    """The rows of the list, made in bulk."""
    packets = PacketList(store, dissector)
    return [row for each in batches(store, rows) for row in zip(*packets.rows(*each), strict=True)]


@pytest.mark.parametrize("seed", range(31))
def test_every_row_is_what_decoding_the_frame_makes(seed: int) -> None:
    store, dissector = made(seed), capture.dissector()
    summaries = [dissector.summary(store.frame(row), store.context(row)) for row in range(len(store))]
    expected = [(row.source, row.destination, row.protocol, row.info) for row in summaries]
    assert listed(store, dissector, list(range(len(store)))) == expected
    assert listed(store, dissector, list(range(1, len(store), 3))) == expected[1::3]


def test_regular_messages_are_not_decoded() -> None:
    store = Store()
    frames = capture.frames()
    store.extend(frames[:3])
    store.extend(frames[3:8] * 50)
    dissector = Counting(capture.registry())
    rows = listed(store, dissector, list(range(3, len(store))))
    assert dissector.count == 0
    assert rows[1][3] == "Response: Get Signal Info, txn 1 (lte, nr5g, 0x99)"


def test_many_tlvs_are_told_apart_by_those_that_are_named() -> None:
    store = Store()
    ends = (make.MODEM, 10), (make.HOST, 0x4001)
    bodies = [[make.tlv(kind, b"") for kind in range(16, 16 + count)] for count in (7, 8, 9, 16, 17, 30)]
    bodies.append([make.tlv(2, bytes(4)), *bodies[2]])
    store.extend(make.frame(make.qrtr(make.qmi(2, 1, 0x7777, *body), *ends)) for body in bodies * 3)
    dissector = capture.dissector()
    expected = [dissector.summary(store.frame(row), store.context(row)).info for row in range(len(store))]
    assert [row[3] for row in listed(store, dissector, list(range(len(store))))] == expected
    assert len(set(expected)) == 3


def test_what_is_remembered_is_bounded_and_stays_right(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packet_list, "_KEPT", 3)
    store, dissector = Store(), capture.dissector()
    ports = [0x4000 + at % 7 for at in range(60)]
    bodies = [make.tlv(16 + at % 11, b"") for at in range(60)]
    store.extend(
        make.frame(make.qrtr(make.qmi(2, at, 0x7777, body), (make.MODEM, 10), (make.HOST, port)))
        for at, (port, body) in enumerate(zip(ports, bodies, strict=True))
    )
    packets = PacketList(store, dissector)
    for columns, places in batches(store, range(len(store))):
        for part in np.array_split(places, 6):
            found = list(zip(*packets.rows(columns, part), strict=True))
            rows = [dissector.summary(store.frame(row), store.context(row)) for row in part.tolist()]
            assert found == [(row.source, row.destination, row.protocol, row.info) for row in rows]
            assert len(packets._ends) <= 3


@pytest.mark.parametrize("few", [0, 1000])
def test_times_count_from_the_first_frame_of_the_file(
    few: int, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in tshark: also where a filter leaves the first frame out."""
    monkeypatch.setattr(export, "_FEW", few)
    monkeypatch.setattr(export, "_FEW_MORE", few)
    assert cli.main(["read", SAMPLE]) == 0
    every = capsys.readouterr().out.splitlines()
    assert cli.main(["read", SAMPLE, "-Y", "qmi.type == response"]) == 0
    some = capsys.readouterr().out.splitlines()
    assert some and set(some) < set(every)
    assert re.match(r" +1 +0\.000000 ", every[0]) and not re.match(r" +\d+ +0\.000000 ", some[0])
