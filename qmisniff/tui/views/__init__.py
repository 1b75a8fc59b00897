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


VIEWS: tuple[View, ...] = (
    View("services", "1", "Services", "Who offers what, and who looked for what in vain", "ServicesScreen"),
    View("transactions", "2", "Transactions", "Every request with its response", "TransactionsScreen"),
    View("conversations", "3", "Conversations", "Which client talks to which service", "ConversationsScreen"),
    View("statistics", "4", "Statistics", "Counts, errors and response times by message", "StatisticsScreen"),
    View("values", "5", "Values", "One field over time", "ValuesScreen"),
    View("follow", "6", "Follow", "The conversation of the packet as text", "FollowScreen"),
    View("problems", "7", "Problems", "What is wrong or remarkable, grouped", "ProblemsScreen"),
)


def open_view(name: str, context: ViewContext) -> Screen[None]:
    """The screen of a view; KeyError for a name that is not in VIEWS."""
    screen = {view.name: view.screen for view in VIEWS}[name]
    made: Screen[None] = getattr(import_module(f"qmisniff.tui.views.{name}"), screen)(context)
    return made
