# SPDX-License-Identifier: GPL-2.0-or-later
"""What a tap did not get, in packets. Pure.

The ring says how many events were overwritten, not of how many packets; but the kernel also counts how often the heads'
probes ran, one for each packet, whatever became of their records. Probed, less read, less still in the ring, is lost.
"""

from __future__ import annotations

from typing import NamedTuple

OVERWRITTEN = "overwritten in the kernel's buffer before they were read"
NOT_PROBED = "where the kernel could not run its probe"


class Counts(NamedTuple):
    """What the kernel counted at the heads of a plan so far.

    `probed` packets the probes saw and the capture filter passed, None where that is not known; `missed` packets came
    where the kernel could not run a probe.
    """

    probed: int | None
    missed: int


class Losses:
    """Packets lost: what is certain while a capture runs, and the exact number once it has ended."""

    def __init__(self) -> None:
        self._overwritten = 0
        self._missed = 0

    @property
    def total(self) -> int:
        return self._overwritten + self._missed

    @property
    def causes(self) -> dict[str, int]:
        """Those that there were, with their packets."""
        return {
            cause: packets
            for cause, packets in ((OVERWRITTEN, self._overwritten), (NOT_PROBED, self._missed))
            if packets
        }

    def update(self, counts: Counts, heads: int, events: int, waiting: int) -> int:
        """How many more packets are known to be lost than before.

        `heads` have been read, `events` were overwritten as the pages read until now tell, and `waiting` events stood
        in the ring after `counts` were taken. As some of these are no heads, and some have come since, what is told
        while packets come is a little low.
        """
        before = self.total
        # Without a count, each lost event stands for a packet. With one, no more packets than events: a processor may
        # just have counted one whose record is not in the ring yet.
        lost = events if counts.probed is None else min(counts.probed - heads - waiting, events)
        self._overwritten = max(self._overwritten, lost)
        self._missed = max(self._missed, counts.missed)
        return self.total - before

    def settle(self, counts: Counts, heads: int, events: int) -> int:
        """The same at the end, when no packet comes any more and all that waited has been read."""
        before = self.total
        self._overwritten = events if counts.probed is None else max(counts.probed - heads, 0)
        self._missed = counts.missed
        return max(self.total - before, 0)
