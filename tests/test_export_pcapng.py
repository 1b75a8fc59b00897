# SPDX-License-Identifier: GPL-2.0-or-later
"""Chosen packets of a capture as another capture: byte by byte what they were, and still decoded."""

from __future__ import annotations

import argparse
import gzip
import io
import random
import shutil
import struct
import subprocess
import sys
from collections.abc import Container
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qmisniff.capture_file import EXPORTED_PDU, USER0, Reader, Writer
from qmisniff.cli import main
from qmisniff.cli.exports import Numbers
from qmisniff.errors import UsageError
from qmisniff.export.link_types import Conversion
from qmisniff.export.notes import MARK
from qmisniff.export.pcapng import Copier
from qmisniff.frame import Frame, Link
from qmisniff.pcapng import Record, RecordReader
from tests import factories as make

CAPTURES = Path(__file__).parents[1] / "captures"
SAMPLES = sorted(CAPTURES.glob("*.pcapng"))
NAMES_BLOCK, CUSTOM_BLOCK = 4, 0xBAD
QMUX = bytes.fromhex("01 0c 00 00 02 01 00 01 00 25 00 00 00")


def copied(data: bytes, rows: Container[int] | None = None, link: str = "") -> tuple[bytes, str]:
    """The copy, and what is wrong with the original."""
    sink = io.BytesIO()
    change = Conversion(link, rows) if link else None
    copier = Copier(io.BytesIO(data), "test", change, None if change is None else change.link_type)
    copier.into(sink, None if change else rows)
    return sink.getvalue(), copier.damage


def records(data: bytes) -> list[Record]:
    """All records; where in the file they stand is left out."""
    reader = RecordReader(io.BytesIO(data))
    found = [record._replace(place=0) for record in reader]
    assert not reader.damage
    return found


def block(order: str, code: int, content: bytes) -> bytes:
    content += bytes(-len(content) % 4)
    length = struct.pack(order + "I", len(content) + 12)
    return struct.pack(order + "I", code) + length + content + length


def option(order: str, code: int, value: bytes) -> bytes:
    return struct.pack(order + "HH", code, len(value)) + value + bytes(-len(value) % 4)


def section(order: str, content: bytes) -> bytes:
    """A section that says how long it is, as some programs write it."""
    return block(order, 0x0A0D0D0A, struct.pack(order + "IHHq", 0x1A2B3C4D, 1, 0, len(content))) + content


def interface(order: str, link_type: int) -> bytes:
    return block(order, 1, struct.pack(order + "HHI", link_type, 0, 0) + option(order, 2, b"name") + bytes(4))


def packet(order: str, data: bytes, at: int, *options: bytes) -> bytes:
    fixed = struct.pack(order + "5I", 0, at >> 32, at & 0xFFFFFFFF, len(data), len(data) + 3)
    return block(order, 6, fixed + data + bytes(-len(data) % 4) + b"".join(options) + bytes(4 * bool(options)))


@st.composite
def captures(draw: st.DrawFn) -> tuple[bytes, list[int], list[bytes]]:
    """A capture of one to three sections with blocks of every kind; where these say their lengths; its packets' blocks.

    What the blocks hold may look like the beginning of a section, too.
    """
    whole, lengths, packets = b"", [], []
    for _ in range(draw(st.integers(1, 3))):
        order = draw(st.sampled_from("<>"))
        content = interface(order, EXPORTED_PDU)
        for kind in draw(st.lists(st.sampled_from("pppsnc"), max_size=8)):
            data = draw(st.binary(max_size=20))
            if kind == "p":
                comment = [option(order, 1, data)] * draw(st.integers(0, 2))  # several comments are allowed
                made = packet(order, data, draw(st.integers(0, 2**50)), *comment, option(order, 2989, b"custom"))
            elif kind == "s":
                made = block(order, 3, struct.pack(order + "I", len(data)) + data)
            else:
                made = block(order, NAMES_BLOCK if kind == "n" else CUSTOM_BLOCK, data)
            packets += [made] * (kind in "ps")
            content += made
        lengths.append(len(whole) + 16)
        whole += section(order, content)
    return whole, lengths, packets


