# SPDX-License-Identifier: GPL-2.0-or-later
"""usbmon's headers of big-endian machines: what `qmisniff.capture_file.frame_of` does to one, for many at once."""

from __future__ import annotations

import numpy as np

from qmisniff.capture_file import (
    ISO_DESCRIPTOR,
    USBMON_DESCRIPTORS,
    USBMON_HEADER,
    USBMON_ISOCHRONOUS,
    USBMON_MMAPPED,
    USBMON_NUMBERS,
    USBMON_TRANSFER,
)
from qmisniff.frame import Link
from qmisniff.protocol.arrays import I8, U1
from qmisniff.store.headers import gather

_WORD = 4


def turn_headers(data: U1, place: I8, length: I8, link: Link) -> None:
    """Turn the numbers in the headers of the records at these places to little-endian, within `data`."""
    isochronous = np.flatnonzero(length > USBMON_TRANSFER)
    isochronous = isochronous[data[place[isochronous] + USBMON_TRANSFER] == 0]
    _turn(data, place, length, USBMON_NUMBERS)
    _turn(data, place[isochronous], length[isochronous], USBMON_ISOCHRONOUS)
    if link is Link.USBMON_MMAPPED:
        _turn(data, place, length, USBMON_MMAPPED)
    described = isochronous[length[isochronous] > USBMON_HEADER[link]]
    place, left = place[described], length[described] - USBMON_HEADER[link]
    count = gather(data, place + USBMON_DESCRIPTORS, np.dtype("<i4")).astype(np.int64)
    words = np.minimum(np.maximum(count, 0) * ISO_DESCRIPTOR, left) // _WORD
    number = np.arange(words.sum()) - np.repeat(np.cumsum(words) - words, words)
    _reverse(data, np.repeat(place + USBMON_HEADER[link], words) + number * _WORD, _WORD)


def _turn(data: U1, place: I8, length: I8, numbers: tuple[tuple[int, int], ...]) -> None:
    for start, size in numbers:
        _reverse(data, place[length >= start + size] + start, size)


def _reverse(data: U1, places: I8, size: int) -> None:
    at = places[:, np.newaxis] + np.arange(size)
    data[at] = data[at[:, ::-1]]
