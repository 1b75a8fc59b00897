# SPDX-License-Identifier: GPL-2.0-or-later
"""Capture filters: which packets a tap lets through, decided in the kernel before they cost anything. Pure.

    filter  =  all { ("or" | "||") all }
    all     =  one { ("and" | "&&") one }
    one     =  ("not" | "!") one  |  "(" filter ")"  |  test
    test    =  ["src" | "dst"] ("node" | "port") VALUE  |  "type" VALUE  |  "len" OPERATOR NUMBER

A VALUE is a number or a name (NAMES). A test of a node or port that names no side passes where either end does; `len`
is the length of the whole packet, header included. A packet whose header is of no known version always passes.

Nothing of what is typed reaches the kernel: it becomes a tree of known words and numbers, and that becomes text.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from qmisniff.capture import header
from qmisniff.errors import UsageError

NAMES = {
    "node": {"bcast": header.NODE_BCAST},
    "port": {"ctrl": header.PORT_CTRL},
    "type": {
        "data": 1, "hello": 2, "bye": 3, "new_server": 4, "del_server": 5, "del_client": 6, "resume_tx": 7, "exit": 8,
        "ping": 9, "new_lookup": 10, "del_lookup": 11, "del_proc": 13,
    },
}  # fmt: skip
_REMEDY = "for example: type data and not port 0x4001; node 0 or len > 200"
_FIELDS = {("node", "src"): "from_node", ("node", "dst"): "to_node", ("port", "src"): "from_port",
           ("port", "dst"): "to_port", ("type", ""): "kind", ("len", ""): "len"}  # fmt: skip
_OPPOSITE = {"==": "!=", "!=": "==", "<": ">=", ">=": "<", ">": "<=", "<=": ">"}
_TOKEN = re.compile(r"\s*(&&|\|\||[<>=!]=|[<>!()]|[0-9A-Za-z_]+|\S)")
_MOST_TEXT = 2500  # bytes in the kernel's words: its files take 4096, and a body's parts are told apart there too
_MOST_DEPTH = 32
_LARGEST = 0xFFFFFFFF


class CaptureFilter(NamedTuple):
    """A filter as the kernel takes it, over fields of a probe; of those, `names` are what it needs (plan.py)."""

    text: str
    names: frozenset[str]


class _Test(NamedTuple):
    """A field of _FIELDS compared with a number."""

    field: str
    operator: str
    value: int


class _Group(NamedTuple):
    """All of several (`every`), or at least one of them."""

    every: bool
    parts: tuple[_Test | _Group, ...]


class _Shape(NamedTuple):
    """A way in which packets lie in memory: when it is the case, what ends its fields' names, how wide they are."""

    condition: str
    suffix: str
    headless: bool = False  # the header is yet to come: `len` is that of the payload alone

    def fits(self, test: _Test) -> _Test | bool:
        """A test in this shape's numbers; True or False where every packet passes it or none."""
        if not self.suffix or test.field == "len":
            return test
        value = test.value
        if test.field.endswith("port"):
            # Of 16 bits; the kernel widens this one alone.
            value = {header.PORT_CTRL: 0xFFFE, 0xFFFE: _LARGEST}.get(value, value)
        if value > (0xFF if test.field == "kind" else 0xFFFF):
            return test.operator == "!="
        return _Test(test.field + self.suffix, test.operator, value)


_SHAPES = (
    _Shape("raw == 0", "", headless=True),
    _Shape("raw == 1 && version == 1", ""),
    _Shape("raw == 1 && version == 3", "2"),
)
_UNKNOWN = "raw == 1 && version != 1 && version != 3"


def parse(text: str) -> CaptureFilter:
    """The filter that a user means. Raises UsageError, which says where it cannot be understood."""
    tree = _Parser(text).whole()
    alternatives = [_UNKNOWN]
    for shape in _SHAPES:
        said = _text(tree, shape)
        if said is not False:
            alternatives.append(shape.condition if said is True else f"{shape.condition} && ({said})")
    made = " || ".join(alternatives)
    if len(made) > _MOST_TEXT:
        raise UsageError("the capture filter is too long for the kernel", "-Y of `read` takes filters of any length")
    return CaptureFilter(made, frozenset(re.findall(r"[a-z]\w*", made)) - {"len"})


