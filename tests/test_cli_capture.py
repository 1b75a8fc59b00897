# SPDX-License-Identifier: GPL-2.0-or-later
"""`qmisniff capture` around a source that is made up: what is printed, written, refused."""

from __future__ import annotations

import json
import os
import re
import resource
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

import qmisniff.capture
from qmisniff.capture_file import Reader
from qmisniff.cli import main
from qmisniff.frame import Frame
from qmisniff.tracker import Tracker
from qmisniff.tracker.window import Window
from tests import factories as make
from tests.capture.test_run import Script

DMS, CLIENT = (make.MODEM, 10), (make.HOST, 0x4001)
FRAMES = [
    make.frame(make.server(make.NEW_SERVER, 2, 0x101, *DMS)),
    make.frame(make.qrtr(make.qmi(0, 1, 0x25), CLIENT, DMS), at_ms=1),
    make.frame(make.qrtr(make.qmi(2, 1, 0x25, make.tlv(2, bytes(4))), DMS, CLIENT), at_ms=2.5),
]


def saved(path: Path) -> list[Frame]:
    with path.open("rb") as stream:
        reader = Reader(stream)
        frames = list(reader)
    assert not reader.damage
    return frames


@pytest.fixture
def source(monkeypatch: pytest.MonkeyPatch) -> Script:
    """The frames above, one at each read, and the end."""
    script = Script(*(lambda frame=frame: [frame] for frame in FRAMES), lambda: None)
    monkeypatch.setattr(qmisniff.capture, "open_source", lambda name, tuning: script)
    return script


def lines(capsys: pytest.CaptureFixture[str]) -> list[str]:
    return capsys.readouterr().out.splitlines()


def test_it_prints_and_saves_nothing(
    source: Script, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["capture", "-P"]) == 0
    printed = lines(capsys)
    assert len(printed) == 3
    assert re.match(r" +3 +0\.002500 +0:\S+ → 1:\S+ +QMI_DMS .*Get IDs", printed[2])
    assert list(tmp_path.iterdir()) == []


def test_it_prints_with_w_too(source: Script, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["capture", "-P", "-w", str(tmp_path / "all"), "-Y", "qmi.time > 0.001"]) == 0
    assert len(lines(capsys)) == 1, "the filter chooses what is shown"
    assert len(saved(tmp_path / "all")) == 3, "the file gets all"


def test_every_format_is_a_whole_document(source: Script, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["capture", "-T", "json"]) == 0
    assert [packet["number"] for packet in json.loads(capsys.readouterr().out)] == [1, 2, 3]


def test_w_alone_prints_nothing(source: Script, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["capture", "-w", str(tmp_path / "all")]) == 0
    assert lines(capsys) == []


def test_several_files(source: Script, tmp_path: Path) -> None:
    assert main(["capture", "-w", str(tmp_path / "m.pcapng"), "-b", "packets:2", "-a", "packets:3"]) == 0
    first, second = sorted(tmp_path.iterdir())
    assert re.fullmatch(r"m_00002_\d{14}\.pcapng", second.name)
    assert [len(saved(first)), len(saved(second))] == [2, 2]


def test_losses_are_said_when_it_fails(source: Script, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (500, hard))
    try:
        assert main(["capture", "-w", str(tmp_path / "full")]) == 2
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    said = capsys.readouterr().err
    assert f"{len(saved(tmp_path / 'full'))} packets, 7 lost" in said
    assert "File too large" in said


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["-P", "-w", "-"], "both need standard output"),
        (["-i", "kernel", "-i", "usbmon0"], "one source"),
        (["-b", "packets:3", "-w", "-"], "need files"),
        (["-b", "packets:3", "-P"], "need files"),
        (["-a", "files:3", "-w", "x"], "when to go on"),
        (["-b", "lines:3"], "not understood"),
        (["-e", "qmi.msgid", "-P"], "-T fields"),
        (["-Y", "nonsense ="], "nonsense"),
        (["-T", "fields", "-e", "no.such"], "no.such"),
    ],
)
def test_what_makes_no_sense_is_refused(
    source: Script, words: Sequence[str], why: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["capture", *words]) == 2
    assert why in capsys.readouterr().err
    assert not source.opened


