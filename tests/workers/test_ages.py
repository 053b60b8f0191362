"""What waited too long is not sent any more, and whoever wrote it hears that."""

from __future__ import annotations

import pytest

from app.core.events import Written
from app.core.message import Text
from app.inbox import Inbox
from app.store.messages import Record
from tests.support.gateway import recorder
from tests.support.sink import Told
from tests.workers.conftest import MakeOffice, Office

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
