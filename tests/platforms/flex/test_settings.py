"""The configuration keys of both generations."""

from __future__ import annotations

from typing import Any

import pytest
from marshmallow import ValidationError

from tests.platforms.flex.generations import CHAT, CONVERSATIONS, FILTERS, STUDIO, TASK, Generation
from tests.sandbox.flex import SERVICE, WORKFLOW, WORKSPACE


def test_settings_become_what_the_workers_ask_for(generation: Generation) -> None:
    desk = generation.build(check_every=7, ended_text="Goodbye")
    assert (7, "Goodbye", None, "send") == (desk.poll_every, desk.farewell, desk.deadline, desk.late)
    usual = generation.build()
    assert (300, None) == (usual.poll_every, usual.farewell)


POLLS: dict[str, tuple[dict[str, Any], float]] = {
    "interactions": ({}, 300),
    "interactions, said": ({"check_every": 7}, 7),
    "a flow": ({"routing": STUDIO}, 15),
    "a flow, said": ({"routing": STUDIO, "check_every": 600}, 600),
}


@pytest.mark.parametrize(("changes", "seconds"), POLLS.values(), ids=POLLS)
def test_a_flow_is_polled_more_often(changes: dict[str, Any], seconds: float) -> None:
    assert seconds == CONVERSATIONS.build(**changes).poll_every


BAD_CHAT: dict[str, tuple[dict[str, Any], str]] = {
    "no service": ({"chat_service_sid": None}, "chat_service_sid"),
    "another kind of sid": ({"flex_flow_sid": SERVICE}, "flex_flow_sid"),
    "a studio flow missing": ({"integration": {"type": "studio"}}, "integration"),
    "a url missing": ({"integration": {"type": "external"}}, "integration"),
    "a workflow missing": ({"integration": {**TASK, "workflow_sid": None}}, "integration"),
    "too many retries": ({"integration": {**STUDIO, "retry_count": 4}}, "integration"),
    "an unknown integration": ({"integration": {"type": "fax"}}, "integration"),
    "an unknown target": ({"target": "name"}, "target"),
    "an unknown word in a template": ({"customer_name": "{surname}"}, "customer_name"),
    "a broken template": ({"chat_name": "{name"}, "chat_name"),
    "a template by number": ({"chat_name": "{0}"}, "chat_name"),
    "a template that looks inside": ({"chat_name": "{name.x}"}, "chat_name"),
    "a template that looks at its class": ({"chat_name": "{name.__class__}"}, "chat_name"),
    "a template with a conversion": ({"chat_name": "{name!r}"}, "chat_name"),
    "a template with a width": ({"customer_name": "{name:>9}"}, "customer_name"),
    "a template within a template": ({"customer_name": "{name:{address}}"}, "customer_name"),
    "messages that are not told": ({"message_events": ["onMediaMessageSent"]}, "message_events"),
    "ends that are not told": ({"update_events": ["onMemberUpdated"]}, "update_events"),
    "no events": ({"update_events": []}, "update_events"),
    "an event that is none": ({"message_events": ["onMessageSent", "messages"]}, "message_events"),
    "attributes without room": ({"attributes_limit": 499}, "attributes_limit"),
    "media that are dropped": ({"media": "drop"}, "media"),
    "links without time": ({"media_keep": 5}, "media_keep"),
    "polls without pause": ({"check_every": 0}, "check_every"),
}


BAD_CONVERSATIONS: dict[str, tuple[dict[str, Any], str]] = {
    "no routing": ({"routing": None}, "routing"),
    "a workflow missing": ({"routing": {"type": "interaction", "workspace_sid": WORKSPACE}}, "routing"),
    "a workspace missing": ({"routing": {"workflow_sid": WORKFLOW}}, "routing"),
    "a flow missing": ({"routing": {"type": "studio"}}, "routing"),
    "an unknown routing": ({"routing": {"type": "fax"}}, "routing"),
    "a filter that is none": ({"webhook_filters": [*FILTERS, "messages"]}, "webhook_filters"),
    "messages that are not told": ({"webhook_filters": ["onConversationStateUpdated"]}, "webhook_filters"),
    "ends that are not told": ({"webhook_filters": ["onMessageAdded"]}, "webhook_filters"),
    "another kind of sid": ({"chat_service_sid": WORKSPACE}, "chat_service_sid"),
    "an empty address": ({"address": ""}, "address"),
}


BAD = {
    f"{name}: {label}": (one, changes, key)
    for name, one, table in (("chat", CHAT, BAD_CHAT), ("conversations", CONVERSATIONS, BAD_CONVERSATIONS))
    for label, (changes, key) in table.items()
}


@pytest.mark.parametrize(("generation", "changes", "key"), BAD.values(), ids=BAD)
def test_settings_are_checked(generation: Generation, changes: dict[str, Any], key: str) -> None:
    with pytest.raises(ValidationError) as raised:
        generation.build(**changes)
    assert [key] == list(raised.value.messages_dict)
