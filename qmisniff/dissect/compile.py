# SPDX-License-Identifier: GPL-2.0-or-later
"""A TLV's type -> a function that decodes it, compiled from generated source."""

from __future__ import annotations

import itertools
import linecache
import struct
from collections.abc import Callable, Sequence
from enum import Enum
from typing import Any

from qmisniff.definitions.fields import Enums
from qmisniff.definitions.model import Type
from qmisniff.dissect.source import Stop, Writer
from qmisniff.dissect.source_json import JsonWriter
from qmisniff.dissect.source_tree import TreeWriter
from qmisniff.dissect.source_values import Part, ValuesWriter

# decode(data, start, end, output, budget) -> offset behind what was decoded. budget[0] counts down the elements that
# may still be decoded. Raises Stop where decoding cannot go on; a quick function, which is not *careful*, any of STOPS.
Decode = Callable[[bytes, int, int, Any, list[int]], int]
STOPS = (Stop, IndexError, struct.error)


class Output(Enum):
    """What the fourth argument of a decode function is, and what it does with it."""

    TREE = TreeWriter  # a list: Fields are appended
    VALUES = ValuesWriter  # a dict: filter name -> value, list of values for array elements
    JSON = JsonWriter  # a list: pieces of JSON text are appended, `,"NAME":VALUE`...


_serial = itertools.count()


def compile_tlv(kind: Type, path: str, enums: Enums, output: Output, careful: bool) -> Decode:
    """The function that decodes a value of type `kind` whose filter name is `path`."""
    writer = output.value(enums, careful)
    writer.top(kind, path)
    return _compiled(writer)


def compile_sequence(parts: Sequence[Part], enums: Enums, output: Output) -> Decode:
    """The function that decodes exactly this sequence of TLVs, heads included, and stops at any other."""
    writer = output.value(enums, False)
    assert isinstance(writer, ValuesWriter)  # a tree is not made that way
    writer.sequence(parts)
    return _compiled(writer)


def _compiled(writer: Writer) -> Decode:
    source = writer.source()
    file = f"<qmisniff decoder {next(_serial)}>"
    linecache.cache[file] = (len(source), None, source.splitlines(True), file)
    exec(compile(source, file, "exec"), writer.names)  # noqa: S102 - made of this package's own text only
    decode: Decode = writer.names["decode"]
    return decode
