# SPDX-License-Identifier: GPL-2.0-or-later
"""The usbmon source around a dumpcap that plays a part; the real one is in tests/lab."""

from __future__ import annotations

import io
import os
import struct
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from qmisniff import pcapng
from qmisniff.capture import BACKENDS, names, open_source, usbmon
from qmisniff.capture.files import CaptureFiles
from qmisniff.capture.limits import Limits
from qmisniff.capture.run import run
from qmisniff.capture.source import Tuning
from qmisniff.capture.usbmon import UsbMonitor
from qmisniff.capture_file import Reader
from qmisniff.errors import SourceFailed, SourceUnavailable, UsageError
from qmisniff.frame import Flag, Frame, Link

USBMON_MMAPPED = 220
QMUX = bytes.fromhex("010f0000000000012200040001010002")  # CTL: allocate a client of DMS
Play = Callable[..., None]

BEGIN = pcapng.pack_section({}) + pcapng.pack_block(
    pcapng.INTERFACE, USBMON_MMAPPED, 0, 262144, options={pcapng.IF_NAME: b"usbmon1", pcapng.IF_OS: b"Linux 6.1.0-test"}
)


def sent(number: int, data: bytes = QMUX, cut: int = 0) -> bytes:
    """A block with a SEND_ENCAPSULATED_COMMAND as usbmon tells of it; `cut` bytes more were not captured."""
    urb = struct.pack("<QBBBBHBBqiiII", number, ord("S"), 2, 0, 2, 1, 0, 0, 0, 0, -115, len(data) + cut, len(data))
    setup = struct.pack("<BBHHH", 0x21, 0, 0, 0, len(data) + cut)
    record = urb + setup + struct.pack("<iiII", 0, 0, 0, 0) + data
    time = pcapng.split_ts(1_700_000_000_000_000 + number)
    return pcapng.pack_block(pcapng.PACKET, 0, *time, len(record), len(record) + cut, body=record)


def counted(dropped: int) -> bytes:
    """The block that ends a capture."""
    return pcapng.pack_block(pcapng.STATISTICS, 0, 0, 0, options={pcapng.ISB_DROPPED: struct.pack("<Q", dropped)})


