"""Whatever comes to a webhook that is signed well: it is taken, or refused with what is wrong, and never a bug."""

from __future__ import annotations

import base64
import hmac
import re
import time
from collections.abc import Callable
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, quote

import pytest
import redis
import structlog
from flask.testing import FlaskClient
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from twilio.request_validator import RequestValidator

from app.gateway import Gateway
from app.platforms.destination import CallsUs
from app.platforms.registry import destination_class, platforms
from app.platforms.webchat import WebchatChannel
from app.web import create_app
from tests.support import fixtures
from tests.support.examples import examples
from tests.support.gateway import SECRET, gateway, run_until_quiet
from tests.support.sink import Sink, Told
from tests.support.values import odd_bodies

ACCOUNT, TOKEN = "AC" + "1" * 32, "twilio-token-0001"
TWILIO = {"account_sid": ACCOUNT, "auth_tokens": [TOKEN]}
SID = "3" * 32
HOST = "http://127.0.0.1:8000"
TAKES = re.compile(r"\b(Receiving|Signing)\b")
PLATFORMS = Path(__file__).parents[1] / "platforms"
FORM = "application/x-www-form-urlencoded"
TYPES = [
    "",
    "application/json",
    "application/json; charset=iso-8859-1",
    "application/json; charset=utf-16",
    "text/x; =",
]

# Each adapter that takes webhooks, by its type in the configuration and the path of its webhooks.
PATHS = {
    "webhook": "/channels/shop",
    "webchat": "/channels/chat",
    "twilio": "/channels/whatsapp",
    "respondio": "/destinations/desk/message",
    "flex_chat": "/destinations/oldpeople/new-message",
    "flex_conversations": "/destinations/people/events",
}
CONFIGURATION: dict[str, dict[str, Any]] = {
    "channels__whatsapp": {"type": "twilio", "messaging_service_sid": "MG" + SID, "destination": "helper"} | TWILIO,
    "channels__second": {
        "type": "twilio",
        "address": "+15551239999",
        "destination": "helper",
        "handoff": "people",
        **TWILIO,
    },
    "channels__third": {
        "type": "webhook",
        "secrets": [SECRET],
        "destination": "helper",
        "handoff": "oldpeople",
        "send_url": "http://127.0.0.1:9",
    },
    "destinations__people": {
        "type": "flex_conversations",
        "routing": {"type": "studio", "flow_sid": "FW" + SID},
        **TWILIO,
    },
    "destinations__oldpeople": {
        "type": "flex_chat",
        "chat_service_sid": "IS" + SID,
        "flex_flow_sid": "FO" + SID,
        "integration": {"type": "studio", "flow_sid": "FW" + SID},
        **TWILIO,
    },
}


def test_every_adapter_that_takes_webhooks_is_tried() -> None:
    """Here, or by the conformance suite that its own test inherits."""
    calling = {name for name in platforms().types("destination") if issubclass(destination_class(name), CallsUs)}
    others = {*platforms().types("channel"), *calling} - set(PATHS)
    suites = {path.stem.removeprefix("test_"): path.read_text() for path in PLATFORMS.glob("test_*.py")}
    assert {name for name in others if not TAKES.search(suites.get(name, ""))} == set()


@pytest.fixture
def built(redis_client: redis.Redis, outside: Sink) -> Gateway:
    """Everything that may be configured; the outside world takes all of it and says nothing that can be used."""
    changes = {
        name: {**values, **dict.fromkeys(ADDRESSES.get(name, ()), outside.url)}
        for name, values in CONFIGURATION.items()
    }
    return gateway(redis_client, send_url=outside.url, bot_url=outside.url, desk_url=outside.url, **changes)


ADDRESSES = {
    "channels__whatsapp": ("api_url",),
    "channels__second": ("api_url",),
    "channels__third": ("send_url",),
    "destinations__people": ("flex_url", "media_url", "taskrouter_url", "conversations_url"),
    "destinations__oldpeople": ("flex_url", "media_url", "taskrouter_url", "chat_url"),
}


def signed_webhook(body: bytes, path: str, kind: str, built: Gateway) -> dict[str, Any]:
    at = str(int(time.time()))
    key = base64.b64decode(SECRET.removeprefix("whsec_"))
    digest = base64.b64encode(hmac.new(key, f"msg_1.{at}.".encode() + body, "sha256").digest()).decode()
    headers = {"webhook-id": "msg_1", "webhook-timestamp": at, "webhook-signature": f"v1,{digest}"}
    return {"path": path, "headers": headers, "content_type": kind}


def signed_webchat(body: bytes, path: str, kind: str, built: Gateway) -> dict[str, Any]:
    chat = built.channels["chat"]
    assert isinstance(chat, WebchatChannel)
    return {"path": path, "headers": {"Authorization": f"Bearer {chat.new_token()}"}, "content_type": kind}


def signed_respondio(body: bytes, path: str, kind: str, built: Gateway) -> dict[str, Any]:
    return {"path": path, "headers": {"Authorization": "Bearer desk-token-0001"}, "content_type": kind}


def signed_twilio(body: bytes, path: str, kind: str, built: Gateway) -> dict[str, Any]:
    """JSON, whose hash stands in the URL."""
    url = f"{path}?bodySHA256={sha256(body).hexdigest()}"
    signature = RequestValidator(TOKEN).compute_signature(HOST + url, {})
    return {"path": url, "headers": {"X-Twilio-Signature": signature}, "content_type": kind or "application/json"}


