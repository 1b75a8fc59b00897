# SPDX-License-Identifier: GPL-2.0-or-later
"""Tests of what lies in TLVs: their types and lengths by the index, their fields by the bytes of one TLV alone.

A TLV's value is decoded on its own, each different one once: traffic repeats itself.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import repeat
from typing import Any, Generic, NamedTuple, TypeVar

import numpy as np

from qmisniff.definitions.model import Message, Text, Tlv
from qmisniff.definitions.registry import Service
from qmisniff.dissect.tlv import MAX_FIELDS, TlvDecoder
from qmisniff.field import Field
from qmisniff.filter.catalogue import Type
from qmisniff.filter.evaluate import COMPARE, WITHOUT, compared, passes
from qmisniff.filter.literals import Value
from qmisniff.filter.resolve import Called, Compared, Constant, Exists, FieldValues, Test
from qmisniff.filter.verdict import Verdict, outcome
from qmisniff.protocol.arrays import Mask, Numbers
from qmisniff.store.columns import Columns

T = TypeVar("T")

_KEPT = 1 << 16  # answers about values, and
_KEPT_SIZE = 512  # bytes of the largest value of which the answer is kept


class Asked(Generic[T]):
    """Answers about bytes, remembered."""

    def __init__(self, answer: Callable[[int, bytes], T]) -> None:
        self._answer = answer
        self._known: dict[tuple[int, bytes], T] = {}

    def all(self, values: Iterable[tuple[int, bytes]]) -> list[T]:
        """The answer for each of these bytes; the number with them tells what they are the value of."""
        known, answers = self._known, []
        for key in values:
            found = known.get(key)
            if found is None:
                found = self._answer(*key)
                if len(key[1]) <= _KEPT_SIZE:
                    if len(known) >= _KEPT:
                        known.clear()
                    known[key] = found
            answers.append(found)
        return answers


def values_of(columns: Columns, places: Numbers, lengths: Numbers) -> Iterable[bytes]:
    """The bytes at these places of the buffer."""
    buffer = columns.buffer.data
    return (bytes(buffer[at : at + size]) for at, size in zip(places.tolist(), lengths.tolist(), strict=True))


class Hits(NamedTuple):
    """Rows that have a TLV once, as its only one of the kind: their places in the columns, and its values."""

    kind: int
    places: Numbers
    values: Iterable[bytes]


class OneTlv:
    """A TLV of a message, each kind of which may have its own: `tlvs` has them, with their names."""

    def __init__(self, service: Service, message: Message, tlvs: Mapping[int, tuple[Tlv, str]]) -> None:
        self._service = service.header.id
        self._message = message.id
        self.decoders = {kind: TlvDecoder(tlv, path, service.enums) for kind, (tlv, path) in tlvs.items()}

    def hits(self, columns: Columns, wanted: Mask) -> tuple[Mask, list[Hits]]:
        """Of the rows that are wanted: those which are sure not to have the TLV, and its values in others."""
        of = columns.plain & (columns.service == self._service) & (columns.msgid == self._message)
        absent, found = columns.plain & wanted, list[Hits]()
        if not (of & wanted).any():
            return absent, found
        tlvs = columns.tlvs_of(of & wanted)
        absent &= ~(of & (tlvs.broken | (columns.tlv_length > MAX_FIELDS)))
        for kind, decoder in self.decoders.items():
            rows = absent & of & (columns.qmi_type == kind)
            hit = np.flatnonzero((tlvs.type == decoder.tlv.id) & rows[tlvs.index])
            index = tlvs.index[hit].astype(np.intp)
            absent[index] = False
            once = np.bincount(index, minlength=len(columns))[index] == 1
            values = values_of(columns, tlvs.value[hit[once]], tlvs.length[hit[once]])
            found.append(Hits(kind, index[once], values))
        return absent, found


class InOneTlv:
    """A test all of whose fields lie in one TLV."""

    def __init__(self, test: Test, tlv: OneTlv) -> None:
        self._test = test
        self._tlv = tlv
        self._without = passes(test, WITHOUT)
        self._asked = Asked(lambda kind, raw: passes(test, _Value(tlv.decoders[kind], raw)))

    def verdict(self, columns: Columns, wanted: Mask) -> Verdict:
        """What is sure about the rows that are wanted."""
        yes, no = np.zeros(len(columns), bool), np.zeros(len(columns), bool)
        absent, found = self._tlv.hits(columns, wanted)
        for hits in found:
            passed = self._passed(hits)
            yes[hits.places[passed]] = True
            no[hits.places[~passed]] = True
        return Verdict(yes | absent, no) if self._without else Verdict(yes, no | absent)

    def _passed(self, hits: Hits) -> Mask:
        match self._test:
            case Exists(FieldValues(name)) if name == self._tlv.decoders[hits.kind].heading.name:
                return np.ones(len(hits.places), bool)  # it is there whatever the value is
        return np.array(self._asked.all(zip(repeat(hits.kind), hits.values)), bool)


class _Value:
    """A frame of which only one TLV is known."""

    def __init__(self, decoder: TlvDecoder, raw: bytes) -> None:
        self._decoder = decoder
        self._raw = raw
        self._into: dict[str, Any] | None = None

    def values(self, field: FieldValues) -> Sequence[Value]:
        decoder, raw = self._decoder, self._raw
        if field.type is Type.HEADING:
            children: list[Field] = []
            decoder.tree(raw, 0, len(raw), children, [MAX_FIELDS])
            names = Counter(node.spec.name for child in children for node in child.walk())
            return (0,) * (names[field.name] + (decoder.heading.name == field.name))
        # Most strings are what their bytes are.
        if _is_string(decoder) and field.name == decoder.path and raw.isascii() and b"\0" not in raw:
            return (raw,)
        if self._into is None:
            self._into = {}
            decoder.values(raw, 0, len(raw), self._into, [MAX_FIELDS])
        return compared(self._into.get(field.name), field.type)


def _is_string(decoder: TlvDecoder) -> bool:
    kind = decoder.plain_type
    return isinstance(kind, Text) and kind.encoding == "string" and kind.length.form == "rest"


# ---- types and lengths ----

_DIFFERENT = {"qmi.tlv.type": 1 << 8, "qmi.tlv.length": 1 << 16}  # values that each can have
HEADS = frozenset(_DIFFERENT)


def by_heads(test: Test, name: str, columns: Columns) -> Verdict | None:
    """A test whose only field is one of HEADS, asked of the index; None where that cannot tell."""
    tlvs = columns.tlvs
    known, present = columns.plain & ~tlvs.broken, columns.tlv_length > 0
    if isinstance(test, Compared) and isinstance(test.left, Called):
        return _counted(test, test.left, columns, known)
    answers = outcome(test, np.arange(_DIFFERENT[name]))
    if answers is None:
        return None
    passed = answers[tlvs.type if name == "qmi.tlv.type" else tlvs.length]
    found = np.zeros(len(columns), bool)
    if isinstance(test, Compared) and test.every:
        found[tlvs.index[~passed]] = True
        found = present & ~found
    else:
        found[tlvs.index[passed]] = True
    return Verdict(known & found, known & ~found)


def _counted(test: Compared, called: Called, columns: Columns, known: Mask) -> Verdict | None:
    if called.function != "count" or not isinstance(test.right, Constant) or not isinstance(test.right.value, int):
        return None
    counts = np.bincount(columns.tlvs.index, minlength=len(columns))
    passed = COMPARE[test.operator](counts, test.right.value) & (counts > 0)
    return Verdict(known & passed, known & ~passed)
