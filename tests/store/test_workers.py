"""Signs of life of workers."""

from __future__ import annotations

import pytest
import redis

from app.core.errors import StoreUnavailable
from app.store import Store
from app.store.workers import ALIVE_FOR, WorkerState


def test_who_shows_a_sign_of_life_is_there_with_its_lanes(store: Store) -> None:
    assert store.workers.alive() == []
    store.workers.beat("b@host", ["inbound:helper"])
    store.workers.beat("a@host", ["inbound:helper", "outbound:shop"])
    store.workers.beat("a@host", ["inbound:helper", "outbound:shop"])
    assert store.workers.alive() == [
        WorkerState("a@host", ("inbound:helper", "outbound:shop")),
        WorkerState("b@host", ("inbound:helper",)),
    ]


def test_one_that_begins_anew_with_other_lanes_is_known_by_these(store: Store) -> None:
    store.workers.beat("a@host", ["inbound:helper"])
    store.workers.beat("a@host", ["inbound:desk"])
    assert store.workers.alive() == [WorkerState("a@host", ("inbound:desk",))]


def test_who_ends_is_gone_at_once(store: Store) -> None:
    store.workers.beat("a@host", ["inbound:helper"])
    store.workers.beat("b@host", ["inbound:helper"])
    store.workers.leave("a@host")
    assert [worker.name for worker in store.workers.alive()] == ["b@host"]


def test_who_was_killed_is_gone_after_a_while_and_forgotten(store: Store, client: redis.Redis) -> None:
    store.workers.beat("a@host", ["inbound:helper"])
    assert 0 < client.ttl("{patchbay}:worker:a@host") <= ALIVE_FOR
    client.delete("{patchbay}:worker:a@host")  # as its time does
    assert store.workers.alive() == []
    assert not client.exists("{patchbay}:workers")


def test_who_lives_on_is_there_although_it_was_forgotten_in_between(store: Store, client: redis.Redis) -> None:
    store.workers.beat("a@host", [])
    client.srem("{patchbay}:workers", "a@host")
    store.workers.beat("a@host", [])
    assert [worker.name for worker in store.workers.alive()] == ["a@host"]


def test_in_a_full_redis_who_was_there_stays(real_store: Store, redis_client: redis.Redis) -> None:
    real_store.workers.beat("a@host", [])
    redis_client.expire("{patchbay}:worker:a@host", 1)
    redis_client.config_set("maxmemory", 1)
    try:
        with pytest.raises(StoreUnavailable):
            real_store.workers.beat("a@host", [])
        assert redis_client.ttl("{patchbay}:worker:a@host") > 1
        assert [worker.name for worker in real_store.workers.alive()] == ["a@host"]
    finally:
        redis_client.config_set("maxmemory", 0)
