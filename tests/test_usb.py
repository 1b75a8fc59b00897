# SPDX-License-Identifier: GPL-2.0-or-later
"""USB captures from file to tree: what is QMI in them, what came in parts, and what only looks like it."""

from __future__ import annotations

import io
import struct
from collections.abc import Iterable, Sequence
from pathlib import Path

import pytest

from qmisniff.capture_file import Reader, Writer
from qmisniff.cli import main
from qmisniff.dissect import Dissector
from qmisniff.dissect.parts import assembled
from qmisniff.field import Field
from qmisniff.filter.compile import FEW, compile_filter
from qmisniff.frame import Link
from qmisniff.protocol.mbim import COMMAND, COMMAND_DONE, INDICATE_STATUS
from qmisniff.store import Store
from qmisniff.store.load import Loader
from tests import factories
from tests.differential.corpus import registry
from tests.oracle.libqmi import qmux
from tests.usb_capture import (
    CONTROL,
    IN,
    LINK_TYPES,
    SEND,
    USBMON_MMAPPED,
    USBPCAP,
    Bus,
    Record,
    cut,
    in_mbim,
    pieces,
    save,
    setup,
)
from tests.usb_conversation import FILTERS, conversation, damaged

DMS, WDS = 2, 1
IMEI = "001010123456789"
REQUEST = factories.qmi(0, 1, 0x25)
RESPONSE = factories.qmi(2, 1, 0x25, factories.tlv(2, bytes(4)), factories.tlv(0x11, IMEI.encode()))
ASKED, ANSWERED = qmux(DMS, 0, REQUEST), qmux(DMS, 1, RESPONSE)
OTHER = qmux(WDS, 1, factories.qmi(4, 5, 0x22, factories.tlv(1, b"\2\0")))  # an indication
NAME = "qmi.dms.get_ids.imei"

dissector = Dissector(registry())


def store_of(records: Iterable[Record], path: Path, link_type: int = USBMON_MMAPPED) -> Store:
    store = Store()
    with save(path / "usb.pcap", link_type, records).open("rb") as stream:
        store.extend(Reader(stream))
    return store


def values(store: Store, row: int) -> dict[str, object]:
    return dissector.values(store.frame(row), store.context(row))


def rows_with(store: Store, name: str) -> list[int]:
    return [row for row in range(len(store)) if name in values(store, row)]


def shown(store: Store, row: int) -> str:
    return dissector.summary(store.frame(row), store.context(row)).info


def problems(store: Store, row: int) -> object:
    return values(store, row).get("expert.message")


@pytest.mark.parametrize("link_type", LINK_TYPES)
def test_a_request_and_its_response(link_type: int, tmp_path: Path) -> None:
    bus = Bus(link_type, 5, 3)
    store = store_of([*bus.out(ASKED), *bus.notification(), *bus.get(ANSWERED)], tmp_path, link_type)
    assert rows_with(store, "qmi.msgid") == [0, 4]
    asked, answered = values(store, 0), values(store, 4)
    assert (asked["qmi.response_in"], answered["qmi.response_to"], answered[NAME]) == (5, 1, IMEI)
    assert (asked["usb.bus_id"], asked["usb.device_address"], asked["usb.setup.wIndex"]) == (3, 5, 8)
    assert (asked["usb.src"], asked["usb.dst"], answered["usb.src"]) == ("host", "3.5.0", "3.5.0")
    assert values(store, 2)["usbcom.interrupt.notification_code.label"] == "RESPONSE_AVAILABLE"
    assert [shown(store, row) for row in (1, 2, 3)] == [
        "control out, completed",
        "interrupt in, RESPONSE_AVAILABLE, 8 bytes",
        "control in, GET_ENCAPSULATED_RESPONSE, submitted",
    ]


@pytest.mark.parametrize("to_host", [False, True])
def test_a_message_split_anywhere_is_whole_where_it_ends(to_host: bool, tmp_path: Path) -> None:
    bus = Bus(USBMON_MMAPPED)
    transfer = bus.get if to_host else bus.out
    at = int(to_host)
    for place in range(13, len(ANSWERED)):
        data = ANSWERED if to_host else ANSWERED[:3] + b"\0" + ANSWERED[4:]
        parts = [record for piece in pieces(data, place) for record in transfer(piece)]
        store = store_of(parts, tmp_path)
        assert rows_with(store, NAME) == [2 + at]
        assert values(store, at)["qmux.reassembled_in"] == 3 + at
        assert "expert.message" not in values(store, at)
        whole = values(store, 2 + at)
        assert (whole[NAME], whole["qmux.part"]) == (IMEI, 1 + at)
        frame, context = store.frame(2 + at), store.context(2 + at)
        data = assembled(frame, context)
        assert data == frame.data + (ANSWERED if to_host else ANSWERED[:3] + b"\0" + ANSWERED[4:])
        found = next(field for field in dissector.tree(frame, context).walk() if field.spec.name == NAME)
        assert data[found.offset : found.offset + found.size] == IMEI.encode()


