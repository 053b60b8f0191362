"""Interactions and tasks, with Twilio's SDK."""

import json

import pytest
import requests

from .flex import (
    CUSTOMER,
    WORKFLOW,
    WORKSPACE,
    chat,
    conversation,
    make_channel,
    make_conversation,
    make_flow,
    make_interaction,
    task,
    tasks,
    wait_idle,
    wait_until,
)
from .test_flex_rest import refused


@pytest.fixture
def waiting(twilio):
    """A pending task."""
    return task(twilio, make_channel(twilio, make_flow(twilio)).task_sid)


def accept(client_base, sid):
    assert requests.post(f"{client_base}/flex/api/tasks/{sid}/accept").ok


def test_an_interaction_makes_a_task_with_its_sids(twilio):
    room = make_conversation(twilio)
    made = make_interaction(twilio, room.sid, customerName="Ada", memory={"order": 7})
    found = twilio.flex_api.v1.interaction(made.sid).fetch()
    assert (made.sid[:2], found.channel["sid"][:2]) == ("KD", "UO")
    waiting = tasks(twilio).list(evaluate_task_attributes=f'conversationSid == "{room.sid}"')
    assert json.loads(waiting[0].attributes) == {
        "customerName": "Ada",
        "memory": {"order": 7},
        "conversationSid": room.sid,
        "flexInteractionSid": made.sid,
        "flexInteractionChannelSid": found.channel["sid"],
    }
    assert (waiting[0].workflow_sid, waiting[0].task_channel_unique_name) == (WORKFLOW, "chat")


def test_the_channel_is_set_up_after_a_moment(twilio):
    made = make_interaction(twilio, make_conversation(twilio).sid)
    channel = twilio.flex_api.v1.interaction(made.sid).channels(made.channel["sid"])
    assert made.channel["status"] == "setup"
    wait_until(lambda: channel.fetch().status == "active")
    listed = twilio.flex_api.v1.interaction(made.sid).channels.list()
    assert [(one.sid, one.type) for one in listed] == [(made.channel["sid"], "web")]


def test_a_conversation_has_one_interaction(twilio):
    room = make_conversation(twilio)
    make_interaction(twilio, room.sid)
    assert refused(make_interaction, twilio, room.sid)[0] == 409
    assert len(tasks(twilio).list()) == 1


def test_an_interaction_needs_an_open_conversation(twilio):
    room = make_conversation(twilio)
    conversation(twilio, room.sid).update(state="closed")
    assert (400, 20001) == refused(make_interaction, twilio, room.sid)
    assert (400, 20001) == refused(make_interaction, twilio, "CH" + "0" * 32)
    assert (400, 20001) == refused(make_interaction, twilio, make_channel(twilio, make_flow(twilio)).sid)


CHANNEL = {"type": "web", "initiated_by": "customer", "properties": {"media_channel_sid": "CH"}}
ROUTING = {"properties": {"workspace_sid": WORKSPACE, "workflow_sid": WORKFLOW}}
WRONG = {
    "unknown type": (CHANNEL | {"type": "custom"}, ROUTING),
    "nobody began": ({"type": "web", "properties": CHANNEL["properties"]}, ROUTING),
    "no conversation": (CHANNEL | {"properties": {}}, ROUTING),
    "no workflow": (CHANNEL, {"properties": {"workspace_sid": WORKSPACE}}),
    "another workspace": (CHANNEL, {"properties": ROUTING["properties"] | {"workspace_sid": "WS" + "0" * 32}}),
    "attributes as text": (CHANNEL, {"properties": ROUTING["properties"] | {"attributes": "{}"}}),
    "unknown key": (CHANNEL, {"properties": ROUTING["properties"] | {"workflow": WORKFLOW}}),
}


