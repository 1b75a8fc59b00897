# SPDX-License-Identifier: GPL-2.0-or-later
"""Runs as a service: the unit is one that systemd understands, and is told when the capture runs."""

from __future__ import annotations

import shutil
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

import pytest

from qmisniff.capture.systemd import ready, unit
from qmisniff.capture.tap import KernelTap
from qmisniff.cli import main
from qmisniff.errors import SourceUnavailable


def test_the_unit_runs_the_same_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "a b.pcapng"
    words = ["capture", "-w", str(path), "-b", "filesize:1000", "-Y", 'tap.comm == "$HOME 100%"']
    assert main([*words, "--systemd-unit"]) == 0
    text = capsys.readouterr().out
    (command,) = (line for line in text.splitlines() if line.startswith("ExecStart="))
    assert command == (
        f'ExecStart={sys.executable} -m qmisniff capture -w "{path}" -b filesize:1000 '
        '-Y "tap.comm == \\"$$HOME 100%%\\""'
    )
    assert f"ReadWritePaths={tmp_path}" in text
    assert not path.exists(), "nothing is captured"


def test_the_option_may_be_abbreviated(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["capture", "--wait", "-w", "x", "--systemd"]) == 0
    assert "qmisniff capture --wait -w x\n" in capsys.readouterr().out


NONSENSE = [["-w", "-"], [], ["-w", "x", "-b", "files:3"], ["-w", "x", "-a", "nonsense"], ["-w", "x", "-f", "nonsense"]]


@pytest.mark.parametrize("words", NONSENSE)
def test_what_cannot_be_a_service_is_refused(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["capture", *words, "--systemd-unit"]) == 2
    assert capsys.readouterr().out == ""


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="no systemd here")
def test_systemd_finds_nothing_wrong_with_it(tmp_path: Path) -> None:
    folder = tmp_path / 'sp ce "é" 100% $HOME \\x'
    folder.mkdir()
    path = tmp_path / "qmisniff.service"
    path.write_text(unit([sys.executable, "-m", "qmisniff", "capture", "-Y", 'a == "\t%i\\"'], folder, folder))
    done = subprocess.run(["systemd-analyze", "verify", str(path)], capture_output=True, text=True)
    assert (done.returncode, [line for line in done.stderr.splitlines() if "qmisniff" in line]) == (0, [])


@pytest.mark.parametrize("kind", ["path", "abstract"])
def test_the_manager_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        address = str(tmp_path / "notify") if kind == "path" else "@" + str(tmp_path)[-60:]
        manager.bind(address.replace("@", "\0", 1))
        manager.settimeout(60)
        monkeypatch.setenv("NOTIFY_SOCKET", address)
        ready()
        assert manager.recv(100) == b"READY=1"


def test_who_waits_for_the_module_has_started(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The manager ends what is not ready in 90 seconds."""

    def wait(tap: KernelTap, say: Callable[[str], None]) -> NoReturn:
        say("not loaded: waiting for it")
        assert manager.recv(100) == b"READY=1"
        raise SourceUnavailable("it never came")

    monkeypatch.setattr(KernelTap, "wait", wait)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        manager.settimeout(60)
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        assert main(["capture", "--wait", "-w", str(tmp_path / "x")]) == 3


@pytest.mark.parametrize("address", ["", "relative", "/nowhere/at/all"])
def test_without_a_manager_nothing_happens(monkeypatch: pytest.MonkeyPatch, address: str) -> None:
    monkeypatch.setenv("NOTIFY_SOCKET", address)
    ready()
