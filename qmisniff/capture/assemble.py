# SPDX-License-Identifier: GPL-2.0-or-later
"""Ring-buffer pages of the tap's events -> Frames. Pure: no I/O, time is handed in.

A packet is a head record and, where it is longer than that, body records with the rest. They fire back to back in one
context, so they stand together in one CPU's stream, under one pid and one pointer; only an interrupt may put another
packet in between. Whatever contradicts that ends the packet where it is: TRUNCATED, and counted.
"""

from __future__ import annotations

import heapq
import struct
from collections.abc import Callable, Mapping
from typing import NamedTuple

from qmisniff.capture import header
from qmisniff.capture.event_format import EventFormat, FieldFormat
from qmisniff.capture.header import Address
from qmisniff.capture.plan import HEAD_BYTES, STAGES
from qmisniff.capture.ring import PageLayout, parse_page
from qmisniff.frame import Direction, Flag, Frame, Hook, Origin

# common_flags: what was interrupted is not who sent (include/linux/trace_events.h: TRACE_FLAG_HARDIRQ, _SOFTIRQ, _NMI)
_INTERRUPT = 0x08 | 0x10 | 0x40
_DIRECTION = {Hook.RECEIVE: Direction.INBOUND, Hook.TRANSMIT: Direction.OUTBOUND}
_OFFSETS = frozenset(offset for stage in STAGES for offset in stage.offsets)
# A packet whose rest has not come by then will not come: its parts are microseconds apart.
_PATIENCE = 1_000_000_000
_MOST_OPEN = 16  # packets under way on one CPU: one for each level of interrupts is what can really be

# What a record of ours must have, the latter part where a header is rebuilt.
_NEEDED = ("ptr", "len", "kind", "from_node", "from_port", "to_node", "to_port")
_CODES = {(1, False): "B", (2, False): "H", (4, False): "I", (8, False): "Q"}
_CODES |= {(size, True): code.lower() for (size, _), code in _CODES.items()}


class Layout(NamedTuple):
    """How to read an event's records: a struct over the scalar fields, their names, and where the data lies."""

    hook: Hook
    rebuilt: bool
    scalars: struct.Struct
    names: tuple[str, ...]
    data: tuple[slice, ...]


def layout_of(form: EventFormat, hook: Hook = Hook.NONE, rebuilt: bool = False) -> Layout:
    """The layout of an event's records; ValueError where its format makes no sense."""
    codes, names, end = "<", [], 0
    for name, field in sorted(form.fields.items(), key=lambda item: item[1].offset):
        code = "I" if field.dynamic else _CODES.get((field.size, field.signed))
        if code is None or _is_data(name):
            continue
        if field.offset < end:
            raise ValueError(f"fields of an event overlap at {name}")
        codes += f"{field.offset - end}x{code}"
        names.append(name)
        end = field.offset + field.size
    missing = {"common_flags", "common_pid", *(_NEEDED if rebuilt else _NEEDED[:2])} - set(names)
    if missing and (hook or "off" in names):
        raise ValueError(f"an event lacks {', '.join(sorted(missing))}")
    arrays = [field for name, field in form.fields.items() if _is_data(name)]
    return Layout(hook, rebuilt, struct.Struct(codes), tuple(names), _spans(arrays))


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


class _Packet:
    """A packet under way: its head once it has come, and the parts that have."""

    __slots__ = ("cpu", "head", "lost", "parts", "ts")

    def __init__(self, cpu: int, ts: int) -> None:
        self.cpu = cpu
        self.ts = ts
        self.head: tuple[Layout, dict[str, int], str] | None = None  # layout, fields, command
        self.parts: dict[int, bytes] = {}
        self.lost = 0

    def data(self, size: int) -> bytes:
        """Its bytes from the first on, up to `size` or the first gap."""
        end, pieces = 0, []
        while end < size and end in self.parts:
            pieces.append(self.parts[end])
            end += len(self.parts[end])
        return b"".join(pieces)[:size]


_Key = tuple[int, int, int]  # pid, pointer, length


