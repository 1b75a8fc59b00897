# SPDX-License-Identifier: GPL-2.0-or-later
"""Formats that only tshark opens: the same packets as in the original, said on stderr, refused with a remedy."""

from __future__ import annotations

import gzip
import shutil
import struct
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qmisniff import readers
from qmisniff.capture_file import USER0, Reader
from qmisniff.cli import main
from qmisniff.errors import CaptureFileError
from qmisniff.frame import Frame, Origin
from qmisniff.readers import foreign
from qmisniff.readers.compressed import expand
from tests.usb_capture import USBMON, USBPCAP, Record, save
from tests.usb_conversation import conversation

CAPTURES = Path(__file__).parents[2] / "captures"
SAMPLES = sorted(CAPTURES.glob("*.pcapng"))
QMUX = bytes.fromhex("01 0c 00 00 02 01 00 01 00 25 00 00 00")

needs_tshark = pytest.mark.skipif(
    shutil.which("editcap") is None, reason="tshark is not installed (tests/setup-debian)"
)


# Formats that hold packets of our link types. The first two have magic numbers of their own, the others that of pcap.
FORMATS = ("modpcap", "suse6_3pcap", "nokiapcap", "rh6_1pcap")


def modified(sample: Path, folder: Path, form: str = "modpcap") -> Path:
    """The sample in another format of Wireshark's."""
    made = folder / f"{sample.stem}.{form}"
    subprocess.run(["editcap", "-F", form, sample, made], check=True, capture_output=True)
    return made


def frames(path: Path) -> list[Frame]:
    with readers.recognised(path.open("rb"), path, lambda text: None) as stream:
        return list(Reader(stream))


