# SPDX-License-Identifier: GPL-2.0-or-later
"""Where a packet's bytes are in struct sk_buff, for kernels that do not describe their types: found by looking at one.

The kernel announces changes of a network setting by netlink, and so puts bytes that are known into a struct sk_buff, on
every machine and whether anybody listens or not: a change is all that is needed, and a file can be written from a shell
as well as from here. The setting chosen does nothing: it is about routes through a link that is down, on the loopback
device. It is changed and put back twice: first the structure is read, and the members found by what must be in them;
then another announcement is read through the members found, and must be what was announced.

In every kernel the structure has `u32 len, data_len` and, at its end, `u32 tail, end; u8 *head, *data; u32 truesize`
(include/linux/skbuff.h). An announcement has nothing before its data: tail is as long as it then, and head is data, so
that only this order tells them apart.
"""

from __future__ import annotations

import contextlib
import struct
from collections.abc import Sequence

from qmisniff.capture.event_format import Layout
from qmisniff.capture.facts import ARGUMENTS, Facts, SkBuff
from qmisniff.capture.instance import Instance
from qmisniff.capture.plan import Event, Plan
from qmisniff.capture.ring import parse_page
from qmisniff.capture.target import Target
from qmisniff.errors import SourceFailed, SourceUnavailable
from qmisniff.frame import Hook

SETTING = "/proc/sys/net/ipv4/conf/lo/ignore_routes_with_linkdown"
# Both have the packet as their second argument, in every kernel; either may be part of the other.
FUNCTIONS = ("netlink_broadcast", "netlink_broadcast_filtered")
_MEMORY = 384  # bytes read of a struct sk_buff: it has 230 or so
_KERNEL_SPACE = 1 << 63
_LONGEST = 1 << 16  # bytes that an announcement's buffer can have
_BUFFER_KIB = 64
_REMEDY = "use a kernel built with CONFIG_DEBUG_INFO_BTF"


def announcement(value: int) -> bytes:
    """What the kernel says of the setting: struct nlmsghdr, struct netconfmsg, two attributes (linux/netconf.h)."""
    new_netconf, ipv4, ifindex, linkdown = 80, 2, 1, 6
    attributes = struct.pack("<HHiHHi", 8, ifindex, 1, 8, linkdown, value)
    body = struct.pack("<B3x", ipv4) + attributes
    return struct.pack("<IHHII", 16 + len(body), new_netconf, 0, 0, 0) + body


def calibrate(target: Target, facts: Facts) -> SkBuff:
    """The offsets in this kernel. Raises SourceUnavailable where they cannot be found beyond doubt, SourceFailed where
    the kernel refuses; in every case nothing of it stays in the kernel."""
    known = target.lines("/proc/kallsyms", FUNCTIONS[0].encode())
    names = {words[2].decode("ascii", "replace") for line in known if len(words := line.split()) > 2}
    functions = [name for name in FUNCTIONS if name in names]
    if not functions or not target.exists(SETTING):
        missing = f"has no {SETTING}" if functions else f"has no function {FUNCTIONS[0]}"
        raise _refusal(missing)
    skb = ARGUMENTS[facts.machine][1]
    watch = _Watch(target, facts.tracefs, functions)
    wanted = len(announcement(0))
    seen = watch.records(_words(f"({skb})", _MEMORY))
    found = [candidates(memory, wanted) for memory in seen]
    common = set.intersection(*filter(None, found)) if any(found) else set()
    if len(common) != 1:
        raise _refusal(f"announced nothing that can be recognized ({len(seen)} packets, {len(common)} explanations)")
    (offsets,) = common
    through = f"d0=+{offsets.len}({skb}):x64 " + _words(f"(+{offsets.data}({skb}))", wanted + 4, first=1)
    read = watch.records(through)
    # len and data_len are neighbours: read as one word, they are the length alone.
    length = struct.pack("<Q", wanted)
    said = {memory[8 : 8 + wanted] for memory in read if memory[:8] == length}
    if not {announcement(0), announcement(1)} <= said:
        raise _refusal(f"did not announce again what it had announced (offsets {tuple(offsets)})")
    return offsets


def candidates(memory: bytes, length: int) -> set[SkBuff]:
    """Every way in which a piece of memory can be a struct sk_buff that holds `length` bytes, its head empty."""
    found = set()
    for at in range(16, len(memory) - 19, 8):
        head, data, truesize = struct.unpack_from("<QQI", memory, at)
        if head != data or head < _KERNEL_SPACE:
            continue
        for ends in (at - 8, at - 12):  # pointers are aligned: there may be a hole before them
            tail, end = struct.unpack_from("<II", memory, ends)
            if tail == length and tail <= end < min(truesize, _LONGEST):
                lengths = (at for at in range(0, ends - 7, 4) if struct.unpack_from("<II", memory, at) == (length, 0))
                found |= {SkBuff(before, before + 4, at + 8) for before in lengths}
    return found


def _words(address: str, size: int, first: int = 0) -> str:
    """Arguments that copy memory in single words, as the probes of every kernel can."""
    return " ".join(f"d{first + at // 8}=+{at}{address}:x64" for at in range(0, size, 8))


def _refusal(what: str) -> SourceUnavailable:
    return SourceUnavailable(f"this kernel does not describe its types, and {what}: packets cannot be found", _REMEDY)


class _Watch:
    """What the kernel announces, seen by probes that are there only while it is asked to."""

    def __init__(self, target: Target, tracefs: str, functions: Sequence[str]) -> None:
        self._target = target
        self._tracefs = tracefs
        self._functions = functions

    def records(self, arguments: str) -> list[bytes]:
        """The data of every record while the setting goes to its other value and back."""
        events = tuple(
            Event(f"calibrate{number}", (f"p:{{group}}/{{event}} {name} {arguments}",), Hook.NONE)
            for number, name in enumerate(self._functions)
        )
        instance = Instance(self._target, self._tracefs, Plan((), events, (), ()), _BUFFER_KIB)
        try:
            return self._watch(instance, events)
        except ValueError as error:
            raise SourceFailed(f"the kernel describes its events in a way that is not understood: {error}") from None
        finally:
            instance.remove()

    def _watch(self, instance: Instance, events: Sequence[Event]) -> list[bytes]:
        page_layout = instance.install()
        layouts = {form.id: Layout(form, ("common_flags", "common_pid")) for form in instance.formats(events)}
        instance.start()
        before = self._target.read(SETTING).strip()
        try:
            self._target.write(SETTING, "0" if before == b"1" else "1")
        except OSError as error:
            raise _refusal(f"does not let {SETTING} be changed ({error.strerror})") from None
        finally:
            with contextlib.suppress(OSError):
                self._target.write(SETTING, before.decode("ascii", "replace"))
        instance.stop()
        found: list[bytes] = []
        while instance.pages is not None and (pages := instance.pages.read().pages):
            for _, page in pages:
                for _, record in parse_page(page, page_layout).records:
                    layout = layouts.get(int.from_bytes(record[:2], "little"))
                    if layout is not None:
                        found.append(layout.data(record))
        return found
