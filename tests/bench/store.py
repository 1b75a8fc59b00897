# SPDX-License-Identifier: GPL-2.0-or-later
"""How the store grows:  python -m tests.bench.store --messages 10000 100000 1000000 10000000

For each size, processor time of indexing, of filters in one session and of the TLV index, all in a process of its own;
the memory that takes; and the wall-clock seconds of `qmisniff read -Y`, start-up included. Best of three.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
import tracemalloc
from pathlib import Path
from typing import Any

from qmisniff.definitions import open_registry
from qmisniff.dissect import Dissector
from qmisniff.filter import compile_filter
from qmisniff.store import Store
from qmisniff.store.load import Loader
from tests.bench import generate

HEADER, VALUE, STRING = "qmi.msgid == 0x4f", "qmi.nas.get_signal_info.lte.rsrp < -100", "frame contains 31:32:33:34"
_BULK = 0  # bytes of a file that is loaded in bulk, however small: all sizes are to go one way


def _load(path: Path) -> Store:
    store = Store()
    with path.open("rb") as stream:
        for _ in Loader(stream, path.name, _BULK).into(store):
            pass
    return store


def _ms(work: Any) -> float:
    started = time.process_time()
    work()
    return (time.process_time() - started) * 1e3


def measure_times(path: Path) -> dict[str, float]:
    """Milliseconds of everything that is done in a session."""
    dissector = Dissector(open_registry())
    found: dict[str, float] = {"index": min(_ms(lambda: _load(path)) for _ in range(3))}
    store = _load(path)
    for text in (HEADER, VALUE, STRING):
        chosen = compile_filter(text, dissector.registry)

        def ask(chosen: Any = chosen) -> None:
            for _ in chosen.rows(store, dissector):
                pass

        found[text] = _ms(ask)
        found[f"{text}, again"] = min(_ms(ask) for _ in range(3))
    found["every TLV"] = _ms(lambda: [columns.tlvs for columns in store.columns()])
    found["pairs"] = _ms(lambda: store.tracker.partner_column)
    return found


def measure_memory(path: Path) -> dict[str, float]:
    """Bytes a message beyond the file, and bytes a TLV of the index of all TLVs."""
    _load(path)  # what is imported and kept for good does not count
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    store = _load(path)
    loaded = tracemalloc.get_traced_memory()[0]
    count = sum(len(columns.tlvs) for columns in store.columns())
    indexed = tracemalloc.get_traced_memory()[0]
    return {"a message": (loaded - before) / len(store), "a TLV": (indexed - loaded) / count, "TLVs": count}


def _apart(function: str, path: Path) -> dict[str, float]:
    """What a function of this module finds out in a process of its own."""
    program = (
        "import json, pathlib, sys, tests.bench.store as bench\n"
        f"print(json.dumps(bench.{function}(pathlib.Path(sys.argv[1]))))"
    )
    done = subprocess.run([sys.executable, "-c", program, path], capture_output=True, text=True, check=True)
    result: dict[str, float] = json.loads(done.stdout)
    return result


def cold_ms(path: Path, text: str) -> float:
    """Wall-clock milliseconds of a whole `read -Y`."""
    taken = []
    for _ in range(3):
        started = time.perf_counter()
        command = [sys.executable, "-m", "qmisniff", "read", str(path), "-Y", text]
        subprocess.run(command, stdout=subprocess.DEVNULL, check=True)
        taken.append((time.perf_counter() - started) * 1e3)
    return min(taken)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--messages", type=int, nargs="+", default=[10_000, 100_000, 1_000_000])
    sizes = parser.parse_args().messages
    rows: dict[str, list[str]] = {}
    with tempfile.TemporaryDirectory() as directory:
        for size in sizes:
            path = Path(directory, "bench.pcapng")
            generate.write(path, size)
            for name, value in _apart("measure_times", path).items():
                rows.setdefault(f"{name}, ms", []).append(f"{value:.1f}")
            for name, value in _apart("measure_memory", path).items():
                rows.setdefault(name if name == "TLVs" else f"bytes {name}", []).append(f"{value:.1f}")
            for text in (HEADER, VALUE):
                rows.setdefault(f"read -Y '{text}', ms", []).append(f"{cold_ms(path, text):.0f}")
            print(f"{size} messages done", file=sys.stderr, flush=True)
    print(f"{'messages':60}" + "".join(f"{size:>12}" for size in sizes))
    for name, values in rows.items():
        print(f"{name:60}" + "".join(f"{value:>12}" for value in values))


if __name__ == "__main__":
    main()
