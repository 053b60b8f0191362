"""What is booked for the work that is done, and how Twilio is asked what it charged."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import date
from typing import Any

import pytest
import redis
import requests
from msgspec.structs import replace

from app.core.costs import COLUMNS, Costs, summed
from app.core.events import Receipt, Reported, Written
from app.core.message import Text
from app.core.render import Capabilities
from app.inbox import Inbox
from tests.sandbox.flex import SETTINGS
from tests.support.processes import wait_until
from tests.support.sink import Call, Sink, Told
from tests.workers.conftest import MakeOffice, Office

DAY = date(2027, 1, 15)  # of the offices' clock
ADA = "sms:+15551230001"
TWILIO = {
    "type": "twilio",
    "account_sid": SETTINGS.twilio_account_sid,
    "auth_tokens": [SETTINGS.twilio_auth_token],
    "address": SETTINGS.twilio_number,
    "destination": "helper",
    "handoff": "desk",
    "status_callback": False,
}
PRICED: dict[str, Any] = {
    "costs": {"currency": "USD"},
    "costs__channels__shop": {"inbound": "0.003", "outbound": "0.005", "template": "0.0135"},
    "costs__destinations__helper": {"turn": "0.001"},
}
UNIT = 100_000  # nanos; 0.0001 dollars


@pytest.fixture
def priced(make_office: MakeOffice) -> Office:
    return make_office(**PRICED)


def booked(office: Office) -> Costs:
    """All that was booked on the first day, in UNITs."""
    (row,) = summed(office.gateway.store.costs.days(DAY, DAY), "")
    values = {name: divmod(getattr(row, name), UNIT) for name in COLUMNS[:-1]}
    assert not any(rest for _, rest in values.values())
    return Costs(**{name: units for name, (units, _) in values.items()})


# --- by the table ---


def test_a_question_its_answer_and_the_turn(priced: Office) -> None:
    message = priced.customer_writes("hello")
    assert booked(priced) == Costs(inbound=30)
    priced.work()
    assert booked(priced) == Costs(inbound=30, outbound=50, turns=10)
    found = priced.gateway.store.costs.message(message)
    assert found is not None
    assert (found.message, found.turns) == (30 * UNIT, 10 * UNIT)


def test_a_message_for_people_costs_no_turn(priced: Office) -> None:
    priced.customer_writes("I want a human")
    priced.work()
    priced.customer_writes("hello?")
    priced.work()
    assert booked(priced).turns == 10


def test_a_bot_that_fails_costs_nothing_until_it_answers(priced: Office) -> None:
    answers = priced.bot.answer
    priced.bot.answers(Told(status=503))
    priced.customer_writes("hello")
    priced.work()
    assert booked(priced) == Costs(inbound=30)
    priced.bot.answer = answers
    priced.work_later(600)
    assert booked(priced) == Costs(inbound=30, outbound=50, turns=10)


@pytest.mark.parametrize("answer", [Told(status=503), Told(status=400), Told(drop=True)], ids=["later", "no", "lost"])
def test_a_message_that_was_not_sent_costs_nothing(answer: Told, priced: Office) -> None:
    priced.shop.answers(answer)
    priced.agent_writes("hello")
    priced.work()
    assert booked(priced) == Costs()


def test_a_message_in_parts_costs_each_of_them_once(priced: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    channel = priced.gateway.channels["shop"]
    monkeypatch.setattr(channel, "capabilities", Capabilities(text_limit=5))
    priced.shop.answers(Told(), Told(status=503), Told())
    priced.agent_writes("one two three")
    priced.work()
    assert booked(priced) == Costs()
    priced.work_later(600)
    assert len(priced.shop.calls) == 4
    assert booked(priced) == Costs(outbound=150)


def test_a_question_in_parts_costs_a_turn_for_each(priced: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    bot = priced.gateway.destinations["helper"]
    monkeypatch.setattr(bot, "capabilities", replace(bot.capabilities, text_limit=5))
    priced.customer_writes("one two three")
    priced.work()
    assert booked(priced).turns == 30


def test_a_message_that_was_reported_delivered_instead_of_being_settled(priced: Office) -> None:
    priced.shop.answers(Told(drop=True))
    message = priced.agent_writes("hello")
    priced.work()
    priced.shop_reports(message, "delivered")
    assert booked(priced) == Costs()
    priced.work_later(600)
    assert booked(priced) == Costs(outbound=50)


def test_a_question_that_is_proved_to_have_arrived(make_office: MakeOffice) -> None:
    office = make_office(**PRICED, destinations__helper={"resend_after_timeout": True})
    office.bot.answers(Told(drop=True))
    message = office.customer_writes("hello")
    office.work()
    office.gateway.store.messages.report(message, "delivered", scope="", direction="inbound", owner="")
    assert booked(office) == Costs(inbound=30)
    office.work_later(600)
    assert len(office.bot.calls) == 1
    assert booked(office) == Costs(inbound=30, turns=10)


def test_a_template_has_a_price_of_its_own(priced: Office) -> None:
    written = Written(Text("Hi"), author="agent", conversation="shop/webhook:ada", metadata={"content_sid": "HX1"})
    priced.accept("desk", written)
    priced.work()
    assert booked(priced) == Costs(template=135)


def test_without_prices_nothing_is_stored(office: Office) -> None:
    office.customer_writes("hello")
    office.work()
    assert office.gateway.store.costs.days(DAY, DAY) == []
    assert office.gateway.store.costs.conversation("shop/webhook:ada") is None


# --- as Twilio says ---


@pytest.fixture
def at_twilio(make_office: MakeOffice) -> Callable[..., Office]:
    """An office with a number of Twilio's, whose prices are told."""

    def make(url: str, **prices: Any) -> Office:
        prices = {"inbound": "0.003", "outbound": "0.005", "reported": True, **prices}
        return make_office(**PRICED, channels__wa={**TWILIO, "api_url": url}, costs__channels__wa=prices)

    return make


