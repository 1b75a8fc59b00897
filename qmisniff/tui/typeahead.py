# SPDX-License-Identifier: GPL-2.0-or-later
"""Keys in the order they were typed, however fast they come.

Textual sends each key to the pane that has the focus now, and what the key does is known only when it has gone from
there up to the app. Of keys that come in one piece, over a slow line say, the later ones would be on their way to the
packet list before the first, `/`, has given the focus to the filter bar: `/q` would quit.
"""

from __future__ import annotations

from collections import deque
from functools import partial

from textual import events
from textual.app import App
from textual.dom import DOMNode
from textual.message import Message

_LOOK_S = 0.1  # how often it is looked whether a key will never be done


class Done(Message):
    """Follows a key on its way up: where it arrives the key has been dealt with."""


class TypeAheadApp(App[None], inherit_bindings=False):
    """An app that gives a key to a pane when the one before has done what it does, focus and screens included."""

    def __init__(self) -> None:
        super().__init__()
        self._typed: deque[events.Event] = deque()
        self._busy: tuple[Done, DOMNode] | None = None  # the key on its way, and where it began

    async def on_event(self, event: events.Event) -> None:
        """Textual's call for every event."""
        if isinstance(event, events.Key | events.Paste) and not event.is_forwarded:
            self._typed.append(event)
            if self._busy is None:
                await self._next()
        else:
            await super().on_event(event)

    async def _next(self) -> None:
        """Send the next key on its way."""
        self._busy = None
        while self._typed and self._busy is None:
            event, target, done = self._typed.popleft(), self.focused or self.screen, Done()
            await super().on_event(event)
            if target.post_message(done):
                self._busy = done, target
                self.set_timer(_LOOK_S, partial(self._look, done))

    def on_done(self, done: Done) -> None:
        """The key has done what it does at once; what it has asked of app and screen comes before what is asked now."""
        self.screen.call_later(self.call_later, self._after, done)

    async def _after(self, done: Done) -> None:
        if self._busy is not None and self._busy[0] is done:
            await self._next()

    async def _look(self, done: Done) -> None:
        """Go on where the pane of a key is gone, or has opened a screen and waits for it."""
        if self._busy is None or self._busy[0] is not done:
            return
        _, target = self._busy
        if not target.is_attached or target.screen is not self.screen:
            await self._next()
        else:
            self.set_timer(_LOOK_S, partial(self._look, done))
