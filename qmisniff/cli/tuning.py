# SPDX-License-Identifier: GPL-2.0-or-later
"""The options that say how much a capture takes, with dumpcap's letters: -B, -s, -f."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from qmisniff.capture.source import Tuning

CAPTURE_FILTERS = """\
A capture filter (-f) is asked by the kernel, of every packet, before it costs anything:
  node N, port N              either end; src node N, dst port N: one end; names: bcast, ctrl
  type data                   or hello, bye, new_server, del_server, del_client, resume_tx, new_lookup, ...
  len < N                     or <= > >= == !=: bytes of the whole packet
  and or not ( )              also written && || !
What it leaves out is not lost: it is not counted. Services that were there before are told all the same."""
_MOST_MIB = 4096.0


def tuning_options(parser: argparse.ArgumentParser) -> None:
    """`-B MIB`, `-s BYTES`, `-f FILTER`."""
    parser.add_argument(
        "-B", dest="buffer", metavar="MIB", type=_mebibytes,
        help="the kernel's buffer of each CPU, in MiB; by default 0.5 to 4, what the memory allows",
    )  # fmt: skip
    parser.add_argument("-s", dest="snap", metavar="BYTES", type=_bytes, default=0, help="take so much of a packet")
    parser.add_argument(
        "-f", dest="capture_filter", metavar="FILTER", default="", help="take only packets that pass a capture filter"
    )


def tuning(options: argparse.Namespace) -> Tuning:
    """What these options ask for. Raises UsageError for a capture filter that is none."""
    from qmisniff.capture.capture_filter import parse
    from qmisniff.capture.source import Tuning

    chosen: str = options.capture_filter.strip()
    if chosen:
        parse(chosen)  # now, before anything is asked of any kernel
    return Tuning(options.buffer, options.snap, chosen)


def _mebibytes(text: str) -> int:
    """KiB."""
    try:
        size = float(text)
    except ValueError:
        size = 0.0
    if not 1 / 64 <= size <= _MOST_MIB:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of MiB from 1/64 to {_MOST_MIB:.0f}")
    return round(size * 1024)


def _bytes(text: str) -> int:
    """What dumpcap takes for all of a packet, 0, is all of it here, too."""
    if not text.isdecimal() or int(text) > 1 << 20:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of bytes")
    return int(text)
