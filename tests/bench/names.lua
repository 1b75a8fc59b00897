-- SPDX-License-Identifier: GPL-2.0-or-later
-- The least that shows what a packet is: tap header, QRTR and QMI headers, no TLV. A peer for tests.bench.
local proto = Proto("qmisniff", "qmisniff tap")
local src = ProtoField.uint32("names.src_node", "Source node")
local port = ProtoField.uint32("names.src_port", "Source port", base.HEX)
local kind = ProtoField.uint32("names.type", "Packet type")
local flags = ProtoField.uint8("names.flags", "QMI flags", base.HEX)
local txn = ProtoField.uint16("names.txn", "Transaction")
local msgid = ProtoField.uint16("names.msgid", "Message", base.HEX)
proto.fields = { src, port, kind, flags, txn, msgid }

function proto.dissector(buffer, pinfo, tree)
  local at = buffer(1, 1):uint()
  if buffer:len() < at + 39 or buffer(at, 1):uint() ~= 1 then return end
  local sub = tree:add(proto, buffer())
  sub:add_le(kind, buffer(at + 4, 4))
  sub:add_le(src, buffer(at + 8, 4))
  sub:add_le(port, buffer(at + 12, 4))
  sub:add(flags, buffer(at + 32, 1))
  sub:add_le(txn, buffer(at + 33, 2))
  sub:add_le(msgid, buffer(at + 35, 2))
  pinfo.cols.protocol = "QMI"
  pinfo.cols.info = string.format("message 0x%04x", buffer(at + 35, 2):le_uint())
end
