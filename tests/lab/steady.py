# SPDX-License-Identifier: GPL-2.0-or-later
"""Whether a capture's memory stays flat: a steady flow of messages in a guest, for a long time.

`python -m tests.lab.steady` fails if it is 2 MiB more at most in the last sixth of the time than at most in the first,
or if any message is neither captured nor reported as lost.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import tempfile
from pathlib import Path

from tests.lab import flooding
from tests.lab.guest import run_in_guest

_MOST_GROWTH = 2048  # KiB


def main() -> int:
    """Boot a guest, send, look at the memory."""
    parser = argparse.ArgumentParser(prog="python -m tests.lab.steady", description=__doc__)
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--rate", type=float, default=500.0, help="messages a second [%(default)s]")
    options = parser.parse_args()
    seconds = options.minutes * 60
    with tempfile.TemporaryDirectory() as name:
        out = Path(name)
        flooding.build(out)
        words = ("steady", str(options.rate), str(seconds))
        result = run_in_guest(Path(flooding.__file__), out, *words, timeout=seconds * 2 + 300)
    told = json.loads(result.check().stdout)
    samples, sent = told["samples"], told["sent"]
    sixth = max(len(samples) // 6, 1)
    first, last = samples[:sixth], samples[-sixth:]
    lost = re.search(r" (\d+) lost, ", told["said"])
    missing = sent["count"] - told["captured"] - (int(lost[1]) if lost else 0)
    print(
        f"{sent['count']} messages in {sent['seconds']:.0f} s, {told['captured']} captured, {missing} unaccounted for"
    )
    print(f"processor: {told['cpu'] / sent['seconds'] * 100:.0f} % of one")
    print(f"memory: first sixth {min(first)} to {max(first)} KiB, last sixth {min(last)} to {max(last)} KiB")
    return 1 if missing or max(last) - max(first) > _MOST_GROWTH else 0


if __name__ == "__main__":
    sys.exit(main())