@given(captures(), st.sets(st.integers(0, 20)))
def test_what_is_kept_is_kept_as_it_was(made: tuple[bytes, list[int], list[bytes]], rows: set[int]) -> None:
    data, lengths, packets = made
    everything, damage = copied(data)
    for at in lengths:  # the only bytes that differ: how long a section is
        data = data[:at] + b"\xff" * 8 + data[at + 8 :]
    assert (everything, damage) == (data, "")
    chosen, _ = copied(data, rows)
    left_out = [each for row, each in enumerate(packets) if row not in rows]
    assert len(chosen) == len(data) - sum(map(len, left_out))
    assert records(chosen) == [each for row, each in enumerate(records(data)) if row in rows]


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda path: path.stem)
def test_a_whole_sample_is_the_same_file(sample: Path, tmp_path: Path) -> None:
    assert main(["export", "pcapng", str(sample), "-w", str(tmp_path / "copy.pcapng")]) == 0
    assert (tmp_path / "copy.pcapng").read_bytes() == sample.read_bytes()


@pytest.mark.skipif(shutil.which("editcap") is None, reason="editcap is not installed (tests/setup-debian)")
@pytest.mark.parametrize("numbers", ["1", "2-9", "3,7-8,40-"])
def test_editcap_keeps_the_same_packets(numbers: str, tmp_path: Path) -> None:
    sample, theirs, ours = SAMPLES[0], tmp_path / "theirs.pcapng", tmp_path / "ours.pcapng"
    words = numbers.replace("40-", "40-1000").split(",")
    subprocess.run(["editcap", "-r", sample, theirs, *words], check=True, capture_output=True)
    assert main(["export", "pcapng", str(sample), "--frames", numbers, "--only", "-w", str(ours)]) == 0

    def content(path: Path) -> list[tuple[int, bytes, int, int]]:
        return [(each.ts_ns, each.data, each.flags, each.dropped) for each in records(path.read_bytes())]

    assert content(ours) == content(theirs)


def test_frames_that_are_not_there_are_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out.pcapng"
    command = ["export", "pcapng", str(SAMPLES[0]), "--only", "-w", str(out)]
    count = len(records(SAMPLES[0].read_bytes()))
    for more in ([], ["-Y", "frame.number > 0"]):
        assert main([*command, *more, "--frames", f"{count},{count + 1}, 9999-"]) == 0
        errors = capsys.readouterr().err
        assert f"there is no frame {count + 1}, 9999-, it has {count} packets" in errors and "1 packet\n" in errors
        assert len(records(out.read_bytes())) == 1
        assert main([*command, *more, "--frames", f"{count + 1}-9999"]) == 2
        assert f"there is no frame {count + 1}-9999, " in capsys.readouterr().err
        assert not out.exists()  # not a capture without packets, which would be taken for the answer


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("ticks", [1_000_000, 1_000_000_000])
def test_pcap_becomes_pcapng(order: str, ticks: int) -> None:
    magic = 0xA1B2C3D4 if ticks == 1_000_000 else 0xA1B23C4D
    data = struct.pack(order + "IHHiIII", magic, 2, 4, 0, 0, 65535, USER0)
    for second in range(3):
        data += struct.pack(order + "IIII", 1_767_225_600 + second, 999_999, len(QMUX), 99) + QMUX
    copy, damage = copied(data + b"cut", {0, 2})
    assert "cut short at offset" in damage
    got, wanted = records(copy), records(data)
    assert [each.ts_ns for each in got] == [wanted[0].ts_ns, wanted[2].ts_ns]
    assert [(each.data, each.original, each.interface[:4]) for each in got] == [(QMUX, 99, wanted[0].interface[:4])] * 2


