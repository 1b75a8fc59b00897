# SPDX-License-Identifier: GPL-2.0-or-later
"""Leaving root: what the keeper does for the capture, what it refuses, and that it cleans up. The kernel: tests/lab."""

from __future__ import annotations

import contextlib
import errno
import os
import signal
import struct
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, NoReturn

import pytest

from qmisniff.capture.files import create
from qmisniff.capture.instance import Instance
from qmisniff.capture.plan import Plan
from qmisniff.capture.privileges import Keeper, KeptTarget, caller
from qmisniff.capture.target import LocalTarget
from qmisniff.errors import CaptureFileError, SourceFailed

TRACEFS = "/sys/kernel/tracing"


class Folder:
    """Entrusted: a folder; removing it leaves a mark beside it, once nobody holds the file `busy`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.reading = os.open(path, os.O_RDONLY)

    def allows(self, act: str, path: str, text: str) -> bool:
        return path.startswith(f"{self.path}/")

    def release(self) -> None:
        reading, self.reading = self.reading, -1
        if reading >= 0:
            os.close(reading)

    def remove(self) -> None:
        self.release()
        if (self.path / "busy").exists():
            raise OSError("busy")
        self.path.with_name("removed").write_text(str(os.getpid()))


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Folder]:
    (tmp_path / "own").mkdir()
    made = Folder(tmp_path / "own")
    yield made
    made.release()


@pytest.fixture
def keeper(folder: Folder) -> Iterator[Keeper]:
    serial = iter(range(2))

    def opener() -> BinaryIO:
        number = next(serial, None)
        return create(folder.path / "missing" / "file" if number is None else folder.path / f"capture{number}")

    kept = Keeper(folder, opener)
    yield kept
    kept.close()


def test_it_does_what_is_entrusted_as_this_process_would(folder: Folder, keeper: Keeper) -> None:
    target = KeptTarget(keeper)
    file = f"{folder.path}/file"
    Path(file).write_bytes(bytes(range(256)))
    assert keeper.ask("read", file).encode("latin-1") == target.read(file) == bytes(range(256))
    target.append(file, "more")
    assert target.read(file)[256:] == b"more"
    target.write(file, "new")
    assert Path(file).read_text() == "new"
    (folder.path / "sub").mkdir()
    assert target.list(f"{folder.path}/") == ["file", "sub"]
    target.remove(f"{folder.path}/sub")
    assert keeper.ask("list", f"{folder.path}/") == target.list(f"{folder.path}/") == ["file"]
    with pytest.raises(FileNotFoundError):
        target.read(f"{folder.path}/missing")


def test_it_refuses_everything_else(folder: Folder, keeper: Keeper) -> None:
    target = KeptTarget(keeper)
    outside = folder.path.with_name("outside")
    for act in (
        lambda: target.write(str(outside), "x"),
        lambda: target.append(str(outside), "x"),
        lambda: keeper.ask("read", "/etc/shadow"),
        lambda: keeper.ask("list", "/root"),
        lambda: target.remove(str(folder.path)),
    ):
        with pytest.raises(PermissionError):
            act()
    assert not outside.exists()
    assert folder.path.exists()


def test_it_opens_files_whose_names_it_knows(folder: Folder, keeper: Keeper) -> None:
    for number in range(2):
        with keeper.open_file() as stream:
            stream.write(b"packets")
        assert (folder.path / f"capture{number}").read_bytes() == b"packets"
    with pytest.raises(Exception, match="No such file") as caught:
        keeper.open_file()
    assert getattr(caught.value, "exit_code", None) == CaptureFileError.exit_code


def test_where_there_is_one_file_it_opens_no_other(folder: Folder) -> None:
    kept = Keeper(folder, None)
    with pytest.raises(PermissionError):
        kept.open_file()
    kept.close()


@pytest.mark.parametrize("request_", [b"[1, 2, 3, 4, 5]", b"{}", b"[" * 100_000, b"nonsense", None])
def test_a_request_that_makes_no_sense_is_its_end(folder: Folder, keeper: Keeper, request_: bytes | None) -> None:
    head = struct.pack("<I", 0xFFFFFFFF if request_ is None else len(request_))
    with contextlib.suppress(BrokenPipeError):
        keeper._channel.sendall(head + (request_ or b""))
    os.waitpid(keeper._pid, 0)
    assert folder.path.with_name("removed").exists(), "it has cleaned up"


def test_nothing_of_the_capture_s_stays_open_in_it(folder: Folder) -> None:
    reading, writing = os.pipe()
    kept = Keeper(folder, None)
    os.close(writing)
    assert os.read(reading, 1) == b"", "a reader of what the capture writes sees its end"
    os.close(reading)
    kept.close()


def test_it_cleans_up_when_the_capture_has_let_go(folder: Folder, keeper: Keeper) -> None:
    (folder.path / "busy").touch()
    removed = folder.path.with_name("removed")
    keeper._channel.close()  # as if this process were killed
    time.sleep(0.1)
    assert not removed.exists()
    (folder.path / "busy").unlink()
    keeper.close()
    assert removed.read_text() != str(os.getpid())


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGQUIT])
def test_it_cleans_up_when_all_that_a_shell_has_started_is_killed(tmp_path: Path, number: int) -> None:
    """`kill -9 %1`, and ctrl+\\ in a terminal."""
    program = (
        "import os,signal,sys,time,resource\nfrom pathlib import Path\n"
        "resource.setrlimit(resource.RLIMIT_CORE, (0, 0))\n"
        "signal.signal(signal.SIGQUIT, signal.SIG_DFL)\n"  # a shell's background jobs begin with it ignored
        "from qmisniff.capture.privileges import Keeper\nfrom tests.capture.test_privileges import Folder\n"
        "keeper = Keeper(Folder(Path(sys.argv[1])), None)\n"
        "keeper.ask('exists', sys.argv[1] + '/')\n"
        "print('kept', flush=True)\ntime.sleep(600)\n"
    )
    (tmp_path / "own").mkdir()
    group = subprocess.Popen(
        [sys.executable, "-c", program, str(tmp_path / "own")], stdout=subprocess.PIPE, start_new_session=True,
        cwd=Path(__file__).parents[2],
    )  # fmt: skip
    assert group.stdout and group.stdout.readline() == b"kept\n"
    os.killpg(group.pid, number)
    assert group.wait(60) == -number
    assert group.stdout.read() == b""
    deadline = time.monotonic() + 60
    while not (tmp_path / "removed").exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert (tmp_path / "removed").exists()
    group.stdout.close()


def test_a_keeper_that_is_killed_is_an_error(keeper: Keeper, folder: Folder) -> None:
    os.kill(keeper._pid, 9)
    with pytest.raises(OSError, match="keeps the probes has gone"):
        KeptTarget(keeper).write(f"{folder.path}/file", "x")


def test_a_tap_whose_keeper_was_killed_says_why_it_stays(
    folder: Folder, keeper: Keeper, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(self: LocalTarget, path: str) -> NoReturn:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), path)

    tap = Instance(LocalTarget(), TRACEFS, Plan((), (), (), ()), 64)
    tap.entrust(KeptTarget(keeper))
    monkeypatch.setattr(LocalTarget, "list", refuse)
    os.kill(keeper._pid, 9)
    with pytest.raises(SourceFailed, match="may still be in the kernel: the process that keeps the probes has gone"):
        tap.remove()


def test_a_tap_entrusts_its_own_files_and_no_others() -> None:
    tap = Instance(LocalTarget(), TRACEFS, Plan((), (), (), ()), 64)
    own, other = tap.name, "qmisniff_1_1_0"
    probes = f"{TRACEFS}/kprobe_events"
    for act, path, text in (
        ("read", f"{TRACEFS}/instances/{own}/per_cpu/cpu0/stats", ""),
        ("read", f"{TRACEFS}/instances/{own}/events/{own}/local_1/hist", ""),
        ("write", f"{TRACEFS}/instances/{own}/events/{own}/local/enable", "0"),
        ("write", f"{TRACEFS}/events/{own}/enable", "0"),
        ("list", f"{TRACEFS}/events/{own}", ""),
        ("list", TRACEFS, ""),
        ("exists", f"{TRACEFS}/events/{own}/local_1", ""),
        ("remove", f"{TRACEFS}/instances/{own}", ""),
        ("list", f"{TRACEFS}/instances", ""),
        ("read", f"{TRACEFS}/kprobe_profile", ""),
        ("append", probes, f"-:{own}/local_1\n"),
    ):
        assert tap.allows(act, path, text), (act, path)
    for act, path, text in (
        ("write", f"{TRACEFS}/instances/{own}/../../kprobe_events", "p:evil do_exit\n"),
        ("write", f"{TRACEFS}/instances/{own}x/tracing_on", "1"),
        # An instance can trace all that a kernel does, not only QRTR.
        ("write", f"{TRACEFS}/instances/{own}/events/raw_syscalls/enable", "1"),
        ("write", f"{TRACEFS}/instances/{own}/events/{own}/local/enable", "1"),
        ("write", f"{TRACEFS}/instances/{own}/current_tracer", "function"),
        ("append", f"{TRACEFS}/instances/{own}/events/{own}/local/trigger", "stacktrace\n"),
        ("read", f"{TRACEFS}/instances/{own}/trace_pipe", ""),
        ("remove", f"{TRACEFS}/instances/{other}", ""),
        ("write", f"{TRACEFS}/kprobe_profile", ""),
        ("append", probes, "p:evil do_exit\n"),
        ("append", probes, f"-:{other}/local\n"),
        ("append", probes, f"-:{own}/local\np:evil do_exit\n"),
        ("write", probes, f"-:{own}/local\n"),
        ("read", "/etc/shadow", ""),
        ("write", "/etc/passwd", ""),
    ):
        assert not tap.allows(act, path, text), (act, path)


@pytest.mark.skipif(os.geteuid() != 0, reason="giving files away needs root")
def test_what_sudo_captures_belongs_to_its_caller(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SUDO_UID", "1234")
    monkeypatch.setenv("SUDO_GID", "1235")
    create(tmp_path / "mine").close()
    (tmp_path / "linked").write_bytes(b"")
    (tmp_path / "link").symlink_to(tmp_path / "linked")
    create(tmp_path / "link").close()
    status = (tmp_path / "mine").stat()
    assert (status.st_uid, status.st_gid, status.st_mode & 0o777) == (1234, 1235, 0o600)
    assert (tmp_path / "linked").stat().st_uid == 0, "only what was made here is given away"


@pytest.mark.skipif(os.geteuid() != 0, reason="giving files away needs root")
def test_root_follows_no_link_of_somebody_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "precious").write_text("as it was")
    (tmp_path / "link").symlink_to(tmp_path / "precious")
    os.chown(tmp_path / "link", 1234, 1235, follow_symlinks=False)
    with pytest.raises(CaptureFileError, match="belongs to user 1234"):
        create(tmp_path / "link")
    assert (tmp_path / "precious").read_text() == "as it was"
    monkeypatch.setenv("SUDO_UID", "1234")
    monkeypatch.setenv("SUDO_GID", "1235")
    create(tmp_path / "link").close()
    assert (tmp_path / "precious").read_text() == ""


@pytest.mark.skipif(os.geteuid() != 0, reason="giving files away needs root")
def test_root_writes_into_no_fifo_of_somebody_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    reading = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    try:
        os.chown(fifo, 1234, 1235)
        with pytest.raises(CaptureFileError, match="belongs to user 1234"):
            create(fifo)
        monkeypatch.setenv("SUDO_UID", "1234")
        monkeypatch.setenv("SUDO_GID", "1235")
        with create(fifo) as stream:
            stream.write(b"packets")
        assert os.read(reading, 100) == b"packets"
    finally:
        os.close(reading)


@pytest.mark.parametrize(
    ("uid", "gid"), [("0", "0"), ("x", "1"), ("", ""), ("-1", "5"), (str((1 << 32) - 1), "1"), ("5", "9" * 5000)]
)
def test_nonsense_names_no_caller(monkeypatch: pytest.MonkeyPatch, uid: str, gid: str) -> None:
    monkeypatch.setenv("SUDO_UID", uid)
    monkeypatch.setenv("SUDO_GID", gid)
    assert caller() is None
