# SPDX-License-Identifier: GPL-2.0-or-later
"""A list of what can follow what is being typed."""

from __future__ import annotations

from collections.abc import Sequence
from os.path import commonprefix

from rich.text import Text
from textual.widgets import OptionList
from textual.widgets.option_list import Option

from qmisniff.filter.complete import Candidate
from qmisniff.printable import plain

_MOST_SHOWN = 200  # candidates; beyond that, typing on finds them sooner than looking


class Suggestions(OptionList, can_focus=False):
    """What can follow, with its type and what it is; lies over the panes."""

    DEFAULT_CSS = """
    Suggestions {
        overlay: screen;
        constrain: inside inside;
        width: auto; max-width: 100vw; height: auto; max-height: 10;
        text-wrap: nowrap; text-overflow: ellipsis;
        border: none; padding: 0;
        background: $panel;
        display: none;
        scrollbar-size-vertical: 1;
    }
    """

    def offer(self, candidates: Sequence[Candidate]) -> None:
        """Show these, none of them chosen yet."""
        self.clear_options()
        candidates = candidates[:_MOST_SHOWN]
        wide = min(max((len(each.text) for each in candidates), default=0), 60)
        for each in candidates:
            line = Text(f" {plain(each.text):<{wide}}  ", no_wrap=True, overflow="ellipsis")
            line.append(f"{each.type:<18}  {plain(each.description)} ", "dim")
            self.add_option(Option(line))
        self.highlighted = None
        self.display = bool(candidates)


def beginning(candidates: Sequence[Candidate]) -> str:
    """What all of them begin with."""
    return commonprefix([each.text for each in candidates])  # noqa: RUF071 - not of paths
