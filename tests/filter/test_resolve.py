# SPDX-License-Identifier: GPL-2.0-or-later
"""What is refused before a packet is seen, what is said about it, and where the marks stand."""

from __future__ import annotations

import pytest

from qmisniff.field import FieldSpec, Kind
from qmisniff.filter import FilterError, compile_filter
from tests.filter import capture


def refused(text: str) -> tuple[str, str]:
    """The message for a filter, and the characters it points to."""
    with pytest.raises(FilterError) as caught:
        compile_filter(text, capture.registry())
    error = caught.value
    return str(error).splitlines()[0], text[error.span.start : error.span.end]


@pytest.mark.parametrize(
    ("text", "wrong", "says"),
    [
        # names
        ("frame.lenn > 3", "frame.lenn", "did you mean frame.len?"),
        ("FRAME.len > 3", "FRAME.len", "did you mean frame.len?"),
        ("qmi.nas.get_signal_inf.lte.rsrp", "qmi.nas.get_signal_inf.lte.rsrp", "did you mean qmi.nas.get_signal_info?"),
        ("qmi.nas.get_signal_info.lte.rsrpp < 3", "qmi.nas.get_signal_info.lte.rsrpp", "lte.rsrp?"),
        ("qmi.nass.get_signal_info.lte", "qmi.nass.get_signal_info.lte", "did you mean qmi.nas?"),
        ("qmi.nas.get_signal_info", "qmi.nas.get_signal_info", "packets are qmi.service == 3 && qmi.msgid == 0x4f)"),
        ("qmi && !qmi.nas", "qmi.nas", "its packets are qmi.service == 3)"),
        ("nonsense", "nonsense", "neither a field nor a protocol"),
        ('tap.comm == "a" or x.y == 3', "x.y", "neither a field nor a protocol"),
        ("frame.len == tap.pidd", "tap.pidd", "did you mean tap.pid?"),
        ("squareroot(frame.len) == 3", "squareroot", "no function"),
        # what stands alone
        ("1", "1", "neither a field nor a protocol"),
        ('"abc"', '"abc"', "neither a field nor a protocol"),
        ("true", "true", "neither a field nor a protocol"),
        ("len(tap.comm)", "len(tap.comm)", "a function alone"),
        # the left side
        ("5 == 5", "5", "the left side of == is a field or a function"),
        ("60 < frame.len", "60", "the left side"),
        ("qmi.nas.get_signal_info.lte > 3", "qmi.nas.get_signal_info.lte", "has no value"),
        # literals that do not fit
        ("frame.len == 1.5", "1.5", "no whole number"),
        ("frame.len == abc", "abc", "no whole number"),
        ("frame.len == 09", "09", "no whole number"),
        ("frame.len == -1", "-1", "does not fit"),
        ("qmi.txn == 65536", "65536", "from 0 to 65535"),
        ("qmi.nas.get_signal_info.lte.rsrp == -40000", "-40000", "from -32768 to 32767"),
        ("frame.len == true", "true", "no whole number"),
        ('frame.len == "5"', '"5"', "is not written in quotes"),
        ("qmi.time == abc", "abc", "no number"),
        ("qmi.compound == yes", "yes", "no whole number"),
        ("tap.comm == qmicli", "qmicli", 'a string stands in quotes: "qmicli"'),
        ("tap.comm == 'a'", "'a'", "is a number"),
        ("qmi.tlv.value == xyz", "xyz", "no sequence of bytes"),
        ("qmi.tlv.value == 0x100", "0x100", "no sequence of bytes"),
        ("qmi.wds.get_current_settings.ipv4_address == 10.0.0", "10.0.0", "no IPv4 address"),
        ("qmi.wds.get_current_settings.ipv4_address == 10.0.0.0/33", "10.0.0.0/33", "longer than the address"),
        ("qmi.wds.get_current_settings.ipv4_address < 10.0.0.0/8", "10.0.0.0/8", "== and != only"),
        ('qmi.wds.get_current_settings.ipv4_address == "10.0.0.7"', '"10.0.0.7"', "is not written in quotes"),
        ("qmi.dms.get_mac_address.mac_address == 02:00", "02:00", "2 bytes, a MAC address 6"),
        ('frame.time > "yesterday"', '"yesterday"', "no time"),
        ('frame.time > "2026-13-01 00:00"', '"2026-13-01 00:00"', "no time"),
        # labels
        ("qmi.service == nosuch", "nosuch", "no value of qmi.service"),
        ("qrtr.dst_port == CTRL", "CTRL", "several values: in {65535, 4294967294, 4294967295}"),
        ('qmi.error in {INTERNAL, "WHAT"}', '"WHAT"', "no value of qmi.error"),
        # types that do not meet
        ("frame.len == tap.comm", "tap.comm", "tap.comm is a string, the left side is an unsigned number"),
        ("tap.comm == qmi.tlv.value", "qmi.tlv.value", "the left side is a string"),
        ('frame.len contains "5"', "frame.len", "contains looks into strings and bytes"),
        ('tap.comm contains ""', '""', "nothing is in everything"),
        ('frame.len matches "5"', "frame.len", "string(frame.len) matches"),
        ("tap.comm matches abc", "abc", "double quotes"),
        ("frame.len[0] == 1", "frame.len[0]", "it has no slices"),
        ("tap.synthetic & 1", "tap.synthetic", "& needs an unsigned number"),
        ("frame.len & frame.number", "frame.number", "the mask of & is a number"),
        # functions
        ('upper(frame.len) == "A"', "frame.len", "upper() takes a string"),
        ('upper(lower(tap.comm)) == "A"', "lower(tap.comm)", "upper() takes a field"),
        ('upper() == "A"', "upper()", "takes one argument"),
        ("len(tap.comm, tap.comm) == 1", "len(tap.comm, tap.comm)", "takes one argument"),
        ("max(1, 2) == 2", "max(1, 2)", "max() needs a field"),
        ("max(frame.len, tap.comm) == 2", "tap.comm", "tap.comm is a string"),
        ("max(tap.comm) == 2", "tap.comm", "max() takes numbers"),
        ('string(tap.comm) == "a"', "tap.comm", "string() takes"),
        ("abs(-5) == 5", "-5", "neither a field nor a protocol"),
        # sets
        ("len(tap.comm) in {1}", "len(tap.comm)", "only a field can be in a set"),
        ("all frame.len in {1}", "all frame.len in {1}", "versions of Wireshark differ"),
        ("qmi.wds.get_current_settings.ipv4_address in {10.0.0.0/8..10.0.0.1}", "10.0.0.0/8", "address to address"),
        # regular expressions
        ('tap.comm matches "["', '"["', "missing ]"),
        (r'tap.comm matches r"(a)\1"', r'r"(a)\1"', "invalid escape"),
        ('tap.comm matches "(?=a)"', '"(?=a)"', "invalid perl operator"),
        (r'tap.comm matches r"\pL"', r'r"\pL"', "not supported"),
        ('tap.comm matches "a$b"', '"a$b"', "$ stands at the end"),
        ('tap.comm matches ""', '""', "an empty expression"),
    ],
)
def test_errors_say_what_and_where(text: str, wrong: str, says: str) -> None:
    message, marked = refused(text)
    assert says in message
    assert marked == wrong


def test_only_the_services_named_are_read() -> None:
    from qmisniff.definitions import open_registry

    fresh = open_registry()
    read: list[int] = []
    load = fresh.service
    fresh.service = lambda number: read.append(number) or load(number)  # type: ignore[method-assign, func-returns-value]
    compile_filter("qmi.nas.get_signal_info.lte.rsrp < -100 and frame.len > 3", fresh)
    assert set(read) == {3}


def test_nothing_in_a_filter_reaches_the_terminal_as_an_escape() -> None:
    with pytest.raises(FilterError) as caught:
        compile_filter('tap.comm == "\x1b[31m" or frame.len == "\x1b[31m"', capture.registry())
    shown = str(caught.value)
    assert "\x1b" not in shown
    # The marks stand under what is shown, not under what was typed.
    _, text, marks = shown.splitlines()
    assert text[marks.index("^") : len(marks)] == '"\\x1b[31m"'


def test_every_layer_of_a_frame_is_a_protocol() -> None:
    from qmisniff.dissect import transport

    for layer in vars(transport).values():
        if isinstance(layer, FieldSpec) and layer.kind is Kind.NONE:
            compile_filter(layer.name, capture.registry())
