# SPDX-License-Identifier: GPL-2.0-or-later
from __future__ import annotations

import random

import pytest

from qmisniff.dissect.names import held
from qmisniff.frame import Frame
from qmisniff.store import Store
from qmisniff.tui.columns import process
from qmisniff.tui.sorting import Cancelled, in_order
from tests.factories import CTRL, HOST, MODEM, qmi, qrtr, tlv
from tests.tui.conversation import DMS_PORT, NAS_PORT, conversation, from_modem, hello
from tests.tui.scripted import dissector
from tests.tui.test_columns import packet

SIGNAL = b"\xc4\xf4\x9f\xff\x78\x00"


def traffic() -> list[Frame]:
    """Everything twice in disorder, with odd packets between."""
    frames = [*conversation(), hello(), *conversation()[2:]]
    for at, rssi in enumerate((3, 200, 90)):
        frames.append(from_modem(qmi(4, at, 0x51, tlv(0x14, bytes([rssi]) + SIGNAL[1:])), NAS_PORT, at))
    frames.append(from_modem(b"\xff\xff", DMS_PORT, 5))
    frames.append(frames[0]._replace(data=b"short"))
    frames.append(frames[0]._replace(data=qrtr(b"", (MODEM, CTRL), (HOST, CTRL), 77)))
    known, rest = frames[:2], frames[2:]
    random.Random(1).shuffle(rest)
    return known + rest


def value(store: Store, row: int, name: str) -> object:
    """The naive key: what the dissector says of the row."""
    return next(iter(held(dissector().values(store.frame(row), store.context(row)), name)), None)


def key(store: Store, row: int, column: str) -> object:
    frame = store.frame(row)
    summary = dissector().summary(frame, store.context(row))
    match column:
        case "number":
            return row
        case "time":
            return frame.ts_ns
        case "length":
            return frame.orig_len
        case "process":
            return (frame.comm, frame.pid)
        case "protocol":
            return summary.protocol
        case "info":
            return summary.info.split(", txn ")[0]
        case "source":
            return (value(store, row, "qrtr.src_node") or 0, value(store, row, "qrtr.src_port") or 0)
        case "destination":
            return (value(store, row, "qrtr.dst_node") or 0, value(store, row, "qrtr.dst_port") or 0)
    return value(store, row, column)


COLUMNS = ["number", "time", "length", "process", "protocol", "info", "source", "destination", "qmi.txn", "qmi.error",
           "qmi.nas.signal_info.lte.rssi", "qmi.dms.get_ids.imei", "qmi.tlv.type", "qrtr.port"]  # fmt: skip


@pytest.mark.parametrize("descending", [False, True])
@pytest.mark.parametrize("column", COLUMNS)
@pytest.mark.parametrize("some", [False, True])
def test_the_order_is_that_of_every_row_looked_at_alone(column: str, descending: bool, some: bool) -> None:
    store = Store()
    store.extend(traffic())
    rows = [row for row in range(len(store)) if row % 3] if some else range(len(store))
    keys = {row: key(store, row, column) for row in rows}
    there = [row for row in rows if keys[row] is not None]
    distinct = sorted({keys[row] for row in there}, reverse=descending)  # type: ignore[type-var]
    expected = [row for each in distinct for row in there if keys[row] == each]
    expected += [row for row in rows if keys[row] is None]
    assert in_order(store, dissector(), rows, column, descending, lambda: False) == expected
    assert distinct


def test_the_process_column_is_what_it_is_sorted_by() -> None:
    assert process(packet(conversation()[2])) == "qmicli[321]"


def test_nobody_waits_for_an_order_that_is_not_wanted_any_more() -> None:
    store = Store()
    store.extend(traffic())
    for column in COLUMNS[1:]:
        with pytest.raises(Cancelled):
            in_order(store, dissector(), range(len(store)), column, False, lambda: True)


def test_nothing_to_sort() -> None:
    assert in_order(Store(), dissector(), range(0), "length", True, lambda: False) == []
