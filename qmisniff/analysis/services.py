# SPDX-License-Identifier: GPL-2.0-or-later
"""Who offers what, who looks for what and did not find it, and what became of it: the story the control packets tell.

Offers and lookups are what all control packets say; only the traffic is that of the rows asked about.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from qmisniff.analysis.packets import QMUX, QMUX_SERVER, Packets, end_of, packets
from qmisniff.analysis.rows import Cancel, Cancelled, Rows, never, pieces
from qmisniff.dissect import Dissector
from qmisniff.frame import Direction, Flag, Frame, Hook, Link
from qmisniff.protocol import qrtr
from qmisniff.protocol.arrays import I8, Mask
from qmisniff.store import Store
from qmisniff.store.columns import Columns
from qmisniff.tracker import Address, Server, Tracker

_NEVER = 1 << 62  # a row that no capture has
_PART = 256  # control packets read between two looks at whether to go on


class Traffic(NamedTuple):
    """What went to and from an offer."""

    packets: int = 0
    bytes: int = 0
    clients: int = 0  # different addresses
    last_ns: int | None = None


NO_TRAFFIC = Traffic()


@dataclass(slots=True)
class Offer:
    """A service at an address, from its NEW_SERVER to what ended it. `task` is Store.tasks', None for another
    processor's. A modem behind QMUX announces nothing: what it was asked for counts, of unknown version."""

    end: int  # address as in Packets
    server: Server  # instance -1 unknown
    row: int  # of the NEW_SERVER; of the first packet
    since_ns: int
    known_before: bool  # it was there when the capture began
    task: int | None = None
    until_row: int | None = None
    until_ns: int | None = None
    ended: str = ""  # the packet that ended it, or NEW_SERVER: another one took its port
    traffic: Traffic = NO_TRAFFIC


@dataclass(slots=True)
class Lookup:
    """A NEW_LOOKUP: somebody waits for a service (0: for all of them). It ends with the port that it came from."""

    client: int  # address as in Packets
    task: int
    service: int
    instance: int  # instance word; 0: any
    row: int
    since_ns: int
    found: int = 0  # offers that are what was looked for, there already or later
    found_ns: int | None = None  # when the first of them was known
    until_ns: int | None = None
    ended: str = ""

    def wants(self, server: Server) -> bool:
        """Is the server what is looked for? (kernel: net/qrtr/ns.c, server_match)"""
        if self.service and self.service != server.service:
            return False
        return not self.instance or self.instance == server.instance


@dataclass(slots=True)
class Node:
    """A processor; `packets` and `bytes` are what it sent, of the rows asked about."""

    number: int
    row: int  # the first that says something of it
    local: bool = False  # the capture ran on it
    packets: int = 0
    bytes: int = 0
    hello_ns: int | None = None  # the last one
    bye_ns: int | None = None
    services: int = 0  # offered at the end


@dataclass(slots=True)
class Services:
    """Offers and lookups in order of appearance, nodes by number."""

    offers: list[Offer] = field(default_factory=list)
    lookups: list[Lookup] = field(default_factory=list)
    nodes: list[Node] = field(default_factory=list)


def services(store: Store, dissector: Dissector, rows: Rows, cancel: Cancel = never) -> Services:
    """Offers and lookups of the whole capture with the traffic of these rows. Raises Cancelled."""
    story = _Story()
    for columns, _ in pieces(store, range(len(store)), cancel):
        for number, place in enumerate(np.flatnonzero(_controls(columns)).tolist()):
            if number % _PART == 0 and cancel():
                raise Cancelled
            row = columns.first + place
            story.read(row, store.frame(row), int(columns.task[place]))
    for columns, places in pieces(store, rows, cancel):
        _count_sent(columns, places, story)
    for offer in story.offers:
        story.node(offer.end >> 32, offer.row).services += offer.until_row is None
    found = packets(store, dissector, rows, cancel)
    _count_traffic(story.offers, found)
    nodes = sorted(story.nodes.values(), key=lambda node: node.number)
    return Services(story.offers + _qmux_offers(found), story.lookups, nodes)


