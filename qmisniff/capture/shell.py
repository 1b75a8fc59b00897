# SPDX-License-Identifier: GPL-2.0-or-later
"""A POSIX shell at the other end of a command, asked one line at a time.

Every request is a line that the shell evaluates, every reply is framed by a word that cannot occur in it: whatever
bytes a file there holds, they come through a network, adb or a serial line as they are, or the connection is refused.
"""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import select
import subprocess
import tempfile
import time
from collections.abc import Sequence
from typing import NamedTuple

from qmisniff.capture import ending
from qmisniff.errors import SourceUnavailable

_LOGIN = 120.0  # seconds for the connection: somebody may have to type a password
_GREETINGS = 30
_SILENCE = 30.0  # seconds without a byte after which a request counts as lost
_LONGEST = 1 << 30  # bytes of an answer: the largest are the pages of every processor's buffer
_PATIENCE = 2.0  # seconds for the far shell to clean up and end
_MOST_SAID = 1 << 12  # bytes: the end of what the command has said on standard error
_WATCHDOG = 60  # seconds without a request after which the far shell cleans up and ends, where it can tell
# Bytes that a terminal in between would change or swallow.
_AWKWARD = bytes([1, 3, 4, 10, 13, 10, 17, 19, 26, 127, 255, 0])
_ESCAPED = "".join(f"\\{byte:03o}" for byte in _AWKWARD)
# Not every shell's `read` knows a time limit. With `command`, a line that makes no sense is not the end of the shell.
_LOOP = (
    'Q={word}; LC_ALL=C; export LC_ALL; exec 3>&1; if echo x | read -r -t 9 l 2>/dev/null; then w="-t '
    + str(_WATCHDOG)
    + '"; else w=; fi; printf "\\n{word}\\n{text}."; while read -r $w l; do command eval "$l"; done'
)
_TOOLS = ("cat", "dd", "mkdir", "rmdir")

# The command is started by a shell of ours: Ctrl+C reaches the whole terminal, and the connection must outlive it to
# take the probes out of the far kernel.
_UNDISTURBED = ("sh", "-c", 'trap "" INT; exec "$@"', "sh")


class ConnectionLost(OSError):
    """The command ended, or the far shell does not answer any more."""


class Answer(NamedTuple):
    """What a request printed: standard output, exit status, standard error."""

    output: bytes
    status: int
    errors: str


