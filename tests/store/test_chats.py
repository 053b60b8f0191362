"""Chats that a destination keeps open and numbers: gaps, looks, the slow watch, and what is kept of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import redis
from msgspec.structs import replace

from app.core.acceptance import Entered, Place, Responder
from app.core.lane import SILENT
from app.core.session import Session
from app.core.work import (
    Achieved,
    Append,
    AppendItem,
    Behind,
    Claim,
    Done,
    Report,
    Retry,
    SessionChange,
    TellEnd,
    ThreadState,
    item_of,
    item_text,
)
from app.store import Store
from app.store.limits import Limits
from tests.store.steps import (
    ANN,
    BEN,
    BOT,
    DESK,
    SHOP,
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

ANN_IN, ANN_OUT = f"{ANN}|inbound", f"{ANN}|outbound"
CHAT = "desk:CH1"
KEEP = 30 * 86_400
SMALL = pytest.mark.parametrize("limits", [Limits(mailbox=2, lane=3)], ids=["small"])


def say(store: Store, number: int, index: int, **options: Any) -> Entered:
    """The desk's webhook about message `number`, which stands in Ann's chat at `index`."""
    options.setdefault("responder", Responder("desk", seize=False))
    options.setdefault("scope", scope_of(number))
    return write(store, number, direction="outbound", place=Place(CHAT, DESK, index), **options)


def scope_of(number: int) -> str:
    return f"desk:written:{number}"


def found(number: int) -> Append:
    """Message `number` as a look at the chat finds it, under an id of its own."""
    return replace(entry(100 + number, direction="outbound"), scope=scope_of(number))


def hear(store: Store, index: int) -> None:
    """All up to `index` is known; -1: the chat was opened and nothing stands in it."""
    store.mailboxes.changed(ANN, Place(CHAT, DESK, index))


def look(store: Store) -> list[str]:
    """Something changed in Ann's chat; the lanes that are woken."""
    return lanes_of(store.mailboxes.changed(ANN, Place(CHAT, DESK)))


def held(store: Store, *, conversation: str = ANN, **parts: Any) -> None:
    """The desk holds the conversation."""
    session = Session(**{"destination": "desk", "mode": "human", "handles": {"chat": "CH1"}} | parts)
    drain = Drain(store, DESK)
    for wake in append(store, conversation, "inbound", DESK, "handoff") or ():
        drain.token = wake.token
    drain.step(Done(drain.claim(), session=SessionChange(session, changes_hands=True)))


