# SPDX-License-Identifier: GPL-2.0-or-later
"""How fast the screen answers: `python -m tests.bench.screen [PACKETS [SECONDS LIVE]]`. Prints figures only.

A key's time runs from the key to the moment its effect is on the way to the terminal, in Textual's headless driver.
"""

from __future__ import annotations

import asyncio
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from rich.console import RenderableType
from textual import events
from textual._compositor import CompositorUpdate
from textual.screen import Screen

from qmisniff.capture_file import Reader
from qmisniff.definitions import open_registry
from qmisniff.dissect import Dissector
from qmisniff.frame import Frame
from qmisniff.tui.app import QmisniffApp
from qmisniff.tui.packet_list import PacketList
from qmisniff.tui.recording import TemporaryRecording
from qmisniff.tui.session import Session
from tests.tui.conversation import conversation

RATE = 5000  # live packets a second
LIVE_S = 60


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

    def __init__(self) -> None:
        self.made = 0

    def batches(self, stop: threading.Event) -> Iterator[list[Frame]]:
        frames = conversation()[2:]
        started = time.monotonic()
        while not stop.wait(0.02):
            due = int((time.monotonic() - started) * RATE)
            batch = [frames[number % len(frames)] for number in range(self.made, due)]
            self.made += len(batch)
            yield batch


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


class Taken(NamedTuple):
    """What a key took, in milliseconds; `work` is processor time of the screen's thread, which a busy machine does not
    lengthen."""

    time: float
    work: float


async def key_ms(app: Watched, key: str, moved: Callable[[], object]) -> Taken:
    """From a key until its effect (a change of `moved`) has been painted."""
    before = moved()
    started, worked = time.perf_counter(), time.thread_time()
    app.post_message(events.Key(key, key if len(key) == 1 else None))
    while True:
        app.painted.clear()
        await asyncio.wait_for(app.painted.wait(), 5)
        if moved() != before:
            return Taken((time.perf_counter() - started) * 1000, (time.thread_time() - worked) * 1000)


async def keys_ms(app: Watched, keys: list[str]) -> list[Taken]:
    """The times of several keys in the packet list, each pressed when the one before has been painted."""
    packets = app.screen.query_one(PacketList)
    taken = []
    for key in keys:
        taken.append(await key_ms(app, key, lambda: packets.cursor_line))
        await asyncio.sleep(0.02)
    return taken


def told(name: str, taken: list[Taken]) -> str:
    """One line of figures."""
    each = (
        f"{what} median {statistics.median(ms):6.1f} ms, worst {max(ms):6.1f} ms"
        for what, ms in zip(Taken._fields, zip(*taken, strict=True), strict=True)
    )
    return f"{name:<24} {'   '.join(each)}   ({len(taken)} keys)"


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


async def live(seconds: float) -> None:
    """RATE packets a second, recorded as the program does: what the screen's thread takes, and whether any is lost.

    Half of the time the list follows, half of it somebody looks back.
    """
    source = Live()
    with tempfile.TemporaryDirectory() as folder:
        recording = TemporaryRecording(Path(folder))
        session = Session(source, Dissector(open_registry([])), recording)
        app = Watched(session)
        async with app.run_test(size=(160, 50)):
            await asyncio.sleep(1)
            for name, keys in (("following", []), ("looking back", ["k", "k", "j", "pageup", "pageup", "pagedown"])):
                before = time.monotonic(), time.process_time(), time.thread_time(), len(session.store), app.paints
                taken = []
                while (span := time.monotonic() - before[0]) < seconds / 2:
                    taken += await keys_ms(app, keys)
                    await asyncio.sleep(0.2)
                rate, paints = (len(session.store) - before[3]) / span, (app.paints - before[4]) / span
                whole, screen = (time.process_time() - before[1]) / span, (time.thread_time() - before[2]) / span
                print(f"live, {name}: {rate:,.0f} packets/s, {paints:.1f} paints/s")
                print(f"    of a core {whole:.0%} in all, {screen:.0%} by the screen's thread")
                if taken:
                    print(told("keys while live", taken))
            session.feed.stop()
        with recording.path.open("rb") as stream:
            recorded = sum(1 for _ in Reader(stream))
        print(f"{source.made:,} packets sent, {len(session.store):,} received, {recorded:,} recorded")
        session.give_up()
        session.close()


async def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    seconds = float(sys.argv[2]) if len(sys.argv) > 2 else LIVE_S
    if count:
        await loaded(count)
    if seconds:
        await live(seconds)


if __name__ == "__main__":
    asyncio.run(main())
