# SPDX-License-Identifier: GPL-2.0-or-later
"""Another machine through a shell: every shell that a phone may have, on this machine's own files."""

from __future__ import annotations

import errno
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qmisniff.capture import open_source
from qmisniff.capture import shell as shell_module
from qmisniff.capture.lookup import RemoteLookup
from qmisniff.capture.remote import RemoteTarget, command
from qmisniff.capture.shell import ConnectionLost, Shell, quote
from qmisniff.capture.target import Change, LocalTarget, Refused
from qmisniff.errors import SourceUnavailable, UsageError
from qmisniff.frame import Flag, Hook, Origin

# Debian's sh, bash, Android's, and that of everything small.
SHELLS = ["dash", "bash", "mksh", "busybox"]
TERMINAL = "script -qc 'bash --norc -i' /dev/null"  # an interactive shell on one
BLOB = bytes(range(256)) * 700 + b"\n\n"


def machine_with(shell: str, folder: Path) -> list[str]:
    """The command that runs the sh of a machine whose sh is `shell`."""
    program = shutil.which(shell)
    assert program is not None
    (folder / "sh").symlink_to(program)
    return ["env", f"PATH={folder}:{os.environ['PATH']}", "sh"]


@pytest.fixture(params=[*SHELLS, TERMINAL])
def target(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RemoteTarget]:
    words = [request.param]
    if request.param != TERMINAL:
        words = machine_with(request.param, tmp_path_factory.mktemp("path"))
    made = RemoteTarget(f"exec:{' '.join(words)}")
    yield made
    made.close()


def test_files_come_and_go_as_they_are(target: RemoteTarget, tmp_path: Path) -> None:
    folder = tmp_path / "it's a $HOME `folder`"
    folder.mkdir()
    path = str(folder / "file")
    Path(path).write_bytes(BLOB)
    assert target.read(path) == BLOB
    text = 'p:group/event a\'b\\128 $x `y` %s "q"\n-n\n\n'
    target.write(path, text)
    assert Path(path).read_text() == text
    target.append(path, "-:group/event\n")
    assert Path(path).read_text() == text + "-:group/event\n"
    long = "p:group/event " + "d=+1(%si):x64 " * 240
    target.write(path, long)
    assert Path(path).read_text() == long
    target.append(path, text)
    assert Path(path).read_text() == long + text
    assert target.lines(path, b"event") == [line for line in Path(path).read_bytes().splitlines() if b"event" in line]
    assert target.lines(path, b"absent") == []
    (folder / ".hidden").touch()
    (folder / "dangling").symlink_to("nowhere")
    assert target.list(str(folder)) == [".hidden", "dangling", "file"]
    assert target.list("/nowhere") == []
    assert target.exists(path)
    assert not target.exists("/nowhere")
    target.make(f"{folder}/new")
    assert target.list(f"{folder}/new") == []
    target.remove(f"{folder}/new")
    assert not target.exists(f"{folder}/new")


def test_many_changes_are_made_in_order_up_to_the_one_that_is_refused(target: RemoteTarget, tmp_path: Path) -> None:
    file, other = str(tmp_path / "it's one"), str(tmp_path / "other")
    lines = [f"{number} " * 300 + "\n" for number in range(40)] + ["x" * 3000 + "\n", "the last\n"]
    target.change([Change(other, "1"), *(Change(file, line, append=True) for line in lines)])
    assert Path(file).read_text() == "".join(lines)
    assert list(target.read_all([other, file] * 40)) == [b"1", "".join(lines).encode()] * 40
    with pytest.raises(FileNotFoundError):
        target.read_all([other, "/nowhere"])
    for size in (1, 3000):
        changes = [Change(file, "made"), Change("/dev/full", "x" * size), Change(other, "never")]
        with pytest.raises(Refused) as refused:
            target.change(changes)
        assert (refused.value.at, refused.value.errno) == (1, errno.ENOSPC)
        assert (Path(file).read_text(), Path(other).read_text()) == ("made", "1")
    with pytest.raises(Refused) as refused:
        LocalTarget().change(changes)
    assert (refused.value.at, refused.value.errno) == (1, errno.ENOSPC)


