# SPDX-License-Identifier: GPL-2.0-or-later
"""QMUX frames taken out of USB captures: all that the tree shows, once, with time and direction; what is left out is
said."""

from __future__ import annotations

import io
import struct
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import pytest

from qmisniff.capture_file import Reader
from qmisniff.cli import main
from qmisniff.dissect import Dissector
from qmisniff.dissect.parts import assembled
from qmisniff.frame import Direction, Flag, Frame, Link
from qmisniff.pcapng import RecordReader
from qmisniff.protocol import qmux
from qmisniff.protocol.mbim import COMMAND_DONE
from qmisniff.store import Store
from tests import factories
from tests.differential.corpus import registry
from tests.oracle.libqmi import qmux as in_qmux
from tests.test_export_pcapng import option
from tests.usb_capture import LINK_TYPES, USBMON_MMAPPED, Bus, Record, cut, in_mbim, pieces, save
from tests.usb_conversation import conversation

CAPTURES = Path(__file__).parents[1] / "captures"
ASKED = in_qmux(2, 0, factories.qmi(0, 1, 0x25))
ANSWERED = in_qmux(2, 1, factories.qmi(2, 1, 0x25, factories.tlv(2, bytes(4)), factories.tlv(0x11, b"001010123456789")))
ONE_DEVICE = "usb.device_address == 5"

dissector = Dissector(registry())


class Sent(NamedTuple):
    """A QMUX frame of a capture: when, whither, its bytes, and what is read of it."""

    ts_ns: int
    direction: Direction
    data: bytes
    values: dict[str, object]


def store_of(path: Path) -> Store:
    store = Store()
    with path.open("rb") as stream:
        store.extend(Reader(stream))
    return store


def in_tree(store: Store, device: int | None = None) -> list[Sent]:
    """The frames that the trees of a USB capture show."""
    found = []
    for row in range(len(store)):
        frame, context = store.frame(row), store.context(row)
        tree, whole = dissector.tree(frame, context), assembled(frame, context)
        values = dissector.values(frame, context)
        if device not in (None, values.get("usb.device_address")):
            continue
        direction = Direction.OUTBOUND if values.get("usb.src") == "host" else Direction.INBOUND
        for layer in tree.children:
            if layer.spec.name == "qmux":
                bound = len(frame.data) if layer.offset < len(frame.data) else len(whole)
                data = whole[layer.offset : min(qmux.frame_end(whole, layer.offset), bound)]
                found.append(Sent(frame.ts_ns, direction, data, of_message(data)))
    return found


def of_message(data: bytes) -> dict[str, object]:
    store = Store()
    store.extend([Frame(0, data, len(data), Link.QMUX)])
    values = dissector.values(store.frame(0), store.context(0))
    return {name: value for name, value in values.items() if name.startswith(("qmux", "qmi"))}


def alone(path: Path) -> list[Sent]:
    """The frames of a capture that holds nothing else."""
    store = store_of(path)
    frames = [store.frame(row) for row in range(len(store))]
    assert {frame.link for frame in frames} <= {Link.QMUX}
    return [Sent(each.ts_ns, each.direction, each.data, of_message(each.data)) for each in frames]


def converted(source: Path, link: str, *options: str) -> Path:
    made = source.with_suffix(f".{link}.pcapng")
    assert main(["export", "pcapng", str(source), "--link", link, "-w", str(made), *options]) == 0
    return made


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("link_type", LINK_TYPES)
def test_every_frame_of_the_tree(link_type: int, order: str, tmp_path: Path) -> None:
    source = save(tmp_path / "usb.pcap", link_type, conversation(3, link_type, order=order), order)
    wanted = in_tree(store_of(source), 5)
    assert len(wanted) > 40
    made = converted(source, "user0", "-Y", ONE_DEVICE)
    assert alone(made) == wanted
    tapped = converted(source, "tap", "-Y", ONE_DEVICE)
    assert alone(tapped) == wanted
    assert converted(tapped, "user0").read_bytes() == made.read_bytes()


