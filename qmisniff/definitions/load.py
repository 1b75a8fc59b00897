# SPDX-License-Identifier: GPL-2.0-or-later
"""A definition file (dissectors/*.yaml, the format is described in dissectors/README.md) -> a checked `Service`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from qmisniff.definitions.fields import specs
from qmisniff.definitions.model import (
    KINDS,
    RESULT_TLV,
    Bytes,
    Choice,
    Example,
    Header,
    Length,
    Message,
    Tlv,
    Type,
    Union,
    parts,
)
from qmisniff.definitions.typereader import INTEGER, NAME, Reader, TypeReader, Wrong
from qmisniff.definitions.yamltree import Mapping, Node, Scalar, Sequence, TreeError, read_tree
from qmisniff.errors import DefinitionError
from qmisniff.field import Kind

_MESSAGE_KEYS = ("id", "title", "indication_title", "examples")
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
    reader = _FileReader()
    definition = reader.service(tree, name)
    if reader.problems:
        raise Invalid([f"{file}:{line}:{column}: {text}" for line, column, text in sorted(reader.problems)])
    return definition


class _FileReader(Reader):
    """Reads the tree top down; what is wrong is noted and reading goes on behind it."""

    def __init__(self) -> None:
        super().__init__()
        self.enums: dict[str, Enum] = {}
        self.types = TypeReader(self.enums, {})
        self.types.problems = self.problems

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
                kind = self.types.type(value, 0)
            except Wrong:
                kind = Bytes(Length("rest"))  # so that its users are not reported too
            self.types.types[key] = kind
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
        message = Message(str(name), number, title, (sections[0], sections[1], sections[2]), examples, indication_title)
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
                kind = self.types.choice(value)
            except Wrong:
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

    def items(self, top: Mapping, section: str) -> Iterator[tuple[Scalar, Node]]:
        for key, value in self.mapping(top.get(Scalar(section)), section).items():
            self.name(key)
            yield key, value


def _conflicts(message: Message) -> Iterator[str]:
    """Names that stand for one sort of value in one place and for another elsewhere: a filter name means one thing."""
    types: dict[str, dict[int, Type]] = {}  # by name, each once
    for section in message.tlvs:
        for tlv in section or ():
            types.setdefault(tlv.name, {})[id(tlv.type)] = tlv.type
    for name, kinds in types.items():
        # Most are written once for all sections, and have no name twice: their fields need not be made.
        if len(kinds) == 1 and not any(
            isinstance(part, Choice | Union) for kind in kinds.values() for part in parts(kind)
        ):
            continue
        seen: dict[str, Kind] = {}
        for kind in kinds.values():
            for spec in specs(f"{message.name}.{name}", kind, {}):
                if seen.setdefault(spec.name, spec.kind) is not spec.kind:
                    yield f"{spec.name} is {seen[spec.name].value} in one place and {spec.kind.value} in another"


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
    if INTEGER.fullmatch(node):
        return int(node, 0)
    try:
        return float(node)
    except ValueError:
        return str(node)
