# SPDX-License-Identifier: GPL-2.0-or-later
"""The store gives back what was put in, row by row and in columns, however it was filled."""

from __future__ import annotations

import gzip
import io
import random
import struct
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from threading import Thread

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from qmisniff import pcapng
from qmisniff.capture_file import EXPORTED_PDU, USER0, Reader, Writer
from qmisniff.errors import CaptureFileError
from qmisniff.frame import Direction, Flag, Frame, Hook, Link, Origin
from qmisniff.protocol import qmi, qmux, qrtr
from qmisniff.protocol.context import Context
from qmisniff.readers import compressed
from qmisniff.store import Store
from qmisniff.store.distinct import Distinct
from qmisniff.store.load import Loader, PipeReader
from tests import factories as make

SAMPLE = Path(__file__).parents[1] / "captures" / "first-contact.pcapng"
PORTS = (10, 11, 0x4001, 0x4002, 0x4003)
NODES = (make.MODEM, make.HOST)


@pytest.fixture(autouse=True, scope="module")
def _runs_of_any_length() -> Iterator[None]:
    """Even a single record goes the way of many: else small files would not test it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("qmisniff.store.blocks._LEAST_RUN", 1)
        yield


def filled(frames: list[Frame]) -> Store:
    store = Store()
    store.extend(frames)
    return store


def loaded(path: Path, small: int = -1) -> tuple[Store, Loader]:
    """A file's frames in bulk, however few they are."""
    store = Store()
    with path.open("rb") as stream:
        loader = Loader(stream, "capture", small)
        counts = list(loader.into(store))
    assert counts == sorted(counts)
    return store, loader


def one_by_one(data: bytes) -> tuple[Store, Reader]:
    reader = Reader(io.BytesIO(data))
    return filled(list(reader)), reader


def same(one: Store, other: Store) -> None:
    """Both hold the same frames and know the same about them."""
    assert len(one) == len(other)
    for row in range(len(one)):
        assert one.frame(row) == other.frame(row)
        assert one.context(row) == other.context(row)


def agree(data: bytes, path: Path) -> str:
    """Load a file both ways; what is wrong with it."""
    path.write_bytes(data)
    try:
        scalar, reader = one_by_one(data)
    except CaptureFileError as error:
        with pytest.raises(CaptureFileError) as refused:
            loaded(path)
        assert str(refused.value) == str(error)
        return str(error)
    bulk, loader = loaded(path)
    assert (loader.damage, loader.dropped) == (reader.damage, reader.dropped)
    assert loader.lost == sum(scalar.frame(row).lost for row in range(len(scalar)))
    same(scalar, bulk)
    columns_tell_the_truth(bulk)
    return reader.damage


# ---- traffic in which much happens: announcements, ends, TFTP, pairs, both header versions, damage ----

addresses = st.tuples(st.sampled_from(NODES), st.sampled_from(PORTS))


@st.composite
def control(draw: st.DrawFn) -> bytes:
    node, port = draw(addresses)
    kind = draw(
        st.sampled_from([make.NEW_SERVER, make.NEW_SERVER, make.DEL_SERVER, make.DEL_CLIENT, make.BYE, make.HELLO])
    )
    sender = draw(st.sampled_from([(node, make.CTRL), (node, port), (make.MODEM, make.CTRL)]))
    if kind in (make.NEW_SERVER, make.DEL_SERVER):
        service = draw(st.sampled_from([0, 2, 3, 4096, 4096, 4097, 0xFFFFFFFF]))
        words = struct.pack("<5I", kind, service, draw(st.integers(0, 3)), node, port)
    else:
        words = struct.pack("<5I", kind, node, port, 0, 0)
    return make.qrtr(words, sender, (make.HOST, make.CTRL), kind)


@st.composite
def message(draw: st.DrawFn) -> bytes:
    tlvs = [make.tlv(kind, bytes(draw(st.integers(0, 5)))) for kind in draw(st.lists(st.integers(1, 20), max_size=3))]
    kind = draw(st.sampled_from([0, 0, 2, 2, 4, 1, 6, 9]))
    body = make.qmi(kind, draw(st.integers(0, 2)), draw(st.integers(0, 2)), *tlvs)
    match draw(st.integers(0, 9)):
        case 0:
            return draw(st.sampled_from([b"\0\1x\0octet\0", b"\0\3\0\1data", b"\0\4\0\1", b"\0\6"]))
        case 1:
            return body[: draw(st.integers(0, len(body)))]
        case 2:
            return body + bytes(draw(st.integers(1, 9)))
        case 3:
            return draw(st.binary(max_size=24))
        case _:
            return body


