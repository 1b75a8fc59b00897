# SPDX-License-Identifier: GPL-2.0-or-later
"""The summary of a capture against counting one frame after the other."""

from __future__ import annotations

from collections import Counter

from hypothesis import given

from qmisniff.analysis.summary import Summary, summary
from qmisniff.frame import Link
from qmisniff.store import Store
from tests import factories as make
from tests.analysis.traffic import captures, dissector, few, filled, read


@few
@given(captures())
def test_a_summary_is_that_of_the_frames(capture: tuple[Store, list[int]]) -> None:
    store, rows = capture
    frames, seen = [store.frame(row) for row in rows], read(store, rows)
    found = summary(store, dissector(), rows)
    requests = [store.context(each.row) for each in seen if each.kind == 0]
    links = Counter(frame.link for frame in frames)
    assert found == Summary(
        packets=len(frames),
        bytes=sum(frame.orig_len for frame in frames),
        captured=sum(len(frame.data) for frame in frames),
        cut=sum(len(frame.data) < frame.orig_len for frame in frames),
        lost=sum(frame.lost for frame in frames),
        first_ns=min((frame.ts_ns for frame in frames), default=0),
        last_ns=max((frame.ts_ns for frame in frames), default=0),
        links=found.links,
        interfaces=tuple(sorted({frame.origin.name for frame in frames} - {""})),
        services=tuple(sorted({each.service for each in seen} - {-1})),
        requests=len(requests),
        responses=sum(each.kind == 1 for each in seen),
        indications=sum(each.kind == 2 for each in seen),
        unanswered=sum(context.response is None for context in requests),
        errors=sum(each.kind == 1 and each.result > 0 for each in seen),
    )
    assert sorted(count for _, count in found.links) == sorted(links.values())


def test_every_kind_of_packet_has_a_name() -> None:
    store = filled([make.frame(b"", link=link) for link in Link])
    assert sum(count for _, count in summary(store, dissector(), range(len(Link))).links) == len(Link)
