# SPDX-License-Identifier: GPL-2.0-or-later
"""What the screen remembers from one run to the next: columns, arrangement, history, recent files."""

from __future__ import annotations

import contextlib
import json
import os
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from qmisniff.paths import state_dir

_MOST_FILTERS = 100
_MOST_FILES = 20
_MAX_BYTES = 1 << 20  # a larger file is not ours


@dataclass(slots=True)
class State:
    """Plain values only: what a file that somebody else wrote to says wrongly is left out, value by value."""

    columns: list[list[Any]] = field(default_factory=list)  # [name, width, shown], in order
    arrangement: str = ""
    shares: dict[str, list[float]] = field(default_factory=dict)  # arrangement -> outer, inner
    theme: str = ""
    time_format: str = ""
    filters: list[str] = field(default_factory=list)  # newest last
    files: list[str] = field(default_factory=list)  # newest last

    def remember_filter(self, text: str) -> None:
        """Note a filter as the newest."""
        self.filters = [*(each for each in self.filters if each != text), text][-_MOST_FILTERS:]

    def remember_file(self, path: Path) -> None:
        """Note a capture file as the newest."""
        name = str(path.absolute())
        self.files = [*(each for each in self.files if each != name), name][-_MOST_FILES:]

    def save(self) -> None:
        """Write the file, readable by its owner alone; where that cannot be, nothing is remembered."""
        folder = state_dir()
        with contextlib.suppress(OSError):
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            part = folder / f"tui.json.{os.getpid()}"
            descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
            with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
                json.dump(asdict(self), stream, indent=1)
            part.replace(folder / "tui.json")


def load_state() -> State:
    """What was remembered; nothing where there is no file or it is damaged."""
    state = State()
    try:
        path = state_dir() / "tui.json"
        if path.stat().st_size > _MAX_BYTES:
            return state
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return state
    if isinstance(found, dict):
        for each in fields(State):
            value = found.get(each.name)
            if isinstance(value, type(getattr(state, each.name))) and _fits(each.name, value):
                setattr(state, each.name, value)
    return state


def _fits(name: str, value: Any) -> bool:
    match name:
        case "filters" | "files":
            return all(isinstance(each, str) for each in value)
        case "columns":
            return all(isinstance(each, list) and [type(part) for part in each] == [str, int, bool] for each in value)
        case "shares":
            return all(
                isinstance(each, list) and len(each) == 2 and all(type(part) in (int, float) for part in each)
                for each in value.values()
            )
    return True
