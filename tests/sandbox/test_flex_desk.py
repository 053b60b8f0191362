"""The Flex agent's JSON API."""

import json
import re
from pathlib import Path

import pytest
import requests

import app.sandbox

from .flex import (
    CUSTOMER,
    SETTINGS,
    chat,
    conversation,
    make_channel,
    make_conversation,
    make_flow,
    make_interaction,
    seen,
    task,
    wait_idle,
)

STATIC = Path(app.sandbox.__file__).parent / "static"


def act(served, path, **options):
    answer = requests.post(f"{served}/flex/api/{path}", **options)
    return answer.status_code, answer.json() if answer.content else None


def desk(served):
    return requests.get(f"{served}/flex/api/tasks").json()["tasks"]


def messages(served, sid):
    return requests.get(f"{served}/flex/api/chats/{sid}/messages").json()["messages"]


@pytest.fixture
def waiting(twilio):
    """A chat channel whose task waits."""
    attributes = {"customerName": "Ada", "memory": {"order": 7}}
    return make_channel(twilio, make_flow(twilio), task_attributes=json.dumps(attributes))


@pytest.fixture
def accepted(served, waiting):
    assert act(served, f"tasks/{waiting.task_sid}/accept")[0] == 200
    return waiting.sid


@pytest.fixture
def in_conversation(served, twilio):
    """A conversation that the agent is in."""
    room = make_conversation(twilio)
    make_interaction(twilio, room.sid)
    assert act(served, f"tasks/{desk(served)[0]['taskSid']}/accept")[0] == 200
    return room.sid


def test_a_task_shows_who_waits_and_what_is_known(served, waiting):
    (entry,) = desk(served)
    assert (entry["taskSid"], entry["chatSid"], entry["generation"]) == (waiting.task_sid, waiting.sid, "chat")
    assert (entry["status"], entry["name"], entry["channel"], entry["address"]) == (
        "pending",
        "Ada",
        "custom",
        CUSTOMER,
    )
    assert entry["attributes"]["memory"] == {"order": 7}


def test_tasks_of_both_generations_are_listed_newest_first(served, waiting, in_conversation):
    assert [(entry["generation"], entry["status"]) for entry in desk(served)] == [
        ("conversations", "assigned"),
        ("chat", "pending"),
    ]


def test_accepting_joins_the_chat_and_can_be_done_once(served, twilio, waiting):
    status, entry = act(served, f"tasks/{waiting.task_sid}/accept")
    assert (status, entry["status"]) == (200, "assigned")
    assert [one.identity for one in chat(twilio, waiting.sid).members.list()] == [CUSTOMER, SETTINGS.flex_agent]
    assert act(served, f"tasks/{waiting.task_sid}/accept")[0] == 409
    assert act(served, f"tasks/WT{'0' * 32}/accept")[0] == 404


@pytest.mark.parametrize("what", ["messages", "media", "typing", "read", "end"])
def test_nothing_is_done_before_the_task_is_accepted(served, waiting, what):
    body = {"data": b"x", "headers": {"Content-Type": "image/png"}} if what == "media" else {"json": {"text": "Hi"}}
    status, answer = act(served, f"chats/{waiting.sid}/{what}", **body)
    assert (status, answer["error"]["message"]) == (409, "Accept the task first")
    assert messages(served, waiting.sid) == []


def test_the_unread_are_counted_until_they_are_read(served, twilio, accepted):
    for body in "ab":
        chat(twilio, accepted).messages.create(from_=CUSTOMER, body=body)
    assert desk(served)[0]["unread"] == 2
    assert act(served, f"chats/{accepted}/read") == (204, None)
    assert desk(served)[0]["unread"] == 0
    assert chat(twilio, accepted).members(SETTINGS.flex_agent).fetch().last_consumed_message_index == 1


def test_a_message_climbs_from_sent_to_read(served, twilio, listener, accepted):
    chat(twilio, accepted).webhooks.create(
        type="webhook", configuration_url=listener.url, configuration_filters=["onMessageSent"]
    )
    chat(twilio, accepted).messages.create(from_=CUSTOMER, body="Hello")
    status, _ = act(served, f"chats/{accepted}/messages", json={"text": "Good day"})
    wait_idle(served)
    assert (status, [entry["status"] for entry in messages(served, accepted)]) == (201, [None, "sent"])
    chat(twilio, accepted).members(CUSTOMER).update(last_consumed_message_index=0)
    assert messages(served, accepted)[1]["status"] == "sent"
    chat(twilio, accepted).members(CUSTOMER).update(last_consumed_message_index=1)
    assert messages(served, accepted)[1]["status"] == "read"


def test_a_participants_horizon_is_a_tick_too(served, twilio, in_conversation):
    act(served, f"chats/{in_conversation}/messages", json={"text": "Good day"})
    conversation(twilio, in_conversation).participants(CUSTOMER).update(last_read_message_index=0)
    assert [entry["status"] for entry in messages(served, in_conversation)] == ["read"]


