# SPDX-License-Identifier: GPL-2.0-or-later
"""The only protocol state: which service a QRTR port offers, which response answers which request.

Fed with frames in order of capture. A QRTR data packet names only node and port; what they mean comes from the control
packets seen before it (kernel: net/qrtr/ns.c). Requests and responses are paired by client, server, transaction and
message id.
"""

from __future__ import annotations

from array import array
from typing import NamedTuple

from qmisniff.frame import Frame, Link
from qmisniff.protocol import qmi, qmux, qrtr, tftp
from qmisniff.protocol.context import Context

Address = tuple[int, int]  # node, port

_NONE = -1


class Server(NamedTuple):
    """What one port offers."""

    service: int
    instance: int


class _Message(NamedTuple):
    """What pairing needs of a QMI message: its type, and a key that a request and its response share."""

    type: int
    key: tuple[object, ...]


class Tracker:
    """Knowledge about every frame added, by row (frame number - 1)."""

    def __init__(self) -> None:
        self._servers: dict[Address, Server] = {}
        self._file_clients: dict[Address, Address] = {}  # who asked a TFTP server for a transfer -> that server
        self._transfers: dict[Address, tuple[Address, Server]] = {}  # port that answers it -> client, service
        self._open: dict[tuple[object, ...], int] = {}  # unanswered requests: key -> row
        self._service = array("q")
        self._instance = array("q")
        self._partner = array("q")
        self._is_response = bytearray()
        self._ts_ns = array("q")

    def __len__(self) -> int:
        return len(self._ts_ns)

    @property
    def servers(self) -> dict[Address, Server]:
        """The servers known after the last frame added."""
        return dict(self._servers)

    def add(self, frame: Frame) -> None:
        """Learn from the next frame. Never raises, whatever its bytes are."""
        row = len(self._ts_ns)
        server: Server | None = None
        message: _Message | None = None
        if frame.link is Link.QRTR:
            header = qrtr.parse_header(frame.data)
            if header is not None:
                if header.type == qrtr.DATA:
                    server, message = self._data(frame.data, header)
                else:
                    self._control(frame.data, header)
        elif frame.link is Link.QMUX:
            message = _qmux(frame.data)
        partner = _NONE
        is_response = False
        if message is not None:
            if message.type == qmi.REQUEST:
                self._open[message.key] = row
            elif message.type == qmi.RESPONSE:
                is_response = True
                partner = self._open.pop(message.key, _NONE)
                if partner != _NONE:
                    self._partner[partner] = row
        self._service.append(server.service if server else _NONE)
        self._instance.append(server.instance if server else _NONE)
        self._partner.append(partner)
        self._is_response.append(is_response)
        self._ts_ns.append(frame.ts_ns)

    def context(self, row: int) -> Context:
        """What is known about the frame of this row by now."""
        service, instance, partner = self._service[row], self._instance[row], self._partner[row]
        paired = partner != _NONE
        response = bool(self._is_response[row])
        return Context(
            number=row + 1,
            service=None if service == _NONE else service,
            instance=None if service == _NONE else instance,
            request=partner + 1 if paired and response else None,
            response=partner + 1 if paired and not response else None,
            response_ns=self._ts_ns[row] - self._ts_ns[partner] if paired and response else None,
        )

    def _data(self, data: bytes, header: qrtr.Header) -> tuple[Server | None, _Message | None]:
        source, target = (header.src_node, header.src_port), (header.dst_node, header.dst_port)
        payload = data[header.payload : header.payload + header.size]
        transfer = self._transfer(source, target, payload)
        if transfer is not None:
            return transfer, None
        message = qmi.parse_header(payload, 0)
        request = message is None or message.type == qmi.REQUEST
        # A port can be client and server at once: the message says on which side the service is.
        client, offering = (source, target) if request else (target, source)
        server = self._servers.get(offering) or self._servers.get(client)
        if server is not None and server.service in qmi.NOT_QMI:
            return server, None
        if message is None or message.length != header.size - message.tlvs:
            return server, None
        return server, _Message(message.type, (client, offering, message.txn, message.msgid))

    def _transfer(self, source: Address, target: Address, payload: bytes) -> Server | None:
        """The TFTP server whose transfer a packet belongs to: a request goes to the port that is announced, all that
        follows runs between the client and a port that nobody announces."""
        for port, client in ((source, target), (target, source)):
            if port in self._transfers and self._transfers[port][0] == client:
                return self._transfers[port][1]
        server = self._servers.get(target)
        if server is not None:
            if server.service == tftp.SERVICE and tftp.is_request(payload):
                self._file_clients[source] = target
            return None
        asked = self._file_clients.get(target)
        if asked is None or source in self._servers or source[0] != asked[0] or not tftp.is_answer(payload):
            return None
        server = self._servers.get(asked)
        if server is not None:
            del self._file_clients[target]
            self._transfers[source] = target, server
        return server

    def _control(self, data: bytes, header: qrtr.Header) -> None:
        control = qrtr.parse_control(data, header.payload)
        if control is None:
            return
        node, port = qrtr.control_address(control)
        from_name_server = header.src_port in qrtr.CONTROL_PORTS
        if control.cmd in (qrtr.NEW_SERVER, qrtr.DEL_SERVER):
            # A server announcing itself to its own name server is known by the port it sends from.
            address = (node, port) if from_name_server else (header.src_node, header.src_port)
            if control.cmd == qrtr.NEW_SERVER:
                if control.service:  # service 0 marks the end of a list
                    self._servers[address] = Server(control.service, control.instance)
            elif address in self._servers and self._servers[address].service == control.service:
                del self._servers[address]
        elif control.cmd == qrtr.DEL_CLIENT:
            for known in (self._servers, self._file_clients, self._transfers):
                known.pop((node, port), None)
        elif control.cmd == qrtr.BYE:
            # The kernel's own BYE for a lost endpoint names no node: its sender is the lost node.
            lost = header.src_node if from_name_server else node
            for known in (self._servers, self._file_clients, self._transfers):
                for address in [address for address in known if address[0] == lost]:
                    del known[address]


def _qmux(data: bytes) -> _Message | None:
    """The message of a QMUX frame; None where the frame is of another make or cut short."""
    head = qmux.HEADER
    if len(data) < head.size or data[0] != qmux.MARKER:
        return None
    _, _, _, service, client = head.struct.unpack_from(data)
    message = qmi.parse_header(data, head.size, service == qmi.CTL)
    return message and _Message(message.type, (service, client, message.txn, message.msgid))
