# SPDX-License-Identifier: GPL-2.0-or-later
"""The tap as a whole, on a kernel that is a directory: what it puts there, reads there, and takes away again."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from qmisniff.capture import losses
from qmisniff.capture import tap as tap_module
from qmisniff.capture.event_format import parse_format
from qmisniff.capture.instance import Instance, remove_stale
from qmisniff.capture.plan import Plan
from qmisniff.capture.source import Tuning
from qmisniff.capture.tap import KernelTap
from qmisniff.errors import QmisniffError, SourceFailed, SourceUnavailable, UsageError
from qmisniff.frame import Flag, Frame, Hook, Origin
from tests.capture.kernel import KALLSYMS, TRACEFS, FakeKernel, Probes, pages


class NoLookup:
    """A name service that knows one server, which is what `early` frames are made of."""

    problem = ""
    seen = True
    early: tuple[Frame, ...] = ()

    def answers(self, origin: Origin, wait: bool = False) -> list[Frame]:
        return [frame._replace(origin=origin) for frame in self.early] if wait else []

    def close(self) -> None:
        self.problem = "closed"


@pytest.fixture(autouse=True)
def lookup(monkeypatch: pytest.MonkeyPatch) -> Iterator[NoLookup]:
    """No test may depend on whether this machine has QRTR."""
    made = NoLookup()
    made.problem = "no name service is running"
    monkeypatch.setattr(FakeKernel, "lookup", lambda self: made)
    yield made


def probes(kernel: FakeKernel, tap: KernelTap) -> Probes:
    """What writes pages for the events that the tap has just defined."""
    (instance,) = (kernel.tree / TRACEFS / "instances").iterdir()
    made = Probes(planned(tap))
    for name in made.forms:
        text = next(instance.glob(f"events/qmisniff_*/{name}_*/format")).read_text()
        made.forms[name] = parse_format(text)
    return made


def planned(tap: KernelTap) -> Plan:
    assert tap._instance is not None
    return tap._instance._plan


def test_what_it_writes(kernel: FakeKernel) -> None:
    with KernelTap(kernel, Tuning(buffer_kib=64)) as tap:
        (instance,) = (kernel.tree / TRACEFS / "instances").iterdir()
        assert instance.name.startswith("qmisniff_4242_77_")
        assert [(instance / name).read_text() for name in ("buffer_size_kb", "trace_clock", "tracing_on")] == [
            "64",
            "boot",
            "1",
        ]
        assert (instance / "buffer_percent").read_text() == "0"
        lines = (kernel.tree / TRACEFS / "kprobe_events").read_text().splitlines()
        order = list(dict.fromkeys(line.split()[0].rpartition("/")[2].partition("_")[0] for line in lines))
        assert order == ["huge", "long", "body", "receive", "transmit", "local"]
        suffix = instance.name.removeprefix("qmisniff")
        group = instance / "events" / instance.name
        enabled = {path.parent.name.removesuffix(suffix): path.read_text() for path in group.glob("*/enable")}
        assert enabled == {"huge": "", "long": "", "body": "1", "receive": "1", "transmit": "1", "local": "1"}
        for head in ("receive", "transmit", "local"):
            assert (group / f"{head}{suffix}/trigger").read_text() == (
                f"enable_event:{instance.name}:huge{suffix} if len > 9664\n"
                f"enable_event:{instance.name}:long{suffix} if len > 640\n"
            )
        assert [(instance / f"events/task/{name}/enable").read_text() for name in ("task_newtask", "task_rename")] == [
            "1",
            "1",
        ]
        assert tap.notes == ("services of before the capture are not known: no name service is running",)
        assert "qrtr_tun:qrtr_tun_send qrtr_smd:qcom_smd_qrtr_send" in tap.origin.note
    assert kernel.remains() == []


def test_what_it_reads(kernel: FakeKernel) -> None:
    with KernelTap(kernel) as tap:
        made = probes(kernel, tap)
        records = made.packet(Hook.RECEIVE, 7, 0x1000, bytes(range(200)))
        kernel.queue = [(1, page) for page in pages([(1000 + at, record) for at, record in enumerate(records)])]
        kernel.now = 1500
        assert tap.read(0.01) == []  # too fresh: something older may still come from another CPU
        kernel.now = 1_000_000_000
        frames = tap.read(1.0)
        assert frames is not None
        (frame,) = frames
        assert (frame.ts_ns, frame.data, frame.cpu, frame.pid) == (1_000_000_001_000, bytes(range(200)), 1, 7)
        assert frame.origin == tap.origin
        assert tap.statistics[:3] == (1, 0, 0)


def test_what_was_read_before_the_target_dies_is_given_first(kernel: FakeKernel) -> None:
    with KernelTap(kernel) as tap:
        (record,) = probes(kernel, tap).packet(Hook.RECEIVE, 7, 0x1000, b"last")
        kernel.queue = [(0, page) for page in pages([(1000, record)])]
        kernel.now = 1500
        assert tap.read(0.01) == []  # still waits for older ones
        kernel.broken = True
        frames = tap.read(0.01)
        assert frames is not None
        assert [frame.data for frame in frames] == [b"last"]
        for _ in range(2):
            with pytest.raises(SourceFailed, match="cannot be read any more"):
                tap.read(0.01)
        assert tap.statistics.frames == 1


def test_the_rest_comes_after_stop_and_then_the_end(kernel: FakeKernel) -> None:
    with KernelTap(kernel) as tap:
        made = probes(kernel, tap)
        whole = made.packet(Hook.RECEIVE, 7, 0x1000, bytes(100))
        cut = made.packet(Hook.RECEIVE, 7, 0x2000, bytes(200))[:1]
        kernel.queue = [(0, page) for page in pages([(1000, whole[0]), (2000, cut[0])])]
        suffix = next((kernel.tree / TRACEFS / "instances").iterdir()).name.removeprefix("qmisniff")
        kernel.put(
            f"{TRACEFS}/kprobe_profile", f"  receive{suffix}   5   2\n  receive_1_2_3   99   99\n  body{suffix} 4 4\n"
        )
        tap.stop()
        group = next((kernel.tree / TRACEFS / "instances").glob("*/events/qmisniff_*"))
        assert (group / f"receive{suffix}/enable").read_text() == "0"
        frames = tap.read(1.0)
        assert frames is not None
        assert [frame.flags for frame in frames] == [Flag(0), Flag.TRUNCATED]
        assert tap.read(1.0) is None
        assert tap.read(1.0) is None
        # Probed 5 times, 2 packets seen, and 2 more that could not be probed.
        assert tap.statistics[:3] == (2, 5, 1)
        assert tap.statistics.causes == {losses.OVERWRITTEN: 3, losses.NOT_PROBED: 2}


def test_packets_that_could_not_be_probed_are_told_while_it_runs(
    kernel: FakeKernel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tap_module, "_CHORES_EVERY", 0.0)
    with KernelTap(kernel) as tap:
        suffix = next((kernel.tree / TRACEFS / "instances").iterdir()).name.removeprefix("qmisniff")
        kernel.put(f"{TRACEFS}/kprobe_profile", f"  local{suffix}   0   3\n")
        kernel.now = 10**9
        assert tap.read(0.01) == []
        kernel.queue = [(0, page) for page in pages([(1000, probes(kernel, tap).packet(Hook.RECEIVE, 7, 1, b"x")[0])])]
        frames = tap.read(1.0)
        assert frames is not None
        assert [frame.lost for frame in frames] == [3]
        assert tap.statistics.lost == 3


def test_what_was_overwritten_is_told_while_it_runs(kernel: FakeKernel, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tap_module, "_CHORES_EVERY", 0.0)
    with KernelTap(kernel) as tap:
        (instance,) = (kernel.tree / TRACEFS / "instances").iterdir()
        profile = f"  receive{instance.name.removeprefix('qmisniff')}   10   0\n"
        record = probes(kernel, tap).packet(Hook.RECEIVE, 7, 1, b"x")[0]
        kernel.put(f"{TRACEFS}/kprobe_profile", profile)
        kernel.put(f"{TRACEFS}/instances/{instance.name}/per_cpu/cpu1/stats", "entries: 4\noverrun: 9\n")
        kernel.queue = [(0, page) for page in pages([(1000, record), (1001, record)], lost=20)]
        kernel.now = 10**9
        frames = tap.read(1.0)
        assert frames is not None
        # Ten packets, two of them read, four events still to be read.
        assert [frame.lost for frame in frames] == [4, 0]
        assert tap.statistics.lost == 4
        kernel.put(f"{TRACEFS}/instances/{instance.name}/per_cpu/cpu1/stats", "entries: 0\noverrun: 9\n")
        tap.stop()
        assert tap.read(1.0) == []
        assert tap.statistics.lost == 8
        assert tap.statistics.causes == {losses.OVERWRITTEN: 8}


def test_a_filter_s_packets_are_counted_by_the_kernel(kernel: FakeKernel) -> None:
    with KernelTap(kernel, Tuning(filter="type data")) as tap:
        (instance,) = (kernel.tree / TRACEFS / "instances").iterdir()
        suffix = instance.name.removeprefix("qmisniff")
        group = instance / "events" / instance.name
        for head in ("receive", "transmit", "local"):
            chosen = (group / f"{head}{suffix}/filter").read_text()
            assert "raw == 0 && (kind == 1)" in chosen
            lines = (group / f"{head}{suffix}/trigger").read_text().splitlines()
            assert lines[-1] == f"hist:keys=raw:size=128 if {chosen}"
            assert lines[0] == f"enable_event:{instance.name}:huge{suffix} if len > 9664 && ({chosen})"
        kernel.put(f"{TRACEFS}/kprobe_profile", f"  local{suffix}   1000   1\n")  # it counts what is left out, too
        for head, hits in (("receive", 3), ("transmit", 0), ("local", 4)):
            text = f"{{ raw: 1 }} hitcount: {hits}\n\nTotals:\n    Hits: {hits}\n    Entries: 1\n    Dropped: 0\n"
            (group / f"{head}{suffix}/hist").write_text(text)
        kernel.queue = [(0, page) for page in pages([(1000, probes(kernel, tap).packet(Hook.RECEIVE, 7, 1, b"x")[0])])]
        tap.stop()
        assert len(tap.read(1.0) or []) == 1
        assert tap.statistics.causes == {losses.OVERWRITTEN: 6, losses.NOT_PROBED: 1}
        assert "capture filter type data" in tap.origin.note


def test_a_kernel_that_cannot_count_a_filter_s_packets_is_said_to(kernel: FakeKernel) -> None:
    def old(change: str) -> None:
        if " hist:" in change:
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))

    kernel.fails = old
    with KernelTap(kernel, Tuning(filter="type data")) as tap:
        assert "cannot count what a filter passes" in tap.notes[-1]
        kernel.queue = [
            (0, page) for page in pages([(1000, probes(kernel, tap).packet(Hook.RECEIVE, 7, 1, b"x")[0])], lost=9)
        ]
        tap.stop()
        assert len(tap.read(1.0) or []) == 1
        assert tap.statistics.lost == 9


def test_a_snap_length_leaves_out_the_probes_for_the_rest(kernel: FakeKernel) -> None:
    with KernelTap(kernel, Tuning(snap=200)) as tap:
        assert [body.name for body in planned(tap).bodies] == ["body"]
        kernel.queue = [
            (0, page)
            for page in pages([(1, record) for record in probes(kernel, tap).packet(Hook.RECEIVE, 7, 1, bytes(5000))])
        ]
        kernel.now = 10**9
        tap.stop()
        (frame,) = tap.read(1.0) or []
        assert (len(frame.data), frame.orig_len) == (200, 5000)
        assert tap.statistics.truncated == 0


def test_a_filter_that_makes_no_sense_is_refused_before_anything_is_touched(kernel: FakeKernel) -> None:
    with pytest.raises(UsageError, match="where a number"):
        KernelTap(kernel, Tuning(filter="port 'x")).open()
    assert kernel.remains() == []


def test_stages_for_long_packets_are_given_up_when_none_has_come(
    kernel: FakeKernel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tap_module, "_CHORES_EVERY", 0.0)
    with KernelTap(kernel) as tap:
        group = next((kernel.tree / TRACEFS / "instances").glob("*/events/qmisniff_*"))
        records = probes(kernel, tap).packet(Hook.RECEIVE, 7, 1, bytes(5000))
        kernel.queue = [(0, page) for page in pages([(1000 + at, record) for at, record in enumerate(records)])]
        kernel.now = 10**9
        tap.read(0.01)
        tap.read(0.01)
        assert next(group.glob("long_*/enable")).read_text() == "0"
        assert not next(group.glob("huge_*/enable")).read_text()


def test_where_an_event_has_one_probe_all_of_a_stage_are_given_up(
    kernel: FakeKernel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first packet that needs one of them arms them all."""
    monkeypatch.setattr(tap_module, "_CHORES_EVERY", 0.0)
    kernel.put(f"{TRACEFS}/README", "")
    with KernelTap(kernel, Tuning(snap=3000)) as tap:
        group = next((kernel.tree / TRACEFS / "instances").glob("*/events/qmisniff_*"))
        records = probes(kernel, tap).packet(Hook.RECEIVE, 7, 1, bytes(700))
        kernel.queue = [(0, page) for page in pages([(1000 + at, record) for at, record in enumerate(records)])]
        kernel.now = 10**9
        tap.read(0.01)
        tap.read(0.01)
        assert [path.read_text() for path in group.glob("long*x*/enable")] == ["0"] * 3 * len(planned(tap).heads)


