# SPDX-License-Identifier: GPL-2.0-or-later
"""Damaged packets through tshark with the exported dissector: is there a Lua error?

By hand:  python -m tests.lua.mutations [COUNT [SEED]]
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

from tests.differential.corpus import registry
from tests.differential.mutations import mutated
from tests.lua.tshark import export, save, tshark

AT_ONCE = 20_000


def lua_errors(script: Path, capture: Path) -> list[str]:
    """The lines of tshark's whole output, trees included, that tell of an error in the dissector."""
    command = [tshark(), "-n", "-V", "-X", f"lua_script:{script}", "-r", str(capture)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as running:
        assert running.stdout is not None
        found = [line.decode("utf-8", "replace") for line in running.stdout if b"Lua" in line]
    assert running.returncode == 0
    return found


def main(arguments: list[str]) -> int:
    count = int(arguments[0]) if arguments else 100_000
    seed = int(arguments[1]) if len(arguments) > 1 else 1
    found: list[str] = []
    with tempfile.TemporaryDirectory() as folder:
        script, capture = export(registry(), Path(folder, "qmisniff.lua")), Path(folder, "damaged.pcapng")
        for done in range(0, count, AT_ONCE):
            save((frame for _, frame in mutated(min(AT_ONCE, count - done), seed + done)), capture)
            found += lua_errors(script, capture)
    print(f"{count} damaged packets (seed {seed}): {len(found)} Lua errors")
    print("".join(found[:20]))
    return bool(found)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
