# SPDX-License-Identifier: GPL-2.0-or-later
"""What must be known of a kernel before it can be tapped, and the plain words for what is missing.

Function names: net/qrtr of the mainline kernel and of the vendor kernels for phones.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from qmisniff.capture.btf import Btf, BtfError
from qmisniff.capture.source import Availability
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

    `symbols` maps each function of QRTR to its module, "" where it is built in; `holders` are the modules that use
    qrtr now, `installed` those of TRANSPORTS that can be loaded later.
    """

    release: str
    machine: str
    symbols: dict[str, str]
    holders: frozenset[str]
    installed: frozenset[str]
    skb: SkBuff

    def symbol(self, function: str) -> str:
        """A function as a probe names it: with its module, so that the probe outlives the module's reloading."""
        module = self.symbols[function]
        return f"{module}:{function}" if module else function


def find_tracefs(target: Target) -> str:
    """Where tracefs is mounted, "" where it is not."""
    return next((path for path in TRACEFS if target.exists(f"{path}/trace_clock")), "")


def gather(target: Target) -> Facts:
    """The facts of a kernel that `diagnose` found fit. Raises SourceUnavailable where one cannot be had."""
    release, machine = target.system()
    return Facts(
        release,
        machine,
        _symbols(target),
        frozenset(target.list("/sys/module/qrtr/holders")),
        _installed(target, release),
        _sk_buff(target),
    )


def diagnose(target: Target) -> Availability:
    """Whether a kernel can be tapped: the first thing that is missing, with what would help."""
    for check in _CHECKS:
        found = check(target)
        if found is not None:
            return found
    release, _ = target.system()
    loaded = sorted(target.list("/sys/module/qrtr/holders"))
    return Availability(True, f"Linux {release}, transports of QRTR: {', '.join(loaded) or 'none loaded as modules'}")


def _symbols(target: Target) -> dict[str, str]:
    """The functions of QRTR in kallsyms: name -> module."""
    wanted = {RECEIVE, ENQUEUE, LOCAL, *TRANSPORTS.values()}
    found: dict[str, str] = {}
    for line in target.lines("/proc/kallsyms", b"qrtr"):
        words = line.decode("ascii", "replace").split()
        if len(words) > 2 and words[1] in "tT" and words[2] in wanted:
            found[words[2]] = words[3].strip("[]") if len(words) > 3 else ""
    return found


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
    try:
        offsets = Btf(target.read(_BTF)).member_offsets("sk_buff", ("len", "data_len", "data"))
    except (OSError, BtfError) as error:
        raise SourceUnavailable(f"the kernel's type information ({_BTF}) cannot be used: {error}") from None
    return SkBuff(offsets["len"], offsets["data_len"], offsets["data"])


def _no_rights(target: Target) -> Availability | None:
    if not target.is_root():
        return Availability(False, "tapping the kernel needs root", "run qmisniff with sudo")
    try:
        lockdown = target.read("/sys/kernel/security/lockdown").decode("ascii", "replace")
    except OSError:
        return None
    if "[confidentiality]" in lockdown:
        return Availability(
            False,
            "the kernel is locked down (confidentiality): it lets nobody trace it",
            "boot without lockdown=confidentiality",
        )
    return None


def _no_processor(target: Target) -> Availability | None:
    _, machine = target.system()
    if machine in ARGUMENTS:
        return None
    return Availability(
        False, f"the tap does not know this processor ({machine})", f"it runs on {' and '.join(ARGUMENTS)}"
    )


def _no_tracefs(target: Target) -> Availability | None:
    if find_tracefs(target):
        return None
    try:
        known = b"tracefs" in target.read("/proc/filesystems")
    except OSError:
        known = False
    if not known:
        return Availability(False, "this kernel has no tracefs", "use a kernel built with CONFIG_FTRACE")
    if target.exists(TRACEFS[0]):
        return None  # `open` mounts it
    return Availability(False, f"tracefs is not mounted and there is no {TRACEFS[0]}", "mount -t tracefs tracefs DIR")


def _unreadable_tracefs(target: Target) -> Availability | None:
    path = find_tracefs(target)
    if not path:
        return None
    try:
        target.read(f"{path}/trace_clock")
    except OSError as error:
        return Availability(
            False, f"{path} cannot be read: {error.strerror}", "check for lockdown, SELinux or a container's limits"
        )
    return None


def _no_kprobes(target: Target) -> Availability | None:
    path = find_tracefs(target)
    if not path:
        return None
    if not target.exists(f"{path}/kprobe_events"):
        return Availability(False, "this kernel has no kprobe events", "use a kernel built with CONFIG_KPROBE_EVENTS")
    # The kernel documents there what its probes can do; the last to come was \IMM, with several probes to an event.
    try:
        readme = target.read(f"{path}/README")
    except OSError:
        readme = b""
    if b"<array-size>" not in readme or b"\\imm-value" not in readme:
        release, _ = target.system()
        return Availability(False, f"the kprobe events of Linux {release} are too old", "Linux 5.4 or later is needed")
    return None


def _switched_off(target: Target) -> Availability | None:
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
            return Availability(False, f"{name} is switched off in this kernel", remedy)
    return None


def _no_qrtr(target: Target) -> Availability | None:
    symbols = _symbols(target)
    if RECEIVE in symbols:
        return None
    if target.exists("/sys/module/qrtr") or symbols:
        return Availability(
            False, f"this kernel's qrtr has no function {RECEIVE}", "only kernels since Linux 4.15 can be tapped"
        )
    return Availability(False, "the kernel module qrtr is not loaded", "modprobe qrtr")


def _no_btf(target: Target) -> Availability | None:
    if target.exists(_BTF):
        return None
    return Availability(
        False, f"the kernel does not describe its types ({_BTF} is missing)", "use one built with CONFIG_DEBUG_INFO_BTF"
    )


_CHECKS: tuple[Callable[[Target], Availability | None], ...] = (
    _no_rights,
    _no_processor,
    _no_tracefs,
    _unreadable_tracefs,
    _no_kprobes,
    _switched_off,
    _no_qrtr,
    _no_btf,
)
