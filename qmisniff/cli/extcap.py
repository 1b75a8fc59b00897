# SPDX-License-Identifier: GPL-2.0-or-later
"""qmisniff's sources among the interfaces that Wireshark, tshark and dumpcap capture from.

`qmisniff extcap install` puts a small program where Wireshark looks for such. Wireshark calls it as extcap(4) says: to
ask which interfaces there are, what their packets are and which options they take, and to capture into a fifo.
"""

from __future__ import annotations

import argparse
import os
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple

import qmisniff
from qmisniff.cli.verbs import Verbs
from qmisniff.errors import QmisniffError, UsageError
from qmisniff.printable import plain

_NAME = "qmisniff"  # of the installed program
_PREFIX = "qmisniff-"  # of interfaces: other programs have some too
_REMOTE = "remote"
_USBMON, _EXPORTED_PDU = (220, "USB_LINUX_MMAPPED"), (252, "WIRESHARK_UPPER_PDU")  # link types
_STOPPED = ("count", "Stop after", "unsigned", "packets; 0: when Wireshark says so")
_SOURCE = ("source", "Machine", "string", "ssh://USER@HOST, adb:SERIAL or exec:COMMAND: whose kernel is tapped")


class Interface(NamedTuple):
    """A source as Wireshark lists it; `options` are the lines of its dialog: name, label, type, hint."""

    name: str
    display: str
    options: tuple[tuple[str, str, str, str], ...]


# ---- the verb


def add(verbs: Verbs) -> None:
    """Add the verb."""
    below = verbs.group("extcap", "put the sources into Wireshark's list of interfaces", "qmisniff extcap install")
    for run, summary in (
        (install, "let Wireshark, tshark and dumpcap capture from every source"),
        (uninstall, "take the sources out of Wireshark again"),
    ):
        added = below.add(run, summary, f"qmisniff extcap {run.__name__}")
        added.add_argument(
            "--dir", metavar="DIR", type=Path, help="the folder; where left out, Wireshark's personal one"
        )


def install(options: argparse.Namespace) -> int:
    """`qmisniff extcap install`: put the program where Wireshark looks for such."""
    path = _path(options)
    root = str(Path(qmisniff.__file__).resolve().parents[1])
    code = f"import sys; sys.path.append({root!r}); from qmisniff.cli.extcap import program; sys.exit(program())"
    text = f'#!/bin/sh\n# Written by `qmisniff extcap install`.\nexec {shlex.join([sys.executable, "-c", code])} "$@"\n'
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        path.chmod(0o755)
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}", "choose another folder with --dir") from None
    print(f"{path}: {', '.join(_PREFIX + each.name for each in interfaces())}")
    return 0


def uninstall(options: argparse.Namespace) -> int:
    """`qmisniff extcap uninstall`: take the program away."""
    path = _path(options)
    try:
        path.unlink()
    except FileNotFoundError:
        raise UsageError(f"{path} is not there", "--dir says where it was installed") from None
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}", "") from None
    print(f"{path} removed")
    return 0


def _path(options: argparse.Namespace) -> Path:
    from qmisniff.cli.wireshark import extcap_folder

    folder: Path = options.dir or extcap_folder()
    return folder.expanduser() / _NAME


# ---- the program that Wireshark calls


