# SPDX-License-Identifier: GPL-2.0-or-later
"""How fast it is. Nothing here is a test: times are printed, never asserted."""
