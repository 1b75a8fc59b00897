# SPDX-License-Identifier: GPL-2.0-or-later
"""What the lab's modem says: the QMI services, their answers, and the identities and radio values behind them.

Identities are invented: a test TAC and the test network 001 01, a number of the fictional 555-01xx range, addresses of
documentation networks. Layouts follow libqmi's qmi-service-*.json; for the test service samples/qmi of Linux, for
the notifier of protection domains its drivers/soc/qcom/pdr_internal.h, for SSCTL drivers/remoteproc/qcom_sysmon.c.
"""

from __future__ import annotations

import ipaddress
import struct
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

from tests.lab.wire import Tlvs

WDS, DMS, NAS, UIM, TEST, SSCTL, SERVREG, SSC = 1, 2, 3, 11, 15, 43, 66, 400

MISSING_ARGUMENT, OUT_OF_CALL, NO_EFFECT, INVALID_ARGUMENT, INVALID_QMI_COMMAND, NOT_SUPPORTED = 17, 15, 26, 48, 71, 94

MANUFACTURER = "Example Radio Works"
MODEL = "LAB-4G"
REVISION = "LAB-4G 1.2.3 [2024-05-06]"
IMEI = "001010123456780"
MEID = "A0000000000001"
ESN = "80000001"
MSISDN = "15550142"
ICCID = "89010100000000000001"
MCC, MNC, OPERATOR = 1, 1, "Test PLMN"
APN = "internet.example"
IPV4, GATEWAY, NETMASK, DNS = "192.0.2.10", "192.0.2.9", "255.255.255.252", ("198.51.100.53", "203.0.113.53")
CALL_HANDLE = 0x5A5A0001
RSSI, RSRQ, RSRP, SNR = -63, -9, -94, 178  # dBm, dB, dBm, 0.1 dB
TAC, CELL = 0x1234, 0x00A1B203
LTE = 8
NETWORKS = 420  # found by a scan: more than 20,000 bytes of answer, that no single kernel event holds
ONLINE, LOW_POWER = 0, 1
SLOT_STATUS = 1 << 4  # among the events that UIM can be asked to tell


class Event(NamedTuple):
    """An indication for the clients that asked for those of its service."""

    service: int
    message: int
    tlvs: Tlvs


class Refused(Exception):
    """A request that gets a failure; the argument is the QMI protocol error."""

    def __init__(self, error: int) -> None:
        super().__init__(error)
        self.error = error


@dataclass(slots=True)
class State:
    """What requests change, and the events that came of it and are not yet sent."""

    operating_mode: int = ONLINE
    connected: bool = False
    events: list[Event] = field(default_factory=list)


def answer(state: State, service: int, message: int, request: Tlvs) -> Tlvs:
    """The TLVs of a response but for its result; Refused for what this modem does not do."""
    handler = ANSWERS.get((service, message))
    if handler is None:
        raise Refused(INVALID_QMI_COMMAND if service in (WDS, DMS, NAS, UIM) else NOT_SUPPORTED)
    return handler(state, request)


def _text(text: str) -> bytes:
    return text.encode("ascii")


def _text8(text: str) -> bytes:
    return bytes([len(text)]) + _text(text)


def _address(text: str) -> bytes:
    return struct.pack("<I", int(ipaddress.IPv4Address(text)))


def _argument(request: Tlvs, tlv: int, size: int) -> bytes:
    value = request.get(tlv)
    if value is None:
        raise Refused(MISSING_ARGUMENT)
    if len(value) != size:
        raise Refused(INVALID_ARGUMENT)
    return value


def _fixed(tlvs: Tlvs) -> Callable[[State, Tlvs], Tlvs]:
    return lambda state, request: tlvs


# --- DMS


def _get_operating_mode(state: State, request: Tlvs) -> Tlvs:
    return {0x01: bytes([state.operating_mode])}


