# SPDX-License-Identifier: GPL-2.0-or-later
"""Colour rules: display filters with colours; the first that a packet passes paints its row.

The user's are in `colorfilters` in the configuration folder, in the format of Wireshark's file of that name: a line
`@name@filter@[r,g,b][r,g,b]` a rule, background first, 0 to 65535; `!` in front of it switches a rule off.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from rich.color import Color
from rich.style import Style
from textual.cache import LRUCache

from qmisniff.dissect import Dissector
from qmisniff.errors import UsageError
from qmisniff.filter import FilterError, compile_filter
from qmisniff.filter.evaluate import Decoded, passes
from qmisniff.frame import Frame
from qmisniff.paths import config_dir
from qmisniff.protocol.context import Context

FILE = "colorfilters"
_CHANNELS = r"\[\s*(\d{1,5})\s*,\s*(\d{1,5})\s*,\s*(\d{1,5})\s*\]"
_LINE = re.compile(rf"(!?)@([^@]*)@(.*)@{_CHANNELS}{_CHANNELS}\s*")
_MOST_RULES = 100

RGB = tuple[int, int, int]  # 0 to 255 each


class Rule(NamedTuple):
    """A filter's text and the colours of rows that pass."""

    name: str
    filter: str
    background: RGB
    foreground: RGB
    on: bool = True


def _rgb(digits: str) -> RGB:
    red, green, blue = bytes.fromhex(digits)
    return red, green, blue


# Name, filter, background and foreground on dark, then on light. Hues that are told apart by colour-blind eyes.
_SHIPPED = (
    ("Malformed", "expert.severity == error", "5c1a1a", "ffb3a7", "ffd6d0", "7a0000"),
    ("Packets lost before", "tap.lost", "4a1a45", "ffb3ee", "ffd6f3", "66004d"),
    ("Error response", "qmi.type == response && qmi.result != 0", "4a2a00", "ffc58a", "ffe3c2", "6b3300"),
    ("Unanswered", "qmi.type == request && !qmi.response_in", "403a00", "ffe97a", "fff6b8", "4d4500"),
    ("Synthetic", "tap.synthetic == 1", "1c1c1c", "a0a0a0", "f0f0f0", "5e5e5e"),
    ("Indication", "qmi.type == indication", "00263f", "9ad4ff", "d6ebff", "003a66"),
    ("Control", "qrtr.type != 1", "20262e", "b9c2cc", "e8ecf0", "3a4450"),
)


def shipped(dark: bool) -> list[Rule]:
    """The program's own rules for a dark or a light theme."""
    return [
        Rule(name, text, *((_rgb(a), _rgb(b)) if dark else (_rgb(c), _rgb(d)))) for name, text, a, b, c, d in _SHIPPED
    ]


def parse(text: str) -> tuple[list[Rule], list[str]]:
    """The rules of a colorfilters file, and the lines that are none."""
    rules: list[Rule] = []
    wrong: list[str] = []
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        match = _LINE.fullmatch(line)
        if match is None or len(rules) >= _MOST_RULES:
            wrong.append(f"line {number} is no colour rule" if match is None else f"more than {_MOST_RULES} rules")
            continue
        channels = [min(int(each), 0xFFFF) >> 8 for each in match.groups()[3:]]
        background, foreground = (channels[0], channels[1], channels[2]), (channels[3], channels[4], channels[5])
        rules.append(Rule(match[2], match[3], background, foreground, not match[1]))
    return rules, wrong


def written(rules: Iterable[Rule]) -> str:
    """The rules as a colorfilters file."""
    lines = ["# Colour rules, in Wireshark's format: @name@filter@[background][foreground]\n"]
    for rule in rules:
        colours = "".join(f"[{','.join(str(each * 0x101) for each in rgb)}]" for rgb in rule[2:4])
        lines.append(f"{'' if rule.on else '!'}@{rule.name.replace('@', ' ')}@{rule.filter}@{colours}\n")
    return "".join(lines)


def load_rules(dark: bool) -> tuple[list[Rule], list[str]]:
    """The user's rules, the program's own where he has none; and what is wrong with his file, a line each."""
    path = config_dir() / FILE
    try:
        rules, wrong = parse(path.read_text(encoding="utf-8", errors="replace"))
    except FileNotFoundError:
        return shipped(dark), []
    except OSError as error:
        return shipped(dark), [f"{path}: {error.strerror}"]
    return rules, [f"{path}: {each}" for each in wrong]


def save_rules(rules: Sequence[Rule]) -> str:
    """Write the rules as the user's own; the file's name. Raises UsageError."""
    path = config_dir() / FILE
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("x", encoding="utf-8") as stream:
            stream.write(written(rules))
    except FileExistsError:
        raise UsageError(f"{path} is there already", "edit it, or delete it for the program's own rules") from None
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}") from None
    return str(path)


class Coloring:
    """Rules made ready. What cannot be a filter is left out and stands in `problems`."""

    def __init__(self, rules: Sequence[Rule], dissector: Dissector) -> None:
        self.problems: list[str] = []
        self._dissector = dissector
        self._rules = []
        for rule in rules:
            if rule.on:
                try:
                    test = compile_filter(rule.filter, dissector.registry).test
                except FilterError as error:
                    reason = str(error).partition("\n")[0]
                    self.problems.append(f"the colour rule {rule.name!r} is left out: {reason}")
                    continue
                style = Style(color=Color.from_rgb(*rule.foreground), bgcolor=Color.from_rgb(*rule.background))
                self._rules.append((rule.name, test, style))
        # Keyed by the context too: a response that arrives changes its request.
        self._found: LRUCache[Context, tuple[str, Style]] = LRUCache(4096)

    def of(self, frame: Frame, context: Context) -> tuple[str, Style]:
        """The name of the rule that a frame passes and its style; ("", no style) where it passes none."""
        found = self._found.get(context)
        if found is None:
            decoded = Decoded(frame, context, self._dissector)
            passed = ((name, style) for name, test, style in self._rules if passes(test, decoded))
            found = self._found[context] = next(passed, ("", Style.null()))
        return found
