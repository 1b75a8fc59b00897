# SPDX-License-Identifier: GPL-2.0-or-later
"""Ports get their services from control packets, responses find their requests."""

from __future__ import annotations

import struct

from hypothesis import given
from hypothesis import strategies as st

from qmisniff.frame import Frame, Link
from qmisniff.protocol.context import Context
from qmisniff.tracker import Tracker
from tests import factories as make
from tests.factories import CTRL, HOST, MODEM

CLIENT = (HOST, 0x4001)
DMS = (MODEM, 10)
REQUEST, RESPONSE, INDICATION = 0, 2, 4


def track(*packets: bytes, link: Link = Link.QRTR) -> list[Context]:
    tracker = Tracker()
    for number, packet in enumerate(packets):
        tracker.add(make.frame(packet, at_ms=number, link=link))
    return [tracker.context(row) for row in range(len(tracker))]


def message(kind: int, source: tuple[int, int], target: tuple[int, int], txn: int = 1, msgid: int = 0x25) -> bytes:
    return make.qrtr(make.qmi(kind, txn, msgid), source, target)


ANNOUNCED = make.server(make.NEW_SERVER, 2, 0x101, *DMS)


def test_an_announced_server_names_the_service_both_ways() -> None:
    _, ask, answer, told = track(
        ANNOUNCED,
        message(REQUEST, CLIENT, DMS),
        message(RESPONSE, DMS, CLIENT),
        message(INDICATION, DMS, CLIENT),
    )
    assert [ask.service, answer.service, told.service] == [2, 2, 2]
    assert ask.instance == 0x101
    assert (ask.response, ask.request) == (3, None)
    assert (answer.request, answer.response_ns) == (2, 1_000_000)
    assert (told.request, told.response) == (None, None)


def test_a_service_is_not_known_before_it_is_announced() -> None:
    ask, _ = track(message(REQUEST, CLIENT, DMS), ANNOUNCED)
    assert ask.service is None


def test_a_local_server_is_known_by_the_port_that_announces_it() -> None:
    """Its packet's node and port words are what the program left there; the kernel ignores them too."""
    server = (HOST, 0x4005)
    words = struct.pack("<5I", make.NEW_SERVER, 15, 1, 0, 0)
    _, ask = track(
        make.qrtr(words, server, (HOST, CTRL), make.NEW_SERVER),
        message(REQUEST, CLIENT, server),
    )
    assert ask.service == 15


def test_a_port_that_is_client_and_server_is_told_apart_by_the_message() -> None:
    both = (HOST, 0x4005)
    contexts = track(
        ANNOUNCED,
        make.server(make.NEW_SERVER, 66, 1, *both),
        message(REQUEST, both, DMS),
        message(RESPONSE, DMS, both),
    )
    assert [context.service for context in contexts[2:]] == [2, 2]


def test_servers_end() -> None:
    gone = {
        "DEL_SERVER": make.server(make.DEL_SERVER, 2, 0x101, *DMS),
        "DEL_CLIENT": make.qrtr(
            struct.pack("<5I", make.DEL_CLIENT, *DMS, 0, 0), (MODEM, CTRL), (HOST, CTRL), make.DEL_CLIENT
        ),
        "BYE": make.qrtr(struct.pack("<5I", make.BYE, 0, 0, 0, 0), (MODEM, CTRL), (HOST, CTRL), make.BYE),
    }
    for name, packet in gone.items():
        *_, ask = track(ANNOUNCED, packet, message(REQUEST, CLIENT, DMS))
        assert ask.service is None, name


def test_another_port_or_another_service_stays() -> None:
    *_, ask = track(
        ANNOUNCED,
        make.server(make.DEL_SERVER, 3, 0x101, *DMS),
        make.server(make.DEL_SERVER, 2, 0x101, MODEM, 11),
        message(REQUEST, CLIENT, DMS),
    )
    assert ask.service == 2


def test_responses_find_the_request_of_their_own_client_and_transaction() -> None:
    other = (HOST, 0x4002)
    contexts = track(
        message(REQUEST, CLIENT, DMS, txn=1),
        message(REQUEST, other, DMS, txn=1),
        message(REQUEST, CLIENT, DMS, txn=2),
        message(RESPONSE, DMS, other, txn=1),
        message(RESPONSE, DMS, CLIENT, txn=2),
        message(RESPONSE, DMS, CLIENT, txn=1),
        message(RESPONSE, DMS, CLIENT, txn=1),
    )
    assert [context.request for context in contexts] == [None, None, None, 2, 3, 1, None]
    assert [context.response for context in contexts] == [6, 4, 5, None, None, None, None]


