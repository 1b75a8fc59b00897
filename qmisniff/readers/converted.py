# SPDX-License-Identifier: GPL-2.0-or-later
"""A capture that another program has made of one in a format of its own."""

from __future__ import annotations

import io
import os
from typing import BinaryIO


class Converted(io.BufferedReader):
    """The whole of a file as pcapng. `damage` is empty, or what is wrong with the original: all before it is there."""

    def __init__(self, file: BinaryIO, damage: str) -> None:
        """`file` may be closed when that has been read."""
        file.flush()
        super().__init__(io.FileIO(os.dup(file.fileno())))
        self.seek(0)
        self.damage = damage
