# SPDX-License-Identifier: GPL-2.0-or-later
"""Messages made at random out of the definitions, with what must come out of them."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from hypothesis import strategies as st

from qmisniff.definitions import Registry
from qmisniff.definitions.model import KINDS, Message, Tlv
from qmisniff.definitions.registry import Service
from qmisniff.frame import Frame, Link
from qmisniff.protocol.context import Context
from tests import factories
from tests.encoder import Encoder, Node
from tests.oracle.libqmi import qmi_message

DISSECTORS = Path(__file__).parents[2] / "dissectors"
CTL = 0
RESPONSE = KINDS.index("response")


@cache
def registry() -> Registry:
    """The project's own definitions, whatever the user has beside them."""
    return Registry([DISSECTORS])


SERVICES = [
    number for number, header in sorted(registry().headers.items()) if (DISSECTORS / f"{header.name}.yaml").is_file()
]


class Case(NamedTuple):
    """One kind (index into KINDS) of one message."""

    service: Service
    message: Message
    kind: int

    def __str__(self) -> str:
        return f"{self.service.header.name}.{self.message.name} {KINDS[self.kind]}"


class Sample(NamedTuple):
    """A message and what is in it. The result TLV of a response is in `data` only."""

    data: bytes
    tlvs: list[tuple[Tlv, Node]]


def cases(number: int) -> Iterator[Case]:
    """All messages of one service; none where only the service's name is known."""
    service = registry().service(number)
    if service is None:
        assert number not in SERVICES, registry().problems
        return
    yield from cases_of(service)


def cases_of(service: Service) -> Iterator[Case]:
    for name in service.message_names():
        message = service.message_named(name)
        assert message is not None
        for kind, tlvs in enumerate(message.tlvs):
            if tlvs is not None:
                yield Case(service, message, kind)


def sample(case: Case, seed: int | str, most: int = 4) -> Sample:
    """The message with every TLV it can have, arrays of up to `most`; the same seed gives the same bytes."""
    rng = random.Random(f"{case} {seed}")
    tlvs = Encoder(rng, case.service.enums, most).message(case.service.prefix, case.message, case.kind)
    return _whole(case, tlvs)


@st.composite
def samples(draw: st.DrawFn, case: Case) -> Sample:
    """The message with its mandatory TLVs and some of the others; shrinks towards few TLVs of small values."""
    tlvs = case.message.tlvs[case.kind] or ()
    optional = [tlv.id for tlv in tlvs if not tlv.mandatory]
    chosen = draw(st.lists(st.sampled_from(optional), unique=True, max_size=6)) if optional else []
    encoder = Encoder(draw(st.randoms(use_true_random=False)), case.service.enums)
    path = f"{case.service.prefix}.{case.message.name}"
    some = [tlv for tlv in tlvs if tlv.mandatory or tlv.id in chosen]
    return _whole(case, [(tlv, encoder.value(tlv.type, f"{path}.{tlv.name}")) for tlv in some])


def _whole(case: Case, tlvs: list[tuple[Tlv, Node]]) -> Sample:
    body = [factories.tlv(2, bytes(4))] if case.kind == RESPONSE else []
    body += [factories.tlv(tlv.id, node.data) for tlv, node in tlvs]
    return Sample(message(case, b"".join(body)), tlvs)


def message(case: Case, tlvs: bytes) -> bytes:
    """The bytes of a message of this kind."""
    return qmi_message(case.service.header.id, case.kind, case.message.id, tlvs)


def in_json(value: Any) -> Any:
    """What JSON text makes of a value: bytes are hexadecimal, a float that is no number is a text."""
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    if isinstance(value, list):
        return [in_json(each) for each in value]
    return value


def frame(number: int, data: bytes) -> tuple[Frame, Context]:
    """A message of service `number` as one frame of it alone, without a transport's header."""
    return factories.frame(data, link=Link.QMI), Context(number=1, service=number)
