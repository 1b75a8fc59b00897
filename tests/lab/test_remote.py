# SPDX-License-Identifier: GPL-2.0-or-later
"""Captures through a shell on another machine: guests of two architectures with nothing but busybox, over a wire, and
over a network through sshd."""

from __future__ import annotations

import os
import signal
import struct
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest

from qmisniff.capture.shell import Shell
from qmisniff.capture_file import Reader
from qmisniff.frame import Flag, Frame, Hook
from tests.lab.minimal import ARCHITECTURES, Guest, guest
from tests.lab.sshd import HOST

pytestmark = pytest.mark.lab

_HEADER = struct.Struct("<IIIIIIII")
_LOGGED = struct.Struct("<IIIII")
Ends = tuple[int, int, int, int]


@pytest.fixture(scope="module", params=ARCHITECTURES)
def machine(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guest]:
    with guest(request.param, tmp_path_factory.mktemp("guest")) as made:
        yield made


@pytest.fixture
def control(machine: Guest) -> Iterator[Shell]:
    shell = Shell(machine.port("control").removeprefix("exec:").split(), "control")
    yield shell
    shell.close()


def start(machine: Guest, out: Path, *options: str, source: str = "") -> subprocess.Popen[str]:
    """A capture from the guest, once it runs."""
    source = source or machine.port("capture")
    capture = subprocess.Popen(
        [sys.executable, "-m", "qmisniff", "capture", "-i", source, "-w", str(out), *options],
        stderr=subprocess.PIPE,
        text=True,
        env=machine.environment,
    )
    assert capture.stderr is not None
    said = []
    for line in capture.stderr:
        said.append(line)
        if line.startswith("capturing from"):
            return capture
    raise AssertionError(f"the capture does not start: {said}")


def end(capture: subprocess.Popen[str]) -> str:
    """End a capture as ctrl+c does; what it said last."""
    capture.send_signal(signal.SIGINT)
    _, errors = capture.communicate(timeout=300)
    assert capture.returncode == 0, errors
    return errors.splitlines()[-1]


def frames_of(path: Path) -> list[Frame]:
    """What can be read of a capture, also while it is written."""
    with path.open("rb") as file:
        return list(Reader(file, str(path))) if path.stat().st_size else []


def sent(log: bytes) -> dict[Ends, list[bytes]]:
    """Datagrams by their ends, in the order of the log of traffic.c."""
    found: dict[Ends, list[bytes]] = defaultdict(list)
    at = 0
    while at < len(log):
        *ends, size = _LOGGED.unpack_from(log, at)
        at += _LOGGED.size
        node, port, far_node, far_port = ends
        found[node, port, far_node, far_port].append(log[at : at + size])
        at += size
    return found


def captured(frames: list[Frame]) -> dict[Ends, list[bytes]]:
    """The same of a capture: data packets, those that cross between nodes as they do, others within their node."""
    found: dict[Ends, list[bytes]] = defaultdict(list)
    for frame in frames:
        version, kind, node, port, _, size, to_node, to_port = _HEADER.unpack_from(frame.data)
        crosses = node != to_node
        if version == 1 and kind == 1 and crosses == (frame.hook in (Hook.RECEIVE, Hook.TRANSMIT)):
            found[node, port, to_node, to_port].append(frame.data[32 : 32 + size])
    return found


def remains(control: Shell) -> bytes:
    return control.ask(
        "cat /sys/kernel/tracing/kprobe_events; for i in /sys/kernel/tracing/instances/*; do echo $i; done"
    ).output


CLEAN = b"/sys/kernel/tracing/instances/*\n"


@pytest.fixture(params=["described", "hidden"])
def types(request: pytest.FixtureRequest, control: Shell) -> Iterator[str]:
    """Whether the guest's kernel describes its types to the capture: an empty folder may be in the way."""
    kind: str = request.param
    if kind == "hidden":
        assert control.ask("mkdir /tmp/empty; /init.d/mount --bind /tmp/empty /sys/kernel/btf").status == 0
    yield kind
    if kind == "hidden":
        assert control.ask("/init.d/umount /sys/kernel/btf").status == 0


def test_byte_for_byte_what_the_programs_there_sent(machine: Guest, control: Shell, types: str, tmp_path: Path) -> None:
    out = tmp_path / "out.pcapng"
    capture = start(machine, out, source=f"ssh://root@{HOST}" if machine.has_sshd else "")
    traffic = control.ask("traffic /tmp/log 3")
    assert traffic.status == 0, traffic
    log = control.ask("cat /tmp/log").output
    assert end(capture).endswith(" packets, 0 lost, 0 truncated")
    frames = frames_of(out)
    assert captured(frames) == sent(log)
    assert max(len(frame.data) for frame in frames) > 60_000
    assert not any(frame.flags & Flag.TRUNCATED for frame in frames)
    assert {frame.comm for frame in frames if len(frame.data) > 60_000} == {"traffic"}
    assert remains(control) == CLEAN
    assert [frame.ts_ns for frame in frames] == sorted(frame.ts_ns for frame in frames)
    assert ("calibrated" in frames[0].origin.note) == (types == "hidden")
    assert control.ask("cat /proc/sys/net/ipv4/conf/lo/ignore_routes_with_linkdown").output == b"0\n"


def test_a_filter_there_leaves_out_what_it_should(machine: Guest, control: Shell, tmp_path: Path) -> None:
    out = tmp_path / "out.pcapng"
    capture = start(machine, out, "-f", "type data and len < 700", "-s", "300")
    assert control.ask("traffic /tmp/log").status == 0
    log = control.ask("cat /tmp/log").output
    assert end(capture).endswith(" packets, 0 lost, 0 truncated")
    wanted = {
        ends: [data[: 300 - 32] for data in all_ if 32 + len(data) + -len(data) % 4 < 700]
        for ends, all_ in sent(log).items()
    }
    assert captured(frames_of(out)) == wanted
    assert remains(control) == CLEAN


@pytest.mark.parametrize("killed", ["the connection", "the far shell", "the capture"])
def test_what_breaks_leaves_a_file_and_a_clean_kernel(
    machine: Guest, control: Shell, tmp_path: Path, killed: str
) -> None:
    out = tmp_path / "out.pcapng"
    capture = start(machine, out)
    traffic = control.ask("traffic /tmp/log")
    assert traffic.status == 0, traffic
    log = control.ask("cat /tmp/log").output
    deadline = time.monotonic() + 120
    while captured(frames_of(out)) != sent(log) and time.monotonic() < deadline:
        time.sleep(0.1)
    if killed == "the connection":
        socat = subprocess.run(["pgrep", "-P", str(capture.pid)], capture_output=True, text=True).stdout.split()
        os.kill(int(socat[0]), signal.SIGKILL)
    elif killed == "the far shell":
        names = (
            control.ask("for i in /sys/kernel/tracing/instances/*; do echo ${i##*/}; done").output.decode().split("_")
        )
        control.ask(f"kill -9 {names[1]}")
    else:
        capture.kill()
    _, errors = capture.communicate(timeout=300)
    if killed == "the capture":
        assert capture.returncode == -signal.SIGKILL
    else:
        assert capture.returncode == 4, errors
        assert "Traceback" not in errors
        assert "qmisniff: " in errors
    assert captured(frames_of(out)) == sent(log)
    if killed == "the far shell":
        assert remains(control) != CLEAN
    # A wire has no end: a shell that waits to write to it cannot know yet. At the latest the next to come cleans up.
    end(start(machine, tmp_path / "again.pcapng"))
    assert remains(control) == CLEAN
