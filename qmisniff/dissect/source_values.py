# SPDX-License-Identifier: GPL-2.0-or-later
"""Source that puts plain values into a dict under their filter names; array elements become lists."""

from __future__ import annotations

from struct import calcsize

from qmisniff.definitions.fields import Enums, bit_spec
from qmisniff.definitions.model import Number, Struct, Type
from qmisniff.dissect import values
from qmisniff.dissect.source import Close, Open, Writer, fixed_leaves, number_from, struct_code


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

    def columns(self, element: Type, path: str, number: str) -> bool:
        leaves = fixed_leaves(element, path)
        if leaves is None or any(isinstance(kind, Number) and kind.bits for _, kind in leaves):
            return False
        codes = "".join(struct_code(kind) for _, kind in leaves)
        size = calcsize(f"<{codes}")
        self.need(f"{number} * {size}")
        cells, column, each = self.var(), self.var(), self.var()
        layout = f"'<%d{codes}' % {number}" if len(codes) == 1 else f"'<' + '{codes}' * {number}"
        self.add(f"{cells} = unpack({layout}, d, p)")
        for at, (name, kind) in enumerate(leaves):
            self.add(f"{column} = {cells}[{at}::{len(leaves)}]" if len(leaves) > 1 else f"{column} = {cells}")
            if isinstance(kind, Number) and struct_code(kind).endswith("s"):
                self.add(f"{column} = [{self.const(number_from(kind))}({each}) for {each} in {column}]")
            value = self.written(kind, each)
            self.add(f"{self.list(name)} += {column if value == each else f'[{value} for {each} in {column}]'}")
            if isinstance(kind, Number) and (kind.enum or kind.flags):
                label = self.written_label(kind, each)
                self.add(f"{self.list(f'{name}.label')} += [{label} for {each} in {column}]")
        self.add(f"p += {number} * {size}")
        return True

    def written(self, kind: Type, var: str) -> str:
        """The expression for what is put into the output."""
        return self.converted(kind, var)

    def written_label(self, kind: Number, var: str) -> str:
        """The expression for the label that is put into the output."""
        return self.label(kind, var)
