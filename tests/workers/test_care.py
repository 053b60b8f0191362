"""What workers look after beside their work."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import redis
from structlog.testing import capture_logs

from app.store.connection import connect
from tests.support.gateway import gateway
from tests.support.processes import RedisServer
from workers.care import look_after


@pytest.fixture
def evicting(tmp_path: Path) -> Iterator[redis.Redis]:
    server = RedisServer(tmp_path, "no", "--maxmemory-policy", "volatile-lru")
    server.start()
    with connect(server.url, timeout=5, name="tests") as client:
        yield client
    server.stop()


def test_dead_letters_beyond_the_bound_go_and_it_is_said(
    redis_client: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.store.dead_letters.MAX_TRIMMED", 2)
    built = gateway(redis_client, gateway={"dead_letter_limit": 2})
    for name in ("shop", "shop", "shop", "desk", "shop", "shop"):
        built.store.dead_letters.keep_webhook("{}", name, "unexpected", "")
    with capture_logs() as lines:
        look_after(built)
    assert [(line["event"], line["lane"], line["count"]) for line in lines] == [
        ("dead letters forgotten", "shop", 2),
        ("dead letters forgotten", "shop", 1),
    ]
    assert built.store.dead_letters.count() == 3
    assert built.store.lanes.counts() == {"forgotten:shop": 3}


def test_a_redis_that_throws_messages_away_is_said(evicting: redis.Redis) -> None:
    with capture_logs() as lines:
        look_after(gateway(evicting))
    assert [line["event"] for line in lines] == ["Redis is not fit"]
    assert "volatile-lru" in lines[0]["error"]
    with capture_logs() as lines:
        look_after(gateway(evicting, gateway__redis_checks={"eviction": "off"}))
    assert lines == []
