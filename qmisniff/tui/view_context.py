# SPDX-License-Identifier: GPL-2.0-or-later
"""What a view beside the main screen is given: the capture, what is selected, and the way back."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum

from qmisniff.field import Field
from qmisniff.tui.session import Session


class Combine(Enum):
    """How a condition comes into the display filter that is there; the value stands between the two."""

    REPLACE = ""
    AND = "and"
    OR = "or"


@dataclass(frozen=True, slots=True)
class ViewContext:
    """Everything by call: a capture grows while a view is open, and the selection stays the main screen's.

    `shown` are the rows that pass the display filter, in order of capture; all of them without a filter. Rows are the
    store's.
    """

    session: Session
    shown: Callable[[], Sequence[int]]
    filter: Callable[[], str]  # the display filter's text, "" without one
    selected: Callable[[], int | None]  # the row under the list's cursor
    field: Callable[[], Field | None]  # the field under the cursor of the details
    open_row: Callable[[int], None]  # close the views, and go to this row in the list
    apply_filter: Callable[[str, Combine], None]  # close the views, and filter by this condition
