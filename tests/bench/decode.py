# SPDX-License-Identifier: GPL-2.0-or-later
"""How fast messages are decoded, beside libqmi's own C code on the same frames:  python -m tests.bench.decode

Prints medians of processor time. Needs libqmi-glib and gcc (tests/setup-debian). Options: --messages, --rounds.
"""

from __future__ import annotations

import argparse
import gc
import os
import random
import statistics
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from qmisniff.cli import COLLECTIONS
from qmisniff.definitions.model import KINDS
from qmisniff.dissect import Dissector
from qmisniff.dissect.bulk_json import BulkJson
from qmisniff.frame import Frame, Link
from qmisniff.protocol.context import Context
from qmisniff.store import Store
from tests import factories
from tests.differential.corpus import DISSECTORS, RESPONSE, Case, cases, message, registry, sample
from tests.oracle.libqmi import Oracle, qmux
from tests.oracle.printed import parse_message

DISTINCT = 5_000  # messages made; each comes back many times among the 100,000
FAILURES = 0.04  # of the responses
OPTIONAL = 0.8  # of the optional TLVs: which ones, a modem decides once for a message
ELEMENTS = 12  # at most in an array: cells, satellites, networks, cards
NOT_PRINTED = ("frame.", "tap.")  # what the names begin with of all that libqmi knows nothing of

# What a phone's modem talks about: the share of a service, and its messages: requests and responses alike, and as many
# indications (`!`) as both together where the service has any in this list.
MIX: dict[str, tuple[int, str]] = {
    "nas": (
        44,
        "get_signal_info signal_info! get_serving_system get_serving_system! get_system_info system_info! "
        "get_signal_strength get_home_network get_cell_location_info get_rf_band_information network_scan "
        "get_operator_name register_indications get_system_selection_preference set_event_report! network_time!",
    ),
    "wds": (
        19,
        "start_network stop_network get_packet_service_status get_packet_service_status! get_current_settings "
        "get_packet_statistics get_profile_settings get_profile_list get_channel_rates bind_mux_data_port "
        "set_ip_family set_event_report!",
    ),
    "loc": (
        14,
        "reg_events start stop event_position_report! event_gnss_sv_info! event_nmea! event_engine_state! "
        "set_nmea_types set_operation_mode",
    ),
    "dms": (
        7,
        "get_ids get_capabilities get_manufacturer get_model get_revision get_operating_mode set_operating_mode "
        "get_msisdn uim_get_pin_status set_event_report! get_time",
    ),
    "uim": (
        6,
        "get_card_status card_status! read_transparent read_record get_file_attributes get_slot_status verify_pin",
    ),
    "wms": (5, "raw_read raw_send list_messages set_event_report! set_routes get_smsc_address modify_tag"),
    "voice": (5, "dial_call end_call all_call_status! get_all_call_info indication_register answer_call"),
}

_FIRST_DECODE = """
import sys, time
from pathlib import Path
from qmisniff.definitions import Registry
from qmisniff.dissect import Dissector
from qmisniff.frame import Frame
from qmisniff.protocol.context import Context
from tests.differential.corpus import frame
registry = Registry([Path(sys.argv[1])])
given = frame(int(sys.argv[2]), bytes.fromhex(sys.argv[3]))
began = time.process_time_ns()
Dissector(registry).tree(*given)
print(time.process_time_ns() - began)
"""


def mixed(oracle: Oracle, count: int) -> list[bytes]:
    """`count` QMUX frames in the shares of MIX; nothing in them that libqmi does not know."""
    rng = random.Random(1)
    kinds: list[Case] = []
    weights: list[float] = []
    for name, (share, words) in MIX.items():
        service = registry().service_named(name)
        assert service is not None
        known = {(case.message.name, KINDS[case.kind]): case for case in cases(service.header.id)}
        calls = [known[word, kind] for word in words.split() if word[-1] != "!" for kind in ("request", "response")]
        events = [known[word[:-1], "indication"] for word in words.split() if word[-1] == "!"]
        for found in filter(None, (calls, events)):
            kinds += found
            weights += [share / len(found) / (2 if events else 1)] * len(found)
    print(f"{len(kinds)} kinds of message in {len(MIX)} services", end=", ")
    sent = {str(case): _sent(rng, oracle, case) for case in kinds}
    drawn = rng.choices(kinds, weights, k=DISTINCT)
    distinct = [_frame(rng, case, sent[str(case)], seed) for seed, case in enumerate(drawn)]
    return rng.choices(distinct, k=count)


def _sent(rng: random.Random, oracle: Oracle, case: Case) -> set[int]:
    """The TLVs that this modem sends in the message, out of those that libqmi can translate."""
    made = sample(case, "known").data
    tlvs = parse_message(oracle.printable(qmux(case.service.header.id, case.kind, made))).tlvs
    mandatory = {tlv.id for tlv in case.message.tlvs[case.kind] or () if tlv.mandatory}
    return {tlv.id for tlv in tlvs if tlv.name is not None and (tlv.id in mandatory or rng.random() < OPTIONAL)}


