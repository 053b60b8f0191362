"""Accept, claim, settle: the interleavings that the engine notes name, one by one."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from itertools import count

import pytest
import redis

from app.core.acceptance import Place, Responder
from app.core.errors import StoreUnavailable
from app.core.lane import SILENT
from app.core.session import Session
from app.core.work import Achieved, Behind, Claim, Dead, Done, Outcome, Reroute, Retry, SessionChange, item_text
from app.store import Store
from app.store.limits import Limits
from tests.store.steps import (
    ANN,
    BEN,
    BOT,
    DECLARED,
    DESK,
    SHOP,
    SICK,
    Drain,
    append,
    entry,
    item,
    items,
    key,
    keys,
    lanes_of,
    queued,
    snapshot,
    write,
)
from tests.support.gateway import Clock

CAL = "shop/webchat:cal"
ANN_IN, BEN_IN, ANN_OUT = f"{ANN}|inbound", f"{BEN}|inbound", f"{ANN}|outbound"
SMALL = pytest.mark.parametrize("limits", [Limits(mailbox=2, lane=3)], ids=["small"])


class TestAccepting:
    def test_a_message_is_recorded_queued_and_owes_a_wake_up(self, store: Store, client: redis.Redis) -> None:
        entered = write(store, 1)

        assert (entered.state, entered.message_id) == ("ok", f"{1:032x}")
        assert lanes_of(entered.wakes) == [BOT]
        assert queued(client, ANN_IN) == [item(1)]
        record = store.messages.read(entered.message_id)
        assert record is not None
        assert (record.message, record.status) == (entry(1).message, "queued")

    def test_the_second_of_the_same_external_id_is_told_the_first_ones_id(
        self, store: Store, client: redis.Redis
    ) -> None:
        write(store, 1)
        before = snapshot(client)
        entered = write(store, 2, scope="shop:inbound:1")

        assert (entered.state, entered.message_id, entered.wakes) == ("duplicate", f"{1:032x}", ())
        assert snapshot(client) == before

    def test_the_same_external_id_elsewhere_is_another_message(self, store: Store) -> None:
        write(store, 1, scope="shop:inbound:7")
        assert write(store, 2, scope="desk:written:7").state == "ok"

    EITHER = {
        "both": ("shop:inbound:1", "shop:token:a", "duplicate"),
        "the first": ("shop:inbound:1", "shop:token:b", "duplicate"),
        "the second": ("shop:inbound:2", "shop:token:a", "duplicate"),
        "neither": ("shop:inbound:2", "shop:token:b", "ok"),
        "the first, without a second": ("shop:inbound:1", "", "duplicate"),
        "another one, without a second": ("shop:inbound:2", "", "ok"),
    }

    @pytest.mark.parametrize(("scope", "also", "state"), EITHER.values(), ids=EITHER)
    def test_a_message_with_two_names_is_known_by_either(
        self, scope: str, also: str, state: str, store: Store, client: redis.Redis
    ) -> None:
        write(store, 1, second_scope="shop:token:a")
        before = snapshot(client)
        entered = write(store, 2, scope=scope, second_scope=also)

        assert state == entered.state
        assert (state == "duplicate") == (snapshot(client) == before)
        assert f"{1 if state == 'duplicate' else 2:032x}" == entered.message_id

    def test_the_second_name_lasts_as_long_as_the_first_and_refused_messages_leave_none(
        self, store: Store, client: redis.Redis
    ) -> None:
        write(store, 1, second_scope="shop:token:a", window=5.0)
        assert 3_000 < client.pttl(key("x", "shop:token:a")) <= 5_000
        assert "" not in {name.partition(":")[2] for name in keys(client, "x:*")}

    def test_a_message_without_external_id_is_never_a_duplicate(self, store: Store, client: redis.Redis) -> None:
        assert [write(store, number, scope="").state for number in (1, 2)] == ["ok", "ok"]
        assert keys(client, "x:*") == set()

    @pytest.mark.parametrize(("window", "lasts"), [(None, 72 * 3_600), (3.0, 3)], ids=["usual", "of its own"])
    def test_the_mark_lasts_for_its_window_and_no_longer(
        self, store: Store, client: redis.Redis, window: float | None, lasts: int
    ) -> None:
        write(store, 1, window=window)
        mark = key("x", "shop:inbound:1")
        assert lasts * 1_000 - 2_000 < client.pttl(mark) <= lasts * 1_000

        client.pexpire(mark, 0)
        assert write(store, 2, scope="shop:inbound:1").state == "ok"

    @pytest.mark.parametrize("limits", [Limits(retention=60, windows={"shop": 600.0, "desk": 300.0})], ids=["short"])
    def test_who_repeats_for_longer_than_messages_are_kept_is_still_recognised(
        self, store: Store, client: redis.Redis
    ) -> None:
        first = write(store, 1)
        Drain(store).finish()
        assert 0 < client.ttl(key("m", first.message_id)) <= 60
        assert 590 < client.ttl(key("x", "shop:inbound:1")) <= 600
        client.delete(key("m", first.message_id))  # its time is over
        again = write(store, 2, scope="shop:inbound:1")
        assert ("duplicate", first.message_id, ()) == (again.state, again.message_id, again.wakes)

        write(store, 3, direction="outbound", scope="desk:written:1")
        assert 290 < client.ttl(key("x", "desk:written:1")) <= 300
        append(store, ANN, "inbound", BOT, "ended", scope="shop:ended:1")
        assert 590 < client.ttl(key("x", "shop:ended:1")) <= 600

    @SMALL
    def test_a_full_mailbox_takes_no_more_and_keeps_nothing_of_it(self, store: Store, client: redis.Redis) -> None:
        write(store, 1), write(store, 2)
        before = snapshot(client)
        entered = write(store, 3, responder=Responder("desk"))

        assert (entered.state, entered.wakes) == ("mailbox_full", ())
        assert snapshot(client) == before

    @SMALL
    @pytest.mark.parametrize("conversation", [BEN, "shop/webchat:new"], ids=["waiting", "idle"])
    def test_a_full_lane_takes_no_more_and_keeps_nothing_of_it(
        self, conversation: str, store: Store, client: redis.Redis
    ) -> None:
        for number, waiting in enumerate([ANN, ANN, BEN]):
            write(store, number, waiting)
        before = snapshot(client)
        entered = write(store, 9, conversation, responder=Responder("desk"))

        assert (entered.state, entered.wakes) == ("lane_full", ())
        assert snapshot(client) == before

    @SMALL
    def test_a_message_refused_for_want_of_room_is_taken_when_there_is_some(self, store: Store) -> None:
        for number in (1, 2, 3):
            write(store, number)
        Drain(store).finish()
        assert write(store, 3).state == "ok"

    @SMALL
    def test_a_full_mailbox_does_without_hints(self, store: Store, client: redis.Redis) -> None:
        for at in range(5):
            append(store, ANN, "outbound", SHOP, f"typing @{at}")
        assert queued(client, ANN_OUT) == ["typing @0", "typing @1"]

    def test_text_comes_through_unchanged(self, store: Store) -> None:
        text = 'null [] {} "quoted" \\ \x00 \n 1e99 ünïcödé 🙂'
        told = Retry(claim_of(store, 1), error=text, reason=text)
        store.mailboxes.settle(told)
        claim = Drain(store).claim()
        assert claim.error == text
        assert claim.message == entry(1).message

    def test_a_follower_joins_the_lane_of_whoever_holds_the_conversation(self, store: Store) -> None:
        write(store, 1, direction="outbound", scope="", responder=Responder("desk"))
        assert lanes_of(write(store, 2, follow=True).wakes) == [DESK]

    def test_a_follower_of_a_destination_that_is_no_longer_there_stays_in_its_own_lane(self, store: Store) -> None:
        write(store, 1, direction="outbound", scope="", responder=Responder("forgotten"))
        assert lanes_of(write(store, 2, follow=True).wakes) == [BOT]

    def test_one_who_comes_while_others_wait_goes_behind_them_whatever_the_session_says(
        self, store: Store, client: redis.Redis
    ) -> None:
        write(store, 1)
        write(store, 2, direction="outbound", scope="", responder=Responder("desk"))
        write(store, 3, follow=True)
        append(store, ANN, "inbound", BOT, "ended", follow=True)

        assert queued(client, ANN_IN) == [item(1), item(3), "ended"]
        assert store.lanes.state(BOT, 0).waiting == 3
        assert store.lanes.state(DESK, 0).waiting == 0


class TestOrder:
    def test_a_conversation_is_worked_first_in_first_out(self, store: Store) -> None:
        for number in range(5):
            write(store, number)
        assert Drain(store).finish() == [item(number) for number in range(5)]

    def test_a_conversation_has_one_message_in_flight_and_others_go_on(self, store: Store) -> None:
        for number, conversation in enumerate([ANN, ANN, BEN]):
            write(store, number, conversation)
        first, second = Drain(store, token="one"), Drain(store, token="two")

        assert {first.claim().mailbox, second.claim().mailbox} == {ANN_IN, BEN_IN}

    def test_a_retry_holds_its_own_conversation_only(self, store: Store, clock: Clock) -> None:
        for number, conversation in enumerate([ANN, ANN, BEN]):
            write(store, number, conversation)
        drain = Drain(store)
        held = drain.step(Retry(drain.claim(), due=60))
        assert held is not None
        assert item_text(held.item) == item(2)
        assert drain.step(Done(held)) is None

        clock.advance(60)
        assert Drain(store).finish() == [item(0), item(1)]

    def test_a_retry_is_not_due_a_moment_too_early(self, store: Store, clock: Clock) -> None:
        store.mailboxes.settle(Retry(claim_of(store, 1), due=60))
        clock.advance(59.999)
        assert store.mailboxes.sweep() == ()
        clock.advance(0.001)
        assert lanes_of(store.mailboxes.sweep()) == [BOT]

    def test_an_item_that_comes_between_the_last_claim_and_its_settlement_is_not_stranded(self, store: Store) -> None:
        drain = Drain(store)
        claim = claim_of(store, 1, drain)
        write(store, 2)

        following = drain.step(Done(claim))
        assert following is not None
        assert item_text(following.item) == item(2)

    def test_a_mailbox_that_was_worked_leaves_no_key_behind(self, store: Store, client: redis.Redis) -> None:
        (wake,) = write(store, 1).wakes
        Drain(store, token=wake.token).finish()
        store.mailboxes.sweep()
        assert {name for name in keys(client) if not name.startswith(("m:", "x:", "t:"))} == {"clock", *DECLARED}

    def test_what_goes_in_front_is_worked_before_what_waits(self, store: Store, client: redis.Redis) -> None:
        drain = Drain(store)
        claim = claim_of(store, 1, drain)
        write(store, 2)
        following = drain.step(Done(claim, front=items("handoff", item(1))))

        assert following is not None
        assert item_text(following.item) == "handoff"
        assert queued(client, ANN_IN) == ["handoff", item(1), item(2)]
        assert store.lanes.state(BOT, 0).waiting == 3
        assert client.ttl(key("m", f"{1:032x}")) == -1, "it waits again, so it is not forgotten"

    def test_replies_enter_the_next_mailbox_with_the_outcome(self, store: Store, client: redis.Redis) -> None:
        replies = (entry(2, direction="outbound"), entry(3, direction="outbound"))
        settled = store.mailboxes.settle(Done(claim_of(store, 1), append=replies))

        assert queued(client, ANN_OUT) == [item(2), item(3)]
        assert lanes_of(settled.wakes) == [SHOP]

    def test_a_reply_that_an_earlier_try_appended_is_not_appended_again(
        self, store: Store, client: redis.Redis
    ) -> None:
        for number in (1, 2):
            reply = entry(9, direction="outbound")
            store.mailboxes.settle(Done(claim_of(store, number), append=(reply,)))
        assert queued(client, ANN_OUT) == [item(9)]


class TestWakeUps:
    def test_a_lost_one_is_owed_again_once_it_is_surely_lost(self, store: Store, clock: Clock) -> None:
        write(store, 1)
        clock.advance(4.999)
        assert store.mailboxes.sweep() == ()

        clock.advance(0.001)
        (wake,) = store.mailboxes.sweep()
        assert Drain(store, wake.lane, wake.token).finish() == [item(1)]

    def test_nothing_more_is_owed_while_one_is_on_its_way(self, store: Store) -> None:
        write(store, 1)
        assert write(store, 2).wakes == ()
        assert store.mailboxes.sweep() == ()

    def test_each_conversation_owes_one_up_to_the_lanes_limit(self, store: Store) -> None:
        store.lanes.declare({BOT: 2})
        owed = [len(write(store, number, f"shop/webchat:{number}").wakes) for number in range(4)]
        assert owed == [1, 1, 0, 0]

    def test_a_busy_drain_is_not_counted_as_one_on_its_way(self, store: Store) -> None:
        claim_of(store, 1)
        assert lanes_of(write(store, 2, BEN).wakes) == [BOT]

    def test_a_message_for_a_conversation_at_work_owes_none(self, store: Store, clock: Clock) -> None:
        drain = Drain(store)
        claim = claim_of(store, 1, drain)
        clock.advance(20)
        store.mailboxes.remember(claim, 30, Achieved(progress={}))
        clock.advance(20)
        assert write(store, 2).wakes == (), "although its drain's token ran out meanwhile"

    def test_a_doubled_one_dies_at_the_claim(self, store: Store) -> None:
        store.lanes.declare({BOT: 1})
        (wake,) = write(store, 1).wakes
        write(store, 2, BEN)
        drain, double = Drain(store, token=wake.token), Drain(store, token=wake.token)
        claim = drain.claim()

        assert double.step() is None
        following = drain.step(Done(claim))
        assert following is not None
        assert item_text(following.item) == item(2)

    def test_a_late_one_finds_nothing_to_do_and_leaves_no_token(self, store: Store, client: redis.Redis) -> None:
        (wake,) = write(store, 1).wakes
        Drain(store).finish()
        assert Drain(store, token=wake.token).step() is None
        assert client.exists(key("drains", BOT)) == 0

    def test_one_whose_token_ran_out_works_if_there_is_room(self, store: Store, clock: Clock) -> None:
        (wake,) = write(store, 1).wakes
        clock.advance(6)
        assert Drain(store, token=wake.token).step() is not None

    def test_one_whose_token_ran_out_leaves_if_others_took_its_place(self, store: Store, clock: Clock) -> None:
        store.lanes.declare({BOT: 1})
        (late,) = write(store, 1).wakes
        clock.advance(6)
        (replacement,) = store.mailboxes.sweep()

        assert Drain(store, token=late.token).step() is None
        assert Drain(store, token=replacement.token).step() is not None

    def test_a_drain_whose_time_slice_ended_keeps_its_token_while_work_is_left(
        self, store: Store, client: redis.Redis
    ) -> None:
        drain = Drain(store)
        claim = claim_of(store, 1, drain)
        write(store, 2)
        assert drain.step(Done(claim), go_on=False) is None
        assert drain.worked.more
        assert client.zscore(key("drains", BOT), drain.token) is not None

    def test_a_drain_whose_time_slice_ended_leaves_when_nothing_is_left(
        self, store: Store, client: redis.Redis
    ) -> None:
        drain = Drain(store)
        drain.step(Done(claim_of(store, 1, drain)), go_on=False)
        assert not drain.worked.more
        assert client.exists(key("drains", BOT)) == 0


class TestLeases:
    def test_a_settlement_after_the_lease_was_lost_changes_nothing(
        self, store: Store, client: redis.Redis, clock: Clock
    ) -> None:
        slow = claim_of(store, 1)
        clock.advance(31)
        store.mailboxes.sweep()
        Drain(store, token="other").claim()
        before = snapshot(client)
        everything = Done(
            slow,
            status="delivered",
            scope="shop:inbound:its",
            front=items("handoff"),
            append=(entry(2, direction="outbound"),),
            session=SessionChange(Session("desk"), changes_hands=True),
            lane=SICK,
        )

        assert store.mailboxes.settle(everything).stale
        assert snapshot(client) == before

    def test_a_settlement_twice_changes_nothing_the_second_time(self, store: Store, client: redis.Redis) -> None:
        claim = claim_of(store, 1)
        write(store, 2)
        store.mailboxes.settle(Done(claim))
        assert store.mailboxes.settle(Done(claim)).stale
        assert queued(client, ANN_IN) == [item(2)]

    def test_a_lease_that_ran_out_unnoticed_may_still_be_settled(self, store: Store, clock: Clock) -> None:
        claim = claim_of(store, 1)
        clock.advance(31)
        assert not store.mailboxes.settle(Done(claim)).stale

    def test_what_a_dead_worker_held_is_worked_on_with_doubt(self, store: Store, clock: Clock) -> None:
        claim = claim_of(store, 1)
        clock.advance(30)
        assert lanes_of(store.mailboxes.sweep()) == [BOT]

        again = Drain(store, token="other").claim()
        assert (again.item, again.attempt, again.uncertain) == (claim.item, 2, True)
        assert again.owner != claim.owner

    def test_the_doubt_outlives_a_retry_that_had_none(self, store: Store, clock: Clock) -> None:
        """The dead worker's call may have been carried out, whatever the next one was told."""
        claim_of(store, 1)
        clock.advance(30)
        store.mailboxes.sweep()
        store.mailboxes.settle(Retry(Drain(store, token="two").claim()))

        third = Drain(store, token="three").claim()
        assert (third.attempt, third.uncertain) == (3, True)

    def test_what_was_remembered_is_there_for_the_next_worker(self, store: Store, clock: Clock) -> None:
        assert store.mailboxes.remember(
            claim_of(store, 1), 30, Achieved(progress={"part": 2, "chat": "CH1"}, aliases=("bot:CH1",))
        )
        assert store.sessions.resolve("bot", "CH1") == ANN
        clock.advance(30)
        store.mailboxes.sweep()
        assert Drain(store, token="other").claim().progress == {"part": 2, "chat": "CH1"}

    def test_remembering_renews_the_lease(self, store: Store, clock: Clock) -> None:
        claim = claim_of(store, 1)
        clock.advance(20)
        store.mailboxes.remember(claim, 30, Achieved(progress={}))
        clock.advance(20)
        store.mailboxes.sweep()
        assert not store.mailboxes.settle(Done(claim)).stale

    def test_one_who_lost_the_lease_cannot_remember(self, store: Store, client: redis.Redis, clock: Clock) -> None:
        claim = claim_of(store, 1)
        clock.advance(31)
        store.mailboxes.sweep()
        before = snapshot(client)
        assert not store.mailboxes.remember(claim, 30, Achieved(progress={"part": 1}, aliases=("bot:CH1",)))
        assert snapshot(client) == before

    def test_progress_and_doubt_belong_to_one_message(self, store: Store) -> None:
        drain = Drain(store)
        claim = claim_of(store, 1, drain)
        write(store, 2)
        store.mailboxes.remember(claim, 30, Achieved(progress={"part": 1}))
        again = drain.step(Retry(claim, uncertain=True))
        assert again is not None
        assert (again.progress, again.uncertain, again.attempt) == ({"part": 1}, True, 2)

        following = drain.step(Done(again))
        assert following is not None
        assert (following.progress, following.uncertain, following.attempt) == ({}, False, 1)

    def test_a_head_that_kills_its_workers_becomes_a_dead_letter(
        self, store: Store, client: redis.Redis, clock: Clock
    ) -> None:
        claim_of(store, 1)
        write(store, 2)
        for number in range(3):
            clock.advance(30)
            store.mailboxes.sweep()
            claim = Drain(store, token=f"drain {number}").claim()

        assert item_text(claim.item) == item(2), "the next one is worked at once"
        (letter,) = store.dead_letters.newest()
        assert (letter.reason, letter.message_id, letter.where) == ("poison", f"{1:032x}", BOT)
        record = store.messages.read(f"{1:032x}")
        assert record is not None
        assert (record.status, record.error) == ("failed", "poison: tried 3 times alone without a result")
        assert store.lanes.state(BOT, 0).waiting == 1

    def test_a_result_begins_the_count_anew(self, store: Store, clock: Clock) -> None:
        drain = Drain(store)
        claim_of(store, 1, drain)
        for _ in range(5):
            clock.advance(30)
            store.mailboxes.sweep()
            drain.step(Retry(drain.claim(), due=1))
        assert store.dead_letters.count() == 0