def test_it_waits_for_the_module_when_told_to(kernel: FakeKernel, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tap_module, "_WAIT", 0.0)
    shutil.rmtree(kernel.tree / "sys/module/qrtr")
    kernel.put("proc/kallsyms", "")
    steps = iter(("", "coming\n", "live\n"))

    def later(seconds: float) -> None:
        """Time goes by: the module is loaded, and begins its work."""
        kernel.put("proc/kallsyms", KALLSYMS)
        if state := next(steps):
            kernel.put("sys/module/qrtr/initstate", state)

    monkeypatch.setattr("qmisniff.capture.tap.time.sleep", later)
    said: list[str] = []
    tap = KernelTap(kernel)
    assert not tap.probe().ok
    tap.wait(said.append)
    assert said == ["the kernel module qrtr is not loaded: waiting for it, ctrl+c ends"]
    assert next(steps, "no more") == "no more"


def test_it_does_not_wait_for_what_will_not_come(kernel: FakeKernel) -> None:
    kernel.root = False
    with pytest.raises(SourceUnavailable, match="needs root"):
        KernelTap(kernel).wait(lambda text: None)


def test_the_lookup_comes_first(kernel: FakeKernel, lookup: NoLookup) -> None:
    lookup.early = (Frame(5, b"answer", 6, hook=Hook.LOOKUP, flags=Flag.SYNTHETIC),)
    with KernelTap(kernel) as tap:
        frames = tap.read(0.0)
        assert frames is not None
        assert [frame.data for frame in frames] == [b"answer"]
        assert frames[0].origin == tap.origin


