# SPDX-License-Identifier: GPL-2.0-or-later
"""Which probes to put into a kernel: facts -> text for tracefs. Pure.

Each tapped function has a *head* event with the first bytes of a packet. Longer packets go on in *body* events, which
the three stages share: a record says by its offset which part it holds. All events of one packet fire back to back.

A probe's arguments are fetched before its filter is asked, so a body costs its copy even where it is thrown away.
Stages for packets that hardly occur are therefore armed by the first packet that needs them, through a trigger of the
head. The head must fire before the bodies for that: the kernel runs the probes of a function last one first.

Before Linux 5.4 an event has one probe, and this copies nothing but single words: every part at every function is then
an event of its own.

A capture filter is asked of every event by itself. Where there is one, they all carry what it asks about, as fields of
the same names and types: out of the header, or, where a packet has none yet, out of the function's arguments.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple

from qmisniff.capture.capture_filter import CaptureFilter, parse
from qmisniff.capture.facts import ARGUMENTS, ENQUEUE, LOCAL, RECEIVE, TRANSPORTS, Facts
from qmisniff.capture.header import DEL_SERVER, NEW_SERVER
from qmisniff.capture.source import NO_TUNING, Tuning
from qmisniff.errors import SourceUnavailable
from qmisniff.frame import Hook

HEAD_BYTES = 128
# An event takes 128 arguments and 3072 bytes of them; an argument is an array of 64 elements at most, of 8 bytes each.
_ARRAY = 64
# Trace events of the kernel's name server: the packet that it then sends.
SERVICES = {"qrtr_ns_server_add": NEW_SERVER, "qrtr_ns_service_announce_del": DEL_SERVER}
# The fields of a header of version 1 and of version 2: the argument's name -> where it is and how wide.
_VERSION_1 = {
    "kind": "+4:u32",
    "from_node": "+8:u32",
    "from_port": "+12:u32",
    "to_node": "+24:u32",
    "to_port": "+28:u32",
}
_VERSION_2 = {
    "kind2": "+1:u8",
    "from_node2": "+8:u16",
    "from_port2": "+10:u16",
    "to_node2": "+12:u16",
    "to_port2": "+14:u16",
}


class Stage(NamedTuple):
    """A body event: `parts` probes of `words` 8-byte words each, beginning at byte `start` of a packet."""

    name: str
    start: int
    words: int
    parts: int
    armed_by: str = ""

    @property
    def offsets(self) -> range:
        """Where its parts begin, in bytes of a packet."""
        return range(self.start, self.end, self.words * 8)

    @property
    def end(self) -> int:
        """The first byte of a packet behind its parts."""
        return self.start + self.parts * self.words * 8


# The longest packet has 65,535 bytes, padding and a header of 32. Most have less than 128, few more than 640. An event
# has room for 380 words; the last of it is for what a filter asks about.
STAGES = (
    Stage("body", HEAD_BYTES, 64, 1),
    Stage("long", 640, 376, 3, "len > 640"),
    Stage("huge", 9664, 376, 19, "len > 9664"),
)


SIMPLE_STAGES = (
    Stage("body", HEAD_BYTES, 64, 1),
    Stage("long", 640, 120, 10, "len > 640"),
    Stage("huge", 10240, 120, 58, "len > 10240"),
)


class Event(NamedTuple):
    """One event of our group: the definitions of its probes, `{group}` and `{event}` standing for the final names.

    A head has a hook, and is `rebuilt` where packets come without a header. A body holds parts that begin at `offsets`
    of a packet, and is `armed_by` a condition on the fields of the heads `heads`, or always on. A `filter` says which
    records are kept, "" all.
    """

    name: str
    definitions: tuple[str, ...]
    hook: Hook = Hook.NONE
    rebuilt: bool = False
    offsets: tuple[int, ...] = ()
    filter: str = ""
    armed_by: str = ""
    heads: tuple[str, ...] = ()


class Plan(NamedTuple):
    """What to write where, in this order: heads come last, so that the kernel runs them first.

    `services` are trace events of the name server, used only where traffic within this node cannot be tapped. `notes`
    say what will not be seen.
    """

    bodies: tuple[Event, ...]
    heads: tuple[Event, ...]
    services: tuple[str, ...]
    notes: tuple[str, ...]


class _Tap(NamedTuple):
    """A tapped function: where its arguments say the packet is, and its header, by _VERSION_1's names, if not in it."""

    event: str
    hook: Hook
    function: str
    pointer: str  # what identifies the packet
    length: str
    data: str  # the address of its first byte
    paged: str = ""
    header: Mapping[str, str] = {}


