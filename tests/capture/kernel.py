# SPDX-License-Identifier: GPL-2.0-or-later
"""A directory tree that behaves like a kernel that can be tapped, and the pages its probes would write.

Only as much of tracefs as the tap uses; the real thing is in tests/lab.
"""

from __future__ import annotations

import errno
import os
import re
import shutil
import struct
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from qmisniff.capture.event_format import EventFormat, parse_format
from qmisniff.capture.plan import Plan
from qmisniff.capture.target import Batch, LocalTarget
from qmisniff.frame import Hook
from tests.capture import test_btf

RELEASE = "6.1.0-test"
TRACEFS = "sys/kernel/tracing"
README = (
    " fetcharg: (%<register>|$<efield>), @<address>, +|-[u]<offset>(<fetcharg>), \\imm-value\n"
    "     type: s8/16/32/64, u8/16/32/64, x8/16/32/64, string, <type>\\[<array-size>\\]\n"
)
KALLSYMS = """\
0000000000000000 T qrtr_not_ours
0000000000000000 d qrtr_tun_send.data	[qrtr_tun]
0000000000000000 t qrtr_node_enqueue	[qrtr]
0000000000000000 t qrtr_local_enqueue	[qrtr]
0000000000000000 T qrtr_endpoint_post	[qrtr]
0000000000000000 t qrtr_tun_send	[qrtr_tun]
"""
HEADER_PAGE = """\
	field: u64 timestamp;	offset:0;	size:8;	signed:0;
	field: local_t commit;	offset:8;	size:8;	signed:1;
	field: int overwrite;	offset:8;	size:1;	signed:1;
	field: char data;	offset:16;	size:4080;	signed:1;
"""
COMMON = """\
	field:unsigned short common_type;	offset:0;	size:2;	signed:0;
	field:unsigned char common_flags;	offset:2;	size:1;	signed:0;
	field:unsigned char common_preempt_count;	offset:3;	size:1;	signed:0;
	field:int common_pid;	offset:4;	size:4;	signed:1;
"""
NUMBERS = (("service", 8), ("instance", 12), ("node", 16), ("port", 20))
EVENTS = {
    "qrtr/qrtr_ns_server_add": [
        f"field:unsigned int {name};	offset:{at};	size:4;	signed:0;" for name, at in NUMBERS
    ],
    "qrtr/qrtr_ns_service_announce_del": [
        f"field:unsigned int {name};	offset:{at};	size:4;	signed:0;" for name, at in NUMBERS
    ],
    "task/task_newtask": [
        "field:pid_t pid;	offset:8;	size:4;	signed:1;",
        "field:char comm[16];	offset:12;	size:16;	signed:0;",
        "field:unsigned long clone_flags;	offset:32;	size:8;	signed:0;",
    ],
    "task/task_rename": [
        "field:pid_t pid;	offset:8;	size:4;	signed:1;",
        "field:char oldcomm[16];	offset:12;	size:16;	signed:0;",
        "field:char newcomm[16];	offset:28;	size:16;	signed:0;",
    ],
    "qrtr/qrtr_ns_message": [
        "field:__data_loc char[] ctrl_pkt_str;	offset:8;	size:4;	signed:0;",
        "field:unsigned int sq_node;	offset:12;	size:4;	signed:0;",
        "field:unsigned int sq_port;	offset:16;	size:4;	signed:0;",
    ],
}
_ARGUMENT = re.compile(r"(\w+)=\S+?:(x64|u32|string)(?:\[(\d+)\])?(?=\s|$)")


def format_text(name: str, number: int, fields: Iterable[str]) -> str:
    """A `format` file."""
    return f"name: {name}\nID: {number}\nformat:\n{COMMON}\n" + "".join(f"\t{line}\n" for line in fields)


def probe_fields(definition: str) -> list[str]:
    """The lines of a probe's format as the kernel lays out its arguments: one behind the other."""
    lines, at = ["field:unsigned long __probe_ip;	offset:8;	size:8;	signed:0;"], 16
    for name, kind, count in _ARGUMENT.findall(definition):
        size = {"x64": 8, "u32": 4, "string": 4}[kind] * int(count or 1)
        declaration = {"x64": f"u64 {name}", "u32": f"u32 {name}", "string": f"__data_loc char[] {name}"}[kind]
        lines.append(f"field:{declaration}{'[]' if count else ''};	offset:{at};	size:{size};	signed:0;")
        at += size
    return lines


