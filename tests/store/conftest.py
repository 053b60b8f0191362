"""The store on a real Redis and on fakeredis, on a clock that the test moves."""

from __future__ import annotations

from collections.abc import Iterator

import fakeredis
import pytest
import redis

from app.store import Store
from app.store.connection import connect
from app.store.limits import Limits
from tests.store.steps import LANES
from tests.support.gateway import Clock
from tests.support.processes import RedisServer


@pytest.fixture(params=["redis", "fakeredis"])
def client(request: pytest.FixtureRequest) -> redis.Redis:
    """Both servers must give the same answers."""
    if request.param == "fakeredis":
        return fakeredis.FakeRedis(server=fakeredis.FakeServer(version=(7,)), protocol=2, decode_responses=True)
    found: redis.Redis = request.getfixturevalue("redis_client")
    return found


@pytest.fixture(scope="module")
def machine_client(redis_server: RedisServer) -> Iterator[redis.Redis]:
    """For state machines, which empty it themselves."""
    with connect(redis_server.url, timeout=5, name="machine") as client:
        yield client


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def limits() -> Limits:
    """Overridden by parametrising `limits` directly."""
    return Limits()


@pytest.fixture
def store(client: redis.Redis, limits: Limits, clock: Clock) -> Store:
    return opened(client, limits, clock)


@pytest.fixture
def real_store(redis_client: redis.Redis, limits: Limits, clock: Clock) -> Store:
    """For what only a real server does: threads, full memory."""
    return opened(redis_client, limits, clock)


def opened(client: redis.Redis, limits: Limits | None, clock: Clock | None) -> Store:
    store = Store(client, limits, clock)
    store.lanes.declare(LANES)
    return store
