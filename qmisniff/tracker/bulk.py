# SPDX-License-Identifier: GPL-2.0-or-later
"""The tracker for frames by the ten thousand, given as columns. It learns exactly what Tracker.add would.

Control packets that change who offers what are few: they go through the tracker itself and leave a history, in which
every data packet is looked up. So do packets to and from ports that talk to a TFTP server, USB transfers, and frames
with several messages. Requests and responses are paired later, when somebody asks (`qmisniff.tracker.pairs`).
"""

from __future__ import annotations

from typing import NamedTuple, Protocol

import numpy as np

from qmisniff.frame import USB_LINKS, Link
from qmisniff.protocol import qmi, qmux, qrtr, tftp
from qmisniff.protocol.arrays import I8, U1, U2, U4, U8, Mask
from qmisniff.tracker import ROW_BITS, Address, Message, Tracker
from qmisniff.tracker.pairs import Messages, Others, Pairs
from qmisniff.tracker.urbs import Rows, learn

_LEARNT = (qrtr.NEW_SERVER, qrtr.DEL_SERVER, qrtr.DEL_CLIENT, qrtr.BYE)
_CONTROL_SIZE = 20


class Flows(Protocol):
    """Who talks to whom: by the number of a flow, its ends as port << 32 | node, of QMUX as in a tracker's Key."""

    @property
    def source(self) -> U8: ...

    @property
    def target(self) -> U8: ...

    @property
    def qmux(self) -> Mask: ...

    @property
    def reverse(self) -> U4:
        """The flow of the answers; that of QMUX frames is itself."""

    def frames(self, service: U8, client: U8) -> U4:
        """The flows of QMUX frames."""


class Seen(NamedTuple):
    """Frames to learn from, as columns."""

    data: U1  # the buffer
    offset: I8
    length: U4
    orig_len: U4
    ts_ns: I8
    link: U1
    packet: U1  # type of the QRTR packet, 0 without a header
    flow: U4
    type: U1  # of the QMI message, 255 without one
    txn: U2
    msgid: U2
    paired: Mask  # the message's length is right, so that it counts in pairs


def add(tracker: Tracker, flows: Flows, seen: Seen) -> None:
    """Learn from these frames, in order; their rows follow those that the tracker has."""
    first, data_rows = len(tracker), seen.packet == qrtr.DATA
    before = {_key(address): tracker.number(server) for address, server in tracker.servers.items()}
    history, exceptions, silent = _learn(tracker, flows, seen, data_rows)
    server = np.zeros(len(seen.offset), np.uint32)
    if before or history:
        request = (seen.type == 255) | (seen.type == qmi.REQUEST)
        if history:
            _at_each_row(flows, seen.flow, request, np.flatnonzero(data_rows), _Timeline(before, history), server)
        else:
            _at_all_rows(flows, seen.flow, request, _Timeline(before, history), server)
            server[~data_rows] = 0
    if exceptions:
        server[list(exceptions)] = list(exceptions.values())
    tracker.server_column.frombytes(server.tobytes())
    tracker.partners.frombytes(np.full(len(server), -1, np.int32).tobytes())
    pairs = tracker.pairs = tracker.pairs or Pairs(tracker, flows)
    others = _others(tracker, flows, seen, first)
    pairs.add(Messages(first, seen.flow, seen.type, seen.txn, seen.msgid, seen.paired, silent, others))
    # Last: so many rows the tracker has.
    tracker.ts_column.frombytes(seen.ts_ns.tobytes())


def _key(address: Address) -> int:
    node, port = address
    return port << 32 | node


def _at_each_row(flows: Flows, flow: U4, request: Mask, rows: I8, timeline: _Timeline, into: U4) -> None:
    """The server of each of the rows, at its own time."""
    source, target = flows.source[flow[rows]], flows.target[flow[rows]]
    # A port can be client and server at once: the message says on which side the service is.
    found = timeline.at(np.where(request[rows], target, source), rows)
    missing = np.flatnonzero(found == 0)
    other = np.where(request[rows], source, target)[missing]
    found[missing] = timeline.at(other, rows[missing])
    into[rows] = found