def fill(form: EventFormat, values: Mapping[str, int], texts: Mapping[str, str] = {}, data: bytes = b"") -> bytes:
    """A record of an event."""
    end = max(place.offset + place.size for place in form.fields.values())
    out = bytearray(end)
    struct.pack_into("<H", out, 0, form.id)
    at = 0
    for name, place in form.fields.items():
        if re.fullmatch(r"d\d+", name):
            out[place.offset : place.offset + place.size] = data[at : at + place.size].ljust(place.size, b"\xee")
            at += place.size
        elif place.dynamic:
            text = texts.get(name, "").encode() + b"\0"
            struct.pack_into("<I", out, place.offset, len(text) << 16 | len(out))
            out += text
        elif name in texts:
            out[place.offset : place.offset + place.size] = texts[name].encode().ljust(place.size, b"\0")
        elif name in values:
            out[place.offset : place.offset + place.size] = values[name].to_bytes(
                place.size, "little", signed=place.signed
            )
    return bytes(out)


def pages(records: Iterable[tuple[int, bytes]], lost: int = 0) -> list[bytes]:
    """(time, record) as pages of 4096 bytes; `lost` events before the first."""
    made: list[bytes] = []
    start = now = 0
    body = b""

    def finish() -> None:
        flag = (1 << 31 | 1 << 30) if lost and not made else 0
        tail = struct.pack("<Q", lost) if flag else b""
        made.append((struct.pack("<QQ", start, len(body) | flag) + body + tail).ljust(4096, b"\0"))

    for ts, record in records:
        padded = record + bytes(-len(record) % 4)
        size = 8 + len(padded)
        if body and (len(body) + size > 4072 or not 0 <= ts - now < 1 << 27):
            finish()
            body = b""
        if not body:
            start = now = ts
        body += struct.pack("<II", (ts - now) << 5, 4 + len(padded)) + padded
        now = ts
    if body or lost:
        finish()
    return made


