# SPDX-License-Identifier: GPL-2.0-or-later
"""The table of sources."""

from __future__ import annotations

import importlib
import subprocess
import sys

import pytest

from qmisniff import capture
from qmisniff.capture import names, open_source, probe, usbmon, view
from qmisniff.capture.auto import Auto
from qmisniff.capture.source import Availability, Opened, Source, Statistics, View
from qmisniff.errors import QmisniffError, SourceFailed, SourceUnavailable, UsageError
from qmisniff.frame import Frame, Origin


@pytest.mark.parametrize("name", names())
def test_every_backend_is_a_source_that_can_be_asked(name: str) -> None:
    source: Source = open_source(name)
    state = probe(name)
    assert state.ok or (state.reason and "\n" not in state.reason)
    assert source.statistics[:3] == (0, 0, 0)
    source.close()


def test_unknown_names_are_told_the_known_ones() -> None:
    with pytest.raises(UsageError, match=r"'ethernet'.*auto, kernel, processes, names, events, run:COMMAND, usbmonN"):
        open_source("ethernet")
    for name in ("usbmon", "usbmon1/../null", "usbmon-1", "usbmon1 "):
        with pytest.raises(UsageError):
            open_source(name)


class Scripted(Opened):
    """A source that can be opened, or not."""

    def __init__(self, name: str, error: QmisniffError | None = None) -> None:
        self.origin = Origin(name, name)
        self.notes = ("its own note",)
        self.statistics = Statistics(7)
        self.error = error
        self.left = [[Frame(1, b"x", 1)]]
        self.closed = False

    def probe(self) -> Availability:
        if self.error is None:
            return Availability(True, "fit")
        return Availability(False, str(self.error.args[0]), self.error.remedy)

    def open(self) -> None:
        if self.error is not None:
            raise self.error

    def read(self, timeout: float) -> list[Frame] | None:
        return self.left.pop() if self.left else None

    def stop(self) -> None:
        self.left = []

    def close(self) -> None:
        self.closed = True


def auto(*sources: Scripted) -> Auto:
    return Auto({each.origin.name: (lambda each=each: each, View("this", "that")) for each in sources})  # type: ignore[misc]


def test_auto_is_the_first_that_can_be_opened_and_says_what_that_cannot_see() -> None:
    broken, refused = Scripted("one", SourceUnavailable("no root", "be root")), Scripted("two", SourceFailed("refused"))
    chosen = Scripted("three")
    source = auto(broken, refused, chosen, Scripted("four"))
    assert source.probe() == Availability(True, "three: fit")
    assert (source.origin.name, source.statistics, source.notes) == ("auto", Statistics(), ())
    with source:
        assert source.notes == (
            "not one: no root (be root)",
            "not two: refused",
            "chose three: it sees this; it does not see that",
            "its own note",
        )
        assert (source.origin.name, source.statistics.frames) == ("three", 7)
        assert source.read(1) == [Frame(1, b"x", 1)]
        source.stop()
        assert source.read(1) is None
    assert broken.closed and refused.closed and chosen.closed


def test_where_nothing_can_run_auto_says_what_the_first_lacks() -> None:
    source = auto(Scripted("one", SourceUnavailable("no root", "be root")), Scripted("two", SourceFailed("refused")))
    assert source.probe() == Availability(False, "no root", "be root")
    with pytest.raises(SourceUnavailable, match=r"no root \(be root\)"):
        source.open()


def test_auto_never_takes_usb(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: object) -> None:
        raise SourceUnavailable("not here", "go elsewhere")

    for backend in capture.BACKENDS.values():
        monkeypatch.setattr(getattr(importlib.import_module(backend.module), backend.kind), "open", refuse)
    monkeypatch.setattr(usbmon.UsbMonitor, "probe", lambda self: Availability(True, "it would capture keyboards"))
    with pytest.raises(SourceUnavailable, match="not here"):
        open_source("auto").open()


@pytest.mark.parametrize("name", names())
def test_every_source_says_what_it_sees_and_what_not(name: str) -> None:
    assert all(view(name))


def test_a_command_is_a_source() -> None:
    assert open_source("run:qmicli -d 'qrtr://0'").origin.name == "run:qmicli -d 'qrtr://0'"
    for spec in ("run:", "run:'unbalanced"):
        with pytest.raises(UsageError):
            open_source(spec)


def test_asking_for_the_names_imports_none() -> None:
    program = "import sys, qmisniff.capture; print([n for n in sys.modules if n.startswith('qmisniff.capture.')])"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "['qmisniff.capture.source']"
