# SPDX-License-Identifier: GPL-2.0-or-later
"""Where the three panes of the main screen are: arrangements, the bars between them, one pane alone."""

from __future__ import annotations

from enum import Enum
from typing import ClassVar, NamedTuple

from rich.segment import Segment
from textual import events
from textual.app import ComposeResult
from textual.geometry import NULL_OFFSET, Region, Size, Spacing
from textual.layout import ArrangeResult, Layout, WidgetPlacement
from textual.message import Message
from textual.reactive import reactive, var
from textual.strip import Strip
from textual.widget import Widget

LEAST_ROWS = 3
LEAST_COLUMNS = 12


class Axis(Enum):
    """Along what a region is split: into parts one above the other, or side by side."""

    ROWS = "rows"
    COLUMNS = "columns"


class Arrangement(Enum):
    """How list, tree and bytes share the screen: the axis that parts the list from the rest, then the one within it."""

    STACKED = (Axis.ROWS, Axis.ROWS)
    BESIDE = (Axis.ROWS, Axis.COLUMNS)
    LEFT = (Axis.COLUMNS, Axis.ROWS)


class Shares(NamedTuple):
    """Of the first pane in the whole, and of the second in the rest; 0 to 1."""

    outer: float
    inner: float


SHARES = {
    Arrangement.STACKED: Shares(0.42, 0.58),
    Arrangement.BESIDE: Shares(0.5, 0.5),
    Arrangement.LEFT: Shares(0.5, 0.6),
}


class Regions(NamedTuple):
    """Where everything is."""

    first: Region
    outer_bar: Region
    second: Region
    inner_bar: Region
    third: Region


def split(
    region: Region, axis: Axis, share: float, least: int, least_rest: int
) -> tuple[Region, Region, Region] | None:
    """A region as (part, bar of one cell, rest); the part gets `share` of it (0 to 1).

    Neither gets less than it needs (`least`, `least_rest`); None where there is not enough for that.
    """
    extent = region.height if axis is Axis.ROWS else region.width
    if extent < least + 1 + least_rest:
        return None
    part = min(max(round(share * (extent - 1)), least), extent - 1 - least_rest)
    x, y, width, height = region
    if axis is Axis.ROWS:
        return (
            Region(x, y, width, part),
            Region(x, y + part, width, 1),
            Region(x, y + part + 1, width, height - part - 1),
        )
    return (
        Region(x, y, part, height),
        Region(x + part, y, 1, height),
        Region(x + part + 1, y, width - part - 1, height),
    )


def arrange(arrangement: Arrangement, size: Size, shares: Shares) -> Regions | None:
    """Where everything is in a space of this size; None where three panes do not fit."""
    outer_axis, inner_axis = arrangement.value
    least = {Axis.ROWS: LEAST_ROWS, Axis.COLUMNS: LEAST_COLUMNS}
    both = 2 * least[inner_axis] + 1
    least_rest = both if inner_axis is outer_axis else least[outer_axis]
    whole = split(Region(0, 0, *size), outer_axis, shares.outer, least[outer_axis], least_rest)
    if whole is None:
        return None
    rest = split(whole[2], inner_axis, shares.inner, least[inner_axis], least[inner_axis])
    return Regions(whole[0], whole[1], *rest) if rest is not None else None


class Bar(Widget):
    """The line between two panes: it names the one that follows, and can be dragged."""

    ALLOW_SELECT = False
    COMPONENT_CLASSES: ClassVar[set[str]] = {"bar--focused", "bar--line"}
    DEFAULT_CSS = """
    Bar {
        & > .bar--line { color: $foreground 60%; background: $panel; }
        & > .bar--focused { color: $text; background: $primary; text-style: bold; }
        &:hover > .bar--line { background: $boost; color: $foreground; }
    }
    """

    focused_pane: reactive[bool] = reactive(False)

    class Dragged(Message):
        """The bar is to be where the mouse is; `x` and `y` are screen cells."""

        def __init__(self, bar: Bar, x: int, y: int) -> None:
            super().__init__()
            self.bar = bar
            self.x = x
            self.y = y

    def __init__(self, title: str) -> None:
        super().__init__()
        self._title = title

    def render_line(self, y: int) -> Strip:
        """Textual's call for one line."""
        width = self.size.width
        style = self.get_component_rich_style("bar--focused" if self.focused_pane else "bar--line")
        text = "│" if width == 1 else f"─ {self._title} ".ljust(width, "─")[:width]
        return Strip([Segment(text, style)])

    def on_mouse_down(self, event: events.MouseDown) -> None:
        event.stop()
        self.capture_mouse()

    def on_mouse_up(self, event: events.MouseUp) -> None:
        event.stop()
        self.release_mouse()

    def on_mouse_move(self, event: events.MouseMove) -> None:
        if self.app.mouse_captured is self:
            self.post_message(self.Dragged(self, event.screen_x, event.screen_y))


