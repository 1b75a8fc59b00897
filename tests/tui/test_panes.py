# SPDX-License-Identifier: GPL-2.0-or-later
from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from textual.geometry import Region, Size

from qmisniff.tui.panes import LEAST_COLUMNS, LEAST_ROWS, Arrangement, Axis, Bar, Panes, Shares, arrange, split
from tests.tui.scripted import seated

SHARE = st.floats(0, 1)


@given(st.sampled_from(Arrangement), st.integers(0, 300), st.integers(0, 100), SHARE, SHARE)
def test_every_cell_belongs_to_one_region(
    arrangement: Arrangement, width: int, height: int, outer: float, inner: float
) -> None:
    regions = arrange(arrangement, Size(width, height), Shares(outer, inner))
    if regions is None:
        return
    assert sum(region.area for region in regions) == width * height
    whole = Region(0, 0, width, height)
    for at, region in enumerate(regions):
        assert whole.contains_region(region)
        assert not any(region.overlaps(other) for other in regions[at + 1 :])
    for pane in (regions.first, regions.second, regions.third):
        assert pane.height >= LEAST_ROWS
        assert pane.width >= min(width, LEAST_COLUMNS)


@pytest.mark.parametrize(("arrangement", "size"), [
    (Arrangement.STACKED, Size(10, 11)), (Arrangement.BESIDE, Size(25, 7)), (Arrangement.LEFT, Size(25, 7)),
])  # fmt: skip
def test_the_smallest_space_that_will_do(arrangement: Arrangement, size: Size) -> None:
    assert arrange(arrangement, size, Shares(0.5, 0.5)) is not None
    assert arrange(arrangement, Size(size.width, size.height - 1), Shares(0.5, 0.5)) is None


def test_a_share_is_of_what_the_bar_leaves() -> None:
    assert split(Region(0, 0, 80, 21), Axis.ROWS, 0.5, 2, 2) == (
        Region(0, 0, 80, 10),
        Region(0, 10, 80, 1),
        Region(0, 11, 80, 10),
    )


async def test_dragging_a_bar_moves_it_to_the_mouse() -> None:
    async with seated() as seat:
        for number in (0, 1):
            bar = list(seat.main.query(Bar))[number]
            before = bar.region.y
            await seat.pilot.mouse_down(bar, offset=(30, 0))
            await seat.pilot.hover(None, offset=(30, before - 3))
            await seat.pilot.mouse_up(None, offset=(30, before - 3))
            await seat.pilot.pause()
            assert bar.region.y == before - 3
        assert seat.packets.region.height + 1 == seat.details.region.y - seat.packets.region.y


@pytest.mark.parametrize("arrangement", Arrangement)
async def test_a_pane_grows_by_what_it_is_told(arrangement: Arrangement) -> None:
    async with seated() as seat:
        panes = seat.main.query_one(Panes)
        panes.arrangement = arrangement
        await seat.pilot.pause()
        for at, pane in enumerate((seat.packets, seat.details, seat.bytes)):
            pane.focus()
            await seat.pilot.pause()
            axis = arrangement.value[0 if at == 0 else 1]
            before = pane.region
            panes.grow(2)
            await seat.pilot.pause()
            grown = (0, 2) if axis is Axis.ROWS else (2, 0)
            assert (pane.region.width - before.width, pane.region.height - before.height) == grown


async def test_the_bar_of_the_focused_pane_says_so() -> None:
    async with seated() as seat:
        details, of_bytes = seat.main.query(Bar)
        assert not details.focused_pane and not of_bytes.focused_pane
        seat.details.focus()
        await seat.pilot.pause()
        assert details.focused_pane and not of_bytes.focused_pane
        seat.bytes.focus()
        await seat.pilot.pause()
        assert of_bytes.focused_pane and not details.focused_pane


@pytest.mark.parametrize("size", [(20, 5), (20, 9), (5, 3), (1, 1), (300, 100)])
async def test_any_size_of_terminal_will_do(size: tuple[int, int]) -> None:
    async with seated(size=size) as seat:
        panes = seat.main.query_one(Panes)
        for _ in Arrangement:
            for pane in (seat.packets, seat.details, seat.bytes):
                pane.focus()
                await seat.press("j", "plus", "minus", "end", "home")
                assert pane.region.area > 0 or panes.region.area == 0
            await seat.press("vertical_line")


async def test_a_terminal_that_shrinks_and_grows_again_ends_where_it_was() -> None:
    async with seated(size=(120, 40)) as seat:
        await seat.select(3)
        before = [pane.region for pane in (seat.packets, seat.details, seat.bytes)]
        await seat.pilot.resize_terminal(20, 5)
        await seat.pilot.pause()
        assert seat.packets.region.height >= 3
        assert not seat.details.region.area
        await seat.press("j", "k")
        await seat.pilot.resize_terminal(120, 40)
        await seat.pilot.pause()
        assert [pane.region for pane in (seat.packets, seat.details, seat.bytes)] == before
        assert seat.packets.cursor_line == 3
