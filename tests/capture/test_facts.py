# SPDX-License-Identifier: GPL-2.0-or-later
"""What a user is told on every machine that cannot be tapped: one line, and what would help."""

from __future__ import annotations

import shutil
import struct
from collections.abc import Callable
from pathlib import Path

import pytest

from qmisniff.capture.facts import ENQUEUE, LOCAL, RECEIVE, SkBuff, survey
from qmisniff.capture.tap import KernelTap
from qmisniff.errors import SourceUnavailable
from tests.capture import test_btf
from tests.capture.kernel import KALLSYMS, README, TRACEFS, FakeKernel


def test_a_fit_kernel(kernel: FakeKernel) -> None:
    facts = survey(kernel)
    assert facts.symbols == {
        "qrtr_node_enqueue": "qrtr:qrtr_node_enqueue",
        "qrtr_local_enqueue": "qrtr:qrtr_local_enqueue",
        "qrtr_endpoint_post": "qrtr:qrtr_endpoint_post",
        "qrtr_tun_send": "qrtr_tun:qrtr_tun_send",
    }
    assert facts.tracefs == f"/{TRACEFS}"
    assert facts.holders == {"qrtr_tun"}
    assert facts.installed == {"qrtr_tun", "qrtr_smd"}
    assert facts.skb == SkBuff(112, 116, 208)
    assert (facts.refused, facts.simple) == ({}, False)
    assert KernelTap(kernel).probe() == (True, "Linux 6.1.0-test, transports of QRTR: qrtr_tun", "")


def test_a_kernel_with_everything_built_in(kernel: FakeKernel) -> None:
    kernel.put("proc/kallsyms", KALLSYMS.replace("\t[qrtr]", "").replace("\t[qrtr_tun]", ""))
    shutil.rmtree(kernel.tree / "sys/module")
    facts = survey(kernel)
    assert facts.symbols["qrtr_tun_send"] == "qrtr_tun_send"
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
    kernel.put(f"{TRACEFS}/README", README.replace("x8/16/32/64, ", ""))


def ftrace_off(kernel: FakeKernel) -> None:
    kernel.put("proc/sys/kernel/ftrace_enabled", "0\n")


def kprobes_off(kernel: FakeKernel) -> None:
    kernel.put("sys/kernel/debug/kprobes/enabled", "0\n")


def no_qrtr(kernel: FakeKernel) -> None:
    kernel.put("proc/kallsyms", "0000000000000000 T printk\n")
    shutil.rmtree(kernel.tree / "sys/module")


def no_function(kernel: FakeKernel) -> None:
    kernel.put("proc/kallsyms", KALLSYMS.replace("qrtr_endpoint_post", "qrtr_endpoint_post.cold"))


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
        (old_kprobes, "kprobe events of Linux 6.1.0-test are too old", "Linux 4.15"),
        (ftrace_off, "ftrace is switched off", "sysctl kernel.ftrace_enabled=1"),
        (kprobes_off, "kprobes is switched off", "kprobes/enabled"),
        (no_qrtr, "module qrtr is not loaded", "modprobe qrtr"),
        (no_function, "no function qrtr_endpoint_post", "4.15"),
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
    assert survey(kernel).symbols["qrtr_tun_send"] == "qrtr_tun:qrtr_tun_send"


def test_a_kernel_that_does_not_describe_its_types(kernel: FakeKernel) -> None:
    btf = kernel.tree / "sys/kernel/btf/vmlinux"
    for damage in (lambda: btf.write_bytes(b"\x9f\xeb"), lambda: btf.write_bytes(test_btf.blob()), btf.unlink):
        damage()
        assert survey(kernel).skb is None


@pytest.mark.parametrize("missing", ["\\imm-value", "<array-size>"])
def test_probes_of_before_linux_5_4(kernel: FakeKernel, missing: str) -> None:
    kernel.put(f"{TRACEFS}/README", README.replace(missing, ""))
    assert survey(kernel).simple


def kallsyms(*names: str) -> str:
    return "".join(f"0000000000000000 t {name}\t[qrtr]\n" for name in names)


@pytest.mark.parametrize(
    ("names", "symbol", "refused"),
    [
        (["qrtr_local_enqueue", "qrtr_local_enqueue.cold"], "qrtr_local_enqueue", ""),
        (["qrtr_local_enqueue.llvm.1234567890"], "qrtr_local_enqueue.llvm.1234567890", ""),
        (["qrtr_local_enqueue.__uniq.1234567890"], "qrtr_local_enqueue.__uniq.1234567890", ""),
        (["qrtr_local_enqueue.0123456789abcdef0123456789abcdef"], ".0123456789abcdef0123456789abcdef", ""),
        (["qrtr_local_enqueue", "qrtr_local_enqueue.cfi"], "qrtr_local_enqueue.cfi", ""),
        (["qrtr_local_enqueue", "qrtr_local_enqueue.cfi_jt"], "qrtr_local_enqueue", ""),
        (["qrtr_local_enqueue.constprop.0"], "", "qrtr_local_enqueue.constprop.0"),
        (["qrtr_local_enqueue.isra.0.part.3"], "", "qrtr_local_enqueue.isra.0.part.3"),
        (["qrtr_local_enqueue", "qrtr_local_enqueue.isra.0"], "qrtr_local_enqueue", "qrtr_local_enqueue.isra.0"),
        (["qrtr_local_enqueue_not"], "", ""),
    ],
)
def test_names_that_compilers_give(kernel: FakeKernel, names: list[str], symbol: str, refused: str) -> None:
    kernel.put("proc/kallsyms", kallsyms("qrtr_endpoint_post", *names))
    facts = survey(kernel)
    assert facts.symbols.get(LOCAL, "").endswith(symbol)
    assert (LOCAL in facts.symbols) == bool(symbol)
    assert refused in facts.refused.get(LOCAL, "")
    assert (LOCAL in facts.refused) == bool(refused)


