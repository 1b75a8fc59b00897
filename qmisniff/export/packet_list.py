# SPDX-License-Identifier: GPL-2.0-or-later
"""The packet list of many frames at once.

What a row says of a regular QMI message depends on its headers, on the types of its TLVs and on its error alone: it is
made once, and serves all messages that differ in their transactions only. Other frames are decoded.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from qmisniff.definitions.model import RESULT_TLV
from qmisniff.dissect import Dissector
from qmisniff.dissect.summary import message_info
from qmisniff.dissect.tlv import RESULT_DECODER as RESULT
from qmisniff.dissect.tlv import TlvDecoder
from qmisniff.dissect.transport import address
from qmisniff.filter.descriptions import Descriptions, kind_keys, of_key
from qmisniff.frame import Link
from qmisniff.printable import plain
from qmisniff.protocol import qmi
from qmisniff.protocol.arrays import Mask, Numbers
from qmisniff.store import Store
from qmisniff.store.columns import Columns
from qmisniff.store.distinct import Distinct
from qmisniff.store.flows import Flows
from qmisniff.store.tlv_index import TlvIndex

_KEPT = 1 << 14  # shapes of messages; flows
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
        self._shapes: list[_Shape] = []
        self._numbers = Distinct(4, self._shape)
        self._ends = _Ends(store.flows)

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
        shapes = self._shapes_of(columns, places, columns.tlvs_of(wanted))
        protocols = [shape.protocol for shape in shapes]
        txns = columns.txn[places].tolist()
        infos = [f"{before}{txn}{after}" for (_, before, after), txn in zip(shapes, txns, strict=True)]
        ends = map(self._ends.__getitem__, columns.flow[places].tolist())
        source, destination = map(list, zip(*ends, strict=True))
        return Rows(source, destination, protocols, infos)

    def _shapes_of(self, columns: Columns, places: Numbers, tlvs: TlvIndex) -> list[_Shape]:
        """The shape of each of these messages."""
        if len(self._shapes) >= _KEPT:
            self._shapes, self._numbers = [], Distinct(4, self._shape)
        *types, count = (part[places] for part in _types(columns, tlvs))
        said = (_errors(columns, tlvs)[places] + 1) << 8 | count
        words = [part.astype(np.uint64) for part in (said, *types)]
        numbers = self._numbers.of([kind_keys(columns, places), *words])
        return list(map(self._shapes.__getitem__, numbers.tolist()))

    def _regular(self, columns: Columns, wanted: Mask) -> Mask:
        """QRTR packets with messages whose row tells of no error, and that have one result at most."""
        regular = self._descriptions.sound(columns, wanted & (columns.link == Link.QRTR))
        tlvs = columns.tlvs_of(regular)
        results = np.bincount(tlvs.index[tlvs.type == RESULT_TLV], minlength=len(columns))
        return regular & (results < 2)

    def _shape(self, words: tuple[int, ...]) -> int:
        """The number of the shape of messages of which `_shapes_of` knows this."""
        key, said, *types = words
        (service, msgid, kind), error, count = of_key(key), said >> 8, said & 0xFF
        registry, described = self._dissector.registry, self._descriptions.kind(key).tlvs
        named = registry.service(service) if service >= 0 else None
        titles = {} if named is None else named.indication_titles if kind == qmi.INDICATION else named.titles
        info = message_info(
            kind,
            titles.get(msgid) or f"0x{msgid:04x}",
            "\0",
            error - 1 if error else None,
            [_name(number, described) for number in _unpacked(types, count) if described.get(number) is not RESULT],
        )
        before, _, after = info.partition("\0")
        protocol = "QMI" if service < 0 else f"QMI_{registry.service_name(service)}"
        self._shapes.append(_Shape(plain(protocol), plain(before), plain(after)))
        return len(self._shapes) - 1


class _Ends(dict[int, tuple[str, str]]):
    """The number of a flow -> where its packets come from and go to."""

    def __init__(self, flows: Flows) -> None:
        super().__init__()
        self._flows = flows

    def __missing__(self, number: int) -> tuple[str, str]:
        ends = (int(end[number]) for end in (self._flows.source, self._flows.target))
        source, destination = (address(end & 0xFFFFFFFF, end >> 32) for end in ends)
        if len(self) >= _KEPT:
            self.clear()
        self[number] = source, destination
        return source, destination


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
