# SPDX-License-Identifier: GPL-2.0-or-later
"""The story of who offers and who looks for what, against a tracker that is asked after every frame."""

from __future__ import annotations

import struct

from hypothesis import given

from qmisniff.analysis.names import Names
from qmisniff.analysis.service_tables import lookups_table, nodes_table, offers_table
from qmisniff.analysis.services import services
from qmisniff.analysis.table import Table
from qmisniff.dissect.transport import address
from qmisniff.filter import compile_filter
from qmisniff.frame import Direction, Frame, Hook
from qmisniff.store import Store
from qmisniff.tracker import Address, Server, Tracker
from tests import factories as make
from tests.analysis.traffic import DEL_LOOKUP, captures, dissector, end_name, few, filled, read
from tests.tui.conversation import conversation

MEANT = {make.DEL_SERVER: "DEL_SERVER", make.DEL_CLIENT: "DEL_CLIENT", make.BYE: "BYE", make.NEW_SERVER: "NEW_SERVER"}


@few
@given(captures())
def test_offers_are_what_the_tracker_knows_after_each_frame(capture: tuple[Store, list[int]]) -> None:
    store, rows = capture
    tracker, before = Tracker(), dict[Address, Server]()
    expected: list[list[object]] = []
    for row in range(len(store)):
        tracker.add(store.frame(row))
        after = tracker.servers
        values = dissector().values(store.frame(row), store.context(row))
        for where in {*before, *after}:
            if before.get(where) == after.get(where):
                continue
            for known in expected:
                if known[0] == where and known[3] is None:
                    known[3:] = [row, MEANT[values["qrtr.ctrl.cmd"]]]
            if where in after:
                expected.append([where, after[where], row, None, ""])
        before = after
    # Without those of QMUX.
    made = [offer for offer in services(store, dissector(), rows).offers if offer.server.instance >= 0]
    assert sorted(
        [[(each.end >> 32, each.end & 0xFFFFFFFF), each.server, each.row, each.until_row, each.ended] for each in made],
        key=str,
    ) == sorted(expected, key=str)
    seen = read(store, rows)
    for offer in made:
        end = end_name(offer.end)
        until = len(store) if offer.until_row is None else offer.until_row
        mine = [
            each
            for each in seen
            if end in (each.source, each.target)
            and each.service == offer.server.service
            and offer.row <= each.row < until
        ]
        others = {each.target if each.source == end else each.source for each in mine}
        size = sum(store.frame(each.row).orig_len for each in mine)
        last = store.frame(mine[-1].row).ts_ns if mine else None
        assert offer.traffic == (len(mine), size, len(others), last)


@few
@given(captures())
def test_qmux_services_are_those_that_were_talked_to(capture: tuple[Store, list[int]]) -> None:
    store, rows = capture
    expected: dict[int, list[str]] = {}
    for each in read(store, rows):
        if each.source.startswith(("client", "server")):
            client = each.source if each.source.startswith("client") else each.target
            expected.setdefault(each.service, []).append(client)
    made = [offer for offer in services(store, dissector(), rows).offers if offer.server.instance < 0]
    assert {each.server.service: (each.traffic.packets, each.traffic.clients) for each in made} == {
        service: (len(clients), len(set(clients))) for service, clients in expected.items()
    }


@few
@given(captures())
def test_lookups_find_what_the_name_service_would_tell_them(capture: tuple[Store, list[int]]) -> None:
    store, _ = capture
    tracker, before = Tracker(), dict[Address, Server]()
    expected: list[dict[str, int | str]] = []
    for row in range(len(store)):
        tracker.add(store.frame(row))
        after = tracker.servers
        values = dissector().values(store.frame(row), store.context(row))
        command = values.get("qrtr.ctrl.cmd")
        sender = f"{values.get('qrtr.src_node')}:{values.get('qrtr.src_port')}"
        waiting = [each for each in expected if not each["ended"]]
        if command == make.NEW_LOOKUP:
            word = values["qrtr.ctrl.version"] | values["qrtr.ctrl.instance"] << 8
            looked = {"client": sender, "service": values["qrtr.ctrl.service"], "word": word,
                      "row": row, "found": 0, "ended": ""}  # fmt: skip
            looked["found"] = sum(matches(looked, server) for server in after.values())
            expected.append(looked)
        elif command == DEL_LOOKUP:
            for each in waiting:
                if (each["client"], each["service"]) == (sender, values["qrtr.ctrl.service"]):
                    each["ended"] = "DEL_LOOKUP"
        elif command == make.DEL_CLIENT:
            for each in waiting:
                if each["client"] == f"{values['qrtr.ctrl.node']}:{values['qrtr.ctrl.port']}":
                    each["ended"] = "DEL_CLIENT"
        for where, server in after.items():
            if before.get(where) != server:
                for each in waiting:
                    each["found"] = int(each["found"]) + matches(each, server)
        before = after
    made = [
        {"client": end_name(each.client), "service": each.service, "word": each.instance, "row": each.row,
         "found": each.found, "ended": each.ended}
        for each in services(store, dissector(), range(len(store))).lookups
    ]  # fmt: skip
    assert made == expected


