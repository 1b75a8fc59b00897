# SPDX-License-Identifier: GPL-2.0-or-later
"""Bytes -> decoded fields, by the definitions; never raises on what the bytes are."""

from qmisniff.dissect.dissector import Dissector
from qmisniff.dissect.summary import Summary

__all__ = ["Dissector", "Summary"]