class TestCallingOff:
    def test_the_next_message_does_not_wait_for_what_the_head_waited_for(self, store: Store, clock: Clock) -> None:
        write(store, 1, direction="outbound"), write(store, 2, direction="outbound")
        drain = Drain(store, SHOP)
        drain.step(Retry(drain.claim(), due=300))
        clock.advance(10)  # so that no wake-up is on its way
        in_time, wakes = store.messages.cancel(ANN, [f"{1:032x}"], "canceled")
        assert in_time
        assert lanes_of(wakes) == [SHOP]
        assert drain.finish() == [item(2)]


class TestRerouting:
    def test_the_whole_mailbox_moves_in_its_order(self, store: Store, client: redis.Redis) -> None:
        drain = Drain(store)
        claim = claim_of(store, 1, drain)
        write(store, 2), write(store, 3, BEN)
        drain.step(Reroute(claim, DESK, lane=SILENT))

        assert lanes_of(drain.worked.wakes) == [DESK]
        assert [store.lanes.state(lane, 0).waiting for lane in (BOT, DESK)] == [1, 2]
        assert Drain(store, DESK).finish() == [item(1), item(2)]
        assert [store.lanes.state(lane, 0).waiting for lane in (BOT, DESK)] == [1, 0]

    def test_what_comes_afterwards_follows(self, store: Store) -> None:
        store.mailboxes.settle(Reroute(claim_of(store, 1), DESK, lane=SILENT))
        write(store, 2)
        assert Drain(store, DESK).finish() == [item(1), item(2)]

    def test_what_was_tried_with_the_old_target_means_nothing_to_the_new_one(self, store: Store, clock: Clock) -> None:
        drain = Drain(store)
        claim = claim_of(store, 1, drain)
        store.mailboxes.remember(claim, 30, Achieved(progress={"part": 1}))
        again = drain.step(Retry(claim, uncertain=True))
        assert again is not None
        drain.step(Reroute(again, DESK, lane=SILENT))

        clock.advance(3_600)
        store.mailboxes.sweep()
        moved = Drain(store, DESK).claim()
        assert (moved.attempt, moved.uncertain, moved.progress, moved.first_at) == (1, False, {}, clock())


