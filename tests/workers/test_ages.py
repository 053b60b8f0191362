"""What waited too long is not sent any more, and whoever wrote it hears that."""

from __future__ import annotations

import pytest

from app.core.events import Written
from app.core.message import Attachment, Text
from app.inbox import Inbox
from app.store.messages import Record
from tests.support.gateway import recorder
from tests.support.sink import Told
from tests.workers.conftest import MakeOffice, Office, bot_says

AGES = {
    "destinations__helper": {"expire_after": 60},
    "destinations__desk": {"expire_after": 60},
    "channels__shop": {"expire_after": 60},
}


@pytest.fixture
def hasty(make_office: MakeOffice) -> Office:
    return make_office(**AGES)


def record(office: Office, message_id: str) -> Record:
    found = office.gateway.store.messages.read(message_id)
    assert found is not None
    return found


def reports(office: Office) -> list[tuple[str, str]]:
    """(status, error) of each report to the shop."""
    data = [call.json["data"] for call in office.shop.calls if call.json["type"] == "message.status"]
    return [(one["status"], one.get("error", "")) for one in data]


def test_a_customers_message_that_waited_too_long_is_not_asked(hasty: Office) -> None:
    old = hasty.customer_writes("old")
    hasty.clock.advance(60.001)
    young = hasty.customer_writes("young")
    hasty.work()
    assert hasty.asked() == ["young"]
    assert (hasty.status(old), record(hasty, old).error) == ("failed", "expired: waited longer than 60 s")
    assert hasty.status(young) == "delivered"


def test_one_that_waited_just_so_long_is_asked(hasty: Office) -> None:
    hasty.customer_writes("just in time")
    hasty.work_later(60)
    assert hasty.asked() == ["just in time"]


def test_its_sender_hears_and_an_operator_sees_it(hasty: Office) -> None:
    hasty.customer_writes("old")
    hasty.work_later(61)
    assert reports(hasty) == [("failed", "expired: waited longer than 60 s")]
    assert hasty.letters() == ["expired: waited longer than 60 s"]
    assert hasty.gateway.store.lanes.counts()["expired:inbound:helper"] == 1


def test_a_reply_that_waited_too_long_is_not_sent(hasty: Office) -> None:
    hasty.shop.answer = lambda call: Told(status=503)
    reply = hasty.agent_writes("an answer")
    hasty.work()
    tried = hasty.said()
    assert tried == ["an answer"]
    hasty.shop.answer = lambda call: Told()
    hasty.work_later(61)
    assert hasty.said() == tried, "it was tried once more"
    assert (hasty.status(reply), record(hasty, reply).error) == ("failed", "expired: waited longer than 60 s")
    assert hasty.letters() == ["expired: waited longer than 60 s"]


def test_what_was_replayed_waits_anew(hasty: Office) -> None:
    message = hasty.customer_writes("old")
    hasty.work_later(61)
    [letter] = hasty.gateway.store.dead_letters.newest()
    _, wakes = hasty.gateway.store.dead_letters.replay(letter.id)
    recorder(hasty.gateway).wakes += wakes
    hasty.clock.advance(59)
    hasty.work()
    assert hasty.asked() == ["old"]
    assert hasty.status(message) == "delivered"


def test_without_the_key_nothing_expires(office: Office) -> None:
    office.customer_writes("old")
    office.work_later(10 * 86_400)
    assert office.asked() == ["old"]


def test_a_command_never_expires(make_office: MakeOffice) -> None:
    office = make_office(**{**AGES, "channels__shop": {"consent": {}}, "channels__chat": {}})
    stop = office.customer_writes("STOP")
    office.work_later(3600)
    assert office.status(stop) == "delivered"
    assert office.letters() == []


def test_neither_handoffs_nor_ends_expire(hasty: Office) -> None:
    hasty.customer_writes("a human, please")
    hasty.desk.answer = lambda call: Told(status=503)
    hasty.work()
    hasty.desk.answer = lambda call: Told()
    for _ in range(5):
        hasty.work_later(61)
    assert hasty.letters() == []
    assert hasty.seen(), "the desk was never told"
    hasty.customer_ends()
    hasty.work_later(3600)
    assert hasty.letters() == []


