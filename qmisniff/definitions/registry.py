# SPDX-License-Identifier: GPL-2.0-or-later
"""Services and messages by number and by name. A service's file is read when something of it is first asked for."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from qmisniff.definitions import cache
from qmisniff.definitions.fields import message_specs
from qmisniff.definitions.model import Header, Message, from_plain
from qmisniff.definitions.words import BUILTIN_ENUMS
from qmisniff.errors import DefinitionError
from qmisniff.field import FieldSpec
from qmisniff.paths import definition_dirs

NAMES_FILE = "services.yaml"  # services of which only the name is known, a line each
_HEAD = re.compile(r'^(service|id|title): *"?([^"\n#]*?)"? *(?:#.*)?$', re.MULTILINE)
_NAMES_LINE = re.compile(r"^  (\d{1,9}): ([A-Za-z0-9_]{1,40}) (\S.*)$", re.MULTILINE)


class Service:
    """One service: its messages are unpacked one by one, as they are asked for."""

    def __init__(self, header: Header, plain: Mapping[str, Any]) -> None:
        self.header = header
        self.enums: dict[str, Mapping[int, str]] = dict(BUILTIN_ENUMS)
        self.enums.update((name, dict(values)) for name, values in plain["enums"])
        self._plain: dict[int, Any] = {}
        self._ids: dict[str, int] = {}
        self.titles: dict[int, str] = {}  # of requests and responses
        self.indication_titles: dict[int, str] = {}
        for number, name, title, indication_title, message in plain["messages"]:
            self._plain[number] = message
            self._ids[name] = number
            self.titles[number] = title
            self.indication_titles[number] = indication_title or title
        self._messages: dict[int, Message] = {}
        self._specs: dict[int, dict[str, FieldSpec]] = {}

    @property
    def prefix(self) -> str:
        """The filter name that all fields of the service begin with."""
        return f"qmi.{self.header.name}"

    def message_names(self) -> Iterable[str]:
        return self._ids.keys()

    def message(self, number: int) -> Message | None:
        """The message with this id, None where the service has none."""
        message = self._messages.get(number)
        if message is None and number in self._plain:
            message = self._messages[number] = from_plain(self._plain[number])
        return message

    def message_named(self, name: str) -> Message | None:
        number = self._ids.get(name)
        return None if number is None else self.message(number)

    def specs(self, message: Message) -> Mapping[str, FieldSpec]:
        """The filter names of one message of this service."""
        found = self._specs.get(message.id)
        if found is None:
            found = self._specs[message.id] = message_specs(self.prefix, message, self.enums)
        return found


class Registry:
    """All services of some directories; a later directory's file replaces an earlier one's of the same service id.

    `problems` holds a line for each file that was left out, and grows while services are read.
    """

    def __init__(self, dirs: Sequence[Path]) -> None:
        self.problems: list[str] = []
        self.headers: dict[int, Header] = {}
        self._files: dict[int, list[Path]] = {}
        self._services: dict[int, Service | None] = {}
        self._read_from: dict[int, Path] = {}
        for directory in dirs:
            for path in sorted(directory.glob("*.yaml")) if directory.is_dir() else ():
                if path.name != NAMES_FILE:
                    self._scan(path)
        for directory in reversed(dirs):
            self._scan_names(directory / NAMES_FILE)
        self._by_name = {header.name: header for header in self.headers.values()}

    def _scan(self, path: Path) -> None:
        """Read the first lines only: which service is this?"""
        try:
            with path.open(encoding="utf-8", errors="replace") as file:
                head = dict(_HEAD.findall(file.read(1024)))
            header = Header(path.stem, int(head["id"], 0), head["service"], head["title"])
        except OSError as error:
            self.problems.append(f"{path}: {error.strerror}")
        except (KeyError, ValueError):
            self.problems.append(f"{path}:1:1: a file begins with the lines service, id, title")
        else:
            self.headers[header.id] = header
            self._files.setdefault(header.id, []).append(path)

    def _scan_names(self, path: Path) -> None:
        try:
            text = path.read_text(encoding="utf-8", errors="replace")
        except OSError:
            return
        for number, service, title in _NAMES_LINE.findall(text):
            if int(number) not in self.headers:
                self.headers[int(number)] = Header(service.lower(), int(number), service, title)

    def service(self, number: int) -> Service | None:
        """The service with this id, None where none is defined (or its file is wrong: see `problems`)."""
        if number not in self._services:
            self._services[number] = self._load(number)
        return self._services[number]

    def service_named(self, name: str) -> Service | None:
        header = self._by_name.get(name)
        return None if header is None else self.service(header.id)

    def put(self, service: Service) -> None:
        """Use this service, whatever the files say about its id."""
        self.headers[service.header.id] = service.header
        self._by_name[service.header.name] = service.header
        self._services[service.header.id] = service

    def file(self, number: int) -> Path | None:
        """The file that the service with this id is read from, None where there is none."""
        return self._read_from.get(number) if self.service(number) else None

    def _load(self, number: int) -> Service | None:
        for path in reversed(self._files.get(number, [])):
            try:
                service = Service(*cache.compiled(path))
            except DefinitionError as error:
                self.problems.extend(str(error).splitlines())
            else:
                self._read_from[number] = path
                return service
        return None

    @property
    def service_names(self) -> dict[int, str]:
        """The short names (NAS) of all services, by id."""
        return {header.id: header.service for header in self.headers.values()}

    def service_name(self, number: int) -> str:
        """The short name of a service (NAS), or its number as text."""
        header = self.headers.get(number)
        return header.service if header else str(number)

    def field(self, name: str) -> FieldSpec | None:
        """What stands under a dotted filter name of a message, None where nothing does."""
        parts = name.split(".", 3)
        if len(parts) < 4 or parts[0] != "qmi":
            return None
        service = self.service_named(parts[1])
        message = service.message_named(parts[2]) if service else None
        return service.specs(message).get(name) if service and message else None

    def complete(self, prefix: str) -> list[str]:
        """Names that continue `prefix` up to the next dot: services, then messages, then fields of a message."""
        parts = prefix.split(".")
        if len(parts) < 2 or parts[0] != "qmi":
            return []
        if len(parts) == 2:
            return sorted(f"qmi.{name}" for name in self._by_name if name.startswith(parts[1]))
        service = self.service_named(parts[1])
        if service is None:
            return []
        if len(parts) == 3:
            return sorted(f"{service.prefix}.{name}" for name in service.message_names() if name.startswith(parts[2]))
        message = service.message_named(parts[2])
        return sorted(name for name in service.specs(message) if name.startswith(prefix)) if message else []


def open_registry(extra_dirs: Sequence[Path] = ()) -> Registry:
    """The definitions of the program, of the user, and of `--dissectors` directories (strongest last)."""
    return Registry(definition_dirs(extra_dirs))
