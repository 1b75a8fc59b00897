# SPDX-License-Identifier: GPL-2.0-or-later
"""What every capture source is: probe it, open it, read frames from it, close it."""

from __future__ import annotations

from collections.abc import Sequence
from types import TracebackType
from typing import NamedTuple, Protocol, Self

from qmisniff.frame import Frame, Origin


class Availability(NamedTuple):
    """Whether a source can run here: `reason` says what was found, `remedy` what would help where it cannot."""

    ok: bool
    reason: str
    remedy: str = ""


class View(NamedTuple):
    """What a kind of source sees, and what it cannot see."""

    sees: str
    misses: str


class Statistics(NamedTuple):
    """What a source has seen so far. `lost` packets were seen by the kernel but never became frames."""

    frames: int = 0
    lost: int = 0
    truncated: int = 0


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
