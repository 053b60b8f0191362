"""People answer in Flex: the whole story through real processes, in both generations of Flex's chat."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from tests.journeys.conftest import busy
from tests.journeys.flexworld import FAREWELL, FlexWorld, flex_world
from tests.support.processes import wait_until
from tests.support.shop import signed, status
from tests.support.sink import Told

GENERATIONS = ["flex_conversations", "flex_chat"]


@pytest.fixture(scope="module", params=GENERATIONS)
def running(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[FlexWorld]:
    with flex_world(tmp_path_factory.mktemp(request.param), request.param) as made:
        yield made


@pytest.fixture
def world(running: FlexWorld) -> FlexWorld:
    running.heard.answers()
    running.heard.calls.clear()
    requests.delete(f"{running.sandbox.url}/faults", timeout=10)
    return running


def test_a_customer_is_handed_to_an_agent_and_back_to_the_bot(world: FlexWorld) -> None:
    world.shop.write("story-1", "ada", "hello")
    wait_until("the bot has answered", lambda: world.said("ada"))
    world.shop.write("story-2", "ada", "I want a human")
    chat = world.accept("ada")
    wait_until("the agent sees what was said", lambda: "I want a human" in world.texts(chat))
    assert world.texts(chat, "customer") == ["hello", "I want a human"]
    transcript = world.texts(chat, "bot")  # what the bot says last may still be on its way
    assert transcript == world.said("ada")[: len(transcript)]
    assert transcript
    attributes = world.tasks("ada")[-1]["attributes"]
    assert attributes["customerName"] == "Ada Lovelace"
    assert [line["author"] for line in attributes["transcript"]][:3] == ["customer", "bot", "customer"]
    assert "memory" in attributes

    world.say(chat, "Kim here, how can I help?")
    wait_until("the customer reads it", lambda: "Kim here, how can I help?" in world.said("ada"))
    world.shop.write("story-3", "ada", "Where is my parcel?")
    wait_until("the agent reads it", lambda: world.texts(chat, "customer")[-1] == "Where is my parcel?")

    world.act(f"chats/{chat}/end")
    wait_until("the shop hears of the end", lambda: world.events("conversation.ended"))
    ended = world.events("conversation.ended")[0]
    assert ended.json["data"]["to"] == {"id": "ada"}
    assert len(ended.headers["webhook-id"]) == 32
    assert world.said("ada")[-1] == FAREWELL
    wait_until("the webhooks are gone", lambda: not hooks(world, chat))
    before = len(world.said("ada"))
    world.shop.write("story-4", "ada", "hello again")
    wait_until("the bot is back", lambda: len(world.said("ada")) > before)
    assert "hello again" not in world.texts(chat)


def test_own_words_never_come_back(world: FlexWorld) -> None:
    for number in range(5):
        world.direct.write(f"echo-{number}", "emmy", f"word {number}")
    chat = world.accept("emmy")
    wait_until("the agent reads them", lambda: len(world.texts(chat, "customer")) == 5)
    world.say(chat, "Thanks")
    wait_until("the customer reads", lambda: world.said("emmy") == ["Thanks"])
    wait_until("the webhooks are delivered", lambda: world.flex()["idle"])
    assert world.said("emmy") == ["Thanks"]


def test_first_messages_that_come_at_once_make_one_chat(world: FlexWorld) -> None:
    writers = [threading.Thread(target=world.direct.write, args=(f"once-{n}", "grace", f"first {n}")) for n in range(8)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    wait_until("all arrived", lambda: len(world.texts(world.chat("grace"), "customer")) == 8)
    assert len(world.tasks("grace")) == 1


def test_statuses_go_both_ways(world: FlexWorld) -> None:
    ours = world.direct.write("both-1", "barbara", "hello").json()["accepted"][0]["message_id"]
    chat = world.accept("barbara")
    wait_until("the shop knows that it was sent", lambda: world.statuses(ours) == ["sent"])
    if world.generation == "flex_conversations":  # the legacy chat tells only who asks: see the slow check
        world.act(f"chats/{chat}/read")
        wait_until("the shop knows that an agent has read it", lambda: world.statuses(ours) == ["sent", "read"])
    world.say(chat, "Good day")
    wait_until("the customer has it", lambda: world.said("barbara") == ["Good day"])
    sent = world.told("message.created")[-1]["id"]
    world.direct.post("both-2", status(sent, "read"), signed("both-2", status(sent, "read")))
    wait_until("the agent knows that it was read", lambda: world.messages(chat)[-1]["status"] == "read")


def test_an_agent_learns_that_the_customer_cannot_be_reached(world: FlexWorld) -> None:
    world.direct.write("gone-1", "kurt", "hello")
    chat = world.accept("kurt")
    world.heard.answers(Told(status=422, body=b"the customer left"))
    world.say(chat, "Are you there?")
    wait_until("the agent is told", lambda: any("could not be reached" in text for text in world.texts(chat)))
    world.heard.answers()
    world.say(chat, "Still here?")
    wait_until("the next one arrives", lambda: "Still here?" in world.said("kurt"))
    assert not any("could not be reached" in text for text in world.said("kurt"))


def test_a_picture_of_the_agent_reaches_the_customer_by_a_link_of_ours(world: FlexWorld) -> None:
    world.direct.write("pic-1", "lotte", "show me")
    chat = world.accept("lotte")
    world.act(f"chats/{chat}/media?filename=cat.png", data=b"\x89PNG...", headers={"content-type": "image/png"})
    wait_until("the customer gets it", lambda: len(world.told("message.created")) == 1)
    content = world.told("message.created")[0]["content"]
    assert (content["kind"], content["mime_type"], content["file_name"]) == ("image", "image/png", "cat.png")
    assert content["url"].startswith(f"{world.system.url}/destinations/people/media/")
    assert requests.get(content["url"], timeout=10).content == b"\x89PNG..."
    assert requests.get(content["url"] + "x", timeout=10).status_code == 404


def test_a_customer_who_ends_it_closes_chat_and_task(world: FlexWorld) -> None:
    world.direct.write("bye-1", "alan", "hello")
    chat = world.accept("alan")
    body = '{"type":"conversation.ended","data":{"from":{"id":"alan"}}}'
    world.direct.post("bye-2", body)
    wait_until("the chat is over", lambda: world.tasks("alan")[-1]["isOver"])
    wait_until("the task is done", lambda: not world.tasks("alan")[-1]["isOngoing"])
    wait_until("the webhooks are gone", lambda: not hooks(world, chat))
    world.direct.write("bye-3", "alan", "one more thing")
    wait_until("there is a new chat", lambda: len(world.tasks("alan")) == 2)
    wait_until("with what they wrote", lambda: world.texts(world.chat("alan"), "customer") == ["one more thing"])
    assert world.events("conversation.ended") == []


def test_a_chat_that_vanished_is_opened_anew(world: FlexWorld) -> None:
    world.direct.write("vanish-1", "tony", "hello")
    chat = world.chat("tony")
    wait_until("it arrived", lambda: world.texts(chat, "customer") == ["hello"])
    wait_until("nothing is left to do", lambda: world.flex()["idle"] and not busy(world))
    world.sandbox.reset()
    world.direct.write("vanish-2", "tony", "still me")
    wait_until("there is a new chat", lambda: world.tasks("tony"))
    wait_until("with what they wrote", lambda: world.texts(world.chat("tony"), "customer") == ["still me"])


def test_what_is_written_into_a_chat_that_is_over_goes_to_the_bot(world: FlexWorld) -> None:
    world.shop.write("late-1", "rosa", "I want a human")
    chat = world.accept("rosa")
    wait_until("it is quiet", lambda: world.flex()["idle"] and not busy(world))
    world.sandbox.fault(target="flex", kind="drop", times=1)
    world.act(f"chats/{chat}/end")
    before = len(world.said("rosa"))
    world.shop.write("late-2", "rosa", "hello")
    wait_until("the bot has answered", lambda: len(world.said("rosa")) > before + 1)
    assert world.said("rosa")[before] == FAREWELL
    assert len(world.events("conversation.ended")) == 1


def test_webhooks_that_were_lost_are_made_good_in_order(world: FlexWorld) -> None:
    world.direct.write("lost-1", "niklaus", "hello")
    chat = world.accept("niklaus")
    world.say(chat, "one")
    wait_until("the customer reads it", lambda: world.said("niklaus") == ["one"])
    world.sandbox.fault(target="flex", kind="drop", times=3)
    for text in ("two", "three", "four", "five"):
        world.say(chat, text)
    wait_until("all are there", lambda: len(world.said("niklaus")) >= 5)
    assert world.said("niklaus") == ["one", "two", "three", "four", "five"]


def test_disordered_and_doubled_webhooks_change_nothing(world: FlexWorld) -> None:
    world.direct.write("mixed-1", "edsger", "hello")
    chat = world.accept("edsger")
    world.sandbox.fault(target="flex", kind="reorder", times=3)
    world.sandbox.fault(target="flex", kind="duplicate", times=5)
    expected = [f"line {number}" for number in range(12)]
    for text in expected:
        world.say(chat, text)
    wait_until("all are there", lambda: len(world.said("edsger")) >= len(expected))
    wait_until("the webhooks are delivered", lambda: world.flex()["idle"])
    assert world.said("edsger") == expected


def test_what_agents_wrote_while_the_receiver_was_down_is_all_there(world: FlexWorld) -> None:
    world.direct.write("down-1", "hedy", "hello")
    chat = world.accept("hedy")
    wait_until("it arrived", lambda: world.flex()["idle"])
    world.system.receiver.kill()
    expected = [f"while you were away {number}" for number in range(6)]
    for text in expected:
        world.say(chat, text)
    wait_until("Twilio gave up", lambda: world.flex()["idle"], 60)
    assert world.said("hedy") == []
    world.system.receiver.start()
    wait_until("the receiver is back", lambda: world.system.ready)
    world.say(chat, "and now")
    wait_until("all are there", lambda: len(world.said("hedy")) >= 7)
    assert world.said("hedy") == [*expected, "and now"]


def test_hundreds_of_messages_of_agents_in_order_to_a_slow_customer(world: FlexWorld) -> None:
    world.direct.write("many-1", "john", "hello")
    chat = world.accept("john")
    world.heard.answer = lambda call: (time.sleep(0.005), Told())[1]
    expected = [f"line {number}" for number in range(300)]
    for text in expected:
        world.say(chat, text)
    wait_until("all are there", lambda: len(world.said("john")) >= 300, 120)
    assert world.said("john") == expected


@pytest.mark.parametrize("generation", GENERATIONS)
def test_the_slow_check_finds_what_no_webhook_told(generation: str, tmp_path: Path) -> None:
    """The last message, what was read, and the end; then the silence of a customer."""
    with flex_world(tmp_path, generation, workers=1, check_every=1.0, session_timeout=4.0) as world:
        ours = world.direct.write("slow-1", "lise", "hello").json()["accepted"][0]["message_id"]
        chat = world.accept("lise")
        wait_until("it arrived", lambda: world.flex()["idle"])
        world.sandbox.fault(target="flex", kind="drop", times=100)
        world.say(chat, "nothing comes after this")
        world.act(f"chats/{chat}/read")
        wait_until("the customer reads it", lambda: world.said("lise") == ["nothing comes after this"])
        wait_until("the shop knows that it was read", lambda: world.statuses(ours)[-1] == "read")
        world.act(f"chats/{chat}/end")
        wait_until("the end is told", lambda: len(world.events("conversation.ended")) == 1)
        world.direct.write("slow-2", "lise", "hello again")
        wait_until("there is a new chat", lambda: len(world.tasks("lise")) == 2)
        wait_until("it is closed when nobody writes", lambda: world.tasks("lise")[-1]["isOver"])
        wait_until("that is told, too", lambda: len(world.events("conversation.ended")) == 2)
        assert world.said("lise") == ["nothing comes after this", FAREWELL, FAREWELL]


def hooks(world: FlexWorld, chat: str) -> list[object]:
    rooms = [*world.flex()["channels"], *world.flex()["conversations"]]
    return [hook for room in rooms if room["sid"] == chat for hook in room["webhooks"]]
