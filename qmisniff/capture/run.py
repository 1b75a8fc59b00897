# SPDX-License-Identifier: GPL-2.0-or-later
"""The capture loop: a source into a pcapng stream, until a signal, a count or the end of the source."""

from __future__ import annotations

import contextlib
import select
import signal
from collections.abc import Callable, Iterator
from types import FrameType
from typing import BinaryIO, TextIO

from qmisniff.capture.source import Source
from qmisniff.capture_file import Writer
from qmisniff.errors import CaptureFileError
from qmisniff.printable import plain

_PATIENCE = 0.2  # seconds after which a signal or a vanished reader is noticed at the latest


def run(source: Source, open_sink: Callable[[], BinaryIO], count: int | None, narration: TextIO) -> int:
    """Capture into a sink until `count` frames, SIGINT, SIGTERM or SIGHUP; returns the exit code.

    The sink is opened once the source is: what cannot capture must not take the place of an earlier capture. Whatever
    ends it, the file is complete and the source closed. Raises what the source raises, BrokenPipeError when the reader
    of the sink has gone, and CaptureFileError, the sink then being closed, when it cannot be written.
    """
    with _signals() as caught, source:
        sink = open_sink()
        notes = _Notes(source, narration)
        notes.tell()
        print(f"capturing from {source.origin.name}, ctrl+c ends", file=narration, flush=True)
        try:
            writer = Writer(sink)
            try:
                _pump(source, writer, sink, count, caught, notes)
            finally:
                notes.tell()
                writer.close(source.statistics.lost)
        except BrokenPipeError:
            raise
        except OSError as error:
            with contextlib.suppress(OSError):
                sink.close()  # it tries once more to write what it holds
            raise CaptureFileError(
                f"the capture cannot be written: {error.strerror}", "what was written until then can be read"
            ) from None
        statistics = source.statistics
        print(
            f"{writer.written} packets, {statistics.lost} lost, {statistics.truncated} truncated",
            file=narration,
            flush=True,
        )
    return 0


class _Notes:
    """Tells a source's notes as they come."""

    def __init__(self, source: Source, narration: TextIO) -> None:
        self._source = source
        self._narration = narration
        self._told = 0

    def tell(self) -> None:
        notes = self._source.notes
        for note in notes[self._told :]:
            print(f"qmisniff: {plain(note)}", file=self._narration, flush=True)
        self._told = len(notes)


def _pump(source: Source, writer: Writer, sink: BinaryIO, count: int | None, caught: list[int], notes: _Notes) -> None:
    left = count
    while (frames := source.read(_PATIENCE)) is not None:
        notes.tell()
        if left is not None:
            frames = frames[:left]
            left -= len(frames)
        if frames:
            writer.write(frames)
        if caught or left == 0 or _deserted(sink):
            source.stop()


def _deserted(sink: BinaryIO) -> bool:
    """Whether nobody can read what is written: a pipe whose other end is closed says so without a write."""
    try:
        poll = select.poll()
        poll.register(sink.fileno(), 0)
        return bool(poll.poll(0))
    except (OSError, ValueError):
        return False  # not a file of the system's: nobody can close its other end


@contextlib.contextmanager
def _signals() -> Iterator[list[int]]:
    """Note the signals that end a capture instead of dying of them; restored on the way out."""
    caught: list[int] = []

    def note(number: int, frame: FrameType | None) -> None:
        caught.append(number)

    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    if before[signal.SIGHUP] is signal.SIG_IGN:
        del before[signal.SIGHUP]  # nohup asked for it
    for number in before:
        signal.signal(number, note)
    try:
        yield caught
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
