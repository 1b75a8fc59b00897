# SPDX-License-Identifier: GPL-2.0-or-later
"""What the definitions say about many messages at once: which TLVs they do not describe, which messages are right."""

from __future__ import annotations

import numpy as np

from qmisniff.definitions import Registry
from qmisniff.definitions.model import RESULT_TLV, Message
from qmisniff.definitions.registry import Service
from qmisniff.dissect.message import MessageDecoder
from qmisniff.dissect.sinks import EXPERT_MESSAGE, EXPERT_SEVERITY
from qmisniff.dissect.tlv import MAX_FIELDS, RESULT_DECODER, UNDECODED, TlvDecoder
from qmisniff.filter.evaluate import WITHOUT, passes
from qmisniff.filter.literals import Value
from qmisniff.filter.places import fixed_size
from qmisniff.filter.resolve import FieldValues, Test
from qmisniff.filter.tlv_fields import Asked, values_of
from qmisniff.filter.verdict import Mask, Numbers, Verdict
from qmisniff.protocol import qmi
from qmisniff.store.columns import Columns

COMPLAINTS = frozenset({EXPERT_SEVERITY.name, EXPERT_MESSAGE.name, UNDECODED.name})  # fields of messages with problems
_UNKNOWN, _VARIES = -1, -2  # in place of the one length that a TLV has


class _Kind:
    """One kind of message: a type of a message of a service, or of all that are not described."""

    def __init__(self, service: Service | None, message: Message | None, kind: int) -> None:
        self.tlvs: dict[int, TlvDecoder] = {RESULT_TLV: RESULT_DECODER} if kind == qmi.RESPONSE else {}
        self.mandatory: list[int] = []
        self.described = service is None  # of services that nobody knows nothing is missed
        self.strict = False
        if service is not None and message is not None:
            decoder = MessageDecoder(service.prefix, message, kind, service.enums)
            self.tlvs = decoder.tlvs
            self.mandatory = [tlv.id for tlv in decoder.mandatory]
            self.described = self.strict = decoder.known
        self.lengths = np.full(256, _UNKNOWN, np.int32)
        for tlv, found in self.tlvs.items():
            size = fixed_size(found.plain_type) if found.plain_type is not None else None
            self.lengths[tlv] = _VARIES if size is None else size


class Descriptions:
    """What a registry says about the messages of columns."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._numbers: dict[tuple[int, int, int], int] = {}
        self._kinds: list[_Kind] = []
        self._lengths = np.empty((0, 256), np.int32)
        self._needed = np.empty((0, 256), bool)
        self._right = Asked(self._is_right)

    def right(self, columns: Columns, wanted: Mask) -> Mask:
        """Which of these plain messages are surely without any problem."""
        kinds = self._kinds_of(columns)
        strict, described = (
            np.array([getattr(kind, name) for kind in self._kinds]) for name in ("strict", "described")
        )
        tlvs = columns.tlvs
        right: Mask = (
            wanted & columns.plain & ~columns.compound & (columns.lost == 0) & (columns.orig_len == columns.length)
        )
        right &= ~tlvs.broken & (columns.tlv_length <= MAX_FIELDS) & described[kinds]
        kind = kinds[tlvs.index]
        lengths = self._lengths[kind, tlvs.type]
        wrong = (lengths >= 0) & (lengths != tlvs.length) | (lengths == _UNKNOWN) & strict[kind]
        right[tlvs.index[wrong]] = False
        heads = np.sort(tlvs.index.astype(np.uint32) << 8 | tlvs.type)
        right[heads[1:][heads[1:] == heads[:-1]] >> 8] = False
        needed = np.bincount(tlvs.index[self._needed[kind, tlvs.type]], minlength=len(columns))
        right &= (needed == self._needed.sum(axis=1)[kinds]) | self._failed(columns)
        varying = np.flatnonzero((lengths == _VARIES) & right[tlvs.index])
        values = values_of(columns, tlvs.value[varying], tlvs.length[varying])
        which = (kind[varying] << 8 | tlvs.type[varying]).tolist()
        answers = self._right.all(zip(which, values, strict=True))
        right[tlvs.index[varying][~answers]] = False
        return right

    def by_unknown(self, test: Test, columns: Columns, wanted: Mask) -> Verdict:
        """A test whose only field is the value of TLVs that are not described."""
        tlvs = columns.tlvs
        known = wanted & columns.plain & ~tlvs.broken
        kinds = self._kinds_of(columns)
        unknown = np.flatnonzero((self._lengths[kinds[tlvs.index], tlvs.type] == _UNKNOWN) & known[tlvs.index])
        found: dict[int, list[bytes]] = {}
        values = values_of(columns, tlvs.value[unknown], tlvs.length[unknown])
        for row, value in zip(tlvs.index[unknown].tolist(), values, strict=True):
            found.setdefault(row, []).append(value)
        passed = np.full(len(columns), passes(test, WITHOUT))
        for row, each in found.items():
            passed[row] = passes(test, _Bytes(each))
        return Verdict(known & passed, known & ~passed)

    def _kinds_of(self, columns: Columns) -> Numbers:
        """The number of each row's kind of message; means nothing where the frame is not plain."""
        keys = columns.service + 1 << 24 | columns.msgid.astype(np.int64) << 8 | columns.qmi_type
        different, inverse = np.unique(np.where(columns.plain, keys, -1), return_inverse=True)
        numbers = np.array([self._number(key) for key in different.tolist()])
        return numbers[inverse]

    def _number(self, key: int) -> int:
        number, msgid, kind = (key >> 24) - 1, key >> 8 & 0xFFFF, key & 0xFF
        service = self._registry.service(number) if number >= 0 else None
        message = service.message(msgid) if service else None
        same = (number, msgid, kind) if message else (service is None, -1, kind)
        if same not in self._numbers:
            self._numbers[same] = len(self._kinds)
            made = _Kind(service, message, kind)
            self._kinds.append(made)
            self._lengths = np.vstack([self._lengths, made.lengths])
            self._needed = np.vstack([self._needed, np.isin(np.arange(256), made.mandatory)])
        return self._numbers[same]

    def _failed(self, columns: Columns) -> Mask:
        """Responses that say that the request failed: they need not have anything else."""
        tlvs = columns.tlvs
        result = (tlvs.type == RESULT_TLV) & (tlvs.length == 4) & (columns.qmi_type == qmi.RESPONSE)[tlvs.index]
        failed = np.zeros(len(columns), bool)
        codes = columns.take(tlvs.value[result], 2).view("<u2")[:, 0]
        failed[tlvs.index[result][codes != 0]] = True
        return failed

    def _is_right(self, which: int, raw: bytes) -> bool:
        decoder = self._kinds[which >> 8].tlvs[which & 0xFF]
        return decoder.values(raw, 0, len(raw), {}, [MAX_FIELDS]) is None


class _Bytes:
    """A frame of which only the TLVs that are not described are known."""

    def __init__(self, found: list[bytes]) -> None:
        self._found = found

    def values(self, field: FieldValues) -> list[Value]:
        return [*self._found]
