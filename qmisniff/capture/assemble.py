# SPDX-License-Identifier: GPL-2.0-or-later
"""Ring-buffer pages of the tap's events -> Frames. Pure: no I/O, time is handed in.

A packet is a head record and, where it is longer than that, body records with the rest. They fire back to back in one
context, so they stand together in one CPU's stream, under one pid and one pointer; only an interrupt may put another
packet in between. Whatever contradicts that ends the packet where it is: TRUNCATED, and counted.
"""

from __future__ import annotations

import heapq
import struct
from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

from qmisniff.capture import header
from qmisniff.capture.event_format import EventFormat, FieldFormat
from qmisniff.capture.header import LOCAL_NODE, Address
from qmisniff.capture.plan import HEAD_BYTES, STAGES
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
_OFFSETS = frozenset(offset for stage in STAGES for offset in stage.offsets)
# A packet whose rest has not come by then will not come: its parts are microseconds apart.
_PATIENCE = 1_000_000_000
_MOST_OPEN = 16  # packets under way on one CPU: one for each level of interrupts is what can really be

_BODY = ("ptr", "len", "off")
_HEAD = ("ptr", "len")
_REBUILT = (*_HEAD, "kind", "from_node", "from_port", "to_node", "to_port")
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
_CODES = {(1, False): "B", (2, False): "H", (4, False): "I", (8, False): "Q"}
_CODES |= {(size, True): code.lower() for (size, _), code in _CODES.items()}


class Layout(NamedTuple):
    """How to read an event's records: a struct over the scalar fields, their names, and where the rest lies."""

    scalars: struct.Struct
    names: tuple[str, ...]
    data: tuple[slice, ...]
    texts: Mapping[str, FieldFormat]

    def fields(self, record: bytes) -> dict[str, int]:
        """The scalar fields of a record; ValueError where it is too short."""
        if len(record) < self.scalars.size:
            raise ValueError(f"a record of {len(record)} bytes")
        return dict(zip(self.names, self.scalars.unpack_from(record), strict=True))

    def text(self, record: bytes, name: str) -> str:
        """A string of a record; "" where there is none of that name."""
        field = self.texts.get(name)
        if field is None:
            return ""
        start, size = field.offset, field.size
        if field.dynamic:
            location = int.from_bytes(record[start : start + 4], "little")
            start, size = location & 0xFFFF, location >> 16
        return record[start : start + size].split(b"\0", 1)[0].decode("utf-8", "backslashreplace")


def layout_of(form: EventFormat, needed: Iterable[str]) -> Layout:
    """The layout of an event's records; ValueError where its format makes no sense or lacks a needed field."""
    codes, names, end = "<", [], 0
    for name, field in sorted(form.fields.items(), key=lambda item: item[1].offset):
        code = _CODES.get((field.size, field.signed))
        if code is None or field.dynamic or _is_data(name):
            continue
        if field.offset < end:
            raise ValueError(f"fields of an event overlap at {name}")
        codes += f"{field.offset - end}x{code}"
        names.append(name)
        end = field.offset + field.size
    missing = {"common_flags", "common_pid", *needed} - set(names)
    if missing:
        raise ValueError(f"an event lacks {', '.join(sorted(missing))}")
    arrays = [field for name, field in form.fields.items() if _is_data(name)]
    texts = {name: field for name, field in form.fields.items() if name not in names and not _is_data(name)}
    return Layout(struct.Struct(codes), tuple(names), _spans(arrays), texts)


def _is_data(name: str) -> bool:
    return name[:1] == "d" and name[1:].isdigit()


def _spans(fields: list[FieldFormat]) -> tuple[slice, ...]:
    """The byte ranges of the data arrays in the order of a packet, adjacent ones joined."""
    spans: list[slice] = []
    for field in fields:
        if spans and spans[-1].stop == field.offset:
            spans[-1] = slice(spans[-1].start, field.offset + field.size)
        else:
            spans.append(slice(field.offset, field.offset + field.size))
    return tuple(spans)


class _Head(NamedTuple):
    """What a head record told."""

    hook: Hook
    rebuilt: bool
    ts: int
    fields: dict[str, int]
    comm: str
    lost: int

    @property
    def size(self) -> int:
        """How many bytes of the packet can be had: not those that lie in pages elsewhere."""
        return max(self.fields["len"] - self.fields.get("paged", 0), 0)


class _Packet:
    """A packet under way: its head once it has come, and the parts that have."""

    __slots__ = ("head", "parts", "ts")

    def __init__(self, ts: int) -> None:
        self.ts = ts
        self.head: _Head | None = None
        self.parts: dict[int, bytes] = {}

    def data(self, size: int) -> bytes:
        """Its bytes from the first on, up to `size` or the first gap."""
        end, pieces = 0, []
        while end < size and (piece := self.parts.get(end)):
            pieces.append(piece)
            end += len(piece)
        return b"".join(pieces)[:size]


_Taker = Callable[[int, int, Layout, bytes], None]  # CPU, time, layout, record
_Key = tuple[int, int, int]  # pid, pointer, length


