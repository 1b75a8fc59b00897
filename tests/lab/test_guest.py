# SPDX-License-Identifier: GPL-2.0-or-later
from __future__ import annotations

import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.lab import guest

QUOTED = """it's "quoted" $HOME"""


def test_missing_kernel_names_the_remedy(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with pytest.raises(guest.LabNotReady, match="tests/setup-debian"):
        guest.run_command(["true"], tmp_path / "out", timeout=60.0)


def test_missing_tool_names_the_remedy(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(guest, "_environment", lambda: {"PATH": str(tmp_path)})
    with pytest.raises(guest.LabNotReady, match="vng is not installed"):
        guest.run_command(["true"], tmp_path / "out", timeout=60.0)


def test_shell_without_a_terminal_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with Path(os.devnull).open() as no_terminal, pytest.raises(guest.GuestFailed, match="needs a terminal"):
        monkeypatch.setattr(sys, "stdin", no_terminal)
        guest.shell(tmp_path / "out")


@pytest.mark.lab
def test_program_runs_as_root_and_its_failure_is_told(tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text(
        "import os, pathlib, signal, sys\n"
        "print(os.getuid(), os.access('/dev/qrtr-tun', os.W_OK), signal.getsignal(signal.SIGINT).__name__)\n"
        "pathlib.Path(sys.argv[1], 'mine').write_text(sys.argv[2])\n"
        "sys.exit('told so')\n"
    )
    result = guest.run_in_guest(program, tmp_path / "out", QUOTED, timeout=600.0)
    assert result.stdout == "0 True default_int_handler\n"
    assert (tmp_path / "out" / "mine").read_text() == QUOTED
    assert result.exit_code == 1
    with pytest.raises(guest.GuestFailed, match=r"exit code 1 (?s:.)*told so(?s:.)*Power down"):
        result.check()


@pytest.mark.lab
@pytest.mark.parametrize(("failing", "said"), [("echo panic", "panic\n"), ("echo hung; sleep 600", "hung\n")])
def test_guest_that_does_not_come_up_is_booted_again(
    failing: str, said: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    booting = guest._boot
    boots = iter([(["sh", "-c", failing], 1.0), (None, guest.BOOT_TIME)])

    def boot(argv: Sequence[str], *more: Any) -> bool:
        other, time = next(boots)
        monkeypatch.setattr(guest, "BOOT_TIME", time)
        return booting(other or argv, *more)

    monkeypatch.setattr(guest, "_boot", boot)
    result = guest.run_command(["echo", "here"], tmp_path, timeout=60.0).check()
    assert result.stdout == "here\n"
    assert (tmp_path / "console-1").read_text() == said


@pytest.mark.lab
def test_hanging_guest_is_killed(tmp_path: Path) -> None:
    result = guest.run_command([sys.executable, "-c", "import time; time.sleep(600)"], tmp_path, timeout=3.0)
    assert result.exit_code is None
    with pytest.raises(guest.GuestFailed, match="did not end"):
        result.check()
    until = time.monotonic() + 60.0  # the kernel needs a moment for who was killed, more where other tests run beside
    while left := _processes_naming(str(tmp_path)):
        assert time.monotonic() < until, left
        time.sleep(0.1)


def _processes_naming(text: str) -> list[int]:
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            command = (process / "cmdline").read_bytes().decode(errors="replace")
        except OSError:  # ended meanwhile
            continue
        if text in command and int(process.name) != os.getpid():
            found.append(int(process.name))
    return found
