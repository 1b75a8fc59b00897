# SPDX-License-Identifier: GPL-2.0-or-later
"""A real terminal for the installed program: tmux, which says what is on it."""

from __future__ import annotations

import shlex
import subprocess
import sys
import time
import uuid
from collections.abc import Callable
from pathlib import Path

from rich.ansi import AnsiDecoder
from rich.style import Style

PROGRAM = Path(sys.executable).with_name("qmisniff")
PATIENCE_S = 60  # on a machine that does other things too


class Terminal:
    """A tmux server of its own with one window. `patience` is in seconds."""

    def __init__(self, folder: Path, patience: float = PATIENCE_S) -> None:
        self._patience = patience
        self._name = f"qmisniff-{uuid.uuid4().hex[:8]}"
        self._folder = folder

    def tmux(self, *words: str) -> str:
        """Run one tmux command and return what it prints."""
        done = subprocess.run(
            ["tmux", "-L", self._name, "-f", "/dev/null", *words], capture_output=True, text=True, timeout=PATIENCE_S
        )
        return done.stdout

    def run(self, command: str, size: tuple[int, int] = (110, 40)) -> None:
        """Run a shell command; its exit code ends up on the screen."""
        environment = {
            "TMPDIR": str(self._folder),
            "XDG_CACHE_HOME": str(self._folder / "cache"),
            "LANG": "C.UTF-8",
            "COLUMNS": "60",  # a lie: the terminal's own size counts
        }
        words = [part for name, value in environment.items() for part in ("-e", f"{name}={value}")]
        script = f"cd {shlex.quote(str(self._folder))}; {command}; echo exit code $?; exec sleep 1000"
        self.tmux("new-session", "-d", "-x", str(size[0]), "-y", str(size[1]), *words, "sh", "-c", script)

    def press(self, *keys: str) -> None:
        """Send keys, by tmux's names."""
        self.tmux("send-keys", *keys)

    def text(self) -> str:
        """What is on the screen."""
        return self.tmux("capture-pane", "-p")

    def cells(self) -> list[list[tuple[str, Style]]]:
        """What is on the screen, character by character, with its style."""
        lines = AnsiDecoder().decode(self.tmux("capture-pane", "-p", "-e"))
        found = []
        for line in lines:
            styles = [Style() for _ in line.plain]
            for span in line.spans:
                for at in range(span.start, span.end):
                    styles[at] += span.style if isinstance(span.style, Style) else Style.parse(span.style)
            found.append(list(zip(line.plain, styles, strict=True)))
        return found

    def until(self, condition: Callable[[str], object]) -> str:
        """Wait until the screen's text is as it should be; fails with the screen when it never is."""
        deadline = time.monotonic() + self._patience
        while True:
            text = self.text()
            if condition(text):
                return text
            assert time.monotonic() < deadline, f"never came; the screen is\n{text}"
            time.sleep(0.05)

    def pids(self) -> list[int]:
        """The processes of the program running in the window."""
        shell = self.tmux("display-message", "-p", "#{pane_pid}").strip()
        children = Path(f"/proc/{shell}/task/{shell}/children").read_text().split()
        program = bytes(PROGRAM)
        return [int(pid) for pid in children if program in Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")]

    def close(self) -> None:
        """End the server and whatever runs in it."""
        self.tmux("kill-server")
