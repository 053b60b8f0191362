"""What the stand-in posts to webhooks, when, how it is signed, and how often it is tried."""

import json

import pytest
import requests
from twilio.request_validator import RequestValidator

from app.sandbox.flex import carrier

from .flex import (
    CUSTOMER,
    ON,
    SERVICE,
    SETTINGS,
    STUDIO_FLOW,
    chat,
    conversation,
    make_channel,
    make_conversation,
    make_flow,
    make_interaction,
    seen,
    tasks,
    wait_idle,
    wait_until,
)
from .test_flex_rest import switch_on

AGENT = SETTINGS.flex_agent
CHAT_EVENTS = ["onMessageSent", "onChannelUpdated", "onMemberUpdated"]
EVENTS = ["onMessageAdded", "onConversationStateUpdated", "onConversationUpdated", "onParticipantUpdated"]


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(carrier, "FIRST_PAUSE_SECONDS", 0.01)


@pytest.fixture
def channel(twilio, listener):
    """A chat channel that tells the listener everything, three retries allowed."""
    return listening_channel(twilio, listener, retries=3)


@pytest.fixture
def room(twilio, listener):
    """A conversation that tells the listener everything."""
    context = conversation(twilio, make_conversation(twilio, unique_name="webchat:v81:1").sid)
    context.webhooks.create(
        target="webhook", configuration_url=listener.url, configuration_method="POST", configuration_filters=EVENTS
    )
    return context


def listening_channel(twilio, listener, retries=0, method="POST"):
    context = chat(twilio, make_channel(twilio, make_flow(twilio)).sid)
    context.webhooks.create(
        type="webhook",
        configuration_url=listener.url,
        configuration_method=method,
        configuration_filters=CHAT_EVENTS,
        configuration_retry_count=retries,
    )
    return context


def accept(served, twilio):
    sid = tasks(twilio).list()[0].sid
    answer = requests.post(f"{served}/flex/api/tasks/{sid}/accept")
    assert answer.ok, answer.text
    return answer.json()["chatSid"]


def act(served, sid, what, **options):
    answer = requests.post(f"{served}/flex/api/chats/{sid}/{what}", **options)
    assert answer.ok, answer.text
    return answer


def test_every_webhook_is_signed_over_its_whole_url(listener, channel):
    channel.messages.create(from_=CUSTOMER, body="Grüße & + %", **ON)
    call = listener.wait_for(1)[0]
    validator = RequestValidator(SETTINGS.twilio_auth_token)
    assert validator.validate(listener.url, call.form, call.signature)
    assert not validator.validate(listener.url, call.form | {"Body": "x"}, call.signature)
    assert not validator.validate(listener.url.partition("?")[0], call.form, call.signature)
    assert not RequestValidator("another").validate(listener.url, call.form, call.signature)


def test_a_webhook_by_get_is_signed_over_its_query(twilio, listener):
    channel = listening_channel(twilio, listener, method="GET")
    channel.messages.create(body="Hello", **ON)
    call = listener.wait_for(1)[0]
    url = listener.url.partition("/destinations")[0] + call.path
    assert (call.method, call.form["Body"], call.form["kind"]) == ("GET", "Hello", "chat")
    assert RequestValidator(SETTINGS.twilio_auth_token).validate(url, {}, call.signature)


def test_a_rest_call_fires_only_if_it_says_so(served, listener, channel, room):
    channel.messages.create(body="Quiet")
    channel.update(friendly_name="Quiet", x_twilio_webhook_enabled="false")
    channel.members(CUSTOMER).update(last_consumed_message_index=0)
    room.messages.create(body="Quiet")
    room.update(state="inactive")
    wait_idle(served)
    assert listener.calls == []


def test_the_body_of_on_message_sent(listener, channel):
    message = channel.messages.create(from_=CUSTOMER, body="Hello", attributes='{"id": "m1"}', **ON)
    form = listener.wait_for(1)[0].form
    assert form.pop("DateCreated").endswith("Z")
    assert form == {
        "EventType": "onMessageSent",
        "AccountSid": SETTINGS.twilio_account_sid,
        "InstanceSid": SERVICE,
        "ChannelSid": channel.fetch().sid,
        "MessageSid": message.sid,
        "Index": "0",
        "From": CUSTOMER,
        "Body": "Hello",
        "Attributes": '{"id": "m1"}',
        "Source": "API",
        "RetryCount": "0",
        "WebhookType": "webhook",
        "WebhookSid": channel.webhooks.list()[0].sid,
    }


