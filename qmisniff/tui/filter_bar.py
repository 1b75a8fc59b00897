# SPDX-License-Identifier: GPL-2.0-or-later
"""The display filter being typed: what can follow, whether it is one, and where it is wrong."""

from __future__ import annotations

import asyncio
import contextlib
from functools import partial
from typing import NamedTuple

from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical
from textual.message import Message
from textual.widgets import Input, OptionList, Static

from qmisniff.definitions import Registry
from qmisniff.filter import Filter, FilterError, compile_filter
from qmisniff.filter.catalogue import Catalogue
from qmisniff.filter.complete import Candidate, complete
from qmisniff.filter.errors import Span
from qmisniff.tui import commands
from qmisniff.tui.state import State
from qmisniff.tui.suggestions import Suggestions, beginning

_PATIENCE = 2.0  # seconds that keys behind an Enter wait for the filter to be looked at
_MARKS = {"": "  ", "-good": "✓ ", "-bad": "✗ ", "-checking": "… ", "-off": "⊘ "}


class Checked(NamedTuple):
    """What is known of a text: its filter, or what is wrong with it, and what can stand at the cursor."""

    text: str
    cursor: int
    filter: Filter | None
    error: FilterError | None
    candidates: list[Candidate]


def check(text: str, cursor: int, registry: Registry) -> Checked:
    """Look at a filter that is being typed; may read definitions."""
    candidates = complete(text, cursor, Catalogue(registry))
    try:
        chosen = compile_filter(text, registry) if text.strip() else None
    except FilterError as error:
        return Checked(text, cursor, None, error, candidates)
    return Checked(text, cursor, chosen, None, candidates)


class FilterInput(Input):
    """The line that is typed into."""

    HELP_TITLE = "Filter bar"
    OFFERS = commands.FILTER_BAR
    BINDINGS = commands.bindings(OFFERS)

    @property
    def bar(self) -> FilterBar:
        """The bar that this line is in."""
        return self.query_ancestor(FilterBar)

    async def action_submit(self) -> None:
        """Take the chosen candidate, or apply the filter."""
        if not self.bar.take_chosen():
            self.bar.apply()
            await self.bar.looked_at()  # keys typed ahead are for who has the focus then

    def action_complete(self) -> None:
        """Take the chosen candidate or the only one, or show what can follow."""
        self.bar.complete()

    def action_previous(self) -> None:
        """The candidate above, or the filter applied before."""
        self.bar.move(-1)

    def action_next(self) -> None:
        """The candidate below, or the filter applied after."""
        self.bar.move(1)

    def action_leave(self) -> None:
        """Close the list of candidates, or go back to the panes."""
        self.bar.leave()


