# SPDX-License-Identifier: GPL-2.0-or-later
"""What is offered while a filter is typed. The cursor stands at the |."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qmisniff.filter import FilterError, compile_filter
from qmisniff.filter.catalogue import Catalogue
from qmisniff.filter.complete import Candidate, complete
from tests.filter import capture

CATALOGUE = Catalogue(capture.registry())


def offered(text: str) -> dict[str, Candidate]:
    cursor = text.index("|")
    found = complete(text.replace("|", "", 1), cursor, CATALOGUE)
    assert len({each.text for each in found}) == len(found)
    return {each.text: each for each in found}


@pytest.mark.parametrize(
    ("text", "some", "none"),
    [
        ("|", ["frame", "qmi", "not", "any", "len("], ["==", "and", "frame.len"]),
        ("fr|", ["frame"], ["qmi", "not"]),
        ("frame.|", ["frame.len", "frame.time"], ["frame", "qmi"]),
        ("qmi.na|", ["qmi.nas."], ["qmi.wds."]),
        ("qmi.nas.get_sig|", ["qmi.nas.get_signal_info."], ["qmi.nas.get_signal_info", "qmi.nas.network_scan."]),
        ("qmi.nas.get_signal_info.|", ["qmi.nas.get_signal_info.lte"], ["qmi.nas.get_signal_info.lte.rsrp"]),
        ("qmi.nas.get_signal_info.lte.|", ["qmi.nas.get_signal_info.lte.rsrp"], []),
        ("QMI.nas.get_signal_info.lte.r|", ["qmi.nas.get_signal_info.lte.rsrp"], ["qmi.nas.get_signal_info.lte.snr"]),
        ("frame.len |", ["==", "in", "&", "and"], ["contains", "frame", "true"]),
        ("tap.comm |", ["==", "contains", "matches", "or"], ["&", "frame"]),
        ("tap.comm con|", ["contains"], ["matches", "=="]),
        ("qmi.nas.get_signal_info.lte |", ["and"], ["=="]),
        ("qmi.type == |", ["Request", "Response"], ["==", "and", "true"]),
        ("qmi.type == re|", ["Request", "Response"], ["Indication"]),
        ("qmi.service in {|", ["NAS", "DMS"], ["and"]),
        ("qmi.service in {NAS, d|", ["DMS"], ["NAS"]),
        ("tap.synthetic == |", ["true", "false"], ["and"]),
        ("qrtr.dst_port == |", [], ["CTRL"]),
        ("frame.len == 3 |", ["and", "or", "xor"], ["==", "frame"]),
        ("frame.len == 3 and |", ["frame", "not", "max("], ["==", "and"]),
        ("not (qm|", ["qmi", "qmux"], ["frame"]),
        ("len(ta|", ["tap"], ["frame"]),
        ("len(tap.comm) |", ["=="], ["frame"]),
        ("tap.comm[0:2] |", ["==", "contains"], ["&"]),
        ('tap.comm == "fra|', [], ["frame"]),
        ("frame.len == | and qmi", [], ["frame", "and"]),
        ("rsrp|", ["qmi.nas.get_signal_info.lte.rsrp"], ["qmi.nas.get_signal_info.lte", "frame"]),
        ("not (Signal_Info.l|", ["qmi.nas.get_signal_info.lte"], ["qmi"]),
        ("rs|", [], ["qmi.nas.get_signal_info.lte.rsrp"]),
        ("frame.len rsrp|", [], ["qmi.nas.get_signal_info.lte.rsrp"]),
        ("qmi.type == rsrp|", [], ["qmi.nas.get_signal_info.lte.rsrp"]),
    ],
)
def test_what_can_follow(text: str, some: list[str], none: list[str]) -> None:
    found = offered(text)
    assert set(some) <= set(found)
    assert not set(none) & set(found)


def test_candidates_say_what_they_are() -> None:
    assert offered("frame.le|")["frame.len"] == Candidate("frame.len", 0, "an unsigned number", "Length")
    assert offered("qmi and qmi.nas.get_signal_in|")["qmi.nas.get_signal_info."].description == "Get Signal Info"
    assert offered("qmi and rsrp|")["qmi.nas.get_signal_info.lte.rsrp"] == Candidate(
        "qmi.nas.get_signal_info.lte.rsrp", 8, "a number", "NAS Get Signal Info"
    )
    assert offered("qmi.type == |")["Response"] == Candidate("Response", 12, "value", "1")


def test_labels_that_are_no_word_are_quoted_and_mean_their_value() -> None:
    for name in ("qmux.flags", "qmi.error", "tap.hook", "qmi.service"):
        for each in offered(f"{name} == |").values():
            compile_filter(f"{name} == {each.text}", capture.registry())


@given(st.text(alphabet='qmi.nastfrel ()[]{}"=<,&|!01', max_size=25), st.integers(0, 25))
def test_any_text_can_be_completed(text: str, cursor: int) -> None:
    cursor = min(cursor, len(text))
    for each in complete(text, cursor, CATALOGUE):
        assert 0 <= each.start <= cursor


def test_every_field_offered_is_one() -> None:
    for prefix in ("", "frame.", "tap.", "qrtr.", "qmi.", "qmi.nas.get_signal_info.", "qmi.nas.get_signal_info.lte."):
        for each in offered(f"{prefix}|").values():
            if each.type not in ("fields", "function", "operator"):
                try:
                    compile_filter(each.text, capture.registry())
                except FilterError as error:
                    raise AssertionError(each) from error
