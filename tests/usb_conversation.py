# SPDX-License-Identifier: GPL-2.0-or-later
"""Random USB captures: modems that speak QMUX or MBIM, whole, split, joined, damaged, and what else is on a bus."""

from __future__ import annotations

import random
import struct
from collections.abc import Callable

from qmisniff.protocol import mbim
from tests import factories
from tests.differential.corpus import SERVICES, cases, message, sample
from tests.differential.mutations import mutate
from tests.oracle.libqmi import qmux
from tests.usb_capture import IN, Bus, Record, cut, in_mbim, pieces

# Filters that tell the frames of such captures apart.
FILTERS = (
    "qmi", "qmux", "mbim", "usb", "usb.bus_id == 1 && usb.device_address == 6",
    "usb.transfer_type == 2 && !qmi", "qmi.service == dms", "qmi.type == 1", "not qmi.tlv.type == 2",
    "qmi.txn > 1 || qmi.msgid > 0x60", "qmi.dms.get_ids.imei", "qmux.reassembled_in", "qmux.part || mbim.part",
    "mbim.txn > 100", "usb.urb_status < 0", "usb.urb_id & 0x40", "usb.irp_info == 1", "usb.setup.wLength > 100",
    "usb.endpoint_address == 0x80", "qmi.result == failure", "qmi.response_to", "data.data contains 01:02",
    "frame.len > 100 && qmi", "expert.severity", "usb.urb_type == 'C'", "count(qmi.msgid) > 1",
    'usb.dst == "1.6.0"', "usb.data_len in {10..100}", "usbcom", "max(usb.bus_id, qmi.txn) == 1",
)  # fmt: skip

_REQUEST, _RESPONSE = 0, 1
_EVERY = [case for number in SERVICES if number < 256 for case in cases(number)]


def frame(rng: random.Random, kind: int) -> bytes:
    """A QMUX frame with a message of this kind."""
    case = rng.choice([case for case in rng.sample(_EVERY, 40) if case.kind == kind])
    data = sample(case, rng.getrandbits(32)).data
    if rng.random() < 0.3:
        data = message(case, factories.tlv(2, bytes(4)))
    return qmux(case.service.header.id, kind, data)


def _transfer(bus: Bus, data: bytes, to_host: bool) -> list[Record]:
    return bus.get(data) if to_host else bus.out(data)


def _plain(rng: random.Random, bus: Bus) -> list[Record]:
    case = rng.choice([case for case in rng.sample(_EVERY, 40) if case.kind == _RESPONSE])
    number = case.service.header.id
    asked = message(case._replace(kind=_REQUEST), b"")
    answered = sample(case, rng.getrandbits(32)).data
    return [*bus.out(qmux(number, 0, asked)), *bus.notification(), *bus.get(qmux(number, 1, answered))]


def _joined(rng: random.Random, bus: Bus) -> list[Record]:
    to_host = rng.random() < 0.8
    data = b"".join(frame(rng, _RESPONSE if to_host else _REQUEST) for _ in range(rng.randint(2, 4)))
    return _transfer(bus, data + bytes(rng.choice((0, 0, 1, 3))), to_host)


def _split(rng: random.Random, bus: Bus) -> list[Record]:
    to_host = rng.random() < 0.6
    data = b"".join(frame(rng, _RESPONSE if to_host else _REQUEST) for _ in range(rng.randint(1, 3)))
    places = sorted(rng.sample(range(1, len(data)), min(rng.randint(1, 4), len(data) - 1)))
    parts = [_transfer(bus, piece, to_host) for piece in pieces(data, *places)]
    if rng.random() < 0.3:
        del parts[rng.randrange(len(parts))]
    return [record for part in parts for record in part]


