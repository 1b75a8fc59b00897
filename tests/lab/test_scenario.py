# SPDX-License-Identifier: GPL-2.0-or-later
"""The lab itself: real clients got the modem's answers, and the logs that captures are compared with are right."""

from __future__ import annotations

import collections
import errno
import json
import signal
import struct
from typing import Any

import pytest

from tests.lab import modem_client, phone, services, wire
from tests.lab.guest import GuestResult
from tests.lab.modem import CLIENT_PORT
from tests.lab.scenario import ODDITIES, clients
from tests.lab.wire import Packet

pytestmark = pytest.mark.lab

PRINTED = {
    "tftp": ["3000 bytes written and read back"],
    "subsystems": ["msm/modem/root_pd: 0x1fffffff 0x2fffffff 0x1fffffff; accelerometer found"],
    "lookup": ["Device Management Service", "Service registry notification service", "TFTP", "Remote file system"],
    "lookup-dms": ["Device Management Service"],
    "dms-get-ids": [services.IMEI, services.MEID, services.ESN],
    "dms-get-manufacturer": [services.MANUFACTURER],
    "dms-get-model": [services.MODEL],
    "dms-get-revision": [services.REVISION],
    "dms-get-capabilities": ["gsm, umts, lte", "150000"],
    "dms-get-msisdn": [services.MSISDN],
    "dms-get-operating-mode": ["Mode: 'online'"],
    "nas-get-serving-system": ["registered", services.OPERATOR, str(services.CELL), str(services.TAC)],
    "nas-get-system-info": ["MCC: '001'", "MNC: '01'"],
    "nas-get-signal-info": ["RSSI: '-63 dBm'", "RSRQ: '-9 dB'", "RSRP: '-94 dBm'", "SNR: '17.8 dB'"],
    "nas-get-signal-strength": ["-94 dBm"],
    "nas-get-home-network": [services.OPERATOR],
    "nas-get-rf-band-info": ["eutran-3", "1300"],
    "nas-network-scan": [services.OPERATOR, "Lab network 002", f"Lab network {services.NETWORKS:03d}"],
    "wds-get-packet-service-status": ["disconnected"],
    "wds-start-network": [str(services.CALL_HANDLE)],
    "wds-get-current-settings": [services.IPV4, services.GATEWAY, *services.DNS, "2001:db8:1::10/64", "1500"],
    "wds-stop-network": ["Network stopped"],
    "echo-local": ["60000 bytes echoed by 1:"],
    "echo-modem": ["60000 bytes echoed by 0:30"],
}


ERRAND_PORTS = set(range(CLIENT_PORT, CLIENT_PORT + len(modem_client.ERRANDS)))


@pytest.fixture(scope="module")
def ran(scenario: GuestResult) -> dict[str, dict[str, Any]]:
    lines = (scenario.out / "clients.jsonl").read_text().splitlines()
    return {line["name"]: line for line in map(json.loads, lines)}


@pytest.fixture(scope="module")
def wire_log(scenario: GuestResult) -> list[wire.LogLine]:
    return wire.read_log(scenario.out / "modem.jsonl")


@pytest.fixture(scope="module")
def packets(wire_log: list[wire.LogLine]) -> list[tuple[str, Packet]]:
    return [(line.direction, wire.unpack_v1(line.data)) for line in wire_log if line.data[0] == 1]


def test_every_client_did_what_it_should(scenario: GuestResult, ran: dict[str, dict[str, Any]]) -> None:
    scenario.check()
    expected = {client.name: client.exit for client in clients(scenario.out)}
    assert {name: line["exit"] for name, line in ran.items()} == expected
    assert len(expected) >= 30
    assert len({line["pid"] for line in ran.values()}) == len(expected)


@pytest.mark.parametrize("name", PRINTED)
def test_client_printed_the_modems_values(ran: dict[str, dict[str, Any]], name: str) -> None:
    missing = [text for text in PRINTED[name] if text not in ran[name]["stdout"]]
    assert not missing, ran[name]["stdout"][:2000]


