# SPDX-License-Identifier: GPL-2.0-or-later
"""Valid messages, damaged at random: does the decoder still answer, in time, and only about bytes that are there?

By hand, with any number of messages:  python -m tests.differential.mutations [COUNT [SEED]]
and with one very long value in each:  python -m tests.differential.mutations long
"""

from __future__ import annotations

import json
import random
import sys
import time
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from qmisniff.dissect import Dissector
from qmisniff.field import Field
from qmisniff.frame import Frame, Link
from qmisniff.protocol.context import Context
from tests import factories
from tests.differential.corpus import SERVICES, Case, cases, in_json, message, registry, sample
from tests.oracle.libqmi import qmux

SLOW_NS = 5_000_000
_INTERESTING = (0x00, 0x01, 0x7F, 0x80, 0xFE, 0xFF)
LONG = 60_000  # bytes
_FILLS = (b"\xff", b"\0", b"A", b"\x01", b"\x1b", b"\1\0\0\0", b"\xff\xd8", bytes(range(256)))
_BASES = 40  # mutations of one message before the next one is taken


class Figures(NamedTuple):
    """What a run found. Times are nanoseconds of processor time for tree or values of one message."""

    messages: int
    failures: list[str]  # exceptions, fields outside their message, JSON text that is not the values
    slow: list[str]  # messages over the limit, each measured again
    worst_ns: int
    total_ns: int
    problems: int  # messages that the decoder found something wrong with


def mutate(rng: random.Random, data: bytes) -> bytes:
    """One to four random edits of a message."""
    changed = bytearray(data)
    for _ in range(rng.randint(1, 4)):
        at = rng.randrange(len(changed) + 1)
        match rng.randrange(8):
            case 0:
                changed[at : at + 1] = bytes([rng.randrange(256)])
            case 1:
                changed[at : at + 1] = bytes([rng.choice(_INTERESTING)])
            case 2:
                changed[at : at + 2] = rng.choice((b"\0\0", b"\1\0", b"\xff\xff", b"\0\x80", rng.randbytes(2)))
            case 3:
                del changed[at:]
            case 4:
                del changed[at : at + rng.randint(1, 8)]
            case 5:
                changed[at:at] = rng.randbytes(rng.randint(1, 16))
            case 6:
                other = rng.randrange(len(changed) + 1)
                changed[at:at] = changed[other : other + rng.randint(1, 64)]
            case _:
                changed[at : at + 4] = rng.choice((b"\xff\xff\xff\xff", b"\0\0\0\x80", rng.randbytes(4)))
    return bytes(changed)


def mutated(count: int, seed: int) -> Iterator[tuple[Case, Frame]]:
    """`count` damaged frames with messages of all services, bare or in a transport; the same seed gives the same."""
    every = [case for number in SERVICES for case in cases(number)]
    rng = random.Random(seed)
    left = count
    while left > 0:
        case = rng.choice(every)
        number, whole = case.service.header.id, sample(case, rng.getrandbits(32)).data
        link = rng.choice((Link.QMI, Link.QRTR, Link.QMUX if number < 256 else Link.QMI))
        if link is Link.QRTR:
            whole = factories.qrtr(whole)
        elif link is Link.QMUX:
            whole = qmux(number, case.kind, whole)
        for _ in range(min(left, _BASES)):
            yield case, factories.frame(mutate(rng, whole), link=link)
        left -= _BASES


