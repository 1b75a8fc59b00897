# SPDX-License-Identifier: GPL-2.0-or-later
"""What a capture tells people: while it runs, at its end, and of its losses in the file, too."""

from __future__ import annotations

import contextlib
import time
from typing import TextIO

from qmisniff.capture.losses import OVERWRITTEN
from qmisniff.capture.source import Source, Statistics
from qmisniff.printable import plain

_EVERY = 5.0  # seconds between two lines on losses, at least


class Teller:
    """Says on a stream what a source notes, as it comes, and now and then that more has been lost."""

    def __init__(self, source: Source, stream: TextIO) -> None:
        self._source = source
        self._stream = stream
        self._notes = 0  # told
        self._lost = 0
        self._next = 0.0

    def say(self, line: str) -> None:
        """Say a line, whether or not anybody hears it: a full disk or a reader that has gone is no end of a capture."""
        with contextlib.suppress(OSError):
            print(plain(line), file=self._stream, flush=True)

    def notes(self) -> None:
        """Say what the source has noted since."""
        for note in self._source.notes[self._notes :]:
            self.say(f"qmisniff: {note}")
            self._notes += 1

    def losses(self) -> None:
        """Say it where more has been lost."""
        lost = self._source.statistics.lost
        if lost > self._lost and time.monotonic() >= self._next:
            self._lost = lost
            self._next = time.monotonic() + _EVERY
            self.say(f"qmisniff: {lost} packets lost so far")


def summary(written: int, statistics: Statistics) -> list[str]:
    """The last line or two: how many packets there are, and what is missing, why, and what would help."""
    lines = [f"{written} packets, {statistics.lost} lost, {statistics.truncated} truncated"]
    if statistics.causes:
        causes = ", ".join(f"{packets} {cause}" for cause, packets in statistics.causes.items())
        remedy = "; more buffer (-B) helps, and so does less to capture (-f, -s)"
        lines.append(f"lost: {causes}{remedy if OVERWRITTEN in statistics.causes else ''}")
    return lines


def comment(statistics: Statistics) -> str:
    """The same for the capture's own statistics: a line a number, as `what: number`."""
    told = {f"lost, {cause}": packets for cause, packets in statistics.causes.items()}
    if statistics.truncated:
        told["shortened"] = statistics.truncated
    told |= {f"trace events overwritten, CPU {cpu}": events for cpu, events in sorted(statistics.gaps.items())}
    return "\n".join(f"{what}: {packets}" for what, packets in told.items())
