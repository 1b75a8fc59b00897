# SPDX-License-Identifier: GPL-2.0-or-later
"""What must be known of a kernel before it can be tapped, and the plain words for what is missing.

Function names: net/qrtr of the mainline kernel and of the vendor kernels for phones.
"""

from __future__ import annotations

from typing import NamedTuple

from qmisniff.capture.btf import Btf, BtfError
from qmisniff.capture.target import Target
from qmisniff.errors import SourceUnavailable

RECEIVE = "qrtr_endpoint_post"
ENQUEUE = "qrtr_node_enqueue"
LOCAL = "qrtr_local_enqueue"

# The function through which a transport's endpoint sends: module -> function(endpoint, skb).
TRANSPORTS = {
    "qrtr_smd": "qcom_smd_qrtr_send",
    "qrtr_mhi": "qcom_mhi_qrtr_send",
    "qrtr_tun": "qrtr_tun_send",
    "qrtr_mhi_dev": "qrtr_mhi_dev_send",
    "qrtr_usb": "qcom_usb_qrtr_send",
    "qrtr_haven": "qrtr_haven_send",
    "qrtr_gunyah": "qrtr_gunyah_send",
}
# Registers that hold the arguments of a function at its entry, by processor. Named rather than written $arg1: that
# is refused for a module that is not loaded yet, and unknown before Linux 4.20.
ARGUMENTS = {
    "x86_64": ("%di", "%si", "%dx", "%cx", "%r8"),
    "aarch64": ("%x0", "%x1", "%x2", "%x3", "%x4"),
}

TRACEFS = ("/sys/kernel/tracing", "/sys/kernel/debug/tracing")
# Where phones and everything else keep the list of installed modules.
_MODULES = ("/lib/modules/{}", "/vendor/lib/modules", "/vendor_dlkm/lib/modules", "/system/lib/modules")
_BTF = "/sys/kernel/btf/vmlinux"


class SkBuff(NamedTuple):
    """Offsets of members of struct sk_buff, bytes: `paged` (data_len) counts what does not lie at `data`."""

    len: int
    paged: int
    data: int


class Facts(NamedTuple):
    """One kernel, as far as the tap depends on it.

    `tracefs` is where it is mounted, "" where it has to be mounted first: what is in it is not known then. `symbols`
    maps each function of QRTR to its module, "" where it is built in; `holders` are the modules that use qrtr now,
    `installed` those of TRANSPORTS that can be loaded later.
    """

    release: str
    machine: str
    tracefs: str
    symbols: dict[str, str]
    holders: frozenset[str]
    installed: frozenset[str]
    skb: SkBuff

    def symbol(self, function: str) -> str:
        """A function as a probe names it: with its module, so that the probe outlives the module's reloading."""
        module = self.symbols[function]
        return f"{module}:{function}" if module else function


def survey(target: Target) -> Facts:
    """The facts of a kernel that can be tapped. Raises SourceUnavailable for the first thing that is missing."""
    release, machine = target.system()
    _rights(target)
    if machine not in ARGUMENTS:
        raise SourceUnavailable(
            f"the tap does not know this processor ({machine})", f"it runs on {' and '.join(ARGUMENTS)}"
        )
    tracefs = _tracefs(target)
    if tracefs:
        _kprobes(target, tracefs, release)
    _switches(target)
    return Facts(
        release,
        machine,
        tracefs,
        _symbols(target),
        frozenset(target.list("/sys/module/qrtr/holders")),
        _installed(target, release),
        _sk_buff(target),
    )


def _rights(target: Target) -> None:
    if not target.is_root():
        raise SourceUnavailable("tapping the kernel needs root", target.become_root)
    try:
        lockdown = target.read("/sys/kernel/security/lockdown")
    except OSError:
        return
    if b"[confidentiality]" in lockdown:
        raise SourceUnavailable(
            "the kernel is locked down (confidentiality): it lets nobody trace it",
            "boot without lockdown=confidentiality",
        )


