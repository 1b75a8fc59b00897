# SPDX-License-Identifier: GPL-2.0-or-later
"""Many frames -> lines of JSON: the text that `Dissector.json` makes of each, at a multiple of its rate.

What stands above the TLVs is put together for all frames at once. The TLVs are decoded message kind by message kind:
the code and the names of one kind then stay in the processor's cache. Frames that are not regular, and messages with
which anything is wrong, go the long way, one by one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import pairwise
from typing import Protocol

import numpy as np

from qmisniff.dissect.dissector import Dissector
from qmisniff.dissect.head import HeadSink
from qmisniff.dissect.message import MessageDecoder
from qmisniff.dissect.sinks import to_json
from qmisniff.dissect.time_columns import epoch_texts, time_texts
from qmisniff.frame import Frame, Link
from qmisniff.protocol import qmi, qmux
from qmisniff.protocol.arrays import U1, Mask, Numbers
from qmisniff.protocol.context import Context

BATCH = 4096  # frames: their text stays small, and there are enough of each kind
AT_ONCE = 512  # lines in one text
MAX_HEADS = 1 << 16
_NONE = -1
# Link and first byte of a frame -> where the length is in the header around its message.
_SIZES = {
    (Link.QRTR, 1): slice(20, 24),
    (Link.QRTR, 3): slice(4, 8),
    (Link.QMUX, qmux.MARKER): slice(1, 3),
}


class Rows(Protocol):
    """What must be known of a run of frames: columns of numbers, as qmisniff.store.columns has them."""

    first: int

    @property
    def buffer(self) -> U1: ...
    @property
    def ts_ns(self) -> Numbers: ...
    @property
    def since_previous_ns(self) -> Numbers: ...
    @property
    def since_first_ns(self) -> Numbers: ...
    @property
    def offset(self) -> Numbers: ...
    @property
    def length(self) -> Numbers: ...
    @property
    def orig_len(self) -> Numbers: ...
    @property
    def link(self) -> Numbers: ...
    @property
    def direction(self) -> Numbers: ...
    @property
    def hook(self) -> Numbers: ...
    @property
    def flags(self) -> Numbers: ...
    @property
    def origin(self) -> Numbers: ...
    @property
    def task(self) -> Numbers: ...
    @property
    def cpu(self) -> Numbers: ...
    @property
    def lost(self) -> Numbers: ...
    @property
    def plain(self) -> Mask: ...
    @property
    def message(self) -> Numbers: ...
    @property
    def txn(self) -> Numbers: ...
    @property
    def tlv_length(self) -> Numbers: ...
    @property
    def service(self) -> Numbers: ...
    @property
    def instance(self) -> Numbers: ...
    @property
    def partner(self) -> Numbers: ...
    @property
    def response_ns(self) -> Numbers: ...


class BulkJson:
    """Writes the frames of a store as lines of JSON, each object beginning with `opening`. `left_out` is () or what
    the names of all values begin with that no packet carries: then these are not written."""

    def __init__(self, dissector: Dissector, opening: str = "{", left_out: tuple[str, ...] = ()) -> None:
        self._dissector = dissector
        self._opening = opening
        self._left_out = left_out
        self.heads: dict[bytes, int] = {}  # what stands above the TLVs -> number of its head, _NONE where it has none
        self._literals: list[tuple[str, ...]] = []  # of a head
        self._qmux: list[bool] = []  # of a head
        self._kinds: list[int] = []  # of a head: number of its decoder
        self._decoders: list[MessageDecoder] = []

    def lines(self, rows: Rows, chosen: Numbers, frame: Callable[[int], tuple[Frame, Context]]) -> Iterator[str]:
        """A line for each of the rows at the places `chosen`, some hundred in each text; `frame` finds one by its
        number in the store."""
        heads = self._find_heads(rows, chosen, frame)
        for start in range(0, len(chosen), BATCH):
            yield from self._batch(rows, chosen[start : start + BATCH], heads[start : start + BATCH], frame)

    def _batch(
        self, rows: Rows, chosen: Numbers, heads: Numbers, frame: Callable[[int], tuple[Frame, Context]]
    ) -> Iterator[str]:
        values = self._values(rows, chosen, heads)
        irregular = [place for place, text in enumerate(values) if text is None] if None in values else []
        # A line is put together of a piece of each column.
        columns = [*self._beginnings(rows, chosen, heads), values, _ends(rows, chosen)]
        width = len(columns)
        pieces: list[str | None] = [None] * (width * len(chosen))
        for at, column in enumerate(columns):
            pieces[at::width] = column
        for place in irregular:
            line = f"{self._opening}{self._alone(*frame(int(chosen[place]) + rows.first))[1:]}\n"
            pieces[place * width : (place + 1) * width] = [line, *[""] * (width - 1)]
        for start in range(0, len(pieces), width * AT_ONCE):
            yield "".join(pieces[start : start + width * AT_ONCE])  # type: ignore[arg-type]  # no None is left

    def _alone(self, frame: Frame, context: Context) -> str:
        """The object of one frame."""
        if not self._left_out:
            return self._dissector.json(frame, context)
        values = self._dissector.values(frame, context)
        return to_json({name: value for name, value in values.items() if not name.startswith(self._left_out)})

    # ---- what stands above the TLVs ----

    def _find_heads(self, rows: Rows, chosen: Numbers, frame: Callable[[int], tuple[Frame, Context]]) -> Numbers:
        """The number of the head of each frame, _NONE for frames that go the long way."""
        if len(self.heads) > MAX_HEADS:
            self.heads, self._literals, self._qmux, self._kinds, self._decoders = {}, [], [], [], []
        heads = np.full(len(chosen), _NONE)
        regular = rows.plain & (rows.lost == 0) & (rows.orig_len == rows.length) & (rows.service != qmi.CTL)
        places = np.flatnonzero(regular[chosen])
        which = chosen[places]
        form = rows.message[which].astype(np.int64) << 16 | rows.link[which].astype(np.int64) << 8
        form |= rows.buffer[rows.offset[which]]
        for each in np.unique(form).tolist():
            same = form == each
            keys = _head_keys(rows, which[same], each >> 16, _SIZES[Link(each >> 8 & 0xFF), each & 0xFF])
            for key, place in zip(keys, which[same].tolist(), strict=True):
                if key not in self.heads:
                    self.heads[key] = self._new_head(*frame(place + rows.first))
            heads[places[same]] = [self.heads[key] for key in keys]
        return heads

    def _new_head(self, frame: Frame, context: Context) -> int:
        sink = HeadSink(self._left_out)
        self._dissector.walk(frame, context, sink)
        head = sink.head()
        if head is None:
            return _NONE
        if head.decoder not in self._decoders:
            self._decoders.append(head.decoder)
        self._kinds.append(self._decoders.index(head.decoder))
        self._qmux.append(frame.link is Link.QMUX)
        literals = list(head.literals)
        begin = next(at for at, literal in enumerate(literals) if literal)  # before it stands what is left out
        literals[begin] = self._opening + literals[begin][1:]
        self._literals.append(tuple(literals))
        return len(self._literals) - 1

    def _beginnings(self, rows: Rows, chosen: Numbers, heads: Numbers) -> list[Iterable[str]]:
        """The text of each frame up to its TLVs, in pieces; anything for frames without a head."""
        if not self._literals:
            return [[""] * len(chosen)]
        size, length = rows.length[chosen].astype(np.int64), rows.tlv_length[chosen].astype(np.int64)
        # What has a head is shorter than 2**18 bytes. Most heads are met again with the same lengths.
        together = np.where(heads == _NONE, 0, heads << 34 | size << 16 | length)
        groups, places = np.unique(together, return_inverse=True)
        texts = [self._around(each >> 34, each >> 16 & 0x3FFFF, each & 0xFFFF) for each in groups.tolist()]
        beginning, before_time, before_epoch, before_delta, before_relative, before_txn, before_tlvs = (
            map(column.__getitem__, places.tolist()) for column in zip(*texts, strict=True)
        )
        about_message: list[Iterable[str]] = [before_txn, map(repr, rows.txn[chosen].tolist()), before_tlvs]
        if self._left_out:
            return about_message
        return [
            *(beginning, map(repr, (chosen + rows.first + 1).tolist())),
            *(before_time, *time_texts(rows.ts_ns[chosen])),
            *(before_epoch, *epoch_texts(rows.ts_ns[chosen])),
            *(before_delta, map(repr, (rows.since_previous_ns[chosen] / 1e9).tolist())),
            *(before_relative, map(repr, (rows.since_first_ns[chosen] / 1e9).tolist())),
            *about_message,
        ]

    def _around(self, head: int, size: int, length: int) -> tuple[str, ...]:
        """The text in front of the number, the time, the epoch, the two times since, the transaction and the TLVs."""
        a, b, c, d, e, f, g, h, i, j, last = self._literals[head]
        outer = size - 1 if self._qmux[head] else length + qmi.SERVICE_HEADER.size
        sizes = a if self._left_out else f"{f}{size}{g}{size}"
        return a, f'{b}"', f'Z"{c}', d, e, f"{sizes}{h}{outer}{i}", f"{j}{length}{last}"

    # ---- the TLVs ----

    def _values(self, rows: Rows, chosen: Numbers, heads: Numbers) -> list[str | None]:
        """The text of the TLVs of each message; None where there is none, or something is wrong with it."""
        places = np.flatnonzero(heads != _NONE)
        kinds = np.array(self._kinds, np.int64)[heads[places]]
        # Messages of a kind and a length have the same TLVs, as a rule.
        order = np.argsort(kinds << 16 | rows.tlv_length[chosen[places]], kind="stable")
        places, kinds = places[order], kinds[order]
        which = chosen[places]
        starts, sizes = rows.offset[which] + rows.message[which] + qmi.SERVICE_HEADER.size, rows.tlv_length[which]
        # A copy of these messages alone: the buffer may be much longer, and its slices are no bytes.
        low, high = starts.min(initial=len(rows.buffer)), (starts + sizes).max(initial=0)
        data = rows.buffer[low:high].tobytes()
        starts, sizes = (starts - low).tolist(), sizes.tolist()
        bounds = [0, *(np.flatnonzero(np.diff(kinds)) + 1).tolist(), len(kinds)] if len(kinds) else []
        texts: list[str | None] = [None] * len(chosen)
        for first, last in pairwise(bounds):
            found = self._decoders[kinds[first]].json_texts(data, starts[first:last], sizes[first:last])
            for place, text in zip(places[first:last].tolist(), found, strict=True):
                texts[place] = text
        return texts


def _head_keys(rows: Rows, which: Numbers, message: int, size: slice) -> list[bytes]:
    """All that is known of frames above their TLVs but for what differs from frame to frame. `message` is where the
    message begins in them, `size` the place of the length in the header around it."""
    width = message + qmi.SERVICE_HEADER.size
    anywhere = np.ndarray(len(rows.buffer) - width + 1, f"V{width}", rows.buffer, strides=(1,))
    wire = anywhere[rows.offset[which]].view(np.uint8).reshape(len(which), width)
    wire[:, size] = 0
    wire[:, message + 1 : message + 3] = 0  # transaction
    wire[:, message + 5 : message + 7] = 0  # length
    about = (rows.link, rows.direction, rows.hook, rows.flags, rows.task, rows.origin, rows.cpu, rows.service)
    columns = [np.ascontiguousarray(column[which]) for column in (*about, rows.instance)]
    parts = [wire, *(column.view(np.uint8).reshape(len(which), column.itemsize) for column in columns)]
    keys = np.concatenate(parts, axis=1)
    found: list[bytes] = keys.view(f"V{keys.shape[1]}").ravel().tolist()
    return found


def _ends(rows: Rows, chosen: Numbers) -> list[str]:
    """The text of each frame behind its TLVs: padding, request or response."""
    texts = ["}\n"] * len(chosen)
    end = rows.message[chosen].astype(np.int64) + qmi.SERVICE_HEADER.size + rows.tlv_length[chosen]
    start, stop = rows.offset[chosen] + end, rows.offset[chosen] + rows.length[chosen]
    partner, row, waited = rows.partner[chosen], chosen + rows.first, rows.response_ns[chosen]
    places = np.flatnonzero((start < stop) | (partner != _NONE))
    known = (column[places].tolist() for column in (start, stop, partner, row, waited))
    for place, begin, behind, other, this, ns in zip(places.tolist(), *known, strict=True):
        text = f',"qrtr.padding":"{rows.buffer[begin:behind].tobytes().hex()}"' if begin < behind else ""
        if other > this:
            text += f',"qmi.response_in":{other + 1}'
        elif other != _NONE:
            text += f',"qmi.response_to":{other + 1},"qmi.time":{ns / 1e9!r}'
        texts[place] = f"{text}}}\n"
    return texts
