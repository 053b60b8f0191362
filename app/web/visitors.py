"""Tokens that were taken back: the one rule about visitors that their channel cannot know by itself."""

from __future__ import annotations

import time

from app.core.errors import Unverified
from app.core.message import conversation_key
from app.gateway import Gateway
from app.platforms.channel import HasChatPage, Holder


def check(gateway: Gateway, name: str, holder: Holder) -> None:
    """Raises: Unverified, this token was taken back. StoreUnavailable."""
    if is_forgotten(gateway, name, holder):
        raise Unverified("this visitor was forgotten")


def is_forgotten(gateway: Gateway, name: str, holder: Holder) -> bool:
    """Whether this token was taken back. Raises: StoreUnavailable."""
    return gateway.store.revocations.is_revoked(conversation_key(name, holder.customer), holder.made)


def revoke(gateway: Gateway, name: str, channel: HasChatPage, customer: str) -> None:
    """Take back every token that this visitor has by now; whoever still writes to them hears that nobody reads it.
    Raises: StoreUnavailable."""
    conversation, keep = conversation_key(name, customer), channel.token_seconds + 1
    gateway.store.revocations.revoke(conversation, time.time(), keep)
    gateway.store.consents.write(conversation, "out", "forgotten on their device", keep)
