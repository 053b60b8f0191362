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
    assert (ready.status_code, ready.get_json()) == (200, {"status": "ready", "channels": 2, "destinations": 2})


def test_without_redis_it_is_alive_but_not_ready() -> None:
    chosen = settings()
    nowhere = connect(f"redis://127.0.0.1:{free_port()}", timeout=0.5, name="tests")
    client = create_app(Gateway(chosen, Store(nowhere, limits_of(chosen)), Recorder())).test_client()
    assert client.get("/healthz").status_code == 200
    not_ready = client.get("/readyz")
    assert (not_ready.status_code, not_ready.headers["Retry-After"]) == (503, "5")
    assert "127.0.0.1" not in not_ready.text
