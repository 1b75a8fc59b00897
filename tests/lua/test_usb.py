# SPDX-License-Identifier: GPL-2.0-or-later
"""USB captures: tshark with the exported dissector finds in them what qmisniff finds, and shows the same list."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

import pytest

from qmisniff.capture_file import Reader
from qmisniff.dissect import Dissector
from qmisniff.dissect.names import header_specs
from qmisniff.field import Field, Kind
from qmisniff.filter import compile_filter
from qmisniff.frame import USB_LINKS, Frame
from qmisniff.protocol import usb
from qmisniff.store import Store
from tests.differential.corpus import registry
from tests.lua.filters import Maker, found_by_tshark
from tests.lua.mutations import lua_errors
from tests.lua.tshark import EXPERT, Found, available, differences, escaped, export, run
from tests.usb_capture import LINK_TYPES, save
from tests.usb_conversation import FILTERS, conversation, damaged

pytestmark = pytest.mark.skipif(not available(), reason="tshark is not installed (tests/setup-debian)")

CAPTURES = Path(__file__).parents[2] / "captures"
_KINDS = {spec.name: spec.kind for spec in header_specs()}
_CHARACTERS = ("usb.urb_type", "usb.setup_flag", "usb.data_flag")
_NAMES = ("qmi.", "qmux.", "mbim.", "data.data", "usbcom.interrupt.")
_SETUP = ("usb.setup.bRequest", "usb.setup.wValue", "usb.setup.wIndex", "usb.setup.wLength")
_HEADER = tuple(
    spec.name for layout in (usb.USBMON, usb.USBPCAP) for spec in layout.specs if spec.name != "usb.usbpcap_header_len"
)


@pytest.fixture(scope="module")
def script(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return export(registry(), tmp_path_factory.mktemp("usb") / "qmisniff.lua")


def load(capture: Path) -> Store:
    store = Store()
    with capture.open("rb") as stream:
        store.extend(Reader(stream))
    return store


def disagreements(script: Path, capture: Path) -> list[str]:
    """Every value that only one of the two finds, in the frames that carry QMUX or MBIM; of the others only headers."""
    store, dissector = load(capture), Dissector(registry())
    mine = [
        Counter(_ours(store.frame(row), dissector.tree(store.frame(row), store.context(row))))
        for row in range(len(store))
    ]
    return differences(mine, _theirs(script, capture, mine))


def _ours(frame: Frame, root: Field) -> Iterator[Found]:
    """The values of a tree, where Wireshark says that they are.

    It counts in what it takes apart: the packet; the request and data of a submission, which it joins; what was put
    together. And PDML adds the place of the item above to one that begins before it.
    """
    urb = usb.parse_urb(frame.data, frame.link) if frame.link in USB_LINKS else None
    layers = {layer.spec.name for layer in root.children}
    carries = not layers.isdisjoint(("qmux", "mbim", "qmux.piece"))
    # Of MBIM's own services Wireshark shows either these fields or, where it knows the class, the message.
    shows_setup = not layers.isdisjoint(("qmux", "qmux.piece"))
    setup_at = 0
    if urb is not None and urb.setup is not None:
        setup_at = usb.USBMON.size if frame.link in usb.USBMON_SIZE else urb.start - usb.SETUP.size
    joined = urb is not None and urb.setup is not None and carries and urb.start < len(frame.data)

    def place(name: str, offset: int) -> int:
        if urb is None:
            return offset
        if offset >= len(frame.data):
            return offset - len(frame.data)
        if joined and offset >= urb.start:
            return offset - urb.start + usb.SETUP.size - 1
        return offset - setup_at - 1 if joined and name in _SETUP else offset

    def walk(node: Field, above: int, is_top: bool) -> Iterator[Found]:
        name, value, at = node.spec.name, node.value, place(node.spec.name, node.offset)
        if node.problem is not None and carries and not node.problem.text.endswith("were not captured"):
            yield Found(EXPERT, 0, 0, node.problem.text)
        if (
            (name.startswith(_NAMES) and carries)
            or name in _HEADER
            or name.startswith("usbcom.interrupt.")
            or (joined and shows_setup and name in _SETUP)
        ):
            base = setup_at if joined and (is_top or name in _SETUP) else above
            shown: object = value
            if node.spec.kind is Kind.NONE:
                shown = None
            elif node.spec.kind is Kind.FLOAT:
                assert isinstance(value, int | float)
                shown = f"{float(value):.12g}"
            elif isinstance(value, bytes):
                shown = value.hex()
            elif isinstance(value, str):
                shown = escaped(value)
            yield _found(name, at + base if at < base else at, node.size, shown)
        for child in node.children:
            yield from walk(child, at, False)

    for layer in root.children:
        yield from walk(layer, 0, True)


def _theirs(script: Path, capture: Path, mine: list[Counter[Found]]) -> list[Counter[Found]]:
    found = []
    packets = ElementTree.fromstring(run(script, capture, "-T", "pdml")).iter("packet")
    for packet, here in zip(packets, mine, strict=True):
        wanted = {each.name for each in here}
        names = wanted | {node.get("name", "") for node in packet.iter("field")}
        carries = any(name.startswith(("qmux.", "mbim.")) and name in _KINDS for name in names)
        values = (_of_pdml(node, carries) for node in packet.iter("field"))
        found.append(Counter(each for each in values if each and (each.name in wanted or each.name not in _SETUP)))
    return found


def _of_pdml(node: ElementTree.Element, carries: bool) -> Found | None:
    name, shown = node.get("name", ""), node.get("show", "")
    if name == EXPERT:
        return Found(name, 0, 0, shown) if carries else None
    if name.startswith("mbim.") and name not in _KINDS:
        return None  # Wireshark's own
    ours = name.startswith(_NAMES) if carries else name.startswith("usbcom.interrupt.")
    if not ours and name not in _HEADER and not (carries and name in _SETUP):
        return None
    at, size = int(node.get("pos", 0)), int(node.get("size", 0))
    if name == "usb.device_address" and at > usb.USBMON.size:
        return None  # what SET_ADDRESS sets
    kind, value = _KINDS.get(name) or (spec.kind if (spec := registry().field(name)) else None), shown
    made: object = value
    if name in _CHARACTERS:
        made = int(node.get("value", ""), 16)
    elif kind in (Kind.UINT, Kind.INT):
        made = int(shown, 0)
    elif kind is Kind.BOOL:
        made = shown in ("1", "True")
    elif kind is Kind.FLOAT:
        made = f"{float(shown):.12g}"
    elif kind is Kind.BYTES:
        made = shown.replace(":", "")
    elif kind is Kind.NONE:
        made = None
    return _found(name, at, size, made)


def _found(name: str, at: int, size: int, value: object) -> Found:
    return Found(name, at if size else 0, size, value)


@pytest.mark.parametrize(("link_type", "order"), [*((each, "<") for each in LINK_TYPES), (189, ">"), (220, ">")])
def test_conversations(link_type: int, order: str, tmp_path: Path, script: Path) -> None:
    capture = save(tmp_path / "usb.pcap", link_type, conversation(1, link_type, order=order), order)
    assert not disagreements(script, capture)[:20]


@pytest.mark.parametrize("capture", sorted(CAPTURES.glob("usb-*.pcapng")), ids=lambda path: path.stem)
def test_samples(capture: Path, script: Path) -> None:
    assert not disagreements(script, capture)[:20]


@pytest.mark.parametrize("link_type", LINK_TYPES)
def test_the_list_is_the_same(link_type: int, tmp_path: Path, script: Path) -> None:
    capture = save(tmp_path / "usb.pcap", link_type, conversation(2, link_type))
    store, dissector = load(capture), Dissector(registry())
    rows = [dissector.summary(store.frame(row), store.context(row)) for row in range(len(store))]
    packets = ElementTree.fromstring(run(script, capture, "-T", "psml")).iter("packet")
    shown = [tuple(node.text or "" for node in packet)[2:] for packet in packets]
    # What carries no message Wireshark describes in its own words; and it says itself what was not captured.
    wanted = [(each.source, each.destination, each.protocol, each.info) for each in rows]
    got = [(*names, info.removesuffix("[Packet size limited during capture]")) for *names, _, info in shown]
    pairs = [pair for pair in zip(wanted, got, strict=True) if pair[0][2] != "USB" or pair[1][2] != "USB"]
    assert sum(protocol.startswith("QMI") for _, (_, _, protocol, _) in pairs) > 50
    assert [pair for pair in pairs if pair[0] != pair[1]][:10] == []


@pytest.mark.parametrize("link_type", LINK_TYPES)
def test_damaged_records_give_no_lua_error(link_type: int, tmp_path: Path, script: Path) -> None:
    assert not lua_errors(script, save(tmp_path / "usb.pcap", link_type, damaged(link_type, 2)))


# Wireshark shows foreign data and standard requests under other names, and has no text of single characters.
_HERE_ONLY = ("frame", "tap", "expert", "data", "usb.setup", "usb.src", "usb.dst", *_CHARACTERS)


@pytest.mark.parametrize("link_type", LINK_TYPES)
def test_one_filter_two_tools(link_type: int, tmp_path: Path, script: Path) -> None:
    capture = save(tmp_path / "usb.pcap", link_type, conversation(4, link_type))
    store, dissector = load(capture), Dissector(registry())
    maker = Maker(store, dissector, random.Random(link_type), lambda name: name.startswith(_HERE_ONLY))
    filters = [text for text in FILTERS if "data.data" not in text and "expert" not in text]
    filters += [maker.filter() for _ in range(100)]
    found = found_by_tshark(script, capture, filters, tmp_path)
    for text, theirs in zip(filters, found, strict=True):
        chosen = compile_filter(text, registry())
        assert theirs == [row + 1 for part in chosen.rows(store, dissector) for row in part.rows], text
