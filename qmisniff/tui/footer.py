# SPDX-License-Identifier: GPL-2.0-or-later
"""The line at the bottom: the keys of where the focus is."""

from __future__ import annotations

from rich.cells import cell_len
from textual import events
from textual.app import ComposeResult
from textual.screen import Screen
from textual.widgets import Footer
from textual.widgets._footer import FooterKey

from qmisniff.tui.commands import FILTER, PROGRAM

_KEPT = {command.action for command in PROGRAM if command.footer} | {FILTER[0].action}


class KeyLine(Footer):
    """Textual's footer, made anew only when it would show other keys: it is told each time that anything might have
    changed, and making it is half of the work of a screen that opens. What has no room is left out, help never."""

    def __init__(self) -> None:
        super().__init__(show_command_palette=False)
        self._listed: list[tuple[str, str, bool]] = []
        self._made_for = 0  # columns

    def compose(self) -> ComposeResult:
        keys = [each for each in super().compose() if isinstance(each, FooterKey)]
        self._made_for = self.size.width
        excess = sum(map(_width, keys)) - self._made_for
        for key in reversed([each for each in keys if each.action not in _KEPT]):
            if excess > 0:
                excess -= _width(key)
                keys.remove(key)
        self.styles.grid_size_columns = len(keys)
        yield from keys

    def bindings_changed(self, screen: Screen[object]) -> None:
        """Textual's call when other keys may work now."""
        if not screen.app.app_focus or not self.is_attached or screen is not self.screen:
            return
        listed = [
            (self.app.get_key_display(binding), binding.description, enabled)
            for _, binding, enabled, _ in screen.active_bindings.values()
            if binding.show
        ]
        if listed != self._listed:
            self._listed = listed
            super().bindings_changed(screen)

    def on_resize(self, event: events.Resize) -> None:
        if self._listed and event.size.width != self._made_for:
            self.call_after_refresh(self.recompose)


def _width(key: FooterKey) -> int:
    """The columns of a key with its title, and of the spaces around both."""
    return cell_len(key.key_display) + cell_len(key.description) + 3
