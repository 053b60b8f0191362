"""Sessions that keep a chat open with people: opening and giving up, looking after it, ending it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest
from msgspec.structs import replace

from app.core import errors
from app.core.errors import Failure, StoreUnavailable
from app.core.events import Answer, Ended, Event, Polled, Receipt, StatusReport, Written
from app.core.message import Author, Text, derived_id
from app.core.render import Capabilities
from app.core.session import Session
from app.core.work import Achieved, Claim, Done, ThreadState
from app.gateway import Gateway
from app.http import Http
from app.inbox import Inbox
from app.platforms.destination import Delivery, Destination, Handoff, Keep, Late, Who
from app.platforms.offers import Offers
from app.store.mailbox import Mailboxes
from tests.store.steps import append
from tests.support.sink import Told
from tests.workers.conftest import MakeOffice, Office

ADA = "shop/webhook:ada"
WATCH, PATIENCE = 300, 3_600
BUSY = Failure(errors.UNAVAILABLE, "busy", retry_after=5.0)
NO = Failure(errors.REJECTED, "no")


@dataclass
class People(Destination):
    """A desk with one chat for each conversation, opened in two steps and numbered. `fails` are the failures of a verb
    in turn, `finds` what the next looks find; `calls` names every verb with what it was given."""

    name = "desk"
    capabilities = Capabilities(people=True, statuses=True)
    session_timeout = float(PATIENCE)
    deadline: float | None = None
    late: Late = "send"
    poll_every = float(WATCH)
    farewell: str | None = "Thank you for writing."
    fails: dict[str, list[Failure | None]] = field(default_factory=dict)
    finds: list[Polled] = field(default_factory=list)
    calls: list[tuple[Any, ...]] = field(default_factory=list)
    looked_behind: list[int | None] = field(default_factory=list)
    handles_seen: list[Mapping[str, Any]] = field(default_factory=list)
    reports: list[StatusReport] = field(default_factory=list)
    opened: int = 0
    written: int = -1
    before_look: Callable[[], object] = lambda: None
    is_over: bool = False

    def deliver(self, delivery: Delivery, http: Http) -> Answer:
        handles = self.begin(delivery.session, delivery.keep)
        self._call("deliver", handles["chat"], delivery.content.text)  # type: ignore[union-attr]  # these are texts
        self._ready(handles, delivery.keep)
        if self.is_over:
            return Answer(over=True)
        self.written += 1
        return Answer(Receipt(f"{handles['chat']}/{self.written}"))

    def open(self, handoff: Handoff, http: Http) -> Answer:
        handles = self.begin(handoff.session, handoff.keep)
        self._call("open", handles["chat"])
        self._ready(handles, handoff.keep)
        return Answer()

    def report(self, report: StatusReport, http: Http) -> None:
        self.reports.append(report)

    def poll(self, session: Session, seen: int | None, http: Http) -> Polled:
        self.looked_behind.append(seen)
        self.before_look()
        self._call("check", session.thread)
        return self.finds.pop(0) if self.finds else Polled()

    def close(self, session: Session, who: Who, http: Http) -> None:
        self._call("close", session.thread, who)

    def abandon(self, session: Session, http: Http) -> bool:
        self._call("abandon", session.thread)
        return not session.handles.get("ready")

    def done(self, *verbs: str) -> list[tuple[Any, ...]]:
        """The calls of these verbs."""
        return [call for call in self.calls if call[0] in verbs]

    def begin(self, session: Session, keep: Keep) -> dict[str, Any]:
        self.handles_seen.append(session.handles)
        handles = dict(session.handles)
        if "chat" not in handles:
            self.opened += 1
            handles["chat"] = f"CH{self.opened}"
            keep(handles, seen=-1)
        return handles

    def _ready(self, handles: dict[str, Any], keep: Keep) -> None:
        if not handles.get("ready"):
            keep({**handles, "ready": True})

    def _call(self, verb: str, *about: Any) -> None:
        self.calls.append((verb, *about))
        failures = self.fails.get(verb, [])
        failure = failures.pop(0) if len(failures) > 1 else failures[0] if failures else None
        if failure:
            raise failure


@dataclass
class Desk:
    """An office whose desk is `people`."""

    office: Office
    people: People

    @property
    def gateway(self) -> Gateway:
        return self.office.gateway

    @property
    def session(self) -> Session:
        session = self.gateway.store.sessions.read(ADA)
        assert session is not None
        return session

    def with_chat(self) -> Desk:
        """Ada's first message has opened `CH1`; it is number 0 there."""
        self.office.customer_writes("hello")
        self.office.work()
        self.office.shop.calls.clear()
        assert (self.session.destination, self.session.handles) == ("desk", {"chat": "CH1", "ready": True})
        return self

    def hears(self, event: Event) -> None:
        """A webhook of the desk's platform."""
        inbox = Inbox(self.gateway)
        inbox.accept("desk", event)
        self.gateway.publisher.publish(inbox.wakes)

    def looks(self, *finds: Polled) -> None:
        """It is time to look at the chat, and this is found."""
        self.people.finds += finds
        self.office.work_later(WATCH)

    def asks_for_a_look(self) -> None:
        wakes = append(self.gateway.store, ADA, "inbound", "inbound:desk", "check", follow=True)
        self.gateway.publisher.publish(wakes or ())
        self.office.work()

    def watched(self) -> bool:
        """Whether the chat will be looked at again when it is time."""
        before = len(self.people.looked_behind)
        self.office.work_later(WATCH)
        return len(self.people.looked_behind) > before

    def told(self) -> list[str]:
        """What the customer's channel was told: words, and `ended`."""
        kinds = {"conversation.ended": "ended", "message.created": ""}
        data = [call.json for call in self.office.shop.calls if call.json["type"] in kinds]
        return [kinds[one["type"]] or one["data"]["content"]["text"] for one in data]

    def ends(self) -> list[str]:
        """The ids of the ends that the channel was told of."""
        ended = [call for call in self.office.shop.calls if call.json["type"] == "conversation.ended"]
        return [call.headers["webhook-id"] for call in ended]


