# SPDX-License-Identifier: GPL-2.0-or-later
"""The sources `processes` and `run:COMMAND`: what processes send and receive on QRTR sockets, followed by strace.

For kernels that cannot be tapped. `processes` finds every process with such a socket, also those that open one later,
and follows it and its children. strace stops them at each of their system calls: they run slower meanwhile. `run:` does
the same to a command from its start to its end, stops it only where it matters, and needs no privileges.
"""

from __future__ import annotations

import heapq
import os
import select
import shutil
import socket
import time
from collections.abc import Sequence
from pathlib import Path

from qmisniff.capture import ending, socket_scan
from qmisniff.capture.followed import Followed
from qmisniff.capture.header import AF_QIPCRTR, LOCAL_NODE
from qmisniff.capture.lookup import ServiceLookup
from qmisniff.capture.socket_scan import Scanner
from qmisniff.capture.source import Availability, Opened, Statistics
from qmisniff.capture.stracer import Stracer, Watchdog
from qmisniff.errors import SourceFailed, SourceUnavailable
from qmisniff.frame import Frame, Origin

_PTRACE_SCOPE = Path("/proc/sys/kernel/yama/ptrace_scope")
_CAP_SYS_PTRACE = 1 << 19
_INSTALL = "install the package strace (5.5 or later)"
_START = 20.0  # seconds for strace to be at work
_STOP = 5.0  # seconds for strace to let go
_EVERY = 0.1  # seconds between two looks for new processes, at least
_SHARE = 20  # a look may take one part in so many of the time
_GRACE = 20_000_000  # nanoseconds: what strace may take to tell of a call that others have seen the effect of
_PATIENCE = 1_000_000_000  # nanoseconds that everybody waits for a send that does not return
_MOST_NOTES = 50
_UNKNOWN = "own ports that could not be found out are shown as 0: their processes ended soon, or Linux is before 5.6"
_GUESSED = "some calls do not tell the sender of what they receive: it is shown as whoever the socket wrote to last"


