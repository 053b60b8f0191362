"""Reports, records, transcripts and live streams."""

from __future__ import annotations

import pytest
import redis

from app.core.acceptance import Acceptance
from app.core.status import STATUSES, Status, climbs
from app.core.work import Done, Outcome, Wake, item_text
from app.store import Store, messages
from app.store.messages import LiveEntry
from tests.store.steps import ANN, BEN, SHOP, Drain, append, entry, item, key, keys, lanes_of, queued, snapshot, write
from tests.support.gateway import Clock

ANN_REPORTS = f"{ANN}|status:desk"
ITS_ID = "shop:outbound:its"


class TestLadder:
    @pytest.mark.parametrize("current", STATUSES)
    @pytest.mark.parametrize("reported", STATUSES)
    def test_the_scripts_climb_as_the_core_does(
        self, store: Store, client: redis.Redis, current: Status, reported: Status
    ) -> None:
        send(store)
        client.hset(key("m", f"{1:032x}"), "st", current)

        state, wakes = report(store, reported)
        higher = climbs(current, reported)
        assert state == ("climbed" if higher else "unchanged")
        assert status(store) == (reported if higher else current)
        assert queued(client, ANN_REPORTS) == ([f"status {1:032x} {reported}"] if higher else [])
        assert lanes_of(wakes) == (["status:desk"] if higher else [])


class TestReports:
    def test_doubled_and_disordered_ones_change_nothing(self, store: Store, client: redis.Redis) -> None:
        send(store)
        told: list[Status] = ["delivered", "delivered", "sent", "failed", "read", "delivered"]
        assert [report(store, one)[0] for one in told] == ["climbed", *["unchanged"] * 3, "climbed", "unchanged"]
        assert queued(client, ANN_REPORTS) == [f"status {1:032x} delivered", f"status {1:032x} read"]

    def test_the_reason_of_a_failure_is_kept_until_proof_of_delivery(self, store: Store) -> None:
        send(store)
        report(store, "failed", error="blocked")
        failed = store.messages.read(f"{1:032x}")
        report(store, "delivered")
        delivered = store.messages.read(f"{1:032x}")
        assert failed is not None
        assert delivered is not None
        assert (failed.error, delivered.error) == ("blocked", "")

    def test_a_message_is_known_by_the_platforms_own_id(self, store: Store) -> None:
        send(store)
        settle(store, Done(Drain(store, SHOP).claim(), status="sent", scope=ITS_ID))
        assert by_its_id(store, "delivered") == "climbed"
        record = store.messages.read(f"{1:032x}")
        assert record is not None
        assert (record.status, record.external_id) == ("delivered", "its")

    def test_one_that_overtakes_the_receipt_waits_for_it(self, store: Store, client: redis.Redis) -> None:
        send(store)
        claim = Drain(store, SHOP).claim()
        assert by_its_id(store, "read", "delivered") == "early"
        assert status(store) == "queued"
        settle(store, Done(claim, status="sent", scope=ITS_ID))

        assert status(store) == "read"
        assert queued(client, ANN_REPORTS) == [f"status {1:032x} read"]
        assert keys(client, "early:*") == set()

    def test_an_early_failure_brings_its_reason(self, store: Store) -> None:
        send(store)
        claim = Drain(store, SHOP).claim()
        store.messages.report("its", "failed", scope=ITS_ID, direction="outbound", owner="shop/", error="a b\nc")
        settle(store, Done(claim, scope=ITS_ID))
        record = store.messages.read(f"{1:032x}")
        assert record is not None
        assert (record.status, record.error) == ("failed", "a b\nc")

    def test_early_ones_wait_for_an_hour_and_only_the_newest(self, store: Store, client: redis.Redis) -> None:
        for _ in range(30):
            by_its_id(store, "sent")
        assert 3_598 < client.ttl(key("early", ITS_ID)) <= 3_600
        assert client.llen(key("early", ITS_ID)) == 20

    @pytest.mark.parametrize(
        ("direction", "owner"),
        [("inbound", "shop/"), ("outbound", "sho"), ("outbound", "other/"), ("outbound", BEN), ("outbound", ANN[:-1])],
    )
    def test_a_platform_may_not_speak_of_what_is_not_its_own(
        self, store: Store, client: redis.Redis, direction: str, owner: str
    ) -> None:
        send(store)
        before = snapshot(client)
        told = store.messages.report(f"{1:032x}", "read", scope="", direction=direction, owner=owner)
        assert told == ("foreign", ())
        assert snapshot(client) == before

    @pytest.mark.parametrize("owner", ["", "shop/", ANN])
    def test_it_may_speak_of_all_of_a_channel_or_of_one_conversation(self, store: Store, owner: str) -> None:
        send(store)
        assert store.messages.report(f"{1:032x}", "read", scope="", direction="outbound", owner=owner)[0] == "climbed"

    def test_one_about_a_forgotten_message_changes_nothing(self, store: Store, client: redis.Redis) -> None:
        send(store)
        settle(store, Done(Drain(store, SHOP).claim(), scope=ITS_ID))
        client.delete(key("m", f"{1:032x}"))
        assert by_its_id(store, "read") == "unchanged"
        assert keys(client, "m:*") == set()

    def test_nobody_hears_of_a_message_whose_sender_did_not_ask(self, store: Store, client: redis.Redis) -> None:
        store.mailboxes.accept(Acceptance(entry=entry(1, direction="outbound")))
        assert report(store, "delivered") == ("climbed", ())
        assert keys(client, "q:*status*") == set()

    def test_a_claimed_report_brings_its_message_and_when_it_climbed(self, store: Store) -> None:
        send(store)
        report(store, "failed", error="blocked")
        claim = Drain(store, "status:desk").claim()
        assert claim.message == entry(1, direction="outbound").message
        assert (item_text(claim.item), claim.error, claim.status_at) == (
            f"status {1:032x} failed",
            "blocked",
            claim.now,
        )


