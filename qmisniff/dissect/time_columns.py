# SPDX-License-Identifier: GPL-2.0-or-later
"""The times of many frames -> their texts, in pieces that stand beside each other: a list of texts for each piece."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np

from qmisniff.dissect.frame_layer import second_text
from qmisniff.protocol.arrays import I8

_DIGITS = [f"{number:03d}" for number in range(1000)]
_STRIPPED = [digits.rstrip("0") for digits in _DIGITS]
_FIRST = [*_DIGITS, "0", *_STRIPPED[1:]]  # by number, or by 1000 + number where only zeros follow
_SECOND = [*_DIGITS, *_STRIPPED]
_THIRD = ["", *"123456789"]
# Floats from here on, up to twice that, are multiples of 2**-22: the years 2004 to 2038.
_SPAN = 1 << 30
_HALF_STEP = 2.0**-23


def time_texts(ts_ns: I8) -> list[Iterable[str]]:
    """What `time_text` makes of each, without the Z."""
    seconds, rest = np.divmod(ts_ns, 1_000_000_000)
    parts = (rest // 1_000_000, rest // 1_000 % 1_000, rest % 1_000)
    return [_of_few(seconds, lambda second: f"{second_text(second)}."), *(_looked_up(_DIGITS, part) for part in parts)]


def epoch_texts(ts_ns: I8) -> list[Iterable[str]]:
    """The shortest text that stands for the number of seconds as a float: what repr makes of it, at twice its
    rate. Seven decimals are always enough, and six are if they are nearer than half a step between floats."""
    epoch = ts_ns / 1e9
    whole = np.floor(epoch)
    if len(whole) and not _SPAN <= whole.min() <= whole.max() < 2 * _SPAN:
        return [map(repr, epoch.tolist())]
    rest = epoch - whole  # has 22 bits: the products below are exact
    six, seven = np.rint(rest * 1e6), np.rint(rest * 1e7)
    decimals = np.where(abs(six - rest * 1e6) < 1e6 * _HALF_STEP, six * 10, seven).astype(np.int64)
    first, second, third = decimals // 10_000, decimals // 10 % 1_000, decimals % 10
    return [
        _of_few(whole.astype(np.int64), lambda second: f"{second}."),
        _looked_up(_FIRST, first + 1000 * (decimals % 10_000 == 0)),
        _looked_up(_SECOND, second + 1000 * (third == 0)),
        _looked_up(_THIRD, third),
    ]


def _of_few(numbers: I8, text: Callable[[int], str]) -> Iterable[str]:
    """The texts of numbers that differ little."""
    texts = {number: text(number) for number in np.unique(numbers).tolist()}
    return map(texts.__getitem__, numbers.tolist())


def _looked_up(texts: list[str], places: I8) -> Iterable[str]:
    return map(texts.__getitem__, places.tolist())
