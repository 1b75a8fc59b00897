# SPDX-License-Identifier: GPL-2.0-or-later
"""System calls of processes with QRTR sockets -> frames. Pure: what the calls do not tell is asked of whoever made it.

Sockets are known by their inodes, which a process may pass to another. A datagram between two processes of this node
that are both followed is seen at both ends, and told once, as sent.
"""

from __future__ import annotations

import heapq
from collections import OrderedDict
from collections.abc import Callable
from typing import NamedTuple, TypeVar

from qmisniff.capture import header
from qmisniff.capture.header import AF_QIPCRTR, Address
from qmisniff.capture.socket_calls import ADDRESSES, Datagram, address, datagrams
from qmisniff.capture.socket_scan import Ends, State
from qmisniff.capture.strace_lines import Call, Text
from qmisniff.capture.tasks import Tasks
from qmisniff.frame import Direction, Flag, Frame, Hook, Link, Origin

TASKS = ("execve", "?execveat", "?clone", "?clone3", "?fork", "?vfork", "?prctl")
_CLONES = frozenset({"clone", "clone3", "fork", "vfork"})
_NAME = 15  # bytes of a process' name, without its NUL
_MOST_ALIKE = 1 << 6
_MOST = 1 << 13  # sockets and local datagrams remembered: old ones make room
_UNKNOWN = Address(header.NODE_BCAST, 0)  # no packet has it as its source
_TYPES = range(1, 14)


class _Local(NamedTuple):
    """A datagram that may be one within this node, its payload as a hash; the source is None where it is not known."""

    source: Address | None
    target: Address
    payload: int


_Key = TypeVar("_Key")
_Value = TypeVar("_Value")


