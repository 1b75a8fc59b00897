# SPDX-License-Identifier: GPL-2.0-or-later
"""The text of the probes."""

from __future__ import annotations

import itertools
import re

import pytest

from qmisniff.capture.facts import ENQUEUE, LOCAL, RECEIVE, Facts, SkBuff
from qmisniff.capture.plan import HEAD_BYTES, SIMPLE_STAGES, STAGES, Stage, plan
from qmisniff.capture.source import NO_TUNING, Tuning
from qmisniff.frame import Hook

FACTS = Facts(
    release="6.1.0",
    machine="x86_64",
    tracefs="/sys/kernel/tracing",
    symbols={
        RECEIVE: f"qrtr:{RECEIVE}",
        ENQUEUE: f"qrtr:{ENQUEUE}",
        LOCAL: f"qrtr:{LOCAL}",
        "qrtr_tun_send": "qrtr_tun:qrtr_tun_send",
    },
    holders=frozenset({"qrtr_tun"}),
    installed=frozenset({"qrtr_tun", "qrtr_smd"}),
    skb=SkBuff(112, 116, 208),
    refused={},
    simple=False,
)
BUILT_IN = {function: function for function in FACTS.symbols}
OF_QRTR = {function: FACTS.symbols[function] for function in (RECEIVE, ENQUEUE, LOCAL)}

HEADS = {
    "receive": (
        "p:{group}/{event} qrtr:qrtr_endpoint_post ptr=%si:x64 len=%dx:u32 comm=$comm:string d0=+0(%si):x64[16]",
    ),
    "transmit": (
        "p:{group}/{event} qrtr_tun:qrtr_tun_send ptr=%si:x64 len=+112(%si):u32 paged=+116(%si):u32 "
        "comm=$comm:string d0=+0(+208(%si)):x64[16]",
        "p:{group}/{event} qrtr_smd:qcom_smd_qrtr_send ptr=%si:x64 len=+112(%si):u32 paged=+116(%si):u32 "
        "comm=$comm:string d0=+0(+208(%si)):x64[16]",
    ),
    "local": (
        "p:{group}/{event} qrtr:qrtr_local_enqueue ptr=%si:x64 len=+112(%si):u32 paged=+116(%si):u32 kind=%dx:u32 "
        "from_node=+4(%cx):u32 from_port=+8(%cx):u32 to_node=+4(%r8):u32 to_port=+8(%r8):u32 "
        "comm=$comm:string d0=+0(+208(%si)):x64[16]",
    ),
}


def test_heads() -> None:
    made = plan(FACTS)
    assert {event.name: event.definitions for event in made.heads} == HEADS
    assert [(event.hook, event.rebuilt) for event in made.heads] == [
        (Hook.RECEIVE, False),
        (Hook.TRANSMIT, False),
        (Hook.LOCAL, True),
    ]
    assert made.services == made.notes == ()


def test_bodies() -> None:
    huge, long, body = plan(FACTS).bodies
    assert (body.armed_by, long.armed_by, huge.armed_by) == ("", "len > 640", "len > 9664")
    assert body.definitions[0] == (
        "p:{group}/{event} qrtr:qrtr_endpoint_post ptr=%si:x64 len=%dx:u32 off=\\128:u32 d0=+128(%si):x64[64]"
    )
    assert long.filter == "off == 640 && len > 640 || off == 3648 && len > 3648 || off == 6656 && len > 6656"
    assert long.definitions[5] == (
        "p:{group}/{event} qrtr_tun:qrtr_tun_send ptr=%si:x64 len=+112(%si):u32 off=\\6656:u32 "
        "d0=+6656(+208(%si)):x64[64] d1=+7168(+208(%si)):x64[64] d2=+7680(+208(%si)):x64[64] "
        "d3=+8192(+208(%si)):x64[64] d4=+8704(+208(%si)):x64[64] d5=+9216(+208(%si)):x64[56]"
    )
    assert len(huge.definitions) == 4 * 19


