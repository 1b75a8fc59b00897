# SPDX-License-Identifier: GPL-2.0-or-later
"""Offsets of structure members and parameters of functions from BTF, a kernel's information about its own types.

Layout: Documentation/bpf/btf.rst of the kernel.
"""

from __future__ import annotations

import struct
import sys
from collections.abc import Iterable

_HEADER = struct.Struct("<HBBIIIII")  # magic, version, flags, header length, types at, size, strings at, size
_MAGIC = 0xEB9F
_INTEGER, _POINTER, _STRUCT, _UNION, _ENUM, _FUNCTION, _PROTOTYPE, _ENUM64 = 1, 2, 4, 5, 6, 12, 13, 19
_OTHER_NAMES = frozenset((8, 9, 10, 11, 18))  # typedef, volatile, const, restrict, type tag: another type underneath
# Words of a type's record behind its first three, by kind: a fixed number, and a number for each member.
_EXTRA = {
    1: (1, 0),  # integer
    2: (0, 0),  # pointer
    3: (3, 0),  # array
    _STRUCT: (0, 3),
    _UNION: (0, 3),
    6: (0, 2),  # enum
    7: (0, 0),  # forward declaration
    8: (0, 0),  # typedef
    9: (0, 0),  # volatile
    10: (0, 0),  # const
    11: (0, 0),  # restrict
    12: (0, 0),  # function
    13: (0, 2),  # function prototype
    14: (1, 0),  # variable
    15: (0, 3),  # data section
    16: (0, 0),  # float
    17: (1, 0),  # declaration tag
    18: (0, 0),  # type tag
    19: (0, 3),  # 64-bit enum
}
_MAX_DEPTH = 8  # of anonymous structures within each other: real ones have three


class BtfError(ValueError):
    """The type information is damaged, or does not hold what was asked for."""


