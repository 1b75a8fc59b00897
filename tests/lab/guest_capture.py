# SPDX-License-Identifier: GPL-2.0-or-later
"""What the kernel tap is put through in the guest, besides the scenario; test_capture.py looks at the results.

`python guest_capture.py OUT`, as root in a guest: one function an experiment; what each returns is written to
OUT/capture.json under its name.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import select
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from unittest.mock import patch

from qmisniff.capture.assemble import Assembler
from qmisniff.capture.facts import LOCAL
from qmisniff.capture.instance import remove_stale
from qmisniff.capture.source import Tuning
from qmisniff.capture.tap import KernelTap
from qmisniff.capture.target import LocalTarget
from qmisniff.capture_file import Reader
from qmisniff.cli import main
from qmisniff.errors import QmisniffError
from qmisniff.frame import Frame, Hook
from tests.lab import wire
from tests.lab.guest_screen import screen
from tests.lab.wire import Address, Packet

TRACEFS = Path("/sys/kernel/tracing")
CTRL = wire.PORT_CTRL


class Port:
    """A QRTR socket bound to a port of this node."""

    def __init__(self, port: int) -> None:
        self.socket = socket.socket(socket.AF_QIPCRTR, socket.SOCK_DGRAM)
        self.socket.bind((self.socket.getsockname()[0], port))
        self.address = Address(*self.socket.getsockname())

    def send(self, payload: bytes, peer: Address) -> None:
        """Send one datagram."""
        self.socket.sendto(payload, peer)


class Wire:
    """The far end of /dev/qrtr-tun, a node that only says HELLO: what comes and goes there, in `log`."""

    def __init__(self, node: int = 0) -> None:
        self.log: list[tuple[str, bytes]] = []
        self.node = node
        self.tun = os.open("/dev/qrtr-tun", os.O_RDWR | os.O_NONBLOCK)
        self.send(Packet(wire.HELLO, Address(node, CTRL), Address(1, CTRL), wire.CONTROL.pack(wire.HELLO, 0, 0, 0, 0)))
        settled()
        self.drain()

    def send(self, packet: Packet) -> None:
        """Write a packet; a refusal of the kernel's does not matter here."""
        self.write(wire.pack_v1(packet))

    def write(self, data: bytes) -> None:
        """The same of a packet as it is."""
        self.log.append(("receive", data))
        with contextlib.suppress(OSError):
            os.write(self.tun, data)

    def drain(self) -> None:
        """Read what Linux has sent."""
        with contextlib.suppress(BlockingIOError):
            while data := os.read(self.tun, 70000):
                self.log.append(("transmit", data))

    def close(self) -> None:
        """Unplug it."""
        os.close(self.tun)


def settled() -> None:
    """Until the name service has dealt with all that it has been sent: then comes its answer to this."""
    with socket.socket(socket.AF_QIPCRTR, socket.SOCK_DGRAM) as own:
        own.settimeout(60)
        own.sendto(wire.CONTROL.pack(wire.NEW_LOOKUP, 0, 0, 0, 0), (own.getsockname()[0], CTRL))
        while own.recv(100) != wire.CONTROL.pack(wire.NEW_SERVER, 0, 0, 0, 0):
            pass


def collect(tap: KernelTap, seconds: float = 0.2) -> list[Frame]:
    """What the tap sees until nothing has come for `seconds`, twice: what was too young for the first read, on a
    machine that then did something else, comes at once with the second."""
    frames: list[Frame] = []
    silent = 0
    while silent < 2:
        batch = tap.read(seconds) or []
        silent = 0 if batch else silent + 1
        frames += batch
    return frames


def end(tap: KernelTap) -> list[Frame]:
    """Stop the tap and read the rest."""
    tap.stop()
    frames: list[Frame] = []
    while (batch := tap.read(1.0)) is not None:
        frames += batch
    return frames


def remains() -> list[str]:
    """What qmisniff has in the kernel."""
    instances = [path.name for path in (TRACEFS / "instances").iterdir()]
    probes = [line for line in (TRACEFS / "kprobe_events").read_text().splitlines() if "qmisniff" in line]
    groups = [path.name for path in (TRACEFS / "events").iterdir() if "qmisniff" in path.name]
    return sorted({*instances, *groups, *(line.split()[0] for line in probes)})


