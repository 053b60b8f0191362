"""What many tests share: a real Redis server of their own, and recorders in place of the outside world."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import redis

from app.store.connection import connect
from tests.support.processes import RedisServer


@pytest.fixture(scope="session")
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """A Redis server on a free loopback port, started once and ended with the tests."""
    server = RedisServer(tmp_path_factory.mktemp("redis"))
    server.start()
    yield server
    server.stop()


@pytest.fixture
def redis_client(redis_server: RedisServer) -> Iterator[redis.Redis]:
    """A client on an empty database."""
    client = connect(redis_server.url, timeout=5, name="tests")
    client.flushall()
    yield client
    client.close()
