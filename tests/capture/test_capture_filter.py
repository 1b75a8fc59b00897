# SPDX-License-Identifier: GPL-2.0-or-later
"""Capture filters: what is typed, what the kernel gets, and that both mean the same."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qmisniff.capture.capture_filter import NAMES, parse
from qmisniff.errors import UsageError
from qmisniff.protocol import qrtr

_KERNEL = re.compile(r"[a-z_0-9]+ (==|!=|<|<=|>|>=) [0-9]+|&&|\|\||[()]| ")


def passes(text: str, **fields: int) -> bool:
    """What the kernel says of a record's fields."""
    return bool(eval(text.replace("&&", "and").replace("||", "or"), {}, fields))  # noqa: S307 - numbers and our words


def record(
    shape: str, kind: int, source: tuple[int, int], destination: tuple[int, int], payload: int
) -> dict[str, int]:
    """The fields that probes tell of a packet: with no header yet, or a header of version 1 or 2."""
    ends = {"from_node": source[0], "from_port": source[1], "to_node": destination[0], "to_port": destination[1]}
    narrow = {f"{name}2": value & 0xFFFF for name, value in ends.items()} | {"kind2": kind & 0xFF}
    wide = {**ends, "kind": kind}
    padded = payload + -payload % 4
    if shape == "headless":
        return {**dict.fromkeys(narrow, 0), **wide, "raw": 0, "version": 0, "len": payload}
    if shape == "v1":
        return {**dict.fromkeys(narrow, 77), **wide, "raw": 1, "version": 1, "len": 32 + padded}
    return {**dict.fromkeys(wide, 77), **narrow, "raw": 1, "version": 3, "len": 16 + padded}


def test_the_names_are_those_that_are_shown() -> None:
    assert NAMES["type"] == {label.lower(): value for value, label in qrtr.TYPES.items()}


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("node 0", True), ("node 2", False), ("src node 0", True), ("dst node 0", False), ("port 0x4001", True),
        ("dst port 0x4001 and src port 18", True), ("type data", True), ("TYPE DATA", True), ("type hello", False),
        ("type != hello", True), ("node != 1", False), ("len < 200", True), ("len >= 52", True), ("len > 52", False),
        ("not node 0", False), ("not not node 0", True), ("!(node 2 || type 4)", True),
        ("not (node 2 or type data)", False),
        ("node 2 or node 3 or node 1 and type data", True), ("(node 2 or node 1) and type bye", False),
        ("node 2 and type bye or len<1000", True), ("port ctrl", False), ("not port ctrl", True), ("len == 50", False),
        ("len != 50", True), ("len == 52", True), ("len != 52", False), ("len >= 0", True), ("len < 0", False),
        ("node 4294967295", False), ("node bcast or node 0", True),
    ],
)  # fmt: skip
def test_what_a_filter_means(text: str, wanted: bool) -> None:
    """A packet of 20 bytes from 0:18 to 1:0x4001."""
    made = parse(text)
    for shape in ("headless", "v1"):
        assert passes(made.text, **record(shape, 1, (0, 18), (1, 0x4001), 20)) is wanted, (shape, made.text)
    if "len" not in text:  # whose header is shorter
        assert passes(made.text, **record("v2", 1, (0, 18), (1, 0x4001), 20)) is wanted, made.text


def test_the_control_port_of_16_bits() -> None:
    control = record("v2", 4, (0, 0xFFFE), (1, 0xFFFE), 20)
    assert passes(parse("port ctrl").text, **control)
    assert not passes(parse("not src port ctrl").text, **control)
    assert not passes(parse("port 0xfffe").text, **control)
    assert not passes(parse("node 65536 or type 300").text, **control)
    assert passes(parse("node != 65536").text, **control)


def test_packets_that_are_none_are_never_left_out() -> None:
    assert passes(parse("node 5 and len < 0").text, **{**record("v1", 1, (0, 0), (0, 0), 1), "version": 9})


_TESTS = st.one_of(
    st.builds(
        "{}{} {}".format, st.sampled_from(["", "src ", "dst "]), st.sampled_from(["node", "port"]), st.integers(0, 3)
    ),
    st.builds("type {}".format, st.integers(0, 3)),
    st.builds("len {} {}".format, st.sampled_from(["<", "<=", ">", ">=", "==", "!="]), st.integers(0, 60)),
)  # fmt: skip
_FILTERS = st.recursive(
    _TESTS,
    lambda inner: st.one_of(
        st.builds("not ({})".format, inner),
        st.builds("({}) and {}".format, inner, inner),
        st.builds("{} or ({})".format, inner, inner),
    ),
    max_leaves=8,
)
_ENDS = st.tuples(st.integers(0, 3), st.integers(0, 3))


def meaning(text: str, packet: dict[str, int], whole: int) -> bool:
    """What a filter says by its grammar, by another way than parse's."""
    known: dict[str, Any] = {}

    def test(match: re.Match[str]) -> str:
        side, what, operator, value = match.groups()
        if what in ("node", "port"):
            ends = [packet[f"{end}_{what}"] for end in ("from", "to")]
            ends = {None: ends, "src": ends[:1], "dst": ends[1:]}[side]
            known[match[0]] = int(value) in ends
        else:
            number = packet["kind"] if what == "type" else whole
            known[match[0]] = bool(eval(f"{number} {operator or '=='} {value}"))  # noqa: S307
        return str(known[match[0]])

    return bool(eval(re.sub(r"(?:(src|dst) )?\b(node|port|type|len) (?:([<>=!]+) )?(\d+)", test, text)))  # noqa: S307


@given(_FILTERS, st.integers(0, 3), _ENDS, _ENDS, st.integers(0, 30))
@settings(deadline=None, max_examples=300)
def test_the_kernel_s_text_means_the_same(
    text: str, kind: int, source: tuple[int, int], destination: tuple[int, int], payload: int
) -> None:
    made = parse(text)
    assert not _KERNEL.sub("", made.text)
    assert set(re.findall(r"[a-z]\w*", made.text)) - {"len"} == made.names
    wide = record("v1", kind, source, destination, payload)
    for shape in ("headless", "v1", "v2"):
        seen = record(shape, kind, source, destination, payload)
        whole = seen["len"] if seen["raw"] else 32 + payload + -payload % 4
        assert passes(made.text, **seen) is meaning(text, wide, whole), (shape, made.text)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "empty"),
        ("node", "the end behind 'node' where a number, bcast"),
        ("port 5 port", "'port' behind 'port 5' where 'and' or 'or'"),
        ("len 5", "'5' behind 'len' where one of"),
        ("src type 3", "'type' behind 'src' where node or port"),
        ("(node 1", r"the end behind '\( node 1' where '\)'"),
        ("node 'x", '"\'" behind'),
        ("type banana", "'banana' behind 'type'"),
        ("node 1; reboot", "';' behind 'node 1'"),
        ("node 4294967296", "'4294967296'"),
        ("node -1", "'-'"),
        ("node ٣", "'٣'"),
        ("(" * 99, "too many parentheses"),
        ("not " * 5000, "the end"),
        (" or ".join(["node 1"] * 200), "too long"),
    ],
)
def test_what_is_no_filter_is_refused_with_the_place(text: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        parse(text)


@given(st.text(max_size=60))
def test_whatever_is_typed_only_words_of_ours_come_out(text: str) -> None:
    try:
        made = parse(text)
    except UsageError:
        return
    assert not _KERNEL.sub("", made.text)
