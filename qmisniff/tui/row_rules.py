# SPDX-License-Identifier: GPL-2.0-or-later
"""The mark in front of a row of the packet list: what colours say too, for those who see none."""

from __future__ import annotations

from qmisniff.dissect import Summary
from qmisniff.field import Severity
from qmisniff.frame import Flag, Frame
from qmisniff.protocol.context import Context

MARKS = {
    "L": "packets were lost just before this one",
    "E": "an error: malformed",
    "W": "a warning",
    "N": "a note: a failed request, or something no definition describes",
    "?": "a request that has no response",
    "S": "synthetic: written by the capture, never on a wire",
}

_SEVERE = {Severity.ERROR: "E", Severity.WARN: "W", Severity.NOTE: "N"}


def mark(frame: Frame, context: Context, summary: Summary) -> str:
    """One character, blank for a packet of which there is nothing to say."""
    if frame.lost:
        return "L"
    if summary.severity in _SEVERE:
        return _SEVERE[summary.severity]
    if frame.flags & Flag.SYNTHETIC:
        return "S"
    return "?" if context.response is None and summary.info.startswith("Request") else " "
