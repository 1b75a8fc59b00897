# SPDX-License-Identifier: GPL-2.0-or-later
"""Records of a file as columns: what `qmisniff.capture_file.frame_of` says of one record, for many at once."""

from __future__ import annotations

import struct
from typing import NamedTuple

import numpy as np

from qmisniff import pcapng
from qmisniff.capture_file import (
    BARE,
    EXPORTED_PDU,
    LINKS,
    TAP_FIELDS,
    TAP_VERSION,
    USB_LINK_TYPES,
    USERS,
    exported_pdu,
    frame_of,
    is_turned,
    origin_of,
    user_link,
)
from qmisniff.frame import Flag, Hook, Link
from qmisniff.pcapng import MAX_TS_NS, Interface, Record
from qmisniff.protocol.arrays import I8, U1, U4, Mask, Numbers
from qmisniff.store.blocks import Run
from qmisniff.store.chunk import COLUMNS, Names
from qmisniff.store.distinct import Distinct
from qmisniff.store.flows import Flows
from qmisniff.store.headers import Headers, Rows, gather, read_headers, where
from qmisniff.store.usbmon import turn_headers

_NS = 1_000_000_000
_CODES = {"B": "u1", "H": "<u2", "i": "<i4", "I": "<u4", "q": "<i8", "x": "V1", "16s": "V16"}
_TAP = np.dtype([(name, _CODES[code]) for name, code in TAP_FIELDS])
_MAX_WRAPPINGS = 32  # different tag lists of exported PDUs in one run; beyond that records are read one by one
_MAX_OPTIONS = 6  # of a record; the same
_LINKS = np.isin(np.arange(256), list(LINKS))
_HOOKS = np.where(np.isin(np.arange(256), [hook.value for hook in Hook]), np.arange(256), Hook.NONE).astype(np.uint8)


class Frames(NamedTuple):
    """Rows of frames as columns (`chunk.COLUMNS`, their times and headers), and the rows that lost something."""

    window: int  # where the window of the file began that they were found in
    ts_ns: I8
    place: I8  # in the file, or in `turned`; the column `offset` is made of it
    columns: dict[str, Numbers]
    headers: Headers
    lost: dict[int, int]
    turned: bytes | None = None  # what the frames are made of, where the file has it in another byte order