def customer_texts(office: Office, ref: str, part: int = 0) -> str:
    return office.accept("wa", Written(Text("hello"), external_id=ref, customer=ADA, part=part))


def answers_texts(office: Office, content: str = "hi") -> str:
    return office.accept("desk", Written(Text(content), author="agent", conversation=f"wa/{ADA}", window=0.001))


class Prices:
    """Twilio's side: gives sids to what is sent, and then the prices in turn; None is not known yet."""

    def __init__(self, outside: Sink, *prices: str | None, unit: str = "usd") -> None:
        self.asked: list[str] = []
        self._sids = iter(range(100))
        self._prices, self._unit = list(prices), unit
        outside.answer = self._answer

    def _answer(self, call: Call) -> Told:
        if call.method == "POST":
            return Told(201, json.dumps({"sid": f"SM-sent-{next(self._sids)}", "status": "queued"}).encode())
        self.asked.append(call.path.rpartition("/")[2])
        price = self._prices.pop(0) if len(self._prices) > 1 else self._prices[0]
        return Told(body=json.dumps({"price": price, "price_unit": self._unit}).encode())


def test_twilios_price_takes_the_place_of_the_tables(at_twilio: Callable[..., Office], outside: Sink) -> None:
    twilio = Prices(outside, "-0.0075")
    office = at_twilio(outside.url)
    answers_texts(office)
    office.work()
    assert twilio.asked == ["SM-sent-0.json"]
    assert booked(office) == Costs(outbound=75)


def test_a_message_in_parts_is_asked_for_part_by_part(at_twilio: Callable[..., Office], outside: Sink) -> None:
    twilio = Prices(outside, "-0.0075", "-0.0080")
    office = at_twilio(outside.url)
    answers_texts(office, "x" * 1_601)
    office.work()
    assert twilio.asked == ["SM-sent-0.json", "SM-sent-1.json"]
    assert booked(office) == Costs(outbound=155)


def test_parts_that_an_earlier_try_sent_are_asked_for_too(at_twilio: Callable[..., Office], outside: Sink) -> None:
    twilio = Prices(outside, "-0.0075", "-0.0080")
    office = at_twilio(outside.url)
    answers_texts(office, "x" * 1_601)
    answer, posts = outside.answer, iter([True, False, True])
    outside.answer = lambda call: answer(call) if call.method == "GET" or next(posts) else Told(status=500)
    office.work()
    assert booked(office) == Costs()
    office.work_later(600)
    assert twilio.asked == ["SM-sent-0.json", "SM-sent-1.json"]
    assert booked(office) == Costs(outbound=155)


def test_what_a_customers_message_was_taken_apart_into_costs_once(
    at_twilio: Callable[..., Office], outside: Sink
) -> None:
    twilio = Prices(outside, "-0.004")
    office = at_twilio(outside.url)
    for number, ref in enumerate(("SM1", "SM1/1", "SM1/2")):
        customer_texts(office, ref, number)
    assert booked(office).inbound == 30
    office.work()
    assert (twilio.asked.count("SM1.json"), booked(office).inbound) == (1, 40)


