# SPDX-License-Identifier: GPL-2.0-or-later
"""Which services there are by the control packets seen so far, as packets again: what begins in the middle of a
capture, a further file, is then complete in itself.

The rules are those of the kernel's name server (net/qrtr/ns.c); header layouts: struct qrtr_hdr_v1 and qrtr_hdr_v2.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable

from qmisniff.capture import header
from qmisniff.capture.header import Address
from qmisniff.frame import Direction, Flag, Frame, Hook, Link

_V1 = struct.Struct("<IIIIIIII")
_V2 = struct.Struct("<BBBBIHHHH")
_CONTROL = struct.Struct("<IIIII")
# These have node and port where packets about servers have service and instance.
_ABOUT_PORTS = (header.BYE, header.DEL_CLIENT)
_CONTROL_PORTS = (header.PORT_CTRL, 0xFFFFFFFF, 0xFFFF, 0xFFFE)  # also as version 2 and early senders write it
_MOST = 4096  # ports remembered: a phone has some hundred, and no sender may fill the memory


class Services:
    """The last announcement of every port that offers something."""

    def __init__(self) -> None:
        self._announced: dict[Address, tuple[int, Frame]] = {}  # port -> service, its announcement

    def learn(self, frames: Iterable[Frame]) -> None:
        """Take notice of what the frames announce. Never raises, whatever their bytes are."""
        for frame in frames:
            if frame.link is Link.QRTR and (control := _control(frame.data)) is not None:
                self._learn(frame, *control)

    def again(self, ts_ns: int) -> list[Frame]:
        """The announcements that hold, as synthetic frames of the time `ts_ns`."""
        return [
            frame._replace(
                ts_ns=ts_ns, direction=Direction.UNKNOWN, hook=Hook.LOOKUP, pid=-1, comm="", cpu=-1, lost=0,
                flags=frame.flags | Flag.SYNTHETIC,
            )
            for _, frame in self._announced.values()
        ]  # fmt: skip

    def _learn(self, frame: Frame, sender: Address, command: int, service: int, named: Address) -> None:
        from_name_server = sender.port == header.PORT_CTRL
        if command in (header.NEW_SERVER, header.DEL_SERVER):
            # A server that announces itself to its own name server is known by the port it sends from.
            where = named if from_name_server else sender
            if command == header.DEL_SERVER:
                if where in self._announced and self._announced[where][0] == service:
                    del self._announced[where]
            elif service:  # 0 marks the end of a list
                self._announced.pop(where, None)
                self._announced[where] = service, frame
                if len(self._announced) > _MOST:
                    del self._announced[next(iter(self._announced))]
        elif command == header.DEL_CLIENT:
            self._announced.pop(named, None)
        elif command == header.BYE:
            lost = sender.node if from_name_server else named.node
            for address in [each for each in self._announced if each.node == lost]:
                del self._announced[address]


def _control(data: bytes) -> tuple[Address, int, int, Address] | None:
    """Sender, command, service, and the port that a control packet is about; None for any other packet."""
    if data[:1] == b"\1" and len(data) >= _V1.size:
        _, kind, node, port, _, _, _, _ = _V1.unpack_from(data)
        at = _V1.size
    elif data[:1] == b"\3" and len(data) >= _V2.size:
        _, kind, _, options, _, node, port, _, _ = _V2.unpack_from(data)
        at = _V2.size + options
    else:
        return None
    if kind == header.DATA or len(data) - at < _CONTROL.size:
        return None
    command, *words = _CONTROL.unpack_from(data, at)
    named = Address(*words[:2] if command in _ABOUT_PORTS else words[2:])
    return Address(node, header.PORT_CTRL if port in _CONTROL_PORTS else port), command, words[0], named
