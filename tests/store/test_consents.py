"""A customer who wants no messages gets none, from the very step in which they say so."""

from __future__ import annotations

import pytest
import redis
from msgspec.structs import replace

from app.core.acceptance import Acceptance, ConsentStatement, Entered
from app.core.consent import Consent
from app.core.work import Done, item_text
from app.store import Store
from app.store.limits import Limits
from tests.store.steps import ANN, BEN, BOT, SHOP, Drain, append, entry, item, key, queued, snapshot, write
from tests.support.gateway import Clock

OUT = ConsentStatement("out", "the customer wrote STOP")
OTHER = "mail/webchat:ann"  # the same customer on another channel


def says(store: Store, number: int, stated: ConsentStatement, conversation: str = ANN) -> Entered:
    return write(store, number, conversation, consent=stated)


def status(store: Store, number: int) -> tuple[str, str]:
    record = store.messages.read(f"{number:032x}")
    assert record is not None
    return record.status, record.error


REFUSED = ("failed", "opted_out: the customer wants no messages on this channel")


def test_nobody_has_said_anything(store: Store) -> None:
    assert store.consents.read(ANN) is None


def test_what_was_said_is_kept_with_its_time_and_for_ever(store: Store, client: redis.Redis, clock: Clock) -> None:
    says(store, 1, OUT)
    assert store.consents.read(ANN) == Consent("out", clock(), "the customer wrote STOP")
    clock.advance(10)
    says(store, 2, ConsentStatement("in", "the customer wrote START"))
    assert store.consents.read(ANN) == Consent("in", clock(), "the customer wrote START")
    assert client.ttl(key("o", ANN)) == -1


def test_a_message_to_him_fails_at_once_and_its_sender_hears_why(store: Store, client: redis.Redis) -> None:
    says(store, 1, OUT)
    entered = write(store, 2, direction="outbound", report_to="desk")
    assert entered.state == "ok"
    assert status(store, 2) == REFUSED
    assert queued(client, f"{ANN}|outbound") == []
    assert queued(client, f"{ANN}|status:desk") == [f"status {2:032x} failed"]
    assert [wake.lane for wake in entered.wakes] == ["status:desk"]
    assert client.ttl(key("m", f"{2:032x}")) > 0


@pytest.mark.parametrize("waiting", [0, 2])
def test_what_is_refused_takes_no_place_in_its_mailbox(waiting: int, store: Store, client: redis.Redis) -> None:
    for number in range(waiting):
        write(store, number, direction="outbound")
    says(store, 8, OUT)

    def places() -> dict[str, object]:
        kinds = ("q", "b", "ready", "leased", "drains", "lane", "busy")
        found = {name: value for name, value in snapshot(client).items() if name.partition(":")[0] in kinds}
        empty = ("backlog", "0")  # as if nothing was ever counted
        return {
            n: [pair for pair in v.items() if pair != empty] if isinstance(v, dict) else v for n, v in found.items()
        }

    before = places()
    write(store, 9, direction="outbound")
    assert status(store, 9) == REFUSED
    assert before
    assert places() == before


def test_what_he_said_stays_known_whatever_is_refused_for_it(store: Store, clock: Clock) -> None:
    said_at = clock()
    says(store, 1, OUT)
    clock.advance(10)
    write(store, 2, direction="outbound")
    assert store.consents.read(ANN) == Consent("out", said_at, "the customer wrote STOP")


@pytest.mark.parametrize("conversation", [BEN, OTHER], ids=["another customer", "another channel"])
def test_nobody_else_is_meant(conversation: str, store: Store) -> None:
    says(store, 1, OUT)
    write(store, 2, conversation, direction="outbound")
    assert status(store, 2)[0] == "queued"


def test_a_reply_that_is_settled_after_the_opt_out_fails(store: Store) -> None:
    write(store, 1)
    drain = Drain(store)
    claim = drain.claim()
    says(store, 2, OUT)
    drain.step(Done(claim, append=(entry(3, direction="outbound"),)))
    assert status(store, 3) == REFUSED


def test_much_that_waits_fails_in_several_steps(store: Store, client: redis.Redis) -> None:
    for number in range(1, 251):
        write(store, number, direction="outbound")
    store.consents.write(ANN, "out", "an operator set it")
    drain, left = Drain(store, SHOP), []
    while drain.step() is None and drain.worked.more:
        left.append(len(queued(client, f"{ANN}|outbound")))
    assert left == [150, 50]
    assert queued(client, f"{ANN}|outbound") == []
    assert {status(store, number) for number in range(1, 251)} == {REFUSED}


def test_what_waits_fails_when_its_turn_comes(store: Store, client: redis.Redis) -> None:
    for number in (1, 2, 3):
        write(store, number, direction="outbound")
    says(store, 4, OUT)
    assert Drain(store, SHOP).step() is None
    assert [status(store, number) for number in (1, 2, 3)] == [REFUSED] * 3
    assert queued(client, f"{ANN}|outbound") == []
    assert store.lanes.state(SHOP, 0).waiting == 0
    assert store.dead_letters.count() == 0
    assert all(client.ttl(key("m", f"{number:032x}")) > 0 for number in (1, 2, 3))


