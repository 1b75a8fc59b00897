# SPDX-License-Identifier: GPL-2.0-or-later
"""Member offsets from type information: a small hand-made one, every damage to it, and this machine's own."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qmisniff.capture.btf import Btf, BtfError

STRINGS = b"\0int\0sk_buff\0next\0len\0data\0sk_buff_head\0flag\0"
INT, STRUCT, UNION, PTR = 1, 4, 5, 2


def name(text: str) -> int:
    return STRINGS.index(b"\0" + text.encode() + b"\0") + 1 if text else 0


def record(text: str, kind: int, size: int, *members: tuple[str, int, int], kind_flag: bool = False) -> bytes:
    head = struct.pack("<III", name(text), kind_flag << 31 | kind << 24 | len(members), size)
    return head + b"".join(struct.pack("<III", name(member), number, at) for member, number, at in members)


TYPES = b"".join(
    (
        record("int", INT, 4) + struct.pack("<I", 0x20),  # 1
        record("", UNION, 8, ("next", 1, 0), ("data", 1, 0)),  # 2
        record("", STRUCT, 16, ("flag", 1, 0), ("", 2, 64)),  # 3: anonymous, holding an anonymous one
        record("sk_buff_head", STRUCT, 4, ("len", 1, 0)),  # 4: a decoy
        record("", PTR, 1),  # 5
        record("sk_buff", STRUCT, 40, ("len", 1, 8 * 12), ("", 3, 8 * 16)),  # 6
    )
)


def blob(types: bytes = TYPES, strings: bytes = STRINGS) -> bytes:
    header = struct.pack("<HBBIIIII", 0xEB9F, 1, 0, 24, 0, len(types), len(types), len(strings))
    return header + types + strings


def test_members_are_found_also_in_anonymous_structures() -> None:
    assert Btf(blob()).member_offsets("sk_buff", ("len", "data", "flag")) == {"len": 12, "flag": 16, "data": 24}


def test_a_bit_field_keeps_its_size_in_the_high_byte_of_its_offset() -> None:
    types = record("int", INT, 4) + struct.pack("<I", 0x20)
    types += record("sk_buff", STRUCT, 8, ("flag", 1, 3 << 24 | 32), kind_flag=True)
    assert Btf(blob(types)).member_offsets("sk_buff", ("flag",)) == {"flag": 4}


def test_what_is_missing_is_named() -> None:
    with pytest.raises(BtfError, match="no struct sock"):
        Btf(blob()).member_offsets("sock", ("len",))
    with pytest.raises(BtfError, match="struct sk_buff has no member next_"):
        Btf(blob()).member_offsets("sk_buff", ("next_",))


MODULE_STRINGS = b"\0send\0endpoint\0"
FUNCTION, PROTOTYPE, CONST = 12, 13, 10


def module(types: bytes) -> Btf:
    """A module's types on top of the kernel's: numbers and strings go on where those end."""
    return Btf(blob(types, MODULE_STRINGS), Btf(blob()))


def module_name(text: str) -> int:
    return len(STRINGS) + MODULE_STRINGS.index(b"\0" + text.encode() + b"\0") + 1


def test_parameters_of_a_function_of_a_module() -> None:
    assert Btf(blob()).count() == 6
    types = b"".join(
        (
            struct.pack("<III", module_name("endpoint"), STRUCT << 24, 8),  # 7
            struct.pack("<III", 0, PTR << 24, 7),  # 8
            struct.pack("<III", 0, CONST << 24, 6),  # 9: const struct sk_buff
            struct.pack("<III", 0, PTR << 24, 9),  # 10
            struct.pack("<III", 0, PTR << 24, 0),  # 11: void *
            struct.pack("<III", 0, PROTOTYPE << 24 | 5, 1)  # 12
            + b"".join(struct.pack("<II", 0, kind) for kind in (8, 10, 1, 11, 99)),
            struct.pack("<III", module_name("send"), FUNCTION << 24, 12),  # 13
        )
    )
    made = module(types)
    assert made.parameters("send") == ("endpoint *", "sk_buff *", "integer", "*", "?")
    assert made.parameters("absent") is None
    assert made.count() == 7


def test_a_function_without_a_prototype() -> None:
    with pytest.raises(BtfError, match="send has no prototype"):
        module(struct.pack("<III", module_name("send"), FUNCTION << 24, 6)).parameters("send")


def test_a_type_that_is_its_own_other_name_ends() -> None:
    types = struct.pack("<III", 0, CONST << 24, 7)  # 7
    types += struct.pack("<III", 0, PROTOTYPE << 24 | 1, 1) + struct.pack("<II", 0, 7)  # 8
    assert module(types + struct.pack("<III", module_name("send"), FUNCTION << 24, 8)).parameters("send") == ("?",)


@given(st.integers(0, 200), st.binary(max_size=8))
def test_damage_of_a_module_is_an_error_or_harmless(at: int, noise: bytes) -> None:
    types = struct.pack("<III", 0, PTR << 24, 6) + struct.pack("<III", 0, PROTOTYPE << 24 | 1, 1)
    types += struct.pack("<II", 0, 7) + struct.pack("<III", module_name("send"), FUNCTION << 24, 8)
    whole = blob(types, MODULE_STRINGS)
    try:
        found = Btf(whole[:at] + noise + whole[at + len(noise) :], Btf(blob())).parameters("send")
    except BtfError:
        return
    assert found is None or all(found)


def test_a_structure_within_itself_ends() -> None:
    types = record("sk_buff", STRUCT, 8, ("", 1, 0))
    with pytest.raises(BtfError, match="no member len"):
        Btf(blob(types)).member_offsets("sk_buff", ("len",))


@given(st.integers(0, len(blob())), st.binary(max_size=4))
def test_damage_is_an_error_or_harmless(at: int, noise: bytes) -> None:
    for damaged in (blob()[:at], blob()[:at] + noise + blob()[at + len(noise) :]):
        try:
            found = Btf(damaged).member_offsets("sk_buff", ("len", "data"))
        except BtfError:
            continue
        assert set(found) == {"len", "data"}


def test_this_machine() -> None:
    path = Path("/sys/kernel/btf/vmlinux")
    if not path.exists():
        pytest.skip("this kernel has no BTF")
    offsets = Btf(path.read_bytes()).member_offsets("sk_buff", ("len", "data_len", "head", "data"))
    assert offsets["data_len"] == offsets["len"] + 4
    assert offsets["data"] == offsets["head"] + 8
