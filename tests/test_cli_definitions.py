# SPDX-License-Identifier: GPL-2.0-or-later
"""`qmisniff dissectors` and `qmisniff fields` as processes."""

from __future__ import annotations

import re
import time
from pathlib import Path

import pytest

from qmisniff.definitions import open_registry
from qmisniff.dissect import Dissector
from qmisniff.dissect.names import header_specs
from qmisniff.field import Kind
from qmisniff.frame import Link
from qmisniff.paths import data_dir
from qmisniff.protocol.context import Context
from tests import factories as make
from tests.test_cli import run

GOOD = "service: DEMO\nid: 250\ntitle: Demo\nmessages: {m: {id: 1, request: {0x01 t: u8}}}\n"
BAD = GOOD.replace("u8", "u9")
DATA = Path(__file__).parent / "definitions" / "data"
WARN = GOOD.replace("messages", "enums: {e: {0: off}}\nmessages")


def test_list_has_every_service_with_its_counts() -> None:
    done = run("dissectors", "list")
    lines = done.stdout.decode().splitlines()
    registry = open_registry()
    assert (done.returncode, len(lines)) == (0, len(registry.headers) + 1)
    (test,) = [line.split() for line in lines if line.startswith("test ")]
    service = registry.service_named("test")
    assert service is not None
    messages = [service.message_named(name) for name in service.message_names()]
    tlvs = sum(len(section or ()) for message in messages if message for section in message.tlvs)
    assert test[1:4] == ["15", str(len(messages)), str(tlvs)] and test[-1].endswith("test.yaml")


def test_show_a_service() -> None:
    shown = run("dissectors", "show", "nas").stdout.decode()
    assert shown.startswith("NAS, service 3: ")
    assert re.search(r"^0x004f  QR-  +\d+ TLVs  get_signal_info +Get Signal Info$", shown, re.MULTILINE)


@pytest.mark.parametrize("name", ["nas.get_signal_info", "qmi.nas.get_signal_info", "3.0x4f", "NAS.79"])
def test_show_a_message(name: str) -> None:
    shown = run("dissectors", "show", name).stdout.decode()
    assert "NAS Get Signal Info, message 0x004f" in shown
    assert re.search(r"^  0x14 lte +optional +struct\n    rssi +i8 dBm$", shown, re.MULTILINE)
    assert re.search(r"^enum sinr_level\n +0  ", shown, re.MULTILINE)


def test_every_message_can_be_shown() -> None:
    from qmisniff.cli.tables import message_lines, service_lines

    registry = open_registry()
    for number in registry.headers:
        service = registry.service(number)
        if service is None:
            continue
        assert len(list(service_lines(service))) == len(list(service.message_names())) + 3
        for name in service.message_names():
            message = service.message_named(name)
            assert message is not None
            text = "\n".join(message_lines(service, message))
            for section in message.tlvs:
                for tlv in section or ():
                    assert f"0x{tlv.id:02x} {tlv.name}" in text


@pytest.mark.parametrize("name", ["nothing", "nas.nothing", "nas.0xffff", "adc"])
def test_what_cannot_be_shown_is_one_line(name: str) -> None:
    done = run("dissectors", "show", name)
    assert (done.returncode, done.stdout, done.stderr.count(b"\n")) == (2, b"", 1)


def test_check_finds_nothing_wrong_with_the_shipped_definitions() -> None:
    done = run("dissectors", "check")
    assert done.returncode == 0, done.stdout.decode()
    assert re.search(rb"^\d\d files, 0 errors, \d+ warnings?$", done.stderr)
    assert b": error: " not in done.stdout


def test_check_counts_one_file_as_one() -> None:
    done = run("dissectors", "check", str(data_dir("dissectors") / "dms.yaml"))
    assert done.stderr.startswith(b"1 file, 0 errors, ")


@pytest.mark.parametrize(("text", "code", "said"), [(GOOD, 0, 0), (WARN, 0, 1), (BAD, 2, 1)])
def test_check_of_a_file(tmp_path: Path, text: str, code: int, said: int) -> None:
    path = tmp_path / "demo.yaml"
    path.write_text(text)
    for place in (path, tmp_path):
        done = run("dissectors", "check", str(place))
        lines = done.stdout.decode().splitlines()
        assert (done.returncode, len(lines)) == (code, said)
        assert all(re.fullmatch(rf"{re.escape(str(path))}:\d+:\d+: (error|warning): .+", line) for line in lines)


def test_check_runs_the_examples(tmp_path: Path) -> None:
    example = "examples: [{hex: 00010001000400010100 07, values: {t: 8}}]"
    (tmp_path / "demo.yaml").write_text(GOOD.replace("id: 1,", f"id: 1, {example},"))
    done = run("dissectors", "check", str(tmp_path))
    assert (done.returncode, done.stdout.count(b"\n")) == (2, 1)
    assert b"t is 7, not 8" in done.stdout


def test_check_says_when_two_files_are_one_service(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / f"{name}.yaml").write_text(GOOD)
    done = run("dissectors", "check", str(tmp_path))
    assert done.returncode == 2
    assert b"service id 250 is that of" in done.stdout