def test_another_customer_behind_him_is_served(store: Store) -> None:
    write(store, 1, direction="outbound")
    write(store, 2, BEN, direction="outbound")
    says(store, 3, OUT)
    assert item_text(Drain(store, SHOP).claim().item) == item(2)


def test_the_confirmation_goes_out_behind_what_waits(store: Store) -> None:
    write(store, 1, direction="outbound")
    answer = replace(entry(9, direction="outbound"), exempt=True)
    says(store, 2, replace(OUT, answer=answer))
    drain = Drain(store, SHOP)
    assert item_text(drain.claim().item) == item(9)
    assert status(store, 1) == REFUSED


def test_a_webhook_that_comes_twice_is_answered_once(store: Store, client: redis.Redis) -> None:
    answer = replace(entry(9, direction="outbound"), exempt=True)
    for _ in range(2):
        says(store, 2, replace(OUT, answer=answer))
        answer = replace(entry(10, direction="outbound"), exempt=True)
    assert queued(client, f"{ANN}|outbound") == [item(9)]


@pytest.mark.parametrize("limits", [Limits(mailbox=1)])
def test_his_wish_is_heard_though_there_is_no_room_for_his_message(store: Store) -> None:
    write(store, 1)
    assert says(store, 2, OUT).state == "mailbox_full"
    found = store.consents.read(ANN)
    assert found is not None
    assert found.state == "out"


def test_help_changes_nothing(store: Store) -> None:
    says(store, 1, OUT)
    says(store, 2, ConsentStatement(None, "the customer wrote HELP"))
    found = store.consents.read(ANN)
    assert found is not None
    assert found.state == "out"


def test_what_he_lifted_is_lifted(store: Store) -> None:
    says(store, 1, OUT)
    says(store, 2, ConsentStatement("in", "the customer wrote START"))
    write(store, 3, direction="outbound")
    assert item_text(Drain(store, SHOP).claim().item) == item(3)


def test_hints_pass(store: Store) -> None:
    says(store, 1, OUT)
    append(store, ANN, "outbound", SHOP, "ended")
    assert item_text(Drain(store, SHOP).claim().item) == "ended"


REFUSALS = {
    "an opt-out": ("opted_out: 21610 Attempt to send to unsubscribed recipient", "out"),
    "another reason": ("rejected: 63016", None),
    "no reason": ("", None),
    "a word that begins like it": ("opted_outside: x", None),
}


@pytest.mark.parametrize(("error", "state"), REFUSALS.values(), ids=REFUSALS)
@pytest.mark.parametrize("how", ["in a report", "in the answer"])
def test_what_his_platform_refuses_for_it_opts_him_out(how: str, error: str, state: str | None, store: Store) -> None:
    write(store, 1, direction="outbound")
    drain = Drain(store, SHOP)
    claim = drain.claim()
    if how == "in a report":
        store.messages.report(
            item_text(claim.item).split()[1], "failed", scope="", direction="outbound", owner="", error=error
        )
    else:
        drain.step(Done(claim, status="failed", error=error))
    found = store.consents.read(ANN)
    assert (found and found.state) == state
    assert found is None or found.by == "21610 Attempt to send to unsubscribed recipient"


def test_a_refusal_that_comes_after_he_lifted_it_is_old_news(store: Store, clock: Clock) -> None:
    write(store, 1, direction="outbound")
    clock.advance(1)
    says(store, 2, ConsentStatement("in", "the customer wrote START"))
    error = "opted_out: 21610"
    store.messages.report(f"{1:032x}", "failed", scope="", direction="outbound", owner="", error=error)
    found = store.consents.read(ANN)
    assert found is not None
    assert found.state == "in"
    later = entry(3, direction="outbound")
    later = replace(later, message=replace(later.message, at=clock()))
    store.mailboxes.accept(Acceptance(entry=later))
    store.messages.report(f"{3:032x}", "failed", scope="", direction="outbound", owner="", error=error)
    found = store.consents.read(ANN)
    assert found is not None
    assert found.state == "out"


def test_a_customers_own_message_that_failed_says_nothing_of_him(store: Store) -> None:
    write(store, 1)
    store.messages.report(f"{1:032x}", "failed", scope="", direction="inbound", owner="", error="opted_out: x")
    assert store.consents.read(ANN) is None


def test_an_operator_may_say_it(store: Store, clock: Clock) -> None:
    store.consents.write(ANN, "out", "an operator set it")
    assert store.consents.read(ANN) == Consent("out", clock(), "an operator set it")
    write(store, 1, direction="outbound")
    assert status(store, 1) == REFUSED
    store.consents.write(ANN, "in", "an operator set it")
    write(store, 2, direction="outbound")
    assert status(store, 2)[0] == "queued"


def test_his_own_messages_are_taken_as_ever(store: Store) -> None:
    says(store, 1, OUT)
    write(store, 2)
    assert Drain(store, BOT).finish() == [item(1), item(2)]
