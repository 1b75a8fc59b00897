# SPDX-License-Identifier: GPL-2.0-or-later
"""The service manager: a unit for a capture, and telling it that the capture runs (sd_notify(3))."""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Sequence
from pathlib import Path

_UNIT = """\
# Written by `qmisniff capture --systemd-unit`: for /etc/systemd/system/qmisniff.service
[Unit]
Description=Capture of QMI and QRTR traffic
Documentation=man:systemd.service(5)

[Service]
Type=notify
ExecStart={command}
WorkingDirectory={here}
Restart=on-failure
RestartSec=10
# Only the capture itself is told to end; what it has started ends with it.
KillMode=mixed
NoNewPrivileges=yes
ProtectSystem=strict
ReadWritePaths={written}

[Install]
WantedBy=multi-user.target
"""


def unit(command: Sequence[str], here: Path, written: Path) -> str:
    """The text of a service that runs `command` in the folder `here` and writes into the folder `written`."""
    run = " ".join(_word(word).replace("$", "$$") for word in command)
    return _UNIT.format(command=run, here=str(here).replace("%", "%%"), written=_word(str(written)))


def _word(text: str) -> str:
    """A word as systemd.syntax(7) has them, with no specifiers in it."""
    safe = text.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%")
    escaped = "".join(chr(byte) if 32 <= byte < 127 else f"\\x{byte:02x}" for byte in os.fsencode(safe))
    return f'"{escaped}"' if not escaped or set(escaped) & set(" '\"\\;") else escaped


def ready() -> None:
    """Tell the service manager, where one waits for it, that the start is over."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address.startswith(("/", "@")):
        return
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
        channel.connect("\0" + address[1:] if address[0] == "@" else address)
        channel.send(b"READY=1")