@pytest.mark.parametrize(("channel", "routing"), WRONG.values(), ids=WRONG)
def test_an_interaction_that_does_not_fit_is_refused(twilio, channel, routing):
    room = make_conversation(twilio)
    if channel["properties"]:
        channel = channel | {"properties": {"media_channel_sid": room.sid}}
    create = twilio.flex_api.v1.interaction.create
    assert (400, 20001) == refused(create, channel=channel, routing=routing)
    make_interaction(twilio, room.sid)


CLOSINGS = {
    "nobody accepted": (False, {"status": "closed", "routing": {"status": "closed"}}, "canceled", "closed"),
    "completed": (True, {"status": "closed", "routing": {"status": "closed"}}, "completed", "closed"),
    "wrapped up": (True, {"status": "closed"}, "wrapping", "closed"),
    "parked": (True, {"status": "inactive", "routing": {"status": "closed"}}, "completed", "active"),
}


@pytest.mark.parametrize(("accepted", "change", "status", "state"), CLOSINGS.values(), ids=CLOSINGS)
def test_an_interaction_is_closed_from_our_side(served, twilio, accepted, change, status, state):
    room = make_conversation(twilio)
    made = make_interaction(twilio, room.sid)
    sid = tasks(twilio).list()[0].sid
    if accepted:
        accept(served, sid)
    channel = twilio.flex_api.v1.interaction(made.sid).channels(made.channel["sid"])
    assert channel.update(**change).status == change["status"]
    assert (task(twilio, sid).fetch().assignment_status, conversation(twilio, room.sid).fetch().state) == (
        status,
        state,
    )


def test_inactive_needs_a_routing_status(twilio):
    made = make_interaction(twilio, make_conversation(twilio).sid)
    channel = twilio.flex_api.v1.interaction(made.sid).channels(made.channel["sid"])
    assert (400, 20001) == refused(channel.update, status="inactive")
    assert (404, 20404) == refused(twilio.flex_api.v1.interaction(made.sid).channels("UO" + "0" * 32).fetch)


@pytest.mark.parametrize("status", ["assigned", "wrapping", "completed", "reserved", "pending"])
def test_a_waiting_task_can_only_be_canceled(waiting, status):
    assert refused(waiting.update, assignment_status=status)[0] == 400
    canceled = waiting.update(assignment_status="canceled", reason="Gone")
    assert (canceled.assignment_status, canceled.reason) == ("canceled", "Gone")


@pytest.mark.parametrize("path", [("wrapping", "completed"), ("completed",)])
def test_an_accepted_task_is_wrapped_up_and_completed(served, waiting, path):
    accept(served, waiting.fetch().sid)
    assert refused(waiting.update, assignment_status="canceled")[0] == 400
    for status in path:
        assert waiting.update(assignment_status=status).assignment_status == status
    assert refused(waiting.update, assignment_status="completed")[0] == 400


def hook(place, listener, event, kind):
    place.webhooks.create(configuration_url=listener.url, configuration_filters=[event], **{kind: "webhook"})


def completes(twilio, sid):
    task(twilio, sid).update(assignment_status="completed")


def completes_at_the_desk(twilio, served, sid):
    assert requests.post(f"{served}/flex/api/tasks/{sid}/complete").ok


COMPLETIONS = {"over the API": lambda t, _, sid: completes(t, sid), "at the desk": completes_at_the_desk}


@pytest.mark.parametrize("complete", COMPLETIONS.values(), ids=COMPLETIONS)
def test_completing_a_task_closes_its_conversation(twilio, served, listener, complete):
    room = make_conversation(twilio)
    hook(conversation(twilio, room.sid), listener, "onConversationStateUpdated", "target")
    made = make_interaction(twilio, room.sid)
    sid = tasks(twilio).list()[0].sid
    accept(served, sid)
    complete(twilio, served, sid)
    assert conversation(twilio, room.sid).fetch().state == "closed"
    assert twilio.flex_api.v1.interaction(made.sid).channels(made.channel["sid"]).fetch().status == "closed"
    (call,) = listener.wait_for(1)
    assert (call.form["StateFrom"], call.form["StateTo"]) == ("active", "closed")


