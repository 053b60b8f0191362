"""Who may call, how refusals read, how lists are paged, and faults."""

import json

import pytest
import requests
from twilio.base.exceptions import TwilioException, TwilioRestException

from app.sandbox import SandboxSettings, create_app

from .flex import (
    CUSTOMER,
    PASSWORD,
    SERVICE,
    WORKSPACE,
    chat,
    connect,
    conversation,
    make_channel,
    make_conversation,
    make_flow,
    seen,
    task,
)

FLOWS = "/twilio/flex-api/v1/FlexFlows"
NOBODY = "0" * 32


def refused(call, *arguments, **options):
    """Status and code; for lists the SDK has an exception with the bare answer in it."""
    with pytest.raises(TwilioException) as caught:
        call(*arguments, **options)
    if isinstance(caught.value, TwilioRestException):
        return caught.value.status, caught.value.code
    answer = caught.value.args[1]
    return answer.status_code, json.loads(answer.text)["code"]


def test_a_wrong_token_is_refused(served):
    stranger = connect(served, "wrong")
    assert (401, 20003) == refused(stranger.flex_api.v1.flex_flow.list)
    assert (401, 20003) == refused(stranger.taskrouter.v1.workspaces(WORKSPACE).tasks.list)
    assert {entry["status"] for entry in seen(served)["refused"]} == {401}


def test_without_a_password_every_path_is_closed(served):
    for path in (FLOWS, "/twilio/chat/v2/nowhere", "/twilio/mcs/v1/Services/x/Media"):
        answer = requests.get(served + path)
        assert (answer.status_code, answer.json()["code"]) == (401, 20003)


def test_a_refusal_has_twilios_form(served):
    answer = requests.post(served + FLOWS, data={"FriendlyName": "x"}, auth=PASSWORD)
    assert answer.status_code == 400
    assert answer.json() == {
        "code": 20001,
        "message": "Invalid parameter ChatServiceSid: is missing",
        "more_info": "https://www.twilio.com/docs/errors/20001",
        "status": 400,
    }


def test_unknown_resources_are_not_found(twilio):
    lookups = [
        twilio.flex_api.v1.flex_flow("FO" + NOBODY).fetch,
        twilio.flex_api.v1.channel("CH" + NOBODY).fetch,
        twilio.flex_api.v1.interaction("KD" + NOBODY).fetch,
        chat(twilio, "CH" + NOBODY).fetch,
        conversation(twilio, "CH" + NOBODY).fetch,
        task(twilio, "WT" + NOBODY).fetch,
        twilio.conversations.v1.address_configurations("IG" + NOBODY).fetch,
    ]
    assert {refused(lookup) for lookup in lookups} == {(404, 20404)}


def test_another_service_or_workspace_is_not_found(twilio):
    channel = make_channel(twilio, make_flow(twilio))
    other = "IS" + NOBODY
    assert (404, 20404) == refused(twilio.chat.v2.services(other).channels(channel.sid).fetch)
    assert (404, 20404) == refused(twilio.conversations.v1.services(other).conversations.list)
    assert (404, 20404) == refused(twilio.taskrouter.v1.workspaces("WS" + NOBODY).tasks.list)


def test_the_generations_do_not_see_each_other(twilio):
    channel = make_channel(twilio, make_flow(twilio))
    room = make_conversation(twilio)
    assert (404, 20404) == refused(conversation(twilio, channel.sid).fetch)
    assert (404, 20404) == refused(chat(twilio, room.sid).fetch)


FORMS = {
    "unknown parameter": ({"Frm": "x", "Body": "Hi"}, "Frm: is not a known parameter"),
    "given twice": ([("Body", "a"), ("Body", "b")], "Body: is given twice"),
    "nothing said": ({"From": "x"}, "Body: is missing, a message needs Body or MediaSid"),
    "attributes that are no JSON": ({"Body": "a", "Attributes": "{"}, "Attributes: is not valid JSON"),
    "attributes that are no object": ({"Body": "a", "Attributes": "[]"}, "Attributes: must be an object, not an array"),
    "a sid of another kind": ({"MediaSid": "IM" + NOBODY}, "MediaSid: must be ME and 32 hex digits"),
    "media that is not there": ({"MediaSid": "ME" + NOBODY}, f"MediaSid: ME{NOBODY} does not exist"),
    "a date without zone": ({"Body": "a", "DateCreated": "2026-01-01T00:00:00"}, "DateCreated: must say its time zone"),
}


