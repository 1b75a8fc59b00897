# SPDX-License-Identifier: GPL-2.0-or-later
"""Source that appends JSON text to a list: what `source_values` gives, already written, at a fraction of the cost.

The keys and commas of fields that follow each other are one format string; only the values are filled in.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import cache
from json.encoder import encode_basestring_ascii as quote
from operator import itemgetter
from struct import Struct
from typing import Any, NamedTuple

from qmisniff.definitions.fields import Enums, bit_spec
from qmisniff.definitions.model import Address, BitField, Bytes, Number, Text, Type
from qmisniff.dissect import values
from qmisniff.dissect.characters import DECODED, characters_from
from qmisniff.dissect.fixed import is_bytes, size_of, struct_code
from qmisniff.dissect.source import Writer
from qmisniff.dissect.source_values import Columns, ValuesWriter
from qmisniff.field import Kind


class _Literal(NamedTuple):
    """A piece of text that is always the same; any other piece is an expression."""

    text: str


class JsonWriter(ValuesWriter):
    """Holds back the pieces of text until they are added to the output at once (`held`). What it writes is only used
    where nothing is wrong: what was collected of an array counts when the function returns."""

    def __init__(self, enums: Enums, careful: bool) -> None:
        super().__init__(enums, careful)
        self.held: list[str | _Literal] = []
        self.groups: dict[str, Sequence[tuple[str, Type]]] = {}  # by the variable that holds their bytes

    def source(self) -> str:
        self.settle()
        begin = [f"    {each.var} = []" for each in self.columns]
        for each in self.columns:
            self.put_columns(each)
        self.lines[:0] = begin
        return Writer.source(self)

    def settle(self) -> None:
        pieces = [self.const(each.text) if isinstance(each, _Literal) else each for each in self.held]
        self.held = []
        if pieces:
            self.add(f"o += ({', '.join(pieces)},)")

    def literal(self, text: str) -> None:
        """Hold back text that follows what is held."""
        last = self.held[-1] if self.held else None
        if isinstance(last, _Literal):
            self.held[-1] = _Literal(last.text + text)
        else:
            self.held.append(_Literal(text))

    # ---- one value ----

    def leaves(self, leaves: Sequence[tuple[str, Type]]) -> None:
        """Neighbours that can have few values, flags and enums, are looked up together."""
        for group in _groups(leaves, self.enums):
            if len(group) == 1:
                self.value(group[0][1], group[0][0], "o")
                continue
            size = sum(size_of(kind) for _, kind in group)
            self.groups[self.value(Number("u", size), "", "o")] = group

    def leaf(self, kind: Type, path: str, target: str, var: str, at: str, size: str) -> None:
        if self.in_array:
            super().leaf(kind, path, target, var, at, size)
            return
        if var in self.groups:
            self.held.append(f"{self.const(_Memory(_all_of(self.groups[var], self.enums)))}[{var}]")
            return
        texts = _texts(kind, path, self.enums)
        if len(texts) > 1 or _is_scaled_short(kind):
            self.held.append(f"{self.const(_Memory(_together(texts)))}[{var}]")
        elif isinstance(kind, Number) and kind.truth:
            true, false = (self.const(f',"{path}":{word}') for word in ("true", "false"))
            self.held.append(f"({true} if {var} else {false})")
        elif isinstance(kind, Number) and kind.size <= 2:
            self.put(path, f"{self.const(_DECIMALS)}[{var}]")
        elif isinstance(kind, Number) and kind.form != "f":
            self.put(path, f"f'{{{self.converted(kind, var)}}}'")
        else:
            self.put(path, f"{self.const(texts[0].text)}({var})")

    def put(self, path: str, value: str) -> None:
        self.literal(f',"{path}":')
        self.held.append(value)

    def put_list(self, path: str, numbers: list[str]) -> None:
        self.literal(f',"{path}":' + "[" * (len(numbers) > 1))
        for at, number in enumerate(numbers):
            self.literal("," * (at > 0))
            if number.isdigit():
                self.literal(number)
            else:
                self.held.append(f"f'{{{number}}}'")
        self.literal("]" * (len(numbers) > 1))

    @staticmethod
    def put_heads(into: list[str], types: list[int], lengths: list[int]) -> None:  # type: ignore[override]
        if len(types) == 1:
            into.append(f',"qmi.tlv.type":{types[0]},"qmi.tlv.length":{lengths[0]}')
            return
        kinds, sizes = (_COMMA_JOIN(map(_DECIMAL, numbers)) for numbers in (types, lengths))
        into.append(f',"qmi.tlv.type":[{kinds}],"qmi.tlv.length":[{sizes}]')

    # ---- arrays ----

    def put_columns(self, found: Columns) -> None:
        names = [
            (name, text, var) for path, kind, var in found.columns for name, text in _texts(kind, path, self.enums)
        ]
        with self.block(f"if len({found.var}) > 1:"):
            self.unzip(found)
            looked_up: dict[str, str] = {}
            for at, (name, text, var) in enumerate(names):
                self.literal(f'{"]" if at else ""},"{name}":[')
                memory = getattr(text, "__self__", None)
                if text is str:
                    self.held.append(f"{self.const(_WHOLE)}[len({var})] % (*{var},)")
                elif isinstance(memory, dict):
                    if var not in looked_up:
                        looked_up[var] = self.var()
                        self.add(f"{looked_up[var]} = {self.const(itemgetter)}(*{var})")
                    self.held.append(f"{self.const(_COMMA_JOIN)}({looked_up[var]}({self.const(memory)}))")
                elif text in _ALL:
                    self.held.append(f"{self.const(_ALL[text])}({var})")
                else:
                    self.held.append(f"{self.const(_COMMA_JOIN)}(map({self.const(text)}, {var}))")
            self.literal("]")
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


class _Templates(dict[int, str]):
    """A count -> the format string for as many whole numbers."""

    _LIMIT = 256

    def __missing__(self, count: int) -> str:
        text = ",".join(["%d"] * count)
        if count < self._LIMIT:
            self[count] = text
        return text


class _Decimals(dict[int, str]):
    """A number of at most two bytes -> its text: finding it costs a third of making it."""

    def __missing__(self, number: int) -> str:
        text = self[number] = str(number)
        return text


_WHOLE = _Templates()
_DECIMALS = _Decimals()
_DECIMAL = _DECIMALS.__getitem__


def _is_scaled_short(kind: Type) -> bool:
    """A number of so few bytes that texts can be remembered, but shown otherwise than it is."""
    return isinstance(kind, Number) and kind.size <= 2 and not _is_plain(kind) and not kind.truth


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
        named.append(_Named(spec.name, _bits(bits, _TRUTH if spec.kind is Kind.BOOL else str)))
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
        return _TRUTH
    if _is_plain(kind):
        return _DECIMAL if kind.size <= 2 else str
    if kind.form == "f":
        return _real if num == den == 1 else lambda number: _real(number * num / den)

    def scaled(number: int) -> str:
        return str(number * num / den if den != 1 else number * num)

    return _Memory(scaled).__getitem__ if kind.size <= 2 else scaled


def _together(texts: Sequence[_Named]) -> Callable[[Any], str]:
    """The text of a value under all its names, keys included."""
    return lambda number: "".join([f',"{name}":{text(number)}' for name, text in texts])


_FEW = 1024


def _groups(leaves: Sequence[tuple[str, Type]], enums: Enums) -> Iterator[Sequence[tuple[str, Type]]]:
    """Neighbours together, as long as they have few values together and fill a whole number."""
    at = 0
    while at < len(leaves):
        size, many, best = 0, 1, 1
        for stop, (_, kind) in enumerate(leaves[at:], 1):
            size += size_of(kind)
            many *= _values_of(kind, enums)
            if many > _FEW or size > 8:
                break
            if size in (2, 4, 8):
                best = stop
        yield leaves[at : at + best]
        at += best


_MANY = _FEW + 1


def _values_of(kind: Type, enums: Enums) -> int:
    """How many values a field has in messages as they are."""
    if isinstance(kind, Number) and not kind.bits and not is_bytes(kind):
        if kind.truth:
            return 2
        if kind.enum:
            return len(enums[kind.enum]) + 1
    return _MANY


def _all_of(group: Sequence[tuple[str, Type]], enums: Enums) -> Callable[[int], str]:
    """Neighbours as one number -> their text, keys included."""
    layout = Struct("<" + "".join(struct_code(kind) for _, kind in group))
    texts = [_together(_texts(kind, path, enums)) for path, kind in group]

    def text(number: int) -> str:
        found = layout.unpack(number.to_bytes(layout.size, "little"))
        return "".join(text(value) for text, value in zip(texts, found, strict=True))

    return text


def _truth(number: float) -> str:
    return "true" if number != 0 else "false"


_TRUTH = _Memory(_truth).__getitem__


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
        return _SHORT_STRING if kind.length.form == "fixed" and kind.length.size <= 3 else _string
    return _quoted(characters_from(kind), isinstance(kind, Address))


@cache
def _quoted(decode: Callable[[bytes], str], repeats: bool) -> Callable[[Any], str]:
    """The texts of addresses are remembered: there are few in a capture, and each many times."""

    def text(raw: bytes) -> str:
        return quote(decode(raw))

    return _Memory(text).__getitem__ if repeats else text


def _hex(value: bytes) -> str:
    return f'"{value.hex()}"'


def _string(raw: bytes) -> str:
    return quote(raw.decode() if raw.isascii() and 0 not in raw else values.text(raw))


_SHORT_STRING = _Memory(_string).__getitem__  # the codes of countries and networks: few, and each many times


def _strings(column: Sequence[bytes]) -> str:
    joined = b'","'.join(column)
    if len(joined.translate(None, _ORDINARY)) == 2 * len(column) - 2:
        return f'"{joined.decode()}"'
    return _COMMA_JOIN(map(_string, column))


_ORDINARY = bytes(code for code in range(32, 127) if code not in b'"\\')
_COMMA_JOIN = ",".join
# What makes the texts of a whole column, joined by commas, quicker than one after the other.
_ALL: dict[Callable[[Any], str], Callable[[Any], str]] = {_string: _strings, _real: _reals}
