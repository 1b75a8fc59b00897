# SPDX-License-Identifier: GPL-2.0-or-later
"""The type of a value, as a definition writes it: words, or a mapping for what words cannot say."""

from __future__ import annotations

import re
from collections.abc import Container, Iterator

from qmisniff.definitions.model import (
    Array,
    BitField,
    Bytes,
    Choice,
    Number,
    Struct,
    Text,
    Type,
    Union,
    smallest,
)
from qmisniff.definitions.words import BUILTIN_ENUMS, WordError, parse_length, parse_type
from qmisniff.definitions.yamltree import Mapping, Node, Scalar, Sequence

NAME = re.compile(r"[a-z0-9][a-z0-9_]{0,79}")
INTEGER = re.compile(r"0|-?[1-9]\d{0,19}|0x[0-9a-fA-F]{1,16}")
RESERVED = frozenset({"array", "bits", "union", "any", "of", "rest", "personal", "label"})
_MAX_LABEL = 200
_MAX_DEPTH = 8


class Wrong(Exception):
    """The node being read is wrong; said already."""


class Reader:
    """Notes what is wrong (line, column, text), so that reading can go on behind it."""

    def __init__(self) -> None:
        self.problems: list[tuple[int, int, str]] = []

    def wrong(self, node: Node, text: str) -> None:
        self.problems.append((node.line, node.column, text))

    def mapping(self, tree: Node | None, what: str) -> Mapping:
        """The node as a mapping; an empty one where it is none."""
        if isinstance(tree, Mapping):
            return tree
        if tree is not None:
            self.wrong(tree, f"{what} must be a mapping")
        return Mapping()

    def name(self, text: Scalar) -> None:
        """Check a name that becomes part of a filter name."""
        if not NAME.fullmatch(text) or text in RESERVED:
            self.wrong(text, f"{text[:80]!r} is not a name: lower case letters, digits, _, and no word of the format")

    def label(self, node: Node | None) -> str:
        """The node as a short text to be shown."""
        if isinstance(node, Scalar) and 0 < len(node) <= _MAX_LABEL and node.isprintable():
            return str(node)
        if node is not None:
            self.wrong(node, "expected a short text")
        return "?"

    def integer(self, node: Node | None, low: int, high: int) -> int:
        """The node as a whole number, decimal or 0x; -1 where it is none."""
        if isinstance(node, Scalar) and INTEGER.fullmatch(node) and low <= (number := int(node, 0)) <= high:
            return number
        if node is not None:
            self.wrong(node, f"expected a whole number from {low} to {high}")
        return -1

    def part(self, key: Scalar, word: str) -> Scalar:
        """One word of a key, with its own place."""
        found = Scalar(word)
        found.line, found.column = key.line, key.column + key.index(word)
        return found


