# SPDX-License-Identifier: GPL-2.0-or-later
"""Lines of strace -> calls -> datagrams: as strace printed them in the lab's guest, and anything else that may come."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qmisniff.capture.header import Address
from qmisniff.capture.socket_calls import Datagram, datagrams
from qmisniff.capture.strace_lines import LONGEST, Call, Calls, Lines, Text, parse

SOCKET = "<" + "".join(f"\\x{byte:02x}" for byte in b"socket:[10526]") + ">"
AT = "{sa_family=0x2a, sq_node=0x1, sq_port=0x4300}"
HELLO = '"\\x68\\x65\\x6c\\x6c\\x6f"'
TIME = "1795974703.004608770"


def one(*lines: str) -> Call:
    """The call that the last of some lines completes."""
    calls = Calls()
    found = [calls.feed(line.encode("latin-1")) for line in lines]
    assert found[:-1] == [None] * (len(lines) - 1) and not calls.garbled
    assert found[-1] is not None
    return found[-1]


def test_a_line_is_a_call() -> None:
    call = one(f"125   {TIME} sendto(4{SOCKET}, {HELLO}, 5, 0, {AT}, 12) = 5 <0.002468210>")
    assert (call.thread, call.name, call.result, call.socket) == (125, "sendto", 5, (4, 10526))
    assert (call.began, call.ended) == (1795974703_004608770, 1795974703_007076980)
    where = {"sa_family": 42, "sq_node": 1, "sq_port": 0x4300}
    assert call.arguments() == [4, Text(b"hello", True), 5, 0, where, 12]
    assert datagrams(call) == [Datagram(True, Address(1, 0x4300), b"hello", 5, True)]


def test_a_call_in_two_halves_began_with_the_first_and_ended_with_the_second() -> None:
    call = one(
        f"125   {TIME} recvfrom(4{SOCKET},  <unfinished ...>",
        f"125   1795974705.000000001 <... recvfrom resumed>{HELLO}, 100, 0, {AT}, [128 => 12]) = 5 <1.995391231>",
    )
    assert (call.began, call.ended) == (1795974703_004608770, 1795974705_000000001)
    assert datagrams(call) == [Datagram(False, Address(1, 0x4300), b"hello", 5, True)]


def test_halves_that_do_not_belong_together_are_none() -> None:
    calls = Calls()
    assert calls.feed(f"1 {TIME} <... recvfrom resumed>{HELLO}, 100, 0, NULL, NULL) = 5 <0.1>".encode()) is None
    calls.feed(f"1 {TIME} recvfrom(4{SOCKET},  <unfinished ...>".encode())
    assert calls.feed(f"1 {TIME} <... sendto resumed>{HELLO}, 5, 0, NULL, 0) = 5 <0.1>".encode()) is None
    calls.feed(f"2 {TIME} sendto(4{SOCKET},  <unfinished ...>".encode())
    assert calls.oldest() == 1795974703_004608770


MESSAGE = (
    "msg_iov=[{iov_base=%s, iov_len=9}, {iov_base=%s, iov_len=4096}], msg_iovlen=2, msg_controllen=0, msg_flags=%s"
)


@pytest.mark.parametrize(
    ("line", "wanted"),
    [
        (f"recvfrom(4, {HELLO}, 100, 0x2, {AT}, [12]) = 5", []),  # MSG_PEEK
        (f"recvfrom(4, {HELLO}, 100, 0x2|0x40, {AT}, [12]) = 5", []),
        (f"recvfrom(4, {HELLO}, 100, 0, NULL, NULL) = 5", [Datagram(False, None, b"hello", 5, True)]),
        ("recvfrom(4, 0x7ffe1, 100, 0, NULL, NULL) = -1 EAGAIN (Resource temporarily unavailable)", []),
        ("recvfrom(4, 0x7ffe1, 100, 0, NULL, NULL) = ? ERESTARTSYS (To be restarted if SA_RESTART is set)", []),
        ('sendto(4, "", 0, 0, NULL, 0) = 0', [Datagram(True, None, b"", 0, True)]),
        (f"write(4, {HELLO}, 5) = 5", [Datagram(True, None, b"hello", 5, True)]),
        (f"write(4, {HELLO}..., 70000) = 70000", [Datagram(True, None, b"hello", 70000, False)]),
        (f"read(4, {HELLO}, 100) = 5", [Datagram(False, None, b"hello", 5, True)]),
        (
            f"readv(4, [{{iov_base={HELLO}, iov_len=5}}, {{iov_base=\"\", iov_len=5}}], 2) = 5",
            [Datagram(False, None, b"hello", 5, True)],
        ),
        (
            f"sendmsg(4, {{msg_name={AT}, msg_namelen=12, {MESSAGE % (HELLO, HELLO, 0)}}}, 0) = 10",
            [Datagram(True, Address(1, 0x4300), b"hellohello", 10, True)],
        ),
        (  # MSG_TRUNC: the buffer was too small
            f"recvmsg(4, {{msg_name={AT}, msg_namelen=128 => 12, {MESSAGE % (HELLO, HELLO, '0x20')}}}, 0) = 10",
            [Datagram(False, Address(1, 0x4300), b"hellohello", 10, False)],
        ),
        (
            f"sendmmsg(4, [{{msg_hdr={{msg_name={AT}, msg_namelen=12, {MESSAGE % (HELLO, HELLO, 0)}}}, msg_len=10}}, "
            f"{{msg_hdr={{msg_name={AT}, msg_namelen=12, {MESSAGE % (HELLO, '0x7f', 0)}}}, msg_len=5}}], 3, 0) = 2",
            [
                Datagram(True, Address(1, 0x4300), b"hellohello", 10, True),
                Datagram(True, Address(1, 0x4300), b"hello", 5, True),
            ],
        ),
        ("recvfrom(4, {}, 100, 0, NULL, NULL) = 5", None),
        ("sendmsg(4, 0x7ffe1, 0) = 5", None),
        ("recvmsg(4, {msg_iov=[1]}, 0) = 5", None),
    ],
)  # fmt: skip
def test_what_a_call_sent_or_received(line: str, wanted: list[Datagram] | None) -> None:
    call = one(f"125   {TIME} {line.replace('(4,', f'(4{SOCKET},')} <0.000000001>")
    assert datagrams(call) == wanted


def test_arguments_of_calls_that_make_threads_and_names() -> None:
    assert parse("child_stack=NULL, flags=0x1200000|17, child_tidptr=0x7ff2") == [
        {"child_stack": None}, {"flags": 0x1200011}, {"child_tidptr": 0x7FF2},
    ]  # fmt: skip
    assert parse("{flags=0x3d0f00, exit_signal=0, stack_size=0x7fff80} => {parent_tid=[131]}, 88") == [
        {"flags": 0x3D0F00, "exit_signal": 0, "stack_size": 0x7FFF80, "parent_tid": [131]}, 88,
    ]  # fmt: skip
    assert parse('"\\x2f\\x61", ["\\x61"], 0x7ffe /* 12 vars */') == [Text(b"/a", True), [Text(b"a", True)], 0x7FFE]


@pytest.mark.parametrize("text", ["[", "{1}", "{a=", "]", "a b]", "=> 1", '"\\x6', "[" * 1000, "{a=" * 100 + "1"])
def test_what_is_no_argument_is_refused(text: str) -> None:
    assert parse(text) is None


@pytest.mark.parametrize(
    "line", ["--- SIGCHLD {si_signo=17} ---", "+++ exited with 0 +++", "+++ superseded by execve in pid 7 +++"]
)
def test_news_of_threads_is_no_garbage(line: str) -> None:
    calls = Calls()
    assert calls.feed(f"12 {TIME} {line}".encode()) is None
    assert calls.feed(f"12 {TIME} recvfrom(4{SOCKET},  <detached ...>".encode()) is None
    assert not calls.garbled


_WORDS = (
    "125 ", TIME, " sendto(", " recvmsg(", f"4{SOCKET}", ", ", HELLO, "...", AT, "{msg_name=", "msg_iov=[",
    "{iov_base=", "}", "]", ") = ", "5", "-1 EAGAIN (x)", " <0.000000001>", " <unfinished ...>",
    "<... sendto resumed>", " => ", "NULL", "[12]", "0x2|0x40", '"', "\\x", "+++", "\0", "\x1b[2J", "é",
)  # fmt: skip


@given(st.one_of(st.binary(max_size=200), st.lists(st.sampled_from(_WORDS), max_size=30).map("".join).map(str.encode)))
def test_no_text_is_too_strange(line: bytes) -> None:
    calls = Calls()
    for each in (line, f"125 {TIME} ".encode() + line, f"125 {TIME} sendto(4{SOCKET}, ".encode() + line):
        call = calls.feed(each)
        if call is not None:
            for found in datagrams(call) or ():
                assert len(found.payload) <= max(found.size, 0)
    parse(line.decode("latin-1"))


@given(st.lists(st.binary(max_size=20)), st.integers(1, 7))
def test_lines_are_the_same_however_they_come(pieces: list[bytes], step: int) -> None:
    data = b"\n".join(pieces)
    lines = Lines()
    found = [line for at in range(0, len(data), step) for line in lines.feed(data[at : at + step])]
    assert found == data.split(b"\n")[:-1]


def test_a_line_without_end_takes_no_memory() -> None:
    lines = Lines()
    assert list(lines.feed(b"first\n" + bytes(LONGEST))) == [b"first"]
    assert not list(lines.feed(bytes(LONGEST)))
    assert lines.overlong == 1
    assert list(lines.feed(b"rest of it\nnext\n")) == [b"next"]
    assert list(lines.feed(bytes(LONGEST // 2))) == []
