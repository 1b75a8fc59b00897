# SPDX-License-Identifier: GPL-2.0-or-later
"""What is on the main screen and how it comes there; what can be done with it is in the modules beside this one."""

from __future__ import annotations

from collections.abc import Sequence

from textual.app import ComposeResult
from textual.screen import Screen

from qmisniff.dissect.parts import assembled
from qmisniff.field import Field, FieldSpec, Kind
from qmisniff.filter.catalogue import Catalogue
from qmisniff.printable import plain
from qmisniff.protocol.context import Context
from qmisniff.tui.bytes_pane import BytesPane
from qmisniff.tui.columns import columns_of
from qmisniff.tui.detail_tree import DetailTree
from qmisniff.tui.feed import Progress
from qmisniff.tui.filter_bar import FilterBar
from qmisniff.tui.footer import KeyLine
from qmisniff.tui.packet_list import PacketList
from qmisniff.tui.panes import Panes
from qmisniff.tui.session import Session
from qmisniff.tui.state import State
from qmisniff.tui.status import Standing, StatusLine, capture_parts, field_parts
from qmisniff.tui.times import DEFAULT, TIME_FORMATS

UPDATES_PER_S = 10
_COMMENT = FieldSpec("", "Comment", Kind.STRING)
_LAST_WORDS_S = 0.5  # between the end of a pipe and what its writer says about it


