# SPDX-License-Identifier: GPL-2.0-or-later
"""What happens in the guest: a modem, local servers, and one client after the other talking to them.

`python scenario.py OUT [--capture COMMAND --ready TEXT]`, in the guest (guest.py). A capture is started before anything
else, waited for until it prints TEXT on its standard error, and ended with SIGINT. What is left in OUT:

    modem.jsonl    every QRTR packet on the wire, header included, as the modem saw it
    sample_server.jsonl, watch_client.jsonl, echo-local.jsonl, echo-modem.jsonl, tftp.jsonl, subsystems.jsonl
                   every datagram of the local programs, as the program saw it
    clients.jsonl  every client: name, argv, pid, start and end (ns of CLOCK_MONOTONIC), exit, stdout, stderr
    servers.jsonl  likewise what ran all the time: modem, local servers, a phone's daemons, capture
    state          what rmtfs wrote last into the state of the remote processor
    errands.json   what the modem asked of those daemons (modem_client.py): name -> "done", or why not
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, NamedTuple

from tests.lab import phone, services
from tests.lab.modem_client import ERRANDS

LAB = Path(__file__).resolve().parent
SAMPLE = "/sys/kernel/debug/qmi_sample"
PROGRAMS = ("modem", "sample_server", "watch_client")  # in the order they start
DAEMONS = {"tqftpserv": ["tqftpserv"], **{name: phone.daemon(name) for name in ("pd-mapper", "rmtfs")}}
START_TIMEOUT = 300.0
CLIENT_TIMEOUT = 300.0
ODDITIES = (
    "header-v2", "header-v2-options", "malformed-tlv", "short-message", "unknown-message", "compound",
    "unknown-service", "no-such-port",
)  # fmt: skip


class Client(NamedTuple):
    """One command, and the exit code that is right for it."""

    name: str
    argv: Sequence[str]
    exit: int = 0


def _qmicli(*options: str) -> list[str]:
    return ["qmicli", "-d", "qrtr://0", *options]


def _sample(file: str, data: str, size: int) -> list[str]:
    # One write() is one message of the in-kernel client, and dd's are as large as bs says. exec: dd keeps the pid.
    return ["sh", "-c", f"exec dd if={shlex.quote(data)} of=$(echo {SAMPLE}/{file}) bs={size} count=1 conv=notrunc"]


def clients(out: Path) -> list[Client]:
    """All clients, in the order they run."""
    noise = str(out / "noise")
    python = sys.executable
    echo = [python, str(LAB / "echo_client.py")]
    return [
        Client("tftp", [python, str(LAB / "tftp_client.py"), str(out / "tftp.jsonl"), "3000"]),
        Client("subsystems", [python, str(LAB / "subsystem_client.py"), str(out / "subsystems.jsonl")]),
        Client("lookup", ["qrtr-lookup"]),
        Client("lookup-dms", ["qrtr-lookup", "2"]),
        Client("dms-get-ids", _qmicli("--dms-get-ids")),
        Client("dms-get-manufacturer", _qmicli("--dms-get-manufacturer")),
        Client("dms-get-model", _qmicli("--dms-get-model")),
        Client("dms-get-revision", _qmicli("--dms-get-revision")),
        Client("dms-get-capabilities", _qmicli("--dms-get-capabilities")),
        Client("dms-get-msisdn", _qmicli("--dms-get-msisdn")),
        Client("dms-get-operating-mode", _qmicli("--dms-get-operating-mode")),
        Client("dms-set-low-power", _qmicli("--dms-set-operating-mode=low-power")),
        Client("dms-set-online", _qmicli("--dms-set-operating-mode=online")),
        Client("dms-get-prl-version", _qmicli("--dms-get-prl-version"), exit=1),  # a message the modem does not know
        Client("nas-get-serving-system", _qmicli("--nas-get-serving-system")),
        Client("nas-get-system-info", _qmicli("--nas-get-system-info")),
        Client("nas-get-signal-info", _qmicli("--nas-get-signal-info")),
        Client("nas-get-signal-strength", _qmicli("--nas-get-signal-strength")),
        Client("nas-get-home-network", _qmicli("--nas-get-home-network")),
        Client("nas-get-rf-band-info", _qmicli("--nas-get-rf-band-info")),
        Client("nas-network-scan", _qmicli("--nas-network-scan")),
        Client("wds-get-packet-service-status", _qmicli("--wds-get-packet-service-status")),
        Client("wds-start-network", _qmicli(f"--wds-start-network=apn={services.APN}", "--client-no-release-cid")),
        Client("wds-get-current-settings", _qmicli("--wds-get-current-settings")),
        Client("wds-stop-network", _qmicli(f"--wds-stop-network={services.CALL_HANDLE}")),
        Client("sample-load", ["modprobe", "qmi_sample_client"]),
        Client("sample-ping-local", _sample("1:*/ping", noise, 1)),
        Client("sample-data-local", _sample("1:*/data", noise, 3000)),
        Client("sample-ping-modem", _sample("0:30/ping", noise, 1)),
        Client("sample-data-modem", _sample("0:31/data", noise, 8192)),
        Client("sample-unload", ["modprobe", "-r", "qmi_sample_client"]),
        Client("echo-local", [*echo, str(out / "echo-local.jsonl"), "1", "100", "2100", "21000", "60000"]),
        Client("echo-modem", [*echo, str(out / "echo-modem.jsonl"), "0", "0", "1", "2", "3", "2100", "21000", "60000"]),
    ]


class Journal:
    """One JSON line a process."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("w", encoding="utf-8", buffering=1)

    def add(self, name: str, argv: Sequence[str], pid: int, start: int, exit: int, stdout: str, stderr: str) -> None:
        """Write a process that ended now."""
        line = {"name": name, "argv": list(argv), "pid": pid, "start": start, "end": time.monotonic_ns(), "exit": exit,
                "stdout": stdout, "stderr": stderr}  # fmt: skip
        self._file.write(json.dumps(line) + "\n")


