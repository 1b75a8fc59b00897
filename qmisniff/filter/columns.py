# SPDX-License-Identifier: GPL-2.0-or-later
"""Tests asked of a store's columns and of its bytes: which rows pass, which fail, and which must be decoded to know."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import reduce

import numpy as np

from qmisniff.definitions import Registry
from qmisniff.definitions.model import RESULT_TLV, Message, Tlv
from qmisniff.definitions.registry import Service
from qmisniff.definitions.words import RESULT
from qmisniff.filter.descriptions import COMPLAINTS, Descriptions
from qmisniff.filter.evaluate import WITHOUT, passes
from qmisniff.filter.header_fields import HEADERS, absent_column, header_column
from qmisniff.filter.layer_bytes import LAYERS, by_bytes
from qmisniff.filter.literals import Value
from qmisniff.filter.places import Place, gather, locate, together
from qmisniff.filter.resolve import Compared, FieldValues, Joined, Opposite, Test, fields
from qmisniff.filter.tlv_fields import HEADS, InOneTlv, OneTlv, by_heads
from qmisniff.filter.usb_fields import USB_HEADERS, usb_column
from qmisniff.filter.verdict import Column, Verdict, outcome
from qmisniff.protocol import qmi, qrtr
from qmisniff.protocol.arrays import Mask, Numbers
from qmisniff.store import Store
from qmisniff.store.columns import Columns, Transfers

_KEPT = 1 << 16  # answers about combinations of values
_NAMES = frozenset({"tap.comm", "frame.interface_name"})  # texts that many frames share
_TRANSFERRED: dict[str, Callable[[Transfers], Numbers]] = {
    "qmi": lambda transfers: transfers.service,
    "qmux": lambda transfers: transfers.service,
    "qmi.service": lambda transfers: transfers.service,
    "qmi.type": lambda transfers: transfers.type,
    "qmi.txn": lambda transfers: transfers.txn,
    "qmi.msgid": lambda transfers: transfers.msgid,
}
_OF_MESSAGES = ("qmi", "qmux", "qrtr", "mbim", "tftp", "protobuf")


class ColumnTests:
    """Asks columns of one store."""

    def __init__(self, store: Store, registry: Registry) -> None:
        self._store = store
        self._registry = registry
        self._places: dict[str, dict[int, Place]] = {}
        # By id() of the test: the filter keeps its tests.
        self._in_tlv: dict[int, InOneTlv | None] = {}
        self._answers: dict[int, dict[tuple[Value | None, ...], bool]] = {}
        self._descriptions = Descriptions(registry)

    def verdict(self, test: Test, columns: Columns, wanted: Mask | None = None) -> Verdict:
        """What is sure about each row that is wanted (all of them). What is asked of all rows at once comes first; a
        test of `and` and `or` stops once every row is sure."""
        wanted = np.ones(len(columns), bool) if wanted is None else wanted
        match test:
            case Opposite(inner):
                found = self.verdict(inner, columns, wanted)
                return Verdict(found.no, found.yes)
            case Joined("xor", tests):
                parts = [self.verdict(each, columns, wanted) for each in tests]
                sure = reduce(operator.and_, [part.yes | part.no for part in parts])
                odd = reduce(operator.xor, [part.yes for part in parts])
                return Verdict(sure & odd, sure & ~odd)
            case Joined(word, tests):
                return self._joined(word, tests, columns, wanted)
        found = self._leaf(test, columns, wanted)
        names = {field.name for field in fields(test)}
        if not all(name.startswith(_OF_MESSAGES) for name in names) or columns.transfers is None:
            return found
        return self._with_transfers(test, names, found, columns.transfers)

    def _with_transfers(self, test: Test, names: set[str], found: Verdict, transfers: Transfers) -> Verdict:
        """The verdict, with what is known about USB requests: those without a message, and those with another one than
        the test is about."""
        about = {self._message(name) for name in names}
        without, passed = transfers.idle, np.full(len(transfers.idle), passes(test, WITHOUT))
        (only, *others) = names
        if not others and only in _TRANSFERRED:
            values = _TRANSFERRED[only](transfers)
            if (column := outcome(test, values)) is not None:
                without, passed = without | transfers.sure, np.where(transfers.sure, column, passed)
        elif len(about) == 1 and (one := about.pop()) is not None:
            other = (transfers.service != one[0].header.id) | (transfers.msgid != one[1].id)
            without = without | transfers.sure & other
        return Verdict(found.yes | without & passed, found.no | without & ~passed)

    def _joined(self, word: str, tests: Sequence[Test], columns: Columns, wanted: Mask) -> Verdict:
        first, *rest = sorted(tests, key=_cost)
        found = self.verdict(first, columns, wanted)
        for each in rest:
            wanted = wanted & ~(found.no if word == "and" else found.yes)
            if not wanted.any():
                break
            other = self.verdict(each, columns, wanted)
            if word == "and":
                found = Verdict(found.yes & other.yes, found.no | other.no)
            else:
                found = Verdict(found.yes | other.yes, found.no & other.no)
        return found

    def _leaf(self, test: Test, columns: Columns, wanted: Mask) -> Verdict:
        used = list({field.name: field for field in fields(test)}.values())
        names = frozenset(field.name for field in used)
        if len(used) == 1:
            name = used[0].name
            if name in _NAMES:
                return self._by_name(test, name, columns)
            if name in qrtr.ENDS and (verdict := self._by_ends(test, name, columns)) is not None:
                return verdict
            column = self.column(name, columns)
            if column is not None and (found := outcome(test, column.values)) is not None:
                return column.verdict(found)
            if name in HEADS and (verdict := by_heads(test, name, columns)) is not None:
                return verdict
            if name == qmi.TLV_VALUE.name:
                return self._descriptions.by_unknown(test, columns, wanted)
        if names <= LAYERS:
            return by_bytes(test, names, columns, wanted)
        made = [self.column(field.name, columns) for field in used]
        if all(made):
            return self._by_values(test, used, [column for column in made if column], columns, wanted)
        if (alone := self._alone(test, used)) is not None:
            return alone.verdict(columns, wanted)
        # Where none of its fields can be, a test is what it is without any value.
        nowhere = reduce(operator.and_, [self._absent(field, columns, wanted) for field in used])
        nothing = np.zeros(len(columns), bool)
        return Verdict(nowhere, nothing) if passes(test, WITHOUT) else Verdict(nothing, nowhere)

    # ---- tests of columns that numpy does not know ----

    def _by_name(self, test: Test, name: str, columns: Columns) -> Verdict:
        store = self._store
        texts = [comm for _, comm in store.tasks] if name == "tap.comm" else [origin.name for origin in store.origins]
        encoded = [(text.encode("utf-8", "surrogatepass"),) if text else () for text in texts]
        passed = np.array([passes(test, _Cells({name: values})) for values in encoded], bool)
        found = passed[columns.task if name == "tap.comm" else columns.origin]
        return Verdict(found, ~found)

    def _by_ends(self, test: Test, name: str, columns: Columns) -> Verdict | None:
        """A test of both ends of a packet: any of the two passes, or both must. None where it asks for more."""
        sides = [header_column(each, columns) for each in qrtr.ENDS[name]]
        found = [outcome(test, side.values) for side in sides if side is not None]
        passed = [each for each in found if each is not None]
        if sides[0] is None or len(passed) < len(sides):
            return None
        every = isinstance(test, Compared) and test.every
        return sides[0].verdict(reduce(operator.and_ if every else operator.or_, passed))

    def _by_values(
        self, test: Test, used: list[FieldValues], made: list[Column], columns: Columns, wanted: Mask
    ) -> Verdict:
        """A test of several columns, or of what a function makes of one: each different combination is asked once."""
        known = reduce(operator.and_, [column.known for column in made]) & wanted
        rows = np.flatnonzero(known)
        cells = [
            [value if there else None for value, there in zip(values, present, strict=True)]
            for values, present in ((column.values[rows].tolist(), column.present[rows].tolist()) for column in made)
        ]
        answers = self._answers.setdefault(id(test), {})
        found = []
        for values in zip(*cells, strict=True):
            answer = answers.get(values)
            if answer is None:
                named = zip(used, values, strict=True)
                frame = _Cells({field.name: () if each is None else (each,) for field, each in named})
                if len(answers) >= _KEPT:
                    answers.clear()
                answer = answers[values] = passes(test, frame)
            found.append(answer)
        passed = np.zeros(len(columns), bool)
        passed[rows] = found
        return Verdict(known & passed, known & ~passed)

    # ---- fields ----

    def column(self, name: str, columns: Columns) -> Column | None:
        """The column of a field that has at most one value a row, a number; None of any other."""
        if name in HEADERS:
            return header_column(name, columns)
        if name in USB_HEADERS:
            return usb_column(name, columns)
        if name not in self._places:
            self._places[name] = self._find(name)
        places = self._places[name]
        return gather(columns, self._of(name, columns), places) if places else None

    def _find(self, name: str) -> dict[int, Place]:
        """The place of a name in each kind of message that has it; none where one of them is not fixed."""
        if name in ("qmi.result", "qmi.error"):
            place = locate(RESULT_TLV, RESULT, "qmi", name)
            return {qmi.RESPONSE: place} if place else {}
        found: dict[int, Place] = {}
        for kind, tlv, path in self._tlvs(name):
            place = locate(tlv.id, tlv.type, path, name)
            if place is None or kind in found:
                return {}
            found[kind] = place
        return found if together(found) else {}

    def _alone(self, test: Test, used: list[FieldValues]) -> InOneTlv | None:
        """How to ask about one TLV alone, where all fields of the test lie in the same."""
        if id(test) not in self._in_tlv:
            tlv = self.one_tlv(*(field.name for field in used))
            self._in_tlv[id(test)] = InOneTlv(test, tlv) if tlv else None
        return self._in_tlv[id(test)]

    def one_tlv(self, *names: str) -> OneTlv | None:
        """The TLV that all fields of these names lie in; None where they are in several, or in none."""
        service, message = self._message(names[0]) or (None, None)
        places, *others = [list(self._tlvs(name)) for name in names]
        tlvs = {kind: (tlv, path) for kind, tlv, path in places}
        one = len(tlvs) == len(places) and all(each == places for each in others)
        return OneTlv(service, message, tlvs) if service and message and one else None

    def _absent(self, field: FieldValues, columns: Columns, wanted: Mask) -> Mask:
        """Rows in which a field is not for sure."""
        if field.name in COMPLAINTS:
            return self._descriptions.right(columns, wanted)
        if (absent := absent_column(field.name, columns)) is not None:
            return absent
        column = self.column(field.name, columns)
        if column is not None:
            return column.known & ~column.present
        return self._absent_tlv(field.name, columns)

    def _absent_tlv(self, name: str, columns: Columns) -> Mask:
        """Plain rows without the TLV that a name of a message lies in."""
        if self._message(name) is None:
            return np.zeros(len(columns), bool)
        of = self._of(name, columns)
        if not of.any():
            return columns.plain
        tlvs = columns.tlvs_of(of)
        absent = columns.plain & ~(of & tlvs.broken)
        for kind, tlv, _ in self._tlvs(name):
            rows = of & (columns.qmi_type == kind)
            absent[tlvs.index[(tlvs.type == tlv.id) & rows[tlvs.index]]] = False
        return absent

    def _tlvs(self, name: str) -> Iterator[tuple[int, Tlv, str]]:
        """Kind of message, TLV and its name, for every TLV that a name of a message lies in."""
        service, message = self._message(name) or (None, None)
        for kind, section in enumerate(message.tlvs if message else ()):
            for tlv in section or ():
                path = f"{service.prefix}.{message.name}.{tlv.name}" if service and message else ""
                if name == path or name.startswith(f"{path}."):
                    yield kind, tlv, path

    def _of(self, name: str, columns: Columns) -> Mask:
        """Rows of the only message that a name can occur in; of the result's names, all plain rows."""
        service, message = self._message(name) or (None, None)
        if service is None or message is None:
            return columns.plain
        found: Mask = columns.plain & (columns.service == service.header.id) & (columns.msgid == message.id)
        return found

    def _message(self, name: str) -> tuple[Service, Message] | None:
        """The only message that a name can occur in."""
        parts = name.split(".", 3)
        service = self._registry.service_named(parts[1]) if len(parts) == 4 and parts[0] == "qmi" else None
        message = service.message_named(parts[2]) if service else None
        return (service, message) if service and message else None


class _Cells:
    """A frame of which a few fields are known."""

    def __init__(self, cells: Mapping[str, tuple[Value, ...]]) -> None:
        self._cells = cells

    def values(self, field: FieldValues) -> tuple[Value, ...]:
        return self._cells[field.name]


def _cost(test: Test) -> int:
    """How late a test is best asked, among others: what all rows are asked about in one step comes first."""
    return max(_field_cost(field) for field in fields(test))


def _field_cost(field: FieldValues) -> int:
    if field.name in LAYERS:
        return 2
    if field.name in HEADERS | USB_HEADERS | _NAMES | qrtr.ENDS.keys():
        return 0
    return 1 if field.name.count(".") > 2 or field.name in ("qmi.result", "qmi.error", *HEADS) else 3
