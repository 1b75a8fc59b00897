# SPDX-License-Identifier: GPL-2.0-or-later
"""What must be known of a kernel before it can be tapped, and the plain words for what is missing.

Function names: net/qrtr of the mainline kernel and of the vendor kernels for phones.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from qmisniff.capture import ending
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
# What the probes take for granted of a function's first parameters, as BTF has them: position -> type.
_SENDER = {1: "sk_buff *"}
_QUEUE = {1: "sk_buff *", 2: "integer", 3: "sockaddr_qrtr *", 4: "sockaddr_qrtr *"}
_PARAMETERS = {RECEIVE: {1: "*", 2: "integer"}, ENQUEUE: _QUEUE, LOCAL: _QUEUE} | dict.fromkeys(
    TRANSPORTS.values(), _SENDER
)
# Suffixes that compilers give to functions: with the first kind it is still the function as it was written (clang's LTO
# and CFI), with the second it has lost arguments or is a part of it (gcc). Others are not its code: .cold, .cfi_jt.
_SAME = re.compile(r"(?:\.cfi|\.llvm\.\d+|\.__uniq\.\d+|\.[0-9a-f]{32})*")
_CHANGED = re.compile(r"(?:\.(?:constprop|isra|part)\.\d+)+")
# Linux before 4.15 gives its queues no addresses, but vendors had brought those, with flow control, to 4.14 already.
_VENDOR = re.compile(rb" (?:qrtr_tx_resume|qrtr_tx_wait|qrtr_log_tx_msg|qrtr_forward_data_pkt|qrtr_fwd_\w+)\b")
# Registers that hold the arguments of a function at its entry, by processor. Named rather than written $arg1: that
# is refused for a module that is not loaded yet, and unknown before Linux 4.20.
ARGUMENTS = {
    "x86_64": ("%di", "%si", "%dx", "%cx", "%r8"),
    "aarch64": ("%x0", "%x1", "%x2", "%x3", "%x4"),
}

TRACEFS = ("/sys/kernel/tracing", "/sys/kernel/debug/tracing")
# Where phones and everything else keep the list of installed modules.
_MODULES = ("/lib/modules/{}", "/vendor/lib/modules", "/vendor_dlkm/lib/modules", "/system/lib/modules")
_BTF = "/sys/kernel/btf"


class SkBuff(NamedTuple):
    """Offsets of members of struct sk_buff, bytes: `paged` (data_len) counts what does not lie at `data`."""

    len: int
    paged: int
    data: int


class Facts(NamedTuple):
    """One kernel, as far as the tap depends on it.

    `tracefs` is where it is mounted, "" where it has to be mounted first: what is in it is not known then. `symbols`
    maps each function of QRTR to what a probe calls it: with its module unless it is built in, so that the probe
    outlives the module's reloading. `refused` says why a function, or a part of it, cannot be tapped. `holders` are the
    modules that use qrtr now, `installed` those of TRANSPORTS that can be loaded later. `skb` is None where the kernel
    does not describe its types: it has to be calibrated. `simple`: probes know neither arrays nor constants, and an
    event has one probe (before Linux 5.4).
    """

    release: str
    machine: str
    tracefs: str
    symbols: dict[str, str]
    holders: frozenset[str]
    installed: frozenset[str]
    skb: SkBuff | None
    refused: dict[str, str]
    simple: bool


class NotLoaded(SourceUnavailable):
    """The module qrtr is not there, but may come."""


def survey(target: Target) -> Facts:
    """The facts of a kernel that can be tapped. Raises SourceUnavailable for the first thing that is missing."""
    release, machine = target.system()
    with ending.wait():  # kernels describe their types in megabytes, and a serial line takes minutes for them
        return _facts(target, release, machine)


def _facts(target: Target, release: str, machine: str) -> Facts:
    _rights(target)
    if machine not in ARGUMENTS:
        raise SourceUnavailable(
            f"the tap does not know this processor ({machine})", f"it runs on {' and '.join(ARGUMENTS)}"
        )
    tracefs = _tracefs(target)
    simple = _kprobes(target, tracefs, release) if tracefs else False
    _switches(target)
    symbols, refused = _symbols(target, release)
    btf = _btf(target, "vmlinux", None)
    for function, why in _strange(target, symbols, btf):
        if function == RECEIVE:
            raise SourceUnavailable(why, "the tap does not know this kernel's QRTR")
        del symbols[function]
        refused[function] = why
    return Facts(
        release,
        machine,
        tracefs,
        symbols,
        frozenset(target.list("/sys/module/qrtr/holders")),
        _installed(target, release),
        _sk_buff(btf),
        refused,
        simple,
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


def _kprobes(target: Target, tracefs: str, release: str) -> bool:
    """Whether probes are simple, see Facts."""
    if not target.exists(f"{tracefs}/kprobe_events"):
        raise SourceUnavailable("this kernel has no kprobe events", "use a kernel built with CONFIG_KPROBE_EVENTS")
    # The kernel documents there what its probes can do; \IMM came last, together with several probes to an event.
    try:
        readme = target.read(f"{tracefs}/README")
    except OSError:
        readme = b""
    if readme and b"x8/16/32/64" not in readme:
        raise SourceUnavailable(f"the kprobe events of Linux {release} are too old", "Linux 4.15 or later is needed")
    return b"<array-size>" not in readme or b"\\imm-value" not in readme


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


def _symbols(target: Target, release: str) -> tuple[dict[str, str], dict[str, str]]:
    """The functions of QRTR in kallsyms, as in Facts: `symbols` and `refused`."""
    wanted = {RECEIVE, ENQUEUE, LOCAL, *TRANSPORTS.values()}
    found: dict[str, str] = {}
    refused: dict[str, str] = {}
    vendor = False
    for line in target.lines("/proc/kallsyms", b"qrtr"):
        words = line.decode("ascii", "replace").split()
        vendor = vendor or bool(_VENDOR.search(line))
        if len(words) < 3 or words[1] not in "tT":
            continue
        function, dot, suffix = words[2].partition(".")
        if function not in wanted:
            continue
        module = words[3].strip("[]") if len(words) > 3 else ""
        if _SAME.fullmatch(dot + suffix):
            # With CFI the plain name may be an entry of a jump table, and NAME.cfi the function.
            found[function] = max(found.get(function, ""), f"{module}:{words[2]}" if module else words[2], key=len)
        elif _CHANGED.fullmatch(dot + suffix):
            refused[function] = f"the compiler has made {words[2]} of {function}, whose arguments are not known"
    if RECEIVE not in found and (found or refused or target.exists("/sys/module/qrtr")):
        why = f": {refused[RECEIVE]}" if RECEIVE in refused else ""
        raise SourceUnavailable(
            f"this kernel's qrtr has no function {RECEIVE}{why}", "only QRTR of Linux 4.15 and later can be tapped"
        )
    if RECEIVE not in found:
        raise NotLoaded("the kernel module qrtr is not loaded", "modprobe qrtr, or capture --wait")
    if _version(release) < (4, 15) and not vendor:
        for function in {ENQUEUE, LOCAL} & found.keys():
            del found[function]
            refused[function] = f"{function} of Linux {release} is not told the addresses"
    return found, refused


def _version(release: str) -> tuple[int, int]:
    """The first two numbers of a kernel's release; later than all where it has none."""
    numbers = re.match(r"(\d{1,4})\.(\d{1,4})", release)
    return (int(numbers[1]), int(numbers[2])) if numbers else (9999, 0)


