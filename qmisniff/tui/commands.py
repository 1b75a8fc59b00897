# SPDX-License-Identifier: GPL-2.0-or-later
"""What a user can make the program do: the one table behind keys, command palette, help and the README's list.

A widget, screen or app that carries out commands names them in its class as `OFFERS`, and binds their keys by
`BINDINGS = bindings(OFFERS)`. The palette lists the offers of whatever is on the screen, keys or not.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from textual.app import App
from textual.binding import Binding, BindingType
from textual.dom import DOMNode
from textual.screen import Screen


class Command(NamedTuple):
    """`keys` are Textual's names, separated by commas; empty: palette only. `action` is called on who offers it."""

    id: str  # what a key file calls it
    keys: str
    title: str  # a word or two for the footer
    help: str  # a sentence without its full stop
    action: str
    footer: bool = False


_NO_KEY = "no-key-"
Offers = tuple[Command, ...]


def bindings(offers: Iterable[Command]) -> list[BindingType]:
    """Textual's bindings of the commands. One without keys gets a name that no key has: a key file can replace it."""
    return [
        Binding(
            each.keys or f"{_NO_KEY}{each.id}", each.action, each.title, show=each.footer, id=each.id, tooltip=each.help
        )
        for each in offers
    ]


def is_key(name: str) -> bool:
    """Whether a binding's key is one that can be pressed."""
    return not name.startswith(_NO_KEY)


def offers_of(kind: type) -> Offers:
    """The commands that a class and those it inherits from offer; one that is offered twice is the nearer one's."""
    found: dict[str, Command] = {}
    for each in kind.__mro__:
        for command in each.__dict__.get("OFFERS", ()):
            found.setdefault(command.id, command)
    return tuple(found.values())


def offered(screen: Screen[object]) -> Iterator[tuple[Command, DOMNode]]:
    """Every command that can be given on a screen, and who carries it out: of several, the one that has the focus."""
    app: App[object] = screen.app
    focused = screen.focused
    chain: list[DOMNode] = list(focused.ancestors_with_self) if focused is not None else []
    seen: set[str] = set()
    for node in (*chain, screen, *screen.walk_children(), app):
        for command in offers_of(type(node)):
            if command.id not in seen:
                seen.add(command.id)
                yield command, node


