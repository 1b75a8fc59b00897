# SPDX-License-Identifier: GPL-2.0-or-later
"""A capture in which every type of field occurs, made of bytes; the comments count its frames."""

from __future__ import annotations

import struct
from functools import cache
from pathlib import Path

from qmisniff.definitions import Registry, open_registry
from qmisniff.dissect import Dissector
from qmisniff.filter import compile_filter
from qmisniff.frame import Direction, Frame, Hook, Link
from qmisniff.store import Store
from tests import factories
from tests.factories import HOST, MODEM, NEW_SERVER, qmi, qrtr, server, tlv

ROOT = Path(__file__).parents[2]
OK = tlv(2, bytes(4))
_CLIENT = (HOST, 0x4001)
NAS, DMS, WDS = 10, 11, 12  # ports


def _from_modem(port: int, message: bytes, at_ms: float = 30, lost: int = 0) -> Frame:
    packet = qrtr(message, (MODEM, port), _CLIENT)
    return factories.frame(packet, at_ms, Direction.INBOUND, Hook.RECEIVE, pid=-1, comm="", lost=lost)


def frames() -> list[Frame]:
    """The capture."""
    lte = struct.pack("<bbhh", -60, -10, -95, 123)
    settings = (
        tlv(0x10, "caf\u00e9".encode()),
        tlv(0x15, bytes([1, 1, 0, 10])),
        tlv(0x1E, bytes([7, 0, 0, 10])),
        tlv(0x22, b"\1"),
    )
    macs = b"\x0c" + bytes.fromhex("020000aabb01 020000aabb02")
    return [
        factories.frame(server(NEW_SERVER, 3, 1, MODEM, NAS)),  # 1
        factories.frame(server(NEW_SERVER, 2, 1, MODEM, DMS)),  # 2
        factories.frame(server(NEW_SERVER, 1, 1, MODEM, WDS)),  # 3
        factories.frame(qrtr(qmi(0, 1, 0x4F), _CLIENT, (MODEM, NAS)), 10),  # 4: get_signal_info
        _from_modem(  # 5: its response, with a TLV nobody has described
            NAS,
            qmi(2, 1, 0x4F, OK, tlv(0x14, lte), tlv(0x17, struct.pack("<hh", -110, -15)), tlv(0x99, b"Hello World\n")),
            25,
        ),
        _from_modem(DMS, qmi(2, 9, 0x25, tlv(2, struct.pack("<HH", 1, 3))), 26),  # 6: get_ids fails, INTERNAL
        _from_modem(WDS, qmi(2, 7, 0x2D, OK, *settings), 27),  # 7: get_current_settings
        _from_modem(DMS, qmi(2, 8, 0x5C, OK, tlv(0x10, macs)), 28, lost=3),  # 8: two MAC addresses
        _from_modem(NAS, qmi(2, 2, 0x4F, OK, tlv(0x14, lte[:4])), 29),  # 9: the struct is cut short
        factories.frame(b"\x01\x0c\x00\x00\x02\x01" + qmi(0, 1, 0x25), 31, link=Link.QMUX, pid=7),  # 10
        factories.frame(qrtr(bytes(range(40)), (HOST, 0x5001), (HOST, 0x5002)), 32, comm="a\tb\x1b[31m"),  # 11: not QMI
        factories.frame(b"", 33, comm="x" * 15),  # 12
    ]


@cache
def registry() -> Registry:
    return open_registry()


@cache
def dissector() -> Dissector:
    return Dissector(registry())


def numbers(text: str, store: Store) -> list[int]:
    """The numbers of the frames that pass a filter, asked one by one."""
    chosen = compile_filter(text, registry())
    rows = range(len(store))
    return [row + 1 for row in rows if chosen.matches(store.frame(row), store.context(row), dissector())]
