"""Limits of callers: where anybody may call by default, elsewhere where a table says so, and never on both together."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import redis
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from app.config.schema import ConfigError
from app.gateway import Gateway
from app.platforms.webchat import WebchatChannel
from app.store.connection import connect
from app.web import create_app
from tests.store.steps import keys
from tests.support.gateway import Clock, gateway, settings
from tests.support.processes import RedisServer
from tests.support.shop import message, signed

HERE, THERE = "192.0.2.1", "192.0.2.2"
VISITOR = "Too many requests of this visitor: at most 3 a minute."
ADDRESS = "Too many requests from this address: at most 5 a minute."
CHANNEL = "Too many requests on this channel: at most 7 a minute."


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def built(redis_client: redis.Redis, clock: Clock) -> Gateway:
    limits = {"visitor": 3, "address": 5, "channel": 7}
    return gateway(redis_client, clock, gateway__limits=limits)


@pytest.fixture
def client(built: Gateway) -> FlaskClient:
    return create_app(built).test_client()


class Visitor:
    def __init__(self, client: FlaskClient, built: Gateway, address: str = HERE) -> None:
        channel = built.channels["chat"]
        assert isinstance(channel, WebchatChannel)
        self._client, self.token, self._from = client, channel.new_token(), {"REMOTE_ADDR": address}
        self._number = 0

    def write(self, text: str = "hello") -> TestResponse:
        self._number += 1
        content = {"type": "text", "text": text}
        body = {"type": "message.created", "data": {"id": f"m-{self._number}", "content": content}}
        return self._client.post(
            "/channels/chat",
            data=json.dumps(body),
            headers={"Authorization": f"Bearer {self.token}", "Content-Type": "application/json"},
            environ_base=self._from,
        )


def told(answer: TestResponse) -> tuple[int, str | None, Any]:
    return answer.status_code, answer.headers.get("Retry-After"), (answer.get_json().get("error") or {}).get("message")


def test_a_visitor_who_writes_too_often_hears_so_and_comes_again(
    client: FlaskClient, built: Gateway, clock: Clock
) -> None:
    visitor = Visitor(client, built)
    assert [visitor.write().status_code for _ in range(3)] == [202] * 3
    assert told(visitor.write()) == (429, "20", VISITOR)
    assert built.store.lanes.counts() == {"limited:chat:visitor": 1}
    clock.advance(20)
    assert visitor.write().status_code == 202
    waiting = built.store.lanes.state("inbound:helper", 0).waiting
    assert waiting == 4, "nothing of those that were refused"


def test_a_long_message_counts_as_several_and_says_so(client: FlaskClient, built: Gateway) -> None:
    visitor = Visitor(client, built)
    assert [visitor.write("x" * 1_500).status_code, visitor.write().status_code] == [202, 202]
    sentence = "Too many requests of this visitor: at most 3 a minute, and one of 2 KB counts as 2."
    assert told(visitor.write("x" * 1_500)) == (429, "40", sentence)


def test_new_visitors_do_not_help_whoever_has_one_address(client: FlaskClient, built: Gateway) -> None:
    answers = [Visitor(client, built).write() for _ in range(6)]
    assert [answer.status_code for answer in answers] == [202] * 5 + [429]
    assert told(answers[-1]) == (429, "12", ADDRESS)
    assert Visitor(client, built, THERE).write().status_code == 202


def test_many_addresses_do_not_help_either(client: FlaskClient, built: Gateway) -> None:
    answers = [Visitor(client, built, f"198.51.100.{number}").write() for number in range(8)]
    assert [answer.status_code for answer in answers] == [202] * 7 + [429]
    assert told(answers[-1]) == (429, "9", CHANNEL)


def test_tokens_are_not_given_out_without_end(client: FlaskClient) -> None:
    answers = [client.post("/chat/chat/visitor", environ_base={"REMOTE_ADDR": HERE}) for _ in range(6)]
    assert [answer.status_code for answer in answers] == [200] * 5 + [429]
    assert told(answers[-1]) == (429, "12", ADDRESS)


def test_a_stream_is_not_opened_without_end(client: FlaskClient, built: Gateway) -> None:
    visitor = Visitor(client, built)
    answers = [
        client.get("/chat/chat/events", headers={"Authorization": f"Bearer {visitor.token}"}, buffered=False)
        for _ in range(4)
    ]
    assert [answer.status_code for answer in answers] == [200] * 3 + [429]
    for answer in answers:
        answer.close()


def test_nobody_is_forgotten_without_end(client: FlaskClient, built: Gateway) -> None:
    def forget(visitor: Visitor) -> TestResponse:
        headers = {"Authorization": f"Bearer {visitor.token}"}
        return client.post("/chat/chat/forget", headers=headers, environ_base={"REMOTE_ADDR": HERE})

    visitor = Visitor(client, built)
    answers = [forget(visitor) for _ in range(4)]
    assert [answer.status_code for answer in answers] == [204] * 3 + [429]
    assert told(answers[-1]) == (429, "20", VISITOR)
    answers = [forget(Visitor(client, built)) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [204] * 2 + [429]
    assert told(answers[-1]) == (429, "12", ADDRESS)


def test_idle_windows_behind_one_address_leave_it_to_who_writes(client: FlaskClient, built: Gateway) -> None:
    for visitor in [Visitor(client, built) for _ in range(20)]:
        headers = {"Authorization": f"Bearer {visitor.token}"}
        ticket = client.post("/chat/chat/ticket", headers=headers, environ_base={"REMOTE_ADDR": HERE})
        assert 200 == ticket.status_code
        query = {"ticket": ticket.get_json()["ticket"]}
        with client.get(
            "/chat/chat/events", query_string=query, environ_base={"REMOTE_ADDR": HERE}, buffered=False
        ) as it:
            assert 200 == it.status_code
    assert 200 == client.post("/chat/chat/visitor", environ_base={"REMOTE_ADDR": HERE}).status_code
    assert 202 == Visitor(client, built).write().status_code
    assert {} == built.store.lanes.counts()


def test_no_visitor_takes_tickets_without_end(client: FlaskClient, built: Gateway) -> None:
    headers = {"Authorization": f"Bearer {Visitor(client, built).token}"}
    answers = [client.post("/chat/chat/ticket", headers=headers) for _ in range(4)]
    assert [answer.status_code for answer in answers] == [200] * 3 + [429]
    assert told(answers[-1]) == (429, "20", VISITOR)


def test_a_long_message_counts_for_several(client: FlaskClient, built: Gateway) -> None:
    visitor = Visitor(client, built)
    assert visitor.write("x" * 1_500).status_code == 202
    assert visitor.write().status_code == 202
    assert visitor.write().status_code == 429


def test_a_flood_leaves_a_signed_channel_alone(client: FlaskClient, built: Gateway, redis_client: redis.Redis) -> None:
    for _ in range(20):
        Visitor(client, built).write()
    before = {name for name in keys(redis_client) if name.startswith("l:")}
    for number in range(20):
        body = message(f"m-{number}", "ada", "hello")
        assert client.post("/channels/shop", data=body, headers=signed(f"e-{number}", body)).status_code == 202
    assert {name for name in keys(redis_client) if name.startswith("l:")} == before, "no bucket was looked at"


def test_what_is_not_verified_takes_nothing(client: FlaskClient, built: Gateway) -> None:
    for _ in range(20):
        assert client.post("/channels/chat", headers={"Authorization": "Bearer nonsense"}).status_code == 401
    assert Visitor(client, built).write().status_code == 202


def test_a_signed_channel_has_limits_where_its_table_says_so(redis_client: redis.Redis, clock: Clock) -> None:
    built = gateway(redis_client, clock, channels__shop={"limits": {"visitor": 2}})
    client = create_app(built).test_client()

    def write(number: int, customer: str) -> TestResponse:
        body = message(f"m-{number}", customer, "hello")
        return client.post("/channels/shop", data=body, headers=signed(f"e-{number}", body))

    assert [write(number, "ada").status_code for number in range(3)] == [202, 202, 429]
    assert write(4, "ben").status_code == 202
    clock.advance(30)
    assert write(2, "ada").status_code == 202, "the one that was refused, repeated by its sender"


def test_a_limit_of_0_is_none(redis_client: redis.Redis) -> None:
    built = gateway(
        redis_client, gateway__limits={"visitor": 0}, channels__chat={"limits": {"address": 0, "channel": 2}}
    )
    assert built.call_limits == {"shop": {}, "chat": {"channel": 2}}


def test_usual_limits_are_far_above_what_people_write() -> None:
    assert settings().gateway["limits"] == {"visitor": 120, "address": 600, "channel": 12_000}


@pytest.mark.parametrize(
    ("table", "key"),
    [
        ({"gateway__limits": {"visitor": -1}}, "gateway.limits.visitor"),
        ({"gateway__limits": {"visitors": 1}}, "gateway.limits.visitors"),
        ({"channels__shop": {"limits": {"address": "many"}}}, "channels.shop.limits.address"),
        ({"gateway__redis_checks": {"eviction": "maybe"}}, "gateway.redis_checks.eviction"),
        ({"gateway": {"dead_letter_limit": 0}}, "gateway.dead_letter_limit"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_limits_that_are_none_are_named(table: dict[str, Any], key: str) -> None:
    with pytest.raises(ConfigError) as error:
        settings(**table)
    assert [name for name, _ in error.value.problems] == [key]


def test_anonymous_visitors_do_not_fill_a_small_redis(tmp_path: Path) -> None:
    server = RedisServer(tmp_path, "no", "--maxmemory", "4mb")
    server.start()
    try:
        with connect(server.url, timeout=5, name="tests") as redis_client:
            built = gateway(redis_client)
            client = create_app(built).test_client()
            for _ in range(600):
                Visitor(client, built).write("\U0001f384" * 3_500)  # 14 kB each
            for number in range(50):
                body = message(f"m-{number}", "ada", "x" * 7_000)
                answer = client.post("/channels/shop", data=body, headers=signed(f"e-{number}", body))
                assert answer.status_code == 202
    finally:
        server.stop()
