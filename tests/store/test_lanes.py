"""Lanes: breaker, pause and rate, each for one lane alone, and the cost of an idle tick."""

from __future__ import annotations

import pytest
import redis

from app.core.acceptance import Acceptance
from app.core.errors import StoreUnavailable
from app.core.lane import SILENT, LaneEffect
from app.core.work import Claim, Done, Retry
from app.store import Store
from app.store.connection import connect
from app.store.lanes import LaneState
from tests.store.conftest import opened
from tests.store.steps import ANN, BEN, BOT, DESK, LANES, SICK, Drain, declare, entry, item, key, lanes_of, write
from tests.support.gateway import Clock


def test_a_drain_that_nobody_is_on_the_way_for_is_owed_again_at_once(store: Store) -> None:
    wakes = write(store, 1).wakes
    assert (lanes_of(wakes), store.mailboxes.sweep()) == ([BOT], ())
    store.lanes.forget(wakes)
    assert lanes_of(store.mailboxes.sweep()) == [BOT]


def test_one_sweep_will_do_for_all_workers(store: Store, clock: Clock) -> None:
    store.mailboxes.sweep()
    store.lanes.forget(write(store, 1).wakes)
    clock.advance(0.2)
    assert () == store.mailboxes.sweep(apart=0.25)
    clock.advance(0.1)
    assert [BOT] == lanes_of(store.mailboxes.sweep(apart=0.25))


@pytest.mark.parametrize(("back", "spare"), [(60, 0.0), (0, 5.0)], ids=["the clock went back", "leases are spared"])
def test_a_sweep_that_has_more_to_do_is_made_in_any_case(store: Store, clock: Clock, back: int, spare: float) -> None:
    wakes = write(store, 1).wakes
    store.mailboxes.sweep()
    store.lanes.forget(wakes)
    clock.advance(-back)
    assert [BOT] == lanes_of(store.mailboxes.sweep(spare, apart=0.25))


class TestBreaker:
    def test_it_opens_after_five_failures_and_rests_the_lane(self, store: Store, clock: Clock) -> None:
        for number in range(5):
            write(store, number, f"shop/webchat:{number}")
            assert store.lanes.state(BOT, clock() / 1_000).paused_for == 0
            fail(store, due=60)

        state = store.lanes.state(BOT, clock() / 1_000)
        assert (state.paused_for, state.paused_why) == (5.0, "unavailable: no answer")
        write(store, 9, BEN)
        assert Drain(store).step() is None
        assert store.mailboxes.sweep() == ()

    def test_a_success_in_between_begins_the_count_anew(self, store: Store, clock: Clock) -> None:
        for number in range(8):
            write(store, number, f"shop/webchat:{number}")
            if number == 4:
                Drain(store).finish()
            else:
                fail(store, due=60)
        assert store.lanes.state(BOT, clock() / 1_000).paused_for == 0

    def test_while_it_is_open_no_attempts_are_spent(self, store: Store, clock: Clock) -> None:
        open_breaker(store, clock)
        for _ in range(3):
            attempt = fail(store).attempt
            clock.advance(60)
        assert attempt == 1

    def test_one_probe_at_a_time_is_let_through(self, store: Store, clock: Clock) -> None:
        open_breaker(store, clock)
        write(store, 1, ANN), write(store, 2, BEN)
        Drain(store, token="failing").claim()

        assert Drain(store, token="other").step() is None
        assert store.mailboxes.sweep() == (), "nobody is sent for nothing"

    def test_a_probe_whose_worker_died_makes_room_for_another(self, store: Store, clock: Clock) -> None:
        open_breaker(store, clock)
        write(store, 1)
        Drain(store, token="failing").claim()
        clock.advance(30)
        assert Drain(store, token=store.mailboxes.sweep()[0].token).step() is not None

    def test_it_closes_with_the_first_success(self, store: Store, clock: Clock) -> None:
        open_breaker(store, clock)
        for number, conversation in enumerate([ANN, BEN]):
            write(store, number, conversation)
        probe = Drain(store, token="failing")
        assert probe.step(Done(probe.claim())) is not None
        assert store.connection.client.hget(key("lane", BOT), "opened") is None

    def test_each_probe_that_fails_doubles_the_rest_up_to_eight_seconds(self, store: Store, clock: Clock) -> None:
        open_breaker(store, clock)
        rests = []
        for _ in range(6):
            fail(store)
            rests.append(store.lanes.state(BOT, clock() / 1_000).paused_for)
            clock.advance(rests[-1])
        assert rests == [8, 8, 8, 8, 8, 8]

    def test_attempts_that_began_before_it_opened_do_not_make_the_rest_longer(self, store: Store, clock: Clock) -> None:
        drains = [Drain(store, token=f"drain {number}") for number in range(8)]
        claims = []
        for number, drain in enumerate(drains):
            write(store, number, f"shop/webchat:{number}")
            claims.append(drain.claim())
        for claim in claims:
            store.mailboxes.settle(Retry(claim, lane=SICK))
        assert store.lanes.state(BOT, clock() / 1_000).paused_for == 5

    def test_an_attempt_that_began_before_it_opened_does_not_let_a_second_probe_through(
        self, store: Store, clock: Clock
    ) -> None:
        write(store, 1, ANN)
        early = Drain(store, token="early", lease=600).claim()
        open_breaker(store, clock)
        Drain(store, token="failing").claim()
        store.mailboxes.settle(Retry(early, lane=SILENT))
        assert Drain(store, token="other").step() is None

    def test_it_is_one_lanes_own(self, store: Store, clock: Clock) -> None:
        open_breaker(store, clock)
        fail(store)
        write(store, 1, lane=DESK)
        assert Drain(store, DESK).finish() == [item(1)]


