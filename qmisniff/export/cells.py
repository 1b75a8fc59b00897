# SPDX-License-Identifier: GPL-2.0-or-later
"""The texts of chosen fields of many frames at once, made from columns."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import repeat
from typing import Any, NamedTuple

import numpy as np

from qmisniff.dissect import Dissector
from qmisniff.dissect.frame_layer import NANOSECONDS, time_text
from qmisniff.dissect.tlv import MAX_FIELDS
from qmisniff.export.batches import Batch
from qmisniff.export.fields import LISTED, seconds_text
from qmisniff.export.packet_list import PacketList, Rows
from qmisniff.filter.columns import ColumnTests
from qmisniff.filter.tlv_fields import Asked, OneTlv
from qmisniff.protocol import qrtr
from qmisniff.protocol.arrays import Mask, Numbers
from qmisniff.store import Store
from qmisniff.store.columns import Columns


class Texts(NamedTuple):
    """A text for each row, and of which rows it is sure: all others must be decoded."""

    texts: list[str]
    sure: Mask


class Cells:
    """Makes the texts of fields of one store; `cell` makes that of a decoded value or a list of them."""

    def __init__(self, store: Store, dissector: Dissector, cell: Callable[[Any], str]) -> None:
        self._store = store
        self._cell = cell
        self._columns = ColumnTests(store, dissector.registry)
        self._list = PacketList(store, dissector)
        self._tlvs: dict[str, tuple[OneTlv, Asked[str]] | None] = {}

    def rows(self, names: Sequence[str], batch: Batch) -> tuple[list[tuple[str, ...]], Mask]:
        """The texts of these fields for each row, and of which rows they are sure."""
        listed = self._list.rows(*batch) if LISTED.keys() & set(names) else None
        found = [self._texts(name, batch, listed) for name in names]
        sure: Mask = np.logical_and.reduce([each.sure for each in found])
        return list(zip(*(each.texts for each in found), strict=True)), sure

    def _texts(self, name: str, batch: Batch, listed: Rows | None) -> Texts:
        columns, places = batch
        always = np.ones(len(places), bool)
        if listed is not None and name in LISTED:
            return Texts([self._cell(text) for text in getattr(listed, LISTED[name])], always)
        match name:
            case "frame.time":
                return Texts([self._cell(time_text(ts)) for ts in columns.ts_ns[places].tolist()], always)
            case "tap.comm":
                return Texts(self._shared([comm for _, comm in self._store.tasks], columns.task[places]), always)
            case "frame.interface_name":
                origins = [origin.name for origin in self._store.origins]
                return Texts(self._shared(origins, columns.origin[places]), always)
        if name in qrtr.ENDS:
            return self._ends(name, columns, places)
        column = self._columns.column(name, columns)
        if column is not None:
            text = seconds_text if name in NANOSECONDS else str
            present, values = column.present[places], column.values[places]
            there = np.flatnonzero(present & column.known[places])
            return Texts(_filled(len(places), there, list(map(text, values[there].tolist()))), column.known[places])
        return self._in_tlv(name, columns, places)

    def _shared(self, texts: list[str], numbers: Numbers) -> list[str]:
        found: list[str] = np.array([self._cell(text) if text else "" for text in texts], object)[numbers].tolist()
        return found

    def _ends(self, name: str, columns: Columns, places: Numbers) -> Texts:
        """Source and destination."""
        source, target = (self._columns.column(each, columns) for each in qrtr.ENDS[name])
        assert source is not None and target is not None
        there = np.flatnonzero((source.present & source.known)[places])
        pairs = zip(*(side.values[places][there].tolist() for side in (source, target)), strict=True)
        return Texts(_filled(len(places), there, [self._cell(list(pair)) for pair in pairs]), source.known[places])

    def _in_tlv(self, name: str, columns: Columns, places: Numbers) -> Texts:
        if name not in self._tlvs:
            alone = self._columns.one_tlv(name) if name.count(".") > 2 else None
            self._tlvs[name] = (alone, self._asked(name, alone)) if alone else None
        known = self._tlvs[name]
        if known is None:
            return Texts([""] * len(places), np.zeros(len(places), bool))
        tlv, asked = known
        wanted = np.zeros(len(columns), bool)
        wanted[places] = True
        sure, found = tlv.hits(columns, wanted)
        texts = np.full(len(columns), "", object)
        for kind, index, values in found:
            texts[index] = asked.all(zip(repeat(kind), values))
            sure[index] = True
        return Texts(texts[places].tolist(), sure[places])

    def _asked(self, name: str, tlv: OneTlv) -> Asked[str]:
        def text(kind: int, raw: bytes) -> str:
            into: dict[str, Any] = {}
            tlv.decoders[kind].values(raw, 0, len(raw), into, [MAX_FIELDS])
            return self._cell(into[name]) if name in into else ""

        return Asked(text)


def _filled(count: int, there: Numbers, texts: list[str]) -> list[str]:
    """These texts at their places among so many, the others empty."""
    if len(there) == count:
        return texts
    found = np.full(count, "", object)
    found[there] = texts
    filled: list[str] = found.tolist()
    return filled
