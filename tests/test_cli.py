# SPDX-License-Identifier: GPL-2.0-or-later
"""The command as its users meet it: run as a process, its streams and exit codes looked at."""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from qmisniff import cli, export
from qmisniff.capture_file import Writer
from qmisniff.cli import traffic, verbs
from tests import factories as make

IMEI = b"001017000000015"


def run(*arguments: str, data: bytes | None = None) -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-m", "qmisniff", *arguments]
    return subprocess.run(command, input=data, capture_output=True, timeout=60)


@pytest.fixture
def sample(tmp_path: Path) -> Path:
    """Four packets: DMS announced, its IDs asked for and told, a message of a service nobody announced."""
    path = tmp_path / "sample.pcapng"
    with path.open("wb") as stream:
        writer = Writer(stream)
        client, dms = (make.HOST, 0x4001), (make.MODEM, 10)
        answer = make.qmi(2, 1, 0x25, make.tlv(2, bytes(4)), make.tlv(0x11, IMEI))
        writer.write(
            [
                make.frame(make.server(make.NEW_SERVER, 2, 0x101, *dms)),
                make.frame(make.qrtr(make.qmi(0, 1, 0x25), client, dms), at_ms=1),
                make.frame(make.qrtr(answer, dms, client), at_ms=2.5),
                make.frame(make.qrtr(b"\x1b[31mred", client, (make.MODEM, 99)), at_ms=3, comm="\x1b]0;x"),
            ]
        )
        writer.close()
    return path


def test_read_prints_a_line_a_packet(sample: Path) -> None:
    done = run("read", str(sample))
    lines = done.stdout.decode().splitlines()
    assert (done.returncode, done.stderr, len(lines)) == (0, b"", 4)
    assert re.match(r" +2 +0\.001000 +1:\S+ → 0:\S+ +QMI_DMS .*Get IDs", lines[1])


def test_the_tree_has_the_value_and_the_bytes_have_it_too(sample: Path) -> None:
    shown = run("read", str(sample), "-V", "-x").stdout.decode()
    assert re.search(r"imei: .*001017000000015", shown, re.IGNORECASE)
    assert "0020  02 01 00 25 00 19 00 02  04 00 00 00 00 00 11 0f  ...%............\n" in shown


def test_json_is_one_array_of_packets_with_byte_ranges(sample: Path) -> None:
    packets = json.loads(run("read", str(sample), "-T", "json").stdout)
    assert [packet["number"] for packet in packets] == [1, 2, 3, 4]

    def fields(layers: list[dict[str, object]]) -> list[dict[str, object]]:
        found = []
        for layer in layers:
            found += [layer, *fields(layer.get("children", []))]  # type: ignore[arg-type]
        return found

    imei = [field for field in fields(packets[2]["layers"]) if str(field["name"]).endswith("get_ids.imei")]
    assert [field["value"] for field in imei] == [IMEI.decode()]
    offset, size = imei[0]["offset"], imei[0]["size"]
    assert isinstance(offset, int) and isinstance(size, int)
    whole = make.qrtr(make.qmi(2, 1, 0x25, make.tlv(2, bytes(4)), make.tlv(0x11, IMEI)))
    assert whole[offset : offset + size] == IMEI


def test_ndjson_is_a_flat_object_a_line(sample: Path) -> None:
    packets = [json.loads(line) for line in run("read", str(sample), "-T", "ndjson").stdout.splitlines()]
    assert [(packet["schema"], packet["frame.number"]) for packet in packets] == [(1, 1), (1, 2), (1, 3), (1, 4)]
    answer = packets[2]
    assert (answer["qmi.service"], answer["qmi.service.label"]) == (2, "DMS")
    assert answer["qmi.dms.get_ids.imei"] == IMEI.decode()
    assert answer["qmi.tlv.type"] == [2, 0x11]
    assert bytes.fromhex(packets[3]["data.data"] if "data.data" in packets[3] else packets[3]["qmi.tlv.value"])
    assert not any(isinstance(value, dict) for packet in packets for value in packet.values())


def test_the_command_line_offers_every_format() -> None:
    assert set(verbs.FORMATS) == set(export.FORMATS)


