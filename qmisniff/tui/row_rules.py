# SPDX-License-Identifier: GPL-2.0-or-later
"""How a row of the packet list looks. Colour never says anything alone: the mark in front says the same."""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple

from qmisniff.dissect import Summary
from qmisniff.field import Severity
from qmisniff.frame import Flag, Frame


class RowClass(Enum):
    """Kinds of rows that have a style of their own; the value is the component class in the packet list."""

    ERROR = "packet-list--error"
    WARNING = "packet-list--warning"
    NOTE = "packet-list--note"
    SYNTHETIC = "packet-list--synthetic"
    CONTROL = "packet-list--control"
    INDICATION = "packet-list--indication"
    PLAIN = "packet-list--plain"


class Look(NamedTuple):
    """Mark (one character) and class of a row."""

    mark: str
    kind: RowClass


MARKS = {
    "L": "packets were lost just before this one",
    "E": "an error: malformed",
    "W": "a warning",
    "N": "a note: a failed request, or something no definition describes",
    "S": "synthetic: written by the capture, never on a wire",
}

_SEVERE = {
    Severity.ERROR: Look("E", RowClass.ERROR),
    Severity.WARN: Look("W", RowClass.WARNING),
    Severity.NOTE: Look("N", RowClass.NOTE),
}


def look(frame: Frame, summary: Summary) -> Look:
    """The look of a frame's row."""
    if frame.flags & Flag.SYNTHETIC:
        plain = Look("S", RowClass.SYNTHETIC)
    elif summary.protocol == "QRTR":
        plain = Look(" ", RowClass.CONTROL)
    elif summary.info.startswith("Indication"):
        plain = Look(" ", RowClass.INDICATION)
    else:
        plain = Look(" ", RowClass.PLAIN)
    severe = _SEVERE.get(summary.severity, plain) if summary.severity is not None else plain
    return Look("L", severe.kind) if frame.lost else severe