class TestSessions:
    def test_a_settlement_writes_the_session_that_it_read(self, store: Store) -> None:
        change = SessionChange(Session("bot", handles={"dialogue": "UK1"}, since="m5"))
        store.mailboxes.settle(Done(claim_of(store, 1), session=change))
        claim = claim_of(store, 2)

        assert claim.session is not None
        assert (claim.session.handles, claim.session.since, claim.session.version) == ({"dialogue": "UK1"}, "m5", 0)
        assert claim.session.last_at == claim.now

    def test_a_session_that_changes_hands_has_a_new_version(self, store: Store) -> None:
        change = SessionChange(Session("desk", "human"), changes_hands=True)
        store.mailboxes.settle(Done(claim_of(store, 1), session=change))
        session = store.sessions.read(ANN)
        assert session is not None
        assert (session.destination, session.mode, session.version) == ("desk", "human", 1)

    def test_a_settlement_does_not_overwrite_an_agent_who_took_over_meanwhile(self, store: Store) -> None:
        claim = claim_of(store, 1)
        write(store, 2, direction="outbound", scope="", responder=Responder("desk"))
        store.mailboxes.settle(Done(claim, session=SessionChange(Session("bot"))))

        session = store.sessions.read(ANN)
        assert session is not None
        assert (session.destination, session.mode, session.version) == ("desk", "human", 1)

    def test_an_agent_who_holds_it_already_keeps_the_session_as_it_is(self, store: Store, clock: Clock) -> None:
        held = Session("desk", "human", handles={"contact": "7"})
        store.mailboxes.settle(Done(claim_of(store, 1), session=SessionChange(held, changes_hands=True)))
        clock.advance(60)
        write(store, 2, direction="outbound", scope="", responder=Responder("desk"))

        session = store.sessions.read(ANN)
        assert session is not None
        assert (session.handles, session.version, session.last_at) == ({"contact": "7"}, 1, clock())

    def test_work_for_the_customer_is_not_given_the_session(self, store: Store) -> None:
        write(store, 1, direction="outbound", scope="", responder=Responder("desk"))
        assert Drain(store, SHOP).claim().session is None

    def test_it_is_kept_for_its_time(self, store: Store, client: redis.Redis) -> None:
        write(store, 1, direction="outbound", scope="", responder=Responder("desk"))
        assert 30 * 86_400 - 2 < client.ttl(key("s", ANN)) <= 30 * 86_400