class Btf:
    """Type information as /sys/kernel/btf/vmlinux holds it; a module's, which goes on where the kernel's (`base`) ends.

    Raises BtfError when `blob` is something else.
    """

    def __init__(self, blob: bytes, base: Btf | None = None) -> None:
        if len(blob) < _HEADER.size:
            raise BtfError("too short for a BTF header")
        magic, _, _, size, types_at, types_size, strings_at, strings_size = _HEADER.unpack_from(blob)
        if magic != _MAGIC:
            raise BtfError("no BTF: wrong magic number")
        types = blob[size + types_at : size + types_at + types_size]
        self._strings = blob[size + strings_at : size + strings_at + strings_size]
        if len(types) < types_size or len(self._strings) < strings_size or types_size % 4:
            raise BtfError("BTF sections are cut short")
        self._words = memoryview(types).cast("I")
        if sys.byteorder != "little":
            raise BtfError("BTF is read on little-endian machines only")
        self._starts: list[int] = []  # word index of the record of type number n + 1
        self._base = base
        self._base_types = base.count() if base is not None else 0
        self._base_strings = len(base._strings) if base is not None else 0

    def count(self) -> int:
        """How many types there are. Raises BtfError for a kind of type that is not known."""
        while self._start(len(self._starts)) is not None:
            pass
        return len(self._starts)

    def member_offsets(self, name: str, members: Iterable[str]) -> dict[str, int]:
        """Byte offsets of named members of `struct name`, looked for in its anonymous structures too."""
        wanted = {encoded: member for member in members for encoded in [member.encode()]}
        found: dict[str, int] = {}
        start = self._find(name, _STRUCT)
        if start is None:
            raise BtfError(f"no struct {name} in the kernel's BTF")
        self._collect(start, 0, wanted, found, _MAX_DEPTH)
        for member in wanted.values():
            if member not in found:
                raise BtfError(f"struct {name} has no member {member}")
        return found

    def parameters(self, function: str) -> tuple[str, ...] | None:
        """The types of a function's parameters: `sk_buff *` for a pointer to that structure, `*` for one to anything
        else, `integer`, `?`. None where the function is not described."""
        start = self._find(function, _FUNCTION)
        prototype = self._record(self._words[start + 2]) if start is not None else None
        if prototype is None:
            return None
        words, at = prototype
        info = words[at + 1]
        if info >> 24 & 0x1F != _PROTOTYPE or at + 3 + 2 * (info & 0xFFFF) > len(words):
            raise BtfError(f"{function} has no prototype")
        return tuple(self._type(words[each + 1]) for each in range(at + 3, at + 3 + 2 * (info & 0xFFFF), 2))

    def _type(self, number: int) -> str:
        words, at, kind = self._resolve(number)
        if kind in (_INTEGER, _ENUM, _ENUM64):
            return "integer"
        if kind != _POINTER:
            return "?"
        words, at, kind = self._resolve(words[at + 2])
        return f"{self._string(words[at]).decode('utf-8', 'replace')} *" if kind == _STRUCT else "*"

    def _resolve(self, number: int) -> tuple[memoryview[int], int, int]:
        """The record of a type without its other names, and its kind: 0 for void and what is not there."""
        for _ in range(_MAX_DEPTH):
            record = self._record(number)
            if record is None:
                break
            words, at = record
            kind = words[at + 1] >> 24 & 0x1F
            if kind not in _OTHER_NAMES:
                return words, at, kind
            number = words[at + 2]
        return self._words, 0, 0

    def _record(self, number: int) -> tuple[memoryview[int], int] | None:
        """Where the record of type `number` is; None for void and numbers out of range."""
        if self._base is not None and number <= self._base_types:
            return self._base._record(number)
        start = self._start(number - self._base_types - 1) if number > self._base_types else None
        return (self._words, start) if start is not None else None

    def _find(self, name: str, wanted: int) -> int | None:
        """Word index of the record of the first type of a name and kind; a module's own types only."""
        names: set[int] = set()
        for strings, base in ((self._strings, self._base_strings), (self._base._strings if self._base else b"", 0)):
            text = name.encode() + b"\0"
            at = strings.find(text)
            while at >= 0:
                names.add(base + at)
                at = strings.find(text, at + 1)
        words = self._words
        number = 0
        while names and (start := self._start(number)) is not None:
            if words[start] in names and words[start + 1] >> 24 & 0x1F == wanted:
                return start
            number += 1
        return None

    def _start(self, number: int) -> int | None:
        """Word index of the record of the own type `number` + 1, walking on as far as needed; None behind the last."""
        starts, words = self._starts, self._words
        while len(starts) <= number:
            if starts:
                info = words[starts[-1] + 1]
                extra = _EXTRA.get(info >> 24 & 0x1F)
                if extra is None:
                    raise BtfError(f"unknown BTF kind {info >> 24 & 0x1F}")
                start = starts[-1] + 3 + extra[0] + extra[1] * (info & 0xFFFF)
            else:
                start = 0
            if start + 3 > len(words):
                return None
            starts.append(start)
        return starts[number]

    def _collect(self, start: int, base: int, wanted: dict[bytes, str], found: dict[str, int], depth: int) -> None:
        """Put the offsets of wanted members of the structure at word `start` into `found`."""
        words = self._words
        info = words[start + 1]
        if start + 3 + 3 * (info & 0xFFFF) > len(words):
            raise BtfError("a structure is cut short")
        for at in range(start + 3, start + 3 + 3 * (info & 0xFFFF), 3):
            bits = words[at + 2] & 0xFFFFFF if info >> 31 else words[at + 2]
            name = self._string(words[at])
            if name:
                if name in wanted:
                    found.setdefault(wanted[name], base + bits // 8)
            elif depth and words[at + 1]:
                inner = self._start(words[at + 1] - 1)
                if inner is not None and words[inner + 1] >> 24 & 0x1F in (_STRUCT, _UNION):
                    self._collect(inner, base + bits // 8, wanted, found, depth - 1)

    def _string(self, at: int) -> bytes:
        if self._base is not None and at < self._base_strings:
            return self._base._string(at)
        at -= self._base_strings
        end = self._strings.find(b"\0", at)
        return self._strings[at:end] if at < len(self._strings) and end >= 0 else b""
