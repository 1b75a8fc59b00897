# SPDX-License-Identifier: GPL-2.0-or-later
"""The USB buses of this machine, seen by the kernel's usbmon: modems whose QMI comes as QMUX or inside MBIM.

Wireshark's dumpcap does the capturing: it knows the rights, the ring buffer and the kernel's ways, and its packets come
as they are, pcapng of link type 220. Nothing is lost between it and us: where we are slow it waits, and counts what the
kernel drops meanwhile.
"""

from __future__ import annotations

import contextlib
import os
import queue
import shutil
import stat
import subprocess
import tempfile
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO

from qmisniff import pcapng
from qmisniff.capture import ending
from qmisniff.capture.source import NO_TUNING, Availability, Opened, Statistics, Tuning
from qmisniff.capture_file import frame_of
from qmisniff.errors import CaptureFileError, SourceFailed, SourceUnavailable, UsageError
from qmisniff.frame import Flag, Frame, Origin
from qmisniff.pcapng import END, Record, RecordReader

_DEVICES = Path("/dev")
_QUEUED = 1024  # records; one has up to some 60 KiB
_START = 60.0  # seconds until dumpcap must have begun: it looks at all interfaces first, and loads modules for some
_PATIENCE = 5.0  # seconds until a dumpcap that is told to end must have ended
_INSTALL = "install dumpcap (Debian: wireshark-common)"


def buses() -> list[str]:
    """The names of the usbmon interfaces that are there, usbmon0 (all buses) first."""
    numbers = [path.name[6:] for path in _DEVICES.glob("usbmon*")]
    return [f"usbmon{number}" for number in sorted(int(each) for each in numbers if each.isdecimal())]


