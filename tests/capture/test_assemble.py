# SPDX-License-Identifier: GPL-2.0-or-later
"""Records of probes -> frames: whole packets of any length, in any company, and honest about what is missing."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qmisniff.capture import header
from qmisniff.capture.assemble import Assembler
from qmisniff.capture.event_format import EventFormat, parse_format
from qmisniff.capture.header import Address
from qmisniff.capture.plan import plan
from qmisniff.capture.ring import PageLayout
from qmisniff.capture.tasks import Tasks
from qmisniff.frame import Direction, Flag, Frame, Hook, Link, Origin
from tests.capture.kernel import EVENTS, Probes, fill, format_text, pages
from tests.capture.test_plan import FACTS

PROBES = Probes(plan(FACTS))
SIMPLE = Probes(plan(FACTS._replace(simple=True)))
WALL = 1_700_000_000_000_000_000
ORIGIN = Origin("kernel", "kernel")
LOCAL = {"kind": 1, "from_node": 1, "from_port": 0x4000, "to_node": 1, "to_port": 0x4001, "paged": 0}
BROADCAST = {**LOCAL, "to_node": 0xFFFFFFFF, "kind": 6}
AGES = 1 << 60  # later than everything


def kernel_form(name: str, number: int) -> EventFormat:
    return parse_format(format_text(name, number, EVENTS[name]))


SERVER_ADD = kernel_form("qrtr/qrtr_ns_server_add", 700)
NEWTASK = kernel_form("task/task_newtask", 701)
RENAME = kernel_form("task/task_rename", 702)


def assembler(probes: Probes = PROBES, snap: int = 0) -> Assembler:
    made = Assembler(PageLayout(), WALL, ORIGIN, Tasks(), snap)
    for event in probes.plan.heads:
        made.add_head(probes.forms[event.name], event.hook, event.rebuilt)
    for event in probes.plan.bodies:
        made.add_body(probes.forms[event.name], event.offsets)
    made.add_service(SERVER_ADD, header.NEW_SERVER)
    made.add_task(NEWTASK)
    made.add_task(RENAME)
    return made


def feed(made: Assembler, records: list[bytes], cpu: int = 0, start: int = 1000, lost: int = 0) -> None:
    for page in pages([(start + at, record) for at, record in enumerate(records)], lost):
        made.feed(cpu, page)


def local(memory: bytes, values: dict[str, int]) -> list[bytes]:
    """The records of a packet between ports of this node."""
    form = PROBES.forms["local"]
    head = fill(form, {"common_pid": 7, "ptr": 0x1000, "len": len(memory), **values}, {"comm": "qmicli"}, memory)
    return [head, *PROBES.packet(Hook.LOCAL, 7, 0x1000, memory)[1:]]


def packet(size: int, seed: int = 0) -> bytes:
    return random.Random(size * 31 + seed).randbytes(size)


def test_a_received_packet() -> None:
    made = assembler()
    feed(made, PROBES.packet(Hook.RECEIVE, 7, 0xFFFF888012340000, packet(60), comm="irq/20-glink"), cpu=3)
    assert made.frames(AGES) == [
        Frame(
            WALL + 1000, packet(60), 60, Link.QRTR, Direction.INBOUND, Hook.RECEIVE, Flag(0), 7, "irq/20-glink", 3, 0,
            ORIGIN,
        )
    ]  # fmt: skip
    assert (made.heads, made.gaps, made.truncated) == (1, {}, 0)


@pytest.mark.parametrize("size", [0, 1, 4, 127, 128, 129, 640, 641, 3648, 3649, 9664, 9665, 65535, 65568])
@pytest.mark.parametrize("hook", [Hook.RECEIVE, Hook.TRANSMIT])
def test_packets_of_every_length(hook: Hook, size: int) -> None:
    made = assembler()
    feed(made, PROBES.packet(hook, 7, 0x1000, packet(size), paged=0))
    (frame,) = made.frames(AGES)
    assert (frame.data, frame.orig_len, frame.flags, frame.hook) == (packet(size), size, Flag(0), hook)


@pytest.mark.parametrize("size", [0, 128, 129, 640, 641, 1600, 1601, 10240, 10241, 11200, 65568])
@pytest.mark.parametrize("hook", [Hook.RECEIVE, Hook.TRANSMIT])
def test_packets_of_every_length_in_events_of_one_part_each(hook: Hook, size: int) -> None:
    made = assembler(SIMPLE)
    feed(made, SIMPLE.packet(hook, 7, 0x1000, packet(size), paged=0))
    (frame,) = made.frames(AGES)
    assert (frame.data, frame.orig_len, frame.flags, frame.hook) == (packet(size), size, Flag(0), hook)


@pytest.mark.parametrize("size", [0, 1, 2, 3, 4, 127, 128, 129, 65535])
def test_a_local_packet_gets_the_header_that_it_would_have(size: int) -> None:
    made = assembler()
    feed(made, local(packet(size), BROADCAST))
    (frame,) = made.frames(AGES)
    head = header.header(6, Address(1, 0x4000), Address(0xFFFFFFFF, 0x4001), size)
    assert frame.data == head + packet(size) + bytes(-size % 4)
    assert (frame.orig_len, frame.flags) == (len(frame.data), Flag.HEADER_REBUILT)
    assert frame.direction is Direction.UNKNOWN


def test_what_lies_in_other_pages_is_said_to_be_missing() -> None:
    made = assembler()
    feed(made, PROBES.packet(Hook.TRANSMIT, 7, 0x1000, packet(300), paged=100))
    feed(made, PROBES.packet(Hook.TRANSMIT, 7, 0x1000, packet(90), paged=90), start=2000)
    first, second = made.frames(AGES)
    assert (first.data, first.orig_len, first.flags) == (packet(300)[:200], 300, Flag.TRUNCATED)
    assert (second.data, second.orig_len, second.flags) == (b"", 90, Flag.TRUNCATED)
    assert made.truncated == 2


@given(st.data())
@settings(max_examples=60, deadline=None)
def test_packets_split_over_pages_cpus_and_interrupts_come_back_whole(data: st.DataObject) -> None:
    """Each CPU's stream is a nest of packets: within one, an interrupt's packets may stand between any two parts."""
    made = assembler()
    sent: dict[bytes, tuple[int, int]] = {}
    serial = iter(range(1, 1000))

    def stream(cpu: int, depth: int, pid: int) -> list[bytes]:
        number = next(serial)
        size = data.draw(st.sampled_from([8, 100, 129, 700, 5000, 20000, 65568]))
        content = number.to_bytes(4, "little") + packet(size - 4, number)
        sent[content] = (pid, cpu)
        records = PROBES.packet(Hook.RECEIVE, pid, number * 64, content)
        if depth and len(records) > 1 and data.draw(st.booleans()):
            at = data.draw(st.integers(1, len(records) - 1))
            records[at:at] = stream(cpu, depth - 1, pid)
        return records

    for cpu in range(2):
        for turn in range(data.draw(st.integers(1, 4))):
            feed(made, stream(cpu, 2, 100 + cpu), cpu, start=data.draw(st.integers(0, 50)) + 1000 * turn)
    frames = made.frames(AGES)
    assert {frame.data: (frame.pid, frame.cpu) for frame in frames} == sent
    assert [frame.ts_ns for frame in frames] == sorted(frame.ts_ns for frame in frames)
    assert not any(frame.flags for frame in frames)
    assert not made.flush()


@given(st.integers(1, 24), st.sampled_from([20000, 65568]))
@settings(max_examples=40, deadline=None)
def test_a_part_that_is_missing_cuts_the_packet_and_is_counted(missing: int, size: int) -> None:
    made = assembler()
    records = PROBES.packet(Hook.RECEIVE, 7, 0x1000, packet(size))
    del records[missing % (len(records) - 1) + 1]
    feed(made, records)
    assert made.frames(5000) == []
    (frame,) = made.flush()
    assert frame.flags == Flag.TRUNCATED
    assert frame.orig_len == size
    assert packet(size).startswith(frame.data)
    assert 0 < len(frame.data) < size
    assert made.truncated == 1


def test_the_next_task_on_the_cpu_ends_a_packet_that_is_not_whole() -> None:
    made = assembler()
    feed(made, PROBES.packet(Hook.RECEIVE, 7, 0x1000, packet(5000))[:2])
    feed(made, PROBES.packet(Hook.RECEIVE, 8, 0x2000, packet(50)), start=2000)
    assert [(frame.pid, frame.flags) for frame in made.frames(AGES)] == [(7, Flag.TRUNCATED), (8, Flag(0))]


def test_the_same_buffer_again_is_another_packet() -> None:
    made = assembler()
    feed(made, PROBES.packet(Hook.RECEIVE, 7, 0x1000, packet(5000))[:2])
    feed(made, PROBES.packet(Hook.RECEIVE, 7, 0x1000, packet(5000, 1)), start=2000)
    first, second = made.frames(AGES)
    assert (first.flags, second.flags) == (Flag.TRUNCATED, Flag(0))
    assert second.data == packet(5000, 1)


def test_a_packet_under_way_holds_back_later_ones_but_not_for_ever() -> None:
    made = assembler()
    feed(made, PROBES.packet(Hook.RECEIVE, 7, 0x1000, packet(5000))[:2], cpu=0)
    feed(made, PROBES.packet(Hook.RECEIVE, 8, 0x2000, packet(50)), cpu=1, start=2000)
    assert made.frames(1_000_000) == []
    assert made.next_ts() == 2000
    assert [frame.pid for frame in made.frames(2_000_000_000)] == [7, 8]


def test_frames_wait_until_nothing_older_can_come() -> None:
    made = assembler()
    feed(made, PROBES.packet(Hook.RECEIVE, 7, 0x1000, packet(8)), cpu=0, start=2000)
    assert made.frames(2000) == []
    feed(made, PROBES.packet(Hook.RECEIVE, 8, 0x1000, packet(8)), cpu=1, start=1500)
    assert [frame.pid for frame in made.frames(2001)] == [8, 7]


def test_what_was_lost_is_told_by_the_first_frame_behind_the_gap() -> None:
    made = assembler()
    feed(made, PROBES.packet(Hook.RECEIVE, 7, 0x1000, packet(5000))[:2], cpu=0)
    feed(made, PROBES.packet(Hook.RECEIVE, 7, 0x1000, packet(8)), cpu=1, start=1500)
    feed(made, PROBES.packet(Hook.RECEIVE, 7, 0x1000, packet(8)), cpu=0, start=2000, lost=40)
    feed(made, PROBES.packet(Hook.RECEIVE, 7, 0x1000, packet(8)), cpu=0, start=3000)
    made.tell_lost(30)
    assert [(frame.lost, frame.flags) for frame in made.frames(AGES)] == [
        (0, Flag.TRUNCATED),
        (0, Flag(0)),
        (30, Flag(0)),
        (0, Flag(0)),
    ]
    made.tell_lost(2)
    feed(made, PROBES.packet(Hook.RECEIVE, 7, 0x1000, packet(8)), cpu=0, start=4000)
    assert [frame.lost for frame in made.frames(AGES)] == [2]
    assert made.gaps == {0: 40}


def test_a_gap_of_bodies_alone_is_no_lost_packet() -> None:
    made = assembler()
    feed(made, PROBES.packet(Hook.RECEIVE, 7, 0x1000, packet(8)), cpu=0, start=2000, lost=2)
    made.tell_lost(0)
    feed(made, PROBES.packet(Hook.RECEIVE, 7, 0x1000, packet(8)), cpu=1, start=1500)
    made.tell_lost(1)
    assert [frame.lost for frame in made.frames(AGES)] == [1, 0]


@pytest.mark.parametrize(("size", "snap"), [(60, 60), (60, 59), (60, 33), (60, 20), (5000, 200), (65535, 9665)])
def test_what_nobody_wants_is_not_missing(size: int, snap: int) -> None:
    made = assembler(snap=snap)
    feed(made, PROBES.packet(Hook.RECEIVE, 7, 0x1000, packet(size)))
    feed(made, local(packet(size), LOCAL), start=2000)
    whole, rebuilt = made.flush()
    assert (whole.data, whole.orig_len) == (packet(size)[:snap], size)
    assert whole.flags == (Flag.TRUNCATED if snap < size else Flag(0))
    head = header.header(1, Address(1, 0x4000), Address(1, 0x4001), size)
    assert rebuilt.data == (head + packet(size) + bytes(-size % 4))[:snap]
    assert rebuilt.orig_len == 32 + size + -size % 4
    assert Flag.TRUNCATED in rebuilt.flags
    assert made.truncated == 0


def test_what_is_wanted_and_missing_is_counted_whatever_nobody_wants() -> None:
    made = assembler(snap=3000)
    feed(made, PROBES.packet(Hook.RECEIVE, 7, 0x1000, packet(5000))[:2])
    assert len(made.flush()[0].data) == 640
    assert made.truncated == 1


def test_a_rest_without_its_head_is_no_packet() -> None:
    made = assembler()
    feed(made, PROBES.packet(Hook.RECEIVE, 7, 0x1000, packet(5000))[1:], lost=1)
    assert made.flush() == []
    assert (made.heads, made.gaps) == (0, {0: 1})


def test_who_was_interrupted_did_not_send() -> None:
    made = assembler()
    (record,) = PROBES.packet(Hook.RECEIVE, 7, 0x1000, packet(8), common_flags=0x10)
    feed(made, [record])
    (frame,) = made.frames(AGES)
    assert (frame.pid, frame.comm) == (-1, "")


def test_a_thread_is_named_by_its_process_even_if_the_news_come_later() -> None:
    made = assembler()
    feed(made, PROBES.packet(Hook.RECEIVE, 101, 0x1000, packet(8), comm="gmain"), cpu=1, start=3000)
    fork = {"common_pid": 1, "pid": 100, "clone_flags": 0x1200000}
    thread = {"common_pid": 100, "pid": 101, "clone_flags": 0x3D0F00}
    feed(made, [
        fill(NEWTASK, fork, {"comm": "bash"}),
        fill(RENAME, {"common_pid": 100, "pid": 100}, {"oldcomm": "bash", "newcomm": "qmicli"}),
        fill(NEWTASK, thread, {"comm": "qmicli"}),
        fill(RENAME, {"common_pid": 101, "pid": 101}, {"oldcomm": "qmicli", "newcomm": "gmain"}),
    ], cpu=0)  # fmt: skip
    (frame,) = made.frames(AGES)
    assert (frame.pid, frame.comm) == (100, "qmicli")


def test_a_trace_event_of_the_name_server_becomes_a_control_packet() -> None:
    made = assembler()
    feed(made, [fill(SERVER_ADD, {"service": 2, "instance": 0x101, "node": 0, "port": 18})], cpu=1)
    (frame,) = made.frames(AGES)
    assert (frame.hook, frame.flags, frame.cpu) == (Hook.LOOKUP, Flag.SYNTHETIC, 1)
    assert frame.data == bytes.fromhex(
        "01000000 04000000 00000000 feffffff 00000000 14000000 ffffffff feffffff"
        "04000000 02000000 01010000 00000000 12000000"
    )


def test_the_longest_packet_is_remembered() -> None:
    made = assembler()
    feed(made, PROBES.packet(Hook.RECEIVE, 7, 0x1000, packet(5000)))
    assert made.longest == 5000


@given(st.binary(max_size=4096), st.binary(max_size=300), st.integers(0, 30))
@settings(deadline=None)
def test_hostile_pages_never_raise(noise: bytes, splice: bytes, at: int) -> None:
    made = assembler()
    made.feed(0, noise)
    records = local(packet(5000), LOCAL)
    number = at % len(records)
    records[number] = records[number][: at * 2] + splice + records[number][at * 2 + len(splice) :]
    feed(made, records)
    feed(made, [splice, records[0][:at], b""], start=5000)
    for frame in [*made.frames(AGES), *made.flush()]:
        assert len(frame.data) <= frame.orig_len


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 5), st.integers(0, 1 << 20)), max_size=300))
@settings(deadline=None, max_examples=25)
def test_parts_that_never_become_packets_do_not_pile_up(parts: list[tuple[int, int, int]]) -> None:
    made = assembler()
    body = PROBES.forms["long"]
    for pid, pointer, length in parts:
        feed(made, [fill(body, {"common_pid": pid, "ptr": pointer, "len": length, "off": 640})])
    assert sum(len(open_) for open_ in made._open.values()) <= 16


def test_a_format_without_what_is_needed_is_refused() -> None:
    made = assembler()
    with pytest.raises(ValueError, match="lacks len, ptr"):
        made.add_head(SERVER_ADD, Hook.RECEIVE, False)
    text = format_text(
        "x",
        1,
        ["field:u64 ptr;	offset:4;	size:8;	signed:0;", "field:u32 len;	offset:8;	size:4;	signed:0;"],
    )
    with pytest.raises(ValueError, match="overlap"):
        made.add_head(parse_format(text), Hook.RECEIVE, False)
