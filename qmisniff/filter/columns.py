# SPDX-License-Identifier: GPL-2.0-or-later
"""Tests asked of a store's columns: which rows pass, which fail, and which must be decoded to know."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Iterator
from functools import reduce
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from qmisniff.definitions import Registry
from qmisniff.definitions.model import ADDRESS_SIZE, RESULT_TLV, Address, Bytes, Number, Struct, Text, Tlv, Type
from qmisniff.definitions.words import RESULT
from qmisniff.dissect.tlv import MAX_FIELDS
from qmisniff.filter.catalogue import Type as FieldType
from qmisniff.filter.evaluate import COMPARE, passes
from qmisniff.filter.literals import Network, Value
from qmisniff.filter.resolve import (
    Bits,
    Compared,
    Constant,
    Exists,
    FieldValues,
    Joined,
    Opposite,
    Source,
    Test,
    Within,
    fields,
)
from qmisniff.frame import Flag, Link
from qmisniff.protocol import qmi
from qmisniff.store import Store
from qmisniff.store.columns import Columns

Mask = npt.NDArray[np.bool_]
Numbers = npt.NDArray[Any]

_SIZES = (1, 2, 4, 8)


class Verdict(NamedTuple):
    """Rows that pass and rows that fail; a row in neither must be decoded."""

    yes: Mask
    no: Mask


class Column(NamedTuple):
    """A field with at most one value a row: where `known`, it is `present` with a value or not there at all."""

    values: Numbers
    present: Mask
    known: Mask


class Place(NamedTuple):
    """Where a number lies in one kind of message: at `offset` of the value of a TLV that has exactly `length` bytes."""

    tlv: int
    offset: int
    length: int
    number: Number


class ColumnTests:
    """Asks columns of one store."""

    def __init__(self, store: Store, registry: Registry) -> None:
        self._store = store
        self._registry = registry
        self._places: dict[str, dict[int, Place] | None] = {}

    def verdict(self, test: Test, columns: Columns) -> Verdict:
        """What is sure about each row. A test of `and` and `or` stops asking once every row is sure."""
        match test:
            case Opposite(inner):
                found = self.verdict(inner, columns)
                return Verdict(found.no, found.yes)
            case Joined("and", tests):
                return self._joined(tests, columns, operator.and_, operator.or_)
            case Joined("or", tests):
                return self._joined(tests, columns, operator.or_, operator.and_)
            case Joined(_, tests):
                parts = [self.verdict(each, columns) for each in tests]
                sure = reduce(operator.and_, [part.yes | part.no for part in parts])
                odd = reduce(operator.xor, [part.yes for part in parts])
                return Verdict(sure & odd, sure & ~odd)
        return self._leaf(test, columns)

    def _joined(
        self,
        tests: tuple[Test, ...],
        columns: Columns,
        yes: Callable[[Mask, Mask], Mask],
        no: Callable[[Mask, Mask], Mask],
    ) -> Verdict:
        found = self.verdict(tests[0], columns)
        for each in tests[1:]:
            decided = found.no if no is operator.or_ else found.yes
            if decided.all():
                break
            other = self.verdict(each, columns)
            found = Verdict(yes(found.yes, other.yes), no(found.no, other.no))
        return found

    def _leaf(self, test: Test, columns: Columns) -> Verdict:
        used = list(fields(test))
        column = self._column(used[0], columns) if len(used) == 1 else None
        if column is not None and (outcome := _outcome(test, column)) is not None:
            outcome &= column.present
            return Verdict(column.known & outcome, column.known & ~outcome)
        if {field.name for field in used} == {"tap.comm"}:
            return self._by_task(test, columns)
        if isinstance(test, Exists) and used[0].type is FieldType.HEADING:
            carried, sure = self._carried(used[0].name, columns)
            always = columns.plain & sure & carried if self._is_tlv(used[0].name) else np.zeros(len(columns), bool)
            return Verdict(always, columns.plain & sure & ~carried)
        # Where none of its fields can be, a test is what it is without any value.
        nowhere = reduce(operator.and_, [self._absent(field, columns) for field in used])
        nothing = np.zeros(len(columns), bool)
        return Verdict(nowhere, nothing) if passes(test, _WITHOUT) else Verdict(nothing, nowhere)

    def _by_task(self, test: Test, columns: Columns) -> Verdict:
        task = columns.task
        outcome = np.array([passes(test, _Command(comm)) for _, comm in self._store.tasks], bool)[task]
        return Verdict(outcome, ~outcome)

    # ---- fields as columns ----

    def _column(self, field: FieldValues, columns: Columns) -> Column | None:
        if field.name in _FRAME:
            values, present = _FRAME[field.name](columns)
            return Column(values, _everywhere(present, columns), np.ones(len(columns), bool))
        if field.name in _PLAIN:
            values, present = _PLAIN[field.name](columns)
            return Column(values, _everywhere(present, columns) & columns.plain, columns.plain)
        if field.name in ("qmi.result", "qmi.error"):
            places = {qmi.RESPONSE: _locate(RESULT_TLV, RESULT, "qmi", field.name)}
            return _gather(columns, columns.plain, {kind: place for kind, place in places.items() if place})
        message = self._message(field.name)
        if message is None:
            return None
        if field.name not in self._places:
            self._places[field.name] = self._find(field.name)
        found = self._places[field.name]
        return None if found is None else _gather(columns, self._of(message, columns), found)

    def _absent(self, field: FieldValues, columns: Columns) -> Mask:
        """Rows in which a field is not for sure."""
        column = self._column(field, columns)
        if column is not None:
            return column.known & ~column.present
        carried, sure = self._carried(field.name, columns)
        return columns.plain & sure & ~carried

    def _carried(self, name: str, columns: Columns) -> tuple[Mask, Mask]:
        """Plain messages with the TLV that a name of a message lies in, and those of which that is sure."""
        message = self._message(name)
        if message is None:
            return np.zeros(len(columns), bool), np.zeros(len(columns), bool)
        carried, of = np.zeros(len(columns), bool), self._of(message, columns)
        if not of.any():
            return carried, ~carried
        tlvs = columns.tlvs
        for kind, tlv, _ in self._tlvs(name):
            rows = of & (columns.qmi_type == kind)
            carried[tlvs.index[(tlvs.type == tlv.id) & rows[tlvs.index]]] = True
        return carried, ~(of & tlvs.broken)

    def _is_tlv(self, name: str) -> bool:
        """Is a heading there whenever the TLV is?"""
        return all(path == name and isinstance(tlv.type, Struct) for _, tlv, path in self._tlvs(name))

    def _tlvs(self, name: str) -> Iterator[tuple[int, Tlv, str]]:
        """Kind of message, TLV and its name, for every TLV that a name of a message lies in."""
        parts = name.split(".", 3)
        service = self._registry.service_named(parts[1])
        message = service.message_named(parts[2]) if service else None
        assert service is not None and message is not None
        for kind, section in enumerate(message.tlvs):
            for tlv in section or ():
                path = f"{service.prefix}.{message.name}.{tlv.name}"
                if name == path or name.startswith(f"{path}."):
                    yield kind, tlv, path

    def _of(self, message: tuple[int, int], columns: Columns) -> Mask:
        service, number = message
        found: Mask = columns.plain & (columns.service == service) & (columns.msgid == number)
        return found

    def _message(self, name: str) -> tuple[int, int] | None:
        """Service and id of the only message that a name can occur in."""
        parts = name.split(".", 3)
        service = self._registry.service_named(parts[1]) if len(parts) == 4 and parts[0] == "qmi" else None
        message = service.message_named(parts[2]) if service else None
        return (service.header.id, message.id) if service and message else None

    def _find(self, name: str) -> dict[int, Place] | None:
        """The place of a name in each kind of message that has it; None where one of them is not fixed."""
        found: dict[int, Place] = {}
        for kind, tlv, path in self._tlvs(name):
            place = _locate(tlv.id, tlv.type, path, name)
            if place is None or kind in found:
                return None
            found[kind] = place
        # Wide whole numbers need an array of their own type.
        mixed = len(found) > 1 and any(place.number.size == 8 for place in found.values())
        return None if mixed or not found else found


def _gather(columns: Columns, of: Mask, places: dict[int, Place]) -> Column:
    """A number that lies at a fixed place, from the rows of one message (or, of results, from all plain ones)."""
    size = len(columns)
    known, present = columns.plain.copy(), np.zeros(size, bool)
    fraction = any(place.number.den != 1 or place.number.form == "f" for place in places.values())
    wide = any(place.number.size == 8 and place.number.form == "u" for place in places.values())
    values = np.zeros(size, np.float64 if fraction else np.uint64 if wide else np.int64)
    if not of.any():
        return Column(values, present, known)
    tlvs = columns.tlvs
    for kind, place in places.items():
        rows = of & (columns.qmi_type == kind)
        hit = np.flatnonzero((tlvs.type == place.tlv) & rows[tlvs.index])
        index = tlvs.index[hit].astype(np.intp)
        count = np.bincount(index, minlength=size)
        # A message of so many bytes may have more fields than the dissector takes.
        odd = rows & (tlvs.broken | (count > 1) | (columns.tlv_length > MAX_FIELDS))
        right = tlvs.length[hit] == place.length
        odd[index[~right]] = True
        hit, index = hit[right], index[right]
        known[odd] = False
        number = place.number
        code = f"{'>' if number.big_endian else '<'}{number.form}{number.size}"
        raw = columns.take(tlvs.value[hit] + place.offset, number.size).view(code)[:, 0]
        present[index] = True
        values[index] = _shown(raw, number)
    present &= known
    return Column(values, present, known)


def _shown(raw: Numbers, number: Number) -> Numbers:
    """Raw numbers as the dissector shows them."""
    if number.truth:
        return np.asarray(raw != 0)
    if number.form == "f":
        raw = raw.astype(np.float64)
    if number.num != 1:
        raw = (raw if number.form == "f" else raw.astype(np.int64)) * int(number.num)
    return raw if number.den == 1 else np.asarray(raw / np.float64(number.den))


def _locate(tlv: int, kind: Type, path: str, name: str) -> Place | None:
    """Where in the value of a TLV a number lies; None where that, or the value's length, is not fixed."""
    length = _fixed_size(kind)
    leaves: Iterable[tuple[str, Type]] = [(path, kind)]
    if length is None:
        return None
    at = 0
    while leaves:
        (here, each), *rest = leaves
        if isinstance(each, Struct):
            leaves = [(f"{here}.{inner}", part) for inner, part in each.fields] + rest
            continue
        if here == name:
            exact = isinstance(each, Number) and each.size in _SIZES and (each.size < 8 or each.num == each.den == 1)
            return Place(tlv, at, length, each) if exact and isinstance(each, Number) else None
        at += _fixed_size(each) or 0
        leaves = rest
    return None


