# SPDX-License-Identifier: GPL-2.0-or-later
"""USB requests (URBs) as capture programs record them, and the control pipe that a modem's QMUX and MBIM go through.

Headers: Linux Documentation/usb/usbmon.rst (48 bytes in text and read interfaces, 64 in the mmapped one), USBPcap's
USBPCAP_BUFFER_PACKET_HEADER (desowin.org/usbpcap/captureformat.html). The names and labels of fields are Wireshark's.
Encapsulated commands and responses, notifications: USB CDC 1.2, sections 6.2 and 6.3.
"""

from __future__ import annotations

from typing import NamedTuple

from qmisniff.field import FieldSpec, Kind
from qmisniff.frame import Link
from qmisniff.protocol import mbim, qmux
from qmisniff.protocol.layout import Item, Layout, Row

ISOCHRONOUS, INTERRUPT, CONTROL, BULK = 0, 1, 2, 3
TRANSFERS = {ISOCHRONOUS: "isochronous", INTERRUPT: "interrupt", CONTROL: "control", BULK: "bulk"}
SUBMIT = ord("S")
EVENTS = {SUBMIT: "URB_SUBMIT", ord("C"): "URB_COMPLETE", ord("E"): "URB_ERROR"}
IN = 0x80  # set in the address of an endpoint that sends to the host

COMMAND = 0x21, 0x00  # SEND_ENCAPSULATED_COMMAND: bmRequestType, bRequest
RESPONSE = 0xA1, 0x01  # GET_ENCAPSULATED_RESPONSE
REQUESTS = {
    COMMAND: "SEND_ENCAPSULATED_COMMAND",
    RESPONSE: "GET_ENCAPSULATED_RESPONSE",
    (0x21, 0x22): "SET_CONTROL_LINE_STATE",
    (0x80, 0x06): "GET_DESCRIPTOR",
    (0x00, 0x05): "SET_ADDRESS",
    (0x00, 0x09): "SET_CONFIGURATION",
    (0x01, 0x0B): "SET_INTERFACE",
}
NOTIFICATIONS = {0x00: "NETWORK_CONNECTION", 0x01: "RESPONSE_AVAILABLE", 0x20: "SERIAL_STATE", 0x2A: "SPEED_CHANGE"}

_BUS = Item("bus_id", 2, "Bus")
_ENDPOINT = Item("endpoint_address", 1, "Endpoint", hex=True)
_TRANSFER = Item(
    "transfer_type",
    1,
    "Transfer type",
    hex=True,
    labels={code: f"URB_{name.upper()}" for code, name in TRANSFERS.items()},
)
_DATA_LENGTH = Item("data_len", 4, "Data length")

USBMON = Layout(
    "usb",
    [
        Item("urb_id", 8, "URB id", hex=True),
        Item("urb_type", 1, "URB type", hex=True, labels=EVENTS),
        _TRANSFER,
        _ENDPOINT,
        Item("device_address", 1, "Device"),
        _BUS,
        Item("setup_flag", 1, "No setup packet", hex=True),
        Item("data_flag", 1, "No data", hex=True),
        Item("urb_ts_sec", 8, "Seconds"),
        Item("urb_ts_usec", 4, "Microseconds"),
        Item("urb_status", 4, "Status", kind=Kind.INT),
        Item("urb_len", 4, "URB length"),
        _DATA_LENGTH,
    ],
)
SETUP = Layout(
    "usb",
    [
        Item("bmRequestType", 1, "bmRequestType", hex=True),
        Item("setup.bRequest", 1, "bRequest"),
        Item("setup.wValue", 2, "wValue", hex=True),
        Item("setup.wIndex", 2, "wIndex"),
        Item("setup.wLength", 2, "wLength"),
    ],
)
USBMON_REST = Layout(  # what the mmapped interface adds
    "usb",
    [
        Item("interval", 4, "Interval"),
        Item("start_frame", 4, "Start frame"),
        Item("copy_of_transfer_flags", 4, "Transfer flags", hex=True),
        Item("iso.numdesc", 4, "Isochronous descriptors"),
    ],
)
USBPCAP = Layout(
    "usb",
    [
        Item("usbpcap_header_len", 2, "Header length"),
        Item("irp_id", 8, "IRP id", hex=True),
        Item("usbd_status", 4, "Status", hex=True),
        Item("function", 2, "URB function", hex=True),
        Item("irp_info", 1, "Information", hex=True),
        _BUS,
        Item("device_address", 2, "Device"),
        _ENDPOINT,
        _TRANSFER,
        _DATA_LENGTH,
    ],
)
USBPCAP_STAGE = Layout(
    "usb", [Item("control_stage", 1, "Stage", labels={0: "Setup", 1: "Data", 2: "Status", 3: "Complete"})]
)
NOTIFICATION = Layout(
    "usbcom.interrupt",
    [
        Item("request_type", 1, "Request type", hex=True),
        Item("notification_code", 1, "Notification", hex=True, labels=NOTIFICATIONS),
        Item("value", 2, "Value", hex=True),
        Item("index", 2, "Index"),
        Item("length", 2, "Length"),
    ],
)
LAYOUTS = (USBMON, SETUP, USBMON_REST, USBPCAP, USBPCAP_STAGE, NOTIFICATION)
SOURCE = FieldSpec("usb.src", "Source", Kind.STRING)
DESTINATION = FieldSpec("usb.dst", "Destination", Kind.STRING)

