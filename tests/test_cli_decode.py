# SPDX-License-Identifier: GPL-2.0-or-later
"""`qmisniff decode` as a process: what it takes for which protocol, and what it prints."""

from __future__ import annotations

import json
import re
import struct
from pathlib import Path

import pytest

from tests import factories as make
from tests.test_cli import IMEI, run

ANSWER = make.qmi(2, 1, 0x25, make.tlv(2, bytes(4)), make.tlv(0x11, IMEI))
QMUX = struct.pack("<BHBBB", 1, len(ANSWER) + 5, 0x80, 2, 1) + ANSWER
MBIM = (
    struct.pack("<5I", 0x80000003, 48 + len(QMUX), 7, 1, 0)
    + bytes.fromhex("d1a30bc2f97a6e43bf65c7e24fb0f0d3")
    + struct.pack("<3I", 1, 0, len(QMUX))
    + QMUX
)
QRTR = make.qrtr(ANSWER, (make.MODEM, 10), (make.HOST, 0x4001))
NAME = "qmi.dms.get_ids.imei"


@pytest.mark.parametrize(
    ("packet", "more"),
    [
        (QRTR, ["--service", "dms"]),
        (QRTR, ["--service", "2"]),
        (QMUX, []),
        (QMUX, ["--service", "nas"]),
        (MBIM, []),
        (ANSWER, ["--service", "DMS"]),
        (ANSWER, ["--service", "0x2"]),
    ],
)
def test_every_envelope_of_a_message(packet: bytes, more: list[str]) -> None:
    done = run("decode", "-T", "ndjson", *more, packet.hex())
    values = json.loads(done.stdout)
    assert (done.returncode, done.stderr, values[NAME]) == (0, b"", IMEI.decode())
    assert not [name for name in values if name.startswith(("frame.", "tap."))]


@pytest.mark.parametrize("notation", [ANSWER.hex(" "), ANSWER.hex(":"), ", ".join(f"0x{byte:02x}" for byte in ANSWER)])
def test_any_notation_in_one_argument_or_many(notation: str) -> None:
    for arguments in ([notation], notation.split()):
        assert IMEI in run("decode", "--service", "dms", *arguments).stdout


def test_text_is_the_tree_of_the_packets_own_layers() -> None:
    shown = run("decode", "--service", "dms", QRTR.hex()).stdout.decode()
    assert [line for line in shown.splitlines() if line and not line.startswith(" ")] == [
        "QRTR: DATA, 0:10 > 1:0x4001",
        "QMI",
    ]
    assert re.search(r"^ +imei: 001017000000015$", shown, re.MULTILINE)


def test_json_has_no_time_nobody_knows() -> None:
    (packet,) = json.loads(run("decode", "-T", "json", QMUX.hex()).stdout)
    assert set(packet) == {"schema", "source", "destination", "protocol", "info", "layers"}
    assert [layer["name"] for layer in packet["layers"]] == ["qmux", "qmi"]


def test_packets_of_standard_input_are_one_conversation() -> None:
    announced = make.server(make.NEW_SERVER, 2, 0x101, make.MODEM, 10)
    question = make.qrtr(make.qmi(0, 1, 0x25), (make.HOST, 0x4001), (make.MODEM, 10))
    text = "\n".join(packet.hex() for packet in (announced, question, QRTR))
    done = run("decode", "-T", "ndjson", data=text.encode())
    packets = [json.loads(line) for line in done.stdout.splitlines()]
    assert (done.stderr, [packet.get("qmi.service") for packet in packets]) == (b"", [None, 2, 2])
    assert (packets[1]["qmi.response_in"], packets[2]["qmi.response_to"]) == (3, 2)


def test_a_hex_dump_of_standard_input() -> None:
    rows = {at: QMUX[at : at + 16].hex(" ", 2) for at in range(0, len(QMUX), 16)}
    dump = "".join(f"{at:08x}: {row:<39}  ................\n" for at, row in rows.items())
    done = run("decode", "-T", "ndjson", data=dump.encode())
    assert json.loads(done.stdout)[NAME] == IMEI.decode()


