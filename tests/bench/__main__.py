# SPDX-License-Identifier: GPL-2.0-or-later
"""qmisniff beside its peers, on the same file in the same run:  python -m tests.bench --messages 100000

Prints medians of processor seconds of whole processes (start-up included), and each peer's ratio to qmisniff. Peers
that are not here are left out: tshark, pyshark, dpkt and scapy (pip install dpkt scapy).
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from tests.bench import generate

NAMES = Path(__file__).with_name("names.lua")
_SLOW = 10_000  # messages that a peer which takes a millisecond for each is given; its time is scaled up

_SLOWING = {"PYTHONDONTWRITEBYTECODE", "PYTHONUNBUFFERED"}  # no one has them set by chance

_INDEX = """
import sys
from qmisniff.store import Store
from qmisniff.store.load import Loader
store = Store()
with open(sys.argv[1], "rb") as stream:
    for rows in Loader(stream).into(store):
        pass
"""
_COLUMNS = (
    _INDEX
    + """
for columns in store.columns():
    columns.tlvs
"""
)
_SESSION = (
    "import sys, time\nfrom qmisniff.definitions import open_registry\nfrom qmisniff.dissect import Dissector\n"
    "from qmisniff.filter import compile_filter"
    + _INDEX
    + """
definitions = open_registry()
dissector = Dissector(definitions)
for text in sys.argv[2:]:
    taken = []
    for _ in range(5):
        began = time.process_time()
        rows = sum(len(found.rows) for found in compile_filter(text, definitions).rows(store, dissector))
        taken.append(time.process_time() - began)
    middle = sorted(taken)[2]
    print(f"another filter: {text:42} {middle * 1e3:8.1f} ms, the first time {taken[0] * 1e3:.1f}; {rows} rows")
"""
)
_FIELDS = (
    "import time\nfrom qmisniff.definitions import open_registry\nfrom qmisniff.dissect import Dissector\n"
    "from qmisniff.export import Detail, open_format"
    + _INDEX
    + """
with open("/dev/null", "w") as out:
    form = open_format("csv", Dissector(open_registry()), out, Detail(fields=tuple(sys.argv[2:])))
    began = time.process_time()
    form.rows(store, range(len(store)))
    rate = len(store) / (time.process_time() - began)
    print(f"fields to CSV: {rate / 1e6:.2f} million messages/s of {' '.join(sys.argv[2:])}")
"""
)
SESSION = (
    "qmi.msgid == 0x4f",
    "qmi.nas.get_signal_info.lte.rsrp < -100",
    "qmi.result != success",
    "qmi.tlv.type == 0x14",
    'qmi.dms.get_ids.imei contains "1"',
    "frame contains 01:02:03",
    "expert.severity",
)
FIELDS = tuple(f"qmi.nas.get_signal_info.lte.{name}" for name in ("rssi", "rsrq", "rsrp", "snr"))
_DPKT = """
import sys, dpkt
with open(sys.argv[1], "rb") as stream:
    for time, data in dpkt.pcapng.Reader(stream):
        pass
"""
_SCAPY = """
import sys
from scapy.utils import RawPcapNgReader
for data in RawPcapNgReader(sys.argv[1]):
    pass
"""
_PYSHARK = """
import sys, pyshark
with pyshark.FileCapture(sys.argv[1], keep_packets=False, use_json={json}, custom_parameters={options}) as packets:
    for packet in packets:
        pass
