# SPDX-License-Identifier: GPL-2.0-or-later
"""The lab's modem as hosts see it over USB: QMUX frames with the control service (CTL), and QMI inside MBIM.

Layouts: libqmi's src/libqmi-glib/qmi-message.c and data/qmi-service-ctl.json; MBIM 1.0, sections 9 and 10. All integers
are little-endian, but for UUIDs, which are bytes.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import NamedTuple, Protocol

from tests.lab import services, wire
from tests.lab.answering import Answering
from tests.lab.wire import Message

CTL = 0
VERSIONS = {CTL: (1, 5), services.WDS: (1, 61), services.DMS: (1, 14), services.NAS: (1, 25), services.UIM: (1, 46)}

FRAME = struct.Struct("<BHBBB")  # marker, bytes but the marker, flags, service, client
MARKER, FROM_MODEM = 0x01, 0x80
CTL_RESPONSE = 1
GET_VERSION_INFO, ALLOCATE_CLIENT, RELEASE_CLIENT, SYNC = 0x21, 0x22, 0x23, 0x27
INVALID_CLIENT_ID, INVALID_SERVICE_TYPE = 7, 31
FIRST_CLIENT = 1

MBIM = struct.Struct("<III")  # type, length, transaction
FRAGMENT = struct.Struct("<II")  # how many, which
COMMAND = struct.Struct("<16sIII")  # device service, command, command type or status, bytes that follow
INDICATION = struct.Struct("<16sII")
OPEN, CLOSE, COMMAND_MESSAGE = 0x01, 0x02, 0x03
OPEN_DONE, CLOSE_DONE, COMMAND_DONE, INDICATE_STATUS = 0x80000001, 0x80000002, 0x80000003, 0x80000007
QMI_SERVICE, QMI_COMMAND = bytes.fromhex("d1a30bc2f97a6e43bf65c7e24fb0f0d3"), 1
BASIC_CONNECT, SUBSCRIBE = bytes.fromhex("a289cc33bcbb8b4fb6b0133ec2aae6df"), 19
NO_DEVICE_SUPPORT = 9


class Encapsulated(Protocol):
    """What stands behind a control channel (SEND_ENCAPSULATED_COMMAND, GET_ENCAPSULATED_RESPONSE)."""

    def receive(self, data: bytes) -> list[bytes]:
        """Take one transfer of the host; the transfers that answer it, none longer than the host can take."""


class Frame(NamedTuple):
    """A QMUX frame; `payload` is the message of its service."""

    service: int
    client: int
    payload: bytes


def pack_frame(frame: Frame) -> bytes:
    """The frame as a modem sends it."""
    return (
        FRAME.pack(MARKER, FRAME.size - 1 + len(frame.payload), FROM_MODEM, frame.service, frame.client) + frame.payload
    )


class QmuxModem:
    """QMUX frames, answered one by one."""

    def __init__(self) -> None:
        self._answering: Answering[tuple[int, int]] = Answering()
        self._clients: dict[int, list[int]] = {service: [] for service in VERSIONS}

    def answers(self, data: bytes) -> Iterator[bytes]:
        """The frames that answer one frame; ValueError when it is none, or not from a host."""
        _, length, flags, service, client = FRAME.unpack_from(data)
        if length != len(data) - 1 or flags:
            raise ValueError(f"no QMUX frame of a host: {data[: FRAME.size].hex()}, {len(data)} bytes")
        payload = data[FRAME.size :]
        if service == CTL:
            yield from self._control(payload)
        elif client not in self._clients.get(service, ()):
            request = wire.unpack_message(payload)
            refusal = Message(wire.RESPONSE, request.transaction, request.id, wire.result(INVALID_CLIENT_ID))
            yield pack_frame(Frame(service, client, wire.pack_message(refusal)))
        else:
            for answer in self._answering.answers(service, (service, client), wire.unpack_message(payload)):
                yield pack_frame(Frame(answer.service, answer.client[1], wire.pack_message(answer.message)))

    def _control(self, payload: bytes) -> Iterator[bytes]:
        # A message like any other, but for a transaction of one byte.
        request = wire.unpack_message(payload[:2] + b"\0" + payload[2:])
        try:
            answer = wire.result() | self._control_answer(request.id, request.tlvs)
        except services.Refused as refusal:
            answer = wire.result(refusal.error)
        response = wire.pack_message(Message(CTL_RESPONSE, request.transaction, request.id, answer))
        yield pack_frame(Frame(CTL, 0, response[:2] + response[3:]))

    def _control_answer(self, message: int, request: wire.Tlvs) -> wire.Tlvs:
        if message == GET_VERSION_INFO:
            listed = b"".join(struct.pack("<BHH", service, *version) for service, version in VERSIONS.items())
            return {0x01: bytes([len(VERSIONS)]) + listed}
        if message == ALLOCATE_CLIENT:
            service = request[0x01][0]
            if service not in VERSIONS:
                raise services.Refused(INVALID_SERVICE_TYPE)
            used = self._clients[service]
            client = next(number for number in range(FIRST_CLIENT, 0xFF) if number not in used)
            used.append(client)
            return {0x01: bytes([service, client])}
        if message == RELEASE_CLIENT:
            service, client = request[0x01]
            if client not in self._clients.get(service, ()):
                raise services.Refused(INVALID_CLIENT_ID)
            self._clients[service].remove(client)
            self._answering.forget((service, client))
            return {0x01: bytes([service, client])}
        if message == SYNC:
            for service, clients in self._clients.items():
                for client in clients:
                    self._answering.forget((service, client))
                clients.clear()
            return {}
        raise services.Refused(services.INVALID_QMI_COMMAND)


class QmuxChannel:
    """QMUX on a control channel: a stream of frames in each direction.

    A response and the first indication that came with it go in one transfer; what is longer than `largest` is split.
    """

    def __init__(self, largest: int) -> None:
        self._modem = QmuxModem()
        self._largest = largest
        self._pending = b""

    def receive(self, data: bytes) -> list[bytes]:
        self._pending += data
        sent: list[bytes] = []
        while len(self._pending) >= FRAME.size:
            marker, length, *_ = FRAME.unpack_from(self._pending)
            size = length + 1
            if marker != MARKER or size < FRAME.size:
                raise ValueError(f"no QMUX frame: {self._pending[: FRAME.size].hex()}")
            if len(self._pending) < size:
                break
            frame, self._pending = self._pending[:size], self._pending[size:]
            answers = list(self._modem.answers(frame))
            for told in [b"".join(answers[:2]), *answers[2:]]:
                sent += [told[at : at + self._largest] for at in range(0, len(told), self._largest)]
        return sent


class MbimChannel:
    """QMUX frames inside MBIM: one response a message; the indications that came with it follow, together in one.

    What is longer than `largest` is fragmented.
    """

    def __init__(self, largest: int) -> None:
        self._modem = QmuxModem()
        self._largest = largest
        self._parts: dict[int, bytes] = {}  # of commands still to be completed, by transaction

    def receive(self, data: bytes) -> list[bytes]:
        kind, length, transaction = MBIM.unpack_from(data)
        if length != len(data):
            raise ValueError(f"an MBIM message of {length} bytes in {len(data)}")
        body = data[MBIM.size :]
        if kind in (OPEN, CLOSE):
            done = OPEN_DONE if kind == OPEN else CLOSE_DONE
            return [MBIM.pack(done, MBIM.size + 4, transaction) + struct.pack("<I", 0)]
        if kind != COMMAND_MESSAGE:
            raise ValueError(f"an MBIM message of type {kind:#x}")
        total, current = FRAGMENT.unpack_from(body)
        part = body[FRAGMENT.size :]
        self._parts[transaction] = part if current == 0 else self._parts[transaction] + part
        return self._command(transaction, self._parts.pop(transaction)) if current == total - 1 else []

    def _command(self, transaction: int, command: bytes) -> list[bytes]:
        service, number, _, size = COMMAND.unpack_from(command)
        content = command[COMMAND.size :]
        if size != len(content):
            raise ValueError(f"{size} bytes of an MBIM command in {len(content)}")
        if (service, number) == (BASIC_CONNECT, SUBSCRIBE):  # the proxy wants it
            return self._done(transaction, COMMAND.pack(service, number, 0, size) + content)
        if (service, number) != (QMI_SERVICE, QMI_COMMAND):
            return self._done(transaction, COMMAND.pack(service, number, NO_DEVICE_SUPPORT, 0))
        response, *indications = self._modem.answers(content)
        sent = self._done(transaction, COMMAND.pack(service, number, 0, len(response)) + response)
        if indications:
            told = b"".join(indications)
            sent += self._fragments(INDICATE_STATUS, 0, INDICATION.pack(service, number, len(told)) + told)
        return sent

    def _done(self, transaction: int, content: bytes) -> list[bytes]:
        return self._fragments(COMMAND_DONE, transaction, content)

    def _fragments(self, kind: int, transaction: int, content: bytes) -> list[bytes]:
        room = self._largest - MBIM.size - FRAGMENT.size
        parts = [content[at : at + room] for at in range(0, len(content), room)]
        return [
            MBIM.pack(kind, MBIM.size + FRAGMENT.size + len(part), transaction) + FRAGMENT.pack(len(parts), at) + part
            for at, part in enumerate(parts)
        ]
