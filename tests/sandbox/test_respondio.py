import threading

import pytest

from .calls import (
    BEARER,
    CONTACT_ID,
    WEBHOOK,
    agent_sends,
    deliver,
    inspect,
    message_event,
    status_event,
    webhook_body,
)


def messages(client):
    return [entry for contact in inspect(client, "respondio")["contacts"] for entry in contact["messages"]]


def kinds(client):
    return [entry["kind"] for entry in inspect(client, "respondio")["violations"]]


@pytest.fixture
def m_id(client):
    """The gateway's id of a message that the agent has just sent."""
    deliver(client, message_event())
    return agent_sends(client)["mId"]


def test_a_message_is_kept_with_its_contact(client):
    assert deliver(client, message_event(), contact={"firstName": "Ada"}).status_code == 200
    contact = inspect(client, "respondio")["contacts"][0]
    assert (
        contact["contactId"],
        contact["contact"],
        contact["unread"],
    ) == (CONTACT_ID, {"firstName": "Ada"}, 1)
    entry = contact["messages"][0]
    assert (
        entry["mId"],
        entry["author"],
        entry["direction"],
        entry["status"],
    ) == ("m1", "customer", "inbound", None)


def test_a_later_profile_fills_in(client):
    deliver(client, message_event("m1"), contact={"firstName": "Ada", "language": "en"})
    deliver(client, message_event("m2"), contact={"firstName": "Augusta"})
    assert inspect(client, "respondio")["contacts"][0]["contact"] == {"firstName": "Augusta", "language": "en"}


def test_an_echo_is_the_bots(client):
    deliver(client, message_event("e1", "message_echo", "From the bot"))
    assert [(entry["author"], entry["direction"]) for entry in messages(client)] == [("bot", "outbound")]
    assert [entry["mId"] for entry in inspect(client, "respondio")["echoes"]] == ["e1"]
    assert inspect(client, "respondio")["contacts"][0]["unread"] == 0


def test_an_mid_seen_before_is_the_same_message(client):
    for _ in range(3):
        assert deliver(client, message_event()).status_code == 200
    assert [entry["repeats"] for entry in messages(client)] == [2]
    assert inspect(client, "respondio")["repeats"] == [{"contactId": CONTACT_ID, "mId": "m1"}] * 2
    assert kinds(client) == []
    assert inspect(client, "respondio")["contacts"][0]["unread"] == 1


REUSED = {
    "other words": (message_event(words="Other"), CONTACT_ID),
    "other author": (message_event(kind="message_echo"), CONTACT_ID),
    "other contact": (message_event(), "somebody"),
}


@pytest.mark.parametrize(("event", "contact_id"), REUSED.values(), ids=REUSED)
def test_an_mid_reused_for_something_else_is_a_violation(client, event, contact_id):
    deliver(client, message_event())
    deliver(client, event, contact_id=contact_id)
    assert kinds(client) == ["mid_reused"]
    assert len(messages(client)) == 1


def test_an_echo_of_the_agents_own_message_is_a_violation(client, m_id):
    deliver(client, message_event(m_id, "message_echo", "Good day"))
    assert kinds(client) == ["echo_of_outgoing"]
    assert len(messages(client)) == 2


CLIMBS = {
    "one by one": ([("sent", 0), ("delivered", 0), ("read", 0)], "read"),
    "with a gap": ([("read", 0)], "read"),
    "the same again": ([("sent", 0), ("sent", 0)], "sent"),
    "one lower": ([("delivered", 0), ("sent", 1)], "delivered"),
    "two lower": ([("read", 0), ("sent", 1), ("delivered", 2)], "read"),
    "failed": ([("sent", 0), ("failed", 0)], "failed"),
    "proof after failure": ([("failed", 0), ("delivered", 0)], "delivered"),
    "sent after failure": ([("failed", 0), ("sent", 1)], "failed"),
    "failure after proof": ([("delivered", 0), ("failed", 1)], "delivered"),
}


