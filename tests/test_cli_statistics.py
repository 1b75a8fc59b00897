# SPDX-License-Identifier: GPL-2.0-or-later
"""`qmisniff stats` as its users meet it."""

from __future__ import annotations

import csv
import json
import re
import shutil
import subprocess
import sys
from datetime import datetime
from pathlib import Path

import pytest

from qmisniff.analysis.tables import SUBJECTS
from qmisniff.capture_file import Writer
from qmisniff.cli import statistics
from tests import factories as make

SAMPLE = Path(__file__).parents[1] / "captures" / "phone-services.pcapng"


def stats(*arguments: str, data: bytes | None = None) -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-m", "qmisniff", "stats", *arguments]
    return subprocess.run(command, input=data, capture_output=True, timeout=60)


def printed(*arguments: str) -> str:
    done = stats(*arguments)
    assert (done.returncode, done.stderr) == (0, b"")
    return done.stdout.decode()


def test_the_command_line_knows_the_subjects_there_are() -> None:
    assert set(statistics.SUBJECTS) == {*SUBJECTS, "summary", "values"}


@pytest.mark.parametrize(
    ("subject", "first"),
    [
        ("services", "DMS                  1         1         0:18"),
        ("lookups", "SERVREG_LOC"),
        ("nodes", "   0  elsewhere         0    33  1,904"),
        ("transactions", "     73  SSC            Control                        24.64 ms  ok"),
        ("conversations", "0:60                   RMTFS          1:14           14       2"),
        ("messages", "SERVREG_LOC    Get Domain List                      8       0"),
        ("problems", "note          2     90    93  the request failed: MALFORMED_MESSAGE (1)"),
    ],
)
def test_every_subject_is_a_table(subject: str, first: str) -> None:
    heading, line, *_ = printed(str(SAMPLE), subject).splitlines()
    assert heading.strip()[0].isupper() and line.startswith(first)


def test_a_summary_is_a_line_a_number_and_one_object() -> None:
    lines = dict(re.split(r" {2,}", line, maxsplit=1) for line in printed(str(SAMPLE), "summary").splitlines())
    assert (lines["Packets"], lines["Lost packets"], lines["Requests"], lines["Errors"]) == ("114", "0", "17", "2")
    assert lines["First packet"] == "2026-11-23T07:35:01.898239485Z" and lines["Link types"] == "QRTR (114)"
    (found,) = json.loads(printed(str(SAMPLE), "summary", "-T", "json"))
    assert (found["packets"], found["duration"], found["services"]) == (114, 22.48938716, lines["Services"])
    (none,) = json.loads(printed(str(SAMPLE), "summary", "-Y", "qmi.service == 77", "-T", "json"))
    assert none["packets"] == 0 and "first" not in none and "packet_rate" not in none


@pytest.mark.skipif(shutil.which("capinfos") is None, reason="capinfos is not installed (tests/setup-debian)")
@pytest.mark.parametrize("sample", sorted(SAMPLE.parent.glob("*.pcapng")), ids=lambda path: path.stem)
def test_a_summary_says_what_capinfos_says(sample: Path) -> None:
    command = ["capinfos", "-T", "-m", "-Q", "-c", "-a", "-e", "-u", "-S", str(sample)]
    shown = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    (theirs,) = csv.DictReader(shown.splitlines())
    (ours,) = csv.DictReader(printed(str(sample), "summary", "-T", "csv").splitlines())
    assert ours["packets"] == theirs["Number of packets"]
    assert float(ours["duration"]) == float(theirs["Capture duration (seconds)"])
    for name, column in (("first", "Start time"), ("last", "End time")):
        moment = datetime.fromisoformat(ours[name][:26] + "Z").timestamp()
        assert abs(moment - float(theirs[column])) < 2e-6


def test_packets_lost_after_the_last_one_are_in_the_summary(tmp_path: Path) -> None:
    with (tmp_path / "lost.pcapng").open("wb") as stream:
        writer = Writer(stream)
        writer.write([make.frame(b"", lost=3)])
        writer.close(10)
    (found,) = json.loads(printed(str(tmp_path / "lost.pcapng"), "summary", "-T", "json"))
    assert found["lost"] == 10
    (found,) = json.loads(printed(str(tmp_path / "lost.pcapng"), "summary", "-Y", "frame", "-T", "json"))
    assert found["lost"] == 3


def test_only_what_passes_a_filter_counts() -> None:
    rows = json.loads(printed(str(SAMPLE), "messages", "-Y", "qmi.service == rmtfs", "-T", "json"))
    assert {row["service"] for row in rows} == {"RMTFS"} and sum(row["errors"] for row in rows) == 2
    assert json.loads(printed(str(SAMPLE), "messages", "-Y", "frame.number == 1", "-T", "json")) == []


def test_csv_is_for_spreadsheets() -> None:
    rows = list(csv.DictReader(printed(str(SAMPLE), "transactions", "-T", "csv").splitlines()))
    assert len(rows) == 17
    assert (rows[0]["request"], rows[0]["service_id"], rows[0]["response_time"]) == ("73", "400", "0.02463639")


def test_values_are_of_one_field() -> None:
    heading, *rows = printed(str(SAMPLE), "values", "-e", "qmi.txn").splitlines()
    assert heading.split()[-1] == "qmi.txn" and len(rows) == 37


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("values",), "-e names the field of the subject `values`"),
        (("services", "-e", "qmi.txn"), "-e names the field of the subject `values`"),
        (("values", "-e", "tap.comm"), "tap.comm is no number"),
        (("values", "-e", "qmi.tx"), "did you mean qmi.txn?"),
        (("services", "-Y", "qmi.service =="), "qmi.service =="),
    ],
)
def test_wrong_usage_says_what_would_be_right(arguments: tuple[str, ...], said: str) -> None:
    done = stats(str(SAMPLE), *arguments)
    assert done.returncode == 2 and done.stdout == b""
    assert said in done.stderr.decode() and b"Traceback" not in done.stderr


def test_a_pipe_will_do_and_damage_is_told() -> None:
    data = SAMPLE.read_bytes()
    assert stats("-", "services", data=data).stdout == stats(str(SAMPLE), "services").stdout
    cut = stats("-", "services", data=data[:-10])
    assert cut.returncode == 1 and cut.stdout and b"qmisniff: " in cut.stderr
