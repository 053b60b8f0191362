"""Dead letters: kept until an operator decides, and then worked again or forgotten."""

from __future__ import annotations

import pytest
import redis
from msgspec.structs import replace

from app.core.acceptance import Acceptance
from app.core.events import Said
from app.core.message import Text
from app.core.work import Claim, Dead, Deliver, Done, End, item_text
from app.store import Store
from app.store.limits import Limits
from tests.store.steps import (
    ANN,
    BOT,
    DECLARED,
    SHOP,
    Drain,
    append,
    entry,
    item,
    key,
    keys,
    lanes_of,
    queued,
    snapshot,
    write,
)
from tests.support.gateway import Clock

MAILBOX = f"{ANN}|inbound"
RETENTION = 72 * 3_600


def test_a_message_that_is_given_up_is_kept_with_its_reason(store: Store, client: redis.Redis, clock: Clock) -> None:
    letter = store.dead_letters.show(give_up(store))
    assert letter is not None
    assert (letter.where, letter.mailbox, letter.item) == (BOT, MAILBOX, Deliver(f"{1:032x}"))
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
    store.mailboxes.settle(Dead(Drain(store).claim(), reason="rejected"))
    record = store.messages.read(f"{1:032x}")
    assert record is not None
    assert record.status == "delivered"


def test_a_replayed_message_is_worked_again_from_the_beginning(store: Store, client: redis.Redis) -> None:
    letter = give_up(store)
    state, wakes = store.dead_letters.replay(letter)
    assert (state, lanes_of(wakes)) == ("ok", [BOT])
    assert (store.dead_letters.count(), keys(client, "d:*")) == (0, set())

    claim = Drain(store).claim()
    assert (item_text(claim.item), claim.attempt, claim.uncertain, claim.status, claim.error) == (
        item(1),
        1,
        False,
        "queued",
        "",
    )


def test_a_replayed_message_goes_behind_what_waits(store: Store, client: redis.Redis) -> None:
    letter = give_up(store)
    write(store, 2)
    store.dead_letters.replay(letter)
    assert queued(client, MAILBOX) == [item(2), item(1)]
    assert store.lanes.state(BOT, 0).waiting == 2


def status(store: Store, number: int) -> str:
    record = store.messages.read(f"{number:032x}")
    assert record is not None
    return record.status


@pytest.mark.parametrize("dying", [{1}, {2}, {1, 2}], ids=["the first part", "the last part", "both"])
def test_a_message_in_parts_climbs_again_once_all_that_failed_are_replayed(store: Store, dying: set[int]) -> None:
    """The second part speaks for both."""
    parts = [entry(number, direction="outbound") for number in (1, 2)]
    whole = replace(parts[1].message, metadata=Said(Text("x")).speaking_for([parts[0].message.id]))
    store.mailboxes.accept(Acceptance(entry=parts[0], more=(replace(parts[1], message=whole),)))
    drain = Drain(store, SHOP)
    claim: Claim | None = drain.claim()
    for number in (1, 2):
        assert claim is not None
        dies = number in dying
        claim = drain.step(Dead(claim, reason="rejected") if dies else Done(claim, status="sent"))
    assert "failed" == status(store, 2)
    for letter in store.dead_letters.newest():
        assert "failed" == status(store, 2)
        store.dead_letters.replay(letter.id)
    assert "queued" == status(store, 2)
    drain = Drain(store, SHOP, "again")
    claim = drain.claim()
    while claim:
        claim = drain.step(Done(claim, status="sent"))
    assert ("sent", "sent") == (status(store, 1), status(store, 2))


def test_a_letter_is_replayed_once(store: Store, client: redis.Redis) -> None:
    letter = give_up(store)
    store.dead_letters.replay(letter)
    before = snapshot(client)
    assert store.dead_letters.replay(letter) == ("unknown", ())
    assert not store.dead_letters.discard(letter)
    assert snapshot(client) == before


def test_a_hint_that_was_given_up_is_a_letter_without_a_message(store: Store) -> None:
    append(store, ANN, "inbound", BOT, "ended")
    store.mailboxes.settle(Dead(Drain(store).claim(), reason="rejected"))
    (letter,) = store.dead_letters.newest()
    assert (letter.item, letter.message_id) == (End(), "")
    assert store.dead_letters.replay(letter.id)[0] == "ok"
    assert item_text(Drain(store).claim().item) == "ended"


def test_a_webhook_is_kept_as_it_came_and_replayed_by_its_receiver(store: Store, client: redis.Redis) -> None:
    webhook = '{"body": "\\u0000 \\"ü\\""}'
    parked = store.dead_letters.keep_webhook(webhook, "shop", "unexpected", "KeyError: " + "x" * 600)
    before = snapshot(client)
    assert store.dead_letters.replay(parked) == ("webhook", ())
    assert snapshot(client) == before

    letter = store.dead_letters.show(parked)
    assert letter is not None
    assert (letter.webhook, letter.where, letter.message_id) == (webhook, "shop", "")
    assert len(letter.error) == 500


def test_a_discarded_letter_takes_all_along_that_only_it_kept(store: Store, client: redis.Redis) -> None:
    letter = give_up(store)
    assert store.dead_letters.discard(letter)
    assert store.dead_letters.show(letter) is None
    assert store.dead_letters.count() == 0
    assert keys(client) - {"busy"} == {"x:shop:inbound:1", *DECLARED}, "seen, so that it is taken once"
    assert not store.dead_letters.discard(letter)


