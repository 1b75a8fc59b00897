# SPDX-License-Identifier: GPL-2.0-or-later
"""The source `processes` and its strace, on this machine: with other sockets than QRTR's, which the lab has."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from qmisniff.capture import processes, socket_scan
from qmisniff.capture.processes import ProcessMonitor
from qmisniff.capture.socket_scan import Scanner, State
from qmisniff.errors import SourceFailed, SourceUnavailable
from qmisniff.frame import Frame

pytestmark = pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed (tests/setup-debian)")


@pytest.fixture
def qrtr(monkeypatch: pytest.MonkeyPatch) -> None:
    """A kernel that has QRTR, as far as asked."""
    monkeypatch.setattr(socket_scan, "has_qrtr", lambda: True)


def drain(source: ProcessMonitor) -> list[Frame]:
    frames: list[Frame] = []
    while (batch := source.read(10.0)) is not None:
        frames += batch
    return frames


@pytest.mark.parametrize(
    ("broken", "said"),
    [
        ({"has_qrtr": False}, "no QRTR sockets now"),
        ({"strace": None}, "strace is not installed"),
        ({"scope": 3}, "ptrace_scope is 3"),
        ({"scope": 1, "rights": False}, "only root may trace"),
        ({"scope": 0, "rights": False}, "no process of this user has a QRTR socket"),
    ],
)
def test_what_is_missing_is_said_with_a_remedy(
    monkeypatch: pytest.MonkeyPatch, broken: dict[str, object], said: str
) -> None:
    monkeypatch.setattr(socket_scan, "has_qrtr", lambda: broken.get("has_qrtr", True))
    monkeypatch.setattr(processes, "_ptrace_scope", lambda: broken.get("scope", 0))
    monkeypatch.setattr(processes, "_may_trace_all", lambda: broken.get("rights", True))
    monkeypatch.setattr(shutil, "which", lambda name: broken.get("strace", "/usr/bin/strace"))
    state = ProcessMonitor().probe()
    assert not state.ok and said in state.reason and state.remedy
    with pytest.raises(SourceUnavailable, match=said):
        ProcessMonitor().open()


@pytest.mark.usefixtures("qrtr")
def test_a_command_ends_the_capture_with_itself() -> None:
    source = ProcessMonitor([sys.executable, "-c", "print('said')"], "run:python")
    with source:
        assert drain(source) == []
    assert [note for note in source.notes if note.endswith("said")]
    assert source.read(0) is None


@pytest.mark.usefixtures("qrtr")
@pytest.mark.parametrize("language", ["C.UTF-8", None])
def test_a_command_speaks_its_own_language(monkeypatch: pytest.MonkeyPatch, language: str | None) -> None:
    if language is None:
        monkeypatch.delenv("LC_ALL", raising=False)
    else:
        monkeypatch.setenv("LC_ALL", language)
    with ProcessMonitor(["sh", "-c", "echo said ${LC_ALL-nothing}"], "run:sh") as source:
        drain(source)
    assert f"sh: said {language or 'nothing'}" in source.notes


@pytest.mark.usefixtures("qrtr")
@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
def test_what_cannot_be_looked_for_any_more_ends_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Scanner, "sockets", lambda self: iter([]))
    with ProcessMonitor() as source:

        def refuse(self: Scanner) -> None:
            raise OSError(24, "Too many open files")

        monkeypatch.setattr(Scanner, "sockets", refuse)
        with pytest.raises(SourceFailed, match="no further process can be followed: Too many open files"):
            for _ in range(20):
                source.read(0.1)


@pytest.mark.usefixtures("qrtr")
def test_a_command_may_be_followed_by_anybody_unless_the_kernel_forbids(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "_may_trace_all", lambda: False)
    for scope, ok in ((0, True), (1, True), (2, False), (3, False)):
        monkeypatch.setattr(processes, "_ptrace_scope", lambda scope=scope: scope)
        assert ProcessMonitor(["sh"], "run:sh").probe().ok == ok


@pytest.mark.usefixtures("qrtr")
def test_a_command_that_is_not_there() -> None:
    with pytest.raises(SourceUnavailable, match="no program no-such-program"):
        ProcessMonitor(["no-such-program"], "run:no-such-program").open()


@pytest.fixture
def sleeper() -> subprocess.Popen[bytes]:
    return subprocess.Popen(["sleep", "100"])


def tracer(process: subprocess.Popen[bytes]) -> int:
    state = socket_scan.state(process.pid)
    return state.tracer if state else -1


def until(condition: object, seconds: float = 120.0) -> None:
    assert callable(condition)
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.mark.usefixtures("qrtr")
@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
def test_a_process_is_let_go_and_a_killed_strace_is_a_failure(
    monkeypatch: pytest.MonkeyPatch, sleeper: subprocess.Popen[bytes]
) -> None:
    monkeypatch.setattr(Scanner, "sockets", lambda self: iter([(sleeper.pid, 3, 1)]))
    try:
        with ProcessMonitor() as source:
            assert tracer(sleeper) > 0
            source.stop()
            assert drain(source) == []
            assert tracer(sleeper) == 0
        source = ProcessMonitor()
        with source:
            os.kill(tracer(sleeper), signal.SIGKILL)
            with pytest.raises(SourceFailed, match=r"killed by signal 9.*start the capture again"):
                drain(source)
            with pytest.raises(SourceFailed):
                source.read(0)
        assert sleeper.poll() is None and tracer(sleeper) == 0
        with ProcessMonitor():
            sleeper.kill()  # none of our business
            sleeper.wait()
    finally:
        sleeper.kill()
        sleeper.wait()


@pytest.mark.usefixtures("qrtr")
@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
def test_a_process_that_another_traces_is_named(
    monkeypatch: pytest.MonkeyPatch, sleeper: subprocess.Popen[bytes]
) -> None:
    monkeypatch.setattr(Scanner, "sockets", lambda self: iter([(sleeper.pid, 3, 1)]))
    other = subprocess.Popen(["strace", "-q", "-o", "/dev/null", "-p", str(sleeper.pid)])
    try:
        until(lambda: tracer(sleeper))
        with ProcessMonitor() as source:
            assert source.read(0.3) == []
            note = source.notes[-1]
        assert f"process {sleeper.pid} (sleep), which strace ({other.pid}) traces already" in note
        assert tracer(sleeper) == other.pid
    finally:
        for process in (other, sleeper):
            process.kill()
            process.wait()


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
def test_the_watchdog_ends_straces_when_its_master_is_gone(sleeper: subprocess.Popen[bytes]) -> None:
    program = (
        "import sys, time; from qmisniff.capture.stracer import Stracer, Watchdog\n"
        "s = Stracer([int(sys.argv[1])]); w = Watchdog(); w.watch([s])\n"
        "while s.attaching(): time.sleep(.01)\n"
        "print('ready', flush=True); time.sleep(100)"
    )
    master = subprocess.Popen([sys.executable, "-c", program, str(sleeper.pid)], stdout=subprocess.PIPE)
    try:
        assert master.stdout and master.stdout.readline() == b"ready\n"
        assert tracer(sleeper) > 0
        master.kill()
        until(lambda: tracer(sleeper) == 0)
        assert sleeper.poll() is None
    finally:
        for process in (master, sleeper):
            process.kill()
            process.wait()
        if master.stdout:
            master.stdout.close()


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to become somebody else")
def test_what_strace_may_not_trace_is_told(sleeper: subprocess.Popen[bytes]) -> None:
    """As nobody: that of root, which is there, and not what has gone."""
    program = (
        "import os, sys, time; from qmisniff.capture.stracer import Stracer\n"
        "os.setgid(65534); os.setuid(65534); s = Stracer([int(sys.argv[1]), 4194303])\n"
        "while list(s.calls()) or s.exit is None: time.sleep(.01)\n"
        "print(s.exit, *s.refused(), s.attaching(), list(s.said))"
    )
    try:
        done = subprocess.run([sys.executable, "-c", program, str(sleeper.pid)], capture_output=True, text=True)
    finally:
        sleeper.kill()
        sleeper.wait()
    wanted = f"1 Refusal(process={sleeper.pid}, reason='Operation not permitted') set() []\n"
    assert (done.stdout, done.stderr) == (wanted, "")


def test_sockets_are_told_apart_by_their_protocol(monkeypatch: pytest.MonkeyPatch) -> None:
    """With UNIX sockets, which every kernel has, in the place of QRTR's."""
    with socket.socket(socket.AF_UNIX) as unix:
        protocol = os.getxattr(f"/proc/self/fd/{unix.fileno()}", "system.sockprotoname")
    monkeypatch.setattr(socket_scan, "_PROTOCOL", protocol.rstrip(b"\0"))
    program = (
        "import socket, sys; s = socket.socketpair(); t = socket.socket()\n"
        "print(s[0].fileno(), flush=True); sys.stdin.read()"
    )
    process = subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    with process:
        assert process.stdout and process.stdin
        descriptor = int(process.stdout.readline())
        found = {(number, inode) for pid, number, inode in Scanner().sockets() if pid == process.pid}
        assert {number for number, _ in found} == {descriptor, descriptor + 1}
        link = str(Path(f"/proc/{process.pid}/fd/{descriptor}").readlink())
        assert (descriptor, int(link[8:-1])) in found
        process.stdin.close()


def test_a_state_is_that_of_the_process() -> None:
    name = Path("/proc/self/comm").read_text().rstrip("\n")
    assert socket_scan.state(os.getpid()) == State(name, os.getpid(), 0)
    assert socket_scan.state(4194303) is None
