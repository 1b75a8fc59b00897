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
from pathlib import Path

from qmisniff.cli import main
from tests.lab import wire
from tests.lab.guest_capture import Port, Wire, remains
from tests.lab.wire import Address, Packet

DMS, GET_IDS, IMEI = 2, 0x25, b"001010123456789"
SERVER, CLIENT = Address(0, 77), 0x4700
PATIENCE_S = 120.0  # an emulated machine takes its time to start tshark, twice


def talk(modem: Wire, client: Port) -> None:
    """The modem announces DMS, is asked for its IDs and answers."""
    announcement = wire.CONTROL.pack(wire.NEW_SERVER, DMS, 1, *SERVER)
    ctrl = Address(modem.node, wire.PORT_CTRL), Address(client.address.node, wire.PORT_CTRL)
    modem.send(Packet(wire.NEW_SERVER, *ctrl, announcement))
    time.sleep(0.2)
    client.send(wire.MESSAGE.pack(wire.REQUEST, 7, GET_IDS, 0), SERVER)
    time.sleep(0.2)
    modem.drain()
    tlvs = wire.TLV.pack(2, 4) + bytes(4) + wire.TLV.pack(0x11, len(IMEI)) + IMEI
    answer = wire.MESSAGE.pack(wire.RESPONSE, 7, GET_IDS, len(tlvs)) + tlvs
    modem.send(Packet(wire.DATA, SERVER, client.address, answer))
    client.socket.recv(1000)


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
        deadline = time.monotonic() + PATIENCE_S
        while not (remains() and file.exists()) and running.poll() is None and time.monotonic() < deadline:
            time.sleep(0.5)
        time.sleep(3)  # the probes are armed one by one
        during = remains()
        talk(modem, client)
        time.sleep(2)
        running.send_signal(signal.SIGINT)
        said = running.communicate(timeout=PATIENCE_S)[1]
    modem.drain()
    (out / "wire.json").write_text(json.dumps([(way, data.hex()) for way, data in modem.log]))
    gone = time.monotonic() + 10
    while remains() and time.monotonic() < gone:
        time.sleep(0.2)
    assert main(["extcap", "uninstall"]) == 0
    return {"listed": listed, "during": during, "left": remains(), "said": said, "exit": running.returncode}


if __name__ == "__main__":
    (Path(sys.argv[1]) / "extcap.json").write_text(json.dumps(capture(Path(sys.argv[1]))))
