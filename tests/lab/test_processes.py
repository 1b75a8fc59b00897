# SPDX-License-Identifier: GPL-2.0-or-later
"""The fallbacks of the kernel tap on a real kernel: what they show is what was said, by whom, and nobody is harmed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from qmisniff.capture_file import Reader
from qmisniff.frame import Direction, Flag, Frame, Hook
from tests.lab import wire
from tests.lab.guest import run_in_guest
from tests.lab.wire import Address, LogLine, read_log

pytestmark = pytest.mark.lab

PROGRAM = Path(__file__).with_name("guest_processes.py")
Ends = tuple[Address, Address, bytes]


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the guest left behind."""
    return run_in_guest(PROGRAM, tmp_path_factory.mktemp("processes"), timeout=1800.0).check().out


def result(out: Path, name: str) -> dict[str, Any]:
    """An experiment's result."""
    found: dict[str, Any] = json.loads((out / "processes.json").read_text())[name]
    assert "failed" not in found, found["failed"]
    return found


def frames(path: Path) -> list[Frame]:
    with path.open("rb") as stream:
        reader = Reader(stream)
        found = list(reader)
    assert not reader.damage
    return [frame for frame in found if not frame.flags & Flag.SYNTHETIC]


def unpacked(found: list[Frame]) -> Iterator[tuple[Frame, Ends]]:
    for frame in found:
        packet = wire.unpack_v1(frame.data)
        yield frame, (packet.source, packet.destination, packet.payload)


def logged(line: LogLine) -> Ends:
    own, peer = Address(*line.more["own"]), Address(*line.more["peer"])
    return (own, peer, line.data) if line.direction == "tx" else (peer, own, line.data)


def test_a_command_is_seen_from_its_start_to_its_end(out: Path) -> None:
    """What the modem got from qmicli and sent to it, byte for byte, and nothing else of what crossed the wire."""
    told = result(out, "conversation")
    code, said = told["run"]
    assert code == 0 and "IMEI" in said, said
    crossed = [
        (line.direction, wire.unpack_v1(line.data)) for line in read_log(out / "modem.jsonl")[slice(*told["crossed"])]
    ]
    data = {"rx": Hook.SENT, "tx": Hook.RECEIVED}
    wanted = [
        (data[direction], (packet.source, packet.destination, packet.payload))
        for direction, packet in crossed
        if packet.type == wire.DATA
    ]
    found = frames(out / "run.pcapng")
    seen = [(frame.hook, ends) for frame, ends in unpacked(found) if frame.direction is not Direction.UNKNOWN]
    assert len(wanted) >= 2 and seen == wanted
    assert {frame.comm for frame in found} == {"qmicli"} and len({frame.pid for frame in found}) == 1
    assert {frame.flags for frame in found} == {Flag.HEADER_REBUILT}
    assert [frame.ts_ns for frame in found] == sorted(frame.ts_ns for frame in found)
    with (out / "run.pcapng").open("rb") as stream:
        services = [frame for frame in Reader(stream) if frame.flags & Flag.SYNTHETIC]
    assert len(services) >= 8 and {frame.data[4] for frame in services} == {wire.NEW_SERVER}
    lookup = [ends for frame, ends in unpacked(found) if ends[0].port == wire.PORT_CTRL]
    assert lookup and all(payload[0] == wire.NEW_SERVER for _, _, payload in lookup)


@pytest.mark.parametrize("name", ["echo-local", "echo-modem", "sample_server"])
def test_every_datagram_of_a_program_is_seen_once_and_exactly(out: Path, name: str) -> None:
    """What it sent is told as its own; what it received as its own, or its sender's."""
    told = result(out, "conversation")
    pid = told["clients"][name][0] if name in told["clients"] else told["sample_server"]
    log = read_log(out / f"{name}.jsonl")
    found = list(unpacked(frames(out / "processes.pcapng")))
    if name == "sample_server":  # what it says to its name server, and hears, before and after the capture is not in it
        log = [line for line in log if line.more["peer"][1] != wire.PORT_CTRL]
        found = [(frame, ends) for frame, ends in found if wire.PORT_CTRL not in (ends[0].port, ends[1].port)]
    sent = [ends for frame, ends in found if frame.hook is Hook.SENT and frame.pid == pid]
    assert sent == [logged(line) for line in log if line.direction == "tx"]
    followed = {ends for frame, ends in found if frame.hook is Hook.SENT}
    received = [ends for frame, ends in found if frame.hook is Hook.RECEIVED and frame.pid == pid]
    wanted = [logged(line) for line in log if line.direction == "rx"]
    assert received == [ends for ends in wanted if ends not in followed]
    assert (sent and wanted and max(len(payload) for _, _, payload in sent) > 60_000) or name == "echo-modem"