class TestNumbers:
    CASES = {
        "the first that we hear of": (None, 7, "ok", 7),
        "the first of all": (-1, 0, "ok", 0),
        "the second of all without the first": (-1, 1, "later", -1),
        "the next": (7, 8, "ok", 8),
        "one is missing": (7, 9, "later", 7),
        "many are missing": (7, 99, "later", 7),
        "one that was missing": (7, 5, "ok", 7),
        "more of the same": (7, 7, "ok", 7),
    }

    @pytest.mark.parametrize(("known", "index", "state", "seen"), CASES.values(), ids=CASES)
    def test_a_message_behind_a_gap_comes_later(
        self, store: Store, known: int | None, index: int, state: str, seen: int
    ) -> None:
        held(store)
        if known is not None:
            hear(store, known)
        entered = say(store, 1, index)
        assert (state, seen) == (entered.state, store.mailboxes.thread(CHAT).seen)

    def test_of_a_message_that_comes_later_nothing_is_recorded_but_a_look_is_asked_for(
        self, store: Store, client: redis.Redis
    ) -> None:
        held(store)
        hear(store, 1)
        before = snapshot(client)
        entered = say(store, 1, 3)

        assert ("later", "") == (entered.state, entered.message_id)
        assert [DESK] == lanes_of(entered.wakes)
        assert ["check"] == queued(client, ANN_IN)
        assert store.lanes.state(DESK, 0).waiting == 1
        after = snapshot(client)
        changed = {name for name in after if after[name] != before.get(name)}
        queues = {f"q:{ANN_IN}", f"b:{ANN_IN}", f"ready:{DESK}", f"drains:{DESK}", f"lane:{DESK}", "busy"}
        assert changed <= queues
        assert before.keys() <= after.keys()
        assert ["check"] == Drain(store, DESK, entered.wakes[0].token).finish()

    def test_the_lost_one_then_the_other_are_taken_in_order(self, store: Store, client: redis.Redis) -> None:
        held(store)
        hear(store, 0)
        states = [say(store, number, number).state for number in (2, 1, 2)]
        assert ["later", "ok", "ok"] == states
        assert [item(1), item(2)] == queued(client, ANN_OUT)

    def test_a_repeated_webhook_is_a_duplicate_whatever_its_number(self, store: Store, client: redis.Redis) -> None:
        hear(store, 0)
        say(store, 1, 1)
        before = snapshot(client)
        for index in (1, 2, 9):
            again = say(store, 1, index)
            assert ("duplicate", f"{1:032x}", ()) == (again.state, again.message_id, again.wakes)
        assert before == snapshot(client)

    ELSEWHERE: dict[str, dict[str, Any] | None] = {
        "nobody holds the conversation": None,
        "the bot does": {"destination": "bot", "mode": "bot", "handles": {}},
        "the bot does, with something of that name": {"destination": "bot", "mode": "bot"},
        "the desk does, without a chat": {"handles": {}},
        "the desk does, with nothing for a chat": {"handles": {"chat": None}},
        "the desk does, in another chat": {"handles": {"chat": "CH2"}},
    }

    @pytest.mark.parametrize("session", ELSEWHERE.values(), ids=ELSEWHERE)
    def test_what_comes_from_a_chat_that_is_not_looked_at_is_taken_as_it_comes(
        self, store: Store, client: redis.Redis, session: dict[str, Any] | None
    ) -> None:
        """A look would not find it, and it would be lost. What is missing may still come."""
        if session is not None:
            held(store, **session)
        hear(store, 0)
        assert ["ok", "ok", "duplicate"] == [say(store, number, number).state for number in (3, 2, 3)]
        assert [item(3), item(2)] == queued(client, ANN_OUT)
        assert [] == queued(client, ANN_IN)
        assert store.mailboxes.thread(CHAT).seen == 0

    @SMALL
    @pytest.mark.parametrize(("before_it", "state"), [(2, "mailbox_full"), (0, "lane_full")])
    def test_one_that_finds_no_room_is_not_seen(
        self, store: Store, client: redis.Redis, before_it: int, state: str
    ) -> None:
        hear(store, 0)
        for number in range(before_it):
            write(store, 50 + number, direction="outbound")
        for number in range(3 - before_it):
            write(store, 60 + number, f"shop/webchat:{number}", direction="outbound")
        before = snapshot(client)
        assert state == say(store, 1, 1).state
        assert before == snapshot(client)

        Drain(store, SHOP).finish()
        assert ["ok", "ok"] == [say(store, number, number).state for number in (1, 2)]

    def test_chats_are_counted_apart(self, store: Store) -> None:
        hear(store, 7)
        other = write(store, 1, BEN, direction="outbound", place=Place("desk:CH2", DESK, 3))
        assert other.state == "ok"
        assert [7, 3] == [store.mailboxes.thread(name).seen for name in (CHAT, "desk:CH2")]

    def test_of_a_chat_that_nobody_knows_nothing_is_known(self, store: Store) -> None:
        assert ThreadState(CHAT, None, -1) == store.mailboxes.thread(CHAT)

    KEEPERS: dict[str, Callable[[Store], object]] = {
        "accept": lambda store: say(store, 1, 1),
        "look": lambda store: hear(store, 1),
        "settle": lambda store: settle(store, thread=ThreadState(CHAT, 1)),
        "remember": lambda store: store.mailboxes.remember(handoff(store), 30, Achieved(thread=ThreadState(CHAT, 1))),
    }

    @pytest.mark.parametrize("keeps", KEEPERS.values(), ids=KEEPERS)
    def test_what_is_known_is_kept_as_long_as_a_session(
        self, store: Store, client: redis.Redis, keeps: Callable[[Store], object]
    ) -> None:
        hear(store, 0)
        client.expire(key("c", CHAT), 60)
        keeps(store)
        assert store.mailboxes.thread(CHAT).seen == 1
        assert KEEP - 2 < client.ttl(key("c", CHAT)) <= KEEP

    def test_once_it_is_forgotten_the_counting_begins_anew(self, store: Store, client: redis.Redis) -> None:
        held(store)
        hear(store, 7)
        client.pexpire(key("c", CHAT), 0)
        assert [("ok", 20), ("later", 20)] == [
            (say(store, n, index).state, store.mailboxes.thread(CHAT).seen) for n, index in ((1, 20), (2, 22))
        ]