class Capture:
    """`qmisniff capture` in a process of its own: forked, since starting Python anew takes an emulated machine long."""

    def __init__(self, *arguments: str, piped: bool = False) -> None:
        said, errors = os.pipe()
        records, output = os.pipe() if piped else (-1, os.open(os.devnull, os.O_WRONLY))
        self.pid = os.fork()
        if not self.pid:
            os.dup2(output, 1)
            os.dup2(errors, 2)
            os.closerange(3, 256)
            sys.stdout = os.fdopen(1, "w", closefd=False)  # the old one remembers what it wrote to
            code = 1
            try:
                code = main(["capture", *arguments])
            except BaseException:
                traceback.print_exc()
            os._exit(code)
        os.close(errors)
        os.close(output)
        self.records = records
        self.exit: int | None = None
        self._rest = ""
        self._stderr = os.fdopen(said, "rb")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def ready(self) -> str:
        """Wait until it captures; what it said until then."""
        return self.says("capturing")

    def says(self, word: str) -> str:
        """Wait until it says `word`; all that it has said."""
        said = b""
        while word.encode() not in said:
            line = self._stderr.readline()
            if not line:
                raise RuntimeError(f"the capture ended: {said!r}")
            said += line
        return said.decode()

    def keeper(self) -> int:
        """The process that it has left root to."""
        for path in Path("/proc").glob("[0-9]*/stat"):
            with contextlib.suppress(OSError):
                if int(path.read_text().rpartition(")")[2].split()[1]) == self.pid:
                    return int(path.parent.name)
        raise RuntimeError("the capture has no child")

    def said(self) -> str:
        """What else it wrote to its standard error, once it has ended."""
        if not self._stderr.closed:
            self._rest = self._stderr.read().decode()
            self._stderr.close()
        return self._rest

    def end(self, number: int = signal.SIGINT) -> int:
        """End it by a signal; its exit code, negative when the signal killed it."""
        if self.exit is None:
            os.kill(self.pid, number)
        return self.wait()

    def wait(self, timeout: float = 300.0) -> int:
        """Wait until it ends by itself; its exit code."""
        until = time.monotonic() + timeout
        while self.exit is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self.exit = os.waitstatus_to_exitcode(status)
            elif time.monotonic() > until:
                raise RuntimeError("the capture does not end")
            else:
                time.sleep(0.005)
        return self.exit

    def close(self) -> None:
        """Let nothing of it stay."""
        if self.exit is None:
            self.end(signal.SIGKILL)
        self.said()


@contextlib.contextmanager
def running(*arguments: str, piped: bool = False) -> Iterator[Capture]:
    """A capture that is ready."""
    capture = Capture(*arguments, piped=piped)
    try:
        capture.ready()
        yield capture
    finally:
        capture.close()


def sizes(out: Path) -> dict[str, Any]:
    """Packets of every size that matters, in the three directions, against what was sent and received."""
    return measured_sizes(around(128, 640, 3648, 6656, 9664, 12672, 63808))


def old_kernel(out: Path) -> dict[str, Any]:
    """The same on a kernel that does not describe its types, and whose probes are those of before Linux 5.4."""
    (out / "empty").mkdir()
    readme = (TRACEFS / "README").read_text()
    (out / "README").write_text("".join(line for line in readme.splitlines(True) if "imm-value" not in line))
    hidden = [(out / "empty", Path("/sys/kernel/btf")), (out / "README", TRACEFS / "README")]
    for own, place in hidden:
        subprocess.run(["mount", "--bind", own, place], check=True)
    try:
        return measured_sizes(around(128, 640, 1600, 10240, 11200, 64960))
    finally:
        for _, place in hidden:
            subprocess.run(["umount", place], check=True)


def around(*borders: int) -> list[int]:
    """Payloads up to the longest, those around every border between a packet's events among them."""
    steps = {border - 32 * header + step for border in borders for header in (0, 1) for step in (-1, 0, 1)}
    return sorted({1, 2, 3, 4, 20, 65535, *steps})