def _controls(columns: Columns) -> Mask:
    """Control packets: those of another type, and what programs and their name service send each other as data."""
    control = (columns.src_port == qrtr.PORT_CONTROL) | (columns.dst_port == qrtr.PORT_CONTROL)
    found: Mask = (columns.link == Link.QRTR) & np.where(
        columns.qrtr_type == qrtr.DATA, control & ~columns.plain, columns.qrtr_type != 0
    )
    return found


class _Story:
    """What the control packets read so far say. The tracker knows who offers what; here is when and why."""

    def __init__(self) -> None:
        self.offers: list[Offer] = []
        self.lookups: list[Lookup] = []
        self.nodes: dict[int, Node] = {}
        self._tracker = Tracker()
        self._open: dict[Address, Offer] = {}
        self._waiting: dict[int, list[Lookup]] = {}
        self._programs: dict[Address, int] = {}  # who said NEW_SERVER to its own name server

    def node(self, number: int, row: int) -> Node:
        """The node of this number, of which a row says something."""
        node = self.nodes.setdefault(number, Node(number, row))
        node.row = min(node.row, row)
        return node

    def read(self, row: int, frame: Frame, task: int) -> None:
        """Learn from the next control packet."""
        header = qrtr.parse_header(frame.data)
        control = qrtr.parse_control(frame.data, header.payload) if header is not None else None
        if header is None or control is None or (header.type == qrtr.DATA and header.size != 20):
            return
        sender = header.src_node, header.src_port
        client = end_of(sender)
        if control.cmd == qrtr.NEW_SERVER and header.src_port not in qrtr.CONTROL_PORTS:
            if frame.hook is not Hook.RECEIVED:
                self._programs[sender] = task
        elif control.cmd == qrtr.NEW_LOOKUP:
            self._look(Lookup(client, task, control.service, control.instance, row, frame.ts_ns))
        elif control.cmd == qrtr.DEL_LOOKUP:
            self._stop_looking(client, frame.ts_ns, "DEL_LOOKUP", control.service)
        elif control.cmd == qrtr.DEL_CLIENT:
            self._stop_looking(end_of(qrtr.control_address(control)), frame.ts_ns, "DEL_CLIENT")
        elif control.cmd == qrtr.HELLO:
            self.node(header.src_node, row).hello_ns = frame.ts_ns
        elif control.cmd == qrtr.BYE:
            # As the tracker reads it: the kernel's own BYE for a lost endpoint names no node.
            lost = header.src_node if header.src_port in qrtr.CONTROL_PORTS else control.service
            self.node(lost, row).bye_ns = frame.ts_ns
        if header.type == qrtr.DATA:
            return
        self._tracker.learn(frame.data, Link.QRTR)
        for address, server in self._tracker.changes:
            self._change(row, frame, address, server, qrtr.TYPES[control.cmd])
        self._tracker.changes.clear()

    def _look(self, lookup: Lookup) -> None:
        self.lookups.append(lookup)
        self._waiting.setdefault(lookup.client, []).append(lookup)
        lookup.found = sum(lookup.wants(offer.server) for offer in self._open.values())
        lookup.found_ns = lookup.since_ns if lookup.found else None

    def _stop_looking(self, client: int, ts_ns: int, why: str, service: int | None = None) -> None:
        left = []
        for lookup in self._waiting.pop(client, ()):
            if service is not None and lookup.service != service:
                left.append(lookup)
                continue
            lookup.until_ns, lookup.ended = ts_ns, why
        if left:
            self._waiting[client] = left

    def _change(self, row: int, frame: Frame, address: Address, server: Server | None, why: str) -> None:
        known = self._open.get(address)
        if known is not None:
            if known.server == server:
                return  # told again
            known.until_row, known.until_ns, known.ended = row, frame.ts_ns, why
            del self._open[address]
        if server is None:
            return
        before = bool(frame.flags & Flag.SYNTHETIC)
        offer = Offer(end_of(address), server, row, frame.ts_ns, before, self._programs.get(address))
        self._open[address] = offer
        self.offers.append(offer)
        for waiting in self._waiting.values():
            for lookup in waiting:
                if lookup.wants(server):
                    lookup.found += 1
                    lookup.found_ns = lookup.found_ns or frame.ts_ns


