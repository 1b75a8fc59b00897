# SPDX-License-Identifier: GPL-2.0-or-later
"""Bytes of a value -> the value, for types that are not plain numbers. None of these functions raises on any bytes."""

from __future__ import annotations

import codecs
import re
import socket
from collections.abc import Callable, Mapping
from typing import Any

GSM7 = (
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞ\x1bÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
GSM7_EXTENSION = {10: "\f", 20: "^", 40: "{", 41: "}", 47: "\\", 60: "[", 61: "~", 62: "]", 64: "|", 101: "€"}
# An escape and the character behind it -> what both stand for; an escape at the end stands for nothing.
_ESCAPES = {f"\x1b{letter}": GSM7_EXTENSION.get(code, letter) for code, letter in enumerate(GSM7)} | {"\x1b": ""}
_ESCAPED = re.compile("\x1b.?", re.DOTALL)
Labels = Mapping[int, str]
# A byte -> the digit of its low half, of its high half, of both; a half of 15 is filler.
_LOW = tuple("0123456789abcde"[byte & 15 : (byte & 15) + 1] for byte in range(256))
_HIGH = tuple("0123456789abcde"[byte >> 4 : (byte >> 4) + 1] for byte in range(256))
_BOTH = tuple(map("".join, zip(_LOW, _HIGH, strict=True)))
_SEVEN_BITS = bytes(code & 0x7F for code in range(256))
_HALVES_SWAPPED = bytes(byte >> 4 | byte << 4 & 0xF0 for byte in range(256))
_DIGITS = bytes.maketrans(b"abcde", b"*#abc")


def text(raw: bytes) -> str:
    """UTF-8 up to the first NUL, without the 0xff that fills up numbers; bytes that are not UTF-8 become \\xNN."""
    raw = raw.partition(b"\0")[0].rstrip(b"\xff")
    try:
        return raw.decode()
    except UnicodeDecodeError:
        # Many times faster than decoding with "backslashreplace". There is no NUL any more: it stands for backslashes
        # that are in the text.
        escaped = raw.replace(b"\\", b"\0").decode("utf-8", "surrogateescape").encode("utf-8", "backslashreplace")
        return escaped.replace(b"\\udc", b"\\x").replace(b"\0", b"\\").decode()


def utf16(raw: bytes) -> str:
    """UTF-16 little-endian without trailing NULs; lone surrogates and an odd byte become escapes or U+FFFD."""
    return raw.decode("utf-16-le", "replace").rstrip("\0")


def gsm7(raw: bytes) -> str:
    """The GSM default alphabet, 7 bits a character, packed (3GPP TS 23.038)."""
    # Seven bytes are eight characters. All first bytes of the groups of seven are one large integer, all second bytes
    # another, ...: each of the eight places is then made for all groups at once, in time linear in the length.
    groups = -(-len(raw) // 7)
    padded = raw.ljust(groups * 7, b"\0")
    each = int.from_bytes(b"\1" * groups, "little")
    columns = [int.from_bytes(padded[at::7], "little") for at in range(7)]
    codes = bytearray(groups * 8)
    for place in range(8):
        low = columns[place - 1] >> (8 - place) & each * ((1 << place) - 1) if place else 0
        high = (columns[place] & each * (0x7F >> place)) << place if place < 7 else 0
        codes[place::8] = (low | high).to_bytes(groups, "little")
    return _gsm(bytes(codes[: len(raw) * 8 // 7]))


def _gsm(codes: bytes) -> str:
    letters = codecs.charmap_decode(codes, "strict", GSM7)[0]
    return _ESCAPED.sub(lambda match: _ESCAPES[match[0]], letters)


def gsm8(raw: bytes) -> str:
    """The GSM default alphabet, one character a byte."""
    return _gsm(raw.translate(_SEVEN_BITS))


def utf16_be(raw: bytes) -> str:
    """UTF-16 big-endian without trailing NULs."""
    return raw.decode("utf-16-be", "replace").rstrip("\0")


def bcd(raw: bytes) -> str:
    """Decimal digits, two a byte, the low half first; a half of 15 is filler."""
    return raw.translate(_HALVES_SWAPPED).hex().encode().translate(_DIGITS, b"f").decode()


def plmn(raw: bytes) -> str:
    """MCC and MNC digits (3GPP TS 24.008 10.5.1.3)."""
    a, b, c = raw
    return _BOTH[a] + _LOW[b] + _BOTH[c] + _HIGH[b]


def ipv4(raw: bytes) -> str:
    """Dotted text of four bytes in network order."""
    return "%d.%d.%d.%d" % tuple(raw)  # noqa: UP031 - the fastest way


def ipv4_le(raw: bytes) -> str:
    """Dotted text of an address that QMI carries as a little-endian number."""
    return "%d.%d.%d.%d" % (raw[3], raw[2], raw[1], raw[0])  # noqa: UP031


def ipv6(raw: bytes) -> str:
    """Text of sixteen bytes in network order."""
    return socket.inet_ntop(socket.AF_INET6, raw)


def mac(raw: bytes) -> str:
    """Colon text of six bytes."""
    return raw.hex(":")


def not_finite(value: float) -> str:
    """What stands for a float that JSON has no number for: NaN, Infinity, -Infinity."""
    return "NaN" if value != value else "Infinity" if value > 0 else "-Infinity"


def flag_names(value: int, labels: Labels) -> str:
    """Names of the masks that are set, joined by `|`; bits without a name follow as one hexadecimal number."""
    names: list[str] = []
    rest = value
    for mask, label in labels.items():
        if mask and value & mask == mask:
            names.append(label)
            rest &= ~mask
    if rest:
        names.append(f"{rest & 0xFFFFFFFFFFFFFFFF:#x}")
    return "|".join(names) or labels.get(0, "none")


# How the label of an encoding begins -> what it means; the longest that fits counts.
_ENCODINGS: Mapping[str, Callable[[bytes], str]] = {
    "ascii": text,
    "utf8": text,
    "latin": lambda raw: raw.partition(b"\0")[0].decode("latin-1"),
    "gsm7": gsm7,
    "gsm8": gsm8,
    "ucs2": utf16_be,
    "utf16": utf16_be,
    "ucs2le": utf16,
    "utf16le": utf16,
}


class Encodings(dict[int, Callable[[bytes], str]]):
    """The value of a field that names an encoding -> what decodes the text; hexadecimal digits where it names none."""

    def __init__(self, labels: Labels) -> None:
        super().__init__()
        for value, label in labels.items():
            fitting = [name for name in _ENCODINGS if label.replace("_", "").startswith(name)]
            if fitting:
                self[value] = _ENCODINGS[max(fitting, key=len)]

    def __missing__(self, value: int) -> Callable[[bytes], str]:
        return bytes.hex


class LabelTexts(dict[int, str]):
    """A number -> the text of its label (that of a flags field: of all its bits), "" where it has none.

    Filled as numbers are met, up to a limit: a packet's author must not fill the memory.
    """

    _LIMIT = 4096

    def __init__(self, labels: Labels, flags: bool) -> None:
        super().__init__()
        self._labels = labels
        self._flags = flags

    def __missing__(self, value: int) -> str:
        text = self.text(value)
        if len(self) < self._LIMIT:
            self[value] = text
        return text

    def text(self, value: int) -> str:
        return flag_names(value, self._labels) if self._flags else self._labels.get(value, "")


def add(into: dict[str, Any], name: str, value: Any) -> None:
    """Put a value under a name that may be there already: then its values become a list."""
    if name not in into:
        into[name] = value
    elif isinstance(found := into[name], list):
        found.append(value)
    else:
        into[name] = [found, value]
