# SPDX-License-Identifier: GPL-2.0-or-later
"""Offsets of structure members from BTF, the type information a kernel carries about itself.

Layout: Documentation/bpf/btf.rst of the kernel.
"""

from __future__ import annotations

import struct
import sys
from collections.abc import Iterable

_HEADER = struct.Struct("<HBBIIIII")  # magic, version, flags, header length, types at, size, strings at, size
_MAGIC = 0xEB9F
_STRUCT, _UNION = 4, 5
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
    """Type information as /sys/kernel/btf/vmlinux holds it. Raises BtfError when `blob` is something else."""

    def __init__(self, blob: bytes) -> None:
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

    def member_offsets(self, name: str, members: Iterable[str]) -> dict[str, int]:
        """Byte offsets of named members of `struct name`, looked for in its anonymous structures too."""
        wanted = {encoded: member for member in members for encoded in [member.encode()]}
        found: dict[str, int] = {}
        self._collect(self._find(name), 0, wanted, found, _MAX_DEPTH)
        for member in wanted.values():
            if member not in found:
                raise BtfError(f"struct {name} has no member {member}")
        return found

    def _find(self, name: str) -> int:
        text = name.encode() + b"\0"
        names: set[int] = set()
        at = self._strings.find(text)
        while at >= 0:
            names.add(at)
            at = self._strings.find(text, at + 1)
        words = self._words
        number = 0
        while names and (start := self._start(number)) is not None:
            if words[start] in names and words[start + 1] >> 24 & 0x1F == _STRUCT:
                return start
            number += 1
        raise BtfError(f"no struct {name} in the kernel's BTF")

    def _start(self, number: int) -> int | None:
        """Word index of the record of type `number` + 1, walking on as far as needed; None behind the last."""
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
        end = self._strings.find(b"\0", at)
        return self._strings[at:end] if at < len(self._strings) and end >= 0 else b""
