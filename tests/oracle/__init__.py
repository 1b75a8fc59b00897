# SPDX-License-Identifier: GPL-2.0-or-later
"""libqmi-glib as a second opinion: what it makes of a message, read back into structures that a test can compare."""
