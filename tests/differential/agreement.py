# SPDX-License-Identifier: GPL-2.0-or-later
"""What was encoded against what libqmi prints for it: where they say different things about the same bytes."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping

from qmisniff.definitions.model import Number, Text, Tlv
from tests.differential.libqmi_names import NAMES
from tests.encoder import Branch, Leaf, Node
from tests.oracle.printed import Printed, PrintedTlv

Finding = tuple[str, str]  # filter name, what differs

_INTEGER = re.compile(r"-?\d+")


def plain_name(text: str) -> str:
    """What is left of a name without the ways of writing it: `LTE Signal Strength` -> `ltesignalstrength`."""
    return re.sub(r"[^a-z0-9]", "", text.lower())


def _yes_or_no(value: int) -> str:
    return "yes" if value else "no"


def same_name(path: str, theirs: str) -> bool:
    """Whether the last part of a filter name is libqmi's name, as it is or by the table of those that differ."""
    ours = path.rpartition(".")[2]
    return plain_name(theirs) in (plain_name(ours), plain_name(ours.removesuffix("_2"))) or NAMES.get(path) == theirs


class Names:
    """How libqmi prints a whole number: as such, as yes or no, or by one of its many tables of names. It does not say
    which, so all are candidates at first, and each value seen leaves those that give exactly the printed text for it;
    none left is a disagreement."""

    def __init__(self, tables: dict[str, Callable[[int], str]]) -> None:
        self._tables = tables | {"number": str, "truth": _yes_or_no}
        self._left: dict[str, set[str]] = {}

    def branch(self, prefix: str) -> Names:
        """What is known of the fields below a filter name, to go on from without a change here. A field that nothing
        explains is open again, so that each disagreement found there stands on its own."""
        other = Names(self._tables)
        other._left = {path: left for path, left in self._left.items() if left and path.startswith(prefix)}
        return other

    def settled(self, prefix: str) -> Iterator[tuple[str, Callable[[int], str]]]:
        """Fields below a filter name for which one table of names is left, and the table."""
        for path, left in self._left.items():
            tables = left - {"number", "truth"}
            if path.startswith(prefix) and len(tables) == 1:
                yield path, self._tables[next(iter(tables))]

    def candidates(self, path: str, value: int, text: str) -> set[str]:
        """What can explain everything seen of this field so far, this value and text included."""
        left = {name for name in self._left.get(path, self._tables) if self._tables[name](value) == text}
        self._left[path] = left
        return left


def swapped(labels: Mapping[int, str], table: Callable[[int], str]) -> Iterator[str]:
    """Labels of ours that libqmi has for another value, where we have something else."""
    theirs = {plain_name(table(value)): value for value in labels}
    for value, label in labels.items():
        name = plain_name(label)
        other = theirs.get(name, value)
        if other != value and name not in (plain_name(table(value)), plain_name(labels[other])):
            yield f"{label} is {value}, in libqmi {other}"


def tlv_findings(tlv: Tlv, node: Node, printed: PrintedTlv, names: Names) -> Iterator[Finding]:
    """Every difference about one TLV that libqmi knows."""
    assert printed.name is not None and printed.id == tlv.id and printed.data == node.data
    if not same_name(node.path, printed.name):
        yield node.path, f"libqmi calls it {printed.name!r}"
    if printed.error == "invalid string" and _has_empty_fixed_text(node):
        return  # libqmi refuses a fixed-size string that is empty, and the whole TLV with it
    if printed.value is None:
        yield node.path, f"libqmi cannot read it: {printed.error}"
    else:
        yield from _value(node, printed.value, names)


def _has_empty_fixed_text(node: Node) -> bool:
    if isinstance(node, Branch):
        return any(map(_has_empty_fixed_text, node.children))
    return isinstance(node.kind, Text) and node.kind.length.form == "fixed" and node.raw == ""


