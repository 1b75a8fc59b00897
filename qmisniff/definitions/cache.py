# SPDX-License-Identifier: GPL-2.0-or-later
"""Definitions already read, as JSON in the user's cache directory: reading YAML is slow, and is done once per change.

JSON, because a cache file must not be able to run code or crash the interpreter. A file that is damaged, from another
version or about another text is as good as none; a directory that cannot be written is no problem.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qmisniff.definitions.model import Header, to_plain
from qmisniff.errors import DefinitionError
from qmisniff.paths import cache_dir

if TYPE_CHECKING:
    from qmisniff.definitions.load import Definition

_FORMAT = 2


def compiled(path: Path) -> tuple[Header, dict[str, Any]]:
    """Header and plain body (`enums`, `messages`) of a definition file. Raises DefinitionError."""
    try:
        stat = path.stat()
    except OSError as error:
        raise DefinitionError(f"{path}: {error.strerror}") from error
    name = str(path.resolve())
    stamp = [_FORMAT, name, stat.st_size, stat.st_mtime_ns]
    file = cache_dir() / "definitions" / f"{path.stem}-{hashlib.blake2b(name.encode(), digest_size=6).hexdigest()}"
    found = _read(file, stamp)
    if found is None:
        from qmisniff.definitions.load import load  # YAML is imported only where nothing is cached

        definition = load(path)
        found = [list(definition.header), plain_body(definition)]
        _write(file, stamp, found)
    header, body = found
    return Header(*header), body


def plain_body(definition: Definition) -> dict[str, Any]:
    """The enums and messages of a definition as nested lists, which is what a Service is made from."""
    return {
        "enums": [[enum.name, [list(pair) for pair in enum.values]] for enum in definition.enums],
        "messages": [
            [each.id, each.name, each.title, each.indication_title, to_plain(each)] for each in definition.messages
        ],
    }


def _read(file: Path, stamp: list[Any]) -> list[Any] | None:
    try:
        digest, _, text = file.read_bytes().partition(b"\n")
        if hashlib.blake2b(text, digest_size=16).hexdigest().encode() != digest:
            return None
        content = json.loads(text)
    except (OSError, ValueError, RecursionError):
        return None
    return content["found"] if content["stamp"] == stamp else None


def _write(file: Path, stamp: list[Any], found: list[Any]) -> None:
    import tempfile  # takes as long to import as a cached definition to read

    text = json.dumps({"stamp": stamp, "found": found}, separators=(",", ":")).encode()
    data = hashlib.blake2b(text, digest_size=16).hexdigest().encode() + b"\n" + text
    with contextlib.suppress(OSError):
        file.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=file.parent)
        try:
            with os.fdopen(handle, "wb") as out:
                out.write(data)
            Path(temporary).replace(file)
        except OSError:
            Path(temporary).unlink(missing_ok=True)
