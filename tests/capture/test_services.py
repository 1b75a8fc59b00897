# SPDX-License-Identifier: GPL-2.0-or-later
"""Services remembered by the capture: the same that the tracker knows, whatever comes."""

from __future__ import annotations

import struct

from hypothesis import given
from hypothesis import strategies as st

from qmisniff.capture.services import Services
from qmisniff.frame import Flag, Frame, Hook, Link
from qmisniff.tracker import Tracker
from tests import factories as make

few = st.integers(0, 2)
ports = st.sampled_from([1, 2, make.CTRL])
kinds = st.sampled_from([make.BYE, make.NEW_SERVER, make.DEL_SERVER, make.DEL_CLIENT, make.DATA, 7, 99])


@st.composite
def packets(draw: st.DrawFn) -> bytes:
    """Control packets of both versions, whole and cut short."""
    kind, source, port = draw(kinds), draw(few), draw(ports)
    payload = struct.pack("<5I", kind, draw(few), draw(few), draw(few), draw(ports))
    if draw(st.booleans()):
        data = make.qrtr(payload, (source, port), (make.HOST, make.CTRL), kind)
    else:
        head = struct.pack("<BBBBIHHHH", 3, kind, 0, 4, len(payload), source, port & 0xFFFF, make.HOST, 0xFFFE)
        data = head + bytes(4) + payload
    return data[: draw(st.sampled_from([len(data)] * 8 + [40, 20, 3, 0]))]


@given(st.lists(packets(), max_size=12))
def test_a_fresh_tracker_learns_from_them_what_one_that_saw_all_knows(stream: list[bytes]) -> None:
    frames = [make.frame(data, at_ms=at) for at, data in enumerate(stream)]
    saw_all, fresh, services = Tracker(), Tracker(), Services()
    for frame in frames:
        saw_all.add(frame)
    services.learn(frames)
    for frame in services.again(5):
        fresh.add(frame)
    assert fresh.servers == saw_all.servers


def test_they_are_synthetic_and_of_the_time_that_is_asked_for() -> None:
    services = Services()
    services.learn([make.frame(make.server(make.NEW_SERVER, 2, 1, 0, 10), lost=3)])
    (frame,) = services.again(77)
    assert frame.flags == Flag.SYNTHETIC
    assert (frame.ts_ns, frame.hook, frame.pid, frame.comm, frame.lost) == (77, Hook.LOOKUP, -1, "", 0)


def test_other_links_announce_nothing() -> None:
    data = make.server(make.NEW_SERVER, 2, 1, 0, 10)
    services = Services()
    services.learn([Frame(1, data, len(data), link) for link in Link if link is not Link.QRTR])
    assert services.again(1) == []


def test_no_sender_can_fill_the_memory() -> None:
    services = Services()
    for port in range(5000):
        services.learn([make.frame(make.server(make.NEW_SERVER, 2, 1, 0, port))])
    again = services.again(1)
    assert len(again) == 4096
    assert again[-1].data == make.server(make.NEW_SERVER, 2, 1, 0, 4999)
