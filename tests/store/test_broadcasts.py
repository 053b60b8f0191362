"""Replies go before broadcasts, which keep their own order and get on all the same."""

from __future__ import annotations

import pytest
import redis
from msgspec.structs import replace

from app.core.acceptance import Acceptance, Entered
from app.core.work import Done, Retry, item_text
from app.store import Store
from app.store.limits import Limits
from tests.store.steps import ANN, BEN, SHOP, Drain, entry, item, key, queued, snapshot
from tests.support.gateway import Clock


def broadcast(store: Store, number: int, conversation: str = ANN) -> Entered:
    written = replace(entry(number, conversation, "outbound"), bulk=True)
    return store.mailboxes.accept(Acceptance(entry=written))


def reply(store: Store, number: int, conversation: str = ANN) -> Entered:
    return store.mailboxes.accept(Acceptance(entry=entry(number, conversation, "outbound")))


def test_replies_go_first_and_may_overtake_in_one_conversation(store: Store, clock: Clock) -> None:
    for number in (1, 2):
        broadcast(store, number)
        clock.advance(1)
    broadcast(store, 3, BEN)
    clock.advance(1)
    reply(store, 4), reply(store, 5)
    found = Drain(store, SHOP).finish()
    assert found[:2] == [item(4), item(5)]
    assert sorted(found[2:]) == [item(1), item(2), item(3)]
    assert found.index(item(1)) < found.index(item(2)), "its own order"


def test_a_reply_that_comes_meanwhile_is_next(store: Store) -> None:
    broadcast(store, 1), broadcast(store, 2, BEN)
    drain = Drain(store, SHOP)
    first = drain.claim()
    reply(store, 3)
    second = drain.step(Done(first))
    assert second is not None
    assert item_text(second.item) == item(3)
    assert drain.step(Done(second)) is not None


def test_one_of_ten_heads_is_a_broadcast_where_replies_are_always_due(store: Store) -> None:
    for number in range(3):
        broadcast(store, number, BEN)
    for number in range(100, 140):
        reply(store, number, f"shop/webchat:{number}")
    found = Drain(store, SHOP).finish()
    assert [place for place, one in enumerate(found) if one in (item(0), item(1), item(2))] == [9, 19, 29]


def test_it_wakes_its_lane_and_is_swept_as_others_are(store: Store, clock: Clock) -> None:
    assert [wake.lane for wake in broadcast(store, 1).wakes] == [SHOP]
    clock.advance(10)
    assert [wake.lane for wake in store.mailboxes.sweep()] == [SHOP], "a lost wake-up"
    Drain(store, SHOP, lease=5).claim()
    clock.advance(6)
    assert [wake.lane for wake in store.mailboxes.sweep()] == [SHOP], "its worker died"
    assert Drain(store, SHOP).finish() == [item(1)]


def test_a_time_slice_that_ends_tells_of_it(store: Store) -> None:
    broadcast(store, 1)
    drain = Drain(store, SHOP)
    drain.step(go_on=False)
    assert drain.worked.more


def test_one_that_failed_waits_for_its_time(store: Store, clock: Clock) -> None:
    broadcast(store, 1)
    drain = Drain(store, SHOP)
    assert drain.step(Retry(drain.claim(), due=5.0)) is None
    clock.advance(5)
    assert Drain(store, SHOP).finish() == [item(1)]


def test_one_that_failed_is_tried_again_by_the_same_drain_if_it_is_due_at_once(store: Store) -> None:
    """Though the lane had no others when it was looked at."""
    broadcast(store, 1)
    drain = Drain(store, SHOP)
    assert drain.step(Retry(drain.claim(), due=0.0)) is not None


