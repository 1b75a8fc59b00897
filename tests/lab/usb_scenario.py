# SPDX-License-Identifier: GPL-2.0-or-later
"""What happens in the guest on USB: a modem is plugged in, and one qmicli after the other talks to it.

`python usb_scenario.py OUT [--devices qmux mbim] [--only NAME...]`, in the guest (guest.py). For each device there is
left in OUT/DEVICE:

    modem.jsonl      every transfer over the control channel, as the modem saw it
    clients.jsonl    every client, servers.jsonl: the modem and the captures (scenario.py says what is in a line)
    CAPTURE/capture.pcapng    for each of CAPTURES, of the bus: one of each kind begins before the modem is plugged in,
                              one ("late-") after
"""

from __future__ import annotations

import argparse
import contextlib
import os
import select
import signal
import struct
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from tests.lab import services, usb_modem
from tests.lab.scenario import LAB, Client, Journal, capture, run_client, server, told

PATIENCE = 300.0  # seconds
LONG_APN = "long." * 1000 + "example"  # longer than the largest transfer of either device


class Device(NamedTuple):
    """A modem: its program in this folder, its host controller, the modules that both need, how qmicli opens it, and
    something that it answers."""

    program: str
    controller: str
    modules: Sequence[str]
    options: Sequence[str]
    hello: bytes


class Capture(NamedTuple):
    """A program that captures usbmon interfaces: `-i INTERFACE -w FILE` is added; it prints `ready` on stderr."""

    argv: Sequence[str]
    ready: str


DEVICES = {
    "qmux": Device(
        "usb_gadget.py", "dummy_hcd.0", ("configfs", "dummy_hcd", "usb_f_fs", "qmi_wwan"), (),
        hello=usb_modem.FRAME.pack(usb_modem.MARKER, 11, 0, usb_modem.CTL, 0)
        + struct.pack("<BBHH", 0, 1, usb_modem.SYNC, 0),
    ),
    "mbim": Device(
        "usb_ip.py", "vhci_hcd.0", ("vhci-hcd", "cdc_mbim"), ("--device-open-mbim",),
        hello=usb_modem.MBIM.pack(usb_modem.OPEN, 16, 1) + struct.pack("<I", 4096),
    ),
}  # fmt: skip
CAPTURES = {
    "dumpcap": Capture(("dumpcap", "-q"), "File:"),
    "qmisniff": Capture((sys.executable, "-m", "qmisniff", "capture"), "capturing from"),
}


def clients(device: Device, node: str) -> list[Client]:
    """All clients, in the order they run; those that leave a proxy behind come last."""

    def qmicli(*options: str) -> list[str]:
        return ["qmicli", "-d", node, *device.options, *options]

    return [
        Client("ids", qmicli("--dms-get-ids")),
        Client("sync", qmicli("--device-open-sync", "--dms-get-manufacturer")),
        Client("version-info", qmicli("--device-open-version-info", "--dms-get-model")),
        Client("services", qmicli("--get-service-version-info")),
        Client("signal", qmicli("--nas-get-signal-info")),
        Client("serving-system", qmicli("--nas-get-serving-system")),
        Client("unknown-message", qmicli("--dms-get-prl-version"), exit=1),
        Client("unknown-service", qmicli("--voice-get-config"), exit=1),
        Client("start", qmicli(f"--wds-start-network=apn={services.APN}", "--client-no-release-cid")),
        Client("settings", qmicli("--wds-get-current-settings")),
        Client("stop", qmicli(f"--wds-stop-network={services.CALL_HANDLE}")),
        Client("long-start", qmicli(f"--wds-start-network=apn={LONG_APN}")),
        Client("long-stop", qmicli(f"--wds-stop-network={services.CALL_HANDLE}")),
        Client("scan", qmicli("--nas-network-scan")),
        Client("slots", [sys.executable, __file__, "--until", services.ICCID, *qmicli("--uim-monitor-slot-status")]),
        Client("proxy", qmicli("-p", "--dms-get-ids")),
    ]


def hasty(device: Device, node: str) -> Client:
    """A client that leaves before it is answered, again and again; it comes when nobody captures any more."""
    return Client("hasty", [sys.executable, __file__, "--hasty", node, device.hello.hex()])


