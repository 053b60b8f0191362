"""What agents get to know of the customer with a task and a thread."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from app.core.message import Message, Profile, Text
from app.platforms.flex.attributes import Customer, filled, task_attributes
from app.platforms.flex.chat import FlexChatDestination
from tests.platforms.flex.generations import CHAT_VALUES, Generation
from tests.platforms.flex.world import CUSTOMER, MESSAGE, MORE, PROFILE, SLACK, TALK, Place
from tests.support.values import THOROUGH


def test_the_customer_without_a_profile_is_their_address(place: Place) -> None:
    place.deliver(replace(MESSAGE, profile=None))
    attributes = orjson.loads(place.tasks[0].attributes)
    assert {"customerName": CUSTOMER, "name": CUSTOMER}.items() <= attributes.items()
    assert "email" not in attributes
    assert f"shop {CUSTOMER}" == place.chats[0]["friendly_name"]


def test_what_the_configuration_adds_to_a_task(flex_sandbox: str, generation: Generation) -> None:
    more = {"task_attributes": {"shop": "north", "channel": "mine"}, "pre_engagement": {"page": "/parcels"}}
    place = Place(generation.first, flex_sandbox, more)
    place.deliver()
    attributes = orjson.loads(place.tasks[0].attributes)
    assert ("north", "mine", "ada@example.test", "GB") == tuple(
        attributes[name] for name in ("shop", "channel", "email", "country")
    )
    known = orjson.loads(place.chats[0]["attributes"])["pre_engagement_data"]
    assert {"friendlyName": "Ada Lovelace", "page": "/parcels", "locale": "en-GB"}.items() <= known.items()


@pytest.mark.parametrize("limit", [500, 4_000])
@pytest.mark.parametrize("word", ["x", "ш", "👍"])
def test_a_task_holds_as_much_as_its_limit_allows_and_the_newest_words(
    word: str,
    limit: int,
    flex_sandbox: str,
    generation: Generation,
) -> None:
    place = Place(generation.first, flex_sandbox, {"attributes_limit": limit})
    talk = [replace(MESSAGE, id=f"{n:032}", content=Text(f"{n} {word * 9}")) for n in range(400)]
    place.open(*talk[-100:], memory={"order": "1001"})
    attributes = place.told_task()
    size = len(orjson.dumps(attributes))
    line = len(orjson.dumps({"author": "customer", "text": talk[-1].content.text})) + 1  # type: ignore[union-attr]
    assert limit - line - SLACK < size <= limit
    assert {"order": "1001"} == attributes["memory"]
    shown = [line["text"].partition(" ")[0] for line in attributes["transcript"]]
    assert [str(n) for n in range(400 - len(shown), 400)] == shown
    assert [m.id for m in talk[-100:]] == place.marks()


def test_a_memory_that_is_too_large_is_left_out_and_the_words_stay(place: Place) -> None:
    place.open(*TALK, memory={"order": "ш" * 2_000})
    attributes = place.told_task()
    assert "memory" not in attributes
    assert 4 == len(attributes["transcript"])


def test_no_try_is_named_in_a_task(place: Place) -> None:
    place.deliver()
    assert "patchbayOpening" not in str(place.told_task())


def test_a_chat_that_is_opened_for_a_message_knows_what_the_bot_knew(place: Place) -> None:
    place.context = {"order": "M-PB 1"}
    place.open(*TALK, memory=place.context)
    place.delete()
    place.deliver(replace(MORE, id="9" * 32))
    attributes = place.told_task()
    assert ({"order": "M-PB 1"}, False) == (attributes["memory"], "transcript" in attributes)


def test_a_long_transcript_is_told_in_full_and_cut_in_the_task(place: Place) -> None:
    long = [replace(MESSAGE, id=f"{n:032}", content=Text(f"{n}" * 1_000)) for n in range(1, 6)]
    place.open(*long)
    assert [m.id for m in long] == place.marks()
    shown = orjson.loads(place.tasks[0].attributes)["transcript"]
    assert ["3", "4", "5"] == [line["text"][0] for line in shown]


def test_a_long_name_is_cut_wherever_it_is_told(place: Place) -> None:
    name = "👩‍👧" * 85
    place.open(replace(MESSAGE, profile=Profile(name)))
    attributes = place.told_task()
    assert "👩‍👧" * 23 == attributes["name"] == attributes["customerName"]


# --- pure rules ---


words = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)


@THOROUGH
@given(st.lists(st.sampled_from(["{name}", "{address}", "{channel}", "{{", "}}", " ", "x", "{name:}"])), words, words)
def test_a_template_that_was_taken_can_always_be_filled(parts: list[str], name: str, ident: str) -> None:
    template = "".join(parts)
    FlexChatDestination.Settings().load({**CHAT_VALUES, "chat_name": template})
    message = replace(MESSAGE, customer=f"webchat:{ident}", profile=replace(PROFILE, name=name))
    customer = Customer(message.conversation, message.profile)
    assert len(filled(template, customer)) <= 256
    assert (name or f"webchat:{ident}")[:256] == filled("{name}", customer)


lines = st.lists(st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=300), max_size=9)


@THOROUGH
@given(st.dictionaries(words, words | st.integers(0, 9), max_size=9), lines, st.integers(500, 2_000), words)
def test_a_tasks_attributes_stay_within_their_limit(
    memory: dict[str, Any], said: list[str], limit: int, more: str
) -> None:
    raw = {**CHAT_VALUES, "attributes_limit": limit}
    settings = FlexChatDestination.Settings().load(raw)
    talk: list[Message] = [replace(MESSAGE, id=f"{n:032}", content=Text(text)) for n, text in enumerate(said)]
    customer = Customer(MESSAGE.conversation, PROFILE, memory, talk)
    found = task_attributes(customer, settings, channelType=more)
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
    settings = FlexChatDestination.Settings().load({**CHAT_VALUES, "attributes_limit": 1_000})

    def attributes(memory: dict[str, str], *talk: Message) -> dict[str, Any]:
        return task_attributes(Customer(MESSAGE.conversation, PROFILE, memory, talk), settings)

    room = 1_000 - len(orjson.dumps(attributes({"order": ""})))
    found = attributes({"order": "x" * (room - spare)}, replace(MESSAGE, content=Text("y")))
    assert len(orjson.dumps(found)) <= 1_000
    if spare >= SLACK:
        assert "memory" in found
    need = len(b',"transcript":[{"author":"customer","text":"y"}]')
    if "memory" in found and spare >= need + SLACK:
        assert "transcript" in found
