# SPDX-License-Identifier: GPL-2.0-or-later
"""The bytes of a capture file: how much of a large one stays in memory."""

from __future__ import annotations

import re
from pathlib import Path

from qmisniff.store.file_bytes import FileBytes

MIB = 1 << 20


def resident(file: Path) -> int:
    """Bytes of the file that are mapped and in this process's memory."""
    maps = Path("/proc/self/smaps").read_text().split(str(file))[1:]
    return sum(int(size) for each in maps for size in re.findall(r"^Rss: +(\d+) kB", each, re.MULTILINE)[:1]) * 1024


def test_a_large_file_does_not_stay_in_memory(tmp_path: Path) -> None:
    file = tmp_path / "large"
    with file.open("w+b") as stream:
        for at in range(64):
            stream.seek(at * MIB)
            stream.write(b"%02d" % at)
        stream.truncate(64 * MIB)
        found = FileBytes(stream)
    first = found.part(0, MIB)
    for at in range(64):
        part = found.part(at * MIB, MIB)
        assert bytes(part[:2]) == b"%02d" % at and not any(part[4096::4096])
    assert 0 < resident(file) < 20 * MIB
    assert bytes(first[:2]) == b"00"  # what was given back comes again
