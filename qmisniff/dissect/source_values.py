# SPDX-License-Identifier: GPL-2.0-or-later
"""Source that puts plain values into a dict under their filter names; values of array elements become lists."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from struct import Struct
from typing import Any, NamedTuple

from qmisniff.definitions.fields import Enums, bit_spec
from qmisniff.definitions.model import Array, Choice, Number, Type, Union
from qmisniff.definitions.model import Struct as StructType
from qmisniff.dissect import values
from qmisniff.dissect.fixed import fixed_leaves, is_bytes, number_from, size_of, struct_code
from qmisniff.dissect.source import Close, Fixed, Head, Open, Writer
from qmisniff.field import Kind


class Part(NamedTuple):
    """One TLV of a sequence: its filter name, its type (None: only `decode` knows), and what decodes it alone."""

    id: int
    path: str
    kind: Type | None
    decode: Callable[[bytes, int, int, Any, list[int]], int]


class Column(NamedTuple):
    """A field of array elements, and the variable that holds what was unpacked of it once the function ends."""

    path: str
    kind: Type
    var: str


class Columns(NamedTuple):
    """Fields of array elements that were unpacked together. The variable holds a list: of the values of the field, or
    (`rows`) of tuples with a value of each field."""

    var: str
    rows: bool
    columns: Sequence[Column]


class ValuesWriter(Writer):
    """Inside arrays, what was unpacked is collected in lists, and made into values when the function ends, in whatever
    way it ends.

    Targets mean nothing here: a flat dict has no headings.
    """

    def __init__(self, enums: Enums, careful: bool) -> None:
        super().__init__(enums, careful)
        self.in_array = 0
        self.in_union = 0
        self.columns: list[Columns] = []

    def source(self) -> str:
        if self.columns:
            body, self.lines = self.lines, []
            self.depth += 1
            for each in self.columns:
                self.put_columns(each)
            begin = [f"    {each.var} = []" for each in self.columns]
            indented = [f"    {line}" for line in body]
            self.lines = [*begin, "    try:", *indented, "    finally:", *self.lines]
        return super().source()

    def sequence(self, parts: Sequence[Part]) -> None:
        """A whole sequence of TLVs with their heads. Values of fixed size are unpacked together across TLVs."""
        lengths: list[str] = []
        for part in parts:
            leaves = fixed_leaves(part.kind, part.path) if part.kind is not None else None
            size = sum(size_of(kind) for _, kind in leaves) if leaves is not None else None
            head = Head(int(part.id), size, self.var(), self.var(), self.var())
            self.run.append(head)
            lengths.append(head.size_var if size is None else str(size))
            if size is None:
                self.end = head.end
            if leaves is not None:
                self.leaves(leaves)
            elif part.kind is not None and _is_straight(part.kind):
                self.fields(part.kind, part.path, "o")
            else:
                self.flush()
                self.settle()
                self.add(f"p = {self.const(part.decode)}(d, p, {head.end}, o, g)")
            if size is None:
                self.flush()
                self.add(f"if p != {head.end}: raise stop(p, OTHER)")
                self.end = "e"
        self.flush()
        types = [str(int(part.id)) for part in parts]
        for path, found in (("qmi.tlv.type", types), ("qmi.tlv.length", lengths)):
            self.put_list(path, found)
        self.settle()

    def leaves(self, leaves: Sequence[tuple[str, Type]]) -> None:
        """Fields of fixed size that nothing else refers to."""
        for path, kind in leaves:
            self.value(kind, path, "o")

    @staticmethod
    def put_heads(into: dict[str, Any], types: list[int], lengths: list[int]) -> None:
        """What `sequence` says about the TLVs themselves, where they were decoded one by one."""
        into["qmi.tlv.type"] = types if len(types) > 1 else types[0]
        into["qmi.tlv.length"] = lengths if len(types) > 1 else lengths[0]

    # ---- what a value becomes ----

    def parts(self, kind: Type, path: str, var: str) -> Iterator[tuple[str, str]]:
        """The names that a value stands under, and the expression for each: itself, its label, its bits."""
        yield path, self.converted(kind, var)
        if isinstance(kind, Number):
            if kind.enum or kind.flags:
                labels = values.LabelTexts(self.enums[kind.enum or kind.flags], bool(kind.flags))
                yield f"{path}.label", f"{self.const(labels)}[{var}]"
            for bits in kind.bits:
                spec = bit_spec(path, bits, kind.size, self.enums)
                value = self.bits(bits, var)
                yield spec.name, f"{value} != 0" if spec.kind is Kind.BOOL else value
                if spec.labels is not None:
                    yield f"{spec.name}.label", f"{self.const(values.LabelTexts(spec.labels, False))}[{value}]"

    def put(self, path: str, value: str) -> None:
        self.add(f"o[{self.const(path)}] = {value}")

    def put_list(self, path: str, numbers: list[str]) -> None:
        """Put whole numbers, literals or variables, under a name."""
        self.put(path, numbers[0] if len(numbers) == 1 else f"[{', '.join(numbers)}]")

    def put_columns(self, found: Columns) -> None:
        """Put what was collected under its names: a value where there is but one, else a list of them."""
        with self.block(f"if {found.var}:"):
            self.unzip(found)
            for path, kind, var in found.columns:
                for name, value in self.parts(kind, path, "x"):
                    column = var if value == "x" else f"[{value} for x in {var}]"
                    self.add(f"o[{self.const(name)}] = {self.const(_one_or_all)}({column})")

    def unzip(self, found: Columns) -> None:
        """Columns out of tuples; numbers out of bytes."""
        if not found.rows:
            return
        self.add(f"{''.join(f'{column.var}, ' for column in found.columns)}= zip(*{found.var})")
        for _, kind, var in found.columns:
            if is_bytes(kind):
                self.add(f"{var} = [{self.const(number_from(kind))}(x) for x in {var}]")

    # ---- what the walk asks for ----

    def leaf(self, kind: Type, path: str, target: str, var: str, at: str, size: str) -> None:
        if self.in_array:
            self.add(f"{self.column(path, kind)}.append({var})")
            return
        for name, value in self.parts(kind, path, var):
            self.put(name, value)

    def flush(self) -> None:
        """In an array, a run of fields is kept as the tuple that it was unpacked into."""
        fields = [item for item in self.run if isinstance(item, Fixed)]
        if not self.in_array or self.in_union or len(fields) < 2:
            super().flush()
            return
        self.run = []
        layout = Struct("<" + "".join(struct_code(field.kind) for field in fields))
        self.need(layout.size)
        rows, row = self.var(), self.var()
        fields_of_row = "".join(f"{field.var}, " for field in fields)
        self.add(f"{row} = {fields_of_row}= {self.const(layout.unpack_from)}(d, p)")
        for field in fields:
            self.number(field.kind, field.var)
        self.add(f"{rows}.append({row})")
        self.add(f"p += {layout.size}")
        self.columns.append(Columns(rows, True, [Column(field.path, field.kind, self.var()) for field in fields]))

    def column(self, path: str, kind: Type) -> str:
        """The variable of a list of values. Cases of a union may share a name, and so their list."""
        for found in self.columns:
            if not found.rows and found.columns[0].path == path:
                return found.var
        var = self.var()
        self.columns.append(Columns(var, False, [Column(path, kind, var)]))
        return var

    def open(self, item: Open, at: str) -> None:
        pass

    def close(self, item: Close, at: str) -> None:
        pass

    def union(self, kind: Union, path: str, target: str) -> None:
        self.in_union += 1
        super().union(kind, path, target)
        self.in_union -= 1

    def open_array(self, path: str, element: Type, target: str) -> str:
        self.in_array += 1
        return target

    def close_array(self, var: str) -> None:
        self.in_array -= 1

    def element(self, kind: Type, path: str, target: str, index: str) -> None:
        self.fields(kind, path, target)

    def whole_array(self, element: Type, path: str, number: str) -> bool:
        leaves = fixed_leaves(element, path)
        if not leaves or self.in_union:
            return False
        layout = Struct("<" + "".join(struct_code(kind) for _, kind in leaves))
        size = layout.size
        self.need(f"{number} * {size}")
        elements = f"d[p:p + {number} * {size}]"
        if layout.format == "<B":
            self.add(f"{self.column(*leaves[0])} += {elements}")
        else:
            rows = self.var()
            self.columns.append(Columns(rows, True, [Column(name, kind, self.var()) for name, kind in leaves]))
            self.add(f"{rows} += {self.const(layout.iter_unpack)}({elements})")
        self.add(f"p += {number} * {size}")
        return True


def _one_or_all(column: Sequence[Any]) -> Any:
    return column[0] if len(column) == 1 else list(column)


def _is_straight(kind: Type) -> bool:
    """All its fields follow each other, without loops and branches."""
    if isinstance(kind, StructType):
        return all(_is_straight(each) for _, each in kind.fields)
    return not isinstance(kind, Array | Union | Choice)
