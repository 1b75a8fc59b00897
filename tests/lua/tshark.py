# SPDX-License-Identifier: GPL-2.0-or-later
"""tshark with the exported dissector: what it finds in a capture, as qmisniff's own tree says it."""

from __future__ import annotations

import ipaddress
import re
import shutil
import subprocess
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import NamedTuple
from xml.etree import ElementTree

from qmisniff.capture_file import Writer
from qmisniff.definitions import Registry
from qmisniff.dissect import Dissector
from qmisniff.field import Field, Kind
from qmisniff.frame import Frame
from qmisniff.lua import lua_text
from qmisniff.protocol.qrtr import ENDS
from qmisniff.store import Store

NAMES = ("qmi.", "qrtr.", "qmux.", "tap.", "data.data", "protobuf.", "tftp.", "mbim.")  # of what is compared
EXPERT = "_ws.expert.message"
DATA_AT = 16 + 32  # in a record of ours: tags of the exported PDU, tap header


class Found(NamedTuple):
    """One value of a frame; `at` and `size` are bytes in the frame's data, 0 for what is not in them."""

    name: str
    at: int
    size: int
    value: object


def available() -> bool:
    """Whether these tests can run."""
    return shutil.which("tshark") is not None


def tshark() -> str:
    """The program; the tests of this folder need it."""
    found = shutil.which("tshark")
    assert found is not None, "tshark is not installed: tests/setup-debian installs it"
    return found


def export(registry: Registry, path: Path) -> Path:
    """The dissector of a registry, written to a file."""
    path.write_text("".join(lua_text(registry, sorted(registry.headers))), encoding="ascii")
    return path


def save(frames: Iterable[Frame], path: Path) -> Path:
    """A capture file with these frames."""
    with path.open("wb") as sink:
        writer = Writer(sink)
        writer.write(frames)
        writer.close()
    return path


def run(script: Path, capture: Path, *options: str) -> str:
    """What tshark prints; fails where it, or the dissector, complains."""
    command = [tshark(), "-2", "-n", "-X", f"lua_script:{script}", "-r", str(capture), *options]
    done = subprocess.run(command, capture_output=True, timeout=300)
    said = done.stderr.decode("utf-8", "replace").replace(
        'Running as user "root" and group "root". This could be dangerous.\n', ""
    )
    assert done.returncode == 0 and not said, said[:2000]
    text = done.stdout.decode("utf-8", "replace")
    assert "Lua Error" not in text, text[text.index("Lua Error") :][:500]
    return text


def theirs(
    script: Path, capture: Path, kinds: Callable[[str], Kind | None], data_at: int = DATA_AT
) -> list[Counter[Found]]:
    """Every frame's values as the exported dissector finds them; `kinds` says what sort of value has a name, `data_at`
    where in a record the frame's data begin."""
    return [
        Counter(
            _of_pdml(node, kinds, data_at)
            for node in packet.iter("field")
            if node.get("name", "").startswith(NAMES) or node.get("name") == EXPERT
            if node.get("name") not in ENDS  # hidden
        )
        for packet in ElementTree.fromstring(_NO_XML.sub("?", run(script, capture, "-T", "pdml"))).iter("packet")
    ]


def _of_pdml(node: ElementTree.Element, kinds: Callable[[str], Kind | None], data_at: int) -> Found:
    name, shown = node.get("name", ""), node.get("show", "")
    if name == EXPERT:
        return Found(name, 0, 0, shown)
    at, size = int(node.get("pos", 0)) - data_at, int(node.get("size", 0))
    kind = kinds(name)
    value: object = shown
    if kind in (Kind.UINT, Kind.INT):
        value = int(shown, 0)
    elif kind is Kind.BOOL:
        value = shown in ("1", "True")
    elif kind is Kind.FLOAT:
        value = f"{float(shown):.12g}"
    elif kind is Kind.BYTES:
        value = shown.replace(":", "")
    elif kind is Kind.IPV6:
        value = str(ipaddress.IPv6Address(shown))
    elif kind is Kind.NONE:
        value = None
    return _placed(name, at, size, value)


def ours(dissector: Dissector, capture: Sequence[Frame]) -> list[Counter[Found]]:
    """The same of qmisniff's tree."""
    store = Store()
    store.extend(capture)
    return [Counter(_of_tree(dissector.tree(store.frame(row), store.context(row)))) for row in range(len(store))]


def _of_tree(root: Field) -> Iterable[Found]:
    for field in root.walk():
        if field.problem is not None:
            yield Found(EXPERT, 0, 0, field.problem.text)
        name, value = field.spec.name, field.value
        if not name.startswith(NAMES) or name == "qmi":
            continue
        shown: object = value
        if field.spec.kind is Kind.NONE:
            shown = None
        elif field.spec.kind is Kind.FLOAT:
            assert isinstance(value, int | float)
            shown = f"{float(value):.12g}"
        elif isinstance(value, bytes):
            shown = value.hex()
        elif isinstance(value, str) and field.spec.kind is Kind.STRING:
            shown = escaped(value)
        yield _placed(name, field.offset, field.size, shown)


def _placed(name: str, at: int, size: int, value: object) -> Found:
    return Found(name, 0, 0, value) if name.startswith("tap.") or size == 0 else Found(name, at, size, value)


# Wireshark writes these, too, which no XML may have in it.
_NO_XML = re.compile("[\ufffe\uffff]")
# White space stands in an XML attribute as it is, and is read from it as a space.
_ESCAPES = {"\n": " ", "\r": " ", "\t": " ", "\0": "\\x00", "\ufffe": "?", "\uffff": "?"}


def escaped(text: str) -> str:
    """Text as Wireshark prints it: control characters as numbers."""
    return "".join(_ESCAPES.get(char, char if char >= " " and char != "\x7f" else f"\\x{ord(char):x}") for char in text)


def differences(mine: Sequence[Counter[Found]], other: Sequence[Counter[Found]]) -> list[str]:
    """A line for each value of a frame that only one side has."""
    lines = [] if len(mine) == len(other) else [f"{len(mine)} frames here, {len(other)} in tshark"]
    for number, (here, there) in enumerate(zip(mine, other, strict=False), 1):
        lines += [f"frame {number}: only in qmisniff: {each}" for each in here - there]
        lines += [f"frame {number}: only in tshark: {each}" for each in there - here]
    return lines
