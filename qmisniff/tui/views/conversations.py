# SPDX-License-Identifier: GPL-2.0-or-later
"""Which client talks to which service."""

from __future__ import annotations

from qmisniff.tui.views.table_screen import TableScreen


class ConversationsScreen(TableScreen):
    """Which client talks to which service."""

    HELP_TITLE = "Conversations"
    title_text = "Conversations"
    subjects = ("conversations",)
