"""A dead end leads back: whatever is refused for good, nobody is left with people who never come."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from app.core import errors
from app.core.errors import Failure
from app.core.events import Written
from app.core.message import Text, derived_id
from app.core.session import Session
from app.core.work import Handoff
from app.inbox import Inbox
from app.platforms.destination import UNAVAILABLE
from tests.support.gateway import gateway
from tests.support.sink import Told
from tests.workers.conftest import MakeOffice, Office, bot_says
from tests.workers.test_chats import ADA, BUSY, NO, desk_of
from workers.drain import Drainer

HANDED_OVER = "I fetch somebody."
REFUSED = Told(status=400, body=b"no")


def session_of(office: Office) -> Session:
    session = office.gateway.store.sessions.read(ADA)
    assert session is not None
    return session


def replay(office: Office) -> None:
    """Replay the newest dead letter."""
    letter = office.gateway.store.dead_letters.newest()[0]
    state, wakes = office.gateway.store.dead_letters.replay(letter.id)
    assert "ok" == state
    office.gateway.publisher.publish(wakes)
    office.work()


class TestAHandoff:
    def test_that_is_refused_for_good_leads_back_and_the_customer_is_told(self, office: Office) -> None:
        office.desk.answers(REFUSED)
        office.customer_writes("a human please")
        waiting = office.customer_writes("typed meanwhile")
        office.work()
        assert [HANDED_OVER, UNAVAILABLE, "You said: typed meanwhile"] == office.said()
        assert ["a human please", "typed meanwhile"] == office.asked()
        assert "delivered" == office.status(waiting)
        assert ["rejected: HTTP 400: no"] == office.letters()
        session = session_of(office)
        assert ("helper", "bot", 2) == (session.destination, session.mode, session.version)

    @pytest.mark.parametrize(
        ("key", "told"),
        [("Call us: 0800 1.", [HANDED_OVER, "Call us: 0800 1."]), ("", [HANDED_OVER])],
        ids=["in the operator's words", "not at all"],
    )
    def test_the_sentence_is_configurable(self, key: str, told: list[str], make_office: MakeOffice) -> None:
        office = make_office(destinations__desk={"unavailable": key})
        office.desk.answers(REFUSED)
        office.customer_writes("a human please")
        office.work()
        assert told == office.said()

    def test_the_sentence_is_the_gateways_own_and_nobody_over_there_hears_of_it(self, office: Office) -> None:
        office.desk.answers(REFUSED)
        office.customer_writes("a human please")
        office.work()
        last = office.gateway.store.messages.timeline(ADA)[-1].message
        assert ("system", UNAVAILABLE) == (last.author, last.content.text)  # type: ignore[union-attr]  # it is a text
        assert derived_id(f"{ADA}/1", "unavailable") == last.id
        assert 1 == len(office.desk.calls)

    def test_is_told_of_in_the_live_stream_of_a_chat_page(self, office: Office) -> None:
        office.desk.answers(REFUSED)
        inbox = Inbox(office.gateway)
        inbox.accept("chat", Written(Text("a human please"), external_id="c-1", customer="webchat:eve"))
        office.gateway.publisher.publish(inbox.wakes)
        office.work()
        shown = office.gateway.store.messages.live("chat/webchat:eve", "0", 0.0)
        texts = [entry.record.message.content for entry in shown if entry.record]
        assert [Text("a human please"), Text(HANDED_OVER), Text(UNAVAILABLE)] == texts

    @pytest.mark.parametrize("give_up", [{"attempts": 3}, {"give_up_after": 60.0}], ids=["tries", "time"])
    def test_whose_patience_is_used_up_leads_back(self, give_up: dict[str, Any], make_office: MakeOffice) -> None:
        office = make_office(destinations__desk={"retry_base": 0.01, **give_up})
        office.desk.answers(Told(status=503))
        office.customer_writes("a human please")
        for _ in range(4):
            office.work_later(61)
        assert [HANDED_OVER, UNAVAILABLE] == office.said()
        assert "helper" == session_of(office).destination
        assert ["unavailable: HTTP 503: {}"] == office.letters()

    def test_that_an_operator_can_help_waits(self, office: Office) -> None:
        office.desk.answers(Told(status=401))
        office.customer_writes("a human please")
        for _ in range(12):
            office.work_later(3_600)
        assert [HANDED_OVER] == office.said()
        assert "desk" == session_of(office).destination
        assert [] == office.letters()

    def test_that_waited_longer_than_a_session_lasts_still_reaches_people(self, office: Office) -> None:
        office.desk.answers(Told(status=401))
        office.customer_writes("a human please")
        for _ in range(4):
            office.work_later(40_000)
        office.desk.answers(Told())
        office.work_later(61)
        assert [("message", "a human please"), ("message_echo", HANDED_OVER)] == office.seen()[-2:]
        assert "desk" == session_of(office).destination

    def test_that_meets_a_bug_of_ours_leads_back(self, office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
        def broken(*_: Any) -> None:
            raise KeyError("oops")

        monkeypatch.setattr(office.gateway.destinations["desk"], "open", broken)
        office.customer_writes("a human please")
        for _ in range(12):
            office.work_later(600)
        assert [HANDED_OVER, UNAVAILABLE] == office.said()
        assert ["unexpected: KeyError: 'oops'"] == office.letters()
        assert "helper" == session_of(office).destination

    def test_that_kills_its_workers_leads_back(self, office: Office) -> None:
        office.customer_writes("a human please")
        _drain(office, "inbound:helper")
        office.customer_writes("typed meanwhile")
        _drain(office, "inbound:helper")  # it is handed on
        mailboxes = office.gateway.store.mailboxes
        for number in range(3):
            claim = mailboxes.work("inbound:desk", f"t{number}", None, lease=1.0).claim
            assert claim is not None
            assert claim.item == Handoff()
            office.clock.advance(2)
            mailboxes.sweep()
        office.work_later(60)
        assert [HANDED_OVER, UNAVAILABLE, "You said: typed meanwhile"] == office.said()
        assert [] == office.desk.calls
        (letter,) = office.gateway.store.dead_letters.newest()
        assert "poison" == letter.reason
        assert _nothing_waits(office)

    def test_to_people_who_left_the_configuration_goes_to_who_came_for_them(
        self, make_office: MakeOffice, redis_client: Any
    ) -> None:
        office = make_office()
        _handed_over_only(office)
        desk2 = {**office.gateway.settings.destinations["desk"].values, "webhook_url": f"{office.desk.url}/desk"}
        kept = {name: desk2[name] for name in ("type", "webhook_url", "channel_id", "api_token")}
        changed = _without_desk(office, redis_client, kept, "team")
        changed.work_later(60)
        assert [("message", "a human please"), ("message_echo", HANDED_OVER)] == changed.seen()
        assert "team" == session_of(changed).destination

    def test_to_people_who_left_the_configuration_leads_back_where_nobody_came_for_them(
        self, make_office: MakeOffice, redis_client: Any
    ) -> None:
        office = make_office()
        _handed_over_only(office)
        changed = _without_desk(office, redis_client, None, None)
        changed.work_later(60)
        assert [HANDED_OVER, UNAVAILABLE] == changed.said()
        assert "helper" == session_of(changed).destination
        assert ["misconfigured"] == [one.partition(":")[0] for one in changed.letters()]
        changed.customer_writes("hello")
        changed.work()
        assert "You said: hello" == changed.said()[-1]

    def test_to_people_who_left_with_a_chat_half_open_leaves_nothing_for_them(self, make_office: MakeOffice) -> None:
        desk = desk_of(make_office())
        office, house = desk.office, desk.gateway
        desk.people.fails["open"] = [BUSY]
        office.customer_writes("a human please")
        office.work()
        assert "CH1" == desk.session.thread
        del house.destinations["desk"], house.timeouts["desk"]
        house.lanes = {name: lane for name, lane in house.lanes.items() if not name.endswith(":desk")}
        house.declare()
        office.work_later(60)
        assert [HANDED_OVER, UNAVAILABLE] == office.said()
        assert ("helper", {}) == (desk.session.destination, desk.session.handles)
        assert ["misconfigured"] == [letter.partition(":")[0] for letter in office.letters()]

    def test_that_is_replayed_hands_over_again_with_what_was_said_since(self, office: Office) -> None:
        office.desk.answers(REFUSED, Told())
        office.customer_writes("a human please")
        office.work()
        office.customer_writes("hello?")
        office.work()
        replay(office)
        expected = [
            ("message", "a human please"),
            ("message_echo", HANDED_OVER),
            ("message", "hello?"),
            ("message_echo", "You said: hello?"),
        ]
        assert expected == office.seen()[1:]
        session = session_of(office)
        assert ("desk", {"order": "1001"}) == (session.destination, session.context)
        assert [] == office.letters()

    def test_that_is_replayed_in_vain_is_a_dead_letter_again(self, office: Office) -> None:
        office.desk.answers(REFUSED)
        office.customer_writes("a human please")
        office.work()
        replay(office)
        assert [HANDED_OVER, UNAVAILABLE, UNAVAILABLE] == office.said()
        assert 1 == len(office.letters())
        assert "helper" == session_of(office).destination

    def test_that_is_replayed_changes_nothing_where_people_have_the_conversation(self, office: Office) -> None:
        office.desk.answers(REFUSED, Told())
        office.customer_writes("a human please")
        office.work()
        office.customer_writes("a human at last")
        office.work()
        seen, before = office.seen(), session_of(office)
        replay(office)
        assert seen == office.seen()
        assert before == session_of(office)
        assert [] == office.letters()

    def test_with_a_chat_that_stands_half_has_it_taken_down_later_if_not_at_once(self, make_office: MakeOffice) -> None:
        desk = desk_of(make_office())
        desk.people.fails |= {"open": [NO], "abandon": [BUSY]}
        desk.office.customer_writes("a human please")
        desk.office.work()
        assert ("helper", {}) == (desk.session.destination, desk.session.handles)
        assert [("close", "CH1", "dead_end")] == desk.people.done("close")
        assert not desk.watched()


class TestAHandoffForALateAnswer:
    """Refused people's message comes back to the bot that did not answer it, and is no reason to hand over again."""

    def _refused(self, make_office: MakeOffice, **settings: Any) -> tuple[Office, str]:
        office = make_office(destinations__helper={"timeout": 0.1, "late": "people", "retry_base": 0.01, **settings})
        office.bot.answers(bot_says("Hi."), Told(hang=True))
        office.desk.answers(REFUSED)
        office.customer_writes("hello")
        office.work()
        message = office.customer_writes("who is there?")
        for _ in range(4):
            office.work_later(400)
        return office, message

    def test_brings_nobody_the_message_twice(self, make_office: MakeOffice) -> None:
        office, message = self._refused(make_office)
        assert ["Hi.", UNAVAILABLE] == office.said()
        assert ["hello", "who is there?"] == office.asked()
        assert "failed" == office.status(message)
        assert {"rejected", "timed_out"} == {letter.partition(":")[0] for letter in office.letters()}
        assert 2 == len(office.letters())

    def test_lets_the_bot_answer_the_next_one_and_what_is_replayed(self, make_office: MakeOffice) -> None:
        office, message = self._refused(make_office)
        office.bot.answers(bot_says("Here."))
        office.customer_writes("hello?")
        office.work()
        for letter in office.gateway.store.dead_letters.newest():
            if letter.reason == "timed_out":
                office.gateway.publisher.publish(office.gateway.store.dead_letters.replay(letter.id)[1])
        office.work()
        assert ["hello?", "who is there?"] == office.asked()[-2:]
        assert ["Here.", "Here."] == office.said()[-2:]
        assert "delivered" == office.status(message)

    def test_is_made_for_the_next_late_one(self, make_office: MakeOffice) -> None:
        office, _ = self._refused(make_office)
        office.desk.answers(Told())
        office.customer_writes("hello?")
        office.work_later(400)
        assert ("message", "hello?") == office.seen()[-1]
        assert "desk" == session_of(office).destination

    def test_that_people_took_is_over_for_a_message_that_they_refused(self, make_office: MakeOffice) -> None:
        office = make_office(destinations__helper={"timeout": 0.1, "late": "people"})
        office.bot.answers(bot_says("Hi."), Told(hang=True))
        office.desk.answers(Told(), Told(), Told(status=404))  # what was said so far, and then the message itself
        office.customer_writes("hello")
        office.work()
        message = office.customer_writes("who is there?")
        office.work()
        assert ("failed", "helper") == (office.status(message), session_of(office).destination)
        office.bot.answers(bot_says("Here."))
        replay(office)
        assert "Here." == office.said()[-1]

    def test_where_it_may_be_asked_again_tries_as_often_as_ever(self, make_office: MakeOffice) -> None:
        office, message = self._refused(make_office, resend_after_timeout=True, attempts=2)
        assert ["Hi.", UNAVAILABLE] == office.said()
        assert ["who is there?"] * 3 == office.asked()[1:]
        assert "failed" == office.status(message)
        assert 2 == len(office.letters())