class Assembler:
    """Takes pages, gives frames in the order of their time.

    `wall` is added to the trace clock to get nanoseconds since 1970. Counters: `heads` records of packets that the
    kernel saw, `lost` events that it says it dropped, `truncated` packets that are not whole.
    """

    def __init__(
        self,
        page: PageLayout,
        events: Mapping[int, Layout],
        services: Mapping[int, tuple[int, Layout]],
        wall: int,
        origin: Origin,
    ) -> None:
        self.heads = 0
        self.lost = 0
        self.truncated = 0
        self._page = page
        self._events = events
        self._services = services  # id -> control command, layout
        self._wall = wall
        self._origin = origin
        self._open: dict[int, dict[_Key, _Packet]] = {}  # by CPU
        self._lost_next: dict[int, int] = {}  # by CPU: events lost that no frame has told of
        self._ready: list[tuple[int, int, Frame]] = []  # heap: ts, order of arrival
        self._order = 0
        self.last: dict[int, int] = {}  # by CPU: the time of the last event

    def feed(self, cpu: int, page: bytes) -> None:
        """Take the next page of a CPU's stream."""
        records, lost, damage = parse_page(page, self._page)
        if damage:
            lost = max(lost, 1)
        if lost:
            self.lost += lost
            self._lost_next[cpu] = self._lost_next.get(cpu, 0) + lost
            self._give_up(cpu, lambda key, packet: True)
        for ts, data in records:
            if len(data) < 8:
                continue
            number = data[0] | data[1] << 8
            layout = self._events.get(number)
            if layout is not None:
                self._take(cpu, ts, layout, data)
            elif number in self._services:
                self._service(cpu, ts, data, *self._services[number])
            self.last[cpu] = ts

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
            frames.append(heapq.heappop(self._ready)[2])
        return frames

    def flush(self) -> list[Frame]:
        """Every frame that is left: the streams have ended."""
        for cpu in list(self._open):
            self._give_up(cpu, lambda key, packet: True)
        frames = [frame for _, _, frame in sorted(self._ready, key=lambda entry: entry[:2])]
        self._ready.clear()
        return frames

    def next_ts(self) -> int | None:
        """When the oldest frame that is ready was seen; None where there is none."""
        return self._ready[0][0] if self._ready else None

    def _take(self, cpu: int, ts: int, layout: Layout, data: bytes) -> None:
        """A record of a head or a body."""
        if len(data) < layout.scalars.size:
            return
        fields = dict(zip(layout.names, layout.scalars.unpack_from(data), strict=True))
        pid, pointer, length = fields["common_pid"], fields["ptr"], fields["len"]
        key = (pid, pointer, length)
        packets = self._open.setdefault(cpu, {})
        if packets:
            # Another task on this CPU: the packets of the one before have had all that they will get.
            self._give_up(cpu, lambda key, packet: key[0] != pid)
        packet = packets.get(key)
        offset = fields.get("off", 0)
        if packet is not None and offset in packet.parts:
            self._give_up(cpu, lambda other, _: other == key)  # the same buffer used again
            packet = None
        if packet is None:
            packet = packets[key] = _Packet(cpu, ts)
            if len(packets) > _MOST_OPEN:
                eldest = next(iter(packets))
                self._give_up(cpu, lambda other, _: other == eldest)
        content = b"".join([data[span] for span in layout.data])
        if layout.hook:
            self.heads += 1
            packet.ts = ts
            packet.lost = self._lost_next.pop(cpu, 0) + self._lost_next.pop(-1, 0)
            packet.head = (layout, fields, _text(data, fields.get("comm", 0)))
            packet.parts[0] = content[:HEAD_BYTES]
        elif offset in _OFFSETS:
            packet.parts[offset] = content
        if packet.head is not None and len(packet.data(length)) == length - fields.get("paged", 0):
            del packets[key]
            self._finish(packet, key)

    def _give_up(self, cpu: int, these: Callable[[_Key, _Packet], bool]) -> None:
        """End packets of a CPU as they are."""
        packets = self._open.get(cpu, {})
        for key in [key for key, packet in packets.items() if these(key, packet)]:
            self._finish(packets.pop(key), key)

    def _finish(self, packet: _Packet, key: _Key) -> None:
        """Make the frame. A packet without its head is none: its loss was counted when its events were lost."""
        if packet.head is None:
            return
        layout, fields, comm = packet.head
        length = key[2]
        data = packet.data(max(length - fields.get("paged", 0), 0))
        flags = Flag(0)
        original = length
        if len(data) < length:
            flags |= Flag.TRUNCATED
            self.truncated += 1
        if layout.rebuilt:
            flags |= Flag.HEADER_REBUILT
            source = Address(fields["from_node"], fields["from_port"])
            destination = Address(fields["to_node"], fields["to_port"])
            pad = header.padding(length)
            data = header.header(fields["kind"], source, destination, length) + data
            if not flags & Flag.TRUNCATED:
                data += pad
            original = header.SIZE + length + len(pad)
        pid = key[0]
        if fields["common_flags"] & _INTERRUPT:
            pid, comm = -1, ""
        direction = _DIRECTION.get(layout.hook, Direction.UNKNOWN)
        self._add(
            packet.ts,
            Frame(
                packet.ts + self._wall,
                data,
                original,
                direction=direction,
                hook=layout.hook,
                flags=flags,
                pid=pid,
                comm=comm,
                cpu=packet.cpu,
                lost=packet.lost,
                origin=self._origin,
            ),
        )

    def _service(self, cpu: int, ts: int, data: bytes, command: int, layout: Layout) -> None:
        """A trace event of the name server, as the control packet it would send."""
        if len(data) < layout.scalars.size:
            return
        fields = dict(zip(layout.names, layout.scalars.unpack_from(data), strict=True))
        where = Address(fields["node"], fields["port"])
        payload = header.server(command, fields["service"], fields["instance"], where)
        source = Address(where.node, header.PORT_CTRL)
        packet = header.header(command, source, Address(header.NODE_BCAST, header.PORT_CTRL), len(payload)) + payload
        self._add(
            ts,
            Frame(
                ts + self._wall,
                packet,
                len(packet),
                hook=Hook.LOOKUP,
                flags=Flag.SYNTHETIC,
                cpu=cpu,
                origin=self._origin,
            ),
        )

    def _add(self, ts: int, frame: Frame) -> None:
        heapq.heappush(self._ready, (ts, self._order, frame))
        self._order += 1


def _text(data: bytes, location: int) -> str:
    """A dynamic string of a record: its offset in the low half of `location`, its size in the high half."""
    start, size = location & 0xFFFF, location >> 16
    return data[start : start + size].split(b"\0", 1)[0].decode("utf-8", "backslashreplace")
