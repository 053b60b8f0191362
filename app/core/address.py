"""Addresses: `provider:identifier`, as people and platforms write them."""

from __future__ import annotations

import re

SMS = "sms"  # the provider of a phone number that stands alone
NUMBERED = (SMS, "whatsapp")  # whose identifiers are phone numbers
WRITTEN = re.compile(r"\s*\+[0-9\s().\-]+")  # a phone number as people write it


def address_of(value: str) -> str:
    """An address as `provider:identifier`, from `whatsapp:+1...`, `messenger:1`, or `+1...`, which is one for SMS."""
    provider, colon, identifier = value.partition(":")
    return f"{provider.lower()}:{identifier}" if colon else f"{SMS}:{value}"


def typed_address(value: str) -> str:
    """The same of what a person typed: platforms leave out the spaces and brackets of phone numbers."""
    address = address_of(value)
    provider, _, identifier = address.partition(":")
    if provider in NUMBERED and WRITTEN.fullmatch(identifier):
        return f"{provider}:{re.sub(r'[^+0-9]', '', identifier)}"
    return address
