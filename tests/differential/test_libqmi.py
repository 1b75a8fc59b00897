# SPDX-License-Identifier: GPL-2.0-or-later
"""Every message that libqmi 1.32 knows: the same TLVs in the same order with the same values.

Both read the same random bodies, made out of our definitions. A value that libqmi prints by name is compared as a
number: see agreement.Names. What differs is in EXPLAINED, with the reason; nothing else may, and nothing there may
agree. Names that differ are in libqmi_names.py.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, given, seed, settings

from qmisniff.definitions.model import KINDS
from qmisniff.dissect import Dissector
from qmisniff.protocol.errors import ERRORS
from tests.differential.agreement import Finding, Names, plain_name, same_name, swapped, tlv_findings
from tests.differential.corpus import RESPONSE, SERVICES, Case, Sample, cases, message, registry, sample, samples
from tests.differential.libqmi_names import NAMES
from tests.differential.test_round_trip import lost, outcome
from tests.factories import tlv
from tests.oracle.libqmi import Oracle, available, messages_compiled_in, qmi_message, qmux
from tests.oracle.printed import PrintedMessage, parse_message

pytestmark = pytest.mark.skipif(not available(), reason="libqmi-glib is not installed (tests/setup-debian)")

SAMPLES = 8
EXAMPLES = 12  # of each message, by hypothesis
SEED = 20261  # of hypothesis: the same bodies in each run
VENDORS = (0, 0x1199, 0x03F0, 0x0489, 0x0490, 0x413C)  # none, Sierra, HP, Foxconn (two ids), Dell
ASKED = [number for number in SERVICES if number < 256]  # what fits in a QMUX frame

# Filter name -> why libqmi says something else about it.
_FLOATS = "floating point in the vendors' own interfaces; libqmi reads whole numbers"
_MODE = "0 is no service in a vendor's interface, which has a number for unknown; libqmi calls that unknown"
_REVISION = "0, 2, 3, 4 in two vendors' documents; libqmi counts 0, 1, 2, 3"
_SECTOR = "a sector id of 128 bits, which libqmi reads as a text of 16 characters"
_SIGNED = "negative in the south and west, as 3GPP2 C.S0005 and other messages have it; libqmi reads it unsigned here"
EXPLAINED = {
    "qmi.dms.activate_manual.prl.segment": "libqmi prints the sequence number and the elements, and not the count",
    "qmi.dms.foxconn_set_fcc_authentication.code": "Value and Magic String in libqmi: layouts of two vendors, one TLV",
    "qmi.loc.event_fix_session_state.session_id": "one byte in the location service's own tables; libqmi reads the "
    "fix recurrence of Start here, and gives the message that name too",
    "qmi.loc.event_position_report.sensor_data_usage": "two masks of 32 bits, which libqmi reads as one of 64",
    "qmi.nas.get_cell_location_info.cdma.latitude": _SIGNED,
    "qmi.nas.get_cell_location_info.cdma.longitude": _SIGNED,
    "qmi.nas.get_home_network.home_network_3gpp2_ext.description_encoding": "as 3GPP2 C.R1001 and a vendor's interface "
    "have it",
    "qmi.nas.get_serving_system.universal_time_and_local_time_zone_3gpp.time_zone": "west of Greenwich it is negative, "
    "as in every other time of the service; libqmi reads it unsigned here",
    "qmi.nas.get_signal_info.tdma_extended.ecio": _FLOATS,
    "qmi.nas.get_signal_info.tdma_extended.rscp": _FLOATS,
    "qmi.nas.get_signal_info.tdma_extended.rssi": _FLOATS,
    "qmi.nas.get_signal_info.tdma_extended.sinr": _FLOATS,
    "qmi.nas.get_system_info.hdr": _SECTOR,
    "qmi.nas.get_system_info.hdr.is_856_system_id": _SECTOR,
    "qmi.nas.get_system_info.hdr.protocol_revision": _REVISION,
    "qmi.nas.set_event_report.lte_snr_delta": "one byte in libqmi, two in the vendors' own interface: both are read",
    "qmi.nas.system_info.hdr": _SECTOR,
    "qmi.nas.system_info.hdr.is_856_system_id": _SECTOR,
    "qmi.nas.system_info.hdr.protocol_revision": _REVISION,
    "qmi.voice.all_call_status.call_information.mode": _MODE,
    "qmi.voice.get_all_call_info.call_information.mode": _MODE,
    "qmi.voice.originate_ussd.supplementary_service": "one byte in libqmi, two in a vendor's interface: both are read",
    "qmi.voice.start_continuous_dtmf.data.digit": "the character of a key, as in the other DTMF messages; libqmi has "
    "its number",
    "qmi.wms.list_messages.message_mode": "Message Tag in libqmi, and the mode a TLV later: three vendors' interfaces "
    "have the tag as 0x10 and the mode as 0x11",
    "qmi.wms.set_event_report.smsc_address": "vendors' interfaces have a length before the text: where one fits, it is "
    "read as that; libqmi never does",
    "qmi.loc.event_gnss_sv_info.sv_list.sv_info_mask": "bits 1 ephemeris and 2 almanac; libqmi has numbers 0 and 1",
    "qmi.pdc.load_config.token_or_reset": "one byte in older sources, which have no token in this response",
}

# What libqmi has code for and cannot be asked about.
_NO_VENDOR = "printed for none of the 65,535 vendors"
_NOT_PRINTED = "libqmi 1.32 does not print its service"
NOT_ASKED = {
    "message_dms_dell_change_device_mode": _NO_VENDOR,
    "message_dms_dell_get_firmware_version": _NO_VENDOR,
    "message_sar_rf_get_state": _NOT_PRINTED,
    "message_sar_rf_set_state": _NOT_PRINTED,
    "message_wds_get_default_profile_num": "printed as Get Default Profile Number",
    "message_wds_set_default_profile_num": "printed as Set Default Profile Number",
}


@pytest.fixture(scope="module")
def oracle() -> Oracle:
    return Oracle()


@pytest.fixture(scope="module")
def names(oracle: Oracle) -> dict[int, Names]:
    """One for each vendor."""
    tables = oracle.enums() | oracle.flags()
    return {vendor: Names(tables) for vendor in VENDORS}


def printed(oracle: Oracle, case: Case, data: bytes, vendor: int) -> PrintedMessage:
    return parse_message(oracle.printable(qmux(case.service.header.id, case.kind, data), vendor))


def called(case: Case, name: str) -> bool:
    """Whether this is libqmi's name of our message."""
    indication = KINDS[case.kind] == "indication" and case.message.indication_title
    ours = indication or case.message.title
    return plain_name(ours) == plain_name(name) or same_name(f"{case.service.prefix}.{case.message.name}", name)


