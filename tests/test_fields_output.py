# SPDX-License-Identifier: GPL-2.0-or-later
"""`read -T fields` and `-T csv`: tshark's options, and the cells that a spreadsheet gets."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import pytest

from qmisniff import cli

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
