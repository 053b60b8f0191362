"""Conversations, with Twilio's SDK; with and without a service in the path."""

from urllib.parse import quote

import pytest
import requests

from .flex import CUSTOMER, ON, PASSWORD, SERVICE, STUDIO_FLOW, conversation, make_conversation, tasks
from .test_flex_rest import refused

HOOK = {
    "target": "webhook",
    "configuration_url": "http://127.0.0.1:9/hook",
    "configuration_filters": ["onMessageAdded", "onConversationStateUpdated"],
}


@pytest.fixture
def room(twilio):
    return conversation(twilio, make_conversation(twilio, unique_name="webchat:v81:1").sid)


def test_a_conversation_is_found_by_sid_and_by_name(twilio, room):
    found = conversation(twilio, "webchat:v81:1").fetch()
    assert (found.sid, found.state, found.chat_service_sid) == (room.fetch().sid, "active", SERVICE)
    by_service = twilio.conversations.v1.services(SERVICE).conversations("webchat:v81:1")
    assert by_service.fetch().sid == found.sid


def test_a_name_can_be_taken_once(twilio, room):
    create = twilio.conversations.v1.conversations.create
    assert (409, 50353) == refused(create, unique_name="webchat:v81:1")
    room.update(state="closed")
    assert (409, 50353) == refused(create, unique_name="webchat:v81:1")
    room.delete()
    create(unique_name="webchat:v81:1")


def test_a_conversation_can_be_changed_and_deleted(room):
    changed = room.update(friendly_name="Renamed", attributes='{"a": 1}', state="inactive")
    assert (changed.friendly_name, changed.attributes, changed.state) == ("Renamed", '{"a": 1}', "inactive")
    assert room.update(unique_name="webchat:v81:1").unique_name == "webchat:v81:1"
    assert room.delete()
    assert (404, 20404) == refused(room.fetch)


CONVERSATIONS = {
    "a name too long": {"friendly_name": "x" * 257},
    "unknown state": {"state": "open"},
    "attributes that are no object": {"attributes": "1"},
    "a timer too short": {"timers_inactive": "PT59S"},
    "closing too soon": {"timers_closed": "PT9M59S"},
    "a timer beyond every calendar": {"timers_inactive": "P9999999D"},
    "a timer without end": {"timers_closed": f"PT{'9' * 5000}S"},
    "a timer that is none": {"timers_inactive": "ten minutes"},
    "a messaging service that is none": {"messaging_service_sid": "IS" + "0" * 32},
}


@pytest.mark.parametrize("arguments", CONVERSATIONS.values(), ids=CONVERSATIONS)
def test_a_conversation_that_does_not_fit_is_refused(twilio, arguments):
    assert (400, 20001) == refused(twilio.conversations.v1.conversations.create, **arguments)


def test_timers_are_shown(twilio):
    made = twilio.conversations.v1.conversations.create(timers_inactive="PT1M", timers_closed="P1DT2H")
    assert set(made.timers) == {"date_inactive", "date_closed"}


def test_a_closed_conversation_takes_no_messages_and_stays_closed(room):
    room.messages.create(body="Last words")
    room.update(state="closed")
    assert refused(room.messages.create, body="Too late")[0] == 403
    assert [message.body for message in room.messages.list()] == ["Last words"]
    assert refused(room.update, state="active")[0] == 400
    assert room.fetch().state == "closed"


def test_a_message_knows_its_participant(room):
    participant = room.participants(CUSTOMER).fetch()
    own = room.messages.create(author=CUSTOMER, body="Hello", attributes='{"id": "m1"}')
    other = room.messages.create(body="Hello too")
    assert (own.participant_sid, own.index, own.attributes) == (participant.sid, 0, '{"id": "m1"}')
    assert (other.participant_sid, other.author, other.index) == (None, "system", 1)
    assert room.messages(own.sid).fetch().body == "Hello"


def test_a_body_has_a_limit(room):
    room.messages.create(body="ü" * 1600)
    assert (400, 20001) == refused(room.messages.create, body="ü" * 1601)
    assert (400, 20001) == refused(room.messages.create, author=CUSTOMER)


def test_an_identity_takes_part_once(room):
    assert (409, 50433) == refused(room.participants.create, identity=CUSTOMER)
    room.participants.create(identity="agent_5Fkim")
    assert [one.identity for one in room.participants.list()] == [CUSTOMER, "agent_5Fkim"]


def test_a_participant_needs_an_identity_or_a_whole_binding(room):
    assert (400, 20001) == refused(room.participants.create, messaging_binding_address="+15550001")
    both = {"messaging_binding_address": "+15550001", "messaging_binding_proxy_address": "+15550002"}
    made = room.participants.create(**both)
    assert made.messaging_binding == {"address": "+15550001", "proxy_address": "+15550002"}


