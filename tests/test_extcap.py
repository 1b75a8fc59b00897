# SPDX-License-Identifier: GPL-2.0-or-later
"""The extcap program as installed: what it answers Wireshark, and that tshark takes it. Capturing is the lab's test."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import threading
from pathlib import Path

import pytest

from qmisniff import capture
from qmisniff.capture_file import EXPORTED_PDU
from qmisniff.cli import main

LINE = re.compile(r"(extcap|interface|dlt|arg) (\{\w+=[^{}]*\})+")


@pytest.fixture
def program(tmp_path: Path) -> Path:
    """The installed program, in a folder with a space and a quote in its name."""
    folder = tmp_path / "it's here"
    assert main(["extcap", "install", "--dir", str(folder)]) == 0
    return folder / "qmisniff"


def ask(program: Path, *words: str) -> list[str]:
    done = subprocess.run([program, *words], capture_output=True, text=True, timeout=60, cwd="/")
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert lines and all(LINE.fullmatch(line) for line in lines), lines
    return lines


def refused(program: Path, *words: str) -> str:
    """The one line of an error."""
    done = subprocess.run([program, *words], capture_output=True, text=True, timeout=60)
    assert done.returncode in (2, 3, 4) and done.stdout == "" and done.stderr.count("\n") == 1, done
    return done.stderr


def test_every_source_is_an_interface_with_a_link_type_and_options(program: Path) -> None:
    head, *lines = ask(program, "--extcap-interfaces", "--extcap-version=4.0")
    assert head.startswith("extcap {version=")
    names = [match[1] for line in lines if (match := re.match(r"interface \{value=([^}]+)\}", line))]
    assert names == [f"qmisniff-{name}" for name in (*capture.names(), "remote")]
    for name in names:
        (dlt,) = ask(program, "--extcap-dlts", f"--extcap-interface={name}")
        number = 220 if "usbmon" in name else EXPORTED_PDU
        assert dlt.startswith(f"dlt {{number={number}}}")
        options = ask(program, "--extcap-config", "--extcap-interface", name)
        assert [line.startswith(f"arg {{number={at}}}{{call=--") for at, line in enumerate(options)]
        assert ("call=--source" in options[0]) == (name == "qmisniff-remote")


def test_mistakes_are_told_and_nobody_waits_at_the_fifo(program: Path, tmp_path: Path) -> None:
    assert "no interface 'eth0'" in refused(program, "--extcap-dlts", "--extcap-interface=eth0")
    assert "nothing is asked" in refused(program, "--extcap-interface=qmisniff-remote")
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    for words, said in (
        (["--extcap-interface=qmisniff-remote"], "which machine is not said"),
        (["--extcap-interface=qmisniff-remote", "--source=exec:false"], "exec:false"),
        (["--extcap-interface=qmisniff-kernel", "--extcap-capture-filter=tcp"], "capture filter: 'tcp' where"),
    ):
        got: list[bytes] = []
        reader = threading.Thread(target=lambda got=got: got.append(fifo.read_bytes()))
        reader.start()
        assert said in refused(program, "--capture", "--fifo", str(fifo), *words)
        reader.join(10)
        assert got == [b""]


def test_wireshark_asks_whether_a_capture_filter_is_one(program: Path) -> None:
    ask = [str(program), "--extcap-interface=qmisniff-kernel", "--extcap-capture-filter"]
    assert subprocess.run([*ask, "node 0 and type data"], capture_output=True, check=True).stdout == b""
    assert b"'tcp' where" in subprocess.run([*ask, "tcp port 80"], capture_output=True, check=True).stdout


def test_uninstall(program: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["extcap", "uninstall", "--dir", str(program.parent)]) == 0
    assert not program.exists()
    assert main(["extcap", "uninstall", "--dir", str(program.parent)]) == 2
    assert main(["extcap", "install", "--dir", "/dev/null/no"]) == 2
    assert "choose another folder" in capsys.readouterr().err


@pytest.mark.skipif(shutil.which("tshark") is None, reason="tshark is not installed (tests/setup-debian)")
def test_tshark_finds_it_where_it_is_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from qmisniff.cli import wireshark

    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    wireshark._folders.cache_clear()
    try:
        assert main(["extcap", "install"]) == 0
        listed = subprocess.run(["tshark", "-D"], capture_output=True, text=True, timeout=120).stdout
        assert "qmisniff-kernel (qmisniff: kernel" in listed and "qmisniff-remote (" in listed
        types = subprocess.run(
            ["tshark", "-L", "-i", "qmisniff-kernel"], capture_output=True, text=True, timeout=120
        ).stdout
        assert "WIRESHARK_UPPER_PDU" in types
        assert main(["extcap", "uninstall"]) == 0
    finally:
        wireshark._folders.cache_clear()