_TO_HOST = 1  # in USBPcap's irp_info
_STAGE_SETUP, _STAGE_DATA = 0, 1
USBMON_SIZE = {Link.USBMON: USBMON.size + SETUP.size, Link.USBMON_MMAPPED: USBMON.size + SETUP.size + USBMON_REST.size}


class Setup(NamedTuple):
    """The setup packet of a control transfer."""

    request_type: int
    request: int
    value: int
    interface: int  # wIndex of requests to an interface
    length: int

    @property
    def code(self) -> tuple[int, int]:
        """What is asked for: COMMAND, RESPONSE or another."""
        return self.request_type, self.request


class Urb(NamedTuple):
    """What a recorded request says of itself; the data it carried is `data[start:]` of the frame."""

    device: int  # bus << 16 | address
    endpoint: int  # with IN
    transfer: int
    completed: bool
    id: int
    setup: Setup | None
    start: int

    @property
    def address(self) -> str:
        """Bus, device, endpoint as Wireshark writes them."""
        return f"{self.device >> 16}.{self.device & 0xFFFF}.{self.endpoint & 0x0F}"

    @property
    def ends(self) -> tuple[str, str]:
        """Who sent this record's data, and who got it."""
        return (self.address, "host") if self.completed else ("host", self.address)


def parse_urb(data: bytes, link: Link) -> Urb | None:
    """The request that a record of one of USB_LINKS tells of, None where it ends inside its header."""
    return _usbpcap(data) if link is Link.USBPCAP else _usbmon(data, USBMON_SIZE[link])


def _usbmon(data: bytes, size: int) -> Urb | None:
    if len(data) < size:
        return None
    number, event, transfer, endpoint, device, bus, no_setup = USBMON.struct.unpack_from(data)[:7]
    there = transfer == CONTROL and event == SUBMIT and not no_setup
    setup = Setup(*SETUP.struct.unpack_from(data, USBMON.size)) if there else None
    return Urb(bus << 16 | device, endpoint, transfer, event != SUBMIT, number, setup, size)


def _usbpcap(data: bytes) -> Urb | None:
    if len(data) < USBPCAP.size:
        return None
    size, number, _, _, info, bus, device, endpoint, transfer, _ = USBPCAP.struct.unpack_from(data)
    if not USBPCAP.size <= size <= len(data) or (transfer == CONTROL and size == USBPCAP.size):
        return None
    completed = info & 1 == _TO_HOST
    setup = None
    if transfer == CONTROL:
        stage = data[USBPCAP.size]
        if stage == _STAGE_SETUP and not completed:
            if len(data) < size + SETUP.size:
                return None
            setup = Setup(*SETUP.struct.unpack_from(data, size))
            size += SETUP.size
        elif stage == _STAGE_DATA and not endpoint & IN:
            completed = False  # what USBPcap up to 1.3 says of it is wrong
    return Urb(bus << 16 | device, endpoint, transfer, completed, number, setup, size)


def is_command(urb: Urb, data: bytes) -> bool:
    """Does the record hold the data of SEND_ENCAPSULATED_COMMAND, setup packet included, and no more than that says?"""
    size = len(data) - urb.start
    return urb.setup is not None and urb.setup.code == COMMAND and 0 < size <= urb.setup.length


def is_response(urb: Urb, data: bytes) -> bool:
    """Does the record hold data that a control transfer has brought from the device?"""
    return urb.transfer == CONTROL and urb.completed and urb.endpoint & IN != 0 and urb.start < len(data)


def missing(urb: Urb, data: bytes, orig_len: int) -> int:
    """How many bytes of the transfer's data the capture has left out; `orig_len` is what the record had."""
    left_out = orig_len - len(data)
    if urb.setup is not None and urb.setup.code == COMMAND:
        return max(left_out, urb.setup.length - (len(data) - urb.start))
    return left_out


def looks_carried(data: bytes, start: int, missing: int) -> bool:
    """Do the data from `start` on begin as QMUX or MBIM does?"""
    return mbim.parse_head(data, start, len(data), missing) is not None or qmux.begins(data, start, len(data))


def header_rows(data: bytes, link: Link) -> list[Row]:
    """The fields of a record's header, as many as are there whole."""
    end = len(data)
    if link is Link.USBPCAP:
        rows = USBPCAP.rows(data, 0, end)
        urb = parse_urb(data, link)
        if urb is not None and urb.transfer == CONTROL:
            rows += USBPCAP_STAGE.rows(data, USBPCAP.size, end)
            if urb.setup is not None:
                rows += SETUP.rows(data, urb.start - SETUP.size, end)
        return rows
    rows = USBMON.rows(data, 0, end)
    if (urb := parse_urb(data, link)) is not None:
        if urb.setup is not None:
            rows += SETUP.rows(data, USBMON.size, end)
        if link is Link.USBMON_MMAPPED:
            rows += USBMON_REST.rows(data, USBMON.size + SETUP.size, end)
    return rows


def is_notification(data: bytes, start: int, end: int) -> bool:
    """Are these bytes of an interrupt endpoint a CDC notification without data?"""
    return end - start == NOTIFICATION.size and data[start] == RESPONSE[0] and data[start + 6 : end] == b"\0\0"
