# SPDX-License-Identifier: GPL-2.0-or-later
"""Regular expressions for `matches`: RE2's, which take time linear in the text, read as PCRE reads them.

What the two read differently is written otherwise before RE2 sees it, or refused.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Protocol

MAX_PATTERN = 1000  # bytes
MAX_MEMORY = 8 << 20  # bytes, of one expression

_PART = re.compile(rb"\\(?:.|$)|\[\^?\]?(?:\\.|\[:\^?[a-z]+:\]|[^\]\\])*\]|\$|.", re.DOTALL)
_MULTILINE = re.compile(rb"\(\?[a-zA-Z]*m")
_REFUSED = {b"\\v": "\\v", b"\\Q": "\\Q", b"\\p": "\\p", b"\\P": "\\P", b"\\S": "\\S in [...]"}


class Expression(Protocol):
    """What a compiled expression does."""

    def search(self, text: bytes) -> object:
        """Something true where the expression is found."""


@lru_cache(64)
def expression(pattern: bytes) -> Expression:
    """The expression, upper and lower case the same unless it says (?-i). Raises ValueError."""
    if not pattern:
        raise ValueError("an empty expression is found everywhere")
    if len(pattern) > MAX_PATTERN:
        raise ValueError(f"a regular expression has at most {MAX_PATTERN} bytes")
    ours = _as_re2(pattern)
    try:
        import re2
    except ImportError:
        raise ValueError("`matches` needs the Python package google-re2: pip install google-re2") from None
    options = re2.Options()
    options.case_sensitive = False
    options.encoding = re2.Options.Encoding.LATIN1  # bytes, as in Wireshark
    options.log_errors = False
    options.max_mem = MAX_MEMORY
    try:
        found: Expression = re2.compile(ours, options)
    except re2.error as error:
        what = error.args[0] if error.args else b""
        raise ValueError(what.decode("utf-8", "backslashreplace") if isinstance(what, bytes) else str(what)) from None
    return found


def _as_re2(pattern: bytes) -> bytes:
    """The same expression for RE2: its `$` does not stand before a last newline, its `\\s` leaves out \\x0b."""
    lines = _MULTILINE.match(pattern) is not None
    if not lines and b"$" in pattern and _MULTILINE.search(pattern):
        raise ValueError("(?m) stands at the beginning")
    parts = [match[0] for match in _PART.finditer(pattern)]
    for at, part in enumerate(parts):
        if part in (b"\\s", b"\\S"):
            parts[at] = b"[\\s\\x0b]" if part == b"\\s" else b"[^\\s\\x0b]"
        elif part[:1] == b"[" and len(part) > 1:
            for refused in _REFUSED:
                if refused in part:
                    raise ValueError(f"{_REFUSED[refused]} is not supported")
            parts[at] = part.replace(b"\\s", b"\\s\\x0b")
        elif part in _REFUSED:
            raise ValueError(f"{_REFUSED[part]} is not supported")
        elif part == b"$" and not lines:
            if not _is_last(parts[at + 1 :]):
                raise ValueError("$ stands at the end, before ) or |")
            parts[at] = b"(?:\\n?\\z)"
    return b"".join(parts)


def _is_last(rest: list[bytes]) -> bool:
    """Whether behind a `$` nothing is left to be found, in its group and in those around it. As RE2 is given it, a `$`
    takes the last newline with it."""
    other = False  # in another alternative of a group that the `$` is in
    depth = 0
    for part in rest:
        if part == b")" and not depth:
            other = False
        elif other:
            depth += (part == b"(") - (part == b")")
        elif part == b"|":
            other = True
        elif part not in (b"$", b"?"):
            return False
    return True
