# SPDX-License-Identifier: GPL-2.0-or-later
"""`read -T fields` and `-T csv`: tshark's options, and the cells that a spreadsheet gets."""

from __future__ import annotations

import csv
import io
import json
import random
from pathlib import Path

import pytest

from qmisniff import cli
from qmisniff.export import Detail, open_format
from qmisniff.export.fields import LISTED
from qmisniff.protocol.qrtr import ENDS
from tests.filter import capture
from tests.filter.test_columns import made

SAMPLE = str(Path(__file__).parents[1] / "captures" / "first-contact.pcapng")
ANSWER = ["-Y", "qmi.type == response && qmi.msgid == 0x25"]  # one frame: the IDs of the modem


def printed(capsys: pytest.CaptureFixture[str], *arguments: str) -> list[str]:
    """The lines that `qmisniff read SAMPLE` prints."""
    assert cli.main(["read", SAMPLE, *arguments]) == 0
    return capsys.readouterr().out.splitlines()


def test_fields_are_separated_by_tabs(capsys: pytest.CaptureFixture[str]) -> None:
    lines = printed(capsys, "-T", "fields", "-e", "qmi.msgid", "-e", "qmi.dms.get_ids.imei", "-e", "tap.comm", *ANSWER)
    assert len(lines) == 1
    msgid, imei, comm = lines[0].split("\t")
    assert (msgid, len(imei)) == ("37", 15)
    assert comm


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ([], ["2,16,17,18,19"]),
        (["occurrence=f"], ["2"]),
        (["occurrence=l"], ["19"]),
        (["aggregator=/s", "header=y"], ["qmi.tlv.type", "2 16 17 18 19"]),
        (["quote=d"], ['"2,16,17,18,19"']),
    ],
)
def test_what_occurs_more_than_once(
    capsys: pytest.CaptureFixture[str], options: list[str], expected: list[str]
) -> None:
    chosen = [word for option in options for word in ("-E", option)]
    assert printed(capsys, "-T", "fields", "-e", "qmi.tlv.type", *chosen, *ANSWER) == expected


def test_csv_is_what_a_csv_reader_reads(capsys: pytest.CaptureFixture[str]) -> None:
    lines = printed(capsys, "-T", "csv")
    rows = list(csv.DictReader(io.StringIO("\n".join(lines))))
    assert [row["frame.number"] for row in rows] == [str(number) for number in range(1, len(rows) + 1)]
    assert "Response: Get IDs, txn 1 (esn, imei, meid, imei_software_version)" in [row["_ws.col.info"] for row in rows]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["-T", "fields"], "-e"),
        (["-T", "fields", "-e", "qmi.nas.get_signal_inf.lte"], "did you mean qmi.nas.get_signal_info"),
        (["-T", "fields", "-e", "frame.number", "-E", "header=maybe"], "not understood"),
        (["-e", "frame.number"], "-T fields"),
    ],
)
def test_mistakes_are_told_with_what_would_be_right(
    capsys: pytest.CaptureFixture[str], arguments: list[str], said: str
) -> None:
    assert cli.main(["read", SAMPLE, *arguments]) == 2
    errors = capsys.readouterr().err
    assert said in errors and errors.count("\n") == 1


@pytest.mark.parametrize("seed", range(31))
def test_columns_print_what_decoding_prints(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    rng, store, dissector = random.Random(seed), made(seed), capture.dissector()
    found = {name for row in range(len(store)) for name in dissector.values(store.frame(row), store.context(row))}
    names = sorted(name for name in found if not name.endswith(".label"))
    names += [*LISTED, "frame.time", "frame.time_epoch", "tap.lost", *ENDS]
    for form, options in (("fields", ("quote=s",)), ("fields", ("occurrence=l",)), ("csv", ())):
        detail = Detail(fields=tuple(rng.sample(names, 8)), options=options)
        printed = []
        for few in (0, 1000):
            monkeypatch.setattr("qmisniff.export._FEW", few)
            monkeypatch.setattr("qmisniff.export._FEW_MORE", few)
            out = io.StringIO()
            open_format(form, dissector, out, detail).rows(store, range(len(store)))
            printed.append(out.getvalue())
        assert printed[0] == printed[1], detail.fields


@pytest.mark.parametrize("frame", [True, False])
def test_lines_of_many_packets_are_those_of_each(frame: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    store, dissector, printed = made(1), capture.dissector(), []
    for few in (0, 1000):
        monkeypatch.setattr("qmisniff.export._FEW", few)
        monkeypatch.setattr("qmisniff.export._FEW_MORE", few)
        out = io.StringIO()
        open_format("ndjson", dissector, out, Detail(frame=frame)).rows(store, range(len(store)))
        printed.append(out.getvalue())
    # Whether a request was answered stands elsewhere in the one than in the other.
    columns, alone = ([json.loads(line) for line in text.splitlines()] for text in printed)
    assert columns == alone
    assert ('"frame.number":' in printed[0]) == ('"tap.hook":' in printed[0]) == frame


def test_fields_of_regular_messages_are_not_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    store, dissector = made(0), capture.dissector()
    monkeypatch.setattr("qmisniff.export._FEW", 0)
    monkeypatch.setattr("qmisniff.export._FEW_MORE", 0)
    monkeypatch.setattr(dissector, "walk", None)
    names = ("frame.number", "qmi.nas.get_signal_info.lte.rsrp", "qmi.wds.get_current_settings.profile_name")
    out = io.StringIO()
    open_format("fields", dissector, out, Detail(fields=names)).rows(store, [4, 6])
    assert out.getvalue() == "5\t-95\t\n7\t\tcaf\u00e9\n"


def test_ndjson_in_bulk_is_what_it_is_frame_by_frame(monkeypatch: pytest.MonkeyPatch) -> None:
    for seed in range(31):
        store, dissector, lines = made(seed), capture.dissector(), []
        for few in (True, False):
            monkeypatch.setattr("qmisniff.export.ndjson.few", lambda rows, few=few: few)
            out = io.StringIO()
            form = open_format("ndjson", dissector, out, Detail())
            form.rows(store, range(0, len(store), 2))
            lines.append([json.loads(line) for line in out.getvalue().splitlines()])
        assert lines[0] == lines[1]


def test_either_end_is_both(capsys: pytest.CaptureFixture[str]) -> None:
    shown = printed(capsys, "-T", "fields", "-e", "qrtr.node", "-e", "qrtr.port", *ANSWER)
    assert shown == ["0,1\t18,16385"]


def test_seconds_are_exact(capsys: pytest.CaptureFixture[str]) -> None:
    seconds = printed(capsys, "-T", "fields", "-e", "frame.time_epoch", "-c", "1")[0]
    assert len(seconds.partition(".")[2]) == 9
