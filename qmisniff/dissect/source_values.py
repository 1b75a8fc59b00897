# SPDX-License-Identifier: GPL-2.0-or-later
"""Source that puts plain values into a dict under their filter names; values of array elements become lists."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator, Sequence
from struct import calcsize
from typing import Any, NamedTuple

from qmisniff.definitions.fields import Enums, bit_spec
from qmisniff.definitions.model import Number, Struct, Type
from qmisniff.dissect import values
from qmisniff.dissect.fixed import fixed_leaves, number_from, size_of, struct_code
from qmisniff.dissect.source import Check, Close, Open, Writer
from qmisniff.field import Kind


class Part(NamedTuple):
    """One TLV of a sequence: its filter name, its type (None: only `decode` knows), and what decodes it alone."""

    id: int
    path: str
    kind: Type | None
    decode: Callable[[bytes, int, int, Any, list[int]], int]


class ValuesWriter(Writer):
    """Inside arrays, what was unpacked is appended to a list for each field (`columns`, path -> type and variable), and
    made into values when the function ends, in whatever way it ends.

    Targets mean nothing here: a flat dict has no headings.
    """

    def __init__(self, enums: Enums, careful: bool) -> None:
        super().__init__(enums, careful)
        self.in_array = 0
        self.columns: dict[str, tuple[Type, str]] = {}

    def source(self) -> str:
        if self.columns:
            body, self.lines = self.lines, []
            for path, (kind, column) in self.columns.items():
                for name, value in self.parts(kind, path, "x"):
                    self.put_column(name, column, column if value == "x" else f"[{value} for x in {column}]")
            begin = [f"    {column} = []" for _, column in self.columns.values()]
            indented = [f"    {line}" for line in body]
            self.lines = [*begin, "    try:", *indented, "    finally:", *[f"    {line}" for line in self.lines]]
        return super().source()

    def sequence(self, parts: Sequence[Part]) -> None:
        """A whole sequence of TLVs with their heads. Values of fixed size are unpacked together across TLVs."""
        lengths: list[str] = []
        for part in parts:
            leaves = fixed_leaves(part.kind, part.path) if part.kind is not None else None
            if leaves is not None:
                size = sum(size_of(kind) for _, kind in leaves)
                self.run.append(Check(struct.pack("<BH", part.id, size), self.var()))
                for path, kind in leaves:
                    self.value(kind, path, "o")
                lengths.append(str(size))
                continue
            self.flush()
            length, stop = self.var(), self.var()
            self.need(3)
            self.add(f"if d[p] != {int(part.id)}: raise stop(p, OTHER)")
            self.add(f"{length} = d[p + 1] | d[p + 2] << 8")
            self.add(f"{stop} = p + 3 + {length}")
            ended = f"{self.const(part.decode)}(d, p + 3, {stop}, o, g)"
            self.add(f"if {stop} > e or {ended} != {stop}: raise stop(p, OTHER)")
            self.add(f"p = {stop}")
            lengths.append(length)
        self.flush()
        types = [str(int(part.id)) for part in parts]
        for path, found in (("qmi.tlv.type", types), ("qmi.tlv.length", lengths)):
            self.put(path, found[0] if len(found) == 1 else f"[{', '.join(found)}]")
        self.settle()

    @staticmethod
    def put_heads(into: dict[str, Any], types: list[int], lengths: list[int]) -> None:
        """What `sequence` says about the TLVs themselves, where they were decoded one by one."""
        into["qmi.tlv.type"] = types if len(types) > 1 else types[0]
        into["qmi.tlv.length"] = lengths if len(types) > 1 else lengths[0]

    # ---- what a value becomes ----

    def parts(self, kind: Type, path: str, var: str) -> Iterator[tuple[str, str]]:
        """The names that a value stands under, and the expression for each: itself, its label, its bits."""
        yield path, self.written(kind, var)
        if isinstance(kind, Number):
            if kind.enum or kind.flags:
                labels = self.labels(self.enums[kind.enum or kind.flags], bool(kind.flags))
                yield f"{path}.label", f"{self.const(labels)}[{var}]"
            for bits in kind.bits:
                spec = bit_spec(path, bits, kind.size, self.enums)
                value = self.bits(bits, var)
                yield spec.name, self.written(Number("u", kind.size, truth=spec.kind is Kind.BOOL), value)
                if spec.labels is not None:
                    yield f"{spec.name}.label", f"{self.const(self.labels(spec.labels, False))}[{value}]"

    def written(self, kind: Type, var: str) -> str:
        """The expression for what is put into the output."""
        return self.converted(kind, var)

    def labels(self, labels: values.Labels, flags: bool) -> values.LabelTexts:
        return values.LabelTexts(labels, flags)

    def put(self, path: str, value: str) -> None:
        self.add(f"o[{self.const(path)}] = {value}")

    def put_column(self, path: str, column: str, value: str) -> None:
        self.add(f"if len({column}) > 1: o[{self.const(path)}] = {value}")
        self.add(f"elif {column}: o[{self.const(path)}], = {value}")

    # ---- what the walk asks for ----

    def leaf(self, kind: Type, path: str, target: str, var: str, at: str, size: str) -> None:
        if self.in_array:
            self.add(f"{self.column(path, kind)}.append({var})")
            return
        for name, value in self.parts(kind, path, var):
            self.put(name, value)

    def column(self, path: str, kind: Type) -> str:
        if path not in self.columns:
            self.columns[path] = kind, self.var()
        return self.columns[path][1]

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

    def whole_array(self, element: Type, path: str, number: str) -> bool:
        leaves = fixed_leaves(element, path)
        if leaves is None:
            return False
        codes = "".join(struct_code(kind) for _, kind in leaves)
        size, cells = calcsize(f"<{codes}"), self.var()
        self.need(f"{number} * {size}")
        layout = f"'<%d{codes}' % {number}" if len(codes) == 1 else f"'<' + '{codes}' * {number}"
        self.add(f"{cells} = unpack({layout}, d, p)")
        for at, (name, kind) in enumerate(leaves):
            column = cells if len(leaves) == 1 else f"{cells}[{at}::{len(leaves)}]"
            if isinstance(kind, Number) and struct_code(kind).endswith("s"):
                column = f"[{self.const(number_from(kind))}(x) for x in {column}]"
            self.add(f"{self.column(name, kind)} += {column}")
        self.add(f"p += {number} * {size}")
        return True
