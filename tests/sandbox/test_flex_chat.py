"""Programmable Chat, with Twilio's SDK."""

import json

import pytest

from .flex import CUSTOMER, SERVICE, chat, make_channel, make_flow
from .test_flex_rest import refused

HOOK = {
    "type": "webhook",
    "configuration_url": "http://127.0.0.1:9/hook",
    "configuration_filters": ["onMessageSent", "onChannelUpdated"],
}


@pytest.fixture
def channel(twilio):
    return chat(twilio, make_channel(twilio, make_flow(twilio)).sid)


def test_a_message_has_an_author_and_a_rising_index(channel):
    first = channel.messages.create(from_=CUSTOMER, body="Hello", attributes='{"id": "m1"}')
    second = channel.messages.create(body="Hello again")
    assert (first.index, first._from, first.type, json.loads(first.attributes)) == (0, CUSTOMER, "text", {"id": "m1"})
    assert (second.index, second._from, second.attributes) == (1, "system", "{}")
    assert channel.messages(first.sid).fetch().body == "Hello"


def test_the_last_messages_come_first_if_asked_for(channel):
    for body in "abc":
        channel.messages.create(body=body)
    assert ["c", "b"] == [message.body for message in channel.messages.list(order="desc", limit=2)]
    assert ["a", "b", "c"] == [message.body for message in channel.messages.list()]


def test_chat_takes_longer_texts_than_conversations(channel):
    assert len(channel.messages.create(body="x" * 1601).body) == 1601


def test_a_message_of_another_channel_is_not_found(twilio, channel):
    sid = channel.messages.create(body="Hello").sid
    other = chat(twilio, make_channel(twilio, make_flow(twilio), "webchat:v82").sid)
    assert (404, 20404) == refused(other.messages(sid).fetch)


def test_attributes_and_name_can_be_changed(channel):
    changed = channel.update(attributes='{"status": "INACTIVE"}', friendly_name="Over")
    assert (changed.attributes, changed.friendly_name) == ('{"status": "INACTIVE"}', "Over")
    assert channel.fetch().attributes == '{"status": "INACTIVE"}'


def test_a_channel_can_be_deleted(channel):
    assert channel.delete()
    assert (404, 20404) == refused(channel.fetch)
    assert (404, 20404) == refused(channel.messages.list)


def test_a_member_is_found_by_sid_and_by_identity(channel):
    member = channel.members(CUSTOMER).fetch()
    assert channel.members(member.sid).fetch().identity == CUSTOMER
    assert [one.sid for one in channel.members.list(identity=[CUSTOMER])] == [member.sid]
    assert channel.members.list(identity=["nobody"]) == []
    assert (404, 20404) == refused(channel.members("nobody").fetch)


def test_a_member_reads(channel):
    channel.messages.create(body="Hello")
    assert channel.members(CUSTOMER).fetch().last_consumed_message_index is None
    read = channel.members(CUSTOMER).update(last_consumed_message_index=0)
    assert (read.last_consumed_message_index, read.last_consumption_timestamp is None) == (0, False)
    assert (400, 20001) == refused(channel.members(CUSTOMER).update, last_consumed_message_index=1)


def test_a_webhook_is_made_listed_and_deleted(channel):
    hook = channel.webhooks.create(**HOOK, configuration_method="POST", configuration_retry_count=3)
    assert (hook.sid[:2], hook.type, hook.service_sid) == ("WH", "webhook", SERVICE)
    assert hook.configuration == {
        "url": HOOK["configuration_url"],
        "method": "POST",
        "retry_count": 3,
        "filters": HOOK["configuration_filters"],
    }
    assert [one.sid for one in channel.webhooks.list()] == [hook.sid]
    assert channel.webhooks(hook.sid).fetch().configuration["url"] == HOOK["configuration_url"]
    assert channel.webhooks(hook.sid).delete()
    assert channel.webhooks.list() == []


def test_no_retry_is_the_default(channel):
    assert channel.webhooks.create(**HOOK).configuration["retry_count"] == 0


HOOKS = {
    "unknown type": HOOK | {"type": "post"},
    "no address": HOOK | {"configuration_url": ""},
    "address without host": HOOK | {"configuration_url": "/hook"},
    "no filters": HOOK | {"configuration_filters": []},
    "unknown filter": HOOK | {"configuration_filters": ["onMessageAdded"]},
    "unknown method": HOOK | {"configuration_method": "PUT"},
    "too many retries": HOOK | {"configuration_retry_count": 4},
    "studio without flow": {"type": "studio"},
    "trigger without words": {"type": "trigger", "configuration_url": "http://127.0.0.1:9/"},
}


@pytest.mark.parametrize("arguments", HOOKS.values(), ids=HOOKS)
def test_a_webhook_that_does_not_fit_is_refused(channel, arguments):
    assert (400, 20001) == refused(channel.webhooks.create, **arguments)
    assert channel.webhooks.list() == []


def test_a_channel_has_five_webhooks_at_most(channel):
    hooks = [channel.webhooks.create(**HOOK) for _ in range(5)]
    assert refused(channel.webhooks.create, **HOOK)[0] == 400
    hooks[0].delete()
    channel.webhooks.create(**HOOK)