@pytest.mark.parametrize(
    ("ask", "number"),
    [
        (lambda target: target.read("/nowhere"), errno.ENOENT),
        (lambda target: target.write("/dev/full", "x"), errno.ENOSPC),
        (lambda target: target.write("/dev/full", "x" * 3000), errno.ENOSPC),
        (lambda target: target.write("/proc/sys/kernel/pid_max", "bogus"), errno.EINVAL),
        (lambda target: target.make("/dev"), errno.EEXIST),
        (lambda target: target.remove("/proc/self/task"), errno.EPERM),
    ],
)
def test_refusals_have_the_numbers_of_the_system_calls(target: RemoteTarget, ask: object, number: int) -> None:
    assert callable(ask)
    with pytest.raises(OSError) as refused:
        ask(target)
    assert (refused.value.errno, refused.value.strerror) == (number, os.strerror(number))


def test_the_system_is_the_same_as_seen_from_within(target: RemoteTarget) -> None:
    here = LocalTarget()
    assert target.system() == here.system()
    assert target.is_root() == here.is_root()
    before = time.time_ns()
    wall = target.clock() + target.wall_clock_offset()
    after = time.time_ns()
    # As good as a hundredth of a second, and as what it takes to ask.
    assert before - (after - before) - 20_000_000 < wall < after + 20_000_000
    threads = {process.pid: process for process in target.processes()}
    for process in here.processes():
        if process.pid in threads:
            assert threads[process.pid].name == process.name


def test_a_process_may_call_itself_anything(target: RemoteTarget) -> None:
    """Also what ends a line in other places: anybody over there may do so."""
    program = (
        "import ctypes,sys,threading\n"
        "ctypes.CDLL(None).prctl(15,b'a\\x0bb: \\x1c\\xff',0,0,0)\n"
        "threading.Thread(target=sys.stdin.read).start();print('ready',flush=True)\n"
    )
    odd = subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        assert odd.stdout and odd.stdout.readline() == b"ready\n"
        (found,) = (process for process in target.processes() if process.pid == odd.pid)
        assert found == next(process for process in LocalTarget().processes() if process.pid == odd.pid)
        assert found.name == "a\x0bb: \x1c\\xff"
    finally:
        odd.communicate()


@pytest.mark.parametrize("ask", [RemoteTarget.clock, lambda target: list(target.processes()), RemoteTarget.owner])
def test_numbers_that_are_none_are_an_error_of_the_connection(ask: Callable[[RemoteTarget], object]) -> None:
    target = RemoteTarget("exec:sh")
    try:
        odd = "case $1 in %s | %s:%s:%s*) command printf 'x:y\\n' ;; *) command printf \"$@\" ;; esac"
        target._shell.tell(f"cat() {{ printf 'x y\\n'; }}; printf() {{ {odd}; }}")
        with pytest.raises(OSError, match="something else than it was asked"):
            ask(target)
    finally:
        target.close()


def test_the_owner_is_the_shell_there(target: RemoteTarget) -> None:
    pid, _, started = target.owner().partition("_")
    assert Path(f"/proc/{pid}").exists()
    assert started in Path(f"/proc/{pid}/stat").read_text()
    assert target.owner() == f"{pid}_{started}"
    target.close()
    deadline = time.monotonic() + 60
    while Path(f"/proc/{pid}/fd").exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not Path(f"/proc/{pid}/fd").exists()


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize("end", ["hang up", "kill the connection", "close"])
def test_the_far_shell_cleans_up_when_it_is_left(shell: str, end: str, tmp_path: Path) -> None:
    connection = Shell(machine_with(shell, tmp_path), "far")
    connection.guard(f"echo cleaned >>'{tmp_path}/done'")
    assert connection.ask("echo $$").output.strip().isdigit()
    pid = int(connection.ask("echo $$").output)
    if end == "hang up":
        os.kill(pid, signal.SIGHUP)
    elif end == "kill the connection":
        assert connection._process is not None and connection._process.stdin is not None
        connection._process.stdin.close()
    connection.close()
    assert (tmp_path / "done").read_text() == "cleaned\n"


