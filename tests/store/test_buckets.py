"""Token buckets: a minute's worth at once, then a steady rate; from several of them, all or nothing."""

from __future__ import annotations

import pytest
import redis
from hypothesis import given, settings
from hypothesis import strategies as st

from app.store import Store
from app.store.buckets import Bucket, Short
from app.store.connection import connect
from tests.store.steps import DECLARED, key, keys
from tests.support.gateway import Clock
from tests.support.processes import RedisServer

ONE = Bucket("one", 60)


def test_a_full_bucket_gives_a_minutes_worth_at_once(store: Store) -> None:
    assert [store.buckets.take([ONE]) for _ in range(61)] == [None] * 60 + [Short(ONE, 1.0)]


def test_it_fills_again_steadily(store: Store, clock: Clock) -> None:
    for _ in range(60):
        store.buckets.take([ONE])
    clock.advance(2.5)
    assert [store.buckets.take([ONE]) for _ in range(3)] == [None, None, Short(ONE, 0.5)]
    clock.advance(0.5)
    assert store.buckets.take([ONE]) is None


def test_one_that_is_full_is_forgotten(store: Store, client: redis.Redis) -> None:
    store.buckets.take([ONE])
    assert 0 < client.pttl(key("l", "one")) <= 1_000


def test_where_one_holds_too_little_nothing_is_taken_from_the_others(store: Store, client: redis.Redis) -> None:
    small = Bucket("small", 1, counted="limited:small")
    assert store.buckets.take([ONE, small]) is None
    before = client.get(key("l", "one"))
    assert [store.buckets.take([ONE, small]) for _ in range(3)] == [Short(small, 60.0)] * 3
    assert client.get(key("l", "one")) == before
    assert store.lanes.counts() == {"limited:small": 3}


def test_it_names_the_one_that_takes_longest(store: Store) -> None:
    buckets = [Bucket("a", 2, 2), Bucket("b", 1), Bucket("c", 100)]
    assert store.buckets.take(buckets) is None
    assert store.buckets.take(buckets) == Short(buckets[0], 60.0)


def test_what_costs_more_than_a_bucket_holds_takes_all_of_it(store: Store, clock: Clock) -> None:
    big = Bucket("one", 60, 1_000)
    assert store.buckets.take([big]) is None
    assert store.buckets.take([big]) == Short(big, 60.0)
    clock.advance(60)
    assert store.buckets.take([big]) is None


@pytest.mark.parametrize("back", [120, 86_400], ids=["two minutes", "a day"])
def test_a_clock_that_is_set_back_keeps_nobody_out_for_more_than_a_minute(
    store: Store, clock: Clock, back: int
) -> None:
    for _ in range(60):
        store.buckets.take([ONE])
    clock.advance(-back)
    assert store.buckets.take([ONE]) == Short(ONE, 1.0)


def test_a_bucket_leaves_no_other_key_behind(store: Store, client: redis.Redis) -> None:
    store.buckets.take([ONE])
    assert keys(client) == {*DECLARED, "l:one"}


@settings(deadline=None)
@given(
    a_minute=st.integers(1, 300),
    calls=st.lists(st.tuples(st.integers(0, 3_000), st.integers(1, 5)), max_size=40),
)
def test_it_never_gives_more_than_it_may(
    a_minute: int, calls: list[tuple[int, int]], redis_server: RedisServer
) -> None:
    clock = Clock()
    with connect(redis_server.url, timeout=5, name="buckets") as client:
        client.flushall()
        buckets, began, given_out = Store(client, clock=clock).buckets, clock(), 0
        for wait_ms, cost in calls:
            clock.now += wait_ms
            if buckets.take([Bucket("one", a_minute, cost)]) is None:
                given_out += min(cost, a_minute)
        assert given_out <= a_minute * (1 + (clock() - began) / 60_000) + 1e-3
