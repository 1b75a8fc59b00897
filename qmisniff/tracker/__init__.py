# SPDX-License-Identifier: GPL-2.0-or-later
"""The only protocol state: which service a QRTR port offers, which response answers which request.

Fed with frames in order of capture. A QRTR data packet names only node and port; what they mean comes from the control
packets seen before it (kernel: net/qrtr/ns.c). Requests and responses are paired by client, server, transaction and
message id.
"""

from __future__ import annotations

from array import array
from typing import TYPE_CHECKING, NamedTuple

from qmisniff.frame import USB_LINKS, Frame, Link
from qmisniff.protocol import qmi, qmux, qrtr, tftp
from qmisniff.protocol.context import Context
from qmisniff.tracker.transfers import Transfers

if TYPE_CHECKING:
    from qmisniff.tracker.pairs import Pairs

Address = tuple[int, int]  # node, port

# What a request and its response have in common: client, server (of QMUX: device << 32 | service, client; the device is
# that of USB, or 0), transaction, message id.
Key = tuple[Address, Address, int, int] | tuple[int, int, int, int]

_NONE = -1
ROW_BITS = 32
ROW = (1 << ROW_BITS) - 1


class Server(NamedTuple):
    """What one port offers."""

    service: int
    instance: int


class Message(NamedTuple):
    """What pairing needs of a QMI message: its type, and a key that a request and its response share."""

    type: int
    key: Key