class TestRetention:
    def test_a_record_may_be_forgotten_only_when_its_work_is_done(self, store: Store, client: redis.Redis) -> None:
        drain = Drain(store)
        claim = claim_of(store, 1, drain)
        assert client.ttl(kept := key("m", f"{1:032x}")) == -1
        again = drain.step(Retry(claim))
        assert again is not None
        assert client.ttl(kept) == -1
        drain.step(Done(again, scope="bot:inbound:its"))
        assert 72 * 3_600 - 2 < client.ttl(kept) <= 72 * 3_600
        assert 72 * 3_600 - 2 < client.ttl(key("x", "bot:inbound:its")) <= 72 * 3_600

    def test_the_record_of_a_dead_letter_is_kept(self, store: Store, client: redis.Redis) -> None:
        store.mailboxes.settle(Dead(claim_of(store, 1), reason="rejected"))
        assert client.ttl(key("m", f"{1:032x}")) == -1

    def test_a_retry_of_a_forgotten_message_brings_no_record_back(self, store: Store, client: redis.Redis) -> None:
        claim = claim_of(store, 1)
        client.delete(key("m", f"{1:032x}"))
        store.mailboxes.settle(Retry(claim, error="no answer"))
        assert keys(client, "m:*") == set()

    def test_a_quiet_system_keeps_only_what_has_an_expiry_and_what_is_bounded(
        self, store: Store, client: redis.Redis
    ) -> None:
        change = SessionChange(Session("bot"))
        reply = entry(2, direction="outbound", report_to="desk", live=True)
        drain = Drain(store)
        claim = claim_of(store, 1, drain, report_to="shop")
        store.mailboxes.remember(claim, 30, Achieved(progress={}, aliases=("bot:CH1",)))
        drain.step(Done(claim, status="sent", scope="bot:inbound:its", append=(reply,), session=change))
        store.messages.report("other", "sent", scope="bot:inbound:other", direction="inbound", owner="")
        for wake in drain.worked.wakes:
            Drain(store, wake.lane, wake.token).finish()
        store.mailboxes.sweep()

        lasting = {name for name in keys(client) if client.ttl(key() + name) == -1}
        assert {name for name in lasting if not name.startswith("lane:")} == {"clock", "lanes"}


