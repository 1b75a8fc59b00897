# SPDX-License-Identifier: GPL-2.0-or-later
"""What strace prints -> system calls. Pure, and never raises on any text: traced programs have a hand in it.

Understood is what the options in `OPTIONS` make strace print: numbers instead of names, all strings in hexadecimal, a
line `THREAD SECONDS.NANOSECONDS CALL(ARGUMENTS) = RESULT <SECONDS.NANOSECONDS>`, or that in two halves, where
something else was printed between a call's entry and its return.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

# -y, not -yy: that looks for a QRTR socket among all protocols of sock_diag, at every call, and loads their modules.
OPTIONS = (
    "-f", "-q", "-y", "-a", "1", "-xx", "-X", "raw", "-s", "65536", "-e", "signal=none",
    "--absolute-timestamps=format:unix,precision:ns", "--syscall-times=ns",
)  # fmt: skip
LONGEST = 1 << 22  # bytes of a line: a datagram takes 4 for each of its 65,535
_MOST_OPEN = 1 << 12  # calls that have not returned
_DEEPEST = 8  # arrays and structs within each other

_LINE = re.compile(
    r"(\d{1,10}) +(\d{1,11})\.(\d{9}) (?:<\.\.\. (\w{1,32}) resumed>|(\w{1,32})\()(.*)", re.ASCII | re.DOTALL
)
_NEWS = re.compile(r"\d{1,10} +\d{1,11}\.\d{9} (?:\+\+\+|---) .*", re.ASCII | re.DOTALL)  # of exits and signals
_UNFINISHED = " <unfinished ...>"
_END = re.compile(
    r"\) = (?P<result>-?\d{1,19}|\?)(?:<(?P<made>[^<>]*)>)?(?: [^<>]*)?"
    r"(?: <(?P<seconds>\d{1,9})\.(?P<nanoseconds>\d{9})>)?",
    re.ASCII,
)
# A descriptor that is a socket, at the beginning of the arguments: "socket:[INODE]" in hexadecimal.
_SOCKET = re.compile(r"(\d{1,10})<(\\x73\\x6f\\x63\\x6b\\x65\\x74\\x3a\\x5b(?:\\x3[0-9]){1,19}\\x5d)>", re.ASCII)
_TOKEN = re.compile(
    r'"(?P<text>(?:\\x[0-9a-f]{2})*)"(?P<cut>\.\.\.)?'
    r"|(?P<number>-?(?:0x[0-9a-f]{1,16}|\d{1,20})(?:\|(?:0x[0-9a-f]{1,16}|\d{1,20}))*)(?:<[^<>]*>)?"
    r"|(?P<key>[a-z_]\w*)="
    r"|(?P<word>[A-Za-z_]\w*)"
    r"|(?P<becomes>=>)"
    r"|(?P<mark>[\[\]{},])",
    re.ASCII,
)
_HEX = re.compile(r"(?:\\x[0-9a-f]{2})*")
_BLANK = re.compile(r"(?: |/\*[^*]*\*/)*")


class Text(NamedTuple):
    """A string argument; `whole` unless strace cut it short."""

    data: bytes
    whole: bool


Value = Text | int | str | None | list["Value"] | dict[str, "Value"]


class Call(NamedTuple):
    """A system call that has returned.

    `socket` is (descriptor, inode) where its first argument is one; `made` the inode of a socket that it
    returned, 0 where it returned none.
    Times are nanoseconds since 1970. `text` is what stands between the parentheses.
    """

    thread: int
    name: str
    text: str
    result: int
    began: int
    ended: int
    socket: tuple[int, int] | None = None
    made: int = 0

    def arguments(self) -> list[Value] | None:
        """The arguments; None where they are not understood."""
        return parse(self.text)


class Calls:
    """Lines of one strace, one after the other; `garbled` counts those that are none of strace's."""

    def __init__(self) -> None:
        self.garbled = 0
        self._open: dict[int, tuple[str, int, str]] = {}  # by thread: name, began, arguments so far

    def feed(self, line: bytes) -> Call | None:
        """The call that a line (without its newline) completes; None where it completes none."""
        text = line.decode("latin-1")
        found = _LINE.fullmatch(text)
        if found is None:
            self.garbled += not _NEWS.fullmatch(text)
            return None
        thread, seconds, nanoseconds, resumed, name, rest = found.groups()
        number, began = int(thread), int(seconds) * 10**9 + int(nanoseconds)
        if name is not None and rest.endswith(_UNFINISHED):
            if len(self._open) >= _MOST_OPEN:
                del self._open[next(iter(self._open))]
            self._open[number] = (name, began, rest[: -len(_UNFINISHED)])
            return None
        before = self._open.pop(number, None)
        if name is None:
            if before is None or before[0] != resumed:
                return None  # it was under way when strace came
            name, began, head = before
            rest = head + rest
        # Nothing in the arguments looks like that: their strings are in hexadecimal.
        at = rest.rfind(") = ")
        end = _END.fullmatch(rest, at) if at >= 0 else None
        if end is None:
            self.garbled += not rest.endswith("<detached ...>")
            return None
        took = int(end["seconds"] or 0) * 10**9 + int(end["nanoseconds"] or 0)
        arguments = rest[:at]
        socket = _SOCKET.match(arguments)
        return Call(
            number,
            name,
            arguments,
            int(end["result"]) if end["result"] != "?" else -1,
            began,
            began + took,
            (int(socket[1]), _inode(socket[2])) if socket else None,
            _inode(end["made"] or ""),
        )

    def oldest(self) -> int | None:
        """When the oldest of the sends that have not returned began; None where there is none."""
        return min(
            (began for name, began, _ in self._open.values() if name.startswith(("send", "write"))), default=None
        )


