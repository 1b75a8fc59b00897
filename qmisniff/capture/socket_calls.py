# SPDX-License-Identifier: GPL-2.0-or-later
"""System calls on QRTR sockets -> the datagrams they sent or received. Pure.

strace with numbers instead of names: struct sockaddr_qrtr is {sa_family=0x2a, sq_node=..., sq_port=...}.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from qmisniff.capture.header import Address
from qmisniff.capture.strace_lines import Call, Text, Value

# What to trace. "?": not every processor has it.
DATAGRAMS = (
    "sendto", "sendmsg", "sendmmsg", "recvfrom", "recvmsg", "?recvmmsg", "?recvmmsg_time64", "?send", "?recv",
    "read", "readv", "write", "writev",
)  # fmt: skip
ADDRESSES = ("socket", "bind", "connect", "getsockname")
_PEEK, _TRUNC = 0x2, 0x20  # MSG_PEEK; MSG_TRUNC in msg_flags: the buffer was too small
_SENDS = frozenset({"sendto", "send", "sendmsg", "sendmmsg", "write", "writev"})


class Datagram(NamedTuple):
    """A payload and, where the call tells it, the other end's address.

    `size` is how many bytes the process sent or received; it is not `whole` where they are not all in `payload`, or
    where the process' buffer had not room for what came. (recvfrom and read do not tell of that.)
    """

    sent: bool
    peer: Address | None
    payload: bytes
    size: int
    whole: bool


def datagrams(call: Call) -> list[Datagram] | None:
    """What a call sent or received: none where it failed or only peeked; None where it is not understood."""
    if call.result < 0:
        return []
    arguments = call.arguments()
    if arguments is None:
        return None
    sent = call.name in _SENDS
    match call.name, arguments:
        case ("sendto" | "recvfrom", [_, data, int(), int(flags), peer, _]):
            return [] if not sent and flags & _PEEK else _simple(sent, data, call.result, address(peer))
        case ("send" | "recv", [_, data, int(), int(flags)]):
            return [] if not sent and flags & _PEEK else _simple(sent, data, call.result, None)
        case ("read" | "write", [_, data, int()]):
            return _simple(sent, data, call.result, None)
        case ("readv" | "writev", [_, list(vector), int()]):
            return _gathered(sent, vector, call.result, None, True)
        case ("sendmsg" | "recvmsg", [_, dict(message), int(flags)]):
            return [] if not sent and flags & _PEEK else _message(sent, message, call.result)
        case ("sendmmsg" | "recvmmsg" | "recvmmsg_time64", [_, list(messages), int(), int(flags), *_]):
            if not sent and flags & _PEEK:
                return []
            found: list[Datagram] = []
            for each in messages[: call.result]:
                match each:
                    case {"msg_hdr": dict(message), "msg_len": int(size)}:
                        one = _message(sent, message, size)
                        if one is None:
                            return None
                        found += one
                    case _:
                        return None
            return found if len(found) == call.result else None
    return None


def address(value: Value) -> Address | None:
    """A QRTR address among the arguments of a call."""
    match value:
        case {"sa_family": 42, "sq_node": int(node), "sq_port": int(port)} if node >> 32 == port >> 32 == 0:
            return Address(node, port)
    return None


def _message(sent: bool, message: dict[str, Value], size: int) -> list[Datagram] | None:
    """A struct msghdr."""
    vector, flags = message.get("msg_iov"), message.get("msg_flags", 0)
    if not isinstance(vector, list):
        return _gathered(sent, [], size, address(message.get("msg_name")), True)
    cut = not sent and isinstance(flags, int) and flags & _TRUNC
    return _gathered(sent, vector, size, address(message.get("msg_name")), not cut)


def _gathered(
    sent: bool, vector: Sequence[Value], size: int, peer: Address | None, whole: bool
) -> list[Datagram] | None:
    """An array of struct iovec."""
    pieces = []
    for each in vector:
        match each:
            case {"iov_base": Text(data, uncut)}:
                pieces.append(data)
                whole = whole and uncut
            case {"iov_base": _}:
                pieces.append(b"")  # nothing of it was filled
            case _:
                return None
    payload = b"".join(pieces)[:size]
    return [Datagram(sent, peer, payload, size, whole and len(payload) == size)]


def _simple(sent: bool, data: Value, size: int, peer: Address | None) -> list[Datagram] | None:
    if size == 0 and not isinstance(data, Text):
        return [Datagram(sent, peer, b"", 0, True)]
    if not isinstance(data, Text):
        return None
    payload = data.data[:size]
    return [Datagram(sent, peer, payload, size, len(payload) == size)]
