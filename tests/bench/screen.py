# SPDX-License-Identifier: GPL-2.0-or-later
"""How fast the screen answers: `python -m tests.bench.screen [PACKETS]`. Prints figures, asserts nothing.

A key's time runs from the key to the moment its effect is on the way to the terminal, in Textual's headless driver.
"""

from __future__ import annotations

import asyncio
import statistics
import sys
import threading
import time
from collections.abc import Callable, Iterator

from rich.console import RenderableType
from textual import events
from textual._compositor import CompositorUpdate
from textual.screen import Screen

from qmisniff.definitions import open_registry
from qmisniff.dissect import Dissector
from qmisniff.frame import Frame
from qmisniff.tui.app import QmisniffApp
from qmisniff.tui.packet_list import PacketList
from qmisniff.tui.session import Session
from tests.tui.conversation import conversation

RATE = 5000  # live packets a second
LIVE_S = 10


class Loaded:
    """As many packets as asked for, at once."""

    name = "loaded"
    live = False
    notes = ()
    started = True
    lost = 0
    damage = ""

    def __init__(self, count: int) -> None:
        self._count = count

    def batches(self, stop: threading.Event) -> Iterator[list[Frame]]:
        frames = conversation()
        made = 0
        while made < self._count and not stop.is_set():
            # Copies: a million packets are a million objects to the garbage collector.
            yield [frame._replace(ts_ns=frame.ts_ns + made * 1000) for frame in frames]
            made += len(frames)


class Live:
    """RATE packets a second, in batches as a tap would give them."""

    name = "live"
    live = True
    notes = ()
    started = True
    lost = 0
    damage = ""

    def batches(self, stop: threading.Event) -> Iterator[list[Frame]]:
        frames = conversation()[2:]
        started, made = time.monotonic(), 0
        while not stop.wait(0.02):
            due = int((time.monotonic() - started) * RATE)
            yield [frames[number % len(frames)] for number in range(made, due)]
            made = max(made, due)


class Watched(QmisniffApp):
    """Tells when something was painted."""

    def __init__(self, session: Session) -> None:
        super().__init__(session, session.dissector.registry)
        self.paints = 0
        self.painted = asyncio.Event()

    def _display(self, screen: Screen[object], renderable: RenderableType | None) -> None:
        super()._display(screen, renderable)
        if isinstance(renderable, CompositorUpdate):
            renderable.render_segments(self.console)  # left out by a headless driver, but part of the cost
        self.paints += 1
        self.painted.set()


async def key_ms(app: Watched, key: str, moved: Callable[[], object]) -> float:
    """Milliseconds from a key until its effect (a change of `moved`) has been painted."""
    before = moved()
    started = time.perf_counter()
    app.post_message(events.Key(key, key if len(key) == 1 else None))
    while True:
        app.painted.clear()
        await asyncio.wait_for(app.painted.wait(), 5)
        if moved() != before:
            return (time.perf_counter() - started) * 1000


async def keys_ms(app: Watched, keys: list[str]) -> list[float]:
    """The times of several keys in the packet list, each pressed when the one before has been painted."""
    packets = app.screen.query_one(PacketList)
    taken = []
    for key in keys:
        taken.append(await key_ms(app, key, lambda: packets.cursor_line))
        await asyncio.sleep(0.02)
    return taken


def told(name: str, taken: list[float]) -> str:
    """One line of figures."""
    return f"{name:<32} median {statistics.median(taken):6.1f} ms   worst {max(taken):6.1f} ms   ({len(taken)} keys)"


async def loaded(count: int) -> None:
    """Keys in a capture of `count` packets, while it loads and after."""
    session = Session(Loaded(count), Dissector(open_registry([])))
    app = Watched(session)
    started = time.perf_counter()
    async with app.run_test(size=(160, 50)):
        await asyncio.sleep(0.5)
        print(told("down while loading", await keys_ms(app, ["j"] * 20)))
        while session.feed.progress.running:
            await asyncio.sleep(0.1)
        print(f"{len(session.store):,} packets loaded in {time.perf_counter() - started:.1f} s")
        await asyncio.sleep(0.3)
        print(told("down", await keys_ms(app, ["j"] * 50)))
        print(told("page down", await keys_ms(app, ["pagedown"] * 50)))
        print(told("end, home", await keys_ms(app, ["end", "home"] * 10)))
        await keys_ms(app, ["end"])
        print(told("up at the end", await keys_ms(app, ["k"] * 50)))
    session.close()


async def live() -> None:
    """RATE packets a second for LIVE_S seconds: what the screen and its thread do meanwhile."""
    session = Session(Live(), Dissector(open_registry([])))
    app = Watched(session)
    async with app.run_test(size=(160, 50)):
        await asyncio.sleep(1)
        paints, cpu, started = app.paints, time.process_time(), time.monotonic()
        before = len(session.store)
        await asyncio.sleep(LIVE_S)
        span = time.monotonic() - started
        received = len(session.store) - before
        print(
            f"live, following: {received / span:,.0f} packets/s, "
            f"{(app.paints - paints) / span:.1f} paints/s, {(time.process_time() - cpu) / span * 100:.0f} % of a core"
        )
        print(told("up and down while live", await keys_ms(app, ["k", "k", "j", "k"] * 10)))
        session.feed.stop()
    session.close()


async def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    await loaded(count)
    await live()


if __name__ == "__main__":
    asyncio.run(main())
