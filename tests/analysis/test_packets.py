# SPDX-License-Identifier: GPL-2.0-or-later
"""Messages and datagrams as columns say what decoding every frame says."""

from __future__ import annotations

import struct

from hypothesis import given

from qmisniff.analysis.packets import end_condition, packets
from qmisniff.filter import compile_filter
from qmisniff.frame import Direction, Hook
from qmisniff.store import Store
from tests import factories as make
from tests.analysis.traffic import captures, dissector, end_name, few, filled, read


@few
@given(captures())
def test_columns_say_what_the_trees_say(capture: tuple[Store, list[int]]) -> None:
    store, rows = capture
    found = packets(store, dissector(), rows)
    ends = [end_name(end) for end in found.source.tolist()], [end_name(end) for end in found.target.tolist()]
    columns = (found.row, found.kind, found.service, found.msgid, found.result, found.error)
    assert list(zip(*(column.tolist() for column in columns), *ends, strict=True)) == read(store, rows)
    for at, row in enumerate(found.row.tolist()):
        frame, context = store.frame(row), store.context(row)
        own = frame.direction is not Direction.INBOUND and frame.hook is not Hook.RECEIVED
        assert (found.ts_ns[at], found.size[at], found.own[at]) == (frame.ts_ns, frame.orig_len, own)
        assert store.tasks[found.task[at]] == (frame.pid, frame.comm)
        assert found.partner[at] == (context.request or context.response or 0) - 1


@few
@given(captures())
def test_a_condition_passes_what_goes_between_two_ends(capture: tuple[Store, list[int]]) -> None:
    store, _ = capture
    found = packets(store, dissector(), range(len(store)))
    for one, two in {*zip(found.source.tolist(), found.target.tolist(), strict=True)}:
        chosen = compile_filter(end_condition(one, two), dissector().registry)
        passed = [
            row for row in found.row.tolist() if chosen.matches(store.frame(row), store.context(row), dissector())
        ]
        both = ((found.source == one) & (found.target == two)) | ((found.source == two) & (found.target == one))
        assert passed == found.row[both].tolist()


def test_what_a_file_server_tells_its_name_server_is_no_datagram() -> None:
    port = (make.MODEM, 0x4002)
    announced = struct.pack("<5I", make.NEW_SERVER, 4096, 1, *port)
    told = make.qrtr(announced, port, (make.HOST, make.CTRL))
    store = filled([make.frame(make.server(make.NEW_SERVER, 4096, 1, *port)), make.frame(told)])
    assert store.context(1).service == 4096
    assert not len(packets(store, dissector(), [0, 1]).row)
