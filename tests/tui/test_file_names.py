# SPDX-License-Identifier: GPL-2.0-or-later
from __future__ import annotations

from pathlib import Path

import pytest

from qmisniff.tui.file_names import file_names


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("modem.pcapng", "modem2.pcapng", ".hidden", "a\x1b[31mb", "captures/one.pcapng"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.touch()


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("", ["captures/", "modem.pcapng", "modem2.pcapng"]),
        ("mod", ["modem.pcapng", "modem2.pcapng"]),
        (".", [".hidden"]),
        ("captures/", ["captures/one.pcapng"]),
        ("./captures/o", ["./captures/one.pcapng"]),
        ("~/mod", ["~/modem.pcapng", "~/modem2.pcapng"]),
        ("nowhere/", []),
        ("modem.pcapng/", []),
        ("~nobody-of-that-name/", []),
        ("nul\0/", []),
        ("x" * 5000 + "/", []),
    ],
)
def test_what_a_path_can_become(text: str, names: list[str]) -> None:
    assert [each.text for each in file_names(text)] == names


def test_names_from_the_root() -> None:
    assert [each.text for each in file_names("/et")][:1] == ["/etc/"]