def test_a_participant_reads(room):
    room.messages.create(body="Hello")
    participant = room.participants(CUSTOMER).update(last_read_message_index=0)
    assert (participant.last_read_message_index, participant.last_read_timestamp is None) == (0, False)
    by_sid = room.participants(participant.sid).fetch()
    assert by_sid.last_read_message_index == 0
    assert (400, 20001) == refused(room.participants(CUSTOMER).update, last_read_message_index=1)


def test_a_participant_can_leave(room):
    assert room.participants(CUSTOMER).delete()
    assert (404, 20404) == refused(room.participants(CUSTOMER).fetch)


def test_an_identity_with_odd_characters_is_escaped_in_paths(served, twilio):
    identity = "web chat/ä%2F+:81"
    made = make_conversation(twilio, identity)
    path = f"{served}/twilio/conversations/v1/Conversations/{made.sid}/Participants/{quote(identity, safe='')}"
    assert requests.get(path, auth=PASSWORD).json()["identity"] == identity


def test_the_conversations_of_an_identity(twilio, room):
    other = make_conversation(twilio)
    make_conversation(twilio, "webchat:v82")
    room.update(state="closed")
    found = twilio.conversations.v1.participant_conversations.list(identity=CUSTOMER)
    assert [(one.conversation_sid, one.conversation_state) for one in found] == [
        (room.fetch().sid, "closed"),
        (other.sid, "active"),
    ]
    assert found[0].conversation_unique_name == "webchat:v81:1"
    assert found[0].participant_sid == room.participants(CUSTOMER).fetch().sid
    by_service = twilio.conversations.v1.services(SERVICE).participant_conversations
    assert len(by_service.list(identity=CUSTOMER)) == 2
    assert (400, 20001) == refused(twilio.conversations.v1.participant_conversations.list)


@pytest.mark.parametrize("method", ["POST", "post", "GET"])
def test_a_webhook_takes_its_method_in_any_case(room, method):
    hook = room.webhooks.create(**HOOK, configuration_method=method)
    assert (hook.configuration["method"], hook.target) == (method.upper(), "webhook")
    assert "retry_count" not in hook.configuration
    assert [one.sid for one in room.webhooks.list()] == [hook.sid]
    assert room.webhooks(hook.sid).delete()
    assert room.webhooks.list() == []


HOOKS = {
    "unknown target": HOOK | {"target": "post"},
    "no address": HOOK | {"configuration_url": ""},
    "no filters": HOOK | {"configuration_filters": []},
    "a filter of chat": HOOK | {"configuration_filters": ["onMessageSent"]},
    "studio without flow": {"target": "studio"},
}


@pytest.mark.parametrize("arguments", HOOKS.values(), ids=HOOKS)
def test_a_webhook_that_does_not_fit_is_refused(room, arguments):
    assert (400, 20001) == refused(room.webhooks.create, **arguments)


def test_a_studio_webhook_says_something_and_makes_a_task_once(twilio, room):
    room.webhooks.create(target="studio", configuration_flow_sid=STUDIO_FLOW, configuration_filters=["onMessageAdded"])
    room.messages.create(author=CUSTOMER, body="Quiet")
    assert tasks(twilio).list() == []
    for _ in range(2):
        room.messages.create(author=CUSTOMER, body="Loud", **ON)
    assert ["Studio"] == [one.author for one in room.messages.list() if one.author != CUSTOMER]
    assert len(tasks(twilio).list(evaluate_task_attributes=f'conversationSid == "{room.fetch().sid}"')) == 1


def test_a_studio_webhook_may_see_messages_from_before(twilio, room):
    room.messages.create(author=CUSTOMER, body="Before")
    room.messages.create(author=CUSTOMER, body="Also before")
    room.webhooks.create(target="studio", configuration_flow_sid=STUDIO_FLOW, configuration_replay_after=0)
    assert len(tasks(twilio).list()) == 1


def test_everything_is_there_under_the_service_too(twilio):
    conversations = twilio.conversations.v1.services(SERVICE).conversations
    sid = conversations.create(friendly_name="Chat").sid
    conversations(sid).participants.create(identity=CUSTOMER)
    conversations(sid).messages.create(author=CUSTOMER, body="Hello")
    conversations(sid).webhooks.create(**HOOK)
    assert conversations(sid).update(state="closed").state == "closed"
    counts = [len(list_of()) for list_of in (conversation(twilio, sid).messages.list, conversations(sid).webhooks.list)]
    assert counts == [1, 1]