class Followed:
    """Calls in, frames out. `node` is this node's number.

    Counters: `lost` calls that were not understood, `truncated` datagrams of which not every byte was seen, `unknown`
    own addresses that could not be found out, `guessed` senders that a call did not tell: whoever the socket last
    wrote to.
    """

    def __init__(
        self,
        origin: Origin,
        node: int,
        ask_ends: Callable[[int, int, int], Ends],
        ask_state: Callable[[int], State | None],
    ) -> None:
        self.lost = self.truncated = self.unknown = self.guessed = 0
        self._origin = origin
        self._node = node
        self._ask_ends = ask_ends
        self._ask_state = ask_state
        self._tasks = Tasks()
        self._seen: OrderedDict[int, None] = OrderedDict()  # threads that somebody was asked about
        self._sockets: OrderedDict[int, Ends] = OrderedDict()  # by inode
        self._wrote: OrderedDict[int, Address] = OrderedDict()  # by inode: where it wrote to last
        self._sent: OrderedDict[tuple[Address, int], list[Address]] = OrderedDict()  # not seen to arrive
        self._ready: list[tuple[int, int, Frame, _Local | None]] = []  # heap: time, order of arrival
        self._order = 0
        self._last = 0  # time of the last frame given away
        self._untold = 0  # lost calls that no frame has told of

    def know(self, inode: int, found: Ends) -> None:
        """Take what is known of a socket from elsewhere."""
        _keep(self._sockets, inode, found)

    def knows(self, inode: int) -> bool:
        """Whether a socket is one of QRTR's."""
        return inode in self._sockets

    @property
    def waiting(self) -> bool:
        """Whether there are frames to be given away."""
        return bool(self._ready)

    def missed(self, calls: int) -> None:
        """Count calls that cannot be read: told with the next frame."""
        self.lost += calls
        self._untold += calls

    def take(self, call: Call) -> None:
        """Take a call of any traced thread, in the order in which they return."""
        self._meet(call.thread)
        if call.name in _CLONES or call.name in ("execve", "execveat", "prctl"):
            self._task(call)
        elif call.name in ADDRESSES:
            self._address(call)
        elif call.socket is not None and (call.socket[1] in self._sockets or "{sa_family=0x2a," in call.text):
            found = datagrams(call)
            if found is None:
                self.missed(1)
            for each in found or ():
                self._datagram(call, call.socket, each)

    def frames(self, until: int) -> list[Frame]:
        """The frames older than `until`, in the order of their time."""
        found = []
        while self._ready and self._ready[0][0] < until:
            _, _, frame, local = heapq.heappop(self._ready)
            if self._doubled(frame, local):
                self._untold += frame.lost
            else:
                # One that waited long to be sent went out somewhere between its call and its return.
                self._last = max(self._last, frame.ts_ns)
                found.append(frame if frame.ts_ns == self._last else frame._replace(ts_ns=self._last))
        return found

    def _meet(self, thread: int) -> None:
        if thread in self._seen:
            return
        _keep(self._seen, thread, None)
        known = self._ask_state(thread)
        if known is not None:
            self._tasks.learn(thread, known.process, known.name)

    def _task(self, call: Call) -> None:
        """A new thread or process, or one that takes a name."""
        if call.result < 0:
            return
        arguments = call.arguments() or []
        match call.name, arguments:
            case ("execve", [Text(path, _), *_]) | ("execveat", [_, Text(path, _), *_]):
                self._tasks.renamed(call.thread, _comm(path.rpartition(b"/")[2]))
            case ("prctl", [15, Text(name, _), *_]):  # PR_SET_NAME
                self._tasks.renamed(call.thread, _comm(name))
            case (("clone" | "clone3" | "fork" | "vfork"), _):
                flags = next((each["flags"] for each in arguments if isinstance(each, dict) and "flags" in each), 0)
                _, comm = self._tasks.of(call.thread)
                self._tasks.created(call.thread, call.result, comm, flags if isinstance(flags, int) else 0)

    def _address(self, call: Call) -> None:
        """What a call tells of a socket's addresses."""
        if call.result < 0:
            return
        arguments = call.arguments() or [None, None]
        if call.name == "socket":
            if arguments[:1] == [AF_QIPCRTR] and call.made:
                self.know(call.made, Ends(None, None))
            return
        told = address(arguments[1]) if len(arguments) > 1 else None
        if told is None or call.socket is None:
            return
        inode = call.socket[1]
        before = self._sockets.get(inode, Ends(None, None))
        if call.name == "connect":
            self.know(inode, Ends(before.own, told))
        else:
            # Bound to no port in particular: which one it got is asked when it matters.
            self.know(inode, Ends(told if told.port else None, before.peer))

    def _datagram(self, call: Call, where: tuple[int, int], datagram: Datagram) -> None:
        descriptor, inode = where
        pid, comm = self._tasks.of(call.thread)
        known = self._sockets.get(inode, Ends(None, None))
        if known.own is None or (datagram.peer is None and known.peer is None):
            asked = self._ask_ends(pid, descriptor, inode)
            own = asked.own if asked.own is not None and asked.own.port else known.own
            known = Ends(own, asked.peer or known.peer)
            self.know(inode, known)
        own, peer = known.own or Address(self._node, 0), datagram.peer or known.peer
        self.unknown += not own.port
        if peer is None:
            peer = self._wrote.get(inode, _UNKNOWN)
            self.guessed += 1
        if datagram.sent:
            _keep(self._wrote, inode, peer)
        source, target = (own, peer) if datagram.sent else (peer, own)
        payload = datagram.payload
        padding = header.padding(datagram.size)
        data = header.header(_kind(source, payload), source, target, datagram.size) + payload
        if len(payload) == datagram.size:
            data += padding
        flags = Flag.HEADER_REBUILT
        if not datagram.whole:
            flags |= Flag.TRUNCATED
            self.truncated += 1
        direction = Direction.UNKNOWN
        if peer.node != own.node:
            direction = Direction.OUTBOUND if datagram.sent else Direction.INBOUND
        # Sent after the call, received before its return.
        when = call.began if datagram.sent else call.ended
        lost, self._untold = self._untold, 0
        frame = Frame(
            when,
            data,
            header.SIZE + datagram.size + len(padding),
            Link.QRTR,
            direction,
            Hook.SENT if datagram.sent else Hook.RECEIVED,
            flags,
            pid,
            comm,
            lost=lost,
            origin=self._origin,
        )
        guessed = datagram.peer is None and known.peer is None
        local = None
        if direction is Direction.UNKNOWN or guessed:
            local = _Local(None if guessed else source, target, hash(payload))
        heapq.heappush(self._ready, (when, self._order, frame, local))
        self._order += 1

    def _doubled(self, frame: Frame, local: _Local | None) -> bool:
        """Whether a frame is the other end of one that was told."""
        if local is None:
            return False
        key = (local.target, local.payload)
        waiting = self._sent.get(key, [])
        if frame.hook is Hook.SENT:
            if local.source is not None and len(waiting) < _MOST_ALIKE:
                _keep(self._sent, key, [*waiting, local.source])
            return False
        if not waiting or (local.source is not None and local.source not in waiting):
            return False
        waiting.remove(local.source or waiting[0])
        if not waiting:
            del self._sent[key]
        return True


def _keep(table: OrderedDict[_Key, _Value], key: _Key, value: _Value) -> None:
    table[key] = value
    table.move_to_end(key)
    if len(table) > _MOST:
        table.popitem(last=False)


def _comm(name: bytes) -> str:
    """A process' name as the kernel cuts it."""
    return name[:_NAME].decode("utf-8", "backslashreplace")


def _kind(source: Address, payload: bytes) -> int:
    """The type of a packet: control packets, which only control ports send, say it themselves."""
    kind = int.from_bytes(payload[:4], "little")
    return kind if source.port == header.PORT_CTRL and kind in _TYPES else header.DATA
