"""What an operator's programs may ask: closed unless a token is configured, exact, and clear about what is wrong."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest
import redis
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from app.core.acceptance import Acceptance
from app.core.costs import Cost, day_number
from app.core.work import Done
from app.gateway import Gateway
from app.store import Store
from app.store.connection import connect
from app.web import create_app
from tests.store.steps import ANN, Drain, entry
from tests.support.gateway import Clock, Recorder, gateway, settings
from tests.support.processes import free_port

TOKENS = ["api-token-0001", "api-token-0002"]
COSTS: dict[str, Any] = {"currency": "USD"}
TODAY = date(2026, 4, 15)
ENOUGH = {"Authorization": f"Bearer {TOKENS[0]}"}


def at(day: date) -> Clock:
    return Clock(day_number(day) * 86_400_000 + 43_200_000)


@pytest.fixture
def built(redis_client: redis.Redis) -> Gateway:
    """A gateway where something was booked: today, and on a day in March."""
    book(gateway(redis_client, at(TODAY)), 1, "shop/webchat:ann")
    book(gateway(redis_client, at(date(2026, 3, 2))), 2, "chat/webchat:v1+1/2")
    return gateway(redis_client, at(TODAY), gateway={"api_tokens": TOKENS}, costs=COSTS)


def book(built: Gateway, number: int, conversation: str) -> None:
    """A question for 0.005 with a turn for 0.001, and an answer for 0.0135."""
    lane = "inbound:helper"
    mailboxes = built.store.mailboxes
    mailboxes.accept(Acceptance(entry=entry(2 * number, conversation, lane=lane), cost=Cost("inbound", 5_000_000)))
    drain = Drain(built.store, lane, f"a {number}")
    drain.step(Done(drain.claim(), cost=Cost("turn:helper", 1_000_000)))
    lane = f"outbound:{conversation.partition('/')[0]}"
    mailboxes.accept(Acceptance(entry=entry(2 * number + 1, conversation, "outbound", lane=lane)))
    drain = Drain(built.store, lane, f"b {number}")
    drain.step(Done(drain.claim(), status="sent", cost=Cost("template", 13_500_000)))


@pytest.fixture
def client(built: Gateway) -> FlaskClient:
    return create_app(built).test_client()


def ask(client: FlaskClient, path: str, **headers: str) -> TestResponse:
    return client.get(f"/api/costs{path}", headers={**ENOUGH, **headers})


AMOUNTS = {"inbound": "0.005", "outbound": "0", "template": "0.0135", "turns": "0.001", "total": "0.0195"}


def test_the_last_days(client: FlaskClient) -> None:
    answer = ask(client, "")
    assert answer.status_code == 200
    assert answer.get_json() == {
        "currency": "USD",
        "from": "2026-03-17",
        "to": TODAY.isoformat(),
        "total": "0.0195",
        "days": [{"date": TODAY.isoformat(), "channel": "shop", **AMOUNTS}],
    }


MARCH = [{"date": "2026-03-02", "channel": "chat", **AMOUNTS}]
FOUND: dict[str, tuple[str, list[Any]]] = {
    "a day": ("?from=2026-03-02&to=2026-03-02", MARCH),
    "until that day": ("?to=2026-03-02", MARCH),
    "the day after": ("?from=2026-03-03&to=2026-03-31", []),
    "a channel": ("?to=2026-03-31&channel=chat", MARCH),
    "another channel": ("?to=2026-03-31&channel=shop", []),
}


@pytest.mark.parametrize(("query", "days"), FOUND.values(), ids=FOUND)
def test_days_are_chosen(query: str, days: list[Any], client: FlaskClient) -> None:
    answer = ask(client, query).get_json()
    assert (days, "0.0195" if days else "0") == (answer["days"], answer["total"])


def test_a_message(client: FlaskClient, built: Gateway) -> None:
    assert ask(client, f"/messages/{2:032x}").get_json() == {
        "currency": "USD",
        "message_id": f"{2:032x}",
        "conversation": ANN,
        "date": TODAY.isoformat(),
        "reported": False,
        "message": "0.005",
        "turns": "0.001",
        "total": "0.006",
    }
    built.store.costs.reported(f"{2:032x}", 1)
    answer = ask(client, f"/messages/{2:032x}").get_json()
    assert (True, "0.000000001", "0.001000001") == (answer["reported"], answer["message"], answer["total"])


def test_a_message_that_costs_nothing(client: FlaskClient, built: Gateway) -> None:
    built.store.mailboxes.accept(Acceptance(entry=entry(9)))
    answer = ask(client, f"/messages/{9:032x}").get_json()
    assert (None, "0") == (answer["date"], answer["total"])


@pytest.mark.parametrize("customer", ["webchat:v1+1/2", "webchat:v1%2B1%2F2"], ids=["as it is", "escaped"])
def test_a_conversation(customer: str, client: FlaskClient) -> None:
    answer = ask(client, f"/conversations/chat/{customer}").get_json()
    assert {"currency": "USD", "channel": "chat", "customer": "webchat:v1+1/2", **AMOUNTS} == answer


@pytest.mark.parametrize("customer", ["+15551230001", "sms:+15551230001", "SMS:+15551230001"])
def test_a_conversation_is_named_as_twilio_names_customers_too(
    customer: str, client: FlaskClient, built: Gateway
) -> None:
    book(built, 9, "chat/sms:+15551230001")
    assert ask(client, f"/conversations/chat/{customer}").get_json()["total"] == "0.0195"


WRONG = {
    "no day": ("?from=2026-02-30", 400, "from", "Must be a day as YYYY-MM-DD."),
    "no day at the end": ("?to=now", 400, "to", "Must be a day as YYYY-MM-DD."),
    "too many days": ("?from=2025-01-01&to=2026-01-02", 400, "from", "Must leave at most 366 days up to and with to."),
    "an unknown channel": ("?channel=fax", 400, "channel", "There is no channel fax."),
    "an unknown parameter": ("?day=2026-01-01", 400, "day", "Unknown field."),
    "an unknown message": ("/messages/nobody", 404, None, "There is no message nobody (any more)."),
    "an unknown customer": ("/conversations/shop/webchat:x", 404, None, "Nothing is booked for webchat:x on shop"),
    "an unknown address": ("/cents", 404, None, "The requested URL was not found"),
}


@pytest.mark.parametrize(("path", "status", "field", "message"), WRONG.values(), ids=WRONG)
def test_what_is_wrong_is_named(path: str, status: int, field: str | None, message: str, client: FlaskClient) -> None:
    answer = ask(client, path)
    error = answer.get_json()["error"]
    assert (status, field) == (answer.status_code, error.get("field"))
    assert error["message"].startswith(message)


CREDENTIALS = {
    "the first token": ("Bearer api-token-0001", 200),
    "the second token": ("bearer  api-token-0002 ", 200),
    "another token": ("Bearer api-token-0003", 401),
    "part of a token": ("Bearer api-token-000", 401),
    "both": ("Bearer api-token-0001api-token-0002", 401),
    "no scheme": ("api-token-0001", 401),
    "another scheme": ("Basic api-token-0001", 401),
    "no token": ("Bearer ", 401),
    "nothing": ("", 401),
    "other letters": ("Bearer \xe4pi-token-0001", 401),
}


@pytest.mark.parametrize("path", ["", "/messages/nobody", "/conversations/shop/webchat:x"])
@pytest.mark.parametrize(("credentials", "status"), CREDENTIALS.values(), ids=CREDENTIALS)
def test_only_a_token_opens_it(path: str, credentials: str, status: int, client: FlaskClient) -> None:
    answer = ask(client, path, Authorization=credentials)
    assert (answer.status_code == 401) == (status == 401)
    if status == 401:
        assert "Authorization" == answer.get_json()["error"]["field"]
        assert "Bearer" == answer.headers["WWW-Authenticate"]
        assert "api-token" not in answer.text


def test_it_is_closed_by_default(redis_client: redis.Redis) -> None:
    answer = create_app(gateway(redis_client, costs=COSTS)).test_client().get("/api/costs", headers=ENOUGH)
    closed = "The API is closed: gateway.api_tokens names no token."
    assert (403, {"error": {"message": closed}}) == (answer.status_code, answer.get_json())


def test_without_prices_there_is_nothing_to_ask_for(redis_client: redis.Redis) -> None:
    client = create_app(gateway(redis_client, gateway={"api_tokens": TOKENS})).test_client()
    answer = ask(client, "")
    assert (404, True) == (answer.status_code, "no table costs" in answer.text)


def test_without_redis_nobody_sees_a_trace() -> None:
    chosen = settings(gateway={"api_tokens": TOKENS}, costs=COSTS)
    away = connect(f"redis://127.0.0.1:{free_port()}/0", timeout=1, name="tests")
    answer = ask(create_app(Gateway(chosen, Store(away), Recorder())).test_client(), "")
    assert (503, "5") == (answer.status_code, answer.headers["Retry-After"])
    assert "Traceback" not in answer.text
