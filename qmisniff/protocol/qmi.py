# SPDX-License-Identifier: GPL-2.0-or-later
"""QMI messages: the header of a service message, that of the CTL service, and the TLV head.

Layouts: Linux drivers/soc/qcom/qmi_interface.c (struct qmi_header); libqmi src/libqmi-glib/qmi-message.c.
"""

from __future__ import annotations

from struct import Struct
from typing import NamedTuple

from qmisniff.field import FieldSpec, Kind
from qmisniff.protocol.errors import ERRORS, RESULTS
from qmisniff.protocol.layout import Item, Layout

CTL = 0  # the one service with a header of its own
REQUEST, RESPONSE, INDICATION = 0, 1, 2
TYPES = {REQUEST: "Request", RESPONSE: "Response", INDICATION: "Indication"}
RESULT_TLV = 0x02
NOT_QMI = frozenset({4096, 4097, 5012})  # QRTR services with datagrams of another make: TFTP, DIAG, FastRPC

SERVICE_HEADER = Layout(
    "qmi",
    [
        Item("flags", 1, "Flags", hex=True),
        Item("txn", 2, "Transaction"),
        Item("msgid", 2, "Message", hex=True),
        Item("length", 2, "Length"),
    ],
)
CTL_HEADER = Layout(
    "qmi",
    [
        Item("flags", 1, "Flags", hex=True),
        Item("txn", 1, "Transaction"),
        Item("msgid", 2, "Message", hex=True),
        Item("length", 2, "Length"),
    ],
)
TLV_HEAD = Struct("<BH")

SERVICE = FieldSpec("qmi.service", "Service", Kind.UINT)
INSTANCE = FieldSpec("qmi.instance", "Instance", Kind.UINT)
TYPE = FieldSpec("qmi.type", "Type", Kind.UINT, 1, labels=TYPES)
COMPOUND = FieldSpec("qmi.compound", "Compound", Kind.BOOL, 1)
TLV_TYPE = FieldSpec("qmi.tlv.type", "Type", Kind.UINT, 1, hex=True)
TLV_LENGTH = FieldSpec("qmi.tlv.length", "Length", Kind.UINT, 2)
TLV_VALUE = FieldSpec("qmi.tlv.value", "Value", Kind.BYTES)  # of a TLV nobody has described
RESULT = FieldSpec("qmi.result", "Result", Kind.UINT, 2, labels=RESULTS)
ERROR = FieldSpec("qmi.error", "Error", Kind.UINT, 2, labels=ERRORS)
RESPONSE_TO = FieldSpec("qmi.response_to", "Response to frame", Kind.UINT)
RESPONSE_IN = FieldSpec("qmi.response_in", "Response in frame", Kind.UINT)
TIME = FieldSpec("qmi.time", "Time since request", Kind.FLOAT, unit="s")
SPECS = (
    SERVICE,
    INSTANCE,
    TYPE,
    COMPOUND,
    TLV_TYPE,
    TLV_LENGTH,
    TLV_VALUE,
    RESULT,
    ERROR,
    RESPONSE_TO,
    RESPONSE_IN,
    TIME,
)


class Header(NamedTuple):
    """A message header; `type` is REQUEST, RESPONSE or INDICATION (3 where the flags say none of them), `tlvs` where
    the TLVs begin, `length` what the header claims they take."""

    type: int
    compound: bool
    txn: int
    msgid: int
    length: int
    tlvs: int


def looks_like_message(data: bytes, start: int, end: int) -> bool:
    """Could these bytes of an unknown service be a QMI message? The flags and the length must be right."""
    header = parse_header(data[:end], start)
    return header is not None and header.type <= INDICATION and header.tlvs + header.length == end


def parse_header(data: bytes, offset: int, ctl: bool = False) -> Header | None:
    """The message header at `offset`, None where `data` ends inside it."""
    layout = CTL_HEADER if ctl else SERVICE_HEADER
    if len(data) - offset < layout.size:
        return None
    flags, txn, msgid, length = layout.struct.unpack_from(data, offset)
    # CTL counts 0, 1, 2; the other services 0, 2, 4 with bit 0 for compound messages.
    kind = min(flags, 3) if ctl else min(flags >> 1, 3)
    return Header(kind, not ctl and flags & 1 == 1, txn, msgid, length, offset + layout.size)