def test_processes_and_nothing_else_are_named(out: Path) -> None:
    told = result(out, "conversation")
    found = frames(out / "processes.pcapng")
    names = {pid: name for name, (pid, _) in told["clients"].items()}
    assert {code for _, code in told["clients"].values()} == {0}
    assert {frame.pid for frame in found} == {*names, told["sample_server"]}
    for frame in found:
        assert frame.comm == names.get(frame.pid, frame.comm) and frame.comm
    assert {frame.flags for frame in found} == {Flag.HEADER_REBUILT}


def test_it_ends_and_lets_everybody_go(out: Path) -> None:
    told = result(out, "conversation")
    assert told["exit"] == 0 and "0 lost, 0 truncated" in told["said"]
    assert told["traced"][1] and told["traced"][2], "sample server and launcher are followed from the start"
    assert told["after"] == [0, 0, 0] and told["left"] == [] and told["ends"] == [0, 0, 0]


def test_a_killed_strace_ends_the_capture_and_harms_nobody(out: Path) -> None:
    """Also: sockets opened later are found, a killed process is none of our business, nor is one that others trace."""
    told = result(out, "faults")["strace"]
    assert told["found"] and told["exit"] == 4
    assert "strace was killed by signal 9" in told["said"] and "start the capture again" in told["said"]
    assert f"process {told['busy']}" in told["said"] and "traces already" in told["said"]
    wanted = [[told["late"], "before\n"], [told["victim"], "doomed\n"], [told["late"], "between\n"]]
    assert told["frames"] == wanted
    assert told["alive"] == "done" and told["tracer"] == 0 and told["left"] == []


def test_a_killed_capture_leaves_a_file_and_free_processes(out: Path) -> None:
    told = result(out, "faults")
    assert told["capture"]["free"] and told["capture"]["alive"] == "done"
    assert [payload for _, payload in told["capture"]["frames"]] == ["before\n"]
    assert told["ends"] == [0, 0]


def test_the_name_service_tells_of_services(out: Path) -> None:
    told = result(out, "others")["names"]
    service = [0x1234, 0x0101, 1, 0x4500]
    assert told["exit"] == 0
    assert told["frames"] == [
        [Flag.SYNTHETIC, kind, [kind, *service]] for kind in (wire.NEW_SERVER, wire.DEL_SERVER, wire.NEW_SERVER)
    ]


def test_trace_events_tell_what_the_name_server_is_told(out: Path) -> None:
    told = result(out, "others")
    assert told["events"]["exit"] == 0
    service = [0x1234, 0x0101, 1, 0x4500]
    messages = [[flags, kind] for flags, kind, _ in told["events"]["frames"] if flags & Flag.TRUNCATED]
    assert [Flag.SYNTHETIC | Flag.TRUNCATED, wire.DEL_SERVER] in messages
    whole = [[kind, server] for flags, kind, server in told["events"]["frames"] if flags == Flag.SYNTHETIC]
    assert whole == [
        [wire.DEL_SERVER, [wire.DEL_SERVER, *service]],
        [wire.NEW_SERVER, [wire.NEW_SERVER, *service]],
    ]
    assert told["remains"] == []


def test_auto_takes_what_can_run_and_says_what_that_cannot_see(out: Path) -> None:
    told = result(out, "others")
    said = told["auto"]["ready"]
    assert told["auto"]["exit"] == 0
    assert "not kernel: ftrace is switched off" in said
    assert "chose processes: it sees" in said and "it does not see" in said and "capturing from processes" in said
    lines = told["interfaces"].splitlines()
    starts = {line.split()[0]: line for line in lines if line[0] != " "}
    assert "not here" in starts["kernel"] and all("ready" in starts[name] for name in ("processes", "names", "events"))
    assert sum("does not see: " in line for line in lines) == len(starts)
