# SPDX-License-Identifier: GPL-2.0-or-later
"""The kernel tap on a real kernel: what it captures is what was sent, whole, in order, once, and by whom."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from qmisniff.capture_file import Reader
from qmisniff.frame import Direction, Flag, Frame, Hook
from tests.lab import wire
from tests.lab.conftest import CAPTURE, result
from tests.lab.guest import GuestResult
from tests.lab.wire import Address, LogLine, Packet, read_log

pytestmark = pytest.mark.lab

LOCAL_LOGS = ("sample_server", "watch_client", "echo-local", "echo-modem", "tftp")


class Captured(NamedTuple):
    """The scenario with a capture around it."""

    result: GuestResult
    frames: list[Frame]
    dropped: int
    damage: str

    def seen(self, hook: Hook) -> list[Frame]:
        """The frames of a hook."""
        return [frame for frame in self.frames if frame.hook is hook]

    def log(self, name: str) -> list[LogLine]:
        """One of the scenario's logs."""
        return read_log(self.result.out / f"{name}.jsonl")

    def process(self, name: str) -> dict[str, Any]:
        """The journal's line of one of the scenario's programs."""
        return next(line for line in [*self.lines("servers"), *self.lines("clients")] if line["name"] == name)

    def clock(self) -> int:
        """What the capture's times are ahead of the logs': a packet is logged at once, but never before it is seen."""
        return max(
            frame.ts_ns - line.t
            for hook, direction in ((Hook.RECEIVE, "tx"), (Hook.TRANSMIT, "rx"))
            for frame, line in zip(
                self.seen(hook), (line for line in self.log("modem") if line.direction == direction), strict=True
            )
        )

    def lines(self, name: str) -> list[dict[str, Any]]:
        """clients or servers."""
        return [json.loads(line) for line in (self.result.out / f"{name}.jsonl").read_text().splitlines()]


@pytest.fixture(scope="module")
def captured(scenario: GuestResult) -> Captured:
    """The whole scenario, captured by the command that users run."""
    file = scenario.check().out / CAPTURE
    with file.open("rb") as stream:
        reader = Reader(stream)
        frames = list(reader)
    return Captured(scenario, frames, reader.dropped, reader.damage)


def test_every_packet_sent_to_the_modem_is_captured_once_and_exactly(captured: Captured) -> None:
    """Header, confirm_rx and padding included."""
    sent = [line.data for line in captured.log("modem") if line.direction == "rx"]
    assert len(sent) > 100
    assert any(wire.unpack_v1(data).confirm_rx for data in sent)
    assert [frame.data for frame in captured.seen(Hook.TRANSMIT)] == sent


def test_every_packet_of_the_modem_is_captured_once_and_exactly(captured: Captured) -> None:
    """Also those that Linux refused."""
    received = [line for line in captured.log("modem") if line.direction == "tx"]
    assert any(line.more["errno"] for line in received)
    assert max(len(line.data) for line in received) > 60_000
    assert [frame.data for frame in captured.seen(Hook.RECEIVE)] == [line.data for line in received]


@pytest.mark.parametrize("name", LOCAL_LOGS)
def test_every_local_datagram_that_a_program_sends_is_captured_once_and_exactly(captured: Captured, name: str) -> None:
    """In the order of its log; what the kernel says in its name when a socket is closed is not in that."""
    sent = [datagram(line) for line in captured.log(name) if line.direction == "tx" and is_local(line)]
    process = captured.process(name)
    seen = [wire.unpack_v1(frame.data) for frame in captured.seen(Hook.LOCAL) if frame.pid == process["pid"]]
    assert sent
    assert [ends(packet) for packet in seen if packet.type == wire.DATA] == sent
    assert {packet.type for packet in seen} <= {wire.DATA, wire.DEL_CLIENT}


