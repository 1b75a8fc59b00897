# SPDX-License-Identifier: GPL-2.0-or-later
from __future__ import annotations

import gc
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import pytest_textual_snapshot


@pytest.fixture(scope="package", autouse=True)
def _rare_collections() -> Iterator[None]:
    """Each app that starts makes many objects, and there are many more of definitions to walk through every time."""
    before = gc.get_threshold()
    gc.freeze()
    gc.set_threshold(100_000, 50, 50)
    yield
    gc.set_threshold(*before)
    gc.unfreeze()


@pytest.fixture(autouse=True)
def _own_home(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test reads or writes what the person running it has configured."""
    home: Path = tmp_path_factory.mktemp("home")
    for name in ("XDG_CONFIG_HOME", "XDG_STATE_HOME"):
        monkeypatch.setenv(name, str(home / name))


@pytest.fixture(autouse=True)
def _self_contained(monkeypatch: pytest.MonkeyPatch) -> None:
    """A stored picture fetches no font from elsewhere."""
    normalized = pytest_textual_snapshot.normalize_svg

    def without_fonts(svg: str) -> str:
        return re.sub(r"@font-face \{.*?\}\s*", "", str(normalized(svg)), flags=re.DOTALL)

    monkeypatch.setattr(pytest_textual_snapshot, "normalize_svg", without_fonts)
