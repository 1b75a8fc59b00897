# SPDX-License-Identifier: GPL-2.0-or-later
"""Floods of packets through a capture, in a guest: what was sent, what is in the file, what was reported as lost.

As root in a guest, `python flooding.py OUT floods BUFFER RATE:SIZE:COUNT...` prints each as a line of JSON, and `python
flooding.py OUT steady RATE SECONDS` how much memory a capture has in the course of one. OUT has the sender, built from
flood.c by `build`; BUFFER is the capture's -B.
"""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

from qmisniff import pcapng
from qmisniff.capture_file import Reader
from qmisniff.frame import Flag

_MARK = b"flood\0\0\0"
_QMISNIFF = [sys.executable, "-c", "import sys, qmisniff.cli; sys.exit(qmisniff.cli.main())"]
_FILE = Path("/run/flood.pcapng")  # in the guest's memory: its disk is this machine's, and slow
_SAMPLE = 5.0  # seconds
_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Load:
    """Messages of `size` bytes, `rate` a second (0: as many as go), `count` in all."""

    rate: float
    size: int
    count: int


@dataclass(frozen=True, slots=True)
class Sent:
    """What the sender tells: seconds by the clock, and of its own processor time."""

    port: int
    count: int
    seconds: float
    cpu: float


@dataclass(frozen=True, slots=True)
class Found:
    """What a file has of a flood."""

    captured: int
    distinct: int  # messages
    last: int  # number of a message
    shortened: int
    broken: int  # whole ones with other bytes than were sent
    others: int  # packets of others
    lost: int  # as the file says
    told: int  # as its packets say
    comment: str  # of its statistics
    damage: str


@dataclass(frozen=True, slots=True)
class Outcome:
    """A flood with a capture around it. Times are seconds, `peak` is in KiB."""

    load: Load
    bare: Sent  # the same without a capture
    sent: Sent
    found: Found
    cpu: float  # of the capture
    peak: int
    said: str


def build(out: Path) -> None:
    """Build the sender, on the machine that boots the guest."""
    source = Path(__file__).with_name("flood.c")
    subprocess.run(["gcc", "-O2", "-static", "-o", out / "flood", source], check=True)


class Sender:
    """The program that floods; its sockets stay open until it is closed."""

    def __init__(self, out: Path, load: Load) -> None:
        self.process = subprocess.Popen(
            [out / "flood", *map(str, (load.rate, load.size, load.count))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )

    def done(self) -> Sent:
        """Wait until all is sent."""
        assert self.process.stdout
        port, count, seconds, cpu = self.process.stdout.readline().split()
        return Sent(int(port), int(count), float(seconds), float(cpu))

    def close(self) -> None:
        """Close its sockets."""
        self.process.communicate()


class Program:
    """`qmisniff capture` as a program of its own, whose memory and time are nobody else's."""

    def __init__(self, *arguments: str) -> None:
        self.process = subprocess.Popen(
            [*_QMISNIFF, "capture", *arguments], stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True
        )
        self._said: list[str] = []
        assert self.process.stderr
        for line in self.process.stderr:
            self._said.append(line)
            if "capturing" in line:
                return
        raise RuntimeError("".join(self._said))

    def cpu(self) -> float:
        """Seconds of processor time until now."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / _TICKS

    def memory(self) -> int:
        """KiB of it that are in memory now."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(status.partition("VmRSS:")[2].split()[0])

    def end(self) -> tuple[str, float, int]:
        """End it: what it said, seconds of processor time in all, KiB of memory at most."""
        self.process.send_signal(signal.SIGINT)
        assert self.process.stderr
        said = "".join([*self._said, self.process.stderr.read()])
        _, status, used = os.wait4(self.process.pid, 0)
        self.process.returncode = os.waitstatus_to_exitcode(status)
        if self.process.returncode:
            raise RuntimeError(f"exit code {self.process.returncode}: {said}")
        return said, used.ru_utime + used.ru_stime, used.ru_maxrss


def flood(out: Path, load: Load, path: Path, *arguments: str) -> Outcome:
    """Flood, without a capture and with one into `path`."""
    sender = Sender(out, load)
    bare = sender.done()
    sender.close()
    capture = Program("-w", str(path), *arguments)
    before = capture.cpu()
    sender = Sender(out, load)
    sent = sender.done()
    said, cpu, peak = capture.end()
    sender.close()  # later: what the kernel then sends would be in the way of the count
    found = look(path, sender.process.pid, load.size)
    path.unlink()
    return Outcome(load, bare, sent, found, cpu - before, peak, said)


def look(path: Path, pid: int, size: int) -> Found:
    """What a file has of the messages of `size` bytes that the process `pid` sent."""
    numbers: set[int] = set()
    captured = shortened = broken = others = told = 0
    with path.open("rb") as file:
        reader = Reader(file)
        for frame in reader:
            told += frame.lost
            if frame.data[32:40] != _MARK or frame.pid != pid:
                others += 1
                continue
            captured += 1
            numbers.add(int.from_bytes(frame.data[40:44], "little"))
            if Flag.TRUNCATED in frame.flags:
                shortened += 1
            elif frame.data[44 : 32 + size] != b"\x5a" * (size - 12):
                broken += 1
    comment = reader.records.statistics.get(pcapng.OPT_COMMENT, b"").decode()
    return Found(
        captured, len(numbers), max(numbers, default=-1), shortened, broken, others, reader.dropped, told, comment,
        reader.damage,
    )  # fmt: skip


def floods(out: Path, buffer: str, *loads: str) -> None:
    """Each of these loads, alone and with a capture; none of a size of which the sender could not half reach a rate."""
    beyond: set[str] = set()
    for text in loads:
        rate, size, count = text.split(":")
        if size in beyond:
            continue
        outcome = flood(out, Load(float(rate), int(size), int(count)), _FILE, "-B", buffer)
        print(json.dumps(asdict(outcome)), flush=True)
        if outcome.sent.count / outcome.sent.seconds < float(rate) / 2:
            beyond.add(size)


def steady(out: Path, rate: str, seconds: str) -> None:
    """Small messages for a long time: the capture's memory every few seconds, in KiB, and what came of them."""
    capture = Program("-w", str(_FILE))
    sender = Sender(out, Load(float(rate), 20, round(float(rate) * float(seconds))))
    samples: list[int] = []
    assert sender.process.stdout
    while not select.select([sender.process.stdout], [], [], _SAMPLE)[0]:
        samples.append(capture.memory())
    sent = sender.done()
    said, cpu, peak = capture.end()
    sender.close()
    content = _FILE.read_bytes()  # too many packets for a Reader in an emulated machine
    captured = content.count(_MARK) - content.count(b"flood" + bytes(11))  # which is the process's name
    told = {"sent": asdict(sent), "captured": captured, "samples": samples, "cpu": cpu, "peak": peak, "said": said}
    print(json.dumps(told), flush=True)


def main(out: str, what: str, *arguments: str) -> int:
    """What the arguments ask for."""
    if what == "floods":
        floods(Path(out), *arguments)
    else:
        steady(Path(out), *arguments)
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
