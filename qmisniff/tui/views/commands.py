# SPDX-License-Identifier: GPL-2.0-or-later
"""What can be done in the views."""

from __future__ import annotations

from qmisniff.tui.commands import Command, Offers
from qmisniff.tui.views import VIEWS

OPEN: Offers = tuple(
    Command(f"view.{view.name}", view.key, view.title, view.help, f"view('{view.name}')") for view in VIEWS
)
VIEW: Offers = (
    Command("view.close", "escape,q", "Close", "Go back to the packets", "close", True),
    Command("view.scope", "a", "All/shown", "Count all packets, or those that the display filter shows", "scope", True),
)
TABLE: Offers = (
    Command("table.left", "left,h", "Column left", "Go to the column before", "column(-1)"),
    Command("table.right", "right,l", "Column right", "Go to the next column", "column(1)"),
    Command("table.sort", "s", "Sort", "Sort by the column, again: the other way round", "sort", True),
)
TABLES: Offers = (
    Command("table.open", "enter", "Packet", "Go to the packet that the row leads to", "open", True),
    Command("table.filter", "f", "Filter", "Show only the packets that the row is about", "filter", True),
    Command("table.filter_and", "F", "And filter", "Of the packets shown, show those the row is about", "filter_and"),
    Command("table.follow", "o", "Follow", "Follow what the row leads to, as text", "follow"),
    Command("table.copy", "c", "Copy", "Copy the row to the clipboard", "copy"),
    Command(
        "table.copy_filter", "C", "Copy filter", "Copy a display filter for the row to the clipboard", "copy_filter"
    ),
    Command("table.write", "w", "Write", "Write the table to a file: CSV, JSON or text by its ending", "write", True),
    Command("table.next", "tab", "Next table", "Show the next table of the view", "turn(1)"),
    Command("table.previous", "shift+tab", "Previous table", "Show the table before", "turn(-1)"),
)
VALUES: Offers = (Command("values.field", "e", "Field", "Look at another field", "field", True),)
PROBLEMS: Offers = (Command("problems.stop", "x", "Stop/go on", "Stop looking at packets, or go on", "stop", True),)
FOLLOW: Offers = (
    Command("follow.extent", "t", "Transaction", "Follow the transaction, or the conversation", "extent", True),
    Command(
        "follow.headers", "v", "Headers", "Show the headers around messages too, or leave them out", "headers", True
    ),
    Command("follow.find", "slash", "Find", "Find a text", "find", True),
    Command("follow.next", "n", "Next", "Find the text again further down", "again(1)", True),
    Command("follow.before", "N", "Previous", "Find the text again further up", "again(-1)"),
    Command("follow.open", "enter", "Packet", "Go to the packet that the line is of", "open", True),
    Command("follow.write", "w", "Write", "Write the text of all packets to a file", "write", True),
)
