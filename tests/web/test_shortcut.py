"""Webhooks that are answered before Flask: as Flask would, and only where no view and no hook has a say."""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Mapping
from typing import Any

import flask
import orjson
import pytest
import redis
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from app.core.errors import StoreUnavailable
from app.core.events import Reply
from app.gateway import Gateway
from app.web import Receiver, create_app, shortcut
from tests.support.gateway import SECRET, gateway
from tests.web.test_receive import agent, message, post, signed, to_customer

Ask = Callable[[FlaskClient], TestResponse]
TYPING = orjson.dumps({"type": "conversation.typing", "data": {"from": {"id": "customer-42"}}})
ODD = orjson.dumps({"type": "message.created", "data": {"id": "shop-1", "content": {"type": "text", "text": "Hi"}}})

ASKED: Mapping[str, Ask] = {
    "a message": lambda client: post(client, message()),
    "one that came before": lambda client: (post(client, message()), post(client, message()))[1],
    "what is no message": lambda client: post(client, TYPING),
    "a kind that nobody knows": lambda client: post(client, b'{"type": "order.paid"}'),
    "a wrong signature": lambda client: post(client, message(), headers=signed(message(), "whsec_" + "MDAw" * 12)),
    "no signature": lambda client: post(client, message(), headers={}),
    "a rule that is broken": lambda client: post(client, ODD),
    "no body": lambda client: post(client, b""),
    "no JSON": lambda client: post(client, b"{"),
    "a body that is too large": lambda client: post(client, b"x" * 1_100_000),
    "slashes too many": lambda client: post(client, message(), "//channels//shop/"),
    "a path below the channel's": lambda client: post(client, message(), "/channels/shop/below"),
    "a path far below the channel's": lambda client: post(client, message(), "/channels/shop/far/below"),
    "a path with letters of its own": lambda client: post(client, message(), "/channels/shop/d\u00e9j\u00e0"),
    "a path with a line's end": lambda client: post(client, message(), "/channels/shop/a%0Ab"),
    "a query": lambda client: post(client, message(), "/channels/shop?a=1&b=%2F"),
    "another method": lambda client: client.put("/channels/shop", data=message(), headers=signed(message())),
    "a look": lambda client: client.get("/channels/shop"),
    "a channel that nobody has": lambda client: post(client, message(), "/channels/nobody"),
    "a host of no letters": lambda client: post(client, message(), headers={**signed(message()), "Host": "a b"}),
    "an answer": lambda client: (post(client, message()), agent(client, to_customer()))[1],
    "an answer by a wrong token": lambda client: agent(client, to_customer(), "wrong"),
    "an answer to nobody": lambda client: agent(client, to_customer(contactId="nobody")),
    "an answer without a message": lambda client: agent(client, {"contactId": "x"}),
    "a destination that nobody has": lambda client: client.post("/destinations/nobody/message", data=b"{}"),
    "a destination that sends none": lambda client: client.post("/destinations/helper", data=b"{}"),
}


SHORT: Mapping[str, tuple[str, bool]] = {  # path, and whether no view is looked for
    "a channel": ("/channels/shop", True),
    "below it": ("/channels/shop/below", True),
    "slashes too many": ("/channels//shop/", True),
    "a destination": ("/destinations/desk/message", True),
    "one that sends none": ("/destinations/helper", False),
    "a channel that visitors use": ("/channels/chat", False),
    "a channel up to a limit": ("/channels/narrow", False),
    "a channel without verification": ("/channels/open", False),
    "far below a channel": ("/channels/shop/far/below", False),
    "letters of its own": ("/channels/shop/d\u00e9j\u00e0", False),
    "nobody's": ("/channels/nobody", False),
    "a page": ("/healthz", False),
}
OTHER = {"type": "webhook", "send_url": "http://127.0.0.1:9/other", "destination": "helper"}
NARROW = {**OTHER, "secrets": [SECRET], "limits": {"address": 9}}
OPEN = {**OTHER, "verification": "none"}


@pytest.fixture
def built(redis_client: redis.Redis) -> Gateway:
    return gateway(redis_client, channels__narrow=NARROW, channels__open=OPEN)


