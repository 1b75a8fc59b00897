# SPDX-License-Identifier: GPL-2.0-or-later
"""A header table gives the same numbers by struct, by numpy and as fields."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qmisniff.protocol import mbim, qmi, qmux, qrtr
from qmisniff.protocol.layout import Layout

LAYOUTS = [
    qrtr.V1,
    qrtr.V2,
    qmux.HEADER,
    qmux.WIDE_HEADER,
    qmi.SERVICE_HEADER,
    qmi.CTL_HEADER,
    mbim.HEADER,
    mbim.FRAGMENT,
    *mbim.TAILS.values(),
]


@given(st.binary(min_size=40, max_size=40))
def test_all_readings_agree(data: bytes) -> None:
    for layout in LAYOUTS:
        record = np.frombuffer(data, layout.dtype(), count=1)[0]
        rows = layout.rows(data, 0, len(data))
        assert layout.dtype().itemsize == layout.size
        assert [int(value) for value in record] == list(layout.struct.unpack_from(data)) == [row[1] for row in rows]


@pytest.mark.parametrize("layout", LAYOUTS)
def test_rows_of_a_header_cut_at_any_byte(layout: Layout) -> None:
    data = bytes(range(1, layout.size + 1))
    whole = layout.rows(data, 0, layout.size)
    assert next(row[2] for row in whole) == 0 and whole[-1][2] + whole[-1][3] == layout.size
    for size in range(layout.size):
        assert layout.rows(data, 0, size) == [row for row in whole if row[2] + row[3] <= size]
