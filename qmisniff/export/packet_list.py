# SPDX-License-Identifier: GPL-2.0-or-later
"""The packet list of many frames at once.

What a row says of a regular QMI message depends on its headers, on the types of its TLVs and on its error alone: it is
made once, and serves all messages that differ in their transactions only. Other frames are decoded.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from qmisniff.definitions.model import RESULT_TLV
from qmisniff.dissect import Dissector
from qmisniff.dissect.summary import message_info
from qmisniff.dissect.tlv import RESULT_DECODER as RESULT
from qmisniff.dissect.tlv import TlvDecoder
from qmisniff.dissect.transport import address
from qmisniff.filter.descriptions import Descriptions
from qmisniff.frame import Link
from qmisniff.printable import plain
from qmisniff.protocol import qmi
from qmisniff.protocol.arrays import Mask, Numbers
from qmisniff.store import Store
from qmisniff.store.columns import Columns, TlvIndex

_KEPT = 1 << 14  # shapes of messages
_MIXER = np.uint64(0x9E3779B97F4A7C15)
_TYPES = 16  # TLVs that tell messages apart: a row names fewer


class Rows(NamedTuple):
    """What the list shows of some frames, a text for each in every list."""

    source: list[str]
    destination: list[str]
    protocol: list[str]
    info: list[str]


class _Shape(NamedTuple):
    """The row of all messages that differ in transaction and addresses alone."""

    protocol: str
    before: str  # of the transaction, in `info`
    after: str


class PacketList:
    """Makes the rows of one store."""

    def __init__(self, store: Store, dissector: Dissector) -> None:
        self._store = store
        self._dissector = dissector
        self._descriptions = Descriptions(dissector.registry)
        self._shapes: dict[tuple[int, ...], _Shape] = {}

    def rows(self, columns: Columns, chosen: Numbers) -> Rows:
        """The rows of some frames, given by their places in the columns, in order."""
        wanted = np.zeros(len(columns), bool)
        wanted[chosen] = True
        quick = np.flatnonzero(self._regular(columns, wanted))
        known = self._regular_rows(columns, quick)
        if len(quick) == len(chosen):
            return known
        places = np.full(len(columns), -1)
        places[quick] = np.arange(len(quick))
        listed = list(zip(*known, strict=True))
        found = [
            listed[place] if place >= 0 else self._decoded(columns.first + at)
            for at, place in zip(chosen.tolist(), places[chosen].tolist(), strict=True)
        ]
        return Rows(*map(list, zip(*found, strict=True)))

    def _decoded(self, row: int) -> tuple[str, str, str, str]:
        found = self._dissector.summary(self._store.frame(row), self._store.context(row))
        return found.source, found.destination, found.protocol, found.info

    def _regular_rows(self, columns: Columns, places: Numbers) -> Rows:
        if not len(places):
            return Rows([], [], [], [])
        wanted = np.zeros(len(columns), bool)
        wanted[places] = True
        tlvs = columns.tlvs_of(wanted)
        said = _errors(columns, tlvs), *_types(columns, tlvs)
        parts: list[Numbers] = [columns.service, columns.msgid, columns.qmi_type, *said]
        keys = [part[places].astype(np.int64) for part in parts]
        first, group = _groups(keys)
        shapes = [self._shape(key) for key in zip(*(key[first].tolist() for key in keys), strict=True)]
        protocols, before, after = (_spread(texts, group) for texts in zip(*shapes, strict=True))
        txns = columns.txn[places].tolist()
        infos = [f"{start}{txn}{rest}" for start, txn, rest in zip(before, txns, after, strict=True)]
        source = _addresses(columns.src_node[places], columns.src_port[places])
        destination = _addresses(columns.dst_node[places], columns.dst_port[places])
        return Rows(source, destination, protocols, infos)

    def _regular(self, columns: Columns, wanted: Mask) -> Mask:
        """QRTR packets with messages whose row tells of no error, and that have one result at most."""
        regular = self._descriptions.sound(columns, wanted & (columns.link == Link.QRTR))
        tlvs = columns.tlvs_of(regular)
        results = np.bincount(tlvs.index[tlvs.type == RESULT_TLV], minlength=len(columns))
        return regular & (results < 2)

    def _shape(self, key: tuple[int, ...]) -> _Shape:
        shape = self._shapes.get(key)
        if shape is None:
            service, msgid, kind, error, *types, count = key
            registry, described = self._dissector.registry, self._descriptions.kind(service, msgid, kind).tlvs
            named = registry.service(service) if service >= 0 else None
            titles = {} if named is None else named.indication_titles if kind == qmi.INDICATION else named.titles
            info = message_info(
                kind,
                titles.get(msgid) or f"0x{msgid:04x}",
                "\0",
                error if error >= 0 else None,
                [_name(number, described) for number in _unpacked(types, count) if described.get(number) is not RESULT],
            )
            before, _, after = info.partition("\0")
            protocol = "QMI" if service < 0 else f"QMI_{registry.service_name(service)}"
            if len(self._shapes) >= _KEPT:
                self._shapes.clear()
            shape = self._shapes[key] = _Shape(plain(protocol), plain(before), plain(after))
        return shape


def _addresses(node: Numbers, port: Numbers) -> list[str]:
    first, group = _groups([node, port])
    ends = zip(node[first].tolist(), port[first].tolist(), strict=True)
    return _spread([address(*end) for end in ends], group)


def _spread(texts: Sequence[str], group: Numbers) -> list[str]:
    """The text of each group's number."""
    found: list[str] = np.array(texts, object)[group].tolist()
    return found


