# SPDX-License-Identifier: GPL-2.0-or-later
"""What sources have in common that read the trace buffers of an instance of their own."""

from __future__ import annotations

from qmisniff.capture.assemble import Assembler
from qmisniff.capture.instance import Instance
from qmisniff.capture.source import Opened
from qmisniff.capture.target import LocalTarget, Target
from qmisniff.errors import SourceFailed
from qmisniff.frame import Frame


class Tracing(Opened):
    """A source with an instance in the kernel of `target`. It opens what it reads from, and reads in `_read`."""

    def __init__(self, target: Target | None) -> None:
        self._target: Target = target or LocalTarget()
        self._instance: Instance | None = None
        self._assembler: Assembler | None = None
        self._frames = 0  # given so far
        self._stopping = False
        self._failure: str | None = None

    @property
    def entrusted(self) -> Instance | None:
        """What is in the kernel, where it is this machine's; see Entrusting."""
        return self._instance if isinstance(self._target, LocalTarget) else None

    def entrust(self, target: Target) -> None:
        """See Entrusting."""
        self._target = target
        if self._instance is not None:
            self._instance.entrust(target)

    def read(self, timeout: float) -> list[Frame] | None:
        """Frames merged over all CPUs by time; see Source."""
        frames: list[Frame] | None = None
        if self._failure is None:
            try:
                frames = self._read(timeout)
            except OSError as error:
                self._failure = f"the kernel's trace buffers cannot be read any more: {error.strerror}"
                # What had been read when it happened is given first.
                frames = self._assembler.flush() if self._assembler is not None else []
        if self._failure is not None and not frames:
            raise SourceFailed(self._failure)
        self._frames += len(frames or ())
        return frames

    def _read(self, timeout: float) -> list[Frame] | None:
        """The same. Raises OSError when the buffers cannot be read."""
        raise NotImplementedError

    def close(self) -> None:
        """Take everything out of the kernel. Raises SourceFailed, naming it, when something cannot be removed."""
        instance, self._instance = self._instance, None
        try:
            if instance is not None:
                instance.remove()
        finally:
            self._target.close()