def test_probes_that_never_fire_are_an_error(kernel: FakeKernel, lookup: NoLookup) -> None:
    lookup.problem = ""  # so that the end of the lookup must have been seen
    with pytest.raises(SourceFailed, match="does not run them"):
        KernelTap(kernel).open()
    assert kernel.remains() == []


def changes(kernel: FakeKernel) -> list[str]:
    """Every change that opening asks for."""
    seen: list[str] = []
    kernel.fails = seen.append
    tap = KernelTap(kernel)
    tap.open()
    kernel.fails = lambda change: None
    tap.close()
    return seen


def test_whatever_the_kernel_refuses_nothing_is_left(kernel: FakeKernel) -> None:
    asked = changes(kernel)
    # The first and the last of each kind: the probes of one event are all alike.
    kinds = [change.split(" qrtr")[0].rstrip("0123456789") for change in asked]
    numbers = {kinds.index(kind) for kind in kinds} | {len(kinds) - 1 - kinds[::-1].index(kind) for kind in kinds}
    assert len(numbers) > 30
    refused = 0
    for number in sorted(numbers):
        seen: list[str] = []

        def fail(change: str, number: int = number, seen: list[str] = seen) -> None:
            seen.append(change)
            if len(seen) == number + 1:
                raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))

        kernel.fails = fail
        tap = KernelTap(kernel)
        try:
            tap.open()
        except QmisniffError as error:
            refused += 1
            assert "Invalid argument" in str(error)
            assert "\n" not in str(error)
        else:
            assert "buffer_percent" in seen[number]  # which old kernels do not have
        kernel.fails = lambda change: None
        tap.close()
        assert kernel.remains() == []
    assert refused == len(numbers) - 1


