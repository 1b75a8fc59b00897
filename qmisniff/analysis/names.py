# SPDX-License-Identifier: GPL-2.0-or-later
"""What the numbers of a capture are called, and the columns and conditions that several tables have in common."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from qmisniff.analysis import table
from qmisniff.analysis.table import Column
from qmisniff.definitions import Registry
from qmisniff.dissect.frame_layer import time_text
from qmisniff.protocol import tftp
from qmisniff.protocol.arrays import Numbers
from qmisniff.store import Store

NONE = -1


class Names:
    """What the numbers of one capture are called."""

    def __init__(self, store: Store, registry: Registry) -> None:
        self._store = store
        self._registry = registry

    @property
    def start_ns(self) -> int:
        """When the capture's first frame was seen."""
        return self._store.tracker.ts_ns(0) if len(self._store) else 0

    def service(self, number: int) -> str:
        """The short name of a service."""
        return "?" if number == NONE else self._registry.service_name(number)

    def message(self, service: int, msgid: int, indication: bool) -> str:
        """The title of a message, its number where it has none."""
        if msgid == NONE:
            return "(not QMI)"
        known = self._registry.service(service) if service != NONE else None
        titles = {} if known is None else known.indication_titles if indication else known.titles
        return titles.get(msgid, f"0x{msgid:04x}")

    def task(self, number: int | None) -> str:
        """Command and process id."""
        if number is None:
            return ""
        pid, comm = self._store.tasks[number]
        return f"{comm}[{pid}]" if pid >= 0 else comm

    def tasks(self, several: Sequence[int]) -> str:
        """Commands and process ids."""
        return ", ".join(filter(None, map(self.task, several)))

    def since(self, ts_ns: int) -> str:
        """A time as seconds after the start of the capture."""
        return f"{(ts_ns - self.start_ns) / 1e9:.6f}"


def of_service(service: int) -> str:
    """A display filter for what a service is sent or sends, message or not."""
    if service == tftp.SERVICE:
        return "tftp"
    if service != NONE:
        return f"(qmi.service == {service} or qrtr.service == {service})"
    return "qrtr.type == 1 and not (qmi.service or qrtr.service or qrtr.ctrl or tftp)"


def frame_column(name: str, title: str, rows: Numbers) -> Column:
    """Frame numbers; nothing for row -1."""
    return table.numbers(name, title, rows + 1, 0, str)


def service_columns(service: Numbers, names: Names) -> tuple[Column, Column]:
    """Services by name, and for machines by number."""
    return (
        table.named("service", "Service", service, names.service),
        table.numbers("service_id", "", service, missing=NONE),
    )


def message_column(service: Numbers, msgid: Numbers, indication: Numbers, names: Names) -> Column:
    """Messages by title."""
    # One number for a message, from which the three come back: services have 32 bits, ids 16.
    key = (service.astype(np.int64) + 1) << 18 | (msgid.astype(np.int64) + 1) << 1 | indication

    def title(key: int) -> str:
        return names.message((key >> 18) - 1, (key >> 1 & 0x1FFFF) - 1, bool(key & 1))

    return table.named("message", "Message", key, title)


def time_column(name: str, title: str, times: Sequence[int | None] | Numbers, names: Names) -> Column:
    """Times: seconds since the start for people, dates for machines."""

    def value(row: int) -> str | None:
        moment = times[row]
        return None if moment is None else time_text(int(moment))

    def text(row: int) -> str:
        moment = times[row]
        return "" if moment is None else names.since(int(moment))

    def order() -> Numbers:
        latest = np.iinfo(np.int64).max
        return np.array([latest if moment is None else moment for moment in times], np.int64)

    return Column(name, title, value, text, order, right=True)