def measured_sizes(sizes: Sequence[int]) -> dict[str, Any]:
    """Packets of these sizes in the three directions, against what was sent and received."""
    content = random.Random(1)
    far = Wire()
    near, peer = Port(0x4100), Port(0x4101)
    receiver = Address(far.node, 0x99)
    local: list[bytes] = []
    with KernelTap() as tap:
        collect(tap)  # the end of the lookup
        far.drain()
        far.log.clear()
        for size in sizes:
            payload = content.randbytes(size)
            near.send(payload, peer.address)
            local.append(payload)
            peer.socket.recv(70000)
            near.send(payload, receiver)
            far.drain()
            # After 10 packets Linux would wait for this; the fifth of a row asks for it with confirm_rx.
            resume = wire.CONTROL.pack(wire.RESUME_TX, *receiver, 0, 0)
            if len(local) % 7 == 0:
                far.send(Packet(wire.RESUME_TX, receiver, near.address, resume))
            far.send(Packet(wire.DATA, receiver, near.address, payload))
            near.socket.recv(70000)
        frames = collect(tap) + end(tap)
        statistics, note = tap.statistics, tap.origin.note
    far.close()
    ours = [frame for frame in frames if frame.pid == os.getpid()]
    between = [frame for frame in ours if frame.hook is Hook.LOCAL and unpacked(frame).destination == peer.address]
    return {
        "sizes": sizes,
        "note": note,
        "receive": [frame.data for frame in ours if frame.hook is Hook.RECEIVE]
        == [data for way, data in far.log if way == "receive"],
        "transmit": [frame.data for frame in ours if frame.hook is Hook.TRANSMIT]
        == [data for way, data in far.log if way == "transmit"],
        "confirmed": sum(wire.unpack_v1(data).confirm_rx for way, data in far.log if way == "transmit"),
        "local": [unpacked(frame).payload for frame in between] == local,
        "statistics": statistics,
        "longest": max(len(frame.data) for frame in frames),
    }


def unpacked(frame: Frame) -> Packet:
    """A frame's packet."""
    return wire.unpack_v1(frame.data)


def latency(out: Path) -> dict[str, Any]:
    """Milliseconds from sending a packet to its record's arrival on the pipe of `capture -w -`."""
    near, peer = Port(0x4102), Port(0x4103)
    waits = []
    with running("-w", "-", piped=True) as process:
        pipe = process.records
        os.set_blocking(pipe, False)
        for number in range(30):
            marker = b"marker %06d" % number
            time.sleep(0.03)
            before = time.monotonic()
            near.send(marker, peer.address)
            seen = b""
            while marker not in seen and time.monotonic() < before + 60:
                if select.select([pipe], [], [], 1.0)[0]:
                    seen = seen[-64:] + os.read(pipe, 1 << 20)
            waits.append((time.monotonic() - before) * 1000)
            if marker not in seen:
                raise RuntimeError(f"packet {number} does not come out")
        process.end()
    return {"ms": sorted(waits)}


def signals(out: Path) -> dict[str, Any]:
    """Each way of ending a capture: its exit code, whether the file is whole, what stays in the kernel."""
    near, peer = Port(0x4104), Port(0x4105)
    results: dict[str, Any] = {}
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        path = out / f"{number.name}.pcapng"
        with running("-w", str(path)) as process:
            near.send(number.name.encode(), peer.address)
            process.end(number)
        results[number.name] = ending(process, path, number.name.encode())
    return results


def ending(process: Capture, path: Path, marker: bytes) -> dict[str, Any]:
    """How a capture ended."""
    with path.open("rb") as file:
        reader = Reader(file)
        seen = sum(marker in frame.data for frame in reader)
    return {"exit": process.exit, "seen": seen, "damage": reader.damage, "remains": remains()}


def count(out: Path) -> dict[str, Any]:
    """`-c 3`: three packets and the end."""
    near, peer = Port(0x4106), Port(0x4107)
    path = out / "count.pcapng"
    with running("-w", str(path), "-c", "3") as process:
        for _ in range(10):
            near.send(b"counted", peer.address)
        process.wait()
    with path.open("rb") as file:
        return {**ending(process, path, b"counted"), "frames": len(list(Reader(file)))}