def test_no_call_of_the_lanes_rate_is_spent_on_it(make_office: MakeOffice) -> None:
    office = make_office(destinations__helper={"expire_after": 60, "rate": 1.0})
    for number in range(5):
        office.customer_writes("old", customer=f"c{number}")
    office.clock.advance(61)
    office.customer_writes("young", customer="dee")
    office.work()
    assert office.asked() == ["young"]


def test_what_waited_in_a_receivers_spool_counts(hasty: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.written.now", hasty.clock)
    came = hasty.clock()
    hasty.clock.advance(50)
    inbox = Inbox(hasty.gateway, came)
    event = Written(Text("spooled"), external_id="s1", customer="webhook:ada")
    accepted = inbox.accept("shop", event)
    hasty.gateway.publisher.publish(inbox.wakes)
    hasty.clock.advance(11)
    hasty.work()
    assert hasty.asked() == []
    assert hasty.status(accepted.message_id or "") == "failed"


LATE = {"destinations__helper": {"late_after": 60}, "destinations__desk": {"late_after": 60}}
MARK = "(written 3 hours ago)\n"


@pytest.fixture
def marking(make: MakeOffice) -> Office:
    return make(**LATE)


def test_a_message_that_comes_late_says_so_to_a_bot(marking: Office) -> None:
    late = marking.customer_writes("where is it?")
    marking.clock.advance(3 * 3600)
    marking.customer_writes("hello")
    marking.work()
    assert marking.asked() == [MARK + "where is it?", "hello"]
    assert marking.status(late) == "delivered"
    kept = record(marking, late).message.content
    assert kept == Text("where is it?"), "what is kept of it is the customer's"


def test_one_that_comes_in_time_does_not(marking: Office) -> None:
    marking.customer_writes("hello")
    marking.work_later(60)
    assert marking.asked() == ["hello"]


def test_people_read_it_behind_what_has_no_words(marking: Office) -> None:
    marking.customer_writes("a human, please")
    marking.work()
    marking.desk.calls.clear()
    marking.customer_writes(Attachment("image", "https://cdn.example.test/cat.png"))
    marking.customer_writes("see?")
    marking.work_later(3 * 3600)
    texts = [call.json["events"][0]["message"] for call in marking.desk.calls if "message" in call.json["events"][0]]
    assert [one.get("text") for one in texts] == [None, MARK.strip(), MARK + "see?"]


def test_a_mark_is_in_the_words_of_the_house(make: MakeOffice) -> None:
    office = make(destinations__helper={"late_after": 60, "late_text": "vor {hours} Stunden:"})
    office.customer_writes("hallo")
    office.work_later(3 * 3600)
    assert office.asked() == ["vor 3 Stunden:\nhallo"]


def test_a_bot_gets_no_mark_for_which_there_is_no_room(make: MakeOffice) -> None:
    office = make(destinations__helper={"late_after": 60, "text_limit": 20})
    office.customer_writes("x" * 20)
    office.work_later(3 * 3600)
    assert office.asked() == ["x" * 20]


def test_a_further_try_goes_on_where_the_last_one_stopped(make: MakeOffice) -> None:
    """In time the first part went out; late the others follow as they were cut then."""
    office = make(destinations__helper={"late_after": 60, "text_limit": 30, "retry_base": 0.01})
    office.bot.answer = lambda call: bot_says("yes") if "one" in call.form["Text"][0] else Told(status=503)
    office.customer_writes("part one is this " + "and part two is that.")
    office.work()
    tried = office.asked()
    office.bot.answer = lambda call: bot_says("yes")
    office.work_later(3 * 3600)
    assert "".join(dict.fromkeys(office.asked())) == "part one is this and part two is that."
    assert office.asked()[: len(tried)] == tried


def test_a_conversation_has_no_more_than_its_rate(make_office: MakeOffice) -> None:
    office = make_office(channels__shop={"rate_each": 1})
    for text in ("one", "two"):
        office.customer_writes(text)
    office.customer_writes("three", customer="ben")
    office.work()
    assert sorted(office.said()) == ["You said: one", "You said: three"]
    office.work_later(1)
    assert office.said()[-1] == "You said: two"