@st.composite
def packet(draw: st.DrawFn) -> tuple[Link, bytes]:
    """A link and bytes that may or may not be of it."""
    body = draw(message())
    source, target = draw(addresses), draw(addresses)
    match draw(st.sampled_from(["v1"] * 6 + ["v2", "control", "control", "qmux", "ctl", "raw", "cut", "padded"])):
        case "v2":
            options = bytes(draw(st.sampled_from([0, 0, 4])))
            ports = [0xFFFE if port == make.CTRL else port for port in (source[1], target[1])]
            head = struct.pack("<4BI4H", 3, 1, 0, len(options), len(body), source[0], ports[0], target[0], ports[1])
            return Link.QRTR, head + options + body
        case "control":
            return Link.QRTR, draw(control())
        case "qmux":
            length = len(body) + 5 + draw(st.sampled_from([0, 0, 0, 1]))
            return Link.QMUX, struct.pack("<BHBBB", 1, length, 0, draw(st.integers(1, 3)), 7) + body
        case "ctl":
            inner = struct.pack("<BBHH", draw(st.integers(0, 3)), draw(st.integers(0, 2)), 0x22, 0)
            return Link.QMUX, struct.pack("<BHBBB", draw(st.sampled_from([1, 1, 2])), len(inner) + 5, 0, 0, 0) + inner
        case "raw":
            return draw(st.sampled_from(Link)), draw(st.binary(max_size=50))
        case "cut":
            whole = make.qrtr(body, source, target)
            return Link.QRTR, whole[: draw(st.integers(0, len(whole)))]
        case "padded":
            return Link.QRTR, make.qrtr(body, source, target) + bytes(draw(st.integers(1, 5)))
        case _:
            return Link.QRTR, make.qrtr(body, source, target)


@st.composite
def frame(draw: st.DrawFn) -> Frame:
    link, data = draw(packet())
    more = draw(st.sampled_from([0, 0, 0, 5]))
    return Frame(
        make.START_NS + draw(st.integers(-5, 10**12)),
        data,
        len(data) + more,
        link,
        draw(st.sampled_from(Direction)),
        draw(st.sampled_from(Hook)),
        Flag(draw(st.sampled_from([0, 1, 4]))) | (Flag.TRUNCATED if more else Flag(0)),
        draw(st.integers(-1, 3)),
        draw(st.sampled_from(["", "qmicli", "a name of 16 by"])),
        draw(st.sampled_from([-1, 0, 7, 0xFFFE])),
        draw(st.sampled_from([0, 0, 0, 1, 2**40])),
        draw(st.sampled_from([Origin("kernel", "kernel"), Origin("lookup", "lookup", "mono", "6.1")])),
    )


frames = st.lists(frame(), max_size=60)
quick = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)


def saved(written: list[Frame]) -> bytes:
    stream = io.BytesIO()
    writer = Writer(stream)
    writer.write(written)
    writer.close()
    return stream.getvalue()


# ---- columns against one frame at a time ----


def columns_tell_the_truth(store: Store) -> None:
    """Every column of every row says what the frame, its context and its parsed headers say."""
    row = 0
    for columns in store.columns():
        assert columns.first == row
        for at in range(len(columns)):
            seen, context = store.frame(row), store.context(row)
            start = int(columns.offset[at])
            assert columns.buffer[start : start + columns.length[at]].tobytes() == seen.data
            pid, comm = store.tasks[columns.task[at]]
            assert (seen.ts_ns, seen.link, seen.direction, seen.hook, seen.flags, seen.pid, seen.comm, seen.cpu) == (
                columns.ts_ns[at], columns.link[at], columns.direction[at], columns.hook[at], columns.flags[at], pid,
                comm, columns.cpu[at],
            )  # fmt: skip
            assert columns.pid[at] == seen.pid
            assert (columns.orig_len[at], columns.lost[at]) == (seen.orig_len, seen.lost)
            assert store.origins[columns.origin[at]] == seen.origin
            since = (columns.since_previous_ns[at], columns.since_first_ns[at])
            assert since == (context.since_previous_ns, context.since_first_ns)
            partner = int(columns.partner[at])
            assert (context.request or context.response or 0) - 1 == partner
            assert columns.response_ns[at] == (-1 if context.response_ns is None else context.response_ns)
            header = qrtr.parse_header(seen.data) if seen.link is Link.QRTR else None
            ends = header[1:5] if header is not None else (0, 0, 0, 0)
            assert ends == tuple(
                getattr(columns, name)[at] for name in ("src_node", "src_port", "dst_node", "dst_port")
            )
            assert columns.qrtr_type[at] == (min(header.type, 255) if header is not None else 0)
            message_in_columns(seen, header, context, columns_row(columns, at))
            row += 1
        tlvs_tell_the_truth(columns)
    assert row == len(store)


