# SPDX-License-Identifier: GPL-2.0-or-later
"""One filter, two tools: qmisniff and tshark with the exported dissector select the same frames."""

from __future__ import annotations

import random
import re
import struct
from pathlib import Path

import pytest

from qmisniff.cli import main
from qmisniff.dissect import Dissector
from qmisniff.errors import QmisniffError
from qmisniff.filter import compile_filter
from qmisniff.frame import Frame
from qmisniff.store import Store
from qmisniff.store.load import Loader
from tests import factories as make
from tests.differential.corpus import registry
from tests.filter import capture as every_type
from tests.filter import test_evaluate, test_readme
from tests.lua.filters import Maker, found_by_tshark
from tests.lua.test_agreement import CAPTURES, every_message
from tests.lua.tshark import available, export, run, save

# What Wireshark has under other names; and `frame`, which here is the packet, there the record of the file.
HERE_ONLY = ("tap.lost", "expert.severity", "expert.message", "frame.len", "frame.cap_len")

pytestmark = pytest.mark.skipif(not available(), reason="tshark is not installed (tests/setup-debian)")


@pytest.fixture(scope="session")
def script(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return export(registry(), tmp_path_factory.mktemp("filters") / "qmisniff.lua")


def loaded(capture: Path) -> Store:
    store = Store()
    with capture.open("rb") as stream:
        for _ in Loader(stream, capture.name, small=0).into(store):
            pass
    return store


def ours(text: str, store: Store, dissector: Dissector) -> list[int] | None:
    try:
        chosen = compile_filter(text, registry())
    except QmisniffError:
        return None
    return [row + 1 for found in chosen.rows(store, dissector) for row in found.rows]


def disagreements(script: Path, capture: Path, filters: list[str], folder: Path) -> list[str]:
    """A line for each filter that does not select the same frames, or that one of the two refuses."""
    store, dissector = loaded(capture), Dissector(registry())
    theirs = found_by_tshark(script, capture, filters, folder)
    lines = []
    for text, there in zip(filters, theirs, strict=True):
        here = ours(text, store, dissector)
        if here is None or there is None:
            refused = [who for who, found in (("qmisniff", here), ("tshark", there)) if found is None]
            lines.append(f"{text}: refused by {' and '.join(refused)}")
        elif here != there:
            mine, other = sorted(set(here) - set(there)), sorted(set(there) - set(here))
            lines.append(f"{text}: only here {mine[:5]} ({len(mine)}), only in tshark {other[:5]} ({len(other)})")
    return lines


def made(capture: Path, count: int, seed: int) -> list[str]:
    """Filters over the fields of a capture."""
    maker = Maker(loaded(capture), Dissector(registry()), random.Random(seed), HERE_ONLY.__contains__)
    return [maker.filter() for _ in range(count)]


def written() -> list[str]:
    """The filters of the README and of the rules that qmisniff's own are held to."""
    (rules,) = test_evaluate.test_frames_that_pass.pytestmark  # type: ignore[attr-defined]
    every = [text for text, _ in rules.args[1]] + [example for _, example in test_readme.ROWS]
    names = re.compile("|".join(map(re.escape, (*HERE_ONLY, " xor ", "frame[", "len(frame)"))))
    return [text for text in dict.fromkeys(every) if not names.search(text)]


def test_written_filters(tmp_path: Path, script: Path) -> None:
    capture = save(every_type.frames(), tmp_path / "types.pcapng")
    assert len(written()) > 130
    assert not disagreements(script, capture, written(), tmp_path)


@pytest.mark.parametrize("seed", [20_263])
def test_made_filters_on_every_message(seed: int, tmp_path: Path, script: Path) -> None:
    capture = save(every_message(), tmp_path / "all.pcapng")
    assert not disagreements(script, capture, made(capture, 400, seed), tmp_path)[:40]


def test_filters_one_at_a_time(tmp_path: Path, script: Path) -> None:
    """With many filters at once most fields are asked for; what is not asked for is not even added to tshark's tree."""
    capture = CAPTURES / "phone-services.pcapng"
    store, dissector = loaded(capture), Dissector(registry())
    own = {name for row in range(len(store)) for name in dissector.values(store.frame(row), store.context(row))}
    deepest = sorted((name for name in own if name.startswith("qmi.") and not name.endswith(".label")), key=_depth)
    for text in (*deepest[-3:], "qmi.tlv.length == 1", "qmi.type", "qmi.error", "qmi"):
        shown = run(script, capture, "-Y", text, "-T", "fields", "-e", "frame.number")
        assert [int(line) for line in shown.split()] == ours(text, store, dissector) != [], text


@pytest.mark.parametrize(
    "protocol, capture", [("qrtr", "tftp"), ("tftp", "tftp"), ("qmux", "usb-qmux"), ("qmi", "usb-mbim")]
)
def test_a_layer_is_the_bytes_it_spans(protocol: str, capture: str, tmp_path: Path, script: Path) -> None:
    path = CAPTURES / f"{capture}.pcapng"
    filters = [f"len({protocol}) > {size}" for size in (4, 6, 12, 32, 40)]
    filters += [f"{protocol}[{at}] == {value}" for at in (0, 1, 4) for value in (0, 1, 2)]
    filters += [f"{protocol} contains {found}" for found in ("00:02", "01:00:00:00", "25:00", '"blksize"')]
    assert not disagreements(script, path, filters, tmp_path)


def _depth(name: str) -> tuple[int, str]:
    return name.count("."), name


USB = sorted(CAPTURES.glob("usb-*.pcapng"))


@pytest.mark.parametrize("capture", sorted(set(CAPTURES.glob("*.pcapng")) - set(USB)), ids=lambda path: path.stem)
def test_made_filters_on_samples(capture: Path, tmp_path: Path, script: Path) -> None:
    assert not disagreements(script, capture, made(capture, 80, 20_264), tmp_path)[:40]


# Wireshark names the setup fields of standard requests after the request (the address that SET_ADDRESS gives is another
# usb.device_address), and dissects foreign traffic by itself; it takes no string() of a character or a truth value.
_WIRESHARKS = re.compile(r"string\(usb\.|usb\.setup|usb\.device_address|\bdata\b|usbcom")


@pytest.mark.parametrize("capture", USB, ids=lambda path: path.stem)
def test_made_filters_on_usb_samples(capture: Path, tmp_path: Path, script: Path) -> None:
    filters = [text for text in made(capture, 200, 20_264) if not _WIRESHARKS.search(text)]
    assert len(filters) > 80
    assert not disagreements(script, capture, filters, tmp_path)[:40]


ENDS = (
    *("qrtr.port", "qrtr.port == 0x4001", "qrtr.port != 0x4001", "qrtr.port === 0x4001", "qrtr.port !== 0x4001"),
    *("qrtr.node == 0", "qrtr.node != 0", "all qrtr.node < 2", "any qrtr.node > 1", "not qrtr.port in {10..12}"),
    *("qrtr.port & 0x4000", "qrtr.port & 0x4000 == 0x4000", "count(qrtr.port) == 2", "count(qrtr.node) == 1"),
    *("max(qrtr.port) < 0x4003", "qrtr.port == qrtr.src_port", 'string(qrtr.port) matches "8$"'),
    *("qrtr.port == 0xfffffffe", "qrtr.port == 0xfffe", "qrtr.node == 5 and qrtr.port == 9"),
)


def test_either_end(tmp_path: Path, script: Path) -> None:
    """Of ordinary packets, of the header's second version with its narrower ports, and of headers cut short."""
    header = struct.pack("<BBBBIHHHH", 3, 1, 0, 0, 0, 5, 9, 2, 0xFFFE)
    short = [make.qrtr(b"")[:size] for size in (13, 17, 30)] + [header[:10], header[:13]]
    frames = [*every_type.frames(), make.frame(header), *map(make.frame, short)]
    capture = save(frames, tmp_path / "ends.pcapng")
    assert not disagreements(script, capture, list(ENDS), tmp_path)
    assert not disagreements(script, CAPTURES / "phone-services.pcapng", list(ENDS), tmp_path)
    store, dissector = loaded(capture), Dissector(registry())
    both = [text for text in ENDS if 0 < len(ours(text, store, dissector) or []) < len(store)]
    assert len(both) > 15


def test_either_end_is_not_shown(script: Path) -> None:
    capture = CAPTURES / "first-contact.pcapng"
    assert "Source node" in (text := run(script, capture, "-V")) and "Source or destination" not in text


def clock_set_back() -> list[Frame]:
    """Frames of which some are earlier than those before them, and than the first."""
    moves = (0, 5, -7_000_000_123, 3, -2, 1_500_000_000, 10, 0, 0, -5_000_000_000, 0, 0)
    return [frame._replace(ts_ns=frame.ts_ns + by) for frame, by in zip(every_type.frames(), moves, strict=True)]


TIMES = (
    *("frame.time_delta < 0", "frame.time_delta < -1.498999990", "frame.time_delta in {-1..0.5, 7.010000126}"),
    *("frame.time_relative == -7.000000123", "frame.time_relative != 0.000000005", "abs(frame.time_delta) > 1.5"),
    *("frame.time_relative == frame.time_delta", "max(frame.time_delta, frame.time_relative) > 0"),
)


def test_times_since(tmp_path: Path, script: Path) -> None:
    capture = save(clock_set_back(), tmp_path / "times.pcapng")
    assert not disagreements(script, capture, [*TIMES, *made(capture, 100, 20_265)], tmp_path)


@pytest.mark.parametrize("few", [0, 1000], ids=["columns", "decoded"])
@pytest.mark.parametrize("capture", [None, *sorted(CAPTURES.glob("*.pcapng"))], ids=lambda path: path and path.stem)
def test_times_since_are_printed_alike(
    capture: Path | None, few: int, tmp_path: Path, script: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    capture = capture or save(clock_set_back(), tmp_path / "times.pcapng")
    monkeypatch.setattr("qmisniff.export._FEW", few)
    monkeypatch.setattr("qmisniff.export._FEW_MORE", few)
    shown = ["-T", "fields", "-e", "frame.number", "-e", "frame.time_delta", "-e", "frame.time_relative"]
    assert main(["read", str(capture), *shown]) == 0
    assert capsys.readouterr().out == run(script, capture, *shown)