@pytest.fixture
def devices(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A /dev with two interfaces of usbmon, on a machine without dumpcap."""
    folder = tmp_path / "dev"
    folder.mkdir()
    for name in ("usbmon0", "usbmon1"):
        (folder / name).touch()
    monkeypatch.setattr(usbmon, "_DEVICES", folder)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    return folder


@pytest.fixture
def play(devices: Path, tmp_path: Path) -> Play:
    """Installs a dumpcap that writes `begin`, and `end` when it is terminated; or does what `instead` says."""

    def install(begin: bytes = BEGIN, end: bytes = b"", instead: str = "while :; do sleep 0.02; done") -> None:
        (tmp_path / "begin").write_bytes(begin)
        (tmp_path / "end").write_bytes(end)
        program = tmp_path / "bin/dumpcap"
        program.parent.mkdir(exist_ok=True)
        program.write_text(
            f'#!/bin/sh\nPATH=/usr/bin:/bin\necho "$@" >{tmp_path}/arguments\necho $$ >{tmp_path}/pid\n'
            f"trap 'cat {tmp_path}/end; exit 0' TERM\ncat {tmp_path}/begin\n{instead}\n"
        )
        program.chmod(0o755)

    return install


def gone(folder: Path) -> bool:
    """Whether the dumpcap has ended."""
    try:
        os.kill(int((folder / "pid").read_text()), 0)
    except ProcessLookupError:
        return True
    return False


def drain(source: UsbMonitor) -> list[Frame]:
    """Its frames until it has ended."""
    frames = []
    while (batch := source.read(5)) is not None:
        frames += batch
    return frames


def test_probe_names_what_is_missing_and_the_remedy(
    devices: Path, play: Play, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    state = UsbMonitor("usbmon1").probe()
    assert (state.ok, state.reason) == (False, "dumpcap is not installed")
    assert "wireshark-common" in state.remedy
    play()
    assert UsbMonitor("usbmon1").probe().ok
    assert "usbmon0, usbmon1" in UsbMonitor("usbmon7").probe().remedy
    monkeypatch.setattr(os, "access", lambda path, mode: not str(path).startswith(str(devices)))
    state = UsbMonitor("usbmon1").probe()
    assert not state.ok
    assert "may not be read" in state.reason
    monkeypatch.undo()
    monkeypatch.setattr(usbmon, "_DEVICES", tmp_path / "nothing")
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    assert UsbMonitor("usbmon1").probe().remedy == "modprobe usbmon"
    (tmp_path / "bin/dumpcap").chmod(0o644)
    assert "may not be run" in UsbMonitor("usbmon1").probe().reason


def test_dumpcap_is_told_how_much_to_take(play: Play, tmp_path: Path) -> None:
    play(BEGIN, b"")
    with UsbMonitor("usbmon1", Tuning(buffer_kib=8192, snap=128)):
        pass
    assert (tmp_path / "arguments").read_text().split() == [
        "-q", "-i", "usbmon1", "-s", "128", "-B", "8", "-w", "-",
    ]  # fmt: skip
    with pytest.raises(UsageError, match="usbmon1 takes no capture filter"):
        UsbMonitor("usbmon1", Tuning(filter="node 0"))


def test_a_signal_ends_the_wait_for_dumpcap(play: Play, tmp_path: Path) -> None:
    """It looks at all interfaces first, and may take a minute."""
    play(b"", instead="kill -TERM $PPID; while :; do sleep 0.02; done")
    said = io.StringIO()
    assert run(UsbMonitor("usbmon1"), CaptureFiles((tmp_path / "never").open), said) == 0  # type: ignore[arg-type]
    assert said.getvalue() == "ended before there was anything to capture\n"
    assert gone(tmp_path)


def test_interfaces_that_are_there_are_sources_in_their_order(devices: Path) -> None:
    (devices / "usbmon10").touch()
    (devices / "usbmon2").touch()
    (devices / "usbmonX").touch()
    assert names()[len(BACKENDS) :] == ["usbmon0", "usbmon1", "usbmon2", "usbmon10"]
    for path in devices.iterdir():
        path.unlink()
    assert names()[len(BACKENDS) :] == ["usbmon0"]


def test_frames_are_those_that_a_reader_of_the_same_bytes_makes(play: Play, tmp_path: Path) -> None:
    begin = BEGIN + sent(1) + sent(2, cut=7) + sent(3, b"")
    end = sent(4) + counted(5)
    play(begin, end)
    with UsbMonitor("usbmon1") as source:
        assert source.origin.name == "usbmon1"
        assert "Linux 6.1.0-test" in source.origin.note
        frames: list[Frame] = []
        while len(frames) < 3:
            frames += source.read(5) or []
        assert source.read(0.01) == []
        source.stop()
        frames += drain(source)
        assert source.statistics[:3] == (4, 5, 1)
        assert source.read(0) is None
    read = list(Reader(io.BytesIO(begin + end)))
    assert [frame._replace(origin=read[0].origin) for frame in frames] == read
    assert {frame.link for frame in frames} == {Link.USBMON_MMAPPED}
    assert Flag.TRUNCATED in frames[1].flags
    assert (tmp_path / "arguments").read_text().split() == ["-q", "-i", "usbmon1", "-w", "-"]
    assert gone(tmp_path)


def test_what_is_captured_is_saved_as_it_came(play: Play, tmp_path: Path) -> None:
    begin, end = BEGIN + b"".join(sent(number) for number in range(20)), counted(3)
    play(begin, end)
    path, narration = tmp_path / "saved.pcapng", io.StringIO()
    source = open_source("usbmon1")
    assert run(source, CaptureFiles(lambda: path.open("wb"), Limits(packets=20)), narration) == 0
    saved = Reader(io.BytesIO(path.read_bytes()))
    came = list(pcapng.RecordReader(io.BytesIO(begin + end)))
    records = list(saved.records)
    assert [record[1:-1] for record in records] == [record[1:-1] for record in came]
    assert {record.interface.link_type for record in records} == {USBMON_MMAPPED}
    assert records[0].interface.options[pcapng.IF_NAME] == b"usbmon1"
    assert saved.dropped == 3
    assert "20 packets, 3 lost" in narration.getvalue()
    assert "keyboard" in narration.getvalue()


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ("echo 'Capturing on x' >&2; echo 'dumpcap: no rights' >&2; exit 2", "dumpcap: no rights"),
        ("exit 1", "dumpcap ended without a reason"),
    ],
)
def test_a_dumpcap_that_does_not_begin_says_why(play: Play, tmp_path: Path, said: str, reason: str) -> None:
    play(b"", instead=said)
    with pytest.raises(SourceUnavailable, match=reason):
        UsbMonitor("usbmon1").open()
    assert gone(tmp_path)


def test_a_dumpcap_that_never_begins_is_given_up(play: Play, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(usbmon, "_START", 0.5)
    play(b"")
    with pytest.raises(SourceUnavailable, match="did not begin"):
        UsbMonitor("usbmon1").open()
    assert gone(tmp_path)


def test_a_dumpcap_that_cannot_be_run_is_told(play: Play, tmp_path: Path) -> None:
    play()
    (tmp_path / "bin/dumpcap").write_bytes(b"\x7fELF is not enough")
    with pytest.raises(SourceUnavailable, match="cannot be run"):
        UsbMonitor("usbmon1").open()


@pytest.mark.parametrize(
    ("tail", "instead", "reason"),
    [
        (b"", "echo 'dumpcap: the bus has gone' >&2; exit 2", "the bus has gone"),
        (sent(3)[:-10], "exit 0", "cut short"),
        (sent(3)[:-10], "kill -9 $$", "without a reason"),
    ],
)
def test_frames_of_before_the_end_are_kept_when_dumpcap_dies(
    play: Play, tail: bytes, instead: str, reason: str
) -> None:
    play(BEGIN + sent(1) + sent(2) + tail, instead=instead)
    with UsbMonitor("usbmon1") as source:
        frames: list[Frame] = []
        with pytest.raises(SourceFailed, match=reason):
            while (batch := source.read(5)) is not None:
                frames += batch
        assert len(frames) == 2


def test_a_bus_that_leaves_ends_the_capture(play: Play) -> None:
    play(BEGIN + sent(1) + counted(0), instead="exit 0")
    with UsbMonitor("usbmon1") as source:
        assert len(drain(source)) == 1


def test_who_does_not_read_keeps_neither_memory_nor_the_thread(play: Play, tmp_path: Path) -> None:
    before = threading.active_count()
    play(BEGIN + b"".join(sent(number) for number in range(3 * usbmon._QUEUED)))
    source = UsbMonitor("usbmon1")
    source.open()
    first = source.read(5) or []
    assert 0 < len(first) <= 2 * usbmon._QUEUED
    source.close()
    source.close()
    assert threading.active_count() == before
    assert gone(tmp_path)
    assert source.read(0) is None
