# SPDX-License-Identifier: GPL-2.0-or-later
"""Captures to look at: files, pipes and sources become sessions."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from qmisniff.capture import open_source
from qmisniff.definitions import Registry
from qmisniff.errors import SourceUnavailable
from qmisniff.tui.feed import FileInput, LiveInput, PipeInput
from qmisniff.tui.guard import GuardedDissector
from qmisniff.tui.recording import Recording
from qmisniff.tui.session import Session


class Opener:
    """Opens captures, all decoded by one registry."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry

    def file(self, path: Path) -> Session:
        """A capture file. Raises CaptureFileError."""
        session = Session(FileInput(path), GuardedDissector(self._registry))
        session.again = partial(self.file, path)
        return session

    def pipe(self, descriptor: int) -> Session:
        """A capture that comes through a pipe."""
        return Session(PipeInput(descriptor, "standard input"), GuardedDissector(self._registry), Recording())

    def source(self, name: str) -> Session:
        """A source of `qmisniff interfaces`. Raises UsageError, SourceUnavailable, CaptureFileError."""
        source = open_source(name)
        state = source.probe()
        if not state.ok:
            raise SourceUnavailable(state.reason, state.remedy)
        session = Session(LiveInput(source, source.origin.name or name), GuardedDissector(self._registry), Recording())
        session.again = partial(self.source, name)
        return session
