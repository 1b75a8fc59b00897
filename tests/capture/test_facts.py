# SPDX-License-Identifier: GPL-2.0-or-later
"""What a user is told on every machine that cannot be tapped: one line, and what would help."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from qmisniff.capture.facts import SkBuff, survey
from qmisniff.capture.tap import KernelTap
from qmisniff.errors import SourceUnavailable
from tests.capture.kernel import KALLSYMS, README, TRACEFS, FakeKernel


def test_a_fit_kernel(kernel: FakeKernel) -> None:
    facts = survey(kernel)
    assert facts.symbols == {
        "qrtr_node_enqueue": "qrtr",
        "qrtr_local_enqueue": "qrtr",
        "qrtr_endpoint_post": "qrtr",
        "qrtr_tun_send": "qrtr_tun",
    }
    assert facts.tracefs == f"/{TRACEFS}"
    assert facts.holders == {"qrtr_tun"}
    assert facts.installed == {"qrtr_tun", "qrtr_smd"}
    assert facts.skb == SkBuff(112, 116, 208)
    assert facts.symbol("qrtr_tun_send") == "qrtr_tun:qrtr_tun_send"
    assert KernelTap(kernel).probe() == (True, "Linux 6.1.0-test, transports of QRTR: qrtr_tun", "")


def test_a_kernel_with_everything_built_in(kernel: FakeKernel) -> None:
    kernel.put("proc/kallsyms", KALLSYMS.replace("\t[qrtr]", "").replace("\t[qrtr_tun]", ""))
    shutil.rmtree(kernel.tree / "sys/module")
    facts = survey(kernel)
    assert facts.symbol("qrtr_tun_send") == "qrtr_tun_send"
    assert not facts.holders


def not_root(kernel: FakeKernel) -> None:
    kernel.root = False


def locked_down(kernel: FakeKernel) -> None:
    kernel.put("sys/kernel/security/lockdown", "none integrity [confidentiality]\n")


def strange_processor(kernel: FakeKernel) -> None:
    kernel.machine = "armv7l"


def no_tracefs(kernel: FakeKernel) -> None:
    shutil.rmtree(kernel.tree / TRACEFS)
    kernel.put("proc/filesystems", "nodev\tproc\n")


def no_mount_point(kernel: FakeKernel) -> None:
    shutil.rmtree(kernel.tree / TRACEFS)


def unreadable_tracefs(kernel: FakeKernel) -> None:
    (kernel.tree / TRACEFS / "trace_clock").unlink()
    (kernel.tree / TRACEFS / "trace_clock").mkdir()  # as root may read any file, something else that refuses


def no_kprobes(kernel: FakeKernel) -> None:
    (kernel.tree / TRACEFS / "kprobe_events").unlink()


def old_kprobes(kernel: FakeKernel) -> None:
    kernel.put(f"{TRACEFS}/README", README.replace("\\imm-value", ""))


def older_kprobes(kernel: FakeKernel) -> None:
    kernel.put(f"{TRACEFS}/README", README.replace("<array-size>", ""))


def ftrace_off(kernel: FakeKernel) -> None:
    kernel.put("proc/sys/kernel/ftrace_enabled", "0\n")


def kprobes_off(kernel: FakeKernel) -> None:
    kernel.put("sys/kernel/debug/kprobes/enabled", "0\n")


def no_qrtr(kernel: FakeKernel) -> None:
    kernel.put("proc/kallsyms", "0000000000000000 T printk\n")
    shutil.rmtree(kernel.tree / "sys/module")


def no_function(kernel: FakeKernel) -> None:
    kernel.put("proc/kallsyms", KALLSYMS.replace("qrtr_endpoint_post", "qrtr_endpoint_post.cold"))


def no_btf(kernel: FakeKernel) -> None:
    (kernel.tree / "sys/kernel/btf/vmlinux").unlink()


def broken_btf(kernel: FakeKernel) -> None:
    (kernel.tree / "sys/kernel/btf/vmlinux").write_bytes(b"\x9f\xeb")


@pytest.mark.parametrize(
    ("damage", "reason", "remedy"),
    [
        (not_root, "needs root", "sudo"),
        (locked_down, "locked down", "lockdown=confidentiality"),
        (strange_processor, "armv7l", "x86_64 and aarch64"),
        (no_tracefs, "has no tracefs", "CONFIG_FTRACE"),
        (no_mount_point, "not mounted", "mount -t tracefs"),
        (unreadable_tracefs, "cannot be read: Is a directory", "SELinux"),
        (no_kprobes, "no kprobe events", "CONFIG_KPROBE_EVENTS"),
        (old_kprobes, "kprobe events of Linux 6.1.0-test are too old", "Linux 5.4"),
        (older_kprobes, "kprobe events of Linux 6.1.0-test are too old", "Linux 5.4"),
        (ftrace_off, "ftrace is switched off", "sysctl kernel.ftrace_enabled=1"),
        (kprobes_off, "kprobes is switched off", "kprobes/enabled"),
        (no_qrtr, "module qrtr is not loaded", "modprobe qrtr"),
        (no_function, "no function qrtr_endpoint_post", "4.15"),
        (no_btf, "does not describe its types", "CONFIG_DEBUG_INFO_BTF"),
        (broken_btf, "too short for a BTF header", ""),
    ],
)
def test_what_is_missing(kernel: FakeKernel, damage: Callable[[FakeKernel], None], reason: str, remedy: str) -> None:
    damage(kernel)
    state = KernelTap(kernel).probe()
    assert not state.ok
    assert reason in state.reason
    assert remedy in state.remedy
    assert "\n" not in state.reason + state.remedy
    with pytest.raises(SourceUnavailable):
        KernelTap(kernel).open()


def test_tracefs_that_can_be_mounted_is_no_obstacle(kernel: FakeKernel) -> None:
    (kernel.tree / TRACEFS / "trace_clock").unlink()
    assert survey(kernel).tracefs == ""
    assert KernelTap(kernel).probe().ok


def test_symbols_hidden_in_a_large_file(kernel: FakeKernel, tmp_path: Path) -> None:
    filler = "ffffffff81000000 T some_other_function\n" * 60_000  # 2.3 MB: more than two pieces
    kernel.put("proc/kallsyms", filler + KALLSYMS + filler)
    assert survey(kernel).symbols["qrtr_tun_send"] == "qrtr_tun"
