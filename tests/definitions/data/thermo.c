// SPDX-License-Identifier: GPL-2.0-or-later
/* The same invented service as thermo.qmi and qmi-service-thermo.json, as a kernel driver has it */
#include <linux/soc/qcom/qmi.h>
#include "thermo.h"

static const struct qmi_elem_info thermo_zone_info_v01_ei[] = {
	{
		.data_type = QMI_UNSIGNED_1_BYTE,
		.elem_len = 1,
		.elem_size = sizeof(u8),
		.tlv_type = 0,
		.offset = offsetof(struct thermo_zone_info_v01, index),
	},
	{
		.data_type = QMI_STRING,
		.elem_len = THERMO_NAME_LENGTH_V01,
		.elem_size = sizeof(char),
		.tlv_type = 0,
		.offset = offsetof(struct thermo_zone_info_v01, name),
	},
	{
		.data_type = QMI_UNSIGNED_4_BYTE,
		.elem_len = 1,
		.elem_size = sizeof(u32),
		.tlv_type = 0,
		.offset = offsetof(struct thermo_zone_info_v01, limit),
	},
	{}
};

static const struct qmi_elem_info thermo_reading_v01_ei[] = {
	{
		.data_type = QMI_UNSIGNED_2_BYTE,
		.elem_len = 1,
		.elem_size = sizeof(u16),
		.tlv_type = 0,
		.offset = offsetof(struct thermo_reading_v01, celsius),
	},
	{
		.data_type = QMI_DATA_LEN,
		.elem_len = 1,
		.elem_size = sizeof(u8),
		.tlv_type = 0,
		.offset = offsetof(struct thermo_reading_v01, raw_len),
	},
	{
		.data_type = QMI_UNSIGNED_1_BYTE,
		.elem_len = 32,
		.elem_size = sizeof(u8),
		.array_type = VAR_LEN_ARRAY,
		.tlv_type = 0,
		.offset = offsetof(struct thermo_reading_v01, raw),
	},
	{}
};

static const struct qmi_elem_info thermo_get_zones_req_msg_v01_ei[] = {
	{
		.data_type = QMI_UNSIGNED_1_BYTE,
		.elem_len = 1,
		.elem_size = sizeof(u8),
		.tlv_type = 0x01,
		.offset = offsetof(struct thermo_get_zones_req_msg_v01, mask),
	},
	{
		.data_type = QMI_OPT_FLAG,
		.elem_len = 1,
		.elem_size = sizeof(u8),
		.tlv_type = 0x10,
		.offset = offsetof(struct thermo_get_zones_req_msg_v01, owner_valid),
	},
	{
		.data_type = QMI_STRING,
		.elem_len = THERMO_NAME_LENGTH_V01,
		.elem_size = sizeof(char),
		.tlv_type = 0x10,
		.offset = offsetof(struct thermo_get_zones_req_msg_v01, owner),
	},
	{}
};

