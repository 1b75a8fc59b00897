# SPDX-License-Identifier: GPL-2.0-or-later
"""Sends data of given sizes to the test service of a node and checks that the same comes back.

`python echo_client.py LOG NODE SIZE...`: one ping, then one TEST_DATA request a size (bytes, up to 65,000).
"""

from __future__ import annotations

import random
import sys
from pathlib import Path

from tests.lab import services, wire
from tests.lab.sockets import LoggedSocket, NoAnswer, look_up
from tests.lab.wire import Message


def main() -> int:
    """Exit code 1 when anything comes back changed or not at all."""
    log = wire.PacketLog(Path(sys.argv[1]))
    node, *sizes = map(int, sys.argv[2:])
    content = random.Random(node)
    try:
        server = look_up(log, services.TEST, node)
        client = LoggedSocket(log)
        pong = client.call(Message(wire.REQUEST, 1, 0x20, {0x01: b"ping"}), server)
        if pong.tlvs.get(0x10) != b"pong":
            raise NoAnswer(f"no pong but {pong}")
        for transaction, size in enumerate(sizes, start=2):
            data = content.randbytes(size)
            response = client.call(Message(wire.REQUEST, transaction, 0x21, {0x01: data}), server)
            if response.tlvs.get(0x10) != data:
                raise NoAnswer(f"{size} bytes came back changed")
            print(f"{size} bytes echoed by {server.node}:{server.port}")
    except NoAnswer as problem:
        print(problem, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
