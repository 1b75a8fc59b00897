# SPDX-License-Identifier: GPL-2.0-or-later
"""Nodes -> typed tests: names are looked up, types checked, literals made values before a packet is seen."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TypeVar

from qmisniff.field import FieldSpec
from qmisniff.filter import ast, literals
from qmisniff.filter.catalogue import NUMBERS, TEXTS, Catalogue, Type
from qmisniff.filter.errors import FilterError, Span
from qmisniff.filter.expression import Expression, expression
from qmisniff.filter.literals import Network, Value

T = TypeVar("T")

FUNCTIONS = {
    "upper": "a string with A-Z for a-z",
    "lower": "a string with a-z for A-Z",
    "len": "how many bytes a string or bytes field has",
    "count": "how often a field occurs in the frame",
    "string": "a number or an address as text",
    "abs": "a number without its sign",
    "min": "the smallest of all values of its arguments",
    "max": "the largest of all values of its arguments",
}
_SLICED = TEXTS | {Type.ETHER, Type.IPV4, Type.IPV6}
_AS_TEXT = frozenset({Type.UINT, Type.INT, Type.IPV4, Type.IPV6, Type.ETHER})


# ---- sources of values ----


@dataclass(slots=True, frozen=True)
class FieldValues:
    """All values of a field in a frame."""

    name: str
    type: Type
    spec: FieldSpec


@dataclass(slots=True, frozen=True)
class Constant:
    """One value that stands in the filter."""

    value: Value | Network
    type: Type


@dataclass(slots=True, frozen=True)
class Sliced:
    """Bytes of each value."""

    base: Source
    ranges: tuple[ast.Range, ...]
    type: Type = Type.BYTES


@dataclass(slots=True, frozen=True)
class Called:
    """What a function makes of its arguments."""

    function: str
    arguments: tuple[Source, ...]
    type: Type


@dataclass(slots=True, frozen=True)
class Bits:
    """The bits that each value shares with a mask."""

    base: Source
    mask: Value
    type: Type


Source = FieldValues | Constant | Sliced | Called | Bits


# ---- tests ----


@dataclass(slots=True, frozen=True)
class Exists:
    """A field occurs; of a slice: it is not empty; of masked bits: one is set."""

    source: Source


@dataclass(slots=True, frozen=True)
class Compared:
    """A comparison (== != < <= > >=) holds for any pair of values, or for all and there is one."""

    operator: str
    every: bool
    left: Source
    right: Source


@dataclass(slots=True, frozen=True)
class Contains:
    """Values hold the bytes of any value on the right."""

    every: bool
    left: Source
    right: Source


@dataclass(slots=True, frozen=True)
class Matches:
    """Values match a regular expression."""

    every: bool
    left: Source
    pattern: bytes
    expression: Expression


@dataclass(slots=True, frozen=True)
class Within:
    """Any value is one of a set's: a value, a network, or between two values."""

    source: Source
    single: tuple[Value | Network, ...]
    between: tuple[tuple[Value, Value], ...]


@dataclass(slots=True, frozen=True)
class Opposite:
    """A test fails."""

    test: Test


@dataclass(slots=True, frozen=True)
class Joined:
    """and, or, xor of tests."""

    operator: str
    tests: tuple[Test, ...]


Test = Exists | Compared | Contains | Matches | Within | Opposite | Joined


def resolve(test: ast.Test, text: str, catalogue: Catalogue) -> Test:
    """The typed test that a node stands for; `text` is the filter, for errors. Raises FilterError."""
    return _Resolver(text, catalogue).test(test)


def fields(test: Test) -> Iterator[FieldValues]:
    """Every field that a test looks at."""
    match test:
        case Opposite(inner):
            yield from fields(inner)
        case Joined(_, tests):
            for each in tests:
                yield from fields(each)
        case Exists(source) | Within(source=source) | Matches(left=source):
            yield from _sources(source)
        case Compared(left=left, right=right) | Contains(left=left, right=right):
            yield from _sources(left)
            yield from _sources(right)


def _sources(source: Source) -> Iterator[FieldValues]:
    match source:
        case FieldValues():
            yield source
        case Sliced(base=base) | Bits(base=base):
            yield from _sources(base)
        case Called(arguments=arguments):
            for each in arguments:
                yield from _sources(each)


