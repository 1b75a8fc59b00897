# SPDX-License-Identifier: GPL-2.0-or-later
"""One capture being looked at: what every screen shares."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from qmisniff.dissect import Dissector
from qmisniff.errors import CaptureFileError, QmisniffError
from qmisniff.export.notes import Notes, read_notes
from qmisniff.store import Store
from qmisniff.tui.annotations import Annotations
from qmisniff.tui.feed import Feed, FileInput, Input
from qmisniff.tui.recording import Recording
from qmisniff.tui.saving import EXPORTS, save
from qmisniff.tui.sieve import Sieve


class Session:
    """A store, the feed that fills it, and how much of it has been saved.

    Captures that are made now (live sources, pipes) are recorded: in a file of the user's, or in a temporary one until
    they are saved or given up.
    """

    def __init__(self, source: Input | FileInput, dissector: Dissector, recording: Recording | None = None) -> None:
        self.store = Store()
        self.dissector = dissector
        self.recording = recording
        self.feed = Feed(self.store, source, recording)
        self.sieve = Sieve(self.store, dissector)
        self.notes = Annotations()
        self.path = source.path if isinstance(source, FileInput) else None
        self.again: Callable[[], Session] | None = None  # opens the same once more
        self.notes_in_file = Notes()
        self._comments_saved: dict[int, str] = {}
        self._saved = 0

    @property
    def unsaved(self) -> int:
        """Packets that are in no file the user knows of."""
        if self.recording is None:
            return 0
        return max(0, len(self.store) - max(self._saved, self.recording.kept))

    @property
    def error(self) -> QmisniffError | None:
        """Why not all that there was to capture is where the user wants it."""
        if self.feed.error is None and self.unsaved and self.recording is not None:
            return self.recording.error
        return self.feed.error

    @property
    def comments_unsaved(self) -> bool:
        """Whether comments were written that are in no file."""
        return self.notes.comments != self._comments_saved

    def read_notes(self) -> None:
        """Take in the comments and marks that the file has; takes a second for a million packets."""
        if self.path is not None:
            found = self.notes_in_file = read_notes(self.path)
            self._comments_saved = dict(found.comments)
            self.notes.comments = {**found.comments, **self.notes.comments}
            self.notes.marked = {*found.marked, *self.notes.marked}

    def save(self, path: Path, rows: Sequence[int] | None = None) -> int:
        """Write the packets received so far, or these rows, to a file; how many those are. Raises CaptureFileError.

        What is written is a capture, or what the file's ending says (`saving.EXPORTS`).
        """
        if self.recording is not None and self.feed.progress.running and _same(path, self.recording.path):
            raise CaptureFileError(f"{path} is being written by the capture", "choose another place, or stop it first")
        chosen = range(len(self.store)) if rows is None else rows
        save(self, path, chosen)
        if rows is None and path.suffix.lower() not in EXPORTS:
            self._saved = len(chosen)
            self._comments_saved = dict(self.notes.comments)
            if self.path is not None and path.exists() and path.samefile(self.path):
                self.notes_in_file = read_notes(path)
        return len(chosen)

    def comment(self, row: int, text: str) -> None:
        """Write a comment to a packet; an empty one takes it away."""
        self.notes.comment(row, text)

    def give_up(self) -> None:
        """The user does not want what is unsaved."""
        self._saved = len(self.store)
        self._comments_saved = dict(self.notes.comments)

    def close(self) -> Path | None:
        """Stop the feed; a temporary file goes too, unless it holds what was neither saved nor given up: its path.

        A file that the user named stays; its path where not all of the capture came into it.
        """
        ended = self.feed.stop(60)
        if self.recording is None:
            return None
        if ended and not self.unsaved:
            self.recording.discard()
            return None
        return self.recording.path


def _same(path: Path, other: Path) -> bool:
    try:
        return path.samefile(other)
    except (OSError, ValueError):
        return False
