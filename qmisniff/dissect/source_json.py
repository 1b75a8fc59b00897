# SPDX-License-Identifier: GPL-2.0-or-later
"""Source that appends JSON text to a list: what `source_values` gives, already written, at a fraction of the cost.

The keys and commas of fields that follow each other are one format string; only the values are filled in.
"""

from __future__ import annotations

from collections.abc import Mapping
from json.encoder import encode_basestring_ascii as quote
from typing import Any

from qmisniff.definitions.fields import Enums, bit_spec
from qmisniff.definitions.model import Address, Bytes, Number, Text, Type
from qmisniff.dissect import values
from qmisniff.dissect.source_values import ValuesWriter
from qmisniff.field import Kind


class JsonWriter(ValuesWriter):
    """Holds back what belongs into the next format string (`held`)."""

    def __init__(self, enums: Enums, careful: bool) -> None:
        super().__init__(enums, careful)
        self.held: list[tuple[str, str]] = []  # text with one %-code, expression

    def settle(self) -> None:
        held, self.held = self.held, []
        if held:
            text = self.const("".join(text for text, _ in held))
            self.add(f"o.append({text} % ({', '.join(value for _, value in held)},))")

    def top(self, kind: Type, path: str) -> None:
        super(ValuesWriter, self).top(kind, path)

    def leaf(self, kind: Type, path: str, target: str, var: str, at: str, size: str) -> None:
        if not isinstance(kind, Number):
            self.put(path, self.written(kind, var))
            return
        if (kind.enum or kind.flags) and not self.in_array:
            names = _Named(path, self.enums[kind.enum or kind.flags], bool(kind.flags))
            self.held.append((f',"{path}":%s', f"{self.const(names)}[{var}]"))
        else:
            self.put(path, self.written(kind, var))
            if kind.enum or kind.flags:
                self.put(f"{path}.label", self.written_label(kind, var))
        for bits in kind.bits:
            spec = bit_spec(path, bits, kind.size, self.enums)
            value = self.bits(bits, var, spec)
            self.put(spec.name, f"{self.const(_TRUTH)}[{value}]" if spec.kind is Kind.BOOL else value)
            if spec.labels is not None:
                self.put(f"{spec.name}.label", f"{self.const(quote)}({self.const(spec.labels)}.get({value}, ''))")

    def written(self, kind: Type, var: str) -> str:
        """The expression for the value as `%s` must print it: JSON text or a whole number."""
        match kind:
            case Number(truth=True):
                return f"{self.const(_TRUTH)}[{var} != 0]"
            case Number(form="f"):
                return f"{self.const(_real)}({self.converted(kind, var)})"
            case Text():
                return f"{self.const(quote)}({self.converted(kind, var)})"
            case Bytes():
                return f"{self.const(_hex)}({var})"
            case Address():
                return f"{self.const(quote)}({self.converted(kind, var)})"
            case _:
                return self.converted(kind, var)

    def put(self, path: str, value: str) -> None:
        if self.in_array:
            self.add(f"{self.list(path)}.append({value})")
        else:
            self.held.append((f',"{path}":%s', value))

    def list(self, path: str) -> str:
        if path not in self.lists:
            self.lists[path] = self.var()
            self.lines.insert(0, f"    {self.lists[path]} = []")
        return self.lists[path]

    def close_array(self, var: str) -> None:
        super().close_array(var)
        if not self.in_array:
            self.settle()
            for path, column in self.lists.items():
                self.add(f"if {column}: o.append({self.const(_column)}({self.const(path)}, {column}))")
            self.lists = {}

    def written_label(self, kind: Number, var: str) -> str:
        return f"{self.const(quote)}({self.label(kind, var)})"


_TRUTH = ("false", "true")


class _Named(dict[int, str]):
    """A number -> its JSON text followed by its label's key and value; filled as numbers are met, up to a limit."""

    _LIMIT = 4096

    def __init__(self, path: str, labels: Mapping[int, str], flags: bool) -> None:
        super().__init__()
        self._key = f'"{path}.label"'
        self._labels = labels
        self._flags = flags

    def __missing__(self, value: int) -> str:
        label = values.flag_names(value, self._labels) if self._flags else self._labels.get(value, "")
        text = f"{value},{self._key}:{quote(label)}"
        if len(self) < self._LIMIT:
            self[value] = text
        return text


def _real(value: float) -> str:
    """JSON has no infinity and no NaN."""
    return repr(value) if value - value == 0 else "null"


def _hex(value: bytes) -> str:
    return f'"{value.hex()}"'


def _column(path: str, column: list[Any]) -> str:
    """A list as JSON text; a list of one value is the value."""
    if len(column) == 1:
        return f',"{path}":{column[0]}'
    texts = column if isinstance(column[0], str) else map(str, column)
    return f',"{path}":[{",".join(texts)}]'
