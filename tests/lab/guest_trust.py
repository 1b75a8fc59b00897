# SPDX-License-Identifier: GPL-2.0-or-later
"""What may go wrong around a capture, in the guest: floods, and faults; test_trust.py looks at the results.

`python guest_trust.py OUT`, as root in a guest, with the sender of flooding.py in OUT: one function an experiment; what
each returns is written to OUT/capture.json under its name.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

from qmisniff.capture_file import Reader
from qmisniff.frame import Frame
from tests.lab import flooding, wire
from tests.lab.flooding import Load, Sender
from tests.lab.guest_capture import TRACEFS, Capture, Port, Wire, remains, run_experiments, running, wait_until
from tests.lab.wire import Address, Packet

_CPU1 = Path("/sys/devices/system/cpu/cpu1/online")


def overrun(out: Path) -> dict[str, Any]:
    """Small packets, more than the ring holds while the capture is stopped: then they are counted, not seen."""
    return flood(out, Load(0, 20, 3000), "-B", "0.0625")


def overrun_long(out: Path) -> dict[str, Any]:
    """Packets of many events."""
    return flood(out, Load(0, 20000, 150), "-B", "0.25")


def overrun_filtered(out: Path) -> dict[str, Any]:
    """A filter that passes all of them: the kernel counts what passes."""
    return flood(out, Load(0, 300, 2000), "-B", "0.0625", "-f", "type data and len < 400")


def snapped(out: Path) -> dict[str, Any]:
    """Of packets of many events only the first: what takes 20 KiB a packet would not fit."""
    return flood(out, Load(0, 20000, 100), "-B", "0.25", "-s", "100")


def flood(out: Path, load: Load, *arguments: str) -> dict[str, Any]:
    """A flood while the capture is stopped, so that what is lost does not depend on how fast this machine is."""
    path = out / "flood.pcapng"
    with running("-w", str(path), *arguments) as capture:
        until = time.monotonic() + 60
        while "-f" not in arguments and not path.stat().st_size and time.monotonic() < until:
            time.sleep(0.01)  # the end of its lookup is a packet that must not be among the lost
        os.kill(capture.pid, signal.SIGSTOP)
        sender = Sender(out, load)
        sent = sender.done()
        os.kill(capture.pid, signal.SIGCONT)
        capture.end()
        sender.close()
    found = flooding.look(path, sender.process.pid, load.size)
    return {"sent": sent.count, **asdict(found), "said": capture.said(), "exit": capture.exit}


def thinned(out: Path) -> dict[str, Any]:
    """What filters let through, of each direction and kind of header; what they leave out is not lost."""
    far, near, peer = Wire(), Port(0x4800), Port(0x4801)
    other = Address(far.node, 0x99)
    results: dict[str, Any] = {}
    for chosen in ("node 0 and type data", "src port 0x77 or len > 4000"):
        path = out / "thinned.pcapng"
        with running("-w", str(path), "-f", chosen) as capture:
            far.drain()
            far.log.clear()
            near.send(b"near to peer, 20 B..", peer.address)
            near.send(bytes(5000), peer.address)
            near.send(b"near to far, 20 B...", other)
            near.send(bytes(3000), other)
            far.drain()
            far.send(Packet(wire.RESUME_TX, other, near.address, wire.CONTROL.pack(wire.RESUME_TX, *other, 0, 0)))
            far.send(Packet(wire.DATA, other, near.address, b"far to near, 20 B..."))
            far.write(wire.pack_v2(Packet(wire.DATA, Address(far.node, 0x77), near.address, b"version 2")))
            capture.end()
        seen = [
            [frame.hook.name.lower(), frame.orig_len, len(frame.data)]
            for frame in frames_of(path)
            if frame.pid == os.getpid()
        ]
        results[chosen] = {"seen": seen, "said": capture.said(), "exit": capture.exit}
    far.close()
    return results


def killed_sender(out: Path) -> dict[str, Any]:
    """Somebody dies in the middle of sending long packets."""
    path = out / "killed_sender.pcapng"
    with running("-w", str(path)) as capture:
        sender = Sender(out, Load(50, 30000, 10000))
        wait_until(lambda: flooding.look(path, sender.process.pid, 30000).captured > 5)
        sender.process.kill()
        sender.close()
        capture.end()
    return {**ending(capture, path), **asdict(flooding.look(path, sender.process.pid, 30000))}


def full_disk(out: Path) -> dict[str, Any]:
    """A file system of half a MiB fills up under the capture."""
    folder = Path("/run/small")
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=512k", "small", folder], check=True)
    path = folder / "out.pcapng"
    with running("-w", str(path)) as capture:
        sender = Sender(out, Load(400, 1000, 2000))
        capture.wait()
        sender.process.kill()
        sender.close()
    found = flooding.look(path, sender.process.pid, 1000)
    result = {**ending(capture, path), **asdict(found), "size": path.stat().st_size}
    subprocess.run(["umount", folder], check=True)
    return result


def tracefs_unmounted(out: Path) -> dict[str, Any]:
    """The trace file system is taken away; the next capture finds it and removes what is left."""
    return without_tracefs(out, ["umount", "-l", str(TRACEFS)], ["mount", "-t", "tracefs", "tracefs", str(TRACEFS)])


def tracefs_covered(out: Path) -> dict[str, Any]:
    """Something else is mounted over it."""
    return without_tracefs(out, ["mount", "-t", "tmpfs", "other", str(TRACEFS)], ["umount", str(TRACEFS)])


def without_tracefs(out: Path, away: list[str], back: list[str]) -> dict[str, Any]:
    """A capture around which tracefs goes away, and one after it is back."""
    near, peer = Port(0x4802), Port(0x4803)
    path, again = out / "gone.pcapng", out / "again.pcapng"
    with running("-w", str(path)) as capture:
        near.send(b"before", peer.address)
        time.sleep(0.3)
        subprocess.run(away, check=True)
        near.send(b"after", peer.address)
        exit_code = capture.wait()
        subprocess.run(back, check=True)
    result = {**ending(capture, path), "seen": sum(b"before" in frame.data for frame in frames_of(path))}
    with running("-w", str(again)) as next_:
        left = [name for name in remains() if f"_{capture.pid}_" in name]
        next_.end()
    return {**result, "exit": exit_code, "left": left, "next": ending(next_, again)}


def module_unloaded(out: Path) -> dict[str, Any]:
    """The transport, then all of QRTR is unloaded under the capture, and loaded again."""
    path = out / "modules.pcapng"
    with running("-w", str(path)) as capture:
        for marker, modules in ((b"first", ["qrtr_tun"]), (b"second", ["qrtr_tun", "qrtr"]), (b"third", [])):
            far, near = Wire(), Port(0x4804)
            for number in range(3):
                far.send(Packet(wire.DATA, Address(far.node, 0x99), near.address, marker + bytes(700 * number)))
            far.close()
            near.socket.close()
            time.sleep(1.5)
            if modules:
                subprocess.run(["rmmod", *modules], check=True)
                subprocess.run(["modprobe", "qrtr-tun"], check=True)
        capture.end()
    frames = frames_of(path)
    seen = {
        marker.decode(): [len(frame.data) for frame in frames if frame.data[32 : 32 + len(marker)] == marker]
        for marker in (b"first", b"second", b"third")
    }
    return {**ending(capture, path), "seen": seen}


def clock_step(out: Path) -> dict[str, Any]:
    """The wall clock jumps ahead by an hour, and back."""
    near, peer = Port(0x4805), Port(0x4806)
    path = out / "clock.pcapng"
    now = time.time
    with running("-w", str(path)) as capture:
        for step in (3600, -3600, 0):
            near.send(b"tick", peer.address)
            time.sleep(0.3)
            time.clock_settime(time.CLOCK_REALTIME, now() + step)
        capture.end()
    times = [frame.ts_ns for frame in frames_of(path) if b"tick" in frame.data]
    return {**ending(capture, path), "seconds": [(later - times[0]) / 1e9 for later in times]}


def cpu_offline(out: Path) -> dict[str, Any]:
    """A processor is switched off under the capture, and on again; and a capture begins while it is off."""
    results = {}
    for name, switched in (("during", (0, 1)), ("before", (1, 0))):
        path = out / f"{name}.pcapng"
        if name == "before":
            _CPU1.write_text("0")
        with running("-w", str(path)) as capture:
            senders = []
            for online in (None, *switched):
                if online is not None:
                    _CPU1.write_text(str(online))
                # One on each processor that there is.
                for cpu in range(2):
                    sender = Sender(out, Load(500, 700, 300))
                    senders.append(sender)
                    os.sched_setaffinity(sender.process.pid, {cpu if cpu in os.sched_getaffinity(0) else 0})
                for sender in senders[-2:]:
                    sender.done()
            capture.end()
            for sender in senders:
                sender.close()
        _CPU1.write_text("1")
        frames = frames_of(path)
        with path.open("rb") as file:
            reader = Reader(file)
            list(reader)
        results[name] = {
            **ending(capture, path),
            "seen": [sum(frame.pid == sender.process.pid for frame in frames) for sender in senders],
            "cpus": sorted({frame.cpu for frame in frames}),
            "lost": reader.dropped,
        }
    return results


def frames_of(path: Path) -> list[Frame]:
    """What a file has."""
    with path.open("rb") as file:
        return list(Reader(file))


def ending(capture: Capture, path: Path) -> dict[str, Any]:
    """How a capture ended."""
    with path.open("rb") as file:
        reader = Reader(file)
        frames = list(reader)
    times = [frame.ts_ns for frame in frames]
    return {
        "exit": capture.exit, "said": capture.said(), "remains": remains(), "damage": reader.damage,
        "frames": len(frames), "ordered": times == sorted(times),
    }  # fmt: skip


EXPERIMENTS = (
    overrun, overrun_long, overrun_filtered, snapped, thinned, killed_sender, full_disk, clock_step, cpu_offline,
    tracefs_unmounted, tracefs_covered, module_unloaded,
)  # fmt: skip


if __name__ == "__main__":
    sys.exit(run_experiments(EXPERIMENTS))
