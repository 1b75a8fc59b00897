# SPDX-License-Identifier: GPL-2.0-or-later
"""The tap's private tracefs instance and its group of events: put into the kernel, and taken out again.

Both are named `qmisniff_PID_STARTTIME_N` after the process that holds them, so that the remains of one that was killed
are known for what they are, and captures that run at the same time leave each other alone.
"""

from __future__ import annotations

import contextlib
import errno
import itertools
import re
from collections.abc import Iterable, Iterator, Sequence

from qmisniff.capture.event_format import EventFormat, parse_format
from qmisniff.capture.losses import Counts
from qmisniff.capture.plan import Event, Plan
from qmisniff.capture.ring import PageLayout, parse_layout
from qmisniff.capture.target import Change, Pages, Refused, Target, start_time
from qmisniff.errors import SourceFailed

_NAME = re.compile(r"qmisniff_(\d+)_(\d+)_\d+$")
# Events removed in one write, of which the kernel takes 4096 bytes.
_AT_ONCE = 32
_ENTRIES = re.compile(rb"^entries: (\d+)$", re.MULTILINE)  # of per_cpu/cpuN/stats
_HITS = re.compile(rb"^\s*Hits: (\d+)$", re.MULTILINE)  # of an event's hist
_serial = itertools.count()