def test_a_qrtr_packet_of_an_unknown_service_is_decoded_and_the_option_named() -> None:
    done = run("decode", QRTR.hex())
    assert (done.returncode, done.stderr.count(b"\n")) == (0, 1)
    assert b"--service" in done.stderr and b"TLV 0x11" in done.stdout


def test_a_control_packet_needs_no_service() -> None:
    done = run("decode", make.server(make.NEW_SERVER, 2, 0x101, make.MODEM, 10).hex())
    assert (done.returncode, done.stderr) == (0, b"")
    assert b"Service: DMS (2)" in done.stdout


def test_a_cut_message_is_decoded_as_far_as_it_goes() -> None:
    done = run("decode", "--service", "dms", ANSWER[:-3].hex())
    assert (done.returncode, done.stderr) == (0, b"")
    assert b"[error: " in done.stdout


@pytest.mark.parametrize(
    ("arguments", "what"),
    [
        (["xyz"], "not hexadecimal"),
        ([ANSWER.hex()], "--service"),
        (["ff" * 40], "neither QRTR"),
        (["--service", "nothing", ANSWER.hex()], "no service 'nothing'"),
        (["--service", "-1", ANSWER.hex()], "no service '-1'"),
        (["--dissectors", "/nonexistent", QMUX.hex()], "not a folder"),
        ([""], "no bytes"),
    ],
)
def test_mistakes_are_one_line_and_exit_code_2(arguments: list[str], what: str) -> None:
    done = run("decode", *arguments)
    assert (done.returncode, done.stdout) == (2, b"")
    assert what in done.stderr.decode().splitlines()[-1]


def test_a_bad_file_of_a_given_folder_is_said_once_and_left_out(tmp_path: Path) -> None:
    (tmp_path / "dms.yaml").write_text("service: DMS\nid: 2\ntitle: Broken\nmessages: {x: {id: 1, request: 3}}\n")
    done = run("decode", "-T", "ndjson", "--dissectors", str(tmp_path), QMUX.hex())
    assert done.returncode == 0
    assert re.fullmatch(rb"qmisniff: left out: .*dms\.yaml:4:\d+: .*\n", done.stderr)
    assert json.loads(done.stdout)[NAME] == IMEI.decode()


def test_a_good_file_of_a_given_folder_is_used(tmp_path: Path) -> None:
    text = "service: DMS\nid: 2\ntitle: Mine\nmessages: {get_ids: {id: 0x25, response: {0x11 serial: string}}}\n"
    (tmp_path / "dms.yaml").write_text(text)
    values = json.loads(run("decode", "-T", "ndjson", "--dissectors", str(tmp_path), QMUX.hex()).stdout)
    assert values["qmi.dms.get_ids.serial"] == IMEI.decode()


def test_a_float_that_is_no_number_is_still_json(tmp_path: Path) -> None:
    text = "service: DEMO\nid: 250\ntitle: Demo\nmessages: {m: {id: 1, indication: {0x01 x: array rest of f32}}}\n"
    (tmp_path / "demo.yaml").write_text(text)
    message = make.qmi(4, 0, 1, make.tlv(1, struct.pack("<4f", float("nan"), float("inf"), -float("inf"), 1.5)))
    arguments = ["--dissectors", str(tmp_path), "--service", "demo", message.hex()]

    def refuse(word: str) -> None:
        raise AssertionError(word)

    line = json.loads(run("decode", "-T", "ndjson", *arguments).stdout, parse_constant=refuse)
    assert line["qmi.demo.m.x"] == ["NaN", "Infinity", "-Infinity", 1.5]
    json.loads(run("decode", "-T", "json", *arguments).stdout, parse_constant=refuse)
