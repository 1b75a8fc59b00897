# SPDX-License-Identifier: GPL-2.0-or-later
"""The verbs about definitions: dissectors list, show, check, import; fields."""

from __future__ import annotations

from qmisniff.cli.verbs import Verbs


def add(verbs: Verbs) -> None:
    """Add the verbs."""
