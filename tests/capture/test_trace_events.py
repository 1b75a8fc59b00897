# SPDX-License-Identifier: GPL-2.0-or-later
"""The source `events` on a kernel in a directory; a real one is the lab's."""

from __future__ import annotations

import pytest

from qmisniff.capture import header
from qmisniff.capture.event_format import parse_format
from qmisniff.capture.header import Address
from qmisniff.capture.source import Statistics
from qmisniff.capture.trace_events import TraceEvents
from qmisniff.errors import SourceFailed, SourceUnavailable
from qmisniff.frame import Flag, Hook
from tests.capture.kernel import EVENTS, TRACEFS, FakeKernel, fill, format_text, pages

FORMS = {
    name: parse_format(format_text(name, number, fields)) for number, (name, fields) in enumerate(EVENTS.items(), 500)
}
CTRL = Address(1, header.PORT_CTRL)


@pytest.fixture
def events(kernel: FakeKernel) -> FakeKernel:
    """A kernel with the events."""
    kernel.put(f"{TRACEFS}/events/qrtr/qrtr_ns_message/format", "")
    return kernel


def message(word: str, node: int, port: int) -> bytes:
    return fill(FORMS["qrtr/qrtr_ns_message"], {"sq_node": node, "sq_port": port}, {"ctrl_pkt_str": word})


def test_services_are_whole_packets_and_the_rest_only_begins(events: FakeKernel) -> None:
    server = {"service": 2, "instance": 0x101, "node": 0, "port": 18}
    source = TraceEvents(events)
    with source:
        (instance,) = (events.tree / TRACEFS / "instances").iterdir()
        assert {path.read_text() for path in instance.glob("events/qrtr/*/enable")} == {"1"}
        records = [
            message("new-lookup", 1, 0x4001),
            message("new-server", 0, header.PORT_CTRL),
            fill(FORMS["qrtr/qrtr_ns_server_add"], server),
            message("\x1b[2J", 1, 1),
        ]
        for page in pages(list(enumerate(records, 1000)), lost=3):
            events.queue.append((0, page))
        events.now = 10**9
        lookup, added = source.read(1.0) or []
        assert source.statistics == Statistics(2, 3)
        source.stop()
        assert source.read(1.0) is None
    assert lookup.data == header.header(header.NEW_LOOKUP, Address(1, 0x4001), CTRL, 20) + bytes([10, 0, 0, 0])
    assert (lookup.flags, lookup.orig_len, lookup.hook) == (Flag.SYNTHETIC | Flag.TRUNCATED, 52, Hook.LOOKUP)
    assert added.data[32:] == header.server(header.NEW_SERVER, 2, 0x101, Address(0, 18))
    assert added.flags == Flag.SYNTHETIC
    assert events.remains() == []


def test_it_leaves_nothing_in_a_kernel_without_kprobes(events: FakeKernel) -> None:
    """Such kernels are what it is for."""
    for name in ("kprobe_events", "kprobe_profile"):
        (events.tree / TRACEFS / name).unlink()
    with TraceEvents(events):
        pass
    assert list((events.tree / TRACEFS / "instances").iterdir()) == []


def test_what_is_missing_is_said_with_a_remedy(kernel: FakeKernel) -> None:
    source = TraceEvents(kernel)
    assert source.probe()[1:] == ("this kernel has no trace events of QRTR now", "modprobe qrtr")
    (kernel.tree / TRACEFS / "trace_clock").unlink()
    assert source.probe().reason == "tracefs is not mounted"
    kernel.root = False
    assert source.probe().reason == "reading trace events needs root"
    with pytest.raises(SourceUnavailable):
        source.open()


def test_a_kernel_that_refuses_keeps_nothing(events: FakeKernel) -> None:
    def refuse(change: str) -> None:
        if "enable" in change:
            raise PermissionError(1, "Operation not permitted")

    events.fails = refuse
    with pytest.raises(SourceFailed, match="Operation not permitted"):
        TraceEvents(events).open()
    assert events.remains() == []


def test_buffers_that_die_are_a_failure(events: FakeKernel) -> None:
    with TraceEvents(events) as source:
        events.queue = [(0, page) for page in pages([(1000, message("new-lookup", 1, 0x4001))])]
        events.now = 1500
        assert source.read(0.01) == []  # still waits for older ones
        events.broken = True
        assert len(source.read(0.1) or []) == 1, "what had been read comes first"
        with pytest.raises(SourceFailed, match="cannot be read any more"):
            source.read(0.1)
        assert source.statistics.frames == 1
