# SPDX-License-Identifier: GPL-2.0-or-later
"""What other frames say about a frame: a QRTR data packet does not name its service, nor a request its response."""

from __future__ import annotations

from typing import NamedTuple


class Transfer(NamedTuple):
    """What other frames say about the data of a USB transfer. Frame numbers count from 1.

    A message that several transfers brought lives on the frame of the last of them.
    """

    carries: bool = True  # QMUX or MBIM; False: it only looks like it, something else was asked for
    earlier: bytes = b""  # of the message that these data end: what earlier frames brought
    parts: tuple[int, ...] = ()  # the numbers of these frames
    unfinished: int | None = None  # where in the frame the message begins, or goes on, that the data do not end
    whole_in: int | None = None  # the number of the frame that ends it


class Context(NamedTuple):
    """Knowledge about one frame that its own bytes do not hold. Frame numbers count from 1, None = unknown.

    Request, response and time are those of the first message in the frame; `others` has them for each further one.
    """

    number: int = 0  # frame number
    service: int | None = None  # QMI service of the server port of a QRTR data packet
    instance: int | None = None  # instance word of that server
    request: int | None = None  # of a response: the frame number of its request
    response: int | None = None  # of a request: the frame number of its response
    response_ns: int | None = None  # of a response: nanoseconds since its request
    others: tuple[Context, ...] = ()
    transfer: Transfer | None = None
    since_previous_ns: int = 0  # nanoseconds since the frame before it; of the first frame 0
    since_first_ns: int = 0
