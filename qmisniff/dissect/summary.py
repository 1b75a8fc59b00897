# SPDX-License-Identifier: GPL-2.0-or-later
"""A frame as a row of a packet list."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from qmisniff.definitions import Registry
from qmisniff.dissect.message import MessageDecoder
from qmisniff.dissect.sinks import Sink, ValuesSink
from qmisniff.dissect.tlv import RESULT_DECODER, TlvDecoder, TlvRange
from qmisniff.dissect.transport import address
from qmisniff.field import FieldSpec, Severity, Value
from qmisniff.frame import Direction, Frame, Link
from qmisniff.printable import plain
from qmisniff.protocol import qmi, qrtr
from qmisniff.protocol.errors import ERRORS
from qmisniff.protocol.layout import Row

_SHOWN_TLVS = 8
# The innermost layer of a USB frame without a whole message is what its row shows.
_USB_LAYERS = (("QMUX", "qmux.piece"), ("MBIM", "mbim.piece"), ("MBIM", "mbim"), ("USB", "usb"))
_INSTANCE_LABELS = ("qrtr.ctrl.instance.label", "qrtr.ctrl.diag.processor.label", "qrtr.ctrl.diag.channel.label")


class Summary(NamedTuple):
    """Texts without control characters; `severity` is the worst of the frame's problems."""

    source: str
    destination: str
    protocol: str
    info: str
    severity: Severity | None


