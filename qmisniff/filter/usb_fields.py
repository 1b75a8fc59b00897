# SPDX-License-Identifier: GPL-2.0-or-later
"""The fields of USB headers as columns."""

from __future__ import annotations

import numpy as np

from qmisniff.field import Kind
from qmisniff.filter.verdict import Column
from qmisniff.frame import Link
from qmisniff.protocol import usb
from qmisniff.store.columns import Columns

_LAYOUTS = ((Link.USBMON, usb.USBMON), (Link.USBMON_MMAPPED, usb.USBMON), (Link.USBPCAP, usb.USBPCAP))
_SPECS = {spec.name: spec for _, layout in _LAYOUTS for spec in layout.specs}
USB_HEADERS = frozenset(_SPECS)  # the names of the fields that every header of one of the layouts has


def usb_column(name: str, columns: Columns) -> Column:
    """One of USB_HEADERS."""
    spec, size = _SPECS[name], len(columns)
    values = np.zeros(size, np.uint64 if spec.size == 8 else np.int64)
    present, known = np.zeros(size, bool), np.ones(size, bool)
    for link, layout in _LAYOUTS:
        starts = np.cumsum([0, *(each.size for each in layout.specs)])
        for each, start in zip(layout.specs, starts.tolist(), strict=False):
            if each is spec or each.name == name:
                rows = columns.link == link
                known[rows & (columns.length < layout.size)] = False
                rows &= known
                code = f"<{'i' if each.kind is Kind.INT else 'u'}{each.size}"
                values[rows] = columns.take(columns.offset[rows] + start, each.size).view(code)[:, 0]
                present[rows] = True
    return Column(values, present, known)
