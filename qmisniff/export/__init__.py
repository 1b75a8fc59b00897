# SPDX-License-Identifier: GPL-2.0-or-later
"""Decoded frames as output: one module a format, one table of them.

A format is a class made from a dissector, an output stream and a `Detail`; `write` takes a frame, `rows` takes frames
of a store, `close` ends the document.
"""

from __future__ import annotations

import sys
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import TextIO

from qmisniff.dissect import Dissector
from qmisniff.field import Field
from qmisniff.frame import Frame
from qmisniff.protocol.context import Context
from qmisniff.store import Store

_FEW = 1000  # rows: to import numpy and ask columns about so many takes as long as decoding them;
_FEW_MORE = 100  # where numpy is there already

FORMATS = {  # name -> module, class, what it is
    "text": ("qmisniff.export.text", "TextFormat", "one line a packet; -V adds the tree, -x the bytes"),
    "json": ("qmisniff.export.json", "JsonFormat", "the tree of every packet, one array"),
    "fields": ("qmisniff.export.fields", "FieldsFormat", "the fields named by -e, a line a packet, put together by -E"),
    "csv": ("qmisniff.export.fields", "CsvFormat", "the same as comma-separated values; without -e, the packet list"),
    "ndjson": ("qmisniff.export.ndjson", "NdjsonFormat", "the values of every packet by filter name, an object a line"),
}
FRAME_LAYERS = ("frame", "tap")  # about the capture, not in the packet's bytes


@dataclass(slots=True, frozen=True)
class Detail:
    """How much of each packet is shown, where a format leaves a choice.

    Bytes that were typed in have no time, number or process: without `frame`, formats leave out what only a captured
    frame has.
    """

    tree: bool = False
    bytes: bool = False
    frame: bool = True
    fields: tuple[str, ...] = ()  # names, for formats that print chosen fields
    options: tuple[str, ...] = ()  # NAME=VALUE, for formats that have any

    def layers(self, root: Field) -> list[Field]:
        """The layers of a decoded tree that are shown."""
        return [layer for layer in root.children if self.frame or layer.spec.name not in FRAME_LAYERS]


def few(rows: Sequence[int]) -> bool:
    """Whether so many rows are sooner decoded than asked about by columns."""
    return len(rows) < (_FEW_MORE if "numpy" in sys.modules else _FEW)


class Format(ABC):
    """What every format offers."""

    @abstractmethod
    def __init__(self, dissector: Dissector, out: TextIO, detail: Detail) -> None: ...

    def begin(self, ts_ns: int) -> None:  # noqa: B027 - most formats have no use for it
        """When the first frame of the capture was seen: what times are relative to. `rows` knows it by itself."""

    @abstractmethod
    def write(self, frame: Frame, context: Context) -> None:
        """Print one frame."""

    def rows(self, store: Store, rows: Sequence[int]) -> None:
        """Print the frames of these rows, in order. Formats that can ask columns override it."""
        for row in rows:
            self.write(store.frame(row), store.context(row))

    @abstractmethod
    def close(self) -> None:
        """Print what ends the document; the stream stays open."""


def open_format(name: str, dissector: Dissector, out: TextIO, detail: Detail) -> Format:
    """The format called `name`, its module imported now; KeyError for a name that is not in FORMATS."""
    module, cls, _ = FORMATS[name]
    made: Format = getattr(import_module(module), cls)(dissector, out, detail)
    return made
