import pytest
import requests

from app.sandbox import SandboxSettings, create_app
from app.sandbox.respondio.outgoing import Answer, read_answer

from .calls import BEARER, CONTACT_ID, SETTINGS, agent_sends, deliver, inspect, message_event, text_message


@pytest.fixture
def known(client):
    """A sandbox that a contact has written to."""
    deliver(client, message_event())
    return client


def switch_on(client, kind, times=1):
    client.post("/faults", json={"target": "respondio", "kind": kind, "times": times})


def test_the_call_is_as_the_contract_says(known, gateway):
    agent_sends(known, "It left today.")
    body = {
        "channelId": SETTINGS.respondio_channel_id,
        "contactId": CONTACT_ID,
        "message": text_message("It left today."),
    }
    call = {"path": "/destinations/desk/message", "authorization": BEARER["Authorization"], "body": body}
    assert [call] == gateway.calls


def test_the_answer_gives_the_mid(known):
    sent = agent_sends(known)
    assert (sent["mId"], sent["status"], sent["author"], sent["error"]) == ("gw-1", "queued", "agent", None)
    assert [entry["mId"] for entry in inspect(known, "respondio")["outgoing"]] == ["gw-1"]


def test_a_refusal_is_shown_to_the_agent(known, gateway):
    gateway.answers = [(400, {"error": {"message": "63016: outside the messaging window"}})]
    sent = agent_sends(known)
    assert (sent["status"], sent["error"]) == ("failed", "63016: outside the messaging window")


def test_a_gateway_out_of_reach_is_shown_to_the_agent():
    client = create_app(SandboxSettings(gateway_url="http://127.0.0.1:9")).test_client()
    deliver(client, message_event())
    sent = agent_sends(client)
    assert (sent["status"], sent["error"]) == ("failed", "The gateway could not be reached")


def test_a_proxy_of_the_environment_is_not_used(known, gateway, monkeypatch):
    for name in ("http_proxy", "no_proxy", "NO_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9" if name == "http_proxy" else "")
    assert agent_sends(known)["mId"] == "gw-1"


def test_a_duplicate_calls_twice_for_one_message(known, gateway):
    switch_on(known, "duplicate")
    assert agent_sends(known, "a")["mId"] == "gw-1"
    agent_sends(known, "b")
    assert gateway.texts == ["a", "a", "b"]
    assert len(inspect(known, "respondio")["contacts"][0]["messages"]) == 3


def test_a_duplicate_that_is_refused_once_was_accepted(known, gateway):
    switch_on(known, "duplicate")
    gateway.answers = [(503, {}), (200, {"mId": "gw-2"})]
    sent = agent_sends(known)
    assert (sent["mId"], sent["status"], sent["error"]) == ("gw-2", "queued", None)


def test_a_reorder_swaps_two_calls(known, gateway):
    switch_on(known, "reorder")
    held = agent_sends(known, "a")
    assert (held["mId"], held["status"]) == (None, "queued")
    assert gateway.texts == []
    agent_sends(known, "b")
    agent_sends(known, "c")
    assert gateway.texts == ["b", "a", "c"]
    messages = inspect(known, "respondio")["contacts"][0]["messages"]
    assert [message["mId"] for message in messages[1:]] == ["gw-2", "gw-1", "gw-3"]


def test_a_call_that_is_held_back_goes_out_when_faults_are_switched_off(known, gateway):
    switch_on(known, "reorder")
    agent_sends(known, "a")
    known.delete("/faults")
    assert gateway.texts == ["a"]


def test_a_reset_forgets_a_call_that_is_held_back(known, gateway):
    switch_on(known, "reorder")
    agent_sends(known, "a")
    known.delete("/inspect")
    deliver(known, message_event())
    agent_sends(known, "b")
    assert gateway.texts == ["b"]


ANSWERS = {
    "accepted": (200, b'{"mId": "gw-1"}', Answer(200, "gw-1")),
    "longest mId": (200, b'{"mId": "' + b"m" * 50 + b'"}', Answer(200, "m" * 50)),
    "mId too long": (200, b'{"mId": "' + b"m" * 51 + b'"}', None),
    "mId as number": (200, b'{"mId": 1}', None),
    "no mId": (200, b"{}", None),
    "no JSON": (200, b"OK", None),
    "an array": (200, b"[]", None),
    "another success": (202, b'{"mId": "gw-1"}', Answer(202, error="The gateway answered 202")),
    "a redirect": (302, b"", Answer(302, error="The gateway answered 302")),
    "refused": (400, b'{"error": {"message": "No"}}', Answer(400, error="No")),
    "wrong token": (401, b'{"error": {"message": "Token"}}', Answer(401, error="Token")),
    "refused without words": (400, b"{}", Answer(400, error="The gateway answered 400")),
    "refused in another form": (400, b'{"error": "No"}', Answer(400, error="The gateway answered 400")),
    "out of order": (503, b'{"error": {"message": "No"}}', Answer(503, error="The gateway answered 503")),
}


@pytest.mark.parametrize(("status", "body", "expected"), ANSWERS.values(), ids=ANSWERS)
def test_it_reads_the_answer(status, body, expected):
    response = requests.Response()
    response.status_code, response._content = status, body
    answer = read_answer(response)
    without_mid = Answer(200, error="The gateway answered without an mId of 1 to 50 characters")
    assert (expected or without_mid) == answer
