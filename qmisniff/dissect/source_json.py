# SPDX-License-Identifier: GPL-2.0-or-later
"""Source that appends JSON text to a list: what `source_values` gives, already written, at a fraction of the cost.

The keys and commas of fields that follow each other are one format string; only the values are filled in.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from json.encoder import encode_basestring_ascii as quote
from typing import Any, NamedTuple

from qmisniff.definitions.fields import Enums, bit_spec
from qmisniff.definitions.model import BitField, Bytes, Number, Text, Type
from qmisniff.dissect import values
from qmisniff.dissect.source import DECODED, Writer, characters_from
from qmisniff.dissect.source_values import Columns, ValuesWriter
from qmisniff.field import Kind


class JsonWriter(ValuesWriter):
    """Holds back the pieces of text, expressions all, until they are added to the output at once (`held`). What it
    writes is only used where nothing is wrong: what was collected of an array counts when the function returns."""

    def __init__(self, enums: Enums, careful: bool) -> None:
        super().__init__(enums, careful)
        self.held: list[str] = []

    def source(self) -> str:
        self.settle()
        begin = [f"    {each.var} = []" for each in self.columns]
        for each in self.columns:
            self.put_columns(each)
        self.lines[:0] = begin
        return Writer.source(self)

    def settle(self) -> None:
        held, self.held = self.held, []
        if held:
            self.add(f"o += ({', '.join(held)},)")

    # ---- one value ----

    def leaf(self, kind: Type, path: str, target: str, var: str, at: str, size: str) -> None:
        if self.in_array:
            super().leaf(kind, path, target, var, at, size)
            return
        texts = _texts(kind, path, self.enums)
        if len(texts) > 1 or (_is_short(kind) and not _is_plain(kind)):
            self.held.append(f"{self.const(_Memory(_together(texts)))}[{var}]")
        elif isinstance(kind, Number) and not _is_short(kind) and kind.form != "f" and not kind.truth:
            self.put(path, f"f'{{{self.converted(kind, var)}}}'")
        else:
            self.put(path, f"{self.const(texts[0].text)}({var})")

    def put(self, path: str, value: str) -> None:
        self.held += (self.const(f',"{path}":'), value)

    def put_list(self, path: str, numbers: list[str]) -> None:
        shown = ",".join(number if number.isdigit() else f"{{{number}}}" for number in numbers)
        self.put(path, f"f'[{shown}]'" if len(numbers) > 1 else f"f'{shown}'")

    @staticmethod
    def put_heads(into: list[str], types: list[int], lengths: list[int]) -> None:  # type: ignore[override]
        kind, length = (types, lengths) if len(types) > 1 else (types[0], lengths[0])
        into.append(f',"qmi.tlv.type":{kind},"qmi.tlv.length":{length}'.replace(" ", ""))

    # ---- arrays ----

    def put_columns(self, found: Columns) -> None:
        names = [
            (name, text, var) for path, kind, var in found.columns for name, text in _texts(kind, path, self.enums)
        ]
        with self.block(f"if len({found.var}) > 1:"):
            self.unzip(found)
            for at, (name, text, var) in enumerate(names):
                self.held.append(self.const(f'{"]" if at else ""},"{name}":['))
                all_texts = _ALL.get(text)
                self.held.append(
                    f"{self.const(all_texts)}({var})"
                    if all_texts
                    else f"{self.const(_COMMA_JOIN)}(map({self.const(text)}, {var}))"
                )
            self.held.append("']'")
            self.settle()
        with self.block(f"elif {found.var}:"):
            self.add(
                f"{''.join(f'{column.var}, ' for column in found.columns)}= {found.var}{'[0]' if found.rows else ''}"
            )
            if found.rows:
                for _, kind, var in found.columns:
                    self.number(kind, var)
            for name, text, var in names:
                self.put(name, f"{self.const(text)}({var})")
            self.settle()


# ---- JSON texts ----


class _Named(NamedTuple):
    """One of the names that a field's value stands under, and what makes the JSON text that belongs there."""

    name: str
    text: Callable[[Any], str]


