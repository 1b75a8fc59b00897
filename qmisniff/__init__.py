# SPDX-License-Identifier: GPL-2.0-or-later
"""Capture, decode and browse Qualcomm QMI and QRTR traffic."""

__version__ = "0.1.0"