def test_a_far_shell_that_nobody_asks_any_more_cleans_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The connection hangs, with nothing at either end to tell: a cable that was pulled, a laptop that was closed."""
    loop = shell_module._LOOP
    monkeypatch.setattr(shell_module, "_LOOP", loop.replace(f"-t {shell_module._WATCHDOG}", "-t 3"))
    assert loop != shell_module._LOOP
    connections = {}
    for shell in ("bash", "mksh", "busybox"):  # dash knows no time limit
        folder = tmp_path / shell
        folder.mkdir()
        connections[folder / "done"] = Shell(machine_with(shell, folder), "far")
        connections[folder / "done"].guard(f"echo cleaned >>'{folder}/done'")
    deadline = time.monotonic() + 120
    while not all(path.exists() for path in connections) and time.monotonic() < deadline:
        time.sleep(0.05)
    for path, connection in connections.items():
        assert path.read_text() == "cleaned\n"
        with pytest.raises(ConnectionLost):
            connection.ask("true")
        connection.close()


@pytest.mark.parametrize("shell", SHELLS)
def test_a_login_that_takes_long_is_greeted_once(shell: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A password that is typed, a slow network: what was said meanwhile waits in the connection."""
    monkeypatch.setattr(shell_module, "_LOGIN", 12.0)
    path = machine_with(shell, tmp_path)[1]
    connection = Shell(["env", path, "sh", "-c", "sleep 1; exec sh"], "far")
    for number in range(10):
        assert connection.ask(f"echo {number}").output == f"{number}\n".encode()
    connection.close()


def test_the_shell_of_a_connection_before_cleans_up_for_the_next(tmp_path: Path) -> None:
    """A serial line that was pulled out of one computer and put into another."""
    os.mkfifo(tmp_path / "in")
    os.mkfifo(tmp_path / "out")
    far = subprocess.Popen(["sh", "-c", f"exec dash <>'{tmp_path}/in' >'{tmp_path}/out' 2>/dev/null"])
    wire = ["socat", "-", f"GOPEN:{tmp_path}/out,rdonly!!GOPEN:{tmp_path}/in,wronly"]
    try:
        first = Shell(wire, "far")
        first.guard(f"echo cleaned >>'{tmp_path}/done'")
        assert first._process is not None
        first._send("echo half a li")
        first._process.kill()
        second = Shell(wire, "far")
        assert second.ask("echo it answers").output == b"it answers\n"
        second.close()
        assert (tmp_path / "done").read_text() == "cleaned\n"
    finally:
        far.kill()
        far.wait()


def test_a_shell_that_dies_is_said_in_the_words_of_the_connection(tmp_path: Path) -> None:
    connection = Shell(["sh", "-c", "echo 'Connection to phone closed.' >&2; exec sh"], "phone")
    with pytest.raises(ConnectionLost, match=r"Connection to phone closed\."):
        connection.tell("kill -9 $$")
    connection.close()
    with pytest.raises(ConnectionLost):
        connection.ask("true")


