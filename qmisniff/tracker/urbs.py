# SPDX-License-Identifier: GPL-2.0-or-later
"""USB requests by the ten thousand: what `Transfers.add` does, for rows given as columns.

Most transfers of a modem carry one whole QMUX frame, bare or in an MBIM message: their messages are read together. All
others that carry something are taken one by one, in their place among the others.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from qmisniff.frame import Link
from qmisniff.protocol import mbim, qmi, qmux, usb
from qmisniff.protocol.arrays import I8, U1, U2, U4, U8, Mask, Numbers
from qmisniff.tracker.transfers import Transfers

# What a row is: one to be taken alone, a setup packet, the end of a transfer that brought no data, or a transfer with
# one whole frame, sent or received.
_ALONE, _ASKED, _DONE, _SENT, _RECEIVED = range(5)
_SEND = usb.COMMAND[0] | usb.COMMAND[1] << 8
_SETUP = usb.SETUP.dtype()
_LEAST = qmux.HEADER.size + qmi.CTL_HEADER.size
_MBIM_ID = np.frombuffer(mbim.QMI_UUID + mbim.QMI_CID.to_bytes(4, "little"), np.uint8)


class Rows(NamedTuple):
    """USB rows of one link, in order, as columns."""

    link: Link
    row: I8
    data: U1  # the buffer
    place: I8  # where the record begins in it
    length: I8
    orig_len: I8

    def take(self, rows: Any) -> Rows:
        """Some of them."""
        return Rows(self.link, self.row[rows], self.data, self.place[rows], self.length[rows], self.orig_len[rows])

    def records(self, start: I8 | int, layout: np.dtype[Any]) -> Numbers:
        """What stands `start` bytes into each record, which must be so long."""
        places = self.place + start
        if not len(places):
            return np.empty(0, layout)
        anywhere = np.ndarray(len(self.data) - layout.itemsize + 1, f"V{layout.itemsize}", self.data, strides=(1,))
        found: Numbers = anywhere[places].view(layout.base)
        return found.reshape(-1, *layout.shape)


class Messages(NamedTuple):
    """Messages of transfers that carry one QMUX frame and nothing else, in order; `type` as in `qmi.Header`."""

    row: I8
    service: U8  # device << 32 | service, as in a tracker's Key
    client: U8
    type: U1
    txn: U2
    msgid: U2

    def take(self, rows: Mask) -> Messages:
        """Some of them."""
        row, service, client, kind, txn, msgid = self
        return Messages(row[rows], service[rows], client[rows], kind[rows], txn[rows], msgid[rows])


class Learnt(NamedTuple):
    """What transfers brought: messages that were read together, and frames that were not."""

    messages: Messages
    frames: list[tuple[int, int, list[bytes]]]  # row, device, QMUX frames


class _Control(NamedTuple):
    """Control requests, as columns."""

    rows: Rows
    device: U4
    endpoint: U1
    number: U8
    done: Mask
    asks: Mask  # there is a setup packet
    start: I8  # of the data in the record
    setup_at: int


def learn(transfers: Transfers, rows: Rows) -> Learnt:
    """Learn from the next rows."""
    control, alone = _control_requests(rows)
    code, _ = _asked(control)
    sends, brings, frame = _carrying(control)
    kinds = np.full(len(code), _ALONE, np.uint8)
    kinds[control.asks & ~sends] = _ASKED
    kinds[control.done & ~brings] = _DONE
    kinds[sends & (frame >= 0)] = _SENT
    kinds[brings & (frame >= 0)] = _RECEIVED
    whole, frames = _in_order(transfers, control, kinds, code, alone)
    found = _messages(control, frame, np.array(whole, np.int64))
    return Learnt(found.take(found.type <= qmi.RESPONSE), frames)


def survey(rows: Rows) -> tuple[I8, Messages]:
    """What the rows themselves say: which of them carry no message for sure, and the only messages of those that carry
    one whole frame and nothing else, unless something else was asked for."""
    control, alone = _control_requests(rows)
    sends, brings, frame = _carrying(control)
    busy = np.concatenate([alone.row, control.rows.row[sends | brings]])
    return np.setdiff1d(rows.row, busy, assume_unique=True), _messages(control, frame, np.flatnonzero(frame >= 0))


def _carrying(control: _Control) -> tuple[Mask, Mask, I8]:
    """Which requests send data of a command, which have brought data from the device, and where in the record the QMUX
    frame begins that is all there is (-1 where it is not)."""
    code, wanted = _asked(control)
    size = control.rows.length - control.start
    sends = (code == _SEND) & (size > 0)
    brings = np.asarray(control.done & (control.endpoint & usb.IN != 0) & (size > 0))
    whole = (sends & (size == wanted) | brings) & (control.rows.orig_len == control.rows.length)
    return sends, brings, _only_frame(control, whole)


def _control_requests(rows: Rows) -> tuple[_Control, Rows]:
    """The control requests that are submitted with a setup packet, or completed; and rows to be taken alone."""
    return _usbpcap(rows) if rows.link is Link.USBPCAP else _usbmon(rows)


def _asked(control: _Control) -> tuple[U2, I8]:
    """What setup packets ask for: bmRequestType and bRequest in one number, and a length."""
    code, wanted = np.zeros(len(control.asks), np.uint16), np.zeros(len(control.asks), np.int64)
    setup = control.rows.take(control.asks).records(control.setup_at, _SETUP)
    code[control.asks] = setup["bmRequestType"] | setup["setup.bRequest"].astype(np.uint16) << np.uint16(8)
    wanted[control.asks] = setup["setup.wLength"]
    return code, wanted


def _usbmon(rows: Rows) -> tuple[_Control, Rows]:
    """Of these no row must be taken alone."""
    rows = rows.take(rows.length >= usb.USBMON_SIZE[rows.link])
    head = rows.records(0, usb.USBMON.dtype())
    done = head["urb_type"] != usb.SUBMIT
    mine = (head["transfer_type"] == usb.CONTROL) & (done | (head["setup_flag"] == 0))
    head, done, rows = head[mine], done[mine], rows.take(mine)
    start = np.full(len(head), usb.USBMON_SIZE[rows.link], np.int64)
    return _control(rows, head, head["urb_id"], done, ~done, start, usb.USBMON.size), rows.take(slice(0))


def _usbpcap(rows: Rows) -> tuple[_Control, Rows]:
    """Requests with a header of another length, or in stages, must be taken alone."""
    usual = usb.USBPCAP.size + usb.USBPCAP_STAGE.size
    rows = rows.take(rows.length >= usual)
    head = rows.records(0, usb.USBPCAP.dtype())
    stage = rows.data[rows.place + usb.USBPCAP.size]
    done = head["irp_info"] & 1 == 1
    asks = ~done & (stage == 0) & (rows.length >= usual + usb.SETUP.size)
    mine = head["transfer_type"] == usb.CONTROL
    regular = (head["usbpcap_header_len"] == usual) & (asks | done & (stage != 1))
    alone, mine = rows.take(mine & ~regular), mine & regular
    head, done, asks, rows = head[mine], done[mine], asks[mine], rows.take(mine)
    start = np.where(asks, usual + usb.SETUP.size, usual).astype(np.int64)
    return _control(rows, head, head["irp_id"], done, asks, start, usual), alone


def _control(rows: Rows, head: Numbers, number: U8, done: Mask, asks: Mask, start: I8, setup_at: int) -> _Control:
    device = head["bus_id"].astype(np.uint32) << np.uint32(16) | head["device_address"]
    return _Control(rows, device, head["endpoint_address"], number, done, asks, start, setup_at)


def _only_frame(control: _Control, wanted: Mask) -> I8:
    """Where in each record the QMUX frame begins that is all its data, or all of the MBIM message that they are; -1
    where they are anything else."""
    found = np.full(len(wanted), -1, np.int64)
    bare = np.flatnonzero(wanted)
    whole = _is_frame(control.rows.take(bare), control.start[bare])
    found[bare[whole]] = control.start[bare[whole]]
    left = bare[~whole]
    for kind, tail in mbim.TAILS.items():
        before = mbim.BODY + mbim.UUID_SIZE + tail.size
        here = left[control.rows.length[left] - control.start[left] > before]
        rows, start = control.rows.take(here), control.start[here]
        size = rows.length - start
        words = rows.records(start, np.dtype(("<u4", 5)))
        right = (words[:, 0] == kind) & (words[:, 1] == size) & (words[:, 3] == 1) & (words[:, 4] == 0)
        right &= (rows.records(start + mbim.BODY, np.dtype(("u1", len(_MBIM_ID)))) == _MBIM_ID).all(axis=1)
        right &= rows.records(start + before - 4, np.dtype("<u4")) == size - before
        right[right] = _is_frame(rows.take(right), start[right] + before)
        found[here[right]] = start[right] + before
    return found


def _is_frame(rows: Rows, start: I8) -> Mask:
    """Whether the bytes from `start` to the end of each record are just a QMUX frame."""
    size = rows.length - start
    long = np.flatnonzero(size >= _LEAST)
    head = rows.take(long).records(start[long], qmux.HEADER.dtype())
    found = np.zeros(len(size), bool)
    right = (head["marker"] == qmux.MARKER) & np.isin(head["flags"], (0, 0x80))
    found[long] = right & (head["length"].astype(np.int64) + 1 == size[long])
    return found


def _in_order(
    transfers: Transfers, control: _Control, kinds: U1, code: U2, alone: Rows
) -> tuple[list[int], list[tuple[int, int, list[bytes]]]]:
    """Go through the rows: which of the requests carry one whole frame and nothing else, and the frames of others."""
    whole: list[int] = []
    frames: list[tuple[int, int, list[bytes]]] = []
    for at, kind, key, asked in _merged(control, kinds, code, alone):
        if kind == _ALONE:
            rows = alone if at < 0 else control.rows
            row, start = int(rows.row[at]), int(rows.place[at])
            data = rows.data[start : start + int(rows.length[at])].tobytes()
            device, found = transfers.add(row, data, rows.link, int(rows.orig_len[at]))
            if found:
                frames.append((row, device, found))
        elif kind == _ASKED:
            transfers.submitted(key, asked)
        elif kind == _SENT:
            transfers.submitted(key, asked)
            transfers.begin((key[0], False))
            whole.append(at)
        elif transfers.completed(key) == usb.RESPONSE:
            if kind == _RECEIVED:
                transfers.begin((key[0], True))
                whole.append(at)
        elif kind == _RECEIVED:
            transfers.foreign(int(control.rows.row[at]))
    return whole, frames


_Step = tuple[int, int, tuple[int, int, int], tuple[int, int]]  # place, kind, key of the transfer, code of the request


def _merged(control: _Control, kinds: U1, code: U2, alone: Rows) -> Iterator[_Step]:
    """All rows in order; those of `alone` have negative places."""
    keys = zip(control.device.tolist(), (control.endpoint & 0x0F).tolist(), control.number.tolist(), strict=True)
    codes = zip((code & 0xFF).tolist(), (code >> 8).tolist(), strict=True)
    steps = zip(range(len(kinds)), kinds.tolist(), keys, codes, strict=True)
    if not len(alone.row):
        yield from steps
        return
    waiting = list(range(-len(alone.row), 0))[::-1]
    for step in steps:
        while waiting and alone.row[waiting[-1]] < control.rows.row[step[0]]:
            yield waiting.pop(), _ALONE, (0, 0, 0), (0, 0)
        yield step
    while waiting:
        yield waiting.pop(), _ALONE, (0, 0, 0), (0, 0)


def _messages(control: _Control, frame: I8, whole: I8) -> Messages:
    """The messages in these requests' frames; a frame without room for a message's header has none."""
    rows, start = control.rows.take(whole), frame[whole]
    head = rows.records(start, qmux.HEADER.dtype())
    ctl = head["service"] == qmi.CTL
    inner = start + qmux.HEADER.size
    there = ctl | (rows.length - inner >= qmi.SERVICE_HEADER.size)
    kind, txn, msgid = (np.zeros(len(whole), code) for code in ("u1", "u2", "u2"))
    for mask, layout, shift in ((ctl, qmi.CTL_HEADER, 0), (~ctl & there, qmi.SERVICE_HEADER, 1)):
        found = rows.take(mask).records(inner[mask], layout.dtype())
        kind[mask], txn[mask], msgid[mask] = np.minimum(found["flags"] >> shift, 3), found["txn"], found["msgid"]
    service = control.device[whole].astype(np.uint64) << np.uint64(32) | head["service"]
    return Messages(
        rows.row[there], service[there], head["client"][there].astype(np.uint64), kind[there], txn[there], msgid[there]
    )