def test_a_reader_of_the_lines_that_goes_ends_it_quietly(tmp_path: Path) -> None:
    program = (
        "import sys,time,qmisniff.capture\n"
        "from tests.capture.test_run import Script\nfrom tests.test_cli_capture import FRAMES\n"
        "steps=[lambda: FRAMES]+[lambda: time.sleep(.01) or [] for _ in range(2000)]\n"
        "qmisniff.capture.open_source=lambda name, tuning: Script(*steps, lambda: sys.exit('was not ended'))\n"
        "from qmisniff.cli import main\nsys.exit(main(['capture','-P','-w',sys.argv[1]]))\n"
    )
    path = tmp_path / "whole.pcapng"
    running = subprocess.Popen(
        [sys.executable, "-c", program, str(path)], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        cwd=Path(__file__).parents[1],
    )  # fmt: skip
    assert running.stdout and running.stderr
    assert b"NEW_SERVER" in running.stdout.readline()
    running.stdout.close()
    said = running.stderr.read().decode()
    assert running.wait(60) == 0, said
    assert "Traceback" not in said
    assert len(saved(path)) >= 3
    running.stderr.close()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
def test_lines_that_find_no_room_end_it_with_a_whole_file(tmp_path: Path) -> None:
    program = (
        "import sys,qmisniff.capture\n"
        "from tests.capture.test_run import Script\nfrom tests.test_cli_capture import FRAMES\n"
        "qmisniff.capture.open_source=lambda name, tuning: Script(lambda: FRAMES, lambda: None)\n"
        "from qmisniff.cli import main\nsys.exit(main(['capture','-P','-w',sys.argv[1]]))\n"
    )
    with Path("/dev/full").open("wb") as full:
        command = [sys.executable, "-c", program, str(tmp_path / "whole")]
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, cwd=Path(__file__).parents[1])
    assert (done.returncode, len(saved(tmp_path / "whole"))) == (2, 3)
    assert done.stderr.splitlines()[-1] == b"qmisniff: standard output: No space left on device"
    assert b"3 packets, 7 lost" in done.stderr


def test_a_reader_behind_a_program_in_between_is_missed_without_traffic() -> None:
    """As with ssh, which only finds that nobody takes what it brings when it brings something."""
    program = (
        "import sys,time,qmisniff.capture\n"
        "from tests.capture.test_run import Script\nfrom tests.test_cli_capture import FRAMES\n"
        "steps=[lambda: FRAMES]+[lambda: time.sleep(.02) or [] for _ in range(2000)]\n"
        "qmisniff.capture.open_source=lambda name, tuning: Script(*steps, lambda: sys.exit('was not ended'))\n"
        "from qmisniff.cli import main\nsys.exit(main(['capture','-w','-']))\n"
    )
    capture = subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=Path(__file__).parents[1]
    )
    between = subprocess.Popen(["cat"], stdin=capture.stdout, stdout=subprocess.PIPE)
    assert capture.stdout and capture.stderr and between.stdout
    capture.stdout.close()
    assert between.stdout.read(4) == b"\n\r\r\n"
    between.stdout.close()
    said = capture.stderr.read().decode()
    assert capture.wait(60) == 0, said
    assert "Traceback" not in said
    between.wait(60)
    capture.stderr.close()