class TestLooks:
    CASES = {
        "a message that needs nothing": (7, 8, 8, False),
        "the first that we hear of": (None, 3, 3, False),
        "an old one": (7, 2, 7, False),
        "one behind a gap": (7, 9, 7, True),
        "something else": (7, None, 7, True),
        "something else in a chat that we do not know": (None, None, None, True),
    }

    @pytest.mark.parametrize(("known", "index", "seen", "looks"), CASES.values(), ids=CASES)
    def test_only_what_a_look_tells_asks_for_one(
        self, store: Store, client: redis.Redis, known: int | None, index: int | None, seen: int | None, looks: bool
    ) -> None:
        if known is not None:
            hear(store, known)
        wakes = store.mailboxes.changed(ANN, Place(CHAT, DESK, index))
        assert seen == store.mailboxes.thread(CHAT).seen
        assert ([DESK] if looks else []) == lanes_of(wakes)
        assert (["check"] if looks else []) == queued(client, ANN_IN)

    def test_while_one_waits_no_other_is_asked_for(self, store: Store, client: redis.Redis) -> None:
        assert [[DESK], [], []] == [look(store) for _ in range(3)]
        assert ["check"] == queued(client, ANN_IN)
        assert store.lanes.state(DESK, 0).waiting == 1

    def test_while_one_waits_behind_a_message_no_other_is_asked_for(self, store: Store, client: redis.Redis) -> None:
        write(store, 1)
        look(store), look(store)
        assert [item(1), "check"] == queued(client, ANN_IN)

    def test_while_one_is_worked_one_more_is_asked_for(self, store: Store, client: redis.Redis) -> None:
        """What it has looked at already may be older than the change."""
        look(store)
        Drain(store, DESK).claim()
        look(store), look(store)
        assert ["check", "check"] == queued(client, ANN_IN)

    def test_while_one_waits_to_be_tried_again_no_other_is_asked_for(self, store: Store, client: redis.Redis) -> None:
        look(store)
        store.mailboxes.settle(Retry(Drain(store, DESK).claim(), due=60))
        look(store)
        assert ["check"] == queued(client, ANN_IN)

    def test_one_before_a_message_is_not_one_behind_it(self, store: Store, client: redis.Redis) -> None:
        look(store)
        write(store, 1)
        look(store)
        assert ["check", item(1), "check"] == queued(client, ANN_IN)

    def test_one_for_a_conversation_at_work_waits_where_that_is(self, store: Store) -> None:
        write(store, 1)
        assert [] == look(store), "a drain is on its way to that mailbox"
        assert [2, 0] == [store.lanes.state(lane, 0).waiting for lane in (BOT, DESK)]


