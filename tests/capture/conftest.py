# SPDX-License-Identifier: GPL-2.0-or-later
"""A kernel in a directory."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.capture.kernel import FakeKernel


@pytest.fixture
def kernel(tmp_path: Path) -> FakeKernel:
    """A kernel that can be tapped; tests break it."""
    return FakeKernel(tmp_path)