def columns_row(columns: object, at: int) -> dict[str, int]:
    names = ("plain", "message", "qmi_type", "compound", "txn", "msgid", "service", "instance", "tlv_start", "offset",
             "tlv_length")  # fmt: skip
    return {name: int(getattr(columns, name)[at]) for name in names}


def message_in_columns(seen: Frame, header: qrtr.Header | None, context: Context, row: dict[str, int]) -> None:
    """A regular message is plain and described; nothing else is plain."""
    found: qmi.Header | None = None
    start, service, end = 0, context.service, 0
    if header is not None and header.type == qrtr.DATA and context.service not in qmi.NOT_QMI:
        start, end = header.payload, header.payload + header.size
        ctrl = qrtr.PORT_CONTROL in (header.src_port, header.dst_port) and header.size == 20
        if 0 <= len(seen.data) - end < 4 and not ctrl:
            found = qmi.parse_header(seen.data[:end], start)
    elif seen.link is Link.QMUX and seen.data[:1] == b"\1" and len(seen.data) >= qmux.HEADER.size:
        start, end, service = qmux.HEADER.size, len(seen.data), seen.data[4]
        if int.from_bytes(seen.data[1:3], "little") + 1 == end:
            found = qmi.parse_header(seen.data, start, service == qmi.CTL)
    regular = found is not None and found.type <= qmi.INDICATION and found.tlvs + found.length == end
    if header is not None and seen.data[0] == 1 and seen.data[:4] != b"\1\0\0\0":
        regular = False  # no known version
    assert row["plain"] == regular
    if regular:
        assert found is not None
        assert row["service"] == (-1 if service is None else service)
        got = [row[name] for name in ("message", "qmi_type", "compound", "txn", "msgid", "tlv_length")]
        assert got == [start, found.type, found.compound, found.txn, found.msgid, found.length]
        assert row["tlv_start"] - row["offset"] == found.tlvs
    else:
        assert (row["message"], row["qmi_type"], row["tlv_length"]) == (-1, 255, 0)


def tlvs_tell_the_truth(columns: object) -> None:
    from qmisniff.store.columns import Columns

    assert isinstance(columns, Columns)
    odd = np.arange(len(columns)) % 2 == 1
    some, tlvs = columns.tlvs_of(odd), columns.tlvs
    wanted, kept = odd[tlvs.index], odd[some.index]
    for one, other in ((tlvs.index, some.index), (tlvs.type, some.type), (tlvs.length, some.length),
                       (tlvs.value, some.value)):  # fmt: skip
        assert one[wanted].tolist() == other[kept].tolist()
    assert (tlvs.broken & odd).tolist() == (some.broken & odd).tolist()
    listed: dict[int, list[tuple[int, int, int]]] = {}
    for index, kind, length, value in zip(tlvs.index, tlvs.type, tlvs.length, tlvs.value, strict=True):
        listed.setdefault(int(index), []).append((int(kind), int(length), int(value)))
    for at in range(len(columns)):
        place = int(columns.tlv_start[at]) if columns.plain[at] else 0
        end = place + int(columns.tlv_length[at])
        expected = []
        while end - place >= 3:
            kind, length = struct.unpack("<BH", columns.buffer[place : place + 3].tobytes())
            expected.append((kind, length, place + 3))
            place += 3 + length
        broken = place != end
        assert tlvs.broken[at] == broken
        assert listed.get(at, []) == ([] if broken else expected)


@quick
@given(frames)
def test_what_is_appended_is_there_in_rows_and_columns(written: list[Frame]) -> None:
    store = filled(written)
    assert [store.frame(row) for row in range(len(store))] == written
    columns_tell_the_truth(store)


@quick
@given(frames)
def test_a_file_in_bulk_is_the_file_frame_by_frame(tmp_path: Path, written: list[Frame]) -> None:
    assert agree(saved(written), tmp_path / "a.pcapng") == ""


