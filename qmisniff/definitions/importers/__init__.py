# SPDX-License-Identifier: GPL-2.0-or-later
"""Definitions of other projects -> definitions of ours: one module a format, one table of them.

A module's `read(files, draft)` puts what the files say into a Draft, and says by `draft.note` what it cannot take over.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module

from qmisniff.definitions.importers.draft import Draft
from qmisniff.errors import DefinitionError

FORMATS = {  # name -> module, what it is
    "libqmi": ("libqmi_json", "libqmi's qmi-service-*.json, with qmi-common.json and C headers for its enums"),
    "qmic": ("qmic", "the .qmi files of qmic"),
    "c": ("elem_info", "C sources with qmi_elem_info tables, and their headers"),
}


def guess_format(names: list[str]) -> str:
    """The format of files by their names. Raises DefinitionError where the names do not say."""
    for ending, form in ((".json", "libqmi"), (".qmi", "qmic"), (".c", "c"), (".h", "c")):
        if any(name.endswith(ending) for name in names):
            return form
    raise DefinitionError(f"{names[0]}: which format this is its name does not say", f"--from {'|'.join(FORMATS)}")


def read_files(form: str, files: Mapping[str, str]) -> Draft:
    """What the files (name -> text) say. Raises DefinitionError where they are not of that format."""
    draft = Draft()
    try:
        import_module(f"{__name__}.{FORMATS[form][0]}").read(files, draft)
    except RecursionError:
        raise DefinitionError(f"{next(iter(files))}: nested too deeply") from None
    if not draft.messages:
        raise DefinitionError(f"{', '.join(files)}: no message found", "; ".join(draft.notes[:3]))
    return draft