class TestSettlements:
    def test_a_found_message_that_a_webhook_brought_meanwhile_is_not_doubled(
        self, store: Store, client: redis.Redis
    ) -> None:
        hear(store, 0)
        look(store)
        claim = Drain(store, DESK).claim()
        assert say(store, 1, 1).state == "ok"
        store.mailboxes.settle(Done(claim, append=(found(1), found(2)), thread=ThreadState(CHAT, 2)))

        assert [item(1), item(102)] == queued(client, ANN_OUT)
        assert store.messages.read(found(1).message.id) is None
        assert store.mailboxes.thread(CHAT).seen == 2

    def test_the_webhook_of_a_message_that_was_found_is_a_duplicate(self, store: Store, client: redis.Redis) -> None:
        hear(store, 0)
        look(store)
        settle(store, append=(found(1),), thread=ThreadState(CHAT, 1))
        entered = say(store, 1, 1)

        assert ("duplicate", found(1).message.id) == (entered.state, entered.message_id)
        assert [item(101)] == queued(client, ANN_OUT)
        assert 72 * 3_600_000 - 2_000 < client.pttl(key("x", scope_of(1))) <= 72 * 3_600_000

    def test_a_message_without_a_scope_leaves_no_mark(self, store: Store, client: redis.Redis) -> None:
        settle(store, append=(entry(5, direction="outbound"),))
        assert set() == keys(client, "x:*")

    def test_what_is_no_message_is_appended_behind_the_messages(self, store: Store, client: redis.Redis) -> None:
        ended = AppendItem(ANN_OUT, SHOP, TellEnd("7"))
        settled = store.mailboxes.settle(Done(handoff(store), append=(found(1), ended)))

        assert [item(101), "ended 7"] == queued(client, ANN_OUT)
        assert [SHOP] == lanes_of(settled.wakes)
        assert store.lanes.state(SHOP, 0).waiting == 2
        assert [item(101), "ended 7"] == Drain(store, SHOP, settled.wakes[0].token).finish()

    def test_what_is_no_message_and_has_a_scope_is_appended_once(self, store: Store, client: redis.Redis) -> None:
        for scope in ("bot:record:1", "bot:record:1", "bot:record:2", "", ""):
            settle(store, append=(AppendItem(ANN_OUT, SHOP, item_of(f"record {scope}"), scope),))

        assert ["record bot:record:1", "record bot:record:2", "record ", "record "] == queued(client, ANN_OUT)
        assert store.lanes.state(SHOP, 0).waiting == 4
        assert {"x:bot:record:1", "x:bot:record:2"} == keys(client, "x:*")
        mark = key("x", "bot:record:1")
        assert 72 * 3_600_000 - 2_000 < client.pttl(mark) <= 72 * 3_600_000
        client.pexpire(mark, 0)
        settle(store, append=(AppendItem(ANN_OUT, SHOP, item_of("again"), "bot:record:1"),))
        assert queued(client, ANN_OUT)[-1] == "again"

    STATES = {
        "the first": ([ThreadState(CHAT, 4, 2)], ThreadState(CHAT, 4, 2)),
        "further": ([ThreadState(CHAT, 4, 2), ThreadState(CHAT, 6, 5)], ThreadState(CHAT, 6, 5)),
        "seen never goes back": ([ThreadState(CHAT, 4, 2), ThreadState(CHAT, 3, 3)], ThreadState(CHAT, 4, 3)),
        "nothing yet": ([ThreadState(CHAT)], ThreadState(CHAT, -1, -1)),
    }

    @pytest.mark.parametrize(("written", "expected"), STATES.values(), ids=STATES)
    def test_how_far_the_chat_is_known_is_written_with_the_outcome(
        self, store: Store, written: list[ThreadState], expected: ThreadState
    ) -> None:
        for chat in written:
            settle(store, thread=chat)
        assert expected == store.mailboxes.thread(CHAT)

    def test_one_who_lost_the_lease_writes_nothing_of_it(self, store: Store, client: redis.Redis, clock: Clock) -> None:
        look(store)
        slow = Drain(store, DESK).claim()
        clock.advance(31)
        store.mailboxes.sweep()
        before = snapshot(client)
        everything: dict[str, Any] = {
            "append": (found(1), AppendItem(ANN_OUT, SHOP, TellEnd("7"), "desk:ended:7")),
            "thread": ThreadState(CHAT, 3, 3),
            "poll_in": 60.0,
        }
        assert store.mailboxes.settle(Done(slow, **everything)).stale
        assert store.mailboxes.settle(Behind(slow, front=items("ended silence"))).stale
        assert before == snapshot(client)


