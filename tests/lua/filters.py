# SPDX-License-Identifier: GPL-2.0-or-later
"""Display filters made at random out of what is in a capture; and which frames tshark finds by them."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Sequence
from pathlib import Path

from qmisniff.dissect import Dissector
from qmisniff.filter.catalogue import NUMBERS, Catalogue, Type
from qmisniff.filter.lexer import OPERATORS
from qmisniff.lua.tables import quoted
from qmisniff.store import Store
from tests.lua.tshark import run

_TAPS = Path(__file__).with_name("filters.lua")
_EQUALITIES = ("==", "!=", "eq", "ne", "any_eq", "all_ne", "===", "!==", "all_eq", "any_ne")
_ORDERS = ("<", "<=", ">", ">=", "lt", "le", "gt", "ge")
_LONGEST = 60  # bytes of a literal
_LABEL = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def found_by_tshark(script: Path, capture: Path, filters: Sequence[str], folder: Path) -> list[list[int] | None]:
    """The numbers of the frames that pass each filter, None where tshark refuses it."""
    taps = folder / "filters.lua"
    listed = "\n".join(f"{quoted(each)}," for each in filters)
    taps.write_text(f"filters = {{\n{listed}\n}}\n{_TAPS.read_text()}")
    found: list[list[int] | None] = [None] * len(filters)
    for line in run(script, capture, "-q", "-X", f"lua_script:{taps}").splitlines():
        number, _, rest = line.partition(":")
        if rest != "refused":
            found[int(number) - 1] = [int(each) for each in rest.split(",") if each]
    return found


class Maker:
    """Makes filters that some frames of a store pass, most of them, and others do not."""

    def __init__(self, store: Store, dissector: Dissector, rng: random.Random, left_out: Callable[[str], bool]) -> None:
        self._store = store
        self._dissector = dissector
        self._rng = rng
        self._left_out = left_out
        self._catalogue = Catalogue(dissector.registry)

    def filter(self, depth: int = 0) -> str:
        """A filter: a test, or several joined."""
        rng = self._rng
        if depth < 3 and rng.random() < 0.25:
            joined = f"{self.filter(depth + 1)} {rng.choice(('and', 'or', '&&', '||'))} {self.filter(depth + 1)}"
            return joined if rng.random() < 0.5 else f"({joined})"
        if rng.random() < 0.1:
            return f"{rng.choice(('not ', '!'))}({self.filter(depth + 1)})"
        return self._test()

    def _test(self) -> str:
        row = self._rng.randrange(len(self._store))
        values = self._dissector.values(self._store.frame(row), self._store.context(row))
        names = [name for name in values if self._catalogue.find(name) and not self._left_out(name)]
        if not names:
            return "qmi"
        # What is decoded of messages is what most fields are; header fields come again and again.
        own = [name for name in names if name.count(".") > 2]
        name = self._rng.choice(own if own and self._rng.random() < 0.7 else names)
        if self._rng.random() < 0.1:  # a layer or a struct around the value
            name = name.rpartition(".")[0]
            return name if self._catalogue.find(name) else name.partition(".")[0]
        value = values[name]
        return self._about(name, self._rng.choice(value) if isinstance(value, list) and value else value)

    def _about(self, name: str, value: object) -> str:
        spec = self._catalogue.find(name)
        assert spec is not None
        kind, rng = self._catalogue.type_of(spec), self._rng
        written = [self._literal(name, value, kind)]
        if spec.labels and not spec.flags and isinstance(value, int) and value in spec.labels:
            label = spec.labels[value]
            same = [each for each in spec.labels.values() if each.lower() == label.lower()]
            if len(same) == 1:
                written.append(f'"{label}"')
                if _LABEL.fullmatch(label) and label.lower() not in OPERATORS:
                    written.append(label)
        literal = rng.choice(written)
        # Wireshark 4.0 orders bytes by their length first, later versions by the first that differs, as qmisniff does.
        ordered = kind not in (Type.BYTES, Type.PROTOCOL)
        operators = (*_EQUALITIES, *_ORDERS) if ordered else _EQUALITIES
        makers = [lambda: name, lambda: f"{name} {rng.choice(operators)} {literal}"]
        makers.append(lambda: f"count({name}) {rng.choice(('==', '>', '<='))} {rng.randrange(4)}")
        if kind is not Type.BOOL and literal is written[0]:
            makers.append(lambda: f"{name} in {{{self._members(name, value, kind)}}}")
        if kind in NUMBERS:
            makers.append(
                lambda: f"{rng.choice(('any', 'all'))} {name} {rng.choice(('==', '!=', '<', '>='))} {literal}"
            )
            makers.append(lambda: f"{rng.choice(('max', 'min'))}({name}) {rng.choice(('<', '>', '=='))} {written[0]}")
        if kind is Type.FLOAT:  # of the least whole number, 4.0 gives a negative one
            makers.append(lambda: f"abs({name}) {rng.choice(('<', '>'))} {rng.randrange(100)}")
        if kind is Type.UINT and isinstance(value, int):
            makers.append(lambda: f"{name} & {1 << rng.randrange(max(value.bit_length(), 1))}")
            makers.append(lambda: f'string({name}) contains "{str(value)[-1]}"')
        if isinstance(value, str) and kind is Type.STRING and value:
            part = value[(at := rng.randrange(len(value))) : at + rng.randrange(1, 5)]
            makers += [
                lambda: f"{name} contains {_string(part)}",
                lambda: f"len({name}) {rng.choice(('==', '>', '<'))} {len(value.encode())}",
                lambda: f"upper({name}) == {_string(_upper(value))}",
                lambda: f"lower({name}) contains {_string(_lower(part))}",
                lambda: f'{name} matches "^{re.escape(part[:1]) if part[:1].isalnum() else "."}"',
                lambda: f"{name}{self._slice(len(value.encode()))} == {_string(value)}",
            ]
        if isinstance(value, bytes) and value:
            part_ = value[(at := rng.randrange(len(value))) : at + rng.randrange(1, 5)]
            makers += [
                lambda: f"{name} contains {_octets(part_)}",
                lambda: f"len({name}) {rng.choice(('==', '>', '<'))} {len(value)}",
                lambda: f"{name}[{at}:{len(part_)}] {rng.choice(('==', '!=', '>', '<='))} {_octets(part_)}",
                lambda: f"{name}{self._slice(len(value))}",
            ]
        if kind in (Type.ETHER, Type.IPV4, Type.IPV6):
            makers.append(lambda: f"{name}{self._slice(4)} == {rng.randrange(256):02x}")
        if kind is Type.IPV4:
            makers.append(lambda: f"{name} == {value}/{rng.randrange(33)}")
        return rng.choice(makers)()

    def _slice(self, size: int) -> str:
        at, rng = self._rng.randrange(size + 2), self._rng
        return rng.choice(
            (f"[{at}]", f"[:{at + 1}]", f"[{at}:]", f"[{at}:2]", f"[0-{at + 1}]", f"[-{at + 1}:1]", f"[0,{at}:2]")
        )

    def _members(self, name: str, value: object, kind: Type) -> str:
        literal = self._literal(name, value, kind)
        if kind in NUMBERS and isinstance(value, int | float):
            low = self._rng.randrange(50)
            others = [str(low), f"{low} .. {low + self._rng.randrange(50)}"]
            return ", ".join(self._rng.sample([literal, *others], self._rng.randrange(1, 4)))
        return literal

    def _literal(self, name: str, value: object, kind: Type) -> str:
        """The value, or one near it, as filters write it."""
        rng = self._rng
        match value:
            case bool():
                return rng.choice((str(value).lower(), str(int(value))))
            case str() if kind is Type.TIME:
                return f'"{value}"'
            case int() if kind is Type.SECONDS:
                return f"{value // 10**9}.{value % 10**9:09d}"
            case int(number):
                # 4.0 does not take the least number that a field holds.
                number = max(number + rng.choice((0, 0, 0, 1, -1)), 0 if kind is Type.UINT else -(2**63) + 1)
                spec = self._catalogue.find(name)
                if spec is not None and spec.size and spec.scale == 1:
                    bits = spec.size * 8
                    most = 2**bits - 1 if kind is Type.UINT else 2 ** (bits - 1) - 1
                    number = max(min(number, most), -most)
                return f"0x{number:x}" if number >= 0 and rng.random() < 0.3 else str(number)
            case float():
                return repr(value) if "e" not in repr(value) and "n" not in repr(value) else "0.5"
            case bytes():
                return _octets(value[:_LONGEST]) if value else "00"
            case str() if kind is Type.STRING:
                return _string(value[:_LONGEST])
        return str(value)


def _octets(value: bytes) -> str:
    return value.hex(":") if len(value) > 1 else f"{value[0]:02x}"


def _string(text: str) -> str:
    """A string as filters write it."""
    plain = "".join(char if " " <= char <= "~" and char not in '"\\' else _escaped(char) for char in text)
    return f'"{plain}"'


def _escaped(char: str) -> str:
    return "".join(f"\\x{each:02x}" for each in char.encode("utf-8", "backslashreplace"))


def _upper(text: str) -> str:
    return "".join(char.upper() if char.isascii() else char for char in text)


def _lower(text: str) -> str:
    return "".join(char.lower() if char.isascii() else char for char in text)
