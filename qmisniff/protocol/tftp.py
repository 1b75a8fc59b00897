# SPDX-License-Identifier: GPL-2.0-or-later
"""TFTP over QRTR: how a modem reads and writes files of Linux. The packets are those of RFC 1350 and RFC 2347.

Qualcomm adds options (`wsize`, `rsize`, `seek`, `timeoutms`) and error 9 (see tqftpserv). The names are those of
Wireshark's dissector. As over UDP, a request goes to the announced port, and is answered from a port of its own.
"""

from __future__ import annotations

from typing import NamedTuple

from qmisniff.field import FieldSpec, Kind
from qmisniff.protocol.layout import Row

SERVICE = 4096  # of QRTR; the packets are no QMI messages
RRQ, WRQ, DATA, ACK, ERROR, OACK = 1, 2, 3, 4, 5, 6
OPCODES = {
    RRQ: "Read Request",
    WRQ: "Write Request",
    DATA: "Data Packet",
    ACK: "Acknowledgement",
    ERROR: "Error Code",
    OACK: "Option Acknowledgement",
}
ERRORS = {
    0: "Not defined",
    1: "File not found",
    2: "Access violation",
    3: "Disk full or allocation exceeded",
    4: "Illegal TFTP Operation",
    5: "Unknown transfer ID",
    6: "File already exists",
    7: "No such user",
    8: "Option negotiation failed",
    9: "End of transfer",  # Qualcomm's: the reader has what it wanted
}
_MAX_OPTIONS = 64

_OPCODE = FieldSpec("tftp.opcode", "Opcode", Kind.UINT, 2, labels=OPCODES)
_SOURCE_FILE = FieldSpec("tftp.source_file", "Source File", Kind.STRING)
_DESTINATION_FILE = FieldSpec("tftp.destination_file", "Destination File", Kind.STRING)
_TYPE = FieldSpec("tftp.type", "Type", Kind.STRING)
_OPTION_NAME = FieldSpec("tftp.option.name", "Option name", Kind.STRING)
_OPTION_VALUE = FieldSpec("tftp.option.value", "Option value", Kind.STRING)
_BLOCK = FieldSpec("tftp.block", "Block", Kind.UINT, 2)
_ERROR_CODE = FieldSpec("tftp.error.code", "Error code", Kind.UINT, 2, labels=ERRORS)
_ERROR_MESSAGE = FieldSpec("tftp.error.message", "Error message", Kind.STRING)
SPECS = (
    _OPCODE,
    _SOURCE_FILE,
    _DESTINATION_FILE,
    _TYPE,
    _OPTION_NAME,
    _OPTION_VALUE,
    _BLOCK,
    _ERROR_CODE,
    _ERROR_MESSAGE,
)


class Packet(NamedTuple):
    """What was read of a packet, up to `end`. Behind it are the file's bytes in a DATA packet, and in any other what
    should not be there; `problem` says what is wrong, "" where nothing is."""

    text: str
    rows: list[Row]
    end: int
    problem: str


def is_request(payload: bytes) -> bool:
    """Whether a packet to the announced port asks for a transfer."""
    return payload[:2] in (b"\0\1", b"\0\2")


def is_answer(payload: bytes) -> bool:
    """Whether a packet can be the first of the port that a transfer is answered from."""
    return payload[:2] in (b"\0\3", b"\0\4", b"\0\5", b"\0\6")


def parse(data: bytes, start: int, end: int) -> Packet:
    """The packet in `data[start:end]`, as far as it is one."""
    opcode = _word(data, start, end)
    if opcode is None:
        return Packet("cut short", [], start, "the TFTP packet is cut short")
    rows: list[Row] = [(_OPCODE, opcode, start, 2)]
    at = start + 2
    if opcode not in OPCODES:
        return Packet(f"opcode {opcode}", rows, at, f"TFTP opcode {opcode} is unknown")
    text, problem = OPCODES[opcode], ""
    if opcode in (DATA, ACK, ERROR):
        number = _word(data, at, end)
        if number is None:
            return Packet(text, rows, at, "the TFTP packet is cut short")
        rows.append((_ERROR_CODE if opcode == ERROR else _BLOCK, number, at, 2))
        at += 2
        if opcode == ERROR:
            at, problem, words = _strings(data, at, end, rows, [_ERROR_MESSAGE])
            text += f", Code: {ERRORS.get(number, number)}" + "".join(f", Message: {word}" for word in words)
        else:
            text += f", Block: {number}"
    else:
        names = [] if opcode == OACK else [_SOURCE_FILE if opcode == RRQ else _DESTINATION_FILE, _TYPE]
        at, problem, values = _strings(data, at, end, rows, [*names, *[_OPTION_NAME, _OPTION_VALUE] * _MAX_OPTIONS])
        named, options = values[: len(names)], values[len(names) :]
        text += "".join(f", {label}: {value}" for label, value in zip(("File", "Transfer type"), named, strict=False))
        text += "".join(f", {name}={value}" for name, value in zip(options[::2], options[1::2], strict=False))
        if len(values) < len(names):
            problem = problem or f"there is no {names[len(values)].label.lower()}"
        elif len(options) % 2:
            problem = problem or "the last option has no value"
    if opcode != DATA and at < end:
        problem = problem or f"{end - at} bytes after the TFTP packet"
    return Packet(text, rows, at, problem)


def _word(data: bytes, at: int, end: int) -> int | None:
    """Two bytes in network order; None where they are not all there."""
    return int.from_bytes(data[at : at + 2], "big") if at + 2 <= end else None


def _strings(data: bytes, at: int, end: int, rows: list[Row], specs: list[FieldSpec]) -> tuple[int, str, list[str]]:
    """Append texts that end with a zero byte as the fields of `specs`: where they end, what is wrong, the texts."""
    texts: list[str] = []
    for spec in specs:
        if at >= end:
            break
        zero = data.find(b"\0", at, end)
        stop = end if zero < 0 else zero
        texts.append(data[at:stop].decode("utf-8", "backslashreplace"))
        rows.append((spec, texts[-1], at, min(stop + 1, end) - at))
        if zero < 0:
            return end, f"{spec.label.lower()} without an end", texts
        at = zero + 1
    return at, "", texts