@pytest.mark.parametrize("stages", [STAGES, SIMPLE_STAGES], ids=["shared", "simple"])
def test_the_stages_cover_the_longest_packet_without_a_gap(stages: tuple[Stage, ...]) -> None:
    assert stages[0].start == HEAD_BYTES
    for before, after in itertools.pairwise(stages):
        assert after.start == before.end
    assert stages[-1].end >= 32 + 65535 + 1


ALL_FIELDS = "src node 1 or dst node 2 or src port 3 or dst port 4 or type data or len < 5"


@pytest.mark.parametrize("tuning", [NO_TUNING, Tuning(filter=ALL_FIELDS)], ids=["all", "filtered"])
def test_what_the_kernel_limits(tuning: Tuning) -> None:
    """Sizes of Linux 6.1's kernel/trace/trace_probe.h."""
    made = plan(FACTS, tuning)
    for event in (*made.bodies, *made.heads):
        for definition in event.definitions:
            arguments = definition.split()[2:]
            assert len(arguments) <= 128
            assert all(len(argument) <= 63 + len("from_node=") for argument in arguments)
            arrays = [int(count) for count in re.findall(r"x64\[(\d+)\]", definition)]
            assert max(arrays) <= 64
            numbers = sum({"u8": 1, "u16": 2}.get(kind, 4) for kind in re.findall(r":(u8|u16|u32|string)", definition))
            assert 8 * sum(arrays) + 8 + numbers <= 3072
        assert len(event.filter) < 4096 - len("hist:keys=raw:size=128 if \n")


def test_a_filter_gives_every_event_the_fields_it_asks_about_under_the_same_types() -> None:
    made = plan(FACTS, Tuning(filter="src port 5 and type data"))
    receive, transmit, local = made.heads
    assert receive.definitions[0] == (
        "p:{group}/{event} qrtr:qrtr_endpoint_post ptr=%si:x64 len=%dx:u32 raw=\\1:u8 version=+0(%si):u8 "
        "kind=+4(%si):u32 from_port=+12(%si):u32 kind2=+1(%si):u8 from_port2=+10(%si):u16 "
        "comm=$comm:string d0=+0(%si):x64[16]"
    )
    assert "kind2=+1(+208(%si)):u8" in transmit.definitions[0]
    assert (
        local.definitions[0]
        .split(" comm=")[0]
        .endswith("to_port=+8(%r8):u32 raw=\\0:u8 version=\\0:u8 kind2=\\0:u8 from_port2=\\0:u16")
    )
    for body in made.bodies:
        fields = {tuple(re.findall(r"(\w+)=\S+?:(\w+)", each.split(" d0=")[0])) for each in body.definitions}
        assert fields == {
            (
                ("ptr", "x64"), ("len", "u32"), ("off", "u32"), ("raw", "u8"), ("version", "u8"), ("kind", "u32"),
                ("from_port", "u32"), ("kind2", "u8"), ("from_port2", "u16"),
            )
        }  # fmt: skip
        assert body.filter.endswith(f") && ({receive.filter})")
    assert made.bodies[0].armed_by == f"len > 9664 && ({receive.filter})"


def test_a_snap_length_leaves_out_the_parts_behind_it() -> None:
    bodies = plan(FACTS, Tuning(snap=3649)).bodies
    assert [(body.name, body.filter.count("off ==")) for body in bodies] == [("long", 2), ("body", 1)]
    assert not plan(FACTS, Tuning(snap=128)).bodies


def test_before_linux_5_4_an_event_has_one_probe_of_single_words() -> None:
    made = plan(FACTS._replace(simple=True))
    assert [(event.name, event.hook) for event in made.heads] == [
        ("receive0", Hook.RECEIVE), ("transmit1", Hook.TRANSMIT), ("transmit2", Hook.TRANSMIT), ("local3", Hook.LOCAL),
    ]  # fmt: skip
    for event in (*made.bodies, *made.heads):
        (definition,) = event.definitions
        assert not re.search(r"\[|\\", definition)
        # Sizes of Linux 4.15's kernel/trace/trace_probe.h and trace_probe.c.
        assert len(definition.split()[2:]) <= 128
        assert len(definition) + 2 * len("qmisniff_4194304_18446744073709551615_99") < 4096 - 2
    assert len({event.name for event in made.bodies}) == len(made.bodies) == 4 * (1 + 10 + 58)
    last = made.bodies[57]
    assert (last.name, last.filter, last.armed_by, last.heads) == (
        "huge0x64960", "len > 64960", "len > 10240", ("receive0",),
    )  # fmt: skip
    assert " d119=+65912(%si):x64" in last.definitions[0]


