# SPDX-License-Identifier: GPL-2.0-or-later
"""Rates, values and problems against going through the frames one by one."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qmisniff.analysis.names import Names
from qmisniff.analysis.problems import Problems, problems, problems_table
from qmisniff.analysis.rate import rate, round_step
from qmisniff.analysis.rows import Cancelled
from qmisniff.analysis.table import sorted_rows
from qmisniff.analysis.values import values, values_table
from qmisniff.dissect.frame_layer import NANOSECONDS
from qmisniff.dissect.names import held
from qmisniff.errors import UsageError
from qmisniff.filter import compile_filter
from qmisniff.store import Store
from tests.analysis.traffic import captures, dissector, few, filled
from tests.filter import capture as sample

RSRP = "qmi.nas.get_signal_info.lte.rsrp"


@few
@given(captures(), st.integers(2, 50))
def test_every_packet_is_in_one_stretch(capture: tuple[Store, list[int]], most: int) -> None:
    store, rows = capture
    found = rate(store, rows, most)
    assert len(found.packets) <= most
    counted: Counter[int] = Counter()
    sizes: Counter[int] = Counter()
    for row in rows:
        frame = store.frame(row)
        counted[(frame.ts_ns - found.start_ns) // found.step_ns] += 1
        sizes[(frame.ts_ns - found.start_ns) // found.step_ns] += frame.orig_len
    assert found.packets.tolist() == [counted[at] for at in range(len(found.packets))]
    assert found.bytes.tolist() == [sizes[at] for at in range(len(found.bytes))]
    assert sum(counted.values()) == found.packets.sum()


@given(st.integers(0, 2**63), st.integers(2, 1000))
def test_steps_are_round_and_few(length: int, most: int) -> None:
    step = round_step(length, most)
    assert str(step).rstrip("0") in ("1", "2", "5")
    assert length // step + 2 <= most + 1  # wherever the first one begins


@few
@given(
    captures(),
    st.sampled_from(
        (RSRP, "qmi.txn", "qmi.result", "tap.synthetic", "qmi.time", "qmi.tlv.type", "qrtr.port", *NANOSECONDS)
    ),
)
def test_values_are_those_of_the_frames(capture: tuple[Store, list[int]], name: str) -> None:
    store, rows = capture
    expected = []
    for row in rows:
        values_here = dissector().values(store.frame(row), store.context(row))
        expected += [(row, store.frame(row).ts_ns, one) for one in held(values_here, name)]
    found = values(store, dissector(), name, rows)
    assert list(zip(found.row.tolist(), found.ts_ns.tolist(), found.value, strict=True)) == expected


def test_values_are_a_table_with_units() -> None:
    store = filled(sample.frames())
    table = values_table(values(store, dissector(), RSRP, range(len(store))), Names(store, dissector().registry))
    assert [[column.text(row) for column in table.columns] for row in range(table.length)] == [
        ["5", "0.025000", "-95 dBm"],
        ["9", "0.029000", "-95 dBm"],
    ]
    assert table.condition(0) == f"{RSRP} == -95"


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("qmi.nas.get_signal_info.lte.rsrq_", "did you mean qmi.nas.get_signal_info.lte.rsrq?"),
        ("nothing", "there is no field 'nothing'"),
        ("tap.comm", "tap.comm is no number"),
    ],
)
def test_only_numbers_can_be_seen_over_time(name: str, said: str) -> None:
    with pytest.raises(UsageError, match=said.replace("?", r"\?")):
        values(Store(), dissector(), name, [])


def test_who_no_longer_wants_the_answer_is_not_kept_waiting() -> None:
    store = filled(sample.frames())
    with pytest.raises(Cancelled):
        values(store, dissector(), RSRP, range(len(store)), lambda: True)
    assert list(problems(store, dissector(), range(len(store)), lambda: True)) == []


@few
@given(captures())
def test_problems_are_those_of_the_trees_and_conditions_find_them(capture: tuple[Store, list[int]]) -> None:
    store, rows = capture
    expected: dict[tuple[int, str], list[int]] = {}
    for row in rows:
        for field in dissector().tree(store.frame(row), store.context(row)).walk():
            if field.problem is not None:
                expected.setdefault((field.problem.severity, field.problem.text), []).append(row)
    found = Problems()
    done = 0
    for part in problems(store, dissector(), rows):
        found.add(part)
        done = part.done
    assert done == len(rows)
    assert {(each.severity, each.text): each.rows for each in found.groups} == expected
    table = problems_table(found.groups)
    for at, group in enumerate(found.groups):
        chosen = compile_filter(table.condition(at), dissector().registry)
        passed = {row for part in chosen.rows(store, dissector()) for row in part.rows}
        assert set(group.rows) <= passed
    order = sorted_rows(table, *table.sort).tolist()
    assert order == sorted(
        range(table.length), key=lambda at: (-found.groups[at].severity, -len(found.groups[at].rows))
    )


def test_conditions_of_times_find_their_packets() -> None:
    """A time has no exponent in a filter, and is compared to the nanosecond."""
    store = filled([frame._replace(ts_ns=frame.ts_ns + 12 * row) for row, frame in enumerate(sample.frames())])
    found = values_table(values(store, dissector(), "frame.time_delta", range(3)), Names(store, dissector().registry))
    assert found.condition(1) == "frame.time_delta == 0.000000012"
    assert sample.numbers(found.condition(1), store) == [2, 3]
