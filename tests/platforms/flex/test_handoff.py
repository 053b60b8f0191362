"""A handoff shows what was said so far, once and in order."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from msgspec.structs import replace

from app.core.errors import Failure
from app.core.message import Message, Text, derived_id
from tests.platforms.flex.generations import SETUPS
from tests.platforms.flex.line import Died, failing_at
from tests.platforms.flex.world import (
    CUSTOMER,
    LAST,
    MESSAGE,
    MORE,
    REPLY,
    TALK,
    Kept,
    Place,
    clean_state,
    deaths,
    die_at,
    revive,
)

# The opening has neither a delivery's message nor the question after it; then four messages, each remembered.
DEATHS = deaths(SETUPS, lambda s: s.calls - (2 if s.is_chat else 1) + len(TALK), lambda s: s.keeps + len(TALK))


def test_a_handoff_shows_what_was_said_and_known(each_place: Place) -> None:
    place = each_place
    answer = place.open(*TALK, memory={"order": "M-PB 1"})
    assert place.kept.handles == answer.handles
    assert {"chat": place.chat, "told": LAST.id} == place.kept.progress
    expected = [
        (CUSTOMER, "Where is my parcel?"),
        ("helper", "Good day!"),
        (CUSTOMER, "To people, please"),
        ("helper", "I fetch somebody."),
    ]
    assert expected == [said for said in place.said() if said[0] != "Studio"]
    said = [call for call in place.line.calls if call.method == "POST" and call.path.endswith("/Messages")]
    assert ["false", "false", "true", "false"] == [call.headers["x-twilio-webhook-enabled"] for call in said]
    assert [m.id for m in TALK] == [mark for mark in place.marks() if mark]
    assert 1 == len(place.tasks)
    if "studio" not in str(place.setup.values):
        attributes = orjson.loads(place.tasks[0].attributes)
        assert {"order": "M-PB 1"} == attributes["memory"]
        assert [
            {"author": "customer", "text": "Where is my parcel?"},
            {"author": "bot", "text": "Good day!"},
            {"author": "customer", "text": "To people, please"},
            {"author": "bot", "text": "I fetch somebody."},
        ] == attributes["transcript"]


@pytest.mark.parametrize("death", DEATHS.values(), ids=DEATHS)
def test_a_crash_in_a_handoff_doubles_and_skips_nothing(death: Any, flex_sandbox: str) -> None:
    setup, moment, number = death
    expected = clean_state(setup, flex_sandbox, "open")
    place = Place(setup, flex_sandbox)
    die_at(place, moment, number)
    with pytest.raises(Died):
        place.open(*TALK, memory={"order": "M-PB 1"})
    revive(place)
    place.open(*TALK, memory={"order": "M-PB 1"}, uncertain=True)
    assert expected == place.state()


@pytest.mark.parametrize("status", [429, 503])
def test_a_handoff_that_stopped_within_a_message_does_not_repeat_its_parts(status: int, each_place: Place) -> None:
    place = each_place
    talk = (REPLY, replace(MESSAGE, content=Text("a" * 1_600 + "b" * 9)), LAST)
    place.line.instead = failing_at(2, status)
    with pytest.raises(Failure) as raised:
        place.open(*talk)
    assert not raised.value.maybe_done
    assert {"chat": place.chat, "told": REPLY.id} == place.kept.progress
    place.open(*talk, uncertain=raised.value.maybe_done)
    told = [body for author, body in place.said() if author != "Studio"]
    assert ["Good day!", "a" * 1_600, "b" * 9, "I fetch somebody."] == told
    assert 1 == len(place.tasks)


WINDOWS: dict[str, tuple[tuple[Message, ...], list[Message]]] = {
    "it grew": ((*TALK, replace(MESSAGE, id="b" * 32)), [*TALK, replace(MESSAGE, id="b" * 32)]),
    "it moved on": ((MORE, LAST), list(TALK)),
    "it moved beyond what was told": ((LAST,), [MESSAGE, REPLY, LAST]),
    "it holds what was told alone": ((MESSAGE, REPLY), [MESSAGE, REPLY]),
}


@pytest.mark.parametrize(("window", "expected"), WINDOWS.values(), ids=WINDOWS)
def test_a_handoff_goes_on_behind_the_last_message_that_was_told(
    window: tuple[Message, ...], expected: list[Message], place: Place
) -> None:
    place.line.instead = failing_at(2, 503)
    with pytest.raises(Failure):
        place.open(*TALK)
    assert {"chat": place.chat, "told": REPLY.id} == place.kept.progress
    place.open(*window)
    assert [message.id for message in expected] == place.marks()


def test_what_was_told_in_a_chat_that_vanished_is_told_anew(place: Place) -> None:
    place.line.instead = failing_at(2, 503)
    with pytest.raises(Failure):
        place.open(*TALK)
    place.delete()
    place.open(*TALK)
    assert [message.id for message in TALK] == place.marks()


def test_words_too_long_for_a_message_are_told_in_parts(place: Place) -> None:
    place.open(replace(MESSAGE, content=Text("x" * 1_700)), REPLY)
    assert [1_600, 100, 9] == [len(body or "") for _, body in place.said()]
    assert [MESSAGE.id, derived_id(MESSAGE.id, 1), REPLY.id] == place.marks()


def test_a_handoff_with_nothing_said_opens_a_chat(place: Place) -> None:
    place.open()
    assert (1, []) == (len(place.chats), place.said())
    assert f"shop {CUSTOMER}" == place.chats[0]["friendly_name"]


def test_each_handoff_has_a_chat_of_its_own_once_the_last_is_over(place: Place) -> None:
    place.open(*TALK)
    first = place.chat
    place.close("customer")
    place.kept = Kept()
    place.deliver(MORE)
    assert first != place.chat
