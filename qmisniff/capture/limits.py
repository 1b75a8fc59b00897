# SPDX-License-Identifier: GPL-2.0-or-later
"""When a capture ends, and when it goes on in another file: dumpcap's options -a and -b (see dumpcap(1)).

Where dumpcap lets a value through that makes no sense, it is refused here.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from qmisniff.errors import UsageError

_MOST_FILES = 99_999  # their numbers have five digits
_MOST_KILOBYTES = 2_097_151  # 2 GiB


class Limits(NamedTuple):
    """What comes first counts; None sets no limit. A kilobyte has 1000 bytes.

    `interval` is at every moment that is a multiple of so many seconds. `files` is after how many to end, or how many
    to keep.
    """

    packets: int | None = None
    kilobytes: int | None = None
    seconds: float | None = None
    interval: int | None = None
    files: int | None = None


NO_LIMITS = Limits()


def stop_limits(conditions: Iterable[str]) -> Limits:
    """What the values of -a stand for. Raises UsageError."""
    return _parsed("-a", conditions, ("duration", "filesize", "files", "packets"))


def switch_limits(conditions: Iterable[str]) -> Limits:
    """What the values of -b stand for. Raises UsageError."""
    limits = _parsed("-b", conditions, ("duration", "filesize", "files", "interval", "packets"))
    if limits.files is not None and limits == NO_LIMITS._replace(files=limits.files):
        raise UsageError("-b files does not say when to go to the next file", "add -b filesize:KB or -b duration:S")
    return limits


def _parsed(option: str, conditions: Iterable[str], known: tuple[str, ...]) -> Limits:
    limits = NO_LIMITS
    for condition in conditions:
        name, _, text = condition.partition(":")
        if name not in known:
            raise UsageError(f"{option} {condition}: not understood", f"{option} {'|'.join(known)}:VALUE")
        text = text.strip()
        if name == "duration":
            limits = limits._replace(seconds=_seconds(option, condition, text))
            continue
        number = int(text) if text.isascii() and text.isdecimal() and len(text) < 19 else 0
        if not number:
            raise UsageError(f"{option} {condition}: {text!r} is no whole number above 0")
        if name == "filesize" and number > _MOST_KILOBYTES:
            raise UsageError(f"{option} {condition}: a file has at most {_MOST_KILOBYTES} kB")
        if name == "files" and number > _MOST_FILES:
            raise UsageError(f"{option} {condition}: there are at most {_MOST_FILES} files")
        limits = _with(limits, name, number)
    return limits


def _with(limits: Limits, name: str, number: int) -> Limits:
    match name:
        case "filesize":
            return limits._replace(kilobytes=number)
        case "files":
            return limits._replace(files=number)
        case "interval":
            return limits._replace(interval=number)
        case _:
            return limits._replace(packets=number)


def _seconds(option: str, condition: str, text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0
    if not 0 < seconds < 1e9:  # also not a number
        raise UsageError(f"{option} {condition}: {text!r} is no number of seconds above 0")
    return seconds