def _mbim(rng: random.Random, bus: Bus) -> list[Record]:
    kind = rng.choice((mbim.COMMAND, mbim.COMMAND_DONE, mbim.INDICATE_STATUS))
    to_host = kind != mbim.COMMAND
    data = b"".join(frame(rng, int(to_host)) for _ in range(rng.choice((1, 1, 2, 3))))
    fragment = rng.choice((0, 0, 64, 100, 500))
    parts = in_mbim(kind, data, rng.getrandbits(16), fragment)
    if rng.random() < 0.2:
        del parts[rng.randrange(len(parts))]
    return [record for part in parts for record in _transfer(bus, part, to_host)]


def _other_mbim(rng: random.Random, bus: Bus) -> list[Record]:
    """Messages of MBIM itself, and of a device service that is not QMI."""
    opened = bus.out(struct.pack("<IIII", 1, 16, 1, 4096)) + bus.get(struct.pack("<IIII", 0x80000001, 16, 1, 0))
    other = bytes(16) + struct.pack("<III", 1, 0, 4) + b"data"
    return opened + bus.out(struct.pack("<IIIII", mbim.COMMAND, 20 + len(other), 2, 1, 0) + other)


def _damaged(rng: random.Random, bus: Bus) -> list[Record]:
    to_host = rng.random() < 0.5
    data = mutate(rng, frame(rng, int(to_host))) or b"\1"
    if rng.random() < 0.3:
        data = mutate(rng, in_mbim(mbim.COMMAND_DONE if to_host else mbim.COMMAND, data)[0]) or b"\1"
    return _transfer(bus, data, to_host)


def _cut(rng: random.Random, bus: Bus) -> list[Record]:
    to_host = rng.random() < 0.5
    records = _transfer(bus, frame(rng, int(to_host)), to_host)
    at = int(to_host)
    size = len(records[at].data)
    records[at] = cut(records[at], rng.randrange(min(80, size - 1), size))
    return records


def _foreign(rng: random.Random, bus: Bus) -> list[Record]:
    """What looks like QMUX but is not of the right request, and what does not."""
    like, noise = frame(rng, rng.choice((_REQUEST, _RESPONSE))), rng.randbytes(rng.randint(1, 80))
    number = bus.number()
    return rng.choice(
        (
            bus.get(like, (0xA1, 0x21)),
            bus.get(like, (0x80, 0x06)),
            bus.get(noise, (0xC0, 0x10)),
            bus.get(noise),
            bus.out(like, (0x21, 0x20)),
            bus.out(noise, (0x40, 0x33)),
            bus.out(struct.pack("<III", 2, 24, 1) + bytes(12)),  # RNDIS
            bus.out(noise),
            bus.bulk(like),
            bus.bulk(noise),
            [Record(bus.record(2, IN, number, True, b"", like))],  # completed, never submitted
        )
    )


_KINDS: tuple[Callable[[random.Random, Bus], list[Record]], ...] = (
    _plain, _plain, _joined, _split, _split, _mbim, _mbim, _other_mbim, _damaged, _cut, _foreign, _foreign,
)  # fmt: skip


def conversation(seed: int, link_type: int, length: int = 60, order: str = "<") -> list[Record]:
    """What two modems of one bus and their host say to each other, from somewhere in the middle on."""
    rng = random.Random(f"{seed} {link_type}")
    buses = Bus(link_type, 5, order=order), Bus(link_type, 6, order=order)
    queues = [[record for _ in range(length) for record in rng.choice(_KINDS)(rng, bus)] for bus in buses]
    records: list[Record] = []
    while queue := [each for each in queues if each]:
        records.append(rng.choice(queue).pop(0))
    return records[rng.randint(0, 3) :]


def damaged(link_type: int, conversations: int) -> list[Record]:
    """Conversations of which every other record is changed at random, headers included."""
    rng = random.Random(f"damage {link_type} {conversations}")
    return [
        Record(mutate(rng, record.data) or b"\0", record.left_out) if rng.random() < 0.5 else record
        for seed in range(conversations)
        for record in conversation(seed, link_type)
    ]
