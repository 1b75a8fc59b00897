# SPDX-License-Identifier: GPL-2.0-or-later
"""What the fallbacks of the kernel tap are put through in the guest; test_processes.py looks at the results.

`python guest_processes.py OUT`, as root in a guest: one function an experiment; what each returns is written to
OUT/processes.json under its name.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.lab.guest_capture import Capture, running

LAB = Path(__file__).resolve().parent
# A process with a QRTR socket of its own, which runs what it is told: its children are followed from their start.
LAUNCHER = """
import json, socket, subprocess, sys
own = socket.socket(42, 2)
print("ready", flush=True)
for line in sys.stdin:
    argv = json.loads(line)
    child = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    said = child.communicate(timeout=120)[0].decode(errors="replace")
    print(json.dumps([child.pid, child.returncode, said]), flush=True)
"""


class Program:
    """A program that says it is ready, and obeys lines."""

    def __init__(self, *argv: str) -> None:
        self.process = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self.process.stdin and self.process.stdout
        self._in, self._out = self.process.stdin, self.process.stdout
        self.said = self._out.readline()

    def ask(self, line: str) -> str:
        """What it answers to a line."""
        self._in.write(line + "\n")
        self._in.flush()
        return self._out.readline()

    def run(self, *argv: str) -> list[Any]:
        """Have a launcher run a program: pid, exit code, output."""
        answer: list[Any] = json.loads(self.ask(json.dumps(argv)))
        return answer

    def end(self) -> int:
        """Let it leave."""
        self._in.close()
        return self.process.wait(30)


def tracer(pid: int) -> int:
    """Who traces a process."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return int(next(line.split()[1] for line in lines if line.startswith("TracerPid:")))


def straces() -> list[str]:
    """The straces and watchdogs there are."""
    found = []
    for path in Path("/proc").iterdir():
        if path.name.isdigit():
            with contextlib.suppress(OSError):
                command = (path / "cmdline").read_bytes()
                if command.startswith((b"strace\0", b"sh\0-c\0while read")):
                    found.append(f"{path.name} {command[:20]!r}")
    return found


def conversation(out: Path) -> dict[str, Any]:
    """Real clients and a modem; local programs that log what they send and receive."""
    python = sys.executable
    modem = Program(python, str(LAB / "modem.py"), str(out / "modem.jsonl"))
    sample = Program(python, str(LAB / "sample_server.py"), str(out / "sample_server.jsonl"))
    launcher = Program(python, "-c", LAUNCHER)
    clients: dict[str, list[Any]] = {}
    began = time.monotonic()
    with running("-i", "processes", "-w", str(out / "processes.pcapng")) as capture:
        attached = time.monotonic()
        echo = str(LAB / "echo_client.py")
        clients["echo-local"] = launcher.run(python, echo, str(out / "echo-local.jsonl"), "1", "100", "2100", "60000")
        clients["echo-modem"] = launcher.run(python, echo, str(out / "echo-modem.jsonl"), "0", "1", "2100", "60000")
        clients["qmicli"] = launcher.run("qmicli", "-d", "qrtr://0", "--dms-get-ids")
        clients["lookup"] = launcher.run("qrtr-lookup")
        talked = time.monotonic()
        time.sleep(0.5)
        code = capture.end()
        said = capture.said()
    left = straces()
    traced = [tracer(each.process.pid) for each in (modem, sample, launcher)]
    ends = [each.end() for each in (launcher, sample, modem)]
    return {
        "clients": clients, "servers": {"sample_server": sample.process.pid, "modem": modem.process.pid},
        "exit": code, "said": said, "left": left, "traced": traced, "ends": ends,
        "seconds": [attached - began, talked - attached],
    }  # fmt: skip


EXPERIMENTS = (conversation,)


def main() -> int:
    """Run them all, or those named behind OUT; an experiment that raises leaves its traceback as its result."""
    out = Path(sys.argv[1])
    results: dict[str, Any] = {}
    for experiment in EXPERIMENTS:
        if sys.argv[2:] and experiment.__name__ not in sys.argv[2:]:
            continue
        began = time.monotonic()
        try:
            results[experiment.__name__] = experiment(out)
        except Exception:
            results[experiment.__name__] = {"failed": traceback.format_exc()}
        results[experiment.__name__]["took"] = round(time.monotonic() - began, 1)
        (out / "processes.json").write_text(json.dumps(results, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
