# SPDX-License-Identifier: GPL-2.0-or-later
"""Chosen fields of every packet on one line, as `tshark -T fields -e NAME -E OPTION` prints them; and CSV.

Numbers are decimal, truth values 1 and 0, bytes hex; a field that occurs more than once is joined by the aggregator.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TextIO

from qmisniff.dissect import Dissector
from qmisniff.dissect.frame_layer import NANOSECONDS
from qmisniff.dissect.names import held
from qmisniff.errors import UsageError
from qmisniff.export import Detail, Format, few
from qmisniff.filter.catalogue import Catalogue
from qmisniff.frame import Frame
from qmisniff.printable import plain
from qmisniff.protocol.context import Context
from qmisniff.store import Store

if TYPE_CHECKING:
    from qmisniff.export.cells import Cells

_CHARACTERS = {"/t": "\t", "/s": " "}
_QUOTES = {"d": '"', "s": "'", "n": ""}
# Columns of the packet list, under Wireshark's names for them: attributes of a Summary.
LISTED = {f"_ws.col.{name}": name for name in ("source", "destination", "protocol", "info")}


@dataclass(slots=True, frozen=True)
class Layout:
    """How a line is put together; the names and defaults are those of tshark's -E."""

    header: bool = False
    separator: str = "\t"
    occurrence: str = "a"  # first, last, all
    aggregator: str = ","
    quote: str = ""


def layout_of(options: Iterable[str], start: Layout) -> Layout:
    """`start` changed by options such as `header=y`. Raises UsageError for one that is not understood."""
    for option in options:
        name, _, value = option.partition("=")
        if name == "header" and value in ("y", "n"):
            start = replace(start, header=value == "y")
        elif name == "occurrence" and value in ("f", "l", "a"):
            start = replace(start, occurrence=value)
        elif name == "quote" and value in _QUOTES:
            start = replace(start, quote=_QUOTES[value])
        elif name == "separator" and (value in _CHARACTERS or len(value) == 1):
            start = replace(start, separator=_CHARACTERS.get(value, value))
        elif name == "aggregator" and (value in _CHARACTERS or len(value) == 1):
            start = replace(start, aggregator=_CHARACTERS.get(value, value))
        else:
            raise UsageError(
                f"-E {option}: not understood",
                "header=y|n, separator=/t|/s|CHARACTER, occurrence=f|l|a, aggregator=/s|CHARACTER, quote=d|s|n",
            )
    return start


class FieldsFormat(Format):
    """A line a packet with the values of `Detail.fields`. Raises UsageError for a name that does not exist."""

    start = Layout()
    default: tuple[str, ...] = ()

    def __init__(self, dissector: Dissector, out: TextIO, detail: Detail) -> None:
        self._dissector = dissector
        self._layout = layout_of(detail.options, self.start)
        self._names = detail.fields or self.default
        if not self._names:
            raise UsageError("-T fields prints the fields that -e names", "-e frame.number -e qmi.msgid")
        catalogue = Catalogue(dissector.registry)
        for name in self._names:
            if name not in LISTED and catalogue.find(name) is None:
                meant = catalogue.similar(name)
                raise UsageError(
                    f"there is no field {plain(name)!r}",
                    f"did you mean {meant}?" if meant else "`qmisniff fields` lists them",
                )
        self._out = out
        self._cells: Cells | None = None
        if self._layout.header:
            self._line(self._names)

    def write(self, frame: Frame, context: Context) -> None:
        """Print one frame."""
        self._line(self._texts(frame, context))

    def rows(self, store: Store, rows: Sequence[int]) -> None:
        """Print the frames of these rows; only those that columns do not tell all about are decoded."""
        if few(rows):
            super().rows(store, rows)
            return
        from qmisniff.export.batches import batches
        from qmisniff.export.cells import Cells

        self._cells = self._cells or Cells(store, self._dissector, self._quoted)
        quote = self._layout.quote
        join = f"{quote}{self._layout.separator}{quote}".join
        for batch in batches(store, rows):
            cells, sure = self._cells.rows(self._names, batch)
            for place in (~sure).nonzero()[0].tolist():
                row = batch.columns.first + int(batch.places[place])
                cells[place] = tuple(map(self._quoted, self._texts(store.frame(row), store.context(row))))
            lines = f"{quote}\n{quote}".join(map(join, cells))
            self._out.write(f"{quote}{lines}{quote}\n")

    def close(self) -> None:
        """Nothing ends the lines."""

    def _texts(self, frame: Frame, context: Context) -> list[str]:
        values: dict[str, Any] = self._dissector.values(frame, context)
        values |= {name: seconds_text(ns(frame, context)) for name, ns in NANOSECONDS.items()}
        if any(name in LISTED for name in self._names):
            row = self._dissector.summary(frame, context)
            values |= {name: getattr(row, attribute) for name, attribute in LISTED.items()}
        return [self._cell(held(values, name)) for name in self._names]

    def _line(self, cells: Iterable[str]) -> None:
        quote = self._layout.quote
        self._out.write(self._layout.separator.join([f"{quote}{self._quoted(cell)}{quote}" for cell in cells]) + "\n")

    def _quoted(self, value: Any) -> str:
        """The text of a value as it stands between quotes."""
        text, quote = self._cell(value), self._layout.quote
        return text.replace(quote, quote * 2) if quote else text

    def _cell(self, value: Any) -> str:
        if not isinstance(value, list):
            return _text(value)
        chosen = {"f": value[:1], "l": value[-1:], "a": value}[self._layout.occurrence]
        return self._layout.aggregator.join(map(_text, chosen))


class CsvFormat(FieldsFormat):
    """The same as comma-separated values with a header, ready for a spreadsheet."""

    start = Layout(header=True, separator=",", quote='"', aggregator=";")
    default = ("frame.number", "frame.time", *LISTED)


def seconds_text(ns: int) -> str:
    """Nanoseconds as seconds, exactly."""
    seconds, below = divmod(abs(ns), 1_000_000_000)
    return f"{'-' if ns < 0 else ''}{seconds}.{below:09d}"


def _text(value: Any) -> str:
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, bool):
        return "1" if value else "0"
    return plain(value) if isinstance(value, str) else f"{value}"
