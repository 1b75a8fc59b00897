# SPDX-License-Identifier: GPL-2.0-or-later
"""The second opinion itself: libqmi answers, and its text is read back for what it is."""

from __future__ import annotations

import pytest

from tests.factories import tlv
from tests.oracle.libqmi import Oracle, OracleError, available, messages_compiled_in, qmi_message, qmux
from tests.oracle.printed import PrintedError, PrintedTlv, parse_message, parse_value

needs_libqmi = pytest.mark.skipif(not available(), reason="libqmi-glib is not installed (tests/setup-debian)")
NAS, DMS, WDS = 3, 2, 1
SUCCESS = tlv(2, bytes(4))


@pytest.fixture(scope="module")
def oracle() -> Oracle:
    return Oracle()


def ask(oracle: Oracle, service: int, kind: int, message: int, *tlvs: bytes, vendor: int = 0) -> list[PrintedTlv]:
    frame = qmux(service, kind, qmi_message(service, kind, message, b"".join(tlvs)))
    return parse_message(oracle.printable(frame, vendor)).tlvs


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("", ""),
        ("-97", "-97"),
        ("a, b, c", "a, b, c"),
        ("[] is no struct", "[] is no struct"),
        ("{}", []),
        ("[ ]", {}),
        ("{ [0] = '-1 ' [1] = '22 '}", ["-1", "22"]),
        ("{ [0] = ' '}", [""]),
        ("[ a = '1' b_c = 'x, y' ]", {"a": "1", "b_c": "x, y"}),
        ("[ a = '{}' b = '' ]", {"a": [], "b": ""}),
        ("[ a = '[[Seq:7]] { [0] = '1 '}' ]", {"a": {"Seq": "7", "elements": ["1"]}}),
        ("{ [0] = '[ a = '{ [0] = '1 '}' b = '[ c = '2' ]' ] ' [1] = '[ ] '}", [{"a": ["1"], "b": {"c": "2"}}, {}]),
    ],
)
def test_a_translated_value(text: str, value: object) -> None:
    assert parse_value(text) == value


@pytest.mark.parametrize(
    "text",
    ["[ a = '1'", "[ a = '1' a = '2' ]", "[ a '1' ]", "{ [0] = '1'}", "{ [1] = '1 '}", "[ a = '1' ] ", "{ [0] = '1 '"],
)
def test_what_libqmi_would_not_print_is_refused(text: str) -> None:
    with pytest.raises(PrintedError):
        parse_value(text)


@needs_libqmi
def test_a_message_read_whole(oracle: Oracle) -> None:
    body = SUCCESS + tlv(0x14, bytes([0xC4, 0xF5, 0x9F, 0xFF, 0x7B, 0])) + tlv(0x99, b"abc")
    message = parse_message(oracle.printable(qmux(NAS, 1, qmi_message(NAS, 1, 0x4F, body, txn=77))))
    assert message[:5] == ("nas", "response", 77, 0x4F, "Get Signal Info")
    assert message.tlvs == [
        PrintedTlv(2, "Result", bytes(4), "SUCCESS"),
        PrintedTlv(
            0x14,
            "LTE Signal Strength",
            b"\xc4\xf5\x9f\xff\x7b\x00",
            {"rssi": "-60", "rsrq": "-11", "rsrp": "-97", "snr": "123"},
        ),
        PrintedTlv(0x99, None, b"abc"),
    ]


@needs_libqmi
def test_a_value_cut_short_is_an_error_and_no_value(oracle: Oracle) -> None:
    (short,) = ask(oracle, NAS, 1, 0x4F, tlv(0x14, b"\1\2\3"))
    assert (short.name, short.value) == ("LTE Signal Strength", None)
    assert "overflow" in short.error


@needs_libqmi
def test_bytes_left_over_are_an_error_and_no_value(oracle: Oracle) -> None:
    (long,) = ask(oracle, NAS, 1, 0x4F, tlv(0x14, bytes(8)))
    assert (long.name, long.value, long.error) == ("LTE Signal Strength", None, "Additional unexpected '2' bytes")


@needs_libqmi
def test_personal_values_are_shown(oracle: Oracle) -> None:
    (imei,) = ask(oracle, DMS, 1, 0x25, tlv(0x11, b"001010123456780"))
    assert imei.value == "001010123456780"


@needs_libqmi
def test_a_vendor_s_message_needs_the_vendor(oracle: Oracle) -> None:
    status = tlv(0x01, b"\x1f")
    assert ask(oracle, NAS, 1, 0x5556, status)[0].name is None
    assert ask(oracle, NAS, 1, 0x5556, status, vendor=0x1199)[0].name == "Common Info v2"


@needs_libqmi
def test_an_unknown_message_has_no_name(oracle: Oracle) -> None:
    message = parse_message(oracle.printable(qmux(NAS, 0, qmi_message(NAS, 0, 0x7777, tlv(1, b"x")))))
    assert (message.name, message.id, message.flags) == (None, 0x7777, "none")
    assert message.tlvs == [PrintedTlv(1, None, b"x")]


@needs_libqmi
def test_a_broken_frame_is_refused_with_a_reason(oracle: Oracle) -> None:
    whole = qmux(NAS, 1, qmi_message(NAS, 1, 0x4F, SUCCESS))
    with pytest.raises(OracleError):
        oracle.printable(whole[:-1])
    with pytest.raises(OracleError):
        oracle.printable(whole[:11] + b"\xff\xff" + whole[13:])


@needs_libqmi
def test_names_of_values(oracle: Oracle) -> None:
    radio, apn = oracle.enums()["qmi_nas_radio_interface"], oracle.flags()["qmi_wds_apn_type_mask"]
    assert (radio(8), radio(77)) == ("lte", "(null)")
    assert apn(0x103) == "default, ims, ia"


@needs_libqmi
def test_the_library_s_messages_are_listed() -> None:
    assert {"message_dms_get_ids", "message_nas_swi_get_status", "indication_nas_signal_info"} <= messages_compiled_in()
