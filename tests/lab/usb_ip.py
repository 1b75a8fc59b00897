# SPDX-License-Identifier: GPL-2.0-or-later
"""A USB modem that speaks MBIM, as a USB/IP device on vhci-hcd: the kernel's cdc_mbim makes /dev/cdc-wdmN of it.

`python usb_ip.py LOG` prints "ready" when it could be plugged in; the line "plug" on its standard input does that.
Every transfer over the control channel is a line of LOG. When the input ends it leaves. FunctionFS would not do: it
refuses the class-specific descriptors that cdc_mbim wants.

Layouts: Documentation/usb/usbip_protocol.rst (big-endian); USB 2.0, chapter 9; MBIM 1.0, section 6; NCM 1.0,
section 6.2.
"""

from __future__ import annotations

import errno
import os
import select
import socket
import struct
import sys
from pathlib import Path
from typing import NamedTuple

from tests.lab import wire
from tests.lab.usb_modem import MbimChannel

VENDOR, PRODUCT = 0x1BC7, 0x0032
LARGEST = 4096  # bytes of a control message. libmbim fragments at 4096 whatever it is told, and loses what is cut off.
RESPONSE_AVAILABLE = struct.pack("<BBHHH", 0xA1, 0x01, 0, 0, 0)
ATTACH = Path("/sys/devices/platform/vhci_hcd.0/attach")

_HEADER = struct.Struct(">IIIII")  # command, sequence number, device, direction, endpoint
_SUBMIT = struct.Struct(">IiIII8s")  # flags, buffer length, start frame, packets, interval, setup
_RETURN = struct.Struct(">iiIII8x")  # status, actual length, start frame, packets, errors
_UNLINK = struct.Struct(">I24x")  # the sequence number that is given up
_UNLINKED = struct.Struct(">i24x")
_CMD_SUBMIT, _CMD_UNLINK, _RET_SUBMIT, _RET_UNLINK = 1, 2, 3, 4
_HIGH_SPEED, _DEVICE_ID = 3, 0x10001
_NOTIFICATION_ENDPOINT = 1

STRINGS = ("Example Radio Works", "LAB-4G", "0001")
DEVICE = struct.pack("<BBHBBBBHHHBBBB", 18, 1, 0x0200, 2, 0, 0, 64, VENDOR, PRODUCT, 0x0100, 1, 2, 3, 1)
_FUNCTION = (
    struct.pack("<BBBBBBBB", 8, 11, 0, 2, 2, 0x0E, 0, 0)  # two interfaces are one MBIM function
    + struct.pack("<BBBBBBBBB", 9, 4, 0, 0, 1, 2, 0x0E, 0, 0)
    + struct.pack("<BBBH", 5, 0x24, 0x00, 0x0120)  # CDC 1.20
    + struct.pack("<BBBBB", 5, 0x24, 0x06, 0, 1)  # union
    + struct.pack("<BBBHHBBHB", 12, 0x24, 0x1B, 0x0100, LARGEST, 16, 128, 1500, 0x20)  # MBIM 1.0
    + struct.pack("<BBBBHB", 7, 5, 0x81, 3, 64, 5)
    + struct.pack("<BBBBBBBBB", 9, 4, 1, 0, 0, 10, 0, 2, 0)
    + struct.pack("<BBBBBBBBB", 9, 4, 1, 1, 2, 10, 0, 2, 0)
    + struct.pack("<BBBBHB", 7, 5, 0x82, 2, 512, 0)
    + struct.pack("<BBBBHB", 7, 5, 0x03, 2, 512, 0)
)
CONFIGURATION = struct.pack("<BBHBBBBB", 9, 2, 9 + len(_FUNCTION), 2, 1, 0, 0xC0, 50) + _FUNCTION
NTB_PARAMETERS = struct.pack("<HHIHHHHIHHHH", 28, 1, 16384, 4, 0, 4, 0, 16384, 4, 0, 4, 0)


class Stalled(Exception):
    """A request that this device does not know."""


class Setup(NamedTuple):
    """A setup packet."""

    type: int
    request: int
    value: int
    place: int
    length: int


