# SPDX-License-Identifier: GPL-2.0-or-later
"""A QRTR socket whose every datagram is logged: what the lab's local servers and clients share."""

from __future__ import annotations

import socket
import time

from tests.lab import wire
from tests.lab.wire import Address, Message

MAX_DATAGRAM = 0x10000


class NoAnswer(RuntimeError):
    """A server that is not there or did not answer in time."""


class LoggedSocket:
    """AF_QIPCRTR, one line of the log a datagram: `own` and `peer` are [node, port], `hex` is the payload."""

    def __init__(self, log: wire.PacketLog) -> None:
        self._log = log
        self._socket = socket.socket(socket.AF_QIPCRTR, socket.SOCK_DGRAM)

    @property
    def own(self) -> Address:
        """Our address; its port is 0 until something was sent."""
        return Address(*self._socket.getsockname())

    def fileno(self) -> int:
        """For select()."""
        return self._socket.fileno()

    def send(self, payload: bytes, peer: Address) -> None:
        """Send one datagram."""
        self._socket.sendto(payload, peer)
        self._log.add("tx", payload, own=self.own, peer=peer)

    def receive(self, timeout: float | None = None) -> tuple[bytes, Address]:
        """The next datagram and its sender; NoAnswer after `timeout` seconds."""
        self._socket.settimeout(timeout)
        try:
            payload, address = self._socket.recvfrom(MAX_DATAGRAM)
        except TimeoutError:
            raise NoAnswer(f"nothing received in {timeout} s") from None
        peer = Address(*address)
        self._log.add("rx", payload, own=self.own, peer=peer)
        return payload, peer

    def control(self, command: int, service: int, instance: int) -> None:
        """Tell this node's name server: NEW_SERVER, DEL_SERVER, NEW_LOOKUP or DEL_LOOKUP."""
        own = self.own
        payload = wire.CONTROL.pack(command, service, instance, own.node, own.port)
        self.send(payload, Address(own.node, wire.PORT_CTRL))

    def call(self, message: Message, server: Address, timeout: float = 10.0) -> Message:
        """Send a request and return its response; what else comes meanwhile is only logged."""
        self.send(wire.pack_message(message), server)
        deadline = time.monotonic() + timeout
        while True:
            payload, peer = self.receive(max(deadline - time.monotonic(), 0.001))
            if peer != server:
                continue
            response = wire.unpack_message(payload)
            if response.flags == wire.RESPONSE and response.transaction == message.transaction:
                return response


def look_up(log: wire.PacketLog, service: int, node: int, timeout: float = 10.0) -> Address:
    """The first server of a service on a node, waited for; NoAnswer when none comes up in `timeout` seconds."""
    lookup = LoggedSocket(log)
    lookup.control(wire.NEW_LOOKUP, service, 0)
    while True:
        try:
            payload, _ = lookup.receive(timeout)
        except NoAnswer:
            raise NoAnswer(f"no server of service {service} on node {node} in {timeout} s") from None
        command, found, _, at_node, port = wire.CONTROL.unpack(payload)
        if (command, found, at_node) == (wire.NEW_SERVER, service, node):
            return Address(at_node, port)
