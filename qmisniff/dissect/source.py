# SPDX-License-Identifier: GPL-2.0-or-later
"""A TLV's type -> lines of Python that decode it: the walk over the type, common to all outputs.

Fixed-size fields that follow each other are unpacked by one struct call. Nothing of a definition's text becomes part
of the source: names, labels and specs are constants, bound as k0, k1, ... in the function's globals.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from enum import Enum
from struct import Struct
from typing import Any, NamedTuple

from qmisniff.definitions.fields import Enums, spec_of
from qmisniff.definitions.model import (
    Address,
    Array,
    BitField,
    Bytes,
    Choice,
    Length,
    Number,
    Text,
    Type,
    Union,
)
from qmisniff.definitions.model import Struct as StructType
from qmisniff.dissect import values
from qmisniff.dissect.characters import DECODED, characters_from
from qmisniff.dissect.fixed import is_bytes, number_from, size_of, struct_code
from qmisniff.field import Field, FieldSpec
from qmisniff.protocol import qmi


class Reason(Enum):
    """Why decoding of a TLV stopped early."""

    SHORT = "the value ends inside this field"
    BUDGET = "too many fields to show"
    NO_CASE = "no layout is known for this selector"
    OTHER = "another sequence of TLVs"


class Stop(Exception):
    """Decoding stopped at offset `at`."""

    def __init__(self, at: int, reason: Reason) -> None:
        self.at = at
        self.reason = reason


class Fixed(NamedTuple):
    """A field of fixed size waiting in the current run."""

    kind: Type
    path: str
    target: str
    var: str


class Open(NamedTuple):
    """A heading that begins here."""

    spec: FieldSpec
    value: str
    target: str
    var: str


class Close(NamedTuple):
    var: str


class Head(NamedTuple):
    """The head of a TLV: its type, its size where that is fixed, and variables for both as they stand in the bytes.
    Where the size is not fixed, `end` is the variable for the end of the value."""

    type: int
    size: int | None
    type_var: str
    size_var: str
    end: str


class Writer:
    """Walks a type and writes lines; what a decoded field becomes is left to the subclasses.

    In the source, d is the data, p the current offset, e the end of the value, o the output, g the budget. A *careful*
    writer unpacks field by field: what it writes is used only after the quick form has found the bytes too short, and
    gives what decodes before that point.
    """

    def __init__(self, enums: Enums, careful: bool) -> None:
        self.enums = enums
        self.careful = careful
        self.lines: list[str] = []
        self.names: dict[str, Any] = {
            "__builtins__": {"range": range, "int": int, "len": len, "map": map, "zip": zip},
            "stop": Stop,
            "F": Field,
            **{reason.name: reason for reason in Reason},
        }
        self.serial = itertools.count()
        self.depth = 1
        self.end = "e"
        self.run: list[Fixed | Open | Close | Head] = []
        self.scopes: list[dict[str, tuple[str, Type]]] = [{}]  # earlier fields: variable, type

    # ---- source ----

    def source(self) -> str:
        """The whole function, once `top` has walked the type."""
        return "\n".join(["def decode(d, p, e, o, g):", *self.lines, "    return p", ""])

    def add(self, text: str) -> None:
        self.lines.append("    " * self.depth + text)

    @contextmanager
    def block(self, head: str) -> Iterator[None]:
        self.add(head)
        self.depth += 1
        yield
        self.depth -= 1

    def const(self, value: Any) -> str:
        name = f"k{next(self.serial)}"
        self.names[name] = value
        return name

    def var(self) -> str:
        return f"v{next(self.serial)}"

    def need(self, size: int | str) -> None:
        self.add(f"if {self.end} - p < {size}: raise stop(p, SHORT)")

    def number(self, kind: Type, var: str) -> None:
        """Make the variable a number, where struct could only unpack its bytes."""
        if is_bytes(kind):
            self.add(f"{var} = {self.const(number_from(kind))}({var})")

    # ---- types ----

    def top(self, kind: Type, path: str) -> None:
        """The TLV's own value: the fields of a struct stand directly below the TLV."""
        self.fields(kind, path, "o")
        self.flush()
        self.settle()

    def fields(self, kind: Type, path: str, target: str) -> None:
        """The fields of a struct without a heading of its own, or another value."""
        if isinstance(kind, StructType):
            self.struct(kind, path, target)
        else:
            self.value(kind, path, target)

    def value(self, kind: Type, path: str, target: str) -> str:
        """Write the code for one value; returns the variable that will hold the raw value of a number."""
        match kind:
            case Number() | Address() | Text(length=Length("fixed"), by="") | Bytes(length=Length("fixed")):
                fixed = Fixed(kind, path, target, self.var())
                self.run.append(fixed)
                if self.careful:
                    self.flush()
                return fixed.var
            case Text() | Bytes():
                self.flush()
                self.stretch(kind, path, target)
            case StructType():
                heading = Open(spec_of(path, kind, self.enums), "None", target, self.var())
                self.heading(heading)
                self.struct(kind, path, heading.var)
                self.run.append(Close(heading.var))
            case Array():
                self.flush()
                self.array(kind, path, target)
            case Union():
                self.flush()
                self.union(kind, path, target)
            case Choice():
                raise TypeError("layouts of a choice are compiled one by one")
        return ""

    def heading(self, item: Open) -> None:
        """A careful writer leaves it there even where nothing below it fits."""
        self.run.append(item)
        if self.careful:
            self.flush()

    def struct(self, kind: StructType, path: str, target: str) -> None:
        self.scopes.append({})
        for name, each in kind.fields:
            self.scopes[-1][name] = self.value(each, f"{path}.{name}", target), each
        self.scopes.pop()

    def flush(self) -> None:
        """Write out the run of fixed-size fields."""
        run, self.run = self.run, []
        heads = [item for item in run if isinstance(item, Head)]
        fixed = [item for item in run if isinstance(item, Fixed)]
        self.unpack([item for item in run if isinstance(item, Fixed | Head)], "e" if heads else self.end)
        self.check(heads)
        for item in fixed:
            self.number(item.kind, item.var)
        at = 0
        for step in run:
            position = f"p + {at}" if at else "p"
            match step:
                case Fixed(kind, path, target, var):
                    self.leaf(kind, path, target, var, position, str(size_of(kind)))
                    at += size_of(kind)
                case Head(size=size, size_var=var, end=end):
                    at += qmi.TLV_HEAD.size
                    if size is None:
                        self.add(f"{end} = p + {at} + {var}")
                case Open():
                    self.open(step, position)
                case Close():
                    self.close(step, position)
        if at:
            self.add(f"p += {at}")
        if heads and heads[-1].size is None:
            self.add(f"if not p <= {heads[-1].end} <= e: raise stop(p, OTHER)")

    def unpack(self, items: Sequence[Fixed | Head], end: str) -> None:
        """Unpack what follows each other by one struct call, into the variables of the items."""
        codes = ["BH" if isinstance(item, Head) else struct_code(item.kind) for item in items]
        names = [f"{item.type_var}, {item.size_var}" if isinstance(item, Head) else item.var for item in items]
        layout = Struct("<" + "".join(codes))
        if not codes:
            return
        self.add(f"if {end} - p < {layout.size}: raise stop(p, SHORT)")
        self.add(
            f"{names[0]} = d[p]" if codes == ["B"] else f"{', '.join(names)}, = {self.const(layout.unpack_from)}(d, p)"
        )

    def check(self, heads: Sequence[Head]) -> None:
        """Stop where these are not the heads in the bytes."""
        wanted = {head.type_var: head.type for head in heads}
        wanted |= {head.size_var: head.size for head in heads if head.size is not None}
        if wanted:
            numbers = ", ".join(str(int(number)) for number in wanted.values())
            self.add(f"if ({', '.join(wanted)},) != ({numbers},): raise stop(p, OTHER)")

    def stretch(self, kind: Text | Bytes, path: str, target: str) -> None:
        """Text or bytes whose length is only known from the packet."""
        length, var = kind.length, self.var()
        if length.form == "rest":
            self.add(f"{var} = d[p:{self.end}]")
            self.leaf(self.decoded(kind, var), path, target, var, "p", f"{self.end} - p")
            self.add(f"p = {self.end}")
            return
        size = self.count(length)
        prefix = length.size if length.form == "prefix" else 0
        if isinstance(kind, Text) and kind.encoding == "utf16" and not length.counts_bytes:
            self.add(f"{size} *= 2")
        self.add(f"if {self.end} - p - {prefix} < {size}: raise stop(p, SHORT)")
        self.add(f"{var} = d[p + {prefix}:p + {prefix} + {size}]")
        self.leaf(self.decoded(kind, var), path, target, var, "p", f"{prefix} + {size}")
        self.add(f"p += {prefix} + {size}")

    def decoded(self, kind: Text | Bytes, var: str) -> Type:
        """Text whose encoding an earlier field names is decoded at once, while that field is at hand."""
        if not isinstance(kind, Text) or not kind.by:
            return kind
        selector, number = self.scopes[-1][kind.by]
        labels = self.enums[number.enum] if isinstance(number, Number) else {}
        self.add(f"{var} = {self.const(values.Encodings(labels))}[{selector}]({var})")
        return kind._replace(encoding=DECODED, by="")

    def count(self, length: Length) -> str:
        """The variable that holds a length or count; p stays before its prefix."""
        var = self.var()
        if length.form == "fixed":
            self.add(f"{var} = {length.size}")
        elif length.form == "field":
            self.add(f"{var} = {self.scopes[-1][length.field][0]}")
            with self.block(f"if {var} < 0:"):
                self.add("raise stop(p, SHORT)")
        else:
            self.need(length.size)
            many = f"int.from_bytes(d[p:p + {length.size}], 'little')"
            self.add(f"{var} = {many if length.size > 1 else 'd[p]'}")
        return var

    def array(self, kind: Array, path: str, target: str) -> None:
        length, element = kind.count, kind.element
        target = self.open_array(path, element, target)
        outer_end = self.end
        if length.form == "rest":
            head = f"while p < {self.end}:"
        else:
            number = self.count(length)
            if length.form == "prefix":
                self.add(f"p += {length.size}")
            if length.counts_bytes:
                self.need(number)
                self.end = self.var()
                self.add(f"{self.end} = p + {number}")
                head = f"while p < {self.end}:"
            elif not self.careful and self.whole_array(element, path, number):
                self.close_array(target)
                return
            else:
                head = f"for {(index := self.var())} in range({number}):"
        if head.startswith("while"):
            index = self.var()
            self.add(f"{index} = -1")
        self.settle()
        with self.block(head):
            if head.startswith("while"):
                self.add(f"{index} += 1")
            self.add(f"g[0] -= {1 + leaves(element)}")
            self.add("if g[0] < 0: raise stop(p, BUDGET)")
            self.element(element, path, target, index)
            self.flush()
        self.end = outer_end
        self.close_array(target)

    def union(self, kind: Union, path: str, target: str) -> None:
        self.settle()
        selector, word = self.scopes[-1][kind.on][0], "if"
        for value, name, each in kind.cases:
            with self.block(f"{word} {selector} == {int(value)}:"):
                self.value(each, f"{path}.{name}", target)
                self.flush()
                self.settle()
                self.add("pass")
            word = "elif"
        with self.block("else:" if kind.cases else "if True:"):
            self.add("raise stop(p, NO_CASE)")

    def bits(self, bits: BitField, var: str) -> str:
        """The expression for some bits of a number, as a number."""
        return f"({var} >> {int(bits.low)} & {(1 << bits.width) - 1})"

    def converted(self, kind: Type, var: str) -> str:
        """The expression that turns what was unpacked into the value that is shown."""
        match kind:
            case Number():
                if kind.truth:
                    return f"{var} != 0"
                scaled = var if kind.num == 1 else f"{var} * {int(kind.num)}"
                return scaled if kind.den == 1 else f"{scaled} / {int(kind.den)}"
            case Text(encoding=encoding) if encoding == DECODED:
                return var
            case Text() | Address():
                return f"{self.const(characters_from(kind))}({var})"
            case _:
                return var

    # ---- what the subclasses decide ----

    def settle(self) -> None:
        """Write out what is still held back: the code that follows runs only sometimes, or never."""

    def leaf(self, kind: Type, path: str, target: str, var: str, at: str, size: str) -> None:
        raise NotImplementedError

    def open(self, item: Open, at: str) -> None:
        raise NotImplementedError

    def close(self, item: Close, at: str) -> None:
        raise NotImplementedError

    def open_array(self, path: str, element: Type, target: str) -> str:
        raise NotImplementedError

    def close_array(self, var: str) -> None:
        raise NotImplementedError

    def element(self, kind: Type, path: str, target: str, index: str) -> None:
        raise NotImplementedError

    def whole_array(self, element: Type, path: str, number: str) -> bool:
        """Write the code for all elements at once, where their size is fixed and the output does not mind."""
        return False


def leaves(kind: Type) -> int:
    """Fields that one value of this type makes, arrays below it not counted (they count for themselves)."""
    match kind:
        case StructType():
            return sum(leaves(each) for _, each in kind.fields)
        case Union():
            return max((leaves(each) for _, _, each in kind.cases), default=0)
        case Number():
            return 1 + len(kind.bits)
        case _:
            return 1
