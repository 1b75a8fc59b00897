# SPDX-License-Identifier: GPL-2.0-or-later
"""Curves of any numbers that a packet can hold."""

from __future__ import annotations

import numpy as np
import pytest
from textual.app import App, ComposeResult

from qmisniff.tui.views.plot import Curve, TimePlot, thinned

NAN, INFINITE = float("nan"), float("inf")


class PlotApp(App[None]):
    """Nothing but a plot."""

    def __init__(self) -> None:
        super().__init__()
        self.plot = TimePlot("u[/nit]")

    def compose(self) -> ComposeResult:
        yield self.plot


@pytest.mark.parametrize("seconds", [[0.0, 1.0], [0.0, 0.0], [9e9, -9e9], [9e9, 9e9 + 1e-6]], ids=str)
async def test_any_numbers_can_be_drawn(seconds: list[float]) -> None:
    app = PlotApp()
    async with app.run_test(size=(60, 20)) as pilot:
        for values in (
            *([1e308, -1e308], [1e99, -1e99], [5e-324, 0.0], [NAN, NAN], [INFINITE, 1.0], [2.0**64, 2.0**64]),
            *([1e16, 1e16 + 2], [0.0, 0.0], [-95.0, -96.0], []),
        ):
            at = np.array(seconds[: len(values)])
            curves = Curve("[a]", at, np.array(values)), Curve("b", at, np.array(values))
            app.plot.replace("u[/nit]", *curves)
            await pilot.pause()
            beyond = sum(not abs(value) < 1e100 for value in values)
            told = f", {2 * beyond} beyond any scale" if beyond else ""
            assert app.plot.border_title == f"u\\[/nit] over seconds{told}"


def test_a_plot_of_many_values_keeps_the_highest_and_the_lowest() -> None:
    values = np.sin(np.arange(100_000) / 1000)
    values[55_555] = 9
    seconds, thin = thinned(Curve("", np.arange(100_000) / 1e3, values), 200)
    assert len(seconds) == len(thin) == 200
    assert thin.max() == 9 and thin.min() == values.min()
