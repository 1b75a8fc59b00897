# SPDX-License-Identifier: GPL-2.0-or-later
"""Formats that only tshark opens: the same packets as in the original, said on stderr, refused with a remedy."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from qmisniff import readers
from qmisniff.capture_file import Reader
from qmisniff.cli import main
from qmisniff.errors import CaptureFileError
from qmisniff.frame import Frame

CAPTURES = Path(__file__).parents[2] / "captures"
SAMPLES = sorted(CAPTURES.glob("*.pcapng"))

needs_tshark = pytest.mark.skipif(
    shutil.which("editcap") is None, reason="tshark is not installed (tests/setup-debian)"
)


def modified(sample: Path, folder: Path) -> Path:
    """The sample in the format of a modified tcpdump, whose magic number and record headers are its own."""
    made = folder / f"{sample.stem}.modified"
    subprocess.run(["editcap", "-F", "modpcap", sample, made], check=True, capture_output=True)
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
def test_the_verb_reads_it_and_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = modified(CAPTURES / "first-contact.pcapng", tmp_path)
    assert main(["read", str(file), "-Y", "qmi.dms.get_ids.imei"]) == 0
    said = capsys.readouterr()
    assert "Response: Get IDs" in said.out
    assert "tshark has read it" in said.err


@needs_tshark
@pytest.mark.parametrize("content", [b"no capture at all\n", b'{"a": 1}\n', b"\xa1\xb2\xcd\x34" + bytes(30)])
def test_what_holds_no_capture_is_refused(content: bytes, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(content)
    with pytest.raises(CaptureFileError, match="not a capture file"):
        frames(file)


def test_without_tshark_the_remedy_is_to_install_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: None)
    (tmp_path / "file").write_bytes(b"something else")
    with pytest.raises(CaptureFileError, match="with tshark installed"):
        frames(tmp_path / "file")
