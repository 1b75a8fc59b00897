# SPDX-License-Identifier: GPL-2.0-or-later
"""What the instance in a control packet says, for the services that mean something by it.

SSCTL: Linux drivers/remoteproc (ssctl ids). SERVREG_NOTIF: drivers/soc/qcom/qcom_pd_mapper.c. WLFW: ath10k, ath11k and
ath12k. IPA: drivers/net/ipa/ipa_qmi.c. DIAG: the word of linux-msm's qrtr-lookup, a channel in the low six bits.
"""

from __future__ import annotations

from collections.abc import Mapping

from qmisniff.field import FieldSpec, Kind
from qmisniff.protocol.layout import Row

_IPA, _SSCTL, _SERVREG_NOTIF, _WLFW, _DIAG = 49, 43, 66, 69, 4097
LABELS: Mapping[int, Mapping[int, str]] = {
    _SSCTL: {
        0x12: "modem", 0x14: "adsp", 0x16: "slpi", 0x17: "cdsp", 0x19: "wpss", 0x20: "cdsp1", 0x21: "gpdsp0",
        0x22: "gpdsp1",
    },
    _IPA: {1: "host", 2: "modem"},
    _SERVREG_NOTIF: {4: "adsp", 74: "adsp", 76: "cdsp", 90: "slpi", 100: "modem", 180: "modem"},
    _WLFW: {0: "integrated", 1: "QCA6390, WCN7850", 2: "IPQ8074, IPQ5332", 3: "WCN6750", 7: "QCN9074, QCN9274"},
}  # fmt: skip
PROCESSORS = {0: "modem", 1: "lpass", 2: "wcnss", 3: "sensors", 4: "cdsp", 5: "wdsp"}
CHANNELS = {0: "cntl", 1: "cmd", 2: "data", 3: "dci_cmd", 4: "dci"}

VERSION = FieldSpec("qrtr.ctrl.version", "Version", Kind.UINT, 1)
INSTANCE = FieldSpec("qrtr.ctrl.instance", "Instance", Kind.UINT, 3)
_NAMED = {
    service: FieldSpec(INSTANCE.name, INSTANCE.label, Kind.UINT, 3, labels=labels) for service, labels in LABELS.items()
}
_PROCESSOR = FieldSpec("qrtr.ctrl.diag.processor", "DIAG processor", Kind.UINT, 4, labels=PROCESSORS)
_CHANNEL = FieldSpec("qrtr.ctrl.diag.channel", "DIAG channel", Kind.UINT, 4, labels=CHANNELS)
SPECS = (VERSION, INSTANCE, _PROCESSOR, _CHANNEL)


def instance_rows(service: int, word: int, offset: int) -> list[Row]:
    """The instance and what more the instance word of a server of `service` says; the word lies at `offset`."""
    rows: list[Row] = [(_NAMED.get(service, INSTANCE), word >> 8, offset + 1, 3)]
    if service == _DIAG:
        rows += [(_PROCESSOR, word >> 6, offset, 4), (_CHANNEL, word & 0x3F, offset, 4)]
    return rows