def test_the_body_of_on_message_added(listener, room):
    message = room.messages.create(author=CUSTOMER, body="Hello", **ON)
    form = listener.wait_for(1)[0].form
    assert form.pop("DateCreated").endswith("Z")
    assert form.pop("MessagingServiceSid").startswith("MG")
    assert form == {
        "EventType": "onMessageAdded",
        "AccountSid": SETTINGS.twilio_account_sid,
        "ChatServiceSid": SERVICE,
        "ConversationSid": room.fetch().sid,
        "MessageSid": message.sid,
        "ParticipantSid": message.participant_sid,
        "Index": "0",
        "Author": CUSTOMER,
        "Body": "Hello",
        "Attributes": "{}",
        "Source": "API",
        "RetryCount": "0",
    }


def test_changes_of_a_channel_and_a_member(listener, channel):
    channel.messages.create(body="Hello")
    channel.update(attributes='{"status": "INACTIVE"}', **ON)
    channel.members(CUSTOMER).update(last_consumed_message_index=0, **ON)
    updated, read = (call.form for call in listener.wait_for(2))
    assert (updated["EventType"], updated["Attributes"]) == ("onChannelUpdated", '{"status": "INACTIVE"}')
    assert {"FriendlyName", "CreatedBy", "ChannelType", "DateCreated", "DateUpdated", "WebhookSid"} <= updated.keys()
    assert (read["EventType"], read["Identity"], read["LastConsumedMessageIndex"]) == ("onMemberUpdated", CUSTOMER, "0")


def test_changes_of_a_conversation_and_a_participant(listener, room):
    room.messages.create(body="Hello")
    room.update(attributes='{"a": 1}', **ON)
    room.participants(CUSTOMER).update(last_read_message_index=0, **ON)
    room.update(state="closed", **ON)
    updated, read, closed = (call.form for call in listener.wait_for(3))
    assert (updated["EventType"], updated["Attributes"]) == ("onConversationUpdated", '{"a": 1}')
    assert (read["EventType"], read["LastReadMessageIndex"]) == ("onParticipantUpdated", "0")
    assert read["ParticipantSid"].startswith("MB")
    assert (closed["EventType"], closed["StateFrom"], closed["StateTo"]) == (
        "onConversationStateUpdated",
        "active",
        "closed",
    )
    assert {"Reason", "StateUpdated"} <= closed.keys()


def test_only_the_wanted_events_are_posted(twilio, listener):
    room = conversation(twilio, make_conversation(twilio).sid)
    room.webhooks.create(
        target="webhook", configuration_url=listener.url, configuration_filters=["onConversationStateUpdated"]
    )
    room.messages.create(body="Hello", **ON)
    room.update(state="closed", **ON)
    assert [call.event for call in listener.wait_for(1)] == ["onConversationStateUpdated"]


def test_a_trigger_fires_on_its_words(served, twilio, listener):
    room = conversation(twilio, make_conversation(twilio).sid)
    room.webhooks.create(target="trigger", configuration_url=listener.url, configuration_triggers=["help"])
    for body in ("Hello", "I need HELP"):
        room.messages.create(body=body, **ON)
    wait_idle(served)
    assert [call.form["Body"] for call in listener.calls] == ["I need HELP"]


def test_a_new_webhook_may_see_messages_from_before(served, twilio, listener):
    room = conversation(twilio, make_conversation(twilio).sid)
    for body in "abc":
        room.messages.create(author=CUSTOMER, body=body)
    room.webhooks.create(
        target="webhook",
        configuration_url=listener.url,
        configuration_filters=["onMessageAdded"],
        configuration_replay_after=0,
    )
    assert [call.form["Body"] for call in listener.wait_for(2)] == ["b", "c"]


