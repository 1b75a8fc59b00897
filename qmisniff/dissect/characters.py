# SPDX-License-Identifier: GPL-2.0-or-later
"""The type of a text or an address -> what turns its bytes into characters."""

from __future__ import annotations

from collections.abc import Callable

from qmisniff.definitions.model import Address, Text, Type
from qmisniff.dissect import values

DECODED = "decoded"  # the encoding of text that has been decoded already
_TEXT = {"string": values.text, "utf16": values.utf16, "gsm7": values.gsm7, "bcd": values.bcd}
_ADDRESS = {
    ("ipv4", False): values.ipv4_le,
    ("ipv4", True): values.ipv4,
    ("ipv6", False): values.ipv6,
    ("ipv6", True): values.ipv6,
    ("mac", False): values.mac,
    ("mac", True): values.mac,
    ("plmn", False): values.plmn,
    ("plmn", True): values.plmn,
}


def characters_from(kind: Type) -> Callable[[bytes], str]:
    """What turns the bytes of a text or an address into characters."""
    if isinstance(kind, Text):
        return _TEXT[kind.encoding]
    assert isinstance(kind, Address)
    return _ADDRESS[kind.form, kind.big_endian]
