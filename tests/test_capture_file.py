# SPDX-License-Identifier: GPL-2.0-or-later
"""Frames written are the frames read, and no file, however damaged, does more than end early and say so."""

from __future__ import annotations

import io
import os
import struct
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qmisniff import pcapng
from qmisniff.capture_file import EXPORTED_PDU, USER0, Reader, Writer
from qmisniff.errors import CaptureFileError
from qmisniff.frame import USB_LINKS, Direction, Flag, Frame, Hook, Link, Origin
from tests import factories as make


def saved(frames: list[Frame]) -> bytes:
    stream = io.BytesIO()
    writer = Writer(stream)
    writer.write(frames)
    writer.close()
    return stream.getvalue()


def read(data: bytes) -> tuple[list[Frame], str]:
    reader = Reader(io.BytesIO(data))
    return list(reader), reader.damage


origins = st.builds(
    Origin,
    backend=st.sampled_from(["kernel", "lookup"]),
    name=st.text("abc:/", min_size=1, max_size=9),
    clock=st.sampled_from(["", "mono"]),
    note=st.text("abc ", max_size=9),
)


@st.composite
def frames(draw: st.DrawFn) -> Frame:
    data = draw(st.binary(max_size=90))
    more = draw(st.sampled_from([0, 0, 5]))
    return Frame(
        ts_ns=draw(st.integers(0, pcapng.MAX_TS_NS)),
        data=data,
        orig_len=len(data) + more,
        link=draw(st.sampled_from([link for link in Link if link not in USB_LINKS])),
        direction=draw(st.sampled_from(Direction)),
        hook=draw(st.sampled_from(Hook)),
        flags=Flag(draw(st.sampled_from([0, 1, 4]))) | (Flag.TRUNCATED if more else Flag(0)),
        pid=draw(st.integers(-1, 2**31 - 1)),
        comm=draw(st.text("abcé-", max_size=8)),
        cpu=draw(st.integers(-1, 0xFFFE)),
        lost=draw(st.integers(0, 2**40)),
        origin=draw(origins),
    )


@given(st.lists(frames(), max_size=6))
def test_what_is_written_is_read(written: list[Frame]) -> None:
    assert read(saved(written)) == (written, "")


def test_losses_are_counted_at_the_end() -> None:
    stream = io.BytesIO()
    writer = Writer(stream)
    writer.write([make.frame(b"1234", lost=3), make.frame(b"5678", lost=4)])
    writer.close()
    reader = Reader(io.BytesIO(stream.getvalue()))
    assert [frame.lost for frame in reader] == [3, 4]
    assert reader.dropped == 7


def test_the_statistics_say_what_became_of_the_packets() -> None:
    stream = io.BytesIO()
    writer = Writer(stream)
    writer.write([Frame(1, b"x", 1)])
    writer.close(5, "lost, for a reason: 5")
    stream.seek(0)
    reader = Reader(stream)
    assert len(list(reader)) == 1
    told = reader.records.statistics
    numbers = [pcapng.option_number(told[code], "<") for code in (pcapng.ISB_RECEIVED, pcapng.ISB_DROPPED)]
    assert (numbers, reader.dropped) == ([6, 5], 5)
    assert pcapng.option_number(told[pcapng.ISB_DELIVERED], "<") == 1
    assert told[pcapng.OPT_COMMENT] == b"lost, for a reason: 5"


@given(st.integers(0, 2**64 - 1), st.binary(max_size=9), st.dictionaries(st.integers(1, 9), st.binary(max_size=9)))
def test_packets_are_packed_as_any_block_is(ts: int, body: bytes, options: dict[int, bytes]) -> None:
    values = (3, *pcapng.split_ts(ts), len(body), 77)
    wanted = pcapng.pack_block(pcapng.PACKET, *values, body=body, options=options)
    assert pcapng.pack_packet(3, ts, body, 77, pcapng.pack_options(options.items())) == wanted


def test_every_prefix_keeps_what_came_before_the_cut() -> None:
    written = [make.frame(make.qrtr(bytes(n)), at_ms=n) for n in range(1, 6)]
    whole = saved(written)
    complete = set()
    for size in range(len(whole)):
        try:
            got, damage = read(whole[:size])
        except CaptureFileError as error:
            assert size < 100, "the section header is all that may be refused"
            assert "\n" not in str(error)
            continue
        assert got == written[: len(got)]
        if not damage:
            complete.add(len(got))
    # A cut between two blocks is no damage; every other cut is told.
    assert complete == {0, 1, 2, 3, 4, 5}


@given(st.binary(max_size=200))
def test_arbitrary_bytes_are_refused_in_one_line_or_read(data: bytes) -> None:
    for start in (b"", b"\n\r\r\n", b"\xd4\xc3\xb2\xa1"):
        try:
            read(start + data)
        except CaptureFileError as error:
            assert str(error) and "\n" not in str(error)


@given(st.data())
def test_a_changed_byte_never_raises(data: st.DataObject) -> None:
    whole = bytearray(saved([make.frame(make.qrtr(b"payload"), lost=1), make.frame(make.qrtr(b"more"))]))
    for _ in range(data.draw(st.integers(1, 4))):
        whole[data.draw(st.integers(28, len(whole) - 1))] = data.draw(st.integers(0, 255))
    read(bytes(whole))