@given(st.lists(st.tuples(st.integers(1, 30), st.sampled_from(["{0}", " {0}-{1}", "{0}- "]), st.integers(0, 9))))
def test_numbers_are_read_as_written(ranges: list[tuple[int, str, int]]) -> None:
    ranges = ranges or [(3, "{0}", 0)]
    numbers = Numbers(",".join(form.format(first, first + more) for first, form, more in ranges))
    lasts = {"{0}": 0, "{0}- ": 1000}
    wanted = {at for first, form, more in ranges for at in range(first - 1, first + lasts.get(form, more))}
    assert {row for row in range(50) if row in numbers} == {row for row in wanted if row < 50}


@pytest.mark.parametrize("text", ["", "x", "1,", "-3", "1-2-3", "1 2", "0", "5-3"])
def test_what_is_no_number_is_refused(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match="frame"):
        Numbers(text)


# ---- the services of ports


def _infos(path: Path) -> str:
    done = subprocess.run([sys.executable, "-m", "qmisniff", "read", str(path)], capture_output=True, text=True)
    assert done.returncode == 0
    return done.stdout


def test_the_announcement_of_a_port_comes_along(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "dms.pcapng"
    command = ["export", "pcapng", str(CAPTURES / "first-contact.pcapng"), "-w", str(out)]
    assert main([*command, "-Y", "qmi.dms.get_ids.imei"]) == 0
    assert "NEW_SERVER DMS" in _infos(out) and "Response: Get IDs" in _infos(out)
    assert "because the others mean nothing without" in capsys.readouterr().err
    assert "NEW_SERVER NAS" not in _infos(out)
    assert main([*command, "-Y", "qmi.dms.get_ids.imei", "--only"]) == 0
    assert len(_infos(out).splitlines()) == 1
    assert capsys.readouterr().err == "1 packet\n"


def test_frames_and_filter_together_are_what_both_keep(tmp_path: Path) -> None:
    sample, out = CAPTURES / "first-contact.pcapng", tmp_path / "out.pcapng"
    assert main(["export", "pcapng", str(sample), "-Y", "qmi", "--frames", "1-30", "--only", "-w", str(out)]) == 0
    with sample.open("rb") as stream:
        wanted = list(Reader(stream))[:30]
    with out.open("rb") as stream:
        got = list(Reader(stream))
    assert 0 < len(got) < 30 and all(frame in wanted for frame in got)


@pytest.mark.parametrize("packed", [False, True])
def test_marked_packets(packed: bool, tmp_path: Path) -> None:
    """Marks as the screen saves them, among other comments, in both byte orders."""
    data = b""
    for order in "<>":
        mark, comment = option(order, 1, MARK.encode()), option(order, 1, b"look")
        notes: tuple[tuple[bytes, ...], ...] = (), (comment, mark), (comment,), (mark,)
        packets = [packet(order, QMUX, at, *options) for at, options in enumerate(notes)]
        data += section(order, interface(order, USER0) + b"".join(packets))
    source, out = tmp_path / "a.pcapng", tmp_path / "out.pcapng"
    source.write_bytes(gzip.compress(data) if packed else data)
    for more, wanted in (((), [2, 4, 6, 8]), (("--frames", "3-6"), [4, 6]), (("-Y", "frame.number != 4"), [2, 6, 8])):
        assert main(["export", "pcapng", str(source), "--marked", "-w", str(out), *more]) == 0
        assert out.read_bytes() == copied(data, {number - 1 for number in wanted})[0]


# ---- other link types


def capture(frames: list[Frame]) -> bytes:
    stream = io.BytesIO()
    writer = Writer(stream)
    writer.write(frames)
    writer.close()
    return stream.getvalue()


def user0(*options: bytes, order: str = "<") -> bytes:
    return section(order, interface(order, USER0) + packet(order, QMUX, 5, *options) + packet(order, QMUX, 7))


@pytest.mark.parametrize("order", ["<", ">"])
def test_there_and_back_is_the_same_file(order: str) -> None:
    comment, direction = option(order, 1, b"look"), option(order, 2, struct.pack(order + "I", 1))
    original, _ = copied(user0(comment, direction, order=order))
    tapped, _ = copied(original, link="tap")
    frames = list(Reader(io.BytesIO(tapped)))
    assert [(frame.link, frame.data, frame.orig_len) for frame in frames] == [(Link.QMUX, QMUX, len(QMUX) + 3)] * 2
    assert [frame.direction for frame in frames] == [1, 0]
    assert b"look" in tapped
    assert copied(tapped, link="user0")[0] == original
    assert copied(tapped, link="tap")[0] == tapped


def test_what_would_be_lost_is_refused() -> None:
    qrtr = capture([make.frame(make.server(make.NEW_SERVER, 2, 1, 0, 10))])
    with pytest.raises(UsageError, match="frame 1: no QMUX frame"):
        copied(qrtr, link="user0")
    sent_by_somebody = capture([make.frame(QMUX, link=Link.QMUX, pid=-1, comm="", lost=0)])
    with pytest.raises(UsageError, match="frame 1: who sent it"):
        copied(sent_by_somebody, link="user0")
    foreign = section("<", interface("<", 1) + packet("<", bytes(60), 5))
    with pytest.raises(UsageError, match="frame 1: neither QRTR"):
        copied(foreign, link="tap")
    tags = struct.pack(">HH4sHH4sHH", 12, 4, b"qmux", 20, 4, bytes(4), 0, 0)
    exported = section("<", interface("<", EXPORTED_PDU) + packet("<", tags + QMUX, 5))
    with pytest.raises(UsageError, match="more tags"):
        copied(exported, link="tap")


# ---- the verb


def test_compressed_captures_and_pipes_are_read(tmp_path: Path) -> None:
    sample = SAMPLES[0].read_bytes()
    packed, out = tmp_path / "sample.pcapng.gz", tmp_path / "out.pcapng"
    packed.write_bytes(gzip.compress(sample))
    assert main(["export", "pcapng", str(packed), "--frames", "1-", "-w", str(out)]) == 0
    assert out.read_bytes() == sample
    command = [sys.executable, "-m", "qmisniff", "export", "pcapng", "-", "-Y", "frame.number > 0", "-w", "-"]
    done = subprocess.run(command, input=sample, capture_output=True)
    assert (done.returncode, done.stdout) == (0, sample)


def test_mistakes_leave_the_capture_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    mine = tmp_path / "mine.pcapng"
    mine.write_bytes(SAMPLES[0].read_bytes())
    for arguments, said in (
        (["-w", str(mine)], "is the capture that is read"),
        (["-w", str(tmp_path / "no" / "such")], "choose another place"),
        (["-Y", "qmi.nothing", "-w", str(tmp_path / "new")], "neither a field nor a protocol"),
        (["--link", "user0", "-w", str(tmp_path / "new")], "frame 1: "),
        (["--marked", "-w", str(tmp_path / "new")], "no packet is marked"),
    ):
        assert main(["export", "pcapng", str(mine), *arguments]) == 2
        assert said in capsys.readouterr().err
    assert mine.read_bytes() == SAMPLES[0].read_bytes()
    assert not (tmp_path / "new").exists()


def test_damage_is_told_and_all_before_it_copied(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = SAMPLES[0].read_bytes()
    rng = random.Random(1)
    for _ in range(5):
        cut = rng.randrange(1000, len(data) - 1)
        broken, out = tmp_path / "broken.pcapng", tmp_path / "out.pcapng"
        broken.write_bytes(data[:cut])
        code = main(["export", "pcapng", str(broken), "-w", str(out)])
        assert data.startswith(out.read_bytes()) and len(data[:cut]) - len(out.read_bytes()) < 1000
        said = "cut short at offset" in capsys.readouterr().err
        assert code == said == (out.read_bytes() != data[:cut])


def test_a_full_disk_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["export", "pcapng", str(SAMPLES[0]), "-w", "/dev/full"]) == 2
    assert "No space left" in capsys.readouterr().err
