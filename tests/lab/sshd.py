# SPDX-License-Identifier: GPL-2.0-or-later
"""OpenSSH's server in a guest of minimal.py, and the client's side of it: keys that are made for one guest."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

SERVER = Path("/usr/sbin/sshd")
HOST = "phone"  # what the client calls the guest
# Run by the guest's init. The server wants to be called by its whole path: it runs itself anew for each connection.
START = "ifconfig lo up; ifconfig eth0 10.0.2.15 netmask 255.255.255.0 up; /init.d/sshd -f /etc/sshd_config"
_SERVER_CONFIG = """\
HostKey /etc/host_key
AuthorizedKeysFile /etc/authorized_keys
StrictModes no
PasswordAuthentication no
KbdInteractiveAuthentication no
PidFile none
UseDNS no
"""
_CLIENT_CONFIG = """\
Host {host}
  HostName 127.0.0.1
  Port {port}
  IdentityFile {folder}/key
  IdentitiesOnly yes
  UserKnownHostsFile {folder}/known_hosts
  StrictHostKeyChecking yes
  HostKeyAlias {host}
"""


def install(tree: Path, folder: Path) -> None:
    """Put the server, its libraries and its keys into a guest's file system; the client's key into `folder`."""
    for name in ("host_key", "key"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", folder / name], check=True)
    host_key = (folder / "host_key.pub").read_text()
    (folder / "known_hosts").write_text(f"{HOST} {host_key}")
    for name in ("etc", "run/sshd", "root"):
        (tree / name).mkdir(parents=True)
    (tree / "etc/passwd").write_text("root:*:0:0::/root:/bin/sh\nsshd:*:101:65534::/run/sshd:/bin/false\n")
    (tree / "etc/group").write_text("root:x:0:\nnogroup:x:65534:\n")
    (tree / "etc/sshd_config").write_text(_SERVER_CONFIG)
    shutil.move(folder / "host_key", tree / "etc/host_key")
    shutil.copy(folder / "key.pub", tree / "etc/authorized_keys")
    shutil.copy(SERVER, tree / "init.d/sshd")
    listed = subprocess.run(["ldd", SERVER], capture_output=True, text=True, check=True).stdout
    for library in re.findall(r"(/\S+) \(", listed):
        place = tree / library.lstrip("/")
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(library, place)


def client(folder: Path, port: int) -> dict[str, str]:
    """The environment in which `ssh` knows the guest as HOST."""
    config = folder / "ssh_config"
    config.write_text(_CLIENT_CONFIG.format(host=HOST, port=port, folder=folder))
    program = folder / "path" / "ssh"
    program.parent.mkdir(exist_ok=True)
    program.write_text(f'#!/bin/sh\nexec {shutil.which("ssh")} -F {config} "$@"\n')
    program.chmod(0o755)
    return {**os.environ, "PATH": f"{program.parent}:{os.environ['PATH']}"}
