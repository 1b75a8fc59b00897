# SPDX-License-Identifier: GPL-2.0-or-later
"""Writes a file to tqftpserv (service 4096) and reads it back, as a modem does: DATA that is not QMI.

`python tftp_client.py LOG SIZE`. TFTP: RFC 1350; over QRTR each transfer is answered from a port of its own.
"""

from __future__ import annotations

import random
import struct
import sys
from pathlib import Path

from tests.lab import wire
from tests.lab.sockets import LoggedSocket, NoAnswer, look_up

SERVICE, NODE = 4096, 1
READ, WRITE, DATA, ACK, ERROR, OACK = range(1, 7)
BLOCK = 512
NAME = b"/readwrite/lab"
TIMEOUT = 10.0


def _request(opcode: int, *options: bytes) -> bytes:
    return struct.pack(">H", opcode) + b"".join(part + b"\0" for part in (NAME, b"octet", *options))


def _opcode(packet: bytes) -> tuple[int, int]:
    if len(packet) < 4:
        raise NoAnswer(f"no TFTP packet: {packet.hex()}")
    opcode, number = struct.unpack_from(">HH", packet)
    if opcode == ERROR:
        raise NoAnswer(f"TFTP error {number}: {packet[4:-1]!r}")
    return opcode, number


def write(log: wire.PacketLog, content: bytes) -> None:
    """Send the file; NoAnswer when the server does not take it."""
    client = LoggedSocket(log)
    client.send(_request(WRITE), look_up(log, SERVICE, NODE))
    for block in range(len(content) // BLOCK + 2):
        packet, transfer = client.receive(TIMEOUT)
        if _opcode(packet) != (ACK, block):
            raise NoAnswer(f"no ACK of block {block}: {packet.hex()}")
        if block <= len(content) // BLOCK:
            data = content[block * BLOCK : (block + 1) * BLOCK]
            client.send(struct.pack(">HH", DATA, block + 1) + data, transfer)


def read(log: wire.PacketLog, size: int) -> bytes:
    """The file; NoAnswer when the server does not give it."""
    client = LoggedSocket(log)
    # Options of Qualcomm's own: tqftpserv sends nothing without a window, and one block without the size to read.
    client.send(_request(READ, b"wsize", b"1", b"rsize", b"%d" % size), look_up(log, SERVICE, NODE))
    packet, transfer = client.receive(TIMEOUT)
    if not packet.startswith(struct.pack(">H", OACK)):
        raise NoAnswer(f"options not taken: {packet.hex()}")
    client.send(struct.pack(">HH", ACK, 0), transfer)
    content = b""
    while True:
        packet, transfer = client.receive(TIMEOUT)
        opcode, block = _opcode(packet)
        if opcode != DATA:
            raise NoAnswer(f"no data: {packet.hex()}")
        content += packet[4:]
        client.send(struct.pack(">HH", ACK, block), transfer)
        if len(packet) - 4 < BLOCK:
            return content


def main() -> int:
    """Exit code 1 when the file does not come back as it was."""
    log = wire.PacketLog(Path(sys.argv[1]))
    content = random.Random(0).randbytes(int(sys.argv[2]))
    try:
        write(log, content)
        if read(log, len(content)) != content:
            raise NoAnswer("the file came back changed")
    except NoAnswer as problem:
        print(problem, file=sys.stderr)
        return 1
    print(f"{len(content)} bytes written and read back")
    return 0


if __name__ == "__main__":
    sys.exit(main())
