# SPDX-License-Identifier: GPL-2.0-or-later
"""The two lines that say where things stand: the capture above the panes, the selected field below."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, NamedTuple

from rich.cells import cell_len
from rich.segment import Segment
from textual.reactive import reactive
from textual.strip import Strip
from textual.widget import Widget

from qmisniff.dissect.text import field_text
from qmisniff.field import Field
from qmisniff.printable import plain
from qmisniff.tui.cells import cut
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


class Standing(NamedTuple):
    """Where feed, filter and notes stand."""

    progress: Progress
    shown: int = 0
    asked: int = -1  # rows the filter has been asked about, -1 without a filter
    filter_seconds: float = 0.0
    marked: int = 0
    filter_problem: str = ""
    searching: bool = False


def capture_parts(name: str, live: bool, follow: str, standing: Standing) -> tuple[tuple[str, str], ...]:
    """What the line above the panes says: problems and losses before what is merely good to know."""
    progress = standing.progress
    if progress.running:
        state = "starting" if not progress.started else "live" if live else "loading"
    else:
        state = "stopped" if live else ""
    parts = [("strong", f"{name}{f' ({state})' if state else ''}")]
    for problem in (progress.problem, standing.filter_problem):
        if problem:
            parts.append(("problem", problem))
    parts.append(("problem" if progress.lost else "plain", f"{progress.lost:,} lost"))
    parts.append(("plain", f"{progress.received:,} received"))
    parts.append(("plain", f"{standing.shown:,} shown{_filter_state(standing)}"))
    if standing.marked:
        parts.append(("plain", f"{standing.marked:,} marked"))
    if standing.searching:
        parts.append(("strong", "searching: esc gives up"))
    if progress.running or follow == "paused":
        parts.append(("plain", follow))
    return tuple(parts)


def _filter_state(standing: Standing) -> str:
    """How many that is of all and how long it took, or how far the filter is."""
    received = standing.progress.received
    if standing.asked < 0 or not received:
        return ""
    if standing.asked < received and not standing.filter_problem:
        return f" (filtering {100 * standing.asked // received} %)"
    return f" ({100 * standing.shown / received:.1f} %, filtered in {1000 * standing.filter_seconds:.0f} ms)"


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