class TestBehind:
    """What must be done first goes in front; the head was not tried."""

    def test_the_front_is_worked_first_and_then_the_head(self, store: Store, client: redis.Redis) -> None:
        write(store, 1), write(store, 2)
        drain = Drain(store)
        drain.step(Behind(drain.claim(), front=items("ended silence", "check"), lane=SILENT))

        assert ["ended silence", "check", item(1), item(2)] == queued(client, ANN_IN)
        assert store.lanes.state(BOT, 0).waiting == 4
        assert drain.worked.claim is not None
        first = drain.step(Done(drain.worked.claim))
        assert first is not None
        assert item_text(first.item) == "check"
        assert store.lanes.state(BOT, 0).waiting == 3
        drain.step(Done(first))
        assert drain.worked.claim is not None
        drain.step(Done(drain.worked.claim))
        assert [item(2)] == queued(client, ANN_IN)
        assert store.lanes.state(BOT, 0).waiting == 1

    def test_the_message_stays_as_it_was(self, store: Store, client: redis.Redis) -> None:
        write(store, 1, report_to="shop")
        store.mailboxes.settle(Behind(Drain(store).claim(), front=items("ended silence")))
        record = store.messages.read(f"{1:032x}")
        assert record is not None
        assert (record.status, record.error) == ("queued", "")
        assert client.ttl(key("m", f"{1:032x}")) == -1
        assert store.dead_letters.count() == 0

    def test_no_attempt_is_spent(self, store: Store) -> None:
        write(store, 1)
        drain = Drain(store)
        first = drain.step(Behind(drain.claim(), front=items("ended silence")))
        assert first is not None
        assert (item_text(first.item), first.attempt, first.uncertain) == ("ended silence", 1, False)
        again = drain.step(Done(first))
        assert again is not None
        assert (item_text(again.item), again.attempt, again.uncertain) == (item(1), 1, False)

    def test_what_was_tried_of_the_head_is_none_of_the_fronts(self, store: Store, clock: Clock) -> None:
        """Else what goes in front would be given up for tries that were never made."""
        write(store, 1)
        drain = Drain(store)
        claim = drain.claim()
        store.mailboxes.remember(claim, 30, Achieved(progress={"part": 1}))
        tried = drain.step(Retry(claim, uncertain=True))
        assert tried is not None
        clock.advance(3_600)
        first = drain.step(Behind(tried, front=items("ended silence")))

        assert first is not None
        assert item_text(first.item) == "ended silence"
        assert (1, False, {}) == (first.attempt, first.uncertain, first.progress)
        assert clock() == first.first_at

    def test_claims_without_a_result_before_it_do_not_poison_the_front(self, store: Store, clock: Clock) -> None:
        write(store, 1)
        for number in range(2):
            Drain(store, token=f"dies {number}").claim()
            clock.advance(30)
            store.mailboxes.sweep()
        drain = Drain(store)
        first = drain.step(Behind(drain.claim(), front=items("ended silence")))
        for number in range(2):
            assert first is not None
            assert (item_text(first.item), first.attempt) == ("ended silence", number + 1)
            clock.advance(30)
            store.mailboxes.sweep()
            first = Drain(store, token=f"again {number}").step()
        assert first is not None
        assert first.attempt == 3
        assert store.dead_letters.count() == 0

    def test_it_is_due_at_once(self, store: Store, client: redis.Redis, clock: Clock) -> None:
        write(store, 1)
        store.mailboxes.settle(Behind(Drain(store).claim(), front=items("ended silence")))
        assert client.zscore(key("ready", BOT), ANN_IN) == clock()
        assert client.zcard(key("leased", BOT)) == 0


