# SPDX-License-Identifier: GPL-2.0-or-later
"""Records of a mapped file as columns: what `qmisniff.capture_file.frame_of` says of one record, for many at once."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from qmisniff import pcapng
from qmisniff.capture_file import (
    BARE,
    EXPORTED_PDU,
    TAP_FIELDS,
    TAP_VERSION,
    USER0,
    exported_pdu,
    frame_of,
    origin_of,
)
from qmisniff.frame import Flag, Hook, Link
from qmisniff.pcapng import MAX_TS_NS, Interface, Record
from qmisniff.store.blocks import Run
from qmisniff.store.chunk import COLUMNS, Names
from qmisniff.store.headers import I8, U1, U4, U8, Any1, Mask, gather

_NS = 1_000_000_000
_CODES = {"B": "u1", "H": "<u2", "i": "<i4", "I": "<u4", "q": "<i8", "x": "V1", "16s": "V16"}
_TAP = np.dtype([(name, _CODES[code]) for name, code in TAP_FIELDS])
_MAX_WRAPPINGS = 32  # different tag lists of exported PDUs in one run; beyond that records are read one by one
_MAX_OPTIONS = 6  # of a record; the same
_MAX_TASKS = 1 << 16
_LINKS = np.isin(np.arange(256), [link.value for link in Link])
_HOOKS = np.where(np.isin(np.arange(256), [hook.value for hook in Hook]), np.arange(256), Hook.NONE).astype(np.uint8)


class Frames(NamedTuple):
    """Rows of frames as columns (`chunk.COLUMNS` and their times), and the rows that lost something."""

    ts_ns: I8
    columns: dict[str, Any1]
    lost: dict[int, int]


class Describer:
    """Makes the columns of a file's records, run by run."""

    def __init__(self, data: U1, names: Names) -> None:
        self._data = data
        self._names = names
        self._tasks = _Tasks(names)
        self._origins: dict[int, tuple[Interface, int]] = {}

    def one_by_one(self, records: list[Record]) -> Frames:
        """The columns of records that were read one at a time."""
        rows = []
        lost = {}
        for row, record in enumerate(records):
            number = self._origin(record.interface)
            frame = frame_of(record, self._names.origins[number])
            simple = self._data[record.offset] == pcapng.SIMPLE_PACKET.code or (
                self._data[record.offset + 3] == pcapng.SIMPLE_PACKET.code
            )
            end = record.offset + (12 if simple else 28) + len(record.data)
            if frame.lost:
                lost[row] = frame.lost
            rows.append(
                (
                    frame.ts_ns, end - len(frame.data), len(frame.data), frame.orig_len,
                    self._names.task((frame.pid, frame.comm)), number, frame.cpu & 0xFFFF, frame.link, frame.direction,
                    frame.hook, frame.flags,
                )
            )  # fmt: skip
        table: list[tuple[int, ...]] = list(zip(*rows, strict=True))
        columns: dict[str, Any1] = {
            name: np.array(column, code) for (name, code), column in zip(COLUMNS.items(), table[1:], strict=True)
        }
        return Frames(np.array(table[0], np.int64), columns, lost)

    def run(self, run: Run) -> Frames:
        """The columns of a run of records."""
        starts, count = run.starts, len(run.starts)
        lost: dict[int, int] = {}
        direction = np.zeros(count, np.uint8)
        if run.classic:
            head = gather(self._data, starts, np.dtype([(name, run.order + "u4") for name in _PCAP]))
            interface = np.zeros(count, np.uint32)
            place = starts + head.itemsize
            seconds, fraction = (head[name].astype(np.int64) for name in ("seconds", "fraction"))
            ts_ns = seconds * _NS + fraction * (_NS // run.interfaces[0].ticks)
        else:
            head = gather(self._data, starts, np.dtype([(name, run.order + "u4") for name in _PCAPNG]))
            interface = head["interface"]
            place = starts + head.itemsize
            ts_ns = self._times(head, interface, run.interfaces)
            self._options(run, head, direction, lost)
        captured, original = head["captured"].astype(np.int64), head["original"].astype(np.int64)
        columns: dict[str, Any1] = {
            "offset": place,
            "length": captured,
            "orig_len": np.maximum(original, captured),
            "task": np.full(count, self._names.task((-1, "")), np.uint32),
            "cpu": np.full(count, 0xFFFF, np.uint16),
            "link": np.full(count, Link.OTHER, np.uint8),
            "direction": direction,
            "hook": np.zeros(count, np.uint8),
            "flags": np.where(original > captured, np.uint8(Flag.TRUNCATED), np.uint8(0)),
        }
        columns["origin"] = np.empty(count, np.uint32)
        for number in _distinct(interface):
            rows = interface == number
            columns["origin"][rows] = self._origin(run.interfaces[number])
            link_type = run.interfaces[number].link_type
            if link_type == USER0:
                columns["link"][rows] = Link.QMUX
            elif link_type == EXPORTED_PDU:
                self._exported(np.flatnonzero(rows), columns)
        typed = {name: columns[name].astype(code, copy=False) for name, code in COLUMNS.items()}
        return Frames(ts_ns, typed, lost)

    def _origin(self, interface: Interface) -> int:
        known = self._origins.get(id(interface))
        if known is None:  # the interface is kept so that its id stays its own
            known = self._origins[id(interface)] = (interface, self._names.origin(origin_of(interface)))
        return known[1]

    def _times(self, head: Any1, interface: U4, interfaces: list[Interface]) -> I8:
        ts = head["ts_high"].astype(np.uint64) << np.uint64(32) | head["ts_low"]
        result = np.empty(len(ts), np.int64)
        for number in _distinct(interface):
            rows = interface == number
            clock = interfaces[number]
            if clock.offset_s == 0 and _NS % clock.ticks == 0:
                factor = _NS // clock.ticks
                bounded = np.minimum(ts[rows], np.uint64(MAX_TS_NS // factor + 1))
                result[rows] = np.minimum(bounded * np.uint64(factor), np.uint64(MAX_TS_NS)).astype(np.int64)
            else:
                result[rows] = [pcapng.in_ns(each, clock) for each in ts[rows].tolist()]
        return result

    def _options(self, run: Run, head: Any1, direction: U1, lost: dict[int, int]) -> None:
        """Take direction and loss from the options behind the data."""
        size = head.itemsize
        rows = np.flatnonzero(head["length"] - size - 4 - (head["captured"].astype(np.int64) + 3 & ~3) >= 4)
        at = run.starts[rows] + size + (head["captured"][rows].astype(np.int64) + 3 & ~3)
        end = run.starts[rows] + head["length"][rows] - 4
        option = np.dtype([("code", run.order + "u2"), ("size", run.order + "u2")])
        known_flags, known_lost = np.zeros(len(run.starts), bool), np.zeros(len(run.starts), bool)
        one_by_one: list[int] = []
        for _ in range(_MAX_OPTIONS):
            if not len(rows):
                break
            found = gather(self._data, at, option)
            code, length = found["code"], found["size"].astype(np.int64)
            value = at + 4
            whole = (code != pcapng.OPT_END) & (value + length <= end)
            flags = whole & (code == pcapng.EPB_FLAGS) & ~known_flags[rows]
            drops = whole & (code == pcapng.EPB_DROPCOUNT) & ~known_lost[rows]
            odd = flags & (length != 4) | drops & (length != 8)
            one_by_one += rows[odd].tolist()
            flags &= ~odd
            drops &= ~odd
            known_flags[rows[flags]] = True
            known_lost[rows[drops]] = True
            bits = gather(self._data, value[flags], np.dtype(run.order + "u4")) & 3
            direction[rows[flags]] = np.where(bits < 3, bits, 0)
            dropped = gather(self._data, value[drops], np.dtype(run.order + "u8"))
            pairs = zip(rows[drops].tolist(), dropped.tolist(), strict=True)
            lost.update((row, count) for row, count in pairs if count)
            at = value + (length + 3 & ~3)
            more = whole & ~odd & (at + 4 <= end)
            rows, at, end = rows[more], at[more], end[more]
        for row in one_by_one + rows.tolist():
            begin, padded = int(run.starts[row]), int(head["captured"][row]) + 3 & ~3
            body = self._data[begin + size : begin + int(head["length"][row]) - 4].tobytes()
            options = pcapng.parse_options(body, padded, run.order)
            toward = pcapng.option_number(options.get(pcapng.EPB_FLAGS), run.order) & 3
            direction[row] = toward if toward < 3 else 0
            lost.pop(row, None)
            if count := pcapng.option_number(options.get(pcapng.EPB_DROPCOUNT), run.order):
                lost[row] = count

    def _exported(self, rows: I8, columns: dict[str, Any1]) -> None:
        """Unwrap exported PDUs: records that begin with the same tags are unwrapped together."""
        wrappings = 0
        while len(rows):
            place, size = int(columns["offset"][rows[0]]), int(columns["length"][rows[0]])
            dissector, at = exported_pdu(self._data[place : place + size].tobytes())
            wrappings += 1
            same: Mask = np.zeros(len(rows), bool)
            same[0] = True
            if at and wrappings < _MAX_WRAPPINGS:
                tags = np.dtype(("u1", (at,)))
                long = np.flatnonzero(columns["length"][rows] >= at)
                begin = gather(self._data, columns["offset"][rows[long]], np.dtype(f"V{at}"))
                wide = "u4" if at % 4 == 0 else tags.base
                pattern = self._data[place : place + at].copy().view(wide)
                same[long] = (begin.view(wide).reshape(len(long), -1) == pattern).all(axis=1)
            mine, rows = rows[same], rows[~same]
            if dissector == "qmisniff":
                self._tapped(mine, at, columns)
            elif dissector in BARE:
                columns["link"][mine] = BARE[dissector]
                columns["offset"][mine] += at
                columns["length"][mine] -= at
                columns["orig_len"][mine] -= at

    def _tapped(self, rows: I8, at: int, columns: dict[str, Any1]) -> None:
        """Read the tap headers behind `at` bytes of tags."""
        rows = rows[columns["length"][rows] >= at + _TAP.itemsize]
        tap = gather(self._data, columns["offset"][rows] + at, _TAP)
        good = (tap["version"] == TAP_VERSION) & (tap["size"] >= _TAP.itemsize) & _LINKS[tap["link"]]
        if not good.all():
            rows, tap = rows[good], tap[good]
        before = np.minimum(at + tap["size"].astype(np.int64), columns["length"][rows])
        length = columns["length"][rows] - before
        original = tap["original"].astype(np.int64)
        columns["offset"][rows] += before
        columns["length"][rows] = length
        columns["orig_len"][rows] = np.maximum(original, length)
        columns["link"][rows] = tap["link"]
        columns["hook"][rows] = _HOOKS[tap["hook"]]
        cut = np.where(original > length, np.uint8(Flag.TRUNCATED), np.uint8(0))
        columns["flags"][rows] = tap["flags"] & np.uint8(7) | cut
        columns["cpu"][rows] = tap["cpu"]
        columns["task"][rows] = self._tasks.numbers(tap["pid"], tap["comm"])


_PCAP = ("seconds", "fraction", "captured", "original")
_PCAPNG = ("code", "length", *(name for name, _ in pcapng.PACKET.fields))


class _Tasks:
    """Numbers of process id and command as they stand in tap headers; those met before are found by a hash."""

    def __init__(self, names: Names) -> None:
        self._names = names
        self._hashes: U8 = np.empty(0, np.uint64)
        self._raw: Any1 = np.empty(0, _TASK)
        self._numbers: U4 = np.empty(0, np.uint32)

    def numbers(self, pid: Any1, comm: Any1) -> U4:
        """The number of each pair."""
        raw = np.empty(len(pid), _TASK)
        raw["pid"] = pid
        words = np.ascontiguousarray(comm).view("<u8").reshape(-1, 2)
        raw["begin"], raw["rest"] = words[:, 0], words[:, 1]
        hashes = _hash(raw)
        result = np.zeros(len(raw), np.uint32)
        new = np.ones(len(raw), bool)
        if len(self._hashes):
            place = np.minimum(np.searchsorted(self._hashes, hashes), len(self._hashes) - 1)
            new = np.zeros(len(raw), bool)
            for name in _TASK.names or ():
                new |= self._raw[name][place] != raw[name]
            result = self._numbers[place]
        if new.any():
            distinct, inverse = np.unique(raw[new], return_inverse=True)
            numbers = np.array([self._number(each) for each in distinct], np.uint32)
            result[new] = numbers[inverse]
            if len(self._hashes) + len(distinct) <= _MAX_TASKS:
                self._raw = np.concatenate([self._raw, distinct])
                self._numbers = np.concatenate([self._numbers, numbers])
                order = np.argsort(_hash(self._raw), kind="stable")
                self._raw, self._numbers = self._raw[order], self._numbers[order]
                self._hashes = _hash(self._raw)
        return result

    def _number(self, raw: Any) -> int:
        comm = (int(raw["begin"]) | int(raw["rest"]) << 64).to_bytes(16, "little")
        return self._names.task((int(raw["pid"]), comm.split(b"\0", 1)[0].decode("utf-8", "backslashreplace")))


_TASK = np.dtype([("pid", "<i4"), ("begin", "<u8"), ("rest", "<u8")])


def _hash(raw: Any1) -> U8:
    mixed: U8 = raw["begin"] * np.uint64(0x9E3779B97F4A7C15) ^ raw["rest"] * np.uint64(0xC2B2AE3D27D4EB4F)
    return mixed + raw["pid"].astype(np.uint64) * np.uint64(0x165667B19E3779F9)


def _distinct(numbers: U4) -> list[int]:
    if not len(numbers) or (numbers == numbers[0]).all():
        return [int(number) for number in numbers[:1]]
    return [int(number) for number in np.unique(numbers)]