class TestMemory:
    @pytest.fixture
    def full(self, redis_client: redis.Redis) -> Callable[[], object]:
        return lambda: redis_client.config_set("maxmemory", 1)

    @pytest.fixture(autouse=True)
    def _roomy_afterwards(self, redis_client: redis.Redis) -> Iterator[None]:
        yield
        redis_client.config_set("maxmemory", 0)

    def test_with_none_left_nothing_is_recorded(
        self, real_store: Store, redis_client: redis.Redis, full: Callable[[], object]
    ) -> None:
        write(real_store, 1)
        before = snapshot(redis_client)
        full()
        with pytest.raises(StoreUnavailable):
            write(real_store, 2)
        with pytest.raises(StoreUnavailable):
            append(real_store, ANN, "inbound", BOT, "ended")
        with pytest.raises(StoreUnavailable):
            real_store.mailboxes.changed(ANN, Place("desk:CH1", DESK))
        with pytest.raises(StoreUnavailable):
            real_store.messages.report("x", "sent", scope="bot:inbound:x", direction="inbound", owner="")
        with pytest.raises(StoreUnavailable):
            real_store.dead_letters.keep_webhook("{}", "shop", "unexpected", "")
        assert snapshot(redis_client) == before

    OUTCOMES: dict[str, Callable[[Claim], Outcome]] = {
        "done": lambda claim: Done(claim, lane=SICK),
        "retry": lambda claim: Retry(claim, due=9, lane=SICK),
        "dead": lambda claim: Dead(claim, reason="rejected", lane=SICK),
        "reroute": lambda claim: Reroute(claim, DESK, lane=SICK),
        "behind": lambda claim: Behind(claim, (), lane=SICK),
    }

    @pytest.mark.parametrize("outcome", OUTCOMES.values(), ids=OUTCOMES)
    def test_with_none_left_what_waits_can_be_worked_off(
        self,
        real_store: Store,
        redis_client: redis.Redis,
        full: Callable[[], object],
        outcome: Callable[[Claim], Outcome],
    ) -> None:
        for number in (1, 2):
            write(real_store, number)
        full()
        drain = Drain(real_store)
        drain.step(outcome(drain.claim()))
        assert not drain.worked.stale
        assert redis_client.hget(key("lane", BOT), "failures") == "1"

    def test_with_none_left_a_lane_with_a_rate_is_worked_as_slowly(
        self, real_store: Store, clock: Clock, full: Callable[[], object]
    ) -> None:
        for number, conversation in enumerate((ANN, BEN, CAL)):
            write(real_store, number, conversation)
        drain = Drain(real_store, rate=1)
        claim = drain.claim()
        full()
        clock.advance(1)
        assert drain.step() is not None  # the first write of this step is of the rate
        assert drain.step(Done(claim)) is None
        clock.advance(1)
        assert drain.step() is not None

    def test_with_none_left_a_time_slice_ends_and_another_begins(
        self, real_store: Store, full: Callable[[], object]
    ) -> None:
        drain = Drain(real_store, token=write(real_store, 1).wakes[0].token)
        full()
        assert drain.step(go_on=False) is None
        assert drain.worked.more
        assert drain.finish() == [item(1)]

    def test_with_none_left_a_lease_is_renewed_with_what_was_achieved(
        self, real_store: Store, clock: Clock, full: Callable[[], object]
    ) -> None:
        claim = claim_of(real_store, 1)
        full()
        clock.advance(20)
        assert real_store.mailboxes.remember(claim, 30, Achieved(progress={"part": 1}, session=Session("bot")))
        clock.advance(20)
        assert real_store.mailboxes.sweep() == ()
        clock.advance(11)
        real_store.mailboxes.sweep()
        assert Drain(real_store).claim().progress == {"part": 1}

    def test_with_none_left_the_sweep_frees_wakes_and_looks_at_chats(
        self, real_store: Store, clock: Clock, full: Callable[[], object]
    ) -> None:
        first = claim_of(real_store, 1)
        open_chat = Session("desk", handles={"chat": "CH1"})
        real_store.mailboxes.settle(Done(first, session=SessionChange(open_chat), poll_in=60))
        claim_of(real_store, 2, conversation=BEN)
        full()
        clock.advance(61)
        assert sorted(lanes_of(real_store.mailboxes.sweep())) == [BOT, DESK]
        assert Drain(real_store, DESK).finish() == ["check"]
        assert Drain(real_store).finish() == [item(2)]

    def test_with_none_left_lanes_are_declared(self, real_store: Store, full: Callable[[], object]) -> None:
        full()
        real_store.lanes.declare({BOT: 1, DESK: 2})
        assert [lane.name for lane in real_store.lanes.overview(0)] == [BOT, DESK]


