# SPDX-License-Identifier: GPL-2.0-or-later
"""The lab's tests boot one guest a session; they fail, and say what to run, where the lab is not set up."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.lab.guest import GuestResult, run_in_guest

SCENARIO = Path(__file__).with_name("scenario.py")


@pytest.fixture(scope="session")
def scenario(tmp_path_factory: pytest.TempPathFactory) -> GuestResult:
    """The scenario, run once without a capture; its logs are in `.out` (scenario.py says which)."""
    return run_in_guest(SCENARIO, tmp_path_factory.mktemp("scenario"), timeout=600.0)
