# SPDX-License-Identifier: GPL-2.0-or-later
"""Makes the README's picture of tshark: `python -m tests.lua.picture` writes captures/with-tshark.svg."""

from __future__ import annotations

import io
import re
import tempfile
from pathlib import Path

from rich.console import Console
from rich.text import Text

from tests.differential.corpus import registry
from tests.lua.tshark import export, run

SAMPLE = Path("captures/first-contact.pcapng")
PICTURE = Path("captures/with-tshark.svg")
LISTED, SHOWN = "qmi.service == DMS", "qmi.dms.get_ids.imei"
COMMAND = f"$ tshark -r {SAMPLE}"
WIDTH, LINES = 132, 36


def draw() -> str:
    """What tshark prints of the messages that a filter chooses, as a list and as the tree of the answer, as SVG."""
    with tempfile.TemporaryDirectory() as folder:
        script = export(registry(), Path(folder, "qmisniff.lua"))
        shown = run(script, SAMPLE, "-Y", LISTED)
        tree = run(script, SAMPLE, "-Y", SHOWN, "-O", "qmi")
    console = Console(record=True, width=WIDTH, file=io.StringIO(), legacy_windows=False)
    texts = [f"{COMMAND} -Y '{LISTED}'", *shown.splitlines(), "", f"{COMMAND} -Y {SHOWN} -O qmi", *tree.splitlines()]
    for line in texts[:LINES]:
        console.print(Text(line, style="bold" if line.startswith("$") else ""), no_wrap=True, overflow="crop")
    return console.export_svg(title="tshark with qmisniff's dissector", unique_id="tshark")


def main() -> None:
    """Write the picture; run from the checkout."""
    # A picture that fetches a font from elsewhere is not self-contained; any monospaced one will do.
    picture = re.sub(r"@font-face \{.*?\}\s*", "", draw(), flags=re.DOTALL)
    PICTURE.write_text(picture, encoding="utf-8")


if __name__ == "__main__":
    main()
