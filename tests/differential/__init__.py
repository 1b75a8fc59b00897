# SPDX-License-Identifier: GPL-2.0-or-later
"""Is what the decoder says true? Against an encoder, against libqmi, and on bytes that nobody meant."""
