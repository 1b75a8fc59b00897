# SPDX-License-Identifier: GPL-2.0-or-later
"""Wireshark's folders of what a user adds to it."""

from __future__ import annotations

import os
import shutil
import subprocess
from functools import cache
from pathlib import Path

_TIMEOUT_S = 120  # of an emulated machine; anywhere else it takes a moment
_ROOT_MAY = "run_user_scripts_when_superuser = true"
_ADDED = "~/.local/lib/wireshark"  # where Wireshark looks from 4.2 on, and for Lua before


def lua_folder() -> Path:
    """Where Wireshark takes a user's own Lua dissectors from."""
    return _folders().get("Personal Lua Plugins") or Path(_ADDED, "plugins").expanduser()


def extcap_folder() -> Path:
    """Where Wireshark takes a user's own capture programs from."""
    known = _folders()
    if "Personal Extcap path" in known:
        return known["Personal Extcap path"]
    # Wireshark before 4.2 does not tell, and looks beside its settings.
    if "Personal configuration" in known:
        return known["Personal configuration"] / "extcap"
    return Path(_ADDED, "extcap").expanduser()


def lua_refused() -> str:
    """Why Wireshark, run by this user, loads no Lua dissector, and what would help; "" where it does."""
    known = _folders()
    # Before 4.2, which does not tell of the first folder, root may load them.
    if os.geteuid() != 0 or "Personal Extcap path" not in known or "Global Lua Plugins" not in known:
        return ""
    file = known["Global Lua Plugins"] / "init.lua"
    try:
        said = _ROOT_MAY in file.read_text(encoding="utf-8", errors="replace")
    except OSError:
        said = False
    return "" if said else f"run as root, this Wireshark loads no Lua without the line `{_ROOT_MAY}` in {file}"


@cache
def _folders() -> dict[str, Path]:
    """What `tshark -G folders` says; nothing where tshark is not installed."""
    program = shutil.which("tshark")
    if program is None:
        return {}
    try:
        done = subprocess.run([program, "-G", "folders"], capture_output=True, text=True, timeout=_TIMEOUT_S)
    except (OSError, ValueError, subprocess.TimeoutExpired):
        return {}
    lines = (line.partition(":") for line in done.stdout.splitlines())
    return {name.strip(): Path(path.strip()) for name, _, path in lines if path.strip().startswith("/")}