def test_an_interrupt_while_opening_leaves_nothing(kernel: FakeKernel) -> None:
    def interrupt(change: str) -> None:
        if "/enable 1" in change:
            raise KeyboardInterrupt

    kernel.fails = interrupt
    with pytest.raises(KeyboardInterrupt):
        KernelTap(kernel).open()
    assert kernel.remains() == []


def test_the_kernel_says_why_it_refuses(kernel: FakeKernel) -> None:
    def refuse(change: str) -> None:
        if change.startswith("append") and "p:" in change:
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))

    kernel.fails = refuse
    kernel.put(
        f"{TRACEFS}/error_log",
        "[ 1.0] trace_kprobe: error: Old news\n[ 2.0] trace_kprobe: error: Event too big\n  Command: p:x y\n     ^\n",
    )
    with pytest.raises(
        SourceFailed, match=r"refused a probe at qrtr:qrtr_endpoint_post: Invalid argument, Event too big"
    ):
        KernelTap(kernel).open()


def test_dead_pipes_are_an_error(kernel: FakeKernel) -> None:
    with KernelTap(kernel) as tap:
        kernel.broken = True
        with pytest.raises(SourceFailed, match="Input/output error"):
            tap.read(1.0)
    assert kernel.remains() == []


def test_what_cannot_be_removed_is_named(kernel: FakeKernel) -> None:
    tap = KernelTap(kernel)
    tap.open()
    kernel.readers += 1  # somebody reads our instance
    with pytest.raises(SourceFailed, match=r"qmisniff_4242_77_.* cannot be removed: Device or resource busy"):
        tap.close()
    tap.close()  # no second complaint