class _Memory(dict[Any, str]):
    """A number -> its text, made when first met. Bounded: a packet's author must not fill the memory."""

    _LIMIT = 4096

    def __init__(self, text: Callable[[Any], str]) -> None:
        super().__init__()
        self._text = text

    def __missing__(self, number: Any) -> str:
        text = self._text(number)
        if len(self) < self._LIMIT:
            self[number] = text
        return text


class _Decimals(dict[int, str]):
    """A number of at most two bytes -> its text: finding it costs a quarter of making it."""

    def __missing__(self, number: int) -> str:
        text = self[number] = str(number)
        return text


_DECIMAL = _Decimals().__getitem__


def _is_short(kind: Type) -> bool:
    return isinstance(kind, Number) and kind.size <= 2


def _is_plain(kind: Type) -> bool:
    """A whole number that is shown as it is."""
    return isinstance(kind, Number) and kind.form != "f" and kind.num == kind.den == 1 and not kind.truth


def _texts(kind: Type, path: str, enums: Enums) -> list[_Named]:
    """The names of a field's value, of its label and of its bits; each text is made from what was unpacked."""
    if not isinstance(kind, Number):
        return [_Named(path, _characters(kind))]
    named = [_Named(path, _number(kind))]
    if kind.enum or kind.flags:
        labels = values.LabelTexts(enums[kind.enum or kind.flags], bool(kind.flags))
        named.append(_Named(f"{path}.label", _Memory(lambda number: quote(labels.text(number))).__getitem__))
    for bits in kind.bits:
        spec = bit_spec(path, bits, kind.size, enums)
        named.append(_Named(spec.name, _bits(bits, _truth if spec.kind is Kind.BOOL else str)))
        if spec.labels is not None:
            named.append(_Named(f"{spec.name}.label", _bits(bits, _label(spec.labels))))
    return named


def _label(labels: values.Labels) -> Callable[[int], str]:
    return lambda number: quote(labels.get(number, ""))


def _bits(bits: BitField, text: Callable[[int], str]) -> Callable[[int], str]:
    low, mask = bits.low, (1 << bits.width) - 1
    return _Memory(lambda number: text(number >> low & mask)).__getitem__


def _number(kind: Number) -> Callable[[Any], str]:
    num, den = kind.num, kind.den
    if kind.truth:
        return _truth
    if _is_plain(kind):
        return _DECIMAL if kind.size <= 2 else str
    if kind.form == "f":
        return _real if num == den == 1 else lambda number: _real(number * num / den)
    return lambda number: str(number * num / den if den != 1 else number * num)


def _together(texts: Sequence[_Named]) -> Callable[[Any], str]:
    """The text of a value under all its names, keys included."""
    return lambda number: "".join([f',"{name}":{text(number)}' for name, text in texts])


def _truth(number: float) -> str:
    return "true" if number != 0 else "false"


def _real(number: float) -> str:
    """JSON has no infinity and no NaN: they are texts."""
    return repr(number) if number - number == 0 else f'"{values.not_finite(number)}"'


def _reals(numbers: Sequence[float]) -> str:
    total = sum(numbers)
    return _COMMA_JOIN(map(repr if total - total == 0 else _real, numbers))


def _characters(kind: Type) -> Callable[[Any], str]:
    if isinstance(kind, Bytes):
        return _hex
    if isinstance(kind, Text) and kind.encoding == DECODED:
        return quote
    if isinstance(kind, Text) and kind.encoding == "string":
        return _string
    decode = characters_from(kind)
    return lambda raw: quote(decode(raw))


def _hex(value: bytes) -> str:
    return f'"{value.hex()}"'


def _string(raw: bytes) -> str:
    # Nothing in it has to be looked at twice, as a rule.
    return quote(values.text(raw)) if raw.translate(None, _ORDINARY) else f'"{raw.decode()}"'


def _strings(column: Sequence[bytes]) -> str:
    joined = b'","'.join(column)
    if len(joined.translate(None, _ORDINARY)) == 2 * len(column) - 2:
        return f'"{joined.decode()}"'
    return _COMMA_JOIN(map(_string, column))


_ORDINARY = bytes(code for code in range(32, 127) if code not in b'"\\')
_COMMA_JOIN = ",".join
# What makes the texts of a whole column, joined by commas, quicker than one after the other.
_ALL: dict[Callable[[Any], str], Callable[[Any], str]] = {_string: _strings, _real: _reals}
