# SPDX-License-Identifier: GPL-2.0-or-later
"""The same values through pyshark, which reads what tshark with the exported dissector says, as scripts of users do."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from qmisniff.dissect import Dissector
from qmisniff.store import Store
from qmisniff.store.load import Loader
from tests.differential.corpus import registry
from tests.lua.tshark import available, export

pytestmark = pytest.mark.skipif(not available(), reason="tshark is not installed (tests/setup-debian)")

CAPTURES = Path(__file__).parents[2] / "captures"
LAYERS = ("qmi.", "qrtr.", "qmux.")
Values = Counter[tuple[str, str]]  # name and text of every field of ours


def through_pyshark(script: Path, capture: Path) -> list[Values]:
    """Every packet's values; pyshark's XML mode, for its others drop what Lua dissectors nest."""
    import pyshark

    options = ["-2", "-n", "-X", f"lua_script:{script}"]
    reader = pyshark.FileCapture(str(capture), custom_parameters=options, eventloop=asyncio.new_event_loop())

    def values() -> Iterator[Values]:
        for packet in reader:
            fields = [field for layer in packet.layers for each in layer._all_fields.values() for field in each.fields]
            yield Counter((field.name, field.show) for field in fields if field.name.startswith(LAYERS))

    found = list(values())
    reader._running_processes.clear()
    return found


def shown(value: object) -> str:
    """A value as Wireshark prints it without its label, as far as it prints it in one way."""
    if isinstance(value, bytes):
        return value.hex(":")
    return str(value)


@pytest.mark.parametrize("capture", sorted(CAPTURES.glob("*.pcapng")), ids=lambda path: path.stem)
def test_values_read_by_pyshark(capture: Path, tmp_path: Path) -> None:
    script = export(registry(), tmp_path / "qmisniff.lua")
    with ThreadPoolExecutor(1) as thread:  # pyshark's loop cannot run where one runs already
        theirs = thread.submit(through_pyshark, script, capture).result()
    store, dissector = Store(), Dissector(registry())
    with capture.open("rb") as stream:
        for _ in Loader(stream, capture.name).into(store):
            pass
    assert len(theirs) == len(store)
    compared = 0
    for row, there in enumerate(theirs):
        values = dissector.values(store.frame(row), store.context(row))
        for name, value in values.items():
            if not name.startswith(LAYERS) or name == "qmi.time" or name.endswith(".label"):
                continue
            every = value if isinstance(value, list) else [value]
            got = [text for (known, text), many in there.items() for _ in range(many) if known == name]
            assert len(got) == len(every), (row + 1, name)
            if all(isinstance(each, str | bytes) for each in every):
                assert sorted(got) == sorted(map(shown, every)), (row + 1, name)
            elif all(type(each) is int for each in every):
                assert sorted(int(text, 0) for text in got) == sorted(every), (row + 1, name)
            compared += len(every)
    assert compared > 10