@quick
@given(frames, st.randoms(use_true_random=False))
def test_a_damaged_file_in_bulk_is_the_same_file_frame_by_frame(
    tmp_path: Path, written: list[Frame], rng: random.Random
) -> None:
    data = bytearray(saved(written))
    for _ in range(rng.randint(1, 4)):
        at = rng.randrange(28, len(data))
        match rng.randrange(4):
            case 0:
                del data[at:]
                break
            case 1:
                data[at & ~3 : (at & ~3) + 4] = rng.choice((b"\6\0\0\0", b"\0\0\0\0", b"\xff" * 4, b"\x20\0\0\0"))
            case _:
                data[at] = rng.choice((0, 1, 2, 4, 6, 8, 255, rng.randrange(256)))
        if len(data) < 30:
            break
    agree(bytes(data), tmp_path / "a.pcapng")


def test_every_byte_of_a_sample_changed(tmp_path: Path) -> None:
    whole = SAMPLE.read_bytes()
    said = set()
    for at in range(28, len(whole), 7):
        data = bytearray(whole)
        data[at] ^= 0xFF
        said.add(agree(bytes(data), tmp_path / "a.pcapng")[:20])
    assert len(said) > 3


@quick
@given(frames, st.integers(1, 40))
def test_frames_can_follow_a_file(tmp_path: Path, written: list[Frame], count: int) -> None:
    """A response that comes live answers a request that was in the file."""
    (tmp_path / "a.pcapng").write_bytes(saved(written[:count]))
    store, _ = loaded(tmp_path / "a.pcapng")
    before = [store.frame(row) for row in range(len(store))]
    store.extend(written[count:])
    same(filled(before + written[count:]), store)
    columns_tell_the_truth(store)


