# SPDX-License-Identifier: GPL-2.0-or-later
"""What Linux on a phone asks of its other processors: where a service lives and whether it is up, and for a sensor.

`python subsystem_client.py LOG`. The order is that of Linux drivers/soc/qcom/pdr_interface.c: pd-mapper knows the
domain, a notifier on the modem tells its state. Then SSCTL hears of an event as from qcom_sysmon.c, and the sensor
core (SSC) is asked for the accelerometer: a protocol buffer inside a TLV.
"""

from __future__ import annotations

import struct
import sys
from pathlib import Path

from tests.lab import phone, services, wire
from tests.lab.modem_client import GET_DOMAIN_LIST, SERVREG_LOC
from tests.lab.sockets import LoggedSocket, NoAnswer, look_up
from tests.lab.wire import Message

LINUX, MODEM = 1, 0
TIMEOUT = 60.0
BEFORE_POWERUP, AFTER_POWERUP = 0, 1
SUID_REQUEST = 512


def domain_of(log: wire.PacketLog, service: str) -> bytes:
    """The name of the protection domain that has a service; NoAnswer where pd-mapper knows none."""
    request = Message(wire.REQUEST, 1, GET_DOMAIN_LIST, {0x01: service.encode(), 0x10: struct.pack("<I", 0)})
    found = LoggedSocket(log).call(request, look_up(log, SERVREG_LOC, LINUX)).tlvs.get(0x12, b"\0")
    if found[0] != 1:
        raise NoAnswer(f"not one domain has {service}: {found.hex()}")
    return found[2 : 2 + found[1]]


def watch(log: wire.PacketLog, domain: bytes) -> list[int]:
    """Register for a domain's state, acknowledge what the notifier tells; the states."""
    notifier, client = look_up(log, services.SERVREG, MODEM), LoggedSocket(log)
    registered = client.call(Message(wire.REQUEST, 1, 0x20, {0x01: b"\x01", 0x02: domain}), notifier)
    states = [*struct.unpack("<I", registered.tlvs[0x10])]
    updates = [wire.unpack_message(client.receive(TIMEOUT)[0]) for _ in range(2)]
    for transaction, update in enumerate(updates, start=2):
        if (update.flags, update.id) != (wire.INDICATION, 0x22) or update.tlvs[0x02] != domain:
            raise NoAnswer(f"no state of {domain!r}: {update}")
        states += struct.unpack("<I", update.tlvs[0x01])
        acknowledged = {0x01: domain, 0x02: update.tlvs[0x03]}
        client.call(Message(wire.REQUEST, transaction, 0x23, acknowledged), notifier)
    return states


def tell(log: wire.PacketLog, subsystem: bytes) -> None:
    """Tell the modem's SSCTL that another subsystem comes up."""
    server, client = look_up(log, services.SSCTL, MODEM), LoggedSocket(log)
    for transaction, event in enumerate((BEFORE_POWERUP, AFTER_POWERUP), start=1):
        name = bytes([len(subsystem)]) + subsystem
        tlvs = {0x01: name, 0x02: struct.pack("<I", event), 0x10: struct.pack("<I", 0)}
        client.call(Message(wire.REQUEST, transaction, 0x23, tlvs), server)


def find_sensor(log: wire.PacketLog, kind: bytes) -> bytes:
    """Ask the sensor core who is the sensor of a kind; its report."""
    server, client = look_up(log, services.SSC, MODEM), LoggedSocket(log)
    wanted = services.embedded(2, services.embedded(1, kind) + b"\x10\x01\x18\x00")
    suspend = services.embedded(3, b"\x08\x01\x10\x00")
    request = services.embedded(1, services.suid(services.SUID_LOOKUP)) + struct.pack("<BI", 0x15, SUID_REQUEST)
    request += suspend + services.embedded(4, wanted)
    client.call(Message(wire.REQUEST, 1, 0x20, {0x01: struct.pack("<H", len(request)) + request, 0x10: b"\0"}), server)
    return wire.unpack_message(client.receive(TIMEOUT)[0]).tlvs[0x02]


def main() -> int:
    """Exit code 1 where an answer is missing or wrong."""
    log = wire.PacketLog(Path(sys.argv[1]))
    try:
        domain = domain_of(log, phone.DOMAIN_SERVICES[0])
        states = watch(log, domain)
        tell(log, b"adsp")
        report = find_sensor(log, b"accel")
        if services.suid(services.ACCELEROMETER) not in report:
            raise NoAnswer(f"no sensor in {report.hex()}")
    except NoAnswer as problem:
        print(problem, file=sys.stderr)
        return 1
    print(f"{domain.decode()}: {' '.join(f'{state:#x}' for state in states)}; accelerometer found")
    return 0


if __name__ == "__main__":
    sys.exit(main())