def test_tracefs_that_has_gone_is_an_error_and_not_taken_for_removed(kernel: FakeKernel) -> None:
    tap = KernelTap(kernel)
    tap.open()
    (kernel.tree / "sys/kernel/tracing").rename(kernel.tree / "sys/kernel/elsewhere")
    with pytest.raises(SourceFailed, match=r"is not tracefs any more.*the next capture there removes them"):
        tap.close()


def test_a_kernel_that_cannot_wake_a_reader_is_read_on_a_timer(kernel: FakeKernel) -> None:
    def old(change: str) -> None:
        if "buffer_percent" in change:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))

    kernel.fails = old
    with KernelTap(kernel) as tap:
        assert tap._instance is not None
        assert not tap._instance.wakes
        assert tap.read(0.03) == []


@pytest.mark.parametrize(("memory", "size"), [("16000000", "4096"), ("200000", "1562"), ("20000", "512")])
def test_buffers_take_a_64th_of_the_memory_at_most(kernel: FakeKernel, memory: str, size: str) -> None:
    kernel.put("proc/meminfo", f"MemTotal:       {memory} kB\n")
    with KernelTap(kernel):
        (instance,) = (kernel.tree / TRACEFS / "instances").iterdir()
        assert (instance / "buffer_size_kb").read_text() == size