FOR_ALL = {
    "the address is gone": 404,
    "it says gone": 410,
}


class TestAMessageToPeople:
    @pytest.mark.parametrize("status", FOR_ALL.values(), ids=FOR_ALL)
    def test_that_dies_of_a_dead_thread_leads_the_next_ones_back(self, status: int, office: Office) -> None:
        office.customer_writes("a human please")
        office.work()
        office.desk.answers(Told(status=status, body=b"no"))
        lost = office.customer_writes("are you there?")
        office.customer_writes("hello?")
        office.work()
        assert [HANDED_OVER, UNAVAILABLE, "You said: hello?"] == office.said()
        assert "failed" == office.status(lost)
        assert 1 == len(office.letters())

    def test_that_uses_up_its_tries_does_the_same(self, make_office: MakeOffice) -> None:
        office = make_office(destinations__desk={"attempts": 2, "retry_base": 0.01})
        office.customer_writes("a human please")
        office.work()
        office.desk.answers(Told(status=503))
        office.customer_writes("are you there?")
        for _ in range(4):
            office.work_later(61)
        assert UNAVAILABLE == office.said()[-1]
        assert "helper" == session_of(office).destination

    def test_that_is_refused_itself_changes_nothing_but_a_second_one_in_a_row_does(self, office: Office) -> None:
        office.customer_writes("a human please")
        office.work()
        office.desk.answers(REFUSED, Told(), REFUSED, REFUSED, Told())
        for number in range(4):
            office.customer_writes(f"message {number}")
        office.customer_writes("hello?")
        office.work()
        assert [HANDED_OVER, UNAVAILABLE, "You said: hello?"] == office.said()
        assert 3 == len(office.letters())
        assert 0 == session_of(office).refused

    def test_replayed_goes_to_whoever_answers_now(self, office: Office) -> None:
        office.customer_writes("a human please")
        office.work()
        office.desk.answers(Told(status=404))
        office.customer_writes("where is my parcel?")
        office.work()
        replay(office)
        assert "You said: where is my parcel?" == office.said()[-1]
        assert [] == office.letters()

    def test_an_open_chat_is_closed_for_whoever_waits_in_it(self, make_office: MakeOffice) -> None:
        desk = desk_of(make_office())
        desk.office.customer_writes("a human please")
        desk.office.work()
        desk.people.fails["deliver"] = [Failure(errors.GONE, "no such chat")]
        desk.office.customer_writes("hello?")
        desk.office.work()
        assert [("close", "CH1", "dead_end")] == desk.people.done("close", "abandon")[-1:]
        assert ("helper", {}) == (desk.session.destination, desk.session.handles)
        assert not desk.watched()

    def test_whose_outcome_alone_is_unknown_says_nothing_of_the_next_one(self, make_office: MakeOffice) -> None:
        desk = desk_of(make_office())
        desk.office.customer_writes("a human please")
        desk.office.work()
        desk.people.fails["deliver"] = [Failure(errors.TIMED_OUT, "no answer in time", maybe_done=True), None]
        desk.office.customer_writes("hello?")
        desk.office.customer_writes("are you there?")
        desk.office.work()
        assert ["timed_out"] == [letter.partition(":")[0] for letter in desk.office.letters()]
        assert ("deliver", "CH1", "are you there?") == desk.people.calls[-1]
        assert UNAVAILABLE not in desk.office.said()

    def test_an_open_chat_outlives_refusals(self, make_office: MakeOffice) -> None:
        """Its adapter has looked: it stands."""
        desk = desk_of(make_office())
        desk.office.customer_writes("a human please")
        desk.office.work()
        desk.people.fails["deliver"] = [NO, NO, NO, Failure(errors.UNSUPPORTED, "no stickers")]
        for _ in range(4):
            desk.office.customer_writes("hello?")
        desk.office.work()
        assert ("desk", "CH1") == (desk.session.destination, desk.session.thread)


