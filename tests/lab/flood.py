# SPDX-License-Identifier: GPL-2.0-or-later
"""How much a capture can take: floods of rising rates and sizes in a guest, as a table.

`python -m tests.lab.flood` takes some minutes and fails if any packet is neither captured nor reported as lost. The
last row of a size is that at which the sender itself, tapped, does not reach half of what it is asked for. Times are
those of a guest with one processor that executes an instruction a nanosecond, and so the same on a busy machine.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.lab import flooding
from tests.lab.guest import run_in_guest

_SIZES = (20, 2000, 60000)
_RATES = (100, 1000, 5000, 20000, 50000)
_PACE = 1  # nanoseconds an instruction of the guest's takes
_MOST_BYTES = 100 << 20  # of a flood: the guest keeps the file in its memory


def loads(seconds: float) -> Iterator[flooding.Load]:
    """Every size at every rate."""
    for size in _SIZES:
        for rate in _RATES:
            yield flooding.Load(rate, size, min(round(rate * seconds), _MOST_BYTES // size))


def line(outcome: dict[str, Any]) -> str:
    """A row of the table."""
    load, bare, sent, found = (outcome[name] for name in ("load", "bare", "sent", "found"))
    count = sent["count"]
    slower = (sent["cpu"] / count) / (bare["cpu"] / count)
    return (
        f"| {load['size']:,} | {load['rate']:,.0f} | {count / bare['seconds']:,.0f} | {count / sent['seconds']:,.0f} "
        f"| {count:,} | {found['captured']:,} | {found['lost']:,} | {found['shortened']:,} "
        f"| {bare['cpu'] / count * 1e6:.0f} | {sent['cpu'] / count * 1e6:.0f} | {slower:.1f} "
        f"| {outcome['cpu']:.2f} | {outcome['peak'] / 1024:.0f} |"
    )


_HEAD = (
    "| bytes | asked /s | alone /s | tapped /s | sent | captured | lost | shortened "
    "| sender alone µs | tapped µs | times | capture s | MiB |"
)


def best(outcomes: list[dict[str, Any]]) -> Iterator[str]:
    """For each size, the highest rate that was sent with nothing lost."""
    for size in _SIZES:
        whole = [
            outcome["sent"]["count"] / outcome["sent"]["seconds"]
            for outcome in outcomes
            if outcome["load"]["size"] == size and not outcome["found"]["lost"] and not outcome["found"]["shortened"]
        ]
        yield f"{size} bytes: nothing lost up to {max(whole, default=0):,.0f} messages/s"


def main() -> int:
    """Boot a guest, flood, print."""
    parser = argparse.ArgumentParser(prog="python -m tests.lab.flood", description=__doc__)
    parser.add_argument("--seconds", type=float, default=1.0, help="of each flood [%(default)s]")
    parser.add_argument("--buffer", default="4", help="the capture's -B [%(default)s]")
    parser.add_argument("--timeout", type=float, default=3600.0)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        out = Path(name)
        flooding.build(out)
        words = [f"{load.rate:.0f}:{load.size}:{load.count}" for load in loads(options.seconds)]
        program = Path(flooding.__file__)
        result = run_in_guest(program, out, "floods", options.buffer, *words, timeout=options.timeout, pace=_PACE)
    outcomes = [json.loads(text) for text in result.stdout.splitlines()]
    print(_HEAD, "|---" * (_HEAD.count("|") - 1) + "|", *map(line, outcomes), *best(outcomes), sep="\n")
    result.check()
    wrong = [
        outcome for outcome in outcomes
        if outcome["sent"]["count"] != outcome["found"]["captured"] + outcome["found"]["lost"]
        or outcome["found"]["distinct"] != outcome["found"]["captured"] or outcome["found"]["broken"]
    ]  # fmt: skip
    for outcome in wrong:
        print(f"neither captured nor reported: {outcome}", file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