class Probes:
    """What the kernel writes at a tapped packet, for the events of a plan."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.forms: dict[str, EventFormat] = {}
        for number, event in enumerate((*plan.bodies, *plan.heads), start=1000):
            self.forms[event.name] = parse_format(format_text(event.name, number, probe_fields(event.definitions[0])))

    def packet(
        self, hook: Hook, pid: int, pointer: int, memory: bytes, /, *, comm: str = "qmicli", **values: int
    ) -> list[bytes]:
        """The records of one packet whose bytes are `memory`, in the order in which they are written."""
        common = {"common_pid": pid, "ptr": pointer, "len": len(memory), **values}
        head = next(event for event in self.plan.heads if event.hook is hook)
        records = [fill(self.forms[head.name], common, {"comm": comm}, memory)]
        for event in reversed(self.plan.bodies):
            for offset in event.offsets:
                if head.name in event.heads and len(memory) > offset:
                    records.append(fill(self.forms[event.name], {**common, "off": offset}, {}, memory[offset:]))
        return records


class FakePages:
    """Pages handed out as they were queued."""

    def __init__(self, kernel: FakeKernel) -> None:
        self._kernel = kernel
        self.closed = False

    def wait(self, timeout: float) -> bool:
        time.sleep(min(timeout, 0.001))
        return bool(self._kernel.queue)

    def read(self) -> Batch:
        if self._kernel.broken:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        batch, self._kernel.queue = self._kernel.queue, []
        return Batch(batch, True)

    def close(self) -> None:
        if not self.closed:
            self.closed = True
            self._kernel.readers -= 1


@dataclass
class FakeKernel(LocalTarget):
    """A kernel in `tree`. `fails` sees every change that is asked for and may raise."""

    tree: Path
    root: bool = True
    machine: str = "x86_64"
    fails: Callable[[str], None] = lambda change: None
    queue: list[tuple[int, bytes]] = field(default_factory=list)
    broken: bool = False
    readers: int = 0
    now: int = 0
    started: str = "77"
    mounts: bool = True

    def __post_init__(self) -> None:
        super().__init__(str(self.tree))
        for path, text in {
            f"{TRACEFS}/trace_clock": "[local] mono\n",
            f"{TRACEFS}/README": README,
            f"{TRACEFS}/kprobe_events": "",
            f"{TRACEFS}/kprobe_profile": "",
            f"{TRACEFS}/error_log": "",
            f"{TRACEFS}/events/header_page": HEADER_PAGE,
            "proc/kallsyms": KALLSYMS,
            "proc/filesystems": "nodev\ttracefs\n",
            "proc/meminfo": "MemTotal:        1000000 kB\n",
            "proc/sys/kernel/ftrace_enabled": "1\n",
            "sys/kernel/security/lockdown": "[none] integrity confidentiality\n",
            "sys/module/qrtr/holders/qrtr_tun": "",
            f"lib/modules/{RELEASE}/modules.dep": "kernel/net/qrtr/qrtr-tun.ko.xz: kernel/net/qrtr/qrtr.ko.xz\n"
            "kernel/net/qrtr/qrtr-smd.ko: kernel/net/qrtr/qrtr.ko\nkernel/net/qrtr/qrtr.ko:\n",
        }.items():
            self.put(path, text)
        btf = test_btf.record("int", 1, 4) + struct.pack("<I", 0x20)
        strings = b"\0int\0sk_buff\0len\0data_len\0data\0"
        members = b"".join(
            struct.pack("<III", strings.index(b"\0" + name + b"\0") + 1, 1, offset * 8)
            for name, offset in ((b"len", 112), (b"data_len", 116), (b"data", 208))
        )
        btf = struct.pack("<IIII", strings.index(b"int"), 1 << 24, 4, 0x20)
        btf += struct.pack("<III", strings.index(b"sk_buff"), 4 << 24 | 3, 232) + members
        (self.tree / "sys/kernel/btf").mkdir(parents=True, exist_ok=True)
        (self.tree / "sys/kernel/btf/vmlinux").write_bytes(test_btf.blob(btf, strings))
        (self.tree / TRACEFS / "instances").mkdir(exist_ok=True)
        for cpu in range(2):
            (self.tree / TRACEFS / f"per_cpu/cpu{cpu}").mkdir(parents=True, exist_ok=True)
        self.process(4242, self.started)

    def put(self, path: str, text: str) -> None:
        """Make a file."""
        file = self.tree / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)

    def process(self, pid: int, started: str) -> None:
        """Let a process be alive."""
        self.put(f"proc/{pid}/stat", f"{pid} (a) b) S " + " ".join(["0"] * 18) + f" {started} 0\n")

    def remains(self) -> list[str]:
        """What qmisniff has in this kernel."""
        instances = [path.name for path in (self.tree / TRACEFS / "instances").iterdir()]
        return instances + (self.tree / TRACEFS / "kprobe_events").read_text().splitlines()

    # --- Target

    def is_root(self) -> bool:
        return self.root

    def system(self) -> tuple[str, str]:
        return RELEASE, self.machine

    def owner(self) -> str:
        return f"4242_{self.started}"

    def clock(self) -> int:
        return self.now

    def wall_clock_offset(self) -> int:
        return 1_000_000_000_000

    def mount_tracefs(self, path: str) -> None:
        if not self.mounts:
            raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))
        self.put(f"{TRACEFS}/trace_clock", "[local] mono\n")

    def write(self, path: str, text: str) -> None:
        self.fails(f"write {path} {text}")
        super().write(path, text)

    def append(self, path: str, text: str) -> None:
        self.fails(f"append {path} {text}")
        if path.endswith("/kprobe_events"):
            for line in text.splitlines():
                self._kprobe(line)
        else:
            super().append(path, text)

    def make(self, path: str) -> None:
        self.fails(f"make {path}")
        super().make(path)
        instance = path.lstrip("/")
        for name in ("buffer_size_kb", "trace_clock", "tracing_on", "buffer_percent"):
            self.put(f"{instance}/{name}", "")
        for cpu in range(2):
            self.put(f"{instance}/per_cpu/cpu{cpu}/trace_pipe_raw", "")
            self.put(f"{instance}/per_cpu/cpu{cpu}/stats", "entries: 0\noverrun: 0\n")
        for number, (name, fields) in enumerate(EVENTS.items(), start=500):
            self.put(f"{instance}/events/{name}/format", format_text(name, number, fields))
            self.put(f"{instance}/events/{name}/enable", "0")

    def remove(self, path: str) -> None:
        self.fails(f"remove {path}")
        if self.readers:
            raise OSError(errno.EBUSY, os.strerror(errno.EBUSY))
        shutil.rmtree(self.tree / path.lstrip("/"))

    def pages(self, files: Mapping[int, str], page_size: int) -> FakePages:
        self.fails("pages")
        self.readers += 1
        return FakePages(self)

    def _kprobe(self, text: str) -> None:
        """kprobe_events: one more probe, or one event less."""
        list_ = self.tree / TRACEFS / "kprobe_events"
        lines = list_.read_text().splitlines()
        folders = [self.tree / TRACEFS, *(self.tree / TRACEFS / "instances").iterdir()]
        name = text.split()[0].partition(":")[2]
        if text.startswith("-:"):
            list_.write_text("".join(f"{line}\n" for line in lines if line.split()[0] != f"p:{name}"))
            for folder in folders:
                shutil.rmtree(folder / "events" / name, ignore_errors=True)
                group = folder / "events" / name.partition("/")[0]
                if group.exists() and [path.name for path in group.iterdir()] == ["enable"]:
                    shutil.rmtree(group)
            return
        numbers = {line.split()[0] for line in [*lines, text]}
        list_.write_text("".join(f"{line}\n" for line in [*lines, text]))
        for folder in folders:
            place = (folder / "events" / name).relative_to(self.tree)
            self.put(f"{place.parent}/enable", "0")
            if not (self.tree / place).exists():
                self.put(f"{place}/format", format_text(name, 1000 + len(numbers), probe_fields(text)))
                for file in ("enable", "filter", "trigger", "hist"):
                    self.put(f"{place}/{file}", "")
