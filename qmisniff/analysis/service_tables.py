# SPDX-License-Identifier: GPL-2.0-or-later
"""Services, lookups and nodes as tables."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from qmisniff.analysis import table
from qmisniff.analysis.names import NONE, Names, service_columns, time_column
from qmisniff.analysis.packets import end_text, is_qmux
from qmisniff.analysis.services import Lookup, Node, Offer
from qmisniff.analysis.table import Table
from qmisniff.protocol.instances import LABELS


def offers_table(offers: Sequence[Offer], names: Names) -> Table:
    """Services by who offers them."""
    ends = np.array([offer.end for offer in offers], np.uint64)
    service = np.array([offer.server.service for offer in offers], np.int64)
    word = np.array([offer.server.instance for offer in offers], np.int64)
    version, instance = np.where(word < 0, NONE, word & 0xFF), np.where(word < 0, NONE, word >> 8)
    means = [LABELS.get(offer.server.service, {}).get(offer.server.instance >> 8, "") for offer in offers]
    traffic = [offer.traffic for offer in offers]
    columns = (
        *service_columns(service, names),
        table.numbers("version", "Version", version, NONE, str),
        table.numbers("instance", "Instance", instance, NONE, str),
        table.texts("instance_label", "Means", means),
        table.named("address", "Address", ends, end_text),
        table.texts("process", "Process", [names.task(offer.task) for offer in offers]),
        table.texts("state", "State", [_state(offer) for offer in offers]),
        table.numbers("packets", "Packets", np.array([each.packets for each in traffic], np.int64)),
        table.numbers("clients", "Clients", np.array([each.clients for each in traffic], np.int64)),
        time_column("since", "Since", np.array([offer.since_ns for offer in offers], np.int64), names),
        time_column("until", "Until", [offer.until_ns for offer in offers], names),
        table.numbers("bytes", "Bytes", np.array([each.bytes for each in traffic], np.int64)),
        time_column("last", "Last packet", [each.last_ns for each in traffic], names),
    )

    def condition(at: int) -> str:
        end = offers[at].end
        if is_qmux(end):
            return f"qmux.service == {offers[at].server.service}"
        node, port = end >> 32, f"0x{end & 0xFFFFFFFF:x}"
        return (
            f"(qrtr.src_node == {node} and qrtr.src_port == {port}) or "
            f"(qrtr.dst_node == {node} and qrtr.dst_port == {port})"
        )

    return Table(columns, np.array([each.row for each in offers], np.int64), ("service", False), condition)


def lookups_table(lookups: Sequence[Lookup], names: Names) -> Table:
    """Who looks for what; on top who did not find it."""
    word = np.array([lookup.instance for lookup in lookups], np.int64)
    wanted = [names.service(lookup.service) if lookup.service else "all services" for lookup in lookups]
    columns = (
        table.texts("service", "Looks for", wanted),
        table.numbers("version", "Version", np.where(word, word & 0xFF, NONE), NONE, str),
        table.numbers("instance", "Instance", np.where(word, word >> 8, NONE), NONE, str),
        table.numbers("found", "Found", np.array([lookup.found for lookup in lookups], np.int64), show=_found),
        table.named("client", "Client", np.array([each.client for each in lookups], np.uint64), end_text),
        table.texts("process", "Process", [names.task(lookup.task) for lookup in lookups]),
        time_column("since", "Since", np.array([lookup.since_ns for lookup in lookups], np.int64), names),
        time_column("found_at", "Found at", [lookup.found_ns for lookup in lookups], names),
        time_column("until", "Until", [lookup.until_ns for lookup in lookups], names),
        table.texts("ended", "Ended by", [lookup.ended for lookup in lookups]),
    )

    def condition(at: int) -> str:
        service = lookups[at].service
        commands = "qrtr.ctrl.cmd in {new_lookup, del_lookup, new_server, del_server}"
        return f"{commands} and qrtr.ctrl.service == {service}" if service else commands

    return Table(columns, np.array([each.row for each in lookups], np.int64), ("found", False), condition)


def nodes_table(nodes: Sequence[Node], names: Names) -> Table:
    """The processors that were seen or spoken of."""
    columns = (
        table.numbers("node", "Node", np.array([node.number for node in nodes], np.int64), show=str),
        table.texts("place", "Place", ["this one" if node.local else "elsewhere" for node in nodes]),
        table.numbers("services", "Services", np.array([node.services for node in nodes], np.int64)),
        table.numbers("packets", "Sent", np.array([node.packets for node in nodes], np.int64)),
        table.numbers("bytes", "Bytes", np.array([node.bytes for node in nodes], np.int64)),
        time_column("hello", "HELLO", [node.hello_ns for node in nodes], names),
        time_column("bye", "BYE", [node.bye_ns for node in nodes], names),
    )

    def condition(at: int) -> str:
        return f"qrtr.src_node == {nodes[at].number} or qrtr.dst_node == {nodes[at].number}"

    return Table(columns, np.array([each.row for each in nodes], np.int64), ("node", False), condition)


def _state(offer: Offer) -> str:
    if offer.ended:
        return offer.ended
    return "asked" if is_qmux(offer.end) else "known" if offer.known_before else "announced"


def _found(count: int) -> str:
    return f"{count:,}" if count else "not found"
