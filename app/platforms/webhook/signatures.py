"""How a webhook of Standard Webhooks is signed, and what its signature speaks of.

Source: https://github.com/standard-webhooks/standard-webhooks. Its own library checks the signatures.
"""

from __future__ import annotations

import base64
import hmac
from collections.abc import Mapping
from datetime import UTC, datetime
from math import floor

from standardwebhooks.webhooks import Webhook as StandardWebhook

from app.core.events import Webhook
from app.core.reading import charset_of, decoded

SECRET_BYTES = range(24, 65)
HEADERS = ("webhook-id", "webhook-timestamp", "webhook-signature")
OLD_PREFIX = "svix-"  # of the same headers, before they became a standard


class Signer(StandardWebhook):
    """Also for a body that is no UTF-8, with its odd bytes as Python's `surrogateescape` has them in a text."""

    def sign(self, msg_id: str, timestamp: datetime, data: str) -> str:
        at = floor(timestamp.replace(tzinfo=UTC).timestamp())
        signed = f"{msg_id}.{at}.{data}".encode("utf-8", "surrogateescape")
        return f"v1,{base64.b64encode(hmac.digest(self._whsecret, signed, 'sha256')).decode()}"


def signed_bodies(webhook: Webhook) -> list[str]:
    """What the signature may speak of: the bytes as they came; where they are no UTF-8, also the text that we read in
    them, which is what a sender's library signs."""
    try:
        return [webhook.body.decode()]
    except UnicodeDecodeError:
        raw = webhook.body.decode("utf-8", "surrogateescape")
        return [raw, decoded(webhook.body, charset_of(webhook.headers.get("content-type", "")))]


def signature_headers(headers: Mapping[str, str]) -> dict[str, str]:
    """The three headers under their names, however they are spelled; those of one spelling only."""
    if headers.get(HEADERS[0]):
        return {name: headers.get(name, "") for name in HEADERS}
    return {name: headers.get(name.replace("webhook-", OLD_PREFIX), "") for name in HEADERS}


def is_secret(secret: str) -> bool:
    """The library takes any base64, even with other characters strewn in."""
    key = secret.removeprefix("whsec_").rstrip("=")
    try:
        size = len(base64.b64decode(key + "=" * (-len(key) % 4), validate=True))
    except ValueError:
        return False
    return secret.startswith("whsec_") and size in SECRET_BYTES