def test_the_bytes_of_a_whole_message(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """They are not those of its frame: filters and hex dumps know where they are."""
    bus = Bus(USBMON_MMAPPED)
    records = [record for piece in pieces(ANSWERED, 20) for record in bus.get(piece)]
    path = str(save(tmp_path / "usb.pcap", USBMON_MMAPPED, records))
    for test in (f'qmux[0] == 01 and qmi contains "{IMEI}"', "qmux.part == 2", f"{NAME}[0:3] == 30:30:31"):
        assert main(["read", path, "-Y", test]) == 0
        assert capsys.readouterr().out.startswith("     4 ")
    assert main(["read", path, "-Y", "qmi", "-x"]) == 0
    printed = capsys.readouterr().out
    assert f"Reassembled message ({len(ANSWERED)} bytes, from {64 + len(ANSWERED) - 20} on):\n0000  01 " in printed


def test_frames_cut_without_regard_to_messages(tmp_path: Path) -> None:
    bus = Bus(USBMON_MMAPPED)
    stream = OTHER + ANSWERED + OTHER
    records = bus.out(ASKED)
    for piece in pieces(stream, len(OTHER) + 20, len(OTHER) + 30, len(stream) - 4):
        records += bus.get(piece)
    store = store_of(records, tmp_path)
    assert shown(store, 3).startswith("Indication: Packet Service Status")
    assert values(store, 3)["qmux.reassembled_in"] == 8
    assert shown(store, 5) == "10 bytes, part of a message"
    assert shown(store, 7).startswith("Response: Get IDs")
    assert (values(store, 7)["qmux.part"], values(store, 7)["qmi.response_to"]) == ([4, 6], 1)
    assert (values(store, 7)["qmux.reassembled_in"], values(store, 9)["qmux.part"]) == (10, 8)
    assert values(store, 9)["qmi.msgid"] == 0x22


def test_several_messages_in_one_transfer(tmp_path: Path) -> None:
    bus = Bus(USBMON_MMAPPED)
    second = qmux(DMS, 1, factories.qmi(2, 2, 0x20, factories.tlv(2, bytes(4))))
    records = [*bus.out(ASKED), *bus.out(qmux(DMS, 0, factories.qmi(0, 2, 0x20))), *bus.get(OTHER + ANSWERED + second)]
    store = store_of(records, tmp_path)
    found = values(store, 5)
    assert found["qmi.msgid"] == [0x22, 0x25, 0x20]
    assert (found["qmi.response_to"], found[NAME]) == ([1, 3], IMEI)
    assert (values(store, 0)["qmi.response_in"], values(store, 2)["qmi.response_in"]) == (6, 6)
    assert shown(store, 5).endswith("(and 2 more)")
    tree = dissector.tree(store.frame(5), store.context(5))
    assert [layer.spec.name for layer in tree.children] == ["frame", "usb", *["qmux", "qmi"] * 3]


@pytest.mark.parametrize("kind", [COMMAND, COMMAND_DONE, INDICATE_STATUS])
@pytest.mark.parametrize("fragment", [0, 28, 48, 60])
def test_mbim(kind: int, fragment: int, tmp_path: Path) -> None:
    bus = Bus(USBMON_MMAPPED)
    transfer, at = (bus.out, 0) if kind == COMMAND else (bus.get, 1)
    parts = in_mbim(kind, ANSWERED + OTHER, 9, fragment)
    assert len(parts) > 1 or not fragment
    store = store_of([record for part in parts for record in transfer(part)], tmp_path)
    last = 2 * (len(parts) - 1) + at
    assert rows_with(store, NAME) == [last]
    found = values(store, last)
    assert (found[NAME], found["qmi.msgid"], found["mbim.txn"]) == (IMEI, [0x25, 0x22], 9)
    numbers = [2 * number + at + 1 for number in range(len(parts) - 1)]
    assert found.get("mbim.part", []) == (numbers if len(numbers) != 1 else numbers[0])
    for number in numbers:
        assert values(store, number - 1)["mbim.reassembled_in"] == last + 1
        assert "expert.message" not in values(store, number - 1)


def test_fragments_of_a_message_that_lost_one(tmp_path: Path) -> None:
    bus = Bus(USBMON_MMAPPED)
    first, _, *rest = in_mbim(COMMAND_DONE, ANSWERED + OTHER, 9, 30)
    assert rest
    store = store_of([record for part in (first, *rest) for record in bus.get(part)], tmp_path)
    assert not rows_with(store, "qmux.marker")
    assert problems(store, 1) == "the rest of this message is missing"
    assert problems(store, 3) == "the fragments before this one are missing"


def test_a_lost_part_never_joins_what_does_not_belong_together(tmp_path: Path) -> None:
    bus = Bus(USBMON_MMAPPED)
    first, _ = pieces(ANSWERED, 20)
    store = store_of([*bus.get(first), *bus.get(OTHER), *bus.get(ANSWERED)], tmp_path)
    assert problems(store, 1) == "the rest of this message is missing"
    assert [values(store, row)["qmi.msgid"] for row in (3, 5)] == [0x22, 0x25]
    assert not any("qmux.part" in values(store, row) for row in range(6))


def test_what_only_looks_like_qmi(tmp_path: Path) -> None:
    bus = Bus(USBMON_MMAPPED)
    records = [
        *bus.get(ANSWERED, (0xA1, 0x21)),  # another class request
        *bus.get(ANSWERED, (0x80, 0x06)),  # a standard request
        *bus.out(ASKED, (0x40, 0x00)),  # a vendor request
        Record(bus.record(CONTROL, IN, 77, True, b"", ANSWERED)),  # answers a request from before the capture
        *bus.bulk(ANSWERED),
        *bus.out(struct.pack("<IIIIII", 2, 24, 1, 1, 0, 16384)),  # RNDIS
        *bus.out(b"\1\5\0\0\0\0"),  # less than a message
        *bus.get(b"ATI\r\nOK\r\n"),
    ]
    store = store_of(records, tmp_path)
    assert not rows_with(store, "qmux.marker")
    assert {dissector.summary(store.frame(row), store.context(row)).protocol for row in range(len(store))} == {"USB"}
    assert values(store, 1)["data.data"] == ANSWERED


def test_a_completion_is_of_the_request_with_its_id(tmp_path: Path) -> None:
    bus = Bus(USBMON_MMAPPED)
    (get, got), (line, coding) = bus.get(ANSWERED), bus.get(ANSWERED, (0xA1, 0x21))
    store = store_of([get, line, got, coding], tmp_path)
    assert rows_with(store, NAME) == [2]


def test_devices_are_kept_apart(tmp_path: Path) -> None:
    one, other = Bus(USBMON_MMAPPED, 5), Bus(USBMON_MMAPPED, 6)
    first, second = pieces(ANSWERED, 20)
    records = [
        *one.out(ASKED),
        *other.out(ASKED),
        *one.get(first),
        *other.get(first),
        *one.get(second),
        *other.get(second),
    ]
    store = store_of(records, tmp_path)
    assert [(row, values(store, row)["qmi.response_to"]) for row in rows_with(store, "qmi.response_to")] == [
        (9, 1),
        (11, 3),
    ]


def test_what_the_capture_has_cut_off(tmp_path: Path) -> None:
    bus = Bus(USBMON_MMAPPED)
    submission, completion = bus.get(ANSWERED)
    mbim = bus.out(in_mbim(COMMAND, ASKED)[0])
    store = store_of([submission, cut(completion, 64 + 30), *bus.get(OTHER), cut(mbim[0], 64 + 60)], tmp_path)
    assert values(store, 1)["qmi.msgid"] == 0x25
    assert "bytes of the frame are missing" in str(problems(store, 1))
    assert values(store, 3)["qmi.msgid"] == 0x22
    assert values(store, 4)["qmi.msgid"] == 0x25


def test_usbpcap_before_version_1_5(tmp_path: Path) -> None:
    """The data of a command are in a record of their own, which claims to come from the device."""
    bus = Bus(USBPCAP)
    whole = bus.record(CONTROL, 0, 9, False, setup(SEND, len(ASKED)))
    data = bytearray(bus.record(CONTROL, 0, 9, True, b"", ASKED))
    data[27] = 1  # the stage
    store = store_of([Record(whole), Record(bytes(data)), *bus.get(ANSWERED)], tmp_path, USBPCAP)
    assert [values(store, row)["qmi.msgid"] for row in (1, 3)] == [0x25, 0x25]
    assert (values(store, 1)["usb.dst"], values(store, 3)["qmi.response_to"]) == ("1.5.0", 2)


@pytest.mark.parametrize("link_type", LINK_TYPES)
def test_a_store_in_bulk_is_the_store_row_by_row(link_type: int, tmp_path: Path) -> None:
    records = [record for seed in range(4) for record in conversation(seed, link_type)]
    alone = store_of(records, tmp_path, link_type)
    bulk = Store()
    with (tmp_path / "usb.pcap").open("rb") as stream:
        for _ in Loader(stream, small=0).into(bulk):
            pass
    assert len(bulk) == len(alone) == len(records)
    for row in range(len(alone)):
        assert bulk.frame(row) == alone.frame(row)
        assert bulk.context(row) == alone.context(row), row


@pytest.mark.parametrize("link_type", LINK_TYPES)
def test_chosen_packets_stay_decoded(link_type: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = save(tmp_path / "all.pcap", link_type, conversation(3, link_type))
    after = tmp_path / "some.pcap"
    assert (
        main(["export", "pcapng", str(before), "-Y", "qmi.msgid && !(usb.device_address == 6)", "-w", str(after)]) == 0
    )
    fields = ["-Y", "qmi.msgid && usb.device_address == 5", "-T", "fields", "-e", "frame.time_epoch", "-e", "qmi.msgid"]
    capsys.readouterr()
    assert main(["read", str(before), *fields]) == 0
    wanted = capsys.readouterr().out
    assert main(["read", str(after), *fields]) == 0
    assert capsys.readouterr().out == wanted and wanted.count("\n") > 20


@pytest.mark.parametrize("link_type", LINK_TYPES)
def test_filters_by_columns_select_what_they_do_by_frames(link_type: int, tmp_path: Path) -> None:
    records = [record for seed in range(3) for record in conversation(seed, link_type)] + damaged(link_type, 2)
    store = store_of(records, tmp_path, link_type)
    assert len(store) > FEW
    for text in FILTERS:
        test = compile_filter(text, registry())
        found = [row for part in test.rows(store, dissector) for row in part.rows]
        alone = [row for row in range(len(store)) if test.matches(store.frame(row), store.context(row), dissector)]
        assert found == alone, text
        assert alone or text.startswith(("usb.irp", "usb.urb", "qmi.result", "qmi.dms")), text


@pytest.mark.parametrize("link_type", LINK_TYPES)
def test_saved_frames_keep_their_link_type_and_bytes(link_type: int, tmp_path: Path) -> None:
    store = store_of(conversation(7, link_type), tmp_path, link_type)
    frames = [store.frame(row) for row in range(len(store))]
    sink = io.BytesIO()
    writer = Writer(sink)
    writer.write(frames)
    writer.close()
    reader = Reader(io.BytesIO(sink.getvalue()))
    assert list(reader) == frames
    assert {interface.link_type for interface in reader.records.interfaces} == {link_type}


@pytest.mark.parametrize("link_type", range(147, 163))
def test_user_link_types(link_type: int, tmp_path: Path) -> None:
    noise = b"nothing of ours"
    records = [Record(data) for data in (ASKED, ASKED + ANSWERED, REQUEST, RESPONSE, noise)]
    links = [Link.QMUX, Link.QMUX, Link.QMI, Link.QMI, Link.QMUX if link_type == 147 else Link.OTHER]
    store = store_of(records, tmp_path, link_type)
    assert [store.frame(row).link for row in range(5)] == links
    assert values(store, 1)["qmi.type"] == [0, 1]
    assert "qmi.response_to" not in values(store, 1)  # both are in one frame: it would be its own
    bulk = Store()
    with (tmp_path / "usb.pcap").open("rb") as stream:
        for _ in Loader(stream, small=0).into(bulk):
            pass
    assert [bulk.frame(row) for row in range(5)] == [store.frame(row) for row in range(5)]
    assert [bulk.context(row) for row in range(5)] == [store.context(row) for row in range(5)]


@pytest.mark.parametrize("link_type", LINK_TYPES)
def test_damaged_records(link_type: int, tmp_path: Path) -> None:
    """Whatever the records are: no exception, no field outside the bytes, nothing lost."""
    store = store_of(damaged(link_type, 3), tmp_path, link_type)
    for row in range(len(store)):
        frame, context = store.frame(row), store.context(row)
        data, tree = assembled(frame, context), dissector.tree(frame, context)
        assert data.startswith(frame.data)
        assert not outside(tree.children, len(data)), row
        dissector.summary(frame, context)
        dissector.json(frame, context)


def outside(fields: Sequence[Field], size: int) -> list[Field]:
    """Fields, and problems with ranges, that are not within so many bytes."""
    every = [field for top in fields for field in top.walk()]
    ranges = [(field, field.offset, field.size) for field in every]
    ranges += [(field, field.problem.offset, field.problem.size) for field in every if field.problem]
    return [field for field, offset, length in ranges if not 0 <= offset <= offset + length <= size]