def _set_operating_mode(state: State, request: Tlvs) -> Tlvs:
    mode = _argument(request, 0x01, 1)[0]
    if mode not in (ONLINE, LOW_POWER):
        raise Refused(INVALID_ARGUMENT)
    state.operating_mode = mode
    state.events.append(Event(DMS, 0x01, {0x14: bytes([mode])}))
    state.events.append(Event(NAS, 0x24, _serving_system(state)))
    return {}


# --- NAS


def _serving_system(state: State) -> Tlvs:
    if state.operating_mode != ONLINE:
        return {0x01: bytes([0, 2, 2, 2, 1, 0])}  # not registered, detached twice, 3GPP, one radio interface: none
    return {
        0x01: bytes([1, 1, 1, 2, 1, LTE]),
        0x10: bytes([1]),  # not roaming
        0x11: bytes([1, 11]),  # data capability LTE
        0x12: struct.pack("<HH", MCC, MNC) + _text8(OPERATOR),
    }


def _get_serving_system(state: State, request: Tlvs) -> Tlvs:
    more: Tlvs = {}
    if state.operating_mode == ONLINE:
        more = {0x1D: struct.pack("<I", CELL), 0x21: bytes([2, 3, 0, 0, 0]), 0x24: struct.pack("<H", TAC)}
    return _serving_system(state) | more


_SIGNAL_INFO: Tlvs = {0x14: struct.pack("<bbhh", RSSI, RSRQ, RSRP, SNR)}


def _register_indications(state: State, request: Tlvs) -> Tlvs:
    # A modem tells where it stands at once to who asks to be told of changes.
    if request.get(0x13) == b"\x01":
        state.events.append(Event(NAS, 0x24, _serving_system(state)))
    if request.get(0x19) == b"\x01":
        state.events.append(Event(NAS, 0x51, _SIGNAL_INFO))
    return {}


def _set_event_report(state: State, request: Tlvs) -> Tlvs:
    if 0x10 in request:
        state.events.append(Event(NAS, 0x02, {0x10: struct.pack("<bb", RSSI, LTE)}))
    return {}


def _network_scan(state: State, request: Tlvs) -> Tlvs:
    networks = [(MCC, MNC, 0x01 | 0x04 | 0x20, OPERATOR)]
    for mnc in range(2, NETWORKS + 1):
        networks.append((MCC, mnc, 0x02 | 0x08 | 0x20, f"Lab network {mnc:03d} found by the test modem"))
    count = struct.pack("<H", len(networks))
    return {
        0x10: count + b"".join(struct.pack("<HHB", *network) + _text8(name) for *network, name in networks),
        0x11: count + b"".join(struct.pack("<HHb", mcc, mnc, LTE) for mcc, mnc, _, _ in networks),
        0x13: struct.pack("<I", 0),  # scan succeeded
    }


def _lte_system_info() -> Tlvs:
    # A valid byte before each: domain CS+PS, capability CS+PS, not roaming, not forbidden.
    domain = bytes([1, 3, 1, 3, 1, 0, 1, 0])
    place = struct.pack("<BHBI", 0, 0xFFFF, 1, CELL)  # no LAC, cell
    return {
        0x12: bytes([0, 0, 0]),  # GSM: no service
        0x14: bytes([2, 2, 0]),  # LTE: available
        0x19: domain + place + bytes([0, 0, 0]) + b"\x01001" + b"01\xff" + struct.pack("<BH", 1, TAC),
    }


# --- WDS


def _packet_service_status(state: State) -> Event:
    status = bytes([2 if state.connected else 1, 0])
    ended: Tlvs = {} if state.connected else {0x10: struct.pack("<H", 2), 0x11: struct.pack("<Hh", 3, 2000)}
    return Event(WDS, 0x22, {0x01: status, 0x12: bytes([4]), **ended})


