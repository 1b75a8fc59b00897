# SPDX-License-Identifier: GPL-2.0-or-later
"""Curves over time."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from textual.geometry import Size
from textual_plot import HiResMode, PlotWidget

from qmisniff.printable import plain
from qmisniff.store.headers import Any1

_COLOURS = ("text-primary", "text-warning")  # of the curves, in order; the legend tells them apart too
_MARGIN_LEFT = 10  # cells


class Curve(NamedTuple):
    """Values at seconds since the start of the capture, in order."""

    label: str
    seconds: Any1
    values: Any1


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
        return max(2 * (self.size.width - _MARGIN_LEFT), 20)

    def replace(self, unit: str, *curves: Curve) -> None:
        """Draw these curves instead, over values of a unit."""
        self._unit = unit
        self._curves = curves
        if self.is_mounted:
            self.draw()

    def draw(self) -> None:
        """Draw the curves in the colours of the theme."""
        self.clear()
        self.border_title = plain(f"{self._unit} over seconds").replace("[", "\\[")
        for curve, colour in zip(self._curves, _COLOURS, strict=False):
            style = self.app.theme_variables.get(colour, "white")
            x, y = thinned(curve, 4 * self.stretches)
            self.plot(x, y, line_style=style, hires_mode=HiResMode.BRAILLE, label=curve.label)
        # A single value has no width to draw it in.
        values = [
            each for curve in self._curves for each in (curve.values.min(), curve.values.max()) if len(curve.values)
        ]
        if values and min(values) == max(values):
            self.set_ylimits(float(values[0]) - 1, float(values[0]) + 1)
        else:
            self.set_ylimits(None, None)
        self.show_legend(is_visible=len(self._curves) > 1)

    def notify_style_update(self) -> None:
        super().notify_style_update()
        if self.is_mounted and self._curves and self.size != Size(0, 0):
            self.draw()


def thinned(curve: Curve, most: int) -> tuple[Any1, Any1]:
    """No more points than can be told apart: of each stretch of them its lowest and its highest value."""
    count = len(curve.values)
    if count <= most:
        return curve.seconds, curve.values
    starts = np.linspace(0, count, most // 2, endpoint=False).astype(np.int64)
    low, high = np.minimum.reduceat(curve.values, starts), np.maximum.reduceat(curve.values, starts)
    return np.repeat(curve.seconds[starts], 2), np.stack([low, high], axis=1).reshape(-1)