def test_tracefs_is_mounted_where_it_is_not(kernel: FakeKernel) -> None:
    (kernel.tree / TRACEFS / "trace_clock").unlink()
    with KernelTap(kernel) as tap:
        assert tap.notes[0] == "mounted tracefs at /sys/kernel/tracing"


def test_tracefs_that_cannot_be_mounted(kernel: FakeKernel) -> None:
    (kernel.tree / TRACEFS / "trace_clock").unlink()
    kernel.mounts = False
    with pytest.raises(SourceUnavailable, match="cannot be: Operation not permitted"):
        KernelTap(kernel).open()


def test_services_are_told_by_trace_events_where_local_traffic_is_not_seen(kernel: FakeKernel) -> None:
    kernel.put("proc/kallsyms", "\n".join(line for line in KALLSYMS.splitlines() if "local_enqueue" not in line))
    with KernelTap(kernel) as tap:
        (instance,) = (kernel.tree / TRACEFS / "instances").iterdir()
        assert [path.read_text() for path in instance.glob("events/qrtr/qrtr_ns_se*/enable")] == ["1", "1"]
        assert any("traffic within this node is not seen" in note for note in tap.notes)


class TestRemains:
    """What killed captures leave."""

    @pytest.fixture
    def left(self, kernel: FakeKernel) -> str:
        """A tap whose process is gone."""
        tap = KernelTap(kernel)
        tap.open()
        kernel.readers = 0
        assert tap._instance is not None
        return tap._instance.name

    def test_are_removed_when_their_process_is_gone(self, kernel: FakeKernel, left: str) -> None:
        (kernel.tree / "proc/4242/stat").unlink()
        assert remove_stale(kernel, f"/{TRACEFS}") == [left]
        assert kernel.remains() == []

    def test_are_removed_when_another_process_has_the_number(self, kernel: FakeKernel, left: str) -> None:
        kernel.process(4242, started="78")
        assert remove_stale(kernel, f"/{TRACEFS}") == [left]

    def test_are_removed_when_only_the_probes_are_left(self, kernel: FakeKernel, left: str) -> None:
        kernel.remove(f"/{TRACEFS}/instances/{left}")
        (kernel.tree / "proc/4242/stat").unlink()
        assert remove_stale(kernel, f"/{TRACEFS}") == [left]
        assert kernel.remains() == []

    def test_stay_when_their_process_lives(self, kernel: FakeKernel, left: str) -> None:
        assert remove_stale(kernel, f"/{TRACEFS}") == []
        assert len(kernel.remains()) > 90

    def test_stay_when_somebody_reads_them(self, kernel: FakeKernel, left: str) -> None:
        (kernel.tree / "proc/4242/stat").unlink()
        kernel.readers = 1  # a process that we cannot see
        assert remove_stale(kernel, f"/{TRACEFS}") == []
        assert left in kernel.remains()

    def test_strangers_stay(self, kernel: FakeKernel) -> None:
        (kernel.tree / TRACEFS / "instances/qmisniff_notes").mkdir()
        (kernel.tree / TRACEFS / "instances/perf").mkdir()
        assert remove_stale(kernel, f"/{TRACEFS}") == []
        assert sorted(kernel.remains()) == ["perf", "qmisniff_notes"]

    def test_the_next_capture_says_so(self, kernel: FakeKernel, left: str) -> None:
        (kernel.tree / "proc/4242/stat").unlink()
        with KernelTap(kernel) as tap:
            assert tap.notes[0] == f"removed what killed captures had left in the kernel: {left}"
        assert kernel.remains() == []


def test_two_taps_of_one_process_have_names_of_their_own(kernel: FakeKernel) -> None:
    empty = Plan((), (), (), ())
    first, second = (Instance(kernel, f"/{TRACEFS}", empty, 64) for _ in range(2))
    assert first.name != second.name


def test_close_without_open_does_nothing(tmp_path: Path) -> None:
    KernelTap(FakeKernel(tmp_path)).close()
