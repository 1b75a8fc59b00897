# SPDX-License-Identifier: GPL-2.0-or-later
"""Frames -> trees, values, JSON text, packet-list rows. Nothing here raises on any bytes."""

from __future__ import annotations

from typing import Any

from qmisniff.definitions import Registry
from qmisniff.dissect.frame_json import FrameJson
from qmisniff.dissect.frame_layer import FRAME, frame_layers
from qmisniff.dissect.qmi_layer import Messages
from qmisniff.dissect.sinks import Sink, TreeSink, ValuesSink
from qmisniff.dissect.summary import Summary, SummarySink
from qmisniff.dissect.transport import Transports
from qmisniff.field import Field
from qmisniff.frame import Frame
from qmisniff.protocol.context import Context


class Dissector:
    """Decodes frames by the definitions of a registry; what it compiles is kept for the next frame."""

    def __init__(self, registry: Registry) -> None:
        self.registry = registry
        self._messages = Messages(registry)
        self._transports = Transports(registry, self._messages.message)
        self._json = FrameJson(self.walk)

    def tree(self, frame: Frame, context: Context) -> Field:
        """The frame as a tree; its children are the layers: frame, tap, qrtr, ..."""
        root = Field(FRAME, None, 0, len(frame.data))
        self.walk(frame, context, TreeSink(root))
        return root

    def values(self, frame: Frame, context: Context) -> dict[str, Any]:
        """The frame as filter name -> value (number, text, bytes, truth value), or a list of values where a field
        occurs more than once; the label of an enum stands under `NAME.label`."""
        sink = ValuesSink()
        self.walk(frame, context, sink)
        return sink.into

    def message_values(self, service: int, data: bytes) -> dict[str, Any]:
        """`values` of a bare QMI message of a service."""
        sink = ValuesSink()
        self._messages.message(data, 0, len(data), service, Context(), sink)
        return sink.into

    def json(self, frame: Frame, context: Context) -> str:
        """`values` as one flat JSON object on one line; bytes are hexadecimal, infinite numbers null."""
        return self._json.text(frame, context)

    def summary(self, frame: Frame, context: Context) -> Summary:
        """The frame as a row of a packet list."""
        sink = SummarySink()
        self.walk(frame, context, sink)
        return sink.row(frame, self.registry)

    def walk(self, frame: Frame, context: Context, sink: Sink) -> None:
        """Give every part of a frame to a sink, in the order of its bytes."""
        frame_layers(frame, context, sink)
        self._transports.take_apart(frame, context, sink)