def vendors_of(oracle: Oracle, case: Case) -> list[int]:
    """The vendors for whose devices libqmi knows this message id, first the one by whose name we know it; 0 is
    everybody's. Where two vendors' messages share an id, a definition may hold the layouts of both."""
    known = {vendor: printed(oracle, case, message(case, b""), vendor).name for vendor in VENDORS}
    found = {name: vendor for vendor, name in reversed(known.items()) if name is not None}  # each name once
    return [found[name] for name in sorted(found, key=lambda name: not called(case, name))]


def findings(oracle: Oracle, names: dict[int, Names], case: Case, vendors: list[int]) -> Iterator[Finding]:
    """Every difference about one message; where several vendors have one, what is left with the best of them."""
    path = f"{case.service.prefix}.{case.message.name}"
    theirs = printed(oracle, case, message(case, b""), vendors[0])
    assert theirs.name is not None
    if not called(case, theirs.name):
        yield path, f"libqmi calls it {theirs.name!r}"
    ours = {each.id for each in case.message.tlvs[case.kind] or ()} | ({2} if case.kind == RESPONSE else set())
    others = b"".join(tlv(number, b"") for number in range(1, 256) if number not in ours)
    for unknown in printed(oracle, case, message(case, others), vendors[0]).tlvs:
        if unknown.name is not None:
            yield path, f"libqmi knows TLV 0x{unknown.id:02x} {unknown.name!r} of the {KINDS[case.kind]}"
    for number in range(SAMPLES):
        yield from best_findings(oracle, names, case, vendors, sample(case, f"libqmi {number}"))


