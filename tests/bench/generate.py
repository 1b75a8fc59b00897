# SPDX-License-Identifier: GPL-2.0-or-later
"""Realistic captures of any size:  python -m tests.bench.generate FILE --messages 1000000

A phone's traffic over QRTR in the shares of `decode.MIX`: programs call services of the modem and are answered, the
modem indicates, some calls fail, few are never answered. The same number of messages gives the same bytes.
"""

from __future__ import annotations

import argparse
import random
import struct
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from qmisniff.capture_file import Writer
from qmisniff.definitions.model import KINDS
from qmisniff.frame import Direction, Flag, Frame, Hook, Link, Origin
from tests import factories as make
from tests.bench.decode import ELEMENTS, FAILURES, MIX, OPTIONAL
from tests.differential.corpus import RESPONSE, Case, cases, message, registry, sample

DISTINCT = 2_000  # calls and indications; each comes back with other transactions
UNANSWERED = 0.01  # of the calls
CLIENTS = ((412, "rild"), (633, "netmgrd"), (701, "loc_launcher"), (1502, "ModemManager"), (-1, ""))
ORIGIN = Origin("kernel", "kernel", "mono", "generated")


class Talk(NamedTuple):
    """One call with its answer, or an indication (without a request)."""

    service: int
    request: bytes
    answer: bytes


def talks(rng: random.Random) -> list[Talk]:
    """DISTINCT calls and indications in the shares of MIX."""
    made: list[Talk] = []
    for name, (share, words) in MIX.items():
        service = registry().service_named(name)
        assert service is not None
        number = service.header.id
        known = {(case.message.name, KINDS[case.kind]): case for case in cases(number)}
        for seed in range(DISTINCT * share // 100):
            word = rng.choice(words.split())
            if word.endswith("!"):
                # A call is two messages: indications count twice to be as many as requests and responses.
                indication = known[word[:-1], "indication"]
                made += [Talk(number, b"", body(rng, indication, seed)) for _ in range(2)]
            else:
                request, response = (known[word, kind] for kind in ("request", "response"))
                made.append(Talk(number, body(rng, request, seed), body(rng, response, seed)))
    return made


def body(rng: random.Random, case: Case, seed: int) -> bytes:
    """A message of this kind, a failure once in a while, with most of its optional TLVs."""
    if case.kind == RESPONSE and rng.random() < FAILURES:
        return message(case, make.tlv(2, struct.pack("<HH", 1, rng.choice((3, 14, 16, 26, 52, 74, 94)))))
    tlvs = make.tlv(2, bytes(4)) if case.kind == RESPONSE else b""
    for tlv, node in sample(case, seed, ELEMENTS).tlvs:
        if tlv.mandatory or rng.random() < OPTIONAL:
            tlvs += make.tlv(tlv.id, node.data)
    return message(case, tlvs)


def traffic(seed: int = 1) -> Iterator[Frame]:
    """The capture, without end: what the name service knows first, then the traffic."""
    rng = random.Random(seed)
    choices = talks(rng)
    ports = {number: (make.MODEM, 10 + at) for at, number in enumerate(sorted({talk.service for talk in choices}))}
    now = make.START_NS
    for number, (node, port) in ports.items():
        words = make.server(make.NEW_SERVER, number, 0x101, node, port)
        yield _frame(now, words, Direction.INBOUND, Hook.LOOKUP, (-1, ""), Flag.SYNTHETIC)
    txns = dict.fromkeys(((at, number) for at in range(len(CLIENTS)) for number in ports), 0)
    while True:
        talk = rng.choice(choices)
        at = rng.randrange(len(CLIENTS))
        client, server = (make.HOST, 0x4000 + at * 64 + ports[talk.service][1]), ports[talk.service]
        txn = txns[at, talk.service] = txns[at, talk.service] % 0xFFFF + 1
        now += rng.randrange(2_000_000)
        if talk.request:
            asked = _packet(talk.request, txn, client, server)
            yield _frame(now, asked, Direction.OUTBOUND, Hook.TRANSMIT, CLIENTS[at])
            now += rng.randrange(100_000, 30_000_000)
            if rng.random() < UNANSWERED:
                continue
        yield _frame(now, _packet(talk.answer, txn, server, client), Direction.INBOUND, Hook.RECEIVE, (-1, ""))


def _packet(data: bytes, txn: int, source: tuple[int, int], target: tuple[int, int]) -> bytes:
    return make.qrtr(data[:1] + txn.to_bytes(2, "little") + data[3:], source, target)


def _frame(
    ts: int, data: bytes, direction: Direction, hook: Hook, task: tuple[int, str], flags: Flag = Flag(0)
) -> Frame:
    return Frame(ts, data, len(data), Link.QRTR, direction, hook, flags, *task, cpu=ts >> 12 & 3, origin=ORIGIN)


def write(path: Path, messages: int) -> None:
    """A capture of so many messages."""
    with path.open("wb") as stream:
        writer = Writer(stream)
        frames = islice(traffic(), messages)
        while batch := list(islice(frames, 5_000)):
            writer.write(batch)
        writer.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("file", type=Path)
    parser.add_argument("--messages", type=int, default=100_000)
    arguments = parser.parse_args()
    write(arguments.file, arguments.messages)
    size = arguments.file.stat().st_size
    print(f"{arguments.messages} messages, {size / arguments.messages:.0f} bytes of file each, {size} bytes")


if __name__ == "__main__":
    main()