def _start_network(state: State, request: Tlvs) -> Tlvs:
    if state.operating_mode != ONLINE:
        raise Refused(OUT_OF_CALL)
    if state.connected:
        raise Refused(NO_EFFECT)
    state.connected = True
    state.events.append(_packet_service_status(state))
    return {0x01: struct.pack("<I", CALL_HANDLE)}


def _stop_network(state: State, request: Tlvs) -> Tlvs:
    (handle,) = struct.unpack("<I", _argument(request, 0x01, 4))
    if not state.connected:
        raise Refused(NO_EFFECT)
    if handle != CALL_HANDLE:
        raise Refused(INVALID_ARGUMENT)
    state.connected = False
    state.events.append(_packet_service_status(state))
    return {}


def _get_packet_service_status(state: State, request: Tlvs) -> Tlvs:
    return {0x01: bytes([2 if state.connected else 1])}


def _get_current_settings(state: State, request: Tlvs) -> Tlvs:
    if not state.connected:
        raise Refused(OUT_OF_CALL)
    return {
        0x11: bytes([0]),  # IPv4
        0x14: _text(APN),
        0x15: _address(DNS[0]),
        0x16: _address(DNS[1]),
        0x1E: _address(IPV4),
        0x20: _address(GATEWAY),
        0x21: _address(NETMASK),
        0x25: ipaddress.IPv6Address("2001:db8:1::10").packed + bytes([64]),
        0x29: struct.pack("<I", 1500),
        0x2A: b"\x01" + struct.pack("<H", len("lab.example")) + _text("lab.example"),
        0x2B: bytes([4]),
    }


# --- UIM


def _slots(present: bool) -> Tlvs:
    digits = bytes.fromhex("".join(low + high for high, low in zip(ICCID[::2], ICCID[1::2], strict=True)))
    iccid = digits if present else b""
    first = struct.pack("<IIBB", 2 if present else 1, 1, 1, len(iccid)) + iccid  # card, active, first logical slot
    return {0x10: bytes([2]) + first + struct.pack("<IIBB", 1, 0, 0, 0)}


def _register_events(state: State, request: Tlvs) -> Tlvs:
    mask = _argument(request, 0x01, 4)
    if struct.unpack("<I", mask)[0] & SLOT_STATUS:
        # As if the card was put in at once.
        state.events += [Event(UIM, 0x48, _slots(present)) for present in (False, True)]
    return {0x10: mask}


# --- the test service of samples/qmi


def _ping(state: State, request: Tlvs) -> Tlvs:
    if _argument(request, 0x01, 4) != b"ping":
        raise Refused(INVALID_ARGUMENT)
    return {0x10: b"pong", 0x11: _text8("lab")}


def _data(state: State, request: Tlvs) -> Tlvs:
    value = request.get(0x01)
    if value is None:
        raise Refused(MISSING_ARGUMENT)
    return {0x10: value}


# --- protection domains


UP, EARLY_DOWN = 0x1FFFFFFF, 0x2FFFFFFF


def _register_listener(state: State, request: Tlvs) -> Tlvs:
    domain = request.get(0x02)
    if domain is None:
        raise Refused(MISSING_ARGUMENT)
    if _argument(request, 0x01, 1) == b"\x01":
        # As if it restarted at once.
        for transaction, now in enumerate((EARLY_DOWN, UP), start=1):
            update = {0x01: struct.pack("<I", now), 0x02: domain, 0x03: struct.pack("<H", transaction)}
            state.events.append(Event(SERVREG, 0x22, update))
    return {0x10: struct.pack("<I", UP)}


# --- sensors: protocol buffers inside a TLV


SUID_LOOKUP = (0xABABABABABABABAB,) * 2  # the sensor that knows the other sensors
ACCELEROMETER = (0x1122334455667788, 0x99AABBCCDDEEFF00)
_CLIENT_ID = 0xC11E47


def suid(sensor: tuple[int, int]) -> bytes:
    """A sensor's name in a message: two fixed64."""
    return struct.pack("<BQBQ", 0x09, sensor[0], 0x11, sensor[1])


