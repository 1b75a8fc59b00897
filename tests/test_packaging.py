# SPDX-License-Identifier: GPL-2.0-or-later
"""What `pip install .` brings: the wheel carries the definitions, the samples and the parts of the Lua dissector."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

ROOT = Path(__file__).parents[1]


def test_the_wheel_has_everything_the_program_reads(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", str(tmp_path), str(ROOT)]
    subprocess.run(command, check=True, capture_output=True, timeout=300)
    (wheel,) = tmp_path.glob("qmisniff-*.whl")
    names = set(zipfile.ZipFile(wheel).namelist())
    wanted = {
        f"qmisniff/data/{path.relative_to(ROOT)}"
        for pattern in ("dissectors/*.yaml", "captures/*.pcapng")
        for path in ROOT.glob(pattern)
    } | {str(path.relative_to(ROOT)) for path in (ROOT / "qmisniff").rglob("*.lua")}
    assert wanted
    assert wanted <= names
    assert not [name for name in names if name.startswith("tests/")]
