# SPDX-License-Identifier: GPL-2.0-or-later
"""Make a sample for captures/: boot the lab, run some clients and servers of the scenario, keep what is captured.

python -m tests.lab.record captures/first-contact.pcapng lookup dms-get-ids nas-get-serving-system
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from pathlib import Path

from tests.lab.guest import run_in_guest
from tests.lab.modem_client import ERRANDS
from tests.lab.scenario import DAEMONS, PROGRAMS, clients

SCENARIO = Path(__file__).with_name("scenario.py")


def main() -> int:
    """Exit code 0 once the sample is in its place; clients and errands are run in the order of the scenario."""
    names = [*PROGRAMS, *DAEMONS, *(client.name for client in clients(Path())), *ERRANDS]
    parser = argparse.ArgumentParser(description="record a sample capture in the lab")
    parser.add_argument("sample", type=Path)
    parser.add_argument("names", nargs="+", choices=names, metavar="NAME", help=", ".join(names))
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="qmisniff-record-") as folder:
        out = Path(folder)
        made = out / "sample.pcapng"
        capture = f"{sys.executable} -m qmisniff capture -w {made}"
        arguments = ["--capture", capture, "--ready", "capturing from", "--only", *options.names]
        run_in_guest(SCENARIO, out, *arguments, timeout=600).check()
        shutil.copyfile(made, options.sample)
    print(f"{options.sample}: {options.sample.stat().st_size} bytes")
    return 0


if __name__ == "__main__":
    sys.exit(main())
