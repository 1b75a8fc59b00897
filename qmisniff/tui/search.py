# SPDX-License-Identifier: GPL-2.0-or-later
"""Finding packets by text, bytes, a regular expression or a filter, in what list, details or bytes show."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from enum import Enum
from typing import NamedTuple

from qmisniff.definitions import Registry
from qmisniff.dissect import Dissector
from qmisniff.dissect.text import field_text
from qmisniff.errors import UsageError
from qmisniff.filter import Filter, compile_filter
from qmisniff.filter.expression import expression
from qmisniff.store import Store

Cancel = Callable[[], bool]
_PART = 1 << 15  # rows that a filter is asked about at once


class By(Enum):
    """What is searched for."""

    TEXT = "text"
    HEX = "hex"
    REGEX = "regex"
    FILTER = "filter"


class Place(Enum):
    """Where it is searched."""

    LIST = "list"
    DETAILS = "details"
    BYTES = "bytes"


class Wanted(NamedTuple):
    """A search."""

    text: str
    by: By
    place: Place


class Hit(NamedTuple):
    """Where it was found: the row, and the byte of the frame, -1 where there is none to point at."""

    row: int
    offset: int = -1


Match = Callable[[bytes], int]  # where in the text it is found, -1 nowhere


class Search:
    """A search made ready. Raises UsageError (also FilterError) where it makes no sense."""

    def __init__(self, wanted: Wanted, registry: Registry) -> None:
        self.wanted = wanted
        self._filter: Filter | None = None
        self._match: Match = lambda text: -1
        if not wanted.text:
            raise UsageError("nothing to search for")
        if wanted.by is By.FILTER:
            self._filter = compile_filter(wanted.text, registry)
        elif wanted.by is By.HEX:
            self._match = _finder(_bytes(wanted.text))
        elif wanted.by is By.REGEX:
            self._match = _regex(wanted.text)
        else:
            self._match = _text(wanted.text)

    def hits(self, store: Store, dissector: Dissector, rows: Iterator[int], cancel: Cancel) -> Iterator[Hit]:
        """What is found in these rows, in their order; ends early once `cancel` says so."""
        for row in rows:
            if cancel():
                return
            offset = self._in_row(store, dissector, row)
            if offset is not None:
                yield Hit(row, offset)

    def _in_row(self, store: Store, dissector: Dissector, row: int) -> int | None:
        frame, context = store.frame(row), store.context(row)
        if self._filter is not None:
            return -1 if self._filter.matches(frame, context, dissector) else None
        if self.wanted.by is By.HEX or self.wanted.place is Place.BYTES:
            at = self._match(frame.data)
            return at if at >= 0 else None
        if self.wanted.place is Place.LIST:
            summary = dissector.summary(frame, context)
            text = " ".join((summary.source, summary.destination, summary.protocol, frame.comm, summary.info))
            return -1 if self._match(text.encode("utf-8", "replace")) >= 0 else None
        tree = dissector.tree(frame, context).walk()
        found = [field for field in tree if self._match(field_text(field).encode("utf-8", "replace")) >= 0]
        if not found:
            return None
        # What lies around a value often says the value too.
        best = next((field for field in found if not field.children), found[0])
        return best.offset if best.size else -1

    def passing(self, store: Store, dissector: Dissector, start: int, stop: int, cancel: Cancel) -> list[int]:
        """The rows from `start` up to `stop` that pass, in order, all asked at once; None for what is no filter."""
        assert self._filter is not None
        found: list[int] = []
        for part in self._filter.rows(store, dissector, start, stop, cancel):
            found += part.rows
        return found


def first_hit(
    search: Search,
    store: Store,
    dissector: Dissector,
    rows: Sequence[int],
    in_capture_order: bool,
    line: int,
    step: int,
    cancel: Cancel,
) -> Hit | None:
    """The first hit going on from a line of a list of rows, down or up (`step` -1), once around its end."""
    count = len(rows)
    if not count:
        return None
    if search.wanted.by is By.FILTER and in_capture_order:
        return _first_passing(search, store, dissector, rows, line, step, cancel)
    lines = ((line + step * at) % count for at in range(1, count + 1))
    return next(search.hits(store, dissector, (rows[at] for at in lines), cancel), None)


def _first_passing(
    search: Search, store: Store, dissector: Dissector, rows: Sequence[int], line: int, step: int, cancel: Cancel
) -> Hit | None:
    """The same for a filter: it is asked of many rows at once, window after window."""
    count = len(rows)
    done = 0
    at = (line + step) % count
    while done < count and not cancel():
        if step > 0:
            low, high = at, min(at + _PART, count, at + count - done)
        else:
            low, high = max(at - _PART + 1, 0, at + 1 - (count - done)), at + 1
        found = search.passing(store, dissector, rows[low], rows[high - 1] + 1, cancel)
        shown = set(rows[low:high]) if not isinstance(rows, range) else None
        there = [row for row in found if shown is None or row in shown]
        if there:
            return Hit(there[0] if step > 0 else there[-1])
        done += high - low
        at = (high if step > 0 else low - 1) % count
    return None


def _bytes(text: str) -> bytes:
    digits = "".join(text.replace(":", " ").replace("0x", " ").split())
    try:
        found = bytes.fromhex(digits)
    except ValueError:
        raise UsageError(f"{text} is no row of bytes", "write 01 02 ff, 01:02:ff or 0102ff") from None
    if not found:
        raise UsageError("nothing to search for")
    return found


def _finder(wanted: bytes) -> Match:
    return lambda text: text.find(wanted)


def _text(text: str) -> Match:
    """Upper and lower case of ASCII letters are the same."""
    wanted = text.encode("utf-8", "replace").lower()
    return lambda found: found.lower().find(wanted)


def _regex(text: str) -> Match:
    try:
        compiled = expression(text.encode("utf-8", "replace"))
    except ValueError as error:
        raise UsageError(str(error)) from None

    def match(found: bytes) -> int:
        hit = compiled.search(found)
        start = getattr(hit, "start", None)
        return -1 if not hit else start() if callable(start) else 0

    return match
