# SPDX-License-Identifier: GPL-2.0-or-later
"""JSON: the tree of every packet as nested objects, in one array.

A packet is `{"schema": 1, "number", "time_ns", "source", "destination", "protocol", "info", "layers": [FIELD...]}`, a
FIELD `{"name", "label", "value", "text", "offset", "size"}` and, where there are any, `"children": [FIELD...]` and
`"problem": {"severity", "text"}`. Bytes are hex, an enum is its number. The schema number grows when a key changes
its meaning; keys may be added within one. A float that is no number is the text "NaN", "Infinity" or "-Infinity".
"""

from __future__ import annotations

import json
import math
from typing import Any, TextIO

from qmisniff.dissect import Dissector
from qmisniff.dissect.text import field_text
from qmisniff.export import Detail, Format
from qmisniff.field import Field, Value
from qmisniff.frame import Frame
from qmisniff.protocol.context import Context

SCHEMA = 1


class JsonFormat(Format):
    """An array of packets, each written as soon as it comes."""

    def __init__(self, dissector: Dissector, out: TextIO, detail: Detail) -> None:
        self._dissector = dissector
        self._out = out
        self._detail = detail
        self._separator = "[\n"

    def write(self, frame: Frame, context: Context) -> None:
        """Print one frame as an element of the array."""
        row = self._dissector.summary(frame, context)
        packet: dict[str, Any] = {"schema": SCHEMA}
        if self._detail.frame:
            packet |= {"number": context.number, "time_ns": frame.ts_ns}
        packet |= {
            "source": row.source,
            "destination": row.destination,
            "protocol": row.protocol,
            "info": row.info,
            "layers": [field_object(field) for field in self._detail.layers(self._dissector.tree(frame, context))],
        }
        self._out.write(self._separator + json.dumps(packet))
        self._separator = ",\n"

    def close(self) -> None:
        """End the array."""
        self._out.write("\n]\n" if self._separator == ",\n" else "[]\n")


def field_object(field: Field) -> dict[str, Any]:
    """A field and everything below it as what json can print."""
    made: dict[str, Any] = {
        "name": field.spec.name,
        "label": field.spec.label,
        "value": plain_value(field.value),
        "text": field_text(field),
        "offset": field.offset,
        "size": field.size,
    }
    if field.problem is not None:
        made["problem"] = {"severity": field.problem.severity.name.lower(), "text": field.problem.text}
    if field.children:
        made["children"] = [field_object(child) for child in field.children]
    return made


def plain_value(value: Value) -> str | int | float | None:
    """A value as JSON can have it."""
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    return value
