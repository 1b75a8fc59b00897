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
from qmisniff.tui.recording import Recording, TemporaryRecording
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

    def pipe(self, descriptor: int, write: Path | None = None) -> Session:
        """A capture that comes through a pipe, recorded in `write` where that is given. Raises CaptureFileError."""
        return Session(PipeInput(descriptor, "standard input"), GuardedDissector(self._registry), _recording(write))

    def source(self, name: str, write: Path | None = None) -> Session:
        """A source of `qmisniff interfaces`, recorded in `write` where that is given.

        Raises UsageError, SourceUnavailable, CaptureFileError.
        """
        source = open_source(name)
        state = source.probe()
        if not state.ok:
            source.close()  # a shell on another machine would stay
            raise SourceUnavailable(state.reason, state.remedy)
        feeding = LiveInput(source, source.origin.name or name)
        session = Session(feeding, GuardedDissector(self._registry), _recording(write))
        session.again = partial(self.source, name)  # not into the file that holds what was captured before
        return session


def _recording(write: Path | None) -> Recording:
    return TemporaryRecording() if write is None else Recording(write)
