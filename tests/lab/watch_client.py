# SPDX-License-Identifier: GPL-2.0-or-later
"""Registers for the modem's indications as a connection manager does, and counts them.

`python watch_client.py LOG` prints "ready" when registered; when standard input ends it prints how many came of each.
"""

from __future__ import annotations

import collections
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
    seen: collections.Counter[str] = collections.Counter()
    for transaction, (service, message, tlvs) in enumerate(REGISTRATIONS, start=1):
        server = look_up(log, service, MODEM)
        sockets[service].call(Message(wire.REQUEST, transaction, message, tlvs), server)
    print("ready", flush=True)
    while True:
        readable, _, _ = select.select([*sockets.values(), sys.stdin], [], [])
        for service, watched in sockets.items():
            if watched in readable:
                payload, _ = watched.receive()
                try:
                    seen[f"{service}:0x{wire.unpack_message(payload).id:04x}"] += 1
                except ValueError:
                    seen["malformed"] += 1
        if readable == [sys.stdin]:
            print("\n".join(f"{name} {count}" for name, count in sorted(seen.items())))
            return 0


if __name__ == "__main__":
    sys.exit(main())