def test_batches_of_a_file_are_tracked_as_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is open at the end of one batch is answered in the next."""
    from qmisniff.store import bulk

    monkeypatch.setattr(bulk, "_MOST_ROWS", 3)
    monkeypatch.setattr("qmisniff.store.blocks._WINDOW", 512)
    monkeypatch.setattr("qmisniff.store.blocks._LEAST_SEARCH", 256)
    monkeypatch.setattr("qmisniff.store.blocks._MOST_SEARCH", 256)
    for seed in range(20):
        rng = random.Random(seed)
        ports = [(make.HOST, 0x4001), (make.HOST, 0x4002), (make.MODEM, 10)]
        written = [make.frame(make.server(make.NEW_SERVER, 2, 1, make.MODEM, 10))]
        for number in range(40):
            one, other = rng.sample(ports, 2)
            body = make.qmi(rng.choice((0, 2)), rng.randrange(2), 0x25)
            written.append(make.frame(make.qrtr(body, one, other), at_ms=number))
        assert agree(saved(written), tmp_path / "a.pcapng") == ""


def test_transfers_of_files_are_followed_in_bulk(tmp_path: Path) -> None:
    """Requests go to the announced port and are answered from another, until one of them closes or the server ends."""
    server, reader, transfer = (make.MODEM, 9), (make.HOST, 0x4001), (make.MODEM, 0x4002)
    begins = make.frame(make.server(make.NEW_SERVER, 4096, 1, *server))
    close = [
        make.qrtr(struct.pack("<5I", make.DEL_CLIENT, *end, 0, 0), (end[0], make.CTRL), kind=make.DEL_CLIENT)
        for end in (reader, transfer, server)
    ]
    talk = [
        make.qrtr(b"\0\1name\0octet\0", reader, server),
        make.qrtr(b"\0\3\0\1data", transfer, reader),
        make.qrtr(b"\0\4\0\1", reader, transfer),
        make.qrtr(make.qmi(0, 1, 0x25), reader, transfer),
        make.qrtr(make.qmi(2, 1, 0x25), transfer, reader),
    ]
    followed = 0
    for seed in range(60):
        rng = random.Random(seed)
        written = [begins, *(make.frame(rng.choice(talk * 4 + close)) for _ in range(30))]
        written.insert(rng.randrange(30), begins)
        assert agree(saved(written), tmp_path / "a.pcapng") == ""
        contexts = map(filled(written).context, range(len(written)))
        followed += sum(context.service == 4096 for context in contexts)
    assert followed > 300


# ---- files of other makes ----


def block(order: str, code: int, body: bytes) -> bytes:
    return struct.pack(order + "II", code, len(body) + 12) + body + struct.pack(order + "I", len(body) + 12)


def section(order: str) -> bytes:
    return block(order, 0x0A0D0D0A, struct.pack(order + "IHHq", 0x1A2B3C4D, 1, 0, -1))


def interface(order: str, link_type: int, options: bytes = b"") -> bytes:
    return block(order, 1, struct.pack(order + "HHI", link_type, 0, 0) + options)


def record(order: str, number: int, ts: int, data: bytes, options: bytes = b"", original: int | None = None) -> bytes:
    original = len(data) if original is None else original
    head = struct.pack(order + "5I", number, ts >> 32, ts & 0xFFFFFFFF, len(data), original)
    return block(order, 6, head + data + bytes(-len(data) % 4) + options)


def option(order: str, code: int, value: bytes) -> bytes:
    return struct.pack(order + "HH", code, len(value)) + value + bytes(-len(value) % 4)


def exported(dissector: bytes, data: bytes) -> bytes:
    name = dissector + bytes(-len(dissector) % 4)
    return struct.pack(">HH", 12, len(name)) + name + struct.pack(">HH", 0, 0) + data


QRTR = make.qrtr(make.qmi(0, 1, 0x25))
QMUX = struct.pack("<BHBBB", 1, 12, 0, 2, 7) + make.qmi(0, 1, 0x25)


@pytest.mark.parametrize("order", ["<", ">"])
def test_interfaces_clocks_and_options_of_every_kind(tmp_path: Path, order: str) -> None:
    resolutions = [b"\x06", b"\x09", b"\x03", b"\x00", b"\x0c", b"\x8a", b"\xff"]
    data = section(order)
    for resolution in resolutions:
        data += interface(order, USER0, option(order, pcapng.IF_TSRESOL, resolution))
    offset = option(order, pcapng.IF_TSOFFSET, struct.pack(order + "q", 100))
    data += interface(order, EXPORTED_PDU, offset)
    data += interface(order, 1)
    ends = [
        b"",
        option(order, pcapng.EPB_FLAGS, struct.pack(order + "I", 2)),
        option(order, 1, b"a comment") + option(order, pcapng.EPB_FLAGS, struct.pack(order + "I", 0x101)) + bytes(4),
        option(order, pcapng.EPB_DROPCOUNT, struct.pack(order + "Q", 2**63)),
        option(order, pcapng.EPB_DROPCOUNT, b"\1"),
        option(order, pcapng.EPB_FLAGS, b"\2\1"),
        option(order, pcapng.EPB_FLAGS, b"") * 9 + option(order, pcapng.EPB_DROPCOUNT, struct.pack(order + "Q", 5)),
        option(order, pcapng.EPB_FLAGS, struct.pack(order + "I", 1)) * 2 + b"\xff\xff\xff\xff",
        bytes(4) + option(order, pcapng.EPB_FLAGS, struct.pack(order + "I", 1)),
        struct.pack(order + "HH", 2, 40) + bytes(4),
    ]
    for number in range(len(resolutions) + 2):
        for ts in (0, 5, 10**6, 10**15, 2**63 - 1, 2**64 - 1):
            for end in ends:
                payload = QMUX if number < len(resolutions) else exported(b"qrtr", QRTR)
                data += record(order, number, ts, payload, end)
    assert agree(data, tmp_path / "a.pcapng") == ""


@pytest.mark.parametrize("order", ["<", ">"])
def test_exported_pdus_of_every_kind(tmp_path: Path, order: str) -> None:
    tap = struct.pack("<BBBBHBxiI16s", 1, 32, 2, 0, 3, 0, 77, 60, b"name\0rest")
    kinds = [
        exported(b"qrtr", QRTR), exported(b"qmux", QMUX), exported(b"qmi", QMUX[6:]), exported(b"sip", b"x"), b"",
        exported(b"qmisniff", tap + QRTR), exported(b"qmisniff", tap[:20]),
        exported(b"qmisniff", b"\2" + tap[1:] + QRTR),
        exported(b"qmisniff", tap[:1] + b"\x30" + tap[2:] + bytes(16) + QRTR),
        exported(b"qmisniff", tap[:1] + b"\xff" + tap[2:] + QRTR), exported(b"qmisniff", tap[:6] + b"\x09" + tap[7:]),
        exported(b"qmisniff", tap[:2] + b"\x63" + tap[3:16] + b"\xff" * 16 + QRTR), b"\0\x0c\xff\xffqm",
        struct.pack(">HH", 77, 3) + b"odd" + exported(b"qrtr", QRTR),
    ]  # fmt: skip
    rng = random.Random(3)
    data = section(order) + interface(order, EXPORTED_PDU) + interface(order, USER0)
    for _ in range(300):
        chosen = rng.choice(kinds)
        data += record(order, rng.choice((0, 0, 0, 1)), 10**15, chosen, original=rng.choice((None, 500)))
    many = [exported(b"x" * rng.randrange(1, 90), QRTR) for _ in range(200)]
    data += b"".join(record(order, 0, 1, each) for each in many)
    assert agree(data, tmp_path / "a.pcapng") == ""


def test_sections_foreign_blocks_and_bytes_that_look_like_blocks(tmp_path: Path) -> None:
    inner = record("<", 0, 1, b"not a record of the file")
    data = b""
    for order in "<><":
        data += section(order) + interface(order, USER0)
        for _ in range(5):
            data += record(order, 0, 10**15, b"ab" * 8 + inner + inner) + block(order, 0xBAD, inner)
            data += block(order, 3, struct.pack(order + "I", 9) + b"simple..." + bytes(3))
            wrong = record(order, 0, 10**15, b"its last length is wrong")
            data += wrong[:-4] + bytes(4)
    data += interface("<", EXPORTED_PDU) + record("<", 1, 10**15, exported(b"qrtr", QRTR))
    assert agree(data, tmp_path / "a.pcapng") == ""
    assert "never declared" in agree(data + record("<", 2, 0, b"") + record("<", 0, 0, b""), tmp_path / "a.pcapng")


@pytest.mark.parametrize("magic", [0xA1B2C3D4, 0xA1B23C4D])
@pytest.mark.parametrize("order", ["<", ">"])
def test_pcap_files(tmp_path: Path, order: str, magic: int) -> None:
    data = struct.pack(order + "IHHIIII", magic, 2, 4, 0, 0, 65535, USER0)
    for number in range(50):
        body = QMUX + bytes(number)
        data += struct.pack(order + "IIII", 2**32 - 1 - number, 5, len(body), len(body) + number % 3) + body
    path = tmp_path / "a.pcap"
    assert agree(data, path) == ""
    for cut in (24, 30, 39, 41, len(data) - 1):
        agree(data[:cut], path)
    assert "a record of" in agree(data + b"\xff" * 16, path)


@pytest.mark.parametrize(
    ("lie", "said"),
    [
        (struct.pack("<II", 6, 0xFFFFFFFC), "a block of 4294967292 bytes"),
        (struct.pack("<II", 6, 0), "a block of 0 bytes"),
        (record("<", 9, 0, b""), "names interface 9"),
        (pcapng.pack_block(pcapng.PACKET, 0, 0, 0, 400, 400), "claims 400 bytes"),
        (record("<", 0, 0, b"cut short")[:-2], "cut short at offset"),
    ],
)
def test_lies_are_told_with_their_offset_and_what_came_before_is_kept(tmp_path: Path, lie: bytes, said: str) -> None:
    good = section("<") + interface("<", USER0) + record("<", 0, 0, QMUX) * 3
    damage = agree(good + lie, tmp_path / "a.pcapng")
    assert said in damage and str(len(good)) in damage


def test_the_last_records_of_a_pcap_file_are_too_few_for_bulk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("qmisniff.store.blocks._LEAST_RUN", 8)
    monkeypatch.setattr("qmisniff.store.blocks._PCAP_RUN", 20)
    data = struct.pack("<IHHIIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, USER0)
    for number in range(24):
        body = QMUX + bytes(number)
        data += struct.pack("<IIII", number, 5, len(body), len(body)) + body
    assert agree(data, tmp_path / "a.pcap") == ""


@st.composite
def pcap_file(draw: st.DrawFn) -> bytes:
    """Records whose times are alike, or nothing, or from everywhere; some hold what looks like records."""
    order = draw(st.sampled_from("<>"))
    data = struct.pack(order + "IHHIIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, USER0)
    times = st.sampled_from([1_767_225_600, 1_767_225_601, 1_767_225_600 + (1 << 16), 0, 0x10101])
    for _ in range(draw(st.integers(0, 40))):
        body = draw(st.sampled_from([QMUX, b"", bytes(40), b"\1" * 9, struct.pack("<I", 1_767_225_600) * 5]))
        if draw(st.integers(0, 4)) == 0:  # as a capture of somebody who sends captures
            body += struct.pack(order + "IIII", draw(times), 0, 20, 20) + bytes(draw(st.sampled_from([20, 3])))
        data += struct.pack(order + "IIII", draw(times), 0, len(body), len(body)) + body
    at = draw(st.integers(24, len(data)))
    match draw(st.sampled_from(["", "", "cut", "lie"])):
        case "cut":
            return data[:at]
        case "lie":
            return data[:at] + draw(st.sampled_from([b"\xff", b"\0", b"\x69", b"\xff" * 4])) + data[at + 1 :]
    return data


@quick
@given(pcap_file(), st.sampled_from([(1, 1 << 12, 1 << 20), (1, 64, 256), (8, 64, 1024)]))
def test_a_pcap_file_in_bulk_is_the_file_frame_by_frame(
    tmp_path: Path, data: bytes, sizes: tuple[int, int, int]
) -> None:
    least, search, window = sizes
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("qmisniff.store.blocks._LEAST_RUN", least)
        patch.setattr("qmisniff.store.blocks._LEAST_SEARCH", search)
        patch.setattr("qmisniff.store.blocks._WINDOW", window)
        agree(data, tmp_path / "a.pcap")


# ---- files that others write to while they are open ----


def test_a_file_cut_short_while_it_is_open_says_so(tmp_path: Path) -> None:
    path = tmp_path / "a.pcapng"
    written = [make.frame(QRTR + bytes(4), at_ms=number) for number in range(3000)]
    path.write_bytes(saved(written))
    store, loader = loaded(path)
    assert loader.damage == ""
    size = path.stat().st_size
    cut = size // 2
    with path.open("r+b") as stream:
        stream.truncate(cut)
    for columns in store.columns():
        assert len(columns.buffer) > cut  # zeros where there was something: nothing is touched that is gone
        assert columns.buffer[int(columns.offset[2999])] == 0
    first, last = store.frame(0), store.frame(2999)
    assert first == written[0]
    assert (last.data, last.orig_len, last.flags) == (b"", len(QRTR) + 4, Flag.TRUNCATED)
    assert f"{size - cut} bytes at its end were cut off" in loader.damage


def test_a_file_that_grows_is_read_to_where_it_ends_by_then(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("qmisniff.store.blocks._WINDOW", 4096)
    monkeypatch.setattr("qmisniff.store.bulk._FEW_ROWS", 1)
    written = [make.frame(QRTR, at_ms=number) for number in range(400)]
    whole = saved(written)
    path = tmp_path / "a.pcapng"
    path.write_bytes(whole[: len(whole) // 2 & ~3])
    store = Store()
    with path.open("rb") as stream:
        loader = Loader(stream, "capture", -1)
        for rows in loader.into(store):
            if rows < 100:
                path.write_bytes(whole)
    assert (len(store), loader.damage) == (400, "")
    same(filled(written), store)


# ---- compressed files ----


def test_gzip_is_read(tmp_path: Path) -> None:
    path = tmp_path / "a.pcapng.gz"
    path.write_bytes(gzip.compress(SAMPLE.read_bytes()))
    for small in (-1, 1 << 20):
        store, loader = loaded(path, small)
        same(one_by_one(SAMPLE.read_bytes())[0], store)
        assert loader.damage == ""


def test_a_cut_gzip_gives_what_came_before(tmp_path: Path) -> None:
    path = tmp_path / "a.pcapng.gz"
    path.write_bytes(gzip.compress(SAMPLE.read_bytes())[:-600])
    store, loader = loaded(path)
    assert 0 < len(store) < 49
    assert "compressed data is damaged" in loader.damage


@pytest.mark.parametrize("cut", [0, 600])
def test_a_pipe_may_be_compressed(cut: int) -> None:
    whole = SAMPLE.read_bytes()
    packed = gzip.compress(whole)
    reader = PipeReader(io.BufferedReader(Dribble(packed[: len(packed) - cut])))
    read = list(reader)
    assert read == list(Reader(io.BytesIO(whole)))[: len(read)]
    assert len(read) == 49 if not cut else 0 < len(read) < 49
    assert ("compressed data is damaged near offset" in reader.damage) == bool(cut)


def test_a_bomb_in_a_pipe_is_refused_with_its_offset(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compressed, "_FREE", 1 << 20)
    monkeypatch.setattr(compressed, "_MOST_TIMES", 2)
    body = record("<", 0, 0, bytes(1 << 16))
    packed = gzip.compress(section("<") + interface("<", USER0) + body * 100)
    with pytest.raises(CaptureFileError, match=r"at offset [0-9]+ it has grown to over"):
        list(PipeReader(io.BufferedReader(Dribble(packed))))


class Dribble(io.RawIOBase):
    """A pipe that never has more than a few bytes at once."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        piece, self._data = self._data[:100], self._data[100:]
        buffer[: len(piece)] = piece
        return len(piece)