class Instance:
    """One tap in the kernel. `remove` takes away whatever of it is there, however far `install` came."""

    def __init__(self, target: Target, tracefs: str, plan: Plan, buffer_kib: int) -> None:
        self.name = f"qmisniff_{target.owner()}_{next(_serial)}"
        self.pages: Pages | None = None
        self._target = target
        self._tracefs = tracefs
        self._path = f"{tracefs}/instances/{self.name}"
        self._plan = plan
        self._buffer_kib = buffer_kib
        self._stats: list[str] = []  # what the kernel tells of each CPU's ring
        self.wakes = True  # whether a page can be waited for as soon as it has an event
        self._filtered = any(event.filter for event in plan.heads)
        self.counts_filtered = True  # whether the kernel counts what the heads' filter passes

    def install(self) -> PageLayout:
        """Make the instance and define the probes, all still disabled. Raises SourceFailed when the kernel refuses."""
        target, path = self._target, self._path
        with self._refusals("a trace instance"):
            target.make(path)
            layout = parse_layout(target.read(f"{self._tracefs}/events/header_page").decode("ascii", "replace"))
            # Open before anything else: an instance that is in use cannot be removed by another process.
            cpus = {int(name[3:]): f"{path}/per_cpu/{name}/trace_pipe_raw" for name in target.list(f"{path}/per_cpu")}
            self.pages = target.pages(cpus, layout.size)
            self._stats = [path.replace("trace_pipe_raw", "stats") for path in cpus.values()]
            target.write(f"{path}/buffer_size_kb", str(self._buffer_kib))
            target.write(f"{path}/trace_clock", "boot")
            target.write(f"{path}/tracing_on", "1")
        try:
            # Without it a reader is only woken when half of the ring is full.
            target.write(f"{path}/buffer_percent", "0")
        except OSError:
            self.wakes = False
        lines = [
            definition.format(group=self.name, event=self._event(event.name)) + "\n"
            for event in (*self._plan.bodies, *self._plan.heads)
            for definition in event.definitions
        ]
        try:
            target.change([Change(f"{self._tracefs}/kprobe_events", line, append=True) for line in lines])
        except Refused as refused:
            with self._refusals(f"a probe at {lines[refused.at].split()[1]}"):
                raise
        return layout

    def start(self) -> None:
        """Enable the events: bodies first, since a head without its body is a packet cut short."""
        folder = f"{self._path}/events/{self.name}"
        changes = []
        for event in self._plan.bodies:
            name = self._event(event.name)
            changes.append(Change(f"{folder}/{name}/filter", event.filter))
            if not event.armed_by:
                changes.append(Change(f"{folder}/{name}/enable", "1"))
                continue
            trigger = f"enable_event:{self.name}:{name} if {event.armed_by}\n"
            changes += [Change(f"{folder}/{self._event(head)}/trigger", trigger, append=True) for head in event.heads]
        changes += [
            Change(f"{folder}/{self._event(head.name)}/filter", head.filter) for head in self._plan.heads if head.filter
        ]
        with self._refusals("to enable the probes"):
            self._target.change(changes)
            for event in self._plan.heads:
                if event.filter:
                    self._count_passed(f"{folder}/{self._event(event.name)}", event.filter)
            self._target.change([Change(f"{folder}/{self._event(head.name)}/enable", "1") for head in self._plan.heads])
        self.enable("qrtr", self._plan.services)

    def _count_passed(self, folder: str, filter: str) -> None:
        """Let the kernel count the records that pass a filter, also those that are lost afterwards."""
        try:
            self._target.append(f"{folder}/trigger", f"hist:keys=raw:size=128 if {filter}\n")
        except OSError:
            self.counts_filtered = False  # a kernel without CONFIG_HIST_TRIGGERS

    def enable(self, system: str, names: Iterable[str]) -> None:
        """Enable trace events that the kernel has by itself."""
        with self._refusals(f"to enable events of {system}"):
            for name in names:
                self._target.write(f"{self._path}/events/{system}/{name}/enable", "1")

    def disarm(self, names: Iterable[str]) -> None:
        """Let armed events wait for their trigger again: what writing 0 means while a trigger holds them."""
        folder = f"{self._path}/events/{self.name}"
        with contextlib.suppress(OSError):
            self._target.change([Change(f"{folder}/{self._event(name)}/enable", "0") for name in names])

    def formats(self, events: Sequence[Event]) -> list[EventFormat]:
        """The formats of the records of events of the plan."""
        with self._refusals("to describe the probes"):
            folder = f"{self._path}/events/{self.name}"
            texts = self._target.read_all([f"{folder}/{self._event(event.name)}/format" for event in events])
            return [parse_format(text.decode("ascii", "replace")) for text in texts]

    def kernel_format(self, system: str, name: str) -> EventFormat:
        """The format of the records of a trace event that the kernel has by itself."""
        with self._refusals(f"to describe its event {system}:{name}"):
            return parse_format(
                self._target.read(f"{self._path}/events/{system}/{name}/format").decode("ascii", "replace")
            )

    def waiting(self) -> int:
        """How many events stand in the buffers, unread."""
        return sum(self._number(path, _ENTRIES) for path in self._stats)

    def stop(self) -> None:
        """Let no further packet in; what is in the buffers can still be read."""
        for event in self._plan.heads:
            with contextlib.suppress(OSError):
                self._target.write(f"{self._path}/events/{self.name}/{self._event(event.name)}/enable", "0")

    def counts(self) -> Counts:
        """What the kernel has counted at the heads until now."""
        heads = {self._event(event.name) for event in self._plan.heads}
        probed = missed = 0
        text = self._target.read(f"{self._tracefs}/kprobe_profile").decode("ascii", "replace")
        for line in text.splitlines():
            words = line.split()
            if len(words) == 3 and words[0] in heads and words[1].isdigit() and words[2].isdigit():
                probed += int(words[1])
                missed += int(words[2])
        if not self._filtered:
            return Counts(probed, missed)
        # A probe counts before the filter is asked.
        if not self.counts_filtered:
            return Counts(None, missed)
        folder = f"{self._path}/events/{self.name}"
        return Counts(sum(self._number(f"{folder}/{head}/hist", _HITS) for head in heads), missed)

    def _number(self, path: str, wanted: re.Pattern[bytes]) -> int:
        """The number that a file tells; 0 where it does not."""
        found = wanted.search(self._target.read(path))
        return int(found[1]) if found else 0

    def entrust(self, target: Target) -> None:
        """Act through another target from here on, which has the same files."""
        self._target = target

    def allows(self, act: str, path: str, text: str) -> bool:
        """See Entrusted. Nothing is allowed that would let the tap see more: an instance can trace all of a kernel."""
        name = self.name
        match act:
            case "read":
                allowed = rf"/kprobe_profile|/instances/{name}/(?:per_cpu/cpu\d+/stats|events/{name}/\w+/hist)"
            case "list":
                allowed = rf"|/instances|/events/{name}"
            case "exists":
                allowed = rf"/events/{name}/\w+"
            case "write" if text == "0":
                allowed = rf"(?:/instances/{name}/events/{name}/\w+|/events/{name})/enable"
            case "append" if re.fullmatch(rf"(?:-:{name}/\w+\n)+", text, re.ASCII):
                allowed = "/kprobe_events"
            case "remove":
                allowed = f"/instances/{name}"
            case _:
                return False
        return re.fullmatch(f"{re.escape(self._tracefs)}(?:{allowed})", path, re.ASCII) is not None

    def release(self) -> None:
        """Close the buffers: see Entrusted. A second call does nothing."""
        pages, self.pages = self.pages, None
        if pages is not None:
            pages.close()

    def remove(self) -> None:
        """Take the tap out of the kernel. Raises SourceFailed when the kernel keeps something, and names it."""
        self.release()
        try:
            if "trace_clock" not in self._target.list(self._tracefs):
                raise FileNotFoundError(errno.ENOENT, f"{self._tracefs} is not tracefs any more")
            _remove(self._target, self._tracefs, self.name)
        except OSError as error:
            raise SourceFailed(
                f"the probes may still be in the kernel: {error.strerror}", "the next capture there removes them"
            ) from None

    def _event(self, name: str) -> str:
        # kprobe_profile lists events without their group: the name alone must tell captures apart.
        return name + self.name.removeprefix("qmisniff")

    @contextlib.contextmanager
    def _refusals(self, what: str) -> Iterator[None]:
        try:
            yield
        except (OSError, ValueError) as error:
            why = error.strerror if isinstance(error, OSError) else str(error)
            said = _last_error(self._target, self._tracefs)
            raise SourceFailed(f"the kernel refused {what}: {why}{said}") from None


