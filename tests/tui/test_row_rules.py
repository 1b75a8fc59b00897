# SPDX-License-Identifier: GPL-2.0-or-later
from __future__ import annotations

import pytest

from qmisniff.dissect import Summary
from qmisniff.field import Severity
from qmisniff.frame import Flag
from qmisniff.protocol.context import Context
from qmisniff.tui.row_rules import MARKS, mark
from tests.factories import frame

ANSWERED = Context(1, response=2)


def summary(info: str = "Request", severity: Severity | None = None) -> Summary:
    return Summary("a", "b", "QMI_NAS", info, severity)


@pytest.mark.parametrize(("severity", "expected"), [
    (None, " "), (Severity.CHAT, " "), (Severity.NOTE, "N"), (Severity.WARN, "W"), (Severity.ERROR, "E"),
])  # fmt: skip
def test_severity(severity: Severity | None, expected: str) -> None:
    assert mark(frame(b""), ANSWERED, summary(severity=severity)) == expected


def test_a_request_without_a_response() -> None:
    assert mark(frame(b""), Context(1), summary("Request: Get IDs")) == "?"
    assert mark(frame(b""), ANSWERED, summary("Request: Get IDs")) == " "
    assert mark(frame(b""), Context(1), summary("Indication: Signal Info")) == " "


def test_a_loss_outranks_every_other_mark() -> None:
    assert mark(frame(b"", lost=1), ANSWERED, summary(severity=Severity.ERROR)) == "L"
    assert mark(frame(b"", lost=1, flags=Flag.SYNTHETIC), ANSWERED, summary()) == "L"


def test_every_mark_is_explained() -> None:
    marks = {mark(frame(b"", lost=lost, flags=flag), context, summary(severity=severity))
             for lost in (0, 1) for flag in (Flag(0), Flag.SYNTHETIC) for severity in (None, *Severity)
             for context in (ANSWERED, Context(1))}  # fmt: skip
    assert marks - {" "} == MARKS.keys()
