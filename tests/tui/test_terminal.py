# SPDX-License-Identifier: GPL-2.0-or-later
"""The installed program in a real terminal."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
from rich.style import Style

from qmisniff.capture_file import Reader, Writer
from qmisniff.frame import Frame
from qmisniff.paths import data_dir
from qmisniff.tui.terminal import lasting_output
from tests.tui.conversation import conversation
from tests.tui.tmux import PATIENCE_S, PROGRAM, Terminal

SAMPLE = data_dir("captures") / "first-contact.pcapng"


@pytest.fixture
def terminal(tmp_path: Path) -> Iterator[Terminal]:
    made = Terminal(tmp_path)
    yield made
    made.close()


def capture(frames: list[Frame]) -> bytes:
    """A capture of these frames that has not ended."""
    stream = io.BytesIO()
    Writer(stream).write(frames)
    return stream.getvalue()


def conversation_file(folder: Path) -> Path:
    path = folder / "conversation.pcapng"
    path.write_bytes(capture(conversation()))
    return path


def test_the_sample_shows_the_imei_and_its_bytes(terminal: Terminal) -> None:
    with SAMPLE.open("rb") as stream:
        frames = list(Reader(stream))
    row, frame = next((row, frame) for row, frame in enumerate(frames) if b"\x11\x0f\x00001" in frame.data)
    start = frame.data.index(b"\x11\x0f\x00001") + 3
    imei = frame.data[start : start + 15].decode()

    terminal.run(f"{PROGRAM} {SAMPLE}")
    terminal.until(lambda text: f"{len(frames)} received" in text)
    for _ in range(row):
        terminal.press("j")
    terminal.until(lambda text: "Get IDs" in text.split("─ Details")[1])
    terminal.press("Tab")
    for _ in range(60):
        before = terminal.text()
        if f"imei  15 bytes at {start}" in before:
            break
        terminal.press("Down")
        terminal.until(partial(str.__ne__, before))  # a busy machine would be pressed past it
    text = terminal.until(lambda text: f"qmi.dms.get_ids.imei  15 bytes at {start}" in text)
    assert f"imei: {imei}" in text.split("─ Details")[1].split("─ Bytes")[0]

    cells = terminal.cells()
    first = next(at for at, line in enumerate(cells) if "".join(char for char, _ in line).startswith("0000  "))
    styles: dict[int, Style] = {}
    for offset in range(len(frame.data)):
        line = cells[first + offset // 16]
        column = 6 + 3 * (offset % 16) + (offset % 16 >= 8)
        assert "".join(char for char, _ in line[column : column + 2]) == f"{frame.data[offset]:02x}"
        styles[offset] = line[column][1]
    plain = styles[0]
    assert [offset for offset, style in styles.items() if style != plain] == list(range(start, start + 15))

    terminal.press("q")
    terminal.until(lambda text: "exit code 0" in text)


def test_a_capture_through_a_pipe_is_followed_and_can_be_left(terminal: Terminal, tmp_path: Path) -> None:
    path = conversation_file(tmp_path)
    size = path.stat().st_size
    os.mkfifo(tmp_path / "go")
    terminal.run(f"(head -c {size - 400} {path}; cat go; tail -c 400 {path}; cat go) | {PROGRAM} tui -")
    terminal.until(lambda text: "standard input (live)" in text and "Get IDs" in text)
    (tmp_path / "go").write_text("")
    terminal.until(lambda text: "Signal Info" in text and "following" in text)  # it came later, and is selected
    terminal.press("k")
    terminal.until(lambda text: "not following" in text)
    terminal.press("q")
    terminal.until(lambda text: "7 packets are not saved" in text)
    terminal.press("C-n")
    (tmp_path / "go").write_text("")
    terminal.until(lambda text: "exit code 0" in text)
    assert not list(tmp_path.glob("qmisniff-*.pcapng"))


def test_what_another_program_writes_on_the_screen_is_painted_over(terminal: Terminal, tmp_path: Path) -> None:
    path = conversation_file(tmp_path)
    os.mkfifo(tmp_path / "go")
    terminal.run(f"(cat {path}; cat go; printf '\\nnoise' >&2; cat go; printf '\\nnoise' >&2) | {PROGRAM} tui -")
    terminal.until(lambda text: "7 received" in text)
    (tmp_path / "go").write_text("")
    terminal.until(lambda text: "noise" in text)
    terminal.press("C-l")
    terminal.until(lambda text: "noise" not in text and "7 received" in text)
    (tmp_path / "go").write_text("")
    terminal.until(lambda text: "(stopped)" in text and "noise" not in text)  # the end is its last word


def test_a_capture_can_be_written_while_it_is_looked_at(terminal: Terminal, tmp_path: Path) -> None:
    path, mine = conversation_file(tmp_path), tmp_path / "mine.pcapng"
    mine.write_text("an earlier capture")
    os.mkfifo(tmp_path / "pipe")
    terminal.run(f"(cat {path}; sleep 1000) > pipe & {PROGRAM} tui - -w {mine} < pipe")
    terminal.until(lambda text: "7 received" in text)
    with mine.open("rb") as stream:
        assert list(Reader(stream)) == conversation()
    terminal.press("q")
    terminal.until(lambda text: "exit code 0" in text)  # nothing was asked
    with mine.open("rb") as stream:
        reader = Reader(stream)
        assert list(reader) == conversation() and not reader.damage
    assert not list(tmp_path.glob("qmisniff-*.pcapng"))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_kill_leaves_the_terminal_usable_and_the_capture_on_disk(
    terminal: Terminal, tmp_path: Path, number: signal.Signals
) -> None:
    path = conversation_file(tmp_path)
    os.mkfifo(tmp_path / "pipe")
    terminal.run(f"(cat {path}; sleep 1000) > pipe & {PROGRAM} tui - < pipe")
    terminal.until(lambda text: "7 received" in text)
    (pid,) = terminal.pids()
    os.kill(pid, number)
    terminal.until(lambda text: "what was captured is in" in text and "exit code" in text)
    (kept,) = tmp_path.glob("qmisniff-*.pcapng")
    with kept.open("rb") as stream:
        assert list(Reader(stream)) == conversation()
    # No mouse reports, no alternate screen: the terminal is as it was.
    assert terminal.tmux("display-message", "-p", "#{mouse_any_flag}#{alternate_on}").strip() == "00"


def test_a_terminal_that_goes_away_takes_nothing_with_it(terminal: Terminal, tmp_path: Path) -> None:
    whole, one = (capture(conversation() + conversation()[:count]) for count in (0, 1))
    (tmp_path / "whole").write_bytes(whole)
    (tmp_path / "one").write_bytes(one[len(whole) :])
    os.mkfifo(tmp_path / "pipe")
    # The screen is being painted when the terminal goes.
    traffic = "cat whole; for i in $(seq 2000); do cat one; sleep 0.01; done"
    terminal.run(f"({traffic}) > pipe & {PROGRAM} tui - < pipe")
    terminal.until(lambda text: "NEW_SERVER" in text.split("Get Serving")[-1])
    (pid,) = terminal.pids()
    terminal.close()
    deadline = time.monotonic() + PATIENCE_S
    while Path(f"/proc/{pid}").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not Path(f"/proc/{pid}").exists()
    (kept,) = tmp_path.glob("qmisniff-*.pcapng")
    with kept.open("rb") as stream:
        reader = Reader(stream)
        assert list(reader)[:7] == conversation()
        assert not reader.damage


def test_output_to_a_terminal_that_is_gone_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    ours, theirs = os.openpty()
    with open(theirs, "w", buffering=1) as stderr:  # noqa: PTH123 - a descriptor
        monkeypatch.setattr(sys, "stderr", stderr)
        with lasting_output():
            assert sys.stderr is not stderr and sys.stderr is sys.__stderr__
            print("there", file=sys.stderr)
            assert os.read(ours, 100) == b"there\r\n"
            os.close(ours)
            print("gone", file=sys.stderr, flush=True)
        assert sys.stderr is stderr
        with pytest.raises(OSError):
            stderr.flush()
        os.dup2(os.open(os.devnull, os.O_WRONLY), theirs)


@pytest.mark.parametrize(("command", "code", "words"), [
    ("tui nowhere.pcapng", 2, "nowhere.pcapng: No such file or directory"),
    ("tui /bin/sh", 2, "not a capture file"),
    ("tui -", 2, "standard input is the terminal"),
    ("tui x.pcapng -i kernel", 2, "a file and a source at once"),
    (f"tui {SAMPLE} -Y 'qmi.nothing == 1'", 2, "qmi.nothing is neither a field nor a protocol"),
    ("tui -Y qmi", 2, "-Y filters a capture"),
    ("tui -i nothing", 2, "there is no source 'nothing'"),
    ("tui x.pcapng -w y.pcapng", 2, "-w records what is captured"),
    ("tui - -w - < /dev/null", 2, "the screen records in a file only"),
    ("tui - -w no/where < /dev/null", 2, "no/where: No such file or directory (choose another place with -w)"),
])  # fmt: skip
def test_what_cannot_be_opened_is_one_line(terminal: Terminal, command: str, code: int, words: str) -> None:
    terminal.run(f"{PROGRAM} {command}", size=(200, 40))
    text = terminal.until(lambda text: "exit code" in text)
    message, *marks, last = text.rstrip().split("\n")
    assert message.startswith("qmisniff: ") and words in message and len(marks) == 2 * ("qmi.nothing" in command)
    assert last == f"exit code {code}"


def test_the_screen_can_begin_with_a_filter(terminal: Terminal) -> None:
    terminal.run(f"{PROGRAM} tui {SAMPLE} -Y 'qmi.service == dms'")
    terminal.until(lambda text: "qmi.service == dms" in text and "2 shown" in text and "Get IDs" in text)
    terminal.press("q")  # the packets have the focus, not the filter
    terminal.until(lambda text: "exit code 0" in text)


def test_without_a_terminal_it_says_so(tmp_path: Path) -> None:
    done = subprocess.run([PROGRAM, "tui", str(SAMPLE)], capture_output=True, text=True, stdin=subprocess.DEVNULL)
    assert done.returncode == 2
    assert done.stderr == "qmisniff: the screen needs a terminal (use `qmisniff read` to print a capture)\n"


def test_a_damaged_file_is_shown_and_the_exit_code_says_so(terminal: Terminal, tmp_path: Path) -> None:
    path = conversation_file(tmp_path)
    path.write_bytes(path.read_bytes()[:-200])
    terminal.run(f"{PROGRAM} {path}", size=(80, 24))
    terminal.until(lambda text: "conversation.pcapng: cut sh" in text and "Get IDs" in text)
    terminal.press("q")
    terminal.until(lambda text: "exit code 1" in text and "cut short at offset" in text)
