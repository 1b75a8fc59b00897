# SPDX-License-Identifier: GPL-2.0-or-later
"""Text -> nodes: precedence, round trips, and where errors point to."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qmisniff.filter import FilterError, ast
from qmisniff.filter.parser import MAX_DEPTH, parse

_WORDS = st.sampled_from(["frame.len", "qmi.nas.x.y", "0x1f", "-12", "1.5", "aa:bb", "10.0.0.0/8", "::1", "lte"])
_STRINGS = st.sampled_from(['"abc"', r'"a\"\\b"', r'"\x41\101é"', r'r"\d+"'])


def _quoted(written: str) -> ast.Operand:
    relation = parse(f"x == {written}")
    assert isinstance(relation, ast.Relation)
    return relation.right


_NUMBERS = st.integers(-20, 20)
_RANGES = st.one_of(
    st.builds(ast.Range, _NUMBERS, st.one_of(st.none(), st.integers(1, 9))),
    st.builds(lambda first, last: ast.Range(first, last=last), _NUMBERS, _NUMBERS),
)
_OPERANDS: st.SearchStrategy[ast.Operand] = st.recursive(
    st.one_of(_WORDS.map(ast.Word), _STRINGS.map(_quoted)),
    lambda inner: st.builds(
        ast.Call, st.sampled_from(["max", "len"]).map(ast.Word), st.lists(inner, min_size=1, max_size=2).map(tuple)
    ),
    max_leaves=3,
)
_SLICED = st.builds(ast.Slice, _WORDS.map(ast.Word), st.lists(_RANGES, min_size=1, max_size=3).map(tuple))
_SIDES = st.one_of(_OPERANDS, _SLICED, st.builds(ast.Masked, _SLICED, _WORDS.map(ast.Word)))
_QUANTIFIERS = st.sampled_from(["", "any", "all"])
_OPERATORS = st.sampled_from(["==", "!=", "===", "!==", "<", "<=", ">", ">=", "contains", "matches"])
_MEMBERS = st.lists(st.builds(ast.Member, _OPERANDS, st.one_of(st.none(), _OPERANDS)), min_size=1, max_size=3)
_LEAVES: st.SearchStrategy[ast.Test] = st.one_of(
    st.builds(ast.Present, _SIDES),
    st.builds(ast.Relation, _OPERATORS, _SIDES, _SIDES, _QUANTIFIERS),
    st.builds(ast.Membership, _SIDES, _MEMBERS.map(tuple), _QUANTIFIERS),
)


_TESTS: st.SearchStrategy[ast.Test] = st.recursive(
    _LEAVES,
    lambda inner: st.one_of(
        st.builds(ast.Not, inner),
        st.builds(
            lambda operator, tests: ast.Logic(operator, tuple(tests)),
            st.sampled_from(["and", "or", "xor"]),
            st.lists(inner, min_size=2, max_size=3),
        ),
    ),
    max_leaves=8,
)


@given(_TESTS)
def test_what_is_written_is_read_back(test: ast.Test) -> None:
    assert parse(str(test)) == test


@given(st.text(alphabet="afm.3 ()[]{}\"'\\=!<>&|^~-:,0x\x1b\n", max_size=30))
def test_any_text_parses_or_is_an_error_with_a_place_in_it(text: str) -> None:
    try:
        test = parse(text)
    except FilterError as error:
        assert 0 <= error.span.start <= error.span.end <= len(text) or error.span.end == error.span.start + 1
        assert "\x1b" not in str(error)
        assert len(str(error).splitlines()) == 3
    else:
        assert parse(str(test)) == test


@pytest.mark.parametrize(
    ("text", "means"),
    [
        ("a and b or not c or d and not e or f", "(a and b) or not c or (d and not e) or f"),
        ("a or b xor c and d", "a or (b xor (c and d))"),
        ("not a and b", "(not a) and b"),
        ("not a == 1", "not (a == 1)"),
        ("a && b || !c ^^ d", "(a and b) or ((not c) xor d)"),
        ("a eq 1 or a ne 1", "a == 1 or a != 1"),
        ("a lt 1 or a le 1 or a gt 1 or a ge 1", "a < 1 or a <= 1 or a > 1 or a >= 1"),
        ("a any_eq 1 or a all_eq 1 or a any_ne 1 or a all_ne 1", "a == 1 or a === 1 or a !== 1 or a != 1"),
        ('a ~ "x"', 'a matches "x"'),
        ("a bitwise_and 1", "a & 1"),
        ("a not in {1}", "not (a in {1})"),
        ("a&b&&c", "(a & b) and c"),
    ],
)
def test_spellings_and_precedence(text: str, means: str) -> None:
    assert parse(text) == parse(means)


@pytest.mark.parametrize(
    ("written", "value"),
    [
        (r'"\x48EAD"', b"HEAD"),
        (r'"\110EAD"', b"HEAD"),
        (r'"\xff"', b"\xff"),
        (r'"\u00e9"', "é".encode()),
        (r'"a\"\\\n"', b'a"\\\n'),
        (r'r"\\SERVER\d"', rb"\\SERVER\d"),
        ('"é"', "é".encode()),
    ],
)
def test_escapes(written: str, value: bytes) -> None:
    found = _quoted(written)
    assert isinstance(found, ast.Quoted)
    assert found.value == value


# The marks stand under what the error is about.
@pytest.mark.parametrize(
    ("text", "marks"),
    [
        ("", "^"),
        ("a ==", "    ^"),
        ("(a", "^"),
        ("a)", " ^"),
        ("a b", "  ^"),
        ("a = 3", "  ^"),
        ("a + 3", "  ^"),
        ("a#2 == 3", " ^"),
        ("${a} == 3", "^"),
        ("a[0:0] == 00", "  ^~~"),
        ("a[1,x] == 00", "    ^"),
        ("a[]", "  ^"),
        ("a[0", " ^~"),
        ('a == "abc', "     ^~~~"),
        ("a == 'ab'", "     ^~~~"),
        (r'a == "x\q"', "       ^~"),
        (r'a == "\400"', "      ^~~~"),
        (r'a == "\uffffffff" or a == "\Uffffffff"', " " * 27 + "^" + "~" * 9),
        ("a in 3", "     ^"),
        ("a in {3", "     ^"),
        ("a in {3 4}", "        ^"),
        ("a in {}", "      ^"),
        ("1 < a < 3", "      ^"),
        ("any a", "^~~"),
        ("a not == 3", "  ^~~"),
        ("max(a", "   ^"),
        ("max(a b)", "      ^"),
        ("not", "   ^"),
        ("a and", "     ^"),
        ("and a", "^~~"),
    ],
)
def test_errors_point_to_what_is_wrong(text: str, marks: str) -> None:
    with pytest.raises(FilterError) as caught:
        parse(text)
    assert str(caught.value).splitlines()[2] == f"  {marks}"


@pytest.mark.parametrize("text", ["(" * 5000, "not " * 2000 + "a", "max(" * 2000 + "a", "!" * 9999 + "a"])
def test_nesting_is_limited(text: str) -> None:
    with pytest.raises(FilterError, match=f"nested more than {MAX_DEPTH} deep"):
        parse(text)


def test_length_is_limited() -> None:
    with pytest.raises(FilterError, match="at most"):
        parse("a or " * 3000 + "a")


def test_many_tests_side_by_side_are_not_nested() -> None:
    assert isinstance(parse(" or ".join(["a"] * 1500)), ast.Logic)