def test_lookup_with_a_service_shows_only_it(ran: dict[str, dict[str, Any]]) -> None:
    assert "Network Access Service" in ran["lookup"]["stdout"]
    assert "Network Access Service" not in ran["lookup-dms"]["stdout"]


def test_unknown_request_is_refused(ran: dict[str, dict[str, Any]]) -> None:
    assert "QMI protocol error (71)" in ran["dms-get-prl-version"]["stderr"]


def test_every_request_has_its_response(packets: list[tuple[str, Packet]]) -> None:
    asked, answered = [], []
    for direction, packet in packets:
        ports = {end.port for end in (packet.source, packet.destination) if end.node == 0}
        if packet.type != wire.DATA or len(packet.payload) < wire.MESSAGE.size or ports & ERRAND_PORTS:
            continue
        flags, transaction, message, _ = wire.MESSAGE.unpack_from(packet.payload)
        if flags == wire.REQUEST:
            assert direction == "rx"
            asked.append((packet.source, packet.destination, transaction, message))
        elif flags == wire.RESPONSE:
            assert direction == "tx"
            answered.append((packet.destination, packet.source, transaction, message))
    assert asked == answered
    messages = {(request[1].port, request[3]) for request in asked}
    # DMS on 18, NAS on 19, WDS on 17, the test service on 30 and 31.
    assert messages >= {(18, 0x25), (18, 0x2E), (18, 0x30), (19, 0x21), (19, 0x4F), (17, 0x20), (30, 0x20), (31, 0x21)}


def test_long_packets_pass_in_both_directions(packets: list[tuple[str, Packet]]) -> None:
    for direction in ("rx", "tx"):
        sizes = {len(packet.payload) for way, packet in packets if way == direction}
        assert max(sizes) > 60_000
        assert any(20_000 < size < 30_000 for size in sizes)
        assert any(2_048 < size < 4_096 for size in sizes)
    (scan,) = [p for way, p in packets if way == "tx" and p.source.port == 19 and len(p.payload) > 20_000]
    assert wire.unpack_message(scan.payload).id == 0x21


def test_flow_control_runs_both_ways(packets: list[tuple[str, Packet]]) -> None:
    for direction, opposite in (("rx", "tx"), ("tx", "rx")):
        confirmed = {(p.destination, p.source) for way, p in packets if way == direction and p.confirm_rx}
        resumed = {(p.source, p.destination) for way, p in packets if way == opposite and p.type == wire.RESUME_TX}
        assert confirmed
        # Not their numbers: Linux 6.1 confirms a packet at each recvmsg(), and libqmi peeks before it reads.
        assert confirmed == resumed


def test_control_packets_open_and_close_the_wire(packets: list[tuple[str, Packet]]) -> None:
    types = {way: [packet.type for w, packet in packets if w == way] for way in ("rx", "tx")}
    assert types["tx"][0] == wire.HELLO
    assert types["rx"][0] == wire.HELLO
    assert types["tx"][-1] == wire.BYE
    assert {wire.NEW_SERVER, wire.DEL_SERVER, wire.DEL_CLIENT} <= set(types["rx"])


def test_registered_client_gets_indications(scenario: GuestResult) -> None:
    seen: collections.Counter[str] = collections.Counter()
    for line in wire.read_log(scenario.out / "watch_client.jsonl"):
        node, port = line.more["peer"]
        if line.direction == "rx" and node == 0 and port != wire.PORT_CTRL:
            try:
                message = wire.unpack_message(line.data)
            except ValueError:
                seen["malformed"] += 1
                continue
            if message.flags != wire.RESPONSE:
                seen[f"{port}:0x{message.id:04x}"] += 1
    assert seen == {
        "17:0x0022": 2,  # WDS: the call began and ended
        "18:0x0001": 2,  # DMS: low power and back
        "19:0x0002": 1,  # NAS: signal strength, at once
        "19:0x0024": 3,  # serving system: at once, not registered, registered
        "19:0x0051": 4,  # signal info: at once, with header v2, with its options, compound
        "19:0x7abc": 1,
        "50:0x0042": 1,  # unknown service
        "malformed": 2,
    }