def run_client(client: Client, journal: Journal) -> bool:
    """Run it to its end; False, and what it said on stderr, when it exits otherwise than it should."""
    start = time.monotonic_ns()
    process = subprocess.Popen(client.argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    try:
        stdout, stderr = process.communicate(timeout=CLIENT_TIMEOUT)
    except subprocess.TimeoutExpired:
        process.kill()
        stdout, stderr = process.communicate()
    texts = (stdout.decode(errors="replace"), stderr.decode(errors="replace"))
    journal.add(client.name, client.argv, process.pid, start, process.returncode, *texts)
    if process.returncode == client.exit:
        return True
    print(f"failed: {client.name}: exit code {process.returncode}, not {client.exit}\n{texts[1]}", file=sys.stderr)
    return False


@contextlib.contextmanager
def server(name: str, argv: Sequence[str], out: Path, journal: Journal) -> Iterator[subprocess.Popen[bytes]]:
    """A program that runs while clients do: it says "ready" when it is, and leaves when its standard input ends."""
    start = time.monotonic_ns()
    errors = out / f"{name}.stderr"
    with errors.open("wb") as file:
        process = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=file)
    assert process.stdin and process.stdout
    stdout = b""
    try:
        expect(process.stdout, b"ready", name)
        yield process
        process.stdin.close()
        stdout = process.stdout.read()
        process.wait(START_TIMEOUT)
    finally:
        process.kill()
        exit, said = process.wait(), errors.read_text(errors="replace")
        journal.add(name, argv, process.pid, start, exit, stdout.decode(), said)
        if exit != 0:
            print(f"failed: {name}: exit code {exit}\n{said}", file=sys.stderr)


@contextlib.contextmanager
def daemon(name: str, argv: Sequence[str], out: Path, journal: Journal) -> Iterator[None]:
    """A daemon of a real phone; it does not say when it is ready: its clients look it up and wait."""
    start = time.monotonic_ns()
    said = out / f"{name}.stderr"
    with said.open("wb") as file:
        process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=file, stderr=file)
    try:
        yield
    finally:
        process.terminate()
        journal.add(name, argv, process.pid, start, process.wait(START_TIMEOUT), "", said.read_text(errors="replace"))


