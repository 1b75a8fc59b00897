# SPDX-License-Identifier: GPL-2.0-or-later
"""What a modem asks of Linux: its file system from rmtfs, files from tqftpserv, protection domains from pd-mapper.

Layouts: rmtfs's qmi_rmtfs.qmi and Linux drivers/soc/qcom/pdr_internal.h. What is not as it should be raises NoAnswer.
"""

from __future__ import annotations

import random
import struct
import time
from collections import deque
from collections.abc import Callable
from typing import Protocol

from tests.lab import phone, services, tftp_client, wire
from tests.lab.sockets import NoAnswer
from tests.lab.wire import Address, Message, Tlvs

RMTFS, SERVREG_LOC = 14, 64
OPEN, CLOSE, IOVEC, ALLOC_BUF, DEV_ERROR = 1, 2, 3, 4, 5
READ, WRITE = 0, 1
GET_DOMAIN_LIST = 0x21
TIMEOUT = 60.0


class Wire(Protocol):
    """The part of the modem that its clients need."""

    servers: dict[int, Address]  # service -> Linux's server of it

    def send_data(self, source: int, destination: Address, payload: bytes) -> None:
        """Send DATA from one of the modem's ports."""

    def wait(self, timeout: float) -> None:
        """Take one packet from the wire, or none in `timeout` seconds."""


class Client:
    """A port of the modem that asks; what comes for it is put into `received`."""

    def __init__(self, modem: Wire, port: int) -> None:
        self._modem = modem
        self._port = port
        self._transaction = 0
        self.received: deque[tuple[bytes, Address]] = deque()

    def server(self, service: int) -> Address:
        """Linux's server of a service, waited for."""
        deadline = time.monotonic() + TIMEOUT
        while service not in self._modem.servers:
            self._wait(deadline, f"no server of service {service}")
        return self._modem.servers[service]

    def send(self, payload: bytes, peer: Address) -> None:
        """Send one datagram."""
        self._modem.send_data(self._port, peer, payload)

    def receive(self, timeout: float | None = None) -> tuple[bytes, Address]:
        """The next datagram and its sender; NoAnswer after `timeout` seconds."""
        deadline = time.monotonic() + (TIMEOUT if timeout is None else timeout)
        while not self.received:
            self._wait(deadline, "nothing received")
        return self.received.popleft()

    def call(self, service: int, message: int, tlvs: Tlvs) -> Tlvs:
        """The TLVs of the response; services.Refused where it is a failure."""
        self._transaction += 1
        request = Message(wire.REQUEST, self._transaction, message, tlvs)
        self.send(wire.pack_message(request), self.server(service))
        response = wire.unpack_message(self.receive(TIMEOUT)[0])
        if (response.flags, response.transaction, response.id) != (wire.RESPONSE, self._transaction, message):
            raise NoAnswer(f"not the response to {request}: {response}")
        failed, error = struct.unpack("<HH", response.tlvs[wire.RESULT])
        if failed:
            raise services.Refused(error)
        return response.tlvs

    def _wait(self, deadline: float, what: str) -> None:
        left = deadline - time.monotonic()
        if left <= 0:
            raise NoAnswer(what)
        self._modem.wait(left)


def storage(client: Client) -> None:
    """Write two sectors of the modem's file system and read them back, through memory shared with rmtfs."""
    (caller,) = struct.unpack("<I", client.call(RMTFS, OPEN, {0x01: phone.STORAGE.encode()})[0x10])
    handle = struct.pack("<I", caller)
    answer = client.call(RMTFS, ALLOC_BUF, {0x01: handle, 0x02: struct.pack("<I", 4 * phone.SECTOR)})
    (address,) = struct.unpack("<Q", answer[0x10])
    content = random.Random(1).randbytes(2 * phone.SECTOR)
    there, back = address, address + 2 * phone.SECTOR
    phone.write_memory(there, content)
    for direction, place in ((WRITE, there), (READ, back)):
        vector = struct.pack("<BIII", 1, 2, place, 2)  # one entry: from sector 2, memory, two sectors
        client.call(RMTFS, IOVEC, {0x01: handle, 0x02: bytes([direction]), 0x03: vector, 0x04: b"\0"})
    if phone.read_memory(back, len(content)) != content:
        raise NoAnswer("the sectors came back changed")
    refused(client, OPEN, {0x01: b"/boot/modem_none"})
    refused(client, DEV_ERROR, {0x01: handle})  # rmtfs 1.0 knows no device errors
    client.call(RMTFS, CLOSE, {0x01: handle})


def refused(client: Client, message: int, tlvs: Tlvs) -> None:
    """Ask rmtfs for what it must refuse."""
    try:
        client.call(RMTFS, message, tlvs)
    except services.Refused:
        return
    raise NoAnswer(f"rmtfs did what it should not: message {message}")


def files(client: Client) -> None:
    """Write a file of the modem's, read it in windows and with a seek, and ask for one that is not there."""
    server, name = client.server(tftp_client.SERVICE), b"/readwrite/server_check.txt"
    content = random.Random(2).randbytes(2000)
    tftp_client.write(client, server, name, content)
    whole = tftp_client.read(client, server, name, blksize=512, timeoutms=1000, tsize=0, wsize=10, rsize=len(content))
    tftp_client.read(client, server, name, wsize=1, rsize=100, seek=1500)  # tqftpserv 1.0 begins at 0 all the same
    if whole != content:
        raise NoAnswer("the file came back changed")
    try:
        tftp_client.read(client, server, b"/readonly/firmware/image/none.mbn", wsize=1, rsize=100)
    except tftp_client.Refused:
        return
    raise NoAnswer("tqftpserv gave a file that is not there")


def domains(client: Client) -> None:
    """Ask where a service of another processor lives."""
    for name in (*phone.DOMAIN_SERVICES, "avs/audio"):
        answer = client.call(SERVREG_LOC, GET_DOMAIN_LIST, {0x01: name.encode(), 0x10: struct.pack("<I", 0)})
        known = struct.pack("<BB", 1, len(phone.DOMAIN)) + phone.DOMAIN.encode() + struct.pack("<I", phone.INSTANCE)
        if answer.get(0x12, b"").startswith(known) != (name in phone.DOMAIN_SERVICES):
            raise NoAnswer(f"pd-mapper on {name}: {answer}")


ERRANDS: dict[str, Callable[[Client], None]] = {"storage": storage, "files": files, "domains": domains}
