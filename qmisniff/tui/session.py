# SPDX-License-Identifier: GPL-2.0-or-later
"""One capture being looked at: what every screen shares."""

from __future__ import annotations

from pathlib import Path

from qmisniff.dissect import Dissector
from qmisniff.store import Store
from qmisniff.tui.annotations import Annotations
from qmisniff.tui.feed import Feed, FileInput, Input
from qmisniff.tui.recording import Recording, save
from qmisniff.tui.sieve import Sieve


class Session:
    """A store, the feed that fills it, and how much of it has been saved.

    Captures that are made now (live sources, pipes) are recorded in a temporary file until they are saved or given up.
    """

    def __init__(self, source: Input | FileInput, dissector: Dissector, recording: Recording | None = None) -> None:
        self.store = Store()
        self.dissector = dissector
        self.recording = recording
        self.feed = Feed(self.store, source, recording)
        self.sieve = Sieve(self.store, dissector)
        self.notes = Annotations()
        self.comments_unsaved = False
        self._saved = 0

    @property
    def unsaved(self) -> int:
        """Packets that are in no file the user knows of."""
        return 0 if self.recording is None else len(self.store) - self._saved

    def save(self, path: Path) -> int:
        """Write the packets received so far to a file; how many those are. Raises CaptureFileError."""
        count = len(self.store)
        save(path, map(self.store.frame, range(count)), self.feed.progress.lost)
        self._saved = count
        return count

    def comment(self, row: int, text: str) -> None:
        """Write a comment to a packet; an empty one takes it away."""
        self.notes.comment(row, text)
        self.comments_unsaved = True

    def give_up(self) -> None:
        """The user does not want what is unsaved."""
        self._saved = len(self.store)

    def close(self) -> Path | None:
        """Stop the feed; the temporary file goes too, unless it holds what was neither saved nor given up: its path."""
        ended = self.feed.stop(60)
        if self.recording is None:
            return None
        if ended and not self.unsaved:
            self.recording.discard()
            return None
        return self.recording.path
