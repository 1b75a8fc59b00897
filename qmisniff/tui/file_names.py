# SPDX-License-Identifier: GPL-2.0-or-later
"""The name of a file that is being typed: what it can be."""

from __future__ import annotations

import os
from itertools import islice
from pathlib import Path

from qmisniff.filter.complete import Candidate

_MOST = 20_000  # files of a folder that are looked at


def file_names(text: str) -> list[Candidate]:
    """The files and folders whose paths begin with this; hidden ones only where that is typed."""
    folder, slash, name = text.rpartition("/")
    found = []
    try:
        with os.scandir(Path(f"{folder}{slash}" or ".").expanduser()) as entries:
            for entry in islice(entries, _MOST):
                seen = entry.name.startswith(name) and entry.name.startswith(".") == name.startswith(".")
                if seen and entry.name.isprintable():
                    end, what = ("/", "a folder") if entry.is_dir() else ("", "a file")
                    found.append(Candidate(f"{folder}{slash}{entry.name}{end}", 0, what, ""))
    except (OSError, RuntimeError, ValueError):  # no such folder, ~ of nobody, a NUL
        return []
    return sorted(found)
