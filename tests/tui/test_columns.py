# SPDX-License-Identifier: GPL-2.0-or-later
from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from qmisniff.dissect import Summary
from qmisniff.frame import Flag
from qmisniff.tui.columns import COLUMNS, INFO_LEAST, Packet, fit_columns, process, relative_time
from tests.factories import frame

SUMMARY = Summary("1:0x4001", "0:10", "QMI_DMS", "Request: Get IDs, txn 1", None)


def ids(width: int, rows: int = 10) -> list[str]:
    return [column.id for column, _ in fit_columns(COLUMNS, width, rows)]


def test_a_wide_terminal_shows_all_a_narrow_one_what_matters() -> None:
    assert ids(200) == [column.id for column in COLUMNS]
    assert ids(79) == ["number", "time", "protocol", "info"] or len(ids(79)) > 4
    assert ids(35) == ["number", "info"]
    assert ids(19) == ["info"]


@given(st.integers(0, 300), st.integers(0, 10**9))
def test_the_columns_fill_the_width(width: int, rows: int) -> None:
    fitted = fit_columns(COLUMNS, width, rows)
    assert fitted[-1][0].id == "info"
    assert sum(cells for _, cells in fitted) + len(fitted) - 1 == max(width, 0)
    if len(fitted) > 1:
        assert fitted[-1][1] >= INFO_LEAST


def test_the_number_column_grows_with_the_capture() -> None:
    assert dict((column.id, width) for column, width in fit_columns(COLUMNS, 200, 12_345_678))["number"] == 8


def test_time_is_seconds_since_the_first_packet() -> None:
    first = frame(b"", 0).ts_ns
    assert relative_time(Packet(2, frame(b"", 1234.5), SUMMARY, first)) == "1.234500"
    assert relative_time(Packet(2, frame(b"", -0.25), SUMMARY, first)) == "-0.000250"


def test_the_process_is_who_sent_it() -> None:
    assert process(Packet(1, frame(b"", pid=7, comm="qmicli"), SUMMARY, 0)) == "qmicli[7]"
    assert process(Packet(1, frame(b"", pid=-1, comm=""), SUMMARY, 0)) == ""
    assert process(Packet(1, frame(b"", flags=Flag.SYNTHETIC), SUMMARY, 0)) == "(synthetic)"
