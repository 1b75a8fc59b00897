# SPDX-License-Identifier: GPL-2.0-or-later
"""The views beside the main screen: one table of them, each module imported when its view is opened."""

from __future__ import annotations

from importlib import import_module
from typing import NamedTuple

from textual.screen import Screen

from qmisniff.tui.view_context import ViewContext


class View(NamedTuple):
    """A view: its command's id is `view.NAME`, its module `qmisniff.tui.views.NAME`."""

    name: str
    key: str
    title: str
    help: str
    screen: str  # the class in its module, made from a ViewContext


VIEWS: tuple[View, ...] = ()


def open_view(name: str, context: ViewContext) -> Screen[None]:
    """The screen of a view; KeyError for a name that is not in VIEWS."""
    screen = {view.name: view.screen for view in VIEWS}[name]
    made: Screen[None] = getattr(import_module(f"qmisniff.tui.views.{name}"), screen)(context)
    return made