@contextlib.contextmanager
def capture(argv: Sequence[str], ready: str, out: Path, journal: Journal) -> Iterator[None]:
    """A capture that runs around it all, ended as with Ctrl-C."""
    start = time.monotonic_ns()
    stdout, stderr = out / "capture.stdout", out / "capture.stderr"
    with stdout.open("wb") as output, stderr.open("wb") as errors:
        process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=output, stderr=errors)
    try:
        deadline = time.monotonic() + START_TIMEOUT
        while ready not in stderr.read_text(errors="replace"):
            if process.poll() is not None or time.monotonic() > deadline:
                raise SystemExit(f"the capture is not ready: {stderr.read_text(errors='replace')}")
            time.sleep(0.1)
        yield
        time.sleep(1.0)  # what the last client sent is still on its way
        process.send_signal(signal.SIGINT)
        process.wait(START_TIMEOUT)
    finally:
        process.kill()
        texts = (stdout.read_text(errors="replace"), stderr.read_text(errors="replace"))
        journal.add("capture", argv, process.pid, start, process.wait(), *texts)


def told(modem: subprocess.Popen[bytes], command: str) -> str:
    """Have the modem do something; what it says when it has."""
    assert modem.stdin and modem.stdout
    modem.stdin.write(command.encode() + b"\n")
    modem.stdin.flush()
    return modem.stdout.readline().decode().strip()


def expect(stream: IO[bytes], word: bytes, name: str) -> None:
    """Read one line that must be `word`."""
    if (line := stream.readline().strip()) != word:
        raise SystemExit(f"{name} said {line!r} instead of {word!r}")


def main() -> int:
    """0 when every client did what it should."""
    parser = argparse.ArgumentParser(description="the lab's scenario; runs in the guest")
    parser.add_argument("out", type=Path)
    parser.add_argument("--capture", type=shlex.split, default=[], metavar="COMMAND")
    parser.add_argument("--ready", default="", metavar="TEXT")
    parser.add_argument("--only", nargs="*", metavar="NAME", help="the modem and these only, no oddities")
    arguments = parser.parse_args()
    out: Path = arguments.out
    (out / "noise").write_bytes(os.urandom(8192))
    servers = Journal(out / "servers.jsonl")
    journal = Journal(out / "clients.jsonl")
    python = sys.executable
    with contextlib.ExitStack() as stack:
        if arguments.capture:
            stack.enter_context(capture(arguments.capture, arguments.ready, out, servers))
        programs = {name: [python, str(LAB / f"{name}.py"), str(out / f"{name}.jsonl")] for name in PROGRAMS}
        chosen = {*programs, *DAEMONS, *ERRANDS, *(client.name for client in clients(out))}
        if arguments.only is not None:
            chosen &= {"modem", *arguments.only}
        modem, *_ = [
            stack.enter_context(server(name, argv, out, servers)) for name, argv in programs.items() if name in chosen
        ]
        phone.build()
        for name, argv in DAEMONS.items():
            if name in chosen:
                stack.enter_context(daemon(name, argv, out, servers))
        wanted = [client for client in clients(out) if client.name in chosen]
        good = [run_client(client, journal) for client in wanted]
        errands = {name: told(modem, name) for name in ERRANDS if name in chosen}
        (out / "errands.json").write_text(json.dumps(errands))
        refused = {name: answer for name, answer in errands.items() if answer != "done"}
        for oddity in ODDITIES if arguments.only is None else ():
            told(modem, oddity)
    (out / "state").write_bytes(phone.STATE.read_bytes())
    for name, answer in refused.items():
        print(f"failed: {name}: {answer}", file=sys.stderr)
    return 0 if all(good) and not refused else 1


if __name__ == "__main__":
    sys.exit(main())
