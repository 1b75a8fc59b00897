# SPDX-License-Identifier: GPL-2.0-or-later
"""A capture file decoded from its first packet to its last, as `qmisniff read` does it."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

from qmisniff.capture_file import Reader
from qmisniff.definitions import open_registry
from qmisniff.dissect import Dissector
from qmisniff.field import Field, Severity
from qmisniff.frame import Frame
from qmisniff.protocol import qrtr
from qmisniff.protocol.context import Context
from qmisniff.tracker import Tracker


class Decoded(NamedTuple):
    """One frame: what is known about it from others, its tree, its values."""

    frame: Frame
    context: Context
    tree: Field
    values: dict[str, Any]

    @property
    def is_data(self) -> bool:
        """Whether it is between a client and a server, not with a name service, or carries QMI over USB."""
        if "qrtr.type" not in self.values:
            return "qmi.service" in self.values
        ports = {self.values["qrtr.src_port"], self.values["qrtr.dst_port"]}
        return self.values["qrtr.type"] == qrtr.DATA and not ports & qrtr.CONTROL_PORTS

    @property
    def problems(self) -> list[str]:
        """What is wrong, and what nobody has described."""
        found = [field.problem for field in self.tree.walk() if field.problem is not None]
        return [each.text for each in found if each.severity >= Severity.WARN or "described" in each.text]


def decode(path: Path) -> list[Decoded]:
    """Every frame of a capture file; AssertionError where the file itself is not whole."""
    tracker, dissector = Tracker(), Dissector(open_registry())
    with path.open("rb") as stream:
        reader = Reader(stream)
        frames = list(reader)
    assert not reader.damage
    for frame in frames:
        tracker.add(frame)
    found = []
    for row, frame in enumerate(frames):
        context = tracker.context(row)
        found.append(Decoded(frame, context, dissector.tree(frame, context), dissector.values(frame, context)))
    return found