@pytest.mark.parametrize("name", LOCAL_LOGS)
def test_every_local_datagram_that_a_program_receives_is_captured_once_and_exactly(
    captured: Captured, name: str
) -> None:
    """For each of its addresses, in the order of its log; what the name server told a closing socket may be unread."""
    process = captured.process(name)
    start, end = (process[key] + captured.clock() for key in ("start", "end"))
    log = [line for line in captured.log(name) if line.direction == "rx" and is_local(line)]
    for own in {Address(*line.more["own"]) for line in log}:
        received = [datagram(line) for line in log if Address(*line.more["own"]) == own]
        seen = [
            ends(packet)
            for frame, packet in packets(captured.seen(Hook.LOCAL))
            if packet.destination == own and start < frame.ts_ns < end
        ]
        assert [each for each in seen if each[0].port != wire.PORT_CTRL] == [
            each for each in received if each[0].port != wire.PORT_CTRL
        ]
        rest = iter(seen)
        assert all(each in rest for each in received), "in the order of the log"


def is_local(line: LogLine) -> bool:
    """Whether both ends are ports of one node."""
    return bool(line.more["own"][0] == line.more["peer"][0])


def datagram(line: LogLine) -> tuple[Address, Address, bytes]:
    """Source, destination, payload of what a program logged."""
    own, peer = Address(*line.more["own"]), Address(*line.more["peer"])
    return (own, peer, line.data) if line.direction == "tx" else (peer, own, line.data)


def ends(packet: Packet) -> tuple[Address, Address, bytes]:
    """Source, destination, payload of what was captured."""
    return packet.source, packet.destination, packet.payload


def test_nothing_is_lost_cut_or_out_of_order(captured: Captured) -> None:
    times = [frame.ts_ns for frame in captured.frames]
    assert times == sorted(times)
    assert captured.dropped == 0
    assert not captured.damage
    assert not any(frame.lost for frame in captured.frames)
    assert {frame.flags for frame in captured.frames} == {Flag(0), Flag.HEADER_REBUILT}
    assert all(len(frame.data) == frame.orig_len for frame in captured.frames)


def test_directions_and_hooks_agree(captured: Captured) -> None:
    wanted = {
        Hook.RECEIVE: Direction.INBOUND,
        Hook.TRANSMIT: Direction.OUTBOUND,
        Hook.LOCAL: Direction.UNKNOWN,
    }
    assert {frame.hook: frame.direction for frame in captured.frames} == wanted
    assert all(bool(frame.flags) == (frame.hook is Hook.LOCAL) for frame in captured.frames)


