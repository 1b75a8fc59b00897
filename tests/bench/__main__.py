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


def tasks(file: str) -> list[Task]:
    """Everything that is compared, on a file that stands as `{file}` in the commands."""
    ours = [sys.executable, "-m", "qmisniff", "read", file]
    lua = ["-X", f"lua_script:{NAMES}"]
    tshark = ["tshark", "-r", file]

    def python(name: str, program: str, slow: bool = False) -> Contender:
        return Contender(name, [sys.executable, "-c", program, file], slow)

    def pyshark(json: bool) -> Contender:
        name = "pyshark, names-only Lua" + (", JSON" if json else "")
        return python(name, _PYSHARK.format(json=json, options=lua), slow=True)

    return [
        Task(
            "index",
            [python("qmisniff", _INDEX), python("dpkt, bytes only", _DPKT), python("scapy, bytes only", _SCAPY)],
        ),
        Task("index with every TLV", [python("qmisniff", _COLUMNS), Contender("tshark, no Lua", tshark)]),
        Task(
            "filter on the message id",
            [
                Contender("qmisniff", [*ours, "-Y", "qmi.msgid == 0x4f"]),
                Contender("tshark, names-only Lua", [*tshark, *lua, "-Y", "names.msgid == 0x4f"]),
            ],
        ),
        Task(
            "a line a packet",
            [
                Contender("qmisniff", ours),
                Contender("tshark, names-only Lua", [*tshark, *lua]),
                Contender("tshark, no Lua", tshark),
            ],
        ),
        Task(
            "JSON",
            [
                Contender("qmisniff, every value", [*ours, "-T", "json"]),
                Contender("tshark, names-only Lua", [*tshark, *lua, "-T", "json"]),
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
    subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, check=True)
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
        whole, short = Path(directory, "whole.pcapng"), Path(directory, "short.pcapng")
        generate.write(whole, arguments.messages)
        generate.write(short, min(arguments.messages, _SLOW))
        size = whole.stat().st_size
        print(f"{arguments.messages} messages, {size} bytes; processor seconds, median of {arguments.rounds}")
        for task in tasks("{file}"):
            if task.name.startswith(arguments.only):
                _report(task, whole, short, arguments.messages, arguments.rounds)


def _report(task: Task, whole: Path, short: Path, messages: int, rounds: int) -> None:
    ours = 0.0
    for contender in filter(available, task.contenders):
        file, factor = (short, messages / min(messages, _SLOW)) if contender.slow else (whole, 1.0)
        command = [str(file) if word == "{file}" else word for word in contender.command]
        spent = factor * statistics.median(seconds(command) for _ in range(1 if contender.slow else rounds))
        ours = ours or spent
        scaled = f" (from {_SLOW} messages)" if factor > 1 else ""
        print(f"{task.name:26} {contender.name:32} {spent:8.2f} s {spent / ours:8.1f}{scaled}", flush=True)


if __name__ == "__main__":
    main()
