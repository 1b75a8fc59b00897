# SPDX-License-Identifier: GPL-2.0-or-later
from __future__ import annotations

from collections.abc import Sequence

import pytest

from qmisniff.errors import UsageError
from qmisniff.filter import FilterError
from qmisniff.store import Store
from qmisniff.tui import search as module
from qmisniff.tui.search import By, Hit, Place, Search, Wanted, first_hit
from tests.tui.conversation import IDS, SERVING_REFUSED, conversation
from tests.tui.scripted import dissector


def looked_for(
    store: Store, wanted: Wanted, rows: Sequence[int], line: int, step: int, ordered: bool = True
) -> Hit | None:
    search = Search(wanted, dissector().registry)
    return first_hit(search, store, dissector(), rows, ordered, line, step, lambda: False)


@pytest.mark.parametrize("window", [1, 2, 3, 1000])
@pytest.mark.parametrize("step", [1, -1])
def test_what_is_looked_for_at_once_is_found_as_row_by_row(
    window: int, step: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_PART", window)
    monkeypatch.setattr(module, "_FIRST", window)
    store = Store()
    store.extend(conversation() * 3)
    by_filter = Wanted("qmi.type == response", By.FILTER, Place.LIST)
    wanted = (by_filter, Wanted("rESPonse: get", By.TEXT, Place.LIST), Wanted("^0:.*error", By.REGEX, Place.LIST))
    for each in wanted:
        search = Search(each, dissector().registry)
        for rows in (range(len(store)), [0, 2, 3, 4, 9, 12, 20], [1, 2], [SERVING_REFUSED], [20, 3, 12, 1]):
            if rows == [20, 3, 12, 1] and each is by_filter:
                continue  # in another order than the capture's it is asked row by row
            for line in range(len(rows)):
                many = looked_for(store, each, rows, line, step)
                lines = [(line + step * at) % len(rows) for at in range(1, len(rows) + 1)]
                single = search.hits(store, dissector(), (rows[at] for at in lines), lambda: False)
                assert many == next(single, None), (each, rows, line)


def test_text_is_found_whatever_its_case_and_bytes_exactly() -> None:
    store = Store()
    store.extend(conversation())
    rows = range(len(store))
    assert looked_for(store, Wanted("gET iDS", By.TEXT, Place.LIST), rows, 2, 1) == Hit(IDS)
    imei = conversation()[IDS].data.index(b"00101")
    for text in ("3030313031", "30:30:31 30 31", "0x30 0x30 31 3031"):
        assert looked_for(store, Wanted(text, By.HEX, Place.BYTES), rows, 0, 1) == Hit(IDS, imei)
    assert looked_for(store, Wanted("00101", By.TEXT, Place.BYTES), rows, 0, -1) == Hit(IDS, imei)
    assert looked_for(store, Wanted("0{2}1", By.REGEX, Place.BYTES), rows, 0, 1) == Hit(IDS, imei)
    assert looked_for(store, Wanted("nowhere", By.TEXT, Place.DETAILS), rows, 0, 1) is None
    assert looked_for(store, Wanted("x", By.TEXT, Place.LIST), [], 0, 1) is None


@pytest.mark.parametrize(("text", "by", "error"), [
    ("", By.TEXT, UsageError), ("", By.FILTER, UsageError), ("0g", By.HEX, UsageError), ("123", By.HEX, UsageError),
    (" ", By.HEX, UsageError), ("(", By.REGEX, UsageError), ("a" * 2000, By.REGEX, UsageError),
    ("qmi.nothing", By.FILTER, FilterError),
])  # fmt: skip
def test_what_cannot_be_searched_for_is_said(text: str, by: By, error: type[UsageError]) -> None:
    with pytest.raises(error):
        Search(Wanted(text, by, Place.LIST), dissector().registry)


def test_a_search_that_is_given_up_ends() -> None:
    store = Store()
    store.extend(conversation())
    for by, text in ((By.TEXT, "nowhere"), (By.FILTER, "qmi.txn == 999")):
        search = Search(Wanted(text, by, Place.LIST), dissector().registry)
        assert first_hit(search, store, dissector(), range(7), True, 0, 1, lambda: True) is None