class TestRecords:
    def test_there_is_none_of_an_unknown_message(self, store: Store) -> None:
        assert store.messages.read("0" * 32) is None
        assert store.messages.read_many([]) == []

    def test_a_timeline_shows_both_directions_in_order(self, store: Store) -> None:
        write(store, 1)
        settle(store, Done(Drain(store).claim(), append=(entry(2, direction="outbound"),)))
        write(store, 3), write(store, 4, BEN)
        assert [record.message.id for record in store.messages.timeline(ANN)] == [f"{n:032x}" for n in (1, 2, 3)]
        assert [record.message.id for record in store.messages.timeline(ANN, 1)] == [f"{3:032x}"]

    @pytest.mark.parametrize("apart", [0, 0.001], ids=["in one moment", "one after the other"])
    @pytest.mark.parametrize("chunk", [1, 3, 7, 50])
    def test_a_list_is_read_as_it_stood_whatever_comes_meanwhile(
        self, chunk: int, apart: float, client: redis.Redis, clock: Clock, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("app.store.messages.CHUNK", chunk)
        store = Store(client, clock=clock, lists={"shop": ["AC1"]})
        for number in range(20):
            write(store, number)
            clock.advance(apart)
        clock.advance(1)
        found = []
        for count, ((_, message_id), _) in enumerate(store.messages.newest("AC1")):
            write(store, 100 + count)
            found.append(message_id)
        assert found == [f"{number:032x}" for number in reversed(range(20))]

    def test_a_list_is_no_longer_than_messages_are_kept(self, client: redis.Redis, clock: Clock) -> None:
        store = Store(client, clock=clock, lists={"shop": ["AC1"]})
        write(store, 1)
        clock.advance(72 * 3_600 - 1)
        write(store, 2)
        assert client.zcard(key("i", "AC1")) == 2
        clock.advance(2)
        write(store, 3)
        assert [place[1] for place, _ in store.messages.newest("AC1")] == [f"{number:032x}" for number in (3, 2)]
        assert client.zcard(key("i", "AC1")) == 2
        assert 72 * 3_600 - 2 < client.ttl(key("i", "AC1")) <= 72 * 3_600

    def test_a_timeline_is_bounded_and_is_forgotten(self, store: Store, client: redis.Redis) -> None:
        for number in range(210):
            write(store, number)
        assert client.llen(key("t", ANN)) == 200
        assert 72 * 3_600 - 2 < client.ttl(key("t", ANN)) <= 72 * 3_600


class TestLive:
    def test_a_customer_sees_what_was_written_what_came_of_it_and_hints(self, store: Store) -> None:
        write(store, 1, live=True, show=True)
        report(store, "delivered", direction="inbound")
        store.mailboxes.accept(Acceptance(entry=entry(2, direction="outbound", live=True)))
        drain = Drain(store, SHOP)
        append(store, ANN, "outbound", SHOP, "typing @5")
        hint = drain.step(Done(drain.claim(), status="sent", show=True))
        assert hint is not None
        drain.step(Done(hint, event="typing"))

        shown = store.messages.live(ANN, "0", 0)
        assert [(one.kind, one.message_id, one.status) for one in shown] == [
            ("message", f"{1:032x}", ""),
            ("status", f"{1:032x}", "delivered"),
            ("message", f"{2:032x}", ""),
            ("status", f"{2:032x}", "sent"),
            ("typing", "", ""),
        ]
        assert [one.record.message.content for one in shown if one.record] == [
            entry(1).message.content,
            entry(2).message.content,
        ]

    def test_a_message_is_shown_before_the_reports_that_overtook_it(self, store: Store) -> None:
        store.mailboxes.accept(Acceptance(entry=entry(1, direction="outbound", live=True)))
        claim = Drain(store, SHOP).claim()
        by_its_id(store, "delivered")
        settle(store, Done(claim, status="sent", scope=ITS_ID, show=True))
        assert [one.kind for one in store.messages.live(ANN, "0", 0)] == ["message", "status"]

    def test_a_reader_goes_on_where_he_was(self, store: Store) -> None:
        for number in (1, 2):
            write(store, number, live=True, show=True)
        first, second = store.messages.live(ANN, "0", 0)
        assert store.messages.live(ANN, first.position, 0) == [second]
        assert store.messages.live(ANN, second.position, 0.001) == []

    @pytest.mark.usefixtures("written_by_hand")
    @pytest.mark.parametrize(
        ("sizes", "expected"),
        [
            ([10] * 100, [messages.LIVE_ENTRIES] * 2 + [100 - 2 * messages.LIVE_ENTRIES]),
            ([30_000] * 5, [2, 2, 1]),
            ([65_000, 1_000, 1_000], [1, 2]),
            ([300_000, 10, 300_000], [1, 1, 1]),
        ],
        ids=["many small ones", "some long ones", "just too long", "each too long"],
    )
    def test_a_reader_never_gets_much_at_once(
        self, store: Store, client: redis.Redis, sizes: list[int], expected: list[int]
    ) -> None:
        write(store, 1, live=True)
        body = client.hget(key("m", f"{1:032x}"), "body")
        client.delete(key("e", ANN))
        for number, size in enumerate(sizes):
            told = f"{number:032x}"
            client.hset(key("m", told), mapping={"body": body + " " * (size - len(body)), "st": "queued"})
            client.xadd(key("e", ANN), {"kind": "message", "id": told})
        after, found = "0", []
        while shown := store.messages.live(ANN, after, 0):
            after = shown[-1].position
            found.append(shown)
        assert expected == [len(shown) for shown in found]
        assert [f"{number:032x}" for number in range(len(sizes))] == [one.message_id for part in found for one in part]

    def test_a_position_that_is_none_of_ours_begins_anew(self, store: Store) -> None:
        write(store, 1, live=True, show=True)
        assert len(store.messages.live(ANN, "nonsense", 0)) == 1

    @pytest.mark.usefixtures("written_by_hand")
    def test_a_stream_that_cannot_be_read_at_all_is_an_error(
        self, real_store: Store, redis_client: redis.Redis
    ) -> None:
        redis_client.set(key("e", ANN), "no stream")
        with pytest.raises(redis.ResponseError):
            real_store.messages.live(ANN, "5-0", 0)

    def test_a_message_that_was_forgotten_is_shown_without_content(self, store: Store, client: redis.Redis) -> None:
        write(store, 1, live=True, show=True)
        client.delete(key("m", f"{1:032x}"))
        (shown,) = store.messages.live(ANN, "0", 0)
        assert shown == LiveEntry(shown.position, "message", None, f"{1:032x}")

    def test_a_stream_is_bounded_and_is_forgotten(self, store: Store, client: redis.Redis) -> None:
        write(store, 0, live=True)
        client.xadd(key("e", ANN), {"kind": "typing"}, id="1-0")
        write(store, 1, live=True, show=True)
        assert 72 * 3_600 - 2 < client.ttl(key("e", ANN)) <= 72 * 3_600

        for _ in range(1_200):
            client.xadd(key("e", ANN), {"kind": "typing"})
        report(store, "delivered", direction="inbound")
        assert client.xlen(key("e", ANN)) < 1_200

    def test_a_channel_without_one_has_none(self, store: Store, client: redis.Redis) -> None:
        send(store)
        settle(store, Done(Drain(store, SHOP).claim(), status="sent", show=True))
        assert keys(client, "e:*") == set()


def send(store: Store) -> None:
    """Message 1, from the desk, which hears what becomes of it; it waits to be sent."""
    entered = store.mailboxes.accept(Acceptance(entry=entry(1, direction="outbound", report_to="desk")))
    assert entered.state == "ok", item(1)


def settle(store: Store, outcome: Outcome) -> None:
    assert not store.mailboxes.settle(outcome).stale


def report(
    store: Store, status: Status, *, direction: str = "outbound", error: str = ""
) -> tuple[str, tuple[Wake, ...]]:
    """A report about message 1 under our own id."""
    return store.messages.report(f"{1:032x}", status, scope="", direction=direction, owner="shop/", error=error)


def by_its_id(store: Store, *statuses: Status) -> str:
    """Reports under the platform's id; what came of the last one."""
    for status in statuses:
        state, _ = store.messages.report("its", status, scope=ITS_ID, direction="outbound", owner="shop/")
    return state


def status(store: Store) -> Status:
    record = store.messages.read(f"{1:032x}")
    assert record is not None
    return record.status
