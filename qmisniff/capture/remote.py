# SPDX-License-Identifier: GPL-2.0-or-later
"""Another machine as a target, by nothing but a shell on it: ssh, adb, or any command that runs one.

It needs sh, tracefs and what every busybox, toybox or coreutils has: cat, dd, mkdir and rmdir. Everything is asked here
and parsed here; the far side only moves bytes.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
import shlex
import time
from collections.abc import Iterator, Mapping, Sequence

from qmisniff.capture.lookup import Lookup, RemoteLookup
from qmisniff.capture.shell import Shell, quote
from qmisniff.capture.target import Batch, Change, Process, Refused, start_time
from qmisniff.errors import UsageError

_ERRNO = {os.strerror(number): number for number in errno.errorcode} | {"Resource busy": errno.EBUSY}
_PROGRAMS = {"armv8l": "aarch64"}  # what a kernel calls itself to a program of 32 bits
# The smallest record that the tap's events have, with its header: no page holds more than its size over this.
_LEAST_EVENT = 48
_ROUNDS = 16  # reads of a CPU in one request, at most: under a flood it must not go on for ever
_MOST_PAGES = 256  # in one read
_REQUEST = 8000  # bytes of a request with many changes, after which another begins
_FILES_AT_ONCE = 64  # in one request
_PRINTED_AT_ONCE = 1000  # bytes: the smallest buffer of standard output that a C library has (musl)
_FASTEST, _SLOWEST = 0.01, 0.1  # seconds between requests while packets come, and when none has come for long

# Takes away what the shell's own capture put into the kernel: $O names its owner, as in Instance. Groups of events can
# only be removed when no instance uses them.
_CLEAN_UP = (
    "for t in /sys/kernel/tracing /sys/kernel/debug/tracing; do"
    ' for i in "$t"/instances/qmisniff_"$O"_*; do [ -d "$i" ] && rmdir "$i"; done;'
    ' for g in "$t"/events/qmisniff_"$O"_*; do [ -d "$g" ] && {'
    ' printf 0 >"$g/enable";'
    ' for e in "$g"/*/; do e=${e%/}; printf "%s\\n" "-:${g##*/}/${e##*/}" >>"$t/kprobe_events"; done; }; done;'
    " done 2>/dev/null"
)


def command(spec: str) -> list[str]:
    """The command that runs a shell on the machine that `spec` names: ssh://USER@HOST, adb:SERIAL, exec:COMMAND.

    Raises UsageError.
    """
    scheme, _, rest = spec.partition(":")
    if scheme == "ssh":
        host = rest.removeprefix("//").rstrip("/")
        if not rest.startswith("//") or not host or "/" in host or host.startswith("-"):
            raise UsageError(f"{spec!r} names no machine", "ssh://root@phone or ssh://root@phone:2222")
        return ["ssh", "-T", "--", f"ssh://{host}", "exec sh"]
    if scheme == "adb":
        return ["adb", *(["-s", rest] if rest else []), "shell", "-T", "exec sh"]
    try:
        words = shlex.split(rest)
    except ValueError as error:
        raise UsageError(f"{spec!r} is no command: {error}") from None
    if not words:
        raise UsageError("exec: needs a command that runs a shell on the target", "exec:ssh phone sudo sh")
    return words


class RemoteTarget:
    """The machine that `spec` names; connected at the first question. Raises SourceUnavailable where it cannot be."""

    become_root = "log in as root: ssh://root@HOST, `adb root`, or exec:'ssh HOST sudo sh'"

    def __init__(self, spec: str) -> None:
        self._argv = command(spec)
        self._spec = spec
        self._connection: Shell | None = None
        self._owner = ""
        self._now = 0  # of the trace clock, when the pages were last asked for

    @property
    def _shell(self) -> Shell:
        if self._connection is None:
            self._connection = Shell(self._argv, self._spec)
        return self._connection

    def read(self, path: str) -> bytes:
        return self._run(f"cat {quote(path)}", path)

    def lines(self, path: str, word: bytes) -> list[bytes]:
        text = word.decode("ascii")
        script = f"if command -v grep >/dev/null; then grep -F {quote(text)} {quote(path)} || [ $? = 1 ]"
        content = self._run(f"{script}; else cat {quote(path)}; fi", path)
        return [line for line in content.split(b"\n") if word in line]

    def write(self, path: str, text: str) -> None:
        self._put(path, text, ">")

    def append(self, path: str, text: str) -> None:
        self._put(path, text, ">>")

    def change(self, changes: Sequence[Change]) -> None:
        # Many in one request, and most by nothing but the shell; the one that is refused is asked for again alone.
        done = 0
        while done < len(changes):
            script, end = "n=0", done
            while end < len(changes) and len(script) < _REQUEST:
                path, text, append = changes[end]
                through = "" if len(text) < _PRINTED_AT_ONCE else "| dd obs=65536 "
                script += f" && {_print(text)} {through}{'>>' if append else '>'}{quote(path)} && n=$((n + 1))"
                end += 1
            made = self._run(f"{{ {script}; }} 2>/dev/null; printf '%s' $n", "sh")
            if not made.isdigit() or done + int(made) > end:
                raise _nonsense()
            done += int(made)
            if done < end:
                path, text, append = changes[done]
                try:
                    self._put(path, text, ">>" if append else ">")
                except OSError as error:
                    raise Refused(done, error) from None
                done += 1

    def read_all(self, paths: Sequence[str]) -> Sequence[bytes]:
        found: list[bytes] = []
        for start in range(0, len(paths), _FILES_AT_ONCE):
            some = paths[start : start + _FILES_AT_ONCE]
            each = " && ".join(f"cat {quote(path)} && printf '\\0'" for path in some)
            found += self._run(each, some[0]).split(b"\0")[:-1]
        return found

    def _put(self, path: str, text: str, how: str) -> None:
        # Through a program, whose complaint names the kernel's reason: a shell's own printf hides it. A printf may
        # write in pieces, of which the kernel takes each for a whole line; dd puts them together again.
        program = "cat" if len(text) < _PRINTED_AT_ONCE else "dd obs=65536"
        self._run(f"{_print(text)} | {program} {how}{quote(path)}", path)

    def list(self, path: str) -> list[str]:
        each = 'for f in * .[!.]*; do if [ -e "$f" ] || [ -L "$f" ]; then printf \'%s\\n\' "$f"; fi; done'
        found = self._run(f"if [ -e {quote(path)} ]; then cd {quote(path)} && {each}; fi", path)
        return sorted(found.decode("utf-8", "surrogateescape").split("\n")[:-1])

    def exists(self, path: str) -> bool:
        return self._shell.ask(f"[ -e {quote(path)} ]").status == 0

    def make(self, path: str) -> None:
        self._run(f"mkdir {quote(path)}", path)

    def remove(self, path: str) -> None:
        self._run(f"rmdir {quote(path)}", path)

    def mount_tracefs(self, path: str) -> None:
        self._run(f"mount -t tracefs tracefs {quote(path)}", path)

    def is_root(self) -> bool:
        return bool(re.search(rb"^Uid:\s+\d+\s+0\s", self.read("/proc/self/status"), re.MULTILINE))

    def system(self) -> tuple[str, str]:
        said = self._run("cat /proc/sys/kernel/osrelease; uname -m", "uname").decode("ascii", "replace")
        release, _, machine = said.partition("\n")
        machine = machine.strip()
        return release, _PROGRAMS.get(machine, machine)

    def owner(self) -> str:
        if not self._owner:
            pid = self._run("printf '%s' $$", "sh").decode("ascii", "replace")
            if not pid.isdecimal():
                raise _nonsense()
            self._owner = f"{pid}_{start_time(self.read(f'/proc/{pid}/stat'))}"
            self._shell.tell(f"O={quote(self._owner)}")
            self._shell.guard(_CLEAN_UP)
        return self._owner

    def clock(self) -> int:
        """A time that has passed: that of the last reading of the buffers, so that all before it has been seen."""
        return self._now or self._uptime()

    def wall_clock_offset(self) -> int:
        # The kernel lists how far its clocks are from each other: exact, however slow the connection is.
        with contextlib.suppress(OSError):
            clocks = self.read("/proc/timer_list").decode("ascii", "replace")
            offsets = {
                name: int(offset)
                for name, offset in re.findall(r"get_time:\s+ktime_get_(\w+)\s+\.offset:\s+(\d+) nsecs", clocks)
            }
            if "real" in offsets and "boottime" in offsets:
                return offsets["real"] - offsets["boottime"]
        # Else as good as a hundredth of a second and the connection allow, by our own clock.
        return time.time_ns() - self._uptime()

    def _uptime(self) -> int:
        with _sense():
            return int(float(self.read("/proc/uptime").split()[0]) * 1e9)

    def pages(self, files: Mapping[int, str], page_size: int) -> RemotePages:
        self._shell.tell(_reader(files, page_size))
        return RemotePages(self, page_size)

    def poll(self, page_size: int) -> Batch:
        """Run the reader that `pages` defined, once. Raises OSError."""
        content = self._run("p", "trace_pipe_raw")
        with _sense():
            return self._batch(content, page_size)

    def _batch(self, content: bytes, page_size: int) -> Batch:
        """What the reader printed. Raises ValueError, IndexError where it is not as `_reader` says."""
        pages: list[tuple[int, bytes]] = []
        at, drained = 0, True
        while at < len(content):
            end = content.index(b"\n", at)
            kind, *numbers = content[at:end].split()
            at = end + 1
            if kind == b"T":
                self._now = _nanoseconds(numbers[0])
            elif kind == b"M":
                drained = False
            else:
                cpu, count = int(numbers[0]), int(numbers[1])
                if kind != b"P" or count < 0 or at + count * page_size > len(content):
                    raise ValueError(kind)
                pages += [
                    (cpu, content[here : here + page_size]) for here in range(at, at + count * page_size, page_size)
                ]
                at += count * page_size
        return Batch(pages, drained)

    def processes(self) -> Iterator[Process]:
        each = 'for d in /proc/[0-9]*; do set -- "$d"/task/*; if [ $# -gt 1 ]; then '
        script = each + 'IFS= read -r n <"$d/comm" && printf \'%s:%s:%s\\n\' "${d#/proc/}" "$*" "$n"; fi; done'
        # A name may hold what ends a line elsewhere, but for "\n": of that, the shell has read what is before it.
        for line in self._shell.ask(script).output.decode("utf-8", "backslashreplace").split("\n")[:-1]:
            pid, _, rest = line.partition(":")
            threads, _, name = rest.partition(":")
            with _sense():
                process = Process(int(pid), name, [int(path.rpartition("/")[2]) for path in threads.split()])
            yield process

    def lookup(self) -> Lookup:
        return RemoteLookup(self._services())

    def _services(self) -> str:
        """What qrtr-lookup prints there; "" without it."""
        # It waits for ever where there is no name service.
        asked = "{ qrtr-lookup & p=$!; ( sleep 3; kill $p ) >/dev/null 2>&1 3>&- & wait $p; }"
        script = f"command -v qrtr-lookup >/dev/null && {asked}"
        return self._shell.ask(script).output.decode("utf-8", "replace")

    def close(self) -> None:
        """Let go of the connection. A second call does nothing."""
        connection, self._connection = self._connection, None
        self._owner = ""
        if connection is not None:
            connection.close()

    def _run(self, script: str, path: str) -> bytes:
        """What a line prints. Raises OSError with the number that its complaint stands for."""
        answer = self._shell.ask(script)
        if answer.status == 0:
            return answer.output
        said = [line for line in answer.errors.splitlines() if ": " in line]  # not what dd counts
        reason = said[-1].rpartition(": ")[2].strip() if said else f"exit code {answer.status}"
        number = _ERRNO.get(reason, errno.EIO)
        # OSError chooses its subclass by the number.
        raise OSError(number, reason, path)


@contextlib.contextmanager
def _sense() -> Iterator[None]:
    """Within it, numbers that are none are an error of the connection."""
    try:
        yield
    except (ValueError, IndexError, OverflowError):
        raise _nonsense() from None


def _nonsense() -> OSError:
    return OSError(errno.EPROTO, "the shell there answers something else than it was asked")


def _print(text: str) -> str:
    """The command that prints a text."""
    lines = text.split("\n")
    form = "\\n".join(["%s"] * len(lines))
    return f"printf '{form}' {' '.join(map(quote, lines))}"


class RemotePages:
    """trace_pipe_raw of every CPU over there, asked for now and then: a shell cannot wait for several files."""

    def __init__(self, target: RemoteTarget, page_size: int) -> None:
        self._target = target
        self._size = page_size
        self._pace = _FASTEST

    def wait(self, timeout: float) -> bool:
        time.sleep(min(timeout, self._pace))
        self._pace = min(self._pace * 1.2, _SLOWEST)
        return True

    def read(self) -> Batch:
        batch = self._target.poll(self._size)
        if batch.pages:
            self._pace = _FASTEST
        return batch

    def close(self) -> None:
        pass  # each request opens and closes the files


def _reader(files: Mapping[int, str], page_size: int) -> str:
    """The shell function `p`: a line `T SECONDS`, then for what is there `P CPU COUNT` and that many pages, at the end
    `M` when there is more.

    Reading more pages than there are would wait for the next event. How many there are is not told, but how many
    events, and a page holds so many at most. (The count of bytes beside it is wrong in kernels before 6.6.)
    """
    most = page_size // _LEAST_EVENT
    stats = {cpu: quote(path.rpartition("/")[0] + "/stats") for cpu, path in files.items()}
    look = "e=0; while read -r k v w x; do case $k in entries:) e=$v ;; now) n=$w ;; esac; done <"
    parts = [f"{look}{next(iter(stats.values()))} || return 1; printf 'T %s\\n' $n"] if files else []
    for cpu, path in files.items():
        fresh = f"{look}{stats[cpu]} || return 1"
        count = f"c=$(( (e + {most} - 1) / {most} )); [ $c -gt {_MOST_PAGES} ] && c={_MOST_PAGES}"
        take = f"printf 'P {cpu} %s\\n' $c; dd if={quote(path)} bs={page_size} count=$c 2>/dev/null || return 1"
        parts.append(
            f"{fresh}; r={_ROUNDS}; while [ $e -gt 0 ] && [ $r -gt 0 ]; do {count}; {take}; {fresh}; r=$((r - 1));"
            " done; [ $e -gt 0 ] && m=M"
        )
    return f"p() {{ m=; {'; '.join(parts)}; [ -z \"$m\" ] || printf 'M\\n'; }}"


def _nanoseconds(seconds: bytes) -> int:
    whole, _, fraction = seconds.partition(b".")
    return int(whole) * 1_000_000_000 + int(fraction.ljust(9, b"0")[:9])