class Describer:
    """Makes the columns of a file's records, run by run."""

    def __init__(self, names: Names, flows: Flows) -> None:
        self._names = names
        self._flows = flows
        self._tasks = Distinct(3, self._task)
        self._origins: dict[int, tuple[Interface, int]] = {}

    def one_by_one(self, records: list[Record]) -> Frames:
        """The columns of records that were read one at a time."""
        rows, lost, data, places = [], {}, bytearray(), []
        turned = any(is_turned(record.interface) for record in records)
        for row, record in enumerate(records):
            number = self._origin(record.interface)
            frame = frame_of(record, self._names.origins[number])
            if frame.lost:
                lost[row] = frame.lost
            rows.append(
                (
                    len(data), len(frame.data), frame.orig_len, self._names.task((frame.pid, frame.comm)), number,
                    frame.cpu & 0xFFFF, frame.link, frame.direction, frame.hook, frame.flags, frame.ts_ns,
                )
            )  # fmt: skip
            places.append(len(data) if turned else record.place + len(record.data) - len(frame.data))
            data += frame.data
        table: list[tuple[int, ...]] = list(zip(*rows, strict=True))
        columns: dict[str, Numbers] = {
            name: np.array(column, code) for (name, code), column in zip(COLUMNS.items(), table[:-1], strict=True)
        }
        offset = columns.pop("offset").astype(np.int64)
        headers = self._headers(np.frombuffer(data, np.uint8), offset, columns)
        ts_ns, place = np.array(table[-1], np.int64), np.array(places, np.int64)
        return Frames(-1, ts_ns, place, columns, headers, lost, bytes(data) if turned else None)

    def run(self, run: Run) -> Frames:
        """The columns of a run of records."""
        starts, count = run.starts, len(run.starts)
        lost: dict[int, int] = {}
        direction = np.zeros(count, np.uint8)
        if run.classic:
            head = gather(run.data, starts, np.dtype([(name, run.order + "u4") for name in _PCAP]))
            interface = np.zeros(count, np.uint32)
            seconds, fraction = (head[name].astype(np.int64) for name in ("seconds", "fraction"))
            ts_ns = seconds * _NS + fraction * (_NS // run.interfaces[0].ticks)
        else:
            head = gather(run.data, starts, np.dtype([(name, run.order + "u4") for name in _PCAPNG]))
            interface = head["interface"]
            ts_ns = self._times(head, interface, run.interfaces)
            self._options(run, head, direction, lost)
        captured, original = head["captured"].astype(np.uint32), head["original"].astype(np.uint32)
        offset = starts + head.itemsize
        columns: dict[str, Numbers] = {
            "length": captured,
            "orig_len": np.maximum(original, captured),
            "task": np.full(count, self._names.task((-1, "")), np.uint32),
            "origin": np.empty(count, np.uint32),
            "cpu": np.full(count, 0xFFFF, np.uint16),
            "link": np.full(count, Link.OTHER, np.uint8),
            "direction": direction,
            "hook": np.zeros(count, np.uint8),
            "flags": np.where(original > captured, np.uint8(Flag.TRUNCATED), np.uint8(0)),
        }
        first, turned = int(starts[0]), None
        for number in _distinct(interface):
            rows = where(interface == number)
            columns["origin"][rows] = self._origin(run.interfaces[number])
            link_type = run.interfaces[number].link_type
            if link_type in USERS:
                self._user(run.data, np.arange(count)[rows], link_type, offset, columns)
            elif link_type in USB_LINK_TYPES:
                link = USB_LINK_TYPES[link_type]
                columns["link"][rows] = link
                if is_turned(run.interfaces[number]):
                    if turned is None:
                        turned = run.data[first : int(offset[-1]) + int(captured[-1])].copy()
                    turn_headers(turned, offset[rows] - first, captured[rows].astype(np.int64), link)
            elif link_type == EXPORTED_PDU:
                self._exported(run.data, rows, offset, columns)
        if turned is None:
            return Frames(run.base, ts_ns, offset + run.base, columns, self._headers(run.data, offset, columns), lost)
        offset -= first
        headers = self._headers(turned, offset, columns)
        return Frames(run.base, ts_ns, offset, columns, headers, lost, turned.tobytes())

    def _headers(self, data: U1, offset: I8, columns: dict[str, Numbers]) -> Headers:
        headers = Headers.empty(len(offset))
        read_headers(data, offset, columns["length"], columns["link"], self._flows, headers)
        return headers

    def _origin(self, interface: Interface) -> int:
        known = self._origins.get(id(interface))
        if known is None:  # the interface is kept so that its id stays its own
            known = self._origins[id(interface)] = (interface, self._names.origin(origin_of(interface)))
        return known[1]

    def _times(self, head: Numbers, interface: U4, interfaces: list[Interface]) -> I8:
        ts = head["ts_high"].astype(np.uint64) << np.uint64(32) | head["ts_low"]
        result = np.empty(len(ts), np.int64)
        for number in _distinct(interface):
            rows = where(interface == number)
            clock = interfaces[number]
            if clock.offset_s == 0 and _NS % clock.ticks == 0:
                factor = _NS // clock.ticks
                bounded = np.minimum(ts[rows], np.uint64(MAX_TS_NS // factor + 1))
                result[rows] = np.minimum(bounded * np.uint64(factor), np.uint64(MAX_TS_NS)).astype(np.int64)
            else:
                result[rows] = [pcapng.in_ns(each, clock) for each in ts[rows].tolist()]
        return result

    def _options(self, run: Run, head: Numbers, direction: U1, lost: dict[int, int]) -> None:
        """Take direction and loss from the options behind the data."""
        size = head.itemsize
        padded = head["captured"].astype(np.int64) + 3 & ~3
        room = head["length"].astype(np.int64) - size - 4 - padded
        at = run.starts + size + padded
        # Most records have the direction and nothing else.
        rows = np.flatnonzero(room == 12)
        words = gather(run.data, at[rows], np.dtype((run.order + "u4", 3))).reshape(-1, 3)
        (alone,) = struct.unpack(run.order + "I", struct.pack(run.order + "HH", pcapng.EPB_FLAGS, 4))
        only = (words[:, 0] == alone) & (words[:, 2] == pcapng.OPT_END)
        bits = words[only, 1] & 3
        direction[rows[only]] = np.where(bits < 3, bits, 0)
        room[rows[only]] = 0
        rows = np.flatnonzero(room >= 4)
        if len(rows):
            self._many_options(run, rows, at[rows], at[rows] + room[rows], direction, lost)

    def _many_options(self, run: Run, rows: I8, at: I8, end: I8, direction: U1, lost: dict[int, int]) -> None:
        """The same for rows whose options begin and end at these places."""
        option = np.dtype([("code", run.order + "u2"), ("size", run.order + "u2")])
        known_flags, known_lost = np.zeros(len(run.starts), bool), np.zeros(len(run.starts), bool)
        one_by_one: list[tuple[int, int, int]] = []
        begin = at
        for _ in range(_MAX_OPTIONS):
            if not len(rows):
                break
            found = gather(run.data, at, option)
            code, length = found["code"], found["size"].astype(np.int64)
            value = at + 4
            whole = (code != pcapng.OPT_END) & (value + length <= end)
            flags = whole & (code == pcapng.EPB_FLAGS) & ~known_flags[rows]
            drops = whole & (code == pcapng.EPB_DROPCOUNT) & ~known_lost[rows]
            odd = flags & (length != 4) | drops & (length != 8)
            one_by_one += _triples(rows[odd], begin[odd], end[odd])
            flags &= ~odd
            drops &= ~odd
            known_flags[rows[flags]] = True
            known_lost[rows[drops]] = True
            bits = gather(run.data, value[flags], np.dtype(run.order + "u4")) & 3
            direction[rows[flags]] = np.where(bits < 3, bits, 0)
            dropped = gather(run.data, value[drops], np.dtype(run.order + "u8"))
            pairs = zip(rows[drops].tolist(), dropped.tolist(), strict=True)
            lost.update((row, count) for row, count in pairs if count)
            at = value + (length + 3 & ~3)
            more = whole & ~odd & (at + 4 <= end)
            rows, begin, at, end = rows[more], begin[more], at[more], end[more]
        for row, start, stop in one_by_one + _triples(rows, begin, end):
            options = pcapng.parse_options(run.data[start:stop].tobytes(), 0, run.order)
            toward = pcapng.option_number(options.get(pcapng.EPB_FLAGS), run.order) & 3
            direction[row] = toward if toward < 3 else 0
            lost.pop(row, None)
            if count := pcapng.option_number(options.get(pcapng.EPB_DROPCOUNT), run.order):
                lost[row] = count

    def _user(self, data: U1, rows: I8, link_type: int, offset: I8, columns: dict[str, Numbers]) -> None:
        """Tell QMUX from QMI. Records that are one QMUX frame are found together, all others one by one."""
        long = rows[columns["length"][rows] >= 3]
        head = gather(data, offset[long], np.dtype([("marker", "u1"), ("length", "<u2")]))
        whole = (head["marker"] == 1) & (head["length"].astype(np.int64) + 1 == columns["length"][long])
        columns["link"][long[whole]] = Link.QMUX
        for row in np.setdiff1d(rows, long[whole], assume_unique=True).tolist():
            start = int(offset[row])
            columns["link"][row] = user_link(data[start : start + int(columns["length"][row])].tobytes(), link_type)

    def _exported(self, data: U1, rows: Rows, offset: I8, columns: dict[str, Numbers]) -> None:
        """Unwrap exported PDUs: records that begin with the same tags are unwrapped together."""
        wrappings = 0
        while len(starts := offset[rows]):
            lengths = columns["length"][rows]
            dissector, at = exported_pdu(data[starts[0] : starts[0] + lengths[0]].tobytes())
            wrappings += 1
            same: Mask = np.zeros(len(starts), bool)
            same[0] = True
            if at and wrappings < _MAX_WRAPPINGS:
                same = _begins(data, starts, lengths, data[starts[0] : starts[0] + at].copy())
            mine, rows = (rows, np.empty(0, np.int64)) if same.all() else _parted(rows, same)
            if dissector == "qmisniff":
                self._tapped(data, mine, at, offset, columns)
            elif dissector in BARE:
                columns["link"][mine] = BARE[dissector]
                offset[mine] += at
                columns["length"][mine] -= np.uint32(at)
                columns["orig_len"][mine] -= np.uint32(at)

    def _tapped(self, data: U1, rows: Rows, at: int, offset: I8, columns: dict[str, Numbers]) -> None:
        """Read the tap headers behind `at` bytes of tags."""
        long = columns["length"][rows] >= at + _TAP.itemsize
        if not long.all():
            rows, _ = _parted(rows, long)
        tap = gather(data, offset[rows] + at, _TAP)
        good = (tap["version"] == TAP_VERSION) & (tap["size"] >= _TAP.itemsize) & _LINKS[tap["link"]]
        if not good.all():
            rows, _ = _parted(rows, good)
            tap = tap[good]
        whole = columns["length"][rows]
        before = np.minimum(at + tap["size"].astype(np.uint32), whole)
        length, original = whole - before, tap["original"].astype(np.uint32)
        offset[rows] += before
        columns["length"][rows] = length
        columns["orig_len"][rows] = np.maximum(original, length)
        columns["link"][rows] = tap["link"]
        columns["hook"][rows] = _HOOKS[tap["hook"]]
        cut = np.where(original > length, np.uint8(Flag.TRUNCATED), np.uint8(0))
        columns["flags"][rows] = tap["flags"] & np.uint8(7) | cut
        columns["cpu"][rows] = tap["cpu"]
        words = tap.view("<u8").reshape(-1, 4)
        columns["task"][rows] = self._tasks.of((words[:, 1] & np.uint64(0xFFFFFFFF), words[:, 2], words[:, 3]))

    def _task(self, words: tuple[int, ...]) -> int:
        """The number of a process id and command as they stand in a tap header."""
        pid, *name = words
        comm = b"".join(word.to_bytes(8, "little") for word in name).split(b"\0", 1)[0]
        return self._names.task((pid - (pid >> 31 << 32), comm.decode("utf-8", "backslashreplace")))


_PCAP = ("seconds", "fraction", "captured", "original")
_PCAPNG = ("code", "length", *(name for name, _ in pcapng.PACKET.fields))


def _triples(rows: I8, starts: I8, ends: I8) -> list[tuple[int, int, int]]:
    return list(zip(rows.tolist(), starts.tolist(), ends.tolist(), strict=True))


def _begins(data: U1, starts: I8, lengths: U4, pattern: U1) -> Mask:
    """Which of the records begin with these bytes."""
    size = len(pattern)
    code = next(code for code in ("u8", "u4", "u1") if size % int(code[1]) == 0)
    begins = lengths >= size
    rows = where(begins)
    words = gather(data, starts[rows], np.dtype(f"V{size}")).view(code).reshape(-1, size // int(code[1]))
    same = np.ones(len(words), bool)
    for column, word in zip(words.T, pattern.view(code), strict=True):
        same &= column == word
    begins[rows] = same
    return begins


def _parted(rows: Rows, mask: Mask) -> tuple[I8, I8]:
    """Those of the rows for which the mask holds, and the others."""
    numbers = np.arange(len(mask)) if isinstance(rows, slice) else rows
    return numbers[mask], numbers[~mask]


def _distinct(numbers: U4) -> list[int]:
    if not len(numbers) or (numbers == numbers[0]).all():
        return [int(number) for number in numbers[:1]]
    return [int(number) for number in np.unique(numbers)]
