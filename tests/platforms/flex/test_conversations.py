"""Destination `flex_conversations`: what only Conversations has."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from msgspec.structs import replace

from app.core import errors
from app.core.errors import BadWebhook, Failure
from app.core.events import Changed, Ended, Ignored, Written
from app.core.message import Attachment, Text
from app.http import Response
from app.platforms.flex.conversations import FlexConversationsDestination
from tests.platforms.flex.generations import CONVERSATIONS, FILTERS, Generation
from tests.platforms.flex.line import Died, failing
from tests.platforms.flex.world import (
    AGENT,
    CALLBACK,
    CH,
    CUSTOMER,
    MARK,
    MESSAGE,
    MORE,
    REPLY,
    TALK,
    Kept,
    Place,
    Setup,
    built,
    revive,
)
from tests.sandbox.flex import SERVICE, STUDIO_FLOW, seen

HOME = "conversations/v1/"


@pytest.fixture
def generation() -> Generation:
    return CONVERSATIONS


@pytest.fixture(params=CONVERSATIONS.setups.values(), ids=list(CONVERSATIONS.setups))
def setup(request: pytest.FixtureRequest) -> Setup:
    found: Setup = request.param
    return found


STATES: dict[str, tuple[str | None, list[Any]]] = {
    "closed": ("closed", [Ended(CH, alias=CH)]),
    "inactive": ("inactive", [Ignored("onConversationStateUpdated")]),
    "active": ("active", [Ignored("onConversationStateUpdated")]),
    "new": ("sleeping", [Ignored("onConversationStateUpdated")]),
    "missing": (None, [Ignored("state_without_name"), Changed(CH)]),
}


@pytest.mark.parametrize(("state", "events"), STATES.values(), ids=STATES)
def test_a_conversation_is_over_once_it_is_closed(state: str | None, events: list[Any]) -> None:
    assert events == CONVERSATIONS.parse("state_closed", StateTo=state)


def test_the_services_event_for_a_message_is_a_reason_to_poll() -> None:
    """The only one that tells of what a Studio flow says; it has the older generation's names."""
    fields: dict[str, Any] = {"EventType": "onMessageSent", "ConversationSid": None, "Author": None}
    more = {"ChannelSid": CH, "From": "Studio", "Attributes": MARK}
    assert [Changed(CH)] == CONVERSATIONS.parse("message_agent", **fields, **more)
    assert [Changed(CH)] == CONVERSATIONS.parse("message_agent", EventType="onMessageSent", ChannelSid=CH, Index=None)
    assert [Ignored("onMessageSent")] == CONVERSATIONS.parse("message_agent", EventType="onMessageSent")
    with pytest.raises(BadWebhook):
        CONVERSATIONS.parse("message_agent", EventType="onMessageSent", ConversationSid=None, ChannelSid="")


MEDIA: dict[str, tuple[str | None, int]] = {
    "missing": (None, 0),
    "empty": ("", 0),
    "an empty list": ("[]", 0),
    "broken": ("[{", 0),
    "null": ("null", 0),
    "an object": ('{"Sid":"ME1"}', 0),
    "a word": ('"ME1"', 0),
    "no objects": ('["ME1",null,5]', 0),
    "no sid": ('[{"ContentType":"image/png"}]', 0),
    "only a sid": ('[{"Sid":"ME1"}]', 1),
    "nulls": ('[{"Sid":"ME1","ContentType":null,"Filename":null}]', 1),
    "two": ('[{"Sid":"ME1"},{"Sid":"ME2","ContentType":"audio/ogg","Filename":"a.ogg"}]', 2),
}


@pytest.mark.parametrize(("media", "count"), MEDIA.values(), ids=MEDIA)
@pytest.mark.parametrize("body", ["", "The way"])
def test_files_stand_in_a_json_string(body: str, media: str | None, count: int) -> None:
    events = CONVERSATIONS.parse("message_media", Body=body, Media=media)
    if not body and not count:
        assert [Changed(CH, 5)] == events
        return
    contents = [event.content for event in events if isinstance(event, Written)]
    files = [content for content in contents if isinstance(content, Attachment)]
    assert ([Text(body)] if body else []) + files == contents
    assert count == len(files) == len({file.url for file in files})
    assert [True] * (len(events) - 1) + [False] == [event.more for event in events if isinstance(event, Written)]
    if count == 2:
        assert ("file", None, None) == (files[0].kind, files[0].mime_type, files[0].file_name)
        assert ("audio", "audio/ogg", "a.ogg") == (files[1].kind, files[1].mime_type, files[1].file_name)


def test_a_file_is_of_the_service_that_the_webhook_names_or_of_the_configured_one() -> None:
    def service(desk: Any, **fields: str | None) -> str:
        return str(desk.check_link(CONVERSATIONS.link(desk, **fields)).partition(" ")[0])

    assert "IS5" == service(CONVERSATIONS.build(chat_service_sid=SERVICE), ChatServiceSid="IS5")
    assert SERVICE == service(CONVERSATIONS.build(chat_service_sid=SERVICE), ChatServiceSid=None)