def test_the_message_of_a_discarded_letter_is_kept_for_the_reports_that_wait(store: Store, client: redis.Redis) -> None:
    assert store.dead_letters.discard(give_up(store, report_to="shop"))
    assert RETENTION - 2 < client.ttl(key("m", f"{1:032x}")) <= RETENTION
    report = Drain(store, "status:shop").claim()
    assert (item_text(report.item), report.message and report.message.id) == (f"status {1:032x} failed", f"{1:032x}")


class TestBounds:
    """`trim` is called by every worker now and then."""

    @pytest.mark.parametrize("limits", [Limits(dead_letters=3)], ids=["three"])
    def test_the_oldest_of_a_lane_go_where_there_are_too_many(
        self, store: Store, client: redis.Redis, clock: Clock
    ) -> None:
        letters = [park(store, clock, name) for name in ("shop", "shop", "desk", "shop", "shop", "shop")]
        assert store.dead_letters.trim() == {"shop": 2}
        kept = [letter.id for letter in store.dead_letters.newest()]
        assert kept == [letters[number] for number in (5, 4, 3, 2)]
        assert store.lanes.counts() == {"forgotten:shop": 2}
        assert store.dead_letters.trim() == {}

    @pytest.mark.parametrize("limits", [Limits(dead_letter_bytes=100)], ids=["100 bytes"])
    def test_the_oldest_of_a_lane_go_where_they_are_too_big(self, store: Store, clock: Clock) -> None:
        for name, size in (("shop", 60), ("desk", 100), ("shop", 50), ("shop", 50)):
            park(store, clock, name, "x" * size)
        assert store.dead_letters.trim() == {"shop": 1}
        assert [letter.where for letter in store.dead_letters.newest()] == ["shop", "shop", "desk"]

    @pytest.mark.parametrize("limits", [Limits(dead_letter_bytes=100)], ids=["100 bytes"])
    def test_a_letter_is_as_big_as_its_message(self, store: Store) -> None:
        give_up(store)
        assert store.dead_letters.trim() == {BOT: 1}

    @pytest.mark.parametrize("limits", [Limits(dead_letter_keep=100)], ids=["100 s"])
    def test_those_that_are_too_old_go(self, store: Store, clock: Clock) -> None:
        park(store, clock, "shop")
        clock.advance(98)
        park(store, clock, "shop")
        assert store.dead_letters.trim() == {}
        clock.advance(2)
        assert store.dead_letters.trim() == {"shop": 1}
        assert store.dead_letters.count() == 1

    @pytest.mark.parametrize(("age", "left"), [(100, RETENTION - 100), (RETENTION + 1, -2)], ids=["young", "old"])
    @pytest.mark.parametrize("limits", [Limits(dead_letters=1)], ids=["one"])
    def test_its_message_is_kept_as_long_as_others(
        self, store: Store, client: redis.Redis, clock: Clock, age: int, left: int
    ) -> None:
        give_up(store)
        clock.advance(age)
        assert store.dead_letters.trim() == {}
        write(store, 2)
        store.mailboxes.settle(Dead(Drain(store).claim(), reason="rejected"))
        assert store.dead_letters.trim() == {BOT: 1}
        assert abs(client.ttl(key("m", f"{1:032x}")) - left) <= 1
        assert client.ttl(key("m", f"{2:032x}")) == -1

    @pytest.mark.parametrize("limits", [Limits(dead_letters=2)], ids=["two"])
    def test_letters_of_an_earlier_version_are_bounded_like_others(
        self, store: Store, client: redis.Redis, clock: Clock
    ) -> None:
        for number in range(4):
            client.hset(key("d", f"old-{number}"), mapping={"webhook": "{}", "lane": "shop", "at": clock()})
            client.zadd(key("dead"), {f"old-{number}": clock() + number})
        clock.advance(1)
        new = park(store, clock, "shop")
        assert store.dead_letters.trim() == {"shop": 3}
        assert [letter.id for letter in store.dead_letters.newest()] == [new, "old-3"]
        store.dead_letters.discard("old-3"), store.dead_letters.discard(new)
        assert keys(client) == {*DECLARED, "counts"}

    def test_many_go_in_several_steps(self, store: Store, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("app.store.dead_letters.MAX_TRIMMED", 2)
        for _ in range(5):
            park(store, clock, "shop")
        clock.advance(31 * 86_400)
        assert [store.dead_letters.trim() for _ in range(4)] == [{"shop": 2}, {"shop": 2}, {"shop": 1}, {}]


def test_a_discarded_webhook_is_gone(store: Store, client: redis.Redis) -> None:
    assert store.dead_letters.discard(store.dead_letters.keep_webhook("{}", "shop", "unexpected", ""))
    assert keys(client) == DECLARED


def test_the_newest_come_first(store: Store, clock: Clock) -> None:
    letters = []
    for _ in range(4):
        clock.advance(1)
        letters.append(store.dead_letters.keep_webhook("{}", "shop", "unexpected", ""))
    assert [letter.id for letter in store.dead_letters.newest(3)] == letters[:0:-1]
    assert store.dead_letters.count() == 4


def park(store: Store, clock: Clock, name: str, webhook: str = "{}") -> str:
    clock.advance(1)
    return store.dead_letters.keep_webhook(webhook, name, "unexpected", "")


def give_up(store: Store, report_to: str = "") -> str:
    """Write message 1 and give it up; the letter's id."""
    (wake,) = write(store, 1, report_to=report_to).wakes
    drain = Drain(store, token=wake.token)
    drain.step(Dead(drain.claim(), reason="rejected", error="too long"))
    (letter,) = store.dead_letters.newest()
    return letter.id
