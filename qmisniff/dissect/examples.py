# SPDX-License-Identifier: GPL-2.0-or-later
"""The examples of a definition, run: whole messages and the values that must come out of them."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

from qmisniff.definitions.model import Message
from qmisniff.definitions.registry import Service
from qmisniff.dissect.dissector import Dissector


def check_examples(dissector: Dissector, service: Service, message: Message) -> Iterator[str]:
    """One line for each thing in the message's examples that does not come out as written."""
    for example in message.examples:
        found = dissector.message_values(service.header.id, bytes.fromhex(example.data))
        where = f"{message.name}: {example.data}"
        if found.get("qmi.msgid") != message.id:
            yield f"{where}: is message {found.get('qmi.msgid')}, not {message.id}"
        problems = found.get("expert.message", [])
        for problem in problems if isinstance(problems, list) else [problems]:
            yield f"{where}: {problem}"
        for name, expected in example.values:
            full = f"{service.prefix}.{message.name}.{name}"
            value, label = found.get(full), found.get(f"{full}.label")
            if not (_same(expected, value) or (isinstance(expected, str | tuple) and _same(expected, label))):
                yield f"{where}: {name} is {label or value!r}, not {expected!r}"


def _same(expected: Any, value: Any) -> bool:
    if isinstance(expected, tuple):
        return isinstance(value, list) and len(value) == len(expected) and all(map(_same, expected, value))
    if isinstance(value, bytes):
        return isinstance(expected, str) and value == bytes.fromhex(expected)
    if isinstance(value, float) and isinstance(expected, int | float):
        return math.isclose(expected, value, rel_tol=1e-6)
    return type(expected) is type(value) and bool(expected == value)