class Tracker:
    """Knowledge about every frame added, by row (frame number - 1).

    What stands in the names without an underscore is shared with `qmisniff.tracker.bulk`, which adds frames by the
    hundred thousand; nobody else changes it.
    """

    def __init__(self) -> None:
        self.file_clients: dict[Address, Address] = {}  # who asked a TFTP server for a transfer -> that server
        self.transfers: dict[Address, tuple[Address, Server]] = {}  # port that answers it -> client, service
        self.open: dict[Key, int] = {}  # unanswered requests: key -> place
        self.pairs: Pairs | None = None  # more of them, as the bulk tracker keeps them
        self.changes: list[tuple[Address, Server | None]] = []  # of who offers what, since somebody looked
        self.offered: list[Server | None] = [None]  # every server there ever was, by number; 0 is none
        self.server_column = array("I")  # number of the server of each row
        self.partners = array("i")  # row of its response or request, -1 none; complete once `pairs` has settled
        self.others: dict[int, list[int]] = {}  # row -> the partners of its second message and those behind it
        self.usb = Transfers()
        self.ts_column = array("q")
        self._numbers: dict[Server | None, int] = {None: 0}
        self._servers: dict[Address, Server] = {}
        self._first_ns: int | None = None  # when the first frame was seen, where a tracker before this one had it

    def __len__(self) -> int:
        return len(self.ts_column)

    def successor(self) -> Tracker:
        """A tracker without frames, for which the same ports offer the same, and times count from the same frame."""
        fresh = Tracker()
        fresh._first_ns = self.first_ns
        fresh.file_clients, fresh.transfers = dict(self.file_clients), dict(self.transfers)
        fresh._servers = dict(self._servers)
        return fresh

    @property
    def partner_column(self) -> array[int]:
        """Of each row, the row of its response or its request; -1 none."""
        if self.pairs is not None:
            self.pairs.settle()
        return self.partners

    @property
    def servers(self) -> dict[Address, Server]:
        """The servers known after the last frame added."""
        return dict(self._servers)

    def ts_ns(self, row: int) -> int:
        """When the frame of this row was seen, nanoseconds since 1970."""
        return self.ts_column[row]

    @property
    def first_ns(self) -> int:
        """When the first frame was seen; 0 before there is one."""
        if self._first_ns is not None:
            return self._first_ns
        return self.ts_column[0] if self.ts_column else 0

    def add(self, frame: Frame) -> None:
        """Learn from the next frame. Never raises, whatever its bytes are."""
        if self.pairs is not None:
            self.pairs.hand_over()
        row = len(self.ts_column)
        server = None
        if frame.link is Link.QMUX or frame.link in USB_LINKS:
            messages = self.messages(row, frame.data, frame.link, frame.orig_len)
        else:
            server, message = self.learn(frame.data, frame.link)
            messages = [message]
        self.changes.clear()
        self.server_column.append(self.number(server))
        self.partners.append(_NONE)
        self.ts_column.append(frame.ts_ns)
        for index, message in enumerate(messages):
            if message is None or message.type > qmi.RESPONSE:
                continue
            place = index << ROW_BITS | row
            if message.type == qmi.REQUEST:
                self.open[message.key] = place
            elif (asked := self.open.pop(message.key, row)) & ROW != row:  # a link of a frame to itself says nothing
                self.set_partner(asked, row)
                self.set_partner(place, asked & ROW)

    def messages(self, row: int, data: bytes, link: Link, orig_len: int) -> list[Message | None]:
        """The messages in a frame of QMUX or USB, in order; of a USB transfer those that are whole with it."""
        if link is Link.QMUX:
            return self.messages_of(row, 0, [data[at:] for at in qmux.frames(data, 0, len(data))])
        return self.messages_of(row, *self.usb.add(row, data, link, orig_len))

    def messages_of(self, row: int, device: int, frames: list[bytes]) -> list[Message | None]:
        """The messages in the QMUX frames of a row."""
        found = [_qmux(each, device) for each in frames]
        if len(found) > 1:
            self.others[row] = [_NONE] * (len(found) - 1)
        return found

    def set_partner(self, place: int, partner: int) -> None:
        """Note the row of the partner of the message at a place: `index << 32 | row`, the index that of the message in
        its frame."""
        row, index = place & ROW, place >> ROW_BITS
        if index:
            self.others[row][index - 1] = partner
        else:
            self.partners[row] = partner

    def learn(self, data: bytes, link: Link) -> tuple[Server | None, Message | None]:
        """Learn who offers what from a frame's bytes: the server it goes to or comes from, and the message in it."""
        header = qrtr.parse_header(data) if link is Link.QRTR else None
        if header is not None:
            if header.type == qrtr.DATA:
                return self._data(data, header)
            self._control(data, header)
        return None, None

    def number(self, server: Server | None) -> int:
        """The place of a server in `offered`."""
        number = self._numbers.get(server)
        if number is None:
            number = self._numbers[server] = len(self.offered)
            self.offered.append(server)
        return number

    def context(self, row: int) -> Context:
        """What is known about the frame of this row by now."""
        if self.pairs is not None:
            self.pairs.settle(row)
        server, partner = self.offered[self.server_column[row]], self.partners[row]
        service, instance = server or (None, None)
        others = tuple(Context(row + 1, None, None, *self._paired(row, other)) for other in self.others.get(row, ()))
        transfer = self.usb.transfer(row)
        ts_ns = self.ts_column[row]
        since_previous = ts_ns - self.ts_column[row - 1] if row else 0
        paired = self._paired(row, partner)
        return Context(row + 1, service, instance, *paired, others, transfer, since_previous, ts_ns - self.first_ns)

    def _paired(self, row: int, partner: int) -> tuple[int | None, int | None, int | None]:
        """Request, response and time of a message of this row."""
        if partner == _NONE:
            return None, None, None
        if partner > row:  # a response comes after its request
            return None, partner + 1, None
        return partner + 1, None, self.ts_column[row] - self.ts_column[partner]

    def _data(self, data: bytes, header: qrtr.Header) -> tuple[Server | None, Message | None]:
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
        return server, Message(message.type, (client, offering, message.txn, message.msgid))

    def _transfer(self, source: Address, target: Address, payload: bytes) -> Server | None:
        """The TFTP server whose transfer a packet belongs to: a request goes to the port that is announced, all that
        follows runs between the client and a port that nobody announces."""
        for port, client in ((source, target), (target, source)):
            if port in self.transfers and self.transfers[port][0] == client:
                return self.transfers[port][1]
        server = self._servers.get(target)
        if server is not None:
            if server.service == tftp.SERVICE and tftp.is_request(payload):
                self.file_clients[source] = target
            return None
        asked = self.file_clients.get(target)
        if asked is None or source in self._servers or source[0] != asked[0] or not tftp.is_answer(payload):
            return None
        server = self._servers.get(asked)
        if server is not None:
            del self.file_clients[target]
            self.transfers[source] = target, server
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
                    server = self._servers[address] = Server(control.service, control.instance)
                    self.changes.append((address, server))
            elif address in self._servers and self._servers[address].service == control.service:
                del self._servers[address]
                self.changes.append((address, None))
        elif control.cmd == qrtr.DEL_CLIENT:
            self._forget((node, port))
        elif control.cmd == qrtr.BYE:
            # The kernel's own BYE for a lost endpoint names no node: its sender is the lost node.
            lost = header.src_node if from_name_server else node
            for address in {*self._servers, *self.file_clients, *self.transfers}:
                if address[0] == lost:
                    self._forget(address)

    def _forget(self, address: Address) -> None:
        if self._servers.pop(address, None) is not None:
            self.changes.append((address, None))
        self.file_clients.pop(address, None)
        self.transfers.pop(address, None)


def _qmux(data: bytes, device: int) -> Message | None:
    """The message of a QMUX frame; None where the frame is of another make or cut short."""
    head = qmux.HEADER
    if len(data) < head.size or data[0] != qmux.MARKER:
        return None
    _, _, _, service, client = head.struct.unpack_from(data)
    message = qmi.parse_header(data, head.size, service == qmi.CTL)
    return message and Message(message.type, (device << 32 | service, client, message.txn, message.msgid))