def bus_of(controller: str) -> int:
    """The number of the high-speed bus of a host controller."""
    buses = Path("/sys/devices/platform", controller).glob("usb[0-9]*")
    return min(int(bus.name[3:]) for bus in buses if (bus / "speed").read_text().strip() == "480")


def wait_for_node(present: bool) -> str:
    """Wait until there is a /dev/cdc-wdmN, or none any more; its path."""
    deadline = time.monotonic() + PATIENCE
    while bool(nodes := list(Path("/dev").glob("cdc-wdm*"))) is not present:
        if time.monotonic() > deadline:
            raise SystemExit("no modem was found" if present else "the modem did not leave")
        time.sleep(0.1)
    return str(nodes[0]) if present else ""


def run_device(name: str, out: Path, captures: Sequence[str], only: Sequence[str] | None) -> bool:
    """Plug it in and run its clients; whether every one did what it should."""
    device = DEVICES[name]
    out.mkdir()
    for module in (*device.modules, "usbmon"):
        subprocess.run(["modprobe", module], check=True)
    interface = f"usbmon{bus_of(device.controller)}"
    servers, journal = Journal(out / "servers.jsonl"), Journal(out / "clients.jsonl")

    def start_captures(stack: contextlib.ExitStack, prefix: str) -> None:
        for each in captures:
            folder = out / f"{prefix}{each}"
            folder.mkdir()
            argv = [*CAPTURES[each].argv, "-i", interface, "-w", str(folder / "capture.pcapng")]
            stack.enter_context(capture(argv, CAPTURES[each].ready, folder, servers))

    argv = [sys.executable, str(LAB / device.program), str(out / "modem.jsonl")]
    with server("modem", argv, out, servers) as modem:
        with contextlib.ExitStack() as stack:
            start_captures(stack, "")
            told(modem, "plug")
            node = wait_for_node(True)
            if only is None:
                start_captures(stack, "late-")
            wanted = [client for client in clients(device, node) if only is None or client.name in only]
            good = [run_client(client, journal) for client in wanted]
        if only is None:
            # While a proxy has the device open, nobody else's leaving is seen.
            subprocess.run(["pkill", "-x", "qmi-proxy|mbim-proxy"], check=True)
            good.append(run_client(hasty(device, node), journal))
    wait_for_node(False)
    return all(good)


def run_until(text: str, argv: Sequence[str]) -> int:
    """Run a client that goes on for ever until it has printed `text`, then end it as with Ctrl-C."""
    process = subprocess.Popen(argv, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    for line in process.stdout:
        print(line, end="")
        if text in line:
            process.send_signal(signal.SIGINT)
    return process.wait()


def run_hasty(node: str, hello: bytes) -> int:
    """Say hello and leave, at once or up to the answer; 0 when the device still answers after that."""
    for attempt in range(60):
        device = os.open(node, os.O_RDWR)
        os.write(device, hello)
        time.sleep(attempt / 3000)
        os.close(device)
    device = os.open(node, os.O_RDWR)
    for _ in range(10):  # what one of those before did not fetch comes first, and may need another hello to come at all
        os.write(device, hello)
        if select.select([device], [], [], 2.0)[0] and os.read(device, 4096):
            return 0
    return 1


def main() -> int:
    """0 when every client did what it should."""
    if sys.argv[1] == "--until":
        return run_until(sys.argv[2], sys.argv[3:])
    if sys.argv[1] == "--hasty":
        return run_hasty(sys.argv[2], bytes.fromhex(sys.argv[3]))
    parser = argparse.ArgumentParser(description="the lab's scenario on USB; runs in the guest")
    parser.add_argument("out", type=Path)
    parser.add_argument("--devices", nargs="+", choices=DEVICES, default=list(DEVICES))
    parser.add_argument("--captures", nargs="*", choices=CAPTURES, default=list(CAPTURES))
    parser.add_argument("--only", nargs="*", metavar="NAME", help="these clients only, and no late captures")
    options = parser.parse_args()
    good = [run_device(device, options.out / device, options.captures, options.only) for device in options.devices]
    return 0 if all(good) else 1


if __name__ == "__main__":
    sys.exit(main())
