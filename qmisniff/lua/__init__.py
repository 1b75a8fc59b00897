# SPDX-License-Identifier: GPL-2.0-or-later
"""Definitions -> a Wireshark dissector in one Lua file: generated tables, then the runtime that reads them.

The runtime is the files of `runtime/`, put one behind the other: they are one Lua chunk. It runs under Lua 5.2
(Wireshark up to 4.2) and 5.3, 5.4 (from 4.4).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from importlib.resources import files

from qmisniff import __version__
from qmisniff.definitions import Registry
from qmisniff.lua.tables import tables

# Each part uses those before it.
_PARTS = (
    "fields",
    "text",
    "types",
    "protobuf",
    "message",
    "tftp",
    "tracker",
    "transport",
    "qmux",
    "parts",
    "mbim",
    "transfers",
    "usb",
    "register",
)

_HEAD = f"""\
-- SPDX-License-Identifier: GPL-2.0-or-later
-- Wireshark dissector for QRTR, QMUX and QMI, written by qmisniff {__version__} from its definitions.
--
--   tshark -X lua_script:qmisniff.lua -r modem.pcapng     or copy it into Wireshark's folder of personal Lua plugins
--
-- Do not edit: change the definitions and export again. First come the definitions as tables, then the runtime.
"""


def lua_text(registry: Registry, services: Iterable[int]) -> Iterator[str]:
    """The dissector for these services, in pieces of text."""
    yield _HEAD
    yield from tables(registry, services)
    for part in _PARTS:
        yield files(__name__).joinpath("runtime", f"{part}.lua").read_text(encoding="utf-8")