@pytest.mark.parametrize(("form", "reason"), FORMS.values(), ids=FORMS)
def test_a_form_that_does_not_fit_is_named(served, twilio, form, reason):
    channel = make_channel(twilio, make_flow(twilio))
    path = f"{served}/twilio/chat/v2/Services/{SERVICE}/Channels/{channel.sid}/Messages"
    answer = requests.post(path, data=form, auth=PASSWORD)
    assert (400, f"Invalid parameter {reason}") == (answer.status_code, answer.json()["message"])
    assert chat(twilio, channel.sid).messages.list() == []


def test_json_in_place_of_a_form_is_refused(served):
    answer = requests.post(served + FLOWS, json={"FriendlyName": "x"}, auth=PASSWORD)
    assert "Content-Type" in answer.json()["message"]


@pytest.mark.parametrize("value", ["True", "1", ""])
def test_the_webhook_header_is_lower_case(served, twilio, value):
    channel = make_channel(twilio, make_flow(twilio))
    path = f"{served}/twilio/chat/v2/Services/{SERVICE}/Channels/{channel.sid}/Messages"
    headers = {"X-Twilio-Webhook-Enabled": value}
    answer = requests.post(path, data={"Body": "Hi"}, auth=PASSWORD, headers=headers)
    assert (answer.status_code, "X-Twilio-Webhook-Enabled" in answer.text) == (400, True)


@pytest.mark.parametrize("order", ["asc", "desc"])
def test_pages_are_followed_while_new_messages_come(twilio, order):
    room = make_conversation(twilio)
    messages = conversation(twilio, room.sid).messages
    for number in range(5):
        messages.create(body=str(number))
    first = messages.page(order=order, page_size=2)
    bodies = [message.body for message in first]
    messages.create(body="late")
    following = first.next_page()
    while following:
        bodies += [message.body for message in following]
        following = following.next_page()
    expected = ["0", "1", "2", "3", "4", "late"] if order == "asc" else ["4", "3", "2", "1", "0"]
    assert expected == bodies


def test_the_last_page_has_no_next_one(twilio):
    room = make_conversation(twilio)
    for number in range(2):
        conversation(twilio, room.sid).messages.create(body=str(number))
    assert conversation(twilio, room.sid).messages.page(page_size=2).next_page() is None


def test_a_list_is_walked_back_as_it_was_walked_on(twilio):
    room = conversation(twilio, make_conversation(twilio).sid)
    for number in range(5):
        room.messages.create(body=str(number))
    pages = [room.messages.page(page_size=2)]
    while following := pages[-1].next_page():
        pages.append(following)
    assert pages[0].previous_page() is None
    back = pages[-1].previous_page()
    assert [message.body for message in back] == ["2", "3"]
    assert [message.body for message in back.next_page()] == ["4"]
    assert [message.body for message in back.previous_page()] == ["0", "1"]
    assert back.previous_page().previous_page() is None


def test_the_addresses_of_a_page_are_encoded(served, twilio):
    for name in ("grüße & ich", "2"):
        made = make_conversation(twilio, identity="webchat:ü +1", unique_name=name)
    place = f"{served}/twilio/conversations/v1"
    query = "Identity=webchat%3A%C3%BC%20%2B1&PageSize=1"
    meta = requests.get(f"{place}/ParticipantConversations?{query}", auth=PASSWORD).json()["meta"]
    asked = f"{place}/ParticipantConversations?Identity=webchat%3A%C3%BC+%2B1&PageSize=1&Page="
    assert (f"{asked}0", f"{asked}0") == (meta["url"], meta["first_page_url"])
    assert meta["next_page_url"].startswith(f"{asked}1&PageToken=PAMB")
    last = requests.get(meta["next_page_url"], auth=PASSWORD).json()
    assert last["meta"]["url"] == meta["next_page_url"]
    assert [one["conversation_sid"] for one in last["conversations"]] == [made.sid]
    by_name = f"{place}/Conversations/gr%C3%BC%C3%9Fe%20%26%20ich/Messages"
    assert requests.get(by_name, auth=PASSWORD).json()["meta"]["url"] == f"{by_name}?PageSize=50&Page=0"


