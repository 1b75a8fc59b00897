# SPDX-License-Identifier: GPL-2.0-or-later
"""One field over time, as a plot and a table."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from textual.widget import Widget

from qmisniff.analysis.names import Names
from qmisniff.analysis.rows import Cancel
from qmisniff.analysis.table import Table
from qmisniff.analysis.values import NUMBERS, Values, numeric_field, values, values_table
from qmisniff.errors import UsageError
from qmisniff.field import Kind
from qmisniff.filter.catalogue import Catalogue
from qmisniff.filter.complete import Candidate, containing
from qmisniff.tui.commands import bindings
from qmisniff.tui.screens.ask import AskScreen
from qmisniff.tui.view_context import ViewContext
from qmisniff.tui.views import commands
from qmisniff.tui.views.plot import Curve, TimePlot
from qmisniff.tui.views.table_screen import TablesScreen


class Found(NamedTuple):
    """The values of the field, and their table."""

    values: Values
    table: Table


class ValuesScreen(TablesScreen[Found | None]):
    """The values of the field under the cursor of the details, or of one that is asked for."""

    HELP_TITLE = "Values"
    OFFERS = commands.VALUES
    BINDINGS = bindings(OFFERS)
    DEFAULT_CSS = """
    ValuesScreen {
        #curves { height: 45%; }
        &.-short #curves, &.-tiny #curves { display: none; }
    }
    """
    title_text = "Values"
    subjects = ("values",)

    def __init__(self, context: ViewContext) -> None:
        super().__init__(context)
        self.plot = TimePlot("")
        self.field_name = ""
        field = context.field()
        if field is not None and field.spec.kind is not Kind.NONE and not self._objection(field.spec.name):
            self.field_name = field.spec.name

    def body(self) -> Sequence[Widget]:
        return (self.pane, self.plot)

    def on_mount(self) -> None:
        super().on_mount()
        if not self.field_name:
            self.pane.empty_text = "Which field? Press e and give its filter name"
            self.action_field()

    def question(self) -> object:
        return self.field_name

    def parts(self) -> list[tuple[str, str]]:
        return [("strong", self.field_name or "no field"), *super().parts()]

    def answer(self, rows: Sequence[int], cancel: Cancel) -> Found | None:
        if not self.field_name:
            return None
        found = values(self.store, self.dissector, self.field_name, rows, cancel)
        return Found(found, values_table(found, Names(self.store, self.dissector.registry)))

    def show(self, answer: Found | None) -> None:
        if answer is None:
            return
        found = answer.values
        self.put(answer.table)
        seconds = (found.ts_ns - self.store.tracker.ts_ns(0)) / 1e9
        curve = Curve(found.spec.name, seconds, np.array(found.value, np.float64))
        self.plot.replace(found.spec.unit or found.spec.label, *([curve] if found.value else []))

    def _objection(self, name: str) -> str:
        """What is wrong with a field's name, "" if nothing is."""
        try:
            numeric_field(self.dissector, name.strip())
        except UsageError as error:
            return str(error)
        return ""

    def action_field(self) -> None:
        """Ask for a field."""

        def take(name: str | None) -> None:
            if name is not None:
                self.field_name = name.strip()
                self.anew()

        self.app.push_screen(AskScreen("Field over time", self.field_name, self._objection, self._numbers), take)

    def _numbers(self, part: str) -> list[Candidate]:
        catalogue = Catalogue(self.dissector.registry)
        found = ((each, catalogue.find(each.text)) for each in containing(part.strip(), catalogue))
        return [each for each, spec in found if spec is not None and spec.kind in NUMBERS]