@pytest.mark.parametrize(
    ("spec", "reason"),
    [
        ("exec:sh -c 'echo banner >&2; echo no route >&2'", r"cannot be reached: no route \("),
        ("exec:yes", r"cannot be reached: .*not answered for 1 seconds"),
        ("exec:false", r"exec:false cannot be reached: the connection ended"),
        ("exec:sh -c 'echo no route >&2'", r"cannot be reached: no route"),
        ("exec:absent-command", r"cannot be reached: .*absent-command"),
        ("exec:sh -c 'tr a-z A-Z | cat'", r"cannot be reached: .*not answered"),
        ("exec:sh -c \"sh | tr -u '\\377' x\"", "changes the bytes|cannot be reached"),
    ],
)
def test_what_cannot_be_used_is_refused(spec: str, reason: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if "not answered" in reason:
        monkeypatch.setattr("qmisniff.capture.shell._LOGIN", 1.0)
    state = open_source(spec)
    try:
        with pytest.raises(SourceUnavailable, match=reason):
            state.open()
    finally:
        state.close()


def test_an_answer_without_an_end_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shell_module, "_LONGEST", 1 << 20)
    connection = Shell(["sh"], "far")
    try:
        assert len(connection.ask("head -c 1000000 /dev/zero").output) == 1_000_000
        with pytest.raises(ConnectionLost, match="far does not stop talking"):
            connection.ask("cat /dev/zero")
    finally:
        connection.close()


def test_an_answer_that_is_late_is_not_taken_for_another(monkeypatch: pytest.MonkeyPatch) -> None:
    connection = Shell(["sh"], "far")
    try:
        monkeypatch.setattr(shell_module, "_SILENCE", 0.2)
        for script in ("sleep 1; echo late", "echo fresh"):
            with pytest.raises(ConnectionLost, match="has not answered"):
                connection.ask(script)
            time.sleep(1.0)
    finally:
        connection.close()


def test_a_signal_ends_the_wait_for_a_connection(tmp_path: Path) -> None:
    """ssh that gets no answer, or waits for a password: nothing of it stays."""
    script = tmp_path / "hangs"
    script.write_text(f"echo $$ >{tmp_path}/pid; kill $PPID; exec sleep 600\n")
    program = (
        "import signal,sys\n"
        "signal.signal(signal.SIGTERM, signal.SIG_DFL)\n"
        "from qmisniff.cli import main\n"
        "sys.exit(main(['capture', '-i', sys.argv[1], '-w', sys.argv[2]]))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, f"exec:sh {script}", str(tmp_path / "never")], capture_output=True, text=True
    )
    assert (done.returncode, done.stderr) == (0, "ended before there was anything to capture\n")
    assert not (tmp_path / "never").exists()
    assert not Path("/proc", (tmp_path / "pid").read_text().strip()).exists()


@pytest.mark.skipif(shutil.which("stdbuf") is None, reason="needs stdbuf")
def test_a_connection_that_changes_bytes_is_refused() -> None:
    with pytest.raises(SourceUnavailable, match="changes the bytes"):
        Shell(["sh", "-c", "sh | stdbuf -o0 tr '\\377' x"], "far")


def test_a_target_without_the_tools_is_refused(tmp_path: Path) -> None:
    for name in ("sh", "cat"):
        (tmp_path / name).symlink_to(f"/bin/{name}")
    with pytest.raises(SourceUnavailable, match="far has no dd mkdir rmdir"):
        Shell(["env", f"PATH={tmp_path}", "/bin/sh"], "far")


@pytest.mark.parametrize(
    ("spec", "argv"),
    [
        ("ssh://root@phone", ["ssh", "-T", "--", "ssh://root@phone", "exec sh"]),
        ("ssh://phone:2222/", ["ssh", "-T", "--", "ssh://phone:2222", "exec sh"]),
        ("adb:0123abcd", ["adb", "-s", "0123abcd", "shell", "-T", "exec sh"]),
        ("adb:", ["adb", "shell", "-T", "exec sh"]),
        ("exec:ssh phone 'sudo sh'", ["ssh", "phone", "sudo sh"]),
    ],
)
def test_commands(spec: str, argv: list[str]) -> None:
    assert command(spec) == argv


@pytest.mark.parametrize("spec", ["ssh:phone", "ssh://", "ssh://a/b", "ssh://-oProxyCommand=x", "exec:", "exec:'"])
def test_specs_that_name_nothing(spec: str) -> None:
    with pytest.raises(UsageError):
        command(spec)


