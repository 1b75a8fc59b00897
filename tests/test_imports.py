# SPDX-License-Identifier: GPL-2.0-or-later
"""What a verb loads: a capture must run on a bare Python, and starting must not cost what is not used.

The contracts in pyproject.toml forbid the imports that stand in the source; this looks at what is really loaded.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

HEAVY = {"numpy", "yaml", "textual", "rich", "pyshark"}


def loaded_by(program: str) -> set[str]:
    """Top-level modules in sys.modules at the end of a program run by a fresh interpreter."""
    code = f"import sys\n{program}\nprint('\\n'.join(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return {name.partition(".")[0] for name in done.stdout.splitlines()} | set(done.stdout.splitlines())


@pytest.mark.parametrize(
    "program",
    [
        "import qmisniff.cli",
        "from qmisniff.cli import main\nmain([])",
        "from qmisniff.cli import main\nmain(['interfaces'])",
        "from qmisniff.cli import main\nassert main(['capture', '-i', 'nothing']) == 2",
        "import qmisniff.capture.run, qmisniff.capture.tap, qmisniff.capture_file",
    ],
)
def test_capturing_needs_the_standard_library_only(program: str) -> None:
    loaded = loaded_by(program)
    assert not loaded & HEAVY
    ours = {name.split(".")[1] for name in loaded if name.startswith("qmisniff.")}
    assert ours <= {"cli", "errors", "frame", "pcapng", "capture_file", "capture", "printable"}


def test_reading_needs_neither_the_screen_nor_pyshark() -> None:
    sample = Path(__file__).parents[1] / "captures" / "first-contact.pcapng"
    program = f"from qmisniff.cli import main\nassert main(['read', {str(sample)!r}, '-V']) == 0"
    assert not loaded_by(program) & (HEAVY - {"yaml"})