OPENING: dict[str, list[str]] = {
    "interaction": [
        "GET {0}ParticipantConversations",
        "POST {1}Conversations",
        "POST {1}Conversations/{{CH}}/Participants",
        "GET {1}Conversations/{{CH}}/Webhooks",
        "POST {1}Conversations/{{CH}}/Webhooks",
        "POST flex-api/v1/Interactions",
        "POST {1}Conversations/{{CH}}/Messages",
    ],
    "studio": [
        "GET {0}ParticipantConversations",
        "POST {1}Conversations",
        "POST {1}Conversations/{{CH}}/Participants",
        "GET {1}Conversations/{{CH}}/Webhooks",
        "POST {1}Conversations/{{CH}}/Webhooks",
        "GET {1}Conversations/{{CH}}/Webhooks",
        "POST {1}Conversations/{{CH}}/Webhooks",
        "POST {1}Conversations/{{CH}}/Messages",
    ],
}


def test_the_calls_that_open_a_conversation(each_place: Place) -> None:
    place = each_place
    place.deliver()
    kind = place.setup.values["routing"]["type"]
    home = f"{HOME}Services/{{IS}}/" if "chat_service_sid" in place.setup.values else HOME
    made = [line.format(HOME, home) for line in OPENING[kind]]
    assert made == [line.replace(f"{home}Part", f"{HOME}Part") for line in place.line.made]
    create, join, hook = (place.line.calls[n] for n in (1, 2, 4))
    known = {
        "friendlyName": "Ada Lovelace", "email": "ada@example.test", "phone": "+15550000001", "locale": "en-GB",
        "country": "GB",
    }  # fmt: skip
    form = dict(create.form)
    task = {"name": "Ada Lovelace", "customerName": "Ada Lovelace", "customerAddress": CUSTOMER, "channel": "shop"}
    task |= {name: value for name, value in known.items() if name != "friendlyName"}
    assert {**task, "from": CUSTOMER, "pre_engagement_data": known} == orjson.loads(form.pop("Attributes"))
    assert {"FriendlyName": "shop Ada Lovelace", "UniqueName": f"patchbay-{MESSAGE.id}"} == form
    assert {"x-twilio-webhook-enabled": "true"} == create.headers
    form = dict(join.form)
    assert known == orjson.loads(form.pop("Attributes"))
    assert {"Identity": CUSTOMER} == form
    assert [
        ("Target", "webhook"),
        ("Configuration.Url", f"{CALLBACK}/events"),
        ("Configuration.Method", "post"),
        ("Configuration.Filters", "onMessageAdded"),
        ("Configuration.Filters", "onConversationStateUpdated"),
    ] == hook.form


def test_a_studio_flow_gets_its_webhook(flex_sandbox: str) -> None:
    place = Place(CONVERSATIONS.setups["studio"], flex_sandbox)
    place.deliver()
    assert [
        ("Target", "studio"), ("Configuration.FlowSid", STUDIO_FLOW), ("Configuration.Filters", "onMessageAdded"),
    ] == place.line.calls[6].form  # fmt: skip
    assert (1, 1) == (len(place.tasks), len(seen(flex_sandbox)["interactions"]))


def test_the_webhooks_events_are_a_setting(flex_sandbox: str) -> None:
    place = Place(CONVERSATIONS.setups["interaction"], flex_sandbox, {"webhook_filters": FILTERS})
    place.deliver()
    assert FILTERS == place.hooks()[0]["filters"]


def test_a_webhook_with_other_events_is_replaced_and_the_flows_stays(flex_sandbox: str) -> None:
    place = Place(CONVERSATIONS.setups["studio"], flex_sandbox)
    place.deliver()
    before, place.kept = place.kept.handles, Kept()
    place.desk = built(FlexConversationsDestination, {**place.values, "webhook_filters": FILTERS})
    place.deliver(MORE)
    assert [FILTERS] == [hook["filters"] for hook in place.hooks() if "url" in hook]
    assert 2 == len(place.hooks())
    assert before["hook_studio"] == place.kept.handles["hook_studio"]
    assert before["hook_events"] != place.kept.handles["hook_events"]