def vanished_reader(out: Path) -> dict[str, Any]:
    """The reader of the pipe goes away, with and without traffic after that."""
    near, peer = Port(0x4108), Port(0x4109)
    results: dict[str, Any] = {}
    for name, packets in (("idle", 0), ("busy", 5)):
        with running("-w", "-", piped=True) as process:
            os.close(process.records)
            for _ in range(packets):
                near.send(b"nobody reads this", peer.address)
                time.sleep(0.1)
            results[name] = {"exit": process.wait(), "remains": remains()}
    return results


def killed(out: Path) -> dict[str, Any]:
    """SIGKILL of all its processes leaves everything; the next capture removes it, and leaves one that runs alone."""
    near, peer = Port(0x410C), Port(0x410D)
    alive, after = out / "alive.pcapng", out / "after.pcapng"
    with running("-w", str(alive)) as neighbour:
        with running("-w", str(out / "killed.pcapng")) as victim:
            os.kill(victim.keeper(), signal.SIGKILL)
            victim.end(signal.SIGKILL)
        left = [name for name in remains() if f"_{victim.pid}_" in name]
        with running("-w", str(after)) as process:
            near.send(b"after the kill", peer.address)
            still = [name for name in remains() if f"_{victim.pid}_" in name]
            process.end()
        neighbour.end()
    return {
        "left": len(left),
        "still": still,
        "after": ending(process, after, b"after the kill"),
        "neighbour": ending(neighbour, alive, b"after the kill"),
    }


def without_root(out: Path) -> dict[str, Any]:
    """Who parses is not root; whichever of the two processes is killed, all is removed, at once or by the next."""
    near, peer = Port(0x4110), Port(0x4111)
    results: dict[str, Any] = {}
    for name, who in (("capture killed", "capture"), ("keeper killed", "keeper")):
        path = Path(tempfile.mkdtemp()) / "mine.pcapng"
        with (
            patch.dict(os.environ, SUDO_UID="1234", SUDO_GID="1235"),
            running("-w", str(path), "-b", "packets:3") as process,
        ):
            keeper = process.keeper()
            status = {who: rights(pid) for who, pid in (("capture", process.pid), ("keeper", keeper))}
            for _ in range(5):
                near.send(b"whose file is this", peer.address)
            wait_until(partial(has, 5, path.parent, b"whose file"))
            os.kill(keeper if who == "keeper" else process.pid, signal.SIGKILL)
            end = process.wait()
            told = process.said()
        if who == "capture":
            wait_until(lambda: not remains())
        results[name] = {
            "status": status,
            "exit": end,
            "said": told,
            "remains": remains(),
            "files": [owner(file) for file in path.parent.iterdir()],
            "seen": marked(path.parent, b"whose file"),
        }
    remove_stale(LocalTarget(), str(TRACEFS))
    return results


def wait_until(so: Callable[[], bool]) -> None:
    """Until it is so, or a minute has passed: what comes of it is looked at by the test."""
    until = time.monotonic() + 60
    while not so() and time.monotonic() < until:
        time.sleep(0.05)


def marked(folder: Path, marker: bytes) -> int:
    """How many packets in the files of a folder have the marker. One that was only just begun may still be empty."""
    files = [file for file in folder.iterdir() if file.stat().st_size]
    return sum(marker in data for file in files for data in frames_of(file))


def has(number: int, folder: Path, marker: bytes) -> bool:
    """Whether so many packets have it."""
    with contextlib.suppress(FileNotFoundError):  # a ring may turn meanwhile
        return marked(folder, marker) == number
    return False


def owner(path: Path) -> tuple[int, int, str]:
    """User, group and mode of a file."""
    status = path.stat()
    return status.st_uid, status.st_gid, oct(status.st_mode & 0o777)


def rights(pid: int) -> dict[str, str]:
    """Users, groups and capabilities of a process, as the kernel lists them."""
    lines = (line.partition(":") for line in Path(f"/proc/{pid}/status").read_text().splitlines())
    return {key: value.strip() for key, _, value in lines if key in ("Uid", "Gid", "Groups", "CapEff", "CapPrm")}


def frames_of(path: Path) -> list[bytes]:
    """The packets in a file."""
    with path.open("rb") as file:
        return [frame.data for frame in Reader(file)]


