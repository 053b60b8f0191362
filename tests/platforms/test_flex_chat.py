"""Destination `flex_chat`: what only the legacy chat has, and everything that both generations promise."""

from __future__ import annotations

import re
from typing import Any, ClassVar

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from marshmallow import ValidationError
from msgspec.structs import replace

from app.core import errors
from app.core.errors import Failure
from app.core.events import Changed, Ended, Ignored, Written
from app.core.message import Attachment, Message, Text
from app.http import Response
from app.platforms.flex.chat import FlexChatDestination
from app.platforms.flex.opening import Customer, Opening, filled, task_attributes
from app.platforms.flex.provision import Provisioning, _same
from app.platforms.flex.words import plain
from tests.platforms.conformance import unused
from tests.platforms.flex import (
    ACCOUNT,
    AGENT,
    CALLBACK,
    CH,
    CONVERSATION,
    CUSTOMER,
    MARK,
    MESSAGE,
    MORE,
    PROFILE,
    SLACK,
    TALK,
    TOKEN,
    Died,
    Flexing,
    Kept,
    Line,
    Place,
    Setup,
    addresses,
    built,
    failing,
    failing_at,
    revive,
)
from tests.sandbox.flex import SERVICE, STUDIO_FLOW, WORKFLOW, WORKSPACE, connect, seen
from tests.support.values import THOROUGH

VALUES: dict[str, Any] = {
    "type": "flex_chat",
    "account_sid": ACCOUNT,
    "auth_tokens": [TOKEN],
    "chat_service_sid": SERVICE,
    "flex_flow_sid": "FO" + "0a" * 16,
}
TASK = {"type": "task", "workspace_sid": WORKSPACE, "workflow_sid": WORKFLOW, "channel": "chat"}
STUDIO = {"type": "studio", "flow_sid": STUDIO_FLOW}
EXTERNAL = {"type": "external", "url": "https://shop.example.test/hook"}


def setup(integration: dict[str, Any]) -> Setup:
    return Setup(FlexChatDestination, {**VALUES, "integration": integration}, 8, 4, integration["type"])