def embedded(number: int, content: bytes) -> bytes:
    """A length-delimited field of fewer than 128 bytes."""
    return bytes([number << 3 | 2, len(content)]) + content


def _control_sensor(state: State, request: Tlvs) -> Tlvs:
    if 0x01 not in request:
        raise Refused(MISSING_ARGUMENT)
    found = embedded(1, b"accel") + embedded(2, suid(ACCELEROMETER))
    event = struct.pack("<BIBQ", 0x0D, 768, 0x11, 123_456_789_012) + embedded(3, found)
    report = embedded(1, suid(SUID_LOOKUP)) + embedded(2, event)
    client = struct.pack("<Q", _CLIENT_ID)
    state.events.append(Event(SSC, 0x21, {0x01: client, 0x02: struct.pack("<H", len(report)) + report}))
    return {0x10: client, 0x11: struct.pack("<I", 0)}


ANSWERS: dict[tuple[int, int], Callable[[State, Tlvs], Tlvs]] = {
    (DMS, 0x01): _fixed({}),
    (DMS, 0x20): _fixed({0x01: struct.pack("<IIBBBBBB", 50_000, 150_000, 2, 2, 3, 4, 5, LTE)}),
    (DMS, 0x21): _fixed({0x01: _text(MANUFACTURER)}),
    (DMS, 0x22): _fixed({0x01: _text(MODEL)}),
    (DMS, 0x23): _fixed({0x01: _text(REVISION)}),
    (DMS, 0x24): _fixed({0x01: _text(MSISDN)}),
    (DMS, 0x25): _fixed({0x10: _text(ESN), 0x11: _text(IMEI), 0x12: _text(MEID), 0x13: _text("01")}),
    (DMS, 0x26): _fixed({0x01: bytes([0x02, 87])}),  # on battery, 87 %
    (DMS, 0x2C): _fixed({0x01: _text("10000")}),
    (DMS, 0x2D): _get_operating_mode,
    (DMS, 0x2E): _set_operating_mode,
    (NAS, 0x02): _set_event_report,
    (NAS, 0x03): _register_indications,
    (NAS, 0x20): _fixed({0x01: struct.pack("<bb", RSSI, LTE), 0x16: struct.pack("<bb", RSRQ, LTE),
                         0x17: struct.pack("<h", SNR), 0x18: struct.pack("<h", RSRP)}),
    (NAS, 0x21): _network_scan,
    (NAS, 0x24): _get_serving_system,
    (NAS, 0x25): _fixed({0x01: struct.pack("<HH", MCC, MNC) + _text8(OPERATOR), 0x12: bytes([1, 0])}),
    (NAS, 0x31): _fixed({0x01: struct.pack("<BbHH", 1, LTE, 122, 1300), 0x11: struct.pack("<BbHI", 1, LTE, 122, 1300)}),
    (NAS, 0x4D): _fixed(_lte_system_info()),
    (NAS, 0x4F): _fixed(_SIGNAL_INFO),
    (NAS, 0x50): _fixed({}),
    (WDS, 0x01): _fixed({}),
    (WDS, 0x20): _start_network,
    (WDS, 0x21): _stop_network,
    (WDS, 0x22): _get_packet_service_status,
    (WDS, 0x23): _fixed({0x01: struct.pack("<IIII", 10_000_000, 40_000_000, 50_000_000, 150_000_000)}),
    (WDS, 0x2D): _get_current_settings,
    (WDS, 0x4D): _fixed({}),
    (UIM, 0x2E): _register_events,
    (TEST, 0x20): _ping,
    (TEST, 0x21): _data,
    (SSCTL, 0x23): _fixed({}),
    (SERVREG, 0x20): _register_listener,
    (SERVREG, 0x21): _fixed({0x10: struct.pack("<I", UP)}),
    (SERVREG, 0x23): _fixed({}),
    (SSC, 0x20): _control_sensor,
}  # fmt: skip
