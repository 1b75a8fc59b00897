# SPDX-License-Identifier: GPL-2.0-or-later
"""Display filters made from what is selected: a field's value, or what a cell of the list shows."""

from __future__ import annotations

from enum import Enum

from qmisniff.field import Field, Kind
from qmisniff.filter.quote import number, quoted
from qmisniff.tui.view_context import Combine


class How(Enum):
    """The ways Wireshark's menu has to use what is selected; the value is its text there."""

    SELECTED = "selected"
    NOT = "not selected"
    AND = "... and selected"
    OR = "... or selected"
    AND_NOT = "... and not selected"
    OR_NOT = "... or not selected"


_COMBINE = {How.AND: Combine.AND, How.AND_NOT: Combine.AND, How.OR: Combine.OR, How.OR_NOT: Combine.OR}


def of_field(field: Field) -> str:
    """The condition that a field has the value it has here; of a heading, that it is there. "" where it has no name."""
    name, value = field.spec.name, field.value
    if not name or field.spec.kind is Kind.NONE or value is None:
        return name
    if isinstance(value, bytes):
        return f"{name} == {value.hex(':')}" if value else name
    if isinstance(value, bool):
        return f"{name} == {'true' if value else 'false'}"
    if isinstance(value, str):
        return f"{name} == {value if field.spec.kind in _ADDRESSES else quoted(value)}"
    if isinstance(value, int) and field.spec.hex and value >= 0:
        return f"{name} == {value:#x}"
    return f"{name} == {number(field.spec, value)}"


_ADDRESSES = (Kind.IPV4, Kind.IPV6, Kind.ETHER)


def combined(before: str, condition: str, how: How) -> str:
    """The filter that was there and a condition as one filter."""
    if how in (How.NOT, How.AND_NOT, How.OR_NOT):
        condition = f"!({condition})"
    return joined(before, condition, _COMBINE.get(how, Combine.REPLACE))


def joined(before: str, condition: str, combine: Combine) -> str:
    """`before` and the condition by and, by or, or the condition alone."""
    before = before.strip()
    if not before or combine is Combine.REPLACE:
        return condition
    return f"({before}) {combine.value} ({condition})"