def test_a_terminal_that_is_not_utf_8_gets_escapes(sample: Path) -> None:
    command = [sys.executable, "-m", "qmisniff", "read", str(sample)]
    done = subprocess.run(command, env={**os.environ, "PYTHONIOENCODING": "ascii"}, capture_output=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, b"")
    assert rb"\u2192" in done.stdout


def test_an_empty_capture_is_an_empty_array(tmp_path: Path) -> None:
    path = tmp_path / "empty.pcapng"
    with path.open("wb") as stream:
        Writer(stream).close()
    assert json.loads(run("read", str(path), "-T", "json").stdout) == []


def test_count_stops_early(sample: Path) -> None:
    assert len(run("read", str(sample), "-c", "2").stdout.splitlines()) == 2


def test_standard_input_is_read_as_it_comes(sample: Path) -> None:
    done = run("read", "-", data=sample.read_bytes())
    assert (done.returncode, len(done.stdout.splitlines())) == (0, 4)


def test_nothing_in_a_packet_reaches_the_terminal_as_an_escape(sample: Path) -> None:
    for more in ([], ["-V", "-x"], ["-T", "json"], ["-T", "ndjson"]):
        assert b"\x1b" not in run("read", str(sample), *more).stdout


def test_a_truncated_file_is_read_up_to_the_cut_and_said(sample: Path) -> None:
    done = run("read", "-", data=sample.read_bytes()[:-100])
    assert done.returncode == 1
    assert len(done.stdout.splitlines()) == 3
    assert re.fullmatch(rb"qmisniff: -: cut short at offset \d+: .*\n", done.stderr)


@pytest.mark.parametrize("content", [b"", b"hello world, this is no capture"])
def test_what_is_no_capture_gets_one_line_and_exit_code_2(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "notes.txt"
    path.write_bytes(content)
    done = run("read", str(path))
    assert (done.returncode, done.stdout, done.stderr.count(b"\n")) == (2, b"", 1)
    assert done.stderr.startswith(b"qmisniff: ")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["read", "/nonexistent"], b"/nonexistent: No such file"),
        (["read", "/"], b"/: Is a directory"),
        (["capture", "-i", "nothing"], b"there is no source 'nothing'"),
        (["read"], b"arguments are required: FILE (`qmisniff read --help`)"),
        (["read", "x.pcapng", "-O", "qmi"], b"unrecognized arguments: -O qmi (`qmisniff read --help`)"),
        (["read", "x.pcapng", "-T", "xml"], b"invalid choice: 'xml'"),
        (["read", "x.pcapng", "--\x1b[31m"], b"unrecognized arguments: --"),
        (["dissectors", "show"], b"arguments are required: NAME (`qmisniff dissectors show --help`)"),
        (["dissectors"], b"arguments are required: VERB (`qmisniff dissectors --help`)"),
        (["raed", "x.pcapng"], b"raed is neither a verb nor a file (did you mean read?)"),
        (["nothing"], b"nothing is neither a verb nor a file (`qmisniff --help` lists the verbs)"),
    ],
)
def test_other_mistakes_get_one_line_and_exit_code_2(arguments: list[str], words: bytes) -> None:
    done = run(*arguments)
    assert (done.returncode, done.stdout, done.stderr.count(b"\n")) == (2, b"", 1)
    assert done.stderr.startswith(b"qmisniff: ") and words in done.stderr and b"\x1b" not in done.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ["read", "captures/first-contact.pcapng"],
        ["read", "captures/first-contact.pcapng", "-T", "json"],
        ["stats", "captures/first-contact.pcapng", "services"],
        ["decode", "010c00000201000100250000 00"],
        ["fields"],
        ["dissectors", "list"],
        ["dissectors", "show", "nas"],
        ["export", "lua"],
        ["interfaces"],
    ],
)
def test_a_full_disk_is_one_line_and_exit_code_2(arguments: list[str]) -> None:
    with open("/dev/full", "wb") as full:  # noqa: PTH123 - a device
        done = subprocess.run([sys.executable, "-m", "qmisniff", *arguments], stdout=full, stderr=subprocess.PIPE)
    assert done.stderr.decode().splitlines() == ["qmisniff: standard output: No space left on device"]
    assert done.returncode == 2


def test_a_closed_pipe_ends_quietly(sample: Path) -> None:
    command = f"{sys.executable} -m qmisniff read {sample} -T json | true"
    done = subprocess.run(["bash", "-o", "pipefail", "-c", command], capture_output=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, b"")


