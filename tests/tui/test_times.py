# SPDX-License-Identifier: GPL-2.0-or-later
from __future__ import annotations

from pathlib import Path

import pytest

from qmisniff.capture_file import Reader
from qmisniff.cli import main
from qmisniff.paths import data_dir
from qmisniff.tui.times import seconds


@pytest.mark.parametrize(
    ("ns", "text"),
    [
        (0, "0.000000"),
        (15_936_797_740, "15.936798"),
        (-1_499, "-0.000001"),
        (-1, "0.000000"),
        (999_999_999, "1.000000"),
    ],
)
def test_spans_are_rounded(ns: int, text: str) -> None:
    assert seconds(ns) == text


@pytest.mark.parametrize("path", sorted(data_dir("captures").glob("*.pcapng")), ids=lambda path: path.stem)
def test_times_are_those_that_read_prints(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with path.open("rb") as stream:
        times = [frame.ts_ns for frame in Reader(stream)]
    assert main(["read", str(path)]) == 0
    printed = [line.split()[1] for line in capsys.readouterr().out.splitlines()]
    assert printed == [seconds(each - times[0]) for each in times]
