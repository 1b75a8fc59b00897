# SPDX-License-Identifier: GPL-2.0-or-later
"""Questions about a whole capture, answered from the store's columns.

Every function takes a store and rows of it (what a display filter left, or all) and gives columns or small records;
`table` makes of them what the screen and the command line show.
"""