class TypeReader(Reader):
    """Reads types; `enums` are the names of the file's enums, `types` its named types."""

    def __init__(self, enums: Container[str], types: dict[str, Type]) -> None:
        super().__init__()
        self.enums = enums
        self.types = types

    def choice(self, tree: Node) -> Type:
        if not isinstance(tree, Mapping) or Scalar("any") not in tree:
            return self.type(tree, 0)
        layouts = tree[Scalar("any")]
        if len(tree) != 1 or not isinstance(layouts, Sequence) or len(layouts) < 2:
            self.wrong(tree, "two layouts of a TLV are written {any: [TYPE, TYPE]}")
            raise Wrong
        return Choice(tuple(self.type(each, 1) for each in layouts))

    def type(self, tree: Node, depth: int) -> Type:
        if depth > _MAX_DEPTH:
            self.wrong(tree, f"nested deeper than {_MAX_DEPTH} levels")
            raise Wrong
        if isinstance(tree, Scalar):
            return self.word_type(tree)
        if isinstance(tree, Sequence) or not tree:
            self.wrong(tree, "expected a type: words such as `u8 enum radio`, or {name: type, ...}")
            raise Wrong
        first = next(iter(tree))
        if first == "array":
            return self.array(tree, depth)
        if first == "bits":
            return self.bit_fields(tree)
        if first == "union":
            return self.union(tree, depth)
        fields: list[tuple[str, Type]] = []
        failed = False
        for key, value in tree.items():
            self.name(key)
            try:
                fields.append((str(key), self.type(value, depth + 1)))
            except Wrong:
                failed = True
        if failed:
            raise Wrong
        kind = Struct(tuple(fields))
        self.check_references(tree, kind)
        return kind

    def word_type(self, words: Scalar) -> Type:
        try:
            kind = parse_type(words, self.types)
        except WordError as error:
            self.wrong(words, str(error))
            raise Wrong from None
        inner: Type = kind
        while isinstance(inner, Array):
            self.check_array(words, inner)
            inner = inner.element
        if isinstance(inner, Number):
            self.check_enum(words, inner.enum or inner.flags)
        return kind

    def check_enum(self, node: Node, name: str) -> None:
        if name and name not in self.enums and name not in BUILTIN_ENUMS:
            self.wrong(node, f"there is no enum {name!r} in this file")

    def array(self, tree: Mapping, depth: int) -> Type:
        count = tree[Scalar("array")]
        if set(tree) != {"array", "of"} or not isinstance(count, Scalar):
            self.wrong(tree, "an array is written {array: COUNT, of: TYPE}")
            raise Wrong
        words = count.split()
        try:
            length = parse_length(words[0] if words else "", words[1:] == ["bytes"])
        except WordError as error:
            self.wrong(count, str(error))
            raise Wrong from None
        kind = Array(length, self.type(tree[Scalar("of")], depth + 1))
        self.check_array(tree, kind)
        return kind

    def check_array(self, node: Node, kind: Array) -> None:
        if smallest(kind.element) == 0:
            self.wrong(node, "an array's element must have at least one byte")
            raise Wrong

    def bit_fields(self, tree: Mapping) -> Type:
        base = self.type(tree[Scalar("bits")], 0) if isinstance(tree[Scalar("bits")], Scalar) else None
        if not isinstance(base, Number) or base.form != "u" or base.enum or base.flags or base.truth or base.den != 1:
            self.wrong(tree, "bits are written {bits: u8, name: 0, other: 1..3 enum x}")
            raise Wrong
        bits: list[BitField] = []
        for key, value in list(tree.items())[1:]:
            self.name(key)
            match = (
                re.fullmatch(r"(\d{1,2})(?:\.\.(\d{1,2}))?(?: enum ([a-z0-9_]+))?", value)
                if isinstance(value, Scalar)
                else None
            )
            low = int(match[1]) if match else 0
            high = int(match[2] or match[1]) if match else -1
            if not match or not low <= high < base.size * 8:
                self.wrong(value, f"expected a bit (0) or a range (1..3) within the {base.size * 8} bits")
                continue
            self.check_enum(value, match[3] or "")
            bits.append(BitField(str(key), low, high - low + 1, match[3] or ""))
        return base._replace(bits=tuple(bits))

    def union(self, tree: Mapping, depth: int) -> Type:
        on = tree[Scalar("union")]
        if not isinstance(on, Scalar) or not NAME.fullmatch(on):
            self.wrong(tree, "a union is written {union: EARLIER_FIELD, 0 name: TYPE, 1 name: TYPE}")
            raise Wrong
        cases: list[tuple[int, str, Type]] = []
        for key, value in list(tree.items())[1:]:
            words = key.split()
            if len(words) != 2:
                self.wrong(key, "a case is written `VALUE name: TYPE`")
                continue
            self.name(self.part(key, words[1]))
            cases.append(
                (
                    self.integer(self.part(key, words[0]), -(1 << 63), (1 << 64) - 1),
                    words[1],
                    self.type(value, depth + 1),
                )
            )
        return Union(str(on), tuple(cases))

    def check_references(self, tree: Mapping, kind: Struct) -> None:
        """Lengths and unions name a whole number earlier in the same struct."""
        numbers: dict[str, Number] = {}
        for (name, each), node in zip(kind.fields, tree.values(), strict=True):
            for reference in references(each):
                if reference not in numbers:
                    self.wrong(node, f"{reference!r} is not a whole number earlier in the same struct")
                    raise Wrong
            if isinstance(each, Text) and each.by and not numbers[each.by].enum:
                self.wrong(node, f"{each.by!r} has no enum whose labels could name an encoding")
            if isinstance(each, Number) and each.form != "f":
                numbers[name] = each


def references(kind: Type) -> Iterator[str]:
    """The earlier fields that say how this one is to be read."""
    match kind:
        case Union():
            yield kind.on
        case Array(count=length) | Bytes(length=length) | Text(length=length):
            if length.form == "field":
                yield length.field
    if isinstance(kind, Text) and kind.by:
        yield kind.by
