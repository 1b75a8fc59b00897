# SPDX-License-Identifier: GPL-2.0-or-later
"""What the fallbacks of the kernel tap are put through in the guest; test_processes.py looks at the results.

`python guest_processes.py OUT`, as root in a guest: one function an experiment; what each returns is written to
OUT/processes.json under its name.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import signal
import struct
import subprocess
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from qmisniff.capture_file import Reader
from qmisniff.cli import main
from tests.lab.guest_capture import Capture, Port, remains, running, settled
from tests.lab.wire import CONTROL, DEL_SERVER, NEW_SERVER, PORT_CTRL, Address, unpack_v1

LAB = Path(__file__).resolve().parent
# A process with a QRTR socket of its own, which forks echo clients: they are followed from their start.
LAUNCHER = """
import ctypes, json, os, socket, sys
from tests.lab import echo_client
own = socket.socket(42, 2)
print("ready", flush=True)
for line in sys.stdin:
    name, *sys.argv[1:] = json.loads(line)
    child = os.fork()
    if not child:
        ctypes.CDLL(None).prctl(15, name.encode(), 0, 0, 0)
        os._exit(echo_client.main())
    print(json.dumps([child, os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])]), flush=True)
"""
# Opens sockets when it is told to, and sends what it is told from one to the other.
LATE = """
import socket, sys
print("ready", flush=True)
own = None
for line in sys.stdin:
    if own is None:
        own, peer = socket.socket(42, 2), socket.socket(42, 2)
        peer.bind((own.getsockname()[0], int(sys.argv[1])))
    else:
        own.sendto(line.encode(), peer.getsockname())
    print("done", flush=True)
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
        """Have a launcher fork an echo client called argv[0]: pid, exit code."""
        answer: list[Any] = json.loads(self.ask(json.dumps(argv)))
        return answer

    def end(self) -> int:
        """Let it leave."""
        self._in.close()
        return self.process.wait(300)


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


def until(condition: Callable[[], Any], seconds: float = 300.0) -> bool:
    """Wait until something is so."""
    deadline = time.monotonic() + seconds
    while not (so := bool(condition())) and time.monotonic() < deadline:
        time.sleep(0.02)
    return so


def conversation(out: Path) -> dict[str, Any]:
    """A client of the modem from its start; then local programs that log what they send and receive."""
    python = sys.executable
    modem = Program(python, str(LAB / "modem.py"), str(out / "modem.jsonl"))
    log = out / "modem.jsonl"
    for _ in range(3):  # on a busy machine it may give up before the name service has answered
        before = len(log.read_text().splitlines())
        with running("-i", f"run:{' '.join(QMICLI)}", "-w", str(out / "run.pcapng")) as capture:
            code, said = capture.wait(), capture.said()
        crossed = [before, len(log.read_text().splitlines())]
        if "IMEI" in said:
            break
    run = [code, said]
    sample = Program(python, str(LAB / "sample_server.py"), str(out / "sample_server.jsonl"))
    launcher = Program(python, "-c", LAUNCHER)
    with running("-i", "processes", "-w", str(out / "processes.pcapng")) as capture:
        traced = [tracer(each.process.pid) for each in (modem, sample, launcher)]
        clients = {
            name: launcher.run(name, str(out / f"{name}.jsonl"), node, *sizes)
            for name, node, *sizes in (("echo-local", "1", "100", "60000"), ("echo-modem", "0", "1", "60000"))
        }
        code = capture.end()
        said = capture.said()
    left = straces()
    after = [tracer(each.process.pid) for each in (modem, sample, launcher)]
    ends = [each.end() for each in (launcher, sample, modem)]
    return {
        "run": run, "crossed": crossed, "clients": clients, "sample_server": sample.process.pid,
        "exit": code, "said": said, "left": left, "traced": traced, "after": after, "ends": ends,
    }  # fmt: skip


