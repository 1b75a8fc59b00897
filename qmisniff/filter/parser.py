# SPDX-License-Identifier: GPL-2.0-or-later
"""Tokens -> nodes: `not` binds closer than `and`, `and` than `xor`, `xor` than `or`, as in Wireshark."""

from __future__ import annotations

import re

from qmisniff.filter.ast import (
    Call,
    Character,
    Logic,
    Masked,
    Member,
    Membership,
    Not,
    Operand,
    Present,
    Quoted,
    Range,
    Relation,
    Slice,
    Test,
    Word,
)
from qmisniff.filter.errors import FilterError, Span
from qmisniff.filter.lexer import Sort, Token, tokens

MAX_DEPTH = 64  # parentheses and nots inside each other
_LOGIC = ("or", "xor", "and")  # the loosest first
_RELATIONS = frozenset({"==", "!=", "===", "!==", "<", "<=", ">", ">=", "contains", "matches"})
_NUMBER = r"-?(?:0[xX][0-9a-fA-F]+|[0-9]+)"
_RANGE = re.compile(
    rf"\s*(?:(?P<start>{_NUMBER})?\s*(?P<colon>:)\s*(?P<length>{_NUMBER})?"
    rf"|(?P<first>{_NUMBER})\s*-\s*(?P<last>{_NUMBER})"
    rf"|(?P<single>{_NUMBER}))\s*"
)


def parse(text: str) -> Test:
    """The test that a filter's text is. Raises FilterError where it is none."""
    return _Parser(text).whole()