class FilterBar(Vertical):
    """A line to type a filter into; below, while it is being typed, what can follow and what is wrong.

    The text is looked at in a thread: typing never waits, and what a text that has changed since led to is dropped.
    """

    DEFAULT_CSS = """
    FilterBar {
        height: auto;
        #line { height: 1; }
        #mark { width: 11; height: 1; background: $panel; }
        FilterInput, FilterInput:focus { background-tint: $foreground 0%; background: $surface; }
        #wrong { display: none; height: auto; max-height: 4; color: $text-error; background: $panel; }
        &.-good FilterInput { background: $success-muted; }
        &.-bad FilterInput { background: $error-muted; }
        &.-bad:focus-within #wrong { display: block; }
        &.-offering:focus-within #wrong { display: none; }
        &.-off FilterInput { text-style: strike; }
    }
    """

    class Applied(Message):
        """A filter is to be used; None for all packets."""

        def __init__(self, text: str, chosen: Filter | None) -> None:
            super().__init__()
            self.text = text
            self.chosen = chosen

    class Left(Message):
        """The user wants back to the panes."""

    def __init__(self, registry: Registry, state: State) -> None:
        super().__init__(id="filter")
        self._registry = registry
        self._state = state
        self._input = FilterInput(placeholder="a display filter: / to type, Tab completes", compact=True)
        self._mark = Static(id="mark")
        self._wrong = Static(id="wrong", markup=False)
        self._suggestions = Suggestions()
        self._checked: Checked | None = None
        self._checking = False
        self._wanted: str | None = None  # the text to apply when it has been looked at
        self._looked_at = asyncio.Event()
        self._wants_offer = False
        self._off = False
        self._used = ""  # what was applied last
        self._past = 0  # how far back in the history the text is from
        self._typed = ""  # what was typed before going back

    def compose(self) -> ComposeResult:
        with Horizontal(id="line"):
            yield self._mark
            yield self._input
        yield self._suggestions
        yield self._wrong

    def on_mount(self) -> None:
        self._show_kind()

    @property
    def text(self) -> str:
        """What is typed."""
        return self._input.value

    @property
    def off(self) -> bool:
        """Whether the filter was switched off."""
        return self._off

    @off.setter
    def off(self, off: bool) -> None:
        self._off = off
        self._show_kind()

    def focus_line(self) -> None:
        """Begin to type."""
        self._input.focus()

    def put(self, text: str, apply: bool) -> None:
        """Replace the text, and apply it when it has been found to be a filter."""
        with self.prevent(Input.Changed):
            self._input.value = text
        self._input.cursor_position = len(text)
        self._suggestions.display = self._off = self._wants_offer = False
        if apply:
            self.apply()
        else:
            self._look()

    def apply(self) -> None:
        """Use the filter as soon as it is known to be one."""
        self._wanted = self.text
        self._suggestions.display = False
        self._wants_offer = False
        self._look()

    async def looked_at(self) -> None:
        """Come back when it is known whether what is to be applied is a filter, or after a moment."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_PATIENCE):
                while self._wanted is not None:
                    self._looked_at.clear()
                    await self._looked_at.wait()

    def complete(self) -> None:
        """Take the chosen candidate or the only one, or what all begin with; where they are not shown, show them."""
        checked = self._checked
        if self.take_chosen():
            return
        if self._suggestions.display and checked is not None and checked.text == self.text:
            start, cursor = checked.candidates[0].start, checked.cursor
            shared = beginning(checked.candidates)
            more = len(shared) > cursor - start and shared.lower().startswith(self.text[start:cursor].lower())
            if len(checked.candidates) > 1 and more:
                self._input.value = self.text[:start] + shared + self.text[cursor:]
                self._input.cursor_position = start + len(shared)
                return
            self._suggestions.action_cursor_down()
            if len(checked.candidates) == 1:
                self.take_chosen()
        else:
            self._wants_offer = True
            self._look()

    def take_chosen(self) -> bool:
        """Put the chosen candidate in the place of what was typed of it; False where none is chosen."""
        at, checked = self._suggestions.highlighted, self._checked
        if not self._suggestions.display or at is None or checked is None or checked.text != self.text:
            return False
        chosen = checked.candidates[at]
        space = "" if chosen.text.endswith((".", "(")) else " "
        rest = self.text[checked.cursor :]
        before = self.text[: chosen.start] + chosen.text + ("" if rest.startswith(" ") else space)
        self._input.value = before + rest
        self._input.cursor_position = len(before)
        return True

    def move(self, step: int) -> None:
        """Choose another candidate; where none are shown, go through the filters applied before."""
        if self._suggestions.display:
            if step > 0:
                self._suggestions.action_cursor_down()
            else:
                self._suggestions.action_cursor_up()
            return
        history = self._state.filters
        if not self._past:
            self._typed = self.text
        past = min(max(self._past - step, 0), len(history))
        if past != self._past:
            self.put(history[-past] if past else self._typed, apply=False)
            self._past = past

    def leave(self) -> None:
        """Close the candidates, or go back to the panes."""
        if self._suggestions.display:
            self._suggestions.display = False
        else:
            self.post_message(self.Left())

    def on_input_changed(self, event: Input.Changed) -> None:
        event.stop()
        self._past = 0
        self._off = False
        if event.value != self._wanted:
            self._wanted = None
            self._looked_at.set()
        self._wants_offer = self._wanted is None and self._input.has_focus and bool(self.text)
        self._look()

    def on_descendant_focus(self) -> None:
        self._show_kind()

    def on_descendant_blur(self) -> None:
        self._suggestions.display = False
        self._show_kind()

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        event.stop()
        self._suggestions.highlighted = event.option_index
        self.take_chosen()
        self._input.focus()

    def _look(self) -> None:
        """Look at the text as it is now, unless that is known; one look at a time."""
        text, cursor = self.text, self._input.cursor_position
        checked = self._checked
        if checked is not None and checked.text == text and checked.cursor == cursor:
            self._use(checked)
        elif not self._checking:
            self._checking = True
            self._show_kind()
            self.run_worker(partial(self._look_now, text, cursor), thread=True, exit_on_error=False)

    def _look_now(self, text: str, cursor: int) -> None:
        try:
            checked = check(text, cursor, self._registry)
        except Exception as error:  # the bar must stay usable, whatever a definition or the compiler does
            wrong = FilterError(f"{type(error).__name__}: {error}", text, Span(0, len(text)))
            checked = Checked(text, cursor, None, wrong, [])
        self.app.call_from_thread(self._looked, checked)

    def _looked(self, checked: Checked) -> None:
        self._checking = False
        self._checked = checked
        self._look()
        self._looked_at.set()

    def _use(self, checked: Checked) -> None:
        """What is known of the text comes on the screen; an awaited filter is applied."""
        self._show_kind()
        if self._wants_offer:
            self._wants_offer = False
            typed = checked.text[checked.candidates[0].start : checked.cursor] if checked.candidates else ""
            finished = [each.text for each in checked.candidates] == [typed]
            self._suggestions.offer([] if finished else checked.candidates)
            self._suggestions.styles.offset = (self._mark.size.width + max(0, self._column(checked)), 0)
        if self._wanted is not None:
            self._wanted = None
            if checked.error is None:
                self._used = checked.text
                self._show_kind()
                if checked.text.strip():
                    self._state.remember_filter(checked.text)
                self.post_message(self.Applied(checked.text, checked.filter))

    def _column(self, checked: Checked) -> int:
        start = checked.candidates[0].start if checked.candidates else checked.cursor
        return start - int(self._input.scroll_offset.x)

    def _show_kind(self) -> None:
        checked = self._checked
        if self._checking:
            kind = "-checking"
        elif self._off:
            kind = "-off"
        elif checked is None or not self.text.strip():
            kind = ""
        elif checked.error is not None:
            kind = "-bad"
        else:  # who left the bar without applying sees packets that this filter did not choose
            kind = "-good" if self.text == self._used or self._input.has_focus else "-off"
        if kind != "-checking":  # for the moment that it takes, the colour stays as it was
            self.set_class(kind == "-good", "-good")
            self.set_class(kind == "-bad", "-bad")
            self.set_class(kind == "-off", "-off")
        self._mark.update(f" {_MARKS[kind]}Filter ")
        if checked is not None and checked.error is not None and not self._checking:
            self._wrong.update(self._explained(checked.error))

    def _explained(self, error: FilterError) -> str:
        """Marks under the characters that are wrong, and the message."""
        message, _, marks = str(error).split("\n", 2)
        marks = marks[2:]
        before = self._mark.size.width + len(marks) - len(marks.lstrip()) - int(self._input.scroll_offset.x)
        return f"{' ' * max(0, before)}{marks.lstrip()}\n {message}"
