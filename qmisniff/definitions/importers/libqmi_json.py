# SPDX-License-Identifier: GPL-2.0-or-later
"""libqmi's message database: data/qmi-service-*.json, data/qmi-common.json.

An array of objects, `//` comments between them. What a format is on the wire: libqmi build-aux/qmi-codegen.
Enums are only referred to by name; their values stand in libqmi's C headers, which can be given beside the JSON.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from qmisniff.definitions.importers.c_source import Source
from qmisniff.definitions.importers.draft import Draft
from qmisniff.definitions.model import Length, Number, Struct, Text, Tlv, Type
from qmisniff.definitions.words import RESULT
from qmisniff.errors import DefinitionError

_INTEGER = re.compile(r"g(u?)int(8|16|32|64)")
_RESULT_REF = "Operation Result"
_NO_ENUM = frozenset({"gboolean", "gchar", "GByteArray"})

Object = Mapping[str, Any]


def read(files: Mapping[str, str], draft: Draft) -> None:
    """Take everything that the files say. Raises DefinitionError where one is no such file."""
    reader = _Reader(draft)
    objects: list[Object] = []
    for name, text in files.items():
        if name.endswith(".h"):
            reader.header(text)
        else:
            objects += _objects(name, text)
    reader.common = {each["common-ref"]: each for each in objects if isinstance(each.get("common-ref"), str)}
    services = [each for each in objects if each.get("type") == "Service"]
    if len(services) != 1:
        raise DefinitionError(f"{', '.join(files)}: {len(services)} services", "give the files of one service")
    draft.service = str(services[0].get("name", ""))
    draft.title = str(services[0].get("description", ""))
    for each in objects:
        if each.get("type") in ("Message", "Indication"):
            reader.message(each)
    if reader.missing:
        names = ", ".join(sorted(reader.missing))
        draft.note(f"values of these enums are not in the JSON, give libqmi's C headers too: {names}")


def _objects(file: str, text: str) -> list[Object]:
    # Comments stand on lines of their own; blank lines in their place keep the line numbers of errors right.
    plain = re.sub(r"^[ \t]*//.*$", "", text, flags=re.MULTILINE)
    try:
        found = json.loads(plain)
    except json.JSONDecodeError as error:
        raise DefinitionError(f"{file}:{error.lineno}:{error.colno}: {error.msg}") from None
    if not isinstance(found, list) or not all(isinstance(each, dict) for each in found):
        raise DefinitionError(f"{file}: not a list of objects, as libqmi's message files are")
    return found


class _Reader:
    def __init__(self, draft: Draft) -> None:
        self.draft = draft
        self.common: Mapping[str, Object] = {}
        self.missing: set[str] = set()
        self._enums: dict[str, tuple[str, bool]] = {}  # C name -> ours, whether it has masks

    def header(self, text: str) -> None:
        for name, enum in Source(text).enums.items():
            self._enums[name] = (self.draft.enum(re.sub(r"^Qmi", "", name), enum.values), enum.masks)

    def message(self, each: Object) -> None:
        name = str(each.get("name", ""))
        number = _integer(each.get("id"), -1)
        if vendor := each.get("vendor"):
            self.draft.note(f"{name}: only of vendor {vendor}")
        if each["type"] == "Indication":
            self.draft.add(number, 2, name, self.tlvs(each.get("output"), name), name)
        else:
            self.draft.add(number, 0, name, self.tlvs(each.get("input"), name), name)
            self.draft.add(number, 1, name, self.tlvs(each.get("output"), name), name)

    def tlvs(self, listed: Any, where: str) -> Iterator[Tlv]:
        for each in listed if isinstance(listed, list) else ():
            if not isinstance(each, dict):
                continue
            reference = str(each.get("common-ref", ""))
            if reference == _RESULT_REF:
                yield Tlv(2, "result", True, RESULT)
                continue
            if reference in self.common:
                each = {**self.common[reference], **each}
            number = _integer(each.get("id"), 0)
            if not number or "format" not in each:
                self.draft.note(f"{where}: {reference or each.get('name')!r} is described nowhere: left out")
                continue
            mandatory = each["mandatory"] == "yes" if "mandatory" in each else number < 0x10
            name = str(each.get("name", f"tlv_{number:02x}"))
            yield Tlv(number, name, mandatory, self.type(each, f"{where}: {name}", top=True))

    def type(self, each: Object, where: str, top: bool = False) -> Type:
        form = str(each.get("format", ""))
        personal = each.get("personal-info") == "yes"
        big = each.get("endian") in ("network", "big")
        if match := _INTEGER.fullmatch(form):
            return self.number(each, Number("u" if match[1] else "i", int(match[2]) // 8, big, personal=personal))
        if form == "guint-sized":
            size = _integer(each.get("guint-size"), 0)
            if size in (1, 2, 3, 4, 5, 6, 8):
                return self.number(each, Number("u", size, big, personal=personal))
        if form in ("gfloat", "gdouble"):
            return Number("f", 4 if form == "gfloat" else 8, big, personal=personal)
        if form == "string":
            return Text("string", self.length(each, Length("rest") if top else Length("prefix", 1)), personal)
        if form in ("sequence", "struct"):
            contents = each.get("contents")
            fields = [
                (str(inner.get("name", "value")), self.type({**_personal(each), **inner}, where))
                for inner in (contents if isinstance(contents, list) else ())
                if isinstance(inner, dict)
            ]
            return self.draft.struct(str(each.get("name", "entry")), fields)
        if form == "array" and isinstance(each.get("array-element"), dict):
            return self.array(each, where)
        self.draft.note(f"{where}: format {form!r} is not known: left as bytes")
        return self.draft.array(Length("rest"), Number("u", 1))

    def array(self, each: Object, where: str) -> Type:
        element = self.type({**_personal(each), **each["array-element"]}, where)
        count = self.length(each, Length("prefix", 1))
        sequence = each.get("sequence-prefix-format")
        if sequence is None:
            return self.draft.array(count, element)
        before = self.type({"format": sequence}, where)
        if count.form != "prefix":
            return Struct((("sequence", before), ("elements", self.draft.array(count, element))))
        elements = self.draft.array(Length("field", 0, "count"), element)
        return Struct((("count", Number("u", count.size)), ("sequence", before), ("elements", elements)))

    def length(self, each: Object, default: Length) -> Length:
        if "fixed-size" in each:
            return Length("fixed", _integer(each["fixed-size"], 0))
        match = _INTEGER.fullmatch(str(each.get("size-prefix-format", "")))
        return Length("prefix", int(match[2]) // 8) if match and match[2] != "64" else default

    def number(self, each: Object, number: Number) -> Number:
        public = each.get("public-format")
        if public == "gboolean":
            return number._replace(truth=True)
        if not isinstance(public, str) or public in _NO_ENUM or _INTEGER.fullmatch(public):
            return number
        name, masks = self._enums.get(public, ("", False))
        if not name:
            self.missing.add(public)
            return number
        return number._replace(flags=name) if masks else number._replace(enum=name)


def _personal(each: Object) -> Object:
    return {"personal-info": "yes"} if each.get("personal-info") == "yes" else {}


def _integer(value: Any, default: int) -> int:
    """Numbers stand in quotes, decimal or hexadecimal."""
    try:
        return int(str(value)[:20], 0)
    except ValueError:
        return default
