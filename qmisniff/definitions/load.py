# SPDX-License-Identifier: GPL-2.0-or-later
"""A definition file (dissectors/*.yaml, the format is described in dissectors/README.md) -> a checked `Service`."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from qmisniff.definitions.fields import all_specs
from qmisniff.definitions.model import (
    KINDS,
    RESULT_TLV,
    Array,
    BitField,
    Bytes,
    Choice,
    Example,
    Header,
    Length,
    Message,
    Number,
    Struct,
    Text,
    Tlv,
    Type,
    Union,
    parts,
    smallest,
)
from qmisniff.definitions.words import BUILTIN_ENUMS, WordError, parse_length, parse_type
from qmisniff.definitions.yamltree import Mapping, Node, Scalar, Sequence, TreeError, read_tree
from qmisniff.errors import DefinitionError
from qmisniff.field import Kind

NAME = re.compile(r"[a-z0-9][a-z0-9_]{0,79}")
_INTEGER = re.compile(r"0|-?[1-9]\d{0,19}|0x[0-9a-fA-F]{1,16}")
RESERVED = frozenset({"array", "bits", "union", "any", "of", "rest", "personal", "label"})
_MESSAGE_KEYS = ("id", "title", "indication_title", "examples")
_MAX_LABEL = 200
_MAX_TYPE_DEPTH = 8
_MAX_ERRORS = 100


class Enum(NamedTuple):
    """Labels of values, or of masks where a number uses it as flags."""

    name: str
    values: tuple[tuple[int, str], ...]


class Definition(NamedTuple):
    """A whole file."""

    header: Header
    enums: tuple[Enum, ...]
    messages: tuple[Message, ...]


class Invalid(DefinitionError):
    """All that is wrong with one file: a line `file:line:column: what` each."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems[:_MAX_ERRORS]))
        self.problems = problems


def load(path: Path) -> Definition:
    """The definition in a file. Raises Invalid with every error of the file, DefinitionError if it cannot be read."""
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise DefinitionError(f"{path}: {error.strerror}") from error
    except UnicodeDecodeError:
        raise Invalid([f"{path}:1:1: not UTF-8 text"]) from None
    return parse(text, path.stem, str(path))


def parse(text: str, name: str, file: str) -> Definition:
    """The definition in `text`; `name` is the service's name in filters, `file` stands before every error."""
    try:
        tree = read_tree(text)
    except TreeError as error:
        raise Invalid([f"{file}:{error.line}:{error.column}: {error}"]) from None
    reader = _Reader()
    definition = reader.service(tree, name)
    if reader.problems:
        raise Invalid([f"{file}:{line}:{column}: {text}" for line, column, text in sorted(reader.problems)])
    return definition


class _Wrong(Exception):
    """The node being read is wrong; said already."""


