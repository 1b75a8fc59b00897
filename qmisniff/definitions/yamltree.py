# SPDX-License-Identifier: GPL-2.0-or-later
"""Text of a YAML file -> nested mappings, lists and strings that know their line and column.

A definition file is untrusted: no tags, anchors or aliases, no duplicate keys, bounded size and depth. Scalars stay
text (`no` is a label, not a truth value); what a number is, the reader of the tree decides.
"""

from __future__ import annotations

from typing import Any, NoReturn

import yaml

MAX_SIZE = 4 << 20
MAX_DEPTH = 24


class TreeError(ValueError):
    """Not YAML, or YAML that a definition must not use. `line` and `column` count from 1."""

    def __init__(self, line: int, column: int, text: str) -> None:
        super().__init__(text)
        self.line = line
        self.column = column


class Scalar(str):
    """Text with its place in the file."""

    line: int
    column: int
    quoted: bool = False


class Mapping(dict[Scalar, "Node"]):
    """Keys in the order of the file."""

    line: int
    column: int


class Sequence(list["Node"]):
    line: int
    column: int


Node = Scalar | Mapping | Sequence


def read_tree(text: str) -> Node:
    """The one document of `text`. Raises TreeError."""
    if len(text) > MAX_SIZE:
        raise TreeError(1, 1, f"larger than {MAX_SIZE >> 20} MiB")
    loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        return _Reader(loader(text)).document()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
        raise TreeError(line, column, error.problem or "not YAML") from None
    except yaml.YAMLError as error:
        raise TreeError(1, 1, f"not YAML: {str(error).splitlines()[0]}") from None


class _Reader:
    def __init__(self, parser: Any) -> None:
        self.next = parser.get_event

    def document(self) -> Node:
        self.next()  # start of the stream
        event = self.next()
        if isinstance(event, yaml.StreamEndEvent):
            raise TreeError(1, 1, "empty file")
        tree = self.node(self.next(), 0)
        self.next()  # end of the document
        event = self.next()
        if not isinstance(event, yaml.StreamEndEvent):
            self.fail(event, "a second document")
        return tree

    def node(self, event: Any, depth: int) -> Node:
        if isinstance(event, yaml.AliasEvent):
            self.fail(event, "aliases (*name) are not allowed")
        if event.anchor is not None:
            self.fail(event, "anchors (&name) are not allowed")
        if event.tag is not None:
            self.fail(event, "tags (!name) are not allowed")
        if depth > MAX_DEPTH:
            self.fail(event, f"nested deeper than {MAX_DEPTH} levels")
        tree: Node
        if isinstance(event, yaml.ScalarEvent):
            tree = Scalar(event.value)
            tree.quoted = event.style in ("'", '"')
        elif isinstance(event, yaml.MappingStartEvent):
            tree = self.mapping(depth)
        else:
            tree = Sequence()
            while not isinstance(item := self.next(), yaml.SequenceEndEvent):
                tree.append(self.node(item, depth + 1))
        mark = event.start_mark
        tree.line, tree.column = mark.line + 1, mark.column + 1
        return tree

    def mapping(self, depth: int) -> Mapping:
        tree = Mapping()
        while not isinstance(event := self.next(), yaml.MappingEndEvent):
            key = self.node(event, depth + 1)
            if not isinstance(key, Scalar):
                self.fail(event, "a key must be plain text")
            if key in tree:
                self.fail(event, f"{key!r} is given twice")
            tree[key] = self.node(self.next(), depth + 1)
        return tree

    def fail(self, event: Any, text: str) -> NoReturn:
        raise TreeError(event.start_mark.line + 1, event.start_mark.column + 1, text)