def test_arm64_has_its_own_registers() -> None:
    made = plan(FACTS._replace(machine="aarch64"))
    assert made.heads[-1].definitions[0].split()[1:7] == [
        "qrtr:qrtr_local_enqueue",
        "ptr=%x1:x64",
        "len=+112(%x1):u32",
        "paged=+116(%x1):u32",
        "kind=%x2:u32",
        "from_node=+4(%x3):u32",
    ]


def test_built_in_functions_have_no_module() -> None:
    made = plan(FACTS._replace(symbols=BUILT_IN, holders=frozenset(), installed=frozenset()))
    assert [definition.split()[1] for event in made.heads for definition in event.definitions] == [
        RECEIVE,
        "qrtr_tun_send",
        LOCAL,
    ]
    assert not made.notes


@pytest.mark.parametrize(
    "facts",
    [
        FACTS._replace(holders=frozenset({"qrtr_tun", "qrtr_pigeon"})),
        FACTS._replace(symbols=OF_QRTR),  # tun in use, its function inlined
        FACTS._replace(
            symbols={function: function for function in OF_QRTR}, holders=frozenset(), installed=frozenset()
        ),
    ],
    ids=["unknown", "inlined", "built in"],
)
def test_a_transport_that_is_not_known_is_tapped_before_it(facts: Facts) -> None:
    made = plan(facts)
    transmit = next(event for event in made.heads if event.hook is Hook.TRANSMIT)
    assert transmit.rebuilt
    assert [definition.split()[1].rpartition(":")[2] for definition in transmit.definitions] == [ENQUEUE]
    assert "kind=%dx:u32" in transmit.definitions[0]
    assert "headers of sent packets are rebuilt" in made.notes[0]


def test_a_transport_that_cannot_be_tapped_at_all_is_said() -> None:
    symbols = {name: module for name, module in FACTS.symbols.items() if name != ENQUEUE}
    made = plan(FACTS._replace(symbols=symbols, holders=frozenset({"qrtr_pigeon"})))
    assert "qrtr_pigeon" in made.notes[0]
    assert "is not seen" in made.notes[0]
    assert [event.name for event in made.heads] == ["receive", "transmit", "local"]


def test_what_the_compiler_has_changed_is_said() -> None:
    why = {LOCAL: "the compiler has made qrtr_local_enqueue.constprop.0 of it"}
    both, gone = FACTS._replace(refused=why), FACTS._replace(refused=why, symbols={RECEIVE: RECEIVE})
    assert plan(both).notes == (f"{why[LOCAL]}: that part is not seen",)
    # What no probe is put at need not be whole.
    assert not plan(FACTS._replace(refused={ENQUEUE: "the compiler has made qrtr_node_enqueue.isra.0 of it"})).notes
    assert plan(gone).notes[-1].startswith(f"{why[LOCAL]}: traffic within this node is not seen")


def test_without_a_transport_there_is_nothing_to_rebuild() -> None:
    symbols = {function: FACTS.symbols[function] for function in (RECEIVE, LOCAL)}
    made = plan(FACTS._replace(symbols=symbols, holders=frozenset(), installed=frozenset()))
    assert [event.name for event in made.heads] == ["receive", "local"]
    assert not made.notes


def test_without_local_traffic_the_name_server_tells_of_services() -> None:
    symbols = {name: module for name, module in FACTS.symbols.items() if name != LOCAL}
    made = plan(FACTS._replace(symbols=symbols))
    assert made.services == ("qrtr_ns_server_add", "qrtr_ns_service_announce_del")
    assert "traffic within this node is not seen" in made.notes[0]
