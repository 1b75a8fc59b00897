# SPDX-License-Identifier: GPL-2.0-or-later
"""Does one frame pass a test? Asked of its decoded values: the reference that every quicker way is held against."""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from qmisniff.dissect import Dissector
from qmisniff.dissect.frame_layer import NANOSECONDS
from qmisniff.dissect.names import held
from qmisniff.dissect.parts import assembled
from qmisniff.dissect.sinks import ValuesSink
from qmisniff.field import FieldSpec
from qmisniff.filter.ast import Range
from qmisniff.filter.catalogue import Type
from qmisniff.filter.literals import Network, Value, canonical, written
from qmisniff.filter.resolve import (
    Bits,
    Called,
    Compared,
    Constant,
    Contains,
    Exists,
    FieldValues,
    Joined,
    Matches,
    Opposite,
    Sliced,
    Source,
    Test,
    Within,
)
from qmisniff.frame import Frame
from qmisniff.protocol.context import Context

COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


class _Layers(ValuesSink):
    """Values, and which bytes each layer spans."""

    def __init__(self) -> None:
        super().__init__()
        self.spans: dict[str, list[tuple[int, int]]] = {}

    def layer(self, spec: FieldSpec, text: str | None, offset: int, size: int) -> None:
        self.spans.setdefault(spec.name, []).append((offset, size))


class Values(Protocol):
    """Something that fields have values in: a frame, or what is known of it."""

    def values(self, field: FieldValues) -> Sequence[Value]:
        """Every value of a field, as it is compared."""


class Decoded:
    """One frame, decoded as far as it is asked about."""

    def __init__(self, frame: Frame, context: Context, dissector: Dissector) -> None:
        self._frame = frame
        self._context = context
        self._dissector = dissector
        self._sink: _Layers | None = None
        self._headings: dict[str, int] | None = None

    def values(self, field: FieldValues) -> Sequence[Value]:
        """Every value of a field in this frame, as it is compared; of a heading: 0 for each time it is there."""
        match field.type:
            case Type.TIME:
                return (self._frame.ts_ns,)
            case Type.SECONDS:
                return (NANOSECONDS[field.name](self._frame, self._context),)
            case Type.PROTOCOL:
                data = assembled(self._frame, self._context)
                return [data[at : at + size] for at, size in self._layers().spans.get(field.name, ())]
            case Type.HEADING:
                return (0,) * self._heading_count(field.name)
        return compared(held(self._layers().into, field.name), field.type)

    def _layers(self) -> _Layers:
        if self._sink is None:
            self._sink = _Layers()
            self._dissector.walk(self._frame, self._context, self._sink)
        return self._sink

    def _heading_count(self, name: str) -> int:
        if self._headings is None:
            self._headings = {}
            for node in self._dissector.tree(self._frame, self._context).walk():
                self._headings[node.spec.name] = self._headings.get(node.spec.name, 0) + 1
        return self._headings.get(name, 0)


class _Without:
    """A frame without a single field."""

    def values(self, field: FieldValues) -> Sequence[Value]:
        return ()


WITHOUT = _Without()


def compared(found: Any, kind: Type) -> Sequence[Value]:
    """Decoded values (one, a list of them, None) as they are compared."""
    if found is None:
        return ()
    values = [canonical(each, kind) for each in (found if isinstance(found, list) else (found,))]
    return [value for value in values if value is not None]


def passes(test: Test, frame: Values) -> bool:
    """Does the frame pass the test?"""
    match test:
        case Joined("and", tests):
            return all(passes(each, frame) for each in tests)
        case Joined("or", tests):
            return any(passes(each, frame) for each in tests)
        case Joined(_, tests):
            return sum(passes(each, frame) for each in tests) % 2 == 1
        case Opposite(inner):
            return not passes(inner, frame)
        case Exists(source):
            found = values(source, frame)
            # Of a field every value counts, of a slice those that are not empty, of bits those of which one is set.
            if isinstance(source, Bits):
                return any(any(value) if isinstance(value, bytes) else value for value in found)
            return any(found) if isinstance(source, Sliced) else len(found) > 0
        case Within(source, single, between):
            return any(_within(value, single, between) for value in values(source, frame))
        case Matches(every, left, _, expression):
            return _quantified(every, [bool(expression.search(value)) for value in _texts(left, frame)])
        case Contains(every, left, right):
            parts = _texts(right, frame)
            return _quantified(every, [part in value for value in _texts(left, frame) for part in parts])
        case Compared(word, every, left, right):
            if isinstance(right, Constant) and isinstance(right.value, Network):
                network, wanted = right.value, word == "=="
                held = [network.holds(value) is wanted for value in _texts(left, frame)]
                return _quantified(every, held)
            compare, others = COMPARE[word], values(right, frame)
            return _quantified(every, [compare(value, other) for value in values(left, frame) for other in others])


def values(source: Source, frame: Values) -> Sequence[Value]:
    """The values that a source has in a frame."""
    match source:
        case FieldValues():
            return frame.values(source)
        case Constant(value):
            assert not isinstance(value, Network)
            return (value,)
        case Sliced(base, ranges):
            return [cut(value, ranges) for value in _texts(base, frame)]
        case Bits(base, mask):
            found = [shared_bits(value, mask) for value in values(base, frame)]
            return [value for value in found if value is not None]
        case Called(function, arguments):
            return _called(function, [values(argument, frame) for argument in arguments], arguments[0].type)


def cut(value: bytes, ranges: Sequence[Range]) -> bytes:
    """The bytes of all ranges one after the other; from the first that does not lie inside the value on, nothing."""
    found = b""
    for each in ranges:
        start = each.start if each.start >= 0 else len(value) + each.start
        if each.last is not None:
            stop = each.last + 1 if each.last >= 0 else len(value) + each.last + 1
        else:
            stop = len(value) if each.length is None else start + each.length
        if start < 0 or stop > len(value) or stop <= start:
            break
        found += value[start:stop]
    return found


def shared_bits(value: Value, mask: Value) -> Value | None:
    """The bits set in both; None where bytes are not as many as the mask's."""
    if isinstance(value, bytes) and isinstance(mask, bytes):
        return bytes(map(operator.and_, value, mask)) if len(value) == len(mask) else None
    return value & mask if isinstance(value, int) and isinstance(mask, int) else None


def _called(function: str, arguments: list[Sequence[Value]], kind: Type) -> Sequence[Value]:
    found = arguments[0]
    match function:
        case "upper":
            return [value.upper() for value in found if isinstance(value, bytes)]  # A-Z alone: these are bytes
        case "lower":
            return [value.lower() for value in found if isinstance(value, bytes)]
        case "len":
            return [len(value) for value in found if isinstance(value, bytes)]
        case "count":
            return (len(found),) if found else ()
        case "string":
            return [written(value, kind) for value in found]
        case "abs":
            return [abs(value) for value in found if not isinstance(value, bytes)]
    numbers = [value for values in arguments for value in values if not isinstance(value, bytes)]
    return (min(numbers) if function == "min" else max(numbers),) if numbers else ()


def _texts(source: Source, frame: Values) -> list[bytes]:
    return [value for value in values(source, frame) if isinstance(value, bytes)]


def _within(value: Any, single: Sequence[Value | Network], between: Sequence[tuple[Value, Value]]) -> bool:
    for each in single:
        if each.holds(value) if isinstance(each, Network) else each == value:
            return True
    return any(low <= value <= high for low, high in between)


def _quantified(every: bool, results: list[bool]) -> bool:
    """Any of the results, or every one where there is at least one."""
    return bool(results) and all(results) if every else any(results)
