# SPDX-License-Identifier: GPL-2.0-or-later
"""Live sources of frames. Standard library only: a capture runs on the phone itself."""

from __future__ import annotations

import importlib
import re

from qmisniff.capture.source import NO_TUNING, Availability, Source, Tuning
from qmisniff.errors import SourceUnavailable, UsageError

# name -> module and class; imported when asked for. The first one that can run here is "auto": never USB, where more is
# to be seen than QMI.
BACKENDS = {
    "kernel": ("qmisniff.capture.tap", "KernelTap"),
}
_USBMON = re.compile("usbmon[0-9]{1,3}", re.ASCII)
# Another machine's kernel through a shell there: what its name begins with, and how it goes on.
REMOTE = {"ssh": "ssh://USER@HOST", "adb": "adb:SERIAL", "exec": "exec:COMMAND"}


def names() -> list[str]:
    """Every source of this machine; usbmon0 also where it is missing, so that it can say why."""
    from qmisniff.capture.usbmon import buses

    return [*BACKENDS, *(buses() or ["usbmon0"])]


def open_source(spec: str, tuning: Tuning = NO_TUNING) -> Source:
    """The source a user names, ready to be opened: one of `names`, "auto", or another machine (ssh://, adb:, exec:).

    Raises UsageError for an unknown name, SourceUnavailable when "auto" finds none that can run here.
    """
    if spec == "auto":
        return _first(tuning)
    if spec.partition(":")[0] in REMOTE and ":" in spec:
        from qmisniff.capture.remote import RemoteTarget
        from qmisniff.capture.tap import KernelTap

        return KernelTap(RemoteTarget(spec), tuning, spec)
    if spec not in BACKENDS and not _USBMON.fullmatch(spec):
        known = ", ".join(["auto", *BACKENDS, "usbmonN", *REMOTE.values()])
        raise UsageError(f"there is no source {spec!r}", f"there is {known}")
    return _make(spec, tuning)


def probe(name: str) -> Availability:
    """Whether the source `name`, one of `names`, can run here."""
    source = _make(name, NO_TUNING)
    try:
        return source.probe()
    finally:
        source.close()


def _first(tuning: Tuning) -> Source:
    states = []
    for name in BACKENDS:
        source = _make(name, tuning)
        states.append(source.probe())
        if states[-1].ok:
            return source
    raise SourceUnavailable(states[0].reason, states[0].remedy)


def _make(name: str, tuning: Tuning) -> Source:
    if _USBMON.fullmatch(name):
        from qmisniff.capture.usbmon import UsbMonitor

        return UsbMonitor(name, tuning)
    module, kind = BACKENDS[name]
    source: Source = getattr(importlib.import_module(module), kind)(tuning=tuning)
    return source
