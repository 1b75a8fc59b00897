# SPDX-License-Identifier: GPL-2.0-or-later
"""YAML as far as definitions may use it; everything else is refused with its place."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qmisniff.definitions.yamltree import MAX_SIZE, Mapping, Scalar, Sequence, TreeError, read_tree


def test_scalars_stay_text_and_know_their_place() -> None:
    tree = read_tree("a: no\nb: {c: 0x10, d: [1, '2']}\n")
    assert tree == {"a": "no", "b": {"c": "0x10", "d": ["1", "2"]}}
    assert isinstance(tree, Mapping)
    inner = tree[Scalar("b")]
    assert isinstance(inner, Mapping)
    items = inner[Scalar("d")]
    assert isinstance(items, Sequence) and isinstance(items[1], Scalar)
    assert (items[1].line, items[1].column, items[1].quoted) == (2, 21, True)
    assert (inner.line, inner.column) == (2, 4)


@pytest.mark.parametrize(
    ("text", "line", "column", "what"),
    [
        ("a: 1\nb: &x 2\n", 2, 4, "anchors"),
        ("a: 1\nb: *x\n", 2, 4, "aliases"),
        ("a: !!python/object/apply:os.system ['true']\n", 1, 4, "tags"),
        ("a: 1\nb: 2\na: 3\n", 3, 1, "given twice"),
        ("a: 1\n---\nb: 2\n", 2, 1, "second document"),
        ("a: [1, 2\n", 2, 1, "expected"),
        ("a: {b: }}\n", 1, 9, "expected"),
        ("", 1, 1, "empty"),
        ("{[1]: 2}\n", 1, 2, "plain text"),
        ("a: \x01\n", 1, 1, "not YAML"),
        ("[" * 100, 1, 26, "nested deeper"),
    ],
)
def test_what_is_refused(text: str, line: int, column: int, what: str) -> None:
    with pytest.raises(TreeError) as caught:
        read_tree(text)
    assert (caught.value.line, caught.value.column) == (line, column)
    assert what in str(caught.value)


def test_a_bomb_of_aliases_costs_nothing() -> None:
    bomb = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
        f"{b}: &{b} [{','.join(['*' + a] * 9)}]\n" for a, b in zip("abcdefgh", "bcdefghi", strict=True)
    )
    began = time.perf_counter()
    with pytest.raises(TreeError, match="anchors"):
        read_tree(bomb)
    assert time.perf_counter() - began < 1


def test_a_huge_file_is_not_parsed() -> None:
    with pytest.raises(TreeError, match="larger"):
        read_tree("a: " + "x" * MAX_SIZE)


@given(st.text(alphabet=st.sampled_from("ab:- {}[],&*!|>'\"\n\t#?%@`0x.\0"), max_size=60))
def test_any_text_is_a_tree_or_a_tree_error(text: str) -> None:
    try:
        read_tree(text)
    except TreeError as error:
        assert error.line >= 1 and error.column >= 1
