# SPDX-License-Identifier: GPL-2.0-or-later
"""A filter's text -> a Filter, ready to be asked about frames and about whole stores."""

from __future__ import annotations

from qmisniff.definitions import Registry
from qmisniff.dissect import Dissector
from qmisniff.filter.catalogue import Catalogue
from qmisniff.filter.evaluate import Decoded, passes
from qmisniff.filter.parser import parse
from qmisniff.filter.resolve import Test, fields, resolve
from qmisniff.frame import Frame
from qmisniff.protocol.context import Context


def compile_filter(text: str, registry: Registry) -> Filter:
    """The filter that a text is. Raises FilterError where it is none."""
    return Filter(text, resolve(parse(text), text, Catalogue(registry)))


class Filter:
    """A display filter.

    `uses` are the names of the fields it looks at.
    """

    def __init__(self, text: str, test: Test) -> None:
        self.text = text
        self.test = test
        self.uses = frozenset(field.name for field in fields(test))

    def matches(self, frame: Frame, context: Context, dissector: Dissector) -> bool:
        """Does one frame pass?"""
        return passes(self.test, Decoded(frame, context, dissector))
