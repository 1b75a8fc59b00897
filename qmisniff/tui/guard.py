# SPDX-License-Identifier: GPL-2.0-or-later
"""A bug in the dissector is shown at its packet, as Wireshark does, and never ends the screen."""

from __future__ import annotations

import contextlib
import traceback

from qmisniff.dissect import Dissector, Summary
from qmisniff.dissect.frame_layer import FRAME
from qmisniff.dissect.qmi_layer import DATA_BYTES
from qmisniff.dissect.sinks import Sink, TreeSink
from qmisniff.field import Field, FieldSpec, Kind, Problem, Severity
from qmisniff.frame import Frame
from qmisniff.paths import state_dir
from qmisniff.protocol.context import Context

LOG = "dissector-bugs.log"
_BUG = FieldSpec("", "This packet", Kind.NONE)
_MOST = 100  # different bugs that are logged


class GuardedDissector(Dissector):
    """A dissector that says of a frame it breaks at that it does. The first time a bug shows it goes into a log."""

    _logged: frozenset[str] = frozenset()

    def walk(self, frame: Frame, context: Context, sink: Sink) -> None:
        try:
            super().walk(frame, context, sink)
        except Exception as error:
            text = self._log(error, context)
            if isinstance(sink, TreeSink):
                raise _Broken(text) from None
            sink.problem(Severity.ERROR, text, 0, len(frame.data))

    def tree(self, frame: Frame, context: Context) -> Field:
        """What was decoded before the bug showed is not to be relied on: the tree says only what is wrong."""
        try:
            return super().tree(frame, context)
        except _Broken as error:
            root = Field(FRAME, None, 0, len(frame.data))
            problem = Problem(Severity.ERROR, str(error), 0, len(frame.data))
            root.children += [
                Field(_BUG, None, 0, len(frame.data), problem=problem),
                Field(DATA_BYTES, frame.data, 0, len(frame.data)),
            ]
            return root

    def summary(self, frame: Frame, context: Context) -> Summary:
        try:
            return super().summary(frame, context)
        except Exception as error:  # a row needs values that the bug has cost
            return Summary("", "", frame.link.name, self._log(error, context), Severity.ERROR)

    def _log(self, error: Exception, context: Context) -> str:
        text = f"dissector bug: {type(error).__name__}: {error}"
        place = traceback.extract_tb(error.__traceback__)[-1]
        key = f"{place.filename}:{place.lineno}"
        if key not in self._logged and len(self._logged) < _MOST:
            self._logged |= {key}
            with contextlib.suppress(OSError):
                folder = state_dir()
                folder.mkdir(parents=True, exist_ok=True, mode=0o700)
                with (folder / LOG).open("a", encoding="utf-8") as log:
                    log.write(f"packet {context.number}:\n{''.join(traceback.format_exception(error))}\n")
        return text


class _Broken(Exception):
    """The walk of a tree ended early."""
