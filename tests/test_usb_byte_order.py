# SPDX-License-Identifier: GPL-2.0-or-later
"""usbmon captures of big-endian machines: the numbers in their headers have the byte order of the file."""

from __future__ import annotations

import json
import random
import shutil
import struct
import subprocess
from collections.abc import Iterable
from pathlib import Path

import pytest

from qmisniff.capture_file import USER0, Reader
from qmisniff.dissect import Dissector
from qmisniff.filter import compile_filter
from qmisniff.store import Store
from qmisniff.store.load import Loader
from tests.differential.corpus import registry
from tests.differential.mutations import mutate
from tests.usb_capture import LINK_TYPES, USBMON_MMAPPED, USBPCAP, Bus, Record, save
from tests.usb_conversation import FILTERS, conversation

dissector = Dissector(registry())


def block(order: str, code: int, content: bytes) -> bytes:
    content += bytes(-len(content) % 4)
    length = struct.pack(order + "I", len(content) + 12)
    return struct.pack(order + "I", code) + length + content + length


def section(order: str, records: Iterable[tuple[int, bytes]], *link_types: int) -> bytes:
    """A pcapng section with an interface for each link type; a record names its interface."""
    made = block(order, 0x0A0D0D0A, struct.pack(order + "IHHq", 0x1A2B3C4D, 1, 0, -1))
    made += b"".join(block(order, 1, struct.pack(order + "HHI", link_type, 0, 0)) for link_type in link_types)
    for number, data in records:
        made += block(order, 6, struct.pack(order + "5I", number, 0, 7, len(data), len(data)) + data)
    return made


def hostile(link_type: int) -> list[Record]:
    """Everything that may be on a bus, isochronous transfers with descriptors that are not there, cut and damaged."""
    rng, bus = random.Random(link_type), Bus(link_type, order=">")
    records = conversation(1, link_type, 20, ">")
    for number in range(4):
        for claimed in (0, number, number + 1, 1 << 31):
            records += bus.isochronous(number, b"data" * number, claimed)
            whole = records[-1].data
            records += [Record(whole[: rng.randrange(1, len(whole))], 5) for _ in range(5)]
    return records + [Record(mutate(rng, each.data) or b"\0") for each in records]


def bulk(path: Path) -> Store:
    store = Store()
    with path.open("rb") as stream:
        for _ in Loader(stream, small=0).into(store):
            pass
    return store


def same(path: Path) -> Store:
    """The file's frames, which are the same however they are read."""
    alone, store = Store(), bulk(path)
    with path.open("rb") as stream:
        alone.extend(Reader(stream))
    assert len(alone) == len(store)
    for row in range(len(store)):
        assert alone.frame(row) == store.frame(row)
        assert alone.context(row) == store.context(row), row
    return store


@pytest.mark.parametrize("link_type", LINK_TYPES)
def test_frames_are_those_of_a_little_endian_machine(link_type: int, tmp_path: Path) -> None:
    little = same(save(tmp_path / "little.pcap", link_type, conversation(3, link_type)))
    big = same(save(tmp_path / "big.pcap", link_type, conversation(3, link_type, order=">"), ">"))
    assert [big.frame(row) for row in range(len(big))] == [little.frame(row) for row in range(len(little))]


@pytest.mark.parametrize("link_type", LINK_TYPES)
def test_sections_of_both_kinds_and_other_interfaces(
    link_type: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("qmisniff.store.blocks._LEAST_RUN", 3)
    monkeypatch.setattr("qmisniff.store.blocks._LEAST_SEARCH", 1 << 10)
    qmux = bytes.fromhex("01 0c 00 00 02 01 00 01 00 25 00 00 00")
    data = b""
    for order in "><>":
        records = conversation(5, link_type, 6, order)
        among = [(0, record.data) if number % 7 else (1, qmux) for number, record in enumerate(records)]
        data += section(order, among, link_type, USER0) + section(order, among[:5], link_type, USER0)
    path = tmp_path / "mixed.pcapng"
    path.write_bytes(data)
    store = same(path)
    third = len(store) // 3
    frames = [store.frame(row) for row in range(len(store))]
    assert frames[:third] == frames[third : 2 * third] == frames[2 * third :]


@pytest.mark.parametrize("link_type", LINK_TYPES)
def test_filters_by_columns_select_what_they_do_by_frames(
    link_type: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("qmisniff.filter.compile.FEW", 0)
    store = same(save(tmp_path / "big.pcap", link_type, hostile(link_type), ">"))
    for text in FILTERS:
        test = compile_filter(text, registry())
        found = [row for part in test.rows(store, dissector) for row in part.rows]
        assert found == [
            row for row in range(len(store)) if test.matches(store.frame(row), store.context(row), dissector)
        ], text


@pytest.mark.skipif(shutil.which("tshark") is None, reason="tshark is not installed (tests/setup-debian)")
@pytest.mark.parametrize("link_type", LINK_TYPES)
@pytest.mark.parametrize("pcapng", [False, True])
def test_tshark_turns_the_same_bytes(link_type: int, pcapng: bool, tmp_path: Path) -> None:
    records = hostile(link_type)
    path = save(tmp_path / "big", link_type, records, ">")
    if pcapng:
        path.write_bytes(section(">", ((0, record.data) for record in records), link_type))
    command = ["tshark", "-n", "-r", str(path), "-T", "json", "-x", "-j", "frame"]
    shown = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
    with path.open("rb") as stream:
        frames = [frame.data.hex() for frame in Reader(stream)]
    assert frames == [packet["_source"]["layers"]["frame_raw"][0] for packet in shown]
    assert (link_type == USBPCAP) == (frames == [record.data.hex() for record in records])


def test_a_header_that_is_not_whole_is_turned_as_far_as_it_goes(tmp_path: Path) -> None:
    (whole,) = Bus(USBMON_MMAPPED, 5, 0x0102, order=">").bulk(b"data")
    records = [Record(whole.data[:size]) for size in range(1, len(whole.data))]
    store = same(save(tmp_path / "big.pcap", USBMON_MMAPPED, records, ">"))
    (little,) = Bus(USBMON_MMAPPED, 5, 0x0102).bulk(b"data")
    for place in (8, 14, 24, 44, 64):  # where a number has ended
        assert store.frame(place - 1).data == little.data[:place]
    assert store.frame(12).data == little.data[:12] + b"\1"  # the first byte of a number
