# SPDX-License-Identifier: GPL-2.0-or-later
"""Every request with its response; the unanswered on top."""

from __future__ import annotations

from qmisniff.tui.views.table_screen import TableScreen


class TransactionsScreen(TableScreen):
    """Every request with its response; the unanswered on top."""

    HELP_TITLE = "Transactions"
    title_text = "Transactions"
    subjects = ("transactions",)
