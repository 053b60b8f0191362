"""A thread on its way to stand: no step is doubled or skipped, whenever the worker dies."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from msgspec.structs import replace

from app.core.errors import Failure
from tests.platforms.flex.generations import SETUPS, Generation
from tests.platforms.flex.line import Died, failing
from tests.platforms.flex.world import (
    AGENT,
    CONVERSATION,
    CUSTOMER,
    MESSAGE,
    MORE,
    Kept,
    Place,
    clean_state,
    deaths,
    die_at,
    revive,
)

DEATHS = deaths(SETUPS, lambda setup: setup.calls, lambda setup: setup.keeps)
at_each_death = pytest.mark.parametrize("death", DEATHS.values(), ids=DEATHS)


def test_the_number_of_steps(each_place: Place) -> None:
    each_place.deliver()
    expected = (each_place.setup.calls, each_place.setup.keeps)
    assert expected == (len(each_place.line.calls), each_place.kept.count)


@at_each_death
def test_a_crash_on_the_way_doubles_and_skips_nothing(death: Any, flex_sandbox: str) -> None:
    setup, moment, number = death
    expected = clean_state(setup, flex_sandbox, "deliver")
    place = Place(setup, flex_sandbox)
    die_at(place, moment, number)
    with pytest.raises(Died):
        place.deliver()
    revive(place)
    answer = place.deliver(uncertain=True)
    assert expected == place.state()
    assert place.marks()[int(str(answer.receipt.external_id).partition("/")[2])] == MESSAGE.id
    assert place.kept.handles == answer.handles
    assert place.kept.handles["ready"] is True
    assert {-1} == set(place.kept.seen)


def test_a_chat_that_stands_takes_the_next_message_in_one_call(each_place: Place) -> None:
    place = each_place
    first = place.deliver()
    before = len(place.line.calls)
    second = place.deliver(MORE)
    asks = 1 if place.is_chat else 0  # whether the chat is over
    assert 1 + asks == len(place.line.calls) - before
    assert first.handles == second.handles == place.kept.handles
    customers = [said for said in place.said() if said[0] == CUSTOMER]
    assert [(CUSTOMER, "Where is my parcel?"), (CUSTOMER, "To people, please")] == customers


def test_a_conversation_may_be_the_target(flex_sandbox: str, generation: Generation) -> None:
    place = Place(generation.first, flex_sandbox, {"target": "conversation"})
    place.deliver()
    assert (CONVERSATION, "Where is my parcel?") == place.said()[0]
    assert CONVERSATION == place.kept.handles["identity"]
    assert [CONVERSATION] == [member["identity"] for member in place.chats[0]["members"]]
    assert {"customerAddress": CUSTOMER}.items() <= orjson.loads(place.tasks[0].attributes).items()


def test_an_open_chat_of_the_customer_is_used_again_and_its_past_is_no_news(each_place: Place) -> None:
    place = each_place
    place.deliver()
    chat, hooks, past = place.chat, place.hooks(), len(place.said())
    lost, place.kept = place.kept, Kept()
    assert lost.seen == [-1]
    place.deliver(MORE)
    assert (chat, [past - 1], hooks) == (place.chat, place.kept.seen, place.hooks())
    assert 1 == len(place.chats)
    assert {name for name in lost.handles if name != "task"} <= set(place.kept.handles)
    assert place.poll(place.kept.seen[-1]).written == ()


def test_an_open_chat_of_another_customer_is_left_alone(each_place: Place) -> None:
    place = each_place
    place.deliver()
    first, place.kept = place.chat, Kept()
    place.deliver(replace(MESSAGE, id="9" * 32, customer="webchat:v82"))
    assert first != place.chat
    assert CUSTOMER not in [author for author, _ in place.said()]


def test_names_are_cut_to_what_is_allowed(flex_sandbox: str, generation: Generation) -> None:
    more = {"chat_name": "{channel}/{address}/{name}/" + "x" * 400}
    place = Place(generation.first, flex_sandbox, more)
    place.deliver()
    assert f"shop/{CUSTOMER}/Ada Lovelace/".ljust(256, "x") == place.chats[0]["friendly_name"]


# --- threads that are given up before they stand ---


@at_each_death
def test_a_half_open_chat_is_taken_down_and_an_open_one_left(death: Any, flex_sandbox: str) -> None:
    setup, moment, number = death
    place = Place(setup, flex_sandbox)
    die_at(place, moment, number)
    with pytest.raises(Died):
        place.deliver()
    revive(place)
    stands, half = bool(place.kept.handles.get("ready")), bool(place.kept.handles)
    assert (half and not stands) == place.desk.abandon(place.session, place.line)
    if half:
        assert stands == bool(place.chats)
    if half and not stands:
        assert [] == [task for task in place.tasks if task.assignment_status == "pending"]
        assert place.desk.abandon(place.session, place.line)


def give_up(place: Place, who: Any) -> None:
    """With the session's end, or because the opening failed for good."""
    if who:
        place.close(who)
    else:
        assert place.desk.abandon(place.session, place.line)


