# SPDX-License-Identifier: GPL-2.0-or-later
"""Damaged samples go through the program as a user would run it: no traceback, no escape, everything readable shown."""

from __future__ import annotations

import io
import random
import subprocess
import sys
from pathlib import Path

import pytest

from qmisniff import cli
from qmisniff.capture_file import Reader, Writer
from qmisniff.errors import CaptureFileError
from qmisniff.frame import Frame

SAMPLES = sorted((Path(__file__).parents[1] / "captures").glob("*.pcapng"))
MUTATIONS = 20_000  # for each of the outputs


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda path: path.stem)
def test_every_prefix_of_a_sample_gives_the_frames_before_the_cut(sample: Path) -> None:
    whole = sample.read_bytes()
    frames = list(Reader(io.BytesIO(whole)))
    assert frames
    # Each is read from its start: of a large sample not all, but its beginning, its end, and some between.
    between = random.Random(sample.name).sample(range(len(whole)), min(len(whole), 1000))
    for size in {*between, *range(min(7500, len(whole))), *range(max(0, len(whole) - 200), len(whole))}:
        try:
            reader = Reader(io.BytesIO(whole[:size]))
        except CaptureFileError:
            assert size < 300
            continue
        got = list(reader)
        assert got == frames[: len(got)]


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda path: path.stem)
def test_a_cut_sample_is_printed_up_to_the_cut(
    sample: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    whole = sample.read_bytes()
    cut = tmp_path / "cut.pcapng"
    choose = random.Random(sample.name)
    for size in [0, 1, 5, 27, 28, 100, *choose.sample(range(len(whole)), 25)]:
        cut.write_bytes(whole[:size])
        code = cli.main(["read", str(cut), "-V"])
        said = capsys.readouterr().err
        assert code in (0, 1, 2)
        assert (said == "") == (code == 0)
        assert said.count("\n") <= 1 and "Traceback" not in said


def mutations(count: int, seed: int) -> list[Frame]:
    """`count` frames of the samples with bytes changed, cut, put in or doubled."""
    choose = random.Random(seed)
    frames = [
        frame for sample in SAMPLES for frame in Reader(io.BytesIO(sample.read_bytes())) if len(frame.data) < 4096
    ]
    mutated = []
    for _ in range(count):
        frame = choose.choice(frames)
        data = bytearray(frame.data)
        for _ in range(choose.randint(1, 6)):
            at = choose.randrange(len(data) + 1)
            match choose.randrange(4):
                case 0 if at < len(data):
                    data[at] = choose.choice((0, 1, 0x7F, 0x80, 0xFF, choose.randrange(256)))
                case 1:
                    del data[at : at + choose.randint(1, 8)]
                case 2:
                    data[at:at] = choose.randbytes(choose.randint(1, 8))
                case _:
                    data[at:at] = data[choose.randrange(len(data) + 1) : at]
        mutated.append(frame._replace(data=bytes(data[:8192]), orig_len=min(len(data), 8192)))
    return mutated


@pytest.mark.parametrize(
    ("seed", "arguments"),
    list(enumerate([["-V", "-x"], ["-T", "json"], ["-T", "ndjson"]])),
    ids=["text", "json", "ndjson"],
)
def test_mutated_packets_go_through(seed: int, arguments: list[str], tmp_path: Path) -> None:
    path = tmp_path / "mutated.pcapng"
    with path.open("wb") as stream:
        writer = Writer(stream)
        writer.write(mutations(MUTATIONS, seed))
        writer.close()
    shown = tmp_path / "shown"
    with shown.open("wb") as out:
        command = [sys.executable, "-m", "qmisniff", "read", str(path), *arguments]
        done = subprocess.run(command, stdout=out, stderr=subprocess.PIPE, timeout=600)
    assert (done.returncode, done.stderr) == (0, b"")
    text = shown.read_bytes()
    assert text.count(b"\n") >= MUTATIONS
    assert not any(byte in text for byte in (b"\x1b", b"\x07", b"\r", b"\xc2\x9b"))