def test_a_price_that_is_not_known_yet_is_asked_for_later(at_twilio: Callable[..., Office], outside: Sink) -> None:
    twilio = Prices(outside, None, None, "-0.0075")
    office = at_twilio(outside.url)
    answers_texts(office)
    office.work()
    for seconds, asked in ((59, 1), (2, 2), (118, 2), (3, 3), (1_000, 3)):
        office.work_later(seconds)
        assert len(twilio.asked) == asked
    assert booked(office) == Costs(outbound=75)


def test_a_price_that_never_comes_leaves_the_tables(at_twilio: Callable[..., Office], outside: Sink) -> None:
    twilio = Prices(outside, None)
    office = at_twilio(outside.url)
    answers_texts(office)
    office.work()
    for _ in range(8):
        office.work_later(360)
    assert len(twilio.asked) == 7
    assert booked(office) == Costs(outbound=50)
    assert office.gateway.store.lanes.counts() == {"price:wa:never known": 1}
    assert office.gateway.store.lanes.state("status:wa", 0).waiting == 0


def test_a_price_in_another_currency_is_counted_and_not_booked(at_twilio: Callable[..., Office], outside: Sink) -> None:
    twilio = Prices(outside, "-0.0075", unit="EUR")
    office = at_twilio(outside.url)
    answers_texts(office)
    office.work()
    office.work_later(600)
    assert (len(twilio.asked), booked(office)) == (1, Costs(outbound=50))
    assert office.gateway.store.lanes.counts() == {"price:wa:another currency": 1}


def test_twilio_may_be_out_of_reach_for_a_while(at_twilio: Callable[..., Office], outside: Sink) -> None:
    twilio = Prices(outside, "-0.004")
    office = at_twilio(outside.url)
    customer_texts(office, "SM1")
    answer, outside.answer = outside.answer, lambda call: Told(status=503)
    office.work()
    outside.answer = answer
    office.work_later(600)
    assert twilio.asked[0] == "SM1.json"
    assert booked(office).inbound == 40


def test_a_record_that_is_forgotten_is_not_asked_for(
    at_twilio: Callable[..., Office], outside: Sink, redis_client: redis.Redis
) -> None:
    twilio = Prices(outside, None, "-0.0075")
    office = at_twilio(outside.url)
    message = answers_texts(office)
    office.work()
    redis_client.delete(f"{{patchbay}}:m:{message}")
    office.work_later(61)
    assert (len(twilio.asked), booked(office), office.letters()) == (1, Costs(outbound=50), [])


def test_a_later_word_asks_again_where_the_first_asking_came_to_nothing(
    at_twilio: Callable[..., Office], outside: Sink
) -> None:
    twilio = Prices(outside, *[None] * 7, "-0.0075")
    office = at_twilio(outside.url)
    answers_texts(office)
    office.work()
    for _ in range(7):
        office.work_later(360)
    assert len(twilio.asked) == 7
    inbox = Inbox(office.gateway)
    inbox.accept("wa", Reported("SM-sent-0", "delivered"))
    office.gateway.publisher.publish(inbox.wakes)
    office.work()
    assert booked(office) == Costs(outbound=75)


def test_a_channel_that_tells_no_prices_is_never_asked(priced: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(priced.gateway.channels["shop"], "send", lambda outgoing, http: Receipt("x", "delivered"))
    priced.agent_writes("hello")
    assert priced.work() == 2  # the message, and what the desk is told of it
    assert "shop" not in priced.gateway.offers.prices


def test_prices_of_the_sandbox(at_twilio: Callable[..., Office], flex_sandbox: str) -> None:
    office = at_twilio(f"{flex_sandbox}/twilio/api")
    customer = {"kind": "sms", "address": ADA.removeprefix("sms:")}
    requests.post(f"{flex_sandbox}/phone/api/customers", json=customer, timeout=5).raise_for_status()
    url = f"{flex_sandbox}/phone/api/customers/%2B15551230001/messages"
    requests.post(url, json={"text": "hello"}, timeout=5).raise_for_status()
    (message,) = _seen(flex_sandbox)["messages"]
    customer_texts(office, message["sid"])
    office.work()
    wait_until(
        "the answer was sent", lambda: [m["status"] for m in _seen(flex_sandbox)["messages"]][1:] == ["delivered"]
    )
    office.work_later(61)
    assert booked(office) == Costs(inbound=79, outbound=79, turns=10)


def _seen(url: str) -> Any:
    return requests.get(f"{url}/inspect", timeout=5).json()["messaging"]
