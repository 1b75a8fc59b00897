# SPDX-License-Identifier: GPL-2.0-or-later
"""The user's own keys: `keys.toml` in the configuration folder, a line a command: `"list.follow" = "f,ctrl+f"`."""

from __future__ import annotations

import tomllib
from collections.abc import Collection
from typing import NamedTuple

from textual.binding import Binding
from textual.keys import KEY_NAME_REPLACEMENTS, key_to_character
from textual.keys import Keys as KeyNames

from qmisniff.paths import config_dir
from qmisniff.tui import commands
from qmisniff.tui.commands import Command
from qmisniff.tui.views import commands as view_commands

FILE = "keys.toml"
_HELD = ("alt", "ctrl", "hyper", "meta", "shift", "super")
_SHORT = {
    "esc": "escape", "del": "delete", "ins": "insert", "pgup": "pageup", "pgdn": "pagedown", "return": "enter",
}  # fmt: skip
_NAMED = {key.value.rpartition("+")[2] for key in KeyNames} | {*KEY_NAME_REPLACEMENTS.values()}


class Keys(NamedTuple):
    """Keys by the id of their command, and what is wrong with the file, a line each."""

    by_id: dict[str, str]
    problems: list[str]


def load_keys(ids: Collection[str]) -> Keys:
    """The file's keys for the commands with these ids; a line that names no command or key is left out."""
    path = config_dir() / FILE
    try:
        found = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return Keys({}, [])
    except (OSError, ValueError, RecursionError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        return Keys({}, [f"{path}: {reason}"])
    keys, problems = {}, []
    for name, value in found.items():
        if name not in ids:
            problems.append(f"{path}: no command {name!r} (a name with a dot needs quotes)")
        elif not isinstance(value, str) or not all(part.strip() for part in value.split(",")):
            problems.append(f'{path}: the keys of {name!r} are not text like "f,ctrl+f"')
        else:
            parts = {part.strip(): textual_name(part.strip()) for part in value.split(",")}
            problems += [f"{path}: {name!r}: no key is called {part!r}" for part, key in parts.items() if not key]
            if chosen := ",".join(filter(None, parts.values())):
                keys[name] = chosen
    return Keys(keys, problems)


def textual_name(key: str) -> str:
    """What Textual calls a key that a user wrote: `/` is slash, `Ctrl+F` is ctrl+f; "" where there is no such key."""
    before, _, name = (key[:-2], "+", "+") if key.endswith("++") else key.rpartition("+" if key != "+" else "\0")
    held = sorted(part.lower() for part in before.split("+")) if before else []
    if not set(held) <= {*_HELD} or len(held) != len(set(held)):
        return ""
    if len(name) == 1 and held == ["shift"] and name.isalpha():
        held, name = [], name.upper()
    elif len(name) > 1 or held:
        name = _SHORT.get(name.lower(), name.lower())
    if len(name) == 1:
        name = next(iter(Binding.make_bindings([Binding(name, "")]))).key
    elif name not in _NAMED and key_to_character(name) is None:
        return ""
    return "+".join((*held, name))


def every_id() -> frozenset[str]:
    """The ids of all commands: what a key file may name."""
    tables = (*vars(commands).values(), *vars(view_commands).values())
    return frozenset(
        each.id for table in tables if isinstance(table, tuple) for each in table if isinstance(each, Command)
    )