class TestFlexChatDestination(Flexing):
    adapter_class = FlexChatDestination
    platform = "flex_chat"
    values: ClassVar[dict[str, Any]] = {**VALUES, "integration": TASK}
    setups: ClassVar[dict[str, Setup]] = {"task": setup(TASK), "studio": setup(STUDIO)}
    chat_field, author_field = "ChannelSid", "From"
    read_event = "onMemberUpdated"
    by_flow: ClassVar[dict[str, Any]] = {"integration": {**STUDIO, "workspace_sid": WORKSPACE}}

    # --- webhooks of this generation ---

    UPDATES: ClassVar[dict[str, tuple[str | None, list[Any]]]] = {
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
    def test_a_changed_channel_is_over_or_not_or_must_be_looked_at(
        self, attributes: str | None, events: list[Any]
    ) -> None:
        assert events == self.parse("channel_inactive", Attributes=attributes)

    def test_a_media_event_is_a_message(self) -> None:
        assert len(self.parse("message_media", EventType="onMediaMessageSent")) == 1

    @pytest.mark.parametrize("field", ["MediaContentType", "MediaFilename", "MediaSize"])
    def test_a_file_needs_its_sid_only(self, field: str) -> None:
        (event,) = self.parse("message_media", **{field: None})
        assert isinstance(event, Written)
        assert isinstance(event.content, Attachment)

    def test_a_file_without_a_sid_is_none(self) -> None:
        assert [Changed(CH, 5)] == self.parse("message_media", MediaSid=None)
        assert [Changed(CH, 5)] == self.parse("message_media", MediaSid=None, media="x")

    # --- opening ---

    OPENING: ClassVar[list[str]] = [
        "POST flex-api/v1/Channels",
        "GET chat/v2/Services/{IS}/Channels/{CH}/Messages",
        "GET chat/v2/Services/{IS}/Channels/{CH}/Webhooks",
        "POST chat/v2/Services/{IS}/Channels/{CH}/Webhooks",
        "GET chat/v2/Services/{IS}/Channels/{CH}/Webhooks",
        "POST chat/v2/Services/{IS}/Channels/{CH}/Webhooks",
        "POST chat/v2/Services/{IS}/Channels/{CH}/Messages",
        "GET chat/v2/Services/{IS}/Channels/{CH}",
    ]

    def test_the_calls_that_open_a_chat(self, place: Place) -> None:
        place.deliver()
        assert self.OPENING == place.line.made
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
            "FlexFlowSid": place.desk._settings["flex_flow_sid"],
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

    GREETED: ClassVar[dict[str, tuple[list[tuple[str, str]], int]]] = {
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
        self, talk: list[tuple[str, str]], expected: int, flex_sandbox: str
    ) -> None:
        place = Place(self.setups["studio"], flex_sandbox)
        flow = place.desk._settings["flex_flow_sid"]
        there = place.twilio.flex_api.v1.channel.create(
            flex_flow_sid=flow, identity=CUSTOMER, target=CUSTOMER, chat_user_friendly_name="x", chat_friendly_name="x"
        )
        for number, (author, attributes) in enumerate(talk):
            place.resource(there.sid).messages.create(from_=author, body=str(number), attributes=attributes)
        place.deliver()
        assert (there.sid, [expected]) == (place.chat, place.kept.seen)
        news = [Text(str(number)) for number in range(len(talk))] if expected == -1 else []
        greeting = [Text(body or "") for author, body in place.said()[len(talk) + 1 :] if author == "Studio"]
        assert news + greeting == [written.content for written in place.check(expected).written]

    EVENTS: ClassVar[dict[str, Any]] = {
        "message_events": ["onMessageSent", "onMediaMessageSent"],
        "update_events": ["onMemberUpdated", "onChannelUpdated"],
    }

    def test_the_webhooks_events_are_settings(self, flex_sandbox: str) -> None:
        place = Place(self.setups["task"], flex_sandbox, self.EVENTS)
        place.deliver()
        assert list(self.EVENTS.values()) == [hook["filters"] for hook in place.hooks()]

    def test_a_webhook_with_other_events_is_replaced(self, place: Place) -> None:
        place.deliver()
        others, place.kept = place.kept.handles, Kept()
        place.desk = built(FlexChatDestination, {**place.desk_values, **self.EVENTS})
        place.deliver(MORE)
        assert list(self.EVENTS.values()) == [hook["filters"] for hook in place.hooks()]
        assert not {others["hook_messages"], others["hook_updates"]} & set(place.kept.handles.values())
        place.close()
        assert [] == place.hooks()

    # --- looks after messages ---

    LOOK = r"/Channels/CH[0-9a-f]{32}$"

    @pytest.mark.parametrize("status", [429, 503, 401])
    def test_a_look_that_fails_after_a_message_leaves_it_in_doubt(self, status: int, place: Place) -> None:
        place.deliver()
        sick = failing(status, "GET", "")
        place.line.instead = lambda call: sick(call) if re.search(self.LOOK, call.path) else None
        with pytest.raises(Failure) as raised:
            place.deliver(MORE)
        assert (True, True) == (raised.value.kind.retry, raised.value.maybe_done)
        place.line.instead = lambda call: None
        place.deliver(MORE, uncertain=raised.value.maybe_done)
        assert [MESSAGE.id, MORE.id] == place.marks()

    def test_a_look_that_fails_after_a_refusal_proves_that_nothing_was_said(self, place: Place) -> None:
        place.deliver()
        refuses, sick = failing(400, "POST", "/Messages"), failing(429, "GET", "")
        place.line.instead = lambda call: refuses(call) or (sick(call) if re.search(self.LOOK, call.path) else None)
        with pytest.raises(Failure) as raised:
            place.deliver(MORE)
        assert (errors.THROTTLED, False) == (raised.value.kind, raised.value.maybe_done)

    def test_a_webhook_of_a_chat_that_was_given_up_is_taken_away(self, place: Place) -> None:
        place.line.instead = failing_at(1, 400, "/Webhooks")
        with pytest.raises(Failure):
            place.deliver()
        place.api_says(AGENT, "Hello")
        assert len(place.hooks()) == 1
        place.desk.abandon(place.session, place.line)
        assert place.hooks() == []

    @pytest.mark.parametrize("identity", [CUSTOMER, CUSTOMER.replace(":", "_3A")], ids=["as it is", "escaped"])
    def test_what_the_customer_read_is_not_what_people_read(self, identity: str, place: Place) -> None:
        place.deliver()
        members = [
            {"identity": identity, "last_consumed_message_index": 5},
            {"identity": AGENT, "last_consumed_message_index": 2},
        ]
        told = Response(200, {}, orjson.dumps({"members": members}))
        place.line.instead = lambda call: told if call.path.partition("?")[0].endswith("/Members") else None
        assert place.check().read == 2

    def test_what_the_bot_knew_stands_in_the_chat_too(self, place: Place) -> None:
        place.open(*TALK, memory={"order": "M-PB 1"})
        form = dict(place.line.calls[0].form)
        assert {"order": "M-PB 1"} == orjson.loads(form["PreEngagementData"])["memory"]

    def test_a_chat_that_lives_long(self, flex_sandbox: str) -> None:
        Place(self.setups["task"], flex_sandbox, {"long_lived": True}).deliver()
        assert orjson.loads(seen(flex_sandbox)["channels"][0]["attributes"])["long_lived"] is True

    def test_a_webhook_of_somebody_else_stays(self, place: Place) -> None:
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

    # --- ends ---

    def test_a_close_keeps_what_else_the_channel_knows(self, place: Place) -> None:
        place.deliver()
        before = orjson.loads(place.resource().fetch().attributes)
        place.close()
        assert {**before, "status": "INACTIVE"} == orjson.loads(place.resource().fetch().attributes)
        (update,) = [call for call in place.line.calls if dict(call.form).get("Attributes", "").find("INACTIVE") > 0]
        assert {"x-twilio-webhook-enabled": "true"} == update.headers

    @pytest.mark.parametrize("refused", [False, True], ids=["taken", "refused"])
    def test_a_message_for_a_channel_that_is_over_is_for_whoever_comes_next(self, refused: bool, place: Place) -> None:
        place.deliver()
        first = place.chat
        place.end_over_there()
        if refused:
            place.line.instead = failing(400, "POST", f"/{first}/Messages")
        assert place.deliver(MORE).over
        assert first == place.chat

    def test_a_channel_whose_attributes_cannot_be_read_is_closed_all_the_same(self, place: Place) -> None:
        place.deliver()
        place.resource().update(attributes="{}")
        place.close()
        assert place.is_over()

    TASKS: ClassVar[dict[str, tuple[tuple[str, ...], str]]] = {
        "pending": ((), "canceled"),
        "assigned": (("accept",), "completed"),
        "wrapping": (("accept", "wrapping"), "completed"),
        "completed": (("accept", "complete"), "completed"),
    }

    @pytest.mark.parametrize(("moves", "expected"), TASKS.values(), ids=TASKS)
    def test_a_task_ends_as_its_status_allows(self, moves: tuple[str, ...], expected: str, place: Place) -> None:
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

    STATUSES: ClassVar[dict[str, list[str]]] = {
        "reserved": ["canceled"],
        "transferring": [],
        "canceled": [],
    }

    @pytest.mark.parametrize(("status", "endings"), STATUSES.items(), ids=STATUSES)
    def test_a_task_that_nobody_has_is_canceled_and_an_unknown_status_left(
        self, status: str, endings: list[str], place: Place
    ) -> None:
        place.deliver()
        body = orjson.dumps({"sid": "WT1", "assignment_status": status})
        place.line.instead = lambda call: Response(200, {}, body) if "/Tasks/" in call.path else None
        place.close()
        moved = [dict(call.form) for call in place.line.calls if call.method == "POST" and "/Tasks/" in call.path]
        assert [{"AssignmentStatus": end, "Reason": "The chat is over."} for end in endings] == moved

    def test_a_task_that_was_deleted_is_no_error(self, place: Place) -> None:
        place.deliver()
        place.kept.handles["task"] = "WT" + "0" * 32
        place.close()
        assert place.is_over()

    def test_after_an_end_the_next_message_opens_another_channel(self, place: Place) -> None:
        place.deliver()
        first = place.chat
        place.close()
        place.kept.handles = {}
        place.deliver(MORE)
        assert first != place.chat
        assert [(CUSTOMER, "To people, please")] == place.said()


# --- settings ---

BAD_SETTINGS: dict[str, tuple[dict[str, Any], str]] = {
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
    "looks without pause": ({"check_every": 0}, "check_every"),
}


@pytest.mark.parametrize(("changes", "key"), BAD_SETTINGS.values(), ids=BAD_SETTINGS)
def test_settings_are_checked(changes: dict[str, Any], key: str) -> None:
    with pytest.raises(ValidationError) as raised:
        FlexChatDestination.Settings().load({**VALUES, "integration": TASK, **changes})
    assert [key] == list(raised.value.messages_dict)


# --- pure rules ---

words = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)


