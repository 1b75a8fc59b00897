# SPDX-License-Identifier: GPL-2.0-or-later
"""Counts, bytes, errors and response times by message, and how many packets came when."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from textual.timer import Timer
from textual.widget import Widget

from qmisniff.analysis.messages import Messages, count_messages, members, messages_table
from qmisniff.analysis.names import Names
from qmisniff.analysis.packets import Packets, packets
from qmisniff.analysis.rate import Rate, rate
from qmisniff.analysis.rows import Cancel, times
from qmisniff.analysis.table import Table
from qmisniff.protocol.arrays import I8
from qmisniff.tui.view_context import ViewContext
from qmisniff.tui.views.plot import Curve, TimePlot
from qmisniff.tui.views.table_pane import TablePane
from qmisniff.tui.views.table_screen import TablesScreen

_CALM_S = 0.15  # the cursor rests so long before its message is drawn


class Counted(NamedTuple):
    """What was counted, and of what."""

    rows: Sequence[int]
    packets: Packets
    messages: Messages
    table: Table
    total: Rate


class StatisticsScreen(TablesScreen[Counted]):
    """Counts, errors and response times by message; the rate of all packets and of the selected message as a plot."""

    HELP_TITLE = "Statistics"
    DEFAULT_CSS = """
    StatisticsScreen {
        #curves { height: 45%; }
        &.-short #curves, &.-tiny #curves { display: none; }
    }
    """
    title_text = "Statistics"
    subjects = ("messages",)

    def __init__(self, context: ViewContext) -> None:
        super().__init__(context)
        self.plot = TimePlot("packets")
        self._counted: Counted | None = None
        self._soon: Timer | None = None

    def body(self) -> Sequence[Widget]:
        return (self.pane, self.plot)

    def answer(self, rows: Sequence[int], cancel: Cancel) -> Counted:
        found = packets(self.store, self.dissector, rows, cancel)
        counted = count_messages(self.store, found)
        table = messages_table(counted, Names(self.store, self.dissector.registry))
        return Counted(rows, found, counted, table, rate(self.store, rows, self.plot.stretches, None, cancel))

    def show(self, answer: Counted) -> None:
        self._counted = answer
        self.put(answer.table)
        self._draw()

    def on_table_pane_selected(self, event: TablePane.Selected) -> None:
        # While a key is held down, messages passed by are not drawn.
        if self._soon is not None:
            self._soon.stop()
        self._soon = self.set_timer(_CALM_S, self._draw)

    def _draw(self) -> None:
        """Draw the rate of all packets and that of the selected message."""
        counted, row = self._counted, self.pane.selected
        if counted is None or not len(counted.total.packets):
            self.plot.replace("packets")
            return
        start_ns = self.store.tracker.ts_ns(0)
        curves = [_curve("all packets", counted.total, start_ns)]
        if row is not None and row < counted.table.length:
            mine = counted.packets.row[members(counted.packets, counted.messages, row)]
            title = f"{counted.table.column('service').text(row)} {counted.table.column('message').text(row)}"
            curves.append(_curve(title, self._same_stretches(mine, counted.total), start_ns))
        self.plot.replace(f"packets per {counted.total.step_ns / 1e9:g} s", *curves)

    def _same_stretches(self, rows: I8, total: Rate) -> Rate:
        place = (times(self.store, rows) - total.start_ns) // total.step_ns
        count = np.bincount(place, minlength=len(total.packets)).astype(np.int64)
        return total._replace(packets=count[: len(total.packets)])


def _curve(label: str, found: Rate, start_ns: int) -> Curve:
    at = (np.arange(len(found.packets)) * found.step_ns + (found.start_ns - start_ns)) / 1e9
    return Curve(label, at, found.packets)
