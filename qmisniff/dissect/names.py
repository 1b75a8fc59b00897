# SPDX-License-Identifier: GPL-2.0-or-later
"""The filter names that no definition makes: of frames, headers and expert information."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from qmisniff.definitions import Registry
from qmisniff.definitions.fields import all_specs
from qmisniff.definitions.model import KINDS, Message
from qmisniff.dissect import mbim_layer, protobuf, usb_layer
from qmisniff.dissect.frame_layer import FRAME, FRAME_SPECS, TAP
from qmisniff.dissect.mbim_layer import MBIM
from qmisniff.dissect.qmi_layer import DATA, DATA_BYTES, QMI
from qmisniff.dissect.qmux_layer import QMUX
from qmisniff.dissect.sinks import EXPERT_MESSAGE, EXPERT_SEVERITY
from qmisniff.dissect.tlv import UNDECODED
from qmisniff.dissect.transport import CONTROL, QRTR, TFTP, TRAILER
from qmisniff.dissect.usb_layer import NOTIFICATION, USB
from qmisniff.field import FieldSpec
from qmisniff.protocol import mbim, qmi, qmux, qrtr, tftp, usb


def header_specs() -> Iterator[FieldSpec]:
    """What stands under each of these names; a name that several headers have comes once."""
    layouts = [qrtr.V1, qrtr.V2, qmux.HEADER, qmux.WIDE_HEADER, mbim.HEADER, mbim.FRAGMENT, *mbim.TAILS.values()]
    seen: set[str] = set()
    for spec in (
        *(FRAME, TAP, QRTR, CONTROL, TRAILER, QMUX, MBIM, USB, NOTIFICATION, QMI, TFTP, DATA),
        *FRAME_SPECS,
        *(spec for layout in layouts[:2] for spec in layout.specs),
        *(qrtr.NODE, qrtr.PORT, qrtr.CONFIRM_RX, qrtr.OPTIONS, qrtr.PADDING, qrtr.OTHER_SERVICE, *qrtr.CONTROL_SPECS),
        *(spec for layout in layouts[2:] for spec in layout.specs),
        mbim.UUID,
        *(spec for layout in mbim.PLAIN.values() for spec in layout.specs),
        *(usb.SOURCE, usb.DESTINATION),
        *(spec for layout in usb.LAYOUTS for spec in layout.specs),
        *usb_layer.PARTS.specs,
        *mbim_layer.PARTS.specs,
        *qmi.SERVICE_HEADER.specs,
        *qmi.SPECS,
        *tftp.SPECS,
        *protobuf.SPECS,
        UNDECODED,
        DATA_BYTES,
        EXPERT_SEVERITY,
        EXPERT_MESSAGE,
    ):
        if spec.name not in seen:
            seen.add(spec.name)
            yield spec


def held(values: Mapping[str, Any], name: str) -> list[Any]:
    """Every value that a field has among those that a frame was decoded to."""
    found: list[Any] = []
    for each in qrtr.ENDS.get(name, (name,)):
        value = values.get(each)
        if value is not None:
            found += value if isinstance(value, list) else [value]
    return found


def service_specs(registry: Registry, number: int) -> Iterator[tuple[FieldSpec, str]]:
    """What stands under each name of a service's messages, and where it occurs: `NAS Get Signal Info (response)`."""
    service = registry.service(number)
    for name in service.message_names() if service else ():
        message = service.message_named(name) if service else None
        if service is None or message is None:
            continue
        kinds: dict[str, list[str]] = {}
        for kind, section in zip(KINDS, message.tlvs, strict=True):
            only = Message(name, message.id, message.title, (section, None, None))
            for found in {spec.name for spec in all_specs(service.prefix, only, {})}:
                kinds.setdefault(found, []).append(kind)
        for spec in service.specs(message).values():
            yield spec, f"{service.header.service} {message.title} ({', '.join(kinds[spec.name])})"
