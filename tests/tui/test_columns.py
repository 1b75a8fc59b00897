# SPDX-License-Identifier: GPL-2.0-or-later
from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from qmisniff.definitions import open_registry
from qmisniff.dissect import Dissector, Summary
from qmisniff.dissect.frame_layer import FRAME
from qmisniff.field import Field
from qmisniff.filter.catalogue import Catalogue
from qmisniff.frame import Flag, Frame
from qmisniff.protocol.context import Context
from qmisniff.tui.columns import INFO_LEAST, Packet, builtin, columns_of, field_column, fit_columns, process
from tests.factories import frame, qrtr

CATALOGUE = Catalogue(open_registry([]))
COLUMNS = list(builtin().values())
SUMMARY = Summary("1:0x4001", "0:10", "QMI_DMS", "Request: Get IDs, txn 1", None)


def ids(width: int, rows: int = 10) -> list[str]:
    return [column.id for column, _ in fit_columns(COLUMNS, width, rows)]


def test_a_wide_terminal_shows_all_a_narrow_one_what_matters() -> None:
    assert ids(200) == [column.id for column in COLUMNS]
    assert ids(79) == ["number", "time", "protocol", "info"] or len(ids(79)) > 4
    assert ids(35) == ["number", "info"]
    assert ids(19) == ["info"]


def test_a_longer_time_and_a_field_asked_for_stay_in_80_columns() -> None:
    imei = ["qmi.dms.get_ids.imei", 12, True]
    columns = columns_of([*([id, column.width, True] for id, column in builtin().items()), imei], CATALOGUE, "date")
    assert [column.id for column, _ in fit_columns(columns, 77, 10)] == ["number", "time", "info", imei[0]]


@given(st.integers(0, 300), st.integers(0, 10**9))
def test_the_columns_fill_the_width(width: int, rows: int) -> None:
    fitted = fit_columns(COLUMNS, width, rows)
    assert fitted[-1][0].id == "info"
    assert sum(cells for _, cells in fitted) + len(fitted) - 1 == max(width, 0)
    if len(fitted) > 1:
        assert fitted[-1][1] >= INFO_LEAST


def test_the_number_column_grows_with_the_capture() -> None:
    assert dict((column.id, width) for column, width in fit_columns(COLUMNS, 200, 12_345_678))["number"] == 8


def packet(each: Frame, start_ns: int = 0) -> Packet:
    return Packet(each, Context(2), SUMMARY, start_ns, start_ns, lambda: Field(FRAME, None, 0, 0))


def test_time_is_seconds_since_the_first_packet() -> None:
    first = frame(b"", 0).ts_ns
    time = builtin()["time"].text
    assert time(packet(frame(b"", 1234.5), first)) == "1.234500"
    assert time(packet(frame(b"", -0.25), first)) == "-0.000250"


def test_the_condition_of_a_time_is_exact() -> None:
    condition = builtin()["time"].condition
    assert condition(packet(frame(b"")._replace(ts_ns=1_795_416_922_522_254_241))) == (
        "frame.time_epoch == 1795416922.522254241"
    )


def test_a_column_of_either_end_shows_both() -> None:
    spec = CATALOGUE.find("qrtr.port")
    assert spec is not None
    column, sent = field_column(spec), frame(qrtr(b"", (1, 0x4001), (0, 10)))
    shown = packet(sent)._replace(tree=lambda: Dissector(open_registry([])).tree(sent, Context(1)))
    assert column.text(shown) == "0x00004001, 0x0000000a"
    assert column.condition(shown) == "qrtr.src_port == 0x4001 && qrtr.dst_port == 0xa"


def test_the_process_is_who_sent_it() -> None:
    assert process(packet(frame(b"", pid=7, comm="qmicli"))) == "qmicli[7]"
    assert process(packet(frame(b"", pid=-1, comm=""))) == ""
    assert process(packet(frame(b"", flags=Flag.SYNTHETIC))) == "(synthetic)"


def test_what_was_remembered_comes_back_and_what_is_unknown_is_left_out() -> None:
    kept = columns_of([["info", 5, True], ["qmi.dms.get_ids.imei", 20, True], ["no.such", 9, True],
                       ["length", 4, False]], CATALOGUE)  # fmt: skip
    assert [(column.id, column.width, column.shown) for column in kept] == [
        ("info", 0, True), ("qmi.dms.get_ids.imei", 20, True), ("length", 4, False)
    ]  # fmt: skip
    assert [column.id for column in columns_of([["nothing", 1, True]], CATALOGUE)] == list(builtin())