def matches(lookup: dict[str, int | str], server: Server) -> bool:
    return lookup["service"] in (0, server.service) and lookup["word"] in (0, server.instance)


@few
@given(captures())
def test_nodes_sent_what_their_frames_hold(capture: tuple[Store, list[int]]) -> None:
    store, rows = capture
    sent: dict[int, list[Frame]] = {}
    for row in rows:
        values = dissector().values(store.frame(row), store.context(row))
        if values.get("qrtr.type"):
            sent.setdefault(values["qrtr.src_node"], []).append(store.frame(row))
    made = services(store, dissector(), rows).nodes
    assert {node.number: (node.packets, node.bytes) for node in made if node.packets} == {
        number: (len(frames), sum(frame.orig_len for frame in frames)) for number, frames in sent.items()
    }


def lookup(service: int, at_ms: float, port: int = 0x4001) -> Frame:
    words = struct.pack("<5I", make.NEW_LOOKUP, service, 0, 0, 0)
    packet = make.qrtr(words, (make.HOST, port), (make.HOST, make.CTRL))
    return make.frame(packet, at_ms, Direction.UNKNOWN, Hook.LOCAL)


def cells(table: Table) -> list[list[str]]:
    return [[column.text(row) for column in table.shown] for row in range(table.length)]


def test_what_was_looked_for_in_vain_is_said() -> None:
    store = filled([*conversation(), lookup(2, 50), lookup(9, 60)])
    names = Names(store, dissector().registry)
    found = services(store, dissector(), range(len(store)))
    client = address(make.HOST, 0x4001)
    assert [row[:7] for row in cells(lookups_table(found.lookups, names))] == [
        ["DMS", "", "", "1", client, "qmicli[321]", "0.050000"],
        ["VOICE", "", "", "not found", client, "qmicli[321]", "0.060000"],
    ]
    assert [row[0:7] for row in cells(offers_table(found.offers, names))] == [
        ["DMS", "1", "0", "", "0:10", "", "known"],
        ["NAS", "1", "0", "", "0:11", "", "known"],
    ]
    assert [row[:4] for row in cells(nodes_table(found.nodes, names))] == [
        ["0", "elsewhere", "2", "5"],
        ["1", "this one", "0", "4"],
    ]


def test_the_program_behind_a_service_is_who_announced_it() -> None:
    port, program = (make.HOST, 0x4005), 77
    announced = struct.pack("<5I", make.NEW_SERVER, 64, 257, 0, 0)
    store = filled(
        [
            make.frame(make.qrtr(announced, port, (make.HOST, make.CTRL)), 1, Direction.UNKNOWN, Hook.LOCAL, program,
                       "pd-mapper"),
            make.frame(make.server(make.NEW_SERVER, 64, 257, *port), 2, Direction.UNKNOWN, Hook.LOCAL, 9, "kworker"),
            make.frame(make.server(make.DEL_SERVER, 64, 257, *port), 3, Direction.UNKNOWN, Hook.LOCAL, 9, "kworker"),
        ]
    )  # fmt: skip
    (offer,) = services(store, dissector(), []).offers
    assert offer.task is not None and store.tasks[offer.task] == (program, "pd-mapper")
    assert (offer.row, offer.until_row, offer.ended) == (1, 2, "DEL_SERVER")


@few
@given(captures())
def test_conditions_pass_what_a_row_is_about(capture: tuple[Store, list[int]]) -> None:
    store, _ = capture
    everything = list(range(len(store)))
    found, names = services(store, dissector(), everything), Names(store, dissector().registry)
    table, seen = offers_table(found.offers, names), read(store, everything)
    for at, offer in enumerate(found.offers):
        if offer.server.instance >= 0:
            mine = {each.row for each in seen if end_name(offer.end) in (each.source, each.target)}
        else:
            mine = {each.row for each in seen if f"server {offer.server.service}" in (each.source, each.target)}
        assert mine <= passed(table, at, store)
    table = lookups_table(found.lookups, names)
    for at, lookup in enumerate(found.lookups):
        assert lookup.row in passed(table, at, store)
    table = nodes_table(found.nodes, names)
    for at, node in enumerate(found.nodes):
        assert len(passed(table, at, store)) >= node.packets


def passed(table: Table, at: int, store: Store) -> set[int]:
    chosen = compile_filter(table.condition(at), dissector().registry)
    return {row for part in chosen.rows(store, dissector()) for row in part.rows}
