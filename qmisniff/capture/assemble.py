# SPDX-License-Identifier: GPL-2.0-or-later
"""Ring-buffer pages of the tap's events -> Frames. Pure: no I/O, time is handed in.

A packet is a head record and, where it is longer than that, body records with the rest. They fire back to back in one
context, so they stand together in one CPU's stream, under one pid and one pointer; only an interrupt may put another
packet in between. Whatever contradicts that ends the packet where it is: TRUNCATED, and counted.
"""

from __future__ import annotations

import bisect
import struct
import sys
from collections.abc import Callable, Sequence

from qmisniff.capture import header
from qmisniff.capture.event_format import EventFormat, Layout
from qmisniff.capture.header import LOCAL_NODE, Address
from qmisniff.capture.plan import HEAD_BYTES
from qmisniff.capture.ring import PageLayout, parse_page
from qmisniff.capture.tasks import Tasks
from qmisniff.frame import Direction, Flag, Frame, Hook, Link, Origin

# common_flags: what was interrupted is not who sent (include/linux/trace_events.h: TRACE_FLAG_HARDIRQ, _SOFTIRQ, _NMI)
_INTERRUPT = 0x08 | 0x10 | 0x40
_DIRECTION = {
    Hook.RECEIVE: Direction.INBOUND,
    Hook.TRANSMIT: Direction.OUTBOUND,
    Hook.LOCAL: Direction.UNKNOWN,
}
# By (header rebuilt, whole): arithmetic on flags is slow.
_FLAGS = {
    (rebuilt, whole): (Flag.HEADER_REBUILT if rebuilt else Flag(0)) | (Flag(0) if whole else Flag.TRUNCATED)
    for rebuilt in (False, True)
    for whole in (False, True)
}
# A packet whose rest has not come by then will not come: its parts are microseconds apart.
_PATIENCE = 1_000_000_000
_MOST_OPEN = 16  # packets under way on one CPU: one for each level of interrupts is what can really be

_BODY = ("common_pid", "ptr", "len")
_HEAD = ("common_flags", *_BODY)
_ROUTE = ("kind", "from_node", "from_port", "to_node", "to_port")
_SERVICE = ("service", "instance", "node", "port")
# What the name server's event calls control packets (net/qrtr/ns.c: qrtr_ctrl_pkt_strings).
_MESSAGES = {
    "hello": header.HELLO,
    "bye": header.BYE,
    "del-server": header.DEL_SERVER,
    "del-client": header.DEL_CLIENT,
    "exit": header.EXIT,
    "ping": header.PING,
    "new-lookup": header.NEW_LOOKUP,
    "del-lookup": header.DEL_LOOKUP,
}

# What a head record told: hook, time, pid and name of the process, the packet's length, how many of its bytes can be
# had (not those that lie in pages elsewhere, nor those that nobody wants), and of a packet without a header type,
# source node and port, destination node and port. No class of its own: there are very many.
_Head = tuple[Hook, int, int, str, int, int, tuple[int, ...]]


class _Packet:
    """A packet under way: its head once it has come, and the parts that have.

    `size` bytes are to come, `end` of them are there without a gap.
    """

    __slots__ = ("end", "head", "parts", "size", "ts")

    def __init__(self, ts: int) -> None:
        self.ts = ts
        self.head: _Head | None = None
        self.parts: dict[int, bytes] = {}
        self.end = 0
        self.size = sys.maxsize  # until the head tells

    def add(self, offset: int, content: bytes) -> None:
        """Take a part."""
        self.parts[offset] = content
        while piece := self.parts.get(self.end):
            self.end += len(piece)

    def data(self) -> bytes:
        """Its bytes from the first on, up to the first gap."""
        end, pieces = 0, []
        while end < self.end:
            pieces.append(self.parts[end])
            end += len(pieces[-1])
        return b"".join(pieces)


_Taker = Callable[[int, int, bytes], None]  # CPU, time, record
_Key = tuple[int, int, int]  # pid, pointer, length