static const struct qmi_elem_info thermo_get_zones_resp_msg_v01_ei[] = {
	{
		.data_type = QMI_STRUCT,
		.elem_len = 1,
		.elem_size = sizeof(struct qmi_response_type_v01),
		.tlv_type = 0x02,
		.offset = offsetof(struct thermo_get_zones_resp_msg_v01, resp),
		.ei_array = qmi_response_type_v01_ei,
	},
	{
		.data_type = QMI_OPT_FLAG,
		.elem_len = 1,
		.elem_size = sizeof(u8),
		.tlv_type = 0x10,
		.offset = offsetof(struct thermo_get_zones_resp_msg_v01, zones_valid),
	},
	{
		.data_type = QMI_DATA_LEN,
		.elem_len = 1,
		.elem_size = sizeof(u8),
		.tlv_type = 0x10,
		.offset = offsetof(struct thermo_get_zones_resp_msg_v01, zones_len),
	},
	{
		.data_type = QMI_STRUCT,
		.elem_len = THERMO_MAX_ZONES_V01,
		.elem_size = sizeof(struct thermo_zone_info_v01),
		.array_type = VAR_LEN_ARRAY,
		.tlv_type = 0x10,
		.offset = offsetof(struct thermo_get_zones_resp_msg_v01, zones),
		.ei_array = thermo_zone_info_v01_ei,
	},
	{
		.data_type = QMI_OPT_FLAG,
		.elem_len = 1,
		.elem_size = sizeof(u8),
		.tlv_type = 0x11,
		.offset = offsetof(struct thermo_get_zones_resp_msg_v01, last_valid),
	},
	{
		.data_type = QMI_STRUCT,
		.elem_len = 1,
		.elem_size = sizeof(struct thermo_reading_v01),
		.array_type = NO_ARRAY,
		.tlv_type = 0x11,
		.offset = offsetof(struct thermo_get_zones_resp_msg_v01, last),
		.ei_array = thermo_reading_v01_ei,
	},
	{
		.data_type = QMI_OPT_FLAG,
		.elem_len = 1,
		.elem_size = sizeof(u8),
		.tlv_type = 0x12,
		.offset = offsetof(struct thermo_get_zones_resp_msg_v01, history_valid),
	},
	{
		.data_type = QMI_DATA_LEN,
		.elem_len = 1,
		.elem_size = sizeof(u16),
		.tlv_type = 0x12,
		.offset = offsetof(struct thermo_get_zones_resp_msg_v01, history_len),
	},
	{
		.data_type = QMI_UNSIGNED_2_BYTE,
		.elem_len = 300,
		.elem_size = sizeof(u16),
		.array_type = VAR_LEN_ARRAY,
		.tlv_type = 0x12,
		.offset = offsetof(struct thermo_get_zones_resp_msg_v01, history),
	},
	{
		.data_type = QMI_OPT_FLAG,
		.elem_len = 1,
		.elem_size = sizeof(u8),
		.tlv_type = 0x13,
		.offset = offsetof(struct thermo_get_zones_resp_msg_v01, key_valid),
	},
	{
		.data_type = QMI_UNSIGNED_1_BYTE,
		.elem_len = 6,
		.elem_size = sizeof(u8),
		.array_type = STATIC_ARRAY,
		.tlv_type = 0x13,
		.offset = offsetof(struct thermo_get_zones_resp_msg_v01, key),
	},
	{
		.data_type = QMI_OPT_FLAG,
		.elem_len = 1,
		.elem_size = sizeof(u8),
		.tlv_type = 0x14,
		.offset = offsetof(struct thermo_get_zones_resp_msg_v01, blob_valid),
	},
	{
		.data_type = QMI_DATA_LEN,
		.elem_len = 1,
		.elem_size = sizeof(u16),
		.tlv_type = 0x14,
		.offset = offsetof(struct thermo_get_zones_resp_msg_v01, blob_len),
	},
	{
		.data_type = QMI_UNSIGNED_1_BYTE,
		.elem_len = 1024,
		.elem_size = sizeof(u8),
		.array_type = VAR_LEN_ARRAY,
		.tlv_type = 0x14,
		.offset = offsetof(struct thermo_get_zones_resp_msg_v01, blob),
	},
	{}
};

static const struct qmi_elem_info thermo_zone_changed_ind_msg_v01_ei[] = {
	{
		.data_type = QMI_STRUCT,
		.elem_len = 1,
		.elem_size = sizeof(struct thermo_zone_info_v01),
		.tlv_type = 0x01,
		.offset = offsetof(struct thermo_zone_changed_ind_msg_v01, zone),
		.ei_array = thermo_zone_info_v01_ei,
	},
	{
		.data_type = QMI_OPT_FLAG,
		.elem_len = 1,
		.elem_size = sizeof(u8),
		.tlv_type = 0x10,
		.offset = offsetof(struct thermo_zone_changed_ind_msg_v01, since_valid),
	},
	{
		.data_type = QMI_UNSIGNED_8_BYTE,
		.elem_len = 1,
		.elem_size = sizeof(u64),
		.tlv_type = 0x10,
		.offset = offsetof(struct thermo_zone_changed_ind_msg_v01, since),
	},
	{}
};

static int thermo_probe(struct qmi_handle *qmi)
{
	return qmi_add_lookup(qmi, THERMO_SERVICE_ID_V01, 1, 0);
}
