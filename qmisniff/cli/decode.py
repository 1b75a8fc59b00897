# SPDX-License-Identifier: GPL-2.0-or-later
"""`qmisniff decode`: packets given as hexadecimal text."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING

from qmisniff.cli.verbs import FORMATS, Verbs, definitions_option, registry, service_number
from qmisniff.errors import UsageError

if TYPE_CHECKING:
    from qmisniff.frame import Link

_NOTES = """\
The bytes may stand in any notation: bare, with spaces or colons, as a C array. Without HEX, standard input is read:
one packet a line, hex dumps (xxd, hexdump -C, tshark -x), each beginning at offset 0, C arrays, or a log of libqmi or
ModemManager that has messages (`qmicli --verbose`).

QRTR, QMUX and MBIM packets are known by their headers. A bare QMI message does not say of which service it is, nor
does a QRTR data packet: --service does. Packets of one call are one conversation: a NEW_SERVER among them says what
its port offers."""

_FORMATS = [name for name in FORMATS if name not in ("fields", "csv")]  # what is typed in has no packet list


def add(verbs: Verbs) -> None:
    """Add the verb."""
    added = verbs.add(
        decode,
        "decode packets given as hexadecimal text",
        "qmisniff decode 01 0c 00 00 02 01 00 01 00 25 00 00 00",
        "qmisniff decode --service dms 02:01:00:25:00:07:00:02:04:00:00:00:00:00",
        "xxd packet.bin | qmisniff decode -T json --service 3",
        "qmicli --verbose -p -d /dev/cdc-wdm0 --dms-get-ids 2>&1 | qmisniff decode",
        notes=_NOTES,
    )
    added.add_argument("hex", nargs="*", metavar="HEX", help="the bytes of one packet; standard input where left out")
    added.add_argument("-T", dest="format", choices=_FORMATS, default="text", help="output format")
    added.add_argument("--service", metavar="NAME|N", help="the service of a message that does not say it")
    definitions_option(added)


def decode(options: argparse.Namespace) -> int:
    """`qmisniff decode`: print packets given as hexadecimal text."""
    from qmisniff.dissect import Dissector
    from qmisniff.export import Detail, open_format
    from qmisniff.frame import Frame, Link
    from qmisniff.hextext import parse_hex, parse_packets
    from qmisniff.tracker import Tracker

    with registry(options) as definitions:
        service = None if options.service is None else service_number(options.service, definitions)
        packets = [parse_hex(" ".join(options.hex))] if options.hex else parse_packets(_standard_input())
        if not any(packets):
            raise UsageError("no bytes to decode", "bytes such as 01 0c 00")
        frames = [Frame(0, data, len(data), _link(data, service)) for data in packets]
        tracker = Tracker()
        for frame in frames:
            tracker.add(frame)
        form = open_format(options.format, Dissector(definitions), sys.stdout, Detail(tree=True, frame=False))
        unknown = False
        for row, frame in enumerate(frames):
            context = tracker.context(row)
            if context.service is None and frame.link in (Link.QRTR, Link.QMI):
                context = context._replace(service=service)
                unknown |= service is None and _is_data(frame.data)
            form.write(frame, context)
        form.close()
        sys.stdout.flush()
        if unknown:
            print("qmisniff: which service the port offers is not known: --service NAME decodes more", file=sys.stderr)
    return 0


def _is_data(data: bytes) -> bool:
    from qmisniff.protocol import qrtr

    header = qrtr.parse_header(data)
    if header is None or header.type != qrtr.DATA:
        return False
    return qrtr.PORT_CONTROL not in (header.src_port, header.dst_port)


def _link(data: bytes, service: int | None) -> Link:
    """What the bytes begin with. With a service, a bare message comes first if its lengths say that it is one."""
    from qmisniff.frame import Link
    from qmisniff.hextext import guess_link
    from qmisniff.protocol import qmi

    message = qmi.parse_header(data, 0, service == qmi.CTL)
    whole = message is not None and message.type <= qmi.INDICATION and message.tlvs + message.length == len(data)
    if service is not None and whole:
        return Link.QMI
    link = guess_link(data)
    if link is not None:
        return link
    if service is None:
        what = "it could be a bare QMI message" if whole else "neither QRTR, QMUX nor MBIM"
        raise UsageError(f"{data[:8].hex(' ')}...: {what}", "--service NAME for a bare message")
    return Link.QMI


def _standard_input() -> str:
    if sys.stdin.isatty():
        print("reading hexadecimal text from the terminal until ctrl+d", file=sys.stderr)
    return sys.stdin.buffer.read().decode("utf-8", "replace")