class UsbMonitor(Opened):
    """The source `usbmonN`: the USB bus N; all buses where N is 0."""

    def __init__(self, name: str, tuning: Tuning = NO_TUNING) -> None:
        """Raises UsageError for what dumpcap cannot do with USB."""
        if tuning.filter:
            raise UsageError(f"{name} takes no capture filter", "a display filter of `read` or `export pcapng` will do")
        self.origin = Origin("usbmon", name)
        self.notes: Sequence[str] = ()
        self._name = name
        self._limits = ["-s", str(tuning.snap)] if tuning.snap else []
        if tuning.buffer_kib is not None:
            self._limits += ["-B", str(max(tuning.buffer_kib // 1024, 1))]
        self._process: subprocess.Popen[bytes] | None = None
        self._thread: threading.Thread | None = None
        self._said: BinaryIO | None = None  # what dumpcap prints on standard error
        self._records: queue.Queue[Record | None] = queue.Queue(_QUEUED)  # None: there are no more
        self._interface: queue.SimpleQueue[pcapng.Interface | None] = queue.SimpleQueue()
        self._damage = ""
        self._frames = self._lost = self._truncated = 0
        self._stopping = self._ended = False

    @property
    def statistics(self) -> Statistics:
        """Frames read and cut short; what was lost is known once dumpcap has ended."""
        return Statistics(self._frames, self._lost, self._truncated)

    def probe(self) -> Availability:
        """Whether there are dumpcap, the bus, and the rights."""
        device = _DEVICES / self._name
        dumpcap = shutil.which("dumpcap")
        if dumpcap is None:
            if (found := shutil.which("dumpcap", mode=os.F_OK)) is None:
                return Availability(False, "dumpcap is not installed", _INSTALL)
            return Availability(False, f"{found} may not be run by this user", "join the group that owns it")
        if not device.exists():
            if known := buses():
                return Availability(False, f"there is no {device}", f"there is {', '.join(known)}")
            return Availability(False, f"there is no {device}: usbmon is not loaded", "modprobe usbmon")
        if not os.access(device, os.R_OK) and not Path(dumpcap).stat().st_mode & stat.S_ISUID:
            return Availability(False, f"{device} may not be read", f"run as root, or setfacl -m u:$USER:r {device}")
        return Availability(True, f"{'all USB buses' if self._name == 'usbmon0' else 'a USB bus'}, by {dumpcap}")

    def open(self) -> None:
        """Start dumpcap and wait until it captures. Raises SourceUnavailable, leaving nothing behind."""
        state = self.probe()
        if not state.ok:
            raise SourceUnavailable(state.reason, state.remedy)
        self._said = tempfile.TemporaryFile()  # noqa: SIM115 - closed by close()
        try:
            # In a session of its own: Ctrl-C is for us, and we end it when we have read what it has.
            self._process = subprocess.Popen(
                ["dumpcap", "-q", "-i", self._name, *self._limits, "-w", "-"],
                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=self._said, start_new_session=True,
            )  # fmt: skip
            self._thread = threading.Thread(target=self._receive, args=(self._process.stdout,), daemon=True)
            self._thread.start()
            try:
                with ending.wait():
                    interface = self._interface.get(timeout=_START)
            except queue.Empty:
                raise SourceUnavailable(f"dumpcap did not begin to capture in {_START:.0f} s") from None
            if interface is None:
                self._process.wait()
                raise SourceUnavailable(self._complaint())
        except OSError as error:
            self.close()
            raise SourceUnavailable(f"dumpcap cannot be run: {error.strerror}") from None
        except BaseException:
            self.close()
            raise
        system = interface.options.get(pcapng.IF_OS, b"").decode("utf-8", "replace")
        self.origin = Origin("usbmon", self._name, "CLOCK_REALTIME", f"{system}, dumpcap")
        self.notes = ("everything on the bus is captured, also what is typed on a USB keyboard",)

    def read(self, timeout: float) -> list[Frame] | None:
        """Frames in the order of their time; see Source."""
        if self._process is None or self._ended:
            self._settle()
            return None
        frames: list[Frame] = []
        with contextlib.suppress(queue.Empty):
            record = self._records.get(timeout=timeout)
            while record is not None:
                frames.append(frame_of(record, self.origin))
                record = self._records.get_nowait()
            self._ended = True
        self._frames += len(frames)
        self._truncated += sum(Flag.TRUNCATED in frame.flags for frame in frames)
        return frames

    def stop(self) -> None:
        """End dumpcap; what it has is still read."""
        if self._process is not None and not self._stopping:
            self._stopping = True
            self._process.terminate()

    def close(self) -> None:
        """End dumpcap and the thread that reads from it."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.wait()
        if self._thread is not None:
            while self._thread.is_alive():
                with contextlib.suppress(queue.Empty):  # it may wait for room
                    self._records.get(timeout=0.01)
            self._thread = None
        if process is not None and process.stdout is not None:
            process.stdout.close()
        if self._said is not None:
            self._said.close()
            self._said = None

    def _receive(self, stream: BinaryIO) -> None:
        """In a thread: records into the queue as dumpcap writes them."""
        try:
            reader = RecordReader(stream, "dumpcap")
            told = False
            while (step := reader.step()) is not END:
                if not told and reader.interfaces:
                    self._interface.put(reader.interfaces[0])
                    told = True
                if step is not None:
                    self._records.put(step)
            self._damage = reader.damage
            self._lost = pcapng.option_number(reader.statistics.get(pcapng.ISB_DROPPED), reader.order)
        except CaptureFileError as error:  # it ended before it began
            self._damage = str(error)
        self._interface.put(None)
        self._records.put(None)

    def _settle(self) -> None:
        """How it ended. Raises SourceFailed when nobody asked for it."""
        if self._process is None:
            return
        try:
            code = self._process.wait(_PATIENCE)
        except subprocess.TimeoutExpired:
            raise SourceFailed("dumpcap has closed its output and does not end") from None
        if (code and not self._stopping) or self._damage:
            raise SourceFailed(self._complaint() if code else self._damage)

    def _complaint(self) -> str:
        """What dumpcap gave as the reason of its end."""
        assert self._said is not None
        self._said.seek(0)
        lines = self._said.read().decode("utf-8", "replace").splitlines()
        said = [line.removeprefix("dumpcap: ") for line in lines if line.startswith("dumpcap: ")]
        return f"dumpcap: {said[-1]}" if said else "dumpcap ended without a reason"
