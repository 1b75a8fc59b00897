# SPDX-License-Identifier: GPL-2.0-or-later
"""Every name that a filter can use and its type; what was probably meant by a name that does not exist."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from enum import Enum

from qmisniff.definitions import Registry
from qmisniff.dissect.frame_layer import NANOSECONDS
from qmisniff.dissect.names import header_specs
from qmisniff.field import FieldSpec, Kind


class Type(Enum):
    """How values are written and compared: the field's Kind, and what only filters tell apart."""

    PROTOCOL = "a protocol"  # the bytes it spans
    HEADING = "a heading"  # has no value of its own
    UINT = "an unsigned number"
    INT = "a number"
    FLOAT = "a fraction"
    BOOL = "a truth value"
    STRING = "a string"
    BYTES = "bytes"
    IPV4 = "an IPv4 address"
    IPV6 = "an IPv6 address"
    ETHER = "a MAC address"
    TIME = "a date and time"  # nanoseconds since 1970
    SECONDS = "seconds"  # nanoseconds, written as seconds


NUMBERS = frozenset({Type.UINT, Type.INT, Type.FLOAT, Type.SECONDS})
TEXTS = frozenset({Type.STRING, Type.BYTES, Type.PROTOCOL})  # compare as bytes, with strings as with bytes
_SPECIAL = {"frame.time": Type.TIME, **dict.fromkeys(NANOSECONDS, Type.SECONDS)}
_SERVICES = frozenset({"qmi.service", "qrtr.service", "qrtr.ctrl.service", "qmux.service"})


class Catalogue:
    """The names of one registry. A service's file is read when a name of it is asked for."""

    def __init__(self, registry: Registry) -> None:
        self.registry = registry
        services = registry.service_names
        self.headers = {
            spec.name: replace(spec, labels=services) if spec.name in _SERVICES else spec for spec in header_specs()
        }

    def find(self, name: str) -> FieldSpec | None:
        """What stands under a name, None where nothing does."""
        return self.headers.get(name) or self.registry.field(name)

    def type_of(self, spec: FieldSpec) -> Type:
        """How the values of a field are compared."""
        if spec.kind is Kind.NONE:
            return Type.PROTOCOL if spec.name in self.headers else Type.HEADING
        return _SPECIAL.get(spec.name) or Type[spec.kind.name]

    def containing(self, part: str) -> Iterator[tuple[FieldSpec, str]]:
        """What stands under each name that has this in it, and where it occurs; reads all definitions."""
        part = part.lower()
        yield from ((spec, spec.label) for name, spec in self.headers.items() if part in name.lower())
        for number, header in sorted(self.registry.headers.items()):
            service = self.registry.service(number)
            for name in service.message_names() if service else ():
                message = service.message_named(name) if service else None
                if service is not None and message is not None:
                    where = f"{header.service} {message.title}"
                    yield from ((spec, where) for name, spec in service.specs(message).items() if part in name)

    def packets_of(self, name: str) -> str:
        """The filter for all packets of the service or message that a name is of, "" where it is of none."""
        parts = name.lower().split(".")
        service = self.registry.service_named(parts[1]) if parts[0] == "qmi" and len(parts) in (2, 3) else None
        message = service.message_named(parts[2]) if service is not None and len(parts) == 3 else None
        if service is None or (len(parts) == 3 and message is None):
            return ""
        asked = f"qmi.service == {service.header.id}"
        return asked if message is None else f"{asked} && qmi.msgid == {message.id:#x}"

    def similar(self, name: str) -> str:
        """The name that was probably meant, "" where none is near."""
        name = name.lower()
        if self.find(name):
            return name
        parts = name.split(".")
        if parts[0] == "qmi" and len(parts) > 2:
            service = self.registry.service_named(parts[1])
            if service is None:
                names = [header.name for header in self.registry.headers.values()]
                return _nearest(f"qmi.{parts[1]}", (f"qmi.{each}" for each in names))
            message = service.message_named(parts[2])
            if message is None:
                titles = (f"{service.prefix}.{each}" for each in service.message_names())
                return _nearest(f"{service.prefix}.{parts[2]}", titles)
            return _nearest(name, service.specs(message))
        return _nearest(name, self.headers)


def _nearest(name: str, names: Iterable[str]) -> str:
    from difflib import get_close_matches  # only mistakes need it

    found = get_close_matches(name[:200], list(names), 1, 0.75)
    return found[0] if found else ""
