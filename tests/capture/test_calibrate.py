# SPDX-License-Identifier: GPL-2.0-or-later
"""struct sk_buff found by looking at one: in every layout that kernels have had, and refused where it is not sure."""

from __future__ import annotations

import errno
import os
import re
import struct
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qmisniff.capture.calibrate import FUNCTIONS, SETTING, announcement, calibrate, candidates
from qmisniff.capture.event_format import parse_format
from qmisniff.capture.facts import SkBuff, survey
from qmisniff.capture.tap import KernelTap
from qmisniff.errors import SourceUnavailable
from tests.capture.kernel import KALLSYMS, TRACEFS, FakeKernel, fill, pages

ADDRESS, PAYLOAD = 0xFFFF_8880_0000_1000, 0xFFFF_8880_0004_2000
# release -> offsets of len and data in a struct sk_buff of that kernel, without and with its more debugging.
LAYOUTS = {"4.14": (128, 224), "4.19": (128, 216), "5.4": (112, 200), "5.10": (112, 200), "6.1": (112, 208)}
_ARGUMENT = re.compile(r"(\w+)=((?:\+\d+\()+)(%\w+)\)+:x64")


def sk_buff(length: int, len_at: int, data_at: int, ends_at: int | None = None, **words: int) -> bytes:
    """A struct sk_buff whose data is at its head; `ends_at` is where tail and end are. `words` (w8=1) are others."""
    memory = bytearray(384)
    struct.pack_into("<II", memory, len_at, length, 0)
    struct.pack_into("<II", memory, data_at - 16 if ends_at is None else ends_at, length, 192)
    struct.pack_into("<QQII", memory, data_at - 8, PAYLOAD, PAYLOAD, 768, 1)
    for name, value in words.items():
        struct.pack_into("<I", memory, int(name[1:]), value)
    return bytes(memory)


