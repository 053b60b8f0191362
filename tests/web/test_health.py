"""Alive, and ready to take webhooks."""

from __future__ import annotations

import redis

from app.gateway import Gateway, limits_of
from app.store import Store
from app.store.connection import connect
from app.web import create_app
from tests.support.gateway import Recorder, gateway, settings
from tests.support.processes import free_port


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
    assert client.get("/readyz").get_json()["workers"] == 1
    assert "warnings" not in client.get("/readyz").get_json()


def test_without_redis_it_is_alive_but_not_ready() -> None:
    chosen = settings()
    nowhere = connect(f"redis://127.0.0.1:{free_port()}", timeout=0.5, name="tests")
    client = create_app(Gateway(chosen, Store(nowhere, limits_of(chosen)), Recorder())).test_client()
    assert client.get("/healthz").status_code == 200
    not_ready = client.get("/readyz")
    assert (not_ready.status_code, not_ready.headers["Retry-After"]) == (503, "5")
    assert "127.0.0.1" not in not_ready.text
