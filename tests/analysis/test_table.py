# SPDX-License-Identifier: GPL-2.0-or-later
"""Tables: sorted, and printed as text, JSON and CSV."""

from __future__ import annotations

import csv
import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qmisniff.analysis import table
from qmisniff.analysis.groups import group, quantiles
from qmisniff.analysis.table import Table

WORDS = ("rild", "Rild", 'a\x1b[31m,"b"\n', "")


def made(numbers: list[int], words: list[int]) -> Table:
    columns = (
        table.numbers("count", "Count", np.array(numbers, np.int64), missing=-1),
        table.labels("word", "Word", np.array(words, np.int64), WORDS),
        table.numbers("hidden", "", np.array(numbers, np.int64)),
    )
    return Table(columns, np.arange(len(numbers)), ("count", True), lambda row: "")


EXAMPLE = made([3, -1, 1200], [0, 2, 3])


def test_text_is_aligned_and_safe() -> None:
    assert list(table.text_lines(EXAMPLE, [2, 0, 1])) == [
        "Count  Word",
        "1,200",
        "    3  rild",
        '       a\\x1b[31m,"b"\\n',
    ]


def test_json_has_every_column_and_leaves_out_what_is_not_there() -> None:
    assert json.loads("\n".join(table.json_lines(EXAMPLE, range(3)))) == [
        {"count": 3, "word": "rild", "hidden": 3},
        {"word": WORDS[2], "hidden": -1},
        {"count": 1200, "hidden": 1200},
    ]
    assert json.loads("\n".join(table.json_lines(EXAMPLE, []))) == []


def test_csv_can_be_read_back() -> None:
    lines = list(table.csv_lines(EXAMPLE, range(3)))
    assert list(csv.reader(lines)) == [
        ["count", "word", "hidden"],
        ["3", "rild", "3"],
        ["", 'a\\x1b[31m,"b"\\n', "-1"],
        ["1200", "", "1200"],
    ]


@given(st.lists(st.tuples(st.integers(-1, 3), st.integers(0, 3)), max_size=20), st.sampled_from(("count", "word")))
def test_sorting_keeps_the_order_of_what_is_equal(rows: list[tuple[int, int]], name: str) -> None:
    numbers, words = [row[0] for row in rows], [row[1] for row in rows]
    keys: list[int | str] = list(numbers) if name == "count" else [WORDS[word].casefold() for word in words]
    for down in (False, True):
        order = table.sorted_rows(made(numbers, words), name, down)
        assert order.tolist() == sorted(range(len(rows)), key=keys.__getitem__, reverse=down)


@given(st.lists(st.tuples(st.integers(0, 3), st.booleans(), st.integers(-(10**12), 10**12)), max_size=40))
def test_groups_and_their_quantiles(rows: list[tuple[int, bool, int]]) -> None:
    keys, marked, values = (np.array([row[at] for row in rows], kind) for at, kind in ((0, "i8"), (1, "?"), (2, "i8")))
    groups = group(keys, keys % 2)
    order = list(dict.fromkeys(keys.tolist()))
    assert [order[number] for number in groups.of.tolist()] == keys.tolist()
    assert keys[groups.first].tolist() == order
    assert groups.counts(marked).tolist() == [int((marked & (keys == key)).sum()) for key in order]
    assert groups.totals(values).tolist() == [int(values[keys == key].sum()) for key in order]
    for share in (0, 0.5, 0.95, 1):
        found = quantiles(groups, values, marked, share)
        for key, value in zip(order, found.tolist(), strict=True):
            mine = values[marked & (keys == key)]
            assert value == pytest.approx(np.percentile(mine, share * 100)) if len(mine) else value != value


@pytest.mark.parametrize(
    ("ns", "text"),
    [(0, "0.0 µs"), (999_400, "999.4 µs"), (999_600, "1.00 ms"), (30_000_000, "30.00 ms"), (1.5e9, "1.500 s"),
     (-2e6, "-2.00 ms")],
)  # fmt: skip
def test_durations_have_the_unit_that_suits_them(ns: float, text: str) -> None:
    assert table.duration(ns) == text
