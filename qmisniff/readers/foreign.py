# SPDX-License-Identifier: GPL-2.0-or-later
"""Captures in any format that tshark opens, through pyshark: their packets as a temporary pcapng file.

Time, bytes and original length of every packet are kept; what else the format says is not.
"""

from __future__ import annotations

import asyncio
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import BinaryIO, NamedTuple

from qmisniff import __version__, pcapng
from qmisniff.errors import CaptureFileError
from qmisniff.pcapng import pack_block, pack_section, split_ts

_NS = 1_000_000_000
# Wireshark's numbers of encapsulations (wiretap/wtap.h) -> link types of pcapng.
_LINK_TYPES = {45 + user: 147 + user for user in range(16)} | {95: 189, 115: 220, 152: 249, 155: 252}
_REASON = re.compile(r"Last error line: (.*)")
_UNKNOWN = 0xFFFF  # is shown as bytes


class _Packet(NamedTuple):
    encapsulation: int
    ts_ns: int
    data: bytes
    original: int


def as_pcapng(path: Path, say: Callable[[str], None]) -> BinaryIO:
    """The packets of the file at `path` as pcapng, in a file that nobody else sees.

    Raises CaptureFileError where tshark is not installed, cannot read the file, or finds nothing that could be QMI.
    """
    wrong = f"{path}: not a capture file of qmisniff's (pcapng, pcap)"
    if shutil.which("tshark") is None:
        raise CaptureFileError(wrong, "with tshark installed, whatever tshark opens is read")
    made: BinaryIO = tempfile.TemporaryFile()  # noqa: SIM115 - handed on
    try:
        # pyshark has an event loop of its own, which cannot run where one runs already.
        with ThreadPoolExecutor(1) as thread:
            known = thread.submit(_write, path, made).result()
    except OSError as error:
        made.close()
        raise CaptureFileError(f"{path}: {error.strerror}", "") from None
    except KeyError:
        made.close()
        raise CaptureFileError(wrong, "tshark opens it, but finds no packets with times") from None
    except _unreadable() as error:
        made.close()
        reason = _REASON.search(str(error))
        raise CaptureFileError(wrong, f"tshark cannot read it either: {reason[1][:200] if reason else error}") from None
    if not known:
        made.close()
        raise CaptureFileError(wrong, "tshark opens it, but finds none of the link types that carry QMI")
    say(f"{path.name} is neither pcapng nor pcap: tshark has read it")
    made.seek(0)
    return made


def _unreadable() -> type[Exception]:
    from pyshark.capture.capture import TSharkCrashException

    found: type[Exception] = TSharkCrashException
    return found


def _write(path: Path, sink: BinaryIO) -> bool:
    """Write the packets; whether there is one of a link type that carries QMI."""
    sink.write(pack_section({pcapng.SHB_APPLICATION: f"qmisniff {__version__}, tshark".encode()}))
    interfaces: dict[int, int] = {}
    for packet in _packets(path):
        link_type = _LINK_TYPES.get(packet.encapsulation, _UNKNOWN)
        if link_type not in interfaces:
            interfaces[link_type] = len(interfaces)
            options = {pcapng.IF_TSRESOL: b"\x09", pcapng.IF_DESCRIPTION: f"{path.name}, read by tshark".encode()}
            sink.write(pack_block(pcapng.INTERFACE, link_type, 0, 0, options=options))
        number, when, captured = interfaces[link_type], split_ts(packet.ts_ns), len(packet.data)
        sink.write(pack_block(pcapng.PACKET, number, *when, captured, packet.original, body=packet.data))
    return bool(set(interfaces) - {_UNKNOWN})


def _packets(path: Path) -> Iterator[_Packet]:
    import pyshark

    loop = asyncio.new_event_loop()
    capture = pyshark.FileCapture(
        str(path), use_json=True, include_raw=True, keep_packets=False, custom_parameters=["-n"], eventloop=loop
    )
    try:
        for packet in capture:
            about = packet.frame_info
            seconds, _, fraction = about.time_epoch.partition(".")
            ts_ns = int(seconds) * _NS + int(fraction[:9].ljust(9, "0"))
            yield _Packet(int(about.encap_type), ts_ns, packet.get_raw_packet(), int(about.len))
        capture.close()
    except _unreadable() as error:
        # The end of a process may be noticed by two, and then its exit code is lost: 255, after the last packet.
        if "retcode: 255" not in str(error):
            raise
    finally:
        # Of a tshark that failed pyshark would tell again, on standard error, when it is collected.
        capture._running_processes.clear()
        loop.close()