def test_a_webhook_that_fails_is_told_to_the_agent(served, twilio, listener, accepted):
    act(served, f"chats/{accepted}/messages", json={"text": "Into the void"})
    chat(twilio, accepted).webhooks.create(
        type="webhook", configuration_url=listener.url, configuration_filters=["onMessageSent"]
    )
    listener.answers = [500]
    act(served, f"chats/{accepted}/messages", json={"text": "To a gateway with a fault"})
    wait_idle(served)
    assert [(entry["status"], entry["error"]) for entry in messages(served, accepted)] == [
        ("failed", "No webhook of this chat wants onMessageSent"),
        ("failed", "The gateway answered 500"),
    ]


def test_authors_are_told_apart(served, twilio, accepted):
    channel = chat(twilio, accepted)
    channel.messages.create(from_=CUSTOMER, body="a")
    channel.messages.create(from_="bot", body="b")
    act(served, f"chats/{accepted}/messages", json={"text": "c"})
    assert [entry["author"] for entry in messages(served, accepted)] == ["customer", "bot", "agent"]


def test_a_file_is_shown_with_its_words(served, accepted):
    status, entry = act(
        served,
        f"chats/{accepted}/media",
        data=b"bytes",
        headers={"Content-Type": "image/png"},
        params={"filename": "a.png", "text": "Look"},
    )
    shown = entry["message"]
    assert (status, shown["type"], shown["text"], shown["attachment"]["fileName"]) == (
        201,
        "attachment",
        "Look",
        "a.png",
    )
    assert requests.get(shown["attachment"]["url"]).content == b"bytes"
    assert act(served, f"chats/{accepted}/media", headers={"Content-Type": "image/png"})[0] == 400


WRONG = {
    "nothing": ({"text": "  "}, "text"),
    "no text": ({}, "text"),
    "a number": ({"text": 1}, "text"),
    "something else": ({"text": "a", "to": "b"}, "to"),
}


@pytest.mark.parametrize(("body", "field"), WRONG.values(), ids=WRONG)
def test_a_message_that_does_not_fit_is_refused(served, accepted, body, field):
    status, answer = act(served, f"chats/{accepted}/messages", json=body)
    assert (status, answer["error"]["field"]) == (400, field)
    assert messages(served, accepted) == []


def test_texts_have_a_limit_in_conversations(served, accepted, in_conversation):
    assert act(served, f"chats/{in_conversation}/messages", json={"text": "x" * 1601})[0] == 400
    assert act(served, f"chats/{in_conversation}/messages", json={"text": "x" * 1600})[0] == 201
    assert act(served, f"chats/{accepted}/messages", json={"text": "x" * 1601})[0] == 201


@pytest.mark.parametrize("generation", ["accepted", "in_conversation"])
def test_an_ended_chat_is_over(served, request, generation):
    sid = request.getfixturevalue(generation)
    assert act(served, f"chats/{sid}/end") == (204, None)
    assert (desk(served)[0]["status"], desk(served)[0]["isOver"]) == ("completed", True)
    assert act(served, f"chats/{sid}/messages", json={"text": "Too late"})[0] == 409
    assert act(served, f"chats/{sid}/end")[0] == 409
    assert messages(served, sid) == []


def test_a_task_whose_chat_was_ended_elsewhere_can_be_completed(served, twilio, in_conversation):
    conversation(twilio, in_conversation).update(state="closed")
    (entry,) = desk(served)
    assert (entry["isOver"], entry["status"]) == (True, "assigned")
    assert act(served, f"tasks/{entry['taskSid']}/complete")[0] == 200
    assert task(twilio, entry["taskSid"]).fetch().assignment_status == "completed"
    assert act(served, f"tasks/{entry['taskSid']}/complete")[0] == 400


def test_a_task_outlives_its_channel(served, twilio, waiting):
    chat(twilio, waiting.sid).delete()
    (entry,) = desk(served)
    assert (entry["chatSid"], entry["name"], entry["isOver"]) == (None, "Ada", True)
    assert act(served, f"tasks/{waiting.task_sid}/accept")[0] == 200


def test_typing_is_kept(served, accepted):
    assert act(served, f"chats/{accepted}/typing") == (204, None)
    assert seen(served)["typing"] == [{"room_sid": accepted, "identity": SETTINGS.flex_agent}]


def test_a_page_of_another_site_cannot_act(served, accepted):
    elsewhere = {"Origin": "https://elsewhere.test"}
    assert act(served, f"chats/{accepted}/end", headers=elsewhere)[0] == 403
    assert act(served, f"chats/{accepted}/end", headers={"Origin": served})[0] == 204


def test_faults_do_not_meet_the_desk(served, accepted):
    requests.post(f"{served}/faults", json={"target": "flex", "kind": "fail"})
    assert act(served, f"chats/{accepted}/messages", json={"text": "Good day"})[0] == 201


def test_the_version_grows_with_every_change(served, twilio, accepted):
    def version():
        return requests.get(f"{served}/flex/api/tasks").json()["version"]

    before = version()
    assert version() == before
    chat(twilio, accepted).messages.create(body="Hello")
    assert version() > before


def test_the_page_runs_nothing_from_outside(client):
    policy = client.get("/flex").headers["Content-Security-Policy"]
    assert "default-src 'self'" in policy
    assert "unsafe" not in policy
    assert "/flex" in client.get("/").text


@pytest.mark.parametrize("name", ["flex.js", "task.js"])
def test_scripts_never_write_markup(name):
    script = (STATIC / name).read_text()
    assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(", script)