class _PanesLayout(Layout):
    name = "panes"

    def arrange(self, parent: Widget, children: list[Widget], size: Size, greedy: bool = True) -> ArrangeResult:
        assert isinstance(parent, Panes)
        parent.pre_layout(self)
        none = Spacing.all(0)
        return [
            WidgetPlacement(region, NULL_OFFSET, none, widget) for widget, region in parent.regions(size) if region.area
        ]


class Panes(Widget):
    """Three panes and two bars. Where they do not fit, or when zoomed, the pane that has the focus fills the space."""

    DEFAULT_CSS = """
    Panes { width: 1fr; height: 1fr; overflow: hidden hidden; }
    """

    class Changed(Message):
        """The user dragged a bar."""

    arrangement: var[Arrangement] = var(Arrangement.STACKED)
    zoomed: var[bool] = var(False)
    focused: var[int] = var(0)

    def __init__(self, first: Widget, second: Widget, third: Widget, titles: tuple[str, str]) -> None:
        super().__init__()
        self._panes = (first, second, third)
        self._bars = (Bar(titles[0]), Bar(titles[1]))
        self._layout = _PanesLayout()
        self._shares = dict(SHARES)

    def compose(self) -> ComposeResult:
        first, second, third = self._panes
        yield from (first, self._bars[0], second, self._bars[1], third)

    @property
    def layout(self) -> Layout:
        """The layout of this widget alone; style sheets have no say."""
        return self._layout

    def regions(self, size: Size) -> list[tuple[Widget, Region]]:
        """What is visible in a space of this size, and where."""
        found = None if self.zoomed else arrange(self.arrangement, size, self.shares)
        if found is None:
            return [(self._panes[self.focused], Region(0, 0, *size))]
        first, second, third = self._panes
        return list(zip((first, self._bars[0], second, self._bars[1], third), found, strict=True))

    def _rearrange(self) -> None:
        # A widget keeps its arrangement until one of its children asks for another.
        if self.is_mounted:
            self._bars[0].refresh(layout=True)

    watch_arrangement = watch_zoomed = watch_focused = _rearrange

    @property
    def shares(self) -> Shares:
        """How the panes share the space in the present arrangement; each arrangement has its own."""
        return self._shares[self.arrangement]

    @shares.setter
    def shares(self, shares: Shares) -> None:
        self._shares[self.arrangement] = shares
        self._rearrange()

    def cycle(self) -> None:
        """Take the next arrangement."""
        every = list(Arrangement)
        self.arrangement = every[(every.index(self.arrangement) + 1) % len(every)]

    def grow(self, cells: int) -> None:
        """Make the focused pane larger by `cells` rows or columns, smaller where negative."""
        outer_axis, inner_axis = self.arrangement.value
        found = arrange(self.arrangement, self.size, self.shares)
        if found is None or self.zoomed:
            return
        if self.focused == 0:
            self._put_outer(_end(found.first, outer_axis) + cells)
        elif self.focused == 1:
            self._put_inner(found, _end(found.second, inner_axis) + cells)
        else:
            self._put_inner(found, _end(found.second, inner_axis) - cells)

    def on_bar_dragged(self, event: Bar.Dragged) -> None:
        event.stop()
        found = arrange(self.arrangement, self.size, self.shares)
        if found is None:
            return
        outer_axis, inner_axis = self.arrangement.value
        x, y = event.x - self.region.x, event.y - self.region.y
        if event.bar is self._bars[0]:
            self._put_outer(y if outer_axis is Axis.ROWS else x)
        else:
            self._put_inner(found, y if inner_axis is Axis.ROWS else x)
        self.post_message(self.Changed())

    def _put_outer(self, at: int) -> None:
        extent = self.size.height if self.arrangement.value[0] is Axis.ROWS else self.size.width
        self.shares = self.shares._replace(outer=_share(at, extent))

    def _put_inner(self, found: Regions, at: int) -> None:
        axis = self.arrangement.value[1]
        rest = found.second.union(found.third)
        start, extent = (rest.y, rest.height) if axis is Axis.ROWS else (rest.x, rest.width)
        self.shares = self.shares._replace(inner=_share(at - start, extent))

    def on_descendant_focus(self, event: events.DescendantFocus) -> None:
        if event.widget in self._panes:
            self.focused = self._panes.index(event.widget)
        self._bars[0].focused_pane = self.focused == 1
        self._bars[1].focused_pane = self.focused == 2

    def on_descendant_blur(self) -> None:
        for bar in self._bars:
            bar.focused_pane = False


def _end(region: Region, axis: Axis) -> int:
    return region.bottom if axis is Axis.ROWS else region.right


def _share(part: int, extent: int) -> float:
    return min(max(part / max(1, extent - 1), 0.0), 1.0)
