# SPDX-License-Identifier: GPL-2.0-or-later
"""A scripted modem at the far end of /dev/qrtr-tun: node 0, with the services of services.py.

`python modem.py LOG` prints "ready" when its services are announced; every packet that it receives and sends, header
included, is a line of LOG. A line on standard input makes it ask something of Linux's servers (modem_client.py) or do
what no sane modem does (`Modem.oddities`); when they end, the modem leaves.
"""

from __future__ import annotations

import os
import select
import struct
import sys
from collections.abc import Callable
from pathlib import Path

from tests.lab import services, wire
from tests.lab.answering import Answering
from tests.lab.modem_client import ERRANDS, Client
from tests.lab.sockets import NoAnswer
from tests.lab.wire import Address, Message, Packet

NODE, LINUX = 0, 1  # the modem's node id and the kernel's (net/qrtr/af_qrtr.c: qrtr_local_nid)
CONTROL_PORT = Address(NODE, wire.PORT_CTRL)
CONFIRM_AFTER = 5  # unconfirmed packets to one port before confirm_rx is set: QRTR_TX_FLOW_LOW of net/qrtr/af_qrtr.c
MAX_PACKET = 0x10000 + 64

# (service, version and instance << 8, port)
SERVERS = [
    (services.WDS, 0x0101, 17),
    (services.DMS, 0x0101, 18),
    (services.NAS, 0x0101, 19),
    (services.TEST, 0x0101, 30),
    (services.TEST, 0x0201, 31),
    (services.SERVREG, 0xB401, 40),
    (services.SSCTL, 0x1202, 41),
    (services.SSC, 0x0101, 42),
]
SERVICE_OF_PORT = {port: service for service, _, port in SERVERS}
CLIENT_PORT = 60  # of the first errand
UNKNOWN_SERVER = (0x7777, 0x0301, 50)


