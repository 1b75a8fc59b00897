# SPDX-License-Identifier: GPL-2.0-or-later
"""Registers for the modem's indications as a connection manager does, and logs them.

`python watch_client.py LOG` prints "ready" when registered; it leaves when standard input ends.
"""

from __future__ import annotations

import select
import sys
from pathlib import Path

from tests.lab import services, wire
from tests.lab.sockets import LoggedSocket, look_up
from tests.lab.wire import Message, Tlvs

MODEM = 0
ON = b"\x01"
REGISTRATIONS: list[tuple[int, int, Tlvs]] = [
    (services.DMS, 0x01, {0x14: ON}),  # operating mode
    (services.NAS, 0x02, {0x10: ON + b"\x02\xa1\xb5"}),  # signal strength beyond -95 and -75 dBm
    (services.NAS, 0x03, {0x13: ON, 0x19: ON}),  # serving system, signal info
    (services.WDS, 0x22, {}),  # WDS tells whoever asked once
]


def main() -> int:
    """Watch until standard input ends."""
    log = wire.PacketLog(Path(sys.argv[1]))
    sockets = {service: LoggedSocket(log) for service in (services.DMS, services.NAS, services.WDS)}
    for transaction, (service, message, tlvs) in enumerate(REGISTRATIONS, start=1):
        server = look_up(log, service, MODEM)
        sockets[service].call(Message(wire.REQUEST, transaction, message, tlvs), server)
    print("ready", flush=True)
    while True:
        readable, _, _ = select.select([*sockets.values(), sys.stdin], [], [])
        for watched in sockets.values():
            if watched in readable:
                watched.receive()
        if readable == [sys.stdin]:
            return 0


if __name__ == "__main__":
    sys.exit(main())