def test_a_flows_webhook_that_shows_no_events_is_used_again(flex_sandbox: str) -> None:
    place = Place(CONVERSATIONS.setups["studio"], flex_sandbox)
    place.kept.dies_before = 3  # it was made and not kept
    with pytest.raises(Died):
        place.deliver()
    revive(place)

    def shown(call: Any) -> Response | None:
        if call.method != "GET" or not call.path.endswith("/Webhooks"):
            return None
        hooks = [{"sid": hook.sid, "configuration": {**hook.configuration}} for hook in hooks_of()]
        for hook in hooks:
            if "flow_sid" in hook["configuration"]:
                del hook["configuration"]["filters"]
        return Response(200, {}, orjson.dumps({"webhooks": hooks}))

    def hooks_of() -> Any:
        return place.resource().webhooks.list()

    (sid,) = [hook.sid for hook in hooks_of() if "flow_sid" in hook.configuration]
    place.line.instead = shown
    place.deliver(uncertain=True)
    assert sid == place.kept.handles["hook_studio"]
    assert [] == [call for call in place.line.made if call.startswith("DELETE")]


def test_a_flow_finds_in_the_conversation_what_the_bot_knew(flex_sandbox: str) -> None:
    place = Place(CONVERSATIONS.setups["studio"], flex_sandbox, {"task_attributes": {"from": "mine", "shop": "north"}})
    place.open(*TALK, memory={"order": "M-PB 1"})
    attributes = orjson.loads(place.resource().fetch().attributes)
    assert {"memory": {"order": "M-PB 1"}, "from": CUSTOMER, "shop": "north"}.items() <= attributes.items()
    assert 4 == len(attributes["transcript"])


def test_a_name_that_is_taken_finds_the_conversation_of_an_earlier_try(place: Place) -> None:
    there = place.twilio.conversations.v1.conversations.create(unique_name=f"patchbay-{MESSAGE.id}")
    place.deliver()
    assert (there.sid, 1) == (place.chat, len(place.chats))


def test_a_closed_conversation_of_that_name_is_passed_by(place: Place) -> None:
    conversations = place.twilio.conversations.v1.conversations
    for name in (f"patchbay-{MESSAGE.id}", f"patchbay-{MESSAGE.id}-2"):
        conversations.create(unique_name=name, state="closed")
    place.deliver()
    assert f"patchbay-{MESSAGE.id}-3" == place.resource().fetch().unique_name
    assert [(CUSTOMER, "Where is my parcel?")] == place.said()


def test_a_customer_who_takes_part_already_is_the_participant(place: Place) -> None:
    there = place.twilio.conversations.v1.conversations.create()
    participants = place.twilio.conversations.v1.conversations(there.sid).participants
    participants.create(identity=AGENT)
    theirs = participants.create(identity=CUSTOMER)
    place.deliver()
    assert (there.sid, theirs.sid) == (place.chat, place.kept.handles["participant"])
    assert 2 == len(place.chats[0]["members"])


def test_any_other_conflict_is_a_failure(place: Place) -> None:
    place.line.instead = failing(409, "POST", "/Participants")
    with pytest.raises(Failure) as raised:
        place.deliver()
    assert errors.REJECTED == raised.value.kind


def test_their_closed_conversations_and_other_services_are_passed_by(flex_sandbox: str) -> None:
    place = Place(CONVERSATIONS.setups["a service"], flex_sandbox)
    for state in ("closed", "active"):
        there = place.twilio.conversations.v1.conversations.create(state=state)
        place.twilio.conversations.v1.conversations(there.sid).participants.create(identity=CUSTOMER)
    place.deliver()
    assert there.sid == place.chat


def test_an_inactive_conversation_is_used_again(place: Place) -> None:
    place.deliver()
    first = place.chat
    place.resource().update(state="inactive")
    place.kept = Kept()
    place.deliver(MORE)
    assert first == place.chat


def test_a_message_for_a_closed_conversation_is_for_whoever_comes_next(each_place: Place) -> None:
    place = each_place
    place.deliver()
    first = place.chat
    place.end_over_there()
    assert place.deliver(MORE).over
    assert first == place.chat
    assert (CUSTOMER, "To people, please") not in place.said()


def test_a_failure_that_the_agent_cannot_be_told_any_more_is_nobodys(place: Place) -> None:
    place.deliver()
    place.end_over_there()
    place.report("failed", 0, "gone")
    assert [(CUSTOMER, "Where is my parcel?")] == place.said()


def test_a_conversation_closes_with_its_webhooks_awake(flex_sandbox: str) -> None:
    place = Place(CONVERSATIONS.setups["studio"], flex_sandbox)
    place.deliver()
    place.close()
    (closing,) = [call for call in place.line.calls if ("State", "closed") in call.form]
    assert {"x-twilio-webhook-enabled": "true"} == closing.headers


def test_a_handoff_into_an_open_conversation_reads_its_past_as_old(place: Place) -> None:
    place.deliver()
    place.accept()
    place.agent_says("one")
    place.kept = Kept()
    place.open(*(replace(one, id=f"{n:032}") for n, one in enumerate(TALK, 1)))
    assert [1] == place.kept.seen
    assert place.poll(place.kept.seen[-1]).written == ()
    assert ("helper", REPLY.content) == (place.said()[3][0], Text(place.said()[3][1] or ""))
