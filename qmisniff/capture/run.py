# SPDX-License-Identifier: GPL-2.0-or-later
"""The capture loop: a source into a pcapng stream, until a signal, a count or the end of the source."""

from __future__ import annotations

import contextlib
import select
import signal
from collections.abc import Callable, Iterator
from types import FrameType
from typing import BinaryIO, TextIO

from qmisniff.capture.narration import LossTeller, comment, summary
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
        for note in source.notes:
            print(f"qmisniff: {plain(note)}", file=narration)
        print(f"capturing from {source.origin.name}, ctrl+c ends", file=narration, flush=True)
        try:
            writer = Writer(sink)
            try:
                _pump(source, writer, sink, count, caught, LossTeller(narration))
            finally:
                writer.close(source.statistics.lost, comment(source.statistics))
                print(summary(writer.written, source.statistics), file=narration, flush=True)
        except BrokenPipeError:
            raise
        except OSError as error:
            with contextlib.suppress(OSError):
                sink.close()  # it tries once more to write what it holds
            frames, lost, *_ = source.statistics
            print(f"{frames} packets, {lost} lost, and the last of them are not in the file", file=narration)
            raise CaptureFileError(
                f"the capture cannot be written: {error.strerror}", "what was written until then can be read"
            ) from None
    return 0


def _pump(
    source: Source, writer: Writer, sink: BinaryIO, count: int | None, caught: list[int], losses: LossTeller
) -> None:
    left = count
    while (frames := source.read(_PATIENCE)) is not None:
        if left is not None:
            frames = frames[:left]
            left -= len(frames)
        if frames:
            writer.write(frames)
        losses.look(source.statistics)
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
