# SPDX-License-Identifier: GPL-2.0-or-later
"""NDJSON: every packet as one flat object on one line, its keys the filter names.

`{"schema":1,"frame.number":3,"qmi.service":2,"qmi.service.label":"DMS",...}`: a value is a number, a truth
value or a text, a list of them where a field occurs more than once; bytes are hex; an enum is its number, its label
stands under `NAME.label`. The schema number grows when a key changes its meaning; keys may be added within one. A float
that is no number is the text "NaN", "Infinity" or "-Infinity".
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, TextIO

from qmisniff.dissect import Dissector
from qmisniff.export import FRAME_LAYERS, Detail, Format, few
from qmisniff.export.json import plain_value
from qmisniff.frame import Frame
from qmisniff.protocol.context import Context
from qmisniff.store import Store

if TYPE_CHECKING:
    from qmisniff.dissect.bulk_json import BulkJson

SCHEMA = 1
_FRAME_NAMES = tuple(f"{layer}." for layer in FRAME_LAYERS)
# Made once: json.dumps with options makes an encoder for every call.
_encode = json.JSONEncoder(default=bytes.hex, allow_nan=False, separators=(",", ":")).encode


class NdjsonFormat(Format):
    """A line a packet, each whole as soon as it is written."""

    def __init__(self, dissector: Dissector, out: TextIO, detail: Detail) -> None:
        self._dissector = dissector
        self._out = out
        self._detail = detail
        self._bulk: BulkJson | None = None

    def write(self, frame: Frame, context: Context) -> None:
        """Print one frame."""
        values = self._dissector.values(frame, context)
        if not self._detail.frame:
            values = {name: value for name, value in values.items() if not name.startswith(_FRAME_NAMES)}
        self._out.write(line({"schema": SCHEMA, **values}) + "\n")

    def rows(self, store: Store, rows: Sequence[int]) -> None:
        """Print the frames of these rows."""
        if few(rows):
            super().rows(store, rows)
            return
        from qmisniff.dissect.bulk_json import BulkJson
        from qmisniff.export.batches import batches

        left_out = () if self._detail.frame else _FRAME_NAMES
        self._bulk = self._bulk or BulkJson(self._dissector, f'{{"schema":{SCHEMA},', left_out)
        for columns, places in batches(store, rows):
            for text in self._bulk.lines(columns, places, lambda row: (store.frame(row), store.context(row))):
                self._out.write(text)

    def close(self) -> None:
        """Nothing ends the lines."""


def line(values: dict[str, Any]) -> str:
    """The object on one line."""
    try:
        return _encode(values)
    except ValueError:  # a float that JSON cannot have: rare, so looked for only now
        return _encode(
            {
                name: [plain_value(each) for each in value] if isinstance(value, list) else plain_value(value)
                for name, value in values.items()
            }
        )
