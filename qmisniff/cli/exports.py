# SPDX-License-Identifier: GPL-2.0-or-later
"""`qmisniff export`: what qmisniff knows, for other programs."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from qmisniff.cli.verbs import Verbs, definitions_option, registry, service_number
from qmisniff.errors import UsageError

_NOTES = """\
The dissector decodes every value that qmisniff decodes, under the same filter names. It works on qmisniff's captures,
on exported PDUs named qrtr, qmux or qmi, on USER0 with bare QMUX, and on QMUX in USB captures. Wireshark loads
it from its folder of personal Lua plugins (About Wireshark > Folders), tshark with -X lua_script:FILE."""


def add(verbs: Verbs) -> None:
    """Add the verb."""
    below = verbs.group("export", "write what qmisniff knows for other programs", "qmisniff export lua -o qmisniff.lua")
    added = below.add(
        lua,
        "write the definitions as a dissector for Wireshark",
        "qmisniff export lua -o ~/.local/lib/wireshark/plugins/qmisniff.lua",
        "qmisniff export lua --services nas,dms -o modem.lua",
        "tshark -X lua_script:qmisniff.lua -r modem.pcapng -Y qmi.nas.get_signal_info.lte.rsrp",
        notes=_NOTES,
    )
    added.add_argument("-o", dest="out", metavar="FILE", help="the file to write; standard output where left out")
    added.add_argument("--services", metavar="NAME,...", help="these services only, by name or number")
    definitions_option(added)


def lua(options: argparse.Namespace) -> int:
    """`qmisniff export lua`: write the definitions as a dissector for Wireshark."""
    from qmisniff.lua import lua_text

    with registry(options) as definitions:
        if options.services is None:
            services = sorted(definitions.headers)
        else:
            services = sorted({service_number(word, definitions) for word in options.services.split(",")})
            for number in services:
                if definitions.service(number) is None:
                    raise UsageError(
                        f"service {number} has no definition", "`qmisniff dissectors list` has those that do"
                    )
        text = "".join(lua_text(definitions, services))
    if options.out is None or options.out == "-":
        sys.stdout.write(text)
        return 0
    try:
        Path(options.out).expanduser().write_text(text, encoding="ascii")
    except OSError as error:
        raise UsageError(f"{options.out}: {error.strerror}", "choose another place with -o") from None
    return 0
