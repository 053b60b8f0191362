"""What answers are made of, with Twilio's SDK as the judge: it reads every field that there is, and no other."""

import inspect
import json
import re

import pytest

from .flex import (
    CUSTOMER,
    SERVICE,
    SETTINGS,
    SandboxHttpClient,
    chat,
    make_channel,
    make_conversation,
    make_flow,
    make_interaction,
    tasks,
)

HOOK = {"configuration_url": "http://127.0.0.1:9/hook"}


@pytest.fixture
def answers(monkeypatch):
    """The bodies of all answers that the SDK got."""
    kept = []
    request = SandboxHttpClient.request

    def recorded(self, *arguments, **options):
        answer = request(self, *arguments, **options)
        kept.append(json.loads(answer.text))
        return answer

    monkeypatch.setattr(SandboxHttpClient, "request", recorded)
    return kept


def fields_of(resource):
    """Those that the SDK takes out of an answer."""
    return set(re.findall(r'payload\.get\(\s*"([^"]+)"', inspect.getsource(type(resource).__init__)))


def channel(twilio):
    return chat(twilio, make_channel(twilio, make_flow(twilio)).sid)


def hooked(place, event, kind):
    return place.webhooks.create(configuration_filters=[event], **{kind: "webhook"}, **HOOK)


def in_service(twilio):
    return twilio.conversations.v1.services(SERVICE)


def room(twilio, root):
    return root.conversations(make_conversation(twilio).sid)


def of_conversations(root):
    """The same resources, with and without a service in the path."""
    return {
        "conversation": lambda t: root(t).conversations.create(unique_name="a b"),
        "participant": lambda t: room(t, root(t)).participants.create(identity="somebody"),
        "participants": lambda t: room(t, root(t)).participants.list()[0],
        "message": lambda t: room(t, root(t)).messages.create(body="Hello", subject="About it"),
        "webhook": lambda t: hooked(room(t, root(t)), "onMessageAdded", "target"),
        "of a participant": lambda t: room(t, root(t)) and root(t).participant_conversations.list(identity=CUSTOMER)[0],
        "configuration": lambda t: root(t).configuration.webhooks().fetch(),
    }


RESOURCES = {
    "flow": make_flow,
    "flex channel": lambda t: make_channel(t, make_flow(t)),
    "chat channel": lambda t: channel(t).fetch(),
    "chat message": lambda t: channel(t).messages.create(body="Hello"),
    "chat member": lambda t: channel(t).members.list()[0],
    "chat webhook": lambda t: hooked(channel(t), "onMessageSent", "type"),
    **of_conversations(lambda t: t.conversations.v1),
    **{f"{name}, service": make for name, make in of_conversations(in_service).items()},
    "address": lambda t: t.conversations.v1.address_configurations.create(type="sms", address="+15551230000"),
    "interaction": lambda t: make_interaction(t, make_conversation(t).sid),
    "interaction channel": lambda t: make_interaction(t, make_conversation(t).sid).channels.list()[0],
    "task": lambda t: make_interaction(t, make_conversation(t).sid) and tasks(t).list()[0],
    "text": lambda t: t.messages.create(to="+15551230001", from_=SETTINGS.twilio_number, body="Hello"),
    "recording": lambda t: t.calls("CA" + "0" * 32).recordings.create(),
}


@pytest.mark.parametrize("make", RESOURCES.values(), ids=RESOURCES)
def test_an_answer_has_the_fields_that_the_sdk_reads_and_no_others(twilio, answers, make):
    resource = make(twilio)
    answer = answers[-1]
    listed = next((value[0] for value in answer.values() if isinstance(value, list) and "meta" in answer), None)
    assert set(listed or answer) == fields_of(resource)


@pytest.mark.parametrize("place", ["", f"/Services/{SERVICE}"])
def test_addresses_are_of_the_scope_that_was_asked(twilio, place):
    root = in_service(twilio) if place else twilio.conversations.v1
    made = room(twilio, root)
    found = made.fetch()
    address = f"/twilio/conversations/v1{place}/Conversations/{found.sid}"
    message = made.messages.create(body="Hello")
    assert message.url.endswith(f"{address}/Messages/{message.sid}")
    assert all(f"{address}/" in link for link in found.links.values())
