# SPDX-License-Identifier: GPL-2.0-or-later
"""Curves over time."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from textual.geometry import Size
from textual_plot import HiResMode, PlotWidget

from qmisniff.printable import plain
from qmisniff.protocol.arrays import Numbers

_COLOURS = ("text-primary", "text-warning")  # of the curves, in order; the legend tells them apart too
_MARGIN_LEFT = 10  # cells
_MOST = 1e100  # a larger value has no place on a scale
_LEAST, _SHARE = 1e-12, 1e-9  # of a scale, alone and of its largest number


class Curve(NamedTuple):
    """Values at seconds since the start of the capture, in order."""

    label: str
    seconds: Numbers
    values: Numbers


class TimePlot(PlotWidget, can_focus=False, inherit_bindings=False):
    """Curves over seconds since the start of the capture; the mouse zooms and moves it."""

    DEFAULT_CSS = """
    TimePlot {
        border-top: solid $panel; border-title-color: $foreground;
        & > .plot--axis { color: $foreground 50%; }
        & > .plot--tick { color: $foreground 80%; text-style: none; }
        & > .plot--label { color: $foreground; text-style: bold; }
        #legend { border: none; background: $panel; }
    }
    """

    def __init__(self, unit: str) -> None:
        super().__init__(id="curves")  # "plot" is a part of it
        self._unit = unit
        self._curves: tuple[Curve, ...] = ()

    def on_mount(self) -> None:
        self.margin_top, self.margin_bottom = 0, 1
        self.draw()

    @property
    def curves(self) -> tuple[Curve, ...]:
        """What is drawn."""
        return self._curves

    @property
    def stretches(self) -> int:
        """How many values side by side the plot can show: two a cell."""
        width = self.size.width or self.app.size.width  # before it is laid out, it will be as wide as the screen
        return max(2 * (width - _MARGIN_LEFT), 20)

    def replace(self, unit: str, *curves: Curve) -> None:
        """Draw these curves instead, over values of a unit."""
        self._unit = unit
        self._curves = curves
        if self.is_mounted:
            self.draw()

    def draw(self) -> None:
        """Draw the curves in the colours of the theme. Values too large for a scale are counted beside the title."""
        self.clear()
        drawn = [_drawable(curve) for curve in self._curves]
        beyond = sum(len(curve.values) for curve in self._curves) - sum(len(curve.values) for curve in drawn)
        title = f"{self._unit} over seconds" + (f", {beyond:,} beyond any scale" if beyond else "")
        self.border_title = plain(title).replace("[", "\\[")
        for curve, colour in zip(drawn, _COLOURS, strict=False):
            if len(curve.values):
                style = self.app.theme_variables.get(colour, "white")
                x, y = thinned(curve, 4 * self.stretches)
                self.plot(x, y, line_style=style, hires_mode=HiResMode.BRAILLE, label=plain(curve.label))
        self.set_xlimits(*_limits([curve.seconds for curve in drawn]))
        self.set_ylimits(*_limits([curve.values for curve in drawn]))
        self.show_legend(is_visible=len(self._curves) > 1)

    def notify_style_update(self) -> None:
        super().notify_style_update()
        if self.is_mounted and self._curves and self.size != Size(0, 0):
            self.draw()


def _drawable(curve: Curve) -> Curve:
    kept = np.abs(curve.values) < _MOST  # neither infinite nor NaN
    return Curve(curve.label, curve.seconds[kept], curve.values[kept].astype(np.float64))


def _limits(parts: list[Numbers]) -> tuple[float, float]:
    """From the lowest to the highest, and so far apart that numbers between the two can be told from each other."""
    values = np.concatenate([*parts, np.empty(0)])
    if not len(values):
        return 0.0, 1.0
    low, high = float(values.min()), float(values.max())
    if high - low >= max(_LEAST, _SHARE * max(abs(low), abs(high))):
        return low, high
    apart = max(1.0, _SHARE * max(abs(low), abs(high)))
    return low - apart, high + apart


def thinned(curve: Curve, most: int) -> tuple[Numbers, Numbers]:
    """No more points than can be told apart: of each stretch of them its lowest and its highest value."""
    count = len(curve.values)
    if count <= most:
        return curve.seconds, curve.values
    starts = np.linspace(0, count, most // 2, endpoint=False).astype(np.int64)
    low, high = np.minimum.reduceat(curve.values, starts), np.maximum.reduceat(curve.values, starts)
    return np.repeat(curve.seconds[starts], 2), np.stack([low, high], axis=1).reshape(-1)
