# SPDX-License-Identifier: GPL-2.0-or-later
"""What the definitions say about many messages at once: which TLVs they do not describe, which messages are right."""

from __future__ import annotations

import numpy as np

from qmisniff.definitions import Registry
from qmisniff.definitions.model import RESULT_TLV, Bytes, Message, Text, Type
from qmisniff.definitions.registry import Service
from qmisniff.dissect.message import MessageDecoder
from qmisniff.dissect.sinks import EXPERT_MESSAGE, EXPERT_SEVERITY
from qmisniff.dissect.tlv import MAX_FIELDS, RESULT_DECODER, UNDECODED, TlvDecoder
from qmisniff.field import Severity
from qmisniff.filter.evaluate import WITHOUT, passes
from qmisniff.filter.extent import Extent, extent
from qmisniff.filter.literals import Value
from qmisniff.filter.places import fixed_size
from qmisniff.filter.resolve import FieldValues, Test
from qmisniff.filter.tlv_fields import Asked, values_of
from qmisniff.filter.verdict import Verdict
from qmisniff.protocol import qmi
from qmisniff.protocol.arrays import U8, Mask, Numbers
from qmisniff.store.columns import Columns
from qmisniff.store.distinct import Distinct
from qmisniff.store.tlv_index import TlvIndex

COMPLAINTS = frozenset({EXPERT_SEVERITY.name, EXPERT_MESSAGE.name, UNDECODED.name})  # fields of messages with problems
_NO_KIND = 255  # as Columns.qmi_type has it where there is no message
_UNKNOWN, _VARIES, _ANY = -1, -2, -3  # in place of the one length that a TLV has; of _ANY length all are right
_EXTENT = np.dtype([("least", "i8"), ("at", "i8"), ("size", "u1"), ("unit", "i8")])
_DECODED = Extent(-1)  # in place of the extent of values that only decoding tells about


class Kind:
    """One kind of message: a type of a message of a service, or of all that are not described."""

    def __init__(self, service: Service | None, message: Message | None, kind: int) -> None:
        self.tlvs: dict[int, TlvDecoder] = {RESULT_TLV: RESULT_DECODER} if kind == qmi.RESPONSE else {}
        self.needed = np.zeros(256, bool)
        self.described = service is None  # of services that nobody knows nothing is missed
        self.strict = False
        if service is not None and message is not None:
            decoder = MessageDecoder(service.prefix, message, kind, service.enums)
            self.tlvs = decoder.tlvs
            self.needed[[tlv.id for tlv in decoder.mandatory]] = True
            self.described = self.strict = decoder.known
        self.lengths = np.full(256, _UNKNOWN, np.int32)
        self.extents = np.zeros(256, _EXTENT)
        for tlv, found in self.tlvs.items():
            self.lengths[tlv] = _length(found.plain_type)
            self.extents[tlv] = (extent(found.plain_type) if found.plain_type is not None else None) or _DECODED


def _length(kind: Type | None) -> int:
    if isinstance(kind, Text | Bytes) and kind.length.form == "rest":
        return _ANY
    size = fixed_size(kind) if kind is not None else None
    return _VARIES if size is None else size


