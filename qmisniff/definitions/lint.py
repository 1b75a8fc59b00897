# SPDX-License-Identifier: GPL-2.0-or-later
"""What is wrong, or looks wrong, with a definition file: all of it at once, each with its place.

An error is what the loader refuses, and what can never be right: a field that no byte can reach, an example that comes
out otherwise. A warning is what is legal and probably a slip; a file may be right and keep it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import NamedTuple

from qmisniff.definitions.fields import all_specs
from qmisniff.definitions.load import Definition, Enum, Invalid, parse
from qmisniff.definitions.model import KINDS, Array, Bytes, Choice, Message, Number, Struct, Text, Tlv, Type, Union
from qmisniff.definitions.notation import numbers
from qmisniff.definitions.yamltree import Mapping as Tree
from qmisniff.definitions.yamltree import Node, Scalar, Sequence, read_tree
from qmisniff.field import FieldSpec
from qmisniff.protocol import qmi

_PLACE = re.compile(r".*?:(\d+):(\d+): (.*)", re.DOTALL)
_ENUM_WORD = re.compile(r"\b(?:enum|flags) ([a-z0-9_]+)")
_QMI_NAMES = frozenset(
    spec.name.split(".")[1] for spec in (*qmi.SPECS, *qmi.SERVICE_HEADER.specs, *qmi.CTL_HEADER.specs)
)
_DENSE = 8  # an enum with one number missing among at least so many is probably missing it by mistake
_MASKS = 4  # so many powers of two are probably masks

RunExamples = Callable[[Definition, Message], Iterable[str]]


class Finding(NamedTuple):
    """One line about one place of a file; `severity` is error or warning."""

    line: int
    column: int
    severity: str
    text: str


def lint(text: str, name: str, run_examples: RunExamples | None = None) -> tuple[Definition | None, list[Finding]]:
    """The definition in `text`, None where the loader refuses it, and everything found, in the order of the lines.

    `name` is the service's name in filters. `run_examples` decodes a message's examples and says what comes out wrong.
    """
    try:
        definition = parse(text, name, "")
    except Invalid as error:
        found = [match.groups() for problem in error.problems if (match := _PLACE.fullmatch(problem))]
        return None, [Finding(int(line), int(column), "error", what) for line, column, what in found]
    tree = read_tree(text)
    assert isinstance(tree, Tree)
    linter = _Linter(definition, tree)
    linter.service()
    linter.enums()
    linter.types()
    for message in definition.messages:
        linter.message(message)
        for what in run_examples(definition, message) if run_examples else ():
            linter.error(linter.place("messages", message.name, "examples"), what)
    return definition, sorted(linter.found)


class _Linter:
    """Goes through the definition; the tree only says where things stand."""

    def __init__(self, definition: Definition, tree: Tree) -> None:
        self.definition = definition
        self.tree = tree
        self.found: list[Finding] = []
        self.seen: set[Type] = set()  # a struct of `types:` is looked at where it is first used
        self.labels: Mapping[str, Mapping[int, str]] = {enum.name: dict(enum.values) for enum in definition.enums}

    def error(self, place: Scalar, text: str) -> None:
        self.found.append(Finding(place.line, place.column, "error", text))

    def warning(self, place: Scalar, text: str) -> None:
        self.found.append(Finding(place.line, place.column, "warning", text))

    def place(self, *path: str) -> Scalar:
        """The key that stands at the end of a path of keys, or as far as it goes."""
        node: Node = self.tree
        found = next(iter(self.tree))
        for step in path:
            if not isinstance(node, Tree):
                break
            for key, value in node.items():
                if key == step:
                    found, node = key, value
        return found

    def value_place(self, enum: Enum, value: int) -> Scalar:
        """The key of a value of an enum, however it is written."""
        enums = self.tree[Scalar("enums")]
        values = enums[Scalar(enum.name)] if isinstance(enums, Tree) else None
        keys = [key for key in values if int(key, 0) == value] if isinstance(values, Tree) else []
        return keys[0] if keys else self.place("enums", enum.name)

    def tlv_place(self, message: Message, tlv: Tlv, kind: str) -> Scalar:
        """The key of a TLV of a message that is written under `kind`."""
        messages = self.tree[Scalar("messages")]
        body = messages[Scalar(message.name)] if isinstance(messages, Tree) else None
        for section, tlvs in body.items() if isinstance(body, Tree) else ():
            if kind in [each.strip() for each in section.split(",")] and isinstance(tlvs, Tree):
                for key in tlvs:
                    if key.split()[1:2] == [tlv.name]:
                        return key
        return self.place("messages", message.name)

    # ---- the whole file ----

    def service(self) -> None:
        name = self.definition.header.name
        if name in _QMI_NAMES:
            self.warning(self.place("service"), f"the filter names begin as the field qmi.{name} of every message does")
        titles: dict[str, str] = {}
        for message in self.definition.messages:
            other = titles.setdefault(message.title, message.name)
            if other != message.name:
                self.warning(self.place("messages", message.name), f"has the title of {other}: {message.title}")

    def types(self) -> None:
        used = {word for text in _scalars(self.tree) for word in text.split()}
        for key in self._section("types"):
            if key not in used:
                self.warning(key, f"type {key} is not used")

    def _section(self, name: str) -> Iterator[Scalar]:
        section = self.tree.get(Scalar(name))
        yield from section if isinstance(section, Tree) else ()

    # ---- enums ----

    def enums(self) -> None:
        used = {name for text in _scalars(self.tree) for name in _ENUM_WORD.findall(text)}
        ranges = self._ranges()
        flags = {each.flags for each in numbers(self.definition)}
        for enum in self.definition.enums:
            place = self.place("enums", enum.name)
            if enum.name not in used:
                self.warning(place, f"enum {enum.name} is not used")
            for what in _labels(enum):
                self.warning(place, what)
            for what in _masks(enum) if enum.name in flags else _numbering(enum):
                self.warning(place, what)
            for value, label in enum.values if enum.name in ranges else ():
                if not any(low <= value <= high for low, high in ranges[enum.name]):
                    what = f"{label} ({value}) does not fit into any number that uses enum {enum.name}"
                    self.warning(self.value_place(enum, value), what)

    def _ranges(self) -> dict[str, set[tuple[int, int]]]:
        """For each enum, the least and greatest value of each sort of number that uses it."""
        found: dict[str, set[tuple[int, int]]] = {}
        for number in numbers(self.definition):
            bits = number.size * 8
            signed = number.form == "i"
            low, high = (-(1 << bits - 1), (1 << bits - 1) - 1) if signed else (0, (1 << bits) - 1)
            found.setdefault(number.enum or number.flags, set()).add((low, high))
            for part in number.bits:
                found.setdefault(part.enum, set()).add((0, (1 << part.width) - 1))
        return found

    # ---- messages ----

    def message(self, message: Message) -> None:
        for kind, tlvs in zip(KINDS, message.tlvs, strict=True):
            for tlv in tlvs or ():
                self._type(self.tlv_place(message, tlv, kind), tlv.name, tlv.type)
        meanings: dict[str, FieldSpec] = {}
        said: set[str] = set()
        for spec in all_specs("", message, self.labels):
            other = meanings.setdefault(spec.name, spec)
            if spec.name not in said and (difference := _difference(other, spec)):
                said.add(spec.name)
                self.warning(self.place("messages", message.name), f"{spec.name.split('.', 2)[2]} {difference}")

    def _type(self, place: Scalar, name: str, kind: Type) -> None:
        if kind in self.seen:
            return
        match kind:
            case Number():
                self._bits(place, name, kind)
                return
            case Array():
                if swallows(kind.element):
                    self.error(place, f"{name}: the first element takes all bytes, a second one is never reached")
                self._type(place, name, kind.element)
            case Choice():
                for at, layout in enumerate(kind.layouts, 1):
                    if at < len(kind.layouts) and isinstance(layout, Text | Bytes) and swallows(layout):
                        self.error(place, f"{name}: layout {at} fits any bytes, the next is never tried")
                    self._type(place, name, layout)
            case Struct():
                for (earlier, each), (later, _) in zip(kind.fields, kind.fields[1:], strict=False):
                    if swallows(each):
                        self.error(place, f"{name}.{later} is never reached: {earlier} takes all bytes before it")
                        break
                for field, each in kind.fields:
                    if isinstance(each, Union):
                        self._cases(place, f"{name}.{field}", each, dict(kind.fields).get(each.on))
                    self._type(place, f"{name}.{field}", each)
            case Union():
                for _, case, each in kind.cases:
                    self._type(place, f"{name}.{case}", each)
        self.seen.add(kind)

    def _bits(self, place: Scalar, name: str, number: Number) -> None:
        taken: dict[int, str] = {}
        for bits in number.bits:
            for bit in range(bits.low, bits.low + bits.width):
                if (other := taken.setdefault(bit, bits.name)) != bits.name:
                    self.warning(place, f"{name}: bit {bit} belongs to {other} and to {bits.name}")
                    break

    def _cases(self, place: Scalar, name: str, union: Union, selector: Type | None) -> None:
        seen: dict[int, str] = {}
        for value, case, _ in union.cases:
            if (other := seen.setdefault(value, case)) != case:
                self.error(place, f"{name}.{case} is never reached: {value} means {other} already")
        labels = self.labels.get(selector.enum, {}) if isinstance(selector, Number) else {}
        for value in seen:
            if labels and value not in labels:
                self.warning(place, f"{name}: case {value} is not among the values of {union.on}")


def clashes(definitions: Mapping[str, Definition]) -> Iterator[tuple[str, str]]:
    """Files among these (file -> definition) whose service id or name another one has too, and what to say of it."""
    ids: dict[int, str] = {}
    names: dict[str, str] = {}
    for file, definition in definitions.items():
        header = definition.header
        if (other := ids.setdefault(header.id, file)) != file:
            yield file, f"service id {header.id} is that of {other}"
        if (other := names.setdefault(header.service.lower(), file)) != file:
            yield file, f"service {header.service} is the name of {other}"


def _scalars(tree: Node) -> Iterator[str]:
    """Every value that is text, at any depth."""
    if isinstance(tree, Scalar):
        yield tree
    for each in tree.values() if isinstance(tree, Tree) else tree if isinstance(tree, Sequence) else ():
        yield from _scalars(each)


def swallows(kind: Type) -> bool:
    """Whether a value of this type takes all bytes that are left."""
    match kind:
        case Text(length=length) | Bytes(length=length):
            return length.form == "rest"
        case Array():
            return kind.count.form == "rest"
        case Struct():
            return any(swallows(each) for _, each in kind.fields)
        case Union():
            return bool(kind.cases) and all(swallows(each) for _, _, each in kind.cases)
        case _:
            return False


def _difference(one: FieldSpec, other: FieldSpec) -> str:
    """How two fields of one name differ in meaning, as `is ... in one place and ... in another`."""
    for first, second in (
        (f"{one.scale:g} {one.unit}".strip(), f"{other.scale:g} {other.unit}".strip()),
        ("a time" if one.since else "no time", "a time" if other.since else "no time"),
        ("personal" if one.personal else "not personal", "personal" if other.personal else "not personal"),
    ):
        if first != second:
            return f"is {first} in one place and {second} in another"
    if (one.labels is None) != (other.labels is None):
        return "has names of values in one place and none in another"
    if one.labels != other.labels or one.flags != other.flags:
        return "has other names of values in one place than in another"
    return ""


def _labels(enum: Enum) -> Iterator[str]:
    values: dict[str, int] = {}
    for value, label in enum.values:
        if (other := values.setdefault(label, value)) != value:
            yield f"{label} stands for {other} and for {value}"


def _numbering(enum: Enum) -> Iterator[str]:
    values = sorted(value for value, _ in enum.values if value >= 0)
    if len(values) >= _DENSE and values[-1] - values[0] == len(values):
        missing = next(value + 1 for value in values if value + 1 not in values)
        yield f"{missing} is missing between {values[0]} and {values[-1]}"
    powers = [value for value in values if value]
    if len(powers) >= _MASKS and all(value & (value - 1) == 0 for value in powers):
        yield f"the values of {enum.name} look like masks: flags {enum.name}?"


def _masks(enum: Enum) -> Iterator[str]:
    for value, label in enum.values:
        inside = 0
        for other, _ in enum.values:
            if other != value and other & value == other:
                inside |= other
        all_ones = value >= 0xFF and value & (value + 1) == 0
        if value & (value - 1) and inside != value and not all_ones and not _is_field(value, enum):
            yield f"{label} (0x{value:x}) is neither one bit nor made of the other masks: enum {enum.name}?"


def _is_field(value: int, enum: Enum) -> bool:
    """Whether a mask of several bits has no bit in common with another: then it names a whole group of bits."""
    return all(other == value or not other & value for other, _ in enum.values)
