# SPDX-License-Identifier: GPL-2.0-or-later
"""Where the files that are not code are: definitions, sample captures, the user's own definitions, the cache."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent


def data_dir(name: str) -> Path:
    """The directory `dissectors` or `captures` that came with this program: in a wheel, else beside the package."""
    installed = _PACKAGE / "data" / name
    return installed if installed.is_dir() else _PACKAGE.parent / name


def definition_dirs(extra: Sequence[Path] = ()) -> list[Path]:
    """Directories with definitions, weakest first: the program's own, the user's, then those of `--dissectors`."""
    return [data_dir("dissectors"), config_dir() / "dissectors", *extra]


def config_dir() -> Path:
    """Where the user keeps what he decides: definitions, keys, filters, colours; it need not exist."""
    return Path(os.environ.get("XDG_CONFIG_HOME") or Path("~/.config").expanduser()) / "qmisniff"


def state_dir() -> Path:
    """Where the program remembers how it was left; it need not exist nor be writable."""
    return Path(os.environ.get("XDG_STATE_HOME") or Path("~/.local/state").expanduser()) / "qmisniff"


def cache_dir() -> Path:
    """Where compiled definitions are kept; it need not exist nor be writable."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path("~/.cache").expanduser()) / "qmisniff"
