# SPDX-License-Identifier: GPL-2.0-or-later
"""The errors that reach a user, each with the situations it is for.

    QmisniffError
     +-- UsageError          the command line asks for something that makes no sense        exit 2
     +-- CaptureFileError    a capture file cannot be read or written                      exit 2
     +-- DefinitionError     a dissector definition is wrong                                exit 2
     +-- SourceUnavailable   a capture source cannot run here (rights, kernel, module)      exit 3
     +-- SourceFailed        a capture source worked and then died                          exit 4

Every message is one line that says what is wrong; `remedy` says what would help. Malformed *packets* are never
errors: they are `Problem`s in the tree of their frame.
"""

from __future__ import annotations


class QmisniffError(Exception):
    """Base of everything the command line turns into one line on stderr and an exit code."""

    exit_code = 1

    def __init__(self, message: str, remedy: str = "") -> None:
        super().__init__(message)
        self.remedy = remedy

    def __str__(self) -> str:
        message = super().__str__()
        return f"{message} ({self.remedy})" if self.remedy else message


class UsageError(QmisniffError):
    """An unknown source name, a filter that does not parse, two options that exclude each other."""

    exit_code = 2


class CaptureFileError(QmisniffError):
    """Not a capture, a capture damaged at its start, a file that cannot be opened, a disk that is full."""

    exit_code = 2


class DefinitionError(QmisniffError):
    """Broken YAML, an unknown type word, an id given twice; the message carries `file:line:column`."""

    exit_code = 2


class SourceUnavailable(QmisniffError):
    """Found before anything started: no root, no tracefs, no kprobe events, no qrtr module."""

    exit_code = 3


class SourceFailed(QmisniffError):
    """Found while running: the kernel refused a probe, the pipe broke, the target went away."""

    exit_code = 4