class Announcing(FakeKernel):
    """A kernel that announces the setting, and runs the probes that are there; it does not describe its types."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.skb: Callable[[int], bytes] = lambda length: sk_buff(length, 112, 208)
        self.announces: Callable[[int], bytes] = announcement
        (self.tree / "sys/kernel/btf/vmlinux").unlink()
        self.put(SETTING.lstrip("/"), "0\n")
        self.put("proc/kallsyms", KALLSYMS + "0000000000000000 T netlink_broadcast\n")

    def write(self, path: str, text: str) -> None:
        before = self.read(SETTING).strip()
        super().write(path, text)
        if path == SETTING and text.encode() != before:
            payload = self.announces(int(text))
            memory = {ADDRESS: self.skb(len(payload)), PAYLOAD: payload}
            self.queue += [(0, page) for page in pages(self._fired(memory))]

    def _fired(self, memory: dict[int, bytes]) -> list[tuple[int, bytes]]:
        """The record of every probe that is enabled."""
        records: list[tuple[int, bytes]] = []
        for line in (self.tree / TRACEFS / "kprobe_events").read_text().splitlines():
            (folder,) = (self.tree / TRACEFS / "instances").glob(f"*/events/{line.split()[0].partition(':')[2]}")
            if line.split()[1] in FUNCTIONS and (folder / "enable").read_text() == "1":
                form = parse_format((folder / "format").read_text())
                words = [self._fetch(memory, arguments) for _, arguments, _ in _ARGUMENT.findall(line)]
                records.append((1000 + len(records), fill(form, {}, {}, b"".join(words))))
        return records

    def _fetch(self, memory: dict[int, bytes], dereferences: str) -> bytes:
        """The word behind `+OFFSET(+OFFSET(`, beginning with the register that holds the packet."""
        value = ADDRESS
        for offset in map(int, reversed(re.findall(r"\d+", dereferences))):
            at = value + offset
            base = max((base for base in memory if base <= at), default=at)
            word = memory.get(base, b"")[at - base : at - base + 8].ljust(8, b"\0")
            value = int.from_bytes(word, "little")
        return value.to_bytes(8, "little")


@pytest.fixture
def kernel(tmp_path: Path) -> Announcing:
    return Announcing(tmp_path)


@pytest.mark.parametrize("machine", ["x86_64", "aarch64"])
@pytest.mark.parametrize(("len_at", "data_at"), LAYOUTS.values(), ids=LAYOUTS)
def test_every_layout(kernel: Announcing, machine: str, len_at: int, data_at: int) -> None:
    kernel.machine = machine
    kernel.skb = lambda length: sk_buff(length, len_at, data_at)
    facts = survey(kernel)
    assert facts.skb is None
    assert calibrate(kernel, facts) == SkBuff(len_at, len_at + 4, data_at)
    assert kernel.remains() == []
    assert kernel.read(SETTING) == b"0"


def test_a_hole_before_the_pointers(kernel: Announcing) -> None:
    """As Linux 6.1 has it: tail and end are at 188 and 192, head at 200."""
    kernel.skb = lambda length: sk_buff(length, 112, 208, ends_at=188)
    assert calibrate(kernel, survey(kernel)) == SkBuff(112, 116, 208)


def test_the_tap_says_that_it_was_calibrated(kernel: Announcing, monkeypatch: pytest.MonkeyPatch) -> None:
    class NoLookup:
        problem, seen = "none here", False

        def answers(self, *_: object, wait: bool = False) -> list[object]:
            return []

        def close(self) -> None: ...

    monkeypatch.setattr(Announcing, "lookup", lambda self: NoLookup(), raising=False)
    assert "has to be calibrated" in KernelTap(kernel).probe().reason
    with KernelTap(kernel) as tap:
        assert "calibrated" in tap.notes[0]
        probes = (kernel.tree / TRACEFS / "kprobe_events").read_text()
        assert "len=+112(%si):u32" in probes
        assert "+0(+208(%si)):x64" in probes
    assert kernel.remains() == []


def silent(kernel: Announcing) -> None:
    kernel._fired = lambda memory: []  # type: ignore[method-assign]


def ambiguous(kernel: Announcing) -> None:
    kernel.skb = lambda length: sk_buff(length, 112, 208, w40=length)


def moving(kernel: Announcing) -> None:
    """Another structure every time: what one shows, the next does not."""
    places = iter((48, 56, 64, 72))
    kernel.skb = lambda length: sk_buff(length, next(places), 208)


def lying(kernel: Announcing) -> None:
    """It has the length of an announcement, and other bytes."""
    kernel.announces = lambda value: bytes(36)


def no_setting(kernel: Announcing) -> None:
    (kernel.tree / SETTING.lstrip("/")).unlink()
    kernel.read = lambda path: b"" if path == SETTING else FakeKernel.read(kernel, path)  # type: ignore[method-assign]


def no_function(kernel: Announcing) -> None:
    kernel.put("proc/kallsyms", KALLSYMS)


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (silent, "announced nothing that can be recognized (0 packets, 0 explanations)"),
        (ambiguous, "announced nothing that can be recognized (2 packets, 2 explanations)"),
        (moving, "announced nothing that can be recognized (2 packets, 0 explanations)"),
        (lying, "did not announce again what it had announced"),
        (no_setting, f"has no {SETTING}"),
        (no_function, "has no function netlink_broadcast"),
    ],
)
def test_what_is_not_sure_is_refused(kernel: Announcing, damage: Callable[[Announcing], None], reason: str) -> None:
    damage(kernel)
    with pytest.raises(SourceUnavailable) as refused:
        KernelTap(kernel).open()
    assert reason in refused.value.args[0]
    assert refused.value.remedy == "use a kernel built with CONFIG_DEBUG_INFO_BTF"
    assert kernel.remains() == []


def test_the_setting_is_put_back_when_it_cannot_be_changed(kernel: Announcing) -> None:
    def refuse(change: str) -> None:
        if SETTING in change and change.endswith(" 1"):
            raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    kernel.fails = refuse
    facts = survey(kernel)
    with pytest.raises(SourceUnavailable, match=r"linkdown be changed \(Read-only file system\)"):
        calibrate(kernel, facts)
    assert kernel.read(SETTING) == b"0"
    assert kernel.remains() == []


@given(st.binary(max_size=384), st.integers(0, 384))
def test_any_memory_is_looked_at_without_an_error(noise: bytes, at: int) -> None:
    memory = sk_buff(36, 112, 208)
    for damaged in (noise, memory[:at], memory[:at] + noise):
        for found in candidates(damaged, 36):
            assert damaged[found.len : found.len + 8] == struct.pack("<II", 36, 0)
            assert 8 <= found.data <= len(damaged) - 8