def in_files(out: Path) -> dict[str, Any]:
    """`-b`: a service that was announced once, and 50 packets to it: what the files say, each alone."""
    near, peer = Port(0x4112), Port(0x4113)
    path = Path(tempfile.mkdtemp()) / "ring.pcapng"
    peer.send(wire.CONTROL.pack(wire.NEW_SERVER, 0x1357, 0x0101, *peer.address), Address(1, CTRL))
    with running("-w", str(path), "-b", "packets:10", "-b", "files:3") as process:
        for serial in range(50):
            near.send(b"in a file %03d" % serial, peer.address)
        wait_until(partial(has, 1, path.parent, b"in a file 049"))
        process.end()
    files = []
    for each in sorted(path.parent.iterdir()):
        with each.open("rb") as file:
            reader = Reader(file)
            frames = list(reader)
        services = [wire.CONTROL.unpack(unpacked(frame).payload) for frame in frames if frame.flags & 1]
        serials = [int(frame.data[42:45]) for frame in frames if b"in a file" in frame.data]
        files.append({
            "name": each.name, "damage": reader.damage, "serials": serials,
            "services": [service[:3] for service in services].count((4, 0x1357, 0x0101)),
            "ordered": frames == sorted(frames, key=lambda frame: frame.ts_ns),
        })  # fmt: skip
    return {"files": files, "remains": remains()}


def small_disk(out: Path) -> dict[str, Any]:
    """A file system that fills up while packets come: what is in the file."""
    near, peer = Port(0x4114), Port(0x4115)
    folder = Path(tempfile.mkdtemp())
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=128k", "tmpfs", str(folder)], check=True)
    path = folder / "full.pcapng"
    with running("-w", str(path)) as process:
        nobody = rights(process.pid)
        for serial in range(300):
            near.send(b"filling %03d" % serial + bytes(1000), peer.address)
            peer.socket.recv(2000)
        process.wait()
        told = process.said()
    found = {
        **ending(process, path, b"filling"),
        "said": told,
        "size": path.stat().st_size,
        "rights": nobody,
        "frames": len(frames_of(path)),
    }
    subprocess.run(["umount", str(folder)], check=True)
    return found


def into_fifo(out: Path) -> dict[str, Any]:
    """Into a fifo of the user who called sudo, where the kernel lets root create nothing in its place, as in /tmp."""
    near, peer = Port(0x4118), Port(0x4119)
    marker, data = b"through a fifo", bytearray()
    Path("/proc/sys/fs/protected_fifos").write_text("1")
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o1777)
    os.mkfifo(folder / "fifo")
    os.chown(folder / "fifo", 1234, 1235)
    reading = os.open(folder / "fifo", os.O_RDONLY | os.O_NONBLOCK)

    def seen() -> bool:
        with contextlib.suppress(BlockingIOError):
            data.extend(os.read(reading, 1 << 16))
        return marker in data

    with (
        patch.dict(os.environ, SUDO_UID="1234", SUDO_GID="1235"),
        running("-w", str(folder / "fifo")) as process,
    ):
        near.send(marker, peer.address)
        wait_until(seen)
        process.end()
    os.close(reading)
    return {"exit": process.exit, "seen": marker in data}


def printed(out: Path) -> dict[str, Any]:
    """`-P -Y`: lines on standard output while packets come, the file has all."""
    near, peer = Port(0x4116), Port(0x4117)
    path = out / "printed.pcapng"
    os.environ["XDG_CACHE_HOME"] = str(out / "cache")  # an emulated machine takes long to read all definitions anew
    with running("-P", "-Y", 'frame contains "show me"', "-w", str(path), piped=True) as process:
        uid = rights(process.pid)["Uid"]
        near.send(b"hide me", peer.address)
        near.send(b"show me", peer.address)
        line = b""
        while b"\n" not in line and select.select([process.records], [], [], 60.0)[0]:
            line += os.read(process.records, 4096)
        process.end()
        line += os.read(process.records, 4096)
    return {
        "uid": uid,
        "lines": line.decode().splitlines(),
        "hidden": ending(process, path, b"hide me"),
        "shown": ending(process, path, b"show me"),
    }


