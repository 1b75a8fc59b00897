# SPDX-License-Identifier: GPL-2.0-or-later
"""Source that puts plain values into a dict under their filter names; array elements become lists."""

from __future__ import annotations

from qmisniff.definitions.fields import Enums, bit_spec
from qmisniff.definitions.model import Number, Struct, Type
from qmisniff.dissect import values
from qmisniff.dissect.source import Close, Open, Writer, struct_code


class ValuesWriter(Writer):
    """Inside arrays values are appended to lists, which the function makes when it begins; `lists` are their names.

    Targets mean nothing here: a flat dict has no headings.
    """

    def __init__(self, enums: Enums, careful: bool) -> None:
        super().__init__(enums, careful)
        self.in_array = 0
        self.lists: dict[str, str] = {}

    def top(self, kind: Type, path: str) -> None:
        super().top(kind, path)
        if self.lists:
            self.add(f"{self.const(values.collapse)}(o, {self.const(tuple(self.lists))})")

    def leaf(self, kind: Type, path: str, target: str, var: str, at: str, size: str) -> None:
        self.put(path, self.converted(kind, var))
        if isinstance(kind, Number):
            if kind.enum or kind.flags:
                self.put(f"{path}.label", self.label(kind, var))
            for bits in kind.bits:
                spec = bit_spec(path, bits, kind.size, self.enums)
                self.put(spec.name, self.bits(bits, var, spec))
                if spec.labels is not None:
                    self.put(f"{spec.name}.label", f"{self.const(spec.labels)}.get({self.bits(bits, var, spec)}, '')")

    def label(self, kind: Number, var: str) -> str:
        labels = self.const(self.enums[kind.enum or kind.flags])
        return f"{self.const(values.flag_names)}({var}, {labels})" if kind.flags else f"{labels}.get({var}, '')"

    def put(self, path: str, value: str) -> None:
        self.add(f"{self.list(path)}.append({value})" if self.in_array else f"o[{self.const(path)}] = {value}")

    def list(self, path: str) -> str:
        if path not in self.lists:
            self.lists[path] = self.var()
            self.lines.insert(0, f"    {self.lists[path]} = o[{self.const(path)}] = []")
        return self.lists[path]

    def open(self, item: Open, at: str) -> None:
        pass

    def close(self, item: Close, at: str) -> None:
        pass

    def open_array(self, path: str, element: Type, target: str) -> str:
        self.in_array += 1
        return target

    def close_array(self, var: str) -> None:
        self.in_array -= 1

    def element(self, kind: Type, path: str, target: str, index: str) -> None:
        if isinstance(kind, Struct):
            self.struct(kind, path, target)
        else:
            self.value(kind, path, target)

    def plain_array(self, element: Type, path: str, number: str) -> bool:
        if self.careful or not isinstance(element, Number) or element.bits or struct_code(element).endswith("s"):
            return False
        self.need(f"{number} * {element.size}")
        found, each = self.var(), self.var()
        self.add(f"{found} = unpack('<%d{struct_code(element)}' % {number}, d, p)")
        value = self.converted(element, each)
        target = self.list(path)
        self.add(f"{target} += {found}" if value == each else f"{target} += [{value} for {each} in {found}]")
        if element.enum or element.flags:
            self.add(f"{self.list(f'{path}.label')} += [{self.label(element, each)} for {each} in {found}]")
        self.add(f"p += {number} * {element.size}")
        return True