def test_a_remote_kernel_that_cannot_be_tapped_says_why() -> None:
    source = open_source("exec:sh")
    try:
        here, there = open_source("kernel").probe(), source.probe()
    finally:
        source.close()
    assert (there.ok, there.reason) == (here.ok, here.reason)
    assert source.origin.name == "exec:sh"


@pytest.mark.parametrize("printed", ["what?", "T", "T x", "P 0", "P 0 -1", "P 0 1", "P 0 1000000000000", "Q 0 0"])
def test_pages_that_are_none_are_an_error_of_the_connection(printed: str) -> None:
    """A tool over there may complain on standard output."""
    target = RemoteTarget("exec:sh")
    try:
        target._shell.tell(f"p() {{ printf '%s\\n' {quote(printed)}; }}")
        with pytest.raises(OSError, match="something else than it was asked"):
            target.poll(4096)
    finally:
        target.close()


def test_services_from_qrtr_lookup() -> None:
    printed = (
        "  Service Version Instance Node  Port\n"
        "       66       1       74    0     5 Service registry notification service\n"
        "        3       1        0    0     7 Network access service\n"
        "      bad     row\n"
        "        3       1        0    0     99999999999 out of range\n"
    )
    lookup = RemoteLookup(printed)
    assert not lookup.problem
    frames = lookup.answers(Origin("kernel", "far"), wait=True)
    assert [frame.data[32:52] for frame in frames] == [
        bytes.fromhex("04000000 42000000 014a0000 00000000 05000000"),
        bytes.fromhex("04000000 03000000 01000000 00000000 07000000"),
    ]
    assert {(frame.hook, frame.flags) for frame in frames} == {(Hook.LOOKUP, Flag.SYNTHETIC)}
    assert lookup.answers(Origin("kernel", "far")) == []
    assert RemoteLookup("").problem


def test_ctrl_c_does_not_cut_the_connection() -> None:
    program = (
        "import os, signal, time\n"
        "from qmisniff.capture.shell import Shell\n"
        "signal.signal(signal.SIGINT, lambda *_: None)\n"
        "shell = Shell(['sh'], 'far')\n"
        "os.killpg(0, signal.SIGINT)\n"
        "time.sleep(0.2)\n"
        "print(shell.ask('echo alive').output)\n"
        "shell.close()\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, start_new_session=True)
    assert (done.stdout, done.stderr) == ("b'alive\\n'\n", "")


@given(st.lists(st.text(st.characters(blacklist_characters="\n\0", blacklist_categories=["Cs"])), max_size=20))
@settings(max_examples=30)
def test_a_shell_takes_every_quoted_word_as_it_is(words: list[str]) -> None:
    done = subprocess.run(["sh", "-c", f"printf '%s\\0' : {' '.join(map(quote, words))}"], capture_output=True)
    assert done.stdout.split(b"\0")[1:-1] == [word.encode() for word in words]


@pytest.mark.parametrize("text", ["a\nrm -rf x", "a\0b"])
def test_what_no_line_can_hold_is_never_said_to_a_shell(text: str) -> None:
    with pytest.raises(OSError, match="line break"):
        quote(text)


def test_names_on_the_target_are_only_names(tmp_path: Path) -> None:
    """Whatever files are called over there, none of it is run."""
    names = ["$(touch ran)", "`touch ran`", "a;touch ran", "a'b", 'a"b', "-rf", "a b", "*", "\\"]
    for name in names:
        (tmp_path / name).write_text(name)
    target = RemoteTarget("exec:sh")
    try:
        assert target.list(str(tmp_path)) == sorted(names)
        assert [target.read(f"{tmp_path}/{name}").decode() for name in target.list(str(tmp_path))] == sorted(names)
        target.write(f"{tmp_path}/a'b", "$(touch ran)\n`touch ran`")
        assert (tmp_path / "a'b").read_text() == "$(touch ran)\n`touch ran`"
    finally:
        target.close()
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(names)
