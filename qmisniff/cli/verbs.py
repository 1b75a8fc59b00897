# SPDX-License-Identifier: GPL-2.0-or-later
"""What verbs are declared with: a function, a line of help, examples; and the options that several of them take."""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from qmisniff.errors import UsageError
from qmisniff.printable import plain

if TYPE_CHECKING:
    from qmisniff.definitions import Registry

FORMATS = ("text", "json", "fields", "csv", "ndjson")
_SHAPE = argparse.RawDescriptionHelpFormatter


class CommandLine(argparse.ArgumentParser):
    """A parser that says in one line what is wrong, and where the help is."""

    def error(self, message: str) -> NoReturn:
        raise UsageError(message, f"`{self.prog} --help`")


class Verbs:
    """The verbs of the program, or those below one verb."""

    def __init__(self, parser: argparse.ArgumentParser) -> None:
        self._verbs = parser.add_subparsers(title="verbs", metavar="VERB", required=True)

    @property
    def names(self) -> frozenset[str]:
        """The words that are verbs."""
        return frozenset(self._verbs.choices)

    def add(
        self, run: Callable[[argparse.Namespace], int], summary: str, *examples: str, notes: str = ""
    ) -> argparse.ArgumentParser:
        """A verb called as its function is, an underscore at the end left out."""
        added = self._parser(run.__name__.rstrip("_"), summary, examples, notes)
        added.set_defaults(run=run, verb=added)
        return added

    def group(self, name: str, summary: str, *examples: str) -> Verbs:
        """A verb that only has verbs below it."""
        return Verbs(self._parser(name, summary, examples, ""))

    def _parser(self, name: str, summary: str, examples: tuple[str, ...], notes: str) -> argparse.ArgumentParser:
        epilog = "\n  ".join(["examples:", *examples])
        description = f"{summary[0].upper()}{summary[1:]}." + (f"\n\n{notes}" if notes else "")
        return self._verbs.add_parser(
            name, help=summary, description=description, epilog=epilog, formatter_class=_SHAPE
        )


def definitions_option(parser: argparse.ArgumentParser) -> None:
    """`--dissectors DIR`."""
    parser.add_argument(
        "--dissectors",
        metavar="DIR",
        action="append",
        help="a folder of definitions that add to or replace the shipped",
    )


@contextmanager
def registry(options: argparse.Namespace) -> Iterator[Registry]:
    """The definitions that the command line asks for; standard error says once which files are left out, and why.

    Raises UsageError where `--dissectors` names no folder.
    """
    from qmisniff.definitions import open_registry

    folders = [Path(folder) for folder in options.dissectors or ()]
    for folder in folders:
        if not folder.is_dir():
            raise UsageError(f"{folder}: not a folder", "--dissectors names a folder of .yaml files")
    opened = open_registry(folders)
    # Who names a folder wants to know of its mistakes now; other files are read when something of them is decoded.
    for folder in folders:
        for path in folder.glob("*.yaml"):
            opened.service_named(path.stem)
    said = len(opened.problems)
    _say_left_out(opened.problems[:said])
    try:
        yield opened
    finally:
        _say_left_out(opened.problems[said:])


def _say_left_out(problems: list[str]) -> None:
    """One line a file: its first problem, and how many more there are."""
    files: dict[str, list[str]] = {}
    for problem in problems:
        files.setdefault(re.split(r":\d+:\d+: ", problem)[0], []).append(problem)
    for file, (first, *more) in files.items():
        rest = f" ({len(more)} more: qmisniff dissectors check {file})" if more else ""
        print(plain(f"qmisniff: left out: {first}{rest}"), file=sys.stderr)


def packets(text: str) -> int:
    """A number of packets on the command line, above 0."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of packets")
    return int(text)


def service_number(word: str, definitions: Registry) -> int:
    """The id that a service's name or number stands for. Raises UsageError where it is neither."""
    for header in definitions.headers.values():
        if word.lower() in (header.name, header.service.lower()):
            return header.id
    number = whole_number(word)
    if number is None or number > 0xFFFFFFFF:
        hint = did_you_mean(word, (header.name for header in definitions.headers.values()))
        hint = hint or "`qmisniff dissectors list` has their names; a number will do too"
        raise UsageError(f"no service {word!r}", hint)
    return number


def did_you_mean(word: str, names: Iterable[str]) -> str:
    """A question after the name that is nearest to a word, "" where none is near."""
    from difflib import get_close_matches  # only mistakes need it

    near = get_close_matches(word[:100].lower(), list(names), 1)
    return f"did you mean {near[0]}?" if near else ""


def whole_number(word: str) -> int | None:
    """The number that a word is, decimal or 0x; None where it is none, or below 0."""
    try:
        number = int(word, 0)
    except ValueError:
        return None
    return number if number >= 0 else None
