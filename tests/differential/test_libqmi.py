# SPDX-License-Identifier: GPL-2.0-or-later
"""Every message that libqmi 1.32 knows: the same TLVs in the same order with the same values.

Both read the same random bodies, made out of our definitions. A value that libqmi prints by name is compared as a
number: see agreement.Names. What differs is in EXPLAINED, with the reason; nothing else may, and nothing there may
agree. Names that differ are in libqmi_names.py.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from qmisniff.definitions.model import KINDS
from qmisniff.dissect import Dissector
from qmisniff.protocol.errors import ERRORS
from tests.differential.agreement import Finding, Names, plain_name, same_name, tlv_findings
from tests.differential.corpus import RESPONSE, SERVICES, Case, Sample, cases, message, registry, sample
from tests.differential.libqmi_names import NAMES
from tests.differential.test_round_trip import outcome
from tests.factories import tlv
from tests.oracle.libqmi import Oracle, available, messages_compiled_in, qmi_message, qmux
from tests.oracle.printed import PrintedMessage, parse_message

pytestmark = pytest.mark.skipif(not available(), reason="libqmi-glib is not installed (tests/setup-debian)")

SAMPLES = 8
VENDORS = (0, 0x1199, 0x03F0, 0x0489, 0x0490, 0x413C)  # none, Sierra, HP, Foxconn (two ids), Dell
ASKED = [number for number in SERVICES if number < 256]  # what fits in a QMUX frame

# Filter name -> why libqmi says something else about it.
_LEVELS = "its names are only level-0 to level-8, which is the number"
EXPLAINED = {
    "qmi.dms.foxconn_set_fcc_authentication.code.magic_string": "another vendor's layout of the same id, a text where "
    "libqmi reads one byte for this vendor",
    "qmi.dms.activate_manual.prl.segment": "libqmi prints the sequence number and the elements, and not the count",
    "qmi.loc.event_fix_session_state.session_id": "one byte in the location service's own tables; libqmi reads the "
    "fix recurrence of Start here, and gives the message that name too",
    "qmi.loc.event_position_report.sensor_data_usage": "two masks of 32 bits, which libqmi reads as one of 64",
    "qmi.nas.get_signal_info.hdr.sinr": _LEVELS,
    "qmi.nas.get_signal_strength.sinr": _LEVELS,
    "qmi.nas.set_event_report.sinr": _LEVELS,
    "qmi.nas.signal_info.hdr.sinr": _LEVELS,
}

# What libqmi has code for and cannot be asked about.
_ID_TAKEN = "its id is another vendor's message's, which is the one defined"
_NOT_PRINTED = "libqmi 1.32 does not print its service"
NOT_ASKED = {
    "message_dms_dell_change_device_mode": _ID_TAKEN,
    "message_dms_dell_get_firmware_version": _ID_TAKEN,
    "message_dms_foxconn_set_fcc_authentication_v2": _ID_TAKEN,
    "message_dms_swi_get_current_firmware": _ID_TAKEN,
    "message_sar_rf_get_state": _NOT_PRINTED,
    "message_sar_rf_set_state": _NOT_PRINTED,
    "message_wds_get_default_profile_num": "printed as Get Default Profile Number",
    "message_wds_set_default_profile_num": "printed as Set Default Profile Number",
}


@pytest.fixture(scope="module")
def oracle() -> Oracle:
    return Oracle()


@pytest.fixture(scope="module")
def names(oracle: Oracle) -> Names:
    return Names(oracle.enums() | oracle.flags())


def printed(oracle: Oracle, case: Case, data: bytes, vendor: int) -> PrintedMessage:
    return parse_message(oracle.printable(qmux(case.service.header.id, case.kind, data), vendor))


def called(case: Case, name: str) -> bool:
    """Whether this is libqmi's name of our message."""
    indication = KINDS[case.kind] == "indication" and case.message.indication_title
    ours = indication or case.message.title
    return plain_name(ours) == plain_name(name) or same_name(f"{case.service.prefix}.{case.message.name}", name)


def vendor_of(oracle: Oracle, case: Case) -> int | None:
    """The vendor for whose devices libqmi knows this message, 0 where it is everybody's, None where it knows none."""
    known = {vendor: printed(oracle, case, message(case, b""), vendor).name for vendor in VENDORS}
    for vendor, name in known.items():
        if name is not None and called(case, name):
            return vendor
    return next((vendor for vendor, name in known.items() if name is not None), None)


