"""The customer's messages in a thread, and threads that are gone."""

from __future__ import annotations

import pytest
import requests
from msgspec.structs import replace

from app.core import errors
from app.core.errors import Failure
from app.core.message import Attachment, Location, Text, derived_id
from app.core.render import render
from app.http import Response
from tests.platforms.flex.generations import Generation
from tests.platforms.flex.line import failing
from tests.platforms.flex.world import AGENT, CUSTOMER, MESSAGE, MORE, Place


def test_what_the_platform_can_do(generation: Generation) -> None:
    can = generation.build().capabilities
    assert (True, True, True, 1_600, frozenset({"text", "attachment"}), frozenset()) == (
        can.resend_safe, can.statuses, can.people, can.text_limit, can.contents, can.described,
    )  # fmt: skip


def test_a_message_says_who_and_which_and_wakes_the_webhooks(place: Place, generation: Generation) -> None:
    place.deliver()
    answer = place.deliver(MORE)
    call = next(call for call in reversed(place.line.calls) if call.method == "POST")
    assert [
        (generation.author_field, CUSTOMER),
        ("Attributes", '{"patchbay":{"id":"' + MORE.id + '"}}'),
        ("Body", "To people, please"),
    ] == call.form
    assert {"x-twilio-webhook-enabled": "true"} == call.headers
    assert (f"{place.chat}/1", "sent") == (answer.receipt.external_id, answer.receipt.status)
    assert [MESSAGE.id, MORE.id] == place.marks()


def test_a_message_that_may_be_there_is_looked_for_first(place: Place) -> None:
    place.deliver()
    first, number = place.deliver(MORE), len(place.line.calls)
    again = place.deliver(MORE, uncertain=True)
    assert first.receipt == again.receipt
    assert {"GET"} == {made.partition(" ")[0] for made in place.line.made[number:]}
    place.deliver(replace(MORE, id="7" * 32), uncertain=True)
    assert [MESSAGE.id, MORE.id, "7" * 32] == place.marks()


def test_a_message_that_is_there_is_found_among_many_others(place: Place) -> None:
    place.deliver()
    place.deliver(MORE)
    for number in range(40):
        place.api_says(AGENT, f"{number}")
    place.deliver(MORE, uncertain=True)
    assert 1 == place.marks().count(MORE.id)


def test_a_lost_answer_is_a_message_that_may_be_there(place: Place, flex_sandbox: str) -> None:
    place.deliver()
    fault = {"target": "flex", "kind": "close_after", "path": "/Messages", "method": "POST"}
    assert requests.post(f"{flex_sandbox}/faults", json=fault, timeout=5).ok
    with pytest.raises(Failure) as raised:
        place.deliver(MORE)
    assert raised.value.maybe_done
    place.deliver(MORE, uncertain=True)
    assert [MESSAGE.id, MORE.id] == place.marks()


ANSWERS: dict[str, bytes] = {
    "nothing": b"",
    "no JSON": b"<html>",
    "an array": b"[]",
    "null": b"null",
    "an empty object": b"{}",
}


@pytest.mark.parametrize("body", ANSWERS.values(), ids=ANSWERS)
def test_a_message_that_was_taken_with_an_answer_in_riddles_may_be_there(body: bytes, place: Place) -> None:
    place.deliver()
    place.line.instead = lambda call: Response(201, {}, body) if call.path.endswith("/Messages") else None
    with pytest.raises(Failure) as raised:
        place.deliver(MORE)
    assert (errors.UNPARSEABLE, True) == (raised.value.kind, raised.value.maybe_done)


def test_a_long_text_comes_in_pieces_in_order(place: Place) -> None:
    long = Text(" ".join(["word"] * 900))
    parts = render(long, place.desk.capabilities)
    assert [1600, 1600, 1299] == [len(part.text) for part in parts if isinstance(part, Text)]
    for number, part in enumerate(parts):
        place.deliver(content=part, part=number)
    assert [(CUSTOMER, part.text) for part in parts if isinstance(part, Text)] == place.said()
    assert [MESSAGE.id, derived_id(MESSAGE.id, 1), derived_id(MESSAGE.id, 2)] == place.marks()


def test_a_place_and_a_description_become_words(place: Place) -> None:
    caption = Attachment("image", "https://cdn.example.test/a.png", description="The door")
    parts = [part for c in (Location(1.5, 2.5, "Here"), caption) for part in render(c, place.desk.capabilities)]
    assert [Text("Here (1.5, 2.5)"), replace(caption, description=None), Text("The door")] == parts


def test_a_text_in_emoji_is_cut_by_utf16_units_and_between_them(place: Place) -> None:
    text = "👩‍👧" * 400
    parts = render(Text(text), place.desk.capabilities)
    said = [part.text for part in parts if isinstance(part, Text)]
    assert text == "".join(said)
    assert ["👩‍👧" * 320, "👩‍👧" * 80] == said  # five units each


# --- threads that are gone ---


def test_a_chat_that_vanished_is_opened_anew_and_gets_the_message(each_place: Place) -> None:
    place = each_place
    place.deliver()
    first, number = place.chat, len(place.line.calls)
    place.delete()
    answer = place.deliver(MORE)
    # refused, looked at, and then the whole way; a chat that was made just now is not looked at again
    again = 1 if place.is_chat else 0
    assert 2 + place.setup.calls - again == len(place.line.calls) - number
    assert first != place.chat
    assert f"{place.chat}/0" == answer.receipt.external_id
    assert (CUSTOMER, "To people, please") == place.said()[0]
    assert len(place.hooks()) == len({str(hook) for hook in place.hooks()}) > 0
    assert [-1, -1] == place.kept.seen


def test_a_message_refused_by_an_open_chat_is_a_failure(place: Place) -> None:
    place.deliver()
    chat = place.chat
    place.line.instead = failing(400, "POST", "/Messages")
    with pytest.raises(Failure) as raised:
        place.deliver(MORE)
    assert errors.REJECTED == raised.value.kind
    assert (chat, 1) == (place.chat, len(place.chats))


@pytest.mark.parametrize("status", [401, 429, 500, 503])
def test_a_sick_platform_is_no_lost_chat(status: int, place: Place) -> None:
    place.deliver()
    number = len(place.line.calls)
    place.line.instead = failing(status, "POST", "/Messages")
    with pytest.raises(Failure) as raised:
        place.deliver(MORE)
    assert raised.value.kind.retry
    assert 1 == len(place.line.calls) - number