def _count_sent(columns: Columns, places: I8, story: _Story) -> None:
    """Add what each node sent, and whether it is this one."""
    places = places[(columns.link[places] == Link.QRTR) & (columns.qrtr_type[places] != 0)]
    numbers, first, of = np.unique(columns.src_node[places], return_index=True, return_inverse=True)
    count = np.bincount(of, minlength=len(numbers))
    size = np.bincount(of, columns.orig_len[places], len(numbers))
    # The name service itself passes on what a lost node would have said.
    own = np.isin(columns.hook[places], (Hook.LOCAL, Hook.SENT)) & (columns.src_port[places] != qrtr.PORT_CONTROL)
    own |= columns.direction[places] == Direction.OUTBOUND
    here = np.bincount(of[own], minlength=len(numbers))
    for at, number in enumerate(numbers.tolist()):
        node = story.node(number, columns.first + int(places[first[at]]))
        node.packets += int(count[at])
        node.bytes += int(size[at])
        node.local |= bool(here[at])


def _count_traffic(offers: list[Offer], found: Packets) -> None:
    """Fill in what went to and from each offer while it was there."""
    addresses = np.array([offer.end for offer in offers], np.uint64)
    from_one, to_one = np.isin(found.source, addresses), np.isin(found.target, addresses)
    to_one &= found.source != found.target
    ends = np.concatenate([found.source[from_one], found.target[to_one]])
    place = np.concatenate([np.flatnonzero(from_one), np.flatnonzero(to_one)])
    order = np.lexsort((place, ends))
    ends, place = ends[order], place[order]
    for offer in offers:
        end = np.uint64(offer.end)
        mine = place[np.searchsorted(ends, end, "left") : np.searchsorted(ends, end, "right")]
        begin, stop = np.searchsorted(found.row[mine], (offer.row, offer.until_row or _NEVER))
        mine = mine[begin:stop]
        mine = mine[found.service[mine] == offer.server.service]
        offer.traffic = _traffic(found.take(mine), end)
        own = mine[(found.source[mine] == end) & found.own[mine]]
        if offer.task is None and len(own):
            offer.task = int(found.task[own[0]])


def _traffic(found: Packets, end: np.uint64) -> Traffic:
    if not len(found.row):
        return Traffic()
    others = np.where(found.source == end, found.target, found.source)
    return Traffic(len(found.row), int(found.size.sum()), len(np.unique(others)), int(found.ts_ns[-1]))


def _qmux_offers(found: Packets) -> list[Offer]:
    """The services of a modem that is asked through QMUX: those that were talked to."""
    found = found.take(np.flatnonzero(found.source >> np.uint64(33) == QMUX >> 33))
    offers = []
    for service in np.unique(found.service).tolist():
        mine = found.take(np.flatnonzero(found.service == service))
        # All clients see the service at one end.
        end = np.uint64(QMUX | QMUX_SERVER | (service & 0xFF) << 8)
        server = np.bitwise_and(mine.source, np.uint64(QMUX_SERVER)) != 0
        mine = mine._replace(source=np.where(server, end, mine.source), target=np.where(server, mine.target, end))
        first, since = int(mine.row[0]), int(mine.ts_ns[0])
        offers.append(Offer(int(end), Server(service, -1), first, since, True, traffic=_traffic(mine, end)))
    return offers
