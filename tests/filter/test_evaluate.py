# SPDX-License-Identifier: GPL-2.0-or-later
"""Which frames pass: one line an operator or rule. The rules are Wireshark's, tried on tshark 4.0 with like fields."""

from __future__ import annotations

import pytest

from qmisniff.store import Store
from tests.filter import capture

SIGNAL = "qmi.nas.get_signal_info"
SETTINGS = "qmi.wds.get_current_settings"
MAC = "qmi.dms.get_mac_address.mac_address"
ALL = list(range(1, 13))


@pytest.fixture(scope="module")
def store() -> Store:
    made = Store()
    made.extend(capture.frames())
    return made


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        # what is there
        ("frame", ALL),
        ("qrtr", [1, 2, 3, 4, 5, 6, 7, 8, 9, 11, 12]),
        ("qmux", [10]),
        ("qrtr.ctrl", [1, 2, 3]),
        ("qmi", [4, 5, 6, 7, 8, 9, 10]),
        (f"{SIGNAL}.lte", [5, 9]),
        (f"{SIGNAL}.lte.rsrp", [5, 9]),
        (f"{SIGNAL}.lte.snr", [5]),
        ("qmi.tlv.undecoded", []),
        ("tap.lost", [8]),
        # numbers
        ("frame.number == 5", [5]),
        ("frame.number == 0x5 or frame.number == 0b110 or frame.number == 010", [5, 6, 8]),
        (r"frame.number == '\x05' or frame.number == '\006' or frame.number == '\a'", [5, 6, 7]),
        (f"{SIGNAL}.lte.rsrp == -95", [5, 9]),
        (f"{SIGNAL}.lte.rsrp < -94 and {SIGNAL}.lte.rsrp >= -95", [5, 9]),
        (f"{SIGNAL}.lte.snr == 12.3", [5]),
        (f"{SIGNAL}.nr5g.snr <= -1.5", [5]),
        (f"{SIGNAL}.lte.snr > 12", [5]),
        ("qmi.txn > 6 && qmi.txn le 8", [7, 8]),
        # labels
        ("qmi.service == nas", [4, 5, 9]),
        ('qmi.service == "NAS"', [4, 5, 9]),
        ("qmi.type == request", [4, 10]),
        ("qmi.error == INTERNAL", [6]),
        ("qmi.error in {internal, no_memory}", [6]),
        ("qrtr.type == NEW_SERVER", [1, 2, 3]),
        # a field that occurs more than once: == any, != all, and their opposites
        ("qmi.tlv.type == 0x14", [5, 9]),
        ("qmi.tlv.type != 0x14", [6, 7, 8]),
        ("qmi.tlv.type !== 0x14", [5, 6, 7, 8, 9]),
        ("qmi.tlv.type === 2", [6]),
        ("not qmi.tlv.type == 0x14", [1, 2, 3, 4, 6, 7, 8, 10, 11, 12]),
        ("any qmi.tlv.type != 2", [5, 7, 8, 9]),
        ("all qmi.tlv.type == 2", [6]),
        ("all qmi.tlv.type < 0x20", [6, 8, 9]),
        ("qmi.tlv.type > 0x20", [5, 7]),
        # a field that does not occur: no comparison holds, its opposite does
        ("tap.pid != 321", [10]),
        ("not tap.pid == 321", [5, 6, 7, 8, 9, 10]),
        ("qmi.txn not in {1..8}", [1, 2, 3, 6, 11, 12]),
        # truth values
        ("qmi.compound == false", [4, 5, 6, 7, 8, 9, 10]),
        (f"{SETTINGS}.pcscf_address_using_pco == True", [7]),
        (f"{SETTINGS}.pcscf_address_using_pco == 5", [7]),
        (f"{SETTINGS}.pcscf_address_using_pco == 0", []),
        # strings and bytes
        ('tap.comm == "qmicli"', [1, 2, 3, 4, 10]),
        ('tap.comm > "qmic"', [1, 2, 3, 4, 10, 12]),
        ('tap.comm contains "mic"', [1, 2, 3, 4, 10]),
        ('tap.comm contains "MIC"', []),
        ('upper(tap.comm) contains "MIC"', [1, 2, 3, 4, 10]),
        ('lower(tap.comm) == "qmicli"', [1, 2, 3, 4, 10]),
        ('tap.comm matches "MIC"', [1, 2, 3, 4, 10]),
        ('tap.comm matches "(?-i)MIC"', []),
        (r'tap.comm == "a\tb\x1b[31m"', [11]),
        (f'{SETTINGS}.profile_name == "café"', [7]),
        (rf'{SETTINGS}.profile_name == "caf\xc3\xa9"', [7]),
        (f'{SETTINGS}.profile_name[0:3] == "caf"', [7]),
        (f"{SETTINGS}.profile_name[-1] == a9", [7]),
        (f"len({SETTINGS}.profile_name) == 5", [7]),
        (f'{SETTINGS}.profile_name matches "É"', []),  # bytes: only A-Z have two cases
        ('qmi.tlv.value contains "World"', [5]),
        ("qmi.tlv.value contains 57:6f", [5]),
        ("qmi.tlv.value contains 0x57", [5]),
        ('qmi.tlv.value matches "world$"', [5]),  # $ stands before a last newline, too
        (r'qmi.tlv.value matches r"^hello\sw"', [5]),
        ("qmi.tlv.value == 48:65:6c:6c:6f:20:57:6f:72:6c:64:0a", [5]),
        ("qmi.tlv.value == 48656c6c6f20576f726c640a", [5]),
        (r'qmi.tlv.value == "Hello World\n"', [5]),
        ("qmi.tlv.value > 48", [5]),
        ('qmi.tlv.value[0:5] == "Hello"', [5]),
        ("qmi.tlv.value[0] == 48", [5]),
        ("qmi[0] == 2", [5, 6, 7, 8, 9]),
        ("qmi[1] & 1", [4, 5, 6, 7, 10]),
        ("qmi.tlv.value[-2:2] == 64-0a", [5]),
        ('qmi.tlv.value[0,1,2-3] == "Hell"', [5]),
        ('qmi.tlv.value[:5] == "Hello"', [5]),
        ('qmi.tlv.value[-6--2] == "World"', [5]),
        ("qmi.tlv.value[0] & 40", [5]),
        ("qmi.tlv.value[0] & 40 == 40", [5]),
        ("qmi.tlv.value[0] & 80", []),
        # a slice that does not fit is empty, and is there no longer
        ("qmi.tlv.value[100:2]", []),
        ("qmi.tlv.value[100:2] == 00", []),
        ("qmi.tlv.value[100:2] != 00", [5]),
        ("qmi.tlv.value[0,100] == 48", [5]),
        ("qmi.tlv.value[100,0] == 48", []),
        ("qmi.tlv.value[0:1]", [5]),
        # a protocol is the bytes it spans
        ('qmi contains "Hello"', [5]),
        ('qmux contains "Hello"', []),
        ('qrtr contains "Hello"', []),
        ("len(qmux) > 6 or qmux contains 00:02:00", []),
        ("frame[0] == 01", [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]),
        ("len(frame) == 0", [12]),
        ("qmi[0] == 02", [5, 6, 7, 8, 9]),
        # addresses
        (f"{SETTINGS}.ipv4_address == 10.0.0.7", [7]),
        (f"{SETTINGS}.ipv4_address == 10.0.0.0/29", [7]),
        (f"{SETTINGS}.ipv4_address != 10.0.0.0/29", []),
        (f"{SETTINGS}.ipv4_address == 10.0.0.8/29", []),
        (f"{SETTINGS}.ipv4_address in {{10.0.0.1..10.0.0.9}}", [7]),
        (f"{SETTINGS}.ipv4_address in {{192.168.0.0/16, 10.0.0.0/8}}", [7]),
        (f"{SETTINGS}.ipv4_address > 9.255.255.255", [7]),
        (f"{SETTINGS}.ipv4_address[0] == 0a", [7]),
        (rf'string({SETTINGS}.ipv4_address) matches "^10\\."', [7]),
        (f"{SETTINGS}.ipv4_address != {SETTINGS}.primary_ipv4_dns_address", [7]),
        (f"{MAC} == 02:00:00:aa:bb:01", [8]),
        (f"{MAC} == 02-00-00-aa-bb-02", [8]),
        (f"{MAC} === 02:00:00:aa:bb:01", []),
        (f"{MAC}[3:2] == aa:bb", [8]),
        (f"{MAC} contains bb:02", [8]),
        (f'string({MAC}) == "02:00:00:aa:bb:02"', [8]),
        (f"count({MAC}) == 2", [8]),
        # functions
        ("count(qmi.tlv.type) == 0", []),
        ("count(qmi.tlv.type) > 2", [5, 7]),
        ('string(frame.number) matches "[13579]$"', [1, 3, 5, 7, 9, 11]),
        (f"abs({SIGNAL}.lte.rsrp) == 95", [5, 9]),
        (f"max({SIGNAL}.lte.rsrp, {SIGNAL}.nr5g.rsrp) < -90", [5, 9]),
        (f"min({SIGNAL}.lte.rsrp, {SIGNAL}.nr5g.rsrp) == -110", [5]),
        ("max(qmi.txn, 5) == 5", [1, 2, 3, 4, 5, 9, 10, 11, 12]),
        # bits
        ("frame.number & 1", [1, 3, 5, 7, 9, 11]),
        ("frame.number & 6 == 4", [4, 5, 12]),
        ("frame.number bitwise_and 8", [8, 9, 10, 11, 12]),
        # sets
        ("frame.number in {1, 3..5, 0xb}", [1, 3, 4, 5, 11]),
        ('tap.comm in {"q".."r", "nobody"}', [1, 2, 3, 4, 10]),
        # fields beside fields
        ("frame.len == frame.cap_len", ALL),
        ("qmi.service == qmi.txn", []),
        # time
        ('frame.time == "2026-01-01T00:00:00.010Z"', [4]),
        ('frame.time < "2026-01-01 01:00:00.010+01:00"', [1, 2, 3]),
        ('frame.time > "2025-12-30"', [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]),
        ('frame.time < "2025-12-30" or frame.time > "2026-01-03"', []),
        ("frame.time_epoch == 1767225600.025", [5]),
        ("frame.time_epoch > 1767225600.0319", [11, 12]),
        ("frame.time_delta == 0", [1, 2, 3]),
        ("frame.time_delta >= 0.002", [4, 5, 10]),
        ("frame.time_delta in {0.010..1, -3}", [4, 5]),
        ("frame.time_relative > 0.031", [11, 12]),
        ("frame.time_relative > frame.time_delta", [5, 6, 7, 8, 9, 10, 11, 12]),
        ("max(frame.time_relative, frame.time_delta) == 0.033", [12]),
        ("abs(frame.time_delta) == 0.010", [4]),
        ("qmi.time == 0.015", [5]),
        # logic
        ("qmi and not qmi.type == response", [4, 10]),
        ("qmux or qrtr.ctrl and frame.number > 1", [2, 3, 10]),
        ("frame.number < 3 xor frame.number > 1 xor frame.number == 5", [1, 3, 4, 6, 7, 8, 9, 10, 11, 12]),
        ("!(frame.number > 1) || !qrtr", [1, 10]),
    ],
)
def test_frames_that_pass(text: str, numbers: list[int], store: Store) -> None:
    assert capture.numbers(text, store) == numbers


def test_uses_are_the_fields_looked_at() -> None:
    from qmisniff.filter import compile_filter

    text = 'max(qmi.txn, 3) > 1 and (tap.comm[0:1] == "a" or not frame.len in {1}) and frame.number & 1'
    assert compile_filter(text, capture.registry()).uses == {"qmi.txn", "tap.comm", "frame.len", "frame.number"}
