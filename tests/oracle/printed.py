# SPDX-License-Identifier: GPL-2.0-or-later
"""Reads the text that libqmi 1.32 prints for a message back into structures.

A translated value is a scalar, a struct `[ a = '1' b = '2' ]` or an array `{ [0] = '1 ' [1] = '2 '}`, nested at will.
An array that is one part of a longer one has its part's number before it, `[[Seq:7]] { [0] = '1 '}`, and is read as a
struct of `Seq` and `elements`.
libqmi escapes nothing: strings with apostrophes, brackets at their beginning or line ends cannot be told from what is
around them, so whoever wants an answer does not send such strings.
"""

from __future__ import annotations

import re
from typing import NamedTuple

Printed = str | dict[str, "Printed"] | list["Printed"]

# What libqmi appends to a value: it could not read on, or it did not read all.
_ERROR = re.compile(r" ERROR: (.*)|(Additional unexpected '\d+' bytes)$")
_NAMED = re.compile(r'"(.*)" \((0x[0-9a-fA-F]+)\)')
_NUMBERED = re.compile(r"\(?(0x[0-9a-fA-F]+)\)?")
_PART = re.compile(r"\[\[Seq:(\d+)\]\] ")
_LINE = re.compile(r"  (\w+) *= (.*)")


class PrintedError(ValueError):
    """Text that libqmi would not print; says what was expected and where."""


class PrintedTlv(NamedTuple):
    """One TLV: `name` is None where libqmi does not know it, `value` where it cannot read it (`error` says why)."""

    id: int
    name: str | None
    data: bytes
    value: Printed | None = None
    error: str = ""


class PrintedMessage(NamedTuple):
    """One message: `name` is None where libqmi does not know it; `flags` is none, response or indication."""

    service: str
    flags: str
    txn: int
    id: int
    name: str | None
    tlvs: list[PrintedTlv]


def parse_message(text: str) -> PrintedMessage:
    """The message that `Oracle.printable` printed. Raises PrintedError."""
    sections: dict[str, list[dict[str, str]]] = {"QMUX:": [], "QMI:": [], "TLV:": []}
    lines: dict[str, str] = {}
    for line in text.split("\n"):
        if line in sections:
            lines = {}
            sections[line].append(lines)
        elif match := _LINE.fullmatch(line):
            lines[match[1]] = match[2]
        elif line:
            raise PrintedError(f"not a line of a message: {line!r}")
    try:
        (qmux,), (qmi,), tlvs = sections.values()
        name, number = _named(qmi["message"])
        service, flags = qmux["service"].strip('"'), qmi["flags"].strip('"')
        return PrintedMessage(service, flags, int(qmi["transaction"]), number, name, [_tlv(each) for each in tlvs])
    except (KeyError, ValueError) as error:
        raise PrintedError(f"{error!r} in {text!r}") from error


def parse_value(text: str) -> Printed:
    """The structure of a translated value. Raises PrintedError."""
    if not text.startswith(("[ ", "{ [", "{}", "[[Seq:")):
        return text
    value, end = _nested(text, 0)
    if end != len(text):
        raise PrintedError(f"text after the value: {text[end:]!r}")
    return value


def _named(text: str) -> tuple[str | None, int]:
    if match := _NAMED.fullmatch(text):
        return match[1], int(match[2], 16)
    if match := _NUMBERED.fullmatch(text):
        return None, int(match[1], 16)
    raise PrintedError(f"neither a name nor a number: {text!r}")


def _tlv(block: dict[str, str]) -> PrintedTlv:
    name, number = _named(block["type"])
    data = b"" if block["value"] == "(null)" else bytes.fromhex(block["value"].replace(":", ""))
    if len(data) != int(block["length"]):
        raise PrintedError(f"a TLV of length {block['length']} with {len(data)} bytes")
    if name is None:
        return PrintedTlv(number, None, data)
    if error := _ERROR.search(block["translated"]):
        return PrintedTlv(number, name, data, None, error[1] or error[2])
    return PrintedTlv(number, name, data, parse_value(block["translated"]))


def _nested(text: str, at: int) -> tuple[Printed, int]:
    """The value that begins at `at`, and where it ends."""
    if text.startswith(("{ [", "{}"), at):
        return _array(text, at)
    if text.startswith("[ ", at):
        return _struct(text, at)
    if match := _PART.match(text, at):
        elements, end = _array(text, match.end())
        return {"Seq": match[1], "elements": elements}, end
    end = text.find("'", at)
    if end < 0:
        raise PrintedError(f"no end of {text[at:]!r}")
    return text[at:end], end


def _struct(text: str, at: int) -> tuple[Printed, int]:
    fields: dict[str, Printed] = {}
    at = _expect(text, at, "[")
    while not text.startswith(" ]", at):
        at = _expect(text, at, " ")
        equals = text.find(" = '", at)
        if equals < 0:
            raise PrintedError(f"no field name in {text[at:]!r}")
        name = text[at:equals]
        if name in fields:
            raise PrintedError(f"two fields {name!r} in one struct")
        fields[name], at = _nested(text, equals + 4)
        at = _expect(text, at, "'")
    return fields, at + 2


def _array(text: str, at: int) -> tuple[Printed, int]:
    elements: list[Printed] = []
    at = _expect(text, at, "{")
    while not text.startswith("}", at):
        at = _expect(text, at, f" [{len(elements)}] = '")
        value, at = _nested(text, at)
        if isinstance(value, str):
            # The blank before the closing apostrophe was read as the scalar's last character.
            at = _expect(text, at - 1, " '")
            value = value[:-1]
        else:
            at = _expect(text, at, " '")
        elements.append(value)
    return elements, at + 1


def _expect(text: str, at: int, what: str) -> int:
    if not text.startswith(what, at):
        raise PrintedError(f"expected {what!r} at {at} of {text!r}")
    return at + len(what)