@pytest.mark.parametrize("sample", sorted(CAPTURES.glob("usb-*.pcapng")), ids=lambda path: path.stem)
def test_samples(sample: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    copy = tmp_path / "sample.pcapng"
    copy.write_bytes(sample.read_bytes())
    store = store_of(copy)
    wanted = in_tree(store)
    made = converted(copy, "user0")
    assert alone(made) == wanted
    said = capsys.readouterr().err
    assert said.startswith(f"{len(wanted)} packets\n") and f"of {len(store)} USB packets" in said
    assert "rest is missing" not in said
    # Requests and responses are still paired.
    new = store_of(made)
    answered = [store.context(row).response_ns for row in range(len(store)) if store.context(row).response_ns]
    assert [new.context(row).response_ns for row in range(len(new)) if new.context(row).response_ns] == answered


def usb(tmp_path: Path, records: Iterable[Record]) -> Path:
    return save(tmp_path / "usb.pcap", USBMON_MMAPPED, records)


def test_chosen_rows_bring_only_what_ends_in_them(tmp_path: Path) -> None:
    bus = Bus(USBMON_MMAPPED)
    first, second = pieces(ANSWERED, 20)
    records = [*bus.out(ASKED), *bus.get(ANSWERED + first), *bus.get(second)]
    assert [each.ts_ns % 10**9 // 10**6 for each in alone(converted(usb(tmp_path, records), "user0"))] == [0, 3, 5]
    made = converted(usb(tmp_path, records), "user0", "--frames", "6")
    assert [(each.ts_ns % 10**9 // 10**6, each.data) for each in alone(made)] == [(5, ANSWERED)]


def test_frames_of_another_device_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    records = [*Bus(USBMON_MMAPPED, 5).out(ASKED), *Bus(USBMON_MMAPPED, 6).get(ANSWERED)]
    source, out = usb(tmp_path, records), tmp_path / "out.pcapng"
    command = ["export", "pcapng", str(source), "--link", "user0", "-w", str(out)]
    assert main(command) == 2
    said = capsys.readouterr().err
    assert "frame 4: of another USB device" in said and not out.exists()
    assert main([*command, "-Y", said.split("'")[1]]) == 0
    assert [each.data for each in alone(out)] == [ANSWERED]


def test_what_is_left_out_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bus = Bus(USBMON_MMAPPED)
    lost, _ = pieces(ANSWERED, 20)
    fragment, _ = in_mbim(COMMAND_DONE, ANSWERED, 7, 50)
    records = [*bus.get(lost), *bus.get(fragment), *bus.out(ASKED + bytes(3)), *bus.bulk(b"data")]
    assert [each.data for each in alone(converted(usb(tmp_path, records), "user0"))] == [ASKED]
    said = capsys.readouterr().err.splitlines()
    assert said[0] == "1 packet"
    assert "of 7 USB packets" in said[1] and "6 bring none to its end" in said[1]
    assert said[2].endswith("2 packets hold parts of messages whose rest is missing, left out too: 2, 4")


def test_a_frame_of_which_the_capture_has_less_still_says_so(tmp_path: Path) -> None:
    bus = Bus(USBMON_MMAPPED)
    submission, completion = bus.get(ANSWERED)
    records = [submission, cut(completion, 64 + 20)]
    store = store_of(converted(usb(tmp_path, records), "user0"))
    frame = store.frame(0)
    assert (frame.data, frame.orig_len, frame.flags) == (ANSWERED[:20], len(ANSWERED), Flag.TRUNCATED)


@pytest.mark.parametrize("order", ["<", ">"])
def test_comments_and_flags_go_with_the_first_frame(order: str, tmp_path: Path) -> None:
    bus = Bus(USBMON_MMAPPED, order=order)
    body = bus.out(ASKED + ASKED)[0].data
    flags, lost = struct.pack(order + "I", 0x101), struct.pack(order + "Q", 4)
    content = struct.pack(order + "5I", 0, 0, 7, len(body), len(body)) + body + bytes(-len(body) % 4)
    content += option(order, 1, b"look") + option(order, 2, flags) + option(order, 4, lost) + bytes(4)
    length = struct.pack(order + "I", len(content) + 12)
    source = tmp_path / "usb.pcapng"
    section = struct.pack(order + "IIIHHqI", 0x0A0D0D0A, 28, 0x1A2B3C4D, 1, 0, -1, 28)
    interface = struct.pack(order + "IIHHII", 1, 20, USBMON_MMAPPED, 0, 0, 20)
    source.write_bytes(section + interface + struct.pack(order + "I", 6) + length + content + length)
    data = converted(source, "user0").read_bytes()
    assert [(each.flags, each.dropped, each.data) for each in RecordReader(io.BytesIO(data))] == [
        (0x102, 4, ASKED),
        (0x002, 0, ASKED),
    ]
    assert data.count(b"look") == 1
