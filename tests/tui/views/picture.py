# SPDX-License-Identifier: GPL-2.0-or-later
"""Makes the README's pictures of views out of a sample: `python -m tests.tui.views.picture` writes captures/*.svg."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

from textual.pilot import Pilot

from qmisniff.definitions import open_registry
from qmisniff.dissect import Dissector
from qmisniff.tui.app import QmisniffApp
from qmisniff.tui.feed import FileInput
from qmisniff.tui.packet_list import PacketList
from qmisniff.tui.session import Session
from qmisniff.tui.views.view_screen import ViewScreen

SAMPLE = Path("captures/phone-services.pcapng")
PICTURES = {"services": ("1",), "transactions": ("2",), "statistics": ("4", "down", "down", "down")}  # keys pressed
SIZE = (132, 32)  # columns, lines


async def draw(name: str) -> str:
    """A view of the sample as SVG."""
    session = Session(FileInput(SAMPLE), Dissector(open_registry()))
    app = QmisniffApp(session, session.dissector.registry)
    async with app.run_test(size=SIZE) as pilot:
        while session.feed.progress.running or not app.screen.query(PacketList):
            await pilot.pause(0.1)
        for key in PICTURES[name]:
            await pilot.press(key)
            await _answered(pilot)
        return app.export_screenshot(title=f"qmisniff {SAMPLE}")


async def _answered(pilot: Pilot[None]) -> None:
    screen = pilot.app.screen
    assert isinstance(screen, ViewScreen)
    while screen.working:
        await pilot.pause(0.1)
    await pilot.pause(0.5)  # what follows the cursor after a while


def main() -> None:
    """Write the pictures; run from the checkout."""
    for name in PICTURES:
        # A picture that fetches a font from elsewhere is not self-contained; any monospaced one will do.
        picture = re.sub(r"@font-face \{.*?\}\s*", "", asyncio.run(draw(name)), flags=re.DOTALL)
        SAMPLE.with_name(f"{name}.svg").write_text(picture, encoding="utf-8")


if __name__ == "__main__":
    main()
