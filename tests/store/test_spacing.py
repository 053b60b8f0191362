"""One conversation gets so many messages a second; the others do not wait for it."""

from __future__ import annotations

import redis

from app.core.work import Retry
from app.store import Store
from tests.store.steps import ANN, BEN, SHOP, Drain, append, item, keys, queued, write
from tests.store.test_broadcasts import broadcast, reply
from tests.support.gateway import Clock


def drain(store: Store, each: float = 1.0, rate: float = 0.0) -> list[str]:
    return Drain(store, SHOP, rate=rate, rate_each=each).finish()


def test_one_conversation_has_one_a_second_and_others_do_not_wait(store: Store, clock: Clock) -> None:
    for number in (1, 2, 3):
        reply(store, number)
    reply(store, 4, BEN)
    assert sorted(drain(store)) == [item(1), item(4)]
    clock.advance(0.999)
    assert drain(store) == []
    clock.advance(0.001)
    assert drain(store) == [item(2)]
    clock.advance(1)
    assert drain(store) == [item(3)], "in their order"


def test_it_counts_from_the_last_though_nothing_waits(store: Store, clock: Clock) -> None:
    reply(store, 1)
    assert drain(store) == [item(1)]
    reply(store, 2)
    clock.advance(0.5)
    assert drain(store) == []
    clock.advance(0.5)
    assert drain(store) == [item(2)]


def test_several_a_second_may_come_at_once(store: Store, clock: Clock) -> None:
    for number in range(8):
        reply(store, number)
    found = [len(drain(store, 3.0))]
    for _ in range(3):
        clock.advance(0.5)
        found.append(len(drain(store, 3.0)))
    assert (found[0], sum(found)) == (3, 3 + int(1.5 * 3))


def test_less_than_one_a_second(store: Store, clock: Clock) -> None:
    reply(store, 1), reply(store, 2)
    assert drain(store, 0.1) == [item(1)]
    clock.advance(9.999)
    assert drain(store, 0.1) == []
    clock.advance(0.001)
    assert drain(store, 0.1) == [item(2)]


def test_broadcasts_count_with_the_replies(store: Store, clock: Clock) -> None:
    broadcast(store, 1), reply(store, 2)
    assert drain(store) == [item(2)]
    clock.advance(1)
    assert drain(store) == [item(1)]


def test_a_further_try_counts(store: Store, clock: Clock) -> None:
    reply(store, 1)
    one = Drain(store, SHOP, rate_each=1.0)
    assert one.step(Retry(one.claim(), due=0.0)) is None
    clock.advance(1)
    assert drain(store) == [item(1)]


def test_a_suspect_that_is_set_aside_does_not(store: Store, clock: Clock) -> None:
    reply(store, 1)
    Drain(store, SHOP, lease=5, rate_each=0.1).claim()
    clock.advance(11)
    store.mailboxes.sweep()
    assert Drain(store, SHOP, rate_each=0.1).step(solitude="impossible") is None
    clock.advance(1)
    assert drain(store, 0.1) == [item(1)]


def test_what_is_no_message_does_not(store: Store) -> None:
    for number in range(3):
        append(store, ANN, "outbound", SHOP, f"typing @{number}")
    assert len(drain(store)) == 3


def test_who_must_wait_costs_the_lane_no_call(store: Store) -> None:
    reply(store, 1), reply(store, 2)
    assert drain(store, rate=2.0) == [item(1)]
    reply(store, 3, BEN)
    assert drain(store, rate=2.0) == [item(3)], "the second call is still there"


def test_both_directions_count_by_themselves(store: Store) -> None:
    write(store, 1), reply(store, 2)
    assert Drain(store, rate_each=1.0).finish() == [item(1)]
    assert drain(store) == [item(2)]


def test_the_tick_wakes_whoever_waited(store: Store, client: redis.Redis, clock: Clock) -> None:
    (wake,) = reply(store, 1).wakes
    reply(store, 2)
    Drain(store, SHOP, wake.token, rate_each=1.0).finish()
    assert store.mailboxes.sweep() == ()
    clock.advance(1)
    assert [wake.lane for wake in store.mailboxes.sweep()] == [SHOP]
    assert queued(client, f"{ANN}|outbound") == [item(2)]


def test_a_clock_that_goes_back_does_not_hold_it_up(store: Store, clock: Clock) -> None:
    reply(store, 1)
    drain(store)
    store.mailboxes.sweep()
    clock.advance(-120)
    store.mailboxes.sweep()
    reply(store, 2), reply(store, 3)
    assert drain(store) == [item(2)]
    clock.advance(1)
    assert drain(store) == [item(3)], "and from then on it counts"


def test_without_it_no_key_is_written(store: Store, client: redis.Redis) -> None:
    reply(store, 1)
    drain(store, 0.0)
    assert not keys(client, "next:*")
