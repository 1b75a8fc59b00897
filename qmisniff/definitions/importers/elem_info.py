# SPDX-License-Identifier: GPL-2.0-or-later
"""Tables of `struct qmi_elem_info` in C sources (Linux include/linux/soc/qcom/qmi.h; `struct elem_info` before 4.16).

On the wire (drivers/soc/qcom/qmi_encdec.c): QMI_OPT_FLAG is not there, QMI_DATA_LEN is a count of one byte where
elem_size is 1 and else of two, a QMI_STRING is the rest of its TLV, or inside a struct has a length of one byte, of two
where elem_len is above 255. A table does not say of which message it is: that is taken from calls that name both, from
handler tables, and else from constants that are named as the table is.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from qmisniff.definitions.importers.c_source import Source, split
from qmisniff.definitions.importers.draft import REST, Draft, prefix_for, snake, split_kind
from qmisniff.definitions.model import Length, Number, Text, Tlv, Type
from qmisniff.definitions.words import RESULT

_TABLE = re.compile(r"\bstruct\s+(?:qmi_)?elem_info\s+([A-Za-z_]\w*)\s*\[[^\]]*\]\s*=\s*(?=\{)")
_FIELD = re.compile(r"^\.(\w+)\s*=\s*(.*)$", re.DOTALL)
_MEMBER = re.compile(r"offsetof\s*\(\s*(?:struct\s+)?(\w+)\s*,\s*(\w+)")
_CALL = re.compile(r"\bqmi_send_(?:request|response|indication)\s*(?=\()")
_MESSAGE_ID = re.compile(r"\.\s*msg_id\s*=\s*(\w+)")
_USED_TABLE = re.compile(r"\.\s*(?:ei|ei_array)\s*=\s*&?(\w+)")
_SERVICE = re.compile(r"\bqmi_add_(?:lookup|server)\s*(?=\()")
_SIZES = {"QMI_UNSIGNED_1_BYTE": 1, "QMI_UNSIGNED_2_BYTE": 2, "QMI_UNSIGNED_4_BYTE": 4, "QMI_UNSIGNED_8_BYTE": 8}
_ENUM_SIZES = {"QMI_SIGNED_1_BYTE_ENUM": 1, "QMI_SIGNED_2_BYTE_ENUM": 2, "QMI_SIGNED_4_BYTE_ENUM": 4}
_BYTE_TYPES = re.compile(r"\b(u8|__u8|uint8_t|int8_t|s8|char|bool|u_int8_t)\b")
_SIGNED = {"s8": 1, "s16": 2, "short": 2, "s32": 4, "int": 4, "s64": 8} | {
    f"int{bits}_t": bits // 8 for bits in (8, 16, 32, 64)
}
_FLOATS = {"float": 4, "double": 8}
_NOT_WORDS = frozenset(
    ["qmi", "req", "request", "resp", "response", "rsp", "ind", "indication", "msg", "id", "ei", "v01", "v02"]
)
_NO_IDS = frozenset(["max", "min", "len", "length", "size", "timeout", "version", "service"])
_MAX_DEPTH = 8

Entry = Mapping[str, str]


class _Layout(NamedTuple):
    """A member of a table: its name, TLV id, type, and whether it may be left out."""

    name: str
    id: int
    optional: bool
    type: Type


def read(files: Mapping[str, str], draft: Draft) -> None:
    """Take every message whose table and id are in the files."""
    _Reader(Source("\n".join(files.values())), draft).messages()


class _Reader:
    def __init__(self, source: Source, draft: Draft) -> None:
        self.source = source
        self.draft = draft
        self.tables = {match[1]: self.entries(match.end()) for match in _TABLE.finditer(source.text)}
        self.enums: dict[str, tuple[str, bool]] = {}

    def entries(self, at: int) -> list[Entry]:
        found: list[Entry] = []
        for item in split(self.source.inside(at)):
            fields = [match.groups() for part in split(item.strip()[1:-1]) if (match := _FIELD.match(part))]
            entry = {name: value.strip() for name, value in fields}
            if entry.get("data_type", "QMI_EOTI") not in ("QMI_EOTI", "0"):
                found.append(entry)
        return found

    def messages(self) -> None:
        inner = {entry["ei_array"] for entries in self.tables.values() for entry in entries if "ei_array" in entry}
        kinds: dict[str, int] = {}
        for table in self.tables:
            kind = split_kind(table)[1]
            if kind is not None:
                kinds[table] = kind
            elif table not in inner:
                self.draft.note(f"{table}: neither request, response nor indication by its name: left out")
        ids = self.ids(kinds)
        start = _common_start([split_kind(table)[0] for table in kinds])
        for table, kind in kinds.items():
            if table not in ids:
                self.draft.note(f"{table}: no message id found for it: left out (give the header that has it)")
                continue
            layouts = self.layouts(self.tables[table], table, 0)
            tlvs = [Tlv(each.id, each.name, not each.optional, each.type) for each in layouts]
            self.draft.add(ids[table], kind, split_kind(table)[0][len(start) :], tlvs)
        self.service()

    def service(self) -> None:
        """The service id, where the code looks up or offers one service only."""
        text = self.source.text
        calls = [list(split(self.source.inside(match.end()))) for match in _SERVICE.finditer(text)]
        found = {number for call in calls if len(call) > 1 and (number := self.source.number(call[1])) is not None}
        if len(found) == 1:
            self.draft.id = found.pop()

    def ids(self, kinds: Mapping[str, int]) -> dict[str, int]:
        """The message ids of tables: by the code, else by name; a response has that of its request."""
        found = dict(self.known_ids())
        words = {name: _words(name) for name, value in self.source.defined() if 0 <= value <= 0xFFFF and _is_id(name)}
        for table, kind in kinds.items():
            if table not in found and (number := self.id_by_name(table, kind, words)) is not None:
                found[table] = number
        requests = {split_kind(table)[0]: found[table] for table, kind in kinds.items() if kind == 0 and table in found}
        for table, kind in kinds.items():
            if kind == 1 and table not in found and split_kind(table)[0] in requests:
                found[table] = requests[split_kind(table)[0]]
        return found

    def known_ids(self) -> Iterator[tuple[str, int]]:
        """Tables that the code itself names together with a message id."""
        text = self.source.text
        for match in _CALL.finditer(text):
            given = [each.lstrip("&") for each in split(self.source.inside(match.end()))]
            for at, each in enumerate(given):
                if each in self.tables and at >= 2 and (number := self.source.number(given[at - 2])) is not None:
                    yield each, number
        for match in _MESSAGE_ID.finditer(text):  # of a handler, or of a message descriptor: the table stands near it
            used = _USED_TABLE.search(text, match.end(), match.end() + 300)
            following = _MESSAGE_ID.search(text, match.end())
            if not used or (following and following.start() < used.start()) or used[1] not in self.tables:
                continue
            if (number := self.source.number(match[1])) is not None:
                yield used[1], number

    def id_by_name(self, table: str, kind: int, words: Mapping[str, tuple[str, ...]]) -> int | None:
        """The constant that has the words of the table's name; the one of the same kind, if several have."""
        wanted = _words(table)
        fitting = [name for name, each in words.items() if each and (each == wanted or _ends(each, wanted))]
        same = [name for name in fitting if split_kind(name)[1] == kind]
        exact = [name for name in same or fitting if words[name] == wanted]
        values = {self.source.number(name) for name in exact or same or fitting}
        return values.pop() if len(values) == 1 else None

    # ---- tables ----

    def layouts(self, entries: list[Entry], table: str, depth: int) -> list[_Layout]:
        """The members of a table, in the order of the bytes."""
        found: list[_Layout] = []
        optional = False
        count: Length | None = None
        for entry in entries:
            kind = entry["data_type"]
            if kind == "QMI_OPT_FLAG":
                optional = True
                continue
            if kind == "QMI_DATA_LEN":
                size = entry.get("elem_size", "")
                single = bool(_BYTE_TYPES.search(size)) if "sizeof" in size else self.source.number(size) == 1
                count = Length("prefix", 1 if single else 2)
                continue
            number = self.source.number(entry.get("tlv_type", "0")) if depth == 0 else 0
            member = _MEMBER.search(entry.get("offset", ""))
            struct, name = (member[1], member[2]) if member else ("", f"value_{len(found)}")
            if number is None:
                self.draft.note(f"{table}.{name}: TLV type {entry['tlv_type']} is not known: left out")
            else:
                words = self.source.structs.get(struct, {}).get(name, "")
                made = self.member(entry, kind, count, f"{table}.{name}", words, depth)
                found.append(_Layout(name, number, optional, made))
            optional, count = False, None
        return found

    def member(self, entry: Entry, kind: str, count: Length | None, where: str, words: str, depth: int) -> Type:
        length = self.source.number(entry.get("elem_len", "1"))
        if length is None:
            self.draft.note(f"{where}: elem_len {entry['elem_len']} is not known: left as bytes")
            return REST
        if kind == "QMI_STRING":
            return Text("string", Length("rest") if depth == 0 else prefix_for(length))
        element = self.element(entry, kind, where, words, depth)
        array = entry.get("array_type", entry.get("is_array", "NO_ARRAY"))
        if array in ("STATIC_ARRAY", "1"):
            return self.draft.array(Length("fixed", length), element)
        if array in ("VAR_LEN_ARRAY", "2"):
            if count is None:
                self.draft.note(f"{where}: a variable array without QMI_DATA_LEN: a count of one byte is guessed")
            return self.draft.array(count or prefix_for(length), element)
        return element

    def element(self, entry: Entry, kind: str, where: str, words: str, depth: int) -> Type:
        last = words.split()[-1] if words else ""
        if kind in _SIZES:
            size = _SIZES[kind]
            if _FLOATS.get(last) == size:
                return Number("f", size)
            if last == "bool" and size == 1:
                return Number("u", 1, truth=True)
            return Number("i" if _SIGNED.get(last) == size else "u", size)
        if kind in _ENUM_SIZES:
            return Number("i", _ENUM_SIZES[kind], enum=self.enum(last, where) if words.startswith("enum ") else "")
        if kind == "QMI_STRUCT":
            table = entry.get("ei_array", "").lstrip("&")
            if table in self.tables and depth < _MAX_DEPTH:
                inner = self.layouts(self.tables[table], table, depth + 1)
                return self.draft.struct(table, [(each.name, each.type) for each in inner])
            if "response_type" in table or "result" in table:
                return RESULT
            self.draft.note(f"{where}: table {table or '?'} is not in the files: left as bytes")
            return REST
        self.draft.note(f"{where}: data type {kind} is not known: left as bytes")
        return REST

    def enum(self, name: str, where: str) -> str:
        """Our name of a C enum, "" where the files do not have it."""
        enum = self.source.enums.get(name)
        if enum is None:
            self.draft.note(f"{where}: enum {name} is not in the files: a plain number")
            return ""
        # Generated headers bound an enum with values that are never sent.
        sent = [(value, label) for value, label in enum.values if not re.search(r"_(MIN|MAX)(_ENUM)?_VAL", label)]
        return self.draft.enum(name, sent)


def _common_start(names: list[str]) -> str:
    """The words, `_` included, that all names begin with, as drivers put their own before every message."""
    words = [name.split("_") for name in set(names)]
    same = 0
    while len(words) > 1 and all(len(each) > same + 1 for each in words) and len({each[same] for each in words}) == 1:
        same += 1
    return "".join(f"{word}_" for word in words[0][:same]) if words else ""


def _is_id(name: str) -> bool:
    """Whether a constant may be a message id by its name."""
    words = set(snake(name).split("_"))
    return not words & _NO_IDS and (split_kind(name)[1] is not None or bool(words & {"qmi", "msg"}))


def _words(name: str) -> tuple[str, ...]:
    return tuple(word for word in snake(name).split("_") if word not in _NOT_WORDS)


def _ends(one: tuple[str, ...], other: tuple[str, ...]) -> bool:
    """Whether the longer ends as the whole shorter one: TEST_PING and ping, wlfw_cap and CAP."""
    shorter = min(len(one), len(other))
    return shorter > 0 and one[-shorter:] == other[-shorter:]