def program() -> int:
    """What the installed program does: answers Wireshark's questions, or captures."""
    parser = argparse.ArgumentParser(prog=_NAME, description="Called by Wireshark, see extcap(4).", allow_abbrev=False)
    for question in ("--extcap-interfaces", "--extcap-dlts", "--extcap-config", "--capture"):
        parser.add_argument(question, action="store_true")
    for name in ("--extcap-version", "--extcap-interface", "--extcap-capture-filter", "--fifo", "--source"):
        parser.add_argument(name, default="")
    parser.add_argument("--count", type=int, default=0)
    options, _ = parser.parse_known_args()  # later versions of Wireshark may say more
    try:
        if options.extcap_interfaces:
            _say("extcap", version=qmisniff.__version__, display="qmisniff: QMI and QRTR")
            for each in interfaces():
                _say("interface", value=_PREFIX + each.name, display=each.display)
            return 0
        chosen = _chosen(options.extcap_interface)
        if options.extcap_dlts:
            number, name = _USBMON if chosen.name.startswith("usbmon") else _EXPORTED_PDU
            _say("dlt", number=str(number), name=name, display=chosen.display)
        elif options.extcap_config:
            for at, (name, display, kind, hint) in enumerate(chosen.options):
                required = {"required": "true"} if name == "source" else {"default": "0"}
                _say("arg", number=str(at), call=f"--{name}", display=display, type=kind, tooltip=hint, **required)
        elif options.capture:
            return _capture(chosen, options)
        elif options.extcap_capture_filter:
            _check_filter(options.extcap_capture_filter)
        else:
            raise UsageError("nothing is asked", "this program is for Wireshark; the command is qmisniff")
        sys.stdout.flush()
        return 0
    except QmisniffError as error:
        print(f"qmisniff: {plain(str(error))}", file=sys.stderr)
        return error.exit_code
    except BrokenPipeError:
        return 0  # Wireshark has stopped the capture
    except OSError as error:
        print(f"qmisniff: {plain(str(error))}", file=sys.stderr)
        return 4


def interfaces() -> Iterator[Interface]:
    """Every source, and one for those that need to be told where they are."""
    from qmisniff.capture import REMOTE, names, probe

    for name in names():
        state = probe(name)
        why = "" if state.ok else f" (not here: {state.reason})"
        yield Interface(name, f"qmisniff: {name}{why}", (_STOPPED,))
    yield Interface(_REMOTE, f"qmisniff: another machine ({', '.join(REMOTE)})", (_SOURCE, _STOPPED))


def _chosen(name: str) -> Interface:
    for each in interfaces():
        if name == _PREFIX + each.name:
            return each
    raise UsageError(f"there is no interface {name!r}", "--extcap-interfaces lists them")


def _capture(chosen: Interface, options: argparse.Namespace) -> int:
    from qmisniff.capture import open_source
    from qmisniff.capture.capture_filter import parse
    from qmisniff.capture.files import CaptureFiles, create
    from qmisniff.capture.limits import Limits
    from qmisniff.capture.run import run
    from qmisniff.capture.source import Tuning

    if not options.fifo:
        raise UsageError("--capture needs --fifo", "")

    opened = False

    def fifo() -> BinaryIO:
        nonlocal opened
        opened = True
        return create(Path(options.fifo))

    try:
        if chosen.name == _REMOTE and not options.source:
            raise UsageError("which machine is not said", "ssh://USER@HOST in the interface's options")
        tuning = Tuning(filter=options.extcap_capture_filter.strip())
        if tuning.filter:
            parse(tuning.filter)
        source = open_source(options.source if chosen.name == _REMOTE else chosen.name, tuning)
        # Wireshark shows what comes on standard error as an error: what a capture tells otherwise is not for here.
        with Path(os.devnull).open("w") as nowhere:
            return run(source, CaptureFiles(fifo, Limits(packets=options.count or None)), nowhere)
    except QmisniffError:
        if not opened:
            fifo().close()  # who reads it would wait for ever
        raise


def _check_filter(text: str) -> None:
    """Wireshark asks whether a capture filter is one: whatever is printed says that it is not."""
    from qmisniff.capture.capture_filter import parse

    try:
        parse(text)
    except UsageError as error:
        print(plain(str(error)))


def _say(what: str, **values: str) -> None:
    """A line of the answer: {name=value} with nothing in it that would end a value."""
    cleaned = {name: plain(value).replace("{", "(").replace("}", ")") for name, value in values.items()}
    print(what, "".join(f"{{{name}={value}}}" for name, value in cleaned.items()))
