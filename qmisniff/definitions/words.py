# SPDX-License-Identifier: GPL-2.0-or-later
"""The word group that stands for a type in a definition: `i16 0.1 dB`, `array u8 of u16`, `string u8 personal`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from fractions import Fraction

from qmisniff.definitions.model import ADDRESS_SIZE, Address, Array, Bytes, Length, Number, Struct, Text, Type
from qmisniff.protocol.errors import ERRORS, RESULTS

_NUMBER = re.compile(r"([uif])(8|16|24|32|40|48|64)")
_SCALE = re.compile(r"-?\d{1,9}(\.\d{1,9})?")
_NAME = re.compile(r"[a-z][a-z0-9_]*")
_PREFIX = {"u8": 1, "u16": 2, "u32": 4}
_TEXTS = ("string", "utf16", "gsm7", "bcd")
UNITS = frozenset(
    {
        "%",
        "A",
        "B",
        "C",
        "Hz",
        "J",
        "K",
        "K/s",
        "KB",
        "MB",
        "MHz",
        "V",
        "W",
        "arcsec",
        "bit/s",
        "bytes",
        "chips",
        "cm",
        "dB",
        "dBm",
        "days",
        "deg",
        "deg/s",
        "dp",
        "h",
        "kB",
        "kHz",
        "kbit/s",
        "km",
        "m",
        "m/s",
        "m/s2",
        "mA",
        "mAh",
        "mC",
        "mV",
        "mW",
        "min",
        "mm",
        "ms",
        "ns",
        "pages",
        "ppb",
        "ppm",
        "rad",
        "rad/s",
        "s",
        "uA",
        "uV",
        "us",
    }
)
_MAX_FIXED = 0xFFFF

# The pair of words that the result TLV of a response is made of; a few indications carry it too.
RESULT = Struct((("result", Number("u", 2, enum="qmi_result")), ("error", Number("u", 2, enum="qmi_error"))))
BUILTIN_ENUMS: Mapping[str, Mapping[int, str]] = {"qmi_result": RESULTS, "qmi_error": ERRORS}


class WordError(ValueError):
    """A word group that is not a type; the message says which word and why."""


def parse_length(word: str, counts_bytes: bool = False) -> Length:
    """`u8`, `u16`, `u32` (a prefix), a decimal number, `rest`, or the name of an earlier field."""
    if word in _PREFIX:
        return Length("prefix", _PREFIX[word], "", counts_bytes)
    if word == "rest":
        return Length("rest")
    if word.isdecimal():
        if not 1 <= int(word[:9]) <= _MAX_FIXED:
            raise WordError(f"a length of {word[:12]} is not between 1 and {_MAX_FIXED}")
        return Length("fixed", int(word))
    if _NAME.fullmatch(word):
        return Length("field", 0, word, counts_bytes)
    raise WordError(f"{word!r} is not a length: expected u8, u16, u32, a number, rest or the name of an earlier field")


def parse_type(text: str, types: Mapping[str, Type]) -> Type:
    """The type that a word group names; `types` are the named types of the service. Raises WordError."""
    words = text.split()
    if not words:
        raise WordError("a type is missing")
    base, rest = words[0], words[1:]
    if base == "array":
        return _array(rest, types)
    if base == "bool":
        return _number(Number("u", 1, truth=True), rest)
    if match := _NUMBER.fullmatch(base):
        form, size = match[1], int(match[2]) // 8
        if (size in (3, 5, 6) and form != "u") or (form == "f" and size not in (4, 8)):
            raise WordError(f"there is no type {base}")
        return _number(Number(form, size), rest)
    if base in _TEXTS:
        length, personal = _length_words(rest)
        return Text(base, length, personal)
    if base == "text":
        if len(rest) < 2 or rest[0] != "by":
            raise WordError("text whose encoding an earlier field names is written `text by FIELD LENGTH`")
        length, personal = _length_words(rest[2:])
        return Text(base, length, personal, by=rest[1])
    if base in ("bytes", "protobuf"):
        length, personal = _length_words(rest)
        return Bytes(length, personal, base == "protobuf")
    if base in ADDRESS_SIZE:
        return Address(base, _take(rest, "be"), _last(rest, "personal"))
    if base == "result" and not rest:
        return RESULT
    if base in types:
        if rest:
            raise WordError(f"nothing can follow the named type {base}")
        return types[base]
    raise WordError(f"unknown type {base!r}")


def _array(words: list[str], types: Mapping[str, Type]) -> Array:
    counts_bytes = words[1:2] == ["bytes"]
    if counts_bytes:
        del words[1]
    if len(words) < 3 or words[1] != "of":
        raise WordError("an array is written `array COUNT of TYPE`")
    return Array(parse_length(words[0], counts_bytes), parse_type(" ".join(words[2:]), types))


def _length_words(words: list[str]) -> tuple[Length, bool]:
    length = Length("rest")
    if words and words[0] != "personal":
        word = words.pop(0)
        length = parse_length(word, _take(words, "bytes"))
    return length, _last(words, "personal")


def _take(words: list[str], word: str) -> bool:
    found = words[:1] == [word]
    if found:
        del words[0]
    return found


def _last(words: list[str], word: str) -> bool:
    found = _take(words, word)
    if words:
        raise WordError(f"unknown word {words[0]!r}")
    return found


def _number(number: Number, words: list[str]) -> Number:
    while words:
        word = words.pop(0)
        if word == "be":
            number = number._replace(big_endian=True)
        elif word == "enum" and words:
            number = number._replace(enum=words.pop(0))
        elif word == "flags" and words:
            number = number._replace(flags=words.pop(0))
        elif word == "since" and words:
            number = number._replace(since=words.pop(0))
        elif word == "bool":
            number = number._replace(truth=True)
        elif word == "hex":
            number = number._replace(hex=True)
        elif word == "personal":
            number = number._replace(personal=True)
        elif _SCALE.fullmatch(word):
            scale = Fraction(word)
            if not scale:
                raise WordError("a scale of 0")
            number = number._replace(num=scale.numerator, den=scale.denominator)
        elif word in UNITS:
            number = number._replace(unit=word)
        else:
            raise WordError(f"unknown word {word!r}: no unit, nor one of be, enum, flags, hex, bool, since, personal")
    named = bool(number.enum) + bool(number.flags) + number.truth
    if named > 1:
        raise WordError("enum, flags and bool exclude each other")
    if (named or number.hex) and number.form == "f":
        raise WordError("a float has no enum, flags, bool or hex")
    if named and (number.num, number.den) != (1, 1):
        raise WordError("what has names has no scale")
    if number.since and (number.since not in ("unix", "gps") or number.unit not in ("s", "ms")):
        raise WordError("since unix and since gps need the unit s or ms")
    return number
