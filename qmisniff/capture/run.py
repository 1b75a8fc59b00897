# SPDX-License-Identifier: GPL-2.0-or-later
"""The capture loop: a source into pcapng files, until a signal, a limit or the end of the source."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TextIO

from qmisniff.capture import ending
from qmisniff.capture.files import CaptureFiles
from qmisniff.capture.narration import Teller, comment, summary
from qmisniff.capture.privileges import leave_root
from qmisniff.capture.source import Source
from qmisniff.capture.systemd import ready
from qmisniff.frame import Frame

_PATIENCE = 0.2  # seconds after which a signal or a vanished reader is noticed at the latest


def run(
    source: Source, files: CaptureFiles, narration: TextIO, show: Callable[[Sequence[Frame]], bool] | None = None
) -> int:
    """Capture into files until a limit of theirs, SIGINT, SIGTERM or SIGHUP; returns the exit code.

    `show` is given the frames once they are written, or none when time has passed, and says whether to go on. The
    (first) file is opened once the source is: what cannot capture must not take the place of an earlier capture. Where
    this process is root, it is not any more once both are open. Whatever ends it, the file is complete and the source
    closed; where narration cannot be written, it goes on. Raises what the source raises, BrokenPipeError when the
    reader of a pipe has gone, and CaptureFileError, the file then being closed, when it cannot be written.
    """
    teller = Teller(source, narration)
    try:
        with ending.noted() as caught, source:
            files.open()
            further, note = leave_root(source, files.opener if files.several else None)
            files.opener = further or files.opener
            teller.notes()
            if note:
                teller.say(f"qmisniff: {note}")
            teller.say(f"capturing from {source.origin.name}, ctrl+c ends")
            ready()
            try:
                try:
                    _pump(source, files, caught, teller, show)
                finally:
                    files.close(source.statistics.lost, comment(source.statistics))
            finally:
                teller.notes()
                for line in summary(files.written, source.statistics):
                    teller.say(line)
    except ending.Interrupted:
        teller.say("ended before there was anything to capture")
    return 0


def _pump(
    source: Source,
    files: CaptureFiles,
    caught: list[int],
    teller: Teller,
    show: Callable[[Sequence[Frame]], bool] | None,
) -> None:
    going = True
    while (frames := source.read(_PATIENCE)) is not None:
        written = files.write(frames)
        teller.notes()
        teller.losses()
        if show is not None and going:
            going = show(written)
        if caught or files.done or not going:
            source.stop()