class TestWithTheFirstDestination:
    def test_a_dialogue_that_is_gone_begins_anew(self, make_office: MakeOffice) -> None:
        office = make_office(channels__shop={"target_task": "greeting"})
        office.bot.answers(bot_says("Hi."), Told(status=404), bot_says("Hi again."))
        for _ in range(3):
            office.customer_writes("hello")
        office.work()
        assert ["Hi.", "Hi again."] == office.said()
        assert [True, False, True] == ["TargetTask" in call.path for call in office.bot.calls]
        assert 1 == len(office.letters())

    def test_what_it_said_to_the_first_half_of_a_message_is_said(self, make_office: MakeOffice) -> None:
        office = make_office(destinations__helper={"text_limit": 20})
        office.bot.answers(bot_says("Hi."), bot_says("One half."), Told(status=404))
        office.customer_writes("hello")
        office.customer_writes("first half, and then second half")
        office.work()
        assert ["Hi.", "One half."] == office.said()
        assert {} == session_of(office).handles

    def test_a_bot_that_stays_away_keeps_its_dialogue(self, make_office: MakeOffice) -> None:
        office = make_office(
            channels__shop={"target_task": "greeting"},
            destinations__helper={"attempts": 2, "retry_base": 0.01, "resend_after_timeout": True},
        )
        busy = [Told(status=503, headers={"retry-after": "1"})] * 4
        office.bot.answers(bot_says("Hi."), *busy, bot_says("Hi again."))
        office.customer_writes("hello")
        office.customer_writes("hello")
        for _ in range(8):
            office.work_later(61)
        office.customer_writes("hello")
        office.work_later(61)
        assert UNAVAILABLE not in office.said()
        assert "TargetTask" not in office.bot.calls[-1].path

    def test_a_message_that_dies_after_people_were_silent_says_nothing_of_them(self, office: Office) -> None:
        office.customer_writes("a human please")
        office.work()
        office.bot.answers(Told(status=404))
        office.clock.advance(25 * 3_600)
        office.customer_writes("hello")
        office.work()
        assert ["misconfigured"] == [letter.partition(":")[0] for letter in office.letters()]
        assert [HANDED_OVER] == office.said()

    def test_a_gone_chat_is_opened_anew(self, make_office: MakeOffice) -> None:
        desk = desk_of(make_office(channels__shop={"destination": "desk", "handoff": None}))
        desk.office.customer_writes("hello")
        desk.office.work()
        desk.people.fails["deliver"] = [Failure(errors.GONE, "no such chat"), None]
        desk.office.customer_writes("lost")
        desk.office.customer_writes("hello?")
        desk.office.work()
        assert ("desk", "CH2") == (desk.session.destination, desk.session.thread)
        assert [] == desk.told()