def test_a_suspect_is_set_aside_among_the_broadcasts(store: Store, client: redis.Redis, clock: Clock) -> None:
    broadcast(store, 1)
    Drain(store, SHOP, lease=5).claim()
    clock.advance(6)
    store.mailboxes.sweep()
    assert Drain(store, SHOP).step(solitude="impossible") is None
    assert client.zscore(key("bulk", SHOP), f"{ANN}|bulk") == clock() + 1_000
    assert not client.exists(key("ready", SHOP))
    clock.advance(1)
    assert Drain(store, SHOP).finish() == [item(1)]


def test_the_lanes_rate_is_that_of_both(store: Store) -> None:
    for number in range(3):
        broadcast(store, number, f"shop/webchat:{number}")
        reply(store, number + 10, f"shop/webchat:{number}")
    found = Drain(store, SHOP, rate=4.0).finish()
    assert sorted(found)[1:] == [item(10), item(11), item(12)]
    assert len(found) == 4


@pytest.mark.parametrize("limits", [Limits(lane=4)])
def test_they_leave_half_of_the_lane_to_replies(store: Store) -> None:
    states = [broadcast(store, number, f"shop/webchat:{number}").state for number in range(3)]
    assert states == ["ok", "ok", "lane_full"]
    assert [reply(store, number + 10).state for number in range(3)] == ["ok", "ok", "lane_full"]


def test_one_is_called_off(store: Store, client: redis.Redis) -> None:
    broadcast(store, 1), broadcast(store, 2)
    done, _ = store.messages.cancel(ANN, [f"{1:032x}"], "canceled")
    assert done
    assert queued(client, f"{ANN}|bulk") == [item(2)]
    assert Drain(store, SHOP).finish() == [item(2)]


def test_a_dead_one_is_replayed_as_a_broadcast(store: Store) -> None:
    broadcast(store, 1)
    for _ in range(3):
        Drain(store, SHOP, lease=0.001).claim()
        store.connection.run("sweep", {"lease_ms": 0, "delay_ms": 0, "poll_ms": 0, "spare_ms": 0, "apart_ms": 0})
    assert Drain(store, SHOP).step() is None
    [letter] = store.dead_letters.newest()
    store.dead_letters.replay(letter.id)
    reply(store, 2)
    assert Drain(store, SHOP).finish() == [item(2), item(1)]


def test_the_lane_forgets_that_there_were_some(store: Store, client: redis.Redis) -> None:
    """So that it costs nothing any more."""
    broadcast(store, 1)
    Drain(store, SHOP).finish()
    assert client.hget(key("lane", SHOP), "bulk") is None


def test_a_lane_that_lost_its_count_finds_them_again(store: Store, client: redis.Redis, clock: Clock) -> None:
    broadcast(store, 1)
    client.hdel(key("lane", SHOP), "bulk")
    clock.advance(10)
    assert [wake.lane for wake in store.mailboxes.sweep()] == [SHOP]
    assert Drain(store, SHOP).finish() == [item(1)]


def test_a_lane_with_no_other_work_is_busy_once_it_is_declared(store: Store, client: redis.Redis, clock: Clock) -> None:
    broadcast(store, 1)
    client.delete(key("busy"))
    store.lanes.declare({f"outbound:shop{number}": None for number in range(1_000)} | {SHOP: None})
    clock.advance(10)
    assert [wake.lane for wake in store.mailboxes.sweep()] == [SHOP]


def test_they_are_seen_in_the_lane(store: Store, clock: Clock) -> None:
    broadcast(store, 1), reply(store, 2)
    found = store.lanes.state(SHOP, clock() / 1000)
    assert (found.waiting, found.ready) == (2, 2)


def test_a_clock_that_goes_back_does_not_hold_them_up(store: Store, clock: Clock) -> None:
    broadcast(store, 1)
    store.mailboxes.sweep()
    clock.advance(-120)
    store.mailboxes.sweep()
    assert Drain(store, SHOP).finish() == [item(1)]


def test_where_there_are_none_nobody_asks_for_them(store: Store, client: redis.Redis) -> None:
    for number in range(3):
        reply(store, number)
    Drain(store, SHOP).finish()
    assert not [name for name in snapshot(client) if name.startswith("bulk")]
