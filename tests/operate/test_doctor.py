"""What `patchbay doctor` finds, and what it says of it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
import redis
from werkzeug.serving import make_server

from app.gateway import Gateway
from app.operate.doctor import examine
from app.operate.findings import Finding
from app.operate.redis import state_of
from app.store import Store
from app.store.connection import connect
from app.web import create_app
from tests.support.gateway import Clock, Recorder, gateway, recorder, settings
from tests.support.processes import free_port
from tests.support.sink import Call, Sink, Told

ACCOUNT = "AC" + "0" * 32
SMS = {"type": "twilio", "address": "+15550100", "account_sid": ACCOUNT, "auth_tokens": ["twilio-token-0001"]}


def found(examined: Gateway) -> dict[str, list[Finding]]:
    by_part: dict[str, list[Finding]] = {}
    for finding in examine(examined):
        by_part.setdefault(finding.about, []).append(finding)
    return by_part


def levels(findings: list[Finding]) -> list[str]:
    return [finding.level for finding in findings]


@pytest.fixture
def make(redis_client: redis.Redis) -> Callable[..., Gateway]:
    def built(url: str, **options: Any) -> Gateway:
        made = gateway(redis_client, gateway={"public_url": url}, **options)
        made.store.workers.beat("worker-0", list(made.lanes))
        return made

    return built


Make = Callable[..., Gateway]


def as_receiver(answer: Callable[[Call], Told]) -> Callable[[Call], Told]:
    return lambda call: Told(200, b'{"status":"alive"}') if call.path == "/healthz" else answer(call)


def test_what_is_well_is_said_to_be(make: Make, outside: Sink) -> None:
    outside.answer = as_receiver(lambda call: Told(202))
    parts = found(make(outside.url))
    for part in ("workers", "broker", "public_url", "channels.shop"):
        assert ["ok"] == levels(parts[part]), parts[part]


def test_a_real_receiver_takes_the_samples(redis_client: redis.Redis, make: Make) -> None:
    with make_server("127.0.0.1", 0, lambda *_: []) as server:  # to know the port
        url = f"http://127.0.0.1:{server.server_port}"
    built = make(url, channels__sms={**SMS, "destination": "helper", "handoff": "desk"})
    server = make_server("127.0.0.1", server.server_port, create_app(built), threaded=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        parts = found(built)
    finally:
        server.shutdown()
        thread.join(5)
    assert ["ok"] == levels(parts["channels.shop"])
    assert "ok" == parts["channels.sms"][-1].level
    assert 0 == built.store.dead_letters.count()
    assert not redis_client.keys("*:m:*")


def test_a_webhook_that_is_refused_shows_what_a_proxy_spoils(make: Make, outside: Sink) -> None:
    outside.answer = as_receiver(lambda call: Told(401, b'{"error":{"message":"the signature does not match"}}'))
    (finding,) = found(make(outside.url))["channels.shop"]
    assert "wrong" == finding.level
    assert "HTTP 401 the signature does not match" in finding.says
    assert "X-Forwarded-Proto" in finding.mend


ANSWERS = {
    "nobody there": (Told(drop=True), "cannot be reached"),
    "somebody else": (Told(200, b"<h1>Welcome to nginx!</h1>"), "cannot be reached"),
    "an error": (Told(502), "HTTP 502"),
}


@pytest.mark.parametrize(("told", "says"), ANSWERS.values(), ids=ANSWERS)
def test_a_public_url_that_is_no_receivers(told: Told, says: str, make: Make, outside: Sink) -> None:
    outside.answers(told)
    parts = found(make(outside.url))
    (finding,) = parts["public_url"]
    assert ("wrong", True) == (finding.level, says in finding.says)
    assert "channels.shop" not in parts  # what could not be told apart from it


def test_a_public_url_without_tls_is_told(redis_client: redis.Redis) -> None:
    first, *_ = found(gateway(redis_client, gateway={"public_url": "http://gate.example.test"}))["public_url"]
    assert ("wrong", True) == (first.level, "is not https" in first.says)


CREDENTIALS = {
    "good": (Told(200, b'{"messages":[]}'), "ok", "takes our credentials"),
    "bad": (Told(401, b'{"code":20003,"message":"Authenticate"}'), "wrong", "20003 Authenticate"),
    "away": (Told(503), "wrong", "HTTP 503"),
}


@pytest.mark.parametrize(("told", "level", "says"), CREDENTIALS.values(), ids=CREDENTIALS)
def test_credentials_are_tried(told: Told, level: str, says: str, make: Make, outside: Sink) -> None:
    outside.answers(told)
    sms = {**SMS, "api_url": outside.url, "destination": "helper", "handoff": "desk"}
    finding = found(make("http://127.0.0.1:9", channels__sms=sms))["channels.sms"][0]
    assert (level, True) == (finding.level, says in finding.says)
    assert "twilio-token-0001" not in str(finding)


def test_what_provisioning_would_change_is_told(make: Make, outside: Sink) -> None:
    bot = {"type": "telegram", "token": "123:bot-token-0001", "secret_tokens": ["secret-0001"], "api_url": outside.url}
    bot |= {"destination": "helper", "handoff": "desk"}
    outside.answers(Told(200, b'{"ok":true,"result":{"url":"https://elsewhere.example.test"}}'))
    finding = found(make("http://127.0.0.1:9", channels__bot=bot))["channels.bot"][0]
    assert ("wrong", "patchbay provision bot") == (finding.level, finding.mend)
    assert "POST setWebhook url=http://127.0.0.1:9/channels/bot" in finding.says
    assert {"/bot123:bot-token-0001/getWebhookInfo"} == {call.path for call in outside.calls}


def test_nobody_serves_some_lanes(redis_client: redis.Redis) -> None:
    built = gateway(redis_client)
    assert ["wrong"] == levels(found(built)["workers"])
    built.store.workers.beat("worker-0", [lane for lane in built.lanes if lane != "inbound:desk"])
    (finding,) = found(built)["workers"]
    assert ("wrong", True) == (finding.level, "None serves inbound:desk;" in finding.says)


def test_a_broker_that_takes_nothing(make: Make) -> None:
    built = make("http://127.0.0.1:9")
    recorder(built).full = True
    assert ["wrong"] == levels(found(built)["broker"])


def test_clocks_that_differ(redis_client: redis.Redis) -> None:
    ahead = gateway(redis_client, Clock(int((time.time() + 60) * 1000)))
    assert "60 s ahead" in next(one.says for one in found(ahead)["redis"] if "clock" in one.says)


def test_a_redis_that_is_away_does_not_end_it() -> None:
    chosen = settings()
    parts = found(
        Gateway(chosen, Store(connect(f"redis://127.0.0.1:{free_port()}", timeout=1, name="test")), Recorder())
    )
    assert (["wrong"], ["wrong"]) == (levels(parts["redis"]), levels(parts["house"]))
    assert "public_url" in parts


STATES: dict[str, tuple[dict[str, Any], int, list[str]]] = {
    "well": ({"evicted_keys": 0, "aof_last_write_status": "ok", "maxmemory": 0, "used_memory": 9}, 0, []),
    "it says nothing": ({}, 0, []),
    "it threw keys away": ({"evicted_keys": 7}, 0, ["It has thrown 7 keys away."]),
    "its disk is full": ({"aof_last_write_status": "err"}, 0, ["(aof_last_write_status)"]),
    "a snapshot failed": ({"rdb_last_bgsave_status": "err"}, 0, ["(rdb_last_bgsave_status)"]),
    "too few copies": ({"connected_slaves": 1}, 2, ["It has 1 copies, and replicas_to_wait wants 2"]),
    "nearly full": ({"used_memory": 81, "maxmemory": 100}, 0, ["81 of 100 of its memory"]),
    "not nearly full": ({"used_memory": 80, "maxmemory": 100}, 0, []),
    "many connections": ({"connected_clients": 9_000, "maxclients": 10_000}, 0, ["9000 of 10000 of its connections"]),
}


@pytest.mark.parametrize(("info", "copies", "says"), STATES.values(), ids=STATES)
def test_the_state_of_redis(info: dict[str, Any], copies: int, says: list[str]) -> None:
    sentences = [finding.says for finding in state_of(info, copies)]
    assert len(says) == len(sentences)
    assert all(part in sentence for part, sentence in zip(says, sentences, strict=True))
