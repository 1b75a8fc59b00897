# SPDX-License-Identifier: GPL-2.0-or-later
"""The verbs about definitions: `dissectors list|show|check|import`, and `fields`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

from qmisniff.cli.verbs import Verbs, definitions_option, did_you_mean, registry, service_number, whole_number
from qmisniff.errors import DefinitionError, UsageError
from qmisniff.printable import counted, plain

if TYPE_CHECKING:
    from qmisniff.definitions.load import Definition
    from qmisniff.definitions.model import Message

_CHECK_NOTES = """\
Prints `file:line:column: error: what` or `...: warning: what` for everything found. Errors are what is refused, and
what can never be right: a field no byte can reach, an example that decodes to something else, an id given twice.
Warnings are what is allowed and looks like a slip: enums nobody uses, one label for two values, overlapping bits.
Exit code 2 where there are errors, 0 where there are warnings only."""

_IMPORT_NOTES = """\
Reads libqmi's JSON, qmic's .qmi files, or C sources with qmi_elem_info tables, and prints a definition, or writes it to
a new file. What cannot be taken over, and what is guessed, is said on standard error. The result is a start: units,
labels and what is personal are for you to add."""

_FIELDS_NOTES = """\
One field a line: its filter name, type, names of values, and where it occurs, separated by tabs. PATTERN is part of a
name, upper or lower case; * and ? stand for any text and any character."""


def add(verbs: Verbs) -> None:
    """Add the verbs dissectors and fields."""
    group = verbs.group(
        "dissectors",
        "list, show, check and import definitions",
        "qmisniff dissectors list",
        "qmisniff dissectors show nas.get_signal_info",
    )
    added = group.add(list_, "list every service that has a name", "qmisniff dissectors list")
    definitions_option(added)

    added = group.add(
        show,
        "show what is known of a service or a message",
        "qmisniff dissectors show nas",
        "qmisniff dissectors show nas.get_signal_info",
        "qmisniff dissectors show 3.0x4f",
    )
    added.add_argument("name", metavar="NAME", help="SERVICE or SERVICE.MESSAGE, by name or number")
    definitions_option(added)

    added = group.add(
        check,
        "check definition files",
        "qmisniff dissectors check",
        "qmisniff dissectors check my.yaml",
        "qmisniff dissectors check ~/.config/qmisniff/dissectors",
        notes=_CHECK_NOTES,
    )
    added.add_argument("files", nargs="*", metavar="FILE", help="files or folders; all that are in use where left out")
    definitions_option(added)

    added = group.add(
        import_,
        "turn definitions of other projects into ours",
        "qmisniff dissectors import qmi-service-dms.json qmi-common.json qmi-enums-dms.h -o dms.yaml",
        "qmisniff dissectors import --id 66 servreg_notif.qmi -o servreg_notif.yaml",
        "qmisniff dissectors import qmi_sample_client.c -o sample.yaml",
        notes=_IMPORT_NOTES,
    )
    added.add_argument("files", nargs="+", metavar="FILE", help="the files of one service")
    added.add_argument("--from", dest="form", choices=("libqmi", "qmic", "c"), help="format; else by the files' names")
    added.add_argument("-o", dest="out", metavar="OUT.yaml", help="a new file, named as the service in filters")
    added.add_argument("--service", metavar="NAME", help="short name of the service, where the files do not say it")
    added.add_argument("--id", metavar="N", help="service id, where the files do not say it")
    definitions_option(added)

    added = verbs.add(
        fields,
        "list the names that filters, JSON and columns know",
        "qmisniff fields rsrp",
        "qmisniff fields 'qmi.dms.*imei'",
        "qmisniff fields | column -ts $'\\t' | less -S",
        notes=_FIELDS_NOTES,
    )
    added.add_argument("pattern", nargs="?", metavar="PATTERN", default="", help="show only names that contain this")
    definitions_option(added)


def list_(options: argparse.Namespace) -> int:
    """`qmisniff dissectors list`: a line a service."""
    print(f"{'NAME':<16} {'ID':>6} {'MESSAGES':>8} {'TLVS':>6}  {'TITLE':<44} FILE")
    with registry(options) as definitions:
        for number, header in sorted(definitions.headers.items()):
            service = definitions.service(number)
            messages = [service.message_named(name) for name in service.message_names()] if service else []
            tlvs = sum(len(section or ()) for message in messages if message for section in message.tlvs)
            counts = f"{len(messages):>8} {tlvs:>6}" if service else f"{'-':>8} {'-':>6}"
            _print(f"{header.name:<16} {number:>6} {counts}  {header.title:<44} {definitions.file(number) or '-'}")
    return 0


def show(options: argparse.Namespace) -> int:
    """`qmisniff dissectors show`: the messages of a service, or the TLVs of a message."""
    from qmisniff.cli.tables import message_lines, service_lines

    word, _, rest = options.name.removeprefix("qmi.").partition(".")
    with registry(options) as definitions:
        number = service_number(word, definitions)
        service = definitions.service(number)
        if service is None:
            raise UsageError(f"service {word} is not described", "`qmisniff dissectors list` has those that are")
        if not rest:
            _print(*service_lines(service))
            return 0
        # A field's whole filter name will do: what is below the message is part of what is shown.
        message = service.message_named(rest.lower().partition(".")[0])
        if message is None and (wanted := whole_number(rest)) is not None:
            message = service.message(wanted)
        if message is None:
            hint = did_you_mean(rest, service.message_names()) or f"`qmisniff dissectors show {word}` lists them"
            raise UsageError(f"{service.header.service} has no message {rest!r}", hint)
        _print(*message_lines(service, message))
    return 0


def check(options: argparse.Namespace) -> int:
    """`qmisniff dissectors check`: everything that is wrong with definition files."""
    from qmisniff.definitions.lint import Finding, clashes, lint
    from qmisniff.definitions.registry import NAMES_FILE
    from qmisniff.paths import definition_dirs

    places = [Path(file) for file in options.files]
    if not places:
        places = definition_dirs([Path(folder) for folder in options.dissectors or ()])
        places = [place for place in places if place.is_dir()]
    files = [file for place in places for file in (sorted(place.glob("*.yaml")) if place.is_dir() else [place])]
    files = [file for file in files if file.name != NAMES_FILE]
    found: list[tuple[Path, Finding]] = []
    folders: dict[Path, dict[str, Definition]] = {}
    for file in files:
        definition, findings = lint(_text(file), file.stem, _example_failures)
        found += [(file, finding) for finding in findings]
        if definition is not None:
            folders.setdefault(file.parent, {})[str(file)] = definition
    for together in folders.values():
        found += [(Path(name), Finding(1, 1, "error", what)) for name, what in clashes(together)]
    for file, finding in found:
        _print(f"{file}:{finding.line}:{finding.column}: {finding.severity}: {finding.text}")
    errors = sum(finding.severity == "error" for _, finding in found)
    counts = ((len(files), "file"), (errors, "error"), (len(found) - errors, "warning"))
    print(", ".join(counted(count, what) for count, what in counts), file=sys.stderr)
    return DefinitionError.exit_code if errors else 0


def import_(options: argparse.Namespace) -> int:
    """`qmisniff dissectors import`: files of other projects as one definition file."""
    from qmisniff.definitions.importers import guess_format, read_files
    from qmisniff.definitions.importers.draft import identifier
    from qmisniff.definitions.lint import lint
    from qmisniff.definitions.model import Header
    from qmisniff.definitions.notation import definition_text

    files = {file: _text(Path(file)) for file in options.files}
    draft = read_files(options.form or guess_format(options.files), files)
    service = options.service or draft.service or Path(options.out or options.files[0]).stem
    with registry(options) as definitions:
        known = next((each for each in definitions.headers.values() if each.service.lower() == service.lower()), None)
    number = whole_number(options.id) if options.id else draft.id if draft.id >= 0 else known and known.id
    if number is None or number > 0xFFFFFFFF:
        raise UsageError(f"the id of service {service} is not known", "--id N")
    name = Path(options.out).stem if options.out else identifier(service)
    title = draft.title or (known.title if known else service.replace("_", " ").title())
    text = definition_text(*draft.finish(Header(name, number, service.upper(), title)))
    for note in draft.notes:
        print(f"qmisniff: {_plain(note)}", file=sys.stderr)
    errors = [finding.text for finding in lint(text, name)[1] if finding.severity == "error"]
    if errors:
        raise DefinitionError(f"{service}: cannot be written as a definition: {errors[0]}", f"{len(errors)} errors")
    if not options.out:
        sys.stdout.write(text)
        return 0
    try:
        with Path(options.out).open("x", encoding="utf-8") as out:
            out.write(text)
    except FileExistsError:
        raise UsageError(f"{options.out}: is there already", "another name, or remove it first") from None
    except OSError as error:
        raise DefinitionError(f"{options.out}: {error.strerror}") from None
    return 0


def fields(options: argparse.Namespace) -> int:
    """`qmisniff fields`: filter names, a line each."""
    from fnmatch import fnmatchcase

    from qmisniff.cli.tables import field_line
    from qmisniff.dissect.names import header_specs, service_specs

    pattern = f"*{options.pattern.lower()}*"
    found = False
    with registry(options) as definitions:
        names = chain(
            ((spec, spec.label) for spec in header_specs()),
            *(service_specs(definitions, number) for number in sorted(definitions.headers)),
        )
        for spec, where in names:
            if fnmatchcase(spec.name, pattern):
                found = True
                _print(field_line(spec, where))
    if not found:
        raise UsageError(f"no field has {options.pattern!r} in its name", "`qmisniff fields` lists them all")
    return 0


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except OSError as error:
        raise DefinitionError(f"{file}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise DefinitionError(f"{file}:1:1: not UTF-8 text") from None


def _example_failures(definition: Definition, message: Message) -> Iterator[str]:
    if not message.examples:
        return
    from qmisniff.definitions import Registry, Service
    from qmisniff.definitions.cache import plain_body
    from qmisniff.dissect import Dissector
    from qmisniff.dissect.examples import check_examples

    alone = Registry([])
    service = Service(definition.header, plain_body(definition))
    alone.put(service)
    yield from check_examples(Dissector(alone), service, message)


def _print(*lines: str) -> None:
    for line in lines:
        print(_plain(line))


def _plain(line: str) -> str:
    """The line without anything a terminal could act on, tabs left out: definitions are other people's text."""
    return "\t".join(plain(part) for part in line.split("\t"))
