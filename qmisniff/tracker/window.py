# SPDX-License-Identifier: GPL-2.0-or-later
"""What other frames say about frames that come for days: the tracker of the last of them, in memory that stays flat."""

from __future__ import annotations

from collections import deque

from qmisniff.frame import Frame
from qmisniff.protocol.context import Context
from qmisniff.tracker import Tracker

_FRAMES = 1 << 16  # after so many the tracker begins anew
_AGAIN = 1024  # with so many of the last: what they ask may be answered yet


class Window:
    """Frames in order of capture. A request finds its response where at most `again` frames lie between them, and
    mostly where more do; who offers which service is known however long ago it was announced."""

    def __init__(self, frames: int = _FRAMES, again: int = _AGAIN) -> None:
        self._tracker = Tracker()
        self._most = frames
        self._last: deque[Frame] = deque(maxlen=again)
        self._before = 0  # frames before the tracker's first

    def add(self, frame: Frame) -> Context:
        """Learn from the next frame: what is known about it."""
        if len(self._tracker) >= self._most:
            self._before += len(self._tracker) - len(self._last)
            self._tracker = self._tracker.successor()
            for each in self._last:
                self._tracker.add(each)
        self._last.append(frame)
        self._tracker.add(frame)
        return _moved(self._tracker.context(len(self._tracker) - 1), self._before)


def _moved(context: Context, by: int) -> Context:
    """The same with frame numbers that are higher by so many."""
    if not by:
        return context
    request, response, transfer = context.request, context.response, context.transfer
    if transfer is not None:
        whole_in = transfer.whole_in
        transfer = transfer._replace(
            parts=tuple(part + by for part in transfer.parts), whole_in=None if whole_in is None else whole_in + by
        )
    return context._replace(
        number=context.number + by,
        request=None if request is None else request + by,
        response=None if response is None else response + by,
        others=tuple(_moved(other, by) for other in context.others),
        transfer=transfer,
    )
