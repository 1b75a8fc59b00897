# SPDX-License-Identifier: GPL-2.0-or-later
"""A definition in the making: takes names and types as other projects have them, and makes them fit ours."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from qmisniff.definitions.fields import all_specs
from qmisniff.definitions.lint import swallows
from qmisniff.definitions.load import Definition, Enum
from qmisniff.definitions.model import (
    KINDS,
    RESULT_TLV,
    Array,
    Bytes,
    Header,
    Length,
    Message,
    Number,
    Struct,
    Text,
    Tlv,
    Type,
    parts,
    smallest,
)
from qmisniff.definitions.typereader import NAME, RESERVED
from qmisniff.definitions.words import RESULT
from qmisniff.field import Kind

REST = Bytes(Length("rest"))
BYTE = Number("u", 1)
_MAX_DEPTH = 7
_MAX_NAME = 70  # a suffix must still fit
_TYPE_WORDS = frozenset(
    ["bool", "string", "utf16", "gsm7", "bcd", "text", "bytes", "ipv4", "ipv6", "mac", "plmn", "result"]
)
_KIND_WORDS = {"req": 0, "request": 0, "resp": 1, "rsp": 1, "response": 1, "ind": 2, "indication": 2}
_NOISE = re.compile(r"(_msg|_message|_ei|_type|_t|_enum|_v\d\d?|_id)$")


@dataclass(slots=True)
class _Message:
    name: str
    title: str
    sections: list[list[Tlv] | None] = field(default_factory=lambda: [None, None, None])
    indication_title: str = ""


class Draft:
    """Messages, enums and named structs as they are found; `notes` says what could not be taken over."""

    def __init__(self) -> None:
        self.service = ""  # its short name, where the files say it
        self.id = -1
        self.title = ""
        self.notes: list[str] = []
        self.messages: dict[int, _Message] = {}
        self._enums: dict[str, Enum] = {}
        self._structs: dict[Type, str] = {}

    def note(self, text: str) -> None:
        """Say that something is lost or guessed; once."""
        if text not in self.notes:
            self.notes.append(text)

    def enum(self, name: str, values: Iterable[tuple[int, str]]) -> str:
        """Take an enum; the name by which a Number may use it ("" where it has no values)."""
        found = {value: label for value, label in reversed(list(values)) if -(1 << 63) <= value < 1 << 64}
        if not found:
            return ""
        labels = _without_common_start([re.sub(r"_v\d\d$", "", snake(label)) for label in reversed(found.values())])
        enum = Enum(stem(name), tuple(zip(reversed(found.keys()), labels, strict=True)))
        while self._enums.get(enum.name, enum) != enum:
            enum = enum._replace(name=f"{enum.name}_2")
        self._enums[enum.name] = enum
        return enum.name

    def struct(self, name: str, fields: Iterable[tuple[str, Type]]) -> Type:
        """A struct; where it is used more than once it is written under its name."""
        unique: dict[str, Type] = {}
        for each, kind in fields:
            unique[_free(identifier(each), unique)] = kind
        if not unique:
            self.note(f"struct {name} has no fields: left as bytes")
            return REST
        made = Struct(tuple(unique.items()))
        self._structs.setdefault(made, stem(name))
        return made

    def array(self, count: Length, element: Type) -> Type:
        """Elements; plain bytes are bytes."""
        if element == BYTE:
            return Bytes(count)
        if smallest(element) == 0 or swallows(element):
            self.note("an array of elements that may have no bytes at all: left as bytes")
            return REST
        return Array(count, element)

    def add(self, number: int, kind: int, name: str, tlvs: Iterable[Tlv], title: str = "") -> None:
        """Take one kind (0 request, 1 response, 2 indication) of the message with this id."""
        if not 0 <= number <= 0xFFFF:
            self.note(f"{name}: {number} is no message id: left out")
            return
        name = identifier(name)
        title = title or name.replace("_", " ").title()
        message = self.messages.setdefault(number, _Message(name, title))
        if message.sections[kind] is not None:
            self.note(f"{name}: 0x{number:04x} has a {KINDS[kind]} already: left out")
            return
        if kind == 2 and title != message.title:
            message.indication_title = title
        section: dict[int, Tlv] = {}
        names: dict[str, Type] = {}
        for tlv in tlvs:
            if tlv.id == RESULT_TLV and kind == 1:
                if tlv.type != RESULT and not _is_result(tlv.type):
                    self.note(f"{name}: TLV 0x02 of a response is its result; {tlv.name} is left out")
            elif not 1 <= tlv.id <= 0xFF or tlv.id in section:
                self.note(f"{name}: TLV 0x{tlv.id:02x} {tlv.name} is left out: its id is taken or impossible")
            else:
                called = _free(identifier(tlv.name), names)
                names[called] = tlv.type
                section[tlv.id] = tlv._replace(name=called, type=self._fitting(tlv.type, f"{name}.{called}", 0))
        message.sections[kind] = list(section.values())

    def finish(self, header: Header) -> tuple[Definition, dict[Type, str]]:
        """The definition, and the names of structs that it uses more than once, inner ones first."""
        taken: dict[str, int] = {}
        messages: list[Message] = []
        for number, draft in sorted(self.messages.items()):
            name = draft.name if draft.name not in taken else f"{draft.name}_{number:x}"
            taken[name] = number
            tlvs = self._consistent(name, draft.sections)
            messages.append(Message(name, number, draft.title, tlvs, (), draft.indication_title))
        uses: dict[Type, int] = {}
        enums: set[str] = set()
        for tlv in {tlv for message in messages for tlvs in message.tlvs for tlv in tlvs or ()}:
            for part in parts(tlv.type):
                uses[part] = uses.get(part, 0) + 1
                if isinstance(part, Number):
                    enums |= {part.enum, part.flags}
        names: dict[Type, str] = {}
        given: dict[str, Type] = {}
        for kind, name in sorted(self._structs.items(), key=lambda item: len(list(parts(item[0])))):
            if uses.get(kind, 0) > 1:
                names[kind] = _free(f"{name}_info" if name in _TYPE_WORDS | RESERVED else name, given)
                given[names[kind]] = kind
        used = tuple(enum for enum in self._enums.values() if enum.name in enums)
        return Definition(header, used, tuple(messages)), names

    def _fitting(self, kind: Type, where: str, depth: int) -> Type:
        """The type, with everything that the format does not have left as bytes."""
        if depth > _MAX_DEPTH:
            self.note(f"{where}: nested too deeply: left as bytes")
            return REST
        length = kind.count if isinstance(kind, Array) else kind.length if isinstance(kind, Text | Bytes) else None
        if length and length.form == "fixed" and not 1 <= length.size <= 0xFFFF:
            self.note(f"{where}: a length of {length.size}: left as bytes")
            return REST
        if isinstance(kind, Array):
            return self.array(kind.count, self._fitting(kind.element, where, depth + 1))
        if isinstance(kind, Struct) and kind != RESULT:
            return self._fitting_struct(kind, where, depth)
        return kind

    def _fitting_struct(self, kind: Struct, where: str, depth: int) -> Type:
        fields: list[tuple[str, Type]] = []
        for name, each in kind.fields:
            if fields and swallows(fields[-1][1]):
                self.note(f"{where}: {fields[-1][0]} has no known end: {name} and all behind it are part of it")
                break
            fields.append((name, self._fitting(each, f"{where}.{name}", depth + 1)))
        made = Struct(tuple(fields))
        if kind in self._structs:
            self._structs.setdefault(made, self._structs[kind])
        return made

    def _consistent(
        self, name: str, sections: list[list[Tlv] | None]
    ) -> tuple[tuple[Tlv, ...] | None, tuple[Tlv, ...] | None, tuple[Tlv, ...] | None]:
        """The sections, TLVs renamed where one name would be two sorts of value in request, response, indication."""
        sorts: dict[str, Kind] = {}
        made: list[tuple[Tlv, ...] | None] = []
        for kind, tlvs in zip(KINDS, sections, strict=True):
            section: list[Tlv] = []
            for tlv in tlvs or ():
                found = _sorts(tlv)
                if any(sorts.get(each, sort) is not sort for each, sort in found.items()):
                    tlv = tlv._replace(name=f"{tlv.name}_{kind}")
                    self.note(f"{name}: TLV 0x{tlv.id:02x} is called {tlv.name}: the name is another value elsewhere")
                    found = _sorts(tlv)
                sorts |= found
                section.append(tlv)
            made.append(None if tlvs is None else tuple(section))
        return made[0], made[1], made[2]


def snake(text: str) -> str:
    """Lower case words joined by `_`: `getSignalInfo`, `Get Signal Info` and `GET_SIGNAL_INFO` are get_signal_info."""
    text = re.sub(r"[^A-Za-z0-9]+", "_", text)
    text = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z]{2})", "_", text)
    return re.sub(r"_+", "_", text.lower()).strip("_")[:_MAX_NAME].strip("_") or "value"


def identifier(text: str) -> str:
    """A name that a definition may use for a field."""
    name = snake(text)
    return name if NAME.fullmatch(name) and name not in RESERVED else f"{name}_value"


def stem(text: str) -> str:
    """The name of a type without the words that only say that it is one: `plmn_type_v01_ei` is plmn."""
    name = snake(text)
    while (shorter := _NOISE.sub("", name)) != name and shorter:
        name = shorter
    return name


def split_kind(text: str) -> tuple[str, int | None]:
    """A message's name without its kind, and the kind or None: `get_ids_resp_msg_v01` is get_ids, 1."""
    start, _, last = stem(text).rpartition("_")
    kind = _KIND_WORDS.get(last)
    return (start, kind) if start and kind is not None else (snake(text), None)


