# SPDX-License-Identifier: GPL-2.0-or-later
"""A field as one line of text that any terminal can be given."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta

from qmisniff.dissect.values import flag_names
from qmisniff.field import Field, FieldSpec, Kind, Value
from qmisniff.printable import plain

_SHOWN_BYTES = 64
_SHOWN_CHARACTERS = 1000
_EPOCHS = {"unix": datetime(1970, 1, 1, tzinfo=UTC), "gps": datetime(1980, 1, 6, tzinfo=UTC)}


def field_text(field: Field) -> str:
    """`label: value`, the value with its unit, its name and number, or its bytes; without control characters."""
    spec = field.spec
    if spec.kind is Kind.NONE:
        if field.value is None:
            return plain(spec.label)
        return (
            f"{plain(spec.label)} [{field.value}]"
            if isinstance(field.value, int)
            else (f"{plain(spec.label)}: {plain(str(field.value))}")
        )
    return f"{plain(spec.label)}: {value_text(field)}"


def value_text(field: Field) -> str:
    """The value alone, as `field_text` shows it."""
    return value_as_text(field.spec, field.value)


def value_as_text(spec: FieldSpec, value: Value) -> str:
    """A value as a field of this spec shows it."""
    if isinstance(value, bytes):
        shown = value[:_SHOWN_BYTES].hex(" ")
        return f"{shown} ... ({len(value)} bytes)" if len(value) > _SHOWN_BYTES else shown or "(empty)"
    if isinstance(value, str):
        if len(value) > _SHOWN_CHARACTERS:
            return f"{plain(value[:_SHOWN_CHARACTERS])}... ({len(value)} characters)"
        return plain(value)
    if isinstance(value, bool) or value is None:
        return {True: "true", False: "false", None: ""}[value]
    shown = _number(spec, value)
    if spec.labels is not None and isinstance(value, int):
        label = flag_names(value, spec.labels) if spec.flags else spec.labels.get(value)
        return f"{plain(label)} ({shown})" if label is not None else shown
    if spec.unit:
        shown = f"{shown} {spec.unit}"
    return f"{shown} ({moment})" if (moment := _moment(spec, value)) else shown


def _number(spec: FieldSpec, value: int | float) -> str:
    if isinstance(value, int):
        return f"0x{value:0{spec.size * 2}x}" if spec.hex and value >= 0 else str(value)
    return f"{value:.7g}" if spec.size == 4 and spec.scale == 1 else f"{value:.15g}"


def _moment(spec: FieldSpec, value: int | float) -> str:
    epoch = _EPOCHS.get(spec.since)
    if epoch is None or not math.isfinite(value):
        return ""
    try:
        moment = epoch + timedelta(seconds=value / 1000 if spec.unit == "ms" else value)
    except OverflowError:
        return ""
    return f"{moment:%Y-%m-%d %H:%M:%S} {'UTC' if spec.since == 'unix' else 'GPS time'}"
