# SPDX-License-Identifier: GPL-2.0-or-later
"""A filter as it is written: frozen nodes, each with the span of the text it stands for."""

from __future__ import annotations

from dataclasses import dataclass, field

from qmisniff.filter.errors import Span

_NOWHERE = Span(0, 0)


@dataclass(slots=True, frozen=True)
class Word:
    """Characters without quotes: a field, a number, an address, a label, bytes."""

    text: str
    span: Span = field(default=_NOWHERE, compare=False)

    def __str__(self) -> str:
        return self.text


@dataclass(slots=True, frozen=True)
class Quoted:
    """A "string": what it says after its escapes, as bytes, and how it is written."""

    value: bytes
    written: str = field(compare=False)
    span: Span = field(default=_NOWHERE, compare=False)

    def __str__(self) -> str:
        return self.written


@dataclass(slots=True, frozen=True)
class Character:
    """A 'c': the number of one character."""

    value: int
    written: str = field(compare=False)
    span: Span = field(default=_NOWHERE, compare=False)

    def __str__(self) -> str:
        return self.written


@dataclass(slots=True, frozen=True)
class Range:
    """One part of a slice: from `start`, `length` bytes or to the byte `last`, or to the end where both are None."""

    start: int
    length: int | None = None
    last: int | None = None

    def __str__(self) -> str:
        if self.last is not None:
            return f"{self.start}-{self.last}"
        return f"{self.start}:{'' if self.length is None else self.length}"


@dataclass(slots=True, frozen=True)
class Slice:
    """Some bytes of a value."""

    base: Operand
    ranges: tuple[Range, ...]
    span: Span = field(default=_NOWHERE, compare=False)

    def __str__(self) -> str:
        return f"{self.base}[{','.join(map(str, self.ranges))}]"


@dataclass(slots=True, frozen=True)
class Call:
    """A function and its arguments."""

    function: Word
    arguments: tuple[Operand, ...]
    span: Span = field(default=_NOWHERE, compare=False)

    def __str__(self) -> str:
        return f"{self.function}({', '.join(map(str, self.arguments))})"


@dataclass(slots=True, frozen=True)
class Masked:
    """The bits that two operands share."""

    left: Operand
    right: Operand
    span: Span = field(default=_NOWHERE, compare=False)

    def __str__(self) -> str:
        return f"{self.left} & {self.right}"


Operand = Word | Quoted | Character | Slice | Call | Masked


@dataclass(slots=True, frozen=True)
class Present:
    """An operand alone: is it there?"""

    operand: Operand
    span: Span = field(default=_NOWHERE, compare=False)

    def __str__(self) -> str:
        return str(self.operand)


@dataclass(slots=True, frozen=True)
class Relation:
    """Two operands and an operator under its chief name (`==`, `contains`, ...); `quantifier` is any, all or empty."""

    operator: str
    left: Operand
    right: Operand
    quantifier: str = ""
    span: Span = field(default=_NOWHERE, compare=False)

    def __str__(self) -> str:
        return f"{self.quantifier} {self.left} {self.operator} {self.right}".lstrip()


@dataclass(slots=True, frozen=True)
class Member:
    """One member of a set: a value, or all from `low` to `high`."""

    low: Operand
    high: Operand | None = None

    def __str__(self) -> str:
        return str(self.low) if self.high is None else f"{self.low}..{self.high}"


@dataclass(slots=True, frozen=True)
class Membership:
    """Is an operand in a set?"""

    left: Operand
    members: tuple[Member, ...]
    quantifier: str = ""
    span: Span = field(default=_NOWHERE, compare=False)

    def __str__(self) -> str:
        return f"{self.quantifier} {self.left} in {{{', '.join(map(str, self.members))}}}".lstrip()


@dataclass(slots=True, frozen=True)
class Not:
    """The opposite of a test."""

    test: Test
    span: Span = field(default=_NOWHERE, compare=False)

    def __str__(self) -> str:
        return f"not {_grouped(self.test)}"


@dataclass(slots=True, frozen=True)
class Logic:
    """Two or more tests joined by one `operator`: and, or, xor."""

    operator: str
    tests: tuple[Test, ...]
    span: Span = field(default=_NOWHERE, compare=False)

    def __str__(self) -> str:
        return f" {self.operator} ".join(map(_grouped, self.tests))


Test = Present | Relation | Membership | Not | Logic


def _grouped(test: Test) -> str:
    return f"({test})" if isinstance(test, Logic) else str(test)
