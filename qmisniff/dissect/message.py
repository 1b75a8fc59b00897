# SPDX-License-Identifier: GPL-2.0-or-later
"""The TLVs of a QMI message: which there should be, and each one's decode functions, compiled when first met."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from qmisniff.definitions.fields import Enums
from qmisniff.definitions.model import Choice, Message, Struct, Tlv, Type
from qmisniff.dissect.generate import Compiled, Output, Reason, Stop, compile_tlv
from qmisniff.field import Field, FieldSpec, Kind, Problem, Severity
from qmisniff.protocol import qmi

MAX_FIELDS = 4000  # of one message; what comes after them stays bytes
MAX_TLVS = 256  # there are no more types

_REMAINDER = FieldSpec("qmi.tlv.undecoded", "Undecoded", Kind.BYTES)


class TlvDecoder:
    """One TLV of one message."""

    def __init__(self, tlv: Tlv, path: str, enums: Enums) -> None:
        self.tlv = tlv
        self.path = path
        self.enums = enums
        layouts = tlv.type.layouts if isinstance(tlv.type, Choice) else (tlv.type,)
        self._layouts: tuple[Type, ...] = layouts
        self._compiled: dict[tuple[int, Output, bool], Compiled] = {}
        inline = all(isinstance(layout, Struct) for layout in layouts)
        self.heading = FieldSpec(path if inline else "", f"TLV 0x{tlv.id:02x} {tlv.name}", Kind.NONE)
        self.inline = inline

    def _function(self, layout: int, output: Output, careful: bool) -> Compiled:
        found = self._compiled.get((layout, output, careful))
        if found is None:
            found = compile_tlv(self._layouts[layout], self.path, self.enums, output, careful)
            self._compiled[layout, output, careful] = found
        return found

    def _decode(self, output: Output, data: bytes, start: int, end: int, into: Any, budget: list[int]) -> Stop | int:
        """Decode into a list of Fields or a dict; where decoding ended, or why it stopped."""
        chosen = 0
        if len(self._layouts) > 1:
            for layout in range(len(self._layouts)):
                trial: Any = {} if output is Output.VALUES else []
                try:
                    if self._function(layout, output, False).decode(data, start, end, trial, budget[:]) == end:
                        chosen = layout
                        break
                except Stop:
                    pass
        quick = self._function(chosen, output, False)
        made = len(into) if output is Output.TREE else 0
        spent = budget[0]
        try:
            return quick.decode(data, start, end, into, budget)
        except Stop as stop:
            if stop.reason is not Reason.SHORT:
                return stop
        finally:
            if quick.lists:
                collapse(into, quick.lists)
        if output is Output.TREE:
            del into[made:]
        budget[0] = spent
        careful = self._function(chosen, output, True)
        try:
            return careful.decode(data, start, end, into, budget)
        except Stop as stop:
            return stop
        finally:
            if careful.lists:
                collapse(into, careful.lists)

    def tree(self, data: bytes, start: int, end: int, children: list[Field], budget: list[int]) -> Problem | None:
        """Append the value's fields; whatever does not decode follows as bytes, and the problem says why."""
        made = len(children)
        found = self._decode(Output.TREE, data, start, end, children, budget)
        budget[0] -= len(children) - made
        problem, at = self._problem(found, start, end)
        if at < end:
            children.append(Field(_REMAINDER, data[at:end], at, end - at, [], problem))
            return None
        return problem

    def values(self, data: bytes, start: int, end: int, into: dict[str, Any], budget: list[int]) -> Problem | None:
        """Put the value's fields into a dict under their filter names."""
        found = self._decode(Output.VALUES, data, start, end, into, budget)
        if found == end:
            return None
        problem, at = self._problem(found, start, end)
        if at < end:
            add(into, _REMAINDER.name, data[at:end])
        return problem

    def _problem(self, found: Stop | int, start: int, end: int) -> tuple[Problem | None, int]:
        if isinstance(found, Stop):
            severity = Severity.ERROR if found.reason is Reason.SHORT else Severity.NOTE
            what = f"{self.tlv.name}: {found.reason.value}"
            return Problem(severity, what, found.at, end - found.at), found.at
        if found < end:
            count = end - found
            return Problem(Severity.WARN, f"{self.tlv.name}: {count} bytes more than known", found, count), found
        return None, end


class MessageDecoder:
    """One kind (request, response, indication) of one message."""

    def __init__(self, prefix: str, message: Message, kind: int, enums: Enums) -> None:
        self.message = message
        section = message.tlvs[kind] if kind < len(message.tlvs) else None
        self.known = section is not None
        self.tlvs = {
            tlv.id: TlvDecoder(tlv, f"{prefix}.{message.name}.{tlv.name}", enums) for tlv in section or ()
        }
        self.mandatory = tuple(tlv for tlv in section or () if tlv.mandatory)


def add(into: dict[str, Any], name: str, value: Any) -> None:
    """Put a value under a name that may be there already: then its values become a list."""
    if name not in into:
        into[name] = value
    elif isinstance(found := into[name], list):
        found.append(value)
    else:
        into[name] = [found, value]


def collapse(into: dict[str, Any], names: tuple[str, ...]) -> None:
    """A list of one value becomes the value, a list of none goes."""
    for name in names:
        found = into[name]
        if not found:
            del into[name]
        elif len(found) == 1:
            into[name] = found[0]


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
