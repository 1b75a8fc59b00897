# SPDX-License-Identifier: GPL-2.0-or-later
"""tshark with the exported dissector finds what qmisniff finds: names, values, byte ranges, problems, list columns."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from xml.etree import ElementTree

import pytest

from qmisniff.capture_file import Reader
from qmisniff.definitions import Registry
from qmisniff.dissect import Dissector
from qmisniff.dissect.names import header_specs
from qmisniff.field import Kind
from qmisniff.frame import Frame, Link
from qmisniff.protocol.mbim import COMMAND, COMMAND_DONE
from qmisniff.store import Store
from tests import factories
from tests.differential.corpus import CTL, SERVICES, Case, cases, cases_of, registry, sample
from tests.differential.mutations import mutate, mutated
from tests.differential.test_round_trip import CONSTRUCTS
from tests.lua.test_links import ANSWERED, in_mbim
from tests.lua.tshark import available, differences, export, ours, run, save, theirs
from tests.oracle.libqmi import qmux

pytestmark = pytest.mark.skipif(not available(), reason="tshark is not installed (tests/setup-debian)")

CAPTURES = Path(__file__).parents[2] / "captures"
SAMPLES = sorted(path for path in CAPTURES.glob("*.pcapng") if not path.stem.startswith("usb-"))  # those: test_usb.py
DAMAGED = 3_000
_FIRST_PORT = 20
_HEADER_KINDS = {spec.name: spec.kind for spec in header_specs()}


@pytest.fixture(scope="session")
def script(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The dissector of the project's own definitions."""
    return export(registry(), tmp_path_factory.mktemp("lua") / "qmisniff.lua")


def disagreements(definitions: Registry, script: Path, capture: Path) -> list[str]:
    """Every value that only one of the two finds."""

    def kind(name: str) -> Kind | None:
        known = _HEADER_KINDS.get(name)
        spec = definitions.field(name)
        return known or (spec.kind if spec else None)

    return differences(ours(Dissector(definitions), frames_of(capture)), theirs(script, capture, kind))


def frames_of(capture: Path) -> list[Frame]:
    with capture.open("rb") as stream:
        return list(Reader(stream))


def conversation(definitions: Registry, every: Sequence[Case], seeds: range) -> Iterator[Frame]:
    """Messages between a client and the servers of all services, which announce themselves first."""
    for number in {case.service.header.id: None for case in every}:
        if number != CTL:
            yield factories.frame(factories.server(factories.NEW_SERVER, number, 1, 0, number + _FIRST_PORT))
    for case in every:
        number = case.service.header.id
        client, server = (1, 0x4001), (0, number + _FIRST_PORT)
        for seed in seeds:
            data = sample(case, seed).data
            if number == CTL:
                yield factories.frame(qmux(number, case.kind, data), link=Link.QMUX)
            else:
                source, target = (server, client) if case.kind else (client, server)
                yield factories.frame(factories.qrtr(data, source, target))


@cache
def every_message() -> list[Frame]:
    return list(conversation(registry(), [case for number in SERVICES for case in cases(number)], range(1)))


@pytest.mark.parametrize("capture", SAMPLES, ids=lambda path: path.stem)
def test_samples(capture: Path, script: Path) -> None:
    assert not disagreements(registry(), script, capture)


def test_every_message(tmp_path: Path, script: Path) -> None:
    assert len(every_message()) > 2000
    assert not disagreements(registry(), script, save(every_message(), tmp_path / "all.pcapng"))[:20]


def test_every_construct(tmp_path: Path) -> None:
    (tmp_path / "all.yaml").write_text(CONSTRUCTS)
    definitions = Registry([tmp_path])
    service = definitions.service(199)
    assert service is not None, definitions.problems
    every, rng = list(cases_of(service)), random.Random(20_265)
    frames = list(conversation(definitions, every, range(200)))
    ends_before_a_struct = factories.qmi(0, 1, 1, factories.tlv(0x1D, b"\1"))
    for damaged in (ends_before_a_struct, *(mutate(rng, sample(rng.choice(every), seed).data) for seed in range(600))):
        frames.append(factories.frame(factories.qrtr(damaged, target=(0, 199 + _FIRST_PORT))))
    lua = export(definitions, tmp_path / "all.lua")
    assert not disagreements(definitions, lua, save(frames, tmp_path / "all.pcapng"))[:20]


def test_damaged_messages(tmp_path: Path, script: Path) -> None:
    announced = [factories.frame(factories.server(factories.NEW_SERVER, number, 1, 0, 10)) for number in (3,)]
    damaged = [frame for _, frame in mutated(DAMAGED, seed=20_261)]
    assert not disagreements(registry(), script, save([*announced, *damaged], tmp_path / "damaged.pcapng"))[:20]


def test_packets_that_another_program_has_cut(tmp_path: Path, script: Path) -> None:
    whole = [frame for frame in every_message() if len(frame.data) > 40][:40]
    frames = [frame._replace(data=frame.data[:size]) for frame in whole for size in (1, 31, 38, len(frame.data) - 1)]
    assert not disagreements(registry(), script, save(frames, tmp_path / "cut.pcapng"))[:20]


def test_mbim_messages(tmp_path: Path, script: Path) -> None:
    rng = random.Random(20_262)
    whole = [in_mbim(kind, ANSWERED) for kind in (COMMAND, COMMAND_DONE)] + [bytes((1, 0, 0, 128, 16)) + bytes(11)]
    packets = [*whole, *(mutate(rng, rng.choice(whole)) for _ in range(500))]
    frames = [factories.frame(packet, link=Link.MBIM) for packet in packets if packet]
    assert not disagreements(registry(), script, save(frames, tmp_path / "mbim.pcapng"))[:20]


@pytest.mark.parametrize("capture", ["all", *(path.stem for path in SAMPLES)])
def test_the_packet_list_says_the_same(capture: str, tmp_path: Path, script: Path) -> None:
    path = save(every_message(), tmp_path / "all.pcapng") if capture == "all" else CAPTURES / f"{capture}.pcapng"
    dissector, store = Dissector(registry()), Store()
    store.extend(frames_of(path))
    wanted = []
    for row in range(len(store)):
        made = dissector.summary(store.frame(row), store.context(row))
        wanted.append((made.source, made.destination, made.protocol, made.info))
    packets = ElementTree.fromstring(run(script, path, "-T", "psml")).iter("packet")
    got = [tuple(node.text or "" for node in packet)[2:] for packet in packets]
    shown = [(source, destination, protocol, info) for source, destination, protocol, _, info in got]
    assert [pair for pair in zip(wanted, shown, strict=True) if pair[0] != pair[1]][:10] == []
