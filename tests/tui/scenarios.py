# SPDX-License-Identifier: GPL-2.0-or-later
"""What every command does, shown on the screen: scenarios by the ids of commands, in modules called `scenes_*`."""

from __future__ import annotations

import inspect
import pkgutil
from collections.abc import Awaitable, Callable, Iterator
from importlib import import_module

import qmisniff.tui
import tests.tui
from qmisniff.tui.commands import Command
from tests.tui.scripted import Seat

Scenario = Callable[[Seat, str], Awaitable[None]]
SCENARIOS: dict[str, Scenario] = {}


def scenario(identifier: str) -> Callable[[Scenario], Scenario]:
    """The decorated function shows what the command with this id does, for any of its keys (see `Seat.press`)."""

    def add(function: Scenario) -> Scenario:
        assert identifier not in SCENARIOS, identifier
        SCENARIOS[identifier] = function
        return function

    return add


def collect() -> dict[str, Scenario]:
    """All scenarios there are."""
    for module in pkgutil.walk_packages(tests.tui.__path__, "tests.tui."):
        if module.name.rpartition(".")[2].startswith("scenes_"):
            import_module(module.name)
    return SCENARIOS


def classes() -> Iterator[type]:
    """The program's own widgets and screens, and the app."""
    for module in pkgutil.walk_packages(qmisniff.tui.__path__, "qmisniff.tui."):
        for _, kind in inspect.getmembers(import_module(module.name), inspect.isclass):
            if kind.__module__ == module.name:
                yield kind


def every_command() -> Iterator[tuple[type, Command]]:
    """Each command with the class that offers it first."""
    for kind in classes():
        for command in kind.__dict__.get("OFFERS", ()):
            yield kind, command