def _tracefs(target: Target) -> str:
    """Where tracefs is mounted, "" where it can be."""
    for path in TRACEFS:
        if not target.exists(f"{path}/trace_clock"):
            continue
        try:
            target.read(f"{path}/trace_clock")
        except OSError as error:
            raise SourceUnavailable(
                f"{path} cannot be read: {error.strerror}", "check for lockdown, SELinux or a container's limits"
            ) from None
        return path
    try:
        known = b"tracefs" in target.read("/proc/filesystems")
    except OSError:
        known = False
    if not known:
        raise SourceUnavailable("this kernel has no tracefs", "use a kernel built with CONFIG_FTRACE")
    if not target.exists(TRACEFS[0]):
        raise SourceUnavailable(f"tracefs is not mounted and there is no {TRACEFS[0]}", "mount -t tracefs tracefs DIR")
    return ""


def _kprobes(target: Target, tracefs: str, release: str) -> None:
    if not target.exists(f"{tracefs}/kprobe_events"):
        raise SourceUnavailable("this kernel has no kprobe events", "use a kernel built with CONFIG_KPROBE_EVENTS")
    # The kernel documents there what its probes can do; \IMM came last, together with several probes to an event.
    try:
        readme = target.read(f"{tracefs}/README")
    except OSError:
        readme = b""
    if b"<array-size>" not in readme or b"\\imm-value" not in readme:
        raise SourceUnavailable(f"the kprobe events of Linux {release} are too old", "Linux 5.4 or later is needed")


def _switches(target: Target) -> None:
    """Switches with which probes are accepted and never fire."""
    for path, name, remedy in (
        ("/proc/sys/kernel/ftrace_enabled", "ftrace", "sysctl kernel.ftrace_enabled=1"),
        ("/sys/kernel/debug/kprobes/enabled", "kprobes", "echo 1 > /sys/kernel/debug/kprobes/enabled"),
    ):
        try:
            value = target.read(path).strip()
        except OSError:
            continue
        if value == b"0":
            raise SourceUnavailable(f"{name} is switched off in this kernel", remedy)


def _symbols(target: Target) -> dict[str, str]:
    """The functions of QRTR in kallsyms: name -> module."""
    wanted = {RECEIVE, ENQUEUE, LOCAL, *TRANSPORTS.values()}
    found: dict[str, str] = {}
    for line in target.lines("/proc/kallsyms", b"qrtr"):
        words = line.decode("ascii", "replace").split()
        if len(words) > 2 and words[1] in "tT" and words[2] in wanted:
            found[words[2]] = words[3].strip("[]") if len(words) > 3 else ""
    if RECEIVE in found:
        return found
    if found or target.exists("/sys/module/qrtr"):
        raise SourceUnavailable(
            f"this kernel's qrtr has no function {RECEIVE}", "only QRTR of Linux 4.15 and later can be tapped"
        )
    raise SourceUnavailable("the kernel module qrtr is not loaded", "modprobe qrtr")


def _installed(target: Target, release: str) -> frozenset[str]:
    """The transports among the modules that depmod has listed."""
    found: set[str] = set()
    for folder in _MODULES:
        path = f"{folder.format(release)}/modules.dep"
        if target.exists(path):
            for line in target.lines(path, b"qrtr"):
                file = line.partition(b":")[0].rpartition(b"/")[2].decode("ascii", "replace")
                found.add(file.partition(".ko")[0].replace("-", "_"))
    return frozenset(found) & TRANSPORTS.keys()


def _sk_buff(target: Target) -> SkBuff:
    """Where a packet's bytes are in a struct sk_buff."""
    if not target.exists(_BTF):
        raise SourceUnavailable(
            f"the kernel does not describe its types ({_BTF} is missing)", "use one built with CONFIG_DEBUG_INFO_BTF"
        )
    try:
        offsets = Btf(target.read(_BTF)).member_offsets("sk_buff", ("len", "data_len", "data"))
    except (OSError, BtfError) as error:
        raise SourceUnavailable(f"the kernel's type information ({_BTF}) cannot be used: {error}") from None
    return SkBuff(offsets["len"], offsets["data_len"], offsets["data"])