SIGN: dict[str, Callable[[bytes, str, str, Gateway], dict[str, Any]]] = {
    "webhook": signed_webhook,
    "webchat": signed_webchat,
    "respondio": signed_respondio,
    "twilio": signed_twilio,
    "flex_chat": signed_twilio,
    "flex_conversations": signed_twilio,
}

bounded = settings(
    deadline=None,
    max_examples=examples(150),
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large],
)


@pytest.fixture
def client(built: Gateway) -> FlaskClient:
    return create_app(built).test_client()


def take(
    built: Gateway, client: FlaskClient, body: bytes | None, request: dict[str, Any], method: str = "POST"
) -> None:
    """Send it, and look at the answer: 2xx, or 4xx with words for whoever sent it."""
    with structlog.testing.capture_logs() as lines:
        response = client.open(method=method, data=body, **request)
    assert [line for line in lines if line["log_level"] == "error"] == []
    assert response.status_code // 100 in (2, 4), response.text
    assert response.status_code not in (401, 403), response.text  # it is signed
    if response.status_code >= 400:
        assert response.get_json()["error"]["message"], response.text
    assert built.store.dead_letters.newest() == []


def valid(kind: str) -> list[Any]:
    return [fixtures.value(kind, name) for name in fixtures.names(kind)]


@pytest.mark.parametrize("kind", PATHS)
def test_any_body_is_taken_or_refused_by_name(kind: str, built: Gateway, client: FlaskClient) -> None:
    @bounded
    @given(odd_bodies(valid(kind)), st.sampled_from(TYPES))
    @example(b"[" * 100_000, "")
    @example(b'{"a":' * 100_000, "")
    def holds(body: bytes, content_type: str) -> None:
        take(built, client, body, SIGN[kind](body, PATHS[kind], content_type, built))

    holds()


def as_form(value: Any, encoding: str) -> bytes:
    pairs = value.items() if isinstance(value, dict) else [("value", value)]
    written = partial(quote, encoding=encoding, errors="replace")
    return "&".join(f"{written(str(name))}={written(str(field))}" for name, field in pairs).encode()


def signed_form(body: bytes, path: str, kind: str) -> dict[str, Any]:
    """As a reader of forms sees it that puts U+FFFD for what it cannot read."""
    pairs: dict[str, list[str]] = {}
    for name, value in parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True, errors="replace"):
        pairs.setdefault(name, []).append(value)
    fields = type("Many", (dict,), {"getlist": lambda self, name: self[name]})(pairs)
    signature = RequestValidator(TOKEN).compute_signature(HOST + path, fields)
    return {"path": path, "headers": {"X-Twilio-Signature": signature}, "content_type": kind}


forms = st.binary(max_size=60) | st.text(st.characters(exclude_categories=["Cs"]), max_size=40).map(
    lambda text: quote(text, safe="&=").encode()
)


ODD_FIELDS = [
    "\0",
    "9" * 5_000,
    "nan",
    "-inf",
    "{",
    "[" * 3_000,
    "whatsapp:",
    "+",
    "1e9",
    "-1",
    "\N{ARABIC-INDIC DIGIT ONE}",
]


@pytest.mark.parametrize("kind", ["twilio", "flex_chat", "flex_conversations"])
def test_any_form_is_taken_or_refused_by_name(kind: str, built: Gateway, client: FlaskClient) -> None:
    spoilt = st.sampled_from(valid(kind)).flatmap(
        lambda value: st.builds(
            lambda name, odd, encoding: as_form({**value, name: odd}, encoding),
            st.sampled_from(sorted(value)),
            st.text(max_size=20)
            | st.sampled_from(["\0", "9" * 5_000, "nan", "-inf", "{", "[" * 3_000, "whatsapp:", "+"]),
            st.sampled_from(["utf-8", "latin-1"]),
        )
    )

    @bounded
    @given(forms | spoilt)
    def holds(body: bytes) -> None:
        if not body.startswith(b"\xef\xbb\xbf"):  # its reader above would see the mark
            take(built, client, body, signed_form(body, PATHS[kind], FORM))

    holds()


@bounded
@given(forms)
def test_any_query_is_taken_or_refused_by_name(built: Gateway, client: FlaskClient, query: bytes) -> None:
    url = f"{PATHS['twilio']}?a=b&{quote(query, safe='&=%')}"
    signature = RequestValidator(TOKEN).compute_signature(HOST + url, {})
    take(built, client, None, {"path": url, "headers": {"X-Twilio-Signature": signature}}, "GET")


@pytest.mark.parametrize("kind", PATHS)
def test_what_was_taken_can_be_worked(kind: str, built: Gateway, client: FlaskClient, outside: Sink) -> None:
    """Whatever the receiver lets in, no worker stumbles over it."""
    outside.answers(Told(body=b'{"response":{"says":[{"text":"Hi"}],"listen":{}}}'))

    @settings(bounded, max_examples=examples(40))
    @given(odd_bodies(valid(kind)), st.sampled_from(TYPES))
    def holds(body: bytes, content_type: str) -> None:
        take(built, client, body, SIGN[kind](body, PATHS[kind], content_type, built))

    holds()
    run_until_quiet(built)
    letters = built.store.dead_letters.newest()
    assert [letter.error for letter in letters if letter.reason in ("unexpected", "poison")] == []
