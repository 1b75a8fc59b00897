# SPDX-License-Identifier: GPL-2.0-or-later
"""What every capture source is: probe it, open it, read frames from it, close it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, NamedTuple, Protocol, Self, runtime_checkable

from qmisniff.frame import Frame, Origin

if TYPE_CHECKING:
    from qmisniff.capture.target import Target


class Availability(NamedTuple):
    """Whether a source can run here: `reason` says what was found, `remedy` what would help where it cannot."""

    ok: bool
    reason: str
    remedy: str = ""


class Tuning(NamedTuple):
    """How much a source is to take.

    `buffer_kib` for what waits to be read, for each CPU where the kernel keeps them apart, None what suits the machine;
    `snap` bytes of each packet, 0 all; the packets that pass a capture `filter`, "" all.
    """

    buffer_kib: int | None = None
    snap: int = 0
    filter: str = ""


NO_TUNING = Tuning()


class View(NamedTuple):
    """What a kind of source sees, and what it cannot see."""

    sees: str
    misses: str


class Statistics(NamedTuple):
    """What a source has seen so far.

    `lost` packets were seen by the kernel but never became frames; `causes` divides them, by what to call each.
    `truncated` frames have fewer bytes than there were and were asked for. `gaps` are the kernel's own records that
    were lost, by CPU: at least so many, and there may be several of a packet.
    """

    frames: int = 0
    lost: int = 0
    truncated: int = 0
    causes: Mapping[str, int] = {}
    gaps: Mapping[int, int] = {}


class Entrusted(Protocol):
    """What of a source needs root while it runs, for another process to keep."""

    def allows(self, act: str, path: str, text: str) -> bool:
        """Whether an act of Target's on a file is needed to read, stop or remove it."""

    def release(self) -> None:
        """Close the files that are open for reading it: another process reads them, and it cannot be removed else."""

    def remove(self) -> None:
        """Take away whatever was put into the system."""


@runtime_checkable
class Entrusting(Protocol):
    """A source that can go on without root, where another process does for it what needs that."""

    @property
    def entrusted(self) -> Entrusted | None:
        """Of an open source: what needs root; None where another process cannot keep it."""

    def entrust(self, target: Target) -> None:
        """Act through `target` from here on, which does what is `entrusted` and no more."""


class Source(Protocol):
    """A live source. Use it as a context manager, so that nothing is left behind on any way out."""

    @property
    def origin(self) -> Origin:
        """What its frames carry as their origin; complete once the source is open."""

    @property
    def statistics(self) -> Statistics:
        """Counters so far; exact once the source is closed."""

    @property
    def notes(self) -> Sequence[str]:
        """What a user should know about this capture, one line each: what is not seen, what was cleaned up.

        New ones may be added at the end while it runs.
        """

    def probe(self) -> Availability:
        """Whether it can run here, without changing anything."""

    def open(self) -> None:
        """Start. Raises SourceUnavailable or SourceFailed, and then has left nothing behind."""

    def read(self, timeout: float) -> list[Frame] | None:
        """Frames in the order of their time; [] after `timeout` seconds without one, None when the source has ended.

        Raises SourceFailed when the source dies.
        """

    def stop(self) -> None:
        """See nothing new from here on; `read` still gives what was on its way, then None."""

    def close(self) -> None:
        """Take away whatever was put into the system. A second call does nothing."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


class Opened:
    """A source is open within `with`, and closed on any way out."""

    def open(self) -> None:
        """See Source."""
        raise NotImplementedError

    def close(self) -> None:
        """See Source."""
        raise NotImplementedError

    def __enter__(self) -> Self:
        self.open()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