def test_qmux_pairs_by_service_and_client() -> None:
    def qmux(service: int, client: int, body: bytes) -> bytes:
        return struct.pack("<BHBBB", 1, len(body) + 5, 0, service, client) + body

    ctl = struct.Struct("<BBHH")
    contexts = track(
        qmux(2, 1, make.qmi(REQUEST, 7, 0x25)),
        qmux(2, 2, make.qmi(RESPONSE, 7, 0x25)),
        qmux(2, 1, make.qmi(RESPONSE, 7, 0x25)),
        qmux(0, 0, ctl.pack(0, 9, 0x22, 0)),
        qmux(0, 0, ctl.pack(1, 9, 0x22, 0)),
        link=Link.QMUX,
    )
    assert [context.request for context in contexts] == [None, None, 1, None, 4]


packets = st.one_of(
    st.binary(max_size=80),
    st.builds(
        make.qrtr,
        st.binary(max_size=40),
        st.tuples(st.integers(0, 2), st.sampled_from([10, CTRL])),
        st.tuples(st.integers(0, 2), st.sampled_from([10, CTRL])),
        st.integers(0, 14),
    ),
)


@given(st.lists(st.builds(make.frame, packets, link=st.sampled_from(Link)), max_size=20))
def test_any_bytes_are_taken(frames: list[Frame]) -> None:
    tracker = Tracker()
    for each in frames:
        tracker.add(each)
    for row in range(len(tracker)):
        context = tracker.context(row)
        assert context.number == row + 1
        if context.request is not None:
            assert tracker.context(context.request - 1).response == row + 1


TFTP, TRANSFER, READER = (HOST, 0x4000), (HOST, 0x4002), (MODEM, 61)
TFTP_ANNOUNCED = make.server(make.NEW_SERVER, 4096, 1, *TFTP)
READ_REQUEST = make.qrtr(b"\0\1/readwrite/x\0octet\0", READER, TFTP)


def tftp(payload: bytes, source: tuple[int, int], target: tuple[int, int]) -> bytes:
    return make.qrtr(payload, source, target)


def test_a_file_transfer_is_followed_to_the_port_that_answers() -> None:
    contexts = track(
        TFTP_ANNOUNCED,
        READ_REQUEST,
        tftp(b"\0\3\0\1abc", TRANSFER, READER),
        tftp(b"\0\4\0\1", READER, TRANSFER),
    )
    assert [context.service for context in contexts] == [None, 4096, 4096, 4096]
    assert contexts[2].instance == 1
    assert not any(context.request or context.response for context in contexts)  # not paired as QMI


def test_two_transfers_of_one_client_at_once() -> None:
    other = (HOST, 0x4003)
    *_, first, second = track(
        TFTP_ANNOUNCED,
        READ_REQUEST,
        tftp(b"\0\6", TRANSFER, READER),
        READ_REQUEST,
        tftp(b"\0\6", other, READER),
        tftp(b"\0\4\0\0", READER, TRANSFER),
        tftp(b"\0\4\0\0", READER, other),
    )
    assert (first.service, second.service) == (4096, 4096)


def test_only_an_answer_from_the_servers_node_is_taken_for_a_transfer() -> None:
    strangers = (
        tftp(b"\0\3\0\1", (5, 0x4002), READER),  # another node
        tftp(b"\2\1\0\1\0\0\0", TRANSFER, READER),  # a QMI response
        tftp(b"\0\3\0\1", TRANSFER, (MODEM, 62)),  # to a port that asked for nothing
    )
    for stranger in strangers:
        assert track(TFTP_ANNOUNCED, READ_REQUEST, stranger)[-1].service is None
    assert track(TFTP_ANNOUNCED, tftp(b"\0\3\0\1", TRANSFER, READER))[-1].service is None


def test_a_closed_transfer_port_is_forgotten() -> None:
    def client_gone(node: int, port: int) -> bytes:
        words = struct.pack("<5I", make.DEL_CLIENT, node, port, 0, 0)
        return make.qrtr(words, (node, port), (0xFFFFFFFF, CTRL), make.DEL_CLIENT)

    begun = (TFTP_ANNOUNCED, READ_REQUEST, tftp(b"\0\6", TRANSFER, READER))
    later = tftp(b"\0\4\0\1", READER, TRANSFER)
    assert track(*begun, later)[-1].service == 4096
    assert track(*begun, client_gone(*TRANSFER), later)[-1].service is None
    gone = make.qrtr(struct.pack("<5I", make.BYE, 0, 0, 0, 0), (HOST, CTRL), (HOST, CTRL), make.BYE)
    assert track(*begun, gone, later)[-1].service is None
