"""A person who writes from two addresses has one conversation, at the bot, at the desk and for answers."""

from __future__ import annotations

from app.core.consent import ANSWERS
from app.core.events import Ended
from app.inbox import Inbox
from tests.workers.conftest import MakeOffice, Office

ADA, HER_ID = "webhook:ada", "webhook:US.1"


def writes(office: Office, text: str, name: str, *aliases: str) -> str:
    return office.customer_writes(text, name.removeprefix("webhook:"), aliases=aliases)


def told(office: Office) -> list[tuple[str, str]]:
    """(to, text) of what the customer was told."""
    data = [call.json["data"] for call in office.shop.calls if call.json["type"] == "message.created"]
    return [(one["to"]["id"], one["content"]["text"]) for one in data]


def test_the_bot_knows_one_customer_and_answers_where_they_wrote(office: Office) -> None:
    for name, aliases in ((ADA, ()), (HER_ID, (ADA,)), (ADA, ()), (HER_ID, ())):
        writes(office, f"from {name}", name, *aliases)
        office.work()
    assert {"shop/webhook:ada"} == {call.form["UserId"][0] for call in office.bot.calls}
    assert [
        ("ada", "You said: from webhook:ada"),
        ("US.1", "You said: from webhook:US.1"),
        ("ada", "You said: from webhook:ada"),
        ("US.1", "You said: from webhook:US.1"),
    ] == told(office)


def test_people_who_have_the_conversation_get_what_comes_from_the_other_address(office: Office) -> None:
    writes(office, "a human please", ADA)
    office.work()
    writes(office, "it is me", HER_ID, ADA)
    office.work()
    assert ("message", "it is me") == office.seen()[-1]
    assert 1 == len({call.json["contactId"] for call in office.desk.calls})
    office.agent_writes("Hello Ada")
    office.work()
    assert ("US.1", "Hello Ada") == told(office)[-1]


def test_an_end_by_the_other_address_ends_the_session(office: Office) -> None:
    writes(office, "a human please", ADA, HER_ID)
    office.work()
    inbox = Inbox(office.gateway)
    inbox.accept("shop", Ended(customer=HER_ID))
    office.gateway.publisher.publish(inbox.wakes)
    writes(office, "hello", ADA)
    office.work()
    assert "hello" == office.asked()[-1]


def test_who_opted_out_by_one_address_gets_nothing_at_the_other(make_office: MakeOffice) -> None:
    office = make_office(channels__shop={"consent": {}})
    writes(office, "hello", ADA, HER_ID)
    writes(office, "STOP", HER_ID)
    office.work()
    before = len(told(office))
    office.agent_writes("Are you there?")
    office.work()
    assert before == len(told(office))
    writes(office, "start", ADA)
    office.work()
    assert ("ada", ANSWERS["START"]) == told(office)[-1]


def test_a_report_speaks_of_a_message_whatever_it_was_sent_to(office: Office) -> None:
    writes(office, "hello", ADA)
    writes(office, "it is me", HER_ID, ADA)
    office.work()
    last = office.gateway.store.messages.timeline("shop/webhook:ada")[-1].message
    office.shop_reports(last.id, "read")
    assert "read" == office.status(last.id)
