import re
from pathlib import Path

import pytest
import requests

import app.sandbox

from .calls import (
    BEARER,
    WEBHOOK,
    agent_path,
    agent_sends,
    deliver,
    message_event,
    text_message,
    webhook_body,
)

STATIC = Path(app.sandbox.__file__).parent / "static"
PHONE = "+15551230001"


def contacts(client):
    return client.get("/agent/api/contacts").get_json()["contacts"]


NAMES = {
    "both": ({"firstName": "Ada", "lastName": "Lovelace"}, "Ada Lovelace"),
    "first": ({"firstName": "Ada"}, "Ada"),
    "none": ({}, "ada"),
}


@pytest.mark.parametrize(("profile", "name"), NAMES.values(), ids=NAMES)
def test_a_contact_is_called_by_its_name(client, profile, name):
    deliver(client, message_event(), contact_id="ada", contact=profile)
    assert [name] == [contact["name"] for contact in contacts(client)]


def test_contacts_have_unread_counts_and_their_last_message(client):
    for m_id in ("m1", "m2"):
        deliver(client, message_event(m_id))
    contact = contacts(client)[0]
    assert (contact["unread"], contact["last"]["mId"]) == (2, "m2")
    assert client.post(agent_path("read")).status_code == 204
    assert contacts(client)[0]["unread"] == 0


ODD_IDS = ["a/b", "/a", "a/", "a//b", "//", "+a=@_", "a/messages", "x/read", "=" * 50]


@pytest.mark.parametrize("contact_id", ODD_IDS)
def test_ids_may_hold_any_character_of_their_alphabet(client, gateway, contact_id):
    deliver(client, message_event(), contact_id=contact_id)
    agent_sends(client, "Good day", contact_id)
    answer = client.get(agent_path(contact_id=contact_id)).get_json()
    assert contact_id == answer["contactId"] == gateway.calls[0]["body"]["contactId"]
    assert [entry["message"]["text"] for entry in answer["messages"]] == ["Hello", "Good day"]
    assert client.post(agent_path("read", contact_id)).status_code == 204


def test_an_odd_id_passes_a_real_server(served):
    contact_id = "/a//b/+=@"
    requests.post(served + WEBHOOK, json=webhook_body(message_event(), contact_id=contact_id), headers=BEARER)
    assert requests.get(served + agent_path(contact_id=contact_id)).status_code == 200


MESSAGES = {
    "attachment": {"type": "attachment", "attachment": {"type": "file", "url": "https://example.test/a.pdf"}},
    "quick reply": {"type": "quick_reply", "title": "When?", "replies": ["Now", "Later"]},
    "location": {"type": "location", "latitude": 59.9, "longitude": 10.7},
}


@pytest.mark.parametrize("message", MESSAGES.values(), ids=MESSAGES)
def test_an_agent_may_send(client, gateway, message):
    deliver(client, message_event())
    assert client.post(agent_path(), json=message).status_code == 201
    assert message == gateway.calls[0]["body"]["message"]


def test_a_message_that_does_not_fit_is_not_sent(client, gateway):
    deliver(client, message_event())
    response = client.post(agent_path(), json=text_message(""))
    error = {"field": "text", "message": "text: must not be empty"}
    assert (400, {"error": error}) == (response.status_code, response.get_json())
    assert gateway.calls == []


def test_a_form_from_another_site_is_refused(client, gateway):
    deliver(client, message_event())
    response = client.post(agent_path(), data='{"type": "text", "text": "x"}', content_type="text/plain")
    assert (response.status_code, response.get_json()["error"]["field"]) == (400, "Content-Type")
    assert gateway.calls == []


@pytest.mark.parametrize(("method", "rest"), [("GET", "messages"), ("POST", "messages"), ("POST", "read")])
def test_an_unknown_contact_is_not_found(client, method, rest):
    response = client.open(agent_path(rest, "nobody"), method=method, json=text_message())
    assert (response.status_code, response.get_json()["error"]["field"]) == (404, "contactId")


def test_an_agent_may_write_first_to_a_phone_number(phone_client, gateway):
    response = phone_client.post("/agent/api/contacts", json={"contactId": PHONE})
    assert (response.status_code, response.get_json()) == (201, {"contactId": PHONE})
    agent_sends(phone_client, contact_id=PHONE)
    assert [call["body"]["contactId"] for call in gateway.calls] == [PHONE]


def test_a_chat_starts_only_with_a_phone_number(phone_client):
    response = phone_client.post("/agent/api/contacts", json={"contactId": "ada"})
    assert (response.status_code, response.get_json()["error"]["field"]) == (400, "contactId")


def test_with_custom_ids_an_agent_may_not_write_first(client):
    response = client.post("/agent/api/contacts", json={"contactId": PHONE})
    assert (response.status_code, response.get_json()["error"]["field"]) == (400, "contactId")


def test_the_form_to_start_a_chat_is_shown_for_phone_numbers_only(client, phone_client):
    assert 'id="start"' not in client.get("/agent").text
    assert 'id="start"' in phone_client.get("/agent").text


def test_the_page_runs_nothing_from_outside(client):
    policy = client.get("/agent").headers["Content-Security-Policy"]
    assert "default-src 'self'" in policy
    assert "unsafe" not in policy


@pytest.mark.parametrize("name", ["agent.js", "composer.js", "messages.js"])
def test_scripts_never_write_markup(name):
    script = (STATIC / name).read_text()
    assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(", script)