def test_a_receiving_function_that_was_changed(kernel: FakeKernel) -> None:
    kernel.put("proc/kallsyms", kallsyms("qrtr_endpoint_post.constprop.0"))
    assert "has made qrtr_endpoint_post.constprop.0 of" in KernelTap(kernel).probe().reason


# What kernels have among their symbols, with the release: mainline, and Qualcomm's trees for phones.
KERNELS = {
    "mainline 4.14": ("4.14.336", ["qrtr_node_rx_work"], False),
    "mainline 4.15": ("4.15.0", ["qrtr_node_rx_work"], True),
    "mainline 4.19": ("4.19.325", ["qrtr_node_rx_work"], True),
    "mainline 7.2": ("7.2.13", ["qrtr_tx_wait", "qrtr_tx_resume"], True),
    "Qualcomm 4.14": ("4.14.190-perf+", ["qrtr_tx_wait", "qrtr_log_tx_msg", "qrtr_node_rx_work"], True),
    "Qualcomm 4.19": ("4.19.157-perf", ["qrtr_forward_data_pkt", "qrtr_log_rx_msg"], True),
    "Qualcomm 5.4": ("5.4.86-qgki-g1a2b", ["qrtr_fwd_ctrl_pkt"], True),
    "Qualcomm 5.15": ("5.15.41-android13-8", ["qrtr_log_tx_msg"], True),
    "no number": ("next", [], True),
}


@pytest.mark.parametrize(("release", "others", "addressed"), KERNELS.values(), ids=KERNELS)
def test_queues_that_are_not_told_the_addresses(
    kernel: FakeKernel, monkeypatch: pytest.MonkeyPatch, release: str, others: list[str], addressed: bool
) -> None:
    kernel.put("proc/kallsyms", kallsyms("qrtr_endpoint_post", ENQUEUE, LOCAL, *others))
    monkeypatch.setattr(kernel, "system", lambda: (release, "aarch64"))
    facts = survey(kernel)
    assert {ENQUEUE, LOCAL} & facts.symbols.keys() == ({ENQUEUE, LOCAL} if addressed else set())
    assert bool(facts.refused) != addressed
    assert all("is not told the addresses" in why for why in facts.refused.values())


def types(*functions: tuple[str, tuple[str, ...]]) -> bytes:
    """Type information with functions; their parameters are pointers to structures or to `void`, or `int`."""
    strings = b"\0int\0len\0data_len\0data\0"
    numbers = {"void": 0}
    records = b""

    def name(text: str) -> int:
        nonlocal strings
        if text.encode() + b"\0" not in strings:
            strings += text.encode() + b"\0"
        return strings.index(b"\0" + text.encode() + b"\0") + 1

    def add(text: str, kind: int, count: int, third: int, more: bytes = b"") -> int:
        nonlocal records
        records += struct.pack("<III", name(text) if text else 0, kind << 24 | count, third) + more
        numbers[text] = added[0] = added[0] + 1
        return added[0]

    added = [0]
    integer = add("int", 1, 0, 4, struct.pack("<I", 0x20))
    members = b"".join(
        struct.pack("<III", name(member), integer, at * 8)
        for member, at in (("len", 112), ("data_len", 116), ("data", 208))
    )
    add("sk_buff", 4, 3, 232, members)
    for function, parameters in functions:
        kinds = []
        for parameter in parameters:
            if parameter not in numbers:
                add(parameter, 4, 0, 0)
            kinds.append(integer if parameter == "int" else add("", 2, 0, add("", 10, 0, numbers[parameter])))
        pairs = b"".join(struct.pack("<II", 0, kind) for kind in kinds)
        add(function, 12, 0, add("", 13, len(kinds), integer, pairs))
    return test_btf.blob(records, strings)


QUEUE = ("qrtr_node", "sk_buff", "int", "sockaddr_qrtr", "sockaddr_qrtr")


def test_parameters_are_those_that_are_described(kernel: FakeKernel) -> None:
    kernel.put("proc/kallsyms", KALLSYMS.replace("\t[qrtr]", ""))
    described = types((LOCAL, (*QUEUE, "int")), (ENQUEUE, QUEUE[:2]), (RECEIVE, ("qrtr_endpoint", "void", "int")))
    (kernel.tree / "sys/kernel/btf/vmlinux").write_bytes(described)
    facts = survey(kernel)
    # A flag more does not matter (vendors' kernels); addresses that are missing do.
    assert facts.skb == SkBuff(112, 116, 208)
    assert LOCAL in facts.symbols
    assert ENQUEUE not in facts.symbols
    assert facts.refused == {
        ENQUEUE: f"{ENQUEUE} has other parameters in this kernel (qrtr_node *, sk_buff *)",
    }


def test_a_receiving_function_with_other_parameters(kernel: FakeKernel) -> None:
    kernel.put("proc/kallsyms", KALLSYMS.replace("\t[qrtr]", ""))
    (kernel.tree / "sys/kernel/btf/vmlinux").write_bytes(types((RECEIVE, ("qrtr_endpoint", "sk_buff"))))
    state = KernelTap(kernel).probe()
    assert state.reason == f"{RECEIVE} has other parameters in this kernel (qrtr_endpoint *, sk_buff *)"