class _Reader:
    """Reads the tree top down; what is wrong is noted and reading goes on behind it."""

    def __init__(self) -> None:
        self.problems: list[tuple[int, int, str]] = []
        self.enums: dict[str, Enum] = {}
        self.types: dict[str, Type] = {}

    def wrong(self, node: Node, text: str) -> None:
        self.problems.append((node.line, node.column, text))

    # ---- the file ----

    def service(self, tree: Node, name: str) -> Definition:
        top = self.mapping(tree, "a definition file")
        for key in top:
            if key not in ("service", "id", "title", "enums", "types", "messages"):
                self.wrong(key, f"unknown key {key!r}: expected service, id, title, enums, types or messages")
        if tuple(top)[:3] != ("service", "id", "title"):
            self.wrong(tree, "a file begins with the lines service, id, title")
        if not NAME.fullmatch(name):
            self.wrong(tree, f"the file's name {name!r} must be lower case letters, digits and _")
        header = Header(
            name,
            self.integer(top.get(Scalar("id")), 0, 0xFFFFFFFF),
            self.label(top.get(Scalar("service"))),
            self.label(top.get(Scalar("title"))),
        )
        for key, value in self.items(top, "enums"):
            self.enums[key] = self.enum(key, value)
        for key, value in self.items(top, "types"):
            try:
                kind = self.type(value, 0)
            except _Wrong:
                kind = Bytes(Length("rest"))  # so that its users are not reported too
            self.types[key] = kind
        messages: list[Message] = []
        taken: dict[int, str] = {}
        for key, value in self.items(top, "messages"):
            message = self.message(key, value)
            if message.id in taken:
                self.wrong(key, f"id 0x{message.id:04x} is taken by {taken[message.id]}")
            taken[message.id] = key
            messages.append(message)
        return Definition(header, tuple(self.enums.values()), tuple(messages))

    def enum(self, name: Scalar, tree: Node) -> Enum:
        values: dict[int, str] = {}
        for key, value in self.mapping(tree, "an enum").items():
            number = self.integer(key, -(1 << 63), (1 << 64) - 1)
            if number in values:
                self.wrong(key, f"{number} is given twice")
            values[number] = self.label(value)
        return Enum(str(name), tuple(values.items()))

    def message(self, name: Scalar, tree: Node) -> Message:
        body = self.mapping(tree, "a message")
        number, title = -1, name.replace("_", " ").title()
        indication_title = ""
        examples: tuple[Example, ...] = ()
        tlvs: dict[str, dict[int, Tlv]] = {}
        for key, value in body.items():
            if key == "id":
                number = self.integer(value, 0, 0xFFFF)
            elif key == "title":
                title = self.label(value)
            elif key == "indication_title":
                indication_title = self.label(value)
            elif key == "examples":
                examples = tuple(self.examples(value))
            else:
                kinds = [kind.strip() for kind in key.split(",")]
                if any(kind not in KINDS for kind in kinds):
                    self.wrong(key, f"unknown key {key!r}: expected {', '.join(_MESSAGE_KEYS + KINDS)}")
                    continue
                for kind in kinds:
                    tlvs.setdefault(kind, {})
                for tlv_key, tlv in self.tlvs(value, kinds):
                    for kind in kinds:
                        if tlv.id in tlvs[kind]:
                            self.wrong(tlv_key, f"TLV 0x{tlv.id:02x} is given twice for the {kind}")
                        if any(tlv.name == other.name for other in tlvs[kind].values()):
                            self.wrong(tlv_key, f"the name {tlv.name} is given twice for the {kind}")
                        tlvs[kind][tlv.id] = tlv
        if number < 0 and Scalar("id") not in body:
            self.wrong(name, f"message {name} has no id")
        sections = [tuple(tlvs[kind].values()) if kind in tlvs else None for kind in KINDS]
        message = Message(str(name), number, title, (sections[0], sections[1], sections[2]), examples,
                          indication_title)
        for conflict in _conflicts(message):
            self.wrong(name, conflict)
        return message

    def tlvs(self, tree: Node, kinds: list[str]) -> Iterator[tuple[Scalar, Tlv]]:
        if tree == "":  # a message without TLVs: `request:`
            return
        for key, value in self.mapping(tree, "the TLVs of a message").items():
            words = key.split()
            presence = words[2] if len(words) == 3 else ""
            if len(words) not in (2, 3) or presence not in ("", "mandatory", "optional"):
                self.wrong(key, "a TLV is written `0x10 name: type` (or `0x10 name optional: type`)")
                continue
            number = self.integer(self.part(key, words[0]), 1, 0xFF)
            if number == RESULT_TLV and "response" in kinds:
                self.wrong(key, "TLV 0x02 of a response is its result: it is never written")
            self.name(self.part(key, words[1]))
            try:
                kind = self.choice(value)
            except _Wrong:
                continue
            if not isinstance(kind, Bytes) and any(isinstance(part, Bytes) and part.protobuf for part in parts(kind)):
                self.wrong(value, "a protobuf is the whole value of a TLV, not a part of it")
            mandatory = presence == "mandatory" or (number < 0x10 and presence != "optional")
            yield key, Tlv(number, words[1], mandatory, kind)

    def examples(self, tree: Node) -> Iterator[Example]:
        for item in tree if isinstance(tree, Sequence) else ():
            entry = self.mapping(item, "an example")
            data, values = entry.get(Scalar("hex")), entry.get(Scalar("values"), Mapping())
            if set(entry) - {"hex", "values"} or not isinstance(data, Scalar) or not isinstance(values, Mapping):
                self.wrong(item, "an example is {hex: ..., values: {name: value}}")
                continue
            try:
                raw = bytes.fromhex(data).hex()
            except ValueError:
                self.wrong(data, "not hexadecimal digits")
                continue
            yield Example(raw, tuple((str(key), _plain(value)) for key, value in values.items()))

    # ---- types ----

    def choice(self, tree: Node) -> Type:
        if not isinstance(tree, Mapping) or Scalar("any") not in tree:
            return self.type(tree, 0)
        layouts = tree[Scalar("any")]
        if len(tree) != 1 or not isinstance(layouts, Sequence) or len(layouts) < 2:
            self.wrong(tree, "two layouts of a TLV are written {any: [TYPE, TYPE]}")
            raise _Wrong
        return Choice(tuple(self.type(each, 1) for each in layouts))

    def type(self, tree: Node, depth: int) -> Type:
        if depth > _MAX_TYPE_DEPTH:
            self.wrong(tree, f"nested deeper than {_MAX_TYPE_DEPTH} levels")
            raise _Wrong
        if isinstance(tree, Scalar):
            return self.word_type(tree)
        if isinstance(tree, Sequence) or not tree:
            self.wrong(tree, "expected a type: words such as `u8 enum radio`, or {name: type, ...}")
            raise _Wrong
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
            except _Wrong:
                failed = True
        if failed:
            raise _Wrong
        kind = Struct(tuple(fields))
        self.check_references(tree, kind)
        return kind

    def word_type(self, words: Scalar) -> Type:
        try:
            kind = parse_type(words, self.types)
        except WordError as error:
            self.wrong(words, str(error))
            raise _Wrong from None
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
            raise _Wrong
        words = count.split()
        try:
            length = parse_length(words[0] if words else "", words[1:] == ["bytes"])
        except WordError as error:
            self.wrong(count, str(error))
            raise _Wrong from None
        kind = Array(length, self.type(tree[Scalar("of")], depth + 1))
        self.check_array(tree, kind)
        return kind

    def check_array(self, node: Node, kind: Array) -> None:
        if smallest(kind.element) == 0:
            self.wrong(node, "an array's element must have at least one byte")
            raise _Wrong

    def bit_fields(self, tree: Mapping) -> Type:
        base = self.type(tree[Scalar("bits")], 0) if isinstance(tree[Scalar("bits")], Scalar) else None
        if not isinstance(base, Number) or base.form != "u" or base.enum or base.flags or base.truth or base.den != 1:
            self.wrong(tree, "bits are written {bits: u8, name: 0, other: 1..3 enum x}")
            raise _Wrong
        bits: list[BitField] = []
        for key, value in list(tree.items())[1:]:
            self.name(key)
            match = re.fullmatch(r"(\d{1,2})(?:\.\.(\d{1,2}))?(?: enum ([a-z0-9_]+))?", value) \
                if isinstance(value, Scalar) else None
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
            raise _Wrong
        cases: list[tuple[int, str, Type]] = []
        for key, value in list(tree.items())[1:]:
            words = key.split()
            if len(words) != 2:
                self.wrong(key, "a case is written `VALUE name: TYPE`")
                continue
            self.name(self.part(key, words[1]))
            cases.append((self.integer(self.part(key, words[0]), -(1 << 63), (1 << 64) - 1), words[1],
                          self.type(value, depth + 1)))
        return Union(str(on), tuple(cases))

    def check_references(self, tree: Mapping, kind: Struct) -> None:
        """Lengths and unions name a whole number earlier in the same struct."""
        numbers: dict[str, Number] = {}
        for (name, each), node in zip(kind.fields, tree.values(), strict=True):
            for reference in references(each):
                if reference not in numbers:
                    self.wrong(node, f"{reference!r} is not a whole number earlier in the same struct")
                    raise _Wrong
            if isinstance(each, Text) and each.by and not numbers[each.by].enum:
                self.wrong(node, f"{each.by!r} has no enum whose labels could name an encoding")
            if isinstance(each, Number) and each.form != "f":
                numbers[name] = each

    # ---- small things ----

    def mapping(self, tree: Node | None, what: str) -> Mapping:
        if isinstance(tree, Mapping):
            return tree
        if tree is not None:
            self.wrong(tree, f"{what} must be a mapping")
        return Mapping()

    def items(self, top: Mapping, section: str) -> Iterator[tuple[Scalar, Node]]:
        for key, value in self.mapping(top.get(Scalar(section)), section).items():
            self.name(key)
            yield key, value

    def name(self, text: Scalar) -> None:
        if not NAME.fullmatch(text) or text in RESERVED:
            self.wrong(text, f"{text[:80]!r} is not a name: lower case letters, digits, _, and no word of the format")

    def label(self, node: Node | None) -> str:
        if isinstance(node, Scalar) and 0 < len(node) <= _MAX_LABEL and node.isprintable():
            return str(node)
        if node is not None:
            self.wrong(node, "expected a short text")
        return "?"

    def integer(self, node: Node | None, low: int, high: int) -> int:
        if isinstance(node, Scalar) and _INTEGER.fullmatch(node) and low <= (number := int(node, 0)) <= high:
            return number
        if node is not None:
            self.wrong(node, f"expected a whole number from {low} to {high}")
        return -1

    def part(self, key: Scalar, word: str) -> Scalar:
        found = Scalar(word)
        found.line, found.column = key.line, key.column + key.index(word)
        return found


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


def _conflicts(message: Message) -> Iterator[str]:
    """Names that stand for one sort of value in one place and for another elsewhere: a filter name means one thing."""
    seen: dict[str, Kind] = {}
    for spec in all_specs("", message, {}):
        if seen.setdefault(spec.name, spec.kind) is not spec.kind:
            yield f"{spec.name[1:]} is {seen[spec.name].value} in one place and {spec.kind.value} in another"


def _plain(node: Node) -> object:
    """An expected value of an example: number, truth value, text, or a list of them."""
    if isinstance(node, Sequence):
        return tuple(_plain(item) for item in node)
    if isinstance(node, Mapping):
        return tuple((str(key), _plain(value)) for key, value in node.items())
    if node.quoted:
        return str(node)
    if node in ("true", "false"):
        return node == "true"
    if _INTEGER.fullmatch(node):
        return int(node, 0)
    try:
        return float(node)
    except ValueError:
        return str(node)