def test_numbers_and_pairs_go_on_when_memory_is_given_back() -> None:
    """A tracker that forgets says what one that does not says."""
    frames = [FRAMES[0]]
    for txn in range(1, 40):
        frames.append(make.frame(make.qrtr(make.qmi(0, txn, 0x25), CLIENT, DMS), at_ms=2 * txn))
        if txn > 1:  # answered when the next has been asked
            answer = make.qmi(2, txn - 1, 0x25, make.tlv(2, bytes(4)))
            frames.append(make.frame(make.qrtr(answer, DMS, CLIENT), at_ms=2 * txn + 1))
    window, whole = Window(frames=8, again=3), Tracker()
    for row, frame in enumerate(frames):
        whole.add(frame)
        assert window.add(frame) == whole.context(row)
    assert len(window._tracker) <= 8


def test_reading_a_count_stops_early(tmp_path: Path) -> None:
    """A large file's rest is not looked at: it may be damaged there."""
    path = tmp_path / "large.pcapng"
    from qmisniff.capture_file import Writer

    with path.open("wb") as stream:
        writer = Writer(stream)
        writer.write(FRAMES * 1000)
        writer.close()
    with path.open("ab") as stream:
        stream.write(b"damage")
    command = [sys.executable, "-m", "qmisniff", "read", str(path)]
    whole = subprocess.run(command, capture_output=True)
    assert (whole.returncode, whole.stdout.count(b"\n")) == (1, 3000)
    some = subprocess.run([*command, "-c", "4"], capture_output=True)
    assert (some.returncode, some.stdout.count(b"\n"), some.stderr) == (0, 4, b"")
    assert some.stdout == b"".join(whole.stdout.splitlines(keepends=True)[:4])


def test_a_capture_runs_with_the_standard_library_alone(tmp_path: Path) -> None:
    """From the first file to the last, in several files, without -P."""
    program = (
        "import sys\n"
        "for name in ('numpy', 'yaml', 'textual', 'rich', 'pyshark'): sys.modules[name] = None\n"
        "import qmisniff.capture\nfrom qmisniff.capture.limits import Limits\n"
        "from qmisniff.cli import main\n"
        f"code = main(['capture', '-i', 'exec:false', '-w', {str(tmp_path / 'x')!r}, '-b', 'packets:2'])\n"
        "assert code == 3, code\n"
        "bad = [name for name in sys.modules if name.startswith('qmisniff.') and name.split('.')[1] not in "
        "('cli', 'errors', 'frame', 'pcapng', 'capture_file', 'capture', 'printable')]\n"
        "assert not bad, bad\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True, env={**os.environ, "PATH": os.environ["PATH"]})


@pytest.mark.parametrize("words", [["-V"], ["-T", "ndjson", "-Y", "qmi"]])
def test_whoever_it_becomes_has_nothing_more_to_read(words: list[str]) -> None:
    """Nobody may not read root's home, where the program may be: all is imported, all definitions are read by then."""
    program = (
        "import pathlib,sys,qmisniff.capture,qmisniff.capture.run as run\n"
        "from qmisniff.capture_file import Reader\nfrom qmisniff.capture.source import Statistics\n"
        "frames=[f for p in sorted(pathlib.Path('captures').glob('*.pcapng')) for f in Reader(p.open('rb'))]\n"
        "from tests.capture.test_run import Script\n"
        "qmisniff.capture.open_source=lambda name, tuning: Script(lambda: frames, lambda: None)\n"
        "def leave(source, opener):\n"
        "    def refuse(event, arguments):\n"
        "        if event == 'open' and 'qmisniff' in str(arguments[0]): sys.exit(f'opened {arguments[0]}')\n"
        "    sys.addaudithook(refuse)\n"
        "    return opener, ''\n"
        "run.leave_root=leave\n"
        "import os; os.geteuid=lambda: 0\n"
        "from qmisniff.cli import main\nsys.exit(main(['capture',*sys.argv[1:]]))\n"
    )
    command = [sys.executable, "-c", program, *words]
    done = subprocess.run(command, capture_output=True, cwd=Path(__file__).parents[1])
    assert done.returncode == 0, done.stderr
    assert len(done.stdout) > 10_000
