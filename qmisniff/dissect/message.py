# SPDX-License-Identifier: GPL-2.0-or-later
"""The TLVs of one kind of message: which there should be, and the quick ways through them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from qmisniff.definitions.fields import Enums
from qmisniff.definitions.model import RESULT_TLV, Message
from qmisniff.dissect.compile import Output
from qmisniff.dissect.quick import Quick
from qmisniff.dissect.tlv import RESULT_DECODER, TlvDecoder
from qmisniff.protocol import qmi


class MessageDecoder:
    """One kind (request, response, indication) of one message."""

    def __init__(self, prefix: str, message: Message, kind: int, enums: Enums) -> None:
        section = message.tlvs[kind] if kind < len(message.tlvs) else None
        self.message = message
        self.known = section is not None
        self.tlvs = {tlv.id: TlvDecoder(tlv, f"{prefix}.{message.name}.{tlv.name}", enums) for tlv in section or ()}
        if kind == qmi.RESPONSE:
            self.tlvs[RESULT_TLV] = RESULT_DECODER
        self.mandatory = tuple(decoder.tlv for decoder in self.tlvs.values() if decoder.tlv.mandatory)
        needed = frozenset(tlv.id for tlv in self.mandatory)
        self._values = Quick(self.tlvs, needed, enums, Output.VALUES)
        self._json = Quick(self.tlvs, needed, enums, Output.JSON)

    def values(self, data: bytes, start: int, end: int) -> dict[str, Any] | None:
        """The values of the TLVs of a message that is all right; None for any other, which must be taken TLV by TLV."""
        into: dict[str, Any] = {}
        return into if self._values.decode(data, start, end, into) else None

    def json(self, data: bytes, start: int, end: int) -> str | None:
        """The same as JSON text that begins with a comma, where there is any."""
        pieces: list[str] = []
        return "".join(pieces) if self._json.decode(data, start, end, pieces) else None

    def json_texts(self, data: bytes, starts: Sequence[int], sizes: Sequence[int]) -> list[str | None]:
        """The same of many messages, by where their TLVs begin and how many bytes these are."""
        return self._json.texts(data, starts, sizes)
