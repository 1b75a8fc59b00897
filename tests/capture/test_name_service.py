# SPDX-License-Identifier: GPL-2.0-or-later
"""The source `names`, against a scripted name service on a socket that can be waited for."""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Iterator

import pytest

from qmisniff.capture import header, name_service, socket_scan
from qmisniff.capture.header import Address
from qmisniff.capture.name_service import NameService
from qmisniff.errors import SourceUnavailable
from qmisniff.frame import Flag, Hook

CTRL = (1, header.PORT_CTRL)
END = header.server(header.NEW_SERVER, 0, 0, Address(0, 0))


def server(command: int, service: int) -> bytes:
    return header.server(command, service, 0x101, Address(0, 18))


class Socket:
    """What a QRTR socket is to a lookup; each datagram of `told` comes from the name service. An error is raised."""

    def __init__(self, *told: bytes | int) -> None:
        self.told = list(told)
        self.closed = False
        self.ours, self.theirs = socket.socketpair()
        self.theirs.send(b"x")  # there is always something to read

    def fileno(self) -> int:
        return self.ours.fileno()

    def getsockname(self) -> tuple[int, int]:
        return (1, 0x4007)

    def settimeout(self, seconds: float) -> None:
        pass

    def sendto(self, data: bytes, address: tuple[int, int]) -> None:
        pass

    def recvfrom(self, size: int) -> tuple[bytes, tuple[int, int]]:
        if not self.told:
            raise BlockingIOError
        told = self.told.pop(0)
        if isinstance(told, int):
            raise OSError(told, os.strerror(told))
        return told, CTRL

    def close(self) -> None:
        self.closed = True
        self.ours.close()
        self.theirs.close()


@pytest.fixture(autouse=True)
def _qrtr(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket_scan, "has_qrtr", lambda: True)
    monkeypatch.setattr(name_service, "_AGAIN", 0.01)


def names(*sockets: Socket) -> NameService:
    """The source, whose sockets are the ones given; the first is the probe's."""
    left: Iterator[Socket] = iter((Socket(), *sockets))
    return NameService(lambda: next(left))  # type: ignore[arg-type,return-value]


def test_services_come_and_go() -> None:
    told = Socket(server(header.NEW_SERVER, 2), END, server(header.DEL_SERVER, 2), END, server(header.NEW_SERVER, 3))
    source = names(told)
    with source:
        (first,) = source.read(1.0) or []
        later = source.read(1.0) or []
        assert source.read(0.0) == []
        source.stop()
        assert source.read(1.0) is None
    assert [frame.data[32:] for frame in (first, *later)] == [
        server(header.NEW_SERVER, 2),
        server(header.DEL_SERVER, 2),
        server(header.NEW_SERVER, 3),
    ]
    assert {(frame.hook, frame.flags) for frame in (first, *later)} == {(Hook.LOOKUP, Flag.SYNTHETIC)}
    assert source.statistics.frames == 3 and told.closed


def test_another_name_service_is_asked_anew() -> None:
    old, new = Socket(server(header.NEW_SERVER, 2), END, errno.ENETRESET), Socket(server(header.NEW_SERVER, 4))
    with names(old, new) as source:
        assert len(source.read(1.0) or []) == 1
        frames: list[bytes] = []
        for _ in range(100):
            frames += [frame.data[32:] for frame in source.read(0.02) or []]
            if frames:
                break
        assert frames == [server(header.NEW_SERVER, 4)]
        assert old.closed and source.notes == ("the name service was started anew: its services are told again",)


def test_without_a_name_service_there_is_nothing() -> None:
    class Refusing(Socket):
        def sendto(self, data: bytes, address: tuple[int, int]) -> None:
            raise ConnectionResetError(errno.ECONNRESET, "reset")

    with pytest.raises(SourceUnavailable, match=r"no name service is running \(start qrtr-ns"):
        names(Refusing()).open()


def test_a_kernel_without_qrtr_is_not_made_to_load_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket_scan, "has_qrtr", lambda: False)
    state = NameService(lambda: pytest.fail("a socket")).probe()
    assert not state.ok and state.remedy == "modprobe qrtr"


def test_a_user_who_may_not_is_told() -> None:
    def refuse() -> socket.socket:
        raise PermissionError(errno.EACCES, "no")

    assert "not permitted" in NameService(refuse).probe().reason
