# SPDX-License-Identifier: GPL-2.0-or-later
"""The main screen: packet list, details and bytes of the selected packet, linked both ways."""

from __future__ import annotations

from textual.app import ComposeResult
from textual.screen import Screen
from textual.widgets import Footer

from qmisniff.printable import plain
from qmisniff.protocol.context import Context
from qmisniff.tui import commands
from qmisniff.tui.bytes_pane import BytesPane
from qmisniff.tui.detail_tree import DetailTree
from qmisniff.tui.feed import Progress
from qmisniff.tui.packet_list import PacketList
from qmisniff.tui.panes import Panes
from qmisniff.tui.session import Session
from qmisniff.tui.status import StatusLine, capture_parts, field_parts

UPDATES_PER_S = 10


class MainScreen(Screen[None], inherit_bindings=False):
    """Mediates between the three panes, and asks the feed how far it has come a fixed number of times a second."""

    HELP_TITLE = "Everywhere"
    OFFERS = commands.PANES + commands.PACKET
    BINDINGS = commands.bindings(OFFERS)
    VERTICAL_BREAKPOINTS = [(0, "-tiny"), (8, "-short"), (14, "-full")]  # noqa: RUF012 - Textual declares it so
    DEFAULT_CSS = """
    MainScreen {
        &.-tiny Footer { display: none; }
        &.-tiny #field, &.-short #field { display: none; }
        Footer { dock: none; }
    }
    """

    def __init__(self, session: Session) -> None:
        super().__init__()
        self._session = session
        self._progress: Progress | None = None
        self._shown: Context | None = None  # what was known of the packet in the details when they were made
        self._packets = PacketList(session.store, session.dissector)
        self._details = DetailTree()
        self._bytes = BytesPane()
        self._panes = Panes(self._packets, self._details, self._bytes, ("Details", "Bytes"))
        self._capture_line = StatusLine(id="capture")
        self._field_line = StatusLine(id="field")

    def compose(self) -> ComposeResult:
        yield self._capture_line
        yield self._panes
        yield self._field_line
        yield Footer(show_command_palette=False)

    def on_mount(self) -> None:
        self._packets.follow = self._session.feed.live
        self._packets.focus()
        self.pull()
        self.set_interval(1 / UPDATES_PER_S, self.pull)

    def pull(self) -> None:
        """Show what the feed has brought since the last time."""
        progress = self._session.feed.progress
        if progress == self._progress:
            return
        before = self._progress
        if progress.started and (before is None or not before.started):
            for note in self._session.feed.notes:
                self.notify(plain(note), markup=False, timeout=10)
        if progress.problem and (before is None or progress.problem != before.problem):
            self.notify(plain(progress.problem), severity="error", markup=False, timeout=15)
        self._progress = progress
        self._packets.empty_text = _empty_text(self._session.feed.name, progress)
        self._packets.show_rows(range(progress.received))
        row = self._packets.selected
        if row is not None and self._session.store.context(row) != self._shown:
            self._show_packet(row)
        self._show_progress()

    def _show_progress(self) -> None:
        feed, progress = self._session.feed, self._progress
        if progress is not None:
            follow, shown = self._packets.follow, len(self._packets.rows)
            self._capture_line.parts = capture_parts(feed.name, feed.live, follow, shown, progress)

    def _show_packet(self, row: int) -> None:
        store = self._session.store
        frame, self._shown = store.frame(row), store.context(row)
        self._bytes.show(frame.data)
        self._details.show(self._session.dissector.tree(frame, self._shown))

    def on_packet_list_selected(self, event: PacketList.Selected) -> None:
        # While a key is held down, packets passed by are never decoded.
        if event.row == self._packets.selected and (self._shown is None or self._shown.number != event.row + 1):
            self._show_packet(event.row)

    def on_packet_list_follow_changed(self) -> None:
        self._show_progress()

    def on_detail_tree_selected(self, event: DetailTree.Selected) -> None:
        if event.field is not self._details.field:
            return
        if event.field is not None:
            self._bytes.highlight(event.field.offset, event.field.size)
        self._field_line.parts = field_parts(event.field)

    def on_bytes_pane_selected(self, event: BytesPane.Selected) -> None:
        self._details.select_at(event.offset)

    def action_partner(self) -> None:
        """Go from a request to its response, or back."""
        row = self._packets.selected
        if row is None:
            return
        context = self._session.store.context(row)
        number = context.request or context.response
        if number is None:
            self.notify("No request or response to this packet is in the capture.", timeout=3)
        elif not self._packets.move_to_row(number - 1):
            self.notify(f"Packet {number} is not shown.", timeout=3)

    def action_zoom(self) -> None:
        """Give the focused pane all the space, or take it back."""
        self._panes.zoomed = not self._panes.zoomed

    def action_arrange(self) -> None:
        """Take the next arrangement of the panes."""
        self._panes.zoomed = False
        self._panes.cycle()

    def action_grow(self, cells: int) -> None:
        """Make the focused pane larger, or smaller where negative."""
        self._panes.grow(cells)


def _empty_text(name: str, progress: Progress) -> str:
    if not progress.started:
        return f"Starting {name} ..."
    if progress.running:
        return f"No packets yet from {name}"
    return f"No packets came from {name}"