class TestWatching:
    SETTERS: dict[str, Callable[[Store], object]] = {
        "remember": lambda store: store.mailboxes.settle(Done(remembered(store, poll_in=60.0))),
        "settle": lambda store: settle(store, poll_in=60.0),
    }

    @pytest.mark.parametrize("sets", SETTERS.values(), ids=SETTERS)
    def test_a_chat_is_looked_at_once_when_it_is_time(
        self, store: Store, client: redis.Redis, clock: Clock, sets: Callable[[Store], object]
    ) -> None:
        held(store)
        sets(store)
        clock.advance(59.999)
        assert [] == lanes_of(store.mailboxes.sweep())
        clock.advance(0.001)
        assert [DESK] == lanes_of(store.mailboxes.sweep())
        assert ["check"] == queued(client, ANN_IN)
        assert ["check"] == Drain(store, DESK).finish()

    def test_a_look_that_comes_to_nothing_is_followed_by_another(self, store: Store, clock: Clock) -> None:
        held(store)
        settle(store, poll_in=60.0)
        clock.advance(60)
        assert [DESK] == lanes_of(store.mailboxes.sweep())
        assert ["check"] == Drain(store, DESK).finish()
        clock.advance(3_599)
        assert () == store.mailboxes.sweep()
        clock.advance(1)
        assert [DESK] == lanes_of(store.mailboxes.sweep())

    def test_one_that_is_over_is_not_looked_at(self, store: Store, client: redis.Redis, clock: Clock) -> None:
        held(store)
        settle(store, poll_in=60.0)
        settle(store, poll_in=0.0)
        assert keys(client, "watch") == set()

    def test_the_next_look_is_when_it_was_said_last(self, store: Store, client: redis.Redis, clock: Clock) -> None:
        held(store)
        for seconds in (60.0, 600.0, 300.0):
            settle(store, poll_in=seconds)
        clock.advance(299)
        store.mailboxes.sweep()
        assert queued(client, ANN_IN) == []
        clock.advance(1)
        store.mailboxes.sweep()
        assert queued(client, ANN_IN) == ["check"]

    def test_without_a_word_about_it_nothing_is_watched(self, store: Store, client: redis.Redis) -> None:
        settle(store)
        remembered(store)
        assert keys(client, "watch") == set()

    HOLDERS: dict[str, tuple[str | None, list[str]]] = {
        "who has a lane": ("desk", ["check"]),
        "who left the configuration": ("gone", []),
        "nobody": (None, []),
    }

    @pytest.mark.parametrize(("holder", "items"), HOLDERS.values(), ids=HOLDERS)
    def test_only_a_holder_with_a_lane_is_asked_to_look(
        self, store: Store, client: redis.Redis, clock: Clock, holder: str | None, items: list[str]
    ) -> None:
        if holder:
            held(store, destination=holder)
        settle(store, poll_in=60.0)
        clock.advance(60)
        store.mailboxes.sweep()
        assert items == queued(client, ANN_IN)
        assert {f"inbound:{holder}"} & {BOT, DESK} or not keys(client, "lane:inbound:gone")

    def test_a_look_that_waits_already_is_enough(self, store: Store, client: redis.Redis, clock: Clock) -> None:
        held(store)
        settle(store, poll_in=60.0)
        look(store)
        clock.advance(60)
        store.mailboxes.sweep()
        assert ["check"] == queued(client, ANN_IN)

    def test_every_conversation_has_its_own_time(self, store: Store, client: redis.Redis, clock: Clock) -> None:
        for number, conversation in enumerate([ANN, BEN]):
            held(store, conversation=conversation)
            append(store, conversation, "inbound", DESK, "handoff")
            store.mailboxes.settle(Done(Drain(store, DESK).claim(), poll_in=60.0 * (number + 1)))
        clock.advance(60)
        store.mailboxes.sweep()
        assert [["check"], []] == [queued(client, f"{one}|inbound") for one in (ANN, BEN)]


