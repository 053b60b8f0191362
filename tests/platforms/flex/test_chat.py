"""Destination `flex_chat`: what only the legacy chat has."""

from __future__ import annotations

import re
from typing import Any

import orjson
import pytest

from app.core import errors
from app.core.errors import Failure
from app.core.events import Changed, Ended, Ignored, Written
from app.core.message import Attachment, Text
from app.http import Response
from app.platforms.flex.chat import FlexChatDestination
from tests.platforms.flex.generations import CHAT, Generation
from tests.platforms.flex.line import Died, failing, failing_at
from tests.platforms.flex.world import (
    AGENT,
    CALLBACK,
    CH,
    CUSTOMER,
    MARK,
    MESSAGE,
    MORE,
    TALK,
    Kept,
    Place,
    built,
    revive,
)
from tests.sandbox.flex import WORKSPACE, seen


@pytest.fixture
def generation() -> Generation:
    return CHAT


UPDATES: dict[str, tuple[str | None, list[Any]]] = {
    "inactive": ('{"status":"INACTIVE"}', [Ended(CH, alias=CH)]),
    "inactive in small letters": ('{"status":"inactive"}', [Ignored("onChannelUpdated")]),
    "active": ('{"status":"ACTIVE"}', [Ignored("onChannelUpdated")]),
    "no status": ("{}", [Ignored("onChannelUpdated")]),
    "a status that is a list": ('{"status":["INACTIVE"]}', [Ignored("onChannelUpdated")]),
    "missing": (None, [Ignored("unreadable_attributes"), Changed(CH)]),
    "empty": ("", [Ignored("unreadable_attributes"), Changed(CH)]),
    "not JSON": ("{", [Ignored("unreadable_attributes"), Changed(CH)]),
    "a list": ("[]", [Ignored("unreadable_attributes"), Changed(CH)]),
    "null": ("null", [Ignored("unreadable_attributes"), Changed(CH)]),
    "a word": ('"INACTIVE"', [Ignored("unreadable_attributes"), Changed(CH)]),
}


@pytest.mark.parametrize(("attributes", "events"), UPDATES.values(), ids=UPDATES)
def test_a_changed_channel_is_over_or_not_or_must_be_polled(attributes: str | None, events: list[Any]) -> None:
    assert events == CHAT.parse("channel_inactive", Attributes=attributes)


def test_a_media_event_is_a_message() -> None:
    assert len(CHAT.parse("message_media", EventType="onMediaMessageSent")) == 1


@pytest.mark.parametrize("field", ["MediaContentType", "MediaFilename", "MediaSize"])
def test_a_file_needs_its_sid_only(field: str) -> None:
    (event,) = CHAT.parse("message_media", **{field: None})
    assert isinstance(event, Written)
    assert isinstance(event.content, Attachment)


def test_a_file_without_a_sid_is_none() -> None:
    assert [Changed(CH, 5)] == CHAT.parse("message_media", MediaSid=None)
    assert [Changed(CH, 5)] == CHAT.parse("message_media", MediaSid=None, media="x")


OPENING: list[str] = [
    "POST flex-api/v1/Channels",
    "GET chat/v2/Services/{IS}/Channels/{CH}/Messages",
    "GET chat/v2/Services/{IS}/Channels/{CH}/Webhooks",
    "POST chat/v2/Services/{IS}/Channels/{CH}/Webhooks",
    "GET chat/v2/Services/{IS}/Channels/{CH}/Webhooks",
    "POST chat/v2/Services/{IS}/Channels/{CH}/Webhooks",
    "POST chat/v2/Services/{IS}/Channels/{CH}/Messages",
    "GET chat/v2/Services/{IS}/Channels/{CH}",
]


def test_the_calls_that_open_a_chat(place: Place) -> None:
    place.deliver()
    assert OPENING == place.line.made
    create, first, second = (dict(place.line.calls[n].form) for n in (0, 3, 5))
    known = {
        "friendlyName": "Ada Lovelace", "email": "ada@example.test", "phone": "+15550000001", "locale": "en-GB",
        "country": "GB",
    }  # fmt: skip
    assert known == orjson.loads(create.pop("PreEngagementData"))
    assert {
        "name": "Ada Lovelace", "customerName": "Ada Lovelace", "customerAddress": CUSTOMER, "channel": "shop",
        "email": "ada@example.test", "phone": "+15550000001", "locale": "en-GB", "country": "GB",
    } == orjson.loads(create.pop("TaskAttributes"))  # fmt: skip
    assert {
        "FlexFlowSid": place.values["flex_flow_sid"],
        "Identity": CUSTOMER,
        "ChatUserFriendlyName": "Ada Lovelace",
        "ChatFriendlyName": "shop Ada Lovelace",
        "Target": CUSTOMER,
        "LongLived": "false",
    } == create
    for form, event, path in (
        (first, "onMessageSent", "new-message"),
        (second, "onChannelUpdated", "channel-update"),
    ):
        assert {
            "Type": "webhook",
            "Configuration.Url": f"{CALLBACK}/{path}",
            "Configuration.Method": "POST",
            "Configuration.Filters": event,
            "Configuration.RetryCount": "3",
        } == form
    assert {
        ("webhook", f"{CALLBACK}/new-message", ("onMessageSent",), 3),
        ("webhook", f"{CALLBACK}/channel-update", ("onChannelUpdated",), 3),
    } == {(h["kind"], h["url"], tuple(h["filters"]), h["retries"]) for h in place.chats[0]["webhooks"]}
    assert place.tasks[0].sid == place.kept.handles["task"]


