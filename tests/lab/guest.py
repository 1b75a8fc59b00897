# SPDX-License-Identifier: GPL-2.0-or-later
"""Runs programs in an emulated guest: Debian's kernel with QRTR over this machine's own files (README.md beside this).

By hand: `python -m tests.lab.guest [--out DIR] COMMAND...`, or without a command for a shell.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
SETUP = "tests/setup-debian"
BOOT_TIME = 300.0  # seconds; on an idle machine it takes 10
BOOTS = 3
RUN_TIME = 1800.0  # seconds: many times what anything in a guest takes, also on a machine that is busy otherwise
_KERNEL_OPTIONS = "no_timer_check"  # a busy machine's emulated timer interrupts come too late for that check: a panic


class LabNotReady(RuntimeError):
    """Something the guest needs is not on this machine; the message names the command that installs it."""


class GuestFailed(RuntimeError):
    """The guest or the program in it did not do what was asked; the message holds what was printed there."""


@dataclass(frozen=True, slots=True)
class GuestResult:
    """What a run left behind: `exit_code` is None when the program did not end; the texts are whole."""

    out: Path
    exit_code: int | None
    stdout: str
    stderr: str
    console: str
    seconds: float

    def check(self) -> GuestResult:
        """This result, or GuestFailed unless the program ended with 0."""
        if self.exit_code != 0:
            ending = "did not end" if self.exit_code is None else f"exit code {self.exit_code}"
            raise GuestFailed(
                f"guest program: {ending} after {self.seconds:.0f} s; everything is in {self.out}\n"
                f"--- its output\n{_tail(self.stdout)}\n--- its errors\n{_tail(self.stderr)}\n"
                f"--- the guest's console\n{_tail(self.console)}"
            )
        return self


def kernel_image() -> Path:
    """The image of the kernel that setup-debian unpacked, its modules beside it; LabNotReady when there is none."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    current = (cache / "qmisniff-lab" / "current").resolve()
    image = current / "root" / "boot" / f"vmlinuz-{current.name}"
    if not image.exists():
        raise LabNotReady(f"the lab's kernel is not there ({image}): run {SETUP}")
    return image


def run_in_guest(program: Path, out: Path, *args: str, timeout: float = RUN_TIME, pace: int = 0) -> GuestResult:
    """Run a Python program of this repository in a guest, as root, with `out` as its first argument."""
    return run_command([sys.executable, str(program), str(out), *args], out, timeout=timeout, pace=pace)


def run_command(command: Sequence[str], out: Path, *, timeout: float, pace: int = 0) -> GuestResult:
    """Run a command in a guest; `out`, the one directory it shares writable with us, keeps all that is printed.

    With a `pace`, a power of two, the guest has one processor, whose every instruction takes so many nanoseconds of the
    guest's time: what is measured there does not depend on what else this machine does.

    Raises LabNotReady. A program still running after `timeout` seconds is killed with its guest, and its result has no
    exit code. A guest in which the program did not even begin, as an emulated kernel on a busy machine can end, is
    booted again; `console-N` keeps what it said.
    """
    out = out.resolve()
    out.mkdir(parents=True, exist_ok=True)
    for name in ("began", "exit", "stdout", "stderr"):
        (out / name).unlink(missing_ok=True)
    script = out / "guest.sh"
    script.write_text(_script(command, out), encoding="utf-8")
    console = out / "console"
    started = time.monotonic()
    argv = [*_vng(out, pace), "--verbose", "--", f"sh {shlex.quote(str(script))}"]
    boots = 1
    while not _boot(argv, console, out / "began", timeout) and boots < BOOTS:
        console.rename(out / f"console-{boots}")
        boots += 1
    return GuestResult(
        out=out,
        exit_code=int(code) if (code := _read(out / "exit").strip()) else None,
        stdout=_read(out / "stdout"),
        stderr=_read(out / "stderr"),
        console=_read(console),
        seconds=time.monotonic() - started,
    )


