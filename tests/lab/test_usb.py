# SPDX-License-Identifier: GPL-2.0-or-later
"""Modems on a real USB stack: what usbmon shows is what the modem got and sent, and decodes to what qmicli prints."""

from __future__ import annotations

import json
import struct
from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from qmisniff.pcapng import Record, RecordReader
from tests.decoded import Decoded, decode
from tests.lab import services, usb_modem
from tests.lab.guest import GuestResult, run_in_guest
from tests.lab.usb_scenario import CAPTURES, DEVICES, LONG_APN, clients
from tests.lab.wire import LogLine, read_log

pytestmark = pytest.mark.lab

SCENARIO = Path(__file__).with_name("usb_scenario.py")
WHEN = ("", "late-")  # before the modem was plugged in, after
USBMON = struct.Struct("<QBBBBHBBqiiII8s16x")  # Linux, Documentation/usb/usbmon.rst: struct mon_bin_hdr
CLOCK = slice(16, 28)  # of the header: each reader of a bus has times of its own
CONTROL = 2
SEND, GET = bytes.fromhex("2100"), bytes.fromhex("a101")

PRINTED = {
    "ids": [services.IMEI, services.MEID, services.ESN],
    "sync": [services.MANUFACTURER],
    "version-info": [services.MODEL],
    "services": ["ctl (1.5)", "nas (1.25)"],
    "signal": ["RSSI: '-63 dBm'", "RSRP: '-94 dBm'"],
    "serving-system": [services.OPERATOR, str(services.CELL)],
    "start": [str(services.CALL_HANDLE), "Client ID not released"],
    "settings": [services.IPV4, services.GATEWAY, *services.DNS],
    "stop": ["Network stopped"],
    "long-start": [str(services.CALL_HANDLE)],
    "scan": [services.OPERATOR, f"Lab network {services.NETWORKS:03d}"],
    "slots": ["Card status: absent", f"ICCID: {services.ICCID}"],
    "proxy": [services.IMEI],
}


class Ran(NamedTuple):
    """What the scenario left of one device."""

    device: str
    out: Path

    @property
    def clients(self) -> dict[str, dict[str, Any]]:
        """Every client by its name."""
        lines = (self.out / "clients.jsonl").read_text().splitlines()
        return {line["name"]: line for line in map(json.loads, lines)}

    @property
    def log(self) -> list[LogLine]:
        """Every transfer over the control channel, as the modem saw it."""
        return read_log(self.out / "modem.jsonl")

    def capture(self, name: str) -> Path:
        """A capture of its bus."""
        return self.out / name / "capture.pcapng"


@pytest.fixture(scope="module")
def scenario(tmp_path_factory: pytest.TempPathFactory) -> GuestResult:
    """Both devices, one after the other, with every capture around them."""
    return run_in_guest(SCENARIO, tmp_path_factory.mktemp("usb"), timeout=3600.0)


@pytest.fixture(scope="module", params=list(DEVICES))
def ran(scenario: GuestResult, request: pytest.FixtureRequest) -> Ran:
    return Ran(request.param, scenario.check().out / request.param)


def records(path: Path) -> list[Record]:
    with path.open("rb") as stream:
        reader = RecordReader(stream)
        found = list(reader)
    assert not reader.damage
    assert found
    return found


def transfers(path: Path) -> Iterator[tuple[str, bytes]]:
    """What went over control channels, read from the headers of usbmon: `dir` and bytes as the modem logs them.

    In the order they were completed: a request may be submitted while the modem is still busy with the one before.
    """
    asked: dict[int, tuple[str, bytes]] = {}
    for record in records(path):
        urb, event, kind, _, _, _, no_setup, *_, captured, setup = USBMON.unpack_from(record.data)
        data = record.data[64:]
        assert len(data) == captured
        assert record.original == len(record.data)
        if kind != CONTROL:
            continue
        if event == ord("S"):
            assert no_setup == 0
            if setup[:2] in (SEND, GET):
                asked[urb] = ("rx" if setup[:2] == SEND else "tx", data)
        elif urb in asked:
            direction, sent = asked.pop(urb)
            yield direction, sent if direction == "rx" else data
    assert not asked


@cache
def decoded(path: Path) -> list[Decoded]:
    return decode(path)


def values(path: Path, name: str) -> list[Any]:
    """The values of a field, frame by frame."""
    return [frame.values[name] for frame in decoded(path) if name in frame.values]