def test_a_bomb_is_refused_with_its_offset(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compressed, "_FREE", 1 << 20)
    path = tmp_path / "a.pcapng.gz"
    path.write_bytes(gzip.compress(bytes(1 << 26)))
    with pytest.raises(CaptureFileError, match=r"at offset [0-9]+ it has grown to over"):
        loaded(path)


def test_zstd_is_read_or_refused_with_a_remedy(tmp_path: Path) -> None:
    path = tmp_path / "a.pcapng.zst"
    module = compressed._zstd_module()
    if module is not None:
        path.write_bytes(module.compress(SAMPLE.read_bytes()))
        same(one_by_one(SAMPLE.read_bytes())[0], loaded(path)[0])
        return
    path.write_bytes(b"\x28\xb5\x2f\xfd" + bytes(50))
    with pytest.raises(CaptureFileError, match=r"backports\.zstd"):
        loaded(path)


# ---- many ----


def test_rows_are_found_across_chunks() -> None:
    written = [make.frame(QRTR, at_ms=number, pid=number % 7) for number in range(70_000)]
    store = filled(written)
    for row in (0, 32767, 32768, 65535, 65536, 69_999, -1):
        assert store.frame(row) == written[row]
    for row in (70_000, -70_001):
        with pytest.raises(IndexError):
            store.frame(row)
    runs = list(store.columns(32_760, 65_540))
    assert [(run.first, len(run)) for run in runs] == [(32_760, 8), (32_768, 32_768), (65_536, 4)]
    assert np.concatenate([run.pid for run in runs]).tolist() == [row % 7 for row in range(32_760, 65_540)]
    assert all((run.since_previous_ns == 1_000_000).all() for run in runs)


