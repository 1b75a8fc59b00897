# SPDX-License-Identifier: GPL-2.0-or-later
"""A USB modem that speaks QMUX, as a FunctionFS gadget on dummy_hcd: the kernel's qmi_wwan makes /dev/cdc-wdmN of it.

`python usb_gadget.py LOG` prints "ready" when it could be plugged in; the line "plug" on its standard input does that.
Every transfer over the control channel is a line of LOG. When the input ends it leaves.

Layouts: include/uapi/linux/usb/functionfs.h and ch9.h; USB CDC 1.2, section 6.3, for notifications.
"""

from __future__ import annotations

import contextlib
import errno
import os
import queue
import select
import struct
import subprocess
import sys
import threading
from pathlib import Path

from tests.lab import wire
from tests.lab.usb_modem import QmuxChannel

VENDOR, PRODUCT = 0x1199, 0x9013  # qmi_wwan: a Gobi 3000
UDC = "dummy_udc.0"
LARGEST = 4096  # bytes that qmi_wwan reads at once
SEND_ENCAPSULATED, GET_ENCAPSULATED = (0x21, 0x00), (0xA1, 0x01)  # bmRequestType, bRequest
RESPONSE_AVAILABLE = struct.pack("<BBHHH", 0xA1, 0x01, 0, 0, 0)

_CONFIGFS = Path("/sys/kernel/config")
_GADGET = _CONFIGFS / "usb_gadget/lab"
_FUNCTION = Path("/run/lab-modem")
_SETUP = struct.Struct("<BBHHH")
_EVENT = struct.Struct("<8sB3x")
_EVENT_SETUP = 4
# What the gadget hears of a transfer that the host gave up, and now and then of one that came right after another. The
# next event is there to be read all the same.
_GIVEN_UP = (errno.EIDRM, errno.EOVERFLOW)


def _descriptors() -> bytes:
    def speed(bulk: int, interval: int) -> bytes:
        interface = struct.pack("<BBBBBBBBB", 9, 4, 0, 0, 3, 0xFF, 0xFF, 0xFF, 1)
        endpoints = [(0x81, 3, 64, interval), (0x82, 2, bulk, 0), (0x03, 2, bulk, 0)]
        return interface + b"".join(struct.pack("<BBBBHB", 7, 5, *endpoint) for endpoint in endpoints)

    content = struct.pack("<II", 4, 4) + speed(64, 8) + speed(512, 7)  # descriptors of full and of high speed
    return struct.pack("<III", 3, 12 + len(content), 1 | 2) + content


def _strings() -> bytes:
    content = struct.pack("<H", 0x0409) + b"QMI\0"
    return struct.pack("<IIII", 2, 16 + len(content), 1, 1) + content


class Gadget:
    """The modem behind the gadget's endpoints."""

    def __init__(self, log: wire.PacketLog) -> None:
        self._log = log
        self._channel = QmuxChannel(LARGEST)
        self._outgoing: list[bytes] = []
        self._notifications: queue.SimpleQueue[bytes] = queue.SimpleQueue()
        _build()
        self.control = os.open(_FUNCTION / "ep0", os.O_RDWR)
        os.write(self.control, _descriptors())
        os.write(self.control, _strings())
        # A write ends when the host has polled for it, and no host polls while nobody has the device open.
        threading.Thread(target=self._notify, args=(os.open(_FUNCTION / "ep1", os.O_RDWR),), daemon=True).start()

    def event(self) -> None:
        """Take one event of the control endpoint; a transfer that the host gives up is none."""
        try:
            for content, kind in _EVENT.iter_unpack(os.read(self.control, _EVENT.size)):
                if kind == _EVENT_SETUP:
                    self._setup(*_SETUP.unpack(content))
        except OSError as error:
            if error.errno not in _GIVEN_UP:
                raise

    def _setup(self, request_type: int, request: int, value: int, index: int, length: int) -> None:
        if (request_type, request) == SEND_ENCAPSULATED:
            data = os.read(self.control, length)
            self._log.add("rx", data)
            answers = self._channel.receive(data)
            self._outgoing += answers
            for _ in answers:
                self._notifications.put(RESPONSE_AVAILABLE)
        elif (request_type, request) == GET_ENCAPSULATED:
            data = self._outgoing.pop(0) if self._outgoing else b""
            os.write(self.control, data)
            self._log.add("tx", data)
        else:
            with contextlib.suppress(OSError):  # the wrong direction stalls it, and that is an error
                if request_type & 0x80:
                    os.read(self.control, 0)
                else:
                    os.write(self.control, b"")

    def _notify(self, endpoint: int) -> None:
        while True:
            os.write(endpoint, self._notifications.get())


def _build() -> None:
    """The gadget in configfs; its function waits for descriptors."""
    subprocess.run(["mount", "-t", "configfs", "configfs", str(_CONFIGFS)], check=False, stderr=subprocess.DEVNULL)
    for folder in ("strings/0x409", "configs/lab.1/strings/0x409", "functions/ffs.modem"):
        (_GADGET / folder).mkdir(parents=True)
    for name, text in {
        "idVendor": hex(VENDOR), "idProduct": hex(PRODUCT), "bcdUSB": "0x0200", "bcdDevice": "0x0100",
        "strings/0x409/manufacturer": "Example Radio Works", "strings/0x409/product": "LAB-4G",
        "strings/0x409/serialnumber": "0001", "configs/lab.1/strings/0x409/configuration": "QMI",
    }.items():  # fmt: skip
        (_GADGET / name).write_text(text)
    (_GADGET / "configs/lab.1/ffs.modem").symlink_to(_GADGET / "functions/ffs.modem")
    _FUNCTION.mkdir()
    subprocess.run(["mount", "-t", "functionfs", "modem", str(_FUNCTION)], check=True)


def main() -> int:
    """Run until standard input ends."""
    gadget = Gadget(wire.PacketLog(Path(sys.argv[1])))
    print("ready", flush=True)
    while True:
        readable, _, _ = select.select([gadget.control, 0], [], [])
        if gadget.control in readable:
            gadget.event()
        if 0 in readable:
            command = os.read(0, 4096)
            if not command:
                return 0
            if command != b"plug\n":
                raise ValueError(command)
            (_GADGET / "UDC").write_text(UDC)
            print("done", flush=True)


if __name__ == "__main__":
    sys.exit(main())
