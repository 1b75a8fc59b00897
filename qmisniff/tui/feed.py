# SPDX-License-Identifier: GPL-2.0-or-later
"""Frames on their way into the store, in a thread of their own. The screen asks how far it has come; it is never told.

However fast frames come, the screen is painted as often as it asks, and nothing of a capture's pace reaches its thread.
"""

from __future__ import annotations

import io
import os
import select
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple, Protocol

from qmisniff.capture.source import Source
from qmisniff.errors import CaptureFileError, QmisniffError, SourceFailed
from qmisniff.frame import Frame
from qmisniff.readers import recognised
from qmisniff.store import Store
from qmisniff.store.load import Loader, PipeReader
from qmisniff.tui.recording import Recording

_STEPS = 8  # of loading, between which requests are paired: as many as are paired at once
_WAIT_S = 0.1  # how long a read of a live source may sleep: also how long stopping takes


class Input(Protocol):
    """Where frames come from."""

    @property
    def name(self) -> str:
        """What it is called on the screen."""

    @property
    def live(self) -> bool:
        """Whether frames come as they happen."""

    @property
    def started(self) -> bool:
        """Whether frames can come yet."""

    @property
    def notes(self) -> Sequence[str]:
        """What the user should know about what can be seen, a line each; complete once started."""

    @property
    def lost(self) -> int:
        """Packets known to be lost so far."""

    @property
    def damage(self) -> str:
        """Empty, or one line on what is wrong with what was read."""

    def batches(self, stop: threading.Event) -> Iterator[list[Frame]]:
        """Frames in order until there are no more or `stop` is set. Raises QmisniffError or OSError."""


class LiveInput:
    """A source, opened when its frames are first asked for and closed when they have ended.

    Opening may take seconds: a kernel arms hundreds of probes.
    """

    live = True
    damage = ""

    def __init__(self, source: Source, name: str) -> None:
        self.name = name
        self.started = False
        self._source = source

    @property
    def notes(self) -> Sequence[str]:
        return self._source.notes

    @property
    def lost(self) -> int:
        return self._source.statistics.lost

    def batches(self, stop: threading.Event) -> Iterator[list[Frame]]:
        if stop.is_set():
            return
        stopping = False
        self._source.open()
        self.started = True
        try:
            while (frames := self._source.read(_WAIT_S)) is not None:
                yield frames
                if stop.is_set() and not stopping:
                    stopping = True
                    self._source.stop()
        finally:
            self._source.close()


class FileInput:
    """A capture file that is all there. Raises CaptureFileError at once where it is none."""

    live = False
    started = True

    def __init__(self, path: Path) -> None:
        self.name = path.name
        self.path = path
        self.notes: list[str] = []
        try:
            self._stream = recognised(path.open("rb"), path, self.notes.append)
        except OSError as error:
            raise CaptureFileError(f"{path}: {error.strerror}") from None
        try:
            self._loader = Loader(self._stream, self.name)
        except BaseException:
            self._stream.close()
            raise

    @property
    def lost(self) -> int:
        return max(self._loader.lost, self._loader.dropped)

    @property
    def damage(self) -> str:
        return self._loader.damage

    def into(self, store: Store, stop: threading.Event) -> None:
        """Bring the frames into the store, until there are no more or `stop` is set."""
        with self._stream:
            for number, _ in enumerate(self._loader.into(store), 1):
                if stop.is_set():
                    return
                if not number % _STEPS:
                    store.settle()  # here: the screen's thread would wait for it when it first shows a packet
            store.settle()


class PipeInput:
    """A capture that is being written at the other end of a pipe; `descriptor` is read and then closed."""

    live = True
    started = True
    notes = ()

    def __init__(self, descriptor: int, name: str) -> None:
        self.name = name
        self._descriptor = descriptor
        self._reader: PipeReader | None = None
        self._lost = 0

    @property
    def lost(self) -> int:
        return max(self._lost, self._reader.dropped if self._reader is not None else 0)

    @property
    def damage(self) -> str:
        return self._reader.damage if self._reader is not None else ""

    def batches(self, stop: threading.Event) -> Iterator[list[Frame]]:
        with io.BufferedReader(_Interruptible(self._descriptor, stop)) as stream:
            try:
                self._reader = PipeReader(stream, self.name)
            except CaptureFileError:
                if stop.is_set():
                    return
                raise
            for frame in self._reader:
                if stop.is_set():
                    return
                self._lost += frame.lost
                yield [frame]


class _Interruptible(io.RawIOBase):
    """A pipe that ends when `stop` is set: a plain read would hold its thread until the other end writes."""

    def __init__(self, descriptor: int, stop: threading.Event) -> None:
        self._descriptor = descriptor
        self._stop = stop

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        while not self._stop.is_set():
            if select.select([self._descriptor], [], [], _WAIT_S)[0]:
                return os.readv(self._descriptor, [buffer])
        return 0

    def close(self) -> None:
        if not self.closed:
            os.close(self._descriptor)
        super().close()


class Progress(NamedTuple):
    """How far a feed has come."""

    received: int = 0
    lost: int = 0
    running: bool = True
    problem: str = ""  # one line: why it ended early, or what is wrong with what it read
    started: bool = True  # whether frames can come yet


class Feed:
    """Moves the frames of an input into a store and, where there is one, a recording. A file needs none."""

    def __init__(self, store: Store, source: Input | FileInput, recording: Recording | None = None) -> None:
        self.error: QmisniffError | None = None
        self._store = store
        self._input = source
        self._recording = recording
        self._running = True
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="feed", daemon=True)

    @property
    def live(self) -> bool:
        """Whether frames come as they happen."""
        return self._input.live

    @property
    def name(self) -> str:
        """What the input is called."""
        return self._input.name

    @property
    def notes(self) -> Sequence[str]:
        """What the user should know about what can be seen."""
        return self._input.notes

    @property
    def damage(self) -> str:
        """Empty, or what is wrong with the file read."""
        return self._input.damage

    @property
    def progress(self) -> Progress:
        """Where things stand now; cheap, for any thread."""
        running = self._running
        problems = [str(self.error) if self.error else "", self._input.damage]
        if self._recording is not None and self._recording.error is not None:
            problems.append(str(self._recording.error))
        problem = "; ".join(filter(None, problems))
        return Progress(len(self._store), self._input.lost, running, problem, self._input.started)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self, timeout: float = 10.0) -> bool:
        """End and clean up after the source; what arrived stays. False when that takes over `timeout` seconds."""
        self._stop.set()
        if self._thread.ident is None:
            self._run()  # never started: what was opened for it is still to be closed
        else:
            self._thread.join(timeout)
        return not self._running

    def _run(self) -> None:
        try:
            if isinstance(self._input, FileInput):
                self._input.into(self._store, self._stop)
                return
            for frames in self._input.batches(self._stop):
                try:
                    if self._recording is not None:
                        self._recording.write(frames)
                finally:  # where there is no file the packets are at least to be seen, and to be saved elsewhere
                    self._store.extend(frames)
        except QmisniffError as error:
            self.error = error
        except Exception as error:
            # The end of the thread: whatever a source did wrong is told on the screen, and what it gave stays.
            self.error = SourceFailed(f"{self.name} failed: {type(error).__name__}: {error}")
        finally:
            if self._recording is not None:
                self._recording.close(self._input.lost)
            self._running = False