@THOROUGH
@given(words, words)
def test_an_address_is_read_back_as_it_was_whether_escaped_or_not(provider: str, ident: str) -> None:
    address = f"{provider}:{ident}"
    # every special character of ASCII, the underscore first of all, as Twilio writes it
    escaped = "".join(f"_{ord(c):02X}" if c.isascii() and not c.isalnum() else c for c in address)
    assert address == plain(address) == plain(escaped)


@THOROUGH
@given(st.lists(st.sampled_from(["{name}", "{address}", "{channel}", "{{", "}}", " ", "x", "{name:}"])), words, words)
def test_a_template_that_was_taken_can_always_be_filled(parts: list[str], name: str, ident: str) -> None:
    template = "".join(parts)
    FlexChatDestination.Settings().load({**VALUES, "integration": TASK, "chat_name": template})
    message = replace(MESSAGE, customer=f"webchat:{ident}", profile=replace(PROFILE, name=name))
    opening = Opening(Customer(message.conversation, message.profile), "", "", {}, unused, None, False)  # type: ignore[arg-type]
    assert len(filled(template, opening)) <= 256
    assert (name or f"webchat:{ident}")[:256] == filled("{name}", opening)


lines = st.lists(st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=300), max_size=9)


@THOROUGH
@given(st.dictionaries(words, words | st.integers(0, 9), max_size=9), lines, st.integers(500, 2_000), words)
def test_a_tasks_attributes_stay_within_their_limit(
    memory: dict[str, Any], said: list[str], limit: int, more: str
) -> None:
    raw = {**VALUES, "integration": TASK, "attributes_limit": limit}
    settings = FlexChatDestination.Settings().load(raw)
    talk: list[Message] = [replace(MESSAGE, id=f"{n:032}", content=Text(text)) for n, text in enumerate(said)]
    opening = Opening(
        Customer(MESSAGE.conversation, PROFILE),
        "",
        "",
        {},
        unused,
        None,
        False,
        memory,
        talk,  # type: ignore[arg-type]
    )
    found = task_attributes(opening, settings, channelType=more)
    size = len(orjson.dumps(found))
    assert size <= limit
    assert more == found["channelType"]
    shown = [line["text"] for line in found.get("transcript", [])]
    assert said[len(said) - len(shown) :] == shown
    bare = {name: value for name, value in found.items() if name not in ("memory", "transcript")}
    if memory and "memory" not in found:
        assert len(orjson.dumps({**bare, "memory": memory})) > limit - SLACK
    if len(shown) < len(said):
        whole = {"author": "customer", "text": said[-len(shown) - 1]}
        assert len(orjson.dumps({**found, "transcript": [whole, *found.get("transcript", [])]})) > limit - SLACK