def _at_all_rows(flows: Flows, flow: U4, request: Mask, timeline: _Timeline, into: U4) -> None:
    """The same where nothing changes in these rows: each flow is looked up once."""
    there = np.zeros(len(flows.source), bool)
    there[flow] = True
    numbers = np.flatnonzero(there)
    now = np.zeros(len(numbers), np.int64)
    source, target = timeline.at(flows.source[numbers], now), timeline.at(flows.target[numbers], now)
    asked, told = np.zeros(len(there), np.uint32), np.zeros(len(there), np.uint32)
    asked[numbers] = np.where(target != 0, target, source)
    told[numbers] = np.where(source != 0, source, target)
    into[:] = np.where(request, asked[flow], told[flow])


def _learn(
    tracker: Tracker, flows: Flows, seen: Seen, data_rows: Mask
) -> tuple[list[tuple[int, int, int]], dict[int, int], list[int]]:
    """Take the packets that change something through the tracker, in order. Returns the changes of who offers what
    (address, row, number of the server), then the servers of those rows that have another than the address says, and
    which of these rows hold no message."""
    changing = np.flatnonzero((seen.packet != 0) & ~data_rows)
    changing = changing[np.isin(_commands(seen, changing), _LEARNT)]
    wanted = np.zeros(len(data_rows), bool)
    wanted[changing] = True
    wanted[_files(tracker, flows, seen, data_rows, changing)] = True
    history: list[tuple[int, int, int]] = []
    exceptions: dict[int, int] = {}
    silent: list[int] = []
    for row in np.flatnonzero(wanted).tolist():
        server, message = tracker.learn(_bytes(seen, row), Link.QRTR)
        for address, changed in tracker.changes:
            history.append((_key(address), row, tracker.number(changed)))
        tracker.changes.clear()
        if data_rows[row]:
            exceptions[row] = tracker.number(server)
            if message is None:
                silent.append(row)
    return history, exceptions, silent


def _bytes(seen: Seen, row: int) -> bytes:
    start = int(seen.offset[row])
    return seen.data[start : start + int(seen.length[row])].tobytes()


def _commands(seen: Seen, rows: I8) -> U4:
    """The first word of the payload of control packets; 0 where it is too short for one."""
    offset, found = seen.offset[rows], np.zeros(len(rows), np.uint32)
    payload = np.full(len(rows), qrtr.V1.size, np.int64)
    second = np.flatnonzero(seen.data[offset] == 3)
    payload[second] = qrtr.V2.size + seen.data[offset[second] + 3]
    whole = np.flatnonzero(payload + _CONTROL_SIZE <= seen.length[rows])
    places = (offset + payload)[whole]
    for byte in range(4):
        found[whole] |= seen.data[places + byte].astype(np.uint32) << np.uint32(8 * byte)
    return found


def _files(tracker: Tracker, flows: Flows, seen: Seen, data_rows: Mask, changing: I8) -> I8:
    """Data packets to or from a port that is, or talks to, a TFTP server at any time in these rows: rather too many
    than too few."""
    servers = {_key(address) for address, server in tracker.servers.items() if server.service == tftp.SERVICE}
    for row in changing.tolist():
        data = _bytes(seen, row)
        header = qrtr.parse_header(data)
        control = qrtr.parse_control(data, header.payload) if header is not None else None
        if header is not None and control is not None and control.service == tftp.SERVICE:
            servers |= {_key((header.src_node, header.src_port)), _key((control.node, control.port))}
    clients = {_key(address) for address in (*tracker.file_clients, *tracker.transfers)}
    clients |= {_key(client) for client, _ in tracker.transfers.values()}
    if not servers and not clients:
        return np.empty(0, np.int64)
    # Flows are few: which of them are meant is found out once each.
    known = np.array(sorted(servers), np.uint64)
    asking = np.isin(flows.target, known)
    there = np.zeros(len(asking), bool)
    there[seen.flow[data_rows]] = True
    ends = np.concatenate([np.array(sorted(servers | clients), np.uint64), flows.source[asking & there]])
    meant = np.isin(flows.source, ends) | np.isin(flows.target, ends)
    return np.flatnonzero(data_rows & meant[seen.flow])