class Shell:
    """A shell reached by running `argv`; `name` is what messages call it.

    Raises SourceUnavailable when it cannot be reached, or is not fit.
    """

    def __init__(self, argv: Sequence[str], name: str) -> None:
        self._name = name
        self._word = secrets.token_hex(12)
        self._buffer = bytearray()
        self._end: ConnectionLost | None = None
        # Not a pipe: nobody reads it while all is well.
        self._said = tempfile.TemporaryFile()  # noqa: SIM115
        self._process: subprocess.Popen[bytes] | None = None
        self._patience = 0.1  # seconds for the end of a connection that nothing has come through
        try:
            self._process = subprocess.Popen(
                [*_UNDISTURBED, *argv], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._said, bufsize=0
            )
            self._greet()
        except OSError as error:
            self.close()
            raise SourceUnavailable(f"{name} cannot be reached: {error.strerror}", f"try: {' '.join(argv)}") from None
        except BaseException:
            self.close()
            raise

    def ask(self, script: str) -> Answer:
        """Run a line in a subshell. Raises ConnectionLost."""
        return self._ask(f"e=$( {{ {script} ; }} 2>&1 >&3 </dev/null )")

    def tell(self, script: str) -> Answer:
        """Run a line in the shell itself: what it defines stays. Raises ConnectionLost."""
        return self._ask(f"{{ {script} ; }} </dev/null; e=")

    def guard(self, clean_up: str) -> None:
        """From now on, run `clean_up` there when the shell ends: told to, hung up, or left alone for too long."""
        self.tell(f"K={quote(clean_up)}; trap 'eval \"$K\"' EXIT; trap 'exit 1' HUP INT TERM PIPE")

    def close(self) -> None:
        """End the shell and the command. A second call does nothing."""
        process, self._process = self._process, None
        if process is None:
            return
        # Told, not only cut off: a serial line has no end that a shell would notice.
        with contextlib.suppress(OSError, ValueError):
            if process.stdin is not None:
                process.stdin.write(b"exit 0\n")
                process.stdin.close()
        try:
            process.wait(self._patience)
        except subprocess.TimeoutExpired:
            process.terminate()
            try:
                process.wait(_PATIENCE)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        if process.stdout is not None:
            process.stdout.close()
        self._said.close()

    def _greet(self) -> None:
        # What evaluates our lines is a script: it prints no prompt, even where the connection logs in to a terminal.
        # A wire may still have the shell of an earlier connection at its other end: its line ends, and it cleans up.
        loop = quote(_LOOP.format(word=self._word, text=_ESCAPED))
        greeting = f'\n[ "$Q" = {self._word} ] || {{ eval "$K"; stty raw -echo 2>/dev/null; exec sh -c {loop}; }}\n'
        # What a login prints comes before the word. Some swallow what is said to them while they begin.
        hello = f"\n{self._word}\n".encode()
        with ending.wait():
            for _ in range(_GREETINGS + 1):
                self._send(greeting)
                if self._heard(hello, _LOGIN / _GREETINGS):
                    break
            else:
                raise ConnectionLost(errno.ETIMEDOUT, f"{self._name} has not answered for {_LOGIN:.0f} seconds")
        self._until(hello, 0)
        self._patience = _PATIENCE
        came = self._until(b".", _SILENCE)
        if came != _AWKWARD:
            raise SourceUnavailable(
                f"{self._name}: the connection changes the bytes that go through it",
                "it must be no terminal: ssh -T, adb shell -T, a serial line in raw mode",
            )
        # A greeting too many may still be on its way, whole or what a shell's buffer has left of it: this ends them.
        last = secrets.token_hex(12)
        self._send(f"printf '\\n%s\\n' {last}\n")
        self._until(f"\n{last}\n".encode(), _SILENCE)
        missing = self.ask(f"for c in {' '.join(_TOOLS)}; do command -v $c >/dev/null || printf '%s ' $c; done").output
        if missing:
            raise SourceUnavailable(f"{self._name} has no {missing.decode('ascii', 'replace').strip()}")

    def _ask(self, script: str) -> Answer:
        if self._end is not None:
            raise self._end  # an answer that is late would be taken for that to the next request
        try:
            return self._answer(script)
        except ConnectionLost as error:
            self._end = error
            raise

    def _answer(self, script: str) -> Answer:
        self._send(f"{script}; printf '\\n{self._word}\\n%s\\n%s\\n{self._word}\\n' $? \"$e\"\n")
        frame = f"\n{self._word}\n".encode()
        output = self._until(frame, _SILENCE)
        status, _, errors = self._until(frame, _SILENCE).partition(b"\n")
        if not status.isdigit():
            raise ConnectionLost(errno.EPROTO, f"{self._name} answers something else than it was asked")
        return Answer(output, int(status), errors.decode("utf-8", "replace"))

    def _send(self, line: str) -> None:
        if self._process is None or self._process.stdin is None:
            raise ConnectionLost(errno.ENOTCONN, f"{self._name} is not connected")
        rest = memoryview(line.encode("utf-8", "surrogateescape"))
        try:
            while rest:
                rest = rest[self._process.stdin.write(rest) :]
        except OSError:
            raise self._lost() from None

    def _until(self, mark: bytes, patience: float) -> bytes:
        """What comes before `mark`, with no more than `patience` seconds between one byte and the next."""
        searched = 0
        while (at := self._buffer.find(mark, searched)) < 0:
            searched = max(len(self._buffer) - len(mark), 0)
            if not self._more(patience):
                raise ConnectionLost(errno.ETIMEDOUT, f"{self._name} has not answered for {patience:.0f} seconds")
        found = bytes(self._buffer[:at])
        del self._buffer[: at + len(mark)]
        return found

    def _heard(self, mark: bytes, seconds: float) -> bool:
        """Whether `mark` comes in so many seconds. What is far before it is forgotten: a machine that starts talks."""
        until = time.monotonic() + seconds
        while mark not in self._buffer:
            del self._buffer[: -len(mark)]
            left = until - time.monotonic()
            if left <= 0 or not self._more(left):
                return False
        return True

    def _more(self, timeout: float) -> bool:
        """Read what is there after at most `timeout` seconds: whether there was something."""
        process = self._process
        if process is None or process.stdout is None:
            raise ConnectionLost(errno.ENOTCONN, f"{self._name} is not connected")
        poll = select.poll()
        poll.register(process.stdout, select.POLLIN)
        if not poll.poll(timeout * 1000):
            return False
        piece = os.read(process.stdout.fileno(), 1 << 20)
        if not piece:
            raise self._lost()
        if len(self._buffer) > _LONGEST:
            raise ConnectionLost(errno.EPROTO, f"{self._name} does not stop talking")
        self._buffer += piece
        return True

    def _lost(self) -> ConnectionLost:
        """The connection's end, in the words of whatever made it."""
        if self._process is not None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(1.0)
        self._said.seek(max(self._said.seek(0, os.SEEK_END) - _MOST_SAID, 0))
        lines = self._said.read().decode("utf-8", "replace").replace("\r", "\n").split("\n")
        said = [line.strip() for line in lines if line.strip()]
        return ConnectionLost(errno.ECONNRESET, said[-1] if said else "the connection ended")


def quote(text: str) -> str:
    """A word that a shell takes as it is. Raises OSError for what no line can hold: a request is one line."""
    if "\n" in text or "\0" in text:
        raise OSError(errno.EINVAL, "a name with a line break in it")
    return "'" + text.replace("'", "'\\''") + "'"
