"""FlexFlows and Flex channels, with Twilio's SDK."""

import json

import pytest

from .flex import CUSTOMER, ON, SERVICE, WORKFLOW, chat, make_channel, make_flow, task, tasks
from .test_flex_rest import refused


def test_a_flow_is_made_found_changed_and_deleted(twilio):
    flow = make_flow(twilio, enabled=True, long_lived=True)
    flows = twilio.flex_api.v1.flex_flow
    assert (flow.sid[:2], flow.enabled, flow.long_lived, flow.janitor_enabled) == ("FO", True, True, False)
    assert flow.integration["workflow_sid"] == WORKFLOW
    assert [one.sid for one in flows.list(friendly_name="Web chat")] == [flow.sid]
    assert flows.list(friendly_name="Another") == []
    assert flow.update(friendly_name="Renamed").channel_type == "custom"
    assert flows(flow.sid).fetch().friendly_name == "Renamed"
    assert flow.delete()
    assert (404, 20404) == refused(flow.fetch)


FLOWS = {
    "another chat service": ("task", {"chat_service_sid": "IS" + "0" * 32}),
    "unknown channel type": ("task", {"channel_type": "fax"}),
    "task without workflow": ("task", {"integration_workflow_sid": ""}),
    "another workspace": ("task", {"integration_workspace_sid": "WS" + "0" * 32}),
    "studio without flow": ("studio", {"integration_flow_sid": ""}),
    "external without address": ("external", {"integration_url": ""}),
    "too many retries": ("studio", {"integration_retry_count": 4}),
}


@pytest.mark.parametrize(("integration", "wrong"), FLOWS.values(), ids=FLOWS)
def test_a_flow_that_does_not_fit_is_refused(twilio, integration, wrong):
    assert (400, 20001) == refused(make_flow, twilio, integration, **wrong)
    make_flow(twilio, integration)


def test_one_flow_of_a_type_may_be_enabled(twilio):
    first = make_flow(twilio, enabled=True)
    assert refused(make_flow, twilio, enabled=True)[0] == 409
    second = make_flow(twilio)
    first.update(enabled=False)
    assert second.update(enabled=True).enabled


def test_a_channel_has_the_customer_in_it(twilio):
    channel = make_channel(twilio, make_flow(twilio), pre_engagement_data='{"page": "/cart"}')
    assert (channel.sid[:2], channel.user_sid[:2]) == ("CH", "US")
    assert [member.identity for member in chat(twilio, channel.sid).members.list()] == [CUSTOMER]
    attributes = json.loads(chat(twilio, channel.sid).fetch().attributes)
    assert attributes == {
        "from": CUSTOMER,
        "channel_type": "custom",
        "status": "ACTIVE",
        "long_lived": False,
        "pre_engagement_data": {"page": "/cart"},
    }


def test_a_task_flow_makes_a_task_at_once(twilio):
    made = make_channel(twilio, make_flow(twilio), task_attributes='{"name": "Ada L.", "memory": {"order": 7}}')
    waiting = task(twilio, made.task_sid).fetch()
    attributes = json.loads(waiting.attributes)
    assert (waiting.assignment_status, waiting.workflow_sid) == ("pending", WORKFLOW)
    assert attributes["channelSid"] == made.sid
    assert (attributes["name"], attributes["memory"], attributes["channelType"]) == ("Ada L.", {"order": 7}, "custom")


def test_a_task_may_wait_for_the_first_message(twilio):
    channel = make_channel(twilio, make_flow(twilio, integration_creation_on_message=True))
    assert (channel.task_sid, tasks(twilio).list()) == (None, [])
    chat(twilio, channel.sid).messages.create(body="Quiet")
    assert tasks(twilio).list() == []
    for _ in range(2):
        chat(twilio, channel.sid).messages.create(body="Loud", **ON)
    assert [waiting.sid for waiting in tasks(twilio).list()] == [channel.fetch().task_sid]


def test_a_studio_flow_says_something_and_makes_a_task_once(twilio):
    channel = make_channel(twilio, make_flow(twilio, "studio"))
    messages = chat(twilio, channel.sid).messages
    messages.create(from_=CUSTOMER, body="Quiet")
    assert (len(messages.list()), tasks(twilio).list()) == (1, [])
    for body in ("Loud", "Louder"):
        messages.create(from_=CUSTOMER, body=body, **ON)
    assert ["Quiet", "Loud", "Louder"] == [one.body for one in messages.list() if one._from == CUSTOMER]
    assert ["Studio"] == [one._from for one in messages.list() if one._from != CUSTOMER]
    assert len(tasks(twilio).list()) == 1


def test_an_open_channel_with_the_same_target_is_used_again(twilio):
    flow = make_flow(twilio)
    first, again = make_channel(twilio, flow), make_channel(twilio, flow)
    other = make_channel(twilio, flow, "webchat:v82")
    assert (first.sid, first.task_sid) == (again.sid, again.task_sid)
    assert other.sid != first.sid
    assert len(tasks(twilio).list()) == 2


@pytest.mark.parametrize("attributes", ["{}", '{"status": "ACTIVE"}', '{"status": "inactive"}'])
def test_a_channel_that_is_not_inactive_is_open(twilio, attributes):
    flow = make_flow(twilio)
    channel = make_channel(twilio, flow)
    chat(twilio, channel.sid).update(attributes=attributes)
    assert make_channel(twilio, flow).sid == channel.sid


def test_after_inactive_there_is_a_new_channel(twilio):
    flow = make_flow(twilio)
    channel = make_channel(twilio, flow)
    chat(twilio, channel.sid).update(attributes='{"status": "INACTIVE"}')
    new = make_channel(twilio, flow)
    assert (new.sid, new.task_sid) != (channel.sid, channel.task_sid)
    assert make_channel(twilio, flow).sid == new.sid


def test_without_a_target_every_channel_is_new(twilio):
    flow = make_flow(twilio)
    assert make_channel(twilio, flow, None).sid != make_channel(twilio, flow, None).sid


def test_a_deleted_channel_is_gone_everywhere(twilio):
    flow = make_flow(twilio)
    channel = make_channel(twilio, flow)
    assert [one.sid for one in twilio.flex_api.v1.channel.list()] == [channel.sid]
    assert channel.delete()
    assert (404, 20404) == refused(chat(twilio, channel.sid).fetch)
    assert twilio.flex_api.v1.channel.list() == []
    assert make_channel(twilio, flow).sid != channel.sid


def test_a_channel_needs_a_flow_and_good_json(twilio):
    flow = make_flow(twilio)
    assert (400, 20001) == refused(make_channel, twilio, flow, task_attributes="[]")
    flow.delete()
    assert (400, 20001) == refused(make_channel, twilio, flow)


def test_the_chat_service_is_in_every_answer(twilio):
    channel = chat(twilio, make_channel(twilio, make_flow(twilio)).sid).fetch()
    assert (channel.service_sid, channel.members_count, channel.messages_count) == (SERVICE, 1, 0)
