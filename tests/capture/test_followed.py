# SPDX-License-Identifier: GPL-2.0-or-later
"""Calls of followed processes -> frames: addresses, processes, order, and what is told once though seen twice."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from qmisniff.capture import header
from qmisniff.capture.followed import Followed
from qmisniff.capture.header import Address
from qmisniff.capture.socket_scan import Ends, State
from qmisniff.capture.strace_lines import Calls
from qmisniff.frame import Direction, Flag, Frame, Hook, Origin

MODEM, LOCAL = Address(0, 18), Address(1, 0x4300)
OWN = Address(1, 0x4000)
NOTHING = Ends(None, None)
END = 1 << 63


class Trace:
    """Calls at a second each, of a world that knows `ends` by inode and `states` by thread."""

    def __init__(self, ends: Mapping[int, Ends] = {}, states: Mapping[int, State] = {}) -> None:
        self.asked: list[tuple[int, int, int]] = []
        self.calls = Calls()
        self.now = 0
        self.ends = ends
        self.followed = Followed(Origin("processes"), 1, self.ask, states.get)

    def ask(self, process: int, descriptor: int, inode: int) -> Ends:
        self.asked.append((process, descriptor, inode))
        return self.ends.get(inode, NOTHING)

    def add(self, thread: int, text: str, inode: int = 0, took: str = "0.500000000") -> None:
        """A call of a thread; its first argument is `@`, a socket."""
        self.now += 1
        link = "".join(f"\\x{byte:02x}" for byte in f"socket:[{inode}]".encode())
        line = f"{thread} {self.now}.000000000 {text.replace('@', f'4<{link}>')} <{took}>"
        call = self.calls.feed(line.encode())
        assert call is not None
        self.followed.take(call)

    def frames(self) -> list[Frame]:
        return self.followed.frames(END)


def where(address: Address) -> str:
    return f"{{sa_family=0x2a, sq_node={address.node:#x}, sq_port={address.port:#x}}}"


def text(data: bytes) -> str:
    return '"' + "".join(f"\\x{byte:02x}" for byte in data) + '"'


def send(data: bytes, to: Address) -> str:
    return f"sendto(@, {text(data)}, {len(data)}, 0, {where(to)}, 12) = {len(data)}"


def receive(data: bytes, sender: Address) -> str:
    return f"recvfrom(@, {text(data)}, 4096, 0, {where(sender)}, [12]) = {len(data)}"


def packet(kind: int, source: Address, target: Address, payload: bytes) -> bytes:
    return header.header(kind, source, target, len(payload)) + payload + header.padding(len(payload))


RECORDED = Path(__file__).with_name("strace-6.1.txt")  # two sockets of a program in the lab's guest


def recorded(ends: Mapping[int, Ends]) -> tuple[Calls, Followed]:
    calls, followed = (
        Calls(),
        Followed(Origin("processes"), 1, lambda *where: ends.get(where[2], NOTHING), lambda _: None),
    )
    for line in RECORDED.read_bytes().splitlines():
        call = calls.feed(line)
        if call is not None:
            followed.take(call)
    return calls, followed


def test_what_strace_printed_of_a_real_program() -> None:
    """Of every kind of call; what was only peeked at, failed or went through other sockets is not among it."""
    calls, followed = recorded({9811: Ends(OWN, LOCAL)})
    control = Address(1, header.PORT_CTRL)
    end = header.server(header.NEW_SERVER, 0, 0, Address(0, 0))
    wanted = [
        (Hook.SENT, 127, packet(1, OWN, LOCAL, data)) for data in (b"hello", b"abcdef", b"written", b"w1w2", b"")
    ] + [
        (Hook.SENT, 127, packet(1, OWN, control, header.server(header.NEW_LOOKUP, 0, 0, Address(0, 0)))),
        (Hook.RECEIVED, 127, packet(header.NEW_SERVER, control, OWN, end)),
        (Hook.SENT, 127, packet(1, OWN, LOCAL, bytes(200))),
        (Hook.SENT, 129, packet(1, OWN, LOCAL, b"from child")),
    ]
    # recvmsg says that it cut what it received: it is not the same as what was sent.
    wanted.insert(2, (Hook.RECEIVED, 127, packet(1, OWN, LOCAL, b"abc")))
    frames = followed.frames(END)
    assert [(frame.hook, frame.pid, frame.data) for frame in frames] == wanted
    assert [frame.flags for frame in frames].count(Flag.HEADER_REBUILT | Flag.TRUNCATED) == followed.truncated == 1
    assert {frame.comm for frame in frames} == {"python3"}
    assert (calls.garbled, followed.lost) == (0, 0)


@given(st.data())
def test_a_recording_that_was_tampered_with_raises_nothing(data: st.DataObject) -> None:
    """Lines cut, doubled, left out and mixed: whatever comes of it has a header and a known process or none."""
    lines = RECORDED.read_bytes().splitlines()
    chosen = data.draw(st.lists(st.sampled_from(lines), max_size=20))
    calls, followed = Calls(), Followed(Origin("processes"), 1, lambda *_: NOTHING, lambda _: None)
    for line in chosen:
        start, stop = sorted(data.draw(st.tuples(st.integers(0, len(line)), st.integers(0, len(line)))))
        for each in (line, line[:stop], line[:start] + line[stop:]):
            call = calls.feed(each)
            if call is not None:
                followed.take(call)
    frames = followed.frames(END)
    assert all(len(frame.data) >= header.SIZE and frame.orig_len >= len(frame.data) for frame in frames)
    assert [frame.ts_ns for frame in frames] == sorted(frame.ts_ns for frame in frames)


def test_a_conversation_with_the_modem() -> None:
    trace = Trace({9: Ends(OWN, None)}, {70: State("qmicli", 70, 1)})
    trace.add(70, f"socket(0x2a, 0x2, 0) = {'4<' + ''.join(f'{chr(92)}x{b:02x}' for b in b'socket:[9]')}>")
    trace.add(70, send(b"ask", MODEM), 9)
    trace.add(70, receive(b"answer", MODEM), 9)
    sent, received = trace.frames()
    assert sent.data == packet(1, OWN, MODEM, b"ask") and received.data == packet(1, MODEM, OWN, b"answer")
    assert (sent.hook, sent.direction, sent.ts_ns) == (Hook.SENT, Direction.OUTBOUND, 2_000_000_000)
    assert (received.hook, received.direction, received.ts_ns) == (Hook.RECEIVED, Direction.INBOUND, 3_500_000_000)
    assert {(frame.pid, frame.comm, frame.flags) for frame in (sent, received)} == {(70, "qmicli", Flag.HEADER_REBUILT)}
    assert all(frame.orig_len == len(frame.data) for frame in (sent, received))
    assert trace.asked == [(70, 4, 9)], "an address is asked for once"


def test_what_the_calls_tell_is_not_asked() -> None:
    trace = Trace()
    trace.add(70, f"bind(@, {where(LOCAL)}, 12) = 0", 9)
    trace.add(70, f"connect(@, {where(MODEM)}, 12) = 0", 9)
    trace.add(70, f"write(@, {text(b'ask')}, 3) = 3", 9)
    trace.add(70, f"read(@, {text(b'answer')}, 99) = 6", 9)
    assert [frame.data for frame in trace.frames()] == [
        packet(1, LOCAL, MODEM, b"ask"),
        packet(1, MODEM, LOCAL, b"answer"),
    ]
    assert not trace.asked and not trace.followed.guessed


def test_a_port_that_nobody_knows_is_0_and_counted() -> None:
    trace = Trace()
    trace.add(70, f"getsockname(@, {where(Address(1, 0))}, [12]) = 0", 9)
    trace.add(70, send(b"ask", MODEM), 9)
    (frame,) = trace.frames()
    assert frame.data == packet(1, Address(1, 0), MODEM, b"ask")
    assert trace.followed.unknown == 1


def test_a_sender_that_is_not_told_is_whom_the_socket_wrote_to() -> None:
    control = Address(1, header.PORT_CTRL)
    trace = Trace({9: Ends(OWN, None)})
    trace.add(70, send(header.server(header.NEW_LOOKUP, 0, 0, Address(0, 0)), control), 9)
    answer = header.server(header.NEW_SERVER, 2, 1, MODEM)
    trace.add(70, f"recvfrom(@, {text(answer)}, 20, 0, NULL, NULL) = 20", 9)
    _, frame = trace.frames()
    assert frame.data == packet(header.NEW_SERVER, control, OWN, answer)
    assert trace.followed.guessed == 1


def test_a_datagram_between_two_that_are_followed_is_told_once() -> None:
    trace = Trace({9: Ends(OWN, None), 10: Ends(LOCAL, None)})
    for _ in range(2):
        trace.add(70, send(b"same", LOCAL), 9)
    for _ in range(3):  # one that was sent before anybody looked
        trace.add(71, receive(b"same", OWN), 10)
    frames = trace.frames()
    assert [frame.hook for frame in frames] == [Hook.SENT, Hook.SENT, Hook.RECEIVED]
    assert {frame.direction for frame in frames} == {Direction.UNKNOWN}


def test_other_sockets_are_none_of_ours() -> None:
    trace = Trace()
    trace.add(70, f"sendto(@, {text(b'x')}, 1, 0, NULL, 0) = 1", 11)
    trace.add(70, f"recvfrom(@, {text(b'x')}, 1, 0, {{sa_family=0x1}}, [2]) = 1", 11)
    trace.add(70, "socket(0x1, 0x2, 0) = 5")
    assert not trace.frames() and not trace.asked


def test_threads_are_their_process_and_names_are_followed() -> None:
    trace = Trace({9: Ends(OWN, None)}, {70: State("sh", 70, 1)})
    trace.add(70, "clone(child_stack=NULL, flags=0x1200000|17, child_tidptr=0x7ff2) = 71")
    trace.add(71, f"execve({text(b'/usr/bin/a-very-long-program-name')}, [], 0x7f /* 12 vars */) = 0")
    trace.add(71, "clone3({flags=0x3d0f00, exit_signal=0} => {parent_tid=[72]}, 88) = 72")
    trace.add(72, send(b"1", MODEM), 9)
    trace.add(71, f"prctl(0xf, {text(b'renamed')}) = 0")
    trace.add(71, send(b"2", MODEM), 9)
    trace.add(70, send(b"3", MODEM), 9)
    assert [(frame.pid, frame.comm) for frame in trace.frames()] == [
        (71, "a-very-long-pro"),
        (71, "renamed"),
        (70, "sh"),
    ]


def test_what_is_not_understood_is_lost_and_told() -> None:
    trace = Trace({9: Ends(OWN, MODEM)})
    trace.add(70, f"connect(@, {where(MODEM)}, 12) = 0", 9)
    trace.add(70, "sendmsg(@, 0x7ffe12, 0) = 5", 9)
    trace.add(70, send(b"seen", MODEM), 9)
    (frame,) = trace.frames()
    assert (frame.lost, trace.followed.lost) == (1, 1)


def test_bytes_that_were_not_seen_are_missing_not_invented() -> None:
    trace = Trace({9: Ends(OWN, None)})
    trace.add(70, f"sendto(@, {text(b'start')}..., 70000, 0, {where(MODEM)}, 12) = 70000", 9)
    (frame,) = trace.frames()
    assert frame.flags == Flag.HEADER_REBUILT | Flag.TRUNCATED
    assert frame.data == header.header(1, OWN, MODEM, 70000) + b"start" and frame.orig_len == 70032
    assert trace.followed.truncated == 1


def test_frames_stand_in_the_order_of_their_time() -> None:
    trace = Trace({9: Ends(OWN, None), 10: Ends(LOCAL, None)})
    trace.add(70, receive(b"late", MODEM), 9, took="5.000000000")
    trace.add(71, send(b"early", MODEM), 10)
    trace.now = 0
    assert [frame.data[32:36] for frame in trace.followed.frames(3_000_000_000)] == [b"earl"]
    trace.add(71, send(b"older", MODEM), 10)  # waited to be sent until something newer was told
    frames = trace.frames()
    assert [(frame.data[32:36], frame.ts_ns) for frame in frames] == [
        (b"olde", 2_000_000_000),
        (b"late", 6_000_000_000),
    ]