def _fixed_size(kind: Type) -> int | None:
    match kind:
        case Number():
            return kind.size
        case Address():
            return ADDRESS_SIZE[kind.form]
        case Text(length=length) | Bytes(length=length) if length.form == "fixed":
            return length.size
        case Struct():
            sizes = [_fixed_size(each) for _, each in kind.fields]
            return None if None in sizes else sum(size or 0 for size in sizes)
    return None


# ---- tests of one column ----


def _outcome(test: Test, column: Column) -> Mask | None:
    """Which rows pass, were the field there in all; None for tests that need more than a number for each row."""
    match test:
        case Exists(FieldValues()):
            return np.ones(len(column.values), bool)
        case Exists(Bits() as source) if (values := _values(source, column)) is not None:
            return np.asarray(values != 0)
        case Compared(word, _, left, Constant(value)) if isinstance(value, int | float):
            values = _values(left, column)
            return None if values is None else np.asarray(COMPARE[word](values, value))
        case Within(FieldValues(), single, between) if column.values.ndim == 1:
            return _within(column.values, single, between)
    return None


def _values(source: Source, column: Column) -> Numbers | None:
    match source:
        case FieldValues():
            return column.values
        case Bits(FieldValues(), mask) if isinstance(mask, int) and mask < 2**63 and column.values.dtype == np.int64:
            return column.values & mask
    return None


