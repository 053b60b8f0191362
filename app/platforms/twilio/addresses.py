"""Addresses in Twilio's spelling, and which of them can be a customer's."""

from __future__ import annotations

import re

from app.core.address import NUMBERED, SMS
from app.core.schema import ID_LIMIT, UNCLEAN

NUMBER = re.compile(r"\+[1-9][0-9]{4,14}\Z")
SHORT_CODE = re.compile(r"[0-9]{3,8}\Z")
PROVIDER = re.compile(r"[a-z][a-z0-9_]{0,31}\Z")


def on_the_wire(address: str) -> str:
    """The inverse of `app.core.address.address_of`: a number without a channel before it is one for SMS."""
    return address.removeprefix(f"{SMS}:")


def is_address(address: str) -> bool:
    """Whether it can be a customer's: of any channel, a phone number where the channel's customers have one."""
    provider, _, identifier = address.partition(":")
    if provider == SMS and SHORT_CODE.match(identifier):
        return True
    if provider in NUMBERED and identifier[:1] in "+0123456789":
        return bool(NUMBER.match(identifier))
    named = bool(identifier) and not UNCLEAN.search(identifier) and len(address) <= ID_LIMIT
    return named and provider != SMS and bool(PROVIDER.match(provider))