def test_studio_fires_in_chat_but_not_in_conversations(served, twilio, listener, room):
    studio = chat(twilio, make_channel(twilio, make_flow(twilio, "studio")).sid)
    studio.webhooks.create(type="webhook", configuration_url=listener.url, configuration_filters=["onMessageSent"])
    room.webhooks.create(target="studio", configuration_flow_sid=STUDIO_FLOW)
    studio.messages.create(from_=CUSTOMER, body="Hi", **ON)
    room.messages.create(author=CUSTOMER, body="Hi", **ON)
    wait_idle(served)
    authors = [(call.form.get("From") or call.form["Author"], call.form["Source"]) for call in listener.calls]
    assert sorted(authors) == [("Studio", "API"), (CUSTOMER, "API"), (CUSTOMER, "API")]
    assert "Studio" in [message.author for message in room.messages.list()]


def test_an_agent_in_chat(served, twilio, listener, channel):
    sid = accept(served, twilio)
    channel.messages.create(from_=CUSTOMER, body="Hello")
    act(served, sid, "read")
    act(served, sid, "read")
    act(served, sid, "messages", json={"text": "It left today"})
    act(served, sid, "typing")
    channel.update(attributes='{"from": "webchat:v81", "channel_type": "custom", "long_lived": false}')
    act(served, sid, "end")
    calls = listener.wait_for(4)
    assert [call.event for call in calls] == ["onMemberUpdated", "onMessageSent", "onTypingStarted", "onChannelUpdated"]
    assert {(call.form["Source"], call.form["ClientIdentity"]) for call in calls} == {("SDK", AGENT)}
    read, said, _typing, over = (call.form for call in calls)
    assert (read["Identity"], read["LastConsumedMessageIndex"]) == (AGENT, "0")
    assert (said["From"], said["Body"], said["Index"]) == (AGENT, "It left today", "1")
    assert json.loads(over["Attributes"]) == {
        "from": CUSTOMER,
        "channel_type": "custom",
        "long_lived": False,
        "status": "INACTIVE",
    }
    assert tasks(twilio).list()[0].assignment_status == "completed"


def test_an_agent_in_a_conversation(served, twilio, listener, room):
    made = make_interaction(twilio, room.fetch().sid)
    sid = accept(served, twilio)
    room.messages.create(author=CUSTOMER, body="Hello")
    act(served, sid, "read")
    act(served, sid, "messages", json={"text": "It left today"})
    act(served, sid, "typing")
    act(served, sid, "end")
    calls = listener.wait_for(4)
    assert [call.event for call in calls] == [
        "onParticipantUpdated",
        "onMessageAdded",
        "onTypingStarted",
        "onConversationStateUpdated",
    ]
    assert {(call.form["Source"], call.form["ClientIdentity"]) for call in calls} == {("SDK", AGENT)}
    assert (calls[1].form["Author"], calls[3].form["StateTo"]) == (AGENT, "closed")
    assert calls[1].form["ParticipantSid"] == room.participants(AGENT).fetch().sid
    assert room.fetch().state == "closed"
    assert tasks(twilio).list()[0].assignment_status == "completed"
    assert twilio.flex_api.v1.interaction(made.sid).channels(made.channel["sid"]).fetch().status == "closed"


def test_media_of_an_agent(served, twilio, listener, channel, room):
    chat_sid = accept(served, twilio)
    make_interaction(twilio, room.fetch().sid)
    requests.post(f"{served}/flex/api/tasks/{tasks(twilio).list()[-1].sid}/accept")
    for sid in (chat_sid, room.fetch().sid):
        act(served, sid, "media", data=b"bytes", headers={"Content-Type": "image/png"}, params={"filename": "a.png"})
    forms = {call.event: call.form for call in listener.wait_for(2)}
    sent, added = forms["onMessageSent"], forms["onMessageAdded"]
    assert [sent[f"Media{name}"] for name in ("ContentType", "Filename", "Size")] == ["image/png", "a.png", "5"]
    (entry,) = json.loads(added["Media"])
    assert entry.pop("Sid").startswith("ME")
    assert entry == {"ContentType": "image/png", "Filename": "a.png", "Size": 5}


@pytest.mark.parametrize("answer", [429, 503, 504, None])
def test_it_is_tried_again_as_often_as_allowed(served, listener, channel, answer):
    listener.answers = [answer] * 5
    channel.messages.create(body="Hello", **ON)
    attempts = wait_idle(served)["attempts"]
    assert [call.form["RetryCount"] for call in listener.calls] == ["0", "1", "2", "3"]
    assert [attempt["status"] for attempt in attempts] == [answer] * 4
    validator = RequestValidator(SETTINGS.twilio_auth_token)
    assert all(validator.validate(listener.url, call.form, call.signature) for call in listener.calls)