class SummarySink(ValuesSink):
    """Besides the values, what a row shows: the layers met, the names of the TLVs, the worst problem."""

    def __init__(self) -> None:
        super().__init__()
        self.layers: dict[str, str] = {}  # name -> text
        self.names: list[str] = []
        self.worst: tuple[Severity, str] | None = None
        self.more = 0  # messages behind the first

    def layer(self, spec: FieldSpec, text: str | None, offset: int, size: int) -> None:
        self.layers[spec.name] = text or ""

    def tlvs(self, decoder: MessageDecoder, data: bytes, start: int, end: int) -> bool:
        if not super().tlvs(decoder, data, start, end):
            return False
        types = self.into.get("qmi.tlv.type", [])
        for kind in types if isinstance(types, list) else [types]:
            self.shown(decoder.tlvs[kind])
        return True

    def shown(self, decoder: TlvDecoder) -> None:
        """Note the name of a TLV; the result is told otherwise."""
        if decoder is not RESULT_DECODER:
            self.names.append(decoder.tlv.name)

    def tlv(self, found: TlvRange, decoder: TlvDecoder | None, data: bytes) -> None:
        if decoder is None:
            self.names.append(f"0x{found.type:02x}")
        else:
            self.shown(decoder)
        super().tlv(found, decoder, data)

    def problem(self, severity: Severity, text: str, offset: int, size: int) -> None:
        if self.worst is None or severity > self.worst[0]:
            self.worst = severity, text

    def next_message(self) -> Sink:
        self.more += 1
        return _Aside(self)

    def row(self, frame: Frame, registry: Registry) -> Summary:
        """The row, once the whole frame has been walked."""
        source, destination = self._addresses(frame)
        if "qmi" in self.layers:
            protocol, info = self._qmi(registry)
            info += f" (and {self.more} more)" if self.more else ""
        elif "qrtr.service" in self.into:
            protocol = registry.service_name(self.into["qrtr.service"])
            info = self.layers["data"]
        elif "tftp" in self.layers:
            protocol, info = "TFTP", self.layers["tftp"]
        elif "qrtr" in self.layers:
            protocol, info = "QRTR", self._qrtr(registry)
        elif "usb" in self.layers:
            protocol, info = next((name, self.layers[spec]) for name, spec in _USB_LAYERS if spec in self.layers)
        else:
            protocol, info = frame.link.name, f"{len(frame.data)} bytes"
        severity = self.worst[0] if self.worst else None
        if self.into.get("qmi.result"):  # a failed request: the tree says so as a note
            severity = max(severity or Severity.NOTE, Severity.NOTE)
        if self.worst and self.worst[0] is Severity.ERROR:
            info = f"{info} [{self.worst[1]}]"
        return Summary(source, destination, plain(protocol), plain(info), severity)

    def _addresses(self, frame: Frame) -> tuple[str, str]:
        into = self.into
        if "qrtr.dst_port" in into:
            return (
                address(into["qrtr.src_node"], into["qrtr.src_port"]),
                address(into["qrtr.dst_node"], into["qrtr.dst_port"]),
            )
        if "usb.src" in into:
            return into["usb.src"], into["usb.dst"]
        if frame.link is Link.OTHER:
            return "", ""
        if "qmux.flags" in into:
            from_modem = into["qmux.flags"] == 0x80
        elif frame.direction is Direction.UNKNOWN:
            from_modem = into.get("qmi.type", qmi.REQUEST) != qmi.REQUEST
        else:
            from_modem = frame.direction is Direction.INBOUND
        return ("modem", "host") if from_modem else ("host", "modem")

    def _qrtr(self, registry: Registry) -> str:
        into = self.into
        kind = into.get("qrtr.type")
        command = into.get("qrtr.ctrl.cmd", kind)
        if command is None:
            return "not a QRTR packet"
        name = qrtr.TYPES.get(command, f"type {command}")
        if "qrtr.ctrl.port" not in into and "qrtr.ctrl.node" not in into:
            return f"{name}, {into['qrtr.size']} bytes" if command == qrtr.DATA and "qrtr.size" in into else name
        where = (
            address(into.get("qrtr.ctrl.node", 0), into["qrtr.ctrl.port"])
            if "qrtr.ctrl.port" in into
            else str(into["qrtr.ctrl.node"])
        )
        if "qrtr.ctrl.service" not in into:
            return f"{name} {where}"
        service = into["qrtr.ctrl.service"]
        version, instance = into.get("qrtr.ctrl.version", 0), into.get("qrtr.ctrl.instance", 0)
        means = [into[name] for name in _INSTANCE_LABELS if name in into]
        which = f" v{version} i{instance}" + (f" ({' '.join(means)})" if means else "")
        if command in (qrtr.NEW_LOOKUP, qrtr.DEL_LOOKUP):
            what = registry.service_name(service) if service else "all services"
            return f"{name} {what}" + (which if version or instance else "")
        if not service and not into.get("qrtr.ctrl.port"):
            return f"{name} end of list"
        return f"{name} {registry.service_name(service)}{which} @ {where}"

    def _qmi(self, registry: Registry) -> tuple[str, str]:
        into = self.into
        service = into.get("qmi.service")
        protocol = "QMI" if service is None else f"QMI_{registry.service_name(service)}"
        if "qmi.length" not in into:
            return protocol, "cut short"
        title = into.get("qmi.msgid.label") or f"0x{into['qmi.msgid']:04x}"
        error = into.get("qmi.error", 0) if into.get("qmi.result") else None
        error = error[0] if isinstance(error, list) else error
        return protocol, message_info(into.get("qmi.type", 3), title, into["qmi.txn"], error, self.names)


def message_info(kind: int, title: str, txn: object, error: int | None, names: Sequence[str]) -> str:
    """What a row says of a QMI message: `error` where the request failed, `names` of its TLVs but for the result."""
    info = f"{qmi.TYPES.get(kind, 'Unknown type')}: {title}, txn {txn}"
    if error is not None:
        info += f", error {error} {ERRORS.get(error, 'UNKNOWN')}"
    if names:
        info += f" ({', '.join(names[:_SHOWN_TLVS])}{' ...' if len(names) > _SHOWN_TLVS else ''})"
    return info


class _Aside:
    """Takes the messages that a row only counts: nothing of them is shown but that something is wrong."""

    def __init__(self, row: SummarySink) -> None:
        self.problem, self.next_message = row.problem, row.next_message

    def layer(self, spec: FieldSpec, text: str | None, offset: int, size: int) -> None:
        pass

    def rows(self, rows: Iterable[Row]) -> None:
        pass

    def field(self, spec: FieldSpec, value: Value, offset: int, size: int) -> None:
        pass

    def tlvs(self, decoder: MessageDecoder, data: bytes, start: int, end: int) -> bool:
        return False

    def tlv(self, found: TlvRange, decoder: TlvDecoder | None, data: bytes) -> None:
        pass