GREETED: dict[str, tuple[list[tuple[str, str]], int]] = {
    "nobody spoke": ([], -1),
    "a flow greets": ([("Studio", "{}")], -1),
    "a flow and an agent greet": ([("Studio", "{}"), (AGENT, "{}")], -1),
    "the customer spoke": ([("Studio", "{}"), (CUSTOMER, "{}"), (AGENT, "{}")], 2),
    "the customer spoke, escaped": ([("webchat_3Av81", "{}"), (AGENT, "{}")], 1),
    "we spoke for the bot": ([("helper", MARK), (AGENT, "{}")], 1),
    "others spoke for long": ([(AGENT, "{}")] * 60, 59),
}


@pytest.mark.parametrize(("talk", "expected"), GREETED.values(), ids=GREETED)
def test_the_greeting_in_a_fresh_channel_is_news_and_the_past_of_an_old_one_is_not(
    talk: list[tuple[str, str]], expected: int, flex_sandbox: str
) -> None:
    place = Place(CHAT.setups["studio"], flex_sandbox)
    flow = place.values["flex_flow_sid"]
    there = place.twilio.flex_api.v1.channel.create(
        flex_flow_sid=flow, identity=CUSTOMER, target=CUSTOMER, chat_user_friendly_name="x", chat_friendly_name="x"
    )
    for number, (author, attributes) in enumerate(talk):
        place.resource(there.sid).messages.create(from_=author, body=str(number), attributes=attributes)
    place.deliver()
    assert (there.sid, [expected]) == (place.chat, place.kept.seen)
    news = [Text(str(number)) for number in range(len(talk))] if expected == -1 else []
    greeting = [Text(body or "") for author, body in place.said()[len(talk) + 1 :] if author == "Studio"]
    assert news + greeting == [written.content for written in place.poll(expected).written]


EVENTS: dict[str, Any] = {
    "message_events": ["onMessageSent", "onMediaMessageSent"],
    "update_events": ["onMemberUpdated", "onChannelUpdated"],
}


def test_the_webhooks_events_are_settings(flex_sandbox: str) -> None:
    place = Place(CHAT.setups["task"], flex_sandbox, EVENTS)
    place.deliver()
    assert list(EVENTS.values()) == [hook["filters"] for hook in place.hooks()]


def test_a_webhook_with_other_events_is_replaced(place: Place) -> None:
    place.deliver()
    others, place.kept = place.kept.handles, Kept()
    place.desk = built(FlexChatDestination, {**place.values, **EVENTS})
    place.deliver(MORE)
    assert list(EVENTS.values()) == [hook["filters"] for hook in place.hooks()]
    assert not {others["hook_messages"], others["hook_updates"]} & set(place.kept.handles.values())
    place.close()
    assert [] == place.hooks()


LOOK = r"/Channels/CH[0-9a-f]{32}$"


@pytest.mark.parametrize("status", [429, 503, 401])
def test_asking_for_the_chat_in_vain_after_a_message_leaves_it_in_doubt(status: int, place: Place) -> None:
    place.deliver()
    sick = failing(status, "GET", "")
    place.line.instead = lambda call: sick(call) if re.search(LOOK, call.path) else None
    with pytest.raises(Failure) as raised:
        place.deliver(MORE)
    assert (True, True) == (raised.value.kind.retry, raised.value.maybe_done)
    place.line.instead = lambda call: None
    place.deliver(MORE, uncertain=raised.value.maybe_done)
    assert [MESSAGE.id, MORE.id] == place.marks()


def test_asking_for_the_chat_in_vain_after_a_refusal_proves_that_nothing_was_said(place: Place) -> None:
    place.deliver()
    refuses, sick = failing(400, "POST", "/Messages"), failing(429, "GET", "")
    place.line.instead = lambda call: refuses(call) or (sick(call) if re.search(LOOK, call.path) else None)
    with pytest.raises(Failure) as raised:
        place.deliver(MORE)
    assert (errors.THROTTLED, False) == (raised.value.kind, raised.value.maybe_done)


def test_a_webhook_of_a_chat_that_was_given_up_is_taken_away(place: Place) -> None:
    place.line.instead = failing_at(1, 400, "/Webhooks")
    with pytest.raises(Failure):
        place.deliver()
    place.api_says(AGENT, "Hello")
    assert len(place.hooks()) == 1
    place.desk.abandon(place.session, place.line)
    assert place.hooks() == []


