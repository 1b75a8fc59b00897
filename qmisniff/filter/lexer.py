# SPDX-License-Identifier: GPL-2.0-or-later
"""A filter's text -> tokens."""

from __future__ import annotations

import re
from collections.abc import Iterator
from enum import Enum
from typing import NamedTuple

from qmisniff.filter.errors import FilterError, Span

MAX_TEXT = 10_000  # characters

# Every spelling of an operator -> its chief name.
OPERATORS = {
    **{"==": "==", "eq": "==", "any_eq": "==", "!=": "!=", "ne": "!=", "all_ne": "!="},
    **{"===": "===", "all_eq": "===", "!==": "!==", "any_ne": "!=="},
    **{"<": "<", "lt": "<", "<=": "<=", "le": "<=", ">": ">", "gt": ">", ">=": ">=", "ge": ">="},
    **{"contains": "contains", "matches": "matches", "~": "matches", "in": "in", "&": "&", "bitwise_and": "&"},
    **{"and": "and", "&&": "and", "or": "or", "||": "or", "xor": "xor", "^^": "xor", "not": "not", "!": "not"},
    **{"any": "any", "all": "all"},
}
_SYMBOLS = sorted((word for word in OPERATORS if not word[0].isalpha()), key=len, reverse=True)
_PUNCTUATION = ("..", "(", ")", "{", "}", ",")
_TOKEN = re.compile(
    r"""(?P<space>[ \t\r\n]+)
    |(?P<raw>r"(?:[^"\\]|\\.)*")
    |(?P<string>"(?:[^"\\]|\\.)*")
    |(?P<char>'(?:[^'\\]|\\[^x0-7uU]|\\x[0-9a-fA-F]{1,2}|\\[0-7]{1,3})')
    |(?P<slice>\[[^\]]*\])
    |(?P<word>-?[A-Za-z0-9_:](?:[A-Za-z0-9_:-]|\.(?!\.))*(?:/[0-9]+)?)
    |(?P<symbol>"""
    + "|".join(re.escape(symbol) for symbol in (*_SYMBOLS, *_PUNCTUATION))
    + ")",
    re.VERBOSE | re.DOTALL,
)
_ESCAPE = re.compile(r"\\(x[0-9a-fA-F]{1,2}|[0-7]{1,3}|u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8}|.)", re.DOTALL)
_LETTERS = {"a": 7, "b": 8, "f": 12, "n": 10, "r": 13, "t": 9, "v": 11, "'": 39, '"': 34, "\\": 92}
_ELSEWHERE = {
    "#": "layers cannot be chosen with #",
    "$": "there are no references to other fields with ${}",
    **dict.fromkeys("+*/%", "there is no arithmetic"),
}


class Sort(Enum):
    """What a token is."""

    WORD = "a word"
    STRING = "a string"
    CHARACTER = "a character"
    SLICE = "a slice"
    OPERATOR = "an operator"
    PUNCTUATION = "punctuation"
    END = "the end of the filter"


class Token(NamedTuple):
    """`text` is as written, of an operator its chief name; `value` what a string or character stands for."""

    sort: Sort
    text: str
    span: Span
    value: bytes = b""


def tokens(text: str) -> Iterator[Token]:
    """The tokens of a filter, END last. Raises FilterError for characters that begin none."""
    if len(text) > MAX_TEXT:
        raise FilterError(f"a filter has at most {MAX_TEXT} characters", text[:60], Span(59, 60))
    at = 0
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None:
            raise FilterError(_why_not(text[at]), text, Span(at, len(text) if text[at] in "\"'[" else at + 1))
        written, span = match[0], Span(*match.span())
        at = span.end
        match match.lastgroup:
            case "space":
                continue
            case "raw":
                yield Token(Sort.STRING, written, span, written[2:-1].encode("utf-8", "surrogateescape"))
            case "string":
                yield Token(Sort.STRING, written, span, _unescaped(written, text, span))
            case "char":
                value = _unescaped(written, text, span)
                if len(value) != 1:
                    raise FilterError("a character constant is one byte", text, span)
                yield Token(Sort.CHARACTER, written, span, value)
            case "slice":
                yield Token(Sort.SLICE, written, span)
            case _ if written in OPERATORS:
                yield Token(Sort.OPERATOR, OPERATORS[written], span)
            case "word":
                yield Token(Sort.WORD, written, span)
            case _:
                yield Token(Sort.PUNCTUATION, written, span)
    yield Token(Sort.END, "", Span(len(text), len(text)))


def _unescaped(written: str, text: str, span: Span) -> bytes:
    """The bytes of a quoted text: its escapes replaced, everything else UTF-8."""
    found = bytearray()
    at, stop = 1, len(written) - 1
    while at < stop:
        if written[at] != "\\":
            found += written[at].encode("utf-8", "surrogateescape")
            at += 1
            continue
        match = _ESCAPE.match(written, at)
        assert match is not None  # the token's own expression saw to it
        code = match[1]
        where = Span(span.start + at, span.start + match.end())
        if code[0] == "x" and len(code) > 1:
            found.append(int(code[1:], 16))
        elif code[0] in "01234567":
            if int(code, 8) > 255:
                raise FilterError(f"\\{code} is more than a byte", text, where)
            found.append(int(code, 8))
        elif code[0] in "uU" and len(code) > 1:
            try:
                found += chr(int(code[1:], 16)).encode()
            except (ValueError, OverflowError):
                raise FilterError(f"\\{code} is no character", text, where) from None
        elif code in _LETTERS:
            found.append(_LETTERS[code])
        else:
            raise FilterError(f"\\{code} is no escape", text, where, 'write \\\\ for a backslash, or use r"..."')
        at = match.end()
    return bytes(found)


def _why_not(char: str) -> str:
    if char in "\"'":
        return "a quote that is not closed, or not as it should be"
    if char == "[":
        return "a slice that is not closed"
    if char == "=":
        return "= is no operator: == compares"
    return _ELSEWHERE.get(char, f"{char!r} has no meaning here")
