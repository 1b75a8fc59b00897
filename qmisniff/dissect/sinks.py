# SPDX-License-Identifier: GPL-2.0-or-later
"""What a decoded frame becomes: a tree of Fields, a flat dict of values, its JSON text. The walk is the same."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from typing import Any, Protocol

from qmisniff.dissect.message import MessageDecoder
from qmisniff.dissect.text import value_text
from qmisniff.dissect.tlv import MAX_FIELDS, RESULT_DECODER, TlvDecoder, TlvRange
from qmisniff.dissect.values import add, flag_names, not_finite
from qmisniff.field import Field, FieldSpec, Kind, Problem, Severity, Value
from qmisniff.protocol import qmi
from qmisniff.protocol.layout import Row

EXPERT_SEVERITY = FieldSpec("expert.severity", "Severity", Kind.UINT, labels={s: s.name.lower() for s in Severity})
EXPERT_MESSAGE = FieldSpec("expert.message", "Message", Kind.STRING)


class Sink(Protocol):
    """Takes the parts of a frame in the order of its bytes."""

    def layer(self, spec: FieldSpec, text: str | None, offset: int, size: int) -> None:
        """A protocol layer begins; fields go into it until the next one."""

    def rows(self, rows: Iterable[Row]) -> None:
        """Fields of the layer that occur once."""

    def field(self, spec: FieldSpec, value: Value, offset: int, size: int) -> None:
        """A field that may occur again."""

    def tlvs(self, decoder: MessageDecoder, data: bytes, start: int, end: int) -> bool:
        """Take all TLVs of a message at once; False where they must be taken one by one."""
        ...

    def tlv(self, found: TlvRange, decoder: TlvDecoder | None, data: bytes) -> None:
        """One TLV; without a decoder its value is bytes."""

    def problem(self, severity: Severity, text: str, offset: int, size: int) -> None:
        """Something is wrong with a range of bytes of the current layer."""

    def next_message(self) -> Sink:
        """What takes the next message of a frame that has several."""
        ...


class TreeSink:
    """Builds the tree below `root`."""

    def __init__(self, root: Field) -> None:
        self._root = root
        self._layer = root
        self._budget = [MAX_FIELDS]

    def layer(self, spec: FieldSpec, text: str | None, offset: int, size: int) -> None:
        self._layer = Field(spec, text, offset, size)
        self._root.children.append(self._layer)

    def rows(self, rows: Iterable[Row]) -> None:
        self._layer.children.extend([Field(spec, value, offset, size, []) for spec, value, offset, size in rows])

    def field(self, spec: FieldSpec, value: Value, offset: int, size: int) -> None:
        self._layer.children.append(Field(spec, value, offset, size))

    def tlvs(self, decoder: MessageDecoder, data: bytes, start: int, end: int) -> bool:
        return False  # every TLV has its own node

    def tlv(self, found: TlvRange, decoder: TlvDecoder | None, data: bytes) -> None:
        kind, length, start, value, end = found
        children = [Field(qmi.TLV_TYPE, kind, start, 1), Field(qmi.TLV_LENGTH, length, start + 1, 2)]
        node = Field(decoder.heading if decoder else _unknown(kind), None, start, end - start, children)
        self._layer.children.append(node)
        if decoder is None:
            children.append(Field(qmi.TLV_VALUE, data[value:end], value, end - value))
            return
        node.problem = decoder.tree(data, value, end, children, self._budget)
        if decoder is RESULT_DECODER:
            _show_result(node)
        elif not decoder.inline and len(children) > 2 and children[2].spec.kind is not Kind.NONE:
            node.value = value_text(children[2])

    def problem(self, severity: Severity, text: str, offset: int, size: int) -> None:
        problem = Problem(severity, text, offset, size)
        self._layer.children.append(Field(EXPERT_MESSAGE, text, offset, size, [], problem))

    def next_message(self) -> Sink:
        self._budget = [MAX_FIELDS]
        return self


def _show_result(node: Field) -> None:
    """The result beside the TLV's name; a failure is remarkable."""
    words = {child.spec.name: child for child in node.children}
    result, error = words.get("qmi.result"), words.get("qmi.error")
    if result is None or error is None:
        return
    if result.value == 0:
        node.value = value_text(result)
        return
    node.value = value_text(error)
    if node.problem is None:
        node.problem = Problem(Severity.NOTE, f"the request failed: {node.value}", node.offset, node.size)


_UNKNOWN: dict[int, FieldSpec] = {}


def _unknown(kind: int) -> FieldSpec:
    if kind not in _UNKNOWN:
        _UNKNOWN[kind] = FieldSpec("", f"TLV 0x{kind:02x}", Kind.NONE)
    return _UNKNOWN[kind]


class ValuesSink:
    """Fills `into`: filter name -> value, or a list where a field occurs more than once."""

    def __init__(self) -> None:
        self.into: dict[str, Any] = {}
        self._budget = [MAX_FIELDS]

    def layer(self, spec: FieldSpec, text: str | None, offset: int, size: int) -> None:
        pass

    def rows(self, rows: Iterable[Row]) -> None:
        into = self.into
        for spec, value, _, _ in rows:
            into[spec.name] = value
            if spec.labels is not None and value in spec.labels:
                into[f"{spec.name}.label"] = spec.labels[value]  # type: ignore[index]  # None is in no labels

    def field(self, spec: FieldSpec, value: Value, offset: int, size: int) -> None:
        add(self.into, spec.name, value)
        if spec.labels is not None and isinstance(value, int):
            label = flag_names(value, spec.labels) if spec.flags else spec.labels.get(value, "")
            add(self.into, f"{spec.name}.label", label)

    def tlvs(self, decoder: MessageDecoder, data: bytes, start: int, end: int) -> bool:
        values = decoder.values(data, start, end)
        if values is None:
            return False
        self.into.update(values)
        return True

    def tlv(self, found: TlvRange, decoder: TlvDecoder | None, data: bytes) -> None:
        add(self.into, "qmi.tlv.type", found.type)
        add(self.into, "qmi.tlv.length", found.length)
        if decoder is None:
            add(self.into, "qmi.tlv.value", data[found.value : found.end])
            return
        problem = decoder.values(data, found.value, found.end, self.into, self._budget)
        if problem is not None:
            self.problem(problem.severity, problem.text, problem.offset, problem.size)

    def problem(self, severity: Severity, text: str, offset: int, size: int) -> None:
        add(self.into, "expert.severity", int(severity))
        add(self.into, "expert.message", text)

    def next_message(self) -> Sink:
        self._budget = [MAX_FIELDS]
        return _AddedValues(self)


class _AddedValues:
    """Adds a further message to values: every name may be there already."""

    def __init__(self, first: ValuesSink) -> None:
        self._first = first
        self.layer, self.field, self.tlv, self.problem = first.layer, first.field, first.tlv, first.problem

    def rows(self, rows: Iterable[Row]) -> None:
        for row in rows:
            self._first.field(*row)

    def tlvs(self, decoder: MessageDecoder, data: bytes, start: int, end: int) -> bool:
        return False  # one by one, so that nothing is overwritten

    def next_message(self) -> Sink:
        return self._first.next_message()


def to_json(values: dict[str, Any]) -> str:
    """A flat JSON object; bytes are hexadecimal, a float that is no number is a text."""
    return json.dumps({name: _plain(value) for name, value in values.items()}, separators=(",", ":"))


def _plain(value: Any) -> Any:
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, float):
        return value if math.isfinite(value) else not_finite(value)
    if isinstance(value, list):
        return [_plain(each) for each in value]
    return value
