# SPDX-License-Identifier: GPL-2.0-or-later
"""What a decoded frame becomes: a tree of Fields, or a flat dict of values. The walk over the layers is the same."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Protocol

from qmisniff.dissect.message import TlvDecoder, TlvRange, add
from qmisniff.dissect.text import value_text
from qmisniff.dissect.values import flag_names
from qmisniff.field import Field, FieldSpec, Kind, Problem, Severity, Value
from qmisniff.protocol import qmi
from qmisniff.protocol.layout import Row

EXPERT_SEVERITY = FieldSpec("expert.severity", "Severity", Kind.UINT, labels={s: s.name.lower() for s in Severity})
EXPERT_MESSAGE = FieldSpec("expert.message", "Message", Kind.STRING)


class Sink(Protocol):
    """Takes the parts of a frame in the order of its bytes."""

    budget: list[int]

    def layer(self, spec: FieldSpec, text: str | None, offset: int, size: int) -> None:
        """A protocol layer begins; fields go into it until the next one."""

    def field(self, spec: FieldSpec, value: Value, offset: int, size: int) -> None: ...

    def rows(self, rows: Iterable[Row]) -> None: ...

    def tlv(self, found: TlvRange, decoder: TlvDecoder | None, data: bytes) -> None: ...

    def result(self, found: TlvRange, data: bytes) -> None: ...

    def problem(self, severity: Severity, text: str, offset: int, size: int) -> None:
        """Something is wrong with a range of bytes of the current layer."""


class TreeSink:
    """Builds the tree below `root`."""

    def __init__(self, root: Field, budget: int) -> None:
        self.root = root
        self.current = root
        self.budget = [budget]

    def layer(self, spec: FieldSpec, text: str | None, offset: int, size: int) -> None:
        self.current = Field(spec, text, offset, size)
        self.root.children.append(self.current)

    def field(self, spec: FieldSpec, value: Value, offset: int, size: int) -> None:
        self.current.children.append(Field(spec, value, offset, size))

    def rows(self, rows: Iterable[Row]) -> None:
        self.current.children.extend([Field(*row) for row in rows])

    def tlv(self, found: TlvRange, decoder: TlvDecoder | None, data: bytes) -> None:
        node = self._tlv(found, decoder.heading if decoder else None)
        if decoder is None:
            value = data[found.value : found.end]
            node.children.append(Field(qmi.TLV_VALUE, value, found.value, len(value)))
            return
        first = len(node.children)
        node.problem = decoder.tree(data, found.value, found.end, node.children, self.budget)
        if not decoder.inline and len(node.children) > first and node.children[first].spec.kind is not Kind.NONE:
            node.value = value_text(node.children[first])

    def result(self, found: TlvRange, data: bytes) -> None:
        node = self._tlv(found, _RESULT)
        if found.end - found.value < 4:
            node.problem = Problem(Severity.ERROR, "the result TLV has 4 bytes", found.start, found.end - found.start)
            return
        result = Field(qmi.RESULT, int.from_bytes(data[found.value : found.value + 2], "little"), found.value, 2)
        error = Field(qmi.ERROR, int.from_bytes(data[found.value + 2 : found.value + 4], "little"), found.value + 2, 2)
        node.children += [result, error]
        node.value = value_text(result if not result.value else error)
        if result.value:
            node.problem = Problem(Severity.NOTE, f"the request failed: {node.value}", found.start, 7)

    def _tlv(self, found: TlvRange, heading: FieldSpec | None) -> Field:
        node = Field(heading or _unknown(found.type), None, found.start, found.end - found.start, [
            Field(qmi.TLV_TYPE, found.type, found.start, 1),
            Field(qmi.TLV_LENGTH, found.length, found.start + 1, 2),
        ])
        self.current.children.append(node)
        return node

    def problem(self, severity: Severity, text: str, offset: int, size: int) -> None:
        node = Field(EXPERT_MESSAGE, text, offset, size, [], Problem(severity, text, offset, size))
        self.current.children.append(node)


_RESULT = FieldSpec("", "TLV 0x02 result", Kind.NONE)
_UNKNOWN: dict[int, FieldSpec] = {}


def _unknown(kind: int) -> FieldSpec:
    if kind not in _UNKNOWN:
        _UNKNOWN[kind] = FieldSpec("", f"TLV 0x{kind:02x}", Kind.NONE)
    return _UNKNOWN[kind]


class ValuesSink:
    """Fills `into`: filter name -> value, or a list where a field occurs more than once."""

    def __init__(self, budget: int) -> None:
        self.into: dict[str, Any] = {}
        self.budget = [budget]
        self.seen: set[int] = set()

    def layer(self, spec: FieldSpec, text: str | None, offset: int, size: int) -> None:
        pass

    def field(self, spec: FieldSpec, value: Value, offset: int, size: int) -> None:
        add(self.into, spec.name, value)
        if spec.labels is not None and isinstance(value, int):
            label = flag_names(value, spec.labels) if spec.flags else spec.labels.get(value, "")
            add(self.into, f"{spec.name}.label", label)

    def rows(self, rows: Iterable[Row]) -> None:
        into = self.into
        for spec, value, _, _ in rows:
            into[spec.name] = value
            if spec.labels is not None and value in spec.labels:
                into[f"{spec.name}.label"] = spec.labels[value]  # type: ignore[index]

    def tlv(self, found: TlvRange, decoder: TlvDecoder | None, data: bytes) -> None:
        self._tlv(found)
        if decoder is None:
            add(self.into, "qmi.tlv.value", data[found.value : found.end])
            return
        again = found.type in self.seen
        self.seen.add(found.type)
        into: dict[str, Any] = {} if again else self.into
        problem = decoder.values(data, found.value, found.end, into, self.budget)
        if again:
            for name, value in into.items():
                for each in value if isinstance(value, list) else (value,):
                    add(self.into, name, each)
        if problem is not None:
            self.problem(problem.severity, problem.text, problem.offset, problem.size)

    def result(self, found: TlvRange, data: bytes) -> None:
        self._tlv(found)
        if found.end - found.value < 4:
            self.problem(Severity.ERROR, "the result TLV has 4 bytes", found.start, found.end - found.start)
            return
        self.field(qmi.RESULT, int.from_bytes(data[found.value : found.value + 2], "little"), found.value, 2)
        self.field(qmi.ERROR, int.from_bytes(data[found.value + 2 : found.value + 4], "little"), found.value + 2, 2)

    def _tlv(self, found: TlvRange) -> None:
        add(self.into, "qmi.tlv.type", found.type)
        add(self.into, "qmi.tlv.length", found.length)

    def problem(self, severity: Severity, text: str, offset: int, size: int) -> None:
        add(self.into, "expert.severity", int(severity))
        add(self.into, "expert.message", text)
