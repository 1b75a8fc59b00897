# SPDX-License-Identifier: GPL-2.0-or-later
"""`format` files as kernels write them."""

from __future__ import annotations

import pytest

from qmisniff.capture.event_format import FieldFormat, parse_fields, parse_format

# events/qrtr/qrtr_ns_message/format of Linux 6.1
MESSAGE = """\
name: qrtr_ns_message
ID: 1372
format:
	field:unsigned short common_type;	offset:0;	size:2;	signed:0;
	field:unsigned char common_flags;	offset:2;	size:1;	signed:0;
	field:unsigned char common_preempt_count;	offset:3;	size:1;	signed:0;
	field:int common_pid;	offset:4;	size:4;	signed:1;

	field:__data_loc char[] ctrl_pkt_str;	offset:8;	size:4;	signed:0;
	field:__u32 sq_node;	offset:12;	size:4;	signed:0;
	field:u64 d0[64];	offset:16;	size:512;	signed:0;

print fmt: "%s from %d:%d", __get_str(ctrl_pkt_str), REC->sq_node, REC->sq_port
"""


def test_fields_by_name() -> None:
    form = parse_format(MESSAGE)
    assert form.id == 1372
    assert form.fields["common_pid"] == FieldFormat(4, 4, signed=True)
    assert form.fields["ctrl_pkt_str"] == FieldFormat(8, 4, dynamic=True)
    assert form.fields["sq_node"] == FieldFormat(12, 4)
    assert form.fields["d0"] == FieldFormat(16, 512)


def test_old_kernels_do_not_say_signed() -> None:
    assert parse_fields("\tfield:int common_pid;\toffset:4;\tsize:4;\n") == {"common_pid": FieldFormat(4, 4)}


@pytest.mark.parametrize("text", ["", "name: x\n", "ID: many\nformat:\n", "\0\xff" * 1000])
def test_no_format(text: str) -> None:
    with pytest.raises(ValueError, match="no ID"):
        parse_format(text)