def written(index: int, text: str = "", author: Author = "agent", chat: str = "CH1") -> Written:
    """The desk's message number `index`, the same in a webhook and in what a look finds."""
    return Written(
        Text(text or f"line {index}"),
        external_id=f"IM{index}",
        alias=chat,
        author=author,
        index=index,
        metadata={"chat": chat, "index": index},
    )


@pytest.fixture
def bot_first(make_office: MakeOffice) -> Desk:
    """The bot answers first, people after a handoff."""
    return desk_of(make_office())


@pytest.fixture
def desk(make_office: MakeOffice) -> Desk:
    """People answer from the first message on."""
    nobody = {"destination": "desk", "handoff": None}
    return desk_of(make_office(channels__shop=nobody, destinations__desk={"attempts": 3}))


def desk_of(office: Office) -> Desk:
    people = People()
    office.gateway.destinations = {**office.gateway.destinations, "desk": people}
    office.gateway.offers = Offers(office.gateway.channels, office.gateway.destinations)
    office.gateway.timeouts["desk"] = people.session_timeout
    return Desk(office, people)


class TestOpening:
    def test_what_was_opened_is_kept_at_once_and_the_next_try_goes_on_from_there(self, desk: Desk) -> None:
        desk.people.fails["deliver"] = [BUSY, None]
        desk.office.customer_writes("hello")
        desk.office.work()
        assert desk.session.handles == {"chat": "CH1"}
        assert desk.gateway.store.sessions.resolve("desk", "CH1") == ADA
        assert desk.gateway.store.mailboxes.thread("desk:CH1") == ThreadState("desk:CH1", -1)

        desk.office.work_later(10)
        assert [{}, {"chat": "CH1"}] == desk.people.handles_seen
        assert desk.people.opened == 1
        assert desk.session.handles == {"chat": "CH1", "ready": True}

    def test_a_handoff_does_the_same(self, bot_first: Desk) -> None:
        bot_first.people.fails["open"] = [BUSY, None]
        bot_first.office.customer_writes("a human please")
        bot_first.office.work()
        assert bot_first.session.handles == {"chat": "CH1"}
        bot_first.office.work_later(10)
        assert [{}, {"chat": "CH1"}] == bot_first.people.handles_seen
        assert bot_first.session.handles == {"chat": "CH1", "ready": True}
        assert bot_first.session.context == {"order": "1001"}

    def test_the_session_goes_on_with_the_handles(self, desk: Desk) -> None:
        desk.with_chat().office.customer_writes("more")
        desk.office.work()
        assert [("deliver", "CH1", "hello"), ("deliver", "CH1", "more")] == desk.people.calls
        assert [{}, {"chat": "CH1", "ready": True}] == desk.people.handles_seen

    @pytest.mark.parametrize("how", ["a message", "a handoff"])
    def test_a_chat_is_watched_from_its_opening_on(self, how: str, desk: Desk, bot_first: Desk) -> None:
        one = desk if how == "a message" else bot_first
        one.office.customer_writes("a human please")
        one.office.work()
        assert one.watched()
        assert one.watched(), "and on and on"

    def test_one_that_stands_half_is_watched_too(self, desk: Desk) -> None:
        """Whoever was opening it may have died of it."""
        desk.people.fails["deliver"] = [Failure(errors.THROTTLED, "slowly", retry_after=9_000.0)]
        desk.office.customer_writes("hello")
        desk.office.work()
        desk.office.clock.advance(WATCH)
        desk.gateway.store.mailboxes.sweep()
        mailbox = desk.gateway.store.lanes.state("inbound:desk", desk.office.clock() / 1000)
        assert mailbox.waiting == 2

    def test_one_that_was_given_up_half_is_taken_down(self, desk: Desk) -> None:
        desk.people.fails["deliver"] = [NO, None]
        first = desk.office.customer_writes("hello")
        desk.office.customer_writes("again")
        desk.office.work()

        assert desk.office.status(first) == "failed"
        assert ["rejected: no"] == desk.office.letters()
        assert [("abandon", "CH1")] == desk.people.done("abandon")
        assert [{}, {}] == desk.people.handles_seen, "the next message opens a chat of its own"
        assert desk.session.handles == {"chat": "CH2", "ready": True}

    def test_a_handoff_that_was_given_up_is_taken_down(self, bot_first: Desk) -> None:
        bot_first.people.fails["open"] = [NO]
        bot_first.office.customer_writes("a human please")
        bot_first.office.work()
        assert [("abandon", "CH1")] == bot_first.people.done("abandon", "close")
        assert (bot_first.session.destination, bot_first.session.handles) == ("helper", {})

    def test_it_is_taken_down_with_the_last_try_only(self, desk: Desk) -> None:
        desk.people.fails["deliver"] = [BUSY]
        desk.office.customer_writes("hello")
        abandoned = []
        for _ in range(4):
            desk.office.work_later(10)
            abandoned.append(len(desk.people.done("abandon")))
        assert [0, 0, 1, 1] == abandoned
        assert desk.people.opened == 1

    def test_what_cannot_be_taken_down_stays_known_and_is_looked_at_again(self, desk: Desk) -> None:
        desk.people.fails |= {"deliver": [NO, None], "abandon": [BUSY]}
        desk.office.customer_writes("hello")
        desk.office.work()
        assert ["rejected: no"] == desk.office.letters()
        assert desk.session.handles == {"chat": "CH1"}
        assert desk.watched()

    def test_an_open_chat_outlives_a_message_that_it_refuses(self, desk: Desk) -> None:
        desk.with_chat().people.fails["deliver"] = [NO, None]
        desk.office.customer_writes("refused")
        desk.office.customer_writes("taken")
        desk.office.work()
        assert desk.session.handles == {"chat": "CH1", "ready": True}
        assert ("deliver", "CH1", "taken") == desk.people.calls[-1]
        assert desk.watched()

    def test_where_nothing_was_opened_nothing_is_taken_down(self, bot_first: Desk) -> None:
        bot_first.people.fails["open"] = [NO]
        bot_first.people.begin = lambda session, keep: {"chat": ""}  # type: ignore[method-assign]  # it fails before
        bot_first.office.customer_writes("a human please")
        bot_first.office.work()
        assert ["rejected: no"] == bot_first.office.letters()
        assert [] == bot_first.people.done("abandon")

    def test_one_who_lost_the_lease_stops_and_settles_nothing(
        self, desk: Desk, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Another worker has the mailbox; what was opened is not written over what it opens."""
        real, slow = Mailboxes.remember, iter([True])

        def late(self: Mailboxes, claim: Claim, lease: float, achieved: Achieved) -> bool:
            if next(slow, False):
                desk.office.clock.advance(lease + 1)
                self.sweep()
            return real(self, claim, lease, achieved)

        monkeypatch.setattr(Mailboxes, "remember", late)
        message = desk.office.customer_writes("hello")
        desk.office.work()
        assert desk.people.opened == 2
        assert [("deliver", "CH2", "hello")] == desk.people.calls
        assert desk.session.handles == {"chat": "CH2", "ready": True}
        assert desk.gateway.store.sessions.resolve("desk", "CH1") is None
        assert desk.office.status(message) == "sent"


class TestLooking:
    def test_what_was_missed_reaches_the_customer_in_order(self, desk: Desk) -> None:
        desk.with_chat().looks(Polled((written(1), written(2, "busy", "system"), written(3)), seen=3))
        assert ["line 1", "busy", "line 3"] == desk.told()
        assert desk.gateway.store.mailboxes.thread("desk:CH1").seen == 3
        messages = [record.message for record in desk.gateway.store.messages.timeline(ADA)][1:]
        assert ["agent", "system", "agent"] == [message.author for message in messages]
        assert ["IM1", "IM2", "IM3"] == [message.external_id for message in messages]
        assert [{"chat": "CH1", "index": n} for n in (1, 2, 3)] == [message.metadata for message in messages]
        assert {"desk"} == {message.source for message in messages}
        assert {"sent"} == {report.status for report in desk.people.reports}
        assert messages[0].id == derived_id("desk:CH1", "IM1")

    def test_it_begins_behind_what_is_known(self, desk: Desk) -> None:
        desk.with_chat()
        for index in (0, 1):
            desk.hears(written(index))
        desk.looks(Polled((written(2),), seen=4))
        desk.looks()
        assert [1, 4] == desk.people.looked_behind
        assert ["line 0", "line 1", "line 2"] == desk.told()

    def test_a_webhook_and_a_look_bring_a_message_once(self, desk: Desk) -> None:
        desk.with_chat().hears(written(0))
        desk.people.before_look = lambda: desk.hears(written(1))
        desk.looks(Polled((written(1), written(2)), seen=2))
        desk.hears(written(2))
        desk.office.work()
        assert ["line 0", "line 1", "line 2"] == desk.told()

    def test_a_gap_in_the_webhooks_is_filled_before_what_comes_behind_it(self, desk: Desk) -> None:
        desk.with_chat().hears(written(0))
        desk.people.finds.append(Polled((written(1), written(2)), seen=2))
        desk.hears(written(2))
        desk.office.work()
        desk.hears(written(1))
        desk.hears(written(3))
        desk.office.work()
        assert ["line 0", "line 1", "line 2", "line 3"] == desk.told()

    def test_where_nobody_knows_what_the_customer_got_the_counting_begins_with_what_is_found(
        self, desk: Desk, redis_client: Any
    ) -> None:
        desk.with_chat()
        redis_client.delete("{patchbay}:c:desk:CH1")
        desk.looks(Polled(seen=7))
        assert [None] == desk.people.looked_behind
        desk.hears(written(8))
        desk.office.work()
        assert ["line 8"] == desk.told()
        assert desk.gateway.store.mailboxes.thread("desk:CH1").seen == 8

    def test_what_was_found_keeps_the_session_alive(self, desk: Desk) -> None:
        desk.with_chat()
        before = desk.session.last_at
        desk.looks()
        assert desk.session.last_at == before, "a look alone does not"
        desk.looks(Polled((written(1),), seen=1))
        assert desk.session.last_at == desk.office.clock()
        assert desk.session.version == 0

    def test_customers_messages_that_people_read_are_read(self, desk: Desk) -> None:
        first = desk.office.customer_writes("one")
        second = desk.office.customer_writes("two")
        desk.office.work()
        assert ["sent", "sent"] == [desk.office.status(one) for one in (first, second)]
        desk.looks(Polled(read=0))
        assert ["read", "sent"] == [desk.office.status(one) for one in (first, second)]
        desk.looks(Polled(read=5))
        assert ["read", "read"] == [desk.office.status(one) for one in (first, second)]
        told = [call.json["data"] for call in desk.office.shop.calls if call.json["type"] == "message.status"]
        assert [first, second] == [data["message_id"] for data in told if data["status"] == "read"]

    def test_what_is_read_already_costs_nothing(self, desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
        desk.with_chat().looks(Polled(read=1))
        asked = []
        monkeypatch.setattr(desk.gateway.store.messages, "report", lambda ref, *a, **k: asked.append(ref) or ("", ()))
        desk.looks(Polled(read=1), Polled(read=-1))
        desk.looks()
        desk.looks(Polled(read=2))
        assert ["CH1/2"] == asked

    def test_a_look_speaks_only_of_its_own_conversation(self, desk: Desk) -> None:
        graces = desk.office.customer_writes("hello", "grace")
        desk.office.work()
        adas = desk.office.customer_writes("hello", "ada")
        desk.office.work()
        _write_session(desk, replace(desk.session, handles={"chat": "CH1"}))  # which is Grace's
        desk.people.finds.append(Polled(read=9))
        desk.asks_for_a_look()
        assert [("check", "CH1")] == desk.people.done("check")
        assert ["sent", "sent"] == [desk.office.status(one) for one in (graces, adas)]

    def test_one_that_fails_is_tried_again(self, desk: Desk) -> None:
        desk.with_chat().people.fails["check"] = [BUSY, None]
        desk.looks(Polled((written(1),), seen=1))
        assert [] == desk.told()
        desk.office.work_later(10)
        assert ["line 1"] == desk.told()

    def test_one_that_fails_for_good_is_no_dead_letter_and_the_next_one_comes(self, desk: Desk) -> None:
        desk.with_chat().people.fails["check"] = [NO]
        desk.looks()
        assert [] == desk.office.letters()
        assert len(desk.people.looked_behind) == 1
        desk.people.fails.clear()
        desk.looks(Polled((written(1),), seen=1))
        assert ["line 1"] == desk.told()

    def test_without_a_chat_there_is_nothing_to_look_at(self, bot_first: Desk) -> None:
        bot_first.office.customer_writes("hello")
        bot_first.office.work()
        bot_first.asks_for_a_look()
        assert [] == bot_first.people.looked_behind
        assert not bot_first.watched()

    def test_an_outage_of_redis_in_the_middle_of_it_loses_nothing(
        self, desk: Desk, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        desk.with_chat()
        outages, real = iter([True]), desk.gateway.store.messages.report

        def away(*args: Any, **more: Any) -> Any:
            if next(outages, False):
                raise StoreUnavailable("gone")
            return real(*args, **more)

        monkeypatch.setattr(desk.gateway.store.messages, "report", away)
        found = Polled((written(1),), seen=1, read=0)
        desk.looks(found, found)
        desk.office.work_later(2)
        assert ["line 1"] == desk.told()


class TestEnding:
    def test_the_customers_end_closes_the_chat_and_he_is_told_nothing(self, desk: Desk) -> None:
        desk.with_chat().office.customer_ends()
        desk.office.work()
        assert [("close", "CH1", "customer")] == desk.people.done("close")
        assert [] == desk.told()
        assert (desk.session.handles, desk.session.version) == ({}, 1)
        assert not desk.watched()

    def test_an_end_over_there_is_told_behind_what_was_missed(self, bot_first: Desk) -> None:
        bot_first.office.customer_writes("a human please")
        bot_first.office.work()
        bot_first.office.shop.calls.clear()
        bot_first.people.finds.append(Polled((written(0), written(1)), seen=1))
        bot_first.hears(Ended("EV1", alias="CH1"))
        bot_first.office.work()
        assert ["line 0", "line 1", "Thank you for writing.", "ended"] == bot_first.told()
        assert [("close", "CH1", "platform")] == bot_first.people.done("close")
        assert (bot_first.session.destination, bot_first.session.handles) == ("helper", {})
        farewell = bot_first.gateway.store.messages.timeline(ADA)[-1].message
        assert farewell.author == "system"
        bot_first.office.customer_writes("hello")
        bot_first.office.work()
        assert bot_first.office.asked()[-1] == "hello"

    def test_without_a_farewell_the_channel_alone_is_told(self, desk: Desk) -> None:
        desk.people.farewell = None
        desk.with_chat().hears(Ended("EV1", alias="CH1"))
        desk.office.work()
        assert ["ended"] == desk.told()

    def test_a_chat_that_is_found_over_is_ended(self, desk: Desk) -> None:
        desk.with_chat().looks(Polled((written(1),), seen=1, over=True))
        assert ["line 1", "Thank you for writing.", "ended"] == desk.told()
        assert [("close", "CH1", "platform")] == desk.people.done("close")
        assert desk.session.handles == {}
        assert not desk.watched()

    def test_a_chat_where_nobody_wrote_for_too_long_is_ended(self, desk: Desk) -> None:
        desk.with_chat()
        for _ in range(PATIENCE // WATCH):
            desk.looks()
        assert [] == desk.people.done("close")
        desk.looks()
        assert [("close", "CH1", "silence")] == desk.people.done("close")
        assert ["Thank you for writing.", "ended"] == desk.told()
        assert not desk.watched()

    def test_words_that_were_missed_break_the_silence(self, desk: Desk) -> None:
        desk.with_chat()
        for number in range(PATIENCE // WATCH + 1):
            late = number == PATIENCE // WATCH
            desk.looks(Polled((written(1),), seen=1) if late else Polled())
        assert [] == desk.people.done("close")
        assert ["line 1"] == desk.told()
        assert desk.watched()

    def test_the_end_of_an_earlier_chat_changes_nothing(self, desk: Desk) -> None:
        desk.with_chat().office.customer_ends()
        desk.office.customer_writes("hello again")
        desk.office.work()
        desk.people.calls.clear()
        desk.hears(Ended("EV1", alias="CH1"))
        desk.office.work()
        assert [] == desk.people.calls
        assert [] == desk.told()
        assert desk.session.thread == "CH2"

    def test_a_second_end_of_the_same_chat_changes_nothing(self, desk: Desk) -> None:
        desk.with_chat().hears(Ended("EV1", alias="CH1"))
        desk.hears(Ended("EV2", alias="CH1"))
        desk.office.work()
        assert ["Thank you for writing.", "ended"] == desk.told()
        assert len(desk.people.done("close")) == 1

    def test_an_end_that_names_no_chat_ends_whatever_there_is(self, desk: Desk) -> None:
        desk.with_chat().hears(Ended("EV1", conversation=ADA))
        desk.office.work()
        assert [("close", "CH1", "platform")] == desk.people.done("close")

    def test_one_that_cannot_look_waits_and_is_told_once(self, desk: Desk) -> None:
        desk.with_chat().people.fails["check"] = [BUSY, None]
        desk.people.finds += [Polled((written(1),), seen=1)]
        desk.hears(Ended("EV1", alias="CH1"))
        desk.office.work()
        assert [] == desk.told()
        assert desk.session.thread == "CH1"
        desk.office.work_later(10)
        assert ["line 1", "Thank you for writing.", "ended"] == desk.told()
        assert desk.session.thread == ""

    def test_it_waits_for_a_look_no_longer_than_a_customer_does(self, desk: Desk) -> None:
        """What was missed comes when the desk is well again."""
        desk.with_chat().people.fails["check"] = [BUSY]
        desk.hears(Ended("EV1", alias="CH1"))
        desk.office.work()
        for _ in range(2):
            desk.office.work_later(5)
        assert ["Thank you for writing.", "ended"] == desk.told()
        assert desk.session.thread == ""
        del desk.people.fails["check"]
        desk.people.finds += [Polled((written(1),), seen=1)]
        for _ in range(5):
            desk.office.work_later(60)
        assert ["Thank you for writing.", "ended", "line 1"] == desk.told()
        assert desk.gateway.store.mailboxes.thread("desk:CH1").seen == 1

    def test_closing_holds_nobody(self, desk: Desk) -> None:
        desk.with_chat().people.fails["close"] = [BUSY, None]
        desk.hears(Ended("EV1", alias="CH1"))
        desk.office.work()
        assert ["Thank you for writing.", "ended"] == desk.told()
        assert desk.session.thread == ""
        desk.office.work_later(10)
        assert [("close", "CH1", "platform")] * 2 == desk.people.done("close")
        assert [] == desk.office.letters()

    def test_silence_that_somebody_broke_meanwhile_ends_nothing(self, desk: Desk) -> None:
        desk.with_chat()
        chat = desk.session.thread
        wakes = append(desk.gateway.store, "shop/webhook:ada", "inbound", "inbound:desk", "ended silence")
        desk.gateway.publisher.publish(wakes or ())
        desk.office.work()
        assert (chat, []) == (desk.session.thread, desk.told())

    FINALLY: dict[str, tuple[str, list[str]]] = {
        "it cannot be looked at": ("check", []),
        "it cannot be closed": ("close", ["line 1"]),
    }

    @pytest.mark.parametrize(("verb", "missed"), FINALLY.values(), ids=FINALLY)
    def test_one_that_fails_for_good_ends_the_session_and_leaves_a_dead_letter(
        self, verb: str, missed: list[str], desk: Desk
    ) -> None:
        desk.with_chat().people.fails[verb] = [NO]
        desk.people.finds.append(Polled((written(1),), seen=1))
        desk.hears(Ended("EV1", alias="CH1"))
        desk.office.work()
        assert [*missed, "Thank you for writing.", "ended"] == desk.told()
        assert desk.session.handles == {}
        assert ["rejected: no"] == desk.office.letters()

    def test_the_channel_is_told_of_each_end_by_an_id_of_its_own(self, desk: Desk) -> None:
        desk.with_chat().hears(Ended("EV1", alias="CH1"))
        desk.office.work()
        desk.office.customer_writes("again")
        desk.office.work()
        desk.hears(Ended("EV2", alias="CH2"))
        desk.office.work()
        first, second = desk.ends()
        assert first != second

    def test_that_id_stays_the_same_when_the_channel_is_told_again(self, desk: Desk) -> None:
        desk.with_chat().people.farewell = None
        desk.office.shop.answers(Told(status=503), Told())
        desk.hears(Ended("EV1", alias="CH1"))
        desk.office.work()
        desk.office.work_later(600)
        first, second = desk.ends()
        assert first == second == derived_id(f"{ADA}/0", "ended")

    def test_a_repeated_webhook_about_what_the_end_found_is_a_duplicate(self, desk: Desk) -> None:
        desk.with_chat()
        desk.people.finds.append(Polled((written(1),), seen=1))
        desk.hears(Ended("EV1", alias="CH1"))
        desk.office.work()
        desk.hears(written(1))
        desk.office.work()
        assert ["line 1", "Thank you for writing.", "ended"] == desk.told()

    def test_what_is_said_in_a_chat_after_its_end_still_reaches_the_customer(self, desk: Desk) -> None:
        """What the end found counts as seen, although nobody looks at that chat any more."""
        desk.with_chat()
        desk.people.finds.append(Polled((written(1), written(2)), seen=2))
        desk.hears(Ended("EV1", alias="CH1"))
        desk.office.work()
        assert desk.gateway.store.mailboxes.thread("desk:CH1").seen == 2
        desk.hears(written(3, "PS"))
        desk.office.work()
        assert ["line 1", "line 2", "Thank you for writing.", "ended", "PS"] == desk.told()

    def test_what_is_said_there_is_not_held_up_by_a_lost_webhook(self, desk: Desk) -> None:
        desk.with_chat().hears(Ended("EV1", alias="CH1"))
        desk.office.work()
        for index in (1, 2):
            desk.hears(written(index, f"PS {index}"))
        desk.office.work()
        assert ["Thank you for writing.", "ended", "PS 1", "PS 2"] == desk.told()


class TestSilence:
    """A message that comes after too long a silence."""

    @pytest.fixture
    def left(self, bot_first: Desk) -> Desk:
        """A chat where nobody wrote for too long, and no look has found that yet."""
        bot_first.office.customer_writes("a human please")
        bot_first.office.work()
        bot_first.office.shop.calls.clear()
        bot_first.office.clock.advance(PATIENCE + 1)
        return bot_first

    def test_one_for_a_chat_that_was_over_waits_for_the_end_and_goes_to_the_bot(self, bot_first: Desk) -> None:
        bot_first.office.customer_writes("a human please")
        bot_first.office.work()
        bot_first.office.shop.calls.clear()
        bot_first.people.is_over = True
        bot_first.office.customer_writes("are you there?")
        bot_first.office.work()
        assert [("close", "CH1", "platform")] == bot_first.people.done("close")
        assert ["Thank you for writing.", "ended"] == bot_first.told()[:2]
        assert bot_first.office.asked()[-1] == "are you there?"

    def test_it_closes_the_chat_and_begins_anew(self, left: Desk) -> None:
        message = left.office.customer_writes("hello again")
        left.office.work()
        assert [("close", "CH1", "silence")] == left.people.done("close")
        assert left.office.asked()[-1] == "hello again"
        assert ["Thank you for writing.", "ended", "You said: hello again"] == left.told()
        assert left.session.destination == "helper"
        assert left.session.since == message
        assert [] == left.people.done("deliver")

    def test_it_does_not_wait_until_the_chat_is_closed(self, left: Desk) -> None:
        left.people.fails["close"] = [BUSY, None]
        left.office.customer_writes("hello again")
        left.office.work()
        assert left.office.asked() == ["a human please", "hello again"]
        left.office.work_later(10)
        assert [("close", "CH1", "silence")] * 2 == left.people.done("close")
        assert [] == left.office.letters()

    def test_what_was_missed_comes_first(self, left: Desk) -> None:
        left.people.finds.append(Polled((written(1),), seen=1))
        left.office.customer_writes("hello again")
        left.office.work()
        assert ["line 1", "Thank you for writing.", "ended", "You said: hello again"] == left.told()

    def test_an_agents_word_broke_it(self, left: Desk) -> None:
        left.hears(written(0, "Are you there?"))
        left.office.customer_writes("yes")
        left.office.work()
        assert [("deliver", "CH1", "yes")] == left.people.done("deliver", "close")

    def test_people_without_a_chat_are_just_left(self, left: Desk) -> None:
        session = replace(left.session, handles={})
        _write_session(left, session)
        left.office.clock.advance(PATIENCE + 1)
        left.office.customer_writes("hello again")
        left.office.work()
        assert [] == left.people.done("close", "deliver")
        assert left.office.asked()[-1] == "hello again"
        assert ["You said: hello again"] == left.told()

    def test_a_bots_session_just_begins_anew(self, bot_first: Desk) -> None:
        bot_first.office.customer_writes("hello")
        bot_first.office.work()
        bot_first.office.clock.advance(4 * 3_600 + 1)
        bot_first.office.customer_writes("hello again")
        bot_first.office.work()
        assert ["You said: hello", "You said: hello again"] == bot_first.told()
        assert [] == bot_first.people.calls


class TestReports:
    def test_people_are_told_with_the_handles_of_the_session(self, desk: Desk) -> None:
        desk.with_chat().hears(written(0))
        desk.office.work()
        (report,) = desk.people.reports
        assert (report.status, report.handles, report.uncertain) == ("sent", {"chat": "CH1", "ready": True}, False)
        assert report.message.metadata == {"chat": "CH1", "index": 0}

    def test_without_a_session_there_are_none(self, desk: Desk, redis_client: Any) -> None:
        desk.with_chat().hears(written(0))
        redis_client.delete("{patchbay}:s:" + ADA)
        desk.office.work()
        (report,) = desk.people.reports
        assert report.handles == {}

    def test_one_that_was_perhaps_made_is_made_again_with_doubt(
        self, desk: Desk, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        doubts, failures = [], iter([Failure(errors.TIMED_OUT, "late", retry_after=5.0, maybe_done=True)])

        def report(told: StatusReport, http: Http) -> None:
            doubts.append(told.uncertain)
            for failure in failures:
                raise failure

        monkeypatch.setattr(desk.people, "report", report)
        desk.with_chat().hears(written(0))
        desk.office.work()
        desk.office.work_later(10)
        assert [False, True] == doubts


def _write_session(desk: Desk, session: Session) -> None:
    """Write it as the desk's work would."""
    mailboxes = desk.gateway.store.mailboxes
    (wake,) = append(desk.gateway.store, ADA, "inbound", "inbound:desk", "check", follow=True) or ()
    claim = mailboxes.work("inbound:desk", wake.token, None, lease=30).claim
    assert claim is not None
    mailboxes.remember(claim, 30, Achieved(session=session))
    mailboxes.work("inbound:desk", wake.token, Done(claim), lease=30)
