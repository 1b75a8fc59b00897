# SPDX-License-Identifier: GPL-2.0-or-later
"""Writes a file to tqftpserv (service 4096) and reads it back, as a modem does: DATA that is not QMI.

`python tftp_client.py LOG SIZE`. TFTP: RFC 1350; over QRTR each transfer is answered from a port of its own.
"""

from __future__ import annotations

import random
import struct
import sys
from pathlib import Path
from typing import Protocol

from tests.lab import wire
from tests.lab.sockets import LoggedSocket, NoAnswer, look_up
from tests.lab.wire import Address

SERVICE, NODE = 4096, 1
READ, WRITE, DATA, ACK, ERROR, OACK = range(1, 7)
BLOCK = 512
NAME = b"/readwrite/lab"
TIMEOUT = 10.0


class Endpoint(Protocol):
    """A port to talk from: a socket of this node, or one of the modem's."""

    def send(self, payload: bytes, peer: Address) -> None:
        """Send one datagram."""

    def receive(self, timeout: float | None = None) -> tuple[bytes, Address]:
        """The next datagram and its sender; NoAnswer after `timeout` seconds."""
        ...


class Refused(NoAnswer):
    """The server's ERROR; `code` is its number."""

    def __init__(self, code: int, text: bytes) -> None:
        super().__init__(f"TFTP error {code}: {text!r}")
        self.code = code


def _request(opcode: int, name: bytes, **options: int) -> bytes:
    words = [name, b"octet", *(word for key, value in options.items() for word in (key.encode(), b"%d" % value))]
    return struct.pack(">H", opcode) + b"".join(word + b"\0" for word in words)


def _opcode(packet: bytes) -> tuple[int, int]:
    if len(packet) < 4:
        raise NoAnswer(f"no TFTP packet: {packet.hex()}")
    opcode, number = struct.unpack_from(">HH", packet)
    if opcode == ERROR:
        raise Refused(number, packet[4:-1])
    return opcode, number


def write(client: Endpoint, server: Address, name: bytes, content: bytes) -> None:
    """Send the file; NoAnswer when the server does not take it."""
    client.send(_request(WRITE, name), server)
    for block in range(len(content) // BLOCK + 2):
        packet, transfer = client.receive(TIMEOUT)
        if _opcode(packet) != (ACK, block):
            raise NoAnswer(f"no ACK of block {block}: {packet.hex()}")
        if block <= len(content) // BLOCK:
            data = content[block * BLOCK : (block + 1) * BLOCK]
            client.send(struct.pack(">HH", DATA, block + 1) + data, transfer)


def read(client: Endpoint, server: Address, name: bytes, **options: int) -> bytes:
    """The file, or the part that the options ask for; NoAnswer when the server does not give it.

    Options of Qualcomm's own: tqftpserv sends nothing without a window (wsize), and one block without the size to
    read (rsize).
    """
    client.send(_request(READ, name, **options), server)
    packet, transfer = client.receive(TIMEOUT)
    if _opcode(packet)[0] != OACK:
        raise NoAnswer(f"options not taken: {packet.hex()}")
    client.send(struct.pack(">HH", ACK, 0), transfer)
    content = b""
    while True:
        packet, transfer = client.receive(TIMEOUT)
        opcode, block = _opcode(packet)
        if opcode != DATA:
            raise NoAnswer(f"no data: {packet.hex()}")
        content += packet[4:]
        last = len(packet) - 4 < BLOCK
        if last or block % options["wsize"] == 0:
            client.send(struct.pack(">HH", ACK, block), transfer)
        if last:
            return content


def main() -> int:
    """Exit code 1 when the file does not come back as it was."""
    log = wire.PacketLog(Path(sys.argv[1]))
    content = random.Random(0).randbytes(int(sys.argv[2]))
    try:
        server = look_up(log, SERVICE, NODE)
        write(LoggedSocket(log), server, NAME, content)
        if read(LoggedSocket(log), server, NAME, wsize=1, rsize=len(content)) != content:
            raise NoAnswer("the file came back changed")
    except NoAnswer as problem:
        print(problem, file=sys.stderr)
        return 1
    print(f"{len(content)} bytes written and read back")
    return 0


if __name__ == "__main__":
    sys.exit(main())
