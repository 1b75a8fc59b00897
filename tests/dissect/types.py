# SPDX-License-Identifier: GPL-2.0-or-later
"""Random types and messages for property tests, and a registry made of them."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from qmisniff.definitions.model import (
    Address,
    Array,
    BitField,
    Bytes,
    Length,
    Number,
    Struct,
    Text,
    Type,
    Union,
    smallest,
)

ENUMS = {"e": {0: "zero", 1: 'o"ne\n', 255: "{end}"}, "f": {0x1: "low", 0x6: "middle", 0x80: "%s"}}


def _made(cls: Any, *parts: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """`cls` made of the parts, its other fields as they are by default."""
    return st.tuples(*parts).map(lambda given: cls(*given))


whole = st.one_of(
    _made(Number, st.just("u"), st.sampled_from([1, 2, 3, 4, 5, 6, 8]), st.booleans()),
    _made(Number, st.just("i"), st.sampled_from([1, 2, 4, 8]), st.booleans()),
)
scale = st.sampled_from([(1, 1), (-1, 2), (1, 10), (5, 4), (1000, 1)])
numbers = st.one_of(
    whole,
    whole.map(lambda kind: kind._replace(truth=True)),
    whole.map(lambda kind: kind._replace(enum="e")),
    whole.map(lambda kind: kind._replace(flags="f")),
    st.builds(lambda kind, by: kind._replace(num=by[0], den=by[1]), whole, scale),
    _made(Number, st.just("f"), st.sampled_from([4, 8]), st.booleans()),
    st.just(Number("u", 1, bits=(BitField("a", 0, 1), BitField("b", 1, 3, "e"), BitField("c", 4, 4)))),
    st.just(Number("u", 2, big_endian=True, bits=(BitField("a", 15, 1), BitField("b", 3, 9)))),
)
lengths = st.one_of(
    _made(Length, st.just("fixed"), st.integers(1, 5)),
    _made(Length, st.just("prefix"), st.sampled_from([1, 2, 4])),
    st.just(Length("rest")),
)
wide_lengths = st.one_of(lengths, _made(Length, st.just("prefix"), st.sampled_from([1, 2]), st.just(""), st.just(True)))
texts = st.one_of(
    _made(Text, st.sampled_from(["string", "bcd"]), lengths),
    _made(Text, st.just("utf16"), wide_lengths),
    _made(Bytes, lengths),
    _made(Address, st.sampled_from(["ipv4", "ipv6", "mac", "plmn"])),
    st.just(Address("ipv4", True)),
)


def _struct(inner: st.SearchStrategy[Type]) -> st.SearchStrategy[Struct]:
    return st.lists(inner, min_size=1, max_size=4).map(
        lambda kinds: Struct(tuple((f"x{at}", kind) for at, kind in enumerate(kinds)))
    )


def _counted(number: Number, kind: Type) -> Struct:
    """A struct whose first field says how long the second is, or which case of a union it is."""
    match kind:
        case Text() | Bytes():
            kind = kind._replace(length=Length("field", 0, "n"))
        case Array():
            kind = kind._replace(count=Length("field", 0, "n"))
        case _:
            kind = Union("n", ((0, "none", Number("u", 1)), (1, "one", kind), (255, "last", Struct((("y", kind),)))))
    return Struct((("n", number), ("x", kind)))


def _nested(inner: st.SearchStrategy[Type]) -> st.SearchStrategy[Type]:
    return st.one_of(
        _struct(inner),
        _made(Array, wide_lengths, inner.filter(lambda kind: smallest(kind) > 0)),
        st.builds(_counted, whole, inner),
    )


types: st.SearchStrategy[Type] = st.recursive(st.one_of(numbers, texts), _nested, max_leaves=8)
# Small numbers are lengths and selectors that fit.
values = st.one_of(
    st.binary(max_size=60), st.lists(st.integers(0, 3), max_size=60).map(bytes), st.just(bytes(40)), st.just(b"")
)
