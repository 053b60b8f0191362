"""Interactions: what routes a conversation to people, and may fail."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from app.core.errors import Failure
from app.http import Response
from tests.platforms.flex.generations import CONVERSATIONS, Generation
from tests.platforms.flex.line import Died, failing
from tests.platforms.flex.world import CUSTOMER, MORE, Kept, Place, revive
from tests.sandbox.flex import WORKFLOW, WORKSPACE, seen


@pytest.fixture
def generation() -> Generation:
    return CONVERSATIONS


def test_an_interaction_is_made_around_the_conversation(place: Place) -> None:
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


def test_an_interaction_is_found_again_by_its_task(place: Place) -> None:
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


def test_the_interaction_of_a_conversation_that_was_lost_is_not_taken_for_the_new_ones(place: Place) -> None:
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


def test_an_open_conversation_whose_books_were_lost_keeps_its_interaction(place: Place) -> None:
    place.deliver()
    lost, place.kept = place.kept.handles, Kept()
    place.deliver(MORE)
    assert 1 == len(seen(place.url)["interactions"])
    assert lost["interaction"] == place.kept.handles["interaction"]
    place.close()
    assert "canceled" == place.tasks[0].assignment_status


def failed_interaction(call: Any) -> Response | None:
    is_channel = call.method == "GET" and "/Interactions/" in call.path
    return Response(200, {}, b'{"sid":"UO1","status":"failed"}') if is_channel else None


def test_an_interaction_that_could_not_be_set_up_is_an_end(place: Place) -> None:
    place.deliver()
    place.line.instead = failed_interaction
    assert place.poll(0).over


def test_the_conversation_of_a_failed_interaction_is_closed_so_that_it_is_not_used_again(place: Place) -> None:
    place.deliver()
    first = place.chat
    place.line.instead = failed_interaction
    place.close("platform")
    assert place.is_over()
    place.line.instead = lambda call: None
    place.kept = Kept()
    place.deliver(MORE)
    assert first != place.chat


def test_a_failed_interaction_needs_no_close_of_its_own(place: Place) -> None:
    place.deliver()
    place.line.instead = failed_interaction
    place.close("customer")
    assert place.is_over()
    assert [] == [call for call in place.line.posts if "/Channels/" in call]


def test_a_poll_of_an_interaction_that_is_gone_says_nothing_of_the_chat(place: Place) -> None:
    place.deliver()
    place.kept.handles["interaction"] = "KD" + "0" * 32
    assert not place.poll().over


@pytest.mark.parametrize("missing", ["interaction", "interaction_channel"])
def test_an_interaction_that_is_not_known_in_full_is_not_asked(missing: str, place: Place) -> None:
    place.deliver()
    place.kept.handles[missing] = ""
    number = len(place.line.calls)
    assert not place.poll().over
    place.close()
    assert place.is_over()
    assert [] == [call for call in place.line.made[number:] if "Interactions" in call]


def test_a_close_ends_the_interaction_with_a_routing_status(place: Place) -> None:
    place.deliver()
    place.accept()
    number = len(place.line.calls)
    place.close()
    closing, *_ = [call for call in place.line.calls[number:] if call.method == "POST"]
    assert "POST flex-api/v1/Interactions/{KD}/Channels/{UO}" == str(closing)
    assert {"Status": "closed", "Routing": '{"status":"closed"}'} == dict(closing.form)
    assert ("completed", True) == (place.tasks[0].assignment_status, place.is_over())
