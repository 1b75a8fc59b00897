# SPDX-License-Identifier: GPL-2.0-or-later
"""Numbers that lie at a fixed place of a TLV of fixed size: their columns are gathered out of the capture's bytes."""

from __future__ import annotations

import operator
from collections.abc import Iterable, Mapping
from functools import reduce
from typing import NamedTuple

import numpy as np

from qmisniff.definitions.model import Address, Bytes, Number, Struct, Text, Type
from qmisniff.dissect.fixed import size_of
from qmisniff.dissect.tlv import MAX_FIELDS
from qmisniff.filter.verdict import Column
from qmisniff.protocol.arrays import Mask, Numbers
from qmisniff.store.columns import Columns

_SIZES = (1, 2, 4, 8)


class Place(NamedTuple):
    """Where a number lies in one kind of message: at `offset` of the value of a TLV that has exactly `length` bytes."""

    tlv: int
    offset: int
    length: int
    number: Number


def locate(tlv: int, kind: Type, path: str, name: str) -> Place | None:
    """Where in the value of a TLV a number lies; None where that, or the value's length, is not fixed."""
    length = fixed_size(kind)
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
        at += fixed_size(each) or 0
        leaves = rest
    return None


def fixed_size(kind: Type) -> int | None:
    """How many bytes any value of this type has; None where that differs."""
    match kind:
        case Number() | Address():
            return size_of(kind)
        case Text(length=length) | Bytes(length=length) if length.form == "fixed":
            return size_of(kind)
        case Struct():
            sizes = [fixed_size(each) for _, each in kind.fields]
            return None if None in sizes else sum(size or 0 for size in sizes)
    return None


def together(places: Mapping[int, Place]) -> bool:
    """Can the numbers of these places stand in one array? Wide whole numbers need one of their own type."""
    return len(places) == 1 or not any(place.number.size == 8 for place in places.values())


def gather(columns: Columns, of: Mask, places: Mapping[int, Place]) -> Column:
    """The numbers at these places (one for each kind of message), from the rows of one message or, of results, from
    all plain ones."""
    size = len(columns)
    known, present = columns.plain.copy(), np.zeros(size, bool)
    fraction = any(place.number.den != 1 or place.number.form == "f" for place in places.values())
    wide = any(place.number.size == 8 and place.number.form == "u" for place in places.values())
    values = np.zeros(size, np.float64 if fraction else np.uint64 if wide else np.int64)
    if not of.any():
        return Column(values, present, known)
    tlvs = columns.tlvs_of(of & reduce(operator.or_, [columns.qmi_type == kind for kind in places]))
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