def _others(tracker: Tracker, flows: Flows, seen: Seen, first: int) -> Others | None:
    """The messages in USB transfers, and those in QMUX frames behind the first one."""
    in_qmux, links = seen.link == Link.QMUX, np.bincount(seen.link, minlength=256)
    parts: list[Others] = []
    if in_qmux.any():
        several = np.flatnonzero(in_qmux & (seen.length > qmux.HEADER.size))
        at = seen.offset[several] + 1
        stop = 1 + (seen.data[at] | seen.data[at + 1].astype(np.uint32) << 8)
        several = several[stop < seen.length[several]]
        found = [
            (first + row, tracker.messages(first + row, _bytes(seen, row), Link.QMUX, 0)) for row in several.tolist()
        ]
        parts.append(_listed(flows, found, 1))
    used = [link for link in USB_LINKS if links[link]]
    if len(used) == 1:
        parts += _transfers(tracker, flows, seen, first, used[0])
    elif used:  # records of several kinds may be of one bus: their order counts
        rows = np.flatnonzero(np.isin(seen.link, used)).tolist()
        found = []
        for row in rows:
            link, original = Link(int(seen.link[row])), int(seen.orig_len[row])
            found.append((first + row, tracker.messages(first + row, _bytes(seen, row), link, original)))
        parts.append(_listed(flows, found, 0))
    return Others(*map(np.concatenate, zip(*parts, strict=True))) if parts else None


def _transfers(tracker: Tracker, flows: Flows, seen: Seen, first: int, link: Link) -> list[Others]:
    """The messages in USB transfers of one kind of record."""
    rows = np.flatnonzero(seen.link == link)
    length, original = seen.length[rows].astype(np.int64), seen.orig_len[rows].astype(np.int64)
    messages, frames = learn(tracker.usb, Rows(link, first + rows, seen.data, seen.offset[rows], length, original))
    keys = flows.frames(messages.service, messages.client).astype(np.uint64) << np.uint64(32)
    keys |= messages.msgid.astype(np.uint64) << np.uint64(16) | messages.txn
    found = [(row, tracker.messages_of(row, device, each)) for row, device, each in frames]
    return [Others(keys, messages.row, messages.type == qmi.RESPONSE), _listed(flows, found, 0)]


def _listed(flows: Flows, found: list[tuple[int, list[Message | None]]], begin: int) -> Others:
    """Messages of these rows, of each from index `begin` on."""
    table: list[tuple[int, int, int, int, bool]] = []
    for row, messages in found:
        for index, message in enumerate(messages[begin:], begin):
            if message is not None and message.type <= qmi.RESPONSE:
                service, client, txn, msgid = message.key
                assert isinstance(service, int) and isinstance(client, int)
                table.append(
                    (service, client, msgid << 16 | txn, index << ROW_BITS | row, message.type == qmi.RESPONSE)
                )
    services, clients, rest, places, response = zip(*table, strict=True) if table else ((), (), (), (), ())
    flow = flows.frames(np.array(services, np.uint64), np.array(clients, np.uint64))
    keys = flow.astype(np.uint64) << np.uint64(32) | np.array(rest, np.uint64)
    return Others(keys, np.array(places, np.int64), np.array(response, bool))


class _Timeline:
    """Who offers what at an address, at the time of a row."""

    def __init__(self, before: dict[int, int], history: list[tuple[int, int, int]]) -> None:
        self._addresses = np.array(sorted({*before, *(address for address, _, _ in history)}), np.uint64)
        first = np.array([before.get(address, 0) for address in self._addresses.tolist()], np.uint32)
        place = np.searchsorted(self._addresses, np.array([address for address, _, _ in history], np.uint64))
        # Sorted by address, then by the row from which a server is there; what was there before is from row 0 on.
        since = np.array([row + 1 for _, row, _ in history], np.int64)
        keys = np.concatenate([np.arange(len(first)) << 32, place << 32 | since])
        servers = np.concatenate([first, np.array([number for _, _, number in history], np.uint32)])
        order = np.argsort(keys, kind="stable")
        self._keys, self._servers = keys[order], servers[order]
        self._changes = bool(history)

    def at(self, address: U8, rows: I8) -> U4:
        """The number of the server at each address when that row came; 0 where there was none."""
        place = np.minimum(np.searchsorted(self._addresses, address), len(self._addresses) - 1)
        known = self._addresses[place] == address
        if self._changes:
            place = np.searchsorted(self._keys, place << 32 | rows, "right") - 1
        return np.where(known, self._servers[place], np.uint32(0))