LINES: Offers = (
    Command("cursor.up", "up,k", "Up", "Go up a line", "cursor_lines(-1)"),
    Command("cursor.down", "down,j", "Down", "Go down a line", "cursor_lines(1)"),
    Command("cursor.page_up", "pageup,ctrl+u", "Page up", "Go up a page", "cursor_pages(-1)"),
    Command("cursor.page_down", "pagedown,ctrl+d", "Page down", "Go down a page", "cursor_pages(1)"),
    Command("cursor.first", "home,g", "First", "Go to the first line", "cursor_first"),
    Command("cursor.last", "end,G", "Last", "Go to the last line", "cursor_last"),
    Command("pane.slide_left", "shift+left,less_than_sign", "Slide left", "See what is to the left", "slide(-8)"),
    Command("pane.slide_right", "shift+right,greater_than_sign", "Slide right", "See what is to the right", "slide(8)"),
)
LIST: Offers = (
    Command("column.previous", "left,h", "Column before", "Go to the column to the left", "column(-1)"),
    Command("column.next", "right,l", "Next column", "Go to the column to the right", "column(1)"),
    Command("column.sort", "s", "Sort", "Sort by the column; again: the other way round; again: no more", "sort", True),
    Command("list.details", "enter", "Details", "Go to the fields of the packet", "screen.pane(1)"),
    Command("list.follow", "f", "Follow", "Keep the newest packet selected", "toggle_follow", True),
)
TREE: Offers = (
    Command("tree.collapse", "left,h", "Close", "Close the field, or go to the one above it", "collapse"),
    Command("tree.expand", "right,l", "Open", "Open the field, or go to the first one in it", "expand"),
    Command("tree.toggle", "space,enter", "Open/close", "Open or close the field", "open_or_close", True),
    Command("tree.expand_all", "E", "Open all", "Open every field of the packet", "expand_all"),
    Command("tree.collapse_all", "C", "Close all", "Close every field of the packet", "collapse_all"),
)
BYTES: Offers = (
    Command("bytes.previous", "left,h", "Previous byte", "Go to the byte before", "cursor_bytes(-1)"),
    Command("bytes.next", "right,l", "Next byte", "Go to the next byte", "cursor_bytes(1)"),
)
FILTER_BAR: Offers = (
    Command("filter.apply", "enter", "Apply", "Take the chosen word, or apply the filter", "submit", True),
    Command(
        "filter.complete",
        "tab",
        "Complete",
        "Take the chosen word or the next, or show what can follow",
        "complete",
        True,
    ),
    Command("filter.previous", "up", "Before", "Choose the word above, or the filter applied before", "previous", True),
    Command("filter.next", "down", "After", "Choose the word below, or the filter applied after", "next"),
    Command("filter.leave", "escape", "Back", "Close the list of words, or go back to the packets", "leave", True),
)
FILTER: Offers = (
    Command("filter.edit", "slash", "Filter", "Type a display filter", "edit_filter", True),
    Command("filter.toggle", "x", "Filter on/off", "Use the filter, or keep it unused", "toggle_filter"),
    Command("filter.clear", "X", "No filter", "Show all packets", "clear_filter"),
    Command(
        "filter.apply_as", "a", "Apply as filter", "Filter for the value at the cursor", "use_as_filter(True)", True
    ),
    Command(
        "filter.prepare_as",
        "p",
        "Prepare as filter",
        "Write a filter for the value under the cursor",
        "use_as_filter(False)",
    ),
    Command("filter.saved", "d", "Saved filters", "Choose a filter that has a name", "saved_filters"),
    Command("filter.save", "D", "Save filter", "Give the filter a name, or take a name away", "save_filter"),
)
COLUMNS: Offers = (
    Command("column.left", "ctrl+left,left_curly_bracket", "Column left", "Move the column left", "move_column(-1)"),
    Command(
        "column.right",
        "ctrl+right,right_curly_bracket",
        "Column right",
        "Move the column to the right",
        "move_column(1)",
    ),
    Command("column.wider", "W", "Wider", "Make the column wider", "widen_column(2)"),
    Command("column.narrower", "w", "Narrower", "Make the column narrower", "widen_column(-2)"),
    Command("column.hide", "delete", "Hide column", "Show the column no longer", "hide_column"),
    Command("column.add", "A", "Add column", "Show a field as a column", "add_column"),
    Command("column.choose", "K", "Columns", "Show or hide columns", "choose_columns"),
    Command("column.reset", "", "Reset columns", "The columns as they were at first", "reset_columns"),
    Command("color.toggle", "", "Colours on/off", "Show rows in colours, or without", "colors"),
    Command("color.write", "", "Write colour rules", "Write the colour rules to a file to be edited", "write_colors"),
    Command("time.format", "t", "Time format", "Show times in the next format", "time_format"),
)
CHOOSE: Offers = (
    Command("choose.cancel", "escape,q", "Back", "Choose nothing", "cancel"),
    Command("choose.down", "j", "Down", "Go down a line", "move(1)"),
    Command("choose.up", "k", "Up", "Go up a line", "move(-1)"),
)
ASK: Offers = (
    Command("ask.cancel", "escape", "Back", "Go back", "cancel"),
    Command("ask.take", "tab", "Complete", "Take the chosen word, or what all that are offered begin with", "take"),
    Command("ask.down", "down", "Down", "Choose the word below", "move(1)"),
    Command("ask.up", "up", "Up", "Choose the word above", "move(-1)"),
)
PANES: Offers = (
    Command("pane.next", "tab", "Pane", "Go to the next pane", "pane(1)", True),
    Command("pane.previous", "shift+tab", "Previous pane", "Go to the pane before", "pane(-1)"),
    Command("pane.zoom", "z,backslash", "Zoom", "Give the pane the whole screen, and back", "zoom", True),
    Command("pane.layout", "vertical_line", "Layout", "Arrange the panes differently", "arrange", True),
    Command("pane.menu", "shift+f10", "Menu", "Choose what to do with what is under the cursor", "menu"),
    Command("list.pause", "P", "Pause", "Keep the view as it is while the capture goes on", "pause"),
    Command("pane.grow", "plus,equals_sign", "Larger", "Make the pane larger", "grow(1)"),
    Command("pane.shrink", "minus", "Smaller", "Make the pane smaller", "grow(-1)"),
)
PACKET: Offers = (
    Command("packet.partner", "r", "Request/response", "Go to the other half of the pair", "partner", True),
    Command("packet.below", "ctrl+down,f8", "Packet below", "Go to the packet below, also from its fields", "step(1)"),
    Command("packet.above", "ctrl+up,f7", "Packet above", "Go to the packet above, also from its fields", "step(-1)"),
    Command("packet.next", "full_stop", "Next", "Go to the next packet of the conversation", "in_conversation(1)"),
    Command("packet.previous", "comma", "Before", "Go to the packet before in the conversation", "in_conversation(-1)"),
    Command("packet.back", "alt+left,backspace", "Back", "Go to the packet one came from", "back"),
    Command("packet.forth", "alt+right,B", "Forth", "Go again where one went back from", "forth"),
    Command("packet.number", "ctrl+g,colon", "Go to", "Go to a packet by its number", "go_to_frame"),
    Command("find.new", "ctrl+f", "Find", "Find text, bytes, a regular expression, a filter", "find", True),
    Command("find.next", "n", "Find next", "Go to the next packet that has it", "find_again(1)"),
    Command("find.previous", "N", "Find before", "Go to the packet before that has it", "find_again(-1)"),
    Command("find.stop", "escape", "Stop", "Give up a search that takes long", "stop_search"),
)
NOTES: Offers = (
    Command("mark.toggle", "m", "Mark", "Mark the packet, or take its mark away", "mark"),
    Command("mark.next", "right_square_bracket", "Next mark", "Go to the next marked packet", "to_mark(1)"),
    Command("mark.previous", "left_square_bracket", "Mark before", "Go to the marked packet before", "to_mark(-1)"),
    Command("mark.shown", "M", "Mark shown", "Mark all packets that are shown", "mark_shown"),
    Command("mark.none", "", "No marks", "Take all marks away", "unmark"),
    Command("comment.edit", "c", "Comment", "Write a comment to the packet", "comment"),
    Command("comment.next", "semicolon", "Next comment", "Go to the next packet with a comment", "to_comment"),
    Command("packet.ignore", "i", "Ignore", "Show the packet without its content, or with it again", "ignore"),
    Command("time.reference", "ctrl+t", "Time reference", "Let times begin at the packet, or not", "reference"),
)
COPY: Offers = (
    Command("copy.as", "y", "Copy", "Copy the packet or field: text, value, filter, bytes, JSON", "copy_as"),
    Command("screen.picture", "", "Screenshot", "Write what is on the screen to an SVG file", "screenshot"),
)
FIND: Offers = (
    Command("finding.cancel", "escape", "Back", "Go back", "cancel"),
    Command("finding.next", "tab", "Next", "Go to the next field", "app.focus_next"),
    Command("finding.previous", "shift+tab", "Before", "Go to the field before", "app.focus_previous"),
)
PROGRAM: Offers = (
    Command("app.quit", "q,ctrl+q,ctrl+c", "Quit", "Leave the program", "leave", True),
    Command("app.help", "question_mark,f1", "Help", "Show the keys", "help", True),
    Command("app.palette", "ctrl+p", "Palette", "Find a command by its name", "command_palette", True),
    Command("app.redraw", "ctrl+l", "Redraw", "Paint over what other programs wrote on the screen", "redraw"),
    Command("app.theme", "", "Theme", "Change between dark and light", "theme"),
    Command("capture.save", "ctrl+s", "Save/export", "Save or export packets: all, shown or marked", "save"),
    Command("capture.stop", "ctrl+e", "Stop/start", "Stop capturing; when stopped, begin anew", "stop_capture"),
    Command("capture.restart", "ctrl+r", "Restart", "Capture anew, or load the file again", "restart"),
    Command("capture.open", "ctrl+o", "Open", "Look at another capture file", "open_file"),
    Command("capture.choose", "", "Start screen", "Choose a source, a recent file or a sample", "start"),
)
START: Offers = (
    Command("start.down", "j", "Down", "Go down a line", "move(1)"),
    Command("start.up", "k", "Up", "Go up a line", "move(-1)"),
)
SAVE: Offers = (
    Command("save.cancel", "escape,ctrl+c", "Cancel", "Go back", "cancel", True),
    Command("save.give_up", "ctrl+n", "Leave without saving", "Leave without saving", "give_up", True),
    Command("save.next", "tab", "Next", "Go to the next field", "app.focus_next"),
    Command("save.previous", "shift+tab", "Previous", "Go to the field before", "app.focus_previous"),
)
HELP: Offers = (
    Command("help.close", "escape,q,question_mark,f1,enter,ctrl+c", "Close", "Close the help", "dismiss", True),
    Command("help.down", "down,j", "Down", "Go on", "scroll(1)", True),
    Command("help.up", "up,k", "Up", "Go back", "scroll(-1)", True),
    Command("help.page_down", "pagedown,ctrl+d,space", "Page down", "Go on by a page", "scroll_pages(1)", True),
    Command("help.page_up", "pageup,ctrl+u", "Page up", "Go back by a page", "scroll_pages(-1)", True),
    Command("help.first", "home,g", "First", "Go to the beginning", "scroll_to_end(False)"),
    Command("help.last", "end,G", "Last", "Go to the end", "scroll_to_end(True)"),
)