class _Resolver:
    def __init__(self, text: str, catalogue: Catalogue) -> None:
        self._text = text
        self._catalogue = catalogue

    # ---- tests ----

    def test(self, node: ast.Test) -> Test:
        match node:
            case ast.Not(test):
                return Opposite(self.test(test))
            case ast.Logic(operator, tests):
                return Joined(operator, tuple(self.test(each) for each in tests))
            case ast.Present(operand):
                return self._present(operand)
            case ast.Membership():
                return self._membership(node)
            case ast.Relation("contains"):
                return self._contains(node)
            case ast.Relation("matches"):
                return self._matches(node)
            case ast.Relation():
                return self._compared(node)

    def _present(self, operand: ast.Operand) -> Test:
        if isinstance(operand, ast.Call):
            raise self._error("a function alone is no test", operand.span, "compare what it gives with something")
        if isinstance(operand, ast.Quoted | ast.Character):
            raise self._error(f"{operand} is neither a field nor a protocol", operand.span)
        return Exists(self._source(operand))

    def _compared(self, node: ast.Relation) -> Test:
        left, right = self._sides(node)
        operator, every = node.operator, node.operator in ("===", "!=")
        operator = {"===": "==", "!==": "!="}.get(operator, operator)
        if node.quantifier:
            every = node.quantifier == "all"
        if isinstance(right, Constant) and isinstance(right.value, Network) and operator not in ("==", "!="):
            raise self._error("a network is compared with == and != only", node.right.span)
        return Compared(operator, every, left, right)

    def _contains(self, node: ast.Relation) -> Test:
        left = self._left(node.left, "contains")
        if left.type not in TEXTS | {Type.ETHER}:
            what = f"contains looks into strings and bytes, {node.left} is {left.type.value}"
            raise self._error(what, node.left.span)
        # A part of a MAC address is any bytes.
        right = self._right(node.right, Type.BYTES if left.type is Type.ETHER else left.type, None)
        if isinstance(right, Constant) and right.value == b"":
            raise self._error("nothing is in everything", node.right.span)
        return Contains(node.quantifier == "all", left, right)

    def _matches(self, node: ast.Relation) -> Test:
        left = self._left(node.left, "matches")
        if left.type not in TEXTS:
            remedy = f"string({node.left}) matches ..." if left.type in _AS_TEXT else ""
            what = f"matches looks into strings and bytes, {node.left} is {left.type.value}"
            raise self._error(what, node.left.span, remedy)
        if not isinstance(node.right, ast.Quoted):
            raise self._error("a regular expression stands in double quotes", node.right.span)
        pattern = node.right.value
        found = self._literal(lambda: expression(pattern), node.right.span)
        return Matches(node.quantifier == "all", left, pattern, found)

    def _membership(self, node: ast.Membership) -> Test:
        if not isinstance(node.left, ast.Word):
            raise self._error("only a field can be in a set", node.left.span)
        if node.quantifier == "all":
            raise self._error("versions of Wireshark differ in what `all ... in` means", node.span)
        left = self._left(node.left, "in")
        spec = left.spec if isinstance(left, FieldValues) else None
        single: list[Value | Network] = []
        between: list[tuple[Value, Value]] = []
        for member in node.members:
            low = self._constant(member.low, left.type, spec)
            if member.high is None:
                single.append(low)
                continue
            high = self._constant(member.high, left.type, spec)
            if isinstance(low, Network) or isinstance(high, Network):
                raise self._error("a range goes from address to address", member.low.span)
            between.append((low, high))
        return Within(left, tuple(single), tuple(between))

    # ---- the two sides ----

    def _sides(self, node: ast.Relation) -> tuple[Source, Source]:
        left = self._left(node.left, node.operator)
        spec = left.spec if isinstance(left, FieldValues) else None
        return left, self._right(node.right, left.type, spec)

    def _left(self, operand: ast.Operand, operator: str) -> Source:
        word = isinstance(operand, ast.Word) and not self._catalogue.find(operand.text)
        if isinstance(operand, ast.Quoted | ast.Character) or (word and not _like_a_name(str(operand))):
            raise self._error(f"the left side of {operator} is a field or a function, not {operand}", operand.span)
        source = self._source(operand)
        if source.type is Type.HEADING:
            raise self._error(f"{operand} has no value, only the fields below it have", operand.span)
        return source

    def _right(self, operand: ast.Operand, kind: Type, spec: FieldSpec | None) -> Source:
        """The right side beside a left side of a type."""
        if isinstance(operand, ast.Quoted | ast.Character) or (
            isinstance(operand, ast.Word) and not self._catalogue.find(operand.text)
        ):
            return Constant(self._constant(operand, kind, spec), kind)
        source = self._source(operand)
        if source.type is not kind and not {source.type, kind} <= TEXTS - {Type.STRING} | {Type.ETHER}:
            raise self._error(f"{operand} is {source.type.value}, the left side is {kind.value}", operand.span)
        return source

    def _constant(self, operand: ast.Operand, kind: Type, spec: FieldSpec | None) -> Value | Network:
        match operand:
            case ast.Word(text):
                try:
                    return literals.word(text, kind, spec)
                except ValueError as error:
                    if _like_a_name(text) and "." in text and kind not in (Type.IPV4, Type.BYTES, Type.PROTOCOL):
                        raise self._no_field(operand) from None
                    raise self._error(str(error), operand.span) from None
            case ast.Quoted(value):
                return self._literal(lambda: literals.quoted(value, kind, spec), operand.span)
            case ast.Character(number):
                if kind not in (Type.UINT, Type.INT):
                    raise self._error(f"{operand} is a number, not {kind.value}", operand.span)
                return number
        raise self._error(f"{operand} is no value", operand.span)

    # ---- sources ----

    def _source(self, operand: ast.Operand) -> Source:
        match operand:
            case ast.Word():
                return self._field(operand)
            case ast.Slice(base, ranges):
                source = self._source(base)
                if source.type not in _SLICED:
                    raise self._error(f"{base} is {source.type.value}: it has no slices", operand.span)
                return Sliced(source, ranges)
            case ast.Call():
                return self._called(operand)
            case ast.Masked(left, right):
                source = self._source(left)
                if source.type is not Type.UINT and not isinstance(source, Sliced):
                    raise self._error(f"{left} is {source.type.value}: & needs an unsigned number", left.span)
                spec = source.spec if isinstance(source, FieldValues) else None
                if isinstance(right, ast.Word) and self._catalogue.find(right.text):
                    raise self._error("the mask of & is a number, or bytes for a slice", right.span)
                mask = self._constant(right, source.type, spec)
                assert not isinstance(mask, Network)  # addresses have no bits
                return Bits(source, mask, source.type)
        raise self._error(f"{operand} is neither a field nor a protocol", operand.span)

    def _field(self, operand: ast.Word) -> FieldValues:
        spec = self._catalogue.find(operand.text)
        if spec is None:
            raise self._no_field(operand)
        return FieldValues(operand.text, self._catalogue.type_of(spec), spec)

    def _called(self, node: ast.Call) -> Called:
        name, arguments = node.function.text, node.arguments
        if name not in FUNCTIONS:
            raise self._error(f"{name} is no function", node.function.span, ", ".join(FUNCTIONS))
        if name in ("min", "max"):
            return self._extreme(node)
        if len(arguments) != 1:
            raise self._error(f"{name}() takes one argument", node.span)
        source = self._argument(arguments[0], name)
        takes, gives = {
            "upper": ({Type.STRING}, Type.STRING),
            "lower": ({Type.STRING}, Type.STRING),
            "len": (TEXTS, Type.UINT),
            "count": (set(Type), Type.UINT),
            "string": (_AS_TEXT, Type.STRING),
            "abs": (NUMBERS, source.type),
        }[name]
        if source.type not in takes:
            wanted = " or ".join(sorted(each.value for each in takes))
            raise self._error(f"{name}() takes {wanted}, {arguments[0]} is {source.type.value}", arguments[0].span)
        return Called(name, (source,), gives)

    def _extreme(self, node: ast.Call) -> Called:
        found = [arg for arg in node.arguments if isinstance(arg, ast.Word) and self._catalogue.find(arg.text)]
        if not found:
            raise self._error(f"{node.function}() needs a field", node.span)
        first = self._field(found[0])
        if first.type not in NUMBERS:
            raise self._error(f"{node.function}() takes numbers, {found[0]} is {first.type.value}", found[0].span)
        sources = tuple(self._right(argument, first.type, first.spec) for argument in node.arguments)
        return Called(node.function.text, sources, first.type)

    def _argument(self, operand: ast.Operand, function: str) -> FieldValues:
        if not isinstance(operand, ast.Word):
            raise self._error(f"{function}() takes a field", operand.span)
        return self._field(operand)

    # ---- errors ----

    def _literal(self, make: Callable[[], T], span: Span) -> T:
        try:
            return make()
        except ValueError as error:
            raise self._error(str(error), span) from None

    def _no_field(self, operand: ast.Word) -> FilterError:
        near = self._catalogue.similar(operand.text)
        remedy = f"did you mean {near}?" if near else "`qmisniff fields` lists them"
        if packets := self._catalogue.packets_of(operand.text):
            remedy = f"its packets are {packets}"
        return self._error(f"{operand} is neither a field nor a protocol", operand.span, remedy)

    def _error(self, message: str, span: Span, remedy: str = "") -> FilterError:
        return FilterError(message, self._text, span, remedy)


def _like_a_name(text: str) -> bool:
    return text[0].isalpha() and ":" not in text
