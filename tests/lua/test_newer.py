# SPDX-License-Identifier: GPL-2.0-or-later
"""The same in Wireshark 4.4: its Lua is 5.4, where whole numbers and fractions are two types; filters have changed."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.differential.corpus import registry
from tests.filter import capture as every_type
from tests.lua import test_agreement, test_filters, test_links, test_usb
from tests.lua.test_filters import disagreements
from tests.lua.tshark import export, save
from tests.readers import test_foreign

CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache", "qmisniff-lab")
PROGRAMS = CACHE / "wireshark-4.4" / "bin"
# Filters that have come to mean something else: `48` is no longer the byte 0x48 but 48, `not in` wants the field to be
# there, count() of no field is 0, text is counted and cut in characters.
CHANGED = ("== 48", "& 40", "& 80", "not in", "count(", "len(qmi.wds.get_current_settings.profile_name)", "[-1] == a9")

pytestmark = pytest.mark.skipif(not PROGRAMS.is_dir(), reason="there is no Wireshark 4.4 (tests/setup-debian)")

# Other tests, as they are.
test_samples = test_agreement.test_samples
test_every_message = test_agreement.test_every_message
test_every_construct = test_agreement.test_every_construct
test_damaged_messages = test_agreement.test_damaged_messages
test_mbim_messages = test_agreement.test_mbim_messages
test_the_packet_list_says_the_same = test_agreement.test_the_packet_list_says_the_same
test_filters_one_at_a_time = test_filters.test_filters_one_at_a_time
test_user0 = test_links.test_user0
test_exported_pdus = test_links.test_exported_pdus
test_qmux_in_usb = test_links.test_qmux_in_usb
test_qmux_in_mbim_in_usb = test_links.test_qmux_in_mbim_in_usb
test_usb_samples = test_usb.test_samples
test_read_through_tshark = test_foreign.test_the_packets_are_those_of_the_original


@pytest.fixture(autouse=True)
def newer(monkeypatch: pytest.MonkeyPatch) -> None:
    """`tshark` is the newer one."""
    monkeypatch.setenv("PATH", f"{PROGRAMS}{os.pathsep}{os.environ['PATH']}")


@pytest.fixture(scope="session")
def script(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The dissector of the project's own definitions."""
    return export(registry(), tmp_path_factory.mktemp("newer") / "qmisniff.lua")


def test_written_filters(tmp_path: Path, script: Path) -> None:
    capture = save(every_type.frames(), tmp_path / "types.pcapng")
    filters = [text for text in test_filters.written() if not any(part in text for part in CHANGED)]
    assert len(filters) > 110
    assert not disagreements(script, capture, filters, tmp_path)
