"""Destination `flex_conversations`: what only Conversations has, and everything that both generations promise."""

from __future__ import annotations

from typing import Any, ClassVar

import orjson
import pytest
from marshmallow import ValidationError
from msgspec.structs import replace

from app.core import errors
from app.core.errors import BadWebhook, Failure
from app.core.events import Changed, Ended, Ignored, Written
from app.core.message import Attachment, Text
from app.http import Response
from app.platforms.flex.conversations import FlexConversationsDestination
from app.platforms.flex.provision import Provisioning
from tests.platforms.flex import (
    ACCOUNT,
    AGENT,
    CALLBACK,
    CH,
    CUSTOMER,
    MARK,
    MESSAGE,
    MORE,
    REPLY,
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
    revive,
)
from tests.sandbox.flex import SERVICE, STUDIO_FLOW, WORKFLOW, WORKSPACE, connect, seen
from tests.support import fixtures

VALUES: dict[str, Any] = {"type": "flex_conversations", "account_sid": ACCOUNT, "auth_tokens": [TOKEN]}
INTERACTION = {"type": "interaction", "workspace_sid": WORKSPACE, "workflow_sid": WORKFLOW}
STUDIO = {"type": "studio", "flow_sid": STUDIO_FLOW}
FILTERS = ["onMessageAdded", "onConversationStateUpdated", "onParticipantUpdated"]
HOME = "conversations/v1/"


