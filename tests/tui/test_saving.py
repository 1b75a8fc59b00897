# SPDX-License-Identifier: GPL-2.0-or-later
from __future__ import annotations

import csv
import json
import struct
import subprocess
from pathlib import Path

import pytest

from qmisniff.capture_file import Reader, Writer
from qmisniff.errors import CaptureFileError
from qmisniff.export import notes
from qmisniff.export.notes import MARK, Notes, read_notes
from qmisniff.frame import Frame
from qmisniff.tui.feed import FileInput
from qmisniff.tui.saving import write_file
from qmisniff.tui.session import Session
from tests.tui.conversation import IDS, SIGNAL, conversation
from tests.tui.scripted import Script, dissector


def frames_in(path: Path) -> list[Frame]:
    with path.open("rb") as stream:
        reader = Reader(stream)
        found = list(reader)
        assert not reader.damage
    return found


def loaded(path: Path) -> Session:
    session = Session(FileInput(path), dissector())
    session.feed.start()
    session.feed._thread.join(10)
    session.read_notes()
    return session


def live() -> Session:
    session = Session(Script(conversation(), live=False), dissector())
    session.feed.start()
    session.feed._thread.join(10)
    return session


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A capture with a block of another make and a comment."""
    path = tmp_path / "one.pcapng"
    with path.open("wb") as stream:
        Writer(stream).write(conversation()[:3])
        stream.write(struct.pack("<III", 0x0BAD, 12, 12))
    return path


@pytest.mark.parametrize("make", [live, None])
def test_comments_are_saved_and_come_back(make: object, file: Path, tmp_path: Path) -> None:
    session = live() if make else loaded(file)
    session.comment(1, "second \u2713")
    session.comment(2, "third")
    assert session.comments_unsaved
    saved = tmp_path / "saved.pcapng"
    session.save(saved)
    assert not session.comments_unsaved
    assert frames_in(saved) == frames_in(file)[:3] + (conversation()[3:] if make else [])
    assert read_notes(saved).comments == {1: "second \u2713", 2: "third"}
    again = loaded(saved)
    again.comment(1, "")
    again.save(saved)  # in the place of the file that is open
    assert read_notes(saved).comments == {2: "third"}
    assert len(frames_in(saved)) == len(session.store)


def test_what_a_file_says_of_its_packets_stays_byte_by_byte(file: Path, tmp_path: Path) -> None:
    loaded(file).save(tmp_path / "copy.pcapng")
    assert (tmp_path / "copy.pcapng").read_bytes() == file.read_bytes()
    loaded(file).save(tmp_path / "some.pcapng", [0, 2])
    assert frames_in(tmp_path / "some.pcapng") == [conversation()[0], conversation()[2]]
    assert struct.pack("<III", 0x0BAD, 12, 12) in (tmp_path / "some.pcapng").read_bytes()


def test_a_comment_that_was_saved_can_be_taken_away_again(file: Path) -> None:
    session = loaded(file)
    for text in ("one", ""):
        session.comment(1, text)
        session.save(file)
        assert read_notes(file).comments == ({1: text} if text else {})


@pytest.mark.parametrize("make", [live, None])
def test_marks_are_saved_and_come_back(make: object, file: Path, tmp_path: Path) -> None:
    session = live() if make else loaded(file)
    for row in (0, 2):
        session.notes.toggle_mark(row)
    session.comment(2, "third")
    saved = tmp_path / "saved.pcapng"
    session.save(saved)
    assert read_notes(saved) == Notes({2: "third"}, {0, 2})
    again = loaded(saved)
    assert again.notes.marked == {0, 2} and not again.comments_unsaved
    again.notes.toggle_mark(2)
    again.save(saved)
    assert read_notes(saved) == Notes({2: "third"}, {0})
    assert frames_in(saved) == frames_in(file)[:3] + (conversation()[3:] if make else [])
    again.notes.toggle_mark(0)
    again.save(saved)
    assert read_notes(saved) == Notes({2: "third"})


@pytest.mark.parametrize("make", [live, None])
def test_marks_tell_packets_apart_or_are_not_written(make: object, file: Path, tmp_path: Path) -> None:
    session = live() if make else loaded(file)
    session.notes.marked = {0, 2}
    session.save(tmp_path / "a.pcapng", [1, 2])
    assert read_notes(tmp_path / "a.pcapng") == Notes({}, {1})
    session.save(tmp_path / "b.pcapng", [0, 2])
    assert read_notes(tmp_path / "b.pcapng") == Notes()


def test_wireshark_sees_marks_and_sets_them(tmp_path: Path) -> None:
    session = live()
    session.notes.toggle_mark(IDS)
    session.comment(IDS, "look")
    session.save(tmp_path / "x.pcapng")
    command = ["editcap", "-a", f"{SIGNAL + 1}:{MARK}", str(tmp_path / "x.pcapng"), str(tmp_path / "y.pcapng")]
    subprocess.run(command, capture_output=True, check=True)
    shown = ["tshark", "-r", str(tmp_path / "y.pcapng"), "-Y", f'frame.comment == "{MARK}"', "-T", "fields"]
    done = subprocess.run([*shown, "-e", "frame.number"], capture_output=True, text=True, check=True)
    assert done.stdout.split() == [str(row + 1) for row in sorted((IDS, SIGNAL))]
    assert read_notes(tmp_path / "y.pcapng") == Notes({IDS: "look"}, {IDS, SIGNAL})


def test_packets_of_a_file_that_tshark_has_read_are_saved(file: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    subprocess.run(["editcap", "-F", "nokiapcap", file, other], capture_output=True, check=True)
    session = loaded(other)
    session.comment(1, "second")
    session.save(tmp_path / "saved.pcapng")
    assert [each.data for each in frames_in(tmp_path / "saved.pcapng")] == [each.data for each in conversation()[:3]]
    assert read_notes(tmp_path / "saved.pcapng").comments == {1: "second"}


def test_comments_as_wireshark_reads_them(tmp_path: Path) -> None:
    session = live()
    session.comment(IDS, "seen by others too")
    session.save(tmp_path / "x.pcapng")
    done = subprocess.run(
        ["tshark", "-r", tmp_path / "x.pcapng", "-Y", "frame.comment", "-T", "fields", "-e", "frame.number", "-e",
         "frame.comment"], capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout.split("\t") == [str(IDS + 1), "seen by others too\n"]


@pytest.fixture(params=["one by one", "in bulk"])
def both_ways(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Comments are read as of small files, and as of large ones."""
    if request.param == "in bulk":
        monkeypatch.setattr(notes, "LARGE", 0)