class TestRemembering:
    def test_handles_are_in_the_session_at_once(self, store: Store, clock: Clock) -> None:
        """A new session, too, which nothing wrote before."""
        write(store, 1)
        claim = Drain(store).claim()
        clock.advance(5)
        session = Session("bot", handles={"chat": "CH1"}, since="m1")
        assert store.mailboxes.remember(claim, 30, Achieved(session=session, aliases=("bot:CH1",)))

        assert replace(session, last_at=clock()) == store.sessions.read(ANN)
        assert store.sessions.resolve("bot", "CH1") == ANN

    def test_the_next_worker_reads_them(self, store: Store, client: redis.Redis, clock: Clock) -> None:
        write(store, 1)
        store.mailboxes.remember(Drain(store).claim(), 30, Achieved(session=Session("bot", handles={"chat": "CH1"})))
        assert KEEP - 2 < client.ttl(key("s", ANN)) <= KEEP
        clock.advance(30)
        store.mailboxes.sweep()
        again = Drain(store, token="other").claim()
        assert again.session is not None
        assert (again.session.handles, again.session.version) == ({"chat": "CH1"}, 0)

    def test_a_session_that_changed_hands_meanwhile_is_left_alone(self, store: Store) -> None:
        write(store, 1)
        claim = Drain(store).claim()
        write(store, 2, direction="outbound", scope="", responder=Responder("desk"))
        before = store.sessions.read(ANN)
        assert store.mailboxes.remember(claim, 30, Achieved(session=Session("bot", handles={"chat": "CH1"})))
        assert before == store.sessions.read(ANN)

    def test_one_that_nobody_took_is_written_again_and_again(self, store: Store) -> None:
        held(store, handles={})
        claim = handoff(store)
        assert claim.session is not None
        for handles in ({"chat": "CH1"}, {"chat": "CH1", "ready": True}):
            store.mailboxes.remember(claim, 30, Achieved(session=replace(claim.session, handles=handles)))
        session = store.sessions.read(ANN)
        assert session is not None
        assert (session.handles, session.version) == ({"chat": "CH1", "ready": True}, 1)

    def test_one_who_lost_the_lease_keeps_nothing(self, store: Store, client: redis.Redis, clock: Clock) -> None:
        claim = handoff(store)
        clock.advance(31)
        store.mailboxes.sweep()
        before = snapshot(client)
        session = Session("desk", handles={"chat": "CH1"})
        assert not store.mailboxes.remember(
            claim, 30, Achieved(session=session, thread=ThreadState(CHAT, 3), poll_in=60.0, aliases=("desk:CH1",))
        )
        assert before == snapshot(client)

    def test_the_progress_stays_as_it_was(self, store: Store, clock: Clock) -> None:
        claim = handoff(store)
        store.mailboxes.remember(claim, 30, Achieved(progress={"told": 2}))
        store.mailboxes.remember(claim, 30, Achieved(session=Session("desk")))
        clock.advance(30)
        store.mailboxes.sweep()
        assert {"told": 2} == Drain(store, DESK, "other").claim().progress

    def test_how_far_the_chat_is_known_never_goes_back(self, store: Store) -> None:
        claim = handoff(store)
        for seen in (-1, 4, 2):
            store.mailboxes.remember(claim, 30, Achieved(thread=ThreadState(CHAT, seen)))
        assert ThreadState(CHAT, 4, -1) == store.mailboxes.thread(CHAT)


class TestTaking:
    def test_who_holds_is_heard_of_again(self, store: Store, client: redis.Redis, clock: Clock) -> None:
        held(store)
        before = store.sessions.read(ANN)
        clock.advance(60)
        client.expire(key("s", ANN), 60)
        say(store, 1, 1)

        assert before is not None
        assert replace(before, last_at=clock()) == store.sessions.read(ANN)
        assert KEEP - 2 < client.ttl(key("s", ANN)) <= KEEP

    def test_who_held_once_does_not_take_it_back(self, store: Store, clock: Clock) -> None:
        held(store, destination="bot", mode="bot", handles={})
        before = store.sessions.read(ANN)
        clock.advance(60)
        assert say(store, 1, 1).state == "ok"
        assert before == store.sessions.read(ANN)

    def test_what_nobody_holds_stays_so(self, store: Store) -> None:
        say(store, 1, 1)
        assert store.sessions.read(ANN) is None

    @pytest.mark.parametrize("seize", [True, False])
    def test_a_message_that_comes_later_touches_nothing_yet(self, store: Store, clock: Clock, seize: bool) -> None:
        held(store)
        hear(store, 0)
        before = store.sessions.read(ANN)
        clock.advance(60)
        assert say(store, 1, 2, responder=Responder("desk", seize=seize)).state == "later"
        assert before == store.sessions.read(ANN)

    def test_who_reports_a_status_is_told_whose_session_it_is(self, store: Store) -> None:
        held(store)
        say(store, 1, 1, report_to="desk")
        store.messages.report(f"{1:032x}", "read", scope="", direction="outbound", owner="")
        claim = Drain(store, "status:desk").claim()
        assert (type(claim.item), claim.session) == (Report, store.sessions.read(ANN))
        assert claim.session is not None
        assert {"chat": "CH1"} == claim.session.handles


def handoff(store: Store) -> Claim:
    """Some work of the desk in Ann's conversation, claimed."""
    append(store, ANN, "inbound", DESK, "handoff")
    return Drain(store, DESK).claim()


def settle(store: Store, **parts: Any) -> None:
    """Whatever waits for the desk in Ann's conversation is done, and this follows."""
    append(store, ANN, "inbound", DESK, "handoff")
    store.mailboxes.settle(Done(Drain(store, DESK).claim(), **parts))
    Drain(store, DESK).finish()


def remembered(store: Store, **parts: Any) -> Claim:
    claim = handoff(store)
    assert store.mailboxes.remember(claim, 30, Achieved(**parts))
    return claim
