# SPDX-License-Identifier: GPL-2.0-or-later
"""The JSON text of everything above the TLVs, remembered: in a conversation all but a few numbers of it repeat."""

from __future__ import annotations

from json.encoder import encode_basestring_ascii as quote
from typing import Any, NamedTuple

from qmisniff.dissect.message import MessageDecoder
from qmisniff.dissect.sinks import ValuesSink, to_json
from qmisniff.field import Severity

# What differs from frame to frame, in the order in which it stands in the text. The length is that of the outer header,
# which has several names.
NUMBER, TIME, EPOCH, DELTA, RELATIVE, LEN, CAP_LEN, OUTER, TXN, LENGTH = range(10)
_CHANGING = {
    "frame.number": NUMBER,
    "frame.time": TIME,
    "frame.time_epoch": EPOCH,
    "frame.time_delta": DELTA,
    "frame.time_relative": RELATIVE,
    "frame.len": LEN,
    "frame.cap_len": CAP_LEN,
    "qrtr.size": OUTER,
    "qmux.length": OUTER,
    "qmi.txn": TXN,
    "qmi.length": LENGTH,
}
_OF_ONE_FRAME = ("qrtr.padding", "qmi.response_to", "qmi.response_in", "qmi.time")  # follow behind the TLVs


class Head(NamedTuple):
    """The text around the values that differ, and what decodes the TLVs below."""

    literals: tuple[str, ...]  # the first stands before NUMBER, the last behind LENGTH
    decoder: MessageDecoder


class HeadSink(ValuesSink):
    """Values of everything above the TLVs, but for names that begin with one of `left_out`."""

    def __init__(self, left_out: tuple[str, ...] = ()) -> None:
        super().__init__()
        self._left_out = left_out
        self._decoder: MessageDecoder | None = None
        self._all_right = True

    def tlvs(self, decoder: MessageDecoder, data: bytes, start: int, end: int) -> bool:
        self._decoder = decoder
        return True

    def problem(self, severity: Severity, text: str, offset: int, size: int) -> None:
        self._all_right = False

    def head(self) -> Head | None:
        """What frames with these headers share; None where there is more to say about each."""
        if self._decoder is None or not self._all_right:
            return None
        literals = [""]
        begun = False
        for name, value in self.into.items():
            if name in _OF_ONE_FRAME or name.startswith(self._left_out):
                continue
            key, text = quote(name), _text(value)
            separator = "," if begun else "{"
            begun = True
            if name in _CHANGING:
                while len(literals) <= _CHANGING[name]:
                    literals.append("")
                assert len(literals) == _CHANGING[name] + 1
                literals[-1] += f"{separator}{key}:"
                literals.append("")
            else:
                literals[-1] += f"{separator}{key}:{text}"
        return Head(tuple(literals), self._decoder)


def _text(value: Any) -> str:
    """As `to_json` has it: that takes many times as long for a value alone."""
    if isinstance(value, str):
        return quote(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    return int.__repr__(value) if isinstance(value, int) else to_json({"": value})[len('{"":') : -1]
