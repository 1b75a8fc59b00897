# SPDX-License-Identifier: GPL-2.0-or-later
"""Debian's libqmi-glib.so.5 through its C interface: the text it prints for a message, and its names of values."""

from __future__ import annotations

import ctypes
import struct
import subprocess
from collections.abc import Callable
from functools import cache
from pathlib import Path

LIBRARY = "libqmi-glib.so.5"
_NAME_OF = "_get_string"
_NAMES_OF = "_build_string_from_mask"
_KIND_FLAGS = (0, 2, 4)  # request, response, indication
_CTL_KIND_FLAGS = (0, 1, 2)


class OracleError(ValueError):
    """libqmi refuses a frame; the text is its own reason."""


class _ByteArray(ctypes.Structure):
    """GByteArray, which is also what a QmiMessage is."""

    _fields_ = (("data", ctypes.POINTER(ctypes.c_uint8)), ("len", ctypes.c_uint))


class _Error(ctypes.Structure):
    """GError."""

    _fields_ = (("domain", ctypes.c_uint32), ("code", ctypes.c_int), ("message", ctypes.c_char_p))


def available() -> bool:
    """Whether the library can be loaded here."""
    try:
        ctypes.CDLL(LIBRARY)
    except OSError:
        return False
    return True


def qmi_message(service: int, kind: int, message: int, tlvs: bytes, txn: int = 1) -> bytes:
    """A service message, or a CTL one for service 0; `kind` indexes request, response, indication."""
    if service == 0:
        return struct.pack("<BBHH", _CTL_KIND_FLAGS[kind], txn, message, len(tlvs)) + tlvs
    return struct.pack("<BHHH", _KIND_FLAGS[kind], txn, message, len(tlvs)) + tlvs


def qmux(service: int, kind: int, message: bytes) -> bytes:
    """The QMUX frame around a message; client 1, or 0 for CTL."""
    sender = 0x80 if kind else 0x00
    return struct.pack("<BHBBB", 1, len(message) + 5, sender, service, min(service, 1)) + message


class Oracle:
    """Asks libqmi. Raises OSError where the library is not installed."""

    def __init__(self) -> None:
        self._glib = glib = ctypes.CDLL("libglib-2.0.so.0")
        self._qmi = qmi = ctypes.CDLL(LIBRARY)
        array, error = ctypes.POINTER(_ByteArray), ctypes.POINTER(_Error)
        glib.g_byte_array_new.restype = array
        glib.g_byte_array_append.argtypes = [array, ctypes.c_char_p, ctypes.c_uint]
        glib.g_byte_array_unref.argtypes = [array]
        glib.g_free.argtypes = [ctypes.c_void_p]
        glib.g_error_free.argtypes = [error]
        qmi.qmi_message_new_from_raw.argtypes = [array, ctypes.POINTER(error)]
        qmi.qmi_message_new_from_raw.restype = array
        qmi.qmi_message_get_printable_full.argtypes = [array, ctypes.c_void_p, ctypes.c_char_p]
        qmi.qmi_message_get_printable_full.restype = ctypes.c_void_p
        qmi.qmi_message_context_new.restype = ctypes.c_void_p
        qmi.qmi_message_context_set_vendor_id.argtypes = [ctypes.c_void_p, ctypes.c_uint16]
        qmi.qmi_utils_set_show_personal_info(1)
        self._context = qmi.qmi_message_context_new()

    def printable(self, frame: bytes, vendor: int = 0) -> str:
        """What libqmi prints for one QMUX frame from a device of that USB vendor. Raises OracleError."""
        self._qmi.qmi_message_context_set_vendor_id(self._context, vendor)
        raw = self._glib.g_byte_array_new()
        self._glib.g_byte_array_append(raw, frame, len(frame))
        error = ctypes.POINTER(_Error)()
        message = self._qmi.qmi_message_new_from_raw(raw, ctypes.byref(error))
        self._glib.g_byte_array_unref(raw)
        if not message:
            reason = error.contents.message.decode() if error else "incomplete frame"
            if error:
                self._glib.g_error_free(error)
            raise OracleError(reason)
        text = self._qmi.qmi_message_get_printable_full(message, self._context, b"")
        self._glib.g_byte_array_unref(message)
        try:
            return ctypes.string_at(text).decode("utf-8", "replace")
        finally:
            self._glib.g_free(text)

    def enums(self) -> dict[str, Callable[[int], str]]:
        """By C name (`qmi_nas_radio_interface`): the function that gives libqmi's text for a value, as it prints it."""
        return {symbol.removesuffix(_NAME_OF): self._name_of(symbol) for symbol in _symbols(_NAME_OF)}

    def flags(self) -> dict[str, Callable[[int], str]]:
        """By C name: the function that gives libqmi's text for a set of bits, as it prints it."""
        return {symbol.removesuffix(_NAMES_OF): self._names_of(symbol) for symbol in _symbols(_NAMES_OF)}

    def _name_of(self, symbol: str) -> Callable[[int], str]:
        function = ctypes.CFUNCTYPE(ctypes.c_char_p, ctypes.c_int)((symbol, self._qmi))

        @cache
        def name(value: int) -> str:
            found = function(value)
            return "(null)" if found is None else found.decode()

        return name

    def _names_of(self, symbol: str) -> Callable[[int], str]:
        # Some sets have 32 bits and some 64; where it is 32 the callee looks at the lower half of the register only.
        function = ctypes.CFUNCTYPE(ctypes.c_void_p, ctypes.c_uint64)((symbol, self._qmi))

        @cache
        def names(value: int) -> str:
            found = function(value & 0xFFFF_FFFF_FFFF_FFFF)
            if found is None:
                return "(null)"
            try:
                return ctypes.string_at(found).decode()
            finally:
                self._glib.g_free(found)

        return names


def messages_compiled_in() -> set[str]:
    """C names (`message_dms_get_ids`, `indication_nas_signal_info`) of what the library has code for."""
    suffix = "_output_unref"
    return {symbol.removeprefix("qmi_").removesuffix(suffix) for symbol in _symbols(suffix)}


def _symbols(suffix: str) -> list[str]:
    """The names that the library exports and that end so. Needs `nm`, which comes with gcc."""
    listing = subprocess.run(
        ["nm", "-D", "--defined-only", "--", _library_file()], capture_output=True, check=True, text=True
    ).stdout
    names = [line.split()[-1].split("@")[0] for line in listing.splitlines()]
    return sorted(name for name in names if name.startswith("qmi_") and name.endswith(suffix))


@cache
def _library_file() -> Path:
    ctypes.CDLL(LIBRARY)
    for line in Path("/proc/self/maps").read_text().splitlines():
        if "libqmi-glib" in line:
            return Path(line.split(maxsplit=5)[5])
    raise OSError(f"{LIBRARY} is loaded but not in /proc/self/maps")