def plan(facts: Facts, tuning: Tuning = NO_TUNING) -> Plan:
    """The probes for a kernel whose struct sk_buff is known.

    Raises UsageError for a capture filter that makes no sense, SourceUnavailable for one where the kernel has none.
    """
    assert facts.skb is not None
    arguments = ARGUMENTS[facts.machine]
    skb = arguments[1]
    in_skb = (skb, f"+{facts.skb.len}({skb}):u32", f"+{facts.skb.data}({skb})", f"+{facts.skb.paged}({skb}):u32")
    kind, source, destination = arguments[2:5]
    header = {
        "kind": f"{kind}:u32",
        "from_node": f"+4({source}):u32",
        "from_port": f"+8({source}):u32",
        "to_node": f"+4({destination}):u32",
        "to_port": f"+8({destination}):u32",
    }
    notes: list[str] = []

    taps = [_Tap("receive", Hook.RECEIVE, facts.symbols[RECEIVE], skb, f"{arguments[2]}:u32", skb)]
    senders, rebuilt = _senders(facts, notes)
    taps += [_Tap("transmit", Hook.TRANSMIT, function, *in_skb, header if rebuilt else {}) for function in senders]
    if LOCAL in facts.symbols:
        taps.append(_Tap("local", Hook.LOCAL, facts.symbols[LOCAL], *in_skb, header))
    else:
        notes.append(f"{_why(facts, LOCAL)}: traffic within this node is not seen, only the services it announces")

    tapped = {tap.function for tap in taps}
    changed = [function for function, symbol in facts.symbols.items() if function in facts.refused and symbol in tapped]
    notes += [f"{facts.refused[function]}: that part is not seen" for function in changed]

    chosen = parse(tuning.filter) if tuning.filter else None
    if facts.simple:
        if chosen is not None:
            raise SourceUnavailable(f"Linux {facts.release} has no capture filters", "they need Linux 5.4 or later")
        bodies, heads = _simple(taps, tuning.snap)
    else:
        bodies, heads = _shared(taps, chosen, tuning.snap)
    services = () if LOCAL in facts.symbols else tuple(SERVICES)
    return Plan(bodies, heads, services, tuple(notes))


def _why(facts: Facts, function: str) -> str:
    return facts.refused.get(function, f"no function {function}")


def _shared(taps: list[_Tap], chosen: CaptureFilter | None, snap: int) -> tuple[tuple[Event, ...], tuple[Event, ...]]:
    """Bodies and heads where an event can have many probes: a body for each stage, a head for each hook."""
    passes = chosen.text if chosen else ""
    heads: dict[str, Event] = {}
    for tap in taps:
        others = heads[tap.event].definitions if tap.event in heads else ()
        definitions = (*others, _head(tap, chosen, _arrays))
        heads[tap.event] = Event(tap.event, definitions, tap.hook, bool(tap.header), filter=passes)
    bodies = []
    for stage, offsets in _stages(STAGES, snap):
        parts = [
            _part(tap, offset, stage, f" off=\\{offset}:u32{_arguments(_asked(tap, chosen))}", _arrays)
            for tap in taps
            for offset in offsets
        ]
        # One event has one filter, so it tells the parts apart by their offset.
        wanted = " || ".join(f"off == {offset} && len > {offset}" for offset in offsets)
        armed_by = stage.armed_by
        if passes:
            wanted = f"({wanted}) && ({passes})"
            armed_by = armed_by and f"{armed_by} && ({passes})"
        body = Event(stage.name, tuple(parts), offsets=offsets, filter=wanted, armed_by=armed_by, heads=tuple(heads))
        bodies.append(body)
    return tuple(bodies), tuple(heads.values())


def _simple(taps: list[_Tap], snap: int) -> tuple[tuple[Event, ...], tuple[Event, ...]]:
    """Bodies and heads where an event has one probe: a head for each function, bodies for each part."""
    bodies, heads = [], []
    for number, tap in enumerate(taps):
        head = f"{tap.event}{number}"
        for stage, offsets in _stages(SIMPLE_STAGES, snap):
            for at in offsets:
                name, wanted = f"{stage.name}{number}x{at}", f"len > {at}"
                parts = (_part(tap, at, stage, "", _single),)
                bodies.append(Event(name, parts, offsets=(at,), filter=wanted, armed_by=stage.armed_by, heads=(head,)))
        heads.append(Event(head, (_head(tap, None, _single),), tap.hook, bool(tap.header)))
    return tuple(bodies), tuple(heads)