class Assembler:
    """Takes pages, gives frames in the order of their time.

    `wall` is added to the trace clock to get nanoseconds since 1970. Counters: `heads` records of packets that the
    kernel saw, `lost` events that it says it dropped, `truncated` packets that are not whole. `longest` is the
    length of the longest packet since somebody set it to 0.
    """

    def __init__(self, page: PageLayout, wall: int, origin: Origin, tasks: Tasks) -> None:
        self.heads = 0
        self.lost = 0
        self.truncated = 0
        self.longest = 0
        self._page = page
        self._wall = wall
        self._origin = origin
        self._tasks = tasks
        self._events: dict[int, tuple[Layout, _Taker]] = {}  # by the number records begin with
        self._open: dict[int, dict[_Key, _Packet]] = {}  # by CPU
        self._lost_next: dict[int, int] = {}  # by CPU: events lost that no frame has told of
        self._ready: list[tuple[int, int, Frame]] = []  # heap: ts, order of arrival
        self._order = 0
        self.last: dict[int, int] = {}  # by CPU: the time of the last event

    def add_head(self, form: EventFormat, hook: Hook, rebuilt: bool) -> None:
        """Take an event's records as heads of packets seen at `hook`. Raises ValueError as layout_of."""

        def take(cpu: int, ts: int, layout: Layout, record: bytes) -> None:
            fields = layout.fields(record)
            self.heads += 1
            lost = self._lost_next.pop(cpu, 0) + self._lost_next.pop(-1, 0) if self._lost_next else 0
            head = _Head(hook, rebuilt, ts, fields, layout.text(record, "comm"), lost)
            self.longest = max(self.longest, fields["len"])
            content = _cut(layout, record)
            if head.size <= len(content) and not self._open.get(cpu):
                self._emit(cpu, head, content)  # the usual case: all of a packet in its head
            else:
                self._part(cpu, ts, fields, 0, content[:HEAD_BYTES], head)

        self._events[form.id] = (layout_of(form, _REBUILT if rebuilt else _HEAD), take)

    def add_body(self, form: EventFormat) -> None:
        """Take an event's records as further parts of packets. Raises ValueError as layout_of."""

        def take(cpu: int, ts: int, layout: Layout, record: bytes) -> None:
            fields = layout.fields(record)
            if fields["off"] in _OFFSETS:
                self._part(cpu, ts, fields, fields["off"], _cut(layout, record), None)

        self._events[form.id] = (layout_of(form, _BODY), take)

    def add_service(self, form: EventFormat, command: int) -> None:
        """Take the name server's trace event as a control packet with `command`. Raises ValueError as layout_of."""

        def take(cpu: int, ts: int, layout: Layout, record: bytes) -> None:
            self._service(cpu, ts, layout.fields(record), command)

        self._events[form.id] = (layout_of(form, _SERVICE), take)

    def add_message(self, form: EventFormat) -> None:
        """Take the name server's event of what it was sent as a control packet without most of its payload.

        New servers have an event of their own. Raises ValueError as layout_of.
        """

        def take(cpu: int, ts: int, layout: Layout, record: bytes) -> None:
            fields = layout.fields(record)
            command = _MESSAGES.get(layout.text(record, "ctrl_pkt_str"))
            if command is not None:
                source, target = Address(fields["sq_node"], fields["sq_port"]), Address(LOCAL_NODE, header.PORT_CTRL)
                whole = header.header(command, source, target, header.CONTROL_SIZE)
                data = whole + command.to_bytes(4, "little")
                flags = Flag.SYNTHETIC | Flag.TRUNCATED
                size = len(whole) + header.CONTROL_SIZE
                self._add(ts, Frame(ts + self._wall, data, size, hook=Hook.LOOKUP, flags=flags, origin=self._origin))

        self._events[form.id] = (layout_of(form, ("sq_node", "sq_port")), take)

    def add_task(self, form: EventFormat) -> None:
        """Take task_newtask or task_rename as news for `tasks`. Raises ValueError as layout_of."""

        def take(cpu: int, ts: int, layout: Layout, record: bytes) -> None:
            fields = layout.fields(record)
            if "clone_flags" in fields:
                comm = layout.text(record, "comm")
                self._tasks.created(fields["common_pid"], fields["pid"], comm, fields["clone_flags"])
            else:
                self._tasks.renamed(fields["pid"], layout.text(record, "newcomm"))

        self._events[form.id] = (layout_of(form, ("pid",)), take)

    def feed(self, cpu: int, page: bytes) -> None:
        """Take the next page of a CPU's stream."""
        records, lost, damage = parse_page(page, self._page)
        if damage:
            lost = max(lost, 1)
        if lost:
            self.lost += lost
            self._lost_next[cpu] = self._lost_next.get(cpu, 0) + lost
            self._give_up(cpu, lambda key, packet: True)
        for ts, record in records:
            self.last[cpu] = ts
            layout, take = self._events.get(int.from_bytes(record[:2], "little"), (None, None))
            if layout is None or take is None:
                continue
            try:
                take(cpu, ts, layout, record)
            except ValueError:
                self.lost += 1  # cut short: nothing the kernel does

    def missed(self, packets: int) -> None:
        """Packets at which the kernel did not run the probes: told with the next frame, whatever its CPU."""
        self.lost += packets
        self._lost_next[-1] = self._lost_next.get(-1, 0) + packets

    def frames(self, until: int) -> list[Frame]:
        """The frames older than `until` of the trace clock, but for those that wait for an older packet's rest."""
        for cpu in list(self._open):
            self._give_up(cpu, lambda key, packet: packet.ts < until - _PATIENCE)
        oldest = min((packet.ts for packets in self._open.values() for packet in packets.values()), default=until)
        until = min(until, oldest)
        frames: list[Frame] = []
        while self._ready and self._ready[0][0] < until:
            frames.append(self._told(heapq.heappop(self._ready)[2]))
        return frames

    def flush(self) -> list[Frame]:
        """Every frame that is left: the streams have ended."""
        for cpu in list(self._open):
            self._give_up(cpu, lambda key, packet: True)
        frames = [self._told(frame) for _, _, frame in sorted(self._ready, key=lambda entry: entry[:2])]
        self._ready.clear()
        return frames

    def next_ts(self) -> int | None:
        """When the oldest frame that is ready was seen; None where there is none."""
        return self._ready[0][0] if self._ready else None

    def _part(self, cpu: int, ts: int, fields: dict[str, int], offset: int, content: bytes, head: _Head | None) -> None:
        """A part of a packet; the one that makes it whole ends it."""
        pid, length = fields["common_pid"], fields["len"]
        key = (pid, fields["ptr"], length)
        packets = self._open.setdefault(cpu, {})
        if packets:
            # Another task on this CPU: the packets of the one before have had all that they will get.
            self._give_up(cpu, lambda other, _: other[0] != pid)
        packet = packets.get(key)
        if packet is not None and offset in packet.parts:
            self._give_up(cpu, lambda other, _: other == key)  # the same buffer used again
            packet = None
        if packet is None:
            packet = packets[key] = _Packet(ts)
            if len(packets) > _MOST_OPEN:
                eldest = next(iter(packets))
                self._give_up(cpu, lambda other, _: other == eldest)
        packet.parts[offset] = content
        if head is not None:
            packet.head, packet.ts = head, ts
        if packet.head is not None and len(packet.data(packet.head.size)) == packet.head.size:
            del packets[key]
            self._finish(cpu, packet)

    def _give_up(self, cpu: int, these: Callable[[_Key, _Packet], bool]) -> None:
        """End packets of a CPU as they are."""
        packets = self._open.get(cpu, {})
        for key in [key for key, packet in packets.items() if these(key, packet)]:
            self._finish(cpu, packets.pop(key))

    def _finish(self, cpu: int, packet: _Packet) -> None:
        """End a packet. One without its head is none: its loss was counted when its events were lost."""
        if packet.head is not None:
            self._emit(cpu, packet.head, packet.data(packet.head.size))

    def _emit(self, cpu: int, head: _Head, data: bytes) -> None:
        """Make the frame of a packet of which `data` was had."""
        hook, rebuilt, ts, fields, comm, lost = head
        original = length = fields["len"]
        data = data[: head.size]
        whole = len(data) == length
        if not whole:
            self.truncated += 1
        if rebuilt:
            pad = header.padding(length)
            original = header.SIZE + length + len(pad)
            source = Address(fields["from_node"], fields["from_port"])
            destination = Address(fields["to_node"], fields["to_port"])
            data = header.header(fields["kind"], source, destination, length) + data + (pad if whole else b"")
        pid = fields["common_pid"]
        if fields["common_flags"] & _INTERRUPT:
            pid, comm = -1, ""
        frame = Frame(
            ts + self._wall,
            data,
            original,
            Link.QRTR,
            _DIRECTION[hook],
            hook,
            _FLAGS[rebuilt, whole],
            pid,
            comm,
            cpu,
            lost,
            self._origin,
        )
        self._add(ts, frame)

    def _service(self, cpu: int, ts: int, fields: dict[str, int], command: int) -> None:
        """A trace event of the name server, as the control packet it would send."""
        where = Address(fields["node"], fields["port"])
        payload = header.server(command, fields["service"], fields["instance"], where)
        source = Address(where.node, header.PORT_CTRL)
        data = header.header(command, source, Address(header.NODE_BCAST, header.PORT_CTRL), len(payload)) + payload
        frame = Frame(ts + self._wall, data, len(data), hook=Hook.LOOKUP, flags=Flag.SYNTHETIC, cpu=cpu)
        self._add(ts, frame._replace(origin=self._origin))

    def _told(self, frame: Frame) -> Frame:
        """The frame with its process. Only now: the news of a thread may lie on another CPU than its packets."""
        pid, comm = self._tasks.process(frame.pid, frame.comm)
        return frame if pid == frame.pid else frame._replace(pid=pid, comm=comm)

    def _add(self, ts: int, frame: Frame) -> None:
        heapq.heappush(self._ready, (ts, self._order, frame))
        self._order += 1


def _cut(layout: Layout, record: bytes) -> bytes:
    """The packet's bytes in a record."""
    return b"".join([record[span] for span in layout.data])
