# SPDX-License-Identifier: GPL-2.0-or-later
"""strace at work on some processes: started, read from, and ended so that they run on."""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import signal
import subprocess
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from qmisniff.capture.followed import TASKS
from qmisniff.capture.socket_calls import ADDRESSES, DATAGRAMS
from qmisniff.capture.socket_scan import state
from qmisniff.capture.strace_lines import OPTIONS, Call, Calls, Lines

_TRACED = "trace=" + ",".join((*ADDRESSES, *DATAGRAMS, *TASKS))
_PIPE = 1 << 20  # bytes: what strace may be ahead of us before it, and the traced, wait
_AT_ONCE = 1 << 20
_MOST_AT_ONCE = 16
_PATIENCE = 5.0  # seconds for strace to let go
_REFUSED = re.compile(r"attach: ptrace\([^)]*?,? ?(\d{1,10})\): (.{1,80})", re.ASCII)
_MOST_SAID, _MOST_LINES = 1 << 16, 1 << 10
# Ends the straces of a capture that was killed: those in the last line it got, once there will be no more.
_WATCHDOG = 'while read -r line; do pids=$line; done; [ -z "$pids" ] || kill $pids'


class Refusal(NamedTuple):
    """A process that strace may not trace, and why."""

    process: int
    reason: str


class Stracer:
    """One strace, attached to processes or around a command of its own. Raises OSError when it cannot be started.

    `said` is what it, or the command, printed on standard error or output, line by line.
    """

    def __init__(self, processes: Sequence[int], command: Sequence[str] = ()) -> None:
        self.said: deque[str] = deque(maxlen=_MOST_LINES)
        self._attaching = set(processes)
        self._refusals: list[Refusal] = []
        self._told_lost = 0
        self._calls = Calls()
        self._lines = Lines()
        self._complaints = b""
        self._ended = False
        self._output, output = os.pipe2(os.O_CLOEXEC)
        try:
            with contextlib.suppress(OSError):  # more than this user may have
                fcntl.fcntl(self._output, fcntl.F_SETPIPE_SZ, _PIPE)
            # A command can be stopped at the traced calls alone, which makes it much quicker; what runs already cannot.
            # Its language is its own: only strace has to speak C.
            language = f"LC_ALL={os.environ['LC_ALL']}" if "LC_ALL" in os.environ else "LC_ALL"
            whom = ["--seccomp-bpf", "-E", language, "--", *command] if command else []
            whom += [word for process in processes for word in ("-p", str(process))]
            # In a session of its own: ctrl+c is for us, and we end it when it has nothing more to say.
            self._process = subprocess.Popen(
                ["strace", *OPTIONS, "-e", _TRACED, "-o", f"/proc/self/fd/{output}", *whom],
                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                pass_fds=(output,), start_new_session=True, env={**os.environ, "LC_ALL": "C"},
            )  # fmt: skip
        except BaseException:
            os.close(self._output)
            raise
        finally:
            os.close(output)
        assert self._process.stdout is not None
        self._errors = self._process.stdout.fileno()
        for each in self.files:
            os.set_blocking(each, False)

    @property
    def pid(self) -> int:
        """Of strace."""
        return self._process.pid

    @property
    def files(self) -> tuple[int, int]:
        """What to wait for before `calls`."""
        return self._output, self._errors

    def lost(self) -> int:
        """Lines that could not be understood since the last time."""
        lost = self._calls.garbled + self._lines.overlong
        fresh, self._told_lost = lost - self._told_lost, lost
        return fresh

    def refused(self) -> list[Refusal]:
        """The processes it may not trace, since the last time; not those that had gone when it came."""
        refusals, self._refusals = self._refusals, []
        self._attaching -= {each.process for each in refusals}
        return [each for each in refusals if state(each.process) is not None]

    def attaching(self) -> set[int]:
        """The processes that it does not trace yet."""
        if self._ended:
            self._attaching.clear()
        for process in list(self._attaching):
            found = state(process)
            if found is None or found.tracer == self.pid:
                self._attaching.remove(process)
        return self._attaching

    @property
    def exit(self) -> int | None:
        """Its exit code, negative where a signal ended it, once it has ended and all of its output was read."""
        return self._process.returncode if self._ended else None

    def oldest(self) -> int | None:
        """When the oldest send under way began."""
        return self._calls.oldest()

    def calls(self) -> Iterator[Call]:
        """The calls it has told of since the last time."""
        ended = self._process.poll() is not None  # before the last look: nothing is written after it
        self._listen()
        for _ in range(_MOST_AT_ONCE):
            if self._ended:
                return
            try:
                data = os.read(self._output, _AT_ONCE)
            except BlockingIOError:
                return  # while it runs; a child of its own cannot hold the pipe
            if not data:
                self._ended = ended or self._process.poll() is not None
                return
            for line in self._lines.feed(data):
                call = self._calls.feed(line)
                if call is not None:
                    yield call

    def _listen(self) -> None:
        with contextlib.suppress(BlockingIOError):
            while len(self._complaints) < _MOST_SAID and (data := os.read(self._errors, 4096)):
                self._complaints += data
        *lines, self._complaints = self._complaints.split(b"\n")
        for line in lines[-_MOST_LINES:]:
            text = line.decode("utf-8", "backslashreplace").removeprefix("strace: ")
            found = _REFUSED.search(text)
            if found is not None:
                self._refusals.append(Refusal(int(found[1]), found[2]))
            else:
                self.said.append(text)

    def stop(self) -> None:
        """Ask it to let go of its processes; what it has to say can still be read."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)

    def close(self) -> None:
        """End it: processes run on when their tracer dies. A second call does nothing."""
        if self._output < 0:
            return
        self.stop()
        os.close(self._output)  # it does not wait for us to read
        self._output = -1
        try:
            self._process.wait(_PATIENCE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        assert self._process.stdout is not None
        self._process.stdout.close()


class Watchdog:
    """A shell that ends straces when this process is killed and cannot."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            ["sh", "-c", _WATCHDOG], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            start_new_session=True,
        )  # fmt: skip

    def watch(self, stracers: Iterable[Stracer]) -> None:
        """These are the straces there are now."""
        assert self._process.stdin is not None
        with contextlib.suppress(OSError):  # somebody has killed it
            self._process.stdin.write(" ".join(str(each.pid) for each in stracers).encode() + b"\n")
            self._process.stdin.flush()

    def close(self) -> None:
        """It is not needed any more."""
        self._process.kill()
        assert self._process.stdin is not None
        with contextlib.suppress(OSError):
            self._process.stdin.close()
        self._process.wait()
