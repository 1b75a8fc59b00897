# SPDX-License-Identifier: GPL-2.0-or-later
"""QMUX frames and MBIM messages out of USB control transfers, as cdc-wdm drivers send and receive them.

What the host sends is in the submission of SEND_ENCAPSULATED_COMMAND, what the modem answers in the completion of
GET_ENCAPSULATED_RESPONSE; which of the two a completion belongs to, its submission says (the same URB id). The data of
the transfers must be QMUX or MBIM beyond doubt. A QMUX frame may go through several transfers, and one transfer may
hold several frames; MBIM messages come in fragments. Once data begin a message of their own, what was unfinished
before stays so: a part of it has been lost. Several control interfaces of one device are taken for one: only messages
that come in parts through two at the same time would suffer.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from qmisniff.frame import Link
from qmisniff.protocol import mbim, qmux, usb
from qmisniff.protocol.context import Transfer

MAX_MESSAGE = 1 << 17  # bytes: a QMUX frame has at most half of it

_Key = tuple[int, int, int]  # of a request: device, endpoint, id
_Pipe = tuple[int, bool]  # device, to the host


@dataclass(slots=True)
class _Unfinished:
    """A message of which transfers have brought a part."""

    rows: list[int]
    pieces: list[bytes]
    size: int  # of the pieces together
    wanted: int  # bytes of the QMUX frame; of an MBIM message 0
    head: mbim.Head | None = None  # of the last MBIM fragment

    def add(self, row: int, piece: bytes) -> None:
        self.rows.append(row)
        self.pieces.append(piece)
        self.size += len(piece)

    def is_before(self, head: mbim.Head) -> bool:
        """Is this the fragment that comes next?"""
        return self.head is not None and self.head._replace(fragment=self.head.fragment + 1) == head


@dataclass(slots=True)
class _Noted:
    """What must be known of a row's transfer besides its own bytes; rows count from 0."""

    carries: bool = True
    earlier: list[bytes] = field(default_factory=list)
    parts: list[int] = field(default_factory=list)
    unfinished: int | None = None
    whole_in: int | None = None


class Transfers:
    """Fed with the USB frames of a capture in order."""

    def __init__(self) -> None:
        self._asked: dict[_Key, tuple[int, int]] = {}  # what is asked for: bmRequestType, bRequest
        self._unfinished: dict[_Pipe, _Unfinished] = {}
        self._noted: dict[int, _Noted] = {}
        self.foreign_rows: list[int] = []  # rows that `foreign` was told of

    def add(self, row: int, data: bytes, link: Link, orig_len: int) -> tuple[int, list[bytes]]:
        """Learn from the next frame: its device, and the QMUX frames that are whole with it."""
        urb = usb.parse_urb(data, link)
        if urb is None or urb.transfer != usb.CONTROL:
            return 0, []
        key, missing = (urb.device, urb.endpoint & 0x0F, urb.id), usb.missing(urb, data, orig_len)
        if urb.setup is not None:
            self.submitted(key, urb.setup.code)
            return urb.device, self._data(row, urb, data, missing) if usb.is_command(urb, data) else []
        code = self.completed(key) if urb.completed else self._asked.get(key)
        if usb.is_response(urb, data):
            if code == usb.RESPONSE:
                return urb.device, self._data(row, urb, data, missing)
            if usb.looks_carried(data, urb.start, missing):
                self.foreign(row)
        elif link is Link.USBPCAP and code == usb.COMMAND and not urb.completed and urb.start < len(data):
            # Before version 1.5 the data of a command are in a record of their own.
            self._noted[row] = _Noted()
            return urb.device, self._data(row, urb, data, missing)
        return urb.device, []

    def submitted(self, key: _Key, code: tuple[int, int]) -> None:
        """Note what a request asks for."""
        self._asked[key] = code

    def completed(self, key: _Key) -> tuple[int, int] | None:
        """What the request asked for that is complete now; None where that is not known."""
        return self._asked.pop(key, None)

    def begin(self, pipe: _Pipe) -> None:
        """Note that data begin a message of their own."""
        self._unfinished.pop(pipe, None)

    def foreign(self, row: int) -> None:
        """Note that a row's data are neither QMUX nor MBIM, whatever they look like."""
        self.foreign_rows.append(row)
        self._noted[row] = _Noted(carries=False)

    @property
    def unfinished(self) -> list[int]:
        """The rows with parts of messages that have not come to their end."""
        return [row for row, noted in self._noted.items() if noted.unfinished is not None and noted.whole_in is None]

    def transfer(self, row: int) -> Transfer | None:
        """What is known about a row's transfer; None where its own bytes say it all."""
        noted = self._noted.get(row)
        if noted is None:
            return None
        return Transfer(
            noted.carries,
            b"".join(noted.earlier),
            tuple(part + 1 for part in noted.parts),
            noted.unfinished,
            None if noted.whole_in is None else noted.whole_in + 1,
        )

    def _data(self, row: int, urb: usb.Urb, data: bytes, missing: int) -> list[bytes]:
        pipe, start, end = (urb.device, urb.completed), urb.start, len(data)
        before = self._unfinished.pop(pipe, None)
        head = mbim.parse_head(data, start, end, missing)
        if head is not None:
            return self._fragment(row, pipe, data, start, head, before)
        if qmux.begins(data, start, end):
            return self._frames(row, pipe, data, start, missing)
        if before is None or before.head is not None or missing:
            return []
        lacking = before.wanted - before.size
        piece = data[start : start + lacking]
        if len(piece) < lacking:
            self._noted.setdefault(row, _Noted()).unfinished = start
            before.add(row, piece)
            self._unfinished[pipe] = before
            return []
        self._end(row, before)
        whole = b"".join([*before.pieces, piece])
        return [whole, *self._frames(row, pipe, data, start + lacking, missing)]

    def _frames(self, row: int, pipe: _Pipe, data: bytes, at: int, missing: int) -> list[bytes]:
        """The whole frames from `at` on; one that the data do not end is kept."""
        found, end = [], len(data)
        while qmux.begins(data, at, end):
            stop = qmux.frame_end(data, at)
            if stop > end and not missing:
                self._noted.setdefault(row, _Noted()).unfinished = at
                self._unfinished[pipe] = _Unfinished([row], [data[at:]], end - at, stop - at)
                break
            found.append(data[at:stop])
            at = stop
        return found

    def _fragment(
        self, row: int, pipe: _Pipe, data: bytes, start: int, head: mbim.Head, before: _Unfinished | None
    ) -> list[bytes]:
        if head.type not in mbim.TAILS:
            return []
        body = data[start + mbim.BODY :]
        if head.fragment == 0:
            before = _Unfinished([], [], 0, 0)
        elif before is None or before.size + len(body) > MAX_MESSAGE or not before.is_before(head):
            return []
        if head.fragment + 1 < head.fragments:
            self._noted.setdefault(row, _Noted()).unfinished = start + mbim.BODY
            before.add(row, body)
            before.head = head
            self._unfinished[pipe] = before
            return []
        if before.rows:
            self._end(row, before)
            body = b"".join([*before.pieces, body])
        buffer = mbim.qmi_buffer(head.type, body, 0)
        return [body[at : buffer[1]] for at in qmux.frames(body, *buffer)] if buffer else []

    def _end(self, row: int, before: _Unfinished) -> None:
        self._noted[row] = _Noted(earlier=before.pieces, parts=before.rows)
        for part in before.rows:
            self._noted[part].whole_in = row