def prefix_for(limit: int) -> Length:
    """The count or length prefix of something that has at most `limit` elements: one byte, or two above 255."""
    return Length("prefix", 1 if limit <= 0xFF else 2)


def _free(name: str, taken: Mapping[str, object]) -> str:
    if name not in taken:
        return name
    return next(each for at in range(2, len(taken) + 3) if (each := f"{name}_{at}") not in taken)


def _is_result(kind: Type) -> bool:
    """Two numbers of two bytes, whatever they are called."""
    return (
        isinstance(kind, Struct)
        and [each.size for _, each in kind.fields if isinstance(each, Number) and each.form != "f"] == [2, 2]
        and len(kind.fields) == 2
    )


def _sorts(tlv: Tlv) -> dict[str, Kind]:
    return {spec.name: spec.kind for spec in all_specs("", Message("", 0, "", ((tlv,), None, None)), {})}


def _without_common_start(labels: list[str]) -> list[str]:
    """QMI_MODE_LOW, QMI_MODE_HIGH -> low, high; a label that stands for two values gets a number."""
    words = [label.split("_") for label in labels]
    while len(words) > 1 and all(len(each) > 1 for each in words) and len({each[0] for each in words}) == 1:
        words = [each[1:] for each in words]
    made: dict[str, int] = {}
    for at, each in enumerate(words):
        made[_free("_".join(each), made)] = at
    return list(made)