class TestThreads:
    def test_the_same_external_id_from_eight_at_once_is_accepted_once(
        self, real_store: Store, redis_client: redis.Redis
    ) -> None:
        numbers = count(1)
        states: list[str] = []
        together(
            8, lambda: states.extend(write(real_store, next(numbers), scope="s:inbound:1").state for _ in range(9))
        )
        assert sorted(states) == ["duplicate"] * 71 + ["ok"]
        assert len(queued(redis_client, ANN_IN)) == 1

    def test_eight_drains_of_fifty_conversations_keep_the_order_and_work_each_once(self, real_store: Store) -> None:
        entered = [write(real_store, number, f"shop/webchat:{number % 50}") for number in range(500)]
        wakes = iter([wake for one in entered for wake in one.wakes])
        worked: list[tuple[str, int]] = []

        def drain() -> None:
            one = Drain(real_store, token=next(wakes).token)
            claim = one.step()
            while claim:
                worked.append((claim.mailbox, int(item_text(claim.item).split()[1], 16)))
                claim = one.step(Done(claim))

        together(8, drain)
        assert sorted(number for _, number in worked) == list(range(500))
        for mailbox in {mailbox for mailbox, _ in worked}:
            numbers = [number for name, number in worked if name == mailbox]
            assert numbers == sorted(numbers)


