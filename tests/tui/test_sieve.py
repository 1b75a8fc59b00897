# SPDX-License-Identifier: GPL-2.0-or-later
from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import cast

from qmisniff.dissect import Dissector
from qmisniff.filter import Filter, compile_filter
from qmisniff.filter.compile import Found
from qmisniff.store import Store
from qmisniff.tui.sieve import Prefix, Sieve
from tests.tui.conversation import IDS, IDS_ASKED, SERVING_ASKED, SERVING_REFUSED, SIGNAL, conversation
from tests.tui.scripted import dissector, wait
from tests.tui.tmux import PATIENCE_S


def sifted(sieve: Sieve, store: Store) -> list[int]:
    """What passes once all rows were asked."""

    def asked() -> bool:
        sieve.step()
        assert not sieve.problem, sieve.problem
        return sieve.asked == len(store) and not sieve.running

    wait(asked)
    return list(sieve.rows)


def filled() -> Store:
    store = Store()
    store.extend(conversation())
    return store


def test_without_a_filter_all_rows_pass() -> None:
    sieve = Sieve(filled(), dissector())
    assert sieve.rows == range(7) and not sieve.running and sieve.filter is None


def test_rows_that_come_later_are_asked_too() -> None:
    store = filled()
    sieve = Sieve(store, dissector())
    sieve.use(compile_filter("qmi.type == response", dissector().registry))
    assert sifted(sieve, store) == [IDS, SERVING_REFUSED]
    before = sieve.rows
    store.extend(conversation())
    assert sifted(sieve, store) == [IDS, SERVING_REFUSED, IDS + 7, SERVING_REFUSED + 7]
    assert list(before) == [IDS, SERVING_REFUSED]  # what was handed out does not change


def test_a_request_that_is_answered_later_is_asked_again() -> None:
    store = Store()
    frames = conversation()
    store.extend(frames[: IDS_ASKED + 1])
    unanswered, answered = (Sieve(store, dissector()) for _ in range(2))
    unanswered.use(compile_filter("qmi.type == request && !qmi.response_in", dissector().registry))
    answered.use(compile_filter("qmi.response_in", dissector().registry))
    assert (sifted(unanswered, store), sifted(answered, store)) == ([IDS_ASKED], [])
    store.extend(frames[IDS_ASKED + 1 : SERVING_ASKED + 1])
    assert (sifted(unanswered, store), sifted(answered, store)) == ([SERVING_ASKED], [IDS_ASKED])
    store.extend(frames[SERVING_ASKED + 1 :])
    assert (sifted(unanswered, store), sifted(answered, store)) == ([], [IDS_ASKED, SERVING_ASKED])


class Slow:
    """A filter that waits to be let on before each row."""

    text = "slow"
    uses = frozenset[str]()

    def __init__(self) -> None:
        self.on = threading.Semaphore(0)
        self.ended = threading.Event()

    def rows(
        self, store: Store, dissector: Dissector, start: int, stop: int | None, cancel: Callable[[], bool]
    ) -> Iterator[Found]:
        try:
            for row in range(start, len(store)):
                self.on.acquire(timeout=PATIENCE_S)
                if cancel():
                    return
                yield Found([row], row + 1)
        finally:
            self.ended.set()


def test_a_newer_filter_ends_an_older_one_and_results_come_piece_by_piece() -> None:
    store, slow = filled(), Slow()
    sieve = Sieve(store, dissector())
    sieve.use(cast(Filter, slow))
    slow.on.release(2)
    wait(lambda: sieve.asked == 2)
    assert list(sieve.rows) == [0, 1] and sieve.running
    sieve.use(compile_filter("qmi.type == indication", dissector().registry))
    assert sifted(sieve, store) == [SIGNAL]
    slow.on.release()
    assert slow.ended.wait(PATIENCE_S)
    assert list(sieve.rows) == [SIGNAL]


def test_a_packet_that_breaks_the_filter_is_said_and_what_passed_stays() -> None:
    class Broken(Slow):
        def rows(self, *arguments: object) -> Iterator[Found]:
            yield Found([0, 1], 3)
            raise ValueError("odd")

    sieve = Sieve(filled(), dissector())
    sieve.use(cast(Filter, Broken()))
    wait(lambda: not sieve.running)
    assert sieve.problem == "the filter stopped at packet 4: ValueError: odd"
    assert list(sieve.rows) == [0, 1]
    sieve.step()
    assert not sieve.running  # it is not tried again and again


def test_the_beginning_of_a_list() -> None:
    rows = [2, 3, 5, 7]
    prefix = Prefix(rows, 3)
    rows.append(11)
    assert list(prefix) == [2, 3, 5] and prefix[-1] == 5 and prefix[1:] == [3, 5] and 7 not in prefix