def best_findings(
    oracle: Oracle, names: dict[int, Names], case: Case, vendors: list[int], made: Sample
) -> Iterator[Finding]:
    tries = [list(sample_findings(oracle, names[each], case, each, made)) for each in vendors]
    yield from min(tries, key=lambda found: sum("libqmi calls it" not in text for _, text in found))


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
def test_libqmi_reads_the_same_values(oracle: Oracle, names: dict[int, Names], number: int) -> None:
    dissector = Dissector(registry())
    wrong: dict[str, str] = {}
    for case in cases(number):
        vendors = vendors_of(oracle, case)
        if not vendors:
            continue
        for path, text in findings(oracle, names, case, vendors):
            wrong.setdefault(path, f"{path} ({KINDS[case.kind]}): {text}")
        # The encoder's values stand for ours above; here they are held against the decoder on the same bytes.
        for text in (text for each in range(SAMPLES) for text in outcome(dissector, case, f"libqmi {each}")):
            wrong.setdefault(str(case), text)
    prefix = f"qmi.{registry().headers[number].name}."
    for path, table in (each for vendor in VENDORS for each in names[vendor].settled(prefix)):
        spec = registry().field(path)
        for text in swapped(spec.labels or {}, table) if spec else ():
            wrong.setdefault(path, f"{path}: {text}")
    unexplained = [text for path, text in wrong.items() if path not in EXPLAINED]
    advice = "(where only a name is another one, and right: libqmi_names.py)"
    assert not unexplained, "\n".join([f"{len(unexplained)} disagreements {advice}", *unexplained])
    stale = [path for path in EXPLAINED if path.startswith(prefix) and path not in wrong]
    assert not stale, f"these agree by now: {stale}"


@pytest.mark.parametrize("number", ASKED, ids=lambda number: registry().headers[number].name)
def test_libqmi_reads_the_same_out_of_any_valid_body(oracle: Oracle, names: dict[int, Names], number: int) -> None:
    """Bodies of chosen TLVs with values at their edges, one message after the other; what fails is made small."""
    dissector = Dissector(registry())
    asked = [(case, vendors) for case in cases(number) if (vendors := vendors_of(oracle, case))]
    for case, vendors in asked:  # how libqmi prints each field, so that one small body can disagree with it
        list(findings(oracle, names, case, vendors))
    for case, vendors in asked:
        generated(oracle, names, dissector, case, vendors)


def generated(oracle: Oracle, names: dict[int, Names], dissector: Dissector, case: Case, vendors: list[int]) -> None:
    """Raises AssertionError with the smallest body found about which the two disagree."""
    path = f"{case.service.prefix}.{case.message.name}."
    learned = {vendor: names[vendor].branch(path) for vendor in vendors}

    @seed(SEED)
    @settings(max_examples=EXAMPLES, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(samples(case))
    def agrees(made: Sample) -> None:
        known = {vendor: learned[vendor].branch(path) for vendor in vendors}
        found = best_findings(oracle, known, case, vendors, made)
        wrong = [f"{name}: {text}" for name, text in found if name not in EXPLAINED]
        wrong += lost(dissector, case, made, str(case))
        assert not wrong, "\n".join([f"{case}, {made.data.hex()}:", *wrong])

    agrees()


def test_all_that_libqmi_knows_is_defined(oracle: Oracle) -> None:
    """In these ranges a search over all 65,536 ids of all 256 services found every message that it found."""
    missing = []
    count = 0
    for number in ASKED:
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


def test_the_table_of_names_holds_ours_that_are_not_libqmi_s() -> None:
    for path, name in NAMES.items():
        parts = path.split(".")
        service = registry().service_named(parts[1])
        assert service is not None and service.message_named(parts[2]) is not None, path
        assert len(parts) == 3 or registry().field(path) is not None, path
        assert plain_name(parts[-1]) != plain_name(name), path


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
        for vendor in vendors_of(oracle, case):
            name = printed(oracle, case, message(case, b""), vendor).name or ""
            kind = "indication" if KINDS[case.kind] == "indication" else "message"
            asked.add(plain_name(f"{kind}{case.service.header.name}{name}"))
    left = {name for name in messages_compiled_in() if plain_name(name) not in asked}
    assert left == NOT_ASKED.keys()