def claim_of(
    store: Store, number: int, drain: Drain | None = None, report_to: str = "", conversation: str = ANN
) -> Claim:
    """Write a message and claim it; the drain takes the token of the wake-up that is owed."""
    drain = drain or Drain(store)
    for wake in write(store, number, conversation, report_to=report_to).wakes:
        drain.token = wake.token
    return drain.claim()


def together(threads: int, work: Callable[[], object]) -> None:
    """Run it in several threads that begin at the same moment; an exception in one of them fails the test."""
    barrier, failures = threading.Barrier(threads), []

    def run() -> None:
        barrier.wait()
        try:
            work()
        except BaseException as error:
            failures.append(error)

    all_of_them = [threading.Thread(target=run) for _ in range(threads)]
    for thread in all_of_them:
        thread.start()
    for thread in all_of_them:
        thread.join()
    assert failures == []


def test_a_lease_that_ran_out_is_spared_where_nobody_could_renew_it(store: Store, clock: Clock) -> None:
    write(store, 1)
    claim = Drain(store, lease=10).claim()
    clock.advance(30)
    assert store.mailboxes.sweep(spare=5) == ()
    assert not store.mailboxes.settle(Retry(claim, lane=SILENT)).stale, "whoever has it in hand tells of it"
    claim = Drain(store, lease=10).claim()
    clock.advance(30)
    store.mailboxes.sweep(spare=5)
    clock.advance(5)
    assert lanes_of(store.mailboxes.sweep()) == [BOT], "spared, not forgotten"
    assert store.mailboxes.settle(Done(claim)).stale