class Assembler:
    """Takes pages, gives frames in the order of their time.

    `wall` is added to the trace clock to get nanoseconds since 1970; of each packet `snap` bytes are wanted, 0 all.
    Counters: `heads` records of packets that the kernel saw, `gaps` events that it says it dropped by CPU, `truncated`
    packets of which something wanted is missing. `longest` is the length of the longest packet since somebody set it
    to 0.
    """

    def __init__(self, page: PageLayout, wall: int, origin: Origin, tasks: Tasks, snap: int = 0) -> None:
        self.heads = 0
        self.gaps: dict[int, int] = {}
        self.truncated = 0
        self.longest = 0
        self.last: dict[int, int] = {}  # by CPU: the time of the last event
        self._page = page
        self._wall = wall
        self._origin = origin
        self._tasks = tasks
        self._snap = snap or sys.maxsize
        self._events: dict[int, _Taker] = {}  # by the number records begin with
        self._open: dict[int, dict[_Key, _Packet]] = {}  # by CPU
        self._untold = 0  # packets lost that no frame has told of
        self._gap = 0  # where the first of them may have been: time of the event behind it
        self._ready: list[tuple[int, int, Frame]] = []  # time, order of arrival
        self._order = 0

    def add_head(self, form: EventFormat, hook: Hook, rebuilt: bool) -> None:
        """Take an event's records as heads of packets seen at `hook`. Raises ValueError as Layout."""
        paged = ("paged",) if "paged" in form.fields else ()
        layout = Layout(form, (*_HEAD, *paged, *(_ROUTE if rebuilt else ())))
        behind = len(_HEAD) + len(paged)
        wanted = max(self._snap - header.SIZE, 0) if rebuilt else self._snap

        def take(cpu: int, ts: int, record: bytes) -> None:
            numbers = layout.numbers(record)
            flags, pid, pointer, length = numbers[:4]
            self.heads += 1
            if length > self.longest:
                self.longest = length
            size = min(max(length - numbers[4], 0) if paged else length, wanted)
            if flags & _INTERRUPT:
                pid, comm = -1, ""
            else:
                comm = layout.text(record, "comm")
            head = (hook, ts, pid, comm, length, size, numbers[behind:])
            content = layout.data(record)
            if size <= len(content) and not self._open.get(cpu):
                self._emit(cpu, head, content)  # the usual case: all of a packet in its head
            else:
                self._part(cpu, ts, (numbers[1], pointer, length), 0, content[:HEAD_BYTES], head)

        self._events[form.id] = take

    def add_body(self, form: EventFormat, offsets: Sequence[int]) -> None:
        """Take an event's records as further parts of packets, which begin at one of `offsets`: a record says at which
        unless there is only one. Raises ValueError as Layout."""
        if len(offsets) == 1:
            alone = Layout(form, _BODY)

            def take(cpu: int, ts: int, record: bytes) -> None:
                pid, pointer, length = alone.numbers(record)
                self._part(cpu, ts, (pid, pointer, length), offsets[0], alone.data(record), None)
        else:
            layout, known = Layout(form, (*_BODY, "off")), frozenset(offsets)

            def take(cpu: int, ts: int, record: bytes) -> None:
                pid, pointer, length, offset = layout.numbers(record)
                if offset in known:
                    self._part(cpu, ts, (pid, pointer, length), offset, layout.data(record), None)

        self._events[form.id] = take

    def add_service(self, form: EventFormat, command: int) -> None:
        """Take the name server's trace event as a control packet with `command`. Raises ValueError as Layout."""
        layout = Layout(form, _SERVICE)

        def take(cpu: int, ts: int, record: bytes) -> None:
            service, instance, node, port = layout.numbers(record)
            self._service(cpu, ts, command, service, instance, Address(node, port))

        self._events[form.id] = take

    def add_message(self, form: EventFormat) -> None:
        """Take the name server's event of what it was sent as a control packet without most of its payload.

        New servers have an event of their own. Raises ValueError as Layout.
        """
        layout = Layout(form, ("sq_node", "sq_port"))

        def take(cpu: int, ts: int, record: bytes) -> None:
            command = _MESSAGES.get(layout.text(record, "ctrl_pkt_str"))
            if command is not None:
                source, target = Address(*layout.numbers(record)), Address(LOCAL_NODE, header.PORT_CTRL)
                whole = header.header(command, source, target, header.CONTROL_SIZE)
                data = whole + command.to_bytes(4, "little")
                flags = Flag.SYNTHETIC | Flag.TRUNCATED
                size = len(whole) + header.CONTROL_SIZE
                self._add(ts, Frame(ts + self._wall, data, size, hook=Hook.LOOKUP, flags=flags, origin=self._origin))

        self._events[form.id] = take

    def add_task(self, form: EventFormat) -> None:
        """Take task_newtask or task_rename as news for `tasks`. Raises ValueError as Layout."""
        if "clone_flags" in form.fields:
            layout = Layout(form, ("common_pid", "pid", "clone_flags"))

            def take(cpu: int, ts: int, record: bytes) -> None:
                parent, child, flags = layout.numbers(record)
                self._tasks.created(parent, child, layout.text(record, "comm"), flags)
        else:
            layout = Layout(form, ("common_pid", "pid"))

            def take(cpu: int, ts: int, record: bytes) -> None:
                _, thread = layout.numbers(record)
                self._tasks.renamed(thread, layout.text(record, "newcomm"))

        self._events[form.id] = take

    def feed(self, cpu: int, page: bytes) -> None:
        """Take the next page of a CPU's stream."""
        records, lost, damage = parse_page(page, self._page)
        if damage:
            lost = max(lost, 1)
        if lost:
            self.gaps[cpu] = self.gaps.get(cpu, 0) + lost
            self._gap = self._gap or (records[0][0] if records else 0)
            self._give_up(cpu, lambda key, packet: True)
        events = self._events
        for ts, record in records:
            take = events.get(int.from_bytes(record[:2], "little"))
            if take is not None:
                try:
                    take(cpu, ts, record)
                except struct.error:
                    self.gaps[cpu] = self.gaps.get(cpu, 0) + 1  # cut short: nothing the kernel does
        if records:
            self.last[cpu] = records[-1][0]

    def tell_lost(self, packets: int) -> None:
        """So many more packets are known to be lost: the next frame behind the gap in the stream tells of them."""
        self._untold += packets
        if not self._untold:
            self._gap = 0  # it was no packet

    def frames(self, until: int) -> list[Frame]:
        """The frames older than `until` of the trace clock, but for those that wait for an older packet's rest."""
        for cpu in list(self._open):
            self._give_up(cpu, lambda key, packet: packet.ts < until - _PATIENCE)
        oldest = min((packet.ts for packets in self._open.values() for packet in packets.values()), default=until)
        until = min(until, oldest)
        return self._out(until)

    def flush(self) -> list[Frame]:
        """Every frame that is left: the streams have ended."""
        for cpu in list(self._open):
            self._give_up(cpu, lambda key, packet: True)
        return self._out(sys.maxsize)

    def _out(self, until: int) -> list[Frame]:
        """The frames that are ready and older than `until`."""
        self._ready.sort()  # mostly sorted: each CPU's are
        number = bisect.bisect_left(self._ready, (until,))
        frames = [self._told(ts, frame) for ts, _, frame in self._ready[:number]]
        del self._ready[:number]
        return frames

    def next_ts(self) -> int | None:
        """When the oldest frame that is ready was seen; None where there is none."""
        return min(self._ready)[0] if self._ready else None

    def _part(self, cpu: int, ts: int, key: _Key, offset: int, content: bytes, head: _Head | None) -> None:
        """A part of a packet; the one that makes it whole ends it."""
        packets = self._open.setdefault(cpu, {})
        packet = packets.get(key)
        if packets and (packet is None or len(packets) > 1):
            # Another task on this CPU: the packets of the one before have had all that they will get.
            self._give_up(cpu, lambda other, _: other[0] != key[0])
        if packet is not None and offset in packet.parts:
            self._give_up(cpu, lambda other, _: other == key)  # the same buffer used again
            packet = None
        if packet is None:
            packet = packets[key] = _Packet(ts)
            if len(packets) > _MOST_OPEN:
                eldest = next(iter(packets))
                self._give_up(cpu, lambda other, _: other == eldest)
        packet.add(offset, content)
        if head is not None:
            packet.head, packet.ts, packet.size = head, ts, head[5]
        if packet.end >= packet.size:
            del packets[key]
            self._finish(cpu, packet)

    def _give_up(self, cpu: int, these: Callable[[_Key, _Packet], bool]) -> None:
        """End packets of a CPU as they are."""
        packets = self._open.get(cpu)
        if packets:
            for key in [key for key, packet in packets.items() if these(key, packet)]:
                self._finish(cpu, packets.pop(key))

    def _finish(self, cpu: int, packet: _Packet) -> None:
        """End a packet. One without its head is none: it is counted as lost."""
        if packet.head is not None:
            self._emit(cpu, packet.head, packet.data())

    def _emit(self, cpu: int, head: _Head, data: bytes) -> None:
        """Make the frame of a packet of which `data` was had."""
        hook, ts, pid, comm, length, size, route = head
        data = data[:size]
        original = length
        if len(data) < length:
            self.truncated += len(data) < (self._snap - header.SIZE if route else self._snap)
        if route:
            pad = header.padding(length) if len(data) == length else b""
            original = header.SIZE + length + -length % 4
            data = header.routed(route, length) + data + pad
            if original > self._snap:
                data = data[: self._snap]
        flags = _FLAGS[bool(route), len(data) == original]
        direction = _DIRECTION[hook]
        frame = Frame(
            ts + self._wall, data, original, Link.QRTR, direction, hook, flags, pid, comm, cpu, 0, self._origin
        )
        self._add(ts, frame)

    def _service(self, cpu: int, ts: int, command: int, service: int, instance: int, where: Address) -> None:
        """A trace event of the name server, as the control packet it would send."""
        payload = header.server(command, service, instance, where)
        source = Address(where.node, header.PORT_CTRL)
        data = header.header(command, source, Address(header.NODE_BCAST, header.PORT_CTRL), len(payload)) + payload
        frame = Frame(ts + self._wall, data, len(data), hook=Hook.LOOKUP, flags=Flag.SYNTHETIC, cpu=cpu)
        self._add(ts, frame._replace(origin=self._origin))

    def _told(self, ts: int, frame: Frame) -> Frame:
        """The frame with its process, and with what was lost before it.

        Only now: the news of a thread may lie on another CPU than its packets.
        """
        if self._untold and ts >= self._gap:
            frame = frame._replace(lost=self._untold)
            self._untold = self._gap = 0
        pid, comm = self._tasks.process(frame.pid, frame.comm)
        return frame if pid == frame.pid else frame._replace(pid=pid, comm=comm)

    def _add(self, ts: int, frame: Frame) -> None:
        self._ready.append((ts, self._order, frame))
        self._order += 1
