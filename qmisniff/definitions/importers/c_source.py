# SPDX-License-Identifier: GPL-2.0-or-later
"""What C sources say of constants, enums, structs and initialised arrays: patterns over text, no C compiler.

Only declarations are looked at, as they are written in kernel drivers and their headers. Nothing is executed: constant
expressions are evaluated over whole numbers only.
"""

from __future__ import annotations

import ast
import operator
import re
from collections.abc import Callable, Iterator
from typing import NamedTuple

_COMMENT = re.compile(r"/\*(?:[^*]|\*(?!/))*(?:\*/|\Z)|//[^\n]*")  # one never closed goes to the end
_DEFINE = re.compile(r"^[ \t]*#[ \t]*define[ \t]+([A-Za-z_]\w*)[ \t]+([^\n]+?)[ \t]*$", re.MULTILINE)
_DIRECTIVE = re.compile(r"^[ \t]*#[^\n]*$", re.MULTILINE)
_ENUM = re.compile(r"\benum\s*([A-Za-z_]\w*)?\s*\{([^{}]*)\}\s*([A-Za-z_]\w*)?\s*;")
_STRUCT = re.compile(r"\bstruct\s+([A-Za-z_]\w*)\s*\{([^{}]*)\}|\bstruct\s*\{([^{}]*)\}\s*([A-Za-z_]\w*)\s*;")
_MEMBER = re.compile(r"((?:[A-Za-z_]\w*[\s*]+)+)([A-Za-z_]\w*)\s*(\[[^;]*\])?\s*$")
_SUFFIX = re.compile(r"\b(0[xX][0-9a-fA-F]+|\d+)[uUlL]+\b")
_MAX_EXPRESSION = 200
_LIMIT = 1 << 64
_LIMITS = {"INT_MIN": -(1 << 31), "INT_MAX": (1 << 31) - 1, "U8_MAX": 0xFF, "U16_MAX": 0xFFFF}
_OPERATORS: dict[type[ast.operator], Callable[[int, int], int]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.BitOr: operator.or_,
    ast.BitAnd: operator.and_,
    ast.LShift: lambda value, by: value << by if 0 <= by <= 64 else _LIMIT,
}


class CEnum(NamedTuple):
    """Values in the order of the source; `masks` where they are written as shifts."""

    values: tuple[tuple[int, str], ...]
    masks: bool


class Source:
    """Constants, enums and structs (struct -> member -> type words) of one or more files put together."""

    def __init__(self, text: str) -> None:
        text = _COMMENT.sub(lambda match: " " + "\n" * match[0].count("\n"), text).replace("\\\n", " ")
        self._defines = {name: value for name, value in _DEFINE.findall(text)}
        self.text = _DIRECTIVE.sub("", text)
        self._closing = dict(_brackets(self.text))
        self._labels: dict[str, int] = {}
        self.enums: dict[str, CEnum] = {}
        for match in _ENUM.finditer(self.text):
            values = tuple(self._enum(match[2]))
            for name in filter(None, (match[1], match[3])):
                self.enums[name] = CEnum(values, "<<" in match[2])
        self.structs = {
            match[1] or match[4]: dict(_members(match[2] or match[3] or "")) for match in _STRUCT.finditer(self.text)
        }

    def inside(self, at: int) -> str:
        """What stands between the bracket at `at` and the one that closes it ("" where none does)."""
        return self.text[at + 1 : self._closing.get(at, at)]

    def defined(self) -> Iterator[tuple[str, int]]:
        """Every name that stands for a whole number."""
        for name in self._defines:
            if (value := self.number(name)) is not None:
                yield name, value
        yield from self._labels.items()

    def number(self, expression: str, depth: int = 0) -> int | None:
        """The value of a constant expression, None where it is not one or too large."""
        expression = _SUFFIX.sub(r"\1", expression.strip())
        if depth > 8 or len(expression) > _MAX_EXPRESSION:
            return None
        octal = re.fullmatch(r"0[0-7]+", expression)
        if octal:
            return int(expression, 8)
        try:
            return self._value(ast.parse(expression, mode="eval").body, depth)
        except (SyntaxError, ValueError, MemoryError, RecursionError):
            return None

    def _value(self, node: ast.expr, depth: int) -> int | None:
        value: int | None = None
        match node:
            case ast.Constant(value=int(number)) if not isinstance(number, bool):
                value = number
            case ast.Name(id=name):
                if name in self._labels:
                    value = self._labels[name]
                elif name in _LIMITS:
                    value = _LIMITS[name]
                elif name in self._defines:
                    value = self.number(self._defines[name], depth + 1)
            case ast.UnaryOp(op=ast.USub(), operand=inner):
                found = self._value(inner, depth)
                value = None if found is None else -found
            case ast.BinOp(left=left, op=by, right=right) if type(by) in _OPERATORS:
                one, other = self._value(left, depth), self._value(right, depth)
                value = None if one is None or other is None else _OPERATORS[type(by)](one, other)
            case ast.Call(func=ast.Name(id="BIT" | "BIT_ULL"), args=[inner]):
                found = self._value(inner, depth)
                value = 1 << found if found is not None and 0 <= found < 64 else None
        return value if value is not None and abs(value) < _LIMIT else None

    def _enum(self, body: str) -> Iterator[tuple[int, str]]:
        following: int | None = 0
        for item in split(body):
            name, _, expression = item.partition("=")
            name = name.split()[0] if name.split() else ""
            if not re.fullmatch(r"[A-Za-z_]\w*", name):
                continue
            value = self.number(expression) if expression else following
            if value is None:  # nor are those that count on from it known
                following = None
                continue
            self._labels[name] = value
            following = value + 1
            yield value, name


def _brackets(text: str) -> Iterator[tuple[int, int]]:
    """The places of an opening bracket and of its closing one."""
    open_at: list[int] = []
    for match in re.finditer(r"[(){}\[\]]", text):
        if match[0] in "({[":
            open_at.append(match.start())
        elif open_at:
            yield open_at.pop(), match.start()


def _members(body: str) -> Iterator[tuple[str, str]]:
    for line in body.split(";"):
        if match := _MEMBER.search(line[-_MAX_EXPRESSION:]):
            yield match[2], " ".join(match[1].split())


def split(text: str) -> Iterator[str]:
    """The text between commas that are inside no bracket."""
    depth = start = 0
    for at, char in enumerate(text):
        depth += (char in "({[") - (char in ")}]")
        if char == "," and depth == 0:
            yield text[start:at].strip()
            start = at + 1
    if text[start:].strip():
        yield text[start:].strip()
