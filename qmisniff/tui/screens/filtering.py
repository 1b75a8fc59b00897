# SPDX-License-Identifier: GPL-2.0-or-later
"""Display filters on the main screen: applied, switched off, made from what is under the cursor, saved by name."""

from __future__ import annotations

from qmisniff.errors import UsageError
from qmisniff.tui import commands
from qmisniff.tui.conditions import How, combined, of_field
from qmisniff.tui.filter_bar import FilterBar
from qmisniff.tui.saved_filters import load_filters, save_filters
from qmisniff.tui.screens.ask import AskScreen
from qmisniff.tui.screens.choose import ChooseScreen
from qmisniff.tui.screens.desk import Desk


class Filtering(Desk):
    """The commands of filters."""

    OFFERS = commands.FILTER
    BINDINGS = commands.bindings(OFFERS)

    def on_filter_bar_applied(self, event: FilterBar.Applied) -> None:
        self.paused = None
        self.session.sieve.use(event.chosen)
        self.show_anew()
        self.pull()
        if self.bar.has_focus_within:
            self.packets.focus()

    def on_filter_bar_left(self) -> None:
        self.packets.focus()

    def condition(self) -> str:
        """The filter for the value under the cursor, of the field or of the list's cell; "" where there is none."""
        if self.details.has_focus or self.bytes.has_focus:
            field = self.details.field
            return of_field(field) if field is not None else ""
        column, row = self.packets.column, self.packets.selected
        return column.condition(self.packets.packet(self.packets.cursor_line)) if column and row is not None else ""

    def action_edit_filter(self) -> None:
        """Go to the filter bar."""
        self.bar.focus_line()

    def action_toggle_filter(self) -> None:
        """Use the filter no longer, or again."""
        if self.session.sieve.filter is not None:
            self.session.sieve.use(None)
            self.show_anew()
            self.bar.off = True
            self.pull()
        elif self.bar.text.strip():
            self.bar.off = False
            self.bar.apply()

    def action_clear_filter(self) -> None:
        """Show all packets."""
        self.bar.put("", apply=True)

    def action_use_as_filter(self, apply: bool) -> None:
        """Make a filter of what is under the cursor, and apply it or leave it to be changed."""
        condition = self.condition()
        if not condition:
            self.notify("No filter can be made of what is under the cursor.", timeout=3)
            return

        def chosen(at: int | None) -> None:
            if at is not None:
                self.bar.put(combined(self.bar.text, condition, list(How)[at]), apply)
                if not apply:
                    self.bar.focus_line()

        title = f"{'Apply' if apply else 'Prepare'} as filter: {condition}"
        self.app.push_screen(ChooseScreen(title, [how.value for how in How]), chosen)

    def action_saved_filters(self) -> None:
        """Choose one of the filters that have a name."""
        filters = load_filters()
        if not filters:
            self.notify("No filter has been saved yet: D saves the one that is typed.", timeout=3)
            return

        def chosen(at: int | None) -> None:
            if at is not None:
                self.bar.put(list(filters.values())[at], apply=True)

        self.app.push_screen(
            ChooseScreen("Saved filters", [f"{name}: {text}" for name, text in filters.items()]), chosen
        )

    def action_save_filter(self) -> None:
        """Give the filter a name; where the filter bar is empty, take away a name."""
        text = self.bar.text.strip()

        def named(name: str | None) -> None:
            if name is None:
                return
            filters = load_filters()
            if text:
                filters[name.strip()] = text
            else:
                filters.pop(name.strip(), None)
            try:
                save_filters(filters)
            except UsageError as error:
                self.notify(str(error), severity="error", markup=False)

        def objection(name: str) -> str:
            if not name.strip() or not name.isprintable():
                return "Name it."
            return "" if text or name.strip() in load_filters() else "No filter has that name."

        title = f"Save {text} as" if text else "Forget the filter called"
        self.app.push_screen(AskScreen(title, objection=objection), named)
