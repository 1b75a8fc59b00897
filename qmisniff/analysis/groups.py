# SPDX-License-Identifier: GPL-2.0-or-later
"""Rows that share a key, put together."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from qmisniff.protocol.arrays import I8, Mask, Numbers


class Groups(NamedTuple):
    """`of` is the group of each element, numbered in order of first appearance; `first` the place of that one."""

    of: I8
    first: I8

    def counts(self, which: Mask | None = None) -> I8:
        """Elements of each group, or those of them that are marked."""
        of = self.of if which is None else self.of[which]
        return np.bincount(of, minlength=len(self.first)).astype(np.int64)

    def totals(self, values: Numbers, which: Mask | None = None) -> I8:
        """The sum of whole numbers below 2**53 over each group, or over the marked."""
        of, weights = (self.of, values) if which is None else (self.of[which], values[which])
        return np.bincount(of, weights, len(self.first)).astype(np.int64)

    def last(self, values: Numbers) -> Numbers:
        """The value of each group's last element."""
        result = values[self.first].copy()
        result[self.of] = values  # of equal places the last one stays
        return result


def group(*keys: Numbers) -> Groups:
    """Elements are of one group where all keys are the same."""
    table = np.zeros(len(keys[0]), np.int64)
    for key in keys:
        _, number = np.unique(key, return_inverse=True)
        # Numbered anew after each key, so that the product of two stays small.
        _, table = np.unique(table * (int(number.max(initial=0)) + 1) + number, return_inverse=True)
    first: I8 = np.full(int(table.max(initial=-1)) + 1, len(table), np.int64)
    np.minimum.at(first, table, np.arange(len(table)))
    order = np.argsort(first)
    rank = np.empty(len(order), np.int64)
    rank[order] = np.arange(len(order))
    return Groups(rank[table], first[order])


def quantiles(groups: Groups, values: I8, which: Mask, share: float) -> Numbers:
    """The value below which `share` of each group's marked values lie, between two of them where it must (as numpy's
    percentile does); NaN for a group without any."""
    of, chosen = groups.of[which], values[which]
    order = np.lexsort((chosen, of))
    chosen = chosen[order].astype(np.float64)
    count = np.bincount(of, minlength=len(groups.first))
    start = np.concatenate([[0], np.cumsum(count)[:-1]]).astype(np.int64)
    place: Any = (count - 1).clip(0) * share
    low = place.astype(np.int64)
    high = np.minimum(low + 1, (count - 1).clip(0))
    result = np.full(len(count), np.nan)
    there = count > 0
    if there.any():
        one, two = chosen[start[there] + low[there]], chosen[start[there] + high[there]]
        result[there] = one + (two - one) * (place - low)[there]
    return result
