"""Addresses: `provider:identifier`, as people and platforms write them."""

from __future__ import annotations

SMS = "sms"  # the provider of a phone number that stands alone


def address_of(value: str) -> str:
    """An address as `provider:identifier`, from `whatsapp:+1...`, `messenger:1`, or `+1...`, which is one for SMS."""
    provider, colon, identifier = value.partition(":")
    return f"{provider.lower()}:{identifier}" if colon else f"{SMS}:{value}"