def _within(
    values: Numbers, single: tuple[Value | Network, ...], between: tuple[tuple[Value, Value], ...]
) -> Mask | None:
    passed = np.zeros(len(values), bool)
    for each in single:
        if not isinstance(each, int | float):
            return None
        passed |= values == each
    for low, high in between:
        passed |= (values >= low) & (values <= high)
    return passed


class _Without:
    """A frame without a single field."""

    def values(self, field: FieldValues) -> tuple[Value, ...]:
        return ()


_WITHOUT = _Without()


class _Command:
    """A frame of which only the command that sent it is known."""

    def __init__(self, comm: str) -> None:
        self._values = (comm.encode("utf-8", "surrogatepass"),) if comm else ()

    def values(self, field: FieldValues) -> tuple[Value, ...]:
        return self._values


# ---- the columns that are fields: values, and where they are (True: everywhere) ----

_Made = tuple[Numbers, Mask | bool]


def _everywhere(present: Mask | bool, columns: Columns) -> Mask:
    return np.full(len(columns), present) if isinstance(present, bool) else present


def _whole(numbers: Numbers) -> Numbers:
    return numbers.astype(np.int64)


def _response_to(columns: Columns) -> _Made:
    return columns.partner + 1, (columns.partner >= 0) & (columns.qmi_type == qmi.RESPONSE)


