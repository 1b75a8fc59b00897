# SPDX-License-Identifier: GPL-2.0-or-later
"""The lookup at the start, against a scripted name service."""

from __future__ import annotations

import errno
import os
import socket
import time

import pytest

from qmisniff.capture import header
from qmisniff.capture.header import Address
from qmisniff.capture.lookup import ServiceLookup
from qmisniff.frame import Flag, Hook, Origin

CTRL = (1, 0xFFFFFFFE)
DMS = header.server(header.NEW_SERVER, 2, 0x101, Address(0, 18))
END = header.server(header.NEW_SERVER, 0, 0, Address(0, 0))


class NameService:
    """A socket that answers what it was told to."""

    def __init__(self, *answers: tuple[bytes, tuple[int, int]]) -> None:
        self.answers = list(answers)
        self.sent: list[tuple[bytes, tuple[int, int]]] = []
        self.waited = 0.0
        self.closed = False

    def getsockname(self) -> tuple[int, int]:
        return (1, 0x4007 if self.sent else 0)

    def sendto(self, data: bytes, address: tuple[int, int]) -> None:
        self.sent.append((data, address))

    def settimeout(self, seconds: float) -> None:
        self.waited = max(self.waited, seconds)

    def recvfrom(self, size: int) -> tuple[bytes, tuple[int, int]]:
        if not self.answers:
            raise TimeoutError
        return self.answers.pop(0)

    def close(self) -> None:
        self.closed = True


def lookup(service: NameService) -> ServiceLookup:
    return ServiceLookup(lambda: service)  # type: ignore[arg-type,return-value]


def test_answers_become_control_packets() -> None:
    service = NameService((DMS, CTRL), (END, CTRL))
    asked = lookup(service)
    (frame,) = asked.answers(Origin("kernel"), wait=True)
    assert service.sent == [(header.server(header.NEW_LOOKUP, 0, 0, Address(0, 0)), CTRL)]
    assert frame.data == header.header(header.NEW_SERVER, Address(*CTRL), Address(1, 0x4007), 20) + DMS
    assert (frame.hook, frame.flags, frame.orig_len) == (Hook.LOOKUP, Flag.SYNTHETIC, 52)
    assert abs(frame.ts_ns - time.time_ns()) < 10**10
    asked.close()
    asked.close()
    assert service.closed


def test_the_end_of_the_list_ends_the_wait_and_later_news_are_still_read() -> None:
    gone = header.server(header.DEL_SERVER, 2, 0x101, Address(0, 18))
    service = NameService((DMS, CTRL), (END, CTRL), (gone, CTRL), (END, CTRL), (DMS, CTRL))
    asked = lookup(service)
    assert len(asked.answers(Origin(), wait=True)) == 1
    assert [frame.data[4] for frame in asked.answers(Origin())] == [header.DEL_SERVER, header.NEW_SERVER]


def test_only_the_name_service_is_believed() -> None:
    service = NameService((DMS, (1, 0x4001)), (b"short", CTRL), (b"\xff" * 20, CTRL))
    assert lookup(service).answers(Origin(), wait=True) == []


@pytest.mark.parametrize(
    ("number", "reason"),
    [
        (errno.EAFNOSUPPORT, "no QRTR sockets"),
        (errno.ENODEV, "no name service is running"),
        (errno.EPERM, "not permitted"),
        (errno.ENOBUFS, os.strerror(errno.ENOBUFS)),
    ],
)
def test_no_lookup_is_said_and_harmless(number: int, reason: str) -> None:
    def refuse() -> socket.socket:
        raise OSError(number, os.strerror(number))

    asked = ServiceLookup(refuse)
    assert reason in asked.problem
    assert asked.answers(Origin(), wait=True) == []


def test_a_refused_question_closes_the_socket() -> None:
    class Deaf(NameService):
        def sendto(self, data: bytes, address: tuple[int, int]) -> None:
            raise OSError(errno.ECONNRESET, "reset")

    service = Deaf()
    assert lookup(service).problem == "no name service is running"
    assert service.closed