@pytest.mark.parametrize("who", ["", "platform", "customer"])
def test_a_chat_that_was_found_open_ends_with_its_task_and_keeps_what_was_said_in_it(who: Any, place: Place) -> None:
    place.deliver()
    place.accept()
    place.agent_says("I am with you")
    place.kept = Kept()
    place.kept.dies_before = 1
    with pytest.raises(Died):
        place.deliver(MORE)
    assert not place.is_over()
    give_up(place, who)
    assert [(CUSTOMER, "Where is my parcel?"), (AGENT, "I am with you")] == place.said()
    assert (True, "completed") == (place.is_over(), place.tasks[0].assignment_status)


@pytest.mark.parametrize("who", ["", "platform", "customer"])
@pytest.mark.parametrize("name", ["first", "studio"])
def test_a_fresh_chat_in_which_somebody_spoke_before_it_stood_is_ended(
    name: str,
    who: Any,
    flex_sandbox: str,
    generation: Generation,
) -> None:
    place = Place(generation.setups.get(name, generation.first), flex_sandbox)
    place.line.instead = failing(400, "POST", "/Webhooks")
    with pytest.raises(Failure):
        place.deliver()
    place.api_says(AGENT, "Hello, how can I help you?")
    assert not place.kept.handles.get("ready")
    give_up(place, who)
    assert [(AGENT, "Hello, how can I help you?")] == place.said()
    assert place.is_over()
    assert [] == [task for task in place.tasks if task.assignment_status == "pending"]
    before = place.state()
    give_up(place, who)
    assert before == place.state()


def test_the_next_message_after_that_opens_another_chat(place: Place) -> None:
    place.line.instead = failing(400, "POST", "/Webhooks")
    with pytest.raises(Failure):
        place.deliver()
    place.api_says(AGENT, "Hello")
    first = place.chat
    give_up(place, "")
    place.line.instead, place.kept = (lambda call: None), Kept()
    place.deliver(replace(MORE, id="9" * 32))
    assert first != place.chat
    assert [(CUSTOMER, "To people, please")] == place.said()


@pytest.mark.parametrize("who", ["", "platform", "customer"])
def test_a_fresh_chat_in_which_nobody_spoke_is_deleted(who: Any, place: Place) -> None:
    place.line.instead = failing(400, "POST", "/Webhooks")
    with pytest.raises(Failure):
        place.deliver()
    assert 1 == len(place.chats)
    give_up(place, who)
    assert [] == place.chats
    assert [] == [task for task in place.tasks if task.assignment_status == "pending"]


def test_a_close_takes_a_half_open_chat_down(place: Place) -> None:
    place.kept.dies_after = 1
    with pytest.raises(Died):
        place.deliver()
    place.close("platform")
    assert place.chats == []