def each(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


# ---- the lab


def test_every_client_did_what_it_should(ran: Ran) -> None:
    expected = {client.name: client.exit for client in clients(DEVICES[ran.device], "")}
    assert {name: line["exit"] for name, line in ran.clients.items()} == expected


@pytest.mark.parametrize("name", PRINTED)
def test_client_printed_the_modems_values(ran: Ran, name: str) -> None:
    missing = [text for text in PRINTED[name] if text not in ran.clients[name]["stdout"]]
    assert not missing, ran.clients[name]["stdout"][:2000]


def test_refusals_are_told(ran: Ran) -> None:
    assert "QMI protocol error (71)" in ran.clients["unknown-message"]["stderr"]
    assert "QMI protocol error (31)" in ran.clients["unknown-service"]["stderr"]


def test_long_qmux_frames_take_several_transfers_and_short_ones_share_one(scenario: GuestResult) -> None:
    log = Ran("qmux", scenario.check().out / "qmux").log
    assert max(len(line.data) for line in log) == 4096
    frames = {way: Counter(_frames(line.data) for line in log if line.direction == way) for way in ("rx", "tx")}
    assert frames["rx"][0] == 2  # parts of a long request
    assert frames["tx"][0] == 6  # parts of what a scan found
    assert frames["rx"][2] == 0
    assert frames["tx"][2] >= 4  # a response and an indication: two calls, each begun and ended, and the card's


def test_long_mbim_messages_are_fragmented_and_indications_share_one(scenario: GuestResult) -> None:
    log = [line.data for line in Ran("mbim", scenario.check().out / "mbim").log]
    assert max(map(len, log)) == 4096
    total = {kind: Counter(struct.unpack_from("<I", data, usb_modem.MBIM.size)[0] for data in log if
                           usb_modem.MBIM.unpack_from(data)[0] == kind)
             for kind in (usb_modem.COMMAND_MESSAGE, usb_modem.COMMAND_DONE)}  # fmt: skip
    assert {
        kind: {number: count for number, count in found.items() if number > 1} for kind, found in total.items()
    } == {
        usb_modem.COMMAND_MESSAGE: {2: 2},
        usb_modem.COMMAND_DONE: {6: 6},
    }
    before = usb_modem.MBIM.size + usb_modem.FRAGMENT.size + usb_modem.INDICATION.size
    told = [_frames(data[before:]) for data in log if usb_modem.MBIM.unpack_from(data)[0] == usb_modem.INDICATE_STATUS]
    assert 2 in told
    assert 0 not in told


def _frames(data: bytes) -> int:
    """How many QMUX frames a transfer holds; 0 where it is no whole number of them."""
    count = at = 0
    while at < len(data):
        if len(data) - at < usb_modem.FRAME.size or data[at] != usb_modem.MARKER:
            return 0
        at += usb_modem.FRAME.unpack_from(data, at)[1] + 1
        count += 1
    return count if at == len(data) else 0


# ---- captures


@pytest.mark.parametrize("when", WHEN)
@pytest.mark.parametrize("name", CAPTURES)
def test_capture_has_every_transfer_of_the_modems_log_in_its_order(ran: Ran, name: str, when: str) -> None:
    log = [(line.direction, line.data) for line in ran.log]
    assert len(log) > 80
    assert list(transfers(ran.capture(when + name))) == log


@pytest.mark.parametrize("when", WHEN)
def test_own_source_captures_what_dumpcap_captures(ran: Ran, when: str) -> None:
    """It began after it and ended before it; between, both have the same records, but for the clock of each."""
    theirs, own = (
        [record.data[: CLOCK.start] + record.data[CLOCK.stop :] for record in records(ran.capture(when + name))]
        for name in ("dumpcap", "qmisniff")
    )
    assert len(own) > 300
    assert any(theirs[start : start + len(own)] == own for start in range(len(theirs) - len(own) + 1))


def test_own_capture_says_where_it_is_from_and_that_nothing_was_lost(ran: Ran) -> None:
    with ran.capture("qmisniff").open("rb") as stream:
        reader = RecordReader(stream)
        interfaces = {record.interface.link_type: record.interface.options for record in reader}
    assert list(interfaces) == [220]
    assert b"usbmon" in interfaces[220][2]
    said = (ran.out / "qmisniff" / "capture.stderr").read_text()
    assert f"{len(records(ran.capture('qmisniff')))} packets, 0 lost, 0 truncated" in said


def test_capture_from_before_has_the_enumeration(ran: Ran) -> None:
    set_address = bytes.fromhex("0005")
    for when, expected in zip(WHEN, (True, False), strict=True):
        setups = [USBMON.unpack_from(record.data) for record in records(ran.capture(f"{when}qmisniff"))]
        assert any(urb[6] == 0 and urb[-1][:2] == set_address for urb in setups) is expected


# ---- decoding


@pytest.mark.parametrize("when", WHEN)
def test_what_qmicli_prints_is_what_is_decoded(ran: Ran, when: str) -> None:
    path = ran.capture(f"{when}qmisniff")
    assert values(path, "qmi.dms.get_ids.imei") == [services.IMEI] * 2
    assert values(path, "qmi.dms.get_manufacturer.manufacturer") == [services.MANUFACTURER]
    assert values(path, "qmi.nas.get_signal_info.lte.rsrp") == [services.RSRP]
    apns = values(path, "qmi.wds.start_network.apn")
    assert apns == [services.APN, LONG_APN]
    names = values(path, "qmi.nas.network_scan.network_information.description")
    assert [len(each(found)) for found in names] == [services.NETWORKS]
    assert all(name in ran.clients["scan"]["stdout"] for name in names[0])
    iccids = [
        iccid for found in values(path, "qmi.uim.slot_status.physical_slot_status.iccid") for iccid in each(found)
    ]
    assert [iccid for iccid in iccids if iccid] == [services.ICCID]


@pytest.mark.parametrize("when", WHEN)
def test_every_request_has_its_response_and_nothing_is_wrong(ran: Ran, when: str) -> None:
    frames = decoded(ran.capture(f"{when}qmisniff"))
    assert not [(frame.context.number, frame.problems) for frame in frames if frame.problems]
    kinds: Counter[str] = Counter()
    for frame in frames:
        kinds.update(each(frame.values.get("qmi.type.label", [])))
    assert kinds["Request"] == kinds["Response"] > 40
    assert kinds["Indication"] >= 6


def test_both_devices_say_the_same(scenario: GuestResult) -> None:
    """QMUX on its own and inside MBIM: the same services, asked in the same order."""
    asked = [
        [
            (frame.values["qmi.service"], frame.values["qmi.msgid"])
            for frame in decoded(scenario.check().out / device / "qmisniff" / "capture.pcapng")
            if frame.values.get("qmi.type.label") == "Request"
        ]
        for device in DEVICES
    ]
    assert asked[0] == asked[1]
