# SPDX-License-Identifier: GPL-2.0-or-later
"""The source `auto`: the first of several that can run here."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from qmisniff.capture.source import Availability, Entrusted, Entrusting, Opened, Source, Statistics, View
from qmisniff.capture.target import Target
from qmisniff.errors import SourceFailed, SourceUnavailable
from qmisniff.frame import Frame, Origin

Make = Callable[[], Source]


class Auto(Opened):
    """Whichever of `sources`, by name and in this order, can be opened first. Its notes say which, and why."""

    def __init__(self, sources: Mapping[str, tuple[Make, View]]) -> None:
        self._sources = sources
        self._chosen: Source | None = None
        self._said: list[str] = []

    @property
    def origin(self) -> Origin:
        """The chosen one's."""
        return self._chosen.origin if self._chosen else Origin("auto", "auto")

    @property
    def statistics(self) -> Statistics:
        """The chosen one's."""
        return self._chosen.statistics if self._chosen else Statistics()

    @property
    def notes(self) -> Sequence[str]:
        """Which one was chosen, what it cannot see, and its own notes."""
        return (*self._said, *self._chosen.notes) if self._chosen else ()

    def probe(self) -> Availability:
        """Whether any of them can run here; where none can, what the first one says."""
        states = []
        for name, (make, _) in self._sources.items():
            source = make()
            try:
                states.append(source.probe())
            finally:
                source.close()
            if states[-1].ok:
                return states[-1]._replace(reason=f"{name}: {states[-1].reason}")
        return states[0]

    def open(self) -> None:
        """Open the first that can be. Raises SourceUnavailable with the first one's reason where none can."""
        first: SourceUnavailable | SourceFailed | None = None
        for name, (make, view) in self._sources.items():
            source: Source | None = None
            try:
                source = make()
                source.open()
            except (SourceUnavailable, SourceFailed) as error:
                if source is not None:
                    source.close()
                first = first or error
                self._said.append(f"not {name}: {error}")
                continue
            self._chosen = source
            self._said.append(f"chose {name}: it sees {view.sees}; it does not see {view.misses}")
            return
        raise SourceUnavailable(str(first.args[0]), first.remedy) if first else SourceUnavailable("there is no source")

    @property
    def entrusted(self) -> Entrusted | None:
        """The chosen one's; see Entrusting."""
        return self._chosen.entrusted if isinstance(self._chosen, Entrusting) else None

    def entrust(self, target: Target) -> None:
        """See Entrusting."""
        if isinstance(self._chosen, Entrusting):
            self._chosen.entrust(target)

    def read(self, timeout: float) -> list[Frame] | None:
        """See Source."""
        return self._chosen.read(timeout) if self._chosen else None

    def stop(self) -> None:
        """See Source."""
        if self._chosen is not None:
            self._chosen.stop()

    def close(self) -> None:
        """See Source."""
        if self._chosen is not None:
            self._chosen.close()
