# SPDX-License-Identifier: GPL-2.0-or-later
"""The two lines that say where things stand: the capture above the panes, the selected field below."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from rich.cells import cell_len, set_cell_size
from rich.segment import Segment
from textual.reactive import reactive
from textual.strip import Strip
from textual.widget import Widget

from qmisniff.dissect.text import field_text
from qmisniff.field import Field
from qmisniff.printable import plain
from qmisniff.tui.feed import Progress


class StatusLine(Widget):
    """One line of parts. Where they do not fit the longest are cut, so that a long name hides no number."""

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
        texts = [f" {plain(text)} " for _, text in self.parts]
        most = longest([cell_len(text) for text in texts], self.size.width)
        segments = [
            Segment(cut(text, most), self.get_component_rich_style(f"status--{kind}"))
            for text, (kind, _) in zip(texts, self.parts, strict=True)
        ]
        return Strip(segments).adjust_cell_length(self.size.width, self.rich_style)


def longest(lengths: Sequence[int], width: int) -> int:
    """The length to which the longest must be cut so that all of them fit into `width`; 0 where nothing helps."""
    left, count = width, len(lengths)
    for length in sorted(lengths):
        if length * count > left:
            return max(0, left // count)
        left -= length
        count -= 1
    return max(lengths, default=0)


def cut(text: str, most: int) -> str:
    """`text` in at most `most` cells; a cut is shown by an ellipsis."""
    if cell_len(text) <= most:
        return text
    return set_cell_size(text, most - 1) + "…" if most else ""


def capture_parts(name: str, live: bool, follow: bool, shown: int, progress: Progress) -> tuple[tuple[str, str], ...]:
    """What the line above the panes says: problems and losses before what is merely good to know."""
    if progress.running:
        state = "starting" if not progress.started else "live" if live else "loading"
    else:
        state = "stopped" if live else ""
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
