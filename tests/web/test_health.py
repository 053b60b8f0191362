"""Alive, and ready to take webhooks."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import redis

from app.core.errors import StoreUnavailable
from app.gateway import Gateway, limits_of
from app.store import Store
from app.store.connection import connect
from app.store.server import Facts
from app.web import create_app
from app.web.health import Look
from tests.support.gateway import Recorder, gateway, settings
from tests.support.processes import HOST, RedisServer, free_port, wait_until
from tests.support.shop import message, signed


def test_with_redis_it_is_alive_and_ready(redis_client: redis.Redis) -> None:
    client = create_app(gateway(redis_client)).test_client()
    assert client.get("/healthz").get_json() == {"status": "alive"}
    ready = client.get("/readyz")
    assert ready.status_code == 200
    assert {"status": "ready", "channels": 2, "destinations": 2}.items() <= ready.get_json().items()


def test_it_is_ready_without_workers_and_warns_of_it(redis_client: redis.Redis) -> None:
    built = gateway(redis_client)
    client = create_app(built).test_client()
    alone = client.get("/readyz")
    assert (alone.status_code, alone.get_json()["workers"]) == (200, 0)
    assert alone.get_json()["warnings"] == ["No worker is running: messages are recorded, and wait for one."]
    built.store.workers.beat("worker-0@here", ["inbound:helper"])
    answer = create_app(built).test_client().get("/readyz")  # what this one found is good for a moment yet
    assert answer.get_json()["workers"] == 1
    assert "warnings" not in answer.get_json()


def test_without_redis_it_is_alive_but_not_ready() -> None:
    chosen = settings()
    nowhere = connect(f"redis://127.0.0.1:{free_port()}", timeout=0.5, name="tests")
    client = create_app(Gateway(chosen, Store(nowhere, limits_of(chosen)), Recorder())).test_client()
    assert client.get("/healthz").status_code == 200
    not_ready = client.get("/readyz")
    assert (not_ready.status_code, not_ready.headers["Retry-After"]) == (503, "5")
    assert "127.0.0.1" not in not_ready.text


TAKES_NOTHING = {
    "is only a copy of another one": ("replica-read-only", "yes"),  # with the `replicaof` below
    "has too few copies to take writes": ("min-replicas-to-write", "1"),
    "has no memory left": ("maxmemory", "1"),
}


@pytest.mark.parametrize("why", TAKES_NOTHING)
def test_a_redis_that_answers_and_takes_nothing_is_not_ready_and_takes_no_webhook(why: str, tmp_path: Path) -> None:
    server = RedisServer(tmp_path, "no")
    server.start()
    with connect(server.url, timeout=5, name="tests") as redis_client:
        client = create_app(gateway(redis_client)).test_client()
        redis_client.config_set(*TAKES_NOTHING[why])
        if "copy of" in why:
            redis_client.replicaof(HOST, free_port())  # type: ignore[arg-type]
        ready, body = client.get("/readyz"), message("m-1", "ada", "hello")
        webhook = client.post("/channels/shop", data=body, headers=signed("m-1", body))
    server.stop()
    assert [(503, "5")] * 2 == [(answer.status_code, answer.headers["Retry-After"]) for answer in (ready, webhook)]
    assert ready.get_json()["error"]["message"] == f"The store takes nothing: Redis {why}."
    assert webhook.get_json()["error"]["message"].endswith("nothing was recorded.")


@pytest.fixture
def evicting(tmp_path: Path) -> Iterator[redis.Redis]:
    server = RedisServer(tmp_path, "no", "--maxmemory-policy", "allkeys-lru", "--appendonly", "no")
    server.start()
    with connect(server.url, timeout=5, name="tests") as client:
        yield client
    server.stop()


def test_a_redis_that_throws_messages_away_is_not_ready(evicting: redis.Redis) -> None:
    answer = create_app(gateway(evicting)).test_client().get("/readyz")
    assert answer.status_code == 503
    assert "maxmemory-policy allkeys-lru" in answer.get_json()["error"]["message"]
    assert "appendonly" not in answer.text, "that is no reason"


@pytest.mark.parametrize(("checks", "status"), [({"eviction": "warn"}, 200), ({"persistence": "refuse"}, 503)])
def test_what_is_refused_is_a_setting(evicting: redis.Redis, checks: dict[str, str], status: int) -> None:
    client = create_app(gateway(evicting, gateway__redis_checks=checks)).test_client()
    assert client.get("/readyz").status_code == status


def test_of_what_merely_worries_it_warns(evicting: redis.Redis) -> None:
    client = create_app(gateway(evicting, gateway__redis_checks={"eviction": "warn"})).test_client()
    warnings = " ".join(client.get("/readyz").get_json()["warnings"])
    assert "maxmemory-policy allkeys-lru" in warnings
    assert "appendonly no" in warnings


def test_whoever_asks_again_and_again_costs_redis_nothing(
    redis_client: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    built, asked, now = gateway(redis_client), [], [100.0]
    found: list[Any] = [Facts("7.2", "noeviction", True), StoreUnavailable("gone"), Facts("7.2", "noeviction", True)]

    def facts() -> Facts:
        asked.append(now[0])
        if isinstance(found[0], Exception):
            raise found.pop(0)
        return found.pop(0)

    monkeypatch.setattr(built.store.server, "facts", facts)
    monkeypatch.setattr("app.web.health.time.monotonic", lambda: now[0])
    client = create_app(built).test_client()
    statuses = []
    for now[0] in (100.0, 100.1, 100.9, 101.0, 101.5, 101.9, 102.0, 102.1):
        statuses.append(client.get("/readyz").status_code)
    assert statuses == [200, 200, 200, 503, 503, 503, 200, 200]
    assert asked == [100.0, 101.0, 102.0]


def test_a_first_crowd_has_it_looked_at_once(redis_client: redis.Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    built, asked, may = gateway(redis_client), [], threading.Event()

    def facts() -> Facts:
        asked.append("facts")
        assert may.wait(30)
        return Facts("7.2", "noeviction", True)

    monkeypatch.setattr(built.store.server, "facts", facts)
    look = Look(built)
    monkeypatch.setattr(look, "asking", Counted())
    with ThreadPoolExecutor(4) as pool:
        coming = [pool.submit(look.found) for _ in range(4)]
        wait_until("all have come", lambda: len(look.asking.asked) == 4)  # type: ignore[attr-defined]
        may.set()
        assert [[]] * 4 == [one.result().warnings for one in coming]
    assert ["facts"] == asked


def test_while_somebody_looks_others_hear_what_was_found_before(
    redis_client: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    built, asked, may = gateway(redis_client), [], threading.Event()
    facts = [Facts("7.2", "noeviction", True), Facts("7.2", "noeviction", False)]

    def slow() -> Facts:
        asked.append("facts")
        assert may.wait(30)
        return facts.pop(0)

    monkeypatch.setattr(built.store.server, "facts", slow)
    monkeypatch.setattr("app.web.health.GOOD_FOR", 0.0)
    look = Look(built)
    with ThreadPoolExecutor(2) as pool:
        may.set()
        before = look.found()
        may.clear()
        coming = pool.submit(look.found)
        wait_until("it looks again", lambda: len(asked) == 2)
        try:
            assert before == pool.submit(look.found).result(20)
        finally:
            may.set()
        assert coming.result() != before


class Counted:
    """A lock that knows how many have asked for it."""

    def __init__(self) -> None:
        self.asked = list[bool]()
        self._lock = threading.Lock()

    def acquire(self, blocking: bool) -> bool:
        self.asked.append(blocking)
        return self._lock.acquire(blocking=blocking)

    def release(self) -> None:
        self._lock.release()
