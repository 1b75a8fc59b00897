# SPDX-License-Identifier: GPL-2.0-or-later
"""The table of sources."""

from __future__ import annotations

import subprocess
import sys

import pytest

from qmisniff.capture import names, open_source, probe, tap, usbmon
from qmisniff.capture.source import Availability, Source
from qmisniff.errors import SourceUnavailable, UsageError


@pytest.mark.parametrize("name", names())
def test_every_backend_is_a_source_that_can_be_asked(name: str) -> None:
    source: Source = open_source(name)
    state = probe(name)
    assert state.ok or (state.reason and "\n" not in state.reason)
    assert source.statistics[:3] == (0, 0, 0)
    source.close()


def test_unknown_names_are_told_the_known_ones() -> None:
    with pytest.raises(UsageError, match=r"'ethernet'.*auto, kernel, usbmonN"):
        open_source("ethernet")
    for name in ("usbmon", "usbmon1/../null", "usbmon-1", "usbmon1 "):
        with pytest.raises(UsageError):
            open_source(name)


def test_auto_is_the_first_that_can_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tap.KernelTap, "probe", lambda self: Availability(True, "fit"))
    assert isinstance(open_source("auto"), tap.KernelTap)
    monkeypatch.setattr(tap.KernelTap, "probe", lambda self: Availability(False, "no kernel", "get one"))
    monkeypatch.setattr(usbmon.UsbMonitor, "probe", lambda self: Availability(True, "it would capture keyboards"))
    with pytest.raises(SourceUnavailable, match=r"no kernel \(get one\)"):
        open_source("auto")


def test_asking_for_the_names_imports_none() -> None:
    program = "import sys, qmisniff.capture; print([n for n in sys.modules if n.startswith('qmisniff.capture.')])"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "['qmisniff.capture.source']"