"""


class Contender(NamedTuple):
    """A command that does a task; `slow` ones get a shorter file."""

    name: str
    command: Sequence[str | Path]
    slow: bool = False


class Task(NamedTuple):
    """What is to be done; the first contender is qmisniff."""

    name: str
    contenders: Sequence[Contender]


def tasks(file: str, full: Path) -> list[Task]:
    """Everything that is compared, on a file that stands as `{file}` in the commands; `full` is the exported Lua."""
    ours = [sys.executable, "-m", "qmisniff", "read", file]
    names, every = (["-X", f"lua_script:{script}"] for script in (NAMES, full))
    tshark = ["tshark", "-n", "-r", file]

    def python(name: str, program: str, slow: bool = False) -> Contender:
        return Contender(name, [sys.executable, "-c", program, file], slow)

    def pyshark(json: bool) -> Contender:
        name = "pyshark, full Lua" + (", use_json" if json else "")
        return python(name, _PYSHARK.format(json=json, options=every), slow=True)

    rsrp = "qmi.nas.get_signal_info.lte.rsrp < -100"
    return [
        Task(
            "index",
            [python("qmisniff", _INDEX), python("dpkt, bytes only", _DPKT), python("scapy, bytes only", _SCAPY)],
        ),
        Task("index with every TLV", [python("qmisniff", _COLUMNS), Contender("tshark, no QMI", tshark)]),
        Task(
            "filter on the message id",
            [
                Contender("qmisniff", [*ours, "-Y", "qmi.msgid == 0x4f"]),
                Contender("tshark, headers-only Lua", [*tshark, *names, "-Y", "names.msgid == 0x4f"]),
                Contender("tshark, full Lua", [*tshark, *every, "-Y", "qmi.msgid == 0x4f"], slow=True),
            ],
        ),
        Task(
            "filter on a value",
            [
                Contender("qmisniff", [*ours, "-Y", rsrp]),
                Contender("tshark, full Lua", [*tshark, *every, "-Y", rsrp], slow=True),
            ],
        ),
        Task(
            "a line a packet",
            [
                Contender("qmisniff", ours),
                Contender("tshark, headers-only Lua", [*tshark, *names]),
                Contender("tshark, full Lua", [*tshark, *every], slow=True),
                Contender("tshark, no QMI", tshark),
            ],
        ),
        Task(
            "JSON of every value",
            [
                Contender("qmisniff, ndjson", [*ours, "-T", "ndjson"]),
                Contender("tshark, full Lua, -T json", [*tshark, *every, "-T", "json"], slow=True),
                pyshark(json=True),
                pyshark(json=False),
            ],
        ),
    ]


def available(contender: Contender) -> bool:
    """Whether what it needs is here."""
    needed = contender.name.split(",")[0]
    if needed in ("dpkt", "scapy", "pyshark"):
        here = importlib.util.find_spec(needed) is not None
        return here and (needed != "pyshark" or shutil.which("tshark") is not None)
    return needed == "qmisniff" or shutil.which(needed) is not None


def seconds(command: Sequence[str | Path]) -> float:
    """Processor seconds of a command and what it starts, its output thrown away. Raises where it fails."""
    before = os.times()
    environment = {name: value for name, value in os.environ.items() if name not in _SLOWING}
    subprocess.run(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, check=True)
    after = os.times()
    used = after.children_user + after.children_system - before.children_user - before.children_system
    return used


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--messages", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", default="", help="only tasks whose name begins so")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        whole, short, tiny = (Path(directory, f"{name}.pcapng") for name in ("whole", "short", "tiny"))
        generate.write(whole, arguments.messages)
        generate.write(short, min(arguments.messages, _SLOW))
        generate.write(tiny, 10)
        size = whole.stat().st_size
        print(f"{arguments.messages} messages, {size} bytes; processor seconds, median of {arguments.rounds}")
        full = Path(directory, "qmisniff.lua")
        subprocess.run([sys.executable, "-m", "qmisniff", "export", "lua", "-o", full], check=True)
        for task in tasks("{file}", full):
            if task.name.startswith(arguments.only):
                _report(task, whole, short, tiny, arguments.messages, arguments.rounds)
        for program, words in ((_SESSION, SESSION), (_FIELDS, FIELDS)):
            if not arguments.only:
                subprocess.run([sys.executable, "-c", program, str(whole), *words], check=True)


def _report(task: Task, whole: Path, short: Path, tiny: Path, messages: int, rounds: int) -> None:
    ours = 0.0
    for contender in filter(available, task.contenders):
        if contender.slow and messages > _SLOW:
            # Starting takes as long for few messages as for many: only the rest grows with them.
            start, some = (seconds(_filled(contender, file)) for file in (tiny, short))
            spent, how = start + (some - start) * messages / _SLOW, f" (from {_SLOW} messages)"
        else:
            spent, how = statistics.median(seconds(_filled(contender, whole)) for _ in range(rounds)), ""
        ours = ours or spent
        print(f"{task.name:26} {contender.name:32} {spent:8.2f} s {spent / ours:8.1f}{how}", flush=True)


def _filled(contender: Contender, file: Path) -> list[str | Path]:
    return [str(file) if word == "{file}" else word for word in contender.command]


if __name__ == "__main__":
    main()
