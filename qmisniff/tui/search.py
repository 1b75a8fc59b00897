# SPDX-License-Identifier: GPL-2.0-or-later
"""Finding packets by text, bytes, a regular expression or a filter, in what list, details or bytes show."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from enum import Enum
from threading import Lock
from typing import NamedTuple

from qmisniff.definitions import Registry
from qmisniff.dissect import Dissector
from qmisniff.dissect.text import field_text
from qmisniff.errors import UsageError
from qmisniff.export.batches import batches
from qmisniff.export.packet_list import PacketList
from qmisniff.filter import Filter, compile_filter
from qmisniff.filter.expression import expression
from qmisniff.store import Store

Cancel = Callable[[], bool]
_FIRST = 1 << 10  # rows looked at first where many are at once: what is near is found without delay
_PART = 1 << 15  # and at most


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
    """A search made ready, of one store. Raises UsageError (also FilterError) where it makes no sense."""

    def __init__(self, wanted: Wanted, registry: Registry) -> None:
        self.wanted = wanted
        self._filter: Filter | None = None
        self._match: Match = lambda text: -1
        self._list: PacketList | None = None
        self._listing = Lock()  # a newer look may begin before the one that it ends has noticed
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

    def at_once(self, in_capture_order: bool) -> bool:
        """Whether `among` can look at many rows together, which is much quicker."""
        if self.wanted.by is By.FILTER:
            return in_capture_order
        return self.wanted.place is Place.LIST and self.wanted.by is not By.HEX

    def among(self, store: Store, dissector: Dissector, rows: Sequence[int], cancel: Cancel) -> set[int]:
        """Those of some rows that have it: of a filter, rows in the order of the capture."""
        if self._filter is None:
            return self._listed(store, dissector, sorted(rows), cancel)
        found: set[int] = set()
        for part in self._filter.rows(store, dissector, rows[0], rows[-1] + 1, cancel):
            found.update(part.rows)
        return found.intersection(rows)

    def _listed(self, store: Store, dissector: Dissector, rows: Sequence[int], cancel: Cancel) -> set[int]:
        listed = self._list = self._list or PacketList(store, dissector)
        tasks = store.tasks
        found: set[int] = set()
        for columns, places in batches(store, rows):
            if cancel():
                break
            with self._listing:
                source, destination, protocol, info = listed.rows(columns, places)
            senders = [tasks[task][1] for task in columns.task[places].tolist()]
            texts = zip(source, destination, protocol, senders, info, strict=True)
            for place, text in zip(places.tolist(), texts, strict=True):
                if self._match(" ".join(text).encode("utf-8", "replace")) >= 0:
                    found.add(columns.first + place)
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
    if not search.at_once(in_capture_order):
        lines = ((line + step * at) % count for at in range(1, count + 1))
        return next(search.hits(store, dissector, (rows[at] for at in lines), cancel), None)
    for low, high in _windows(count, line, step):
        if cancel():
            return None
        window = rows[low:high]
        found = search.among(store, dissector, window, cancel)
        if found:
            return Hit(next(row for row in (window if step > 0 else reversed(window)) if row in found))
    return None


def _windows(count: int, line: int, step: int) -> Iterator[tuple[int, int]]:
    """All lines of a list, parts from `low` up to `high`, in the order one comes to them going on from a line."""
    done, size = 0, min(_FIRST, _PART)
    at = (line + step) % count
    while done < count:
        if step > 0:
            low, high = at, min(at + size, count, at + count - done)
        else:
            low, high = max(at - size + 1, 0, at + 1 - (count - done)), at + 1
        yield low, high
        done += high - low
        at = (high if step > 0 else low - 1) % count
        size = min(size * 2, _PART)


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
