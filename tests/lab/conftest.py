# SPDX-License-Identifier: GPL-2.0-or-later
"""The lab's tests share guests; they fail, and say what to run, where the lab is not set up."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.lab.guest import REPOSITORY, GuestResult, run_in_guest

SCENARIO = Path(__file__).with_name("scenario.py")
CAPTURE = "capture.pcapng"
EXPERIMENTS = Path(__file__).with_name("guest_capture.py")


@pytest.fixture(scope="session")
def scenario(tmp_path_factory: pytest.TempPathFactory) -> GuestResult:
    """The scenario, run once, with the capture that users run around it: its logs (scenario.py says which) and CAPTURE
    are in `.out`."""
    out = tmp_path_factory.mktemp("scenario")
    capture = f"{REPOSITORY}/.venv/bin/qmisniff capture -w {out / CAPTURE}"
    return run_in_guest(SCENARIO, out, "--capture", capture, "--ready", "capturing from")


def warm_cache(folder: Path) -> None:
    """Have the definitions compiled into a folder."""
    read_all = "from qmisniff.definitions import open_registry as o;r=o();[r.service(n) for n in [*r.headers]]"
    subprocess.run([sys.executable, "-c", read_all], check=True, env={**os.environ, "XDG_CACHE_HOME": str(folder)})


@pytest.fixture(scope="session")
def experiments_out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What guest_capture.py left behind."""
    out = tmp_path_factory.mktemp("experiments")
    warm_cache(out / "cache")
    return run_in_guest(EXPERIMENTS, out).check().out


@pytest.fixture(scope="session")
def experiments(experiments_out: Path) -> dict[str, Any]:
    """What guest_capture.py measured, by experiment."""
    results: dict[str, Any] = json.loads((experiments_out / "capture.json").read_text())
    return results


def result(experiments: dict[str, Any], name: str) -> dict[str, Any]:
    """An experiment's result; none may leave anything in the kernel."""
    found: dict[str, Any] = experiments[name]
    assert "failed" not in found, found["failed"]
    assert found["leaves"] == []
    return found
