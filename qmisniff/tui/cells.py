# SPDX-License-Identifier: GPL-2.0-or-later
"""Text in a fixed number of terminal cells."""

from __future__ import annotations

from rich.cells import cell_len, set_cell_size

from qmisniff.printable import plain


def cut(text: str, most: int) -> str:
    """`text` in at most `most` cells; a cut is shown by an ellipsis."""
    if cell_len(text) <= most:
        return text
    return set_cell_size(text, most - 1) + "…" if most > 1 else set_cell_size(text, max(most, 0))


def cell(text: str, width: int, right: bool = False) -> str:
    """`text` made safe in exactly `width` cells."""
    text = cut(plain(text), width)
    space = " " * (width - cell_len(text))
    return space + text if right else text + space
