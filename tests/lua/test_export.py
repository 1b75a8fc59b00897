# SPDX-License-Identifier: GPL-2.0-or-later
"""The exported file itself: a program for Lua 5.2 and 5.4, into which no definition can put code."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from qmisniff.cli import main, wireshark
from qmisniff.definitions import Registry
from qmisniff.lua.tables import quoted
from tests import factories
from tests.differential.corpus import registry
from tests.lua.mutations import lua_errors
from tests.lua.tshark import available, export, run, save

LUAS = ("5.2", "5.4")  # Wireshark's up to 4.2, and from 4.4 on
HOSTILE = (
    '"',
    "\\",
    '"); os.exit(7) --',
    "]]os.exit(7)--[[",
    "\n os.exit(7)\n",
    "\0\r\n\t\x7f\x1b[31m",
    "\\065\\",
    "é€😀\ud800",
    "9",
    "%d%s",
)
DEFINITION = """\
service: BAD
id: 240
title: "]] os.exit(7) --"
enums:
  end: {0: function, 1: "\\" .. os.exit(7) .. \\""}
messages:
  while:
    id: 1
    title: "\\"}} os.exit(7) --"
    request:
      0x01 then: {local: u8 enum end, return: string}
"""


def lua(version: str, program: str) -> str:
    """The path of a program of a Lua version."""
    found = shutil.which(f"{program}{version}")
    if found is None:
        pytest.skip(f"{program}{version} is not installed (tests/setup-debian)")
    return found


@pytest.mark.parametrize("version", LUAS)
def test_both_luas_read_it(version: str, tmp_path: Path) -> None:
    script = export(registry(), tmp_path / "qmisniff.lua")
    done = subprocess.run([lua(version, "luac"), "-p", script], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("version", LUAS)
def test_a_quoted_text_is_that_text(version: str) -> None:
    program = "".join(f"io.write({quoted(text)}, '|')\n" for text in HOSTILE)
    assert program.isascii()
    done = subprocess.run([lua(version, "lua"), "-"], input=program.encode(), capture_output=True)
    assert done.stdout == b"".join(text.encode("utf-8", "backslashreplace") + b"|" for text in HOSTILE)


@pytest.mark.skipif(not available(), reason="tshark is not installed (tests/setup-debian)")
def test_no_definition_puts_code_into_it(tmp_path: Path) -> None:
    (tmp_path / "bad.yaml").write_text(DEFINITION)
    definitions = Registry([tmp_path])
    assert definitions.service(240), definitions.problems
    script = export(definitions, tmp_path / "bad.lua")
    message = factories.qmi(0, 1, 1, factories.tlv(1, b"\1hello"))
    frames = [
        factories.frame(factories.server(factories.NEW_SERVER, 240, 1, 0, 10)),
        factories.frame(factories.qrtr(message)),
    ]
    capture = save(frames, tmp_path / "bad.pcapng")
    assert "hello" in run(script, capture, "-Y", "qmi.bad.while.then.local == 1", "-V")
    assert not lua_errors(script, capture)


def test_the_verb(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    assert main(["export", "lua", "--services", "dms,3", "-o", str(tmp_path / "two.lua")]) == 0
    text = (tmp_path / "two.lua").read_text()
    assert "definitions.services[2] =" in text and "definitions.services[3] =" in text
    assert "definitions.services[1] =" not in text
    assert main(["export", "lua", "--services", "dms"]) == 0
    assert capsys.readouterr().out.startswith("-- SPDX")
    monkeypatch.setattr("qmisniff.cli.wireshark.lua_folder", lambda: tmp_path / "new" / "plugins")
    assert main(["export", "lua", "--services", "dms", "--install"]) == 0
    assert "definitions.services[2] =" in (tmp_path / "new" / "plugins" / "qmisniff.lua").read_text()
    assert main(["export", "lua", "-o", str(tmp_path / "no" / "such.lua")]) == 2
    assert main(["export", "lua", "--services", "nothing"]) == 2
    assert "choose another place" in capsys.readouterr().err


def test_installed_for_root_it_says_what_root_needs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "tshark"
    folders = f"Personal Lua Plugins: {tmp_path}\nPersonal Extcap path: {tmp_path}\nGlobal Lua Plugins: {tmp_path}\n"
    program.write_text(f"#!/bin/sh\ncat <<'END'\n{folders}END\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setattr("os.geteuid", lambda: 0)
    for line, told in (("", True), ("run_user_scripts_when_superuser = true", False)):
        (tmp_path / "init.lua").write_text(f"-- first\n{line}\n")
        wireshark._folders.cache_clear()
        assert main(["export", "lua", "--services", "dms", "--install"]) == 0
        assert ("loads no Lua" in capsys.readouterr().err) is told
    wireshark._folders.cache_clear()