@pytest.mark.usefixtures("both_ways")
@pytest.mark.parametrize("order", ["<", ">"])
def test_comments_of_both_byte_orders(order: str, tmp_path: Path) -> None:
    def block(code: int, body: bytes) -> bytes:
        length = struct.pack(order + "I", len(body) + 12)
        return struct.pack(order + "I", code) + length + body + length

    def option(code: int, value: bytes) -> bytes:
        return struct.pack(order + "HH", code, len(value)) + value + bytes(-len(value) % 4)

    section = block(0x0A0D0D0A, struct.pack(order + "IHHq", 0x1A2B3C4D, 1, 0, -1))
    interface = block(1, struct.pack(order + "HHI", 147, 0, 0))
    packet = struct.pack(order + "5I", 0, 0, 0, 3, 3) + b"abc\0"
    flags, many = option(2, bytes(4)), option(4, bytes(8)) * 20
    simple, bare = block(3, struct.pack(order + "I", 2) + b"ab\0\0"), block(6, packet)
    commented = [
        block(6, packet + options + bytes(4))
        for options in (
            option(4, bytes(8)) + option(1, b"one") + option(1, b"two"), option(1, b"first") + flags,
            many + option(1, b"behind many"), flags + option(1, b""),
        )
    ]  # fmt: skip
    broken = block(6, packet + struct.pack(order + "HH", 1, 99) + b"beyond its block")
    path = tmp_path / "x"
    run = [*commented, bare, broken, block(6, packet + flags + bytes(4))] * 3  # long enough to be found in bulk
    path.write_bytes(b"".join([section, interface, bare, simple, commented[0], simple, *run, section, interface, *run]))
    texts = ["one\ntwo", "first", "behind many", ""]
    wanted = {2: texts[0]}
    for start in (4, 4 + len(run)):
        wanted |= {start + 7 * turn + place: text for turn in range(3) for place, text in enumerate(texts)}
    assert read_notes(path).comments == wanted


@pytest.mark.usefixtures("both_ways")
def test_comments_of_a_capture_of_many_packets(tmp_path: Path) -> None:
    path, copy = tmp_path / "x", tmp_path / "y"
    with path.open("wb") as stream:
        Writer(stream).write(conversation() * 100)
    session = loaded(path)
    wanted = {0: "first", 350: "middle \u2713", 699: "last"}
    for row, text in wanted.items():
        session.comment(row, text)
    session.save(copy)
    assert read_notes(copy).comments == wanted


@pytest.mark.usefixtures("both_ways")
def test_no_comments_in_what_is_no_pcapng_or_damaged(file: Path, tmp_path: Path) -> None:
    assert read_notes(tmp_path / "nowhere") == Notes() == read_notes(Path("/bin/sh"))
    for size in range(0, file.stat().st_size, 7):
        (tmp_path / "cut").write_bytes(file.read_bytes()[:size])
        assert read_notes(tmp_path / "cut") == Notes()


def test_a_file_that_was_cut_meanwhile_is_not_saved_as_if_whole(file: Path, tmp_path: Path) -> None:
    session = loaded(file)
    file.write_bytes(file.read_bytes()[:-100])
    with pytest.raises(CaptureFileError, match="1 of the packets are no longer in the file"):
        session.save(tmp_path / "copy.pcapng")
    assert not (tmp_path / "copy.pcapng").exists()


def test_exports_by_the_ending(tmp_path: Path) -> None:
    session = live()
    for ending in ("txt", "json", "ndjson", "csv"):
        assert session.save(tmp_path / f"x.{ending}", [IDS, SIGNAL]) == 2
    assert len((tmp_path / "x.txt").read_text().splitlines()) == 2
    assert [each["number"] for each in json.loads((tmp_path / "x.json").read_text())] == [IDS + 1, SIGNAL + 1]
    lines = (tmp_path / "x.ndjson").read_text().splitlines()
    assert json.loads(lines[0])["qmi.dms.get_ids.imei"] == "001012345678901"
    assert len(list(csv.reader((tmp_path / "x.csv").read_text().splitlines()))) == 3


def test_a_failed_save_leaves_the_file_that_was_there(tmp_path: Path) -> None:
    path = tmp_path / "mine.pcapng"
    path.write_bytes(b"precious")

    def full(sink: object) -> None:
        with Path("/dev/full").open("wb", buffering=0) as device:  # the kernel's own full disk
            device.write(b"x")

    with pytest.raises(CaptureFileError, match="No space left on device"):
        write_file(path, full)
    assert path.read_bytes() == b"precious"
    assert list(tmp_path.iterdir()) == [path]


def test_a_comment_longer_than_an_option_is_cut_between_characters(tmp_path: Path) -> None:
    session = live()
    session.comment(0, "\u2713" * 30_000)
    session.save(tmp_path / "x")
    assert read_notes(tmp_path / "x").comments == {0: "\u2713" * 21_845}
