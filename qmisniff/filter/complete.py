# SPDX-License-Identifier: GPL-2.0-or-later
"""What can follow in a filter that is being typed: fields, operators, labels, functions."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from qmisniff.field import FieldSpec
from qmisniff.filter.catalogue import TEXTS, Catalogue, Type
from qmisniff.filter.errors import FilterError
from qmisniff.filter.lexer import Sort, Token, tokens
from qmisniff.filter.resolve import FUNCTIONS

_TYPED = re.compile(r'"?[A-Za-z0-9_.]*$')
_BARE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_LOGIC = {"and": "both pass", "or": "one passes or both", "xor": "one passes, not both"}
_BEFORE = {"not": "the test fails", "any": "for any value of a field", "all": "for every value of a field"}
_COMPARE = {
    "==": "any value is equal",
    "!=": "all values differ",
    "===": "all values are equal",
    "!==": "any value differs",
    "<": "less",
    "<=": "less or equal",
    ">": "greater",
    ">=": "greater or equal",
    "in": "one of a set: {1, 5, 10..20}",
}
_SEARCH = {"contains": "holds a part", "matches": "a regular expression is found"}


_LEAST = 3  # characters of a name's middle


class Candidate(NamedTuple):
    """`text` may replace the characters from `start` up to the cursor; `type` and `description` tell what it is."""

    text: str
    start: int
    type: str
    description: str


def complete(text: str, cursor: int, catalogue: Catalogue) -> list[Candidate]:
    """What can stand at the cursor, as far as it has been typed. Fields come up to their next dot.

    Where nothing begins with what is typed, fields are found that have it in their names.
    """
    before = text[:cursor]
    match = _TYPED.search(before)
    typed = match[0] if match else ""
    start = cursor - len(typed)
    try:
        found = [token for token in tokens(before[:start]) if token.sort is not Sort.END]
    except FilterError:
        return []  # inside a string, say
    typed = typed.lower()
    candidates = [
        Candidate(word, start, kind, description)
        for word, kind, description in _following(found, typed, catalogue)
        if word.lower().startswith(typed) or word.lower().startswith(f'"{typed}')
    ]
    last = found[-1] if found else None
    if candidates or len(typed) < _LEAST or _compared(found, catalogue) or not (last is None or _takes_field(last)):
        return candidates
    return [each._replace(start=start) for each in containing(typed, catalogue)]


def containing(part: str, catalogue: Catalogue) -> list[Candidate]:
    """Fields that have a part of a name in theirs: first those where a word begins so, then the others."""
    found = [
        Candidate(spec.name, 0, catalogue.type_of(spec).value, where) for spec, where in catalogue.containing(part)
    ]
    return sorted(found, key=lambda each: (f".{part.lower()}" not in f".{each.text}", each.text))


_Offer = tuple[str, str, str]


def _following(found: list[Token], typed: str, catalogue: Catalogue) -> Iterator[_Offer]:
    """What can follow these tokens."""
    last = found[-1] if found else None
    field = _compared(found, catalogue)
    if field is not None:
        yield from _values(field, catalogue)
        return
    if last is None or _takes_field(last):
        yield from _fields(typed, catalogue)
        yield from ((f"{name}(", "function", what) for name, what in FUNCTIONS.items())
        if last is None or last.text in ("and", "or", "xor", "not", "("):
            yield from ((word, "operator", what) for word, what in _BEFORE.items())
        return
    if last.sort is Sort.WORD and (spec := catalogue.find(last.text)) and not _is_right_side(found):
        yield from _operators(catalogue.type_of(spec))
    elif last.sort is Sort.SLICE:
        yield from _operators(Type.BYTES)
    elif last.text == ")":
        yield from _operators(Type.STRING)
    if last.sort is not Sort.OPERATOR and last.text not in ("{", ".."):
        yield from ((word, "operator", what) for word, what in _LOGIC.items())


def _takes_field(last: Token) -> bool:
    """Whether the name of a field can follow this token."""
    return (last.sort is Sort.OPERATOR and last.text not in ("in", "&")) or last.text in ("(", ",")


def _compared(found: list[Token], catalogue: Catalogue) -> FieldSpec | None:
    """The field whose value comes next: `field ==`, `field in {`, `field in {a,`."""
    at = len(found) - 1
    if at >= 0 and found[at].text in ("{", ",", ".."):
        while at >= 0 and found[at].text != "{":
            if found[at].text in ("(", ")"):
                return None
            at -= 1
        at -= 1
        if at < 0 or found[at].text != "in":
            return None
    elif at < 0 or found[at].text not in _COMPARE or found[at].text == "in":
        return None
    return catalogue.find(found[at - 1].text) if at > 0 and found[at - 1].sort is Sort.WORD else None


def _is_right_side(found: list[Token]) -> bool:
    return len(found) > 1 and found[-2].sort is Sort.OPERATOR and found[-2].text in (*_COMPARE, *_SEARCH)


def _operators(kind: Type) -> Iterator[_Offer]:
    if kind is Type.HEADING:
        return
    words: Iterable[tuple[str, str]] = _COMPARE.items()
    if kind in TEXTS:
        words = (*words, *_SEARCH.items())
    elif kind is Type.ETHER:
        words = (*words, ("contains", _SEARCH["contains"]))
    elif kind is Type.UINT:
        words = (*words, ("&", "bits that are set in both"))
    yield from ((word, "operator", what) for word, what in words)


def _values(spec: FieldSpec, catalogue: Catalogue) -> Iterator[_Offer]:
    if catalogue.type_of(spec) is Type.BOOL:
        yield from (("true", "value", ""), ("false", "value", ""))
    if spec.labels is None or spec.flags:
        return
    seen: dict[str, list[int]] = {}
    for value, label in spec.labels.items():
        seen.setdefault(label.lower(), []).append(value)
    for value, label in spec.labels.items():
        if len(seen[label.lower()]) > 1:
            continue  # several values: no filter can name them so
        bare = _BARE.fullmatch(label) and not catalogue.find(label)
        quoted = label.replace("\\", "\\\\").replace('"', '\\"')
        yield label if bare else f'"{quoted}"', "value", str(value)


def _fields(typed: str, catalogue: Catalogue) -> Iterator[_Offer]:
    """Names up to the next dot behind what is typed; a field that has others below it is itself one."""
    registry = catalogue.registry
    parts = typed.split(".")
    names = [name for name in catalogue.headers if name.startswith(typed)]
    below: dict[str, str] = {}  # what has only names below it -> what it is
    if parts[0] == "qmi" and len(parts) == 2:
        titles = {f"qmi.{header.name}": header.title for header in registry.headers.values()}
        below = {name: titles.get(name, "") for name in registry.complete(typed)}
    elif parts[0] == "qmi" and len(parts) == 3 and (service := registry.service_named(parts[1])):
        for name in registry.complete(typed):
            message = service.message_named(name.rpartition(".")[2])
            below[name] = message.title if message else ""
    else:
        names += registry.complete(typed)
    shown: dict[str, _Offer] = {}
    for name in names:
        part = name[: name.find(".", len(typed))] if "." in name[len(typed) :] else name
        spec = catalogue.find(part)
        if spec is not None:
            shown[part] = (part, catalogue.type_of(spec).value, spec.label)
        else:
            shown.setdefault(f"{part}.", (f"{part}.", "fields", ""))
    for name, title in below.items():
        if name not in shown:
            shown.setdefault(f"{name}.", (f"{name}.", "fields", title))
    yield from (shown[name] for name in sorted(shown))