class TestPause:
    def test_the_lane_rests_as_long_as_it_was_asked_to(self, store: Store, clock: Clock) -> None:
        write(store, 1), write(store, 2, BEN)
        drain = Drain(store)
        claim = drain.claim()
        assert drain.step(throttled(claim, 7)) is None
        assert store.lanes.state(BOT, clock() / 1_000).paused_for == 7
        assert write(store, 3, "shop/webchat:cy").wakes == ()

        clock.advance(6.999)
        assert store.mailboxes.sweep() == ()
        clock.advance(0.001)
        assert lanes_of(store.mailboxes.sweep()) == [BOT] * 3
        assert len(Drain(store).finish()) == 3

    def test_it_costs_the_message_no_attempt(self, store: Store, clock: Clock) -> None:
        write(store, 1)
        for _ in range(4):
            claim = Drain(store).claim()
            store.mailboxes.settle(throttled(claim, 1))
            clock.advance(1)
        assert claim.attempt == 1

    def test_a_shorter_one_does_not_cut_it_short(self, store: Store, clock: Clock) -> None:
        for seconds, conversation in ((60, ANN), (1, BEN)):
            write(store, seconds, conversation)
        claims = [Drain(store, token=token).claim() for token in ("one", "two")]
        for claim, seconds in zip(claims, (60, 1), strict=True):
            store.mailboxes.settle(throttled(claim, seconds))
        assert store.lanes.state(BOT, clock() / 1_000).paused_for == 60

    def test_neither_another_drains_success_nor_the_breaker_cuts_it_short(self, store: Store, clock: Clock) -> None:
        for number in range(8):
            write(store, number, f"shop/webchat:{number}")
        first, *others = [Drain(store, token=f"drain {number}").claim() for number in range(8)]
        store.mailboxes.settle(throttled(first, 60))
        for claim in others:
            store.mailboxes.settle(Retry(claim, lane=SICK))
        assert store.lanes.state(BOT, clock() / 1_000).paused_for == 60

        write(store, 9, lane=DESK)
        fail(store, DESK)
        for number in (10, 11):
            write(store, number, f"shop/webchat:{number}", lane=DESK)
        one, two = (Drain(store, DESK, token=token).claim() for token in ("one", "two"))
        store.mailboxes.settle(throttled(one, 60))
        store.mailboxes.settle(Done(two))
        assert store.lanes.state(DESK, clock() / 1_000).paused_for == 60


class TestRate:
    def test_no_more_calls_are_made_than_the_bucket_holds(self, store: Store) -> None:
        for number in range(5):
            write(store, number, f"shop/webchat:{number}")
        assert len(Drain(store, rate=3).finish()) == 3

    def test_it_fills_again_with_time(self, store: Store, clock: Clock) -> None:
        for number in range(20):
            write(store, number, f"shop/webchat:{number}")
        worked = []
        for _ in range(8):
            worked.append(len(Drain(store, rate=3).finish()))
            clock.advance(0.5)
        assert sum(worked) == 3 + int(3 * 0.5 * 7), "a burst and what seven half seconds gave"

    def test_a_slow_lane_may_call_less_than_once_a_second(self, store: Store, clock: Clock) -> None:
        for number in range(3):
            write(store, number, f"shop/webchat:{number}")
        drain = Drain(store, rate=0.25)
        assert len(drain.finish()) == 1
        assert store.lanes.state(BOT, clock() / 1_000) == LaneState(BOT, 2, 2, 0, 4.0, "rate", pace=50)
        clock.advance(3.999)
        assert drain.finish() == []
        clock.advance(0.001)
        assert len(drain.finish()) == 1

    def test_it_never_holds_more_than_a_second_gives(self, store: Store, clock: Clock) -> None:
        for number in range(9):
            write(store, number, f"shop/webchat:{number}")
        Drain(store, rate=2).finish()
        clock.advance(3_600)
        assert len(Drain(store, rate=2).finish()) == 2

    def test_a_lane_that_waits_for_it_is_woken_afterwards(self, store: Store, clock: Clock) -> None:
        write(store, 1)
        for _ in range(2):
            Drain(store, rate=1).finish()
            write(store, 2, BEN)
        assert store.mailboxes.sweep() == ()
        clock.advance(6)
        assert lanes_of(store.mailboxes.sweep()) == [BOT]