@pytest.mark.parametrize("spare", range(-3, 70))
def test_a_memory_that_only_just_fits_leaves_no_room_that_is_not_there(spare: int) -> None:
    settings = FlexChatDestination.Settings().load({**VALUES, "integration": TASK, "attributes_limit": 1_000})

    def attributes(memory: dict[str, str], *talk: Message) -> dict[str, Any]:
        customer = Customer(MESSAGE.conversation, PROFILE)
        return task_attributes(
            Opening(customer, "", "", {}, unused, None, False, memory, talk),  # type: ignore[arg-type]
            settings,
        )

    room = 1_000 - len(orjson.dumps(attributes({"order": ""})))
    found = attributes({"order": "x" * (room - spare)}, replace(MESSAGE, content=Text("y")))
    assert len(orjson.dumps(found)) <= 1_000
    if spare >= SLACK:
        assert "memory" in found
    need = len(b',"transcript":[{"author":"customer","text":"y"}]')
    if "memory" in found and spare >= need + SLACK:
        assert "transcript" in found


scalars = st.booleans() | st.integers(0, 10**6) | words


@THOROUGH
@given(scalars, scalars, st.sampled_from(["FriendlyName", "Integration.FlowSid", "AutoCreation.StudioFlowSid"]))
def test_a_resource_differs_exactly_where_its_value_does(value: Any, other: Any, name: str) -> None:
    def shown(value: Any) -> Any:
        keys = {"FriendlyName": ["friendly_name"], "Integration.FlowSid": ["integration", "flow_sid"]}
        inner: Any = value
        for key in reversed(keys.get(name, ["auto_creation", "studio_flow_sid"])):
            inner = {key: inner}
        return inner

    assert _same(shown(value), name, value)
    assert not _same({}, name, value)
    assert not _same(shown(None), name, value)
    if type(value) is type(other) and value != other:
        assert not _same(shown(other), name, value)


