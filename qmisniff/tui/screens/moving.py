# SPDX-License-Identifier: GPL-2.0-or-later
"""Ways from one packet to another on the main screen."""

from __future__ import annotations

from functools import partial

from qmisniff.tui import commands
from qmisniff.tui.columns import conversation
from qmisniff.tui.screens.ask import AskScreen
from qmisniff.tui.screens.desk import Desk
from qmisniff.tui.screens.find import FindScreen
from qmisniff.tui.search import By, Hit, Place, Search, Wanted, first_hit

_TRAIL = 1000  # packets one can go back to


class Moving(Desk):
    """The commands that select another packet."""

    OFFERS = commands.PACKET
    BINDINGS = commands.bindings(OFFERS)

    _search: Search | None = None
    _searches = 0  # how many were begun: a newer one ends an older one

    def go_to(self, row: int) -> bool:
        """Select a packet, and remember where one came from; False, and said, where it is not shown."""
        before = self.packets.selected
        if not self.packets.move_to_row(row):
            self.notify(f"Packet {row + 1} is not shown.", timeout=3)
            return False
        if before is not None and before != row:
            del self._trail[self._at :]
            self._trail = [*self._trail[-_TRAIL:], before]
            self._at = len(self._trail)
        return True

    _trail: list[int] = []  # noqa: RUF012 - replaced, never changed, before the first jump
    _at = 0

    def action_back(self) -> None:
        """Go to the packet one came from."""
        here = self.packets.selected
        if not self._at or here is None:
            self.notify("There is no packet to go back to.", timeout=3)
            return
        if self._at == len(self._trail):
            self._trail = [*self._trail, here]
        self._at -= 1
        self.packets.move_to_row(self._trail[self._at])

    def action_forth(self) -> None:
        """Go again to the packet one went back from."""
        if self._at + 1 >= len(self._trail):
            self.notify("There is no packet to go forth to.", timeout=3)
            return
        self._at += 1
        self.packets.move_to_row(self._trail[self._at])

    def action_partner(self) -> None:
        """Go from a request to its response, or back."""
        row = self.packets.selected
        if row is None:
            return
        context = self.session.store.context(row)
        number = context.request or context.response
        if number is None:
            self.notify("No request or response to this packet is in the capture.", timeout=3)
        else:
            self.go_to(number - 1)

    def action_step(self, lines: int) -> None:
        """Go to the packet below in the list, wherever the focus is; to the one above where negative."""
        self.packets.action_cursor_lines(lines)

    def action_in_conversation(self, step: int) -> None:
        """Go to the next packet between the same two ends, to the one before where negative."""
        row = self.packets.selected
        if row is None:
            return
        condition = conversation(self.packets.packet(self.packets.cursor_line))
        if not condition:
            self.notify("This packet belongs to no conversation.", timeout=3)
            return
        wanted = Wanted(condition, By.FILTER, Place.LIST)
        self._begin(Search(wanted, self.session.dissector.registry), step)

    def action_go_to_frame(self) -> None:
        """Go to a packet by its number."""

        def objection(text: str) -> str:
            if not text.strip().isdecimal() or not 0 < int(text[:20]) <= len(self.session.store):
                return f"Packets have the numbers 1 to {len(self.session.store)}."
            return ""

        def answered(text: str | None) -> None:
            if text is not None:
                self.go_to(int(text) - 1)

        self.app.push_screen(AskScreen("Go to packet number", objection=objection), answered)

    def action_find(self) -> None:
        """Ask what to find, and go to the next packet that has it."""
        before = self._search.wanted if self._search is not None else None

        def answered(search: Search | None) -> None:
            if search is not None:
                self._search = search
                self._begin(search, 1)

        self.app.push_screen(FindScreen(self.session.dissector.registry, before), answered)

    def action_find_again(self, step: int) -> None:
        """Go to the next packet that has what was last searched for, to the one before where negative."""
        if self._search is None:
            self.action_find()
        else:
            self._begin(self._search, step)

    def action_stop_search(self) -> None:
        """Give up a search that takes long."""
        self._searches += 1
        self.searching = False

    def _begin(self, search: Search, step: int) -> None:
        self._searches += 1
        self.searching = True
        look = partial(self._look_for, search, self.packets.cursor_line, step, self._searches)
        self.run_worker(look, thread=True, exit_on_error=False)

    def _look_for(self, search: Search, line: int, step: int, number: int) -> None:
        """Search, in a thread, among the rows shown now."""
        packets = self.packets
        hit = first_hit(
            search, self.session.store, self.session.dissector, packets.rows, packets.order is None,
            line, step, lambda: self._searches != number,
        )  # fmt: skip
        self.app.call_from_thread(self._found, hit, line, step, number)

    def _found(self, hit: Hit | None, line: int, step: int, number: int) -> None:
        if self._searches != number:
            return
        self.searching = False
        if hit is None:
            self.notify("Nothing found.", timeout=3)
        elif self.go_to(hit.row):
            self._tell_of_end(line, self.packets.cursor_line, step)
            self.show_packet(hit.row)
            if hit.offset >= 0:
                self.details.select_at(hit.offset)
                self.bytes.move_to_byte(hit.offset)

    def _tell_of_end(self, before: int, now: int, step: int) -> None:
        """Say that a search went on at the other end of the list."""
        if now == before:
            self.notify("No other packet has it.", timeout=3)
        elif (now - before) * step < 0:
            self.notify(f"Went on from the {'first' if step > 0 else 'last'} packet.", timeout=3)