def remove_stale(target: Target, tracefs: str) -> list[str]:
    """Remove what killed captures left in the kernel; returns the names of what was removed."""
    names = {*target.list(f"{tracefs}/instances"), *target.list(f"{tracefs}/events")}
    removed = []
    for name in sorted(names):
        owner = _NAME.match(name)
        if owner is None or _alive(target, owner[1], owner[2]):
            continue
        try:
            _remove(target, tracefs, name)
        except SourceFailed:
            continue  # in use after all: by a process that /proc does not show us
        removed.append(name)
    return removed


def _alive(target: Target, pid: str, started: str) -> bool:
    try:
        return start_time(target.read(f"/proc/{pid}/stat")) == started
    except OSError:
        return False


def _remove(target: Target, tracefs: str, name: str) -> None:
    """Remove an instance, then the events of its group. Raises SourceFailed when something stays."""
    if name in target.list(f"{tracefs}/instances"):
        try:
            target.remove(f"{tracefs}/instances/{name}")  # takes its triggers away and disables its events
        except OSError as error:
            raise SourceFailed(f"the trace instance {name} cannot be removed: {error.strerror}") from None
    events = [event for event in target.list(f"{tracefs}/events/{name}") if event not in ("enable", "filter")]
    if events:
        with contextlib.suppress(OSError):
            # Somebody who enabled every event there is has enabled ours too.
            target.write(f"{tracefs}/events/{name}/enable", "0")
    left = []
    for start in range(0, len(events), _AT_ONCE):
        some = events[start : start + _AT_ONCE]
        try:
            target.append(f"{tracefs}/kprobe_events", "".join(f"-:{name}/{event}\n" for event in some))
        except OSError:  # at one of them
            left += _remove_each(target, tracefs, name, some)
    if left:
        raise SourceFailed(f"probes cannot be removed: {', '.join(left)}", f"see {tracefs}/kprobe_events")


def _remove_each(target: Target, tracefs: str, name: str, events: Iterable[str]) -> list[str]:
    """Remove events one by one; those that stay, with the reason."""
    left = []
    for event in events:
        if not target.exists(f"{tracefs}/events/{name}/{event}"):
            continue
        try:
            target.append(f"{tracefs}/kprobe_events", f"-:{name}/{event}\n")
        except OSError as error:
            left.append(f"{event} ({error.strerror})")
    return left


def _last_error(target: Target, tracefs: str) -> str:
    """What the kernel last wrote about a probe it refused, as a clause; "" where it says nothing."""
    try:
        lines = target.read(f"{tracefs}/error_log").decode("utf-8", "replace").splitlines()
    except OSError:
        return ""
    errors = [line for line in lines if "trace_kprobe: error:" in line]
    return f", {errors[-1].partition('error:')[2].strip()}" if errors else ""