def test_a_list_may_be_longer_than_a_page(twilio):
    room = make_conversation(twilio)
    for number in range(120):
        conversation(twilio, room.sid).messages.create(body=str(number))
    listed = conversation(twilio, room.sid).messages.list(limit=500)
    assert [str(number) for number in range(120)] == [message.body for message in listed]


@pytest.mark.parametrize("query", ["Page=1", "Page=1&PageToken=x", "PageToken=PACH0", "PageToken=PBCH0", "PageSize=0"])
def test_a_page_that_is_not_there_is_refused(served, query):
    answer = requests.get(f"{served}{FLOWS}?{query}", auth=PASSWORD)
    assert (answer.status_code, "Page" in answer.json()["message"]) == (400, True)


def switch_on(served, kind, **more):
    assert requests.post(f"{served}/faults", json={"target": "flex", "kind": kind, **more}).ok


def test_a_failure_meets_only_its_path_and_method(served, twilio):
    channel = make_channel(twilio, make_flow(twilio))
    switch_on(served, "fail", path="/Messages", method="POST", status=429, retry_after=7)
    assert len(chat(twilio, channel.sid).messages.list()) == 0
    chat(twilio, channel.sid).fetch()
    path = f"{served}/twilio/chat/v2/Services/{SERVICE}/Channels/{channel.sid}/Messages"
    failed = requests.post(path, data={"Body": "Hi"}, auth=PASSWORD)
    assert (failed.status_code, failed.headers["Retry-After"], failed.json()["code"]) == (429, "7", 20429)
    assert requests.post(path, data={"Body": "Hi"}, auth=PASSWORD).status_code == 201


def test_a_connection_closed_afterwards_keeps_the_message(served, twilio):
    room = make_conversation(twilio)
    switch_on(served, "close_after", path="/Messages")
    with pytest.raises(requests.ConnectionError):
        conversation(twilio, room.sid).messages.create(author=CUSTOMER, body="Hi", attributes='{"id": "m1"}')
    assert [message.body for message in conversation(twilio, room.sid).messages.list()] == ["Hi"]


def test_a_connection_closed_before_keeps_nothing(served, twilio):
    room = make_conversation(twilio)
    switch_on(served, "close", path="/Messages")
    with pytest.raises(requests.ConnectionError):
        conversation(twilio, room.sid).messages.create(body="Hi")
    assert conversation(twilio, room.sid).messages.list() == []


def test_a_delay_holds_the_request_back(served):
    switch_on(served, "delay", seconds=30)
    with pytest.raises(requests.Timeout):
        requests.get(served + FLOWS, auth=PASSWORD, timeout=0.3)
    requests.delete(f"{served}/faults")
    assert requests.get(served + FLOWS, auth=PASSWORD).status_code == 200


def test_a_ready_flow_is_there_from_the_start_and_after_a_reset():
    flow_sid = "FO" + "1" * 32
    client = create_app(SandboxSettings(flex_flow_sid=flow_sid)).test_client()
    for _ in range(2):
        flow = client.get(f"{FLOWS}/{flow_sid}", auth=PASSWORD).get_json()
        assert (flow["channel_type"], flow["integration_type"], flow["enabled"]) == ("custom", "task", True)
        client.delete("/inspect")


def test_a_reset_forgets_everything(served, twilio):
    empty = seen(served)
    make_channel(twilio, make_flow(twilio))
    make_conversation(twilio)
    assert empty != seen(served)
    requests.delete(f"{served}/inspect")
    assert empty == seen(served)
