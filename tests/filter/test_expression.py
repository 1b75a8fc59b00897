# SPDX-License-Identifier: GPL-2.0-or-later
"""Regular expressions mean what PCRE means by them, and end."""

from __future__ import annotations

import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qmisniff.filter.expression import MAX_PATTERN, expression

# Of what the patterns below use, Python's own engine, on bytes and ignoring case, means the same as PCRE.
_ATOMS = st.sampled_from(
    [b"a", b"B", b".", rb"\s", rb"\S", rb"\d", rb"\w", rb"[a-c\s]", rb"[^a]", rb"\.", b"\xe9", rb"\$"]
)
_PATTERNS = st.recursive(
    _ATOMS,
    lambda inner: st.one_of(
        st.builds(lambda parts: b"".join(parts), st.lists(inner, min_size=1, max_size=4)),
        st.builds(lambda one, many: b"(" + one + b")" + many, inner, st.sampled_from([b"*", b"+?", b"{2}", b"?"])),
        st.builds(lambda one, other: b"(?:" + one + b"|" + other + b"$)", inner, inner),
        st.builds(lambda one: b"^" + one, inner),
    ),
    max_leaves=6,
)
_LETTERS = st.sampled_from([b"a", b"A", b"b", b"\n", b"\x0b", b" ", b"7", b".", b"\xe9", b"\xc9", b"$"])
_TEXTS = st.lists(_LETTERS, max_size=8)


@given(_PATTERNS, st.booleans(), _TEXTS.map(b"".join))
def test_the_same_is_found_as_by_a_backtracking_engine(pattern: bytes, end: bool, text: bytes) -> None:
    pattern += b"$" if end else b""
    try:
        ours = expression(pattern)
    except ValueError as error:
        assert "$ stands at the end" in str(error) and b"$" in pattern[:-1]
        return
    assert bool(ours.search(text)) == bool(re.search(pattern, text, re.IGNORECASE))


@pytest.mark.parametrize(
    "pattern", [b"a$b", b"(a$)b", b"(a$){2}", b"(?:a|(b$))+", b"((a$|b)|c)\n", b"(a$|(b))*", b"$*", b"($)b|c"]
)
def test_what_stands_behind_an_end_is_refused(pattern: bytes) -> None:
    with pytest.raises(ValueError, match=r"\$ stands at the end"):
        expression(pattern)


@pytest.mark.parametrize(
    "pattern", [b"a$", b"a$|b", b"(a$|b)", b"((a$)|(?:b)|[)$])", b"(a|b$)?", b"(a$)$", rb"\$a", b"[$]a"]
)
def test_an_end_at_the_end_is_none_too_early(pattern: bytes) -> None:
    for text in (b"a", b"b\n", b"a\n", b"ab", b"$a", b")", b"\n"):
        assert bool(expression(pattern).search(text)) == bool(re.search(pattern, text, re.IGNORECASE))


@pytest.mark.parametrize("pattern", [b"(a+)+$", b"^(a|a)*$", b"(a|aa)+$", b"(.*)*x", b"a?" * 100 + b"a" * 100 + b"$"])
def test_no_expression_backtracks_without_end(pattern: bytes) -> None:
    start = time.process_time()
    assert not expression(pattern).search(b"a" * 60_000 + b"b")
    assert time.process_time() - start < 2  # a backtracking engine takes years


@pytest.mark.parametrize("pattern", [b"((((a{100}){100}){100}){100})", b"(" * 490 + b"a{900}" + b")" * 489])
def test_no_expression_takes_all_memory(pattern: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        expression(pattern)


def test_length_is_limited() -> None:
    with pytest.raises(ValueError, match="at most"):
        expression(b"a" * (MAX_PATTERN + 1))


def test_many_lines() -> None:
    assert expression(b"(?m)^b$").search(b"a\nb\nc")
    with pytest.raises(ValueError, match="beginning"):
        expression(b"a(?m)$")
