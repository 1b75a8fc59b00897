# SPDX-License-Identifier: GPL-2.0-or-later
"""`qmisniff export`: what qmisniff knows, for other programs."""

from __future__ import annotations

import argparse
import sys
from bisect import bisect_right
from collections.abc import Container, Iterable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import BinaryIO

from qmisniff.cli.files import open_input, say
from qmisniff.cli.verbs import Verbs, definitions_option, registry, service_number
from qmisniff.errors import CaptureFileError, UsageError
from qmisniff.printable import counted, plain

_NOTES = """\
The dissector decodes every value that qmisniff decodes, under the same filter names. It works on qmisniff's captures,
on exported PDUs named qrtr, qmux or qmi, on USER0 with bare QMUX, and on QMUX in USB captures. Wireshark loads
it from its folder of personal Lua plugins (About Wireshark > Folders), tshark with -X lua_script:FILE."""

_PCAPNG_NOTES = """\
Packets are copied as they are, with their times, options and comments, and so is everything in the file that is no
packet. QRTR packets do not name their service: the packets that announced it come along, unless --only is said.
Marks are those that the screen saves with a capture (qmisniff tui), as a comment.

Another link type is written where nothing is lost by it: tap, qmisniff's own (exported PDUs with a tap
header), or user0, bare QMUX frames as other tools write them. Of a USB capture both take the QMUX frames out, put
together, with their times and directions; what that leaves out is counted. A USB capture is made of nothing else."""


def add(verbs: Verbs) -> None:
    """Add the verb."""
    below = verbs.group("export", "write what qmisniff knows for other programs", "qmisniff export lua -o qmisniff.lua")
    added = below.add(
        lua,
        "write the definitions as a dissector for Wireshark",
        "qmisniff export lua --install",
        "qmisniff export lua --services nas,dms -o modem.lua",
        "tshark -X lua_script:qmisniff.lua -r modem.pcapng -Y qmi.nas.get_signal_info.lte.rsrp",
        notes=_NOTES,
    )
    where = added.add_mutually_exclusive_group()
    where.add_argument("-o", dest="out", metavar="FILE", help="the file to write; standard output where left out")
    where.add_argument(
        "--install", action="store_true", help="write it where Wireshark and tshark load it by themselves"
    )
    added.add_argument("--services", metavar="NAME,...", help="these services only, by name or number")
    definitions_option(added)

    added = below.add(
        pcapng,
        "write chosen packets of a capture as another capture",
        "qmisniff export pcapng modem.pcapng -Y 'qmi.service == nas' -w nas.pcapng",
        "qmisniff export pcapng modem.pcapng --frames 1,5-9 -w few.pcapng",
        "qmisniff export pcapng modem.pcapng --marked -w marked.pcapng",
        "qmisniff export pcapng usb.pcapng --link user0 -w qmux.pcapng",
        notes=_PCAPNG_NOTES,
    )
    added.add_argument("file", metavar="FILE", help="a pcapng or pcap file, - for standard input")
    added.add_argument(
        "-w", dest="write", metavar="OUT", required=True, help="the file to write, - for standard output"
    )
    added.add_argument("-Y", dest="filter", metavar="FILTER", help="only packets that pass a display filter")
    added.add_argument(
        "--only", action="store_true", help="without the packets that say which services the others' ports offer"
    )
    added.add_argument("--frames", metavar="N,N-N,...", type=Numbers, help="only packets with these numbers")
    added.add_argument("--marked", action="store_true", help="only packets that were marked on the screen and saved so")
    added.add_argument(
        "--link", choices=("tap", "user0"), help="the link type to write; that of the file where left out"
    )
    definitions_option(added)


def lua(options: argparse.Namespace) -> int:
    """`qmisniff export lua`: write the definitions as a dissector for Wireshark."""
    from qmisniff.lua import lua_text

    with registry(options) as definitions:
        if options.services is None:
            services = sorted(definitions.headers)
        else:
            services = sorted({service_number(word, definitions) for word in options.services.split(",")})
            for number in services:
                if definitions.service(number) is None:
                    raise UsageError(
                        f"service {number} has no definition", "`qmisniff dissectors list` has those that do"
                    )
        text = "".join(lua_text(definitions, services))
    if not options.install and options.out in (None, "-"):
        sys.stdout.write(text)
        return 0
    path = Path(options.out).expanduser() if options.out else _plugin()
    try:
        if options.install:
            path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="ascii")
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}", "choose another place with -o") from None
    if options.install:
        from qmisniff.cli.wireshark import lua_refused

        print(path)
        if refused := lua_refused():
            say(refused)
    return 0


def _plugin() -> Path:
    from qmisniff.cli.wireshark import lua_folder

    return lua_folder() / "qmisniff.lua"


def pcapng(options: argparse.Namespace) -> int:
    """`qmisniff export pcapng`: write chosen packets of a capture as another capture."""
    from qmisniff.export.link_types import Conversion
    from qmisniff.export.pcapng import Copier
    from qmisniff.readers.compressed import expand

    with _input(options) as stream:
        expanded, damage = expand(stream, options.file)
        rows, beside = _chosen(options, expanded)
        if options.link is None:
            conversion, copier = None, Copier(expanded, options.file)
        else:  # sees all packets: what one carries others may say
            conversion, rows = Conversion(options.link, rows), None
            copier = Copier(expanded, options.file, conversion, conversion.link_type)
        with _output(options) as sink:
            copier.into(sink, rows)
            missing = options.frames.beyond(copier.seen) if options.frames is not None else []
            damage = damage or copier.damage
            if missing and missing == options.frames.parts and not damage:
                raise UsageError(_missing(options.file, missing, copier.seen), "choose numbers that `read` prints")
    if missing:
        say(_missing(options.file, missing, copier.seen))
    why = f", {beside} of them because the others mean nothing without" if beside else ""
    print(f"{counted(copier.copied, 'packet')}{why}", file=sys.stderr)
    for line in conversion.losses if conversion is not None else ():
        say(line)
    if damage:
        print(f"qmisniff: {plain(damage)}", file=sys.stderr)
    return 1 if damage else 0


