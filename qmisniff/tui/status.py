# SPDX-License-Identifier: GPL-2.0-or-later
"""The two lines that say where things stand: the capture above the panes, the selected field below."""

from __future__ import annotations

from typing import ClassVar

from rich.cells import cell_len, set_cell_size
from rich.segment import Segment
from textual.reactive import reactive
from textual.strip import Strip
from textual.widget import Widget

from qmisniff.dissect.text import field_text, plain
from qmisniff.field import Field
from qmisniff.tui.feed import Progress


class StatusLine(Widget):
    """One line of parts, the important ones first: what does not fit is cut at the end."""

    ALLOW_SELECT = False
    COMPONENT_CLASSES: ClassVar[set[str]] = {"status--plain", "status--strong", "status--problem"}
    DEFAULT_CSS = """
    StatusLine {
        height: 1;
        background: $panel;
        & > .status--strong { text-style: bold; }
        & > .status--problem { color: $text-error; background: $error-muted; text-style: bold; }
    }
    """

    parts: reactive[tuple[tuple[str, str], ...]] = reactive(())  # (component class's last word, text)

    def render_line(self, y: int) -> Strip:
        """Textual's call for one line."""
        left = self.size.width
        segments = []
        for kind, text in self.parts:
            text = f" {plain(text)} "
            if cell_len(text) > left:
                text = set_cell_size(text, max(0, left - 1)) + "…" if left else ""
            left -= cell_len(text)
            segments.append(Segment(text, self.get_component_rich_style(f"status--{kind}")))
        return Strip(segments).adjust_cell_length(self.size.width, self.rich_style)


def capture_parts(name: str, live: bool, follow: bool, shown: int, progress: Progress) -> tuple[tuple[str, str], ...]:
    """What the line above the panes says: problems and losses before what is merely good to know."""
    state = ("live" if live else "loading") if progress.running else "stopped" if live else ""
    parts = [("strong", f"{name}{f' ({state})' if state else ''}")]
    if progress.problem:
        parts.append(("problem", progress.problem))
    parts.append(("problem" if progress.lost else "plain", f"{progress.lost:,} lost"))
    parts.append(("plain", f"{progress.received:,} received"))
    parts.append(("plain", f"{shown:,} shown"))
    if progress.running:
        parts.append(("plain", "following" if follow else "not following"))
    return tuple(parts)


def field_parts(field: Field | None) -> tuple[tuple[str, str], ...]:
    """What the line below the panes says of the selected field: filter name, place, value, what is wrong with it."""
    if field is None:
        return ()
    parts = []
    if field.problem is not None:
        parts.append(("problem", f"{field.problem.severity.name.lower()}: {field.problem.text}"))
    if field.spec.name:
        parts.append(("strong", field.spec.name))
    if field.size:
        parts.append(("plain", f"{field.size} byte{'s' if field.size != 1 else ''} at {field.offset}"))
    parts.append(("plain", field_text(field)))
    return tuple(parts)
