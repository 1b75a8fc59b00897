# SPDX-License-Identifier: GPL-2.0-or-later
"""The README is true: its commands are run, its tables are the program's."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from qmisniff import errors
from qmisniff.cli import command_line

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")

# Commands that need a kernel, a phone or a terminal: who runs them instead. The path must exist.
RUN_ELSEWHERE = {
    r"python3 -m venv \.venv && .*": "tests/tui/test_terminal.py",
    r"qmisniff capture( --wait)?( -w \S+)?": "tests/lab/test_capture.py",
    r"qmisniff capture -f '.*": "tests/lab/test_trust.py",
    r"qmisniff capture .*-[abPVY] .*|qmisniff capture -[PV]": "tests/test_cli_capture.py",
    r"qmisniff capture .* --systemd-unit .*|mkdir -p /var/lib/qmisniff|systemctl .*": "tests/capture/test_systemd.py",
    r"qmisniff (capture|tui) -i '?(ssh|adb|exec):.*": "tests/lab/test_remote.py",
    r"qmisniff capture -i 'run:.*": "tests/lab/test_processes.py",
    r"ssh root@phone qmisniff capture -w - \| qmisniff (tui|read) .*": "tests/lab/test_capture.py",
    r"qmisniff tui .*": "tests/tui/test_terminal.py",
    r"qmisniff serve .*": "tests/tui/test_serve.py",
    r"qmisniff [^ ]*modem\.pcapng": "tests/tui/test_terminal.py",
    r"qmisniff read modem\.pcapng.*": "tests/test_cli.py",
    r"xxd packet.bin \| qmisniff decode .*": "tests/test_cli_decode.py",
    r"qmisniff dissectors (check|import) .*": "tests/test_cli_definitions.py",
    r"qmisniff export lua --install": "tests/lua/test_export.py",
    r"qmisniff export pcapng modem\.pcapng .*": "tests/test_export_pcapng.py",
    r"qmisniff extcap install": "tests/test_extcap.py",
    r"tests/run.*": ".ci/run",
}


def commands() -> list[str]:
    """The lines of every shell block and of every indented example, without their comments."""
    blocks = re.findall(r"^```sh\n(.*?)^```", README, re.MULTILINE | re.DOTALL)
    indented = re.findall(r"^    (qmisniff .*)$", README, re.MULTILINE)
    lines = [line for block in blocks for line in block.replace("\\\n", " ").splitlines()] + indented
    return [re.sub(r"\s+#.*", "", line).strip() for line in lines if line.strip()]


@pytest.mark.parametrize("command", commands())
def test_commands_do_what_they_are_there_for(command: str, tmp_path: Path) -> None:
    for pattern, where in RUN_ELSEWHERE.items():
        if re.fullmatch(pattern, command):
            assert (ROOT / where).exists(), f"{where} is to run: {command}"
            return
    program = f"{shlex.quote(sys.executable)} -m qmisniff"
    script = re.sub(r"(^|[|&;] *)qmisniff\b", lambda match: match[1] + program, command)
    done = subprocess.run(["bash", "-o", "pipefail", "-c", script], cwd=ROOT, capture_output=True, timeout=60)
    said = [line for line in done.stderr.splitlines() if not line.startswith(b'Running as user "root"')]  # tshark
    assert (done.returncode, said) == (0, [])
    assert done.stdout


def test_every_verb_is_shown() -> None:
    assert not [verb for verb in command_line()[1].names if f"qmisniff {verb}" not in README]


def test_exit_codes_are_those_of_the_errors() -> None:
    table = {int(code) for code in re.findall(r"^\| (\d) \|", README, re.MULTILINE)}
    raised = {
        kind.exit_code
        for kind in vars(errors).values()
        if isinstance(kind, type) and issubclass(kind, errors.QmisniffError) and kind is not errors.QmisniffError
    }
    assert table == raised | {0, 1}


def test_links_lead_somewhere() -> None:
    targets = re.findall(r"\]\(([^)#:]+)\)", README)
    assert targets
    assert not [target for target in targets if not (ROOT / target).exists()]