@pytest.mark.parametrize(
    ("closed", "lines", "heard"),
    [("<&-", 4, True), (">&-", 0, True), ("2>&-", 4, False), ("<&- >&- 2>&-", 0, False)],
)
def test_streams_that_are_closed_are_as_if_they_led_nowhere(sample: Path, closed: str, lines: int, heard: bool) -> None:
    def shell(*arguments: str) -> subprocess.CompletedProcess[bytes]:
        line = ["sh", "-c", f'exec "$@" {closed}', "sh", sys.executable, "-m", "qmisniff", *arguments]
        return subprocess.run(line, capture_output=True, timeout=60)

    done = shell("read", str(sample))
    assert (done.returncode, done.stdout.count(b"\n"), done.stderr) == (0, lines, b"")
    done = shell("capture", "-i", "exec:false", "-w", "-")
    assert (done.returncode, done.stdout, bool(done.stderr)) == (3, b"", heard)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
@pytest.mark.parametrize("words", [["read", ""], ["read", "-V", "-c1", ""], ["fields"], ["interfaces"]])
def test_a_full_disk_behind_the_output_is_said(sample: Path, words: list[str]) -> None:
    with Path("/dev/full").open("wb") as full:
        command = [sys.executable, "-m", "qmisniff", *(word or str(sample) for word in words)]
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, timeout=60)
    said = b"qmisniff: standard output: No space left on device\n"
    assert (done.returncode, done.stderr) == (2, said)


def test_a_file_named_alone_opens_the_screen(monkeypatch: pytest.MonkeyPatch) -> None:
    opened = []

    def tui(options: argparse.Namespace) -> int:
        opened.append(options.file)
        return 0

    monkeypatch.setattr(traffic, "tui", tui)
    assert cli.main(["captures/some.pcapng"]) == 0
    assert opened == ["captures/some.pcapng"]


@pytest.mark.parametrize("verb", sorted(cli.command_line()[1].names))
def test_every_verb_has_help_with_an_example(verb: str) -> None:
    shown = run(verb, "--help").stdout.decode()
    assert f"  qmisniff {verb}" in shown.partition("examples:")[2]


def test_a_display_filter_chooses_what_is_printed(sample: Path) -> None:
    chosen = run("read", str(sample), "-Y", "qmi.type == response", "-T", "ndjson")
    assert chosen.returncode == 0
    numbers = [json.loads(line)["frame.number"] for line in chosen.stdout.splitlines()]
    every = [json.loads(line) for line in run("read", str(sample), "-T", "ndjson").stdout.splitlines()]
    assert numbers == [each["frame.number"] for each in every if each.get("qmi.type") == 1] != []


def test_a_wrong_filter_is_shown_with_its_mistake_marked(sample: Path) -> None:
    done = run("read", str(sample), "-Y", "qmi and qmi.typ == 1")
    assert (done.returncode, done.stdout) == (2, b"")
    assert done.stderr.decode().splitlines() == [
        "qmisniff: qmi.typ is neither a field nor a protocol (did you mean qmi.type?)",
        "  qmi and qmi.typ == 1",
        "          ^~~~~~~",
    ]


def test_only_a_tap_of_a_kernel_waits() -> None:
    done = run("capture", "-i", "usbmon0", "--wait")
    assert done.returncode == 2
    assert b"'usbmon0' is none (capture -i kernel --wait)" in done.stderr


def test_a_capture_that_cannot_start_leaves_an_earlier_file_alone(tmp_path: Path) -> None:
    path = tmp_path / "kept.pcapng"
    path.write_bytes(b"an earlier capture")
    done = run("capture", "-i", "kernel", "-w", str(path))
    if done.returncode == 3:  # not so on a machine whose kernel can be tapped, run by root
        assert path.read_bytes() == b"an earlier capture"
    assert not [other for other in tmp_path.iterdir() if other != path]


def test_a_file_name_reaches_the_terminal_without_escapes(tmp_path: Path) -> None:
    path = tmp_path / "a\x1b[31mb.pcapng"
    path.write_bytes(b"not a capture")
    for arguments in (["read", str(path)], ["read", str(path) + "x"], ["tui", str(path)]):
        done = run(*arguments)
        assert done.returncode == 2
        assert b"\x1b" not in done.stderr