@pytest.mark.parametrize(("reports", "expected"), CLIMBS.values(), ids=CLIMBS)
def test_a_status_only_climbs(client, m_id, reports, expected):
    for value, violations in reports:
        reason = "30005: unknown" if value == "failed" else None
        assert deliver(client, status_event(m_id, value, reason)).status_code == 200
        assert ["status_fell"] * violations == kinds(client)
    assert expected == messages(client)[-1]["status"]
    assert len(reports) == len(inspect(client, "respondio")["statuses"])


def test_the_reason_of_a_failure_is_shown_until_proof_of_delivery(client, m_id):
    deliver(client, status_event(m_id, "failed", "30005: unknown"))
    assert messages(client)[-1]["error"] == "30005: unknown"
    deliver(client, status_event(m_id, "read"))
    assert messages(client)[-1]["error"] is None


UNKNOWN = {
    "never given": ("gw-99", CONTACT_ID),
    "the customer's own": ("m1", CONTACT_ID),
    "of another contact": ("gw-1", "somebody"),
}


@pytest.mark.parametrize(("unknown", "contact_id"), UNKNOWN.values(), ids=UNKNOWN)
def test_a_status_of_an_unknown_mid_is_refused_and_recorded(client, m_id, unknown, contact_id):
    response = deliver(client, status_event(unknown, "sent"), contact_id=contact_id)
    assert response.status_code == 404
    assert response.get_json()["error"]["message"].startswith("events[0].mId: ")
    assert kinds(client) == ["unknown_mid"]
    assert len(inspect(client, "respondio")["contacts"]) == 1


def test_a_call_is_kept_as_a_whole_or_not_at_all(client):
    assert deliver(client, message_event("m2"), status_event("gw-99", "sent")).status_code == 404
    assert messages(client) == []


def test_a_status_that_overtakes_the_answer_waits_for_it(client, gateway):
    deliver(client, message_event())
    reports: list[threading.Thread] = []
    answers: list[int] = []

    def report(m_id: str) -> None:
        other = client.application.test_client()
        answers.append(deliver(other, status_event(m_id, "sent")).status_code)

    def report_aside(m_id: str) -> None:
        reports.append(threading.Thread(target=report, args=(m_id,)))
        reports[0].start()

    gateway.before_answer = report_aside
    agent_sends(client)
    reports[0].join(5)
    assert answers == [200]
    assert messages(client)[-1]["status"] == "sent"
    assert kinds(client) == []


HEADERS = {
    "none": {},
    "wrong": {"Authorization": "Bearer x"},
    "another scheme": {"Authorization": "Basic " + BEARER["Authorization"].split()[1]},
    "not ascii": {"Authorization": "Bearer ö"},
}


@pytest.mark.parametrize("headers", HEADERS.values(), ids=HEADERS)
def test_it_refuses_a_wrong_token(client, headers):
    response = client.post(WEBHOOK, json=webhook_body(message_event()), headers=headers)
    assert response.status_code == 401
    assert "API Token" in response.get_json()["error"]["message"]
    assert messages(client) == []


def test_it_refuses_a_wrong_field_and_records_it(client):
    response = deliver(client, message_event("m" * 51))
    message = "events[0].mId: must have at most 50 characters, has 51"
    assert (400, {"error": {"message": message}}) == (response.status_code, response.get_json())
    entry = {"status": 400, "field": "events[0].mId", "reason": message}
    assert [entry] == inspect(client, "respondio")["refused"]


def test_it_refuses_what_is_not_json(client):
    response = client.post(WEBHOOK, data="{", content_type="application/json", headers=BEARER)
    assert response.get_json()["error"]["message"] == "body: is not valid JSON"


def test_the_webhook_url_ends_with_a_slash(client):
    response = client.post(WEBHOOK.rstrip("/"), json=webhook_body(message_event()), headers=BEARER)
    assert response.status_code == 404
