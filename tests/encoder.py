# SPDX-License-Identifier: GPL-2.0-or-later
"""Draws a valid value for anything a definition describes, and encodes it: the reverse of qmisniff.dissect.

It shares the definitions' model with the decoder and no code, so that what one gets wrong the other does not repeat.
All randomness comes from the `random.Random` it is given: the same seed gives the same bytes.
"""

from __future__ import annotations

import ipaddress
import math
import random
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from fractions import Fraction

from qmisniff.definitions.model import (
    Address,
    Array,
    Bytes,
    Choice,
    Length,
    Message,
    Number,
    Struct,
    Text,
    Tlv,
    Type,
    Union,
)
from qmisniff.field import Value

# No apostrophe, bracket or brace: libqmi's printed text cannot be read back with them in it.
_LETTERS = "abcxyzABCXYZ0123456789 .-_:/@+,é€"
_GSM7_LETTERS = "abcxyzABCXYZ0123456789 .-:/+,"  # these are at the same places in ASCII
_BY_LABEL = {word: word for word in ("ascii", "utf8", "latin", "gsm7", "gsm8")} | {
    "ucs2le": "utf16",
    "utf16le": "utf16",
    "ucs2": "utf16be",
    "utf16": "utf16be",
}
_UTF16 = {"utf16": "utf-16-le", "utf16be": "utf-16-be"}
_MOST_CHARACTERS = 12
_RESULT = 0x02
Labels = Mapping[str, Mapping[int, str]]


@dataclass(slots=True)
class Leaf:
    """One value: `raw` as libqmi would print it (number before scaling), `shown` as qmisniff shows it."""

    path: str
    kind: Type
    data: bytes  # as encoded, with the length prefix if it has one
    raw: int | float | str | bytes
    shown: Value
    bits: list[Leaf] = field(default_factory=list)


@dataclass(slots=True)
class Branch:
    """A struct or an array; `names` are those of a struct's fields, None for an array."""

    path: str
    data: bytes
    children: list[Node]
    names: list[str] | None = None


Node = Leaf | Branch


def leaves(node: Node, offset: int) -> Iterator[tuple[str, Value, int, int]]:
    """Name, shown value, offset and size of every value in display order; the node's first byte is at `offset`."""
    if isinstance(node, Leaf):
        yield node.path, node.shown, offset, len(node.data)
        for bits in node.bits:
            yield bits.path, bits.shown, offset, len(node.data)
        return
    # What is not in the children is the count before them.
    offset += len(node.data) - sum(len(child.data) for child in node.children)
    for child in node.children:
        yield from leaves(child, offset)
        offset += len(child.data)


