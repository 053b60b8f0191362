"""Redis's clock is set back by two minutes or a day: nothing waits for the time to come again."""

from __future__ import annotations

from typing import Literal

import pytest
import redis

from app.core.acceptance import Place
from app.core.lane import SILENT, LaneEffect
from app.core.session import Session
from app.core.work import Done, Retry, SessionChange
from app.store import Store
from app.store.limits import Limits
from tests.store.steps import ANN, BEN, BOT, DESK, SICK, Drain, item, key, lanes_of, write
from tests.support.gateway import Clock

LEASE = 30.0
DAY = 86_400
LIMITS = Limits(max_lease=LEASE, max_delay=3_600.0, max_poll=3_600.0)  # as they are where nothing says otherwise

pytestmark = [
    pytest.mark.parametrize("limits", [LIMITS], ids=["usual"]),
    pytest.mark.parametrize("back", [120, DAY], ids=["two minutes", "a day"]),
]


def set_back(store: Store, clock: Clock, seconds: int) -> None:
    """Between one tick and the next one."""
    store.mailboxes.sweep()
    clock.advance(-seconds)


def test_what_was_due_is_due(store: Store, clock: Clock, back: int) -> None:
    write(store, 1)
    set_back(store, clock, back)
    clock.advance(5)  # the wake-up of before is lost
    assert lanes_of(store.mailboxes.sweep()) == [BOT]
    assert Drain(store).finish() == [item(1)]


def test_what_came_just_before_is_not_left_behind(store: Store, clock: Clock, back: int) -> None:
    write(store, 1)
    Drain(store).finish()
    store.mailboxes.sweep()
    clock.advance(0.4)  # the next one did not come before
    write(store, 2, BEN)
    clock.advance(-back)
    store.mailboxes.sweep()
    clock.advance(1)
    store.mailboxes.sweep()
    assert Drain(store, token="other").finish() == [item(2)]


def test_a_retry_is_as_late_as_it_would_have_been(store: Store, clock: Clock, back: int) -> None:
    for number in (1, 2):
        write(store, number, f"shop/webchat:{number}")
        store.mailboxes.settle(Retry(Drain(store).claim(), due=20 * number, lane=SILENT))
    set_back(store, clock, back)
    store.mailboxes.sweep()
    for number in (1, 2):
        clock.advance(19)
        assert Drain(store).step() is None
        clock.advance(1)
        store.mailboxes.sweep()
        assert Drain(store, token="other").finish() == [item(number)]


@pytest.mark.parametrize("busy", [True, False], ids=["while others wait", "and nobody waits"])
def test_a_pause_is_as_long_as_it_would_have_been(store: Store, clock: Clock, back: int, busy: bool) -> None:
    write(store, 1)
    effect = LaneEffect("pause", 2)
    claim = Drain(store).claim()
    store.mailboxes.settle(Retry(claim, lane=effect) if busy else Done(claim, lane=effect))
    set_back(store, clock, back)
    write(store, 2, BEN)
    store.mailboxes.sweep()
    assert Drain(store).step() is None
    clock.advance(2)
    store.mailboxes.sweep()
    assert Drain(store, token="other").step() is not None


def test_a_lane_goes_on_at_its_rate(store: Store, clock: Clock, back: int) -> None:
    for number in range(3):
        write(store, number, f"shop/webchat:{number}")
    assert len(Drain(store, rate=1).finish()) == 1
    set_back(store, clock, back)
    store.mailboxes.sweep()
    clock.advance(2)
    store.mailboxes.sweep()
    assert len(Drain(store, rate=1, token="other").finish()) == 1


def test_a_poll_is_as_late_as_it_would_have_been(store: Store, clock: Clock, back: int) -> None:
    write(store, 1, lane=DESK)
    claim = Drain(store, DESK).claim()
    session = SessionChange(Session("desk", handles={"chat": "CH"}))
    store.mailboxes.settle(Done(claim, session=session, poll_in=20))
    set_back(store, clock, back)
    store.mailboxes.sweep()
    clock.advance(20)
    store.mailboxes.sweep()
    assert Drain(store, DESK).finish() == ["check"]


def test_a_retry_is_at_most_as_late_as_it_may_be(store: Store, clock: Clock, back: int) -> None:
    write(store, 1)
    store.mailboxes.settle(Retry(Drain(store).claim(), due=20, lane=SILENT))
    set_back(store, clock, back)
    store.mailboxes.sweep()
    clock.advance(LIMITS.max_delay)
    store.mailboxes.sweep()
    assert Drain(store).finish() == [item(1)]


def test_what_a_dead_worker_held_is_free_within_a_lease(
    store: Store, client: redis.Redis, clock: Clock, back: int
) -> None:
    write(store, 1)
    claim = Drain(store, lease=LEASE).claim()
    set_back(store, clock, back)
    store.mailboxes.sweep()
    assert client.zscore(key("leased", BOT), claim.mailbox) == clock() + LEASE * 1_000, "it may still be at work"
    clock.advance(LEASE)
    store.mailboxes.sweep()
    assert Drain(store, token="other").claim().attempt == 2


