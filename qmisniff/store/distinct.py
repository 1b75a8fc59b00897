# SPDX-License-Identifier: GPL-2.0-or-later
"""What many rows have in common, kept once: rows of words become numbers, equal rows the same."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from qmisniff.protocol.arrays import U4, U8, Mask

_BITS = 14  # of a slot's number: few enough to stay in the processor's cache
_MULTIPLIERS = (0x9E3779B97F4A7C15, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9, 0x85EBCA77C2B2AE63)
_TRIES = 8  # times that slots are given to others; then rows are looked up one by one


class Distinct:
    """Numbers of rows of `width` words (at most four); `number` gives a row that was not met before its number.

    A row is found in a slot that follows from its words; the slot holds whoever came there last.
    """

    def __init__(self, width: int, number: Callable[[tuple[int, ...]], int]) -> None:
        self._number = number
        self._slots: list[U8] = [np.zeros(1 << _BITS, np.uint64) for _ in range(width)]
        self._numbers: U4 = np.zeros(1 << _BITS, np.uint32)
        self._used = np.zeros(1 << _BITS, bool)
        self._known: dict[tuple[int, ...], int] = {}

    def of(self, words: Sequence[U8]) -> U4:
        """The number of each row; `words` are its columns."""
        mixed = np.zeros(len(words[0]), np.uint64)
        for column, multiplier in zip(words, _MULTIPLIERS, strict=False):
            mixed ^= column
            mixed *= np.uint64(multiplier)
        slot = (mixed >> np.uint64(64 - _BITS)).astype(np.intp)
        result = self._numbers[slot]
        rows = np.flatnonzero(self._strange(words, slot))
        for _ in range(_TRIES):
            if not len(rows):
                return result
            _, first = np.unique(slot[rows], return_index=True)
            for row in rows[first].tolist():
                self._meet(tuple(int(column[row]) for column in words), int(slot[row]))
            result[rows] = self._numbers[slot[rows]]
            rows = rows[self._strange([column[rows] for column in words], slot[rows])]
        for row in rows.tolist():
            result[row] = self._look_up(tuple(int(column[row]) for column in words))
        return result

    def _strange(self, words: Sequence[Any], slot: npt.NDArray[np.intp]) -> Mask:
        strange: Mask = ~self._used[slot]
        for held, column in zip(self._slots, words, strict=True):
            strange |= held[slot] != column
        return strange

    def _meet(self, row: tuple[int, ...], slot: int) -> None:
        self._numbers[slot] = self._look_up(row)
        self._used[slot] = True
        for held, word in zip(self._slots, row, strict=True):
            held[slot] = word

    def _look_up(self, row: tuple[int, ...]) -> int:
        number = self._known.get(row)
        if number is None:
            number = self._known[row] = self._number(row)
        return number
