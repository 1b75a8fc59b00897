# SPDX-License-Identifier: GPL-2.0-or-later
"""Make a sample for captures/: boot the lab, run some clients and servers of the scenario, keep what is captured.

python -m tests.lab.record captures/first-contact.pcapng lookup dms-get-ids nas-get-serving-system
python -m tests.lab.record --usb mbim captures/usb-mbim.pcapng ids signal
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
from tests.lab.usb_scenario import DEVICES
from tests.lab.usb_scenario import clients as usb_clients

SCENARIO = Path(__file__).with_name("scenario.py")
USB_SCENARIO = Path(__file__).with_name("usb_scenario.py")


def main() -> int:
    """Exit code 0 once the sample is in its place; clients and errands are run in the order of the scenario."""
    parser = argparse.ArgumentParser(description="record a sample capture in the lab")
    parser.add_argument("--usb", choices=DEVICES, help="of a modem on USB, not of QRTR")
    parser.add_argument("sample", type=Path)
    parser.add_argument("names", nargs="+", metavar="NAME", help="what is run; an unknown name is told the known ones")
    options = parser.parse_args()
    names = (
        [client.name for client in usb_clients(DEVICES[options.usb], "")]
        if options.usb
        else [*PROGRAMS, *DAEMONS, *(client.name for client in clients(Path())), *ERRANDS]
    )
    if unknown := set(options.names).difference(names):
        parser.error(f"unknown: {', '.join(sorted(unknown))}; there is {', '.join(names)}")
    with tempfile.TemporaryDirectory(prefix="qmisniff-record-") as folder:
        out = Path(folder)
        if options.usb:
            made = out / options.usb / "qmisniff" / "capture.pcapng"
            arguments = ["--devices", options.usb, "--captures", "qmisniff", "--only", *options.names]
            program = USB_SCENARIO
        else:
            made = out / "sample.pcapng"
            capture = f"{sys.executable} -m qmisniff capture -w {made}"
            arguments = ["--capture", capture, "--ready", "capturing from", "--only", *options.names]
            program = SCENARIO
        run_in_guest(program, out, *arguments).check()
        shutil.copyfile(made, options.sample)
    print(f"{options.sample}: {options.sample.stat().st_size} bytes")
    return 0


if __name__ == "__main__":
    sys.exit(main())