@pytest.mark.parametrize("identity", [CUSTOMER, CUSTOMER.replace(":", "_3A")], ids=["as it is", "escaped"])
def test_what_the_customer_read_is_not_what_people_read(identity: str, place: Place) -> None:
    place.deliver()
    members = [
        {"identity": identity, "last_consumed_message_index": 5},
        {"identity": AGENT, "last_consumed_message_index": 2},
    ]
    told = Response(200, {}, orjson.dumps({"members": members}))
    place.line.instead = lambda call: told if call.path.partition("?")[0].endswith("/Members") else None
    assert place.poll().read == 2


def test_what_the_bot_knew_stands_in_the_chat_too(place: Place) -> None:
    place.open(*TALK, memory={"order": "M-PB 1"})
    form = dict(place.line.calls[0].form)
    assert {"order": "M-PB 1"} == orjson.loads(form["PreEngagementData"])["memory"]


def test_a_chat_that_lives_long(flex_sandbox: str) -> None:
    Place(CHAT.setups["task"], flex_sandbox, {"long_lived": True}).deliver()
    assert orjson.loads(seen(flex_sandbox)["channels"][0]["attributes"])["long_lived"] is True


def test_a_webhook_of_somebody_else_stays(place: Place) -> None:
    place.kept.dies_after = 0
    with pytest.raises(Died):
        place.deliver()
    revive(place)
    place.resource().webhooks.create(
        type="webhook", configuration_url="https://a.example.test/", configuration_filters=["onMessageSent"]
    )
    place.deliver(uncertain=True)
    assert 3 == len(place.hooks())
    place.close()
    assert ["https://a.example.test/"] == [hook["url"] for hook in place.hooks()]


def test_a_close_keeps_what_else_the_channel_knows(place: Place) -> None:
    place.deliver()
    before = orjson.loads(place.resource().fetch().attributes)
    place.close()
    assert {**before, "status": "INACTIVE"} == orjson.loads(place.resource().fetch().attributes)
    (update,) = [call for call in place.line.calls if dict(call.form).get("Attributes", "").find("INACTIVE") > 0]
    assert {"x-twilio-webhook-enabled": "true"} == update.headers


@pytest.mark.parametrize("refused", [False, True], ids=["taken", "refused"])
def test_a_message_for_a_channel_that_is_over_is_for_whoever_comes_next(refused: bool, place: Place) -> None:
    place.deliver()
    first = place.chat
    place.end_over_there()
    if refused:
        place.line.instead = failing(400, "POST", f"/{first}/Messages")
    assert place.deliver(MORE).over
    assert first == place.chat


def test_a_channel_whose_attributes_cannot_be_read_is_closed_all_the_same(place: Place) -> None:
    place.deliver()
    place.resource().update(attributes="{}")
    place.close()
    assert place.is_over()


TASKS: dict[str, tuple[tuple[str, ...], str]] = {
    "pending": ((), "canceled"),
    "assigned": (("accept",), "completed"),
    "wrapping": (("accept", "wrapping"), "completed"),
    "completed": (("accept", "complete"), "completed"),
}


@pytest.mark.parametrize(("moves", "expected"), TASKS.values(), ids=TASKS)
def test_a_task_ends_as_its_status_allows(moves: tuple[str, ...], expected: str, place: Place) -> None:
    place.deliver()
    for move in moves:
        if move == "wrapping":
            place.twilio.taskrouter.v1.workspaces(WORKSPACE).tasks(place.tasks[0].sid).update(
                assignment_status="wrapping"
            )
        else:
            place.act(f"tasks/{place.tasks[0].sid}/{move}")
    place.close()
    assert expected == place.tasks[0].assignment_status
    place.close()


STATUSES: dict[str, list[str]] = {
    "reserved": ["canceled"],
    "transferring": [],
    "canceled": [],
}


@pytest.mark.parametrize(("status", "endings"), STATUSES.items(), ids=STATUSES)
def test_a_task_that_nobody_has_is_canceled_and_an_unknown_status_left(
    status: str, endings: list[str], place: Place
) -> None:
    place.deliver()
    body = orjson.dumps({"sid": "WT1", "assignment_status": status})
    place.line.instead = lambda call: Response(200, {}, body) if "/Tasks/" in call.path else None
    place.close()
    moved = [dict(call.form) for call in place.line.calls if call.method == "POST" and "/Tasks/" in call.path]
    assert [{"AssignmentStatus": end, "Reason": "The chat is over."} for end in endings] == moved


def test_a_task_that_was_deleted_is_no_error(place: Place) -> None:
    place.deliver()
    place.kept.handles["task"] = "WT" + "0" * 32
    place.close()
    assert place.is_over()


def test_after_an_end_the_next_message_opens_another_channel(place: Place) -> None:
    place.deliver()
    first = place.chat
    place.close()
    place.kept.handles = {}
    place.deliver(MORE)
    assert first != place.chat
    assert [(CUSTOMER, "To people, please")] == place.said()
