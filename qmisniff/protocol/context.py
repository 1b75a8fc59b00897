# SPDX-License-Identifier: GPL-2.0-or-later
"""What other frames say about a frame: a QRTR data packet does not name its service, nor a request its response."""

from __future__ import annotations

from typing import NamedTuple


class Context(NamedTuple):
    """Knowledge about one frame that its own bytes do not hold. Frame numbers count from 1, None = unknown."""

    number: int = 0  # frame number
    service: int | None = None  # QMI service of the server port of a QRTR data packet
    instance: int | None = None  # instance word of that server
    request: int | None = None  # of a response: the frame number of its request
    response: int | None = None  # of a request: the frame number of its response
    response_ns: int | None = None  # of a response: nanoseconds since its request