class Lines:
    """A stream cut into lines; a line longer than LONGEST is thrown away, and counted in `overlong`."""

    def __init__(self) -> None:
        self.overlong = 0
        self._rest = bytearray()
        self._skipping = False

    def feed(self, data: bytes) -> Iterator[bytes]:
        """The lines that end in `data`, without their newlines."""
        first, newline, others = data.partition(b"\n")
        if not newline:
            self._hold(first)
            return
        self._hold(first)
        whole, skipped = bytes(self._rest), self._skipping
        self._rest.clear()
        self._skipping = False
        if not skipped:
            yield whole
        *lines, rest = others.split(b"\n")
        yield from lines
        self._hold(rest)

    def _hold(self, piece: bytes) -> None:
        if self._skipping:
            return
        self._rest += piece
        if len(self._rest) > LONGEST:
            self._rest.clear()
            self._skipping = True
            self.overlong += 1


def parse(text: str) -> list[Value] | None:
    """The arguments of a call; None where they are not understood.

    Structs become dicts; of `before => after` the latter counts, and of two structs what both say.
    """
    try:
        values, at = _values(text, 0, "", 0)
    except ValueError:
        return None
    return values if at == len(text) else None


def _values(text: str, at: int, closing: str, depth: int) -> tuple[list[Value], int]:
    """Values up to a closing mark (or the end, where it is ""), and where what follows it begins."""
    if depth > _DEEPEST:
        raise ValueError("too deep")
    values: list[Value] = []
    keys: dict[str, Value] = {}
    key = None
    while True:
        at = _skip(text, at)
        if at == len(text):
            if closing or key is not None:
                raise ValueError("cut short")
            return values, at
        token = _TOKEN.match(text, at)
        if token is None:
            raise ValueError("no value")
        at, kind = token.end(), token.lastgroup
        value: Value
        if kind == "mark" and token["mark"] == closing:
            return ([keys] if closing == "}" else values), at
        if kind == "mark" and token["mark"] == ",":
            continue
        if kind == "key":
            key = token["key"]
            continue
        if kind == "becomes":
            after, at = _one(text, at, depth)
            _become(values, keys, after)
            continue
        value, at = _value(token, text, at, depth)
        if closing == "}" and key is None:
            raise ValueError("a value without its name")
        if key is not None and closing == "}":
            keys.pop(key, None)  # the last one is what `=>` is about
            keys[key] = value
        else:
            values.append({key: value} if key is not None else value)  # arguments may have names too
        key = None


def _one(text: str, at: int, depth: int) -> tuple[Value, int]:
    at = _skip(text, at)
    token = _TOKEN.match(text, at)
    if token is None or token.lastgroup in ("key", "becomes"):
        raise ValueError("no value")
    return _value(token, text, token.end(), depth)


def _value(token: re.Match[str], text: str, at: int, depth: int) -> tuple[Value, int]:
    """The value that begins with a token, and where what follows it begins."""
    if token["text"] is not None:
        return Text(bytes.fromhex(token["text"].replace("\\x", "")), token["cut"] is None), at
    if token["number"] is not None:
        number = 0
        for part in token["number"].split("|"):
            number |= int(part, 16 if "x" in part else 10)
        return number, at
    if token["word"] is not None:
        return (None if token["word"] == "NULL" else token["word"]), at
    if token["mark"] == "[":
        values, at = _values(text, at, "]", depth + 1)
        return values, at
    if token["mark"] == "{":
        values, at = _values(text, at, "}", depth + 1)
        return values[0], at
    raise ValueError("no value")


def _become(values: list[Value], keys: dict[str, Value], after: Value) -> None:
    if keys:
        keys[next(reversed(keys))] = after
    elif not values:
        raise ValueError("nothing became something")
    elif isinstance(before := values[-1], dict) and isinstance(after, dict):
        values[-1] = before | after
    else:
        values[-1] = after


def _skip(text: str, at: int) -> int:
    blank = _BLANK.match(text, at)
    return blank.end() if blank else at


def _inode(link: str) -> int:
    """The inode in what a descriptor that is a socket points to; 0 for others."""
    target = bytes.fromhex(link.replace("\\x", "")) if _HEX.fullmatch(link) else b""
    digits = target.removeprefix(b"socket:[").removesuffix(b"]")
    return int(digits) if len(target) == len(digits) + 9 and digits.isdigit() and len(digits) < 20 else 0