@pytest.mark.parametrize("content", [None, b"\xff\xfe"])
def test_check_of_what_is_no_text(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "x.yaml"
    if content is not None:
        path.write_bytes(content)
    done = run("dissectors", "check", str(path))
    assert (done.returncode, done.stdout, done.stderr.count(b"\n")) == (2, b"", 1)


def test_nothing_in_a_definition_reaches_the_terminal_as_an_escape(tmp_path: Path) -> None:
    (tmp_path / "demo.yaml").write_text(GOOD.replace("Demo", "\x1b[31mred"))
    for arguments in (["list", "--dissectors", str(tmp_path)], ["check", str(tmp_path)]):
        done = run("dissectors", *arguments)
        assert b"\x1b" not in done.stdout + done.stderr


def test_fields_is_a_line_a_name_with_four_columns() -> None:
    run("fields")  # so that the next reads from the cache
    start = time.monotonic()
    done = run("fields")
    assert time.monotonic() - start < 2
    rows = [line.split("\t") for line in done.stdout.decode().splitlines()]
    assert {len(row) for row in rows} == {4}
    names = [row[0] for row in rows]
    assert len(names) == len(set(names)) > 8000
    registry = open_registry()
    for name in names:
        assert not name.startswith("qmi.") or len(name.split(".")) < 4 or registry.field(name) is not None


def test_fields_by_pattern() -> None:
    lines = run("fields", "qmi.NAS.get_signal_info.*rsrp").stdout.decode().splitlines()
    assert "qmi.nas.get_signal_info.lte.rsrp\tint16 dBm\t\tNAS Get Signal Info (response)" in lines
    assert all("rsrp" in line for line in lines)
    assert run("fields", "no such name").returncode == 2


def test_every_name_in_a_decoded_packet_is_among_the_fields() -> None:
    registry = open_registry()
    dissector = Dissector(registry)
    known = {spec.name for spec in header_specs()}
    message = make.qmi(2, 1, 0x25, make.tlv(2, bytes(4)), make.tlv(0x77, b"?"), make.tlv(0x11, b"001017000000015"))
    qmux = b"\x01" + (len(message) + 5).to_bytes(2, "little") + b"\x80\x02\x01" + message
    frames = [
        make.frame(make.qrtr(message), lost=3),
        make.frame(make.server(make.NEW_SERVER, 2, 1, 0, 10)),
        make.frame(make.qrtr(bytes(20), kind=make.DEL_CLIENT)),
        make.frame(bytes([3, 1, 0, 4]) + bytes(30)),
        make.frame(qmux + b"more", link=Link.QMUX),
        make.frame(bytes.fromhex("030000803000000001000000") + bytes(36) + qmux, link=Link.MBIM),
    ]
    for frame in frames:
        for field in dissector.tree(frame, Context(1, 2, 1, 1, 2, 3)).walk():
            name = field.spec.name
            assert not name or name in known or registry.field(name) is not None or field.spec.kind is Kind.NONE, name


@pytest.mark.parametrize("verb", ["list", "show", "check", "import"])
def test_every_verb_below_dissectors_has_help_with_an_example(verb: str) -> None:
    shown = run("dissectors", verb, "--help").stdout.decode()
    assert f"  qmisniff dissectors {verb}" in shown.partition("examples:")[2]


def test_import_writes_a_definition_that_passes_check(tmp_path: Path) -> None:
    out = tmp_path / "thermo.yaml"
    done = run("dissectors", "import", str(DATA / "thermo.qmi"), "-o", str(out))
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
    done = run("dissectors", "check", str(out))
    assert (done.returncode, done.stdout) == (0, b"")
    assert b"qmi.thermo.get_zones.zones.limit" in run("fields", "thermo", "--dissectors", str(tmp_path)).stdout


def test_import_prints_without_o_and_overwrites_nothing(tmp_path: Path) -> None:
    shown = run("dissectors", "import", "--from", "c", str(DATA / "thermo.c"), str(DATA / "thermo.h"))
    assert (shown.returncode, shown.stdout.partition(b"\n")[0]) == (0, b"service: THERMO")
    out = tmp_path / "mine.yaml"
    out.write_text("mine")
    done = run("dissectors", "import", str(DATA / "thermo.qmi"), "-o", str(out))
    assert (done.returncode, done.stderr.count(b"\n"), out.read_text()) == (2, 1, "mine")


def test_import_needs_the_service_id_from_somewhere() -> None:
    file = str(DATA / "qmi-service-thermo.json")
    done = run("dissectors", "import", file)
    assert (done.returncode, done.stdout) == (2, b"") and b"--id" in done.stderr
    assert b"\nid: 77\n" in run("dissectors", "import", "--id", "77", file).stdout
    assert b"\nid: 2\n" in run("dissectors", "import", "--service", "dms", file).stdout


@pytest.mark.parametrize("content", ["package a; request r {", "nonsense"])
def test_import_of_what_is_no_such_file_is_one_line(tmp_path: Path, content: str) -> None:
    path = tmp_path / "x.qmi"
    path.write_text(content)
    done = run("dissectors", "import", str(path))
    assert (done.returncode, done.stdout, done.stderr.count(b"\n")) == (2, b"", 1)


def test_show_takes_a_fields_whole_name() -> None:
    whole = run("dissectors", "show", "qmi.nas.get_signal_info.lte.rsrp")
    assert whole.returncode == 0
    assert whole.stdout == run("dissectors", "show", "nas.get_signal_info").stdout


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("nass", b"no service 'nass' (did you mean nas?)"),
        ("nas.get_signal_inf", b"NAS has no message 'get_signal_inf' (did you mean get_signal_info?)"),
        ("qmi.nas.zzz", b"NAS has no message 'zzz' (`qmisniff dissectors show nas` lists them)"),
        ("zzzzzz", b"no service 'zzzzzz' (`qmisniff dissectors list`"),
    ],
)
def test_a_name_nearly_right_is_named(name: str, words: bytes) -> None:
    done = run("dissectors", "show", name)
    assert (done.returncode, done.stdout) == (2, b"") and words in done.stderr