class TestView:
    def test_it_shows_what_waits_and_what_is_worked(self, store: Store, clock: Clock) -> None:
        for number, conversation in enumerate([ANN, ANN, BEN]):
            write(store, number, conversation)
        Drain(store).claim()
        overview = {state.name: state for state in store.lanes.overview(clock() / 1_000)}
        assert set(overview) == set(LANES)
        assert overview[BOT] == LaneState(BOT, waiting=3, ready=1, leased=1, paused_for=0, paused_why="", pace=50)
        assert overview[DESK] == LaneState(DESK, waiting=0, ready=0, leased=0, paused_for=0, paused_why="", pace=50)

    def test_it_counts_what_is_no_message(self, store: Store) -> None:
        for what in ("ignored:shop:poll", "ignored:shop:poll", "ignored:desk:note"):
            store.lanes.count(what)
        assert store.lanes.counts() == {"ignored:desk:note": 1, "ignored:shop:poll": 2}

    def test_a_limit_may_be_changed(self, store: Store) -> None:
        store.lanes.declare({BOT: 1})
        owed = [write(store, number, f"shop/webchat:{number}").wakes for number in range(2)]
        store.lanes.declare({BOT: 3})
        owed.append(write(store, 2, "shop/webchat:2").wakes)
        assert [len(wakes) for wakes in owed] == [1, 0, 1]

    @pytest.mark.parametrize("cap", [1, 4, 5])
    def test_a_limit_may_be_taken_away(self, cap: int, store: Store, client: redis.Redis) -> None:
        store.lanes.declare({BOT: cap})
        assert str(cap) == client.hget(key("lane", BOT), "cap")
        for _ in range(2):
            store.lanes.declare({BOT: None})
            assert not client.hexists(key("lane", BOT), "cap")

    def test_lanes_without_a_limit_are_declared_again_for_next_to_nothing(
        self, real_store: Store, redis_client: redis.Redis
    ) -> None:
        lanes = {f"inbound:{number}": None for number in range(195)}
        real_store.lanes.declare(lanes)
        before = redis_client.info("commandstats")["cmdstat_hdel"]["calls"]
        real_store.lanes.declare(lanes)
        assert before == redis_client.info("commandstats")["cmdstat_hdel"]["calls"]

    def test_a_store_that_answers_is_alive(self, store: Store) -> None:
        store.lanes.ping()

    def test_a_store_out_of_reach_is_said_to_be(self) -> None:
        away = connect("redis://127.0.0.1:1/0", timeout=0.5, name="tests")
        with pytest.raises(StoreUnavailable):
            opened(away, None, None)


class TestSweep:
    def test_it_frees_what_many_dead_workers_held_in_a_few_ticks(self, store: Store, clock: Clock) -> None:
        declare(store, {BOT: 1_000})
        for number in range(250):
            write(store, number, f"shop/webchat:{number}")
            Drain(store, token=f"drain {number}").claim()
        clock.advance(30)
        freed = []
        for _ in range(3):
            store.mailboxes.sweep()
            freed.append(store.lanes.state(BOT, 0).ready)
        assert freed == [100, 200, 250]

    def test_it_sends_few_drains_at_a_time(self, store: Store, clock: Clock) -> None:
        store.lanes.declare({BOT: 8})
        for number in range(100):
            write(store, number, f"shop/webchat:{number}")
        clock.advance(5)
        assert [len(store.mailboxes.sweep()) for _ in range(4)] == [4, 4, 0, 0]

    def test_idle_lanes_cost_nothing(self, real_store: Store, redis_client: redis.Redis) -> None:
        def commands() -> int:
            stats = redis_client.info("commandstats")
            return sum(stats[name]["calls"] for name in stats if name.startswith("cmdstat_z"))

        real_store.lanes.declare({f"inbound:{number}": 10 for number in range(195)})
        before = commands()
        assert real_store.mailboxes.sweep() == ()
        assert commands() == before + 2  # are there chats to look at, now or ever?


def throttled(claim: Claim, seconds: float) -> Retry:
    return Retry(claim, due=seconds, counts=False, lane=LaneEffect("pause", seconds, "throttled: "), reason="throttled")


def fail(store: Store, lane: str = BOT, due: float = 0.0) -> Claim:
    """Claim one and fail at it as a sick platform makes it."""
    claim = Drain(store, lane, token="failing").claim()
    store.mailboxes.settle(Retry(claim, due=due, lane=LaneEffect("sick", why="unavailable: no answer")))
    return claim


def open_breaker(store: Store, clock: Clock) -> None:
    """Five failures of a message that is then worked by nobody, and the rest that follows is over."""
    for number in range(5):
        store.mailboxes.accept(Acceptance(entry=entry(1_000 + number, f"shop/webchat:opener-{number}")))
        fail(store, due=3_600 if number else 0)
    clock.advance(5)
