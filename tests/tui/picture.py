# SPDX-License-Identifier: GPL-2.0-or-later
"""Makes the README's picture out of a sample: `python -m tests.tui.picture` writes captures/first-contact.svg."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

from qmisniff.definitions import open_registry
from qmisniff.tui.app import QmisniffApp
from qmisniff.tui.detail_tree import DetailTree
from qmisniff.tui.opening import Opener
from qmisniff.tui.packet_list import PacketList

SAMPLE = Path("captures/first-contact.pcapng")
PICTURE = SAMPLE.with_suffix(".svg")
SIZE = (132, 42)  # columns, lines


async def draw() -> str:
    """The main screen on the answer to Get IDs, the IMEI selected, as SVG."""
    registry = open_registry()
    session = Opener(registry).file(SAMPLE)
    dissector = session.dissector
    app = QmisniffApp(session, registry)
    async with app.run_test(size=SIZE) as pilot:
        while session.feed.progress.running or not app.screen.query(PacketList):
            await pilot.pause(0.1)
        await pilot.pause()
        infos = [
            dissector.summary(session.store.frame(row), session.store.context(row)).info
            for row in range(len(session.store))
        ]
        row = next(row for row, info in enumerate(infos) if info.startswith("Response: Get IDs"))
        app.screen.query_one(PacketList).move_to_row(row)
        await pilot.pause()
        tree = app.screen.query_one(DetailTree)
        tree.focus()
        for _ in range(200):
            await pilot.press("down")
            if tree.field is not None and tree.field.spec.name == "qmi.dms.get_ids.imei":
                break
        await pilot.pause()
        return app.export_screenshot(title="qmisniff captures/first-contact.pcapng")


def main() -> None:
    """Write the picture; run from the checkout."""
    # A picture that fetches a font from elsewhere is not self-contained; any monospaced one will do.
    picture = re.sub(r"@font-face \{.*?\}\s*", "", asyncio.run(draw()), flags=re.DOTALL)
    PICTURE.write_text(picture, encoding="utf-8")


if __name__ == "__main__":
    main()