class Encoder:
    """Draws values; `enums` are the labels of the service's enums, by name, `most` the most elements of an array."""

    def __init__(self, rng: random.Random, enums: Labels, most: int = 4) -> None:
        self.rng = rng
        self.enums = enums
        self.most = most

    def message(self, prefix: str, message: Message, kind: int) -> list[tuple[Tlv, Node]]:
        """Every TLV that this kind of the message may have, in the definition's order."""
        path = f"{prefix}.{message.name}"
        return [(tlv, self.value(tlv.type, f"{path}.{tlv.name}")) for tlv in message.tlvs[kind] or ()]

    def value(self, kind: Type, path: str) -> Node:
        """A value of this type under the filter name `path`."""
        match kind:
            case Number():
                return self._number(kind, path, self._integer(kind) if kind.form != "f" else self._float(kind))
            case Text():
                return self._text(kind, path, None, kind.encoding)
            case Bytes():
                return self._bytes(kind, path, None)
            case Address():
                return self._address(kind, path)
            case Struct():
                return self._struct(kind, path)
            case Array():
                return self._array(kind, path, None)
            case Choice():
                return self._choice(kind, path)
            case Union():
                raise TypeError("a union outside a struct")

    # ---- numbers ----

    def _integer(self, kind: Number) -> int:
        low, high = _range(kind)
        labels = self.enums[kind.enum or kind.flags] if kind.enum or kind.flags else {}
        known = [value for value in labels if low <= value <= high]
        if kind.truth:
            return self.rng.choices((0, 1, self.rng.randint(low, high)), (9, 9, 2))[0]
        if known and self.rng.random() < 0.8:
            if kind.enum:
                return self.rng.choice(known)
            bits = 0
            for mask in self.rng.sample(known, self.rng.randint(0, min(3, len(known)))):
                bits |= mask
            return bits
        return self.rng.choice((self.rng.randint(low, high), self.rng.randint(max(low, -9), min(high, 9)), low, high))

    def _float(self, kind: Number) -> float:
        number = self.rng.choice((self.rng.uniform(-200, 200), self.rng.randint(-9, 9), self.rng.uniform(-1e9, 1e9)))
        return float(number) if kind.size == 8 else struct.unpack("f", struct.pack("f", number))[0]

    def _number(self, kind: Number, path: str, raw: int | float) -> Leaf:
        order = "big" if kind.big_endian else "little"
        shown: Value
        if isinstance(raw, float):
            data = struct.pack((">" if kind.big_endian else "<") + ("f" if kind.size == 4 else "d"), raw)
            shown = raw * kind.num / kind.den
        else:
            data = raw.to_bytes(kind.size, order, signed=kind.form == "i")  # type: ignore[arg-type]
            exact = Fraction(raw) * Fraction(kind.num, kind.den)
            shown = raw != 0 if kind.truth else float(exact) if kind.den != 1 else int(exact)
        leaf = Leaf(path, kind, data, raw, shown)
        for bits in kind.bits:
            part = int(raw) % (1 << (bits.low + bits.width)) // (1 << bits.low)
            value = bool(part) if bits.width == 1 and not bits.enum else part
            leaf.bits.append(Leaf(f"{path}.{bits.name}", kind, data, part, value))
        return leaf

    # ---- text, bytes, addresses ----

    def _size(self, length: Length, given: int | None, most: int) -> int:
        """How many there are: fixed, given by an earlier field, or up to `most`."""
        if length.form == "fixed":
            return length.size
        return self.rng.randint(0, most) if given is None else given

    def _text(self, kind: Text, path: str, given: int | None, encoding: str) -> Leaf:
        count = self._size(kind.length, given, _MOST_CHARACTERS)
        fixed = kind.length.form in ("fixed", "field")
        counted = kind.encoding == "utf16" and not kind.length.counts_bytes  # in characters, not in bytes
        if encoding in _UTF16:
            shown = "".join(self.rng.choices(_LETTERS, k=count if counted or not fixed else count // 2))
            body = shown.encode(_UTF16[encoding])
            if fixed and not counted and count % 2:
                shown, body = shown + "\ufffd", body + b"A"
        elif encoding in ("string", "utf8"):
            shown, body = self._utf8(count, fixed)
        elif encoding in ("ascii", "latin", "gsm8"):
            body = self._string(_GSM7_LETTERS, count).encode()
            shown = body.decode()
        elif encoding == "gsm7":
            shown, body = self._gsm7(count, fixed)
        elif encoding == "bcd":
            digits = self.rng.randint(max(0, count * 2 - 1), count * 2) if fixed else count
            shown = self._string("0123456789", digits)
            halves = [int(digit) for digit in shown] + [15] * (digits % 2)
            body = bytes(halves[at] | halves[at + 1] << 4 for at in range(0, len(halves), 2))
        else:  # one that the decoder does not know, either
            body = self.rng.randbytes(count)
            shown = body.hex()
        return Leaf(path, kind, _prefix(kind.length, len(shown) if counted else len(body)) + body, shown, shown)

    def _string(self, letters: str, count: int) -> str:
        return "".join(self.rng.choices(letters, k=count))

    def _encoding(self, kind: Text, selector: Node | None) -> str:
        """How the text is encoded, which the label of an earlier field's value may say by its beginning."""
        if not kind.by:
            return kind.encoding
        assert isinstance(selector, Leaf) and isinstance(selector.kind, Number) and isinstance(selector.raw, int)
        label = self.enums[selector.kind.enum].get(selector.raw, "").replace("_", "")
        return next((encoding for word, encoding in _BY_LABEL.items() if label.startswith(word)), "unknown")

    def _utf8(self, count: int, fixed: bool) -> tuple[str, bytes]:
        text = ""
        for letter in self.rng.choices(_LETTERS, k=count):
            if len((text + letter).encode()) <= count:
                text += letter
        if not fixed:
            return text, text.encode()
        if self.rng.random() < 0.3:
            text = text[: len(text) // 2]
        return text, text.encode().ljust(count, b"\0")

    def _gsm7(self, count: int, fixed: bool) -> tuple[str, bytes]:
        characters = count * 8 // 7 if fixed else count
        if not fixed and characters % 8 == 7:
            characters -= 1  # seven spare bits would read as one more character
        text = self._string(_GSM7_LETTERS, characters)
        packed = sum(ord(letter) << 7 * at for at, letter in enumerate(text))
        return text, packed.to_bytes(math.ceil(characters * 7 / 8), "little")

    def _bytes(self, kind: Bytes, path: str, given: int | None) -> Leaf:
        size = self._size(kind.length, given, _MOST_CHARACTERS)
        body = self._protobuf(size) if kind.protobuf else self.rng.randbytes(size)
        return Leaf(path, kind, _prefix(kind.length, len(body)) + body, body, body)

    def _protobuf(self, size: int) -> bytes:
        """A message of about this size: a varint of two bytes, then fields of two bytes."""
        fields = [bytes([self.rng.randint(1, 15) << 3, self.rng.randint(0, 127)]) for _ in range(size // 2)]
        return (b"\x08\x96\x01" if size % 2 else b"") + b"".join(fields[size % 2 :])

    def _address(self, kind: Address, path: str) -> Leaf:
        match kind.form:
            case "ipv4":
                data = self.rng.randbytes(4)
                shown = str(ipaddress.IPv4Address(data if kind.big_endian else data[::-1]))
            case "ipv6":
                data = self.rng.randbytes(16)
                shown = str(ipaddress.IPv6Address(data))
            case "mac":
                data = self.rng.randbytes(6)
                shown = ":".join(f"{byte:02x}" for byte in data)
            case _:
                a, b, c, d, e, f = (self.rng.randint(0, 9) for _ in range(6))
                long = self.rng.random() < 0.5
                data = bytes((b << 4 | a, (f if long else 15) << 4 | c, e << 4 | d))
                shown = f"{a}{b}{c}{d}{e}{f if long else ''}"
        return Leaf(path, kind, data, data, shown)

    # ---- what holds others ----

    def _struct(self, kind: Struct, path: str) -> Branch:
        drawn: dict[str, int] = {}
        for _, each in kind.fields:  # a number that says how much follows is drawn for what it counts
            reference = _counted_by(each)
            if reference and isinstance(each, Union):
                drawn[reference] = self.rng.choice(each.cases)[0]
            elif reference and reference not in drawn:
                drawn[reference] = self.rng.randint(0, self.most) * 2
        children: list[Node] = []
        for name, each in kind.fields:
            below = f"{path}.{name}"
            given = drawn.get(_counted_by(each))
            if isinstance(each, Number) and name in drawn:
                children.append(self._number(each, below, drawn[name]))
            elif isinstance(each, Array):
                children.append(self._array(each, below, given))
            elif isinstance(each, Text):
                selector = next((child for child in children if child.path == f"{path}.{each.by}"), None)
                children.append(self._text(each, below, given, self._encoding(each, selector)))
            elif isinstance(each, Bytes):
                children.append(self._bytes(each, below, given))
            elif isinstance(each, Union):
                case, inner = next((case, inner) for value, case, inner in each.cases if value == given)
                children.append(self.value(inner, f"{below}.{case}"))
            else:
                children.append(self.value(each, below))
        return Branch(path, b"".join(child.data for child in children), children, [name for name, _ in kind.fields])

    def _array(self, kind: Array, path: str, given: int | None) -> Branch:
        count = self._size(kind.count, given, self.most)
        elements: list[Node] = []
        if kind.count.form == "field" and kind.count.counts_bytes:
            raise TypeError("an array whose bytes are counted by a field")
        outer, self.most = self.most, max(2, self.most // 4)  # a list in a list is a short one
        elements.extend(self.value(kind.element, path) for _ in range(count))
        self.most = outer
        body = b"".join(element.data for element in elements)
        return Branch(path, _prefix(kind.count, len(body) if kind.count.counts_bytes else count) + body, elements)

    def _choice(self, kind: Choice, path: str) -> Node:
        """A value of the usual layout, or of another where none before it fits the bytes."""
        layout = self.rng.randrange(len(kind.layouts))
        node = self.value(kind.layouts[layout], path)
        if any(_end(earlier, node.data, 0, {}) == len(node.data) for earlier in kind.layouts[:layout]):
            return self.value(kind.layouts[0], path)
        return node


def _range(kind: Number) -> tuple[int, int]:
    bits = kind.size * 8
    return (-(1 << bits - 1), (1 << bits - 1) - 1) if kind.form == "i" else (0, (1 << bits) - 1)


def _prefix(length: Length, count: int) -> bytes:
    return count.to_bytes(length.size, "little") if length.form == "prefix" else b""


def _counted_by(kind: Type) -> str:
    """The earlier field that says how long this is or what it is, "" where none does."""
    match kind:
        case Array(count=length) | Text(length=length) | Bytes(length=length):
            return length.field
        case Union():
            return kind.on
        case _:
            return ""


def _end(kind: Type, data: bytes, at: int, scope: Mapping[str, int]) -> int | None:
    """Where a value of this type ends that begins at `at`; None where the bytes are too few."""
    match kind:
        case Number():
            end: int | None = at + kind.size
        case Address():
            end = at + {"ipv4": 4, "ipv6": 16, "mac": 6, "plmn": 3}[kind.form]
        case Text() | Bytes():
            wide = isinstance(kind, Text) and kind.encoding == "utf16" and not kind.length.counts_bytes
            start, count = _count(kind.length, data, at, scope)
            end = len(data) if count is None else start + count * (2 if wide else 1)
        case Struct():
            end = at
            inner: dict[str, int] = {}
            for name, each in kind.fields:
                assert end is not None
                start, end = end, _end(each, data, end, inner)
                if end is None:
                    return None
                if isinstance(each, Number) and each.form != "f":
                    order = "big" if each.big_endian else "little"
                    inner[name] = int.from_bytes(data[start:end], order, signed=each.form == "i")  # type: ignore[arg-type]
        case Array():
            end, count = _count(kind.count, data, at, scope)
            stop = len(data) if count is None else end + count if kind.count.counts_bytes else None
            done = 0
            while end is not None and (end < stop if stop is not None else done < (count or 0)):
                end, done = _end(kind.element, data, end, {}), done + 1
        case Union():
            inner_kind = next((each for value, _, each in kind.cases if value == scope[kind.on]), None)
            end = None if inner_kind is None else _end(inner_kind, data, at, {})
        case Choice():
            raise TypeError("a choice inside another type")
    return end if end is not None and end <= len(data) else None


def _count(length: Length, data: bytes, at: int, scope: Mapping[str, int]) -> tuple[int, int | None]:
    """Offset behind the prefix, and the count (None: all that is left)."""
    match length.form:
        case "fixed":
            return at, length.size
        case "prefix":
            return at + length.size, int.from_bytes(data[at : at + length.size], "little")
        case "field":
            return at, scope[length.field]
        case _:
            return at, None