@pytest.mark.parametrize("complete", COMPLETIONS.values(), ids=COMPLETIONS)
@pytest.mark.parametrize(("lives_long", "status"), [(False, "INACTIVE"), (True, "ACTIVE")])
def test_completing_a_task_ends_its_channel_unless_that_lives_long(
    twilio, served, listener, complete, lives_long, status
):
    made = make_channel(twilio, make_flow(twilio), long_lived=lives_long)
    hook(chat(twilio, made.sid), listener, "onChannelUpdated", "type")
    accept(served, made.task_sid)
    complete(twilio, served, made.task_sid)
    attributes = json.loads(chat(twilio, made.sid).fetch().attributes)
    assert (attributes["from"], attributes["status"]) == (CUSTOMER, status)
    if not lives_long:
        (call,) = listener.wait_for(1)
        assert json.loads(call.form["Attributes"]) == attributes


def test_wrapping_up_and_canceling_close_nothing(twilio, served):
    rooms = [make_conversation(twilio), make_conversation(twilio, identity="other")]
    for room in rooms:
        make_interaction(twilio, room.sid)
    first, second = (one.sid for one in tasks(twilio).list())
    accept(served, first)
    task(twilio, first).update(assignment_status="wrapping")
    task(twilio, second).update(assignment_status="canceled")
    assert [conversation(twilio, room.sid).fetch().state for room in rooms] == ["active", "active"]


def test_completing_the_task_of_a_chat_that_is_over_or_gone_changes_no_more(twilio, served, listener):
    room = make_conversation(twilio)
    make_interaction(twilio, room.sid)
    sid = tasks(twilio).list()[0].sid
    accept(served, sid)
    conversation(twilio, room.sid).update(state="closed")
    hook(conversation(twilio, room.sid), listener, "onConversationStateUpdated", "target")
    completes(twilio, sid)
    gone = make_channel(twilio, make_flow(twilio))
    accept(served, gone.task_sid)
    chat(twilio, gone.sid).delete()
    completes(twilio, gone.task_sid)
    wait_idle(served)
    assert listener.calls == []


def test_a_tasks_attributes_can_be_replaced(waiting):
    assert json.loads(waiting.update(attributes='{"a": {"b": "c"}}').attributes) == {"a": {"b": "c"}}
    assert (400, 20001) == refused(waiting.update, attributes="no")


def test_tasks_are_found_by_an_attribute_and_by_status(twilio, waiting):
    waiting.update(attributes='{"name": "Ada", "deep": {"er": "yes"}}')
    found = {
        expression: len(tasks(twilio).list(evaluate_task_attributes=expression))
        for expression in ('name == "Ada"', "name=='Ada'", 'deep.er == "yes"', 'name == "Bob"', 'none == "Ada"')
    }
    assert found == {
        'name == "Ada"': 1,
        "name=='Ada'": 1,
        'deep.er == "yes"': 1,
        'name == "Bob"': 0,
        'none == "Ada"': 0,
    }
    assert len(tasks(twilio).list(assignment_status=["pending", "reserved"])) == 1
    assert tasks(twilio).list(assignment_status=["assigned"]) == []


@pytest.mark.parametrize("expression", ["name", 'name = "Ada"', 'name == "Ada" AND 1', "name == 1"])
def test_an_expression_that_is_not_played_is_refused(twilio, expression):
    assert (400, 20001) == refused(tasks(twilio).list, evaluate_task_attributes=expression)


def test_who_it_is_comes_from_the_conversation_if_nothing_else_says(twilio):
    room = make_conversation(twilio)
    channel = CHANNEL | {"properties": {"media_channel_sid": room.sid}}
    twilio.flex_api.v1.interaction.create(channel=channel)
    attributes = json.loads(tasks(twilio).list()[0].attributes)
    assert (attributes["customerName"], attributes["customerAddress"]) == ("Chat with Ada", CUSTOMER)
