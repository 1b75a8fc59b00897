# SPDX-License-Identifier: GPL-2.0-or-later
"""Packets lost, out of what a kernel counts."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from qmisniff.capture.losses import NOT_PROBED, OVERWRITTEN, Counts, Losses


def test_probed_less_read_less_waiting_is_lost() -> None:
    losses = Losses()
    assert losses.update(Counts(100, 0), heads=60, events=300, waiting=30) == 10
    assert losses.update(Counts(100, 2), heads=70, events=300, waiting=0) == 22
    assert losses.total == 32
    assert losses.causes == {OVERWRITTEN: 30, NOT_PROBED: 2}


def test_what_was_told_is_not_taken_back() -> None:
    losses = Losses()
    assert losses.update(Counts(10, 0), heads=5, events=0, waiting=0) == 5
    assert losses.update(Counts(10, 0), heads=6, events=0, waiting=3) == 0
    assert losses.total == 5


def test_without_a_count_every_event_stands_for_a_packet() -> None:
    losses = Losses()
    assert losses.update(Counts(None, 1), heads=60, events=7, waiting=3) == 8
    assert losses.causes == {OVERWRITTEN: 7, NOT_PROBED: 1}


_STEPS = ("write", "read", "read", "overwrite", "account", "account")


@given(st.lists(st.tuples(st.integers(0, 9), st.sampled_from(_STEPS))))
def test_in_any_order_no_more_is_told_than_was_lost_and_in_the_end_all_of_it(steps: list[tuple[int, str]]) -> None:
    """A ring to which heads and other events are written, out of which the eldest are read or fall."""
    ring: list[bool] = []  # whether an event is a head
    probed = heads = events = lost = told = 0
    losses = Losses()
    for many, what in [*steps, (1000, "read"), (0, "account")]:
        if what == "write":
            ring += [step % 3 == 0 for step in range(many)]
            probed += sum(step % 3 == 0 for step in range(many))
        elif what == "account":
            told += losses.update(Counts(probed, 0), heads, events, len(ring))
            assert told <= lost
        else:
            gone, ring = ring[:many], ring[many:]
            if what == "read":
                heads += sum(gone)
            else:
                lost += sum(gone)
                events += len(gone)
    assert told == losses.total == lost