def faults(out: Path) -> dict[str, Any]:
    """Somebody is killed: strace, a process that is followed, the capture. And one is traced by another already."""
    results: dict[str, Any] = {}
    late = Program(sys.executable, "-c", LATE, "17000")
    victim = Program(sys.executable, "-c", LATE, "17001")
    busy = Program(sys.executable, "-c", LATE, "17002")
    busy.ask("")
    other = subprocess.Popen(["strace", "-q", "-p", str(busy.process.pid), "-o", "/dev/null"])
    until(lambda: tracer(busy.process.pid) == other.pid)
    path = out / "strace-killed.pcapng"
    with Capture("-i", "processes", "-w", str(path)) as capture:
        early = capture.ready()
        late.ask("")  # opens its socket only now
        victim.ask("")
        found = until(lambda: tracer(late.process.pid) and tracer(victim.process.pid))
        late.ask("before")
        victim.ask("doomed")
        victim.process.kill()
        victim.process.wait()
        late.ask("between")
        if not (strace := tracer(late.process.pid)):
            raise RuntimeError(f"nobody traces it; found: {found}; {capture.end()} {capture.said()}")  # 0: all of us
        os.kill(strace, signal.SIGKILL)
        results["strace"] = {
            "found": found, "exit": capture.wait(), "said": early + capture.said(), "frames": payloads(path),
            "alive": late.ask("after").strip(), "tracer": tracer(late.process.pid),
            "left": [each for each in straces() if each.split()[0] != str(other.pid)],
            "late": late.process.pid, "victim": victim.process.pid, "busy": busy.process.pid,
        }  # fmt: skip
    other.terminate()
    other.wait()
    path = out / "capture-killed.pcapng"
    with running("-i", "processes", "-w", str(path)) as capture:
        late.ask("before")
        until(lambda: b"before" in path.read_bytes())
        capture.end(signal.SIGKILL)
        free = until(lambda: not tracer(late.process.pid) and not straces())
        results["capture"] = {"free": free, "frames": payloads(path), "alive": late.ask("after").strip()}
    results["ends"] = [late.end(), busy.end()]
    return results


def payloads(path: Path) -> list[list[Any]]:
    """Process and payload of the frames of a capture."""
    with path.open("rb") as file:
        frames = [frame for frame in Reader(file) if not frame.flags & 1]
    return [[frame.pid, unpack_v1(frame.data).payload.decode("latin-1")] for frame in frames]


def others(out: Path) -> dict[str, Any]:
    """The name service and the trace events; what is said of the sources; auto where the kernel cannot be tapped."""
    offer = Port(0x4500)
    name_server = Address(offer.address.node, PORT_CTRL)
    offer.send(CONTROL.pack(NEW_SERVER, 0x1234, 0x0101, *offer.address), name_server)
    results: dict[str, Any] = {}
    for source in ("names", "events"):
        path = out / f"{source}.pcapng"
        with running("-i", source, "-w", str(path)) as capture:
            offer.send(CONTROL.pack(DEL_SERVER, 0x1234, 0x0101, *offer.address), name_server)
            offer.send(CONTROL.pack(NEW_SERVER, 0x1234, 0x0101, *offer.address), name_server)
            settled()
            code = capture.end()
            results[source] = {"exit": code, "said": capture.said()}
        with path.open("rb") as file:
            results[source]["frames"] = [
                [frame.flags, frame.data[4], list(struct.unpack_from(f"<{len(frame.data) // 4 - 8}I", frame.data, 32))]
                for frame in Reader(file)
            ]
    switch = Path("/proc/sys/kernel/ftrace_enabled")
    switch.write_text("0")
    with Capture("-i", "auto", "-w", str(out / "auto.pcapng")) as capture:
        results["auto"] = {"ready": capture.ready(), "exit": capture.end()}
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        main(["interfaces"])
    results["interfaces"] = printed.getvalue()
    switch.write_text("1")
    results["remains"] = remains()
    return results


QMICLI = ("qmicli", "-d", "qrtr://0", "--dms-get-ids")
EXPERIMENTS = (conversation, faults, others)


def experiment_all() -> int:
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
    sys.exit(experiment_all())