class Desk(Screen[None], inherit_bindings=False):
    """Mediates between filter bar and panes, and asks the feed how far it has come a fixed number of times a second."""

    HELP_TITLE = "Everywhere"
    VERTICAL_BREAKPOINTS = [(0, "-tiny"), (8, "-short"), (14, "-full")]  # noqa: RUF012 - Textual declares it so
    DEFAULT_CSS = """
    Desk {
        &.-tiny Footer { display: none; }
        &.-tiny #field, &.-short #field { display: none; }
        &.-tiny FilterBar { display: none; }
        &.-tiny FilterBar:focus-within { display: block; }
        Footer { dock: none; }
    }
    """

    def __init__(self, session: Session, state: State) -> None:
        super().__init__()
        self.session = session
        self.state = state
        self.catalogue = Catalogue(session.dissector.registry)
        self._standing: Standing | None = None
        self.paused: Sequence[int] | None = None  # the rows shown while the view is paused
        self.searching = False
        self._problems = 0  # of definitions, told so far
        self._shown: Context | None = None  # what was known of the packet in the details when they were made
        self.bar = FilterBar(session.dissector.registry, state)
        time_format = state.time_format if state.time_format in TIME_FORMATS else DEFAULT
        columns = columns_of(state.columns, self.catalogue, time_format)
        self.packets = PacketList(session.store, session.dissector, columns, session.notes)
        self.details = DetailTree()
        self.bytes = BytesPane()
        self.panes = Panes(self.packets, self.details, self.bytes, ("Details", "Bytes"))
        self._capture_line = StatusLine(id="capture")
        self._field_line = StatusLine(id="field")

    def compose(self) -> ComposeResult:
        yield self._capture_line
        yield self.bar
        yield self.panes
        yield self._field_line
        yield KeyLine()

    def on_mount(self) -> None:
        self.packets.follow = self.session.feed.live
        self.packets.focus()
        self.pull()
        self.set_interval(1 / UPDATES_PER_S, self.pull)

    def pull(self, always: bool = False) -> None:
        """Show what the feed and the filter have brought since the last time; `always` also where that is nothing."""
        sieve = self.session.sieve
        sieve.step()
        for problem in self.session.dissector.registry.problems[self._problems :]:
            self._problems += 1
            self.notify(plain(problem), title="Definition left out", severity="warning", markup=False, timeout=10)
        before, now = self._standing, self.standing()
        if now == before and not always:
            return
        self._tell(before.progress if before is not None else None, now.progress)
        if sieve.problem and (before is None or not before.filter_problem):
            self.notify(plain(sieve.problem), severity="error", markup=False, timeout=15)
        if not now.progress.running and (before is None or before.progress.running):
            self.run_worker(self._read_notes, thread=True, exit_on_error=False)
            if self.session.feed.live:  # ssh, or who captures at the other end of a pipe, has said so on the screen
                self.set_timer(_LAST_WORDS_S, lambda: self.refresh(layout=True))
        self._standing = now
        self.packets.empty_text = _empty_text(self.session.feed.name, now)
        self.show_more(sieve.rows if self.paused is None else self.paused)
        row = self.packets.selected
        if row is None:
            self._show_nothing()
        elif self.session.store.context(row) != self._shown:
            self.show_packet(row)
        self.show_standing()

    def _read_notes(self) -> None:
        """The comments and marks that the file has, once it is loaded."""
        self.session.read_notes()
        if any(self.session.notes_in_file):
            self.app.call_from_thread(self.packets.refresh)

    def standing(self) -> Standing:
        """Where feed, filter and notes stand now."""
        sieve, notes = self.session.sieve, self.session.notes
        return Standing(
            self.session.feed.progress,
            len(sieve.rows),
            sieve.asked if sieve.filter is not None else -1,
            sieve.seconds,
            len(notes.marked),
            sieve.problem,
            self.searching,
        )

    def show_more(self, rows: Sequence[int]) -> None:
        """Show the rows there are now: those that were shown and what came after them."""
        self.packets.show_rows(rows)

    def show_anew(self) -> None:
        """Show other rows than before: the filter is another one."""
        # Nothing more comes: who looks at the last packet wants to go on looking at it.
        self.packets.follow = self.packets.follow and self.session.feed.progress.running
        self.packets.replace_rows(self.session.sieve.rows)

    def _tell(self, before: Progress | None, now: Progress) -> None:
        """Notify of what the user must know and cannot see."""
        if now.started and (before is None or not before.started):
            for note in self.session.feed.notes:
                self.notify(plain(note), markup=False, timeout=10)
        if now.problem and (before is None or now.problem != before.problem):
            self.notify(plain(now.problem), severity="error", markup=False, timeout=15)

    def show_standing(self) -> None:
        """Write the line above the panes."""
        if self._standing is not None:
            feed = self.session.feed
            follow = "paused" if self.paused is not None else "following" if self.packets.follow else "not following"
            self._capture_line.parts = capture_parts(feed.name, feed.live, follow, self._standing)

    def show_packet(self, row: int) -> None:
        """Show a packet's details and bytes."""
        store = self.session.store
        frame, self._shown = store.frame(row), store.context(row)
        notes = self.session.notes
        if row in notes.ignored:
            self.bytes.show(b"")
            self.details.show(None)
            return
        self.bytes.show(assembled(frame, self._shown))
        root = self.session.dissector.tree(frame, self._shown)
        if row in notes.comments:
            root.children.insert(0, Field(_COMMENT, notes.comments[row], 0, 0))
        self.details.show(root)

    def _show_nothing(self) -> None:
        if self._shown is not None:
            self._shown = None
            self.bytes.show(b"")
            self.details.show(None)

    def on_packet_list_selected(self, event: PacketList.Selected) -> None:
        # While a key is held down, packets passed by are never decoded.
        if event.row == self.packets.selected and (self._shown is None or self._shown.number != event.row + 1):
            self.show_packet(event.row)

    def on_packet_list_follow_changed(self) -> None:
        self.show_standing()

    def on_detail_tree_selected(self, event: DetailTree.Selected) -> None:
        if event.field is not self.details.field:
            return
        if event.field is not None:
            self.bytes.highlight(event.field.offset, event.field.size)
        self._field_line.parts = field_parts(event.field)

    def on_bytes_pane_selected(self, event: BytesPane.Selected) -> None:
        self.details.select_at(event.offset)


def _empty_text(name: str, standing: Standing) -> str:
    progress = standing.progress
    if not progress.started:
        return f"Starting {name} ..."
    if progress.received:
        return "No packet passes the filter" if standing.asked >= progress.received else "Filtering ..."
    if progress.running:
        return f"No packets yet from {name}"
    return f"No packets came from {name}"
