# SPDX-License-Identifier: GPL-2.0-or-later
"""The samples in captures/: each is described, and decodes to the last byte."""

from __future__ import annotations

import pytest

from qmisniff.paths import data_dir
from tests.decoded import decode

SAMPLES = sorted(data_dir("captures").glob("*.pcapng"))
README = data_dir("captures") / "README.md"
SERVICES = {  # of its datagrams
    "first-contact": {2, 3},
    "phone-services": {14, 43, 64, 66, 400},
    "tftp": {4096},
    "kernel-client": {15},
    "usb-qmux": {0, 1, 2, 3, 11},
    "usb-mbim": {0, 1, 2, 3, 11},
}


@pytest.mark.parametrize("name", SERVICES)
def test_every_datagram_is_decoded_completely(name: str) -> None:
    frames = decode(data_dir("captures") / f"{name}.pcapng")
    assert [(frame.context.number, frame.problems) for frame in frames if frame.problems] == []
    services: set[int | None] = set()
    for frame in frames:
        if frame.is_data:
            found = frame.values.get("qmi.service", frame.context.service)
            services.update(found if isinstance(found, list) else [found])
    assert services == SERVICES[name]
    unnamed = [frame.context.number for frame in frames if "qmi.msgid" in frame.values and
               "qmi.msgid.label" not in frame.values]  # fmt: skip
    assert not unnamed


def test_every_sample_is_described_and_tested() -> None:
    assert {path.stem for path in SAMPLES} == set(SERVICES)
    text = README.read_text(encoding="utf-8")
    assert [path.name for path in SAMPLES if f"`{path.name}`" not in text] == []
