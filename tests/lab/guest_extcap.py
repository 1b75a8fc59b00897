# SPDX-License-Identifier: GPL-2.0-or-later
"""tshark captures QRTR in the guest by qmisniff's extcap program as installed; test_extcap.py looks at the result.

`python guest_extcap.py OUT`, as root in a guest. Leaves OUT/tshark.pcapng, OUT/wire.json (what crossed the wire, in
order) and OUT/extcap.json.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from qmisniff.cli import main
from tests.lab import wire
from tests.lab.guest_capture import TRACEFS, Port, Wire, remains
from tests.lab.wire import Address, Packet

INSTANCES = TRACEFS / "instances"
DMS, GET_IDS, IMEI = 2, 0x25, b"001010123456789"
SERVER, CLIENT = Address(0, 77), 0x4700
PATIENCE_S = 900.0  # an emulated machine takes its time to start tshark, twice


def talk(modem: Wire, client: Port) -> None:
    """The modem announces DMS, is asked for its IDs and answers."""
    announcement = wire.CONTROL.pack(wire.NEW_SERVER, DMS, 1, *SERVER)
    ctrl = Address(modem.node, wire.PORT_CTRL), Address(client.address.node, wire.PORT_CTRL)
    modem.send(Packet(wire.NEW_SERVER, *ctrl, announcement))
    client.send(wire.MESSAGE.pack(wire.REQUEST, 7, GET_IDS, 0), SERVER)
    modem.drain()
    tlvs = wire.TLV.pack(2, 4) + bytes(4) + wire.TLV.pack(0x11, len(IMEI)) + IMEI
    answer = wire.MESSAGE.pack(wire.RESPONSE, 7, GET_IDS, len(tlvs)) + tlvs
    modem.send(Packet(wire.DATA, SERVER, client.address, answer))
    client.socket.recv(1000)


def armed() -> bool:
    """Whether a capture's heads are enabled: they come last."""
    events = INSTANCES.glob("*/events/qmisniff_*/*/enable")
    heads = [path for path in events if path.parent.name.startswith(("receive_", "transmit_", "local_"))]
    return bool(heads) and all(path.read_text().startswith("1") for path in heads)


def until(so: Callable[[], bool]) -> None:
    """Until it is so, or it has taken too long: what comes of it is looked at by the test."""
    deadline = time.monotonic() + PATIENCE_S
    while not so() and time.monotonic() < deadline:
        time.sleep(0.2)


def libraries() -> str:
    """A folder with copies of Wireshark's libraries: mapped from the host's file system they take minutes to load."""
    folder = Path("/dev/shm/wireshark")
    folder.mkdir()
    for library in Path("/usr/lib/x86_64-linux-gnu").glob("libwire*.so.*"):
        shutil.copyfile(library, folder / library.name)
    return str(folder)


def capture(out: Path) -> dict[str, object]:
    """Install, capture, stop as a user does, uninstall."""
    os.environ["LD_LIBRARY_PATH"] = libraries()
    os.environ["HOME"] = str(out / "home")  # the guest's own is on a file system without programs
    assert main(["extcap", "install"]) == 0
    listed = subprocess.run(["tshark", "-D"], capture_output=True, text=True, check=True).stdout
    modem, client, file = Wire(), Port(CLIENT), out / "tshark.pcapng"
    modem.log.clear()  # what was said before the capture
    command = ["tshark", "-i", "qmisniff-kernel", "-w", str(file)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as running:
        until(lambda: (armed() and file.exists()) or running.poll() is not None)
        during = remains()
        talk(modem, client)
        until(lambda: running.poll() is not None or IMEI in file.read_bytes())
        running.send_signal(signal.SIGINT)
        said = running.communicate(timeout=PATIENCE_S)[1]
    modem.drain()
    (out / "wire.json").write_text(json.dumps([(way, data.hex()) for way, data in modem.log]))
    until(lambda: not remains())
    assert main(["extcap", "uninstall"]) == 0
    return {"listed": listed, "during": during, "left": remains(), "said": said, "exit": running.returncode}


if __name__ == "__main__":
    (Path(sys.argv[1]) / "extcap.json").write_text(json.dumps(capture(Path(sys.argv[1]))))