def _missing(file: str, parts: list[str], count: int) -> str:
    shown = ", ".join(parts[:5]) + (", ..." if len(parts) > 5 else "")
    return f"{file}: there is no frame {shown}, it has {counted(count, 'packet')}"


class Numbers:
    """Frame numbers as people write them, 1,5-9,20-: what rows they are. Raises ArgumentTypeError."""

    def __init__(self, text: str) -> None:
        ranges = []
        self.parts = [part.strip() for part in text.split(",")]
        for part in self.parts:
            first, dash, last = part.partition("-")
            if not first.isdecimal() or (last and not last.isdecimal()):
                raise argparse.ArgumentTypeError(f"{part!r} is neither a frame number nor a range such as 5-9")
            stop = int(last) if last else sys.maxsize if dash else int(first)
            if not 0 < int(first) <= stop:
                raise argparse.ArgumentTypeError(f"{part!r}: frames count from 1, ranges go up")
            ranges.append((int(first) - 1, stop))
        self._firsts = [first for first, _ in ranges]
        self._starts: list[int] = []
        self._stops: list[int] = []  # the first row behind each range; ranges that touch are one
        for start, stop in sorted(ranges):
            if self._stops and start <= self._stops[-1]:
                self._stops[-1] = max(stop, self._stops[-1])
            else:
                self._starts.append(start)
                self._stops.append(stop)

    def beyond(self, count: int) -> list[str]:
        """The parts of which none of so many frames is."""
        return [part for part, first in zip(self.parts, self._firsts, strict=True) if first >= count]

    def __contains__(self, row: object) -> bool:
        assert isinstance(row, int)
        at = bisect_right(self._starts, row) - 1
        return at >= 0 and row < self._stops[at]


def _chosen(options: argparse.Namespace, stream: BinaryIO) -> tuple[Container[int] | None, int]:
    """The rows to copy, None for all; and how many of them are there only because others need them."""
    from qmisniff.dissect import Dissector
    from qmisniff.export.announcements import announcing
    from qmisniff.export.transfers import transferring
    from qmisniff.filter import compile_filter
    from qmisniff.store import Store
    from qmisniff.store.load import Loader

    numbers = _numbers(options, stream)
    if options.filter is None and (options.only or numbers is None):
        return numbers, 0
    with registry(options) as definitions:
        chosen = compile_filter(options.filter, definitions) if options.filter is not None else None
        dissector, store = Dissector(definitions), Store()
        for _ in Loader(stream, options.file).into(store):
            pass
        passing: Iterable[int] = range(len(store))
        if chosen is not None:
            passing = (row for found in chosen.rows(store, dissector) for row in found.rows)
        rows = frozenset(row for row in passing if numbers is None or row in numbers)
        beside: frozenset[int] = frozenset()
        if not options.only:
            beside = announcing(store, rows, dissector) - rows
            if options.link is None:  # else messages are taken out of transfers, whole
                beside |= transferring(store, rows) - rows
        return rows | beside, len(beside)


def _numbers(options: argparse.Namespace, stream: BinaryIO) -> Container[int] | None:
    """The rows that --frames and --marked name; None where neither is said."""
    if not options.marked:
        rows: Container[int] | None = options.frames
        return rows
    from qmisniff.export.notes import notes_in

    marked = notes_in(stream, options.file).marked
    if not marked:
        raise UsageError(
            f"{options.file}: no packet is marked",
            "in `qmisniff tui` m marks, ctrl+s saves marks with a capture",
        )
    return frozenset(row for row in marked if options.frames is None or row in options.frames)


@contextmanager
def _input(options: argparse.Namespace) -> Iterator[BinaryIO]:
    """The capture, as a file that can seek: it is read more than once."""
    with open_input(options.file) as stream:
        if stream.seekable():
            yield stream
            return
        import shutil
        import tempfile

        with tempfile.TemporaryFile() as copy:
            try:
                shutil.copyfileobj(stream, copy)
            except OSError as error:
                raise CaptureFileError(f"no temporary copy of the capture: {error.strerror}", "set TMPDIR") from None
            copy.seek(0)
            yield copy


@contextmanager
def _output(options: argparse.Namespace) -> Iterator[BinaryIO]:
    from qmisniff.capture.files import create

    if options.write == "-" and sys.stdout.isatty():
        raise UsageError("-w - would write binary data to the terminal", "redirect it, or name a file")
    path = Path(options.write)
    if "-" not in (options.file, options.write) and path.exists() and path.samefile(options.file):
        raise UsageError(f"{path} is the capture that is read", "choose another name with -w")
    try:
        with nullcontext(sys.stdout.buffer) if options.write == "-" else create(path) as sink:
            yield sink
            sink.flush()
    except UsageError:
        if path.is_file() and options.write != "-":
            path.unlink()  # a part of what was asked for would be taken for it all
        raise
    except BrokenPipeError:
        raise
    except OSError as error:
        raise CaptureFileError(f"{path}: {error.strerror}", "what was written until then can be read") from None