class Device:
    """The modem behind the endpoints; the vhci-hcd of this machine is at the other end of `self.wire`."""

    def __init__(self, log: wire.PacketLog) -> None:
        self._log = log
        self._channel = MbimChannel(LARGEST)
        self._outgoing: list[bytes] = []
        self._notifications: list[bytes] = []
        self._waiting: dict[int, int] = {}  # requests of endpoints with nothing to say: sequence number -> endpoint
        self.wire, self._host = socket.socketpair()

    def plug(self) -> None:
        """Have the kernel find the device at the first port."""
        ATTACH.write_text(f"0 {self._host.fileno()} {_DEVICE_ID} {_HIGH_SPEED}\n")

    def serve(self) -> None:
        """Take one request of the host."""
        command, sequence, _, to_host, endpoint = _HEADER.unpack(self._read(_HEADER.size))
        if command == _CMD_UNLINK:
            (given_up,) = _UNLINK.unpack(self._read(_UNLINK.size))
            found = self._waiting.pop(given_up, None) is not None
            reply = _UNLINKED.pack(-errno.ECONNRESET if found else 0)
            self.wire.sendall(_HEADER.pack(_RET_UNLINK, sequence, 0, 0, 0) + reply)
            return
        if command != _CMD_SUBMIT:
            raise ValueError(f"USB/IP command {command}")
        _, size, _, _, _, setup = _SUBMIT.unpack(self._read(_SUBMIT.size))
        data = b"" if to_host else self._read(size)
        if endpoint:
            if to_host:
                self._waiting[sequence] = endpoint
            else:
                self._return(sequence, 0, size)
        else:
            try:
                answer = self._control(Setup(*struct.unpack("<BBHHH", setup)), data)[:size]
                self._return(sequence, 0, len(answer) if to_host else size, answer if to_host else b"")
            except Stalled:
                self._return(sequence, -errno.EPIPE, 0)
        self._notify()

    def _read(self, size: int) -> bytes:
        data = b""
        while len(data) < size:
            more = self.wire.recv(size - len(data))
            if not more:
                raise EOFError
            data += more
        return data

    def _return(self, sequence: int, status: int, length: int, data: bytes = b"") -> None:
        self.wire.sendall(_HEADER.pack(_RET_SUBMIT, sequence, 0, 0, 0) + _RETURN.pack(status, length, 0, 0, 0) + data)

    def _notify(self) -> None:
        for sequence, endpoint in list(self._waiting.items()):
            if endpoint == _NOTIFICATION_ENDPOINT and self._notifications:
                del self._waiting[sequence]
                notification = self._notifications.pop(0)
                self._return(sequence, 0, len(notification), notification)

    def _control(self, setup: Setup, data: bytes) -> bytes:
        match setup.type, setup.request:
            case 0x80, 0x06:
                return _descriptor(setup.value >> 8, setup.value & 0xFF)
            case 0x80, 0x00:
                return struct.pack("<H", 1)  # self-powered
            case (0x00, 0x09) | (0x01, 0x0B):  # configuration, interface
                return b""
            case 0x21, 0x00:
                self._log.add("rx", data)
                answers = self._channel.receive(data)
                self._outgoing += answers
                self._notifications += [RESPONSE_AVAILABLE] * len(answers)
                return b""
            case 0xA1, 0x01:
                answer = self._outgoing.pop(0) if self._outgoing else b""
                self._log.add("tx", answer)
                return answer
            case 0xA1, 0x80:
                return NTB_PARAMETERS
            case 0x21, 0x05 | 0x84 | 0x86 | 0x88 | 0x8A:  # reset; formats and sizes of data: as the host likes
                return b""
        raise Stalled


def _descriptor(kind: int, number: int) -> bytes:
    if kind == 1:
        return DEVICE
    if kind == 2:
        return CONFIGURATION
    if kind == 3 and number <= len(STRINGS):
        text = STRINGS[number - 1].encode("utf-16-le") if number else struct.pack("<H", 0x0409)
        return bytes([2 + len(text), 3]) + text
    raise Stalled


def main() -> int:
    """Run until standard input ends."""
    device = Device(wire.PacketLog(Path(sys.argv[1])))
    print("ready", flush=True)
    while True:
        readable, _, _ = select.select([device.wire.fileno(), 0], [], [])
        if device.wire.fileno() in readable:
            device.serve()
        if 0 in readable:
            command = os.read(0, 4096)
            if not command:
                return 0
            if command != b"plug\n":
                raise ValueError(command)
            device.plug()
            print("done", flush=True)


if __name__ == "__main__":
    sys.exit(main())
