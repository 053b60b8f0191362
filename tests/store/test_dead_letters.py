"""Dead letters: kept until an operator decides, and then worked again or forgotten."""

from __future__ import annotations

import redis

from app.store import Store
from app.store.mailbox import Settlement
from tests.store.steps import ANN, BOT, Drain, item, key, keys, lanes_of, queued, snapshot, write
from tests.support.gateway import Clock

MAILBOX = f"{ANN}|inbound"
RETENTION = 72 * 3_600


def test_a_message_that_is_given_up_is_kept_with_its_reason(store: Store, client: redis.Redis, clock: Clock) -> None:
    letter = store.dead_letters.show(give_up(store))
    assert letter is not None
    assert (letter.where, letter.mailbox, letter.item) == (BOT, MAILBOX, item(1))
    assert (letter.reason, letter.error, letter.at, letter.webhook) == ("rejected", "too long", clock(), "")
    assert letter.message_id == f"{1:032x}"
    record = store.messages.read(letter.message_id)
    assert record is not None
    assert (record.status, record.error) == ("failed", "rejected: too long")
    assert keys(client, "[qb]:*") == set()


def test_its_sender_hears_that_it_failed(store: Store, client: redis.Redis) -> None:
    give_up(store, report_to="shop")
    assert queued(client, f"{ANN}|status:shop") == [f"status {1:032x} failed"]


def test_one_that_was_delivered_all_the_same_did_not_fail(store: Store) -> None:
    write(store, 1)
    store.messages.report(f"{1:032x}", "delivered", scope="", direction="inbound", owner="")
    store.mailboxes.settle(Settlement(Drain(store).claim(), "dead", reason="rejected"))
    record = store.messages.read(f"{1:032x}")
    assert record is not None
    assert record.status == "delivered"


def test_a_replayed_message_is_worked_again_from_the_beginning(store: Store, client: redis.Redis) -> None:
    letter = give_up(store)
    state, wakes = store.dead_letters.replay(letter)
    assert (state, lanes_of(wakes)) == ("ok", [BOT])
    assert (store.dead_letters.count(), keys(client, "d:*")) == (0, set())

    claim = Drain(store).claim()
    assert (claim.item, claim.attempt, claim.uncertain, claim.status, claim.error) == (item(1), 1, False, "queued", "")


def test_a_replayed_message_goes_behind_what_waits(store: Store, client: redis.Redis) -> None:
    letter = give_up(store)
    write(store, 2)
    store.dead_letters.replay(letter)
    assert queued(client, MAILBOX) == [item(2), item(1)]
    assert store.lanes.state(BOT, 0).waiting == 2


def test_a_letter_is_replayed_once(store: Store, client: redis.Redis) -> None:
    letter = give_up(store)
    store.dead_letters.replay(letter)
    before = snapshot(client)
    assert store.dead_letters.replay(letter) == ("unknown", ())
    assert not store.dead_letters.discard(letter)
    assert snapshot(client) == before


def test_a_hint_that_was_given_up_is_a_letter_without_a_message(store: Store) -> None:
    store.mailboxes.append(ANN, "inbound", BOT, "ended")
    store.mailboxes.settle(Settlement(Drain(store).claim(), "dead", reason="rejected"))
    (letter,) = store.dead_letters.newest()
    assert (letter.item, letter.message_id) == ("ended", "")
    assert store.dead_letters.replay(letter.id)[0] == "ok"
    assert Drain(store).claim().item == "ended"


def test_a_webhook_is_kept_as_it_came_and_replayed_by_its_receiver(store: Store, client: redis.Redis) -> None:
    webhook = '{"body": "\\u0000 \\"ü\\""}'
    parked = store.dead_letters.park(webhook, "shop", "unexpected", "KeyError: " + "x" * 600)
    before = snapshot(client)
    assert store.dead_letters.replay(parked) == ("webhook", ())
    assert snapshot(client) == before

    letter = store.dead_letters.show(parked)
    assert letter is not None
    assert (letter.webhook, letter.where, letter.message_id) == (webhook, "shop", "")
    assert len(letter.error) == 500


def test_a_discarded_letter_takes_its_message_along_in_time(store: Store, client: redis.Redis) -> None:
    letter = give_up(store)
    assert store.dead_letters.discard(letter)
    assert store.dead_letters.show(letter) is None
    assert store.dead_letters.count() == 0
    assert RETENTION - 2 < client.ttl(key("m", f"{1:032x}")) <= RETENTION
    assert not store.dead_letters.discard(letter)


def test_a_discarded_webhook_is_gone(store: Store, client: redis.Redis) -> None:
    assert store.dead_letters.discard(store.dead_letters.park("{}", "shop", "unexpected", ""))
    assert keys(client) == {"lanes"}


def test_the_newest_come_first(store: Store, clock: Clock) -> None:
    letters = []
    for _ in range(4):
        clock.advance(1)
        letters.append(store.dead_letters.park("{}", "shop", "unexpected", ""))
    assert [letter.id for letter in store.dead_letters.newest(3)] == letters[:0:-1]
    assert store.dead_letters.count() == 4


def give_up(store: Store, report_to: str = "") -> str:
    """Write message 1 and give it up; the letter's id."""
    (wake,) = write(store, 1, report_to=report_to).wakes
    drain = Drain(store, token=wake.token)
    drain.step(Settlement(drain.claim(), "dead", reason="rejected", error="too long"))
    (letter,) = store.dead_letters.newest()
    return letter.id