class ProcessMonitor(Opened):
    """The source `processes`; with a `command`, the source `run:COMMAND` called `name`."""

    def __init__(self, command: Sequence[str] = (), name: str = "processes") -> None:
        self.origin = Origin("processes", name, "CLOCK_REALTIME, of the call (sent) or its return (received)")
        self._command = command
        self.notes: tuple[str, ...] = ()
        self._scanner = Scanner()
        self._stracers: list[Stracer] = []
        self._watchdog: Watchdog | None = None
        self._followed: Followed | None = None
        self._refused: set[int] = set()  # processes that cannot be followed
        self._next_look = 0.0
        self._early: list[Frame] = []
        self._started = False
        self._frames = 0
        self._stop_by: float | None = None
        self._told: set[str] = set()
        self._failure: SourceFailed | None = None

    @property
    def statistics(self) -> Statistics:
        """Frames read; calls that could not be understood; datagrams of which not every byte was seen."""
        followed = self._followed
        return Statistics(self._frames, followed.lost, followed.truncated) if followed else Statistics(self._frames)

    def probe(self) -> Availability:
        """Whether there are strace, QRTR and the right to trace."""
        strace = shutil.which("strace")
        if strace is None:
            return Availability(False, "strace is not installed", _INSTALL)
        if not socket_scan.has_qrtr():
            return Availability(False, "the kernel has no QRTR sockets now", "modprobe qrtr")
        if self._command and shutil.which(self._command[0]) is None:
            return Availability(False, f"there is no program {self._command[0]}", "it is looked for as a shell does")
        scope = _ptrace_scope()
        if scope == 3:
            return Availability(
                False, "the kernel lets nobody trace (kernel.yama.ptrace_scope is 3)", "boot with ptrace_scope below 3"
            )
        if self._command and scope < 2:
            return Availability(True, f"a command and what it starts, by {strace}")
        if _may_trace_all():
            return Availability(True, f"every process with a QRTR socket, by {strace}")
        if scope:
            return Availability(False, f"kernel.yama.ptrace_scope is {scope}: only root may trace", "run as root")
        if not any(True for _ in self._scanner.sockets()):
            return Availability(False, "no process of this user has a QRTR socket", "run as root, to see the others'")
        return Availability(True, f"this user's processes with QRTR sockets, by {strace}; root sees all")

    def open(self) -> None:
        """Attach to what is there. Raises SourceUnavailable, leaving nothing behind."""
        state = self.probe()
        if not state.ok:
            raise SourceUnavailable(state.reason, state.remedy)
        try:
            self._watchdog = Watchdog()
            self._followed = Followed(self.origin, _node(), socket_scan.ends, socket_scan.state)
            self._early = self._services()
            if not self._command:
                self._look()
                self._await()
        except OSError as error:
            self.close()
            raise SourceUnavailable(f"strace cannot be run: {error.strerror}", _INSTALL) from None
        except BaseException:
            self.close()
            raise

    def read(self, timeout: float) -> list[Frame] | None:
        """Frames of all processes merged by time; see Source."""
        followed = self._followed
        if followed is None:
            return None
        if self._failure is not None:
            raise self._failure
        if self._early:
            early, self._early = self._early, []
            self._frames += len(early)
            return early
        if self._command and not self._started and self._stop_by is None:
            self._start()  # only now: what it does at once would else wait for us to get ready
        deadline = time.monotonic() + timeout
        while True:
            stopping = self._stop_by is not None
            if not (stopping or self._command) and time.monotonic() >= self._next_look:
                self._look_again()
            now = time.time_ns()
            self._take(followed)
            if self._stop_by is not None and time.monotonic() > self._stop_by:
                self._end_all()  # it does not let go by itself
            if self._failure is not None or ((stopping or self._started) and not self._stracers):
                rest = followed.frames(1 << 63)
                self._frames += len(rest)
                if rest or self._failure is None:
                    return rest or None
                raise self._failure
            senders = [began for each in self._stracers if (began := each.oldest()) is not None]
            oldest = min((began for began in senders if began > now - _PATIENCE), default=now)
            frames = followed.frames(min(now - _GRACE, oldest))
            self._frames += len(frames)
            left = deadline - time.monotonic()
            if frames or left <= 0:
                return frames
            wait = left if stopping or self._command else min(left, max(self._next_look - time.monotonic(), 0))
            self._wait(min(wait, _GRACE / 1e9) if followed.waiting else wait)

    def stop(self) -> None:
        """Let go of the processes; see Source."""
        if self._stop_by is None:
            self._stop_by = time.monotonic() + _STOP
            for each in self._stracers:
                each.stop()

    def close(self) -> None:
        """End strace. The processes run on."""
        self._end_all()
        if self._watchdog is not None:
            self._watchdog.close()
            self._watchdog = None

    def _end_all(self) -> None:
        for each in self._stracers:
            each.stop()
        for each in self._stracers:
            each.close()
        self._stracers = []

    def _services(self) -> list[Frame]:
        """The services there are, so that the capture is complete in itself."""
        lookup = ServiceLookup()
        found = lookup.answers(self.origin, wait=True)
        if lookup.problem:
            self._note(f"services of before the capture are not known: {lookup.problem}")
        lookup.close()
        return found

    def _start(self) -> None:
        """Start the command. Raises SourceFailed when that is not possible."""
        self._started = True
        try:
            self._follow(Stracer((), self._command))
        except OSError as error:
            self._failure = SourceFailed(f"strace cannot be run: {error.strerror}", _INSTALL)
            raise self._failure from None

    def _look(self) -> None:
        """Follow what has a QRTR socket and is not followed yet."""
        began = time.monotonic()
        found: dict[int, None] = {}
        for process, descriptor, inode in self._scanner.sockets():
            if self._followed is not None and not self._followed.knows(inode):
                self._followed.know(inode, socket_scan.ends(process, descriptor, inode))
            found[process] = None
        self._refused &= found.keys()
        ours = {os.getpid(), *(each.pid for each in self._stracers)}
        wanted = []
        for process in found.keys() - self._refused:
            state = socket_scan.state(process)
            if state is None or state.tracer in ours or any(process in each.attaching() for each in self._stracers):
                continue
            if state.tracer:
                self._refused.add(process)
                tracer = socket_scan.state(state.tracer)
                self._note(
                    f"not seen: process {process} ({state.name}), which {tracer.name if tracer else 'somebody'} "
                    f"({state.tracer}) traces already; end that, and it is followed in the next capture"
                )
                continue
            wanted.append(process)
        if wanted:
            self._follow(Stracer(wanted))
        now = time.monotonic()
        self._next_look = now + max(_EVERY, (now - began) * _SHARE)

    def _look_again(self) -> None:
        try:
            self._look()
        except OSError as error:
            self._failure = SourceFailed(
                f"no further process can be followed: {error.strerror}", "what was captured until then is kept"
            )

    def _follow(self, stracer: Stracer) -> None:
        self._stracers.append(stracer)
        if self._watchdog is not None:
            self._watchdog.watch(self._stracers)

    def _await(self) -> None:
        """Wait until strace is at work. Raises SourceUnavailable when it does not come to that."""
        until = time.monotonic() + _START
        while any(each.attaching() for each in self._stracers):
            if time.monotonic() > until:
                raise SourceUnavailable(f"strace was not at work after {_START:.0f} s")
            assert self._followed is not None
            self._take(self._followed)
            if self._failure is not None:
                raise SourceUnavailable(str(self._failure.args[0]), self._failure.remedy)
            with ending.wait():
                time.sleep(0.01)

    def _take(self, followed: Followed) -> None:
        """Read all that straces have told, in the order in which it happened."""
        told = [list(each.calls()) for each in self._stracers]
        for call in heapq.merge(*told, key=lambda call: call.ended):
            followed.take(call)
        for each in list(self._stracers):
            followed.missed(each.lost())
            for process, reason in each.refused():
                self._refused.add(process)
                self._note(f"not seen: process {process}: {reason} (root in the first namespace may trace it)")
            if self._command:
                for line in each.said:
                    self._note(f"{self._command[0]}: {line}")
                each.said.clear()
            if each.exit is not None:
                self._end(each)
        for count, text in ((followed.unknown, _UNKNOWN), (followed.guessed, _GUESSED)):
            if count and text not in self._told:
                self._told.add(text)
                self._note(text)

    def _end(self, stracer: Stracer) -> None:
        """A strace has ended: because its processes have, or because somebody killed it."""
        self._stracers.remove(stracer)
        code = stracer.exit or 0
        stracer.close()
        if self._watchdog is not None:
            self._watchdog.watch(self._stracers)
        if self._stop_by is not None:
            return
        if code < 0:
            self._failure = SourceFailed(
                f"strace was killed by signal {-code}: what it followed runs on, and is not seen any more"
                if not self._command
                else f"strace or {self._command[0]} was killed by signal {-code}",
                "what was captured until then is kept; start the capture again",
            )
        elif code and stracer.said and not self._command:
            self._failure = SourceFailed(f"strace: {stracer.said[-1]}", "strace 5.5 or later is needed")

    def _wait(self, seconds: float) -> None:
        poll = select.poll()
        for each in self._stracers:
            for file in each.files:
                poll.register(file, select.POLLIN)
        poll.poll(seconds * 1000)

    def _note(self, text: str) -> None:
        if len(self.notes) < _MOST_NOTES:
            self.notes = (*self.notes, text)


def _ptrace_scope() -> int:
    """What Yama allows: 0 what Unix does, 1 children, 2 root, 3 nobody."""
    try:
        return int(_PTRACE_SCOPE.read_text())
    except (OSError, ValueError):
        return 0


def _may_trace_all() -> bool:
    """Whether we have CAP_SYS_PTRACE."""
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
        return any(int(line.split()[1], 16) & _CAP_SYS_PTRACE for line in lines if line.startswith("CapEff:"))
    except (OSError, ValueError, IndexError):
        return os.geteuid() == 0


def _node() -> int:
    """This node's number, as a socket of our own has it."""
    try:
        with socket.socket(AF_QIPCRTR, socket.SOCK_DGRAM) as own:
            node: int = own.getsockname()[0]
            return node
    except OSError:
        return LOCAL_NODE
