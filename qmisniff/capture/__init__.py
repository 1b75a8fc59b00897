# SPDX-License-Identifier: GPL-2.0-or-later
"""Live sources of frames. Standard library only: a capture runs on the phone itself."""

from __future__ import annotations

import importlib
import re
import shlex
from functools import partial
from typing import NamedTuple, cast

from qmisniff.capture.source import NO_TUNING, Availability, Source, Tuning, View
from qmisniff.errors import SourceUnavailable, UsageError


class Backend(NamedTuple):
    """Where a source's class is, imported when asked for, and what it is good for."""

    module: str
    kind: str
    view: View


# The first one that can run here is "auto": never USB, where more is to be seen than QMI.
BACKENDS = {
    "kernel": Backend(
        "qmisniff.capture.tap",
        "KernelTap",
        View("every packet that goes through this kernel, with its header and its sender", "nothing, but what is lost"),
    ),
    "processes": Backend(
        "qmisniff.capture.processes",
        "ProcessMonitor",
        View(
            "what processes send and receive on QRTR sockets, through strace; they run slower meanwhile",
            "the kernel's own packets, what a process did before it was found, io_uring; headers are rebuilt",
        ),
    ),
    "names": Backend(
        "qmisniff.capture.name_service",
        "NameService",
        View("services that are announced and withdrawn", "messages, who asks for a service, processes"),
    ),
    "events": Backend(
        "qmisniff.capture.trace_events",
        "TraceEvents",
        View("what the kernel's name server is told: services, and who asks", "messages, payloads, processes"),
    ),
}
_USB_VIEW = View("everything on the bus: QMUX and MBIM among it", "QRTR")
_USBMON = re.compile("usbmon[0-9]{1,3}", re.ASCII)
_RUN = "run:"
# Another machine's kernel through a shell there: what its name begins with, and how it goes on.
REMOTE = {"ssh": "ssh://USER@HOST", "adb": "adb:SERIAL", "exec": "exec:COMMAND"}


def names() -> list[str]:
    """Every source of this machine; usbmon0 also where it is missing, so that it can say why."""
    from qmisniff.capture.usbmon import buses

    return [*BACKENDS, *(buses() or ["usbmon0"])]


def open_source(spec: str, tuning: Tuning = NO_TUNING) -> Source:
    """The source a user names, ready to be opened: one of `names`, "auto", a command (run:), or another
    machine (ssh://, adb:, exec:).

    Raises UsageError for an unknown name.
    """
    if spec == "auto":
        from qmisniff.capture.auto import Auto

        return Auto({name: (partial(_make, name, tuning), backend.view) for name, backend in BACKENDS.items()})
    if spec.partition(":")[0] in REMOTE and ":" in spec:
        from qmisniff.capture.remote import RemoteTarget
        from qmisniff.capture.tap import KernelTap

        return KernelTap(RemoteTarget(spec), tuning, spec)
    if spec.startswith(_RUN):
        from qmisniff.capture.processes import ProcessMonitor

        try:
            command = shlex.split(spec.removeprefix(_RUN))
        except ValueError as error:
            raise UsageError(f"{spec!r}: {error}") from None
        if not command:
            raise UsageError("run: names no command", "as in 'run:qmicli -d qrtr://0 --dms-get-ids'")
        _take_all("a command", tuning)
        return ProcessMonitor(command, name=spec)
    if spec not in BACKENDS and not _USBMON.fullmatch(spec):
        known = ", ".join(["auto", *BACKENDS, "run:COMMAND", "usbmonN", *REMOTE.values()])
        raise UsageError(f"there is no source {spec!r}", f"there is {known}")
    return _make(spec, tuning)


def probe(name: str) -> Availability:
    """Whether the source `name`, one of `names`, can run here."""
    source = _make(name, NO_TUNING)
    try:
        return source.probe()
    finally:
        source.close()


def view(name: str) -> View:
    """What the source `name`, one of `names`, sees and what it cannot see."""
    return BACKENDS[name].view if name in BACKENDS else _USB_VIEW


def _make(name: str, tuning: Tuning) -> Source:
    if _USBMON.fullmatch(name):
        from qmisniff.capture.usbmon import UsbMonitor

        return UsbMonitor(name, tuning)
    backend = BACKENDS[name]
    kind = getattr(importlib.import_module(backend.module), backend.kind)
    if name == "kernel":
        return cast(Source, kind(tuning=tuning))
    _take_all(name, tuning)
    return cast(Source, kind())


def _take_all(name: str, tuning: Tuning) -> None:
    """Raises SourceUnavailable where somebody does not want all of what only can be had whole."""
    if tuning.filter or tuning.snap:
        raise SourceUnavailable(f"{name} can neither be filtered nor cut short (-f, -s)", "a tap of a kernel can")
