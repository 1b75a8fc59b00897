# SPDX-License-Identifier: GPL-2.0-or-later
"""What real programs send is decoded to the last byte: rmtfs, pd-mapper, tqftpserv, and the kernel's own QMI client."""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path

import pytest

from qmisniff.protocol import tftp
from tests.decoded import Decoded, decode
from tests.lab import phone
from tests.lab.conftest import SCENARIO
from tests.lab.guest import run_in_guest
from tests.lab.modem_client import ERRANDS
from tests.lab.scenario import DAEMONS

pytestmark = pytest.mark.lab

KERNEL_CLIENT = ("sample-load", "sample-ping-local", "sample-data-local", "sample-ping-modem", "sample-data-modem",
                 "sample-unload")  # fmt: skip
TEST, RMTFS, SSCTL, SERVREG_LOC, SERVREG_NOTIF, SSC = 15, 14, 43, 64, 66, 400


@pytest.fixture(scope="module")
def captured(tmp_path_factory: pytest.TempPathFactory) -> list[Decoded]:
    """Those programs and their clients, captured by the command that users run."""
    out = tmp_path_factory.mktemp("decoded")
    file = out / "capture.pcapng"
    capture = ("--capture", f"{sys.executable} -m qmisniff capture -w {file}", "--ready", "capturing from")
    chosen = ("--only", "sample_server", *DAEMONS, "tftp", "subsystems", *KERNEL_CLIENT, *ERRANDS)
    run_in_guest(SCENARIO, out, *capture, *chosen, timeout=1800.0).check()
    return decode(Path(file))


def test_nothing_is_wrong_unknown_or_left_over(captured: list[Decoded]) -> None:
    wrong = [(frame.context.number, frame.problems) for frame in captured if frame.problems]
    assert not wrong


def test_every_datagram_belongs_to_a_service(captured: list[Decoded]) -> None:
    """Also those of file transfers, whose ports nobody announces."""
    data = [frame for frame in captured if frame.is_data]
    assert len(data) > 80
    assert [frame.context.number for frame in data if frame.context.service is None] == []
    services = {TEST, RMTFS, SSCTL, SERVREG_LOC, SERVREG_NOTIF, SSC, tftp.SERVICE}
    assert {frame.context.service for frame in data} == services


def test_every_request_is_paired(captured: list[Decoded]) -> None:
    qmi = [frame for frame in captured if frame.is_data and frame.context.service != tftp.SERVICE]
    for frame in qmi:
        kind = frame.values["qmi.type.label"]
        assert (frame.context.response is not None) == (kind == "Request"), frame.context
        assert (frame.context.request is not None) == (kind == "Response"), frame.context


def test_the_kernels_client_is_understood(captured: list[Decoded]) -> None:
    frames = [frame.values for frame in captured if frame.is_data and frame.context.service == TEST]
    pings = [values["qmi.test.ping.ping"] for values in frames if "qmi.test.ping.ping" in values]
    pongs = [values["qmi.test.ping.pong"] for values in frames if "qmi.test.ping.pong" in values]
    assert (pings, pongs) == (["ping"] * 2, ["pong"] * 2)
    sizes = Counter(len(values["qmi.test.data.data"]) for values in frames if "qmi.test.data.data" in values)
    assert sizes == {3000: 2, 8192: 2}


def test_the_modems_sectors_are_seen_moving(captured: list[Decoded]) -> None:
    frames = [frame.values for frame in captured if frame.is_data and frame.context.service == RMTFS]
    assert phone.STORAGE in [values.get("qmi.rmtfs.open.path") for values in frames]
    assert phone.MEMORY in [values.get("qmi.rmtfs.alloc_buf.buff_address") for values in frames]
    directions = [values.get("qmi.rmtfs.iovec.direction.label") for values in frames]
    assert [each for each in directions if each] == ["write", "read"]


def test_protection_domains_and_sensors_have_their_names(captured: list[Decoded]) -> None:
    values = [frame.values for frame in captured if frame.is_data]
    domains = [each.get("qmi.servreg_loc.get_domain_list.domain_list.name") for each in values]
    assert [each for each in domains if each] == [phone.DOMAIN] * 3
    states = [each.get("qmi.servreg_notif.state_updated.curr_state.label") for each in values]
    assert [each for each in states if each] == ["early_down", "up"]
    sensors = [each["protobuf.field.value.string"] for each in values if "protobuf.field.value.string" in each]
    assert sensors == ["accel", "accel"]


def test_file_transfers_are_followed(captured: list[Decoded]) -> None:
    packets = Counter(frame.values.get("tftp.opcode") for frame in captured if frame.context.service == tftp.SERVICE)
    assert packets[tftp.WRQ] == 2
    assert packets[tftp.RRQ] == 4
    assert packets[tftp.OACK] == 3
    assert packets[tftp.ERROR] == 1
    assert packets[tftp.DATA] >= 20
    assert None not in packets