def _strange(target: Target, symbols: dict[str, str], kernel: Btf | None) -> list[tuple[str, str]]:
    """The functions whose parameters are not those that the probes expect, and the words for it.

    Only what the kernel describes can be checked: all else has to be as it is in the kernels that are known.
    """
    modules: dict[str, Btf | None] = {"": kernel}
    found = []
    for function, symbol in symbols.items():
        module = symbol.rpartition(":")[0]
        if module not in modules:
            modules[module] = _btf(target, module, kernel) if kernel is not None else None
        btf = modules[module]
        try:
            parameters = btf.parameters(function) if btf is not None else None
        except BtfError:
            continue
        if parameters is not None and any(
            at >= len(parameters) or kind != parameters[at] for at, kind in _PARAMETERS[function].items()
        ):
            found.append((function, f"{function} has other parameters in this kernel ({', '.join(parameters)})"))
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


def _btf(target: Target, name: str, base: Btf | None) -> Btf | None:
    """The types of the kernel, or of a module on top of them; None where they are not described, or not readably."""
    try:
        return Btf(target.read(f"{_BTF}/{name}"), base) if target.exists(f"{_BTF}/{name}") else None
    except (OSError, BtfError):
        return None


def _sk_buff(btf: Btf | None) -> SkBuff | None:
    """Where a packet's bytes are in a struct sk_buff, if that is described."""
    try:
        offsets = btf.member_offsets("sk_buff", ("len", "data_len", "data")) if btf is not None else None
    except BtfError:
        return None
    return SkBuff(offsets["len"], offsets["data_len"], offsets["data"]) if offsets else None