def test_times_are_those_of_the_modem(captured: Captured) -> None:
    """One offset fits all, but for the time that a program on a busy machine takes to log a packet."""
    clock = captured.clock()
    received = zip(captured.seen(Hook.RECEIVE), (x for x in captured.log("modem") if x.direction == "tx"), strict=True)
    sent = zip(captured.seen(Hook.TRANSMIT), (x for x in captured.log("modem") if x.direction == "rx"), strict=True)
    late = sorted(line.t + clock - frame.ts_ns for frame, line in [*received, *sent])
    assert late[len(late) // 2] < 50_000_000
    assert late[-1] < 2_000_000_000


def test_each_client_s_packets_carry_its_process(captured: Captured) -> None:
    servers = {line["pid"]: line["name"] for line in captured.lines("servers")}
    clients = {line["pid"]: line for line in captured.lines("clients")}
    assert len(clients) > 25
    sent: dict[int, list[Frame]] = {}
    for frame in captured.frames:
        if frame.hook is not Hook.RECEIVE:
            sent.setdefault(frame.pid, []).append(frame)
    for pid, client in clients.items():
        program = Path(client["argv"][0]).name
        if program == "modprobe":
            continue  # what it loads sends from kernel threads
        comm = {"sh": "dd"}.get(program, program)
        assert {frame.comm for frame in sent[pid]} == {comm}, client["name"]
    for pid, frames in sent.items():
        kernel = {frame.comm for frame in frames if frame.comm.startswith("kworker/")}
        assert pid in clients or pid in servers or kernel, f"{pid} {frames[0].comm} is nobody we know"


def test_each_client_talks_while_it_runs(captured: Captured) -> None:
    """A packet's process is not only one of the clients, it is the one that ran then."""
    clients = {line["pid"]: line for line in captured.lines("clients")}
    clock, slack = captured.clock(), 10_000_000
    for frame in captured.frames:
        client = clients.get(frame.pid)
        if client is not None and frame.hook is not Hook.RECEIVE:
            assert client["start"] - slack < frame.ts_ns - clock < client["end"] + slack, client["name"]


def test_the_kernel_s_own_client_is_seen(captured: Captured) -> None:
    """The in-kernel QMI client's messages, from kernel code in its users' context."""
    pings = [
        packet
        for frame, packet in packets(captured.frames)
        if frame.hook is Hook.TRANSMIT and packet.type == wire.DATA and packet.destination.port in (30, 31)
    ]
    assert any(len(packet.payload) > 8192 for packet in pings)


def packets(frames: Sequence[Frame]) -> Iterator[tuple[Frame, Packet]]:
    """Frames with what they hold, those with a version 1 header."""
    for frame in frames:
        if frame.data[:4] == b"\1\0\0\0":
            yield frame, wire.unpack_v1(frame.data)


def test_the_capture_says_where_it_looked(captured: Captured) -> None:
    origin = captured.frames[0].origin
    assert (origin.backend, origin.name) == ("kernel", "kernel")
    for function in ("qrtr_endpoint_post", "qrtr_tun_send", "qrtr_local_enqueue"):
        assert function in origin.note


def test_the_kernel_did_not_complain(captured: Captured) -> None:
    complaints = ("WARNING:", "BUG:", "Oops", "Call Trace", "Could not probe")
    assert not [line for line in captured.result.console.splitlines() if any(word in line for word in complaints)]


@pytest.mark.parametrize("name", ["sizes", "old_kernel"])
def test_packets_of_every_length_in_every_direction(experiments: dict[str, Any], name: str) -> None:
    found = result(experiments, name)
    assert max(found["sizes"]) == 65535
    assert found["receive"] and found["transmit"] and found["local"]
    assert found["confirmed"] > 3
    assert found["longest"] == 32 + 65536
    assert found["statistics"][1:3] == [0, 0]
    assert ("calibrated" in found["note"]) == (name == "old_kernel")


def test_a_packet_is_out_at_once(experiments: dict[str, Any]) -> None:
    """With no other behind it, and not when some time is up."""
    waits = result(experiments, "latency")["ms"]
    assert len(waits) == 30
    # A quarter of them: this machine may take the emulated one's processors away for as long as it likes.
    assert waits[len(waits) // 4] < 100


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP"])
def test_a_signal_leaves_a_whole_file_and_a_clean_kernel(experiments: dict[str, Any], name: str) -> None:
    found = result(experiments, "signals")[name]
    assert {key: found[key] for key in ("exit", "seen", "damage", "remains")} == {
        "exit": 0, "seen": 1, "damage": "", "remains": [],
    }  # fmt: skip


def test_a_count_ends_the_capture(experiments: dict[str, Any]) -> None:
    found = result(experiments, "count")
    assert (found["exit"], found["frames"], found["damage"], found["remains"]) == (0, 3, "", [])


@pytest.mark.parametrize("name", ["idle", "busy"])
def test_a_reader_that_goes_away_ends_the_capture(experiments: dict[str, Any], name: str) -> None:
    found = result(experiments, "vanished_reader")[name]
    assert found == {"exit": 0, "remains": []}


def test_what_a_killed_capture_leaves_is_removed_by_the_next_and_nothing_else(experiments: dict[str, Any]) -> None:
    found = result(experiments, "killed")
    assert found["left"] > 5
    assert found["still"] == []
    assert (found["after"]["exit"], found["after"]["seen"]) == (0, 1)
    assert (found["neighbour"]["exit"], found["neighbour"]["seen"], found["neighbour"]["remains"]) == (0, 1, [])


ROOT = {"Uid": "0\t0\t0\t0", "CapEff": "000001ffffffffff"}
NO_RIGHTS = {"Groups": "", "CapPrm": "0" * 16, "CapEff": "0" * 16}


@pytest.mark.parametrize("name", ["capture killed", "keeper killed"])
def test_who_parses_packets_is_not_root(experiments: dict[str, Any], name: str) -> None:
    found = result(experiments, "without_root")[name]
    who = {"Uid": "1234\t1234\t1234\t1234", "Gid": "1235\t1235\t1235\t1235"}
    assert found["status"]["capture"] == who | NO_RIGHTS
    assert found["status"]["keeper"] == found["status"]["keeper"] | ROOT
    # Also those that were begun later: by the process that is still root.
    assert found["files"] == [[1234, 1235, "0o600"]] * len(found["files"])
    assert len(found["files"]) >= 2
    assert found["seen"] == 5


def test_a_capture_that_is_killed_leaves_nothing_while_its_keeper_lives(experiments: dict[str, Any]) -> None:
    found = result(experiments, "without_root")["capture killed"]
    assert (found["exit"], found["remains"]) == (-9, [])


def test_a_keeper_that_is_killed_ends_the_capture_with_a_reason(experiments: dict[str, Any]) -> None:
    found = result(experiments, "without_root")["keeper killed"]
    assert found["exit"] == 4
    assert "the next capture there removes them" in found["said"]
    assert "Traceback" not in found["said"]
    assert found["remains"]


def test_each_file_of_a_ring_can_be_read_alone(experiments: dict[str, Any]) -> None:
    found = result(experiments, "in_files")
    files = found["files"]
    assert found["remains"] == []
    assert len(files) == 3
    assert all(re.fullmatch(r"ring_0000\d_\d{14}\.pcapng", file["name"]) for file in files)
    assert all((file["damage"], file["services"], file["ordered"]) == ("", 1, True) for file in files)
    serials = [serial for file in files for serial in file["serials"]]
    assert serials == list(range(serials[0], 50)), "nothing between one file and the next"
    assert len(files[0]["serials"]) == 10


def test_a_disk_that_fills_up_keeps_all_that_fits(experiments: dict[str, Any]) -> None:
    found = result(experiments, "small_disk")
    assert (found["exit"], found["damage"], found["remains"]) == (2, "", [])
    assert found["seen"] > 100
    assert found["size"] > 126_000
    assert "No space left on device" in found["said"]
    assert "Traceback" not in found["said"]
    written = re.search(r"(\d+) packets, 0 lost", found["said"])
    assert written and int(written[1]) == found["frames"], "what is said is in the file"
    nobody = {"Uid": "\t".join(["65534"] * 4), "Gid": "\t".join(["65534"] * 4)}
    assert found["rights"] == nobody | NO_RIGHTS


def test_a_fifo_of_the_caller_s_is_written_into(experiments: dict[str, Any]) -> None:
    found = result(experiments, "into_fifo")
    assert (found["exit"], found["seen"]) == (0, True)


def test_lines_are_printed_while_packets_come(experiments: dict[str, Any]) -> None:
    found = result(experiments, "printed")
    assert found["uid"] == "\t".join(["65534"] * 4), "who decodes is not root either"
    assert len(found["lines"]) == 1
    assert (found["hidden"]["seen"], found["shown"]["seen"]) == (1, 1)
    assert (found["shown"]["exit"], found["shown"]["damage"]) == (0, "")


def test_a_start_that_fails_leaves_nothing(experiments: dict[str, Any]) -> None:
    found = result(experiments, "failing_start")
    assert "the kernel refused a probe at qrtr:qrtr_" in found["error"]
    assert found["remains"] == []


def test_a_transport_loaded_during_the_capture_is_seen_from_its_first_packet(experiments: dict[str, Any]) -> None:
    for found in result(experiments, "late_module")["rounds"]:
        assert found["packets"] >= 3
        assert found["receive"] and found["transmit"]


def test_what_a_flood_loses_is_counted_exactly(experiments: dict[str, Any]) -> None:
    found = result(experiments, "flood")
    _, lost, truncated, causes, _ = found["statistics"]
    assert lost > 1000, "not a flood"
    # Everything the kernel saw is a frame or counted as lost: 9,000 packets, and the sockets' own control packets.
    assert found["seen"] + lost >= found["sent"]
    assert found["seen"] + lost <= found["sent"] + 40
    assert found["doubled"] == found["broken"] == 0
    assert truncated < 20
    assert 0 < found["told"] <= lost == sum(causes.values())


def test_traffic_on_every_cpu_is_whole_and_in_order(experiments: dict[str, Any]) -> None:
    found = result(experiments, "busy")
    assert found["seen"] == found["right"] == found["sent"]
    assert found["ordered"]
    assert " 0 lost, 0 truncated" in found["said"]


def test_threads_are_named_by_their_process(experiments: dict[str, Any]) -> None:
    found = result(experiments, "threads")
    assert found["seen"] == found["pids"]
    assert found["comms"] == [found["program"]]


def test_services_of_before_the_capture_are_in_it(experiments: dict[str, Any]) -> None:
    found = result(experiments, "services")
    early = [wire.NEW_SERVER, wire.NEW_SERVER, 0x1234, 0x0101, 1, 0x4500]
    assert found["whole"]["synthetic"] == [early]
    assert found["whole"]["local"] >= 2
    assert found["blind"]["synthetic"] == [
        early,
        [wire.NEW_SERVER, wire.NEW_SERVER, 0x4321, 0x0201, 1, 0x4501],
        [wire.DEL_SERVER, wire.DEL_SERVER, 0x4321, 0x0201, 1, 0x4501],
    ]
    assert found["blind"]["local"] == 0


def test_an_unknown_transport_is_seen_with_rebuilt_headers(experiments: dict[str, Any]) -> None:
    found = result(experiments, "strange_transport")
    assert found["packets"] == 4
    assert found["same"]
    assert set(found["flags"]) == {int(Flag.HEADER_REBUILT)}
    assert "qrtr_pigeon" in found["notes"][0]


def test_the_costly_stages_are_given_up_again(experiments: dict[str, Any]) -> None:
    found = result(experiments, "cost")
    tapped, hot = found["tapped"]["60"], found["tapped_60_after_60000"]["60"]
    assert found["tapped_60_a_while_after"]["60"] < hot / 3
    assert tapped < hot / 3
    assert found["statistics"][1:3] == [0, 0]


def test_whoever_cannot_capture_is_told_why(experiments: dict[str, Any]) -> None:
    found = result(experiments, "refusals")
    assert found["nobody"] == "False|tapping the kernel needs root|run qmisniff with sudo"
    assert found["ftrace"].startswith("False|ftrace is switched off")
    assert found["fit"].startswith("True|Linux 6.1")
    assert found["module"] == "False|the kernel module qrtr is not loaded|modprobe qrtr, or capture --wait"
    refusal = "3 qmisniff: the kernel module qrtr is not loaded (modprobe qrtr, or capture --wait)"
    assert found["capture"].strip() == refusal


def test_a_capture_that_waits_begins_when_qrtr_is_loaded(experiments: dict[str, Any]) -> None:
    found = result(experiments, "refusals")
    assert found["waiting"] == "qmisniff: the kernel module qrtr is not loaded: waiting for it, ctrl+c ends\n"
    assert found["waited"] == {"exit": 0, "seen": 1, "damage": "", "remains": []}
