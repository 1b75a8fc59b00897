# SPDX-License-Identifier: GPL-2.0-or-later
"""The progress line: only on a terminal that nothing else is printed on, only when it takes long, gone at the end."""

from __future__ import annotations

import io
import os
import pty
import re
import subprocess
import sys
from pathlib import Path

import pytest

from qmisniff.cli import progress
from qmisniff.cli.progress import Progress

SAMPLE = str(Path(__file__).parents[1] / "captures" / "first-contact.pcapng")
# The delay is taken out: nothing short takes a second.
PROGRAM = "from qmisniff.cli import main, progress; progress.DELAY_S = progress.REDRAW_S = 0; main(['read', '{}'])"


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time, to be set."""
    now = [100.0]
    monkeypatch.setattr(progress, "monotonic", lambda: now[0])
    return now


@pytest.fixture
def screen() -> Terminal:
    return Terminal()


def test_short_work_draws_nothing(screen: Terminal, clock: list[float]) -> None:
    with Progress(screen, io.StringIO()) as shown:
        for done in range(100):
            clock[0] += 0.009
            shown.at("reading", done, 100)
    assert screen.getvalue() == ""


def test_long_work_draws_now_and_then_and_clears(screen: Terminal, clock: list[float]) -> None:
    with Progress(screen, io.StringIO()) as shown:
        for done in range(3000):
            clock[0] += 0.001
            shown.at("printing", done, 3000)
    drawn = screen.getvalue().split("\r\x1b[K")
    assert 15 <= len(drawn) <= 24  # for two seconds, ten times a second
    assert drawn[-1] == ""
    assert re.fullmatch(r"printing \[#+\.+\]  \d\d% of 3,000 packets, [12] s left", drawn[3])


def test_it_is_cleared_where_work_ends_early(screen: Terminal, clock: list[float]) -> None:
    with pytest.raises(BrokenPipeError), Progress(screen, io.StringIO()) as shown:
        clock[0] += 2
        shown.at("reading", 1234567)
        raise BrokenPipeError
    assert screen.getvalue() == "\r\x1b[Kreading 1,234,567 packets\r\x1b[K"


def test_it_fits_into_a_line(screen: Terminal, clock: list[float], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "20")
    with Progress(screen, io.StringIO()) as shown:
        clock[0] += 2
        shown.at("printing", 1, 1000)
    assert max(map(len, screen.getvalue().split("\r\x1b[K"))) == 19


def read_on_terminal(stdout_too: bool) -> bytes:
    """What `qmisniff read` writes to a terminal that is its standard error, or its standard output as well."""
    ours, theirs = pty.openpty()
    output = theirs if stdout_too else subprocess.DEVNULL
    command = [sys.executable, "-c", PROGRAM.format(SAMPLE)]
    with subprocess.Popen(command, stdout=output, stderr=theirs) as process:
        os.close(theirs)
        found = b""
        while True:
            try:
                part = os.read(ours, 65536)
            except OSError:  # the other side is closed
                break
            if not part:
                break
            found += part
        assert process.wait() == 0
    os.close(ours)
    return found


def test_a_terminal_gets_it_beside_a_file() -> None:
    found = read_on_terminal(stdout_too=False)
    assert b"reading " in found and found.endswith(b"\r\x1b[K")


def test_a_terminal_that_the_packets_scroll_on_does_not_get_it() -> None:
    found = read_on_terminal(stdout_too=True)
    assert b"Get IDs" in found and b"\x1b[K" not in found
