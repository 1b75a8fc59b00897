# SPDX-License-Identifier: GPL-2.0-or-later
"""Text written into a filter is read back as the same bytes."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from qmisniff.filter.lexer import Sort, tokens
from qmisniff.filter.quote import quoted


@given(st.text())
def test_what_is_quoted_is_read_back(text: str) -> None:
    first, *_ = tokens(quoted(text))
    assert first.sort is Sort.STRING and first.value == text.encode("utf-8", "surrogateescape")