@needs_tshark
@pytest.mark.parametrize("sample", SAMPLES, ids=lambda path: path.stem)
def test_the_packets_are_those_of_the_original(sample: Path, tmp_path: Path) -> None:
    got, wanted = frames(modified(sample, tmp_path)), frames(sample)
    assert [each.data for each in got] == [each.data for each in wanted]
    assert [(each.link, each.orig_len, each.pid, each.hook) for each in got] == [
        (each.link, each.orig_len, each.pid, each.hook) for each in wanted
    ]
    # The format counts in microseconds.
    assert [each.ts_ns for each in got] == [each.ts_ns // 1000 * 1000 for each in wanted]


@needs_tshark
@pytest.mark.parametrize("link_type", [USER0 + 15, USBMON, USBPCAP])
def test_the_link_types_of_elsewhere(link_type: int, tmp_path: Path) -> None:
    sample = save(tmp_path / "sample.pcap", link_type, conversation(8, link_type, 10))
    assert frames(modified(sample, tmp_path)) == [
        frame._replace(origin=Origin("file", "", "", "sample.modpcap, read by tshark")) for frame in frames(sample)
    ]


@needs_tshark
@pytest.mark.parametrize(
    ("form", "count"), [*((form, 60) for form in FORMATS), ("nokiapcap", 1), ("rh6_1pcap", 1), ("rh6_1pcap", 2)]
)
def test_the_verb_reads_it_and_says_so(
    form: str, count: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sample = save(tmp_path / "sample.pcap", USER0, [Record(QMUX)] * count)
    assert main(["read", str(sample), "-T", "json"]) == 0
    wanted = capsys.readouterr().out
    assert wanted.count('"qmi.msgid"') == count
    assert main(["read", str(modified(sample, tmp_path, form)), "-T", "json"]) == 0
    said = capsys.readouterr()
    assert said.out == wanted
    assert "tshark has read it" in said.err


@needs_tshark
def test_damage_is_told_and_what_was_before_it_read(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = modified(save(tmp_path / "sample.pcap", USER0, [Record(QMUX)] * 5), tmp_path)
    file.write_bytes(file.read_bytes()[:-3])
    assert main(["read", str(file)]) == 1
    said = capsys.readouterr()
    assert said.out.count("Get IDs") == 4
    assert "cut short in the middle of a packet" in said.err


@needs_tshark
@pytest.mark.parametrize("form", ["pcap", "modpcap", "nokiapcap"])
def test_packed_files(form: str, tmp_path: Path) -> None:
    file = modified(CAPTURES / "first-contact.pcapng", tmp_path, form)
    packed = tmp_path / "packed"
    packed.write_bytes(gzip.compress(file.read_bytes()))
    said: list[str] = []
    with readers.recognised(packed.open("rb"), packed, said.append) as stream, expand(stream, "packed").stream as plain:
        assert [each.data for each in Reader(plain)] == [each.data for each in frames(file)]
    assert bool(said) == (form != "pcap")


@st.composite
def pcap_files(draw: st.DrawFn) -> tuple[int, bytes]:
    """A file whose records have headers of 16 bytes, as they should, or more; and these bytes."""
    order, size = draw(st.sampled_from("<>")), draw(st.sampled_from([16, 16, 20, 24]))
    data = struct.pack(order + "IHHIIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, USER0)
    for second in range(draw(st.integers(1, 12))):
        body = draw(st.sampled_from([QMUX, QMUX * 3, b"", bytes(60), b"\x09" * 31]))
        head = struct.pack(order + "IIII", 1_767_225_600 + second, 999_999, len(body), len(body))
        data += head.ljust(size, b"\0") + body
    return size, data


@given(pcap_files())
def test_pcap_of_another_make_is_not_taken_for_pcap(made: tuple[int, bytes]) -> None:
    size, data = made
    assert readers._is_pcap(data) == (size == 16)


def test_pcap_that_is_cut_short_is_still_pcap() -> None:
    data = struct.pack("<IHHIIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, USER0)
    for second in range(10):
        data += struct.pack("<IIII", 1_767_225_600 + second, 999_999, len(QMUX), len(QMUX)) + QMUX
    assert all(readers._is_pcap(data[:size]) for size in (*range(4, 57), *range(24 + 8 * 29, len(data))))


@pytest.mark.parametrize("order", ["<", ">"])
def test_strange_times_and_lengths_are_still_pcap(order: str) -> None:
    data = struct.pack(order + "IHHIIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, USER0)
    for number in range(20):
        data += struct.pack(order + "IIII", number, 2_000_000, len(QMUX), number % 3) + QMUX
    assert readers._is_pcap(data)


@needs_tshark
@pytest.mark.parametrize("content", [b"no capture at all\n", b'{"a": 1}\n', b"\xa1\xb2\xcd\x34" + bytes(30)])
def test_what_holds_no_capture_is_refused(content: bytes, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(content)
    with pytest.raises(CaptureFileError, match="not a capture file"):
        frames(file)


_LONG_HEADERS = b"\xd4\xc3\xb2\xa1" + bytes(20) + 10 * (struct.pack("<IIIII", 1_767_225_600, 5, 13, 13, 0) + QMUX)


@pytest.mark.parametrize("content", [b"something else", _LONG_HEADERS, gzip.compress(b"something else")])
def test_without_tshark_the_remedy_is_to_install_it(
    content: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: None)
    (tmp_path / "file").write_bytes(content)
    with pytest.raises(CaptureFileError, match="with tshark installed"):
        frames(tmp_path / "file")


@pytest.mark.parametrize("text", ["1795416914.037079830", "2026-11-23T06:55:14.037079830Z"])
def test_times_of_every_version_of_tshark(text: str) -> None:
    assert foreign.nanoseconds(text) == 1_795_416_914_037_079_830


@needs_tshark
def test_a_packet_without_bytes_is_one(tmp_path: Path) -> None:
    sample = save(tmp_path / "sample.pcap", USER0, [Record(QMUX), Record(b""), Record(QMUX)])
    assert [each.data for each in frames(modified(sample, tmp_path))] == [QMUX, b"", QMUX]
