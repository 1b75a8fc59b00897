/* The same invented service as thermo.qmi and qmi-service-thermo.json */
#define THERMO_SERVICE_ID_V01		0xf5
#define THERMO_MAX_ZONES_V01		8
#define THERMO_NAME_LENGTH_V01		(31 + 1)
#define QMI_THERMO_GET_ZONES_REQ_V01	0x0030
#define QMI_THERMO_GET_ZONES_RESP_V01	0x0030
#define QMI_THERMO_ZONE_CHANGED_IND_V01	(0x30 + 1)
#define THERMO_GET_ZONES_REQ_MSG_V01_MAX_MSG_LEN 40
