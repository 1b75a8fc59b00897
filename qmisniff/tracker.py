# SPDX-License-Identifier: GPL-2.0-or-later
"""The only protocol state: which service a QRTR port offers, which response answers which request.

Fed with frames in order of capture. A QRTR data packet names only node and port; what they mean comes from the control
packets seen before it (kernel: net/qrtr/ns.c). Requests and responses are paired by client, server, transaction and
message id.
"""

from __future__ import annotations

import struct
from array import array
from typing import NamedTuple

from qmisniff.frame import Frame, Link
from qmisniff.protocol import qrtr
from qmisniff.protocol.context import Context

Address = tuple[int, int]  # node, port

_QMI = struct.Struct("<BHHH")  # flags, transaction, message, length
_CTL = struct.Struct("<BBHH")
_REQUEST, _RESPONSE = 0, 2
_NONE = -1


class Server(NamedTuple):
    """What one port offers."""

    service: int
    instance: int


class _Message(NamedTuple):
    """What pairing needs of a QMI message: `key` is the same in a request and its response."""

    is_request: bool
    is_response: bool
    key: tuple[object, ...]


class Tracker:
    """Knowledge about every frame added, by row (frame number - 1)."""

    def __init__(self) -> None:
        self._servers: dict[Address, Server] = {}
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
            header = qrtr.parse(frame.data)
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
            if message.is_request:
                self._open[message.key] = row
            elif message.is_response:
                is_response = True
                partner = self._open.pop(message.key, _NONE)
                if partner != _NONE:
                    self._partner[partner] = row
        self._service.append(server.service if server else _NONE)
        self._instance.append(server.instance if server else _NONE)
        self._partner.append(partner)
        self._is_response.append(is_response)
        # pcapng allows times a signed word cannot hold; what pairs such frames is of no use anyway.
        self._ts_ns.append(min(frame.ts_ns, 2**63 - 1))

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
        payload = data[header.offset : header.offset + header.size]
        flags = payload[0] & ~1 if payload else _REQUEST
        # A port can be client and server at once: the message says on which side the service is.
        first, second = (target, source) if flags == _REQUEST else (source, target)
        server = self._servers.get(first) or self._servers.get(second)
        if len(payload) < _QMI.size or flags not in (_REQUEST, _RESPONSE):
            return server, None
        _, txn, msgid, length = _QMI.unpack_from(payload)
        if length + _QMI.size != header.size:
            return server, None
        client, offering = (source, target) if flags == _REQUEST else (target, source)
        return server, _Message(flags == _REQUEST, flags == _RESPONSE, (client, offering, txn, msgid))

    def _control(self, data: bytes, header: qrtr.Header) -> None:
        control = qrtr.parse_control(data, header)
        if control is None:
            return
        if control.cmd == qrtr.NEW_SERVER:
            # A server announcing itself to its own name server is known by the port it sends from.
            own = header.src_port != qrtr.PORT_CTRL
            address = (header.src_node, header.src_port) if own else (control.node, control.port)
            if control.service:  # service 0 marks the end of a list
                self._servers[address] = Server(control.service, control.instance)
        elif control.cmd == qrtr.DEL_SERVER:
            own = header.src_port != qrtr.PORT_CTRL
            address = (header.src_node, header.src_port) if own else (control.node, control.port)
            known = self._servers.get(address)
            if known is not None and known.service == control.service:
                del self._servers[address]
        elif control.cmd == qrtr.DEL_CLIENT:
            self._servers.pop((control.client_node, control.client_port), None)
        elif control.cmd == qrtr.BYE:
            # The kernel's own BYE for a lost endpoint carries no node: its sender is the lost node.
            lost = header.src_node if header.src_port == qrtr.PORT_CTRL else control.client_node
            for address in [address for address in self._servers if address[0] == lost]:
                del self._servers[address]


def _qmux(data: bytes) -> _Message | None:
    """The message of a QMUX frame: marker, length u16, flags, service, client, then CTL or service form."""
    if len(data) < 6 or data[0] != 1:
        return None
    service, client = data[4], data[5]
    layout, request, response = (_CTL, 0, 1) if service == 0 else (_QMI, _REQUEST, _RESPONSE)
    if len(data) < 6 + layout.size:
        return None
    flags, txn, msgid, _ = layout.unpack_from(data, 6)
    return _Message(flags == request, flags == response, (service, client, txn, msgid))
