# SPDX-License-Identifier: GPL-2.0-or-later
"""Somebody sits in front of the installed program in the guest, while a real client talks to the modem.

An experiment of guest_capture.py; test_screen.py looks at the result.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.lab.services import IMEI
from tests.tui.tmux import PROGRAM, Terminal

CLIENT = ("qmicli", "-d", "qrtr://0", "--dms-get-ids")
FILTER = "qmi.dms.get_ids.imei"
SAVED = "screen.pcapng"
PATIENCE_S = 300.0  # an emulated machine takes long to read the screen's modules over its wire


def screen(out: Path) -> dict[str, Any]:
    """What was on the screen at each step, and how the program ended."""
    terminal, seen = Terminal(out, PATIENCE_S), {}
    modem = subprocess.Popen(
        [sys.executable, str(Path(__file__).with_name("modem.py")), str(out / "screen-modem.jsonl")],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        assert modem.stdout and modem.stdout.readline() == "ready\n"
        terminal.run(f"{PROGRAM} tui -i kernel", size=(120, 110))
        seen["services"] = terminal.until(lambda text: "kernel (live)" in text and "NEW_SERVER" in text)
        printed = subprocess.run(CLIENT, capture_output=True, text=True, check=True).stdout
        seen["client"] = terminal.until(lambda text: "Response: Get IDs" in text)
        terminal.press("/", *FILTER, "Enter")
        seen["filtered"] = terminal.until(lambda text: " 1 shown" in text and IMEI in text)
        terminal.press("q")  # the packets are in a temporary file by now, and nowhere else
        seen["leaving"] = terminal.until(lambda text: "are not saved" in text)
        terminal.press("C-a", "C-k", *SAVED, "Enter")
        seen["left"] = terminal.until(lambda text: "exit code" in text)
    except BaseException:
        seen["last"] = terminal.text()
        raise
    finally:
        terminal.close()
        modem.communicate()
    (asked,) = re.findall(r"([\d,]+) packets are not saved", seen["leaving"])
    return {"seen": seen, "printed": printed, "unsaved": int(asked.replace(",", ""))}