@THOROUGH
@given(st.lists(words, max_size=4), st.lists(words, max_size=4))
def test_lists_are_the_same_in_any_order(value: list[str], other: list[str]) -> None:
    assert _same({"filters": value[::-1]}, "Filters", value)
    assert (sorted(value) == sorted(other)) == _same({"filters": other}, "Filters", value)


def test_truth_and_methods_are_written_in_several_ways() -> None:
    assert _same({"enabled": "true"}, "Enabled", True)
    assert _same({"method": "post"}, "Method", "POST")
    assert not _same({"url": "https://a.example.test/Hook"}, "Url", "https://a.example.test/hook")


# --- setting a project up ---


def provision(url: str, dry_run: bool = False, **changes: Any) -> tuple[dict[str, str], list[str]]:
    values = {**VALUES, "integration": TASK, **addresses(FlexChatDestination, url), **changes}
    desk = built(FlexChatDestination, values)
    run = Provisioning(desk.account, Line(url), dry_run)
    return desk.provision(run), run.calls


FULL = {
    "timeout": 3_600, "priority": 2, "creation_on_message": True, "retry_count": 1,
}  # fmt: skip
INTEGRATIONS = {"task": {**TASK, **FULL}, "studio": {**STUDIO, **FULL}, "external": {**EXTERNAL, **FULL}, "least": TASK}


@pytest.mark.parametrize("integration", INTEGRATIONS.values(), ids=INTEGRATIONS)
def test_provisioning_makes_the_flow_and_a_second_run_changes_nothing(
    integration: dict[str, Any], flex_sandbox: str
) -> None:
    more = {"integration": integration, "long_lived": True, "janitor_enabled": True, "friendly_name": "Web & chat"}
    found, calls = provision(flex_sandbox, **more)
    (flow,) = connect(flex_sandbox).flex_api.v1.flex_flow.list()
    assert {"flex_flow_sid": flow.sid} == found
    assert ("Web & chat", SERVICE, "custom", True, integration["type"], True, True) == (
        flow.friendly_name, flow.chat_service_sid, flow.channel_type, flow.enabled, flow.integration_type,
        flow.long_lived, flow.janitor_enabled,
    )  # fmt: skip
    assert {name: value for name, value in integration.items() if name != "type"} == flow.integration
    assert 1 == len(calls)
    assert (found, []) == provision(flex_sandbox, **more)


def test_provisioning_corrects_what_differs_and_nothing_else(flex_sandbox: str) -> None:
    found, _ = provision(flex_sandbox)
    again, calls = provision(flex_sandbox, integration={**TASK, "priority": 5}, janitor_enabled=True)
    assert found == again
    assert [
        f"POST {flex_sandbox}/twilio/flex-api/v1/FlexFlows/{found['flex_flow_sid']}\n"
        "    JanitorEnabled=true\n    Integration.Priority=5"
    ] == calls
    assert {"priority": 5}.items() <= connect(flex_sandbox).flex_api.v1.flex_flow.list()[0].integration.items()


def test_a_flow_of_another_type_or_name_is_left_alone(flex_sandbox: str) -> None:
    flows = connect(flex_sandbox).flex_api.v1.flex_flow
    others = [
        flows.create(friendly_name=name, chat_service_sid=SERVICE, channel_type=kind).sid
        for name, kind in (("Patchbay", "web"), ("Another", "custom"))
    ]
    found, _ = provision(flex_sandbox)
    assert found["flex_flow_sid"] not in others
    assert 3 == len(flows.list())


def test_a_dry_run_makes_nothing(flex_sandbox: str) -> None:
    found, calls = provision(flex_sandbox, dry_run=True)
    assert ({"flex_flow_sid": ""}, 1, []) == (found, len(calls), seen(flex_sandbox)["flows"])


PLAIN = {
    "an agent": (AGENT, "agent_kim"),
    "a conversation": ("shop_2Fwebchat_3Av81", CONVERSATION),
    "an address with what looks like an escape": ("webchat:a_3Ab", "webchat:a_3Ab"),
    "small letters are no escape": ("a_3ab", "a_3ab"),
    "system": ("system", "system"),
    "nobody": ("", ""),
}


@pytest.mark.parametrize(("identity", "expected"), PLAIN.values(), ids=PLAIN)
def test_an_identity_is_plain(identity: str, expected: str) -> None:
    assert expected == plain(identity)
