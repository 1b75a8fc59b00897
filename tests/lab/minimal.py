# SPDX-License-Identifier: GPL-2.0-or-later
"""Guests as small as a phone's recovery image: a kernel, QRTR, and a shell with five programs; x86-64 and arm64.

No Python, nothing of this machine. Each guest has serial ports, each with a shell behind it: what a capture has of a
target that is reached over a wire. That of x86-64 has a network too, of itself and this machine, and behind it sshd.
`traffic` (traffic.c) stands in it for the programs of a phone.

By hand: `python -m tests.lab.minimal aarch64` boots one and prints the command that reaches it.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.lab import sshd
from tests.lab.guest import LabNotReady, kernel_image

ARCHITECTURES = ("x86_64", "aarch64")
_TOOLS = ("sh", "cat", "dd", "mkdir", "rmdir")  # all that a capture asks of a target, and all that is in its PATH
_PORTS = ("capture", "control")
_MODULES = ("virtio_pci", "virtio_mmio", "virtio_console", "virtio_net", "qrtr", "qrtr-tun")
_QEMU = {
    "x86_64": ["qemu-system-x86_64", "-M", "q35,accel=tcg"],
    "aarch64": ["qemu-system-aarch64", "-M", "virt", "-cpu", "cortex-a57"],
}
_WITH_SSHD = "x86_64"
_CONSOLE = {"x86_64": "ttyS0", "aarch64": "ttyAMA0"}
_COMPILER = {"x86_64": "gcc", "aarch64": "aarch64-linux-gnu-gcc"}

_INIT = """\
#!/init.d/sh
PATH=/init.d
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs dev /dev
mount -t tracefs tracefs /sys/kernel/tracing
for module in /modules/*; do insmod $module; done
# The shells have the programs of a target, and no others.
export PATH=/bin
{daemons}
port() {{ while :; do sh <>/dev/$1 >&0 2>/dev/console; /init.d/sleep 0.2; done; }}
{ports}
echo ready >/dev/console
wait
"""


@dataclass(frozen=True, slots=True)
class Guest:
    """A guest that runs. `folder` has its console and the sockets of its ports; in `environment`, ssh knows it."""

    architecture: str
    folder: Path
    process: subprocess.Popen[bytes]
    environment: dict[str, str]

    @property
    def has_sshd(self) -> bool:
        """Whether `ssh` reaches it."""
        return self.architecture == _WITH_SSHD

    def port(self, name: str) -> str:
        """The source that reaches the shell behind a port."""
        return f"exec:socat - UNIX-CONNECT:{self.folder / name}"

    @property
    def console(self) -> str:
        """What the guest has printed."""
        return (self.folder / "console").read_text(errors="replace")


@contextlib.contextmanager
def guest(architecture: str, folder: Path, *, cpus: int = 2, modules: bool = True) -> Iterator[Guest]:
    """Boot a guest, and end it. `modules`: whether QRTR is loaded. Raises LabNotReady."""
    kernel, root = _kernel(architecture)
    (folder / "initramfs").write_bytes(_initramfs(architecture, kernel, root, folder, modules))
    command = [
        *_QEMU[architecture], "-append", f"console={_CONSOLE[architecture]} panic=-1 no_timer_check quiet rdinit=/init",
        "-m", "256M", "-smp", str(cpus), "-nographic", "-no-reboot",
        "-kernel", str(kernel), "-initrd", str(folder / "initramfs"), "-nodefaults",
        "-serial", f"file:{folder / 'console'}", "-device", "virtio-serial-pci",
    ]  # fmt: skip
    for number, port in enumerate(_PORTS, start=1):
        command += ["-chardev", f"socket,id={port},path={folder / port},server=on,wait=off"]
        command += ["-device", f"virtserialport,chardev={port},nr={number}"]
    environment = dict(os.environ)
    if architecture == _WITH_SSHD:
        free = _free_port()
        environment = sshd.client(folder, free)
        command += ["-netdev", f"user,id=net,restrict=on,hostfwd=tcp:127.0.0.1:{free}-:22"]
        command += ["-device", "virtio-net-pci,netdev=net,romfile="]
    with (folder / "qemu").open("wb") as log:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT)
        made = Guest(architecture, folder, process, environment)
        try:
            _wait(made)
            yield made
        finally:
            process.kill()
            process.wait()


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        number: int = free.getsockname()[1]
        return number


def _wait(made: Guest) -> None:
    deadline = time.monotonic() + 300
    while "ready" not in (made.console if (made.folder / "console").exists() else ""):
        if made.process.poll() is not None or time.monotonic() > deadline:
            raise LabNotReady(f"the guest does not boot: {made.console} {(made.folder / 'qemu').read_text()}")
        time.sleep(0.05)


def _kernel(architecture: str) -> tuple[Path, Path]:
    """A kernel's image and the tree that it was unpacked to."""
    image = kernel_image()
    if architecture == "aarch64":
        root = image.parents[2] / "arm64" / "root"
        image = root / "boot" / image.name.replace("amd64", "arm64")
    else:
        root = image.parents[1]
    tools = (_QEMU[architecture][0], _COMPILER[architecture], "socat", "cpio")
    for tool in (*tools, "ssh", str(sshd.SERVER)):
        if shutil.which(tool) is None:
            raise LabNotReady(f"{tool} is not installed: run tests/setup-debian")
    if not image.exists():
        raise LabNotReady(f"{image} is not there: run tests/setup-debian")
    return image, root


def _initramfs(architecture: str, kernel: Path, root: Path, folder: Path, modules: bool) -> bytes:
    """The guest's whole file system, as a cpio archive."""
    tree = folder / "tree"
    for name in ("bin", "init.d", "modules", "proc", "sys", "dev", "tmp"):
        (tree / name).mkdir(parents=True)
    busybox = Path("/bin/busybox") if architecture == "x86_64" else root / "bin" / "busybox"
    shutil.copy(busybox, tree / "init.d" / "busybox")
    for name in ("sh", "mount", "insmod", "sleep", "rmmod", "ln", "kill", "umount", "ifconfig"):
        (tree / "init.d" / name).symlink_to("busybox")
    for name in _TOOLS:
        (tree / "bin" / name).symlink_to("../init.d/busybox")
    wanted = _MODULES if modules else [name for name in _MODULES if "qrtr" not in name]
    release = kernel.name.removeprefix("vmlinuz-")
    for number, module in enumerate(_with_dependencies(root, release, wanted)):
        shutil.copy(module, tree / "modules" / f"{number:02d}-{module.name}")
    ports = "\n".join(f"port vport0p{number} &" for number in range(1, len(_PORTS) + 1))
    daemons = ""
    if architecture == _WITH_SSHD:
        sshd.install(tree, folder)
        daemons = sshd.START
    (tree / "init").write_text(_INIT.format(ports=ports, daemons=daemons))
    (tree / "init").chmod(0o755)
    source = Path(__file__).with_name("traffic.c")
    subprocess.run([_COMPILER[architecture], "-O2", "-static", "-o", tree / "bin" / "traffic", source], check=True)
    names = "\n".join(str(path.relative_to(tree)) for path in sorted(tree.rglob("*")))
    packed = subprocess.run(
        ["cpio", "-o", "-H", "newc", "--quiet"], cwd=tree, input=names.encode(), capture_output=True, check=True
    )
    shutil.rmtree(tree)
    return packed.stdout


def _with_dependencies(root: Path, release: str, wanted: list[str] | tuple[str, ...]) -> list[Path]:
    """Module files in the order in which they load. What a kernel has built in, or not at all, is left out."""
    files: dict[Path, None] = {}
    for name in wanted:
        shown = subprocess.run(
            ["/sbin/modprobe", "--show-depends", "-d", str(root), "-S", release, name], capture_output=True, text=True
        )
        for line in shown.stdout.splitlines():
            if line.startswith("insmod "):
                files[Path(line.split()[1])] = None
    return list(files)


def main() -> int:
    """Boot a guest and keep it until a key is pressed."""
    architecture = sys.argv[1] if len(sys.argv) > 1 else "x86_64"
    with tempfile.TemporaryDirectory() as name, guest(architecture, Path(name)) as made:
        print(f"qmisniff capture -i '{made.port('capture')}'\nsocat - UNIX-CONNECT:{made.folder / 'control'}")
        input("Enter ends the guest. ")
    return 0


if __name__ == "__main__":
    sys.exit(main())
