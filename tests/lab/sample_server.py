# SPDX-License-Identifier: GPL-2.0-or-later
"""A server of the test service (15) on the guest's own node, for samples/qmi of Linux and echo_client.py.

`python sample_server.py LOG` prints "ready" when it is registered; it leaves when standard input ends.
"""

from __future__ import annotations

import select
import sys
from pathlib import Path

from tests.lab import services, wire
from tests.lab.sockets import LoggedSocket
from tests.lab.wire import Message

INSTANCE = 0x0901  # version 1, instance 9


def main() -> int:
    """Answer until standard input ends."""
    server = LoggedSocket(wire.PacketLog(Path(sys.argv[1])))
    state = services.State()
    server.control(wire.NEW_SERVER, services.TEST, INSTANCE)
    print("ready", flush=True)
    while True:
        readable, _, _ = select.select([server, sys.stdin], [], [])
        if sys.stdin in readable:
            server.control(wire.DEL_SERVER, services.TEST, INSTANCE)
            return 0
        payload, peer = server.receive()
        if peer.port == wire.PORT_CTRL:  # the name server tells of clients that left
            continue
        request = wire.unpack_message(payload)
        try:
            answer = wire.result() | services.answer(state, services.TEST, request.id, request.tlvs)
        except services.Refused as refusal:
            answer = wire.result(refusal.error)
        server.send(wire.pack_message(Message(wire.RESPONSE, request.transaction, request.id, answer)), peer)


if __name__ == "__main__":
    sys.exit(main())
