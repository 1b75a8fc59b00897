# SPDX-License-Identifier: GPL-2.0-or-later
"""The line at the bottom: the keys of where the focus is."""

from __future__ import annotations

from textual.screen import Screen
from textual.widgets import Footer


class KeyLine(Footer):
    """Textual's footer, made anew only when it would show other keys: it is told each time that anything might have
    changed, and making it is half of the work of a screen that opens."""

    def __init__(self) -> None:
        super().__init__(show_command_palette=False)
        self._listed: list[tuple[str, str, bool]] = []

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
