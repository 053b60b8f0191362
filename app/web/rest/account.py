"""An account as Twilio-compatible REST has it: who may log in, which addresses send, which messages are its own."""

from __future__ import annotations

from collections.abc import Mapping
from hmac import compare_digest

from msgspec import Struct

from app.core.message import Message
from app.gateway import Gateway
from app.platforms.destination import RestAccess


class Sender(Struct, frozen=True):
    """An address that an application sends from, the destination that it is, and the pool where it belongs, if any."""

    destination: str
    address: str
    service: str | None


class Account(Struct, frozen=True):
    """`logins` are pairs of user name and password; `channels` those that name one of its applications; `strangers` are
    other accounts' applications, some of them perhaps on the same channels; `currency` is that of the costs, '' where
    nothing is booked."""

    sid: str
    logins: frozenset[tuple[str, str]]
    senders: tuple[Sender, ...]
    channels: Mapping[str, Sender]
    strangers: frozenset[str] = frozenset()
    currency: str = ""

    def admits(self, user: str, password: str) -> bool:
        given = f"{user}:{password}".encode()
        return any(compare_digest(given, f"{name}:{secret}".encode()) for name, secret in self.logins)

    def pool(self, service: str) -> list[Sender]:
        return [sender for sender in self.senders if sender.service == service]

    def sender_of(self, message: Message) -> Sender | None:
        """The application's side of a message; None where the message is none of the account's."""
        if message.channel not in self.channels or message.source in self.strangers:
            return None
        wrote = next((sender for sender in self.senders if sender.destination == message.source), None)
        return wrote or self.channels[message.channel]


def accounts_of(gateway: Gateway) -> dict[str, Account]:
    """The accounts of all destinations whose application may send by REST, by their sid."""
    found: dict[str, dict[str, RestAccess]] = {}
    for name, destination in gateway.offers.rest.items():
        found.setdefault(destination.rest.account, {})[name] = destination.rest
    return {sid: _account(gateway, sid, applications) for sid, applications in found.items()}


def _account(gateway: Gateway, sid: str, applications: Mapping[str, RestAccess]) -> Account:
    senders = {name: Sender(name, rest.address, rest.service) for name, rest in applications.items()}
    channels: dict[str, Sender] = {}
    for name, route in gateway.routes.items():
        for destination in (route.first, route.handoff):
            if destination in senders:
                channels.setdefault(name, senders[destination])
    logins = frozenset(login for rest in applications.values() for login in rest.logins)
    strangers = frozenset(gateway.offers.rest.keys() - senders.keys())
    return Account(sid, logins, tuple(senders.values()), channels, strangers, gateway.settings.costs.currency)
