# SPDX-License-Identifier: GPL-2.0-or-later
"""Source that appends Fields to a list: everything with its offset, for a tree."""

from __future__ import annotations

from qmisniff.definitions.fields import bit_spec, spec_of
from qmisniff.definitions.model import Number, Struct, Type
from qmisniff.dissect.source import Close, Open, Writer
from qmisniff.field import FieldSpec, Kind


class TreeWriter(Writer):
    """Targets are variables that hold Fields, except `o`, which holds the list."""

    def append(self, target: str, field: str) -> None:
        self.add(f"{target}.append({field})" if target == "o" else f"{target}.children.append({field})")

    def leaf(self, kind: Type, path: str, target: str, var: str, at: str, size: str) -> None:
        spec = self.const(spec_of(path, kind, self.enums))
        field = f"F({spec}, {self.converted(kind, var)}, {at}, {size}, [])"
        if not isinstance(kind, Number) or not kind.bits:
            self.append(target, field)
            return
        whole = self.var()
        self.add(f"{whole} = {field}")
        self.append(target, whole)
        for bits in kind.bits:
            part = bit_spec(path, bits, kind.size, self.enums)
            value = f"({self.bits(bits, var)}) != 0" if part.kind is Kind.BOOL else self.bits(bits, var)
            self.append(whole, f"F({self.const(part)}, {value}, {at}, {size}, [])")

    def open(self, item: Open, at: str) -> None:
        self.add(f"{item.var} = F({self.const(item.spec)}, {item.value}, {at}, e - ({at}), [])")
        self.append(item.target, item.var)

    def close(self, item: Close, at: str) -> None:
        self.add(f"{item.var}.size = {at} - {item.var}.offset")

    def open_array(self, path: str, element: Type, target: str) -> str:
        # Elements that are plain values stand under the array's own name, so the heading has none.
        name = path if isinstance(element, Struct) else ""
        heading = Open(FieldSpec(name, path.rpartition(".")[2], Kind.NONE), "None", target, self.var())
        self.open(heading, "p")
        return heading.var

    def close_array(self, var: str) -> None:
        self.close(Close(var), "p")

    def element(self, kind: Type, path: str, target: str, index: str) -> None:
        if not isinstance(kind, Struct):
            self.value(kind, path, target)
            return
        heading = Open(FieldSpec("", path.rpartition(".")[2], Kind.NONE), index, target, self.var())
        self.heading(heading)
        self.struct(kind, path, heading.var)
        self.run.append(Close(heading.var))