def failing_start(out: Path) -> dict[str, Any]:
    """The kernel refuses the last of the probes: the error, and what stays."""

    class Refusing(LocalTarget):
        def append(self, path: str, text: str) -> None:
            if "/local_" in text and text.startswith("p:"):
                text = text.replace(LOCAL, "qrtr_no_such_function")
            super().append(path, text)

    tap = KernelTap(Refusing())
    try:
        tap.open()
    except QmisniffError as error:
        return {"error": f"{type(error).__name__}: {error}", "remains": remains()}
    tap.close()
    return {"error": "", "remains": remains()}


def late_module(out: Path) -> dict[str, Any]:
    """A transport whose module is loaded while the capture runs, twice."""
    subprocess.run(["rmmod", "qrtr_tun"], check=True)
    results = []
    near = Port(0x410E)
    with KernelTap() as tap:
        for round in range(2):
            subprocess.run(["modprobe", "qrtr-tun"], check=True)
            far = Wire(node=7 + round)
            near.send(b"late", Address(far.node, 0x99))
            far.drain()
            far.send(Packet(wire.DATA, Address(far.node, 0x99), near.address, b"late too"))
            frames = collect(tap)
            results.append(
                {
                    way: [frame.data for frame in frames if frame.hook is hook]
                    == [data for where, data in far.log if where == way]
                    for way, hook in (("receive", Hook.RECEIVE), ("transmit", Hook.TRANSMIT))
                }
                | {"packets": len(far.log)}
            )
            far.close()
            subprocess.run(["rmmod", "qrtr_tun"], check=True)
    subprocess.run(["modprobe", "qrtr-tun"], check=True)
    return {"rounds": results, "remains": remains()}


