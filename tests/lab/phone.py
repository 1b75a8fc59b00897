# SPDX-License-Identifier: GPL-2.0-or-later
"""What the daemons of a phone look for in its file systems, so that they run where there is no phone.

pd-mapper and rmtfs each run in a mount namespace of their own that has these files where a phone has them. Memory that
rmtfs and the modem share is a sparse file in the place of /dev/mem, at the address that the device tree gives: with
neither of its drivers there (/dev/qcom_rmtfs_mem1, /dev/qcom_rmtfs_uio1) rmtfs takes it from there, as on old kernels.
"""

from __future__ import annotations

import json
import shlex
import struct
from pathlib import Path

ROOT = Path("/run/phone")  # of the guest: in memory, writable, and seen by the modem too
STATE = ROOT / "class/remoteproc/remoteproc0/state"
MEMORY, MEMORY_SIZE = 0x86700000, 0x200000
SECTOR = 512

DOMAIN, INSTANCE = "msm/modem/root_pd", 180  # what the modem's notifier is registered under (modem.py)
DOMAIN_SERVICES = ("tms/servreg", "gps/gps_service")
STORAGE = "/boot/modem_fs1"  # as the modem calls its file

# Where a phone has them. /proc comes last: mount(8) reads it.
_BINDS = {"class": "/sys/class", "firmware": "/lib/firmware", "memory": "/dev/mem", "proc": "/proc"}
_DAEMONS = {
    "pd-mapper": (("class", "firmware"), ["pd-mapper"]),
    # -s: starts and stops the remote processor, and ends at the first SIGTERM.
    "rmtfs": (("class", "memory", "proc"), ["rmtfs", "-v", "-s", "-o", str(ROOT / "storage")]),
}


def build() -> None:
    """Make the files."""
    soc, domain, subdomain = DOMAIN.split("/")
    services = [dict(zip(("provider", "service"), name.split("/"), strict=True)) for name in DOMAIN_SERVICES]
    for path, content in {
        "class/remoteproc/remoteproc0/firmware": b"qcom/lab/modem.mbn\n",
        "class/remoteproc/remoteproc0/device/modalias": b"of:NremoteprocCqcom,lab-mpss-pas\n",
        "class/remoteproc/remoteproc0/state": b"",
        "firmware/qcom/lab/modemr.jsn": json.dumps(
            {
                "sr_domain": {"soc": soc, "domain": domain, "subdomain": subdomain, "qmi_instance_id": INSTANCE},
                "sr_service": services,
            }
        ).encode(),
        "proc/device-tree/reserved-memory/rmtfs@86700000/reg": struct.pack(">II", MEMORY, MEMORY_SIZE),
        "storage/modem_fs1": bytes(8 * SECTOR),
        "memory": b"",
    }.items():
        file = ROOT / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
    with (ROOT / "memory").open("r+b") as memory:
        memory.truncate(MEMORY + MEMORY_SIZE)


def daemon(name: str) -> list[str]:
    """The command that runs pd-mapper or rmtfs with these files; it keeps its pid."""
    parts, command = _DAEMONS[name]
    mounts = [f"mount --bind {shlex.quote(str(ROOT / part))} {_BINDS[part]}" for part in parts]
    return ["unshare", "--mount", "sh", "-c", " && ".join([*mounts, f"exec {shlex.join(command)}"])]


def write_memory(address: int, data: bytes) -> None:
    """Put bytes where rmtfs sees them at a physical address."""
    with (ROOT / "memory").open("r+b") as memory:
        memory.seek(address)
        memory.write(data)


def read_memory(address: int, size: int) -> bytes:
    """The bytes at a physical address."""
    with (ROOT / "memory").open("rb") as memory:
        memory.seek(address)
        return memory.read(size)
