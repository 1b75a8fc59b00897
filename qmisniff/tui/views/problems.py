# SPDX-License-Identifier: GPL-2.0-or-later
"""What is wrong or remarkable, grouped: every packet is decoded once, some at a time."""

from __future__ import annotations

import time
from collections.abc import Sequence
from functools import partial

from qmisniff.analysis.problems import Problems, problems, problems_table
from qmisniff.analysis.rows import Cancel, Cancelled
from qmisniff.analysis.table import Table
from qmisniff.printable import counted
from qmisniff.tui.commands import bindings
from qmisniff.tui.view_context import ViewContext
from qmisniff.tui.views import commands
from qmisniff.tui.views.table_screen import TablesScreen

_SHOWN_EVERY_S = 0.5


class _Search:
    """What was found so far in the packets that count; `about` says which those are."""

    def __init__(self, about: object) -> None:
        self.about = about
        self.found = Problems()
        self.looked_at = 0
        self.of = 0


class ProblemsScreen(TablesScreen[Table]):
    """The problems found so far. When more packets come, only those are looked at."""

    HELP_TITLE = "Problems"
    OFFERS = commands.PROBLEMS
    BINDINGS = bindings(OFFERS)
    title_text = "Problems"
    subjects = ("problems",)

    def __init__(self, context: ViewContext) -> None:
        super().__init__(context)
        self.pane.empty_text = "Looking ..."
        self.stopped = False
        self._search = _Search(None)

    @property
    def looked_at(self) -> int:
        """Packets decoded so far."""
        return self._search.looked_at

    def parts(self) -> list[tuple[str, str]]:
        done, of = self._search.looked_at, self._search.of
        share = f"{done:,} of {of:,} packets" if done < of else counted(done, "packet")
        state = [("problem", "stopped")] if self.stopped else []
        return [*super().parts(), ("plain", share), *state]

    def question(self) -> object:
        return self.stopped

    def answer(self, rows: Sequence[int], cancel: Cancel) -> Table:
        about = self.everything or self.context.filter()
        search = self._search
        if about != search.about or len(rows) < search.looked_at:
            search = self._search = _Search(about)
        search.of = len(rows)
        if not self.stopped:
            began, shown = search.looked_at, time.monotonic()
            for part in problems(self.store, self.dissector, rows[began:], cancel):
                search.found.add(part)
                search.looked_at = began + part.done
                if time.monotonic() - shown > _SHOWN_EVERY_S:
                    shown = time.monotonic()
                    self.from_thread(partial(self.show, problems_table(search.found.groups)))
            if cancel():
                raise Cancelled
        return problems_table(search.found.groups)

    def show(self, answer: Table) -> None:
        if self.is_attached:
            self.put(answer)
            whole = self._search.looked_at == self._search.of
            self.pane.empty_text = "No problems" if whole else "No problems so far"

    def action_stop(self) -> None:
        """Stop looking, or go on where it was stopped."""
        self.stopped = not self.stopped
        self.ask()
