# SPDX-License-Identifier: GPL-2.0-or-later
"""Who offers what, who looked for what, and the processors."""

from __future__ import annotations

from qmisniff.tui.views.table_screen import TableScreen


class ServicesScreen(TableScreen):
    """Who offers what, who looked for what, and the processors."""

    HELP_TITLE = "Services"
    title_text = "Services"
    subjects = ("services", "lookups", "nodes")