def very_long(step: int = 1) -> Iterator[tuple[Case, Frame]]:
    """Messages of one TLV, filled with LONG bytes of the same few over and over; every `step`-th TLV there is."""
    every = ((case, tlv) for number in SERVICES for case in cases(number) for tlv in case.message.tlvs[case.kind] or ())
    for at, (case, tlv) in enumerate(every):
        if at % step == 0:
            fill = _FILLS[at // step % len(_FILLS)]
            value = (fill * LONG)[:LONG]
            yield case, factories.frame(message(case, factories.tlv(tlv.id, value)), link=Link.QMI)


def outside(root: Field, size: int) -> str:
    """The first field that is not within the `size` bytes of the frame, or not within its parent; "" where none.

    A layer's own range is its header, but its fields may be behind the payload: padding, what is missing there.
    """
    stack = [(root, 0, size)]
    whole = {id(root), *map(id, root.children)}
    while stack:
        each, low, high = stack.pop()
        if not low <= each.offset <= each.offset + each.size <= high:
            return f"{each.spec.name or each.spec.label} at {each.offset}+{each.size} is not within {low}..{high}"
        if (problem := each.problem) and not 0 <= problem.offset <= problem.offset + problem.size <= size:
            return f"problem {problem.text!r} at {problem.offset}+{problem.size} of {size}"
        inner = (0, size) if id(each) in whole else (each.offset, each.offset + each.size)
        stack.extend((child, *inner) for child in each.children)
    return ""


def disagreement(dissector: Dissector, given: Frame, context: Context) -> str:
    """The first name for which the JSON text is not the values; "" where it is."""
    values = {name: in_json(value) for name, value in dissector.values(given, context).items()}
    text = json.loads(dissector.json(given, context))
    if text == values:
        return ""
    name = min(name for name in values.keys() | text.keys() if values.get(name) != text.get(name))
    return f"{name}: values() gave {values.get(name)!r}, json() {text.get(name)!r}"


def run(frames: Iterable[tuple[Case, Frame]], limit_ns: int = SLOW_NS) -> Figures:
    """Decode frames; `limit_ns` is how long one may take."""
    dissector = Dissector(registry())
    failures: list[str] = []
    slow: list[str] = []
    count = worst = total = problems = 0
    for count, (case, frame) in enumerate(frames, 1):  # noqa: B007 - the last one is wanted
        data, given = frame.data, (frame, Context(number=1, service=case.service.header.id))
        try:
            took, tree = _timed(dissector, *given)
            if took > limit_ns / 4:  # it may have been the garbage collector, or the first use of this message
                took = min(took, *(_timed(dissector, *given)[0] for _ in range(3)))
            dissector.summary(*given)
            if found := disagreement(dissector, *given):
                failures.append(f"{case}, {frame.link.name}: {found}: {data.hex()}")
        except Exception as error:  # whatever it is, it is the finding
            failures.append(f"{case}, {frame.link.name}: {error!r}: {data.hex()}")
            continue
        total += took
        worst = max(worst, took)
        if took > limit_ns:
            slow.append(f"{case}, {frame.link.name}: {took / 1e6:.1f} ms: {data.hex()}")
        if found := outside(tree, len(data)):
            failures.append(f"{case}, {frame.link.name}: {found}: {data.hex()}")
        problems += any(each.problem is not None for each in tree.walk())
    return Figures(count, failures, slow, worst, total, problems)


def _timed(dissector: Dissector, given: Frame, context: Context) -> tuple[int, Field]:
    """Nanoseconds of the slower of tree and values; the tree."""
    began = time.process_time_ns()
    tree = dissector.tree(given, context)
    between = time.process_time_ns()
    dissector.values(given, context)
    return max(between - began, time.process_time_ns() - between), tree


def main(arguments: list[str]) -> int:
    if arguments == ["long"]:
        found = run(very_long())
    else:
        count, seed = (*map(int, arguments), *(1_000_000, 1)[len(arguments) :])
        found = run(mutated(count, seed))
    print(
        f"{found.messages} messages: {len(found.failures)} failures, {len(found.slow)} over {SLOW_NS / 1e6:.0f} ms, "
        f"slowest {found.worst_ns / 1e6:.2f} ms, mean {found.total_ns / found.messages / 1e3:.0f} us; "
        f"{found.problems} with problems"
    )
    for line in (*found.failures[:20], *found.slow[:20]):
        print(line[:2000])
    return bool(found.failures or found.slow)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
