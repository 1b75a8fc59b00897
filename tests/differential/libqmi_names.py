# SPDX-License-Identifier: GPL-2.0-or-later
"""Where our name of a message, TLV or field is not libqmi's in another spelling: filter name -> libqmi's name."""

NAMES: dict[str, str] = {}
