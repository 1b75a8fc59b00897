# SPDX-License-Identifier: GPL-2.0-or-later
"""The tracker for frames by the hundred thousand, given as columns. It learns exactly what Tracker.add would.

Control packets that change who offers what are few: they go through the tracker itself and leave a history, in which
every data packet is looked up. So do packets to and from ports that talk to a TFTP server. Requests find their
responses by sorting: in one place stand all messages of one client, server, transaction and message id, in order.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from qmisniff.frame import Link
from qmisniff.protocol import qmi, qrtr, tftp
from qmisniff.tracker import Address, Tracker

U1 = npt.NDArray[np.uint8]
I4 = npt.NDArray[np.int32]
I8 = npt.NDArray[np.int64]
U4 = npt.NDArray[np.uint32]
U8 = npt.NDArray[np.uint64]
Mask = npt.NDArray[np.bool_]

_LEARNT = (qrtr.NEW_SERVER, qrtr.DEL_SERVER, qrtr.DEL_CLIENT, qrtr.BYE)
_QMUX = 1 << 32  # set in the last part of the key of a QMUX message


class Seen(NamedTuple):
    """Frames to learn from, as columns: `command` is the first word of a control packet's payload, QMUX frames have
    their service in `source` and their client in `target`, other addresses are node << 32 | port."""

    data: U1  # the buffer
    offset: I8
    length: U4
    ts_ns: I8
    link: U1
    packet: U1  # type of the QRTR packet, 0 without a header
    command: U4
    source: U8
    target: U8
    type: U1  # of the QMI message, 255 without one
    txn: npt.NDArray[np.uint16]
    msgid: npt.NDArray[np.uint16]
    paired: Mask  # the message's length is right, so that it counts in pairs


def add(tracker: Tracker, seen: Seen) -> None:
    """Learn from these frames, in order; their rows follow those that the tracker has."""
    data_rows = seen.packet == qrtr.DATA
    request = data_rows & ((seen.type == 255) | (seen.type == qmi.REQUEST))
    # A port can be client and server at once: the message says on which side the service is.
    client = np.where(request, seen.source, seen.target)
    offering = np.where(request, seen.target, seen.source)

    before = {_key(address): tracker.number(server) for address, server in tracker.servers.items()}
    history, exceptions, silent = _learn(tracker, seen, data_rows)
    server = np.zeros(len(seen.offset), np.uint32)
    rows = np.flatnonzero(data_rows)
    if len(rows) and (before or history):
        timeline = _Timeline(before, history)
        found = timeline.at(offering[rows], rows)
        missing = found == 0
        found[missing] = timeline.at(client[rows[missing]], rows[missing])
        server[rows] = found
    if exceptions:
        server[list(exceptions)] = list(exceptions.values())

    first, qmux = len(tracker), seen.link == Link.QMUX
    not_qmi = np.array([each is not None and each.service in qmi.NOT_QMI for each in tracker.offered])
    pairs = seen.paired & (seen.type <= qmi.RESPONSE) & (data_rows & ~not_qmi[server] | qmux)
    pairs[silent] = False
    client, offering = np.where(qmux, seen.source, client), np.where(qmux, seen.target, offering)
    partner = _pair(tracker, seen, first, np.flatnonzero(pairs), client, offering, qmux)
    tracker.server_column.frombytes(server.tobytes())
    tracker.partner_column.frombytes(partner.tobytes())
    tracker.ts_column.frombytes(seen.ts_ns.tobytes())


def _key(address: Address) -> int:
    return address[0] << 32 | address[1]


def _address(key: int) -> Address:
    return key >> 32, key & 0xFFFFFFFF


def _learn(
    tracker: Tracker, seen: Seen, data_rows: Mask
) -> tuple[list[tuple[int, int, int]], dict[int, int], list[int]]:
    """Take the packets that change something through the tracker, in order. Returns the changes of who offers what
    (address, row, number of the server), then the servers of those rows that have another than the address says, and
    which of these rows hold no message."""
    changing = (seen.packet != 0) & ~data_rows & np.isin(seen.command, _LEARNT)
    files = _files(tracker, seen, data_rows, changing)
    wanted = changing | files
    history: list[tuple[int, int, int]] = []
    exceptions: dict[int, int] = {}
    silent: list[int] = []
    for row in np.flatnonzero(wanted).tolist():
        start = int(seen.offset[row])
        server, message = tracker.learn(seen.data[start : start + int(seen.length[row])].tobytes(), Link.QRTR)
        for address, changed in tracker.changes:
            history.append((_key(address), row, tracker.number(changed)))
        tracker.changes.clear()
        if data_rows[row]:
            exceptions[row] = tracker.number(server)
            if message is None:
                silent.append(row)
    return history, exceptions, silent


def _files(tracker: Tracker, seen: Seen, data_rows: Mask, changing: Mask) -> Mask:
    """Data packets to or from a port that is, or talks to, a TFTP server at any time in these rows: rather too many
    than too few."""
    servers = {_key(address) for address, server in tracker.servers.items() if server.service == tftp.SERVICE}
    for row in np.flatnonzero(changing & (seen.command == qrtr.NEW_SERVER)).tolist():
        start = int(seen.offset[row])
        data = seen.data[start : start + int(seen.length[row])].tobytes()
        header = qrtr.parse_header(data)
        control = qrtr.parse_control(data, header.payload) if header is not None else None
        if control is not None and control.service == tftp.SERVICE:
            servers |= {int(seen.source[row]), control.node << 32 | control.port}
    clients = {_key(address) for address in (*tracker.file_clients, *tracker.transfers)}
    clients |= {_key(client) for client, _ in tracker.transfers.values()}
    if not servers and not clients:
        return np.zeros(len(data_rows), bool)
    known = np.array(sorted(servers), np.uint64)
    asking = data_rows & np.isin(seen.target, known)
    ends = np.union1d(np.array(sorted(servers | clients), np.uint64), seen.source[asking])
    return data_rows & (np.isin(seen.source, ends) | np.isin(seen.target, ends))


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


def _pair(tracker: Tracker, seen: Seen, first: int, rows: I8, client: U8, offering: U8, qmux: Mask) -> I4:
    """Find the request of each response; both are among `rows`, or the request is one the tracker has left open."""
    partner = np.full(len(seen.offset), -1, np.int32)
    carried = _Open.of(tracker)
    many = len(carried.row)
    tail = seen.txn[rows] | seen.msgid[rows].astype(np.uint64) << np.uint64(16)
    tail |= np.where(qmux[rows], np.uint64(_QMUX), np.uint64(0))
    one = np.concatenate([carried.client, client[rows]])
    two = np.concatenate([carried.offering, offering[rows]])
    rest = np.concatenate([carried.rest, tail])
    row = np.concatenate([carried.row, rows + first])
    response = np.concatenate([np.zeros(many, bool), seen.type[rows] == qmi.RESPONSE])
    if not len(row):
        return partner
    order = _sorted(one, two, rest)
    same = (one[order[1:]] == one[order[:-1]]) & (two[order[1:]] == two[order[:-1]])
    same &= rest[order[1:]] == rest[order[:-1]]
    answer = response[order]
    hit = np.flatnonzero(same & answer[1:] & ~answer[:-1])
    asked, answered = row[order[hit]], row[order[hit + 1]]
    partner[answered - first] = asked
    here = asked >= first
    partner[asked[here] - first] = answered[here]
    for request, found in zip(asked[~here].tolist(), answered[~here].tolist(), strict=True):
        tracker.partner_column[request] = found
    left = order[~answer & np.append(~same, True)]
    tracker.open.clear()
    tracker.left = _Open(one[left], two[left], rest[left], row[left])
    return partner


def _sorted(one: U8, two: U8, rest: U8) -> I8:
    """An order in which equal keys stand together, and among them earlier rows first."""
    mixed: U8 = (one * np.uint64(0x9E3779B97F4A7C15) ^ two) * np.uint64(0xC2B2AE3D27D4EB4F) ^ rest
    mixed *= np.uint64(0xD6E8FEB86659FD93)
    # Sorting numbers is several times faster than sorting places by them: the place takes the low bits of the hash.
    bits = np.uint64(len(one).bit_length())
    low = (np.uint64(1) << bits) - np.uint64(1)
    joined = np.sort(mixed & ~low | np.arange(len(one), dtype=np.uint64))
    order = (joined & low).astype(np.int64)
    near = (joined[1:] & ~low) == (joined[:-1] & ~low)
    before, after = order[:-1][near], order[1:][near]
    if ((one[before] == one[after]) & (two[before] == two[after]) & (rest[before] == rest[after])).all():
        return order
    return np.lexsort((rest, two, one)).astype(np.int64)  # two keys have one hash


class _Open(NamedTuple):
    """Requests without a response yet, as columns."""

    client: U8
    offering: U8
    rest: U8
    row: I8

    @classmethod
    def of(cls, tracker: Tracker) -> _Open:
        """Those of the tracker."""
        if isinstance(tracker.left, _Open):
            return tracker.left
        table: list[tuple[int, int, int, int]] = []
        for (client, offering, txn, msgid), row in tracker.open.items():
            tail = txn | msgid << 16
            if isinstance(client, tuple) and isinstance(offering, tuple):
                table.append((_key(client), _key(offering), tail, row))
            elif isinstance(client, int) and isinstance(offering, int):
                table.append((client, offering, tail | _QMUX, row))
        client_column, offering_column, rest, rows = zip(*table, strict=True) if table else ((), (), (), ())
        return cls(
            np.array(client_column, np.uint64),
            np.array(offering_column, np.uint64),
            np.array(rest, np.uint64),
            np.array(rows, np.int64),
        )

    def hand_over(self, tracker: Tracker) -> None:
        """Put them into the tracker's own table."""
        tracker.left = None
        ends = zip(self.client.tolist(), self.offering.tolist(), strict=True)
        for (client, offering), rest, row in zip(ends, self.rest.tolist(), self.row.tolist(), strict=True):
            txn, msgid = rest & 0xFFFF, rest >> 16 & 0xFFFF
            if rest & _QMUX:
                tracker.open[client, offering, txn, msgid] = row
            else:
                tracker.open[_address(client), _address(offering), txn, msgid] = row