def _drain(office: Office, lane: str) -> None:
    """One head of a lane."""
    real = office.gateway.store.mailboxes
    claim = real.work(lane, "one", None, lease=30.0).claim
    assert claim is not None
    settlement = Drainer(office.gateway).attempt(office.gateway.lanes[lane], claim)
    assert settlement is not None
    real.settle(settlement)


def _handed_over_only(office: Office) -> None:
    """The bot has handed over, and nobody has worked the handoff yet."""
    office.customer_writes("a human please")
    _drain(office, "inbound:helper")
    _drain(office, "inbound:helper")
    assert "desk" == session_of(office).destination


def _without_desk(office: Office, redis_client: Any, desk: dict[str, Any] | None, name: str | None) -> Office:
    """The office with another desk of that name, or none."""
    made: dict[str, Any] = {f"destinations__{name}": desk} if name else {}
    chosen = {"handoff": name}
    built = gateway(
        redis_client,
        office.clock,
        send_url=f"{office.shop.url}/patchbay",
        bot_url=office.bot.url,
        desk_url=f"{office.desk.url}/desk",
        channels__shop=chosen,
        channels__chat=chosen,
        without=("desk",),
        **made,
    )
    return replace(office, gateway=built)


def _nothing_waits(office: Office) -> bool:
    lanes = office.gateway.store.lanes.overview(office.clock() / 1000)
    return not any(lane.waiting or lane.ready or lane.leased for lane in lanes)
