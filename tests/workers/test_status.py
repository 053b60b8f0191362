"""Status reports on their way to the platform that the message came from."""

from __future__ import annotations

import redis

from tests.support.sink import Told
from tests.workers.conftest import Office


def _values(office: Office) -> list[str]:
    events = [call.json["events"][0] for call in office.desk.calls]
    return [event["status"]["value"] for event in events if event["type"] == "message_status"]


def test_they_rise_and_none_is_told_twice(office: Office) -> None:
    message = office.agent_writes("hello")
    office.work()
    for status in ("read", "delivered", "read", "sent", "failed"):
        office.shop_reports(message, status)
    office.work()
    assert _values(office) == ["sent", "read"]


def test_a_failure_carries_its_reason(office: Office) -> None:
    office.shop.answers(Told(status=410, body=b"blocked"))
    office.agent_writes("hello")
    office.work()
    event = office.desk.calls[-1].json["events"][0]
    assert event["status"]["value"] == "failed"
    assert "blocked" in event["status"]["message"]


def test_proof_of_delivery_after_a_failure_counts(office: Office) -> None:
    message = office.agent_writes("hello")
    office.work()
    office.shop_reports(message, "failed", "lost")
    office.shop_reports(message, "delivered")
    office.work()
    assert _values(office) == ["sent", "failed", "delivered"]


def test_the_customers_own_messages_are_reported_to_the_shop(office: Office) -> None:
    message = office.customer_writes("hello")
    office.work()
    told = [call.json["data"] for call in office.shop.calls if call.json["type"] == "message.status"]
    assert [(message, "delivered")] == [(data["message_id"], data["status"]) for data in told]


def test_a_report_for_a_forgotten_message_is_let_go(office: Office, redis_client: redis.Redis) -> None:
    message = office.agent_writes("hello")
    office.work()
    office.shop_reports(message, "delivered")
    redis_client.delete(f"{{patchbay}}:m:{message}")
    office.work()
    assert _values(office) == ["sent"]
    assert sum(lane.waiting for lane in office.gateway.store.lanes.overview(0)) == 0
