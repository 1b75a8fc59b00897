# SPDX-License-Identifier: GPL-2.0-or-later
"""qmic's interface files (.qmi): packages, constants, enums, structs, messages, and the extensions of its forks.

    package nas 0x03;
    const GET_SYSTEM = 0x24;
    struct plmn { u16 mcc; u16 mnc; string name; u8 *codes(u8); };
    response get_system_resp { required plmn plmn = 0x12; optional u8 caps(16) = 0x11; } = GET_SYSTEM;

On the wire (linux-msm/qmic kernel.c, libqrtr qmi.c): `x[N]` is N elements; `x(N)` has a count of one byte, of two where
N is above 255; `*x(u16)` has a count of that width; `*x` alone as many as the field `x_n` before it says. A string is
the rest of its TLV; inside a struct it has a length of one byte.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import NamedTuple, NoReturn

from qmisniff.definitions.importers.draft import Draft, identifier, prefix_for, split_kind
from qmisniff.definitions.model import Length, Number, Text, Tlv, Type
from qmisniff.definitions.words import RESULT
from qmisniff.errors import DefinitionError

_TOKEN = re.compile(r"\s+|#[^\n]*|(0[xX][0-9a-fA-F]+|\d+|[A-Za-z_]\w*|[{}()\[\];=*,])")
_NUMBERS = re.compile(r"([ui])(8|16|32|64)")
_RESULT_TYPES = frozenset({"qmi_result", "qmi_response_type", "qmi_response_type_v01", "servreg_qmi_result"})
_KINDS = {"request": 0, "response": 1, "message": 1, "indication": 2}
_PREFIXES = {"u8": 1, "u16": 2, "u32": 4}


class _Token(NamedTuple):
    text: str
    line: int


def read(files: Mapping[str, str], draft: Draft) -> None:
    """Take everything that the files say. Raises DefinitionError with the place where one is no such file."""
    for name, text in files.items():
        _Parser(name, text, draft).file()


class _Parser:
    def __init__(self, file: str, text: str, draft: Draft) -> None:
        self.name_of_file = file
        self.draft = draft
        self.tokens = list(self._tokens(text))
        self.at = 0
        self.constants: dict[str, int] = {}
        self.structs: dict[str, Type] = {}

    def _tokens(self, text: str) -> Iterator[_Token]:
        at, line = 0, 1
        while at < len(text):
            match = _TOKEN.match(text, at)
            if match is None:
                raise DefinitionError(f"{self.name_of_file}:{line}: {text[at]!r} does not belong into a .qmi file")
            if match[1]:
                yield _Token(match[1], line)
            line += match[0].count("\n")
            at = match.end()
        yield _Token("", line)

    # ---- tokens ----

    @property
    def word(self) -> str:
        return self.tokens[self.at].text

    def fail(self, wanted: str) -> NoReturn:
        token = self.tokens[self.at]
        found = repr(token.text) if token.text else "the end of the file"
        raise DefinitionError(f"{self.name_of_file}:{token.line}: expected {wanted}, found {found}")

    def take(self, *words: str) -> str:
        """The next token if it is one of these, else nothing."""
        if self.word in words and self.word:
            self.at += 1
            return self.tokens[self.at - 1].text
        return ""

    def expect(self, *words: str) -> str:
        return self.take(*words) or self.fail(" or ".join(repr(word) for word in words))

    def name(self) -> str:
        if not self.word[:1].isalpha() and self.word[:1] != "_":
            self.fail("a name")
        self.at += 1
        return self.tokens[self.at - 1].text

    def number(self) -> int:
        word = self.word
        if word[:1].isdigit():
            self.at += 1
            octal = len(word) > 1 and word[0] == "0" and word.isdecimal()
            try:
                return int(word, 8 if octal else 0)
            except ValueError:
                self.at -= 1
                self.fail("a number")
        if word in self.constants:
            self.at += 1
            return self.constants[word]
        self.fail("a number")

    # ---- the file ----

    def file_item(self) -> None:
        word = self.name()
        if word == "package":
            self.draft.service = self.name().upper()
            if self.word != ";":
                self.draft.id = self.number()
        elif word == "package_type":
            self.name()
        elif word == "const":
            name = self.name()
            self.expect("=")
            self.constants[name] = self.number()
        elif word == "enum":
            self.enum(self.name())
        elif word == "struct":
            name = self.name()
            self.structs[name] = self.draft.struct(name, self.members())
        elif word in _KINDS:
            self.message(_KINDS[word], self.name())
        else:
            self.at -= 1
            self.fail("package, const, enum, struct, request, response or indication")
        self.expect(";")

    def file(self) -> None:
        while self.word:
            self.file_item()

    def enum(self, name: str) -> None:
        values: list[tuple[int, str]] = []
        self.expect("{")
        while not self.take("}"):
            label = self.name()
            value = self.number() if self.take("=") else (values[-1][0] + 1 if values else 0)
            values.append((value, label))
            self.constants[label] = value
            if not self.take(";", ",") and self.word != "}":
                self.fail("';'")
        if values:
            self.draft.note(f"enum {name}: no field says that it uses it, so it is left out")

    def message(self, kind: int, name: str) -> None:
        self.expect("{")
        tlvs: list[Tlv] = []
        while not self.take("}"):
            mandatory = self.expect("required", "optional") == "required"
            word = self.name()
            called, made = self.declared(word, self.value_type(word, top=True))
            self.expect("=")
            tlvs.append(Tlv(self.number(), called, mandatory, made))
            self.expect(";")
        if not self.take("="):
            self.draft.note(f"{name}: has no message id: left out")
            return
        self.draft.add(self.number(), kind, split_kind(name)[0], tlvs)

    def members(self) -> list[tuple[str, Type]]:
        self.expect("{")
        fields: list[tuple[str, Type]] = []
        while not self.take("}"):
            word = self.name()
            if word == "struct":
                kind: Type = self.draft.struct("entry", inner) if (inner := self.members()) else self.fail("fields")
            else:
                kind = self.value_type(word, top=False)
            fields.append(self.declared(word, kind, tuple(name for name, _ in fields)))
            self.expect(";")
        return fields

    def value_type(self, word: str, top: bool) -> Type:
        if match := _NUMBERS.fullmatch(word):
            return Number(match[1], int(match[2]) // 8)
        if word == "char":
            return Text("string", Length("fixed", 1))
        if word == "string":
            return Text("string", Length("rest") if top else Length("prefix", 1))
        if word in self.structs:
            return self.structs[word]
        if word in _RESULT_TYPES:
            return RESULT
        self.at -= 1
        self.fail("a type")

    def declared(self, word: str, kind: Type, earlier: tuple[str, ...] = ()) -> tuple[str, Type]:
        """The name that follows a type, and what brackets behind it make of the type."""
        pointer = self.take("*")
        name = self.name()
        length: Length | None = None
        if self.take("["):
            length = Length("fixed", self.number())
            self.expect("]")
        elif self.take("("):
            width = _PREFIXES.get(self.word)
            length = Length("prefix", width) if width else prefix_for(self.number())
            self.at += 1 if width else 0
            self.expect(")")
        elif pointer:
            if f"{name}_n" not in earlier:
                self.fail(f"'(' with the width of the count, or a field {name}_n before it")
            length = Length("field", 0, identifier(f"{name}_n"))
        if length is None:
            return name, kind
        return name, Text("string", length) if word == "char" else self.draft.array(length, kind)