@pytest.mark.parametrize("content", [b"", b"#!/bin/sh\n", b"\x7fELF", b"\0" * 64])
def test_what_is_no_capture_is_refused(content: bytes) -> None:
    with pytest.raises(CaptureFileError):
        Reader(io.BytesIO(content))


def record(link_type: int, data: bytes, order: str = "<") -> bytes:
    """A capture of one record in byte order `order`, microsecond clock, time 1 s + 5 us."""

    def block(code: int, body: bytes) -> bytes:
        return struct.pack(order + "II", code, len(body) + 12) + body + struct.pack(order + "I", len(body) + 12)

    return (
        block(0x0A0D0D0A, struct.pack(order + "IHHq", 0x1A2B3C4D, 1, 0, -1))
        + block(1, struct.pack(order + "HHI", link_type, 0, 0))
        + block(0xBAD, b"what a reader does not know it passes over..")
        + block(6, struct.pack(order + "5I", 0, 0, 1_000_005, len(data), len(data)) + data + bytes(-len(data) % 4))
    )


def exported(dissector: bytes, packet: bytes) -> bytes:
    """An exported PDU as Wireshark and other tools write it: big-endian tags, the name padded to four bytes."""
    name = dissector + bytes(-len(dissector) % 4)
    return struct.pack(">HH", 12, len(name)) + name + struct.pack(">HH", 0, 0) + packet


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize(
    ("link_type", "data", "link"),
    [
        (EXPORTED_PDU, exported(b"qrtr", b"packet"), Link.QRTR),
        (EXPORTED_PDU, exported(b"qmux", b"packet"), Link.QMUX),
        (EXPORTED_PDU, exported(b"qmi", b"packet"), Link.QMI),
        (USER0, b"packet", Link.QMUX),
    ],
)
def test_bare_records_of_other_tools(order: str, link_type: int, data: bytes, link: Link) -> None:
    (got,), damage = read(record(link_type, data, order))
    assert (got.data, got.link, got.ts_ns, damage) == (b"packet", link, 1_000_005_000, "")


@pytest.mark.parametrize("data", [exported(b"sip", b"x"), b"", b"\0\x0c\xff\xffqm", exported(b"qmisniff", b"\x01")])
def test_other_records_keep_their_bytes_and_their_number(data: bytes) -> None:
    (got,), _ = read(record(EXPORTED_PDU, data))
    assert (got.data, got.link) == (data, Link.OTHER)


@pytest.mark.parametrize(("magic", "ts_ns"), [(0xA1B2C3D4, 1_000_005_000), (0xA1B23C4D, 1_000_000_005)])
@pytest.mark.parametrize("order", ["<", ">"])
def test_classic_pcap(order: str, magic: int, ts_ns: int) -> None:
    head = struct.pack(order + "IHHIIII", magic, 2, 4, 0, 0, 65535, USER0)
    packet = struct.pack(order + "IIII", 1, 5, 4, 9) + b"qmux"
    (got,), damage = read(head + packet)
    assert (got.data, got.orig_len, got.ts_ns, damage) == (b"qmux", 9, ts_ns, "")
    assert Flag.TRUNCATED in got.flags
    assert read(head + packet[:-1])[1].startswith("capture: cut short at offset 24")


@pytest.mark.parametrize(
    ("block", "said"),
    [
        (struct.pack("<II", 6, 0xFFFFFFFC), "a block of 4294967292 bytes"),
        (struct.pack("<II", 6, 8), "a block of 8 bytes"),
        (pcapng.pack_block(pcapng.PACKET, 7, 0, 0, 0, 0), "names interface 7"),
        (pcapng.pack_block(pcapng.PACKET, 0, 0, 0, 400, 400), "claims 400 bytes"),
    ],
)
def test_lying_blocks_are_told_with_their_offset(block: bytes, said: str) -> None:
    good = saved([make.frame(make.qrtr(b"kept"))])
    got, damage = read(good + block)
    assert len(got) == 1
    assert said in damage
    assert str(len(good)) in damage


def test_absurd_times_and_counts_are_bounded() -> None:
    options = {pcapng.IF_TSRESOL: b"\x00", pcapng.IF_TSOFFSET: struct.pack("<q", -(2**62))}
    data = (
        pcapng.pack_section({})
        + pcapng.pack_block(pcapng.INTERFACE, USER0, 0, 0, options=options)
        + pcapng.pack_block(pcapng.PACKET, 0, 0, 7, 0, 0, options={pcapng.EPB_DROPCOUNT: b"\xff" * 99})
        + pcapng.pack_block(pcapng.INTERFACE, USER0, 0, 0)
        + pcapng.pack_block(pcapng.PACKET, 1, 2**32 - 1, 2**32 - 1, 0, 0)
    )
    got, _ = read(data)
    assert [frame.ts_ns for frame in got] == [0, pcapng.MAX_TS_NS]
    assert got[0].lost == 2**64 - 1
    assert read(saved(got)) == (got, "")


def test_a_pipe_yields_a_frame_as_soon_as_it_is_written() -> None:
    out, into = os.pipe()
    with os.fdopen(out, "rb") as source, os.fdopen(into, "wb") as sink:
        writer = Writer(sink)
        written = make.frame(make.qrtr(b"now"))
        writer.write([written])
        got: list[Frame] = []
        thread = threading.Thread(target=lambda: got.append(next(iter(Reader(source)))))
        thread.start()
        thread.join(5)
        assert got == [written]
