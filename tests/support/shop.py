"""A shop that writes to channel `webhook`: signs its webhooks with the `standardwebhooks` library, and repeats them as
platforms do until they are acknowledged."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime
from typing import Any

import requests
from standardwebhooks.webhooks import Webhook

from tests.support.gateway import SECRET


def signed(event_id: str, body: str, secret: str = SECRET) -> dict[str, str]:
    """The headers of a signed webhook."""
    now = datetime.fromtimestamp(int(time.time()), UTC)
    return {
        "content-type": "application/json",
        "webhook-id": event_id,
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": Webhook(secret).sign(event_id, now, body),
    }


def message(external_id: str, customer: str, text: str, **more: Any) -> str:
    """The body of a `message.created`."""
    data = {
        "id": external_id,
        "from": {"id": customer, "name": "Ada Lovelace", "locale": "en-GB"},
        "content": {"type": "text", "text": text},
        **more,
    }
    return json.dumps({"type": "message.created", "timestamp": "2026-01-01T00:00:00Z", "data": data})


def status(message_id: str, status: str, error: str | None = None) -> str:
    """The body of a `message.status`."""
    data = {"message_id": message_id, "status": status, "error": error}
    return json.dumps({"type": "message.status", "timestamp": "2026-01-01T00:00:00Z", "data": data})


class Shop:
    """Posts to one channel of a running receiver; `authority` is the file of whoever signed its certificate."""

    def __init__(self, url: str, channel: str = "shop", authority: str = "") -> None:
        self._url = f"{url}/channels/{channel}"
        self._session = requests.Session()
        if authority:
            self._session.trust_env, self._session.verify = False, authority

    def post(self, event_id: str, body: str, headers: dict[str, str] | None = None) -> requests.Response:
        return self._session.post(self._url, data=body, headers=headers or signed(event_id, body), timeout=10)

    def write(self, external_id: str, customer: str, text: str) -> requests.Response:
        return self.post(external_id, message(external_id, customer, text))

    def write_until_taken(self, external_id: str, customer: str, text: str, seconds: float = 60.0) -> None:
        """Repeat the webhook, always with the same id, until it is acknowledged."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            try:
                if self.write(external_id, customer, text).status_code == 202:
                    return
            except requests.RequestException:
                pass
            time.sleep(0.1)
        raise AssertionError(f"{external_id} was not taken within {seconds:.0f} s")