class TestFlexConversationsDestination(Flexing):
    adapter_class = FlexConversationsDestination
    platform = "flex_conversations"
    path = "/destinations/desk/events"
    values: ClassVar[dict[str, Any]] = {**VALUES, "routing": INTERACTION}
    setups: ClassVar[dict[str, Setup]] = {
        "interaction": Setup(FlexConversationsDestination, {**VALUES, "routing": INTERACTION}, 7, 5),
        "studio": Setup(FlexConversationsDestination, {**VALUES, "routing": STUDIO}, 8, 5),
        "a service": Setup(
            FlexConversationsDestination, {**VALUES, "routing": INTERACTION, "chat_service_sid": SERVICE}, 7, 5
        ),
    }
    chat_field, author_field = "ConversationSid", "Author"
    read_event = "onParticipantUpdated"
    by_flow: ClassVar[dict[str, Any]] = {"routing": {**STUDIO, "workspace_sid": WORKSPACE}}

    # --- webhooks of this generation ---

    STATES: ClassVar[dict[str, tuple[str | None, list[Any]]]] = {
        "closed": ("closed", [Ended(CH, alias=CH)]),
        "inactive": ("inactive", [Ignored("onConversationStateUpdated")]),
        "active": ("active", [Ignored("onConversationStateUpdated")]),
        "new": ("sleeping", [Ignored("onConversationStateUpdated")]),
        "missing": (None, [Ignored("state_without_name"), Changed(CH)]),
    }

    @pytest.mark.parametrize(("state", "events"), STATES.values(), ids=STATES)
    def test_a_conversation_is_over_once_it_is_closed(self, state: str | None, events: list[Any]) -> None:
        assert events == self.parse("state_closed", StateTo=state)

    def test_the_services_event_for_a_message_is_a_reason_to_look(self) -> None:
        """The only one that tells of what a Studio flow says; it has the older generation's names."""
        fields: dict[str, Any] = {"EventType": "onMessageSent", "ConversationSid": None, "Author": None}
        more = {"ChannelSid": CH, "From": "Studio", "Attributes": MARK}
        assert [Changed(CH)] == self.parse("message_agent", **fields, **more)
        assert [Changed(CH)] == self.parse("message_agent", EventType="onMessageSent", ChannelSid=CH, Index=None)
        assert [Ignored("onMessageSent")] == self.parse("message_agent", EventType="onMessageSent")
        with pytest.raises(BadWebhook):
            self.parse("message_agent", EventType="onMessageSent", ConversationSid=None, ChannelSid="")

    WATCHES: ClassVar[dict[str, tuple[dict[str, Any], float]]] = {
        "interactions": ({}, 300),
        "interactions, said": ({"check_every": 7}, 7),
        "a flow": ({"routing": STUDIO}, 15),
        "a flow, said": ({"routing": STUDIO, "check_every": 600}, 600),
    }

    @pytest.mark.parametrize(("changes", "seconds"), WATCHES.values(), ids=WATCHES)
    def test_a_flow_is_looked_after_more_often(self, changes: dict[str, Any], seconds: float) -> None:
        assert seconds == self.build(**changes).watch

    MEDIA: ClassVar[dict[str, tuple[str | None, int]]] = {
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
    def test_files_stand_in_a_json_string(self, body: str, media: str | None, count: int) -> None:
        events = self.parse("message_media", Body=body, Media=media)
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

    def test_a_file_is_of_the_service_that_the_webhook_names_or_of_the_configured_one(self) -> None:
        def service(adapter: Any, **fields: str | None) -> str:
            values = {**fixtures.value(self.platform, "message_media"), **fields}
            (event,) = adapter.parse(self.sign(orjson.dumps({k: v for k, v in values.items() if v is not None})))
            loaded: str = adapter._media.links._signer.loads(event.content.url.rpartition("/")[2])[0]
            return loaded

        assert "IS5" == service(self.build(chat_service_sid=SERVICE), ChatServiceSid="IS5")
        assert SERVICE == service(self.build(chat_service_sid=SERVICE), ChatServiceSid=None)

    # --- opening ---

    OPENING: ClassVar[dict[str, list[str]]] = {
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

    def test_the_calls_that_open_a_conversation(self, each_place: Place) -> None:
        place = each_place
        place.deliver()
        kind = place.setup.values["routing"]["type"]
        home = f"{HOME}Services/{{IS}}/" if "chat_service_sid" in place.setup.values else HOME
        made = [line.format(HOME, home) for line in self.OPENING[kind]]
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

    def test_an_interaction_is_made_around_the_conversation(self, place: Place) -> None:
        place.deliver()
        form = dict(place.line.calls[5].form)
        assert {
            "type": "web", "initiated_by": "customer", "properties": {"media_channel_sid": place.chat},
        } == orjson.loads(form.pop("Channel"))  # fmt: skip
        properties = orjson.loads(form.pop("Routing"))["properties"]
        assert {
            "name": "Ada Lovelace", "customerName": "Ada Lovelace", "customerAddress": CUSTOMER, "channel": "shop",
            "email": "ada@example.test", "phone": "+15550000001", "locale": "en-GB", "country": "GB",
            "channelType": "web", "conversationSid": place.chat,
        }.items() <= properties.pop("attributes").items()  # fmt: skip
        assert {
            "workspace_sid": WORKSPACE, "workflow_sid": WORKFLOW, "task_channel_unique_name": "chat",
        } == properties  # fmt: skip
        assert form == {}
        interaction = place.twilio.flex_api.v1.interaction(place.kept.handles["interaction"]).fetch()
        assert place.kept.handles["interaction_channel"] == interaction.channel["sid"]

    def test_a_studio_flow_gets_its_webhook(self, flex_sandbox: str) -> None:
        place = Place(self.setups["studio"], flex_sandbox)
        place.deliver()
        assert [
            ("Target", "studio"), ("Configuration.FlowSid", STUDIO_FLOW), ("Configuration.Filters", "onMessageAdded"),
        ] == place.line.calls[6].form  # fmt: skip
        assert (1, 1) == (len(place.tasks), len(seen(flex_sandbox)["interactions"]))

    def test_the_webhooks_events_are_a_setting(self, flex_sandbox: str) -> None:
        place = Place(self.setups["interaction"], flex_sandbox, {"webhook_filters": FILTERS})
        place.deliver()
        assert FILTERS == place.hooks()[0]["filters"]

    def test_a_webhook_with_other_events_is_replaced_and_the_flows_stays(self, flex_sandbox: str) -> None:
        place = Place(self.setups["studio"], flex_sandbox)
        place.deliver()
        before, place.kept = place.kept.handles, Kept()
        place.desk = built(FlexConversationsDestination, {**place.desk_values, "webhook_filters": FILTERS})
        place.deliver(MORE)
        assert [FILTERS] == [hook["filters"] for hook in place.hooks() if "url" in hook]
        assert 2 == len(place.hooks())
        assert before["hook_studio"] == place.kept.handles["hook_studio"]
        assert before["hook_events"] != place.kept.handles["hook_events"]

    def test_a_flows_webhook_that_shows_no_events_is_used_again(self, flex_sandbox: str) -> None:
        place = Place(self.setups["studio"], flex_sandbox)
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

    def test_a_flow_finds_in_the_conversation_what_the_bot_knew(self, flex_sandbox: str) -> None:
        place = Place(self.setups["studio"], flex_sandbox, {"task_attributes": {"from": "mine", "shop": "north"}})
        place.open(*TALK, memory={"order": "M-PB 1"})
        attributes = orjson.loads(place.resource().fetch().attributes)
        assert {"memory": {"order": "M-PB 1"}, "from": CUSTOMER, "shop": "north"}.items() <= attributes.items()
        assert 4 == len(attributes["transcript"])

    def test_a_name_that_is_taken_finds_the_conversation_of_an_earlier_try(self, place: Place) -> None:
        there = place.twilio.conversations.v1.conversations.create(unique_name=f"patchbay-{MESSAGE.id}")
        place.deliver()
        assert (there.sid, 1) == (place.chat, len(place.chats))

    def test_a_closed_conversation_of_that_name_is_passed_by(self, place: Place) -> None:
        conversations = place.twilio.conversations.v1.conversations
        for name in (f"patchbay-{MESSAGE.id}", f"patchbay-{MESSAGE.id}-2"):
            conversations.create(unique_name=name, state="closed")
        place.deliver()
        assert f"patchbay-{MESSAGE.id}-3" == place.resource().fetch().unique_name
        assert [(CUSTOMER, "Where is my parcel?")] == place.said()

    def test_a_customer_who_takes_part_already_is_the_participant(self, place: Place) -> None:
        there = place.twilio.conversations.v1.conversations.create()
        participants = place.twilio.conversations.v1.conversations(there.sid).participants
        participants.create(identity=AGENT)
        theirs = participants.create(identity=CUSTOMER)
        place.deliver()
        assert (there.sid, theirs.sid) == (place.chat, place.kept.handles["participant"])
        assert 2 == len(place.chats[0]["members"])

    def test_any_other_conflict_is_a_failure(self, place: Place) -> None:
        place.line.instead = failing(409, "POST", "/Participants")
        with pytest.raises(Failure) as raised:
            place.deliver()
        assert errors.REJECTED == raised.value.kind

    def test_his_closed_conversations_and_other_services_are_passed_by(self, flex_sandbox: str) -> None:
        place = Place(self.setups["a service"], flex_sandbox)
        for state in ("closed", "active"):
            there = place.twilio.conversations.v1.conversations.create(state=state)
            place.twilio.conversations.v1.conversations(there.sid).participants.create(identity=CUSTOMER)
        place.deliver()
        assert there.sid == place.chat

    def test_an_inactive_conversation_is_used_again(self, place: Place) -> None:
        place.deliver()
        first = place.chat
        place.resource().update(state="inactive")
        place.kept = Kept()
        place.deliver(MORE)
        assert first == place.chat

    def test_an_interaction_is_found_again_by_its_task(self, place: Place) -> None:
        place.kept.dies_before = 3  # the interaction was made and not kept
        with pytest.raises(Died):
            place.deliver()
        revive(place)
        assert "interaction" not in place.kept.handles
        place.deliver(uncertain=True)
        (interaction,) = seen(place.url)["interactions"]
        assert (interaction["sid"], interaction["channel_sid"]) == (
            place.kept.handles["interaction"], place.kept.handles["interaction_channel"],
        )  # fmt: skip
        place.close()
        assert "canceled" == place.tasks[0].assignment_status

    def test_the_interaction_of_a_conversation_that_was_lost_is_not_taken_for_the_new_ones(self, place: Place) -> None:
        """The same message opened a conversation that vanished before it could be said there."""
        place.line.instead = failing(503, "POST", "/Messages")
        with pytest.raises(Failure):
            place.deliver()
        first = dict(place.kept.handles)
        place.line.instead = lambda call: None
        place.resource().delete()
        place.deliver(uncertain=True)
        assert first["chat"] != place.chat
        assert first["interaction"] != place.kept.handles["interaction"]
        assert {first["chat"], place.chat} == {one["room_sid"] for one in seen(place.url)["interactions"]}

    def test_an_open_conversation_whose_books_were_lost_keeps_its_interaction(self, place: Place) -> None:
        place.deliver()
        lost, place.kept = place.kept.handles, Kept()
        place.deliver(MORE)
        assert 1 == len(seen(place.url)["interactions"])
        assert lost["interaction"] == place.kept.handles["interaction"]
        place.close()
        assert "canceled" == place.tasks[0].assignment_status

    # --- a conversation that is closed takes no more messages ---

    def test_a_message_for_a_closed_conversation_is_for_whoever_comes_next(self, each_place: Place) -> None:
        place = each_place
        place.deliver()
        first = place.chat
        place.end_over_there()
        assert place.deliver(MORE).over
        assert first == place.chat
        assert (CUSTOMER, "To people, please") not in place.said()

    def test_a_failure_that_the_agent_cannot_be_told_any_more_is_nobodys(self, place: Place) -> None:
        place.deliver()
        place.end_over_there()
        place.report("failed", 0, "gone")
        assert [(CUSTOMER, "Where is my parcel?")] == place.said()

    # --- looks and ends ---

    def test_an_interaction_that_could_not_be_set_up_is_an_end(self, place: Place) -> None:
        place.deliver()
        place.line.instead = self.failed_interaction
        assert place.check(0).over

    def test_the_conversation_of_a_failed_interaction_is_closed_so_that_it_is_not_used_again(
        self, place: Place
    ) -> None:
        place.deliver()
        first = place.chat
        place.line.instead = self.failed_interaction
        place.close("platform")
        assert place.is_over()
        place.line.instead = lambda call: None
        place.kept = Kept()
        place.deliver(MORE)
        assert first != place.chat

    def test_a_failed_interaction_needs_no_close_of_its_own(self, place: Place) -> None:
        place.deliver()
        place.line.instead = self.failed_interaction
        place.close("customer")
        assert place.is_over()
        assert [] == [call for call in place.line.posts if "/Channels/" in call]

    @staticmethod
    def failed_interaction(call: Any) -> Response | None:
        is_channel = call.method == "GET" and "/Interactions/" in call.path
        return Response(200, {}, b'{"sid":"UO1","status":"failed"}') if is_channel else None

    def test_a_look_at_an_interaction_that_is_gone_says_nothing_of_the_chat(self, place: Place) -> None:
        place.deliver()
        place.kept.handles["interaction"] = "KD" + "0" * 32
        assert not place.check().over

    @pytest.mark.parametrize("missing", ["interaction", "interaction_channel"])
    def test_an_interaction_that_is_not_known_in_full_is_not_asked(self, missing: str, place: Place) -> None:
        place.deliver()
        place.kept.handles[missing] = ""
        number = len(place.line.calls)
        assert not place.check().over
        place.close()
        assert place.is_over()
        assert [] == [call for call in place.line.made[number:] if "Interactions" in call]

    def test_a_close_ends_the_interaction_with_a_routing_status(self, place: Place) -> None:
        place.deliver()
        place.accept()
        number = len(place.line.calls)
        place.close()
        closing, *_ = [call for call in place.line.calls[number:] if call.method == "POST"]
        assert "POST flex-api/v1/Interactions/{KD}/Channels/{UO}" == str(closing)
        assert {"Status": "closed", "Routing": '{"status":"closed"}'} == dict(closing.form)
        assert ("completed", True) == (place.tasks[0].assignment_status, place.is_over())

    def test_a_conversation_closes_with_its_webhooks_awake(self, flex_sandbox: str) -> None:
        place = Place(self.setups["studio"], flex_sandbox)
        place.deliver()
        place.close()
        (closing,) = [call for call in place.line.calls if ("State", "closed") in call.form]
        assert {"x-twilio-webhook-enabled": "true"} == closing.headers

    def test_a_handoff_into_an_open_conversation_reads_its_past_as_old(self, place: Place) -> None:
        place.deliver()
        place.accept()
        place.agent_says("one")
        place.kept = Kept()
        place.open(*(replace(one, id=f"{n:032}") for n, one in enumerate(TALK, 1)))
        assert [1] == place.kept.seen
        assert place.check(place.kept.seen[-1]).written == ()
        assert ("helper", REPLY.content) == (place.said()[3][0], Text(place.said()[3][1] or ""))


# --- settings ---

BAD_SETTINGS: dict[str, tuple[dict[str, Any], str]] = {
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


@pytest.mark.parametrize(("changes", "key"), BAD_SETTINGS.values(), ids=BAD_SETTINGS)
def test_settings_are_checked(changes: dict[str, Any], key: str) -> None:
    with pytest.raises(ValidationError) as raised:
        FlexConversationsDestination.Settings().load({**VALUES, "routing": INTERACTION, **changes})
    assert [key] == list(raised.value.messages_dict)


# --- setting a project up ---


def provision(url: str, dry_run: bool = False, **changes: Any) -> tuple[list[str], list[str]]:
    """The calls that changed something, and the notes; the configuration wants no identifiers."""
    values = {**VALUES, "routing": STUDIO, **addresses(FlexConversationsDestination, url), **changes}
    desk = built(FlexConversationsDestination, values)
    run = Provisioning(desk.account, Line(url), dry_run)
    assert {} == desk.provision(run)
    return run.calls, run.notes


PROJECTS: dict[str, tuple[dict[str, Any], str]] = {
    "studio": ({}, "account"),
    "interactions": ({"routing": INTERACTION}, "account"),
    "a service": ({"chat_service_sid": SERVICE}, "service"),
}


@pytest.mark.parametrize(("changes", "scope"), PROJECTS.values(), ids=PROJECTS)
def test_provisioning_sets_the_webhook_and_the_address_and_a_second_run_changes_nothing(
    changes: dict[str, Any], scope: str, flex_sandbox: str
) -> None:
    calls, notes = provision(flex_sandbox, **changes)
    assert 2 == len(calls)
    conversations = connect(flex_sandbox).conversations.v1
    (address,) = conversations.address_configurations.list()
    assert ([f"The chat address is {address.sid}."], "chat", "patchbay", "Patchbay desk") == (
        notes, address.type, address.address, address.friendly_name,
    )  # fmt: skip
    by_flow = "routing" not in changes
    expected = {"enabled": by_flow} | ({"type": "studio", "studio_flow_sid": STUDIO_FLOW} if by_flow else {})
    assert expected == address.auto_creation
    hook = seen(flex_sandbox)["configuration"][scope]
    assert (f"{CALLBACK}/events", "post", ["onMessageAdded", "onConversationStateUpdated"]) == (
        hook["PostWebhookUrl"], hook.get("Method", "post").lower(), hook["Filters"],
    )  # fmt: skip
    assert ([], notes) == provision(flex_sandbox, **changes)


def test_provisioning_corrects_what_differs_and_nothing_else(flex_sandbox: str) -> None:
    _, notes = provision(flex_sandbox)
    (address,) = connect(flex_sandbox).conversations.v1.address_configurations.list()
    flow = "FW" + "8" * 32
    calls, again = provision(flex_sandbox, routing={**STUDIO, "flow_sid": flow}, webhook_filters=FILTERS)
    assert notes == again
    base = f"{flex_sandbox}/twilio/conversations/v1/Configuration"
    assert [
        f"POST {base}/Webhooks\n    " + "\n    ".join(f"Filters={event}" for event in FILTERS),
        f"POST {base}/Addresses/{address.sid}\n    AutoCreation.StudioFlowSid={flow}",
    ] == calls
    calls, _ = provision(flex_sandbox, address="another")
    assert 2 == len(connect(flex_sandbox).conversations.v1.address_configurations.list())
    assert 2 == len(calls)


def test_a_webhook_of_somebody_else_is_not_overwritten(flex_sandbox: str) -> None:
    connect(flex_sandbox).conversations.v1.configuration.webhooks().update(
        post_webhook_url="https://other.example.test/hook"
    )
    calls, notes = provision(flex_sandbox)
    assert (1, 1) == (len(calls), len(seen(flex_sandbox)["addresses"]))
    assert "https://other.example.test/hook and are left alone" in notes[0]
    assert connect(flex_sandbox).conversations.v1.configuration.webhooks().fetch().post_webhook_url.endswith("/hook")


def test_a_dry_run_makes_nothing(flex_sandbox: str) -> None:
    calls, notes = provision(flex_sandbox, dry_run=True)
    assert (2, []) == (len(calls), seen(flex_sandbox)["addresses"])
    assert ["The chat address is not made yet."] == notes
    assert seen(flex_sandbox)["configuration"] == {"account": {}, "service": {}}