@pytest.fixture
def viewed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The paths for which a view is looked for."""
    paths: list[str] = []
    look = Receiver.full_dispatch_request
    monkeypatch.setattr(
        Receiver, "full_dispatch_request", lambda self: (paths.append(flask.request.path), look(self))[1]
    )
    return paths


def said(answer: TestResponse) -> tuple[int, list[tuple[str, str]], Any]:
    """Without the ids that are made anew."""
    return answer.status_code, list(answer.headers.items()), re.sub(rb"[0-9a-f]{32}", b"(id)", answer.data)


@pytest.mark.parametrize("ask", ASKED.values(), ids=ASKED)
def test_whatever_is_asked_the_answer_is_flasks(
    ask: Ask, built: Gateway, redis_client: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    short = said(ask(create_app(built).test_client()))
    redis_client.flushdb()
    built.declare()
    monkeypatch.setattr(shortcut, "paths_of", lambda gateway: ())
    assert said(ask(create_app(built).test_client())) == short


@pytest.mark.parametrize(("path", "is_short"), SHORT.values(), ids=SHORT)
def test_a_view_is_looked_for_only_where_one_has_a_say(
    path: str, is_short: bool, built: Gateway, viewed: list[str]
) -> None:
    create_app(built).test_client().post(path, data=b"{}")
    assert is_short == (not viewed)


@pytest.mark.parametrize("length", ["", "0x2", "-2", "+2", "9" * 11, "9" * 5_000, "\u00b2"])
def test_a_length_that_says_nothing_is_flasks_to_judge(length: str, built: Gateway, viewed: list[str]) -> None:
    client = create_app(built).test_client()
    client.post("/channels/shop", input_stream=io.BytesIO(b"{}"), environ_overrides={"CONTENT_LENGTH": length})
    assert viewed == ["/channels/shop"]


class Pieces(io.BytesIO):
    """Hands over a few bytes at a time."""

    def read(self, size: int | None = -1) -> bytes:
        return super().read(7 if size is None or size < 0 else min(size, 7))


def test_a_body_may_come_in_pieces(built: Gateway, viewed: list[str]) -> None:
    options = {"input_stream": Pieces(message()), "content_length": len(message()), "headers": signed(message())}
    assert 202 == create_app(built).test_client().post("/channels/shop", **options).status_code
    assert not viewed


def test_a_body_that_ends_too_early_is_flasks_to_judge(built: Gateway, viewed: list[str]) -> None:
    client, length = create_app(built).test_client(), {"CONTENT_LENGTH": "2"}
    answer = client.post("/channels/shop", input_stream=io.BytesIO(b"{"), environ_overrides=length)
    assert 400 == answer.status_code
    assert viewed == ["/channels/shop"]


@pytest.mark.parametrize(
    ("error", "status"), [(StoreUnavailable("away"), 503), (StoreUnavailable("away", maybe_done=True), 503)]
)
def test_a_store_that_is_away_is_told_as_flask_would(
    error: Exception, status: int, built: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*args: Any) -> Any:
        raise error

    monkeypatch.setattr(built.store.mailboxes, "accept", fail)
    short = said(post(create_app(built).test_client(), message()))
    monkeypatch.setattr(shortcut, "paths_of", lambda gateway: ())
    assert status == short[0]
    assert said(post(create_app(built).test_client(), message())) == short


def test_a_bug_while_acknowledging_is_told_as_flask_would(built: Gateway, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*args: Any) -> Any:
        raise RuntimeError("a bug")

    monkeypatch.setattr(built.channels["shop"], "acknowledge", fail)
    short = said(post(create_app(built).test_client(), message()))
    monkeypatch.setattr(shortcut, "paths_of", lambda gateway: ())
    assert short[0] == 500
    assert said(post(create_app(built).test_client(), message())) == short


@pytest.mark.parametrize(
    "answer",
    [
        Reply(204),
        Reply(200, ""),
        Reply(200, "<Response/>", {"Content-Type": "text/xml"}),
        Reply(200, b"bytes"),
        Reply(201, {"a": ["\u00e9"]}),
        Reply(202, []),
        Reply(202, {}, {"X-Known": "1"}),
        Reply(299, {}),
        Reply(200, {"a": {1}}),
    ],
    ids=repr,
)
def test_whatever_an_adapter_answers_is_written_as_flask_does(
    answer: Reply, built: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(built.channels["shop"], "acknowledge", lambda *args: answer)
    short = said(post(create_app(built).test_client(), message()))
    monkeypatch.setattr(shortcut, "paths_of", lambda gateway: ())
    assert said(post(create_app(built).test_client(), message())) == short