def flood(out: Path) -> dict[str, Any]:
    """More than the ring holds, from threads on every CPU, while nobody reads: what is lost is counted exactly."""
    each, senders = 3000, 3
    with KernelTap(tuning=Tuning(buffer_kib=64)) as tap:
        collect(tap)

        def send(number: int) -> None:
            near, peer = Port(0x4200 + 2 * number), Port(0x4201 + 2 * number)
            for serial in range(each):
                near.send(b"flood %d %06d " % (number, serial) + bytes(serial % 700), peer.address)
                peer.socket.recv(2000)

        threads = [threading.Thread(target=send, args=(number,)) for number in range(senders)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        frames = collect(tap) + end(tap)
        statistics = tap.statistics
    packets = [frame for frame in frames if b"flood" in frame.data[:40]]
    markers = [frame.data[32:46] for frame in packets]
    return {
        "sent": each * senders,
        "seen": len(packets),
        "doubled": len(markers) - len(set(markers)),
        "broken": sum(
            not frame.flags & 2 and len(unpacked(frame).payload) != 15 + int(frame.data[40:46]) % 700
            for frame in packets
        ),
        "frames": len(frames),
        "statistics": statistics,
        "told": sum(frame.lost for frame in frames),
    }


def busy(out: Path) -> dict[str, Any]:
    """Senders on every CPU while the capture reads: nothing lost, nothing doubled, everything in order."""
    each, senders = 1000, 3
    path = out / "busy.pcapng"
    # A packet of each sender every few milliseconds: what an emulated machine carries without losing any.
    sender = (
        "import socket,sys,time;n=int(sys.argv[1]);s=socket.socket(42,2);r=socket.socket(42,2);r.bind((1,0x4300+n))\n"
        f"for i in range({each}):\n"
        "  s.sendto(b'busy %d %06d '%(n,i)+bytes(i*7%1500),(1,0x4300+n));r.recv(4000);time.sleep(.002)"
    )
    with running("-w", str(path)) as process:
        programs = [subprocess.Popen([sys.executable, "-c", sender, str(number)]) for number in range(senders)]
        for program in programs:
            program.wait(300)
        process.end()
        said = process.said()
    with path.open("rb") as file:
        frames = list(Reader(file))
    packets = [frame for frame in frames if b"busy" in frame.data[:40]]
    pids = {program.pid: number for number, program in enumerate(programs)}
    return {
        "sent": each * senders,
        "seen": len(packets),
        "right": sum(frame.data[37:38] == str(pids.get(frame.pid)).encode() for frame in packets),
        "ordered": [frame.ts_ns for frame in frames] == sorted(frame.ts_ns for frame in frames)
        and all(serials(packets, pid) == list(range(each)) for pid in pids),
        "said": said,
    }


def serials(packets: Sequence[Frame], pid: int) -> list[int]:
    """The serial numbers of the busy packets of a process, in the order of the capture."""
    return [int(frame.data[39:45]) for frame in packets if frame.pid == pid]


def threads(out: Path) -> dict[str, Any]:
    """Packets of a thread are those of its process, also of one that has ended, of before and of during the capture."""
    program = (
        "import ctypes,socket,sys,threading\n"
        "def send():\n"
        "  ctypes.CDLL(None).prctl(15,b'worker',0,0,0)\n"
        "  s=socket.socket(42,2);s.sendto(b'from a thread',(1,0x4400));s.close()\n"
        "go=threading.Event();a=threading.Thread(target=lambda:(go.wait(),send()));a.start()\n"
        "print('ready',flush=True);sys.stdin.read();go.set()\n"
        "b=threading.Thread(target=send);b.start();a.join();b.join()\n"
    )
    peer = Port(0x4400)
    processes = [start(program)]
    with KernelTap() as tap:
        processes.append(start(program))
        for process in processes:
            process.communicate()
        frames = [frame for frame in collect(tap) if b"from a thread" in frame.data]
    peer.socket.close()
    return {
        "pids": sorted(process.pid for process in processes for _ in range(2)),
        "seen": sorted(frame.pid for frame in frames),
        "comms": sorted({frame.comm for frame in frames}),
        "program": Path(sys.executable).name[:15],
    }


def start(program: str) -> subprocess.Popen[bytes]:
    """A program that is ready."""
    process = subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdout
    process.stdout.readline()
    return process


def services(out: Path) -> dict[str, Any]:
    """Services from before the capture come from the lookup; without a local tap, later ones from trace events."""

    class Blind(LocalTarget):
        def lines(self, path: str, word: bytes) -> list[bytes]:
            return [line for line in super().lines(path, word) if LOCAL.encode() not in line]

    early, late = Port(0x4500), Port(0x4501)
    name_server = Address(1, CTRL)
    results = {}
    for name, target in (("whole", LocalTarget()), ("blind", Blind())):
        early.send(wire.CONTROL.pack(wire.NEW_SERVER, 0x1234, 0x0101, *early.address), name_server)
        with KernelTap(target) as tap:
            late.send(wire.CONTROL.pack(wire.NEW_SERVER, 0x4321, 0x0201, *late.address), name_server)
            late.send(wire.CONTROL.pack(wire.DEL_SERVER, 0x4321, 0x0201, *late.address), name_server)
            settled()
            frames = collect(tap)
            notes = list(tap.notes)
        controls = [(frame, unpacked(frame)) for frame in frames]
        results[name] = {
            "synthetic": [
                [packet.type, *wire.CONTROL.unpack(packet.payload)] for frame, packet in controls if frame.flags & 1
            ],
            "local": sum(frame.hook is Hook.LOCAL for frame in frames),
            "notes": notes,
        }
    return results


def strange_transport(out: Path) -> dict[str, Any]:
    """A transport that is not known: sent packets are seen one step earlier, with a rebuilt header."""

    class Strange(LocalTarget):
        def list(self, path: str) -> list[str]:
            names = super().list(path)
            return [*names, "qrtr_pigeon"] if path.endswith("holders") else names

    far, near = Wire(), Port(0x4600)
    far.log.clear()
    with KernelTap(Strange()) as tap:
        for size in (1, 5, 200, 5000):
            near.send(bytes(range(1, 251)) * (size // 250 + 1), Address(far.node, 0x99))
        far.drain()
        frames = [frame for frame in collect(tap) if frame.hook is Hook.TRANSMIT and unpacked(frame).type == wire.DATA]
        notes = list(tap.notes)
    far.close()
    wanted = [data for _, data in far.log if wire.unpack_v1(data).type == wire.DATA]
    return {
        "same": [frame.data for frame in frames] == wanted,
        "packets": len(wanted),
        "flags": [int(frame.flags) for frame in frames],
        "notes": notes,
    }


def refusals(out: Path) -> dict[str, Any]:
    """What a user is told who cannot capture: not root, ftrace switched off, no qrtr."""
    results: dict[str, Any] = {}
    program = "import os,qmisniff.capture.tap as t;{}print(*t.KernelTap().probe(),sep='|')"
    ask = [sys.executable, "-c", program.format("")]
    results["nobody"] = said([sys.executable, "-c", program.format("os.setuid(65534);")])
    Path("/proc/sys/kernel/ftrace_enabled").write_text("0")
    results["ftrace"] = said(ask)
    Path("/proc/sys/kernel/ftrace_enabled").write_text("1")
    results["fit"] = said(ask)
    subprocess.run(["rmmod", "qrtr_tun", "qrtr"], check=True)
    results["module"] = said(ask)
    refused = Capture("-w", str(out / "never.pcapng"))
    results["capture"] = f"{refused.wait()} {refused.said()}"
    refused.close()
    waiting = Capture("--wait", "-w", str(out / "waited.pcapng"))
    results["waiting"] = waiting.says("waiting")
    subprocess.run(["modprobe", "qrtr-tun"], check=True)
    waiting.ready()
    near, peer = Port(0x4702), Port(0x4703)
    near.send(b"at last", peer.address)
    waiting.end()
    results["waited"] = ending(waiting, out / "waited.pcapng", b"at last")
    waiting.close()
    return results


def said(argv: Sequence[str]) -> str:
    """What a program prints."""
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    return done.stdout.strip() + done.stderr.strip()


def cost(out: Path) -> dict[str, Any]:
    """Microseconds that a packet from socket to socket takes, and what the tap adds; frames a second assembled."""
    near, peer = Port(0x4700), Port(0x4701)

    def microseconds(size: int, packets: int = 1000) -> float:
        payload, best = bytes(size), 1e9
        for _ in range(3):
            began = time.perf_counter()
            for _ in range(packets):
                near.send(payload, peer.address)
                peer.socket.recv(70000)
            best = min(best, (time.perf_counter() - began) / packets * 1e6)
        return best

    results = {"bare": {size: microseconds(size) for size in (60, 500, 5000)}}
    with KernelTap() as tap:
        results["tapped"] = {60: microseconds(60), 500: microseconds(500)}
        collect(tap)
        results["tapped"][5000] = microseconds(5000, 100)
        collect(tap)
        results["tapped_60_after_5000"] = {60: microseconds(60)}
        collect(tap)
        near.send(bytes(60000), peer.address)
        peer.socket.recv(70000)
        results["tapped_60_after_60000"] = {60: microseconds(60)}
        for _ in range(4):
            tap.read(1.0)
        results["tapped_60_a_while_after"] = {60: microseconds(60)}
        statistics = tap.statistics
        fed = {"pages": 0, "seconds": 0.0}
        feed = Assembler.feed

        def timed(self: Assembler, cpu: int, page: bytes) -> None:
            began = time.perf_counter()
            feed(self, cpu, page)
            fed["seconds"] += time.perf_counter() - began
            fed["pages"] += 1

        Assembler.feed = timed  # type: ignore[method-assign]
        try:
            frames = collect(tap)
        finally:
            Assembler.feed = feed  # type: ignore[method-assign]
    return {
        **results,
        "statistics": statistics,
        "frames_a_second": len(frames) / fed["seconds"] if fed["seconds"] else 0,
    }


EXPERIMENTS = (
    sizes, latency, signals, count, vanished_reader, killed, without_root, in_files,
    small_disk, into_fifo, printed, failing_start, late_module, flood, busy,
    threads, services, strange_transport, cost, screen, old_kernel, refusals,
)  # fmt: skip


def run_experiments(experiments: Sequence[Callable[[Path], dict[str, Any]]]) -> int:
    """Run them all, or those named behind OUT; an experiment that raises leaves its traceback as its result."""
    out = Path(sys.argv[1])
    results: dict[str, Any] = {}
    for experiment in experiments:
        name = experiment.__name__
        if sys.argv[2:] and name not in sys.argv[2:]:
            continue
        began = time.monotonic()
        try:
            results[name] = experiment(out)
        except Exception:
            results[name] = {"failed": traceback.format_exc()}
        results[name]["took"] = round(time.monotonic() - began, 1)
        results[name]["leaves"] = remains()
        (out / "capture.json").write_text(json.dumps(results, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(run_experiments(EXPERIMENTS))