class Modem:
    """The packets of one wire, answered one by one in the order they come."""

    def __init__(self, tun: int, log: wire.PacketLog) -> None:
        self._tun = tun
        self._log = log
        self._answering: Answering[Address] = Answering()
        self._unconfirmed: dict[tuple[Address, Address], int] = {}
        self._clients: dict[int, Client] = {}  # by port
        self.servers: dict[int, Address] = {}  # Linux's, by service
        self.announced = False
        self.oddities: dict[str, Callable[[], None]] = {
            "header-v2": self._header_v2,
            "header-v2-options": self._header_v2_options,
            "malformed-tlv": self._malformed_tlv,
            "short-message": self._short_message,
            "unknown-message": self._unknown_message,
            "compound": self._compound,
            "unknown-service": self._unknown_service,
            "no-such-port": self._no_such_port,
        }

    def hello(self) -> None:
        """Open the wire: the kernel learns our node id from it and says HELLO in return."""
        self._control(wire.HELLO)

    def bye(self) -> None:
        """Leave: Linux forgets our servers."""
        self._control(wire.BYE, NODE)

    def receive(self, data: bytes) -> None:
        """Take one packet from the wire and send what follows from it."""
        self._log.add("rx", data)
        packet = wire.unpack_v1(data)
        if packet.type == wire.DATA:
            self._data(packet)
        elif packet.type == wire.HELLO and not self.announced:
            for server in SERVERS:
                self._announce(server)
            self.announced = True
        elif packet.type in (wire.NEW_SERVER, wire.DEL_SERVER):
            _, service, _, node, port = wire.CONTROL.unpack(packet.payload)
            if packet.type == wire.NEW_SERVER:
                self.servers[service] = Address(node, port)
            else:
                self.servers.pop(service, None)
        elif packet.type == wire.RESUME_TX:
            self._unconfirmed.pop((packet.destination, packet.source), None)
        elif packet.type == wire.DEL_CLIENT:
            _, node, port, _, _ = wire.CONTROL.unpack(packet.payload)
            self._answering.forget(Address(node, port))

    def _data(self, packet: Packet) -> None:
        client, server = packet.source, packet.destination
        service = SERVICE_OF_PORT.get(server.port)
        if server.port in self._clients:
            self._clients[server.port].received.append((packet.payload, client))
        elif service is not None:
            for answer in self._answering.answers(service, client, wire.unpack_message(packet.payload)):
                source = server if answer.service == service else _port_of(answer.service)
                self.send_data(source.port, answer.client, wire.pack_message(answer.message))
        if packet.confirm_rx:
            payload = wire.CONTROL.pack(wire.RESUME_TX, *server, 0, 0)
            self._send(wire.pack_v1(Packet(wire.RESUME_TX, server, client, payload)))

    def send_data(self, source: int, destination: Address, payload: bytes) -> None:
        """Send DATA from one of our ports, its reception confirmed now and then."""
        flow = (Address(NODE, source), destination)
        self._unconfirmed[flow] = self._unconfirmed.get(flow, 0) + 1
        confirm_rx = self._unconfirmed[flow] == CONFIRM_AFTER
        self._send(wire.pack_v1(Packet(wire.DATA, *flow, payload, confirm_rx)))

    def wait(self, timeout: float) -> None:
        """Take one packet from the wire, or none in `timeout` seconds."""
        if select.select([self._tun], [], [], timeout)[0]:
            self.receive(os.read(self._tun, MAX_PACKET))

    def run(self, command: str) -> str:
        """Do what a line of standard input says; "done", or why not."""
        if command not in ERRANDS:
            self.oddities[command]()
            return "done"
        port = CLIENT_PORT + len(self._clients)
        client = self._clients[port] = Client(self, port)
        try:
            ERRANDS[command](client)
        except (NoAnswer, services.Refused) as problem:
            return f"{command}: {problem!r}"
        finally:
            self._control(wire.DEL_CLIENT, NODE, port)
        return "done"

    def _control(self, command: int, *words: int) -> None:
        payload = wire.CONTROL.pack(command, *words, *[0] * (4 - len(words)))
        self._send(wire.pack_v1(Packet(command, CONTROL_PORT, Address(LINUX, wire.PORT_CTRL), payload)))

    def _announce(self, server: tuple[int, int, int]) -> None:
        service, instance, port = server
        self._control(wire.NEW_SERVER, service, instance, NODE, port)

    def _send(self, data: bytes) -> None:
        try:
            os.write(self._tun, data)
            error = 0
        except OSError as refusal:  # the kernel saw the packet and would not have it
            error = refusal.errno or -1
        self._log.add("tx", data, errno=error)

    # --- what no sane modem does

    def _victim(self) -> Address:
        return next(iter(self._answering.watchers(services.NAS)), Address(LINUX, 0x4000))

    def _odd(self, payload: bytes, pack: Callable[[Packet], bytes] = wire.pack_v1) -> None:
        self._send(pack(Packet(wire.DATA, _port_of(services.NAS), self._victim(), payload)))

    def _signal_info(self) -> bytes:
        tlvs: wire.Tlvs = {0x14: struct.pack("<bbhh", services.RSSI, services.RSRQ, services.RSRP, services.SNR)}
        return wire.pack_message(Message(wire.INDICATION, 0x7001, 0x51, tlvs))

    def _header_v2(self) -> None:
        self._odd(self._signal_info(), wire.pack_v2)

    def _header_v2_options(self) -> None:
        self._odd(self._signal_info(), lambda packet: wire.pack_v2(packet, options=b"\xa5\x5a\xa5\x5a"))

    def _malformed_tlv(self) -> None:
        # A value of 6 bytes that says it has 600.
        self._odd(wire.MESSAGE.pack(wire.INDICATION, 0x7002, 0x51, 9) + wire.TLV.pack(0x14, 600) + bytes(6))

    def _short_message(self) -> None:
        self._odd(b"\x04\x01\x70")

    def _unknown_message(self) -> None:
        self._odd(wire.pack_message(Message(wire.INDICATION, 0x7003, 0x7ABC, {0x01: b"\x01", 0xE5: b"what is this"})))

    def _compound(self) -> None:
        self._odd(wire.pack_message(Message(wire.INDICATION | 1, 0x7004, 0x51, {0x10: b"\x00"})))

    def _unknown_service(self) -> None:
        service, instance, port = UNKNOWN_SERVER
        self._announce(UNKNOWN_SERVER)
        message = wire.pack_message(Message(wire.INDICATION, 1, 0x0042, {0x01: b"\x2a\x00\x00\x00"}))
        self._send(wire.pack_v1(Packet(wire.DATA, Address(NODE, port), self._victim(), message)))
        self._control(wire.DEL_SERVER, service, instance, NODE, port)

    def _no_such_port(self) -> None:
        self._send(wire.pack_v1(Packet(wire.DATA, _port_of(services.NAS), Address(LINUX, 0x7FF0), self._signal_info())))


def _port_of(service: int) -> Address:
    return Address(NODE, next(port for number, _, port in SERVERS if number == service))


def drain(tun: int, modem: Modem, quiet: float = 0.5) -> None:
    """Receive until nothing came for `quiet` seconds."""
    while select.select([tun], [], [], quiet)[0]:
        modem.receive(os.read(tun, MAX_PACKET))


def main() -> int:
    """Run until standard input ends, then say BYE."""
    tun = os.open("/dev/qrtr-tun", os.O_RDWR)
    modem = Modem(tun, wire.PacketLog(Path(sys.argv[1])))
    modem.hello()
    commands = b""
    said_ready = False
    while True:
        readable, _, _ = select.select([tun, 0], [], [])
        if tun in readable:
            modem.receive(os.read(tun, MAX_PACKET))
            if modem.announced and not said_ready:
                print("ready", flush=True)
                said_ready = True
        if 0 in readable:
            read = os.read(0, 4096)
            *lines, commands = (commands + read).split(b"\n")
            for line in lines:
                print(modem.run(line.decode()), flush=True)
            if not read:
                # Read what is still on its way first: a log that is the truth must be whole.
                drain(tun, modem)
                modem.bye()
                drain(tun, modem)
                return 0


if __name__ == "__main__":
    sys.exit(main())