def findings(oracle: Oracle, names: Names, case: Case, vendor: int) -> Iterator[Finding]:
    """Every difference about one message."""
    path = f"{case.service.prefix}.{case.message.name}"
    theirs = printed(oracle, case, message(case, b""), vendor)
    assert theirs.name is not None
    if not called(case, theirs.name):
        yield path, f"libqmi calls it {theirs.name!r}"
    ours = {each.id for each in case.message.tlvs[case.kind] or ()} | ({2} if case.kind == RESPONSE else set())
    others = b"".join(tlv(number, b"") for number in range(1, 256) if number not in ours)
    for unknown in printed(oracle, case, message(case, others), vendor).tlvs:
        if unknown.name is not None:
            yield path, f"libqmi knows TLV 0x{unknown.id:02x} {unknown.name!r} of the {KINDS[case.kind]}"
    for seed in range(SAMPLES):
        yield from sample_findings(oracle, names, case, vendor, sample(case, f"libqmi {seed}"))


def sample_findings(oracle: Oracle, names: Names, case: Case, vendor: int, made: Sample) -> Iterator[Finding]:
    found = printed(oracle, case, made.data, vendor).tlvs
    if case.kind == RESPONSE:
        result, *found = found
        assert (result.name, result.value) == ("Result", "SUCCESS")
    assert [each.id for each in found] == [each.id for each, _ in made.tlvs]
    for (ours, node), theirs in zip(made.tlvs, found, strict=True):
        if theirs.name is not None:
            yield from tlv_findings(ours, node, theirs, names)


@pytest.mark.parametrize("number", ASKED, ids=lambda number: registry().headers[number].name)
def test_libqmi_reads_the_same_values(oracle: Oracle, names: Names, number: int) -> None:
    dissector = Dissector(registry())
    wrong: dict[str, str] = {}
    for case in cases(number):
        vendor = vendor_of(oracle, case)
        if vendor is None:
            continue
        for path, text in findings(oracle, names, case, vendor):
            wrong.setdefault(path, f"{path} ({KINDS[case.kind]}): {text}")
        # The encoder's values stand for ours above; here they are held against the decoder on the same bytes.
        for text in (text for seed in range(SAMPLES) for text in outcome(dissector, case, f"libqmi {seed}")):
            wrong.setdefault(str(case), text)
    unexplained = [text for path, text in wrong.items() if path not in EXPLAINED]
    advice = "(where only a name is another one, and right: libqmi_names.py)"
    assert not unexplained, "\n".join([f"{len(unexplained)} disagreements {advice}", *unexplained])
    prefix = f"qmi.{registry().headers[number].name}."
    stale = [path for path in EXPLAINED if path.startswith(prefix) and path not in wrong]
    assert not stale, f"these agree by now: {stale}"


def test_all_that_libqmi_knows_is_defined(oracle: Oracle) -> None:
    """The ranges in which a search over all 65,536 ids of all services found every message that it found."""
    missing = []
    count = 0
    for number in range(256):
        defined = {(case.message.id, case.kind) for case in cases(number)}
        for kind in range(3):
            for id_ in (*range(0x300), *range(0xF00, 0xF10), *range(0x5500, 0x5600), *range(0xFF00, 0x10000)):
                theirs = oracle.printable(qmux(number, kind, qmi_message(number, kind, id_, b"")))
                if 'message     = "' in theirs:
                    count += 1
                    if (id_, kind) not in defined:
                        missing.append((number, KINDS[kind], hex(id_), parse_message(theirs).name))
    assert missing == []
    assert count == 550


@pytest.mark.parametrize("path", NAMES)
def test_a_name_in_the_table_is_one_of_ours_and_not_libqmi_s(path: str) -> None:
    service, message = path.split(".")[1:3]
    known = registry().service_named(service)
    assert registry().field(path) or (known and path.count(".") == 2 and known.message_named(message))
    assert plain_name(path.rpartition(".")[2]) != plain_name(NAMES[path])


def test_error_names_are_libqmi_s(oracle: Oracle) -> None:
    name = oracle.enums()["qmi_protocol_error"]
    theirs = {code: text for code in range(0x10000) if (text := name(code)) != "(null)"}
    ours = {code: plain_name(text) for code, text in ERRORS.items()}
    differing = {code: text for code, text in theirs.items() if ours.get(code) != plain_name(text)}
    assert differing == {105: "Pin1Restriction"}  # a slip there: the C name of its constant says PIN2, and 104 is PIN


def test_the_oracle_was_asked_about_everything_it_has(oracle: Oracle) -> None:
    """Names of what libqmi has code for, against names of what the comparison above asked about."""
    asked = set()
    for case in (case for number in ASKED for case in cases(number)):
        vendor = vendor_of(oracle, case)
        if vendor is not None:
            name = printed(oracle, case, message(case, b""), vendor).name or ""
            kind = "indication" if KINDS[case.kind] == "indication" else "message"
            asked.add(plain_name(f"{kind}{case.service.header.name}{name}"))
    left = {name for name in messages_compiled_in() if plain_name(name) not in asked}
    assert left == NOT_ASKED.keys()
