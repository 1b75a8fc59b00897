# SPDX-License-Identifier: GPL-2.0-or-later
"""Display filters: a subset of Wireshark's language, over the names that `qmisniff fields` lists."""

from qmisniff.filter.compile import Filter, compile_filter
from qmisniff.filter.errors import FilterError

__all__ = ["Filter", "FilterError", "compile_filter"]