class _Parser:
    """Text -> tree, by one method a rule of the grammar above."""

    def __init__(self, text: str) -> None:
        self._tokens = [match[1] for match in _TOKEN.finditer(text)]
        self._at = 0
        self._depth = 0

    def whole(self) -> _Test | _Group:
        if not self._tokens:
            raise UsageError("the capture filter is empty", _REMEDY)
        tree = self._filter(False)
        if self._at < len(self._tokens):
            raise self._error("'and' or 'or'")
        return tree

    def _next(self) -> str:
        return self._tokens[self._at].lower() if self._at < len(self._tokens) else ""

    def _take(self, *words: str) -> str:
        """The next word if it is one of these, else ""."""
        word = self._next()
        if not word or word not in words:
            return ""
        self._at += 1
        return word

    def _filter(self, negated: bool) -> _Test | _Group:
        parts = [self._all(negated)]
        while self._take("or", "||"):
            parts.append(self._all(negated))
        return _group(negated, parts)

    def _all(self, negated: bool) -> _Test | _Group:
        parts = [self._one(negated)]
        while self._take("and", "&&"):
            parts.append(self._one(negated))
        return _group(not negated, parts)

    def _one(self, negated: bool) -> _Test | _Group:
        # Old kernels cannot negate a group: what is negated turns around on the way down.
        while self._take("not", "!"):
            negated = not negated
        if not self._take("("):
            return self._test(negated)
        self._depth += 1
        if self._depth > _MOST_DEPTH:
            raise UsageError("the capture filter has too many parentheses", _REMEDY)
        inner = self._filter(negated)
        self._depth -= 1
        if not self._take(")"):
            raise self._error("')'")
        return inner

    def _test(self, negated: bool) -> _Test | _Group:
        side = self._take("src", "dst")
        what = self._take("node", "port") if side else self._take("node", "port", "type", "len")
        if not what:
            raise self._error("node or port" if side else "node, port, type or len")
        if what == "len":
            operator = self._take(*_OPPOSITE)
            if not operator:
                raise self._error("one of " + " ".join(_OPPOSITE))
        else:
            operator = self._take("==", "!=") or "=="
        value = self._value(NAMES.get(what, {}))
        if negated:
            operator = _OPPOSITE[operator]
        if (what, side) in _FIELDS:
            return _Test(_FIELDS[what, side], operator, value)
        ends = tuple(_Test(_FIELDS[what, end], operator, value) for end in ("src", "dst"))
        return _Group(operator == "!=", ends)

    def _value(self, names: dict[str, int]) -> int:
        word = self._next()
        try:
            value = names[word] if word in names else int(word.encode("ascii"), 0)
        except ValueError:  # also of a digit that is not ASCII
            value = -1
        if not 0 <= value <= _LARGEST:
            raise self._error("a number" + "".join(f", {name}" for name in names))
        self._at += 1
        return value

    def _error(self, wanted: str) -> UsageError:
        found = repr(self._tokens[self._at]) if self._at < len(self._tokens) else "the end"
        before = " ".join(self._tokens[max(self._at - 4, 0) : self._at])
        where = f" behind {before!r}" if before else ""
        return UsageError(f"capture filter: {found}{where} where {wanted} is expected", _REMEDY)


def _group(every: bool, parts: list[_Test | _Group]) -> _Test | _Group:
    return parts[0] if len(parts) == 1 else _Group(every, tuple(parts))


def _text(tree: _Test | _Group, shape: _Shape) -> str | bool:
    """A tree in the kernel's words; True or False where every packet of this shape passes, or none."""
    if isinstance(tree, _Test):
        if tree.field == "len" and shape.headless:
            return _length(tree)
        fitted = shape.fits(tree)
        return fitted if isinstance(fitted, bool) else f"{fitted.field} {fitted.operator} {fitted.value}"
    said = [_text(part, shape) for part in tree.parts]
    if (not tree.every) in said:
        return not tree.every
    texts = [each if "&&" not in each and "||" not in each else f"({each})" for each in said if isinstance(each, str)]
    return (" && " if tree.every else " || ").join(texts) or tree.every


def _length(test: _Test) -> str | bool:
    """What a test of the length means for the payload: a header comes in front, and up to three bytes behind."""
    operator, value = test.operator, test.value
    if operator in ("==", "!="):
        below, above = _length(test._replace(operator="<=")), _length(test._replace(operator=">="))
        if value % 4 or below is False:
            return operator == "!="
        if operator == "==":
            return below if above is True else f"{below} && {above}"
        below, above = _length(test._replace(operator="<")), _length(test._replace(operator=">"))
        return above if below is False else f"{below} || {above}"
    if operator in ("<", ">="):  # one less, and the packets of that length or less pass, or the others do
        value -= 1
    most = (value - header.SIZE) & ~3
    passes = operator in ("<", "<=")
    if most < 0:
        return not passes
    return f"len <= {most}" if passes else f"len > {most}"
