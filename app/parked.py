"""Webhooks that we failed to read: kept as dead letters, without the credentials that they came with."""

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


def park(gateway: Gateway, name: str, webhook: Webhook, error: Exception) -> str:
    """Keep a webhook of the channel or destination `name`; the dead letter's id."""
    headers = {name: value for name, value in webhook.headers.items() if not _is_credential(name)}
    if channel := gateway.offers.senders.get(name):
        headers |= channel.sender(webhook)
    raw = orjson.dumps(
        {
            "method": webhook.method,
            "url": webhook.url,
            "path": webhook.path,
            "headers": headers,
            "body": webhook.body.decode("latin-1"),
        }
    )
    text = gateway.redact(raw.decode())
    reason = gateway.redact(f"{type(error).__name__}: {error}")
    return gateway.store.dead_letters.keep_webhook(text, name, "unexpected", reason)


def unpark(raw: str) -> Webhook:
    """The webhook in a dead letter; it was verified when it came."""
    data: Mapping[str, Any] = orjson.loads(raw)
    return Webhook(data["method"], data["url"], data["path"], data["headers"], data["body"].encode("latin-1"))


def _is_credential(header: str) -> bool:
    return bool(CREDENTIAL.search(header)) and NO_CREDENTIAL not in header
