# SPDX-License-Identifier: GPL-2.0-or-later
"""What chosen USB packets need beside them: the data of a completed request mean nothing without its submission, the
end of a message nothing without its other parts."""

from __future__ import annotations

from collections.abc import Collection

from qmisniff.frame import USB_LINKS
from qmisniff.protocol import usb
from qmisniff.store import Store


def transferring(store: Store, rows: Collection[int]) -> frozenset[int]:
    """The rows of the submissions of these rows' requests, and of all parts of the messages that end in these rows."""
    wanted = {row for row in rows if store.frame(row).link in USB_LINKS}
    for row in list(wanted):
        transfer = store.context(row).transfer
        wanted.update(number - 1 for number in (transfer.parts if transfer else ()))
    found = set(wanted)
    submissions: dict[tuple[int, int, int], int] = {}
    for row in range(max(wanted, default=-1) + 1):
        frame = store.frame(row)
        urb = usb.parse_urb(frame.data, frame.link) if frame.link in USB_LINKS else None
        if urb is None or urb.transfer != usb.CONTROL:
            continue
        key = urb.device, urb.endpoint & 0x0F, urb.id
        if urb.setup is not None:
            submissions[key] = row
        elif row in wanted and key in submissions:
            found.add(submissions[key])
    return frozenset(found)
