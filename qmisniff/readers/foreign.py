# SPDX-License-Identifier: GPL-2.0-or-later
"""Captures in any format that tshark opens, through pyshark: their packets as a temporary pcapng file.

Time, bytes and original length of every packet are kept; what else the format says is not.
"""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO, NamedTuple

from qmisniff import __version__, pcapng
from qmisniff.errors import CaptureFileError
from qmisniff.pcapng import pack_block, pack_section, split_ts
from qmisniff.readers.converted import Converted

_NS = 1_000_000_000
# Wireshark's numbers of encapsulations (wiretap/wtap.h) -> link types of pcapng.
_LINK_TYPES = {45 + user: 147 + user for user in range(16)} | {95: 189, 115: 220, 152: 249, 155: 252}
_MOST = 300  # characters of what tshark says
_UNKNOWN = 0xFFFF  # is shown as bytes


class _Packet(NamedTuple):
    encapsulation: int
    ts_ns: int
    data: bytes
    original: int


def as_pcapng(path: Path, say: Callable[[str], None]) -> Converted:
    """The packets of the file at `path` as pcapng, in a file that nobody else sees.

    Raises CaptureFileError where tshark is not installed, cannot read the file, or finds nothing that could be QMI.
    """
    wrong = f"{path}: not a capture file of qmisniff's (pcapng, pcap)"
    if shutil.which("tshark") is None:
        raise CaptureFileError(wrong, "with tshark installed, whatever tshark opens is read")
    with tempfile.TemporaryFile() as made:
        try:
            # pyshark has an event loop of its own, which cannot run where one runs already.
            with ThreadPoolExecutor(1) as thread:
                link_types, complaint = thread.submit(_write, path, made).result()
        except OSError as error:
            raise CaptureFileError(f"{path}: {error.strerror}", "") from None
        except KeyError:
            raise CaptureFileError(wrong, "tshark opens it, but finds no packets with times") from None
        if not link_types and complaint:
            raise CaptureFileError(wrong, f"tshark cannot read it either: {complaint}")
        if not link_types - {_UNKNOWN}:
            raise CaptureFileError(wrong, "tshark opens it, but finds none of the link types that carry QMI")
        say(f"{path.name} is in another format than pcapng and pcap: tshark has read it")
        return Converted(made, complaint)


def _write(path: Path, sink: BinaryIO) -> tuple[set[int], str]:
    """Write the packets; their link types, and what tshark found wrong with the file, "" where nothing."""
    sink.write(pack_section({pcapng.SHB_APPLICATION: f"qmisniff {__version__}, tshark".encode()}))
    interfaces: dict[int, int] = {}
    packets = _Packets(path)
    for packet in packets:
        link_type = _LINK_TYPES.get(packet.encapsulation, _UNKNOWN)
        if link_type not in interfaces:
            interfaces[link_type] = len(interfaces)
            options = {pcapng.IF_TSRESOL: b"\x09", pcapng.IF_DESCRIPTION: f"{path.name}, read by tshark".encode()}
            sink.write(pack_block(pcapng.INTERFACE, link_type, 0, 0, options=options))
        number, when, captured = interfaces[link_type], split_ts(packet.ts_ns), len(packet.data)
        sink.write(pack_block(pcapng.PACKET, number, *when, captured, packet.original, body=packet.data))
    return set(interfaces), packets.complaint


def nanoseconds(text: str) -> int:
    """Since 1970, of a time as tshark writes it: seconds, or, from 4.6 on, ISO 8601 in UTC."""
    whole, _, fraction = text.rstrip("Z").partition(".")
    seconds = int(datetime.fromisoformat(whole).replace(tzinfo=UTC).timestamp()) if "T" in whole else int(whole)
    return seconds * _NS + int(fraction[:9].ljust(9, "0"))


class _Packets:
    """The packets that tshark finds in a file. `complaint` is what it says is wrong, complete after the last one."""

    def __init__(self, path: Path) -> None:
        self.complaint = ""
        self._path = path

    def __iter__(self) -> Iterator[_Packet]:
        import pyshark
        from pyshark.capture.capture import TSharkCrashException

        loop = asyncio.new_event_loop()
        options = {"use_json": True, "include_raw": True, "keep_packets": False, "custom_parameters": ["-n"]}
        capture = pyshark.FileCapture(str(self._path), eventloop=loop, **options)
        try:
            try:
                for packet in capture:
                    about = packet.frame_info
                    when = nanoseconds(about.time_epoch)
                    data = packet.get_raw_packet() if int(about.cap_len) else b""
                    yield _Packet(int(about.encap_type), when, data, int(about.len))
            except TSharkCrashException as error:
                # The end of a process may be noticed by two, and then its exit code is lost: 255.
                self.complaint = "" if "retcode: 255" in str(error) else "tshark failed"
            # Whether it has failed is not always noticed: what it said is the surer sign.
            loop.run_until_complete(asyncio.gather(*capture._stderr_handling_tasks))
            said = capture._last_error_line or ""
            if said.startswith("tshark: "):
                self.complaint = said[:_MOST]
        finally:
            # Of a tshark that failed pyshark would tell again, on standard error, when it is collected.
            capture._running_processes.clear()
            loop.close()
