# SPDX-License-Identifier: GPL-2.0-or-later
"""Packets into files: captures as they stand in the file they came from, or anything that exporters write."""

from __future__ import annotations

import io
import os
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from qmisniff.capture_file import Writer
from qmisniff.errors import CaptureFileError
from qmisniff.export import Detail, open_format
from qmisniff.export.notes import Notes, noting
from qmisniff.export.pcapng import Copier
from qmisniff.readers import recognised
from qmisniff.readers.compressed import expand

if TYPE_CHECKING:
    from qmisniff.tui.session import Session

EXPORTS = {".txt": "text", ".json": "json", ".ndjson": "ndjson", ".csv": "csv"}  # ending -> format


def write_file(path: Path, write: Callable[[BinaryIO], None]) -> None:
    """Write a file that only its owner can read: captures hold identities.

    A file already there is replaced when all is written, not before. Raises CaptureFileError.
    """
    part = path.with_name(path.name + ".part")
    try:
        descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        try:
            with os.fdopen(descriptor, "wb", buffering=1 << 20) as stream:
                write(stream)
            part.replace(path)
        except BaseException:
            part.unlink(missing_ok=True)
            raise
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        reason = error.strerror if isinstance(error, OSError) else error
        raise CaptureFileError(f"{path}: {reason}", "choose another place") from None


def save(session: Session, path: Path, rows: Sequence[int]) -> None:
    """Write these rows of a session, in order: as pcapng, or as the file's ending says. Raises CaptureFileError."""
    form = EXPORTS.get(path.suffix.lower())
    if form is not None:
        write_file(path, lambda sink: _export(session, form, rows, sink))
    elif session.path is not None:
        source = session.path
        write_file(path, lambda sink: _copy(session, source, rows, sink))
    else:
        write_file(path, lambda sink: _record(session, rows, sink))


def _export(session: Session, form: str, rows: Sequence[int], sink: BinaryIO) -> None:
    out = io.TextIOWrapper(sink, encoding="utf-8", newline="\n")
    made = open_format(form, session.dissector, out, Detail())
    for row in rows:
        made.write(session.store.frame(row), session.store.context(row))
    made.close()
    out.flush()
    out.detach()


def _copy(session: Session, source: Path, rows: Sequence[int], sink: BinaryIO) -> None:
    """The packets with all that the file says of them, and the notes of the session."""
    with recognised(source.open("rb"), source, lambda text: None) as file:
        stream, damage = expand(file, source.name)
        with stream:
            change = noting(session.notes_in_file, _notes(session, rows))
            copier = Copier(stream, source.name, change)
            copier.into(sink, rows if isinstance(rows, range) else frozenset(rows))
            if copier.copied < len(rows):
                lost = len(rows) - copier.copied
                reason = damage or copier.damage or f"{source.name} is another file by now"
                raise CaptureFileError(f"{lost:,} of the packets are no longer in the file: {reason}")


def _record(session: Session, rows: Sequence[int], sink: BinaryIO) -> None:
    """The packets as a capture writes them."""
    store, notes = session.store, _notes(session, rows)
    lost = session.feed.progress.lost if len(rows) == len(store) else None

    def write(written: BinaryIO) -> None:
        writer = Writer(written)
        writer.write(map(store.frame, rows))
        writer.close(lost)

    if not notes.comments and not notes.marked:
        write(sink)
        return
    places = list(enumerate(rows))
    comments = {place: notes.comments[row] for place, row in places if row in notes.comments}
    marked = {place for place, row in places if row in notes.marked}
    with tempfile.TemporaryFile() as plain:
        write(plain)
        plain.seek(0)
        Copier(plain, "capture", noting(Notes(), Notes(comments, marked))).into(sink)


def _notes(session: Session, rows: Sequence[int]) -> Notes:
    """The session's notes to go with these rows: where all of them are marked, marks would tell nothing apart."""
    comments, marked = session.notes.comments, session.notes.marked
    return Notes(comments, frozenset() if marked.issuperset(rows) else marked)
