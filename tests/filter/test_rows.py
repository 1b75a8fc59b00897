# SPDX-License-Identifier: GPL-2.0-or-later
"""A filter over a store: what is decoded, what is not, in which parts the rows come."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from qmisniff.definitions import open_registry
from qmisniff.dissect import Dissector
from qmisniff.dissect.sinks import Sink
from qmisniff.filter import compile, compile_filter
from qmisniff.frame import Frame
from qmisniff.protocol.context import Context
from qmisniff.store import Store
from tests.filter import capture

SERVERS = 3  # frames of the capture that announce servers
REGULAR = slice(SERVERS, 8)  # whole messages
# Only decoding can tell: one of the two is there once in five messages.
IN_TWO_TLVS = "qmi.wds.get_current_settings.profile_name != qmi.wds.get_current_settings.apn_name"


class Counting(Dissector):
    """Counts the frames that it is asked to decode."""

    count = 0

    def walk(self, frame: Frame, context: Context, sink: Sink) -> None:
        self.count += 1
        super().walk(frame, context, sink)


@pytest.fixture
def store() -> Store:
    """Three announcements, then the same five messages again and again."""
    made = Store()
    frames = capture.frames()
    made.extend(frames[:SERVERS])
    made.extend(frames[REGULAR] * 600)
    assert len(made) > compile.FEW
    return made


@pytest.mark.parametrize(
    "text",
    [
        "qmi.service == nas and qmi.type == response",
        "frame.number in {10..20} or tap.pid == 321 xor qrtr.dst_port == 0x4001",
        'not (tap.comm matches "^q" or qmi.time > 0.1)',
        "qmi.result != success",
        "qmi.nas.get_signal_info.lte.rsrp < -90 and qmi.nas.get_signal_info.lte.snr >= 12.3",
        "qmi.nas.get_signal_info.lte",
        "qmi.wds.get_current_settings.pcscf_address_using_pco == true",
        'qmi.nas.network_scan.network_information.description contains "a"',
        "max(qmi.wds.get_current_settings.profile_id.profile_index, 3) == 3",
        'qmi.wds.get_current_settings.profile_name contains "caf" or qmi.dms.get_ids.imei[1] == 61',
        "qmi.tlv.type == 0x14 and count(qmi.tlv.type) > 2 and all qmi.tlv.length < 20",
        "frame contains 14:06:00 and qmi[0:3] == 02:01:00 and not qrtr.padding",
        'qmi.tlv.value contains "World"',
        'string(qmi.txn) matches "^[17]" and frame.interface_name',
        "qrtr.ctrl.service == nas or qrtr.confirm_rx == 1 or qmux.client == 1",
    ],
)
def test_what_columns_know_is_not_decoded(text: str, store: Store) -> None:
    dissector = Counting(capture.registry())
    chosen = compile_filter(text, capture.registry())
    found = [row for part in chosen.rows(store, dissector, SERVERS) for row in part.rows]
    assert dissector.count == 0
    assert [row + 1 for row in found] == [number for number in capture.numbers(text, store) if number > SERVERS]


def test_only_rows_in_doubt_are_decoded(store: Store) -> None:
    dissector = Counting(capture.registry())
    text = f"{IN_TWO_TLVS} and frame.number < 100"
    found = [row for part in compile_filter(text, capture.registry()).rows(store, dissector) for row in part.rows]
    assert found == []
    assert dissector.count == SERVERS + len(range(SERVERS + 3, 99, 5))


@pytest.mark.parametrize("text", ["frame.number & 1", 'qmi.tlv.value contains "World"', "qmi.tlv.type == 2"])
def test_rows_come_in_order_and_every_part_says_how_far_it_is(text: str, store: Store) -> None:
    chosen = compile_filter(text, capture.registry())
    at, rows = 0, list[int]()
    for part in chosen.rows(store, capture.dissector()):
        assert part.rows == sorted(part.rows)
        assert all(at <= row < part.stop for row in part.rows)
        at = part.stop
        rows += part.rows
    assert at == len(store)
    assert [row + 1 for row in rows] == capture.numbers(text, store)


def test_new_rows_are_asked_about_alone(store: Store) -> None:
    chosen = compile_filter("qmi.nas.get_signal_info.nr5g.rsrp == -110", capture.registry())
    whole = [row for part in chosen.rows(store, capture.dissector()) for row in part.rows]
    for cut in (0, 1, 777, 2500, len(store)):
        parts = [*chosen.rows(store, capture.dissector(), 0, cut), *chosen.rows(store, capture.dissector(), cut)]
        assert [row for part in parts for row in part.rows] == whole


def test_it_ends_when_told_to(store: Store) -> None:
    def answers() -> Iterator[bool]:
        yield from (False, False, False)
        while True:
            yield True

    asked = answers()
    chosen = compile_filter(IN_TWO_TLVS, capture.registry())
    parts = list(chosen.rows(store, capture.dissector(), cancel=lambda: next(asked)))
    assert 0 < len(parts) < 4
    assert parts[-1].stop < len(store)


def test_few_rows_need_no_numpy() -> None:
    import subprocess
    import sys

    program = (
        "import sys\nfrom qmisniff.cli import main\n"
        "assert main(['read', 'captures/first-contact.pcapng', '-Y', 'qmi.result == success']) == 0\n"
        "assert not {'numpy', 're2', 'difflib'} & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=capture.ROOT, capture_output=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout.count(b"\n") == 2


def test_a_filter_may_outlive_its_registry(store: Store) -> None:
    chosen = compile_filter("qmi.service == nas", open_registry())
    assert sum(len(part.rows) for part in chosen.rows(store, Dissector(open_registry()))) == 1200