def test_servers_left_as_they_should(scenario: GuestResult) -> None:
    servers = [json.loads(line) for line in (scenario.out / "servers.jsonl").read_text().splitlines()]
    exits = {line["name"]: line["exit"] for line in servers}
    ended = dict.fromkeys(("capture", "modem", "sample_server", "watch_client", "rmtfs"), 0)
    assert exits == ended | dict.fromkeys(("tqftpserv", "pd-mapper"), -signal.SIGTERM), servers


def test_the_modem_got_its_files_sectors_and_domains(scenario: GuestResult) -> None:
    """From rmtfs, tqftpserv and pd-mapper, the real ones."""
    errands = json.loads((scenario.out / "errands.json").read_text())
    assert errands == {"storage": "done", "files": "done", "domains": "done"}
    said = (scenario.out / "rmtfs.stderr").read_text()
    assert f"open {phone.STORAGE} => 0 (0:0)" in said
    assert f"write 2:2 {phone.MEMORY:#x}" in said
    assert f"read 2:2 {phone.MEMORY + 2 * phone.SECTOR:#x}" in said
    # rmtfs starts the processor before it serves, and stops it when it ends.
    assert (scenario.out / "state").read_text().startswith("stop")


def test_in_kernel_client_reaches_both_nodes(scenario: GuestResult, packets: list[tuple[str, Packet]]) -> None:
    noise = (scenario.out / "noise").read_bytes()
    data = struct.pack("<H", 3000) + noise[:3000]
    local = [wire.unpack_message(line.data) for line in wire.read_log(scenario.out / "sample_server.jsonl")
             if line.direction == "rx" and line.more["peer"][1] != wire.PORT_CTRL]  # fmt: skip
    assert [m.tlvs[0x01] for m in local[:2]] == [b"ping", data]
    remote = [wire.unpack_message(p.payload) for way, p in packets
              if way == "rx" and p.type == wire.DATA and p.destination.port in (30, 31)]  # fmt: skip
    assert [m.tlvs[0x01] for m in remote[:2]] == [b"ping", struct.pack("<H", 8192) + noise]


def test_modem_and_client_logged_the_same(scenario: GuestResult, packets: list[tuple[str, Packet]]) -> None:
    seen = [line for line in wire.read_log(scenario.out / "echo-modem.jsonl") if line.more["peer"][0] == 0]
    assert len(seen) == 16  # a ping and seven sizes, there and back
    ends = {wire.Address(*seen[0].more[end]) for end in ("own", "peer")}
    for client_way, modem_way in (("tx", "rx"), ("rx", "tx")):
        at_modem = [p.payload for way, p in packets
                    if way == modem_way and p.type == wire.DATA and {p.source, p.destination} == ends]  # fmt: skip
        assert [line.data for line in seen if line.direction == client_way] == at_modem


def test_oddities_reached_the_kernel(wire_log: list[wire.LogLine]) -> None:
    sent = [line for line in wire_log if line.direction == "tx"]
    versions = [(line.data[0], line.data[3]) for line in sent if line.data[0] != 1]
    assert versions == [(3, 0), (3, 4)]  # header v2, then with four bytes of options
    # Whoever has talked to us may have closed its port before our last word to it arrives, an indication for instance.
    known = {wire.unpack_v1(line.data).source for line in wire_log if line.direction == "rx"}
    refused = [line for line in sent if line.more["errno"]]
    assert {line.more["errno"] for line in refused} == {errno.EINVAL}
    strangers = {wire.unpack_v1(line.data).destination for line in refused} - known
    assert [address.port for address in strangers] == [0x7FF0]
    assert len(ODDITIES) == 8
