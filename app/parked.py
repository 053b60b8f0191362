"""Webhooks that are kept without the credentials that they came with: in the spool, or as dead letters where we failed
to read them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import orjson

from app.core.events import Webhook
from app.gateway import Gateway

# Headers that let somebody in. What stays is what `parse` reads: a signature is of no use without its secret.
CREDENTIAL = re.compile(r"auth|cookie|token|secret|passw|api-?key|access-?key|credential|session|jwt|bearer")
NO_CREDENTIAL = "idempotency"  # such a token or key names a request, and opens nothing


def kept(gateway: Gateway, name: str, webhook: Webhook) -> dict[str, Any]:
    """A webhook of the channel or destination `name`, as it is kept; it was verified."""
    headers = {name: value for name, value in webhook.headers.items() if not _is_credential(name)}
    if channel := gateway.offers.senders.get(name):
        headers |= channel.sender(webhook)
    return {
        "method": webhook.method,
        "url": webhook.url,
        "path": webhook.path,
        "headers": headers,
        "body": webhook.body.decode("latin-1"),
    }


def webhook_of(data: Mapping[str, Any]) -> Webhook:
    """The webhook in what `kept` made of it."""
    return Webhook(data["method"], data["url"], data["path"], data["headers"], data["body"].encode("latin-1"))


def park(gateway: Gateway, name: str, webhook: Webhook, error: Exception) -> str:
    """Make a dead letter of a webhook of the channel or destination `name`; its id. Raises: StoreUnavailable."""
    return dead_letter(gateway, name, kept(gateway, name, webhook), error)


def dead_letter(gateway: Gateway, name: str, data: Mapping[str, Any], error: Exception) -> str:
    """The same for what `kept` made of it."""
    text = gateway.redact(orjson.dumps(data).decode())
    reason = gateway.redact(f"{type(error).__name__}: {error}")
    return gateway.store.dead_letters.keep_webhook(text, name, "unexpected", reason)


def unpark(raw: str) -> Webhook:
    """The webhook in a dead letter."""
    return webhook_of(orjson.loads(raw))


def _is_credential(header: str) -> bool:
    return bool(CREDENTIAL.search(header)) and NO_CREDENTIAL not in header
