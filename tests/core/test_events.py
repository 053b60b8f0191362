"""Events: the query of a webhook, the lines of an acknowledgement, and what must not be shown."""

from __future__ import annotations

from typing import Any

import pytest

from app.core.events import Accepted, Changed, Ended, Event, Ignored, Opted, Reported, Typing, Webhook, Written
from app.core.message import Text

LINES: dict[str, tuple[Event, dict[str, Any]]] = {
    "a message": (
        Written(Text("Hi"), external_id="e1", customer="webhook:42"),
        {"id": "e1", "message_id": "m1", "duplicate": True},
    ),
    "a report": (Reported("m2", "read"), {"message_id": "m2", "status": "read"}),
    "something unknown": (Ignored("poll.created"), {"ignored": "poll.created"}),
    "typing": (Typing("webhook:42"), {"event": "typing"}),
    "a change": (Changed("CH1", 5), {"event": "changed"}),
    "a block": (Opted("webhook:42", "out"), {"event": "opted"}),
    "the end": (Ended("webhook:42"), {"event": "ended"}),
}


@pytest.mark.parametrize(("event", "line"), LINES.values(), ids=LINES)
def test_an_acknowledgement_has_a_line_for_each_event(event: Event, line: dict[str, Any]) -> None:
    assert line == Accepted(event, "m1", duplicate=True).as_dict()


def test_a_webhook_knows_its_query() -> None:
    webhook = Webhook("POST", "https://gate.example.test/channels/shop?a=1&b=&c=x%26y", "/channels/shop", {}, b"")
    assert webhook.query == {"a": "1", "b": "", "c": "x&y"}


def test_a_webhook_does_not_show_its_headers() -> None:
    headers = {"authorization": "Bearer desk-token-0001"}
    assert "desk-token-0001" not in repr(Webhook("POST", "https://gate.example.test/", "/", headers, b""))
