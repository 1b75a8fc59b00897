# SPDX-License-Identifier: GPL-2.0-or-later
"""The modem's services (services.py) answering their clients, however messages reach them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Generic, NamedTuple, TypeVar

from tests.lab import services, wire
from tests.lab.wire import Message

REGISTRATIONS = {
    (services.DMS, 0x01),
    (services.NAS, 0x02),
    (services.NAS, 0x03),
    (services.UIM, 0x2E),
    (services.SERVREG, 0x20),
    (services.SSC, 0x20),
}

Client = TypeVar("Client", bound=tuple[int, int])


class Outgoing(NamedTuple, Generic[Client]):
    """A message of a service to one of its clients."""

    service: int
    client: Client
    message: Message


class Answering(Generic[Client]):
    """A client is what the transport knows it by: its node and port, or its service and client id."""

    def __init__(self) -> None:
        self._state = services.State()
        self._transaction = 0
        self._watchers: dict[int, set[Client]] = {}  # service -> clients that want its indications

    def answers(self, service: int, client: Client, request: Message) -> Iterator[Outgoing[Client]]:
        """The response, then the indications that came of the request."""
        try:
            answer = wire.result() | services.answer(self._state, service, request.id, request.tlvs)
        except services.Refused as refusal:
            answer = wire.result(refusal.error)
        yield Outgoing(service, client, Message(wire.RESPONSE, request.transaction, request.id, answer))
        # WDS tells every client of its calls; the other services tell those that registered.
        if service == services.WDS or (service, request.id) in REGISTRATIONS:
            self._watchers.setdefault(service, set()).add(client)
        events, self._state.events = self._state.events, []
        for event in events:
            for watcher in self.watchers(event.service):
                self._transaction += 1
                message = Message(wire.INDICATION, self._transaction, event.message, event.tlvs)
                yield Outgoing(event.service, watcher, message)

    def watchers(self, service: int) -> list[Client]:
        """The clients that want the indications of a service, in their order."""
        return sorted(self._watchers.get(service, ()))

    def forget(self, client: Client) -> None:
        """A client that has gone."""
        for watchers in self._watchers.values():
            watchers.discard(client)
