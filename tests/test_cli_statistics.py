# SPDX-License-Identifier: GPL-2.0-or-later
"""`qmisniff stats` as its users meet it."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from pathlib import Path

import pytest

from qmisniff.analysis.tables import SUBJECTS
from qmisniff.cli import statistics

SAMPLE = Path(__file__).parents[1] / "captures" / "phone-services.pcapng"


def stats(*arguments: str, data: bytes | None = None) -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-m", "qmisniff", "stats", *arguments]
    return subprocess.run(command, input=data, capture_output=True, timeout=60)


def printed(*arguments: str) -> str:
    done = stats(*arguments)
    assert (done.returncode, done.stderr) == (0, b"")
    return done.stdout.decode()


def test_the_command_line_knows_the_subjects_there_are() -> None:
    assert set(statistics.SUBJECTS) == {*SUBJECTS, "values"}


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