@pytest.mark.parametrize("answer", [200, 204, 302, 400, 404, 500, 502])
def test_other_answers_end_it(served, listener, channel, answer):
    listener.answers = [answer]
    channel.messages.create(body="Hello", **ON)
    attempts = wait_idle(served)["attempts"]
    assert [(attempt["status"], attempt["error"] is None) for attempt in attempts] == [(answer, answer < 300)]


def test_without_a_retry_count_chat_tries_once(served, twilio, listener):
    channel = listening_channel(twilio, listener)
    listener.answers = [503]
    channel.messages.create(body="Hello", **ON)
    wait_idle(served)
    assert len(listener.calls) == 1


def test_conversations_try_three_times_more(served, listener, room):
    listener.answers = [503, 503, 200]
    room.messages.create(body="Hello", **ON)
    attempts = wait_idle(served)["attempts"]
    assert [attempt["status"] for attempt in attempts] == [503, 503, 200]


def test_its_patience_ends(served, monkeypatch, listener, channel):
    monkeypatch.setattr(carrier, "PATIENCE_SECONDS", 0.5)
    holding = iter([True])
    listener.hold = lambda: wait_until(lambda: len(seen(served)["attempts"]) > 0) if next(holding, False) else None
    channel.messages.create(body="Hello", **ON)
    attempts = wait_idle(served)["attempts"]
    assert [attempt["status"] for attempt in attempts] == [None, 200]
    assert "did not answer" in attempts[0]["error"]


def test_five_seconds_are_its_patience():
    assert carrier.PATIENCE_SECONDS == 5.0


def test_a_retry_holds_its_own_room_only(served, listener, channel, room):
    listener.answers = [503, 503]
    for body in "ab":
        channel.messages.create(body=body, **ON)
    wait_idle(served)
    room.messages.create(body="c", **ON)
    wait_idle(served)
    assert [call.form["Body"] for call in listener.calls] == ["a", "a", "a", "b", "c"]


def test_webhooks_of_a_room_come_in_order(served, listener, room):
    for number in range(20):
        room.messages.create(body=str(number), **ON)
    wait_idle(served)
    assert [call.form["Index"] for call in listener.calls] == [str(number) for number in range(20)]


def test_it_can_drop_some(served, listener, room):
    switch_on(served, "drop", times=2, event="onMessageAdded")
    room.update(friendly_name="Renamed", **ON)
    for body in "abc":
        room.messages.create(body=body, **ON)
    attempts = wait_idle(served)["attempts"]
    assert [call.form.get("Body") for call in listener.calls] == [None, "c"]
    assert len([attempt for attempt in attempts if attempt["status"] is None]) == 2


def test_it_can_send_twice(served, listener, room):
    switch_on(served, "duplicate", times=2)
    for body in "abc":
        room.messages.create(body=body, **ON)
    wait_idle(served)
    assert [call.form["Body"] for call in listener.calls] == ["a", "a", "b", "b", "c"]


def test_it_can_swap_two(served, listener, room):
    switch_on(served, "reorder")
    for body in "abc":
        room.messages.create(body=body, **ON)
    wait_idle(served)
    assert [call.form["Body"] for call in listener.calls] == ["b", "a", "c"]


def test_what_is_held_back_goes_out_when_faults_are_switched_off(served, listener, room):
    switch_on(served, "reorder")
    room.messages.create(body="a", **ON)
    wait_idle(served)
    assert listener.calls == []
    requests.delete(f"{served}/faults")
    assert [call.form["Body"] for call in listener.wait_for(1)] == ["a"]


def test_a_reset_ends_retries(served, monkeypatch, listener, channel):
    monkeypatch.setattr(carrier, "FIRST_PAUSE_SECONDS", 60)
    listener.answers = [503]
    channel.messages.create(body="Hello", **ON)
    wait_until(lambda: len(seen(served)["attempts"]) == 1)
    requests.delete(f"{served}/inspect")
    assert (seen(served)["attempts"], seen(served)["idle"]) == ([], True)
    assert len(listener.calls) == 1
