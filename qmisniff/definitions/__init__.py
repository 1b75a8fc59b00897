# SPDX-License-Identifier: GPL-2.0-or-later
"""Dissector definitions: YAML files -> frozen model, found by number and by dotted name."""

from qmisniff.definitions.registry import Registry, Service, open_registry

__all__ = ["Registry", "Service", "open_registry"]