def test_a_reader_sees_whole_rows_while_frames_are_appended() -> None:
    """Columns taken while the writer goes on stay as they were, and appending does not fail because somebody looks."""
    store = filled([make.frame(QRTR + bytes(4), at_ms=number) for number in range(10)])
    held = [(run, run.buffer, run.offset.copy(), run.plain) for run in store.columns()]
    more = [make.frame(QRTR + bytes(4), at_ms=number) for number in range(10, 5000)]
    store.extend(more)
    (run, buffer, offset, _), *_ = held
    assert buffer[offset[9] : offset[9] + 4].tobytes() == b"\1\0\0\0"
    assert len(run) == 10
    columns_tell_the_truth(store)


_LOW, _HIGH = st.integers(0, 3), st.integers(2**64 - 3, 2**64 - 1)


@given(
    st.lists(st.lists(st.tuples(_LOW, _HIGH, _LOW, _HIGH), max_size=60), max_size=5),
    st.integers(1, 4),
    st.sampled_from([0, 1, 2, 14]),
    st.sampled_from([1, 8]),
)
def test_equal_rows_have_equal_numbers(batches: list[list[tuple[int, ...]]], width: int, bits: int, tries: int) -> None:
    """However many different rows have to share a slot."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("qmisniff.store.distinct._BITS", bits)
        patch.setattr("qmisniff.store.distinct._TRIES", tries)
        met: list[tuple[int, ...]] = []

        def number(row: tuple[int, ...]) -> int:
            met.append(row)
            return len(met) - 1

        distinct = Distinct(width, number)
        for batch in batches:
            columns = [np.array([row[at] for row in batch], np.uint64) for at in range(width)]
            assert [met[each] for each in distinct.of(columns)] == [row[:width] for row in batch]
        assert len(met) == len(set(met))


def test_pairs_are_found_by_whoever_asks_first(tmp_path: Path) -> None:
    """Many threads ask while the file is still being loaded."""
    ask, answer = (
        make.frame(make.qrtr(make.qmi(kind, 1, 0x25), *ends))
        for kind, ends in ((0, ((1, 0x4001), (0, 10))), (2, ((0, 10), (1, 0x4001))))
    )
    path = tmp_path / "a.pcapng"
    path.write_bytes(saved([ask, answer] * 3000))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("qmisniff.store.bulk._MOST_ROWS", 100)
        patch.setattr("qmisniff.store.blocks._MOST_SEARCH", 1 << 12)
        store, wrong = Store(), []

        def look() -> None:
            while len(store) < 6000:
                row = len(store) // 2 * 2 - 1
                if row > 0 and store.context(row).request != row:
                    wrong.append(row)

        threads = [Thread(target=look) for _ in range(4)]
        with path.open("rb") as stream:
            for thread in threads:
                thread.start()
            for _ in Loader(stream, "capture", -1).into(store):
                pass
        for thread in threads:
            thread.join()
    assert not wrong


def test_small_files_are_read_without_numpy() -> None:
    program = (
        "import sys\nfrom qmisniff.store import Store\nfrom qmisniff.store.load import Loader\n"
        f"store = Store()\nloader = Loader(open({str(SAMPLE)!r}, 'rb'))\nassert list(loader.into(store))[-1] == 49\n"
        "store.frame(3), store.context(3)\nassert 'numpy' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)
