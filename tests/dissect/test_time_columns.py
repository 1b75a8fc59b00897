# SPDX-License-Identifier: GPL-2.0-or-later
"""Texts of many times at once against the text of each alone."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from hypothesis import example, given
from hypothesis import strategies as st

from qmisniff.dissect.frame_layer import time_text
from qmisniff.dissect.time_columns import epoch_texts, time_texts
from tests.factories import START_NS

BILLION = 10**9
nanoseconds = st.integers(-(2**62), 2**62) | st.integers(2**30 * BILLION, 2**31 * BILLION)


def joined(columns: Iterable[Iterable[str]]) -> list[str]:
    return ["".join(pieces) for pieces in zip(*columns, strict=True)]


def agree(times: list[int]) -> None:
    ts_ns = np.array(times, np.int64)
    assert joined(epoch_texts(ts_ns)) == [repr(each / 1e9) for each in times]
    assert [f"{text}Z" for text in joined(time_texts(ts_ns))] == [time_text(each) for each in times]


@given(st.lists(nanoseconds, max_size=20))
@example([2**30 * BILLION, 2**31 * BILLION - 1])  # the last is the float 2**31, with other steps around it
@example([])
def test_any_times(times: list[int]) -> None:
    agree(times)


def test_halves_of_the_last_decimal_and_ends_of_seconds() -> None:
    halves = [START_NS + at * BILLION // 256 for at in range(256)]  # between two numbers of seven decimals
    agree([*halves, *(START_NS + BILLION - at for at in range(1000)), *range(START_NS, START_NS + 1000)])
    agree([START_NS + at * 1_000_000 for at in range(1000)])