def _value(node: Node, printed: Printed, names: Names) -> Iterator[Finding]:
    match node, printed:
        case Leaf(kind=Number()), str():
            yield from _number(node, printed, names)
        case Leaf(kind=Text(encoding="string")), str():
            if node.raw != printed:
                yield node.path, f"text {node.raw!r}, libqmi {printed!r}"
        case Leaf(), dict() if len(printed) == 1:  # we do not repeat a TLV's name for its only field
            yield from _value(node, next(iter(printed.values())), names)
        case Branch(names=["result", "error"], children=[Leaf() as result, Leaf() as error]), str():
            yield from _result(result, error, printed, names)
        case Branch(names=[_]), str() | list():
            yield from _value(node.children[0], printed, names)
        case Branch(names=list()), dict():
            yield from _struct(node, printed, names)
        case Branch(names=None), list() if len(node.children) == len(printed):
            for child, each in zip(node.children, printed, strict=True):
                yield from _value(child, each, names)
        case _:
            body = _body(node)
            if body not in _bytes(printed, len(body)):
                yield node.path, f"{_shape(node)} {body.hex()}, libqmi {printed!r}"


def _number(node: Leaf, printed: str, names: Names) -> Iterator[Finding]:
    kind, raw = node.kind, node.raw
    assert isinstance(kind, Number)
    if isinstance(raw, float):
        if f"{raw:f}" != printed:
            yield node.path, f"{raw:f}, libqmi {printed}"
        return
    assert isinstance(raw, int)
    left = names.candidates(node.path, raw, printed)
    if not left:
        yield node.path, f"{raw}, libqmi {printed!r}"
    elif "number" not in left and not (kind.enum or kind.flags or kind.truth):
        yield node.path, f"libqmi has names for its values: {printed!r}"


def _result(result: Leaf, error: Leaf, printed: str, names: Names) -> Iterator[Finding]:
    success, _, why = printed.partition("FAILURE: ")
    assert isinstance(result.raw, int) and isinstance(error.raw, int)
    if (result.raw == 0) != (success == "SUCCESS") or (why and not names.candidates(error.path, error.raw, why)):
        yield result.path, f"{result.raw}, {error.raw}, libqmi {printed!r}"


def _struct(node: Branch, printed: dict[str, Printed], names: Names) -> Iterator[Finding]:
    assert node.names is not None
    paths = [f"{node.path}.{name}" for name in node.names]
    if len(paths) != len(printed) or not all(map(same_name, paths, printed)):
        yield node.path, f"fields {' '.join(node.names)}, libqmi {' '.join(printed)}"
    if len(node.names) == len(printed):
        for child, each in zip(node.children, printed.values(), strict=True):
            yield from _value(child, each, names)


def _body(node: Node) -> bytes:
    """The bytes of a value without the count before it."""
    if isinstance(node, Branch):
        return b"".join(child.data for child in node.children)
    if isinstance(node.kind, Text) and node.kind.length.form == "prefix":
        return node.data[node.kind.length.size :]
    return node.raw if isinstance(node.raw, bytes) else node.data


def _bytes(printed: Printed, size: int) -> list[bytes]:
    """The bytes that numbers may have been read from: each number as wide as fits, in either byte order."""
    numbers = _numbers(printed)
    if numbers is None or not numbers or size % len(numbers):
        return [b""] if numbers == [] else []
    width = size // len(numbers)
    try:
        return [
            b"".join(number.to_bytes(width, order, signed=number < 0) for number in numbers)
            for order in ("little", "big")
        ]
    except OverflowError:
        return []


def _numbers(printed: Printed) -> list[int] | None:
    if isinstance(printed, str):
        return [int(printed)] if _INTEGER.fullmatch(printed) else None
    found: list[int] = []
    for each in printed if isinstance(printed, list) else printed.values():
        inner = _numbers(each)
        if inner is None:
            return None
        found += inner
    return found


def _shape(node: Node) -> str:
    return type(node.kind).__name__.lower() if isinstance(node, Leaf) else "struct" if node.names else "array"
