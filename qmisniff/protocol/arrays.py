# SPDX-License-Identifier: GPL-2.0-or-later
"""The types of numpy arrays: columns of numbers of a width, and truth values."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

U1 = npt.NDArray[np.uint8]
U2 = npt.NDArray[np.uint16]
U4 = npt.NDArray[np.uint32]
U8 = npt.NDArray[np.uint64]
I4 = npt.NDArray[np.int32]
I8 = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]
Numbers = npt.NDArray[Any]  # of any width