def _stages(stages: Sequence[Stage], snap: int) -> Iterator[tuple[Stage, tuple[int, ...]]]:
    """The stages that hold something of a packet's first `snap` bytes (0: of all), the longest packets' first, and
    where their parts begin."""
    for stage in reversed(stages):
        if offsets := tuple(offset for offset in stage.offsets if not snap or offset < snap):
            yield stage, offsets


def _senders(facts: Facts, notes: list[str]) -> tuple[list[str], bool]:
    """The functions at which to see what is sent, and whether packets have no header there yet.

    A transport's own function has the packet as the other side will get it. qrtr_node_enqueue, through which all pass
    before, has no header yet, does not know confirm_rx, and may still wait or fail: it serves where a transport is
    not known. Transports that may be loaded later are tapped ahead, which the kernel remarks in its log.
    """
    present = {module: function for module, function in TRANSPORTS.items() if function in facts.symbols}
    strange = facts.holders - TRANSPORTS.keys() - {"qrtr_ns"}
    unseen = sorted(facts.holders & (TRANSPORTS.keys() - present.keys()))
    later = sorted(facts.installed - present.keys())
    built_in = ":" not in facts.symbols[RECEIVE] and not present
    if strange or unseen or (built_in and not later):
        names = ", ".join([*sorted(strange), *unseen]) or "built in"
        if ENQUEUE in facts.symbols:
            notes.append(f"transport not known ({names}): headers of sent packets are rebuilt")
            return [facts.symbols[ENQUEUE]], True
        notes.append(f"transport not known ({names}) and {_why(facts, ENQUEUE)}: what it sends is not seen")
    return [
        *(facts.symbols[function] for function in present.values()),
        *(f"{module}:{TRANSPORTS[module]}" for module in later),
    ], False


_Copy = Callable[[str, int, int], str]  # address, first byte, words -> arguments that copy them


def _head(tap: _Tap, chosen: CaptureFilter | None, copy: _Copy) -> str:
    """The definition of a head's probe."""
    told = _arguments(tap.header)
    told += _arguments({name: where for name, where in _asked(tap, chosen).items() if name not in tap.header})
    if tap.paged:
        told = f" paged={tap.paged}{told}"
    data = copy(tap.data, 0, HEAD_BYTES // 8)
    return f"p:{{group}}/{{event}} {tap.function} ptr={tap.pointer}:x64 len={tap.length}{told} comm=$comm:string {data}"


def _part(tap: _Tap, offset: int, stage: Stage, extra: str, copy: _Copy) -> str:
    """The definition of the probe for one part of a packet."""
    data = copy(tap.data, offset, stage.words)
    return f"p:{{group}}/{{event}} {tap.function} ptr={tap.pointer}:x64 len={tap.length}{extra} {data}"


def _asked(tap: _Tap, chosen: CaptureFilter | None) -> dict[str, str]:
    """What a filter asks about, as arguments of a probe at this function: field -> how it is fetched."""
    if chosen is None:
        return {}
    if tap.header:
        known = {"raw": "\\0:u8", "version": "\\0:u8", **tap.header}
        known |= {name: "\\0:" + where.partition(":")[2] for name, where in _VERSION_2.items()}
    else:
        known = {"raw": "\\1:u8", "version": f"+0({tap.data}):u8"}
        for name, where in (_VERSION_1 | _VERSION_2).items():
            offset, _, kind = where.partition(":")
            known[name] = f"{offset}({tap.data}):{kind}"
    return {name: fetched for name, fetched in known.items() if name in chosen.names}


def _arguments(fields: Mapping[str, str]) -> str:
    return "".join(f" {name}={fetched}" for name, fetched in fields.items())


def _arrays(address: str, start: int, words: int) -> str:
    return " ".join(
        f"d{number}=+{start + at * 8}({address}):x64[{min(_ARRAY, words - at)}]"
        for number, at in enumerate(range(0, words, _ARRAY))
    )


def _single(address: str, start: int, words: int) -> str:
    return " ".join(f"d{number}=+{start + number * 8}({address}):x64" for number in range(words))
