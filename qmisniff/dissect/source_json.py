# SPDX-License-Identifier: GPL-2.0-or-later
"""Source that appends JSON text to a list: what `source_values` gives, already written, at a fraction of the cost.

The keys and commas of fields that follow each other are one format string; only the values are filled in.
"""

from __future__ import annotations

from collections.abc import Iterator
from json.encoder import encode_basestring_ascii as quote
from typing import Any

from qmisniff.definitions.fields import Enums
from qmisniff.definitions.model import Address, Bytes, Number, Text, Type
from qmisniff.dissect import values
from qmisniff.dissect.source_values import ValuesWriter


class JsonWriter(ValuesWriter):
    """Holds back what belongs into the next format string (`held`: text with one %-code, expression)."""

    def __init__(self, enums: Enums, careful: bool) -> None:
        super().__init__(enums, careful)
        self.held: list[tuple[str, str]] = []

    def settle(self) -> None:
        held, self.held = self.held, []
        if held:
            text = self.const("".join(text for text, _ in held))
            self.add(f"o.append({text} % ({', '.join(value for _, value in held)},))")

    def parts(self, kind: Type, path: str, var: str) -> Iterator[tuple[str, str]]:
        parts = super().parts(kind, path, var)
        if not self.in_array and var != "x" and isinstance(kind, Number) and (kind.enum or kind.flags):
            # The number and its label in one look-up.
            next(parts), next(parts)
            both = _NumberAndLabel(path, self.enums[kind.enum or kind.flags], bool(kind.flags))
            yield path, f"{self.const(both)}[{var}]"
        yield from parts

    def written(self, kind: Type, var: str) -> str:
        match kind:
            case Number(form="u", size=1, truth=True):
                return f"{self.const(_TRUTH)}[{var}]"
            case Number(truth=True):
                return f"{self.const(_TRUTH)}[{var} != 0]"
            case Number(form="u" | "i", size=1, num=1, den=1) if var != "x":  # a list of numbers is written at once
                return f"{self.const(_BYTES[kind.form])}[{var}]"
            case Number(form="f"):
                return f"{self.const(_real)}({self.converted(kind, var)})"
            case Bytes():
                return f"{self.const(_hex)}({var})"
            case Text() | Address():
                return f"{self.const(quote)}({self.converted(kind, var)})"
            case _:
                return self.converted(kind, var)

    def labels(self, labels: values.Labels, flags: bool) -> values.LabelTexts:
        return _QuotedLabels(labels, flags)

    def put(self, path: str, value: str) -> None:
        self.held.append((f',"{path}":%s', value))

    @staticmethod
    def put_heads(into: list[str], types: list[int], lengths: list[int]) -> None:  # type: ignore[override]
        kind, length = (types, lengths) if len(types) > 1 else (types[0], lengths[0])
        into.append(f',"qmi.tlv.type":{kind},"qmi.tlv.length":{length}')

    def put_column(self, path: str, column: str, value: str) -> None:
        self.add(f"if {column}: o.append({self.const(_list)}({self.const(path)}, {value}))")


# The text of any byte: looking it up costs a quarter of making it. Negative numbers index from the end.
_BYTES = {
    "u": tuple(str(number) for number in range(256)),
    "i": tuple(str(number) for number in (*range(128), *range(-128, 0))),
}
_TRUTH = ("false",) + 255 * ("true",)  # of any byte


class _QuotedLabels(values.LabelTexts):
    """A number -> its label as JSON text."""

    def text(self, value: int) -> str:
        return quote(super().text(value))


class _NumberAndLabel(values.LabelTexts):
    """A number -> its JSON text, and behind it the key and the value of its label."""

    def __init__(self, path: str, labels: values.Labels, flags: bool) -> None:
        super().__init__(labels, flags)
        self._key = f'"{path}.label"'

    def text(self, value: int) -> str:
        return f"{value},{self._key}:{quote(super().text(value))}"


def _real(value: float) -> str:
    """JSON has no infinity and no NaN."""
    return repr(value) if value - value == 0 else "null"


def _hex(value: bytes) -> str:
    return f'"{value.hex()}"'


def _list(path: str, column: list[Any]) -> str:
    """A list of numbers, or of JSON texts, as JSON text; a list of one value is the value."""
    if len(column) == 1:
        return f',"{path}":{column[0]}'
    # Python writes a list of numbers as JSON does.
    return f',"{path}":[{",".join(column)}]' if isinstance(column[0], str) else f',"{path}":{column}'
