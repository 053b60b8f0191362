"""An account as Twilio-compatible REST has it: who may log in, which addresses send, which messages are its own."""

from __future__ import annotations

from collections.abc import Mapping
from hmac import compare_digest
from typing import Any

from msgspec import Struct

from app.config.schema import Platform
from app.core.message import Message
from app.gateway import Gateway
from app.platforms.twilio.account import address_of

TWIML = "twiml"


class Sender(Struct, frozen=True):
    """An address that an application sends from, the destination that it is, and the pool where it belongs, if any."""

    destination: str
    address: str
    service: str | None


class TwilioAccount(Struct, frozen=True):
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


def accounts_of(gateway: Gateway) -> dict[str, TwilioAccount]:
    """The accounts of all destinations of type `twiml`, by their sid."""
    found: dict[str, list[Platform]] = {}
    for platform in gateway.settings.destinations.values():
        if platform.type == TWIML:
            found.setdefault(platform.values["account_sid"], []).append(platform)
    return {sid: _account(gateway, sid, platforms) for sid, platforms in found.items()}


def _account(gateway: Gateway, sid: str, platforms: list[Platform]) -> TwilioAccount:
    senders = {
        platform.name: Sender(
            platform.name, address_of(platform.values["address"]), platform.values["messaging_service_sid"]
        )
        for platform in platforms
    }
    channels: dict[str, Sender] = {}
    for name, route in gateway.routes.items():
        for destination in (route.first, route.handoff):
            if destination in senders:
                channels.setdefault(name, senders[destination])
    logins = frozenset(login for platform in platforms for login in _logins(platform.values))
    destinations = gateway.settings.destinations.items()
    strangers = frozenset(name for name, one in destinations if one.type == TWIML and name not in senders)
    return TwilioAccount(sid, logins, tuple(senders.values()), channels, strangers, gateway.settings.costs.currency)


def _logins(values: Mapping[str, Any]) -> list[tuple[str, str]]:
    key = [(values["api_key_sid"], values["api_key_secret"])] if values["api_key_sid"] else []
    return [*((values["account_sid"], token) for token in values["auth_tokens"]), *key]
