# SPDX-License-Identifier: GPL-2.0-or-later
"""Filters that were given names: the file `dfilters` in the configuration folder, a line a filter: `"name" filter`.

The format is that of Wireshark's file of the same name.
"""

from __future__ import annotations

import re

from qmisniff.errors import UsageError
from qmisniff.paths import config_dir

FILE = "dfilters"
_LINE = re.compile(r'\s*"((?:[^"\\]|\\.)*)"\s+(.*\S)\s*')


def load_filters() -> dict[str, str]:
    """Filters by name, in the file's order; nothing where there is no file. Lines of another form are left out."""
    try:
        text = (config_dir() / FILE).read_text(encoding="utf-8", errors="replace")
    except OSError:
        return {}
    found = (_LINE.fullmatch(line) for line in text.splitlines() if not line.startswith("#"))
    return {re.sub(r"\\(.)", r"\1", match[1]): match[2] for match in found if match}


def save_filters(filters: dict[str, str]) -> None:
    """Write the file anew. Raises UsageError where that cannot be."""
    lines = []
    for name, text in filters.items():
        escaped = name.replace("\\", "\\\\").replace('"', '\\"')
        lines.append(f'"{escaped}" {text}\n')
    path = config_dir() / FILE
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_name(f"{FILE}.part")
        part.write_text("".join(lines), encoding="utf-8")
        part.replace(path)
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}") from None
