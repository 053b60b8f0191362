"""When a lane's pace changes, and what follows from it; the rule itself is tried in `test_pace.py`."""

from __future__ import annotations

import pytest

from app.core.lane import LaneEffect, Seen
from app.core.work import Claim, Done, Retry
from app.store import Store
from tests.store.steps import BOT, Drain, key, write
from tests.support.gateway import Clock

THROTTLED = LaneEffect("pause", 1.0, falls="throttled")
LATE = LaneEffect("sick", falls="timed_out")
WELL = Seen(0, 64, 200.0)


@pytest.fixture
def drains(store: Store) -> list[tuple[Drain, Claim]]:
    """Four heads at work in a lane with a pace of four, while many wait."""
    store.lanes.declare({BOT: None})
    store.connection.client.hdel(key("lane", BOT), "pace")
    wakes = [wake for number in range(40) for wake in write(store, number, f"shop/webchat:{number}").wakes]
    assert len(wakes) == 4
    begun = [Drain(store, token=wake.token) for wake in wakes]
    return [(drain, drain.claim()) for drain in begun]


def pace(store: Store, clock: Clock) -> int:
    return store.lanes.state(BOT, clock() / 1_000).pace


def test_it_rises_when_all_of_it_is_used_and_owes_as_many_drains_more(
    store: Store, clock: Clock, drains: list[tuple[Drain, Claim]]
) -> None:
    drain, claim = drains[0]
    assert drain.step(Done(claim), seen=WELL) is not None
    assert pace(store, clock) == 8
    assert len(drain.worked.wakes) >= 4


def test_it_stays_when_some_of_it_is_idle(store: Store, clock: Clock, drains: list[tuple[Drain, Claim]]) -> None:
    drain, claim = drains[0]
    drain.step(Done(claim), go_on=False)
    drain, claim = drains[1]
    drain.step(Done(claim), seen=WELL)
    assert pace(store, clock) == 4


@pytest.mark.parametrize("seen", [Seen(5, 64, 200.0), Seen(0, 1, 200.0)], ids=["of another turn", "too few calls"])
def test_it_stays_where_a_worker_has_seen_too_little(
    store: Store, clock: Clock, drains: list[tuple[Drain, Claim]], seen: Seen
) -> None:
    drain, claim = drains[0]
    drain.step(Done(claim), seen=seen)
    assert pace(store, clock) == 4


def test_many_that_are_throttled_at_once_make_it_fall_once(
    store: Store, clock: Clock, drains: list[tuple[Drain, Claim]]
) -> None:
    for drain, claim in drains:
        drain.step(Retry(claim, due=5.0, lane=THROTTLED), seen=WELL)
    assert pace(store, clock) == 3
    assert store.lanes.state(BOT, clock() / 1_000).fell_why == "throttled"


@pytest.mark.parametrize(("late", "left"), [(0.05, 4), (0.1, 3)])
def test_a_few_that_time_out_among_many_change_nothing(
    store: Store, clock: Clock, drains: list[tuple[Drain, Claim]], late: float, left: int
) -> None:
    drain, claim = drains[0]
    drain.step(Retry(claim, due=5.0, lane=LATE), seen=Seen(0, 64, 200.0, late))
    assert pace(store, clock) == left


def test_a_worker_without_a_thread_makes_it_fall_to_what_is_at_work(
    store: Store, clock: Clock, drains: list[tuple[Drain, Claim]]
) -> None:
    Drain(store, token="turned away").step(crowded=True)
    state = store.lanes.state(BOT, clock() / 1_000)
    assert (state.pace, state.fell_why) == (4, ""), "all of it is used"
    drain, claim = drains[0]
    drain.step(Done(claim), crowded=True)
    assert pace(store, clock) == 3


def test_a_breaker_that_opens_leaves_one(store: Store, clock: Clock, drains: list[tuple[Drain, Claim]]) -> None:
    for _ in range(2):
        for _drain, claim in drains:
            store.mailboxes.settle(Retry(claim, lane=LaneEffect("sick")))
        again = [(drain, drain.step()) for drain, _ in drains]
        drains = [(drain, claim) for drain, claim in again if claim]
    assert pace(store, clock) == 1


def test_a_cap_holds(store: Store, clock: Clock, drains: list[tuple[Drain, Claim]]) -> None:
    store.lanes.declare({BOT: 6})
    drain, claim = drains[0]
    drain.step(Done(claim), seen=WELL)
    assert pace(store, clock) == 6
