# SPDX-License-Identifier: GPL-2.0-or-later
from __future__ import annotations

import pytest

from qmisniff.dissect import Summary
from qmisniff.field import Severity
from qmisniff.frame import Flag
from qmisniff.tui.row_rules import MARKS, RowClass, look
from tests.factories import frame


def summary(protocol: str = "QMI_NAS", info: str = "Request", severity: Severity | None = None) -> Summary:
    return Summary("a", "b", protocol, info, severity)


@pytest.mark.parametrize(("severity", "mark", "kind"), [
    (None, " ", RowClass.PLAIN), (Severity.CHAT, " ", RowClass.PLAIN), (Severity.NOTE, "N", RowClass.NOTE),
    (Severity.WARN, "W", RowClass.WARNING), (Severity.ERROR, "E", RowClass.ERROR),
])  # fmt: skip
def test_severity(severity: Severity | None, mark: str, kind: RowClass) -> None:
    assert look(frame(b""), summary(severity=severity)) == (mark, kind)


def test_kinds_of_packets() -> None:
    assert look(frame(b""), summary("QRTR", "HELLO")).kind is RowClass.CONTROL
    assert look(frame(b""), summary(info="Indication: Signal Info")).kind is RowClass.INDICATION
    assert look(frame(b"", flags=Flag.SYNTHETIC), summary("QRTR")) == ("S", RowClass.SYNTHETIC)


def test_a_loss_outranks_every_other_mark() -> None:
    assert look(frame(b"", lost=1), summary(severity=Severity.ERROR)) == ("L", RowClass.ERROR)
    assert look(frame(b"", lost=1, flags=Flag.SYNTHETIC), summary()).mark == "L"


def test_every_mark_is_explained() -> None:
    marks = {look(frame(b"", lost=lost, flags=flag), summary(severity=severity)).mark
             for lost in (0, 1) for flag in (Flag(0), Flag.SYNTHETIC) for severity in (None, *Severity)}  # fmt: skip
    assert marks - {" "} == MARKS.keys()