def test_a_worker_that_lives_settles_what_it_holds(store: Store, clock: Clock, back: int) -> None:
    write(store, 1)
    claim = Drain(store, lease=LEASE).claim()
    set_back(store, clock, back)
    store.mailboxes.sweep()
    assert not store.mailboxes.settle(Done(claim)).stale


@pytest.mark.parametrize("effect", ["pause", "sick"])
def test_a_lane_rests_no_longer_than_it_may(
    store: Store, clock: Clock, back: int, effect: Literal["pause", "sick"]
) -> None:
    for number in range(5):
        write(store, number, f"shop/webchat:{number}")
        settlement = Retry(Drain(store).claim(), due=1, lane=LaneEffect(effect, 20))
        store.mailboxes.settle(settlement)
        clock.advance(20 if effect == "pause" and number < 4 else 0)
    assert store.lanes.state(BOT, clock() / 1_000).paused_for > 0
    set_back(store, clock, back)
    store.mailboxes.sweep()
    clock.advance(LIMITS.max_delay)
    assert Drain(store, token=store.mailboxes.sweep()[0].token).step() is not None


def test_a_pause_that_was_over_is_over(store: Store, clock: Clock, back: int) -> None:
    write(store, 1)
    store.mailboxes.settle(Retry(Drain(store).claim(), lane=LaneEffect("pause", 20)))
    clock.advance(20)
    set_back(store, clock, back)
    store.mailboxes.sweep()
    assert Drain(store).finish() == [item(1)]


def test_a_probe_that_died_makes_room_within_a_lease(store: Store, clock: Clock, back: int) -> None:
    for number in range(5):
        write(store, number, f"shop/webchat:{number}")
        store.mailboxes.settle(Retry(Drain(store).claim(), lane=SICK))
    clock.advance(5)
    Drain(store, lease=LEASE).claim()
    set_back(store, clock, back)
    store.mailboxes.sweep()
    clock.advance(LEASE + LIMITS.max_delay)
    assert Drain(store, token=store.mailboxes.sweep()[0].token).step() is not None


def test_drains_of_the_time_before_do_not_keep_others_away(store: Store, clock: Clock, back: int) -> None:
    store.lanes.declare({BOT: 1})
    write(store, 1)  # its wake-up is lost
    set_back(store, clock, back)
    store.mailboxes.sweep()
    write(store, 2, BEN)
    clock.advance(LEASE)
    assert lanes_of(store.mailboxes.sweep()) == [BOT]


def test_a_rate_goes_on_as_before(store: Store, clock: Clock, back: int) -> None:
    for number in range(9):
        write(store, number, f"shop/webchat:{number}")
    assert len(Drain(store, rate=2).finish()) == 2
    set_back(store, clock, back)
    clock.advance(1)
    store.mailboxes.sweep()
    Drain(store, rate=2).finish()
    clock.advance(1)
    store.mailboxes.sweep()
    assert len(Drain(store, rate=2).finish()) == 2


def test_a_chat_is_looked_at_when_it_may_be_at_the_latest(store: Store, clock: Clock, back: int) -> None:
    write(store, 1, lane=DESK)
    claim = Drain(store, DESK).claim()
    session = SessionChange(Session("desk", handles={"chat": "CH"}))
    store.mailboxes.settle(Done(claim, session=session, poll_in=200))
    set_back(store, clock, back)
    store.mailboxes.sweep()
    clock.advance(LIMITS.max_poll)
    store.mailboxes.sweep()
    assert Drain(store, DESK).finish() == ["check"]


def test_more_than_one_sweep_can_bring_back_are_brought_back(
    store: Store, client: redis.Redis, clock: Clock, back: int
) -> None:
    client.zadd(key("ready", BOT), {f"shop/webchat:{number}|inbound": clock() for number in range(2_500)})
    client.sadd(key("busy"), BOT)
    set_back(store, clock, back)
    for _ in range(3):
        store.mailboxes.sweep()
    assert client.zcount(key("ready", BOT), clock() + 1, "+inf") == 0


def test_what_is_due_later_stays_so_while_the_clock_goes_on(
    store: Store, client: redis.Redis, clock: Clock, back: int
) -> None:
    write(store, 1)
    store.mailboxes.settle(Retry(Drain(store).claim(), due=back % 50, lane=SILENT))
    store.mailboxes.changed(ANN, Place("desk:CH", DESK))
    due = client.zscore(key("ready", BOT), f"{ANN}|inbound")
    for _ in range(5):
        store.mailboxes.sweep()
        clock.advance(1)
    assert client.zscore(key("ready", BOT), f"{ANN}|inbound") == due
