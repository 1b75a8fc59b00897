# SPDX-License-Identifier: GPL-2.0-or-later
"""TLVs: where they lie in a message, and the decode functions of each, compiled when first met."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any, NamedTuple

from qmisniff.definitions.fields import Enums
from qmisniff.definitions.model import RESULT_TLV, Bytes, Choice, Struct, Tlv, Type
from qmisniff.definitions.words import BUILTIN_ENUMS, RESULT
from qmisniff.dissect import protobuf
from qmisniff.dissect.compile import STOPS, Decode, Output, compile_tlv
from qmisniff.dissect.source import Reason, Stop
from qmisniff.dissect.values import add
from qmisniff.field import Field, FieldSpec, Kind, Problem, Severity
from qmisniff.protocol import qmi

MAX_FIELDS = 4000  # of one message; what comes after them stays bytes
MAX_TLVS = 256  # there are no more types

UNDECODED = FieldSpec("qmi.tlv.undecoded", "Undecoded", Kind.BYTES)


class TlvRange(NamedTuple):
    """A TLV as it lies in the bytes; `end` is cut to what is there, `length` is what the TLV claims."""

    type: int
    length: int
    start: int
    value: int
    end: int


def tlv_ranges(data: bytes, start: int, end: int) -> Iterator[TlvRange]:
    """The TLVs of `data[start:end]`; the last may be cut short. Fewer than three bytes at the end are no TLV."""
    while end - start >= 3:
        kind, length = qmi.TLV_HEAD.unpack_from(data, start)
        value = start + 3
        stop = min(value + length, end)
        yield TlvRange(kind, length, start, value, stop)
        start = stop


class TlvDecoder:
    """One TLV of one message."""

    def __init__(self, tlv: Tlv, path: str, enums: Enums) -> None:
        self.tlv = tlv
        self.path = path
        self.enums = enums
        self.layouts: tuple[Type, ...] = tlv.type.layouts if isinstance(tlv.type, Choice) else (tlv.type,)
        self._compiled: dict[tuple[int, Output, bool], Decode] = {}
        # The fields of a struct stand directly below the TLV; any other value is one field below it.
        self.inline = all(isinstance(layout, Struct) for layout in self.layouts)
        self.protobuf = isinstance(tlv.type, Bytes) and tlv.type.protobuf
        # The layout, where there is but one and nothing is done with the value besides.
        self.plain_type = None if isinstance(tlv.type, Choice) or self.protobuf else tlv.type
        self.heading = FieldSpec(path if self.inline else "", f"TLV 0x{tlv.id:02x} {tlv.name}", Kind.NONE)

    def _function(self, layout: int, output: Output, careful: bool) -> Decode:
        found = self._compiled.get((layout, output, careful))
        if found is None:
            found = compile_tlv(self.layouts[layout], self.path, self.enums, output, careful)
            self._compiled[layout, output, careful] = found
        return found

    def quick(self, output: Output) -> Decode:
        """The decode function for a value that is as it should be: on any other it raises Stop or ends elsewhere."""
        if self.protobuf:
            return _never_quick
        if len(self.layouts) == 1:
            return self._function(0, output, False)

        def first_that_fits(data: bytes, start: int, end: int, into: Any, budget: list[int]) -> int:
            return self._function(self._fitting(data, start, end), output, False)(data, start, end, into, budget)

        return first_that_fits

    def _fitting(self, data: bytes, start: int, end: int) -> int:
        """The index of the first layout that uses up all bytes; 0 where none does."""
        for layout in range(len(self.layouts) if len(self.layouts) > 1 else 0):
            try:
                if self._function(layout, Output.VALUES, False)(data, start, end, {}, [MAX_FIELDS]) == end:
                    return layout
            except Stop:
                pass
        return 0

    def tree(self, data: bytes, start: int, end: int, children: list[Field], budget: list[int]) -> Problem | None:
        """Append the value's fields; whatever does not decode follows as bytes, and the problem says why."""
        layout, made, left = self._fitting(data, start, end), len(children), budget[0]
        try:
            at = self._function(layout, Output.TREE, False)(data, start, end, children, budget)
            if at == end:
                return self._message_inside(children[-1], data, budget) if self.protobuf else None
            stop = None
        except Stop as early:
            at, stop = early.at, early
        if stop is not None and stop.reason is Reason.SHORT:
            del children[made:]
            budget[0] = left
            at, stop = self._careful(layout, Output.TREE, data, start, end, children, budget)
        problem = self._problem(at, stop, end)
        if at < end:
            children.append(Field(UNDECODED, data[at:end], at, end - at, [], problem))
            return None
        return problem

    def values(self, data: bytes, start: int, end: int, into: dict[str, Any], budget: list[int]) -> Problem | None:
        """Add the value's fields to a dict under their filter names."""
        layout, part = self._fitting(data, start, end), dict[str, Any]()
        at, stop = self._careful(layout, Output.VALUES, data, start, end, part, budget)
        for name, value in part.items():
            for each in value if isinstance(value, list) else (value,):
                add(into, name, each)
        if at < end:
            add(into, UNDECODED.name, data[at:end])
        elif self.protobuf and stop is None:
            value = Field(UNDECODED, part[self.path], start, end - start)
            problem = self._message_inside(value, data, budget)
            for field in itertools.chain.from_iterable(child.walk() for child in value.children):
                if field.spec.name:
                    add(into, field.spec.name, field.value)
                if field.spec.labels is not None and isinstance(field.value, int):
                    add(into, f"{field.spec.name}.label", field.spec.labels[field.value])
            return problem
        return self._problem(at, stop, end)

    def problem(self, data: bytes) -> Problem | None:
        """What is wrong with a value that is these bytes."""
        try:
            if self.quick(Output.VALUES)(data, 0, len(data), {}, [MAX_FIELDS]) == len(data):
                return None
        except STOPS:
            pass
        return self.values(data, 0, len(data), {}, [MAX_FIELDS])

    def _message_inside(self, value: Field, data: bytes, budget: list[int]) -> Problem | None:
        """Put the fields of the protocol buffer that the bytes of `value` are below it."""
        assert isinstance(value.value, bytes)
        end = value.offset + value.size
        at = protobuf.grow(value, data, end - len(value.value), end, budget)
        if at == end:
            return None
        text = Reason.BUDGET.value if budget[0] < 0 else "no protocol buffer from here on"
        return Problem(Severity.NOTE, f"{self.tlv.name}: {text}", at, end - at)

    def _careful(
        self, layout: int, output: Output, data: bytes, start: int, end: int, into: Any, budget: list[int]
    ) -> tuple[int, Stop | None]:
        try:
            return self._function(layout, output, True)(data, start, end, into, budget), None
        except Stop as stop:
            return stop.at, stop

    def _problem(self, at: int, stop: Stop | None, end: int) -> Problem | None:
        name, size = self.tlv.name, end - at
        if stop is not None:
            severity = Severity.ERROR if stop.reason is Reason.SHORT else Severity.NOTE
            return Problem(severity, f"{name}: {stop.reason.value}", at, size)
        if size:
            return Problem(Severity.WARN, f"{name}: {size} bytes more than are described", at, size)
        return None


def _never_quick(data: bytes, start: int, end: int, into: Any, budget: list[int]) -> int:
    """In place of a decode function: the message is taken TLV by TLV."""
    raise Stop(start, Reason.BUDGET)


RESULT_DECODER = TlvDecoder(Tlv(RESULT_TLV, "result", True, RESULT), "qmi", BUILTIN_ENUMS)
# `qmi` is the name of the whole layer, which already stands under it.
RESULT_DECODER.heading = FieldSpec("", RESULT_DECODER.heading.label, Kind.NONE)
