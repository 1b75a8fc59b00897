# SPDX-License-Identifier: GPL-2.0-or-later
"""The kernel tap: everything QRTR carries on this machine, seen by probes in a private tracefs instance."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Sequence

from qmisniff.capture.assemble import Assembler
from qmisniff.capture.calibrate import calibrate
from qmisniff.capture.facts import TRACEFS, Facts, NotLoaded, survey
from qmisniff.capture.instance import Instance, remove_stale
from qmisniff.capture.lookup import Lookup
from qmisniff.capture.losses import Losses
from qmisniff.capture.plan import SERVICES, Event, Plan, plan
from qmisniff.capture.source import NO_TUNING, Availability, Statistics, Tuning
from qmisniff.capture.target import Target
from qmisniff.capture.tasks import EVENTS, Tasks
from qmisniff.capture.tracing import Tracing
from qmisniff.errors import SourceFailed, SourceUnavailable
from qmisniff.frame import Frame, Hook, Origin

# CPUs are merged by time: a frame waits this long for older ones of other CPUs whose record is not complete yet.
_GRACE = 5_000_000  # nanoseconds
_TICK = 0.01  # seconds between reads where the kernel cannot wake a reader at once
_CHORES_EVERY = 1.0  # seconds
_WAIT = 0.5  # seconds between looks for the module
_MOST_BUFFER = 4096  # KiB a CPU: some 20,000 packets, or 40 of the longest
_LEAST_BUFFER = 512


class KernelTap(Tracing):
    """The source `kernel`, or that of another machine, called `name`."""

    def __init__(self, target: Target | None = None, tuning: Tuning = NO_TUNING, name: str = "kernel") -> None:
        super().__init__(target)
        self.origin = Origin("kernel", name)
        self.notes: Sequence[str] = ()
        self._tuning = tuning
        self._facts: Facts | None = None  # of the last probe
        self._lookup: Lookup | None = None
        self._early: list[Frame] = []
        self._losses = Losses()
        self._next_chores = 0.0
        self._stages: dict[str, list[Event]] = {}  # bodies by what arms them
        self._armed: set[str] = set()

    @property
    def statistics(self) -> Statistics:
        """Frames read, and what is known to be missing: all of it once `read` has come to the end."""
        if self._assembler is None:
            return Statistics(self._frames)
        truncated, gaps = self._assembler.truncated, self._assembler.gaps
        return Statistics(self._frames, self._losses.total, truncated, self._losses.causes, gaps)

    def probe(self) -> Availability:
        """Whether this kernel can be tapped, and what is missing."""
        try:
            self._facts = facts = survey(self._target)
        except SourceUnavailable as error:
            return Availability(False, str(error.args[0]), error.remedy)
        except OSError as error:
            return Availability(False, f"the kernel cannot be asked: {error.strerror}")
        transports = ", ".join(sorted(facts.holders)) or "none loaded as modules"
        types = ", has to be calibrated" if facts.skb is None else ""
        return Availability(True, f"Linux {facts.release}{types}, transports of QRTR: {transports}")

    def wait(self, say: Callable[[str], None]) -> None:
        """Come back once QRTR is in the kernel; `say` is told what is waited for. Raises as `open`."""
        try:
            while self._facts is None:
                try:
                    self._facts = survey(self._target)
                except NotLoaded as error:
                    say(f"{error.args[0]}: waiting for it, ctrl+c ends")
                    while not self._loaded():
                        time.sleep(_WAIT)
        except OSError as error:
            self._target.close()
            raise SourceFailed(f"the kernel cannot be asked: {error.strerror}") from None
        except BaseException:
            self._target.close()
            raise

    def _loaded(self) -> bool:
        """Whether the module has come, and has begun its work."""
        path = "/sys/module/qrtr/initstate"
        return self._target.exists(path) and self._target.read(path).strip() == b"live"

    def open(self) -> None:
        """Ask the name service, then tap. Raises SourceUnavailable or SourceFailed, leaving nothing in the kernel."""
        try:
            self._open()
        except OSError as error:
            self.close()
            raise SourceFailed(f"the kernel cannot be asked: {error.strerror}") from None
        except BaseException:
            self.close()
            raise

    def _open(self) -> None:
        facts = self._facts or survey(self._target)
        notes = []
        if not facts.tracefs:
            self._mount()
            facts = survey(self._target)
            notes.append(f"mounted tracefs at {facts.tracefs}")
        tracefs = facts.tracefs
        stale = remove_stale(self._target, tracefs)
        if stale:
            notes.append(f"removed what killed captures had left in the kernel: {', '.join(stale)}")
        found = []
        if facts.skb is None:
            skb = calibrate(self._target, facts)
            facts = facts._replace(skb=skb)
            found.append(f"struct sk_buff calibrated: len at {skb.len}, data_len at {skb.paged}, data at {skb.data}")
        probes = plan(facts, self._tuning)
        found += probes.notes
        notes += found
        hooks = ", ".join(" ".join(definition.split()[1] for definition in event.definitions) for event in probes.heads)
        self.origin = Origin(
            "kernel",
            self.origin.name,
            "CLOCK_BOOTTIME + offset to CLOCK_REALTIME at the start",
            "; ".join([f"Linux {facts.release} {facts.machine}", f"probes at {hooks}", *self._limits(), *found]),
        )
        self._start(tracefs, probes, notes)
        self.notes = tuple(notes)

    def _read(self, timeout: float) -> list[Frame] | None:
        frames = self._early
        self._early = []
        if frames or self._assembler is None or self._instance is None or self._instance.pages is None:
            return frames or None
        deadline = time.monotonic() + timeout
        while not frames:
            if self._stopping:
                frames = self._finish(self._instance, self._assembler)
                break
            frames = self._collect(self._instance, self._assembler)
            now = time.monotonic()
            if frames or now >= deadline:
                break
            oldest = self._assembler.next_ts()
            if oldest is not None:
                # Others will come while this one waits; they are read together.
                wait = (oldest + _GRACE - self._target.clock()) / 1e9
                time.sleep(min(max(wait, 0.0005), deadline - now))
            else:
                self._instance.pages.wait(deadline - now if self._instance.wakes else min(_TICK, deadline - now))
        return frames

    def stop(self) -> None:
        """Disable the probes; see Source."""
        if self._instance is not None and not self._stopping:
            self._instance.stop()
            self._stopping = True

    def close(self) -> None:
        """Also the lookup; see Tracing."""
        if self._lookup is not None:
            self._lookup.close()
        super().close()

    def _mount(self) -> None:
        try:
            self._target.mount_tracefs(TRACEFS[0])
        except OSError as error:
            raise SourceUnavailable(
                f"tracefs is not mounted and cannot be: {error.strerror}", f"mount -t tracefs tracefs {TRACEFS[0]}"
            ) from None

    def _start(self, tracefs: str, probes: Plan, notes: list[str]) -> None:
        # In this order: what the lookup told before the probes were enabled is told by the lookup, everything after
        # that by the probes, and nothing falls between.
        self._lookup = self._target.lookup()
        if self._lookup.problem:
            notes.append(f"services of before the capture are not known: {self._lookup.problem}")
        self._early = self._lookup.answers(self.origin, wait=True)
        self._instance = instance = Instance(self._target, tracefs, probes, self._buffer(tracefs))
        page = instance.install()
        tasks = Tasks()
        assembler = Assembler(page, self._target.wall_clock_offset(), self.origin, tasks, self._tuning.snap)
        try:
            for event, form in zip(probes.heads, instance.formats(probes.heads), strict=True):
                assembler.add_head(form, event.hook, event.rebuilt)
            for event, form in zip(probes.bodies, instance.formats(probes.bodies), strict=True):
                assembler.add_body(form, event.offsets)
            for name in probes.services:
                assembler.add_service(instance.kernel_format("qrtr", name), SERVICES[name])
            for name in EVENTS:
                assembler.add_task(instance.kernel_format("task", name))
        except ValueError as error:
            raise SourceFailed(f"the kernel describes its events in a way that is not understood: {error}") from None
        self._assembler = assembler
        for event in probes.bodies:
            if event.armed_by:
                self._stages.setdefault(event.armed_by, []).append(event)
        instance.enable("task", EVENTS)
        tasks.snapshot(self._target)
        instance.start()
        if not instance.counts_filtered:
            notes.append("this kernel cannot count what a filter passes: lost are as many packets as it lost events")
        self._early += self._lookup.answers(self.origin)
        asked = self._lookup.seen and not self._lookup.problem
        self._lookup.close()
        # The end of the lookup is itself a packet between ports of this node.
        told = asked and not self._tuning.filter and any(event.hook is Hook.LOCAL for event in probes.heads)
        if told and instance.counts() == (0, 0):
            raise SourceFailed("the kernel took the probes but does not run them", "see /sys/kernel/debug/kprobes")

    def _limits(self) -> list[str]:
        """What the user has left out of the capture, for the capture to say."""
        _, snap, chosen = self._tuning
        return [*([f"capture filter {chosen}"] if chosen else []), *([f"{snap} bytes of a packet"] if snap else [])]

    def _buffer(self, tracefs: str) -> int:
        """KiB for each CPU's ring: all of them together at most a 64th of the memory."""
        if self._tuning.buffer_kib is not None:
            return self._tuning.buffer_kib
        memory = re.search(rb"MemTotal:\s*(\d+) kB", self._target.read("/proc/meminfo"))
        cpus = len(self._target.list(f"{tracefs}/per_cpu")) or 1
        share = int(memory[1]) // 64 // cpus if memory else _LEAST_BUFFER
        return max(_LEAST_BUFFER, min(_MOST_BUFFER, share))

    def _collect(self, instance: Instance, assembler: Assembler) -> list[Frame]:
        """Read what is there now; the frames that nothing older can come before."""
        before = self._target.clock()
        until = before - _GRACE
        gaps = assembler.gaps.copy()
        cpus, drained = self._feed(instance, assembler)
        if not drained:
            until = min([until, *(assembler.last.get(cpu, until) for cpu in cpus)])
        if time.monotonic() >= self._next_chores:
            self._next_chores = time.monotonic() + _CHORES_EVERY
            self._account(instance, assembler)
            self._disarm(instance, assembler)
        elif assembler.gaps != gaps:
            self._account(instance, assembler)  # now, so that it is told where the gap is
        return assembler.frames(until)

    def _finish(self, instance: Instance, assembler: Assembler) -> list[Frame]:
        """Read to the end of the buffers, and settle what was lost."""
        while not self._feed(instance, assembler)[1]:
            pass
        counts, events = instance.counts(), sum(assembler.gaps.values())
        assembler.tell_lost(self._losses.settle(counts, assembler.heads, events))
        frames = assembler.flush()
        instance.release()
        return frames

    def _account(self, instance: Instance, assembler: Assembler) -> None:
        """Find out what has been lost until now."""
        counts = instance.counts()  # before what waits is counted: what comes in between is not lost
        events = sum(assembler.gaps.values())
        waiting = instance.waiting() if events else 0
        assembler.tell_lost(self._losses.update(counts, assembler.heads, events, waiting))

    def _feed(self, instance: Instance, assembler: Assembler) -> tuple[set[int], bool]:
        """Hand the pages that are there to the assembler: the CPUs they came from, and whether that was all."""
        if instance.pages is None:
            return set(), True
        batch = instance.pages.read()
        for cpu, page in batch.pages:
            assembler.feed(cpu, page)
        return {cpu for cpu, _ in batch.pages}, batch.drained

    def _disarm(self, instance: Instance, assembler: Assembler) -> None:
        """Give up the stages for long packets where none has come for a while: they cost time at every packet."""
        longest, assembler.longest = assembler.longest, 0
        for condition, stage in self._stages.items():
            # A packet that needs the first part of a stage has armed all of them.
            if longest > min(event.offsets[0] for event in stage):
                self._armed.add(condition)
            elif condition in self._armed:
                self._armed.remove(condition)
                instance.disarm(event.name for event in stage)
