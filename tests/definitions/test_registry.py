# SPDX-License-Identifier: GPL-2.0-or-later
"""Services by number and name, read late, overridden by directory; and the cache of what has been read."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from qmisniff.definitions import Registry, open_registry
from qmisniff.definitions.cache import compiled
from qmisniff.field import Kind
from qmisniff.paths import cache_dir

TEXT = """service: DEMO
id: 250
title: Demo
enums:
  mode: {0: off, 1: "on"}
messages:
  set_mode:
    id: 0x20
    request:
      0x01 mode: u8 enum mode
      0x10 cells: {array: u8, of: {id: u16, level: i8 0.5 dB}}
"""


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))


def write(directory: Path, text: str = TEXT, name: str = "demo.yaml") -> Path:
    directory.mkdir(parents=True, exist_ok=True)
    (directory / name).write_text(text, encoding="utf-8")
    return directory


def cache_file() -> Path:
    (file,) = (cache_dir() / "definitions").iterdir()
    return file


def test_by_number_and_by_name(tmp_path: Path) -> None:
    registry = Registry([write(tmp_path)])
    service = registry.service(250)
    assert service is not None and service is registry.service_named("demo")
    message = service.message(0x20)
    assert message is not None and message is service.message_named("set_mode")
    assert service.titles == {0x20: "Set Mode"}
    assert registry.service(1) is None and registry.service_named("nas") is None
    assert service.message(1) is None and service.message_named("x") is None


def test_filter_names(tmp_path: Path) -> None:
    registry = Registry([write(tmp_path)])
    mode = registry.field("qmi.demo.set_mode.mode")
    level = registry.field("qmi.demo.set_mode.cells.level")
    assert mode is not None and mode.labels == {0: "off", 1: "on"} and mode.kind is Kind.UINT
    assert level is not None and (level.kind, level.scale, level.unit) == (Kind.FLOAT, 0.5, "dB")
    for unknown in ("qmi.demo.set_mode.nothing", "qmi.demo.x.y", "qmi.x.y.z", "qrtr.type", "qmi.demo", ""):
        assert registry.field(unknown) is None


def test_completion_goes_to_the_next_dot(tmp_path: Path) -> None:
    registry = Registry([write(tmp_path)])
    assert registry.complete("qmi.d") == ["qmi.demo"]
    assert registry.complete("qmi.demo.s") == ["qmi.demo.set_mode"]
    assert "qmi.demo.set_mode.cells.id" in registry.complete("qmi.demo.set_mode.")
    assert registry.complete("x") == registry.complete("qmi.nothing.x") == []


def test_a_later_directory_overrides(tmp_path: Path) -> None:
    mine = write(tmp_path / "mine", TEXT.replace("set_mode", "put_mode"))
    registry = Registry([write(tmp_path / "own"), mine])
    service = registry.service(250)
    assert service is not None and list(service.message_names()) == ["put_mode"]


def test_a_bad_override_is_reported_and_the_one_below_it_used(tmp_path: Path) -> None:
    mine = write(tmp_path / "mine", TEXT.replace("u8 enum mode", "u8 enum mood"))
    registry = Registry([write(tmp_path / "own"), mine])
    service = registry.service(250)
    assert service is not None and list(service.message_names()) == ["set_mode"]
    assert registry.problems == [f"{mine}/demo.yaml:10:18: there is no enum 'mood' in this file"]


def test_a_file_without_its_first_lines_is_reported(tmp_path: Path) -> None:
    registry = Registry([write(tmp_path, "messages: {}\n")])
    assert registry.headers == {}
    assert "begins with the lines service, id, title" in registry.problems[0]


def test_services_of_which_only_the_name_is_known(tmp_path: Path) -> None:
    write(tmp_path, "services:\n  8: AT AT commands\n  250: OTHER Other\n", "services.yaml")
    registry = Registry([write(tmp_path)])
    assert registry.service_name(8) == "AT" and registry.service(8) is None
    assert registry.service_name(250) == "DEMO"
    assert registry.service_name(9) == "9"


def test_the_users_directory_is_searched(tmp_path: Path) -> None:
    write(tmp_path / "config" / "qmisniff" / "dissectors")
    assert open_registry().service(250) is not None
    assert open_registry([write(tmp_path / "x", TEXT.replace("id: 250", "id: 251"))]).service(251) is not None


def test_what_was_cached_is_the_same(tmp_path: Path) -> None:
    path = write(tmp_path) / "demo.yaml"
    first = Registry([tmp_path]).service(250)
    assert cache_file().exists()
    again = Registry([tmp_path]).service(250)
    assert first is not None and again is not None
    assert first.message(0x20) == again.message(0x20)
    assert first.enums == again.enums
    assert compiled(path)[0] == first.header


def test_a_changed_file_is_noticed(tmp_path: Path) -> None:
    path = write(tmp_path) / "demo.yaml"
    Registry([tmp_path]).service(250)
    before = path.stat()
    path.write_text(TEXT.replace("set_mode", "new_mode"), encoding="utf-8")  # as long as before
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns + 1))
    service = Registry([tmp_path]).service(250)
    assert service is not None and list(service.message_names()) == ["new_mode"]


@pytest.mark.parametrize("damage", ["empty", "cut", "flipped", "not json", "other stamp"])
def test_a_damaged_cache_is_ignored_and_written_again(tmp_path: Path, damage: str) -> None:
    write(tmp_path)
    Registry([tmp_path]).service(250)
    good = cache_file().read_bytes()
    bad = {
        "empty": b"",
        "cut": good[: len(good) // 2],
        "flipped": good.replace(b"set_mode", b"set_mude"),
        "not json": b"x\n{",
        "other stamp": good.split(b"\n")[0] + b'\n{"stamp":[],"found":[]}',
    }[damage]
    cache_file().write_bytes(bad)
    service = Registry([tmp_path]).service(250)
    assert service is not None and list(service.message_names()) == ["set_mode"]
    assert cache_file().read_bytes() == good


def test_a_cache_that_cannot_be_written_is_no_problem(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(blocked))
    registry = Registry([write(tmp_path / "d")])
    assert registry.service(250) is not None and registry.problems == []


def test_yaml_is_not_imported_where_the_cache_knows(tmp_path: Path) -> None:
    write(tmp_path)
    code = (
        "import sys; from pathlib import Path; from qmisniff.definitions import Registry;"
        f"r = Registry([Path({str(tmp_path)!r})]); assert 'yaml' not in sys.modules;"
        "assert r.service(250) is not None; print('yaml' in sys.modules)"
    )
    runs = [
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=os.environ)
        for _ in range(2)
    ]
    assert [run.stdout.strip() for run in runs] == ["True", "False"]
