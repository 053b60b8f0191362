"""A poll brings what no webhook did, once and in order."""

from __future__ import annotations

import pytest

from app.core.events import Polled
from app.core.message import Attachment, Text
from tests.platforms.flex.line import Died
from tests.platforms.flex.world import AGENT, CUSTOMER, MORE, Place, revive


def test_a_poll_brings_what_was_missed_in_order_and_drops_echoes(place: Place) -> None:
    place.deliver()
    place.accept()
    place.agent_says("one")
    place.api_says(CUSTOMER, "not marked")
    place.api_says("webchat_3Av81", "not marked either")
    place.agent_sends("two")
    place.api_says("system", "three")
    place.deliver(MORE)
    polled = place.poll(0)
    assert [
        ("agent", Text("one"), 1),
        ("agent", Text("two"), 4),
        ("agent", "map.png", 4),
        ("system", Text("three"), 5),
    ] == [
        (w.author, w.content.file_name if isinstance(w.content, Attachment) else w.content, w.index)
        for w in polled.written
    ]
    assert {place.chat} == {w.alias for w in polled.written}
    assert [False, True, False, False] == [w.more for w in polled.written]
    assert [{"chat": place.chat, "index": i} for i in (1, 4, 4, 5)] == [w.metadata for w in polled.written]
    assert (6, -1, False) == (polled.seen, polled.read, polled.over)
    assert [w.index for w in place.poll(1).written] == [4, 4, 5]
    assert place.poll(6).written == ()
    assert ((), 6) == (place.poll(None).written, place.poll(None).seen)


def test_a_poll_and_a_webhook_give_the_same_message_the_same_name(place: Place) -> None:
    place.deliver()
    place.accept()
    place.agent_sends("two")
    (sid,) = [m["sid"] for m in place.chats[0]["messages"] if m["body"] == "two"]
    assert [sid, f"{sid}/1"] == [written.external_id for written in place.poll(0).written]


def test_a_poll_reads_more_than_one_page(place: Place) -> None:
    place.deliver()
    for number in range(130):
        place.api_says(AGENT, str(number))
    polled = place.poll(0)
    assert [Text(str(number)) for number in range(130)] == [written.content for written in polled.written]
    assert 130 == polled.seen


def test_a_poll_of_an_empty_chat(place: Place) -> None:
    place.open()
    assert Polled() == place.poll()


def test_a_poll_tells_how_far_agents_read_and_not_the_customer(place: Place) -> None:
    place.deliver()
    place.accept()
    place.deliver(MORE)
    place.report("read", 1)
    assert -1 == place.poll().read
    place.act(f"chats/{place.chat}/read")
    assert 1 == place.poll().read


def test_a_chat_that_ended_is_over_and_its_last_words_are_brought(place: Place) -> None:
    place.deliver()
    place.accept()
    place.agent_says("Goodbye")
    place.act(f"chats/{place.chat}/end")
    polled = place.poll(0)
    assert ([Text("Goodbye")], True) == ([written.content for written in polled.written], polled.over)


def test_a_chat_that_vanished_or_never_stood_is_over(place: Place) -> None:
    place.kept.dies_after = 0
    with pytest.raises(Died):
        place.deliver()
    number = len(place.line.calls)
    assert Polled(over=True) == place.poll()
    assert number == len(place.line.calls)
    revive(place)
    place.deliver(uncertain=True)
    assert not place.poll().over
    place.delete()
    assert Polled(over=True) == place.poll()
