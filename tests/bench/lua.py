# SPDX-License-Identifier: GPL-2.0-or-later
"""How fast tshark is with the exported dissector:  python -m tests.bench.lua [--messages N]

Loading it, and a summary of messages as a modem's traffic has them (requests, responses, indications of seven
services). Three figures: the packet list; the same with a filter that needs every value of every message decoded; and
tshark without the dissector, for comparison.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import tempfile
from pathlib import Path

from qmisniff.frame import Link
from tests import factories
from tests.bench.decode import mixed
from tests.differential.corpus import registry
from tests.lua.tshark import export, save, tshark
from tests.oracle.libqmi import Oracle

EVERY_VALUE = "qmi"  # a filter on the protocol makes all of its fields wanted


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
            "packet list, every value decoded": (*with_it, "-Y", EVERY_VALUE),
            "every value printed (pdml)": (*with_it, "-T", "pdml"),
        }.items():
            took = seconds(*options, "-r", str(all_)) - loaded
            print(f"{what}: {count / took:.0f} messages a second")
        print(f"without the dissector: {count / (seconds('-r', str(all_)) - bare):.0f} messages a second")


if __name__ == "__main__":
    main()
