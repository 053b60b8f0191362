"""What messages cost is booked with the step that causes it: once, whatever is repeated, and in every sum alike."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest
import redis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from app.core.costs import Cost, Costs, MessageCosts
from app.core.lane import SILENT
from app.core.message import Direction
from app.core.status import Status
from app.core.work import AskPrice, Dead, Done, Retry, item_text
from app.store import Store
from app.store.limits import Limits
from tests.store.steps import (
    ANN,
    BEN,
    BOT,
    PREFIX,
    SHOP,
    Drain,
    key,
    keys,
    lanes_of,
    queued,
    snapshot,
    write,
)
from tests.support.examples import examples
from tests.support.gateway import Clock

DAY = date(2027, 1, 15)  # of the clock
INBOUND, OUTBOUND, TURN = Cost("inbound", 5), Cost("outbound", 7), Cost("turn:bot", 2)
ASKING = replace(OUTBOUND, refs=("SM1", "SM2"))
PRICES = "status:shop"


def named(number: int) -> str:
    return f"{number:032x}"


def costs(store: Store, number: int) -> MessageCosts:
    found = store.costs.message(named(number))
    assert found is not None
    return found


def of_day(store: Store, day: date = DAY) -> list[Costs]:
    return store.costs.days(day, day)


def report(store: Store, number: int, status: Status, *, direction: Direction = "outbound") -> tuple[str, Any]:
    return store.messages.report(named(number), status, scope="", direction=direction, owner="")


def send(store: Store, number: int, cost: Cost = OUTBOUND, conversation: str = ANN, **settled: Any) -> None:
    """A message to a customer that is sent and settled."""
    write(store, number, conversation, direction="outbound", scope="")
    drain = Drain(store, SHOP)
    drain.step(Done(drain.claim(), cost=cost, **settled))


class TestBooking:
    def test_a_customers_message_costs_something_with_its_record(self, store: Store) -> None:
        write(store, 1, cost=INBOUND)

        assert costs(store, 1) == MessageCosts(ANN, message=5, day=DAY)
        assert of_day(store) == [Costs(DAY, "shop", inbound=5)]
        assert store.costs.conversation(ANN) == Costs(inbound=5)

    def test_a_message_that_comes_twice_costs_once(self, store: Store, client: redis.Redis) -> None:
        write(store, 1, cost=INBOUND)
        before = snapshot(client)
        write(store, 2, scope="shop:inbound:1", cost=INBOUND)
        assert before == snapshot(client)

    @pytest.mark.parametrize("limits", [Limits(mailbox=1)], ids=["small"])
    def test_a_message_that_is_not_taken_costs_nothing(self, store: Store, client: redis.Redis) -> None:
        write(store, 1, cost=INBOUND)
        before = snapshot(client)
        assert "mailbox_full" == write(store, 2, cost=INBOUND).state
        assert before == snapshot(client)

    def test_a_message_to_the_customer_costs_something_once_it_was_sent(self, store: Store) -> None:
        write(store, 1, direction="outbound", scope="")
        drain = Drain(store, SHOP)
        claim = drain.claim()
        assert (costs(store, 1), of_day(store)) == (MessageCosts(ANN), [])
        drain.step(Done(claim, status="sent", cost=OUTBOUND))

        assert costs(store, 1) == MessageCosts(ANN, message=7, day=DAY)
        assert of_day(store) == [Costs(DAY, "shop", outbound=7)]

    def test_a_turn_comes_on_top_of_the_question(self, store: Store) -> None:
        write(store, 1, cost=INBOUND)
        drain = Drain(store)
        drain.step(Done(drain.claim(), cost=TURN))

        assert costs(store, 1) == MessageCosts(ANN, message=5, turns=2, day=DAY)
        assert of_day(store) == [Costs(DAY, "shop", inbound=5, turns=2)]
        assert store.costs.conversation(ANN) == Costs(inbound=5, turns=2)

    def test_a_turn_alone(self, store: Store) -> None:
        write(store, 1)
        drain = Drain(store)
        drain.step(Done(drain.claim(), cost=TURN))
        assert costs(store, 1) == MessageCosts(ANN, turns=2, day=DAY)

    def test_a_turn_is_booked_on_its_own_day(self, store: Store, clock: Clock) -> None:
        write(store, 1, cost=INBOUND)
        clock.advance(86_400)
        drain = Drain(store)
        drain.step(Done(drain.claim(), cost=TURN))

        later = date(2027, 1, 16)
        assert store.costs.days(DAY, later) == [Costs(DAY, "shop", inbound=5), Costs(later, "shop", turns=2)]
        assert costs(store, 1).day == DAY

    def test_a_worker_that_lost_its_lease_books_nothing(self, store: Store, client: redis.Redis, clock: Clock) -> None:
        """Nor does one that was killed between its claim and its settlement: the next one books once."""
        write(store, 1, direction="outbound", scope="")
        slow, quick = Drain(store, SHOP, "slow"), Drain(store, SHOP, "quick")
        lost = slow.claim()
        clock.advance(60)
        store.mailboxes.sweep()
        held = quick.claim()
        quick.step(Done(held, cost=OUTBOUND))
        before = snapshot(client)
        for late in (lost, held):
            slow.step(Done(late, cost=OUTBOUND))
            assert slow.worked.stale

        assert before[f"cost:c:{ANN}"] == snapshot(client)[f"cost:c:{ANN}"] == {"outbound": "7"}
        assert of_day(store) == [Costs(DAY, "shop", outbound=7)]

    def test_a_message_without_a_price_leaves_no_trace(self, store: Store, client: redis.Redis) -> None:
        write(store, 1)
        drain = Drain(store)
        drain.step(Done(drain.claim()))
        assert keys(client, "cost:*") == set()
        assert set(client.hgetall(key("m", named(1)))) == {"body", "st", "cv", "dr", "rp", "lv", "qd"}

    def test_sums_are_of_their_channel_day_and_conversation(self, store: Store, clock: Clock) -> None:
        send(store, 1)
        send(store, 2, Cost("template", 100), BEN)
        clock.advance(86_400)
        send(store, 3)
        send(store, 4, conversation="chat/webchat:ann")

        later = date(2027, 1, 16)
        first = Costs(DAY, "shop", outbound=7, template=100)
        second = [Costs(later, "chat", outbound=7), Costs(later, "shop", outbound=7)]
        assert store.costs.days(DAY, later) == [first, *second]
        assert store.costs.days(later, later, "shop") == second[1:]
        assert store.costs.conversation(BEN) == Costs(template=100)
        assert store.costs.conversation(ANN) == Costs(outbound=14)
        assert store.costs.conversation("shop/webchat:nobody") is store.costs.message("nobody") is None

    def test_amounts_beyond_a_double_are_summed_exactly(self, store: Store) -> None:
        for number in (1, 2, 3):
            send(store, number, Cost("outbound", 2**53 - 1))
        assert of_day(store)[0].total == 3 * (2**53 - 1)

    @pytest.mark.parametrize(
        ("limits", "kept"),
        [(Limits(session_keep=1_000, retention=500), 1_000), (Limits(session_keep=500, retention=1_000), 1_000)],
        ids=["as long as sessions", "at least as long as messages"],
    )
    def test_sums_are_forgotten_some_time_after_the_last_booking(
        self, store: Store, client: redis.Redis, kept: int
    ) -> None:
        write(store, 1, cost=INBOUND)
        for name in (f"cost:c:{ANN}", "cost:20833"):
            client.expire(PREFIX + name, 10)
        write(store, 2, cost=INBOUND)
        assert kept - 5 < client.ttl(key("cost", "c", ANN)) <= kept
        assert 400 * 86_400 - 5 < client.ttl(key("cost", "20833")) <= 400 * 86_400


class TestFailing:
    def test_a_message_that_fails_after_all_costs_nothing(self, store: Store) -> None:
        send(store, 1, status="sent")
        report(store, 1, "failed")
        assert (costs(store, 1).message, of_day(store)[0].total) == (0, 0)
        assert store.costs.conversation(ANN) == Costs()

    def test_proof_that_it_arrived_brings_its_price_back(self, store: Store) -> None:
        send(store, 1, status="sent")
        for status in ("failed", "failed", "delivered", "failed", "read"):
            report(store, 1, status)
        assert (costs(store, 1).message, of_day(store)) == (7, [Costs(DAY, "shop", outbound=7)])

    def test_the_day_is_that_of_the_booking(self, store: Store, clock: Clock) -> None:
        send(store, 1, status="sent")
        clock.advance(86_400)
        report(store, 1, "failed")
        assert store.costs.days(DAY, date(2027, 1, 16)) == [Costs(DAY, "shop")]

    @pytest.mark.parametrize(("early", "cost"), [(["failed"], 0), (["failed", "delivered"], 7), (["delivered"], 7)])
    def test_reports_that_overtook_the_receipt_count(self, early: list[Status], cost: int, store: Store) -> None:
        for status in early:
            store.messages.report("SM1", status, scope="shop:outbound:SM1", direction="outbound", owner="")
        send(store, 1, status="sent", scope="shop:outbound:SM1")
        assert (costs(store, 1).message, sum(row.total for row in of_day(store))) == (cost, cost)

    def test_a_message_that_was_reported_failed_while_it_was_sent(self, store: Store) -> None:
        write(store, 1, direction="outbound", scope="")
        drain = Drain(store, SHOP)
        claim = drain.claim()
        report(store, 1, "failed")
        drain.step(Done(claim, status="sent", cost=OUTBOUND))
        assert (costs(store, 1).message, of_day(store)) == (0, [])
        report(store, 1, "delivered")
        assert costs(store, 1).message == 7

    def test_a_customers_message_was_received_even_if_nobody_could_be_asked(self, store: Store) -> None:
        write(store, 1, cost=INBOUND)
        drain = Drain(store)
        drain.step(Dead(drain.claim(), reason="rejected", error="no"))
        assert costs(store, 1) == MessageCosts(ANN, message=5, day=DAY)
        assert of_day(store) == [Costs(DAY, "shop", inbound=5)]

    def test_a_message_that_is_replayed_costs_once(self, store: Store) -> None:
        write(store, 1, direction="outbound", scope="")
        drain = Drain(store, SHOP)
        drain.step(Dead(drain.claim(), reason="rejected", error="no"))
        assert of_day(store) == []
        store.dead_letters.replay(store.dead_letters.newest()[0].id)
        drain.step(Done(drain.claim(), status="sent", cost=OUTBOUND))
        assert of_day(store) == [Costs(DAY, "shop", outbound=7)]


class TestReportedPrices:
    def test_a_customers_message_is_asked_for_at_once(self, store: Store, client: redis.Redis) -> None:
        entered = write(store, 1, cost=replace(INBOUND, nanos=0, refs=("SM1/1",)))
        assert lanes_of(entered.wakes) == [BOT, PRICES]
        assert queued(client, f"{ANN}|price-{named(1)}") == [f"price {named(1)}"]
        assert costs(store, 1).refs == ("SM1/1",)
        assert of_day(store) == []

    def test_one_to_a_customer_once_it_climbs_and_not_twice_at_a_time(self, store: Store, client: redis.Redis) -> None:
        mailbox = f"{ANN}|price-{named(1)}"
        send(store, 1, ASKING, status="queued")
        assert queued(client, mailbox) == []
        for status in ("sent", "delivered"):
            report(store, 1, status)
            assert queued(client, mailbox) == [f"price {named(1)}"]
        claim = Drain(store, PRICES).claim()
        assert (type(claim.item), claim.conversation) == (AskPrice, ANN)
        store.mailboxes.settle(Done(claim))
        report(store, 1, "read")
        assert queued(client, mailbox) == [f"price {named(1)}"]

    def test_a_retry_holds_no_other_message(self, store: Store) -> None:
        for number in (1, 2):
            send(store, number, ASKING, status="sent")
        drain = Drain(store, PRICES)
        drain.step(Retry(drain.claim(), due=60.0, lane=SILENT))
        assert drain.worked.claim is not None
        assert item_text(drain.worked.claim.item) == f"price {named(2)}"

    @pytest.mark.parametrize("nanos", [0, 3, 7, 10**12], ids=["free", "less", "as much", "more"])
    def test_it_takes_the_place_of_what_was_booked(self, nanos: int, store: Store, clock: Clock) -> None:
        send(store, 1, ASKING, status="sent")
        clock.advance(86_400)
        for _ in range(2):
            assert store.costs.reported(named(1), nanos)
            assert costs(store, 1) == MessageCosts(ANN, message=nanos, day=DAY, reported=True)
            assert store.costs.days(DAY, date(2027, 1, 16)) == [Costs(DAY, "shop", outbound=nanos)]
            assert store.costs.conversation(ANN) == Costs(outbound=nanos)

    def test_once_it_is_told_nobody_asks_again(self, store: Store, client: redis.Redis) -> None:
        send(store, 1, ASKING, status="queued")
        store.costs.reported(named(1), 3)
        report(store, 1, "sent")
        assert keys(client, "q:*price*") == set()

    def test_it_leaves_the_turns_as_they_are(self, store: Store) -> None:
        write(store, 1, cost=INBOUND)
        store.costs.reported(named(1), 3)
        drain = Drain(store)
        drain.step(Done(drain.claim(), cost=TURN))
        store.costs.reported(named(1), 4)
        assert costs(store, 1) == MessageCosts(ANN, message=4, turns=2, day=DAY, reported=True)
        assert of_day(store) == [Costs(DAY, "shop", inbound=4, turns=2)]

    ORDERS: dict[str, list[Status | int]] = {
        "before it failed": [3, "failed"],
        "after it failed": ["failed", 3],
        "before and after": [3, "failed", 3],
        "before proof that it arrived": ["failed", 3, "delivered"],
        "after proof that it arrived": ["failed", "delivered", 3],
        "corrected": [9, "failed", 3],
    }

    @pytest.mark.parametrize("steps", ORDERS.values(), ids=ORDERS)
    def test_a_platform_may_charge_for_what_failed(self, steps: list[Status | int], store: Store) -> None:
        send(store, 1, ASKING, status="sent")
        for step in steps:
            if isinstance(step, int):
                store.costs.reported(named(1), step)
            else:
                report(store, 1, step)
        assert (costs(store, 1).message, of_day(store)) == (3, [Costs(DAY, "shop", outbound=3)])

    @pytest.mark.parametrize("gone", [True, False], ids=["forgotten", "never booked"])
    def test_there_may_be_nothing_to_replace(self, gone: bool, store: Store, client: redis.Redis) -> None:
        write(store, 1)
        if gone:
            client.delete(key("m", named(1)))
        before = snapshot(client)
        assert not store.costs.reported(named(1), 3)
        assert before == snapshot(client)

    def test_a_dead_letter_of_it_can_be_replayed(self, store: Store, client: redis.Redis) -> None:
        send(store, 1, ASKING, status="sent")
        drain = Drain(store, PRICES)
        drain.step(Dead(drain.claim(), reason="rejected", error="no"))
        assert costs(store, 1).message == 7
        store.dead_letters.replay(store.dead_letters.newest()[0].id)
        assert item_text(drain.claim().item) == f"price {named(1)}"


# --- any traffic ---

traffic = st.lists(
    st.tuples(
        st.sampled_from(["write", "send", "ask", "failed", "delivered", "price", "next day"]),
        st.integers(0, 39),
        st.integers(0, 20),
    ),
    max_size=40,
)


@settings(deadline=None, max_examples=examples(60), suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(traffic)
def test_sums_of_days_and_of_conversations_are_those_of_their_messages(
    redis_client: redis.Redis, steps: list[tuple[str, int, int]]
) -> None:
    redis_client.flushall()
    clock = Clock()
    store = Store(redis_client, None, clock)
    store.lanes.declare(dict.fromkeys([BOT, SHOP, PRICES], 50))
    for number, (what, which, nanos) in enumerate(steps):
        conversation, about = (ANN, BEN)[which % 2], which % max(number, 1)
        match what:
            case "write":
                write(store, number, conversation, cost=Cost("inbound", nanos, ("SM1",)))
            case "send":
                send(store, number, Cost("outbound", nanos, ("SM1",)), conversation, status="sent")
            case "ask":
                drain = Drain(store)
                if claim := drain.step():
                    drain.step(Done(claim, cost=Cost("turn:bot", nanos)), go_on=False)
            case "price":
                store.costs.reported(named(about), nanos)
            case "next day":
                clock.advance(86_400)
            case status:
                report(store, about, status)  # type: ignore[arg-type]  # one of the two
    found = [each for number in range(len(steps)) if (each := store.costs.message(named(number)))]
    days = store.costs.days(DAY, date(2027, 3, 1))
    assert sum(row.total for row in days) == sum(each.message + each.turns for each in found)
    assert sum(row.turns for row in days) == sum(each.turns for each in found)
    for conversation in (ANN, BEN):
        booked = store.costs.conversation(conversation) or Costs()
        assert booked.total == sum(each.message + each.turns for each in found if each.conversation == conversation)
