# SPDX-License-Identifier: GPL-2.0-or-later
"""The layers that no packet carries: frame.*, the frame itself, and tap.*, how it was captured."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import lru_cache

from qmisniff.dissect.sinks import Sink
from qmisniff.field import FieldSpec, Kind, Severity
from qmisniff.frame import Direction, Flag, Frame, Hook, Link
from qmisniff.protocol.context import Context
from qmisniff.protocol.layout import Row

FRAME = FieldSpec("frame", "Frame", Kind.NONE)
TAP = FieldSpec("tap", "Tap", Kind.NONE)

_NUMBER = FieldSpec("frame.number", "Number", Kind.UINT)
_TIME = FieldSpec("frame.time", "Time", Kind.STRING)
_EPOCH = FieldSpec("frame.time_epoch", "Seconds since 1970", Kind.FLOAT, unit="s")
_DELTA = FieldSpec("frame.time_delta", "Time since the previous frame", Kind.FLOAT, unit="s")
_RELATIVE = FieldSpec("frame.time_relative", "Time since the first frame", Kind.FLOAT, unit="s")
_LEN = FieldSpec("frame.len", "Length", Kind.UINT, unit="bytes")
_CAP_LEN = FieldSpec("frame.cap_len", "Captured length", Kind.UINT, unit="bytes")
_INTERFACE = FieldSpec("frame.interface_name", "Interface", Kind.STRING)
_HOOK = FieldSpec("tap.hook", "Hook", Kind.UINT, labels={hook: hook.name.lower() for hook in Hook})
_DIRECTION = FieldSpec("tap.direction", "Direction", Kind.UINT, labels={each: each.name.lower() for each in Direction})
_PID = FieldSpec("tap.pid", "Process id", Kind.UINT)
_COMM = FieldSpec("tap.comm", "Process", Kind.STRING)
_CPU = FieldSpec("tap.cpu", "CPU", Kind.UINT)
_SYNTHETIC = FieldSpec("tap.synthetic", "Written by the capture, never on a wire", Kind.BOOL)
_TRUNCATED = FieldSpec("tap.truncated", "Cut short", Kind.BOOL)
_REBUILT = FieldSpec("tap.header_rebuilt", "Header rebuilt from the function's arguments", Kind.BOOL)
_LOST = FieldSpec("tap.lost", "Packets lost before this one", Kind.UINT)
# Records of USB requests, and what is none of ours, have headers of their own instead.
TAPPED = frozenset({Link.QRTR, Link.QMUX, Link.QMI, Link.MBIM})
FRAME_SPECS = (
    *(_NUMBER, _TIME, _EPOCH, _DELTA, _RELATIVE, _LEN, _CAP_LEN, _INTERFACE),
    *(_HOOK, _DIRECTION, _PID, _COMM, _CPU, _SYNTHETIC, _TRUNCATED, _REBUILT, _LOST),
)
# Seconds that are known to the nanosecond, which a float of them is not.
NANOSECONDS: Mapping[str, Callable[[Frame, Context], int]] = {
    _EPOCH.name: lambda frame, context: frame.ts_ns,
    _DELTA.name: lambda frame, context: context.since_previous_ns,
    _RELATIVE.name: lambda frame, context: context.since_first_ns,
}


def frame_layers(frame: Frame, context: Context, sink: Sink) -> None:
    """Frame and tap, with what is remarkable about them."""
    size = len(frame.data)
    sink.layer(FRAME, str(context.number), 0, size)
    rows: list[Row] = [
        (_NUMBER, context.number, 0, 0),
        (_TIME, time_text(frame.ts_ns), 0, 0),
        (_EPOCH, frame.ts_ns / 1e9, 0, 0),
        (_DELTA, context.since_previous_ns / 1e9, 0, 0),
        (_RELATIVE, context.since_first_ns / 1e9, 0, 0),
        (_LEN, frame.orig_len, 0, 0),
        (_CAP_LEN, size, 0, 0),
    ]
    if frame.origin.name:
        rows.append((_INTERFACE, frame.origin.name, 0, 0))
    sink.rows(rows)
    if size < frame.orig_len:
        sink.problem(Severity.NOTE, f"{frame.orig_len - size} bytes were not captured", 0, 0)
    tapped = frame.link in TAPPED
    if not tapped and not frame.lost:
        return
    sink.layer(TAP, None, 0, 0)
    rows = _capture(frame) if tapped else []
    if frame.lost:
        rows.append((_LOST, frame.lost, 0, 0))
    sink.rows(rows)
    if frame.lost:
        sink.problem(Severity.WARN, f"{frame.lost} packets were lost before this one", 0, 0)


def _capture(frame: Frame) -> list[Row]:
    """What a tap header tells."""
    rows: list[Row] = [(_HOOK, int(frame.hook), 0, 0), (_DIRECTION, int(frame.direction), 0, 0)]
    if frame.pid >= 0:
        rows.append((_PID, frame.pid, 0, 0))
    if frame.comm:
        rows.append((_COMM, frame.comm, 0, 0))
    if frame.cpu >= 0:
        rows.append((_CPU, frame.cpu, 0, 0))
    flags = int(frame.flags)
    rows.append((_SYNTHETIC, flags & Flag.SYNTHETIC.value != 0, 0, 0))
    if flags:
        rows.append((_TRUNCATED, flags & Flag.TRUNCATED.value != 0, 0, 0))
        rows.append((_REBUILT, flags & Flag.HEADER_REBUILT.value != 0, 0, 0))
    return rows


def time_text(ts_ns: int) -> str:
    """Nanoseconds since 1970 as an ISO 8601 time in UTC."""
    seconds, nanoseconds = divmod(ts_ns, 1_000_000_000)
    return f"{second_text(seconds)}.{nanoseconds:09d}Z"


@lru_cache(64)
def second_text(seconds: int) -> str:
    """Seconds since 1970 as an ISO 8601 time without its zone."""
    try:
        return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}"
    except (ValueError, OverflowError, OSError):
        return f"{seconds} s since 1970"