def _boot(argv: Sequence[str], console: Path, began: Path, timeout: float) -> bool:
    """Boot a guest, and wait for its end, but not longer than this; False when its program did not begin."""
    with console.open("wb") as log:
        guest = subprocess.Popen(
            argv, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, env=_environment(),
            start_new_session=True,
        )  # fmt: skip
    try:
        deadline = time.monotonic() + BOOT_TIME
        while not began.exists():
            if guest.poll() is not None or time.monotonic() > deadline:
                return began.exists()
            time.sleep(0.1)
        with contextlib.suppress(subprocess.TimeoutExpired):
            guest.wait(timeout)
        return True
    finally:
        # Also after a normal end: qemu must not outlive the test that asked for it.
        _kill_session(guest)


def shell(out: Path) -> int:
    """Boot a guest with a shell on this terminal; returns when it is left. GuestFailed where there is no terminal."""
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise GuestFailed("a shell in a guest needs a terminal; without one, give a command")
    out = out.resolve()
    out.mkdir(parents=True, exist_ok=True)
    print(f"guest: modprobe qrtr-tun loads QRTR; {out} is writable; leave with Ctrl-D", file=sys.stderr)
    return subprocess.run(_vng(out), env=_environment(), check=False).returncode


def _vng(out: Path, pace: int = 0) -> list[str]:
    environment = _environment()
    for tool in ("vng", "qemu-system-x86_64", "busybox", "modprobe"):
        if shutil.which(tool, path=environment["PATH"]) is None:
            remedy = "pip install -e '.[test]'" if tool == "vng" else SETUP
            raise LabNotReady(f"{tool} is not installed: run {remedy}")
    # --disable-kvm: where /dev/kvm exists without working, qemu hangs. --force-9p: virtiofsd is one more thing to fail.
    counted = [f"--qemu-opts=-icount shift={pace.bit_length() - 1}"] if pace else []
    return [
        "vng", "--force-9p", "--disable-kvm", "--run", str(kernel_image()), "--user", "root",
        "--cpus", "1" if pace else "2", "--memory", "1G", "--rwdir", str(out), "--append", _KERNEL_OPTIONS, *counted,
    ]  # fmt: skip


def _environment() -> dict[str, str]:
    # vng calls virtme-run by name: both stand beside the interpreter.
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath), "/usr/sbin", "/sbin"])
    return {**os.environ, "PATH": path}


def _script(command: Sequence[str], out: Path) -> str:
    # The guest's session starts with SIGINT ignored, which a capture could not be ended with: give it back.
    return f"""\
cd {shlex.quote(str(REPOSITORY))}
export PATH={shlex.quote(_environment()["PATH"])}
export PYTHONPATH={shlex.quote(str(REPOSITORY))} PYTHONDONTWRITEBYTECODE=1 LC_ALL=C.UTF-8 HOME=/run/home
mkdir -p /run/home
out={shlex.quote(str(out))}
: >"$out/began"
modprobe qrtr-tun 2>"$out/stderr" &&
env --default-signal=INT,QUIT {shlex.join(command)} >"$out/stdout" 2>>"$out/stderr" </dev/null
echo $? >"$out/exit"
"""


def _kill_session(guest: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(guest.pid, signal.SIGKILL)
    guest.wait()


def _read(path: Path) -> str:
    return path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""


def _tail(text: str, lines: int = 40) -> str:
    return "\n".join(text.splitlines()[-lines:])


def main() -> int:
    """Boot a guest by hand: with a command, print what it printed and exit as it did; without, give a shell."""
    parser = argparse.ArgumentParser(prog="python -m tests.lab.guest", description=main.__doc__)
    out = Path(tempfile.gettempdir()) / "qmisniff-guest"
    parser.add_argument("--out", type=Path, default=out, help="writable in the guest [%(default)s]")
    parser.add_argument("--timeout", type=float, default=RUN_TIME, metavar="SECONDS")
    parser.add_argument("command", nargs=argparse.REMAINDER)
    arguments = parser.parse_args()
    try:
        if not arguments.command:
            return shell(arguments.out)
        result = run_command(arguments.command, arguments.out, timeout=arguments.timeout)
        print(result.stdout, end="")
        print(result.stderr, end="", file=sys.stderr)
        if result.exit_code is None:
            result.check()
        return result.exit_code or 0
    except (LabNotReady, GuestFailed) as problem:
        print(problem, file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