class _Parser:
    def __init__(self, text: str) -> None:
        self._text = text
        self._tokens = list(tokens(text))
        self._at = 0
        self._depth = 0

    def whole(self) -> Test:
        if len(self._tokens) == 1:
            raise self._error("the filter is empty", self._next)
        test = self._logic(0)
        if self._at < len(self._tokens) - 1:
            raise self._unexpected()
        return test

    # ---- tests ----

    def _logic(self, level: int) -> Test:
        if level == len(_LOGIC):
            return self._unary()
        tests = [self._logic(level + 1)]
        while self._accept(Sort.OPERATOR, _LOGIC[level]):
            tests.append(self._logic(level + 1))
        if len(tests) == 1:
            return tests[0]
        return Logic(_LOGIC[level], tuple(tests), Span(tests[0].span.start, tests[-1].span.end))

    def _unary(self) -> Test:
        opening = self._next
        if self._accept(Sort.OPERATOR, "not"):
            self._deeper(opening)
            test = self._unary()
            self._depth -= 1
            return Not(test, Span(opening.span.start, test.span.end))
        if self._accept(Sort.PUNCTUATION, "("):
            self._deeper(opening)
            test = self._logic(0)
            if not self._accept(Sort.PUNCTUATION, ")"):
                if self._next.sort is Sort.END:
                    raise self._error("this parenthesis is not closed", opening)
                raise self._unexpected()
            self._depth -= 1
            return test
        return self._relation()

    def _relation(self) -> Test:
        start = self._next
        quantifier = ""
        for word in ("any", "all"):
            if self._accept(Sort.OPERATOR, word):
                quantifier = word
        left = self._operand()
        operator = self._next
        test: Test
        if operator.sort is Sort.OPERATOR and operator.text in _RELATIONS:
            self._at += 1
            right = self._operand()
            test = Relation(operator.text, left, right, quantifier, Span(start.span.start, right.span.end))
        elif self._accept(Sort.OPERATOR, "in"):
            test = self._membership(left, quantifier, start)
        elif operator.text == "not" and operator.sort is Sort.OPERATOR:
            self._at += 1
            if not self._accept(Sort.OPERATOR, "in"):
                raise self._error("`not` behind a field is followed by `in`", operator)
            test = self._membership(left, quantifier, start)
            return Not(test, test.span)
        elif quantifier:
            raise self._error(f"`{quantifier}` needs a comparison", start)
        else:
            return Present(left, left.span)
        again = self._next
        if again.sort is Sort.OPERATOR and (again.text in _RELATIONS or again.text == "in"):
            raise self._error("one comparison at a time: join them with `and`", again)
        return test

    def _membership(self, left: Operand, quantifier: str, start: Token) -> Membership:
        opening = self._next
        if not self._accept(Sort.PUNCTUATION, "{"):
            raise self._error("`in` is followed by a set: {1, 5, 10..20}", opening)
        members: list[Member] = []
        while True:
            low = self._operand()
            members.append(Member(low, self._operand() if self._accept(Sort.PUNCTUATION, "..") else None))
            if self._accept(Sort.PUNCTUATION, ","):
                continue
            closing = self._next
            if self._accept(Sort.PUNCTUATION, "}"):
                return Membership(left, tuple(members), quantifier, Span(start.span.start, closing.span.end))
            if closing.sort is Sort.END:
                raise self._error("this set is not closed", opening)
            raise self._error("the members of a set are separated by commas", closing)

    # ---- operands ----

    def _operand(self) -> Operand:
        left = self._single()
        while self._accept(Sort.OPERATOR, "&"):
            right = self._single()
            left = Masked(left, right, Span(left.span.start, right.span.end))
        return left

    def _single(self) -> Operand:
        token = self._next
        found: Operand
        match token.sort:
            case Sort.WORD:
                self._at += 1
                found = Word(token.text, token.span)
                if self._next.text == "(" and self._next.span.start == token.span.end:
                    found = self._call(found)
            case Sort.STRING:
                self._at += 1
                found = Quoted(token.value, token.text, token.span)
            case Sort.CHARACTER:
                self._at += 1
                found = Character(token.value[0], token.text, token.span)
            case _:
                raise self._unexpected()
        token = self._next
        if token.sort is Sort.SLICE:
            self._at += 1
            found = Slice(found, self._ranges(token), Span(found.span.start, token.span.end))
        return found

    def _call(self, function: Word) -> Call:
        opening = self._next
        self._at += 1
        arguments: list[Operand] = []
        while self._next.text != ")" or self._next.sort is not Sort.PUNCTUATION:
            if arguments and not self._accept(Sort.PUNCTUATION, ","):
                if self._next.sort is Sort.END:
                    raise self._error("this parenthesis is not closed", opening)
                raise self._unexpected()
            arguments.append(self._single_argument(opening))
        closing = self._next
        self._at += 1
        return Call(function, tuple(arguments), Span(function.span.start, closing.span.end))

    def _single_argument(self, opening: Token) -> Operand:
        if self._next.sort is Sort.END:
            raise self._error("this parenthesis is not closed", opening)
        self._deeper(opening)
        argument = self._operand()
        self._depth -= 1
        return argument

    def _ranges(self, token: Token) -> tuple[Range, ...]:
        found: list[Range] = []
        at = token.span.start + 1
        for part in token.text[1:-1].split(","):
            span = Span(at, max(at + len(part), at + 1))
            at += len(part) + 1
            match = _RANGE.fullmatch(part)
            if match is None or (match["colon"] and not match["start"] and not match["length"]):
                raise FilterError(
                    "not a slice", self._text, span, "[start:length], [first-last], [start], [:length], [start:]"
                )
            if match["colon"]:
                length = _whole(match["length"]) if match["length"] else None
                if length is not None and length < 1:
                    raise FilterError(f"a slice of {length} bytes", self._text, span)
                found.append(Range(_whole(match["start"] or "0"), length))
            elif match["last"]:
                found.append(Range(_whole(match["first"]), last=_whole(match["last"])))
            else:
                found.append(Range(_whole(match["single"]), 1))
        return tuple(found)

    # ---- tokens ----

    @property
    def _next(self) -> Token:
        return self._tokens[self._at]

    def _accept(self, sort: Sort, text: str) -> bool:
        token = self._next
        if token.sort is not sort or token.text != text:
            return False
        self._at += 1
        return True

    def _deeper(self, token: Token) -> None:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise self._error(f"nested more than {MAX_DEPTH} deep", token)

    def _error(self, message: str, token: Token) -> FilterError:
        return FilterError(message, self._text, token.span)

    def _unexpected(self) -> FilterError:
        token = self._next
        if token.sort is Sort.END:
            return self._error("the filter ends here, something is missing", token)
        written = self._text[token.span.start : token.span.end]
        return self._error(f"{written} was not expected here", token)


def _whole(text: str) -> int:
    """A slice's number: hexadecimal with 0x, else decimal."""
    return int(text, 16) if "x" in text.lower() else int(text)
