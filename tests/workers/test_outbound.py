"""What happens to a message for the customer at the head of its mailbox."""

from __future__ import annotations

from typing import Any

import pytest

from app.core import errors
from app.core.errors import Failure
from app.core.events import Receipt
from app.core.message import Card, Image, Text
from app.core.render import Capabilities
from tests.store.steps import append
from tests.support.sink import Told
from tests.workers.conftest import Office


def test_it_sends_and_remembers_the_platforms_own_id(office: Office) -> None:
    office.shop.answers(Told(body=b'{"id":"shop-7"}'))
    message = office.agent_writes("hello")
    office.work()
    record = office.gateway.store.messages.read(message)
    assert record is not None
    assert (record.status, record.external_id) == ("sent", "shop-7")
    office.shop_reports("shop-7", "read")
    assert office.status(message) == "read"


def test_a_report_that_overtook_the_receipt_waits_and_is_applied(office: Office) -> None:
    office.shop.answers(Told(body=b'{"id":"shop-8"}'))
    message = office.agent_writes("hello")
    office.shop_reports("shop-8", "delivered")
    assert office.status(message) == "queued"
    office.work()
    assert office.status(message) == "delivered"


def test_a_message_that_was_reported_delivered_is_not_sent_again(office: Office) -> None:
    office.shop.answers(Told(drop=True))
    message = office.agent_writes("hello")
    office.work()
    office.shop_reports(message, "delivered")
    office.work_later(600)
    assert len(office.shop.calls) == 1
    assert office.status(message) == "delivered"


def test_a_card_is_sent_as_text_and_images_and_goes_on_where_it_stopped(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    channel = office.gateway.channels["shop"]
    monkeypatch.setattr(channel, "capabilities", Capabilities(contents=frozenset({"text", "attachment"})))
    office.shop.answers(Told(), Told(status=503), Told())
    office.agent_writes(Card("A plate", (Image("https://cdn.example.test/p.png", "Plate"),)))
    office.work()
    office.work_later(600)
    sent = [(call.headers["webhook-id"], call.json["data"]["content"]["type"]) for call in office.shop.calls]
    assert [kind for _, kind in sent] == ["text", "attachment", "attachment"]
    assert sent[1][0] == sent[2][0] != sent[0][0]


def two_parts(office: Office, monkeypatch: pytest.MonkeyPatch) -> str:
    """A message that the shop takes in two parts, `shop-0` and `shop-1`."""
    channel = office.gateway.channels["shop"]
    monkeypatch.setattr(channel, "capabilities", Capabilities(contents=frozenset({"text", "attachment"})))
    office.shop.answers(*(Told(body=b'{"id":"shop-%d"}' % number) for number in range(2)))
    message = office.agent_writes(Card("A plate", (Image("https://cdn.example.test/p.png"),)))
    office.work()
    return message


REPORTS: dict[str, tuple[list[tuple[str, str]], str]] = {
    "the first one failed, the second arrived": ([("shop-0", "failed"), ("shop-1", "delivered")], "failed"),
    "the second arrived, the first one failed": ([("shop-1", "delivered"), ("shop-0", "failed")], "failed"),
    "the second one failed": ([("shop-0", "read"), ("shop-1", "failed")], "failed"),
    "only the second arrived": ([("shop-1", "delivered")], "sent"),
    "only the first arrived": ([("shop-0", "delivered")], "sent"),
    "both arrived": ([("shop-1", "delivered"), ("shop-0", "delivered")], "delivered"),
    "one was read": ([("shop-1", "read"), ("shop-0", "delivered")], "delivered"),
    "both were read": ([("shop-1", "read"), ("shop-0", "delivered"), ("shop-0", "read")], "read"),
    "the first one arrived after all": (
        [("shop-0", "failed"), ("shop-1", "delivered"), ("shop-0", "delivered")],
        "delivered",
    ),
    "one failed, the other was only sent": ([("shop-0", "failed"), ("shop-1", "sent")], "failed"),
    "told twice": ([("shop-0", "delivered"), ("shop-0", "delivered"), ("shop-1", "sent")], "sent"),
}


@pytest.mark.parametrize(("reports", "status"), REPORTS.values(), ids=REPORTS)
def test_a_message_in_parts_has_come_as_far_as_the_one_behind(
    reports: list[tuple[str, str]], status: str, office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    message = two_parts(office, monkeypatch)
    assert "sent" == office.status(message)
    for ref, word in reports:
        office.shop_reports(ref, word, "Not there." if word == "failed" else None)
    assert status == office.status(message)
    record = office.gateway.store.messages.read(message)
    assert record is not None
    assert ("Not there." if status == "failed" else "") == record.error


def test_a_part_that_failed_before_all_were_sent_is_not_forgotten(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    office.shop_reports("shop-0", "failed", "Not there.")  # overtook everything
    message = two_parts(office, monkeypatch)
    office.shop_reports("shop-1", "delivered")
    assert "failed" == office.status(message)


def test_a_hint_that_is_no_longer_true_is_not_shown(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[str] = []
    channel = office.gateway.channels["shop"]
    monkeypatch.setattr(channel, "capabilities", Capabilities(typing=True))
    monkeypatch.setattr(channel, "typing", lambda customer, http: shown.append(customer))
    now = office.clock.now
    for moment in (now - 11_000, now - 1_000):
        wakes = append(office.gateway.store, "shop/webhook:ada", "outbound", "outbound:shop", f"typing @{moment}")
        office.gateway.publisher.publish(wakes or ())
    office.work()
    assert shown == ["webhook:ada"]


def test_a_channel_that_is_gone_from_the_configuration_keeps_the_message(office: Office) -> None:
    office.agent_writes("hello")
    channels: dict[str, Any] = dict(office.gateway.channels)
    del channels["shop"]
    office.gateway.channels = channels
    office.work()
    assert "misconfigured" in office.letters()[0]


def test_the_receipts_of_a_channel_may_prove_more_than_sent(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    channel = office.gateway.channels["shop"]
    monkeypatch.setattr(channel, "send", lambda outgoing, http: Receipt("x", "delivered"))
    message = office.agent_writes(Text("hello"))
    office.work()
    assert office.status(message) == "delivered"


def test_a_customer_who_blocked_us_is_left_alone_and_nobody_is_asked_to_mend_it(office: Office) -> None:
    first, second = office.agent_writes("hello"), office.agent_writes("anybody there?")
    office.shop.answers(Told(status=400, body=b"blocked"))
    channel = office.gateway.channels["shop"]

    def refuse(outgoing: Any, http: Any) -> Receipt:
        raise Failure(errors.OPTED_OUT, "403 the user blocked us")

    channel.send = refuse  # type: ignore[method-assign]  # as a platform's adapter would
    office.work()
    assert [office.status(first), office.status(second)] == ["failed", "failed"]
    assert office.letters() == []
    known = office.gateway.store.consents.read("shop/webhook:ada")
    assert known is not None
    assert (known.state, known.by) == ("out", "403 the user blocked us")
