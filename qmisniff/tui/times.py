# SPDX-License-Identifier: GPL-2.0-or-later
"""How the list shows times: since the beginning, since the packet above, of the clock."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timezone
from typing import NamedTuple


class TimeFormat(NamedTuple):
    """`text` makes it of the packet's time, the time that times count from, and the packet's above; nanoseconds."""

    title: str
    width: int
    text: Callable[[int, int, int], str]


def seconds(ns: int) -> str:
    """A span as seconds with microseconds, as Wireshark's default time column; rounded, as `read` prints it."""
    return f"{ns / 1e9:z.6f}"


def _epoch(ts_ns: int) -> str:
    """A moment as seconds since 1970."""
    return f"{ts_ns // 1_000_000_000}.{ts_ns // 1000 % 1_000_000:06}"


def _moment(pattern: str, zone: timezone | None = None) -> Callable[[int, int, int], str]:
    def text(ts_ns: int, start_ns: int, before_ns: int) -> str:
        try:
            moment = datetime.fromtimestamp(ts_ns // 1_000_000_000, zone)
        except (OverflowError, ValueError, OSError):
            return _epoch(ts_ns)
        return f"{moment:{pattern}}.{ts_ns // 1000 % 1_000_000:06}"

    return text


DEFAULT = "relative"
TIME_FORMATS = {
    "relative": TimeFormat("seconds since the beginning", 11, lambda ts, start, before: seconds(ts - start)),
    "delta": TimeFormat("seconds since the packet above", 11, lambda ts, start, before: seconds(ts - before)),
    "clock": TimeFormat("time of day", 15, _moment("%H:%M:%S")),
    "date": TimeFormat("date and time of day", 26, _moment("%Y-%m-%d %H:%M:%S")),
    "utc": TimeFormat("date and time of day, UTC", 26, _moment("%Y-%m-%d %H:%M:%S", UTC)),
    "epoch": TimeFormat("seconds since 1970", 17, lambda ts, start, before: _epoch(ts)),
}
