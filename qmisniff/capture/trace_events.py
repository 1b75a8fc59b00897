# SPDX-License-Identifier: GPL-2.0-or-later
"""The source `events`: the trace events that QRTR has by itself. They tell what the kernel's name server is told.

For kernels with tracefs but without kprobes.
"""

from __future__ import annotations

import time

from qmisniff.capture.assemble import Assembler
from qmisniff.capture.facts import TRACEFS
from qmisniff.capture.instance import Instance, remove_stale
from qmisniff.capture.plan import SERVICES, Plan
from qmisniff.capture.source import Availability, Statistics
from qmisniff.capture.target import Target
from qmisniff.capture.tasks import Tasks
from qmisniff.capture.tracing import Tracing
from qmisniff.errors import SourceFailed, SourceUnavailable
from qmisniff.frame import Frame, Origin

_MESSAGE = "qrtr_ns_message"
_BUFFER = 256  # KiB a CPU: events are short and few
_GRACE = 5_000_000  # nanoseconds that a frame waits for older ones of other CPUs
_TICK = 0.01  # seconds between reads where the kernel cannot wake a reader at once


class TraceEvents(Tracing):
    """The source `events`."""

    def __init__(self, target: Target | None = None) -> None:
        super().__init__(target)
        self.origin = Origin("events", "events", "CLOCK_BOOTTIME + offset to CLOCK_REALTIME at the start")
        self.notes: tuple[str, ...] = ()
        self._lost = 0

    @property
    def statistics(self) -> Statistics:
        """Frames read, events that the kernel dropped."""
        return Statistics(self._frames, self._lost)

    def probe(self) -> Availability:
        """Whether there are the events, and the right to read them."""
        if not self._target.is_root():
            return Availability(False, "reading trace events needs root", self._target.become_root)
        if not self._tracefs():
            if any(self._target.exists(f"{path}/trace_clock") for path in TRACEFS):
                return Availability(False, "this kernel has no trace events of QRTR now", "modprobe qrtr")
            return Availability(False, "tracefs is not mounted", f"mount -t tracefs tracefs {TRACEFS[0]}")
        return Availability(True, f"trace events of QRTR, Linux {self._target.system()[0]}")

    def _tracefs(self) -> str:
        return next((path for path in TRACEFS if self._target.exists(f"{path}/events/qrtr/{_MESSAGE}")), "")

    def open(self) -> None:
        """Enable the events. Raises SourceUnavailable or SourceFailed, leaving nothing in the kernel."""
        state = self.probe()
        if not state.ok:
            raise SourceUnavailable(state.reason, state.remedy)
        tracefs = self._tracefs()
        try:
            remove_stale(self._target, tracefs)
            self._instance = Instance(self._target, tracefs, Plan((), (), (*SERVICES, _MESSAGE), ()), _BUFFER)
            page = self._instance.install()
            assembler = Assembler(page, self._target.wall_clock_offset(), self.origin, Tasks())
            for name, command in SERVICES.items():
                assembler.add_service(self._instance.kernel_format("qrtr", name), command)
            assembler.add_message(self._instance.kernel_format("qrtr", _MESSAGE))
            self._assembler = assembler
            self._instance.start()
        except (OSError, ValueError) as error:
            self.close()
            raise SourceFailed(f"the kernel's events cannot be used: {error}") from None
        except BaseException:
            self.close()
            raise

    def _read(self, timeout: float) -> list[Frame] | None:
        instance, assembler = self._instance, self._assembler
        if instance is None or assembler is None or instance.pages is None:
            return None
        deadline = time.monotonic() + timeout
        while True:
            now = self._target.clock()
            batch = instance.pages.read()
            for cpu, page in batch.pages:
                assembler.feed(cpu, page)
            lost = sum(assembler.gaps.values())
            assembler.tell_lost(lost - self._lost)
            self._lost = lost
            if self._stopping and batch.drained:
                frames = assembler.flush()
                instance.release()
                return frames or None
            frames = assembler.frames(now - _GRACE)
            left = deadline - time.monotonic()
            if frames or left <= 0:
                return frames
            waiting = assembler.next_ts() is not None
            instance.pages.wait(min(left, _TICK) if waiting or not instance.wakes else left)

    def stop(self) -> None:
        """See Source."""
        self._stopping = True