_FRAME: dict[str, Callable[[Columns], _Made]] = {
    "frame": lambda c: (np.zeros(len(c), np.int64), True),
    "tap": lambda c: (np.zeros(len(c), np.int64), True),
    "frame.number": lambda c: (np.arange(c.first + 1, c.first + 1 + len(c), dtype=np.int64), True),
    "frame.time": lambda c: (c.ts_ns, True),
    "frame.time_epoch": lambda c: (c.ts_ns, True),
    "frame.len": lambda c: (_whole(c.orig_len), True),
    "frame.cap_len": lambda c: (_whole(c.length), True),
    "tap.hook": lambda c: (_whole(c.hook), True),
    "tap.direction": lambda c: (_whole(c.direction), True),
    "tap.pid": lambda c: (_whole(c.pid), c.pid >= 0),
    "tap.cpu": lambda c: (_whole(c.cpu), c.cpu >= 0),
    "tap.synthetic": lambda c: (_whole(c.flags & Flag.SYNTHETIC.value != 0), True),
    "tap.lost": lambda c: (c.lost, c.lost > 0),
}
_PLAIN: dict[str, Callable[[Columns], _Made]] = {
    "qrtr": lambda c: (np.zeros(len(c), np.int64), c.link == Link.QRTR),
    "qmux": lambda c: (np.zeros(len(c), np.int64), c.link == Link.QMUX),
    "qmi": lambda c: (np.zeros(len(c), np.int64), True),
    "qrtr.ctrl": lambda c: (np.zeros(len(c), np.int64), False),
    "qrtr.type": lambda c: (_whole(c.qrtr_type), c.link == Link.QRTR),
    "qrtr.src_node": lambda c: (_whole(c.src_node), c.link == Link.QRTR),
    "qrtr.src_port": lambda c: (_whole(c.src_port), c.link == Link.QRTR),
    "qrtr.dst_node": lambda c: (_whole(c.dst_node), c.link == Link.QRTR),
    "qrtr.dst_port": lambda c: (_whole(c.dst_port), c.link == Link.QRTR),
    "qmi.service": lambda c: (c.service, c.service >= 0),
    "qmi.instance": lambda c: (c.instance, c.instance >= 0),
    "qmi.type": lambda c: (_whole(c.qmi_type), True),
    "qmi.compound": lambda c: (_whole(c.compound), True),
    "qmi.txn": lambda c: (_whole(c.txn), True),
    "qmi.msgid": lambda c: (_whole(c.msgid), True),
    "qmi.length": lambda c: (_whole(c.tlv_length), True),
    "qmi.response_to": _response_to,
    "qmi.response_in": lambda c: (c.partner + 1, (c.partner >= 0) & (c.qmi_type != qmi.RESPONSE)),
    "qmi.time": lambda c: (c.response_ns / 1e9, (c.partner >= 0) & (c.qmi_type == qmi.RESPONSE)),
}
HEADERS = frozenset(_FRAME) | frozenset(_PLAIN)  # the names of all of them