def _name(number: int, described: Mapping[int, TlvDecoder]) -> str:
    return described[number].tlv.name if number in described else f"0x{number:02x}"


def _errors(columns: Columns, tlvs: TlvIndex) -> Numbers:
    """The error that a response tells of, -1 where the request did not fail."""
    response = columns.qmi_type == qmi.RESPONSE
    result = np.flatnonzero((tlvs.type == RESULT_TLV) & (tlvs.length >= 4) & response[tlvs.index])
    codes = columns.take(tlvs.value[result], 4).view("<u2")
    errors = np.full(len(columns), -1, np.int64)
    errors[tlvs.index[result]] = np.where(codes[:, 0] != 0, codes[:, 1].astype(np.int64), -1)
    return errors


def _types(columns: Columns, tlvs: TlvIndex) -> list[Numbers]:
    """The types of each message's TLVs in order, eight in a number, and how many there are: beyond _TYPES no matter."""
    found = [np.zeros(len(columns), np.int64) for _ in range(_TYPES // 8)]
    count = np.minimum(np.bincount(tlvs.index, minlength=len(columns)), _TYPES + 1)
    # The index has all first TLVs, then all second ones, ...: messages come in order within each.
    steps = [0, *(np.flatnonzero(tlvs.index[1:] <= tlvs.index[:-1]) + 1).tolist(), len(tlvs)]
    for step, (start, stop) in enumerate(pairwise(steps[: _TYPES + 1])):
        into = found[step // 8]
        into[tlvs.index[start:stop]] |= tlvs.type[start:stop].astype(np.int64) << 8 * (step % 8)
    return [*found, count]


def _unpacked(types: list[int], count: int) -> list[int]:
    """The types that `_types` has put into numbers."""
    return [types[at // 8] >> 8 * (at % 8) & 0xFF for at in range(min(count, _TYPES))]


def _groups(keys: list[Numbers]) -> tuple[Numbers, Numbers]:
    """The places of the first of all different combinations of values, and the number of each place's combination."""
    mixed = np.zeros(len(keys[0]), np.uint64)
    for key in keys:
        mixed = mixed * _MIXER + key.astype(np.uint64)
        mixed ^= mixed >> np.uint64(29)
    _, first, group = np.unique(mixed, return_index=True, return_inverse=True)
    if any((key[first][group] != key).any() for key in keys):  # two that mix to the same number
        table = np.stack([key.astype(np.int64) for key in keys], axis=1)
        _, first, group = np.unique(table, axis=0, return_index=True, return_inverse=True)
    return first, group.reshape(-1)
