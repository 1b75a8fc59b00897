# SPDX-License-Identifier: GPL-2.0-or-later
"""How fast tshark is with the exported dissector:  python -m tests.bench.lua [--messages N]

Loading it, and a summary of messages as a modem's traffic has them (requests, responses, indications of seven
services). The packet list; the same with a filter that wants one value, and with one that names every field there is,
so that every value of every message goes into the tree; and tshark without the dissector, for comparison.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

from qmisniff.dissect import Dissector
from qmisniff.frame import Frame, Link
from qmisniff.store import Store
from tests import factories
from tests.bench.decode import DISTINCT, mixed
from tests.differential.corpus import registry
from tests.lua.tshark import export, save, tshark
from tests.oracle.libqmi import Oracle

ONE_VALUE = "qmi.nas.get_signal_info.lte.rsrp"


def every_value(frames: Sequence[Frame]) -> str:
    """A filter that every message passes, with the name of each of their fields: tshark puts no other into its tree."""
    store, dissector = Store(), Dissector(registry())
    store.extend(frames)
    names = {name for row in range(len(store)) for name in dissector.values(store.frame(row), store.context(row))}
    return " or ".join(sorted(name for name in names if name.startswith("qmi.") and not name.endswith(".label")))


def seconds(*options: str) -> float:
    """Processor time of one run of tshark: other programs may be running."""
    began = _children()
    subprocess.run([tshark(), "-n", *options], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return _children() - began


def _children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--messages", type=int, default=100_000)
    count = parser.parse_args().messages
    with tempfile.TemporaryDirectory() as folder:
        script = export(registry(), Path(folder, "qmisniff.lua"))
        frames = [factories.frame(data, link=Link.QMUX) for data in mixed(Oracle(), count)]
        one, all_ = save(frames[:1], Path(folder, "one.pcapng")), save(frames, Path(folder, "all.pcapng"))
        with_it = ("-X", f"lua_script:{script}")
        bare = min(seconds("-r", str(one)) for _ in range(3))
        loaded = min(seconds(*with_it, "-r", str(one)) for _ in range(3))
        print(f"loading: {loaded - bare:.2f} s ({script.stat().st_size / 1e3:.0f} kB; wanted: under 0.6 s)")
        for what, options in {
            "packet list": with_it,
            "packet list, a filter on one value": (*with_it, "-Y", ONE_VALUE),
            "packet list, every value in the tree": (*with_it, "-Y", every_value(frames[:DISTINCT])),
            "every value printed (pdml)": (*with_it, "-T", "pdml"),
        }.items():
            took = seconds(*options, "-r", str(all_)) - loaded
            print(f"{what}: {count / took:.0f} messages a second")
        print(f"without the dissector: {count / (seconds('-r', str(all_)) - bare):.0f} messages a second")


if __name__ == "__main__":
    main()