def _frame(rng: random.Random, case: Case, sent: set[int], seed: int) -> bytes:
    if case.kind == RESPONSE and rng.random() < FAILURES:
        body = factories.tlv(2, struct.pack("<HH", 1, rng.choice((3, 14, 16, 26, 52, 74, 94))))
    else:
        body = factories.tlv(2, bytes(4)) if case.kind == RESPONSE else b""
        tlvs = sample(case, seed, ELEMENTS).tlvs
        body += b"".join(factories.tlv(tlv.id, node.data) for tlv, node in tlvs if tlv.id in sent)
    return qmux(case.service.header.id, case.kind, message(case, body))


def libqmi_times(frames: Sequence[bytes], rounds: int) -> list[int]:
    """Nanoseconds libqmi takes to parse and print all frames, for each round."""
    source = Path(__file__).with_name("printable.c")
    with tempfile.TemporaryDirectory() as directory:
        program, file = Path(directory, "printable"), Path(directory, "frames")
        libraries = ("-l:libqmi-glib.so.5", "-l:libglib-2.0.so.0")
        subprocess.run(["gcc", "-O2", "-o", program, source, *libraries], check=True)
        file.write_bytes(b"".join(struct.pack("I", len(frame)) + frame for frame in frames))
        done = subprocess.run([program, file, str(rounds)], check=True, capture_output=True, text=True)
        return [int(line) for line in done.stdout.split()]


def times(work: Callable[[Frame, Context], object], frames: Sequence[Frame], rounds: int) -> list[int]:
    """Nanoseconds `work` takes for all frames, for each round after a first one that compiles."""
    found = []
    for _ in range(rounds + 1):
        began = time.process_time_ns()
        for number, frame in enumerate(frames, 1):
            work(frame, Context(number=number))
        found.append(time.process_time_ns() - began)
    return found[1:]


def bulk_times(store: Store, bulk: BulkJson, rounds: int) -> list[int]:
    """Nanoseconds for the text of all frames of a capture in memory, after a round that compiles."""
    found = []
    for _ in range(rounds + 1):
        began = time.process_time_ns()
        for rows in store.columns():
            for _ in bulk.lines(rows, np.arange(len(rows)), lambda row: (store.frame(row), store.context(row))):
                pass
        found.append(time.process_time_ns() - began)
    return found[1:]


def first_decode(case: Case, cached: bool) -> int:
    """Nanoseconds until the first message of a service is decoded by a new process."""
    with tempfile.TemporaryDirectory() as cache:
        environment = os.environ | {"XDG_CACHE_HOME": cache}
        arguments = [str(DISSECTORS), str(case.service.header.id), sample(case, 0).data.hex()]
        command = [sys.executable, "-c", _FIRST_DECODE, *arguments]
        for _ in range(1 + cached):
            done = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
        return int(done.stdout)


def main() -> None:
    gc.set_threshold(*COLLECTIONS)  # as a command line of qmisniff
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--messages", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    frames = mixed(Oracle(), arguments.messages)
    print(f"{len(frames)} messages, {sum(map(len, frames)) / len(frames):.0f} bytes on average")

    ours = [factories.frame(frame, at, link=Link.QMUX) for at, frame in enumerate(frames)]
    dissector = Dissector(registry())

    def report(what: str, found: list[int], count: int) -> float:
        median = statistics.median(found) / count / 1e3
        print(f"{what:42} {median:7.1f} us a message {1e3 / median:7.0f} thousand a second")
        return median

    c = report("libqmi: parse and print, in C", libqmi_times(frames, arguments.rounds), len(frames))

    def run(what: str, work: Callable[[Frame, Context], object]) -> float:
        return report(what, times(work, ours, arguments.rounds), len(ours))

    store = Store()
    store.extend(ours)

    def lines(what: str, left_out: tuple[str, ...]) -> float:
        return report(what, bulk_times(store, BulkJson(dissector, left_out=left_out), arguments.rounds), len(ours))

    messages = lines("capture as JSON text: QMUX, QMI, TLVs", NOT_PRINTED)
    whole = lines("the same, and frame.*, tap.*", ())
    run("frame as JSON text", dissector.json)
    run("frame as values", dissector.values)
    run("frame as a tree with offsets (wanted: 60)", dissector.tree)
    run("frame as a row of the packet list", dissector.summary)
    print(f"JSON text of what libqmi prints, too: {c / messages:.2f} times its rate (wanted: 1.5)")
    print(f"and with frame.* and tap.*, of which libqmi knows nothing: {c / whole:.2f} times")

    for name in ("nas", "wds", "loc"):
        service = registry().service_named(name)
        assert service is not None
        case = next(case for case in cases(service.header.id) if case.message.name == MIX[name][1].split()[0])
        new, known = (
            statistics.median(first_decode(case, cached) for _ in range(arguments.rounds)) / 1e6
            for cached in (False, True)
        )
        print(f"first message of {name}: {new:.1f} ms with its YAML, {known:.1f} ms from the cache")


if __name__ == "__main__":
    main()
