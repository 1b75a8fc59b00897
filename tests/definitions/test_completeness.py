# SPDX-License-Identifier: GPL-2.0-or-later
"""Nothing that public sources know of QMI may get lost from the definitions: services, messages, TLVs, named values."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import NamedTuple

import pytest

from qmisniff.definitions.load import Definition, load
from qmisniff.definitions.model import KINDS, Array, Choice, Number, Struct, Type, Union
from qmisniff.paths import definition_dirs

DATA = Path(__file__).parents[1] / "data" / "known_messages.tsv"

# Services where named values are fewer than in the sources, and why that is right.
_SLOTS = "a table that calls slot 1 slot_1 and slot 2 slot_2 says nothing"
FEWER_NAMES = {10: _SLOTS, 224: _SLOTS, 17: "the labels of SAR's RF states are their numbers"}

# TLVs that a source gives to the wrong message: service, message.
MISPLACED = {(64, 0x20): "pd-mapper's servreg_loc.qmi gives this id to get_domain_list, which is 0x21"}

# The sources' tables, those of results and errors (built in) and doubles of one table left out; raise, never lower.
LEAST_TABLES, LEAST_LABELS = 750, 5000


class Known(NamedTuple):
    """A message as the sources know it; `named` of its TLVs hold values that have names."""

    service: int
    message: int
    kind: str
    named: int
    tlvs: frozenset[int]


def known() -> list[Known]:
    lines = [line for line in DATA.read_text(encoding="ascii").splitlines() if not line.startswith("#")]
    made = []
    for service, message, kind, named, tlvs in (line.split("\t") for line in lines):
        ids = frozenset(int(tlv, 16) for tlv in tlvs.split())
        made.append(Known(int(service), int(message, 16), kind, int(named), ids))
    return made


@pytest.fixture(scope="module")
def definitions() -> dict[int, Definition]:
    paths = sorted(definition_dirs(())[0].glob("*.yaml"))
    loaded = [load(path) for path in paths if path.stem != "services"]
    return {definition.header.id: definition for definition in loaded}


def has_names(kind: Type) -> bool:
    """Whether a value of this type, or one inside it, is shown by a name."""
    match kind:
        case Number():
            return bool(kind.enum or kind.flags or kind.truth or kind.bits)
        case Struct():
            return any(has_names(each) for _, each in kind.fields)
        case Array():
            return has_names(kind.element)
        case Union():
            return any(has_names(each) for *_, each in kind.cases)
        case Choice():
            return any(has_names(each) for each in kind.layouts)
        case _:
            return False


def test_the_sources_are_all_there() -> None:
    everything = known()
    assert len({each.service for each in everything}) == 52
    assert len(everything) == 2095
    assert sum(len(each.tlvs) for each in everything) > 4500


def test_every_service_message_and_tlv_is_defined(definitions: dict[int, Definition]) -> None:
    missing = []
    for each in known():
        definition = definitions.get(each.service)
        message = next((m for m in definition.messages if m.id == each.message), None) if definition else None
        section = message.tlvs[KINDS.index(each.kind)] if message else None
        where = f"service {each.service} message 0x{each.message:04x} {each.kind}"
        if section is None:
            missing.append(where)
        elif (each.service, each.message) not in MISPLACED:
            missing += [f"{where} TLV 0x{tlv:02x}" for tlv in sorted(each.tlvs - {tlv.id for tlv in section})]
    assert not missing, "\n".join([f"{len(missing)} missing", *missing])


def test_named_values_have_not_become_fewer(definitions: dict[int, Definition]) -> None:
    wanted: Counter[int] = Counter()
    for each in known():
        wanted[each.service] += each.named
    have = {
        number: sum(
            has_names(tlv.type) for message in each.messages for section in message.tlvs for tlv in section or ()
        )
        for number, each in definitions.items()
    }
    fewer = {service: (have[service], count) for service, count in wanted.items() if have[service] < count}
    assert fewer.keys() == FEWER_NAMES.keys(), fewer


def test_enums_and_their_labels_have_not_become_fewer(definitions: dict[int, Definition]) -> None:
    tables = [enum for definition in definitions.values() for enum in definition.enums]
    assert len(tables) >= LEAST_TABLES
    assert sum(len(enum.values) for enum in tables) >= LEAST_LABELS
