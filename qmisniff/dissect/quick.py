# SPDX-License-Identifier: GPL-2.0-or-later
"""The quick way through the TLVs of a message that is all right.

A modem sends the same TLVs in the same order again and again. Each such *sequence* of types that has been met often
enough gets a function of its own: one struct call and one format string for all TLVs of fixed size between two of
varying size. Before that, and for rarer sequences, it is one function call a TLV.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from qmisniff.definitions.fields import Enums
from qmisniff.definitions.model import RESULT_TLV
from qmisniff.dissect.compile import STOPS, Decode, Output, compile_sequence
from qmisniff.dissect.source_values import Part
from qmisniff.dissect.tlv import MAX_FIELDS, MAX_TLVS, RESULT_DECODER, TlvDecoder, tlv_ranges
from qmisniff.protocol import qmi

OFTEN = 100  # times a sequence of types is met before it is compiled, which takes as long as meeting it forty times
MAX_SEQUENCES = 16  # of one message
_MAX_SIZES = 256


class Quick:
    """The TLVs of one kind of message, decoded into one output."""

    def __init__(
        self, decoders: Mapping[int, TlvDecoder], needed: frozenset[int], enums: Enums, output: Output
    ) -> None:
        self._decoders = decoders
        self._needed = needed
        self._enums = enums
        self._output = output
        self._functions = _Functions(decoders, output)
        self._met: Counter[bytes] = Counter()
        self._sequences: dict[bytes, Decode] = {}
        self._of_size: dict[int, Decode] = {}  # size of all TLVs -> the sequence that last had it
        self._last: Decode | None = None  # the sequence that was met last

    def decode(self, data: bytes, start: int, end: int, into: Any) -> bool:
        """Decode all TLVs into `into`, which is empty; False where anything at all is wrong or not known: then `into`
        holds rubbish."""
        if start == end:
            return not self._needed
        known = self._of_size.get(end - start, self._last)
        if known is not None:
            try:
                if known(data, start, end, into, [MAX_FIELDS]) == end:
                    return True
            except STOPS:
                pass
            into.clear()
        return self._one_by_one(data, start, end, into)

    def texts(self, data: bytes, starts: Sequence[int], sizes: Sequence[int]) -> list[str | None]:
        """What `decode` makes of the TLVs at many places, joined, where the output is text; None where it is False."""
        found: list[str | None] = []
        for start, size in zip(starts, sizes, strict=True):
            message = data[start : start + size]
            pieces: list[str] = []
            known = self._of_size.get(size)
            if known is not None:
                try:
                    if known(message, 0, size, pieces, [MAX_FIELDS]) == size:
                        found.append("".join(pieces))
                        continue
                except STOPS:
                    pass
                pieces.clear()
            found.append("".join(pieces) if self.decode(message, 0, size, pieces) else None)
        return found

    def _one_by_one(self, data: bytes, first: int, end: int, into: Any) -> bool:
        types: list[int] = []
        lengths: list[int] = []
        start, functions, budget, head = first, self._functions, [MAX_FIELDS], qmi.TLV_HEAD.unpack_from
        try:
            for _ in range(MAX_TLVS):
                if start >= end:
                    break
                kind, length = head(data, start)
                start += 3
                stop = start + length
                if functions[kind](data, start, stop, into, budget) != stop:
                    return False
                types.append(kind)
                lengths.append(length)
                start = stop
        except (KeyError, *STOPS):
            return False
        # A type twice makes fewer different types; a value beyond the end of the message has moved `start` there.
        found = set(types)
        if start != end or len(found) != len(types):
            return False
        if found >= self._needed:
            self._learn(bytes(types), end - first)
        elif not self._has_failed(data, first, end):
            return False
        if types:
            self._output.value.put_heads(into, types, lengths)
        return True

    def _has_failed(self, data: bytes, start: int, end: int) -> bool:
        """A request that failed is answered by the result alone."""
        return self._decoders.get(RESULT_TLV) is RESULT_DECODER and any(
            found.type == RESULT_TLV and data[found.value : found.value + 2] != b"\0\0"
            for found in tlv_ranges(data, start, end)
        )

    def _learn(self, types: bytes, size: int) -> None:
        """Note that a sequence was met; where that happens often, it is compiled."""
        sequence = self._sequences.get(types)
        if sequence is None:
            if len(self._met) >= 4 * MAX_SEQUENCES:
                self._met.clear()
            self._met[types] += 1
            if self._met[types] < OFTEN or len(self._sequences) >= MAX_SEQUENCES or not types:
                return
            parts = [self._part(kind) for kind in types]
            sequence = self._sequences[types] = compile_sequence(parts, self._enums, self._output)
        if len(self._of_size) >= _MAX_SIZES:
            self._of_size.clear()
        self._of_size[size] = self._last = sequence

    def _part(self, kind: int) -> Part:
        decoder = self._decoders[kind]
        return Part(kind, decoder.path, decoder.plain_type, self._functions[kind])


class _Functions(dict[int, Decode]):
    """TLV type -> decode function, compiled when first asked for. Raises KeyError for a type that is not described."""

    def __init__(self, decoders: Mapping[int, TlvDecoder], output: Output) -> None:
        super().__init__()
        self._decoders = decoders
        self._output = output

    def __missing__(self, kind: int) -> Decode:
        function = self[kind] = self._decoders[kind].quick(self._output)
        return function