class Descriptions:
    """What a registry says about the messages of columns."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._found = Distinct(1, lambda words: self._number(*words))
        self._numbers: dict[tuple[int, int, int], int] = {}
        self._kinds = [Kind(None, None, _NO_KIND)]  # number 0 is for rows that nobody asks about
        self._lengths = np.empty((0, 256), np.int32)
        self._extents = np.empty((0, 256), _EXTENT)
        self._least = np.empty((0, 256), np.int32)  # parts of it that are asked about for every TLV
        self._counts = np.empty((0, 256), bool)
        self._needed = np.empty((0, 256), bool)
        self._right = Asked(lambda which, raw: self._problem(which, raw) is None)
        self._sound = Asked(lambda which, raw: self._problem(which, raw) is not Severity.ERROR)

    def right(self, columns: Columns, wanted: Mask) -> Mask:
        """Which of these frames are plain messages and surely without any problem."""
        kinds = self._kinds_of(columns, wanted)
        strict = np.array([kind.strict for kind in self._kinds])
        described = np.array([kind.described for kind in self._kinds])
        tlvs = columns.tlvs
        right = wanted & _whole(columns, tlvs) & ~columns.compound & described[kinds]
        right &= (columns.lost == 0) & (columns.orig_len == columns.length)
        lengths = self._lengths[kinds[tlvs.index], tlvs.type]
        wrong = (lengths >= 0) & (lengths != tlvs.length) | (lengths == _UNKNOWN) & strict[kinds[tlvs.index]]
        right[tlvs.index[wrong]] = False
        heads = np.sort(tlvs.index.astype(np.uint32) << 8 | tlvs.type)
        right[heads[1:][heads[1:] == heads[:-1]] >> 8] = False
        needed = np.bincount(tlvs.index[self._needed[kinds[tlvs.index], tlvs.type]], minlength=len(columns))
        right &= (needed == self._needed.sum(axis=1)[kinds]) | self._failed(columns)
        return self._ask(self._right, columns, tlvs, right, kinds, lengths == _VARIES)

    def sound(self, columns: Columns, wanted: Mask) -> Mask:
        """Which of these frames are plain messages without any error: no TLV ends too early."""
        kinds = self._kinds_of(columns, wanted)
        tlvs = columns.tlvs_of(wanted)
        sound = wanted & _whole(columns, tlvs)
        which = kinds[tlvs.index].astype(np.intp) << 8 | tlvs.type
        least = self._least.take(which)
        sound[tlvs.index[least > tlvs.length]] = False
        counting = np.flatnonzero(self._counts.take(which) & sound[tlvs.index])
        extents = self._extents.take(which[counting])
        for size in (1, 2, 4):
            counted = extents["size"] == size
            found, at, unit = counting[counted], extents["at"][counted], extents["unit"][counted]
            count = columns.take(tlvs.value[found] + at, size).view(f"<u{size}")[:, 0].astype(np.int64)
            sound[tlvs.index[found[least[found] + count * unit > tlvs.length[found]]]] = False
        return self._ask(self._sound, columns, tlvs, sound, kinds, least < 0)

    def _ask(
        self, asked: Asked[bool], columns: Columns, tlvs: TlvIndex, rows: Mask, kinds: Numbers, which: Mask
    ) -> Mask:
        """Those of these rows of which all these TLVs are as asked."""
        found = np.flatnonzero(which & rows[tlvs.index])
        values = values_of(columns, tlvs.value[found], tlvs.length[found])
        keys = (kinds[tlvs.index[found]] << 8 | tlvs.type[found]).tolist()
        passed = np.array(asked.all(zip(keys, values, strict=True)), bool)
        rows[tlvs.index[found][~passed]] = False
        return rows

    def by_unknown(self, test: Test, columns: Columns, wanted: Mask) -> Verdict:
        """A test whose only field is the value of TLVs that are not described."""
        tlvs = columns.tlvs
        known = wanted & columns.plain & ~tlvs.broken
        kinds = self._kinds_of(columns, known)
        unknown = np.flatnonzero((self._lengths[kinds[tlvs.index], tlvs.type] == _UNKNOWN) & known[tlvs.index])
        found: dict[int, list[bytes]] = {}
        values = values_of(columns, tlvs.value[unknown], tlvs.length[unknown])
        for row, value in zip(tlvs.index[unknown].tolist(), values, strict=True):
            found.setdefault(row, []).append(value)
        passed = np.full(len(columns), passes(test, WITHOUT))
        for row, each in found.items():
            passed[row] = passes(test, _Bytes(each))
        return Verdict(known & passed, known & ~passed)

    def kind(self, key: int) -> Kind:
        """What is said about messages, by what `kind_keys` gives for them."""
        return self._kinds[self._number(key)]

    def _kinds_of(self, columns: Columns, wanted: Mask) -> Numbers:
        """The number of the kind of message of each of these rows, as far as they are plain; 0 for all others."""
        rows = np.flatnonzero(wanted & columns.plain)
        numbers = np.zeros(len(columns), np.uint32)
        numbers[rows] = self._found.of([kind_keys(columns, rows)])
        made = self._kinds[len(self._lengths) :]
        if made:
            self._lengths = np.vstack([self._lengths, *(kind.lengths for kind in made)])
            self._extents = np.vstack([self._extents, *(kind.extents for kind in made)])
            self._least = self._extents["least"].astype(np.int32)
            self._counts = self._extents["size"] != 0
            self._needed = np.vstack([self._needed, *(kind.needed for kind in made)])
        return numbers

    def _number(self, key: int) -> int:
        number, msgid, kind = of_key(key)
        service = self._registry.service(number) if number >= 0 else None
        message = service.message(msgid) if service else None
        same = (number, msgid, kind) if message else (service is None, -1, kind)
        if same not in self._numbers:
            self._numbers[same] = len(self._kinds)
            self._kinds.append(Kind(service, message, kind))
        return self._numbers[same]

    def _failed(self, columns: Columns) -> Mask:
        """Responses that say that the request failed: they need not have anything else."""
        tlvs = columns.tlvs
        result = (tlvs.type == RESULT_TLV) & (tlvs.length == 4) & (columns.qmi_type == qmi.RESPONSE)[tlvs.index]
        failed = np.zeros(len(columns), bool)
        codes = columns.take(tlvs.value[result], 2).view("<u2")[:, 0]
        failed[tlvs.index[result][codes != 0]] = True
        return failed

    def _problem(self, which: int, raw: bytes) -> Severity | None:
        problem = self._kinds[which >> 8].tlvs[which & 0xFF].problem(raw)
        return problem.severity if problem else None


def kind_keys(columns: Columns, places: Numbers) -> U8:
    """Service, id and type of the plain messages at these places, as one number each."""
    service, msgid = columns.service[places], columns.msgid[places].astype(np.int64)
    keys: U8 = (service + 1 << 24 | msgid << 8 | columns.qmi_type[places]).astype(np.uint64)
    return keys


def of_key(key: int) -> tuple[int, int, int]:
    """Service (-1: it is not known), id and type."""
    return (key >> 24) - 1, key >> 8 & 0xFFFF, key & 0xFF


def _whole(columns: Columns, tlvs: TlvIndex) -> Mask:
    """Plain messages whose TLVs are all there and not too many to decode."""
    whole: Mask = columns.plain & ~tlvs.broken & (columns.tlv_length <= MAX_FIELDS)
    return whole


class _Bytes:
    """A frame of which only the TLVs that are not described are known."""

    def __init__(self, found: list[bytes]) -> None:
        self._found = found

    def values(self, field: FieldValues) -> list[Value]:
        return [*self._found]
