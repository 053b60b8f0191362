import pytest

from app.sandbox.autopilot.bot import TASKS, reply, strip_markup

CALL = "CA" + "1f" * 16
UNDERSTOOD = {
    "a greeting": ("Hello there", "greeting", True),
    "an order": ("Where is my parcel?", "order_status", True),
    "a quote": ("I need a quote", "quote", True),
    "a farewell": ("ok BYE", "goodbye", False),
    "a person": ("I want to talk to a person", "talk_to_human", False),
    "an agent": ("agent", "talk_to_human", False),
    "a person about an order": ("human please, my order is late", "talk_to_human", False),
    "a flag": ("flag", "flag_handoff", False),
    "a call": (f"I am on {CALL}.", "name_call", True),
    "a call and a person": (f"human, on {CALL}", "talk_to_human", False),
    "a call in small letters": (CALL.lower(), "echo", True),
    "anything else": ("blue", "echo", True),
    "a word inside another": ("humanity", "echo", True),
}


@pytest.mark.parametrize(("text", "task", "listens"), UNDERSTOOD.values(), ids=UNDERSTOOD)
def test_it_understands(text, task, listens):
    turn = reply(text, {})
    assert (task, listens) == (turn.task, turn.listens)


def test_it_collects_a_name_over_two_turns():
    asked = reply("let me tell you my name", {"plate": "X1"})
    thanked = reply(" Ada ", asked.memory)
    assert asked.says[0] == "What is your name?"
    assert thanked.says[0] == "Thank you, Ada."
    assert thanked.memory == {"plate": "X1", "name": "Ada"}
    assert reply("hi", thanked.memory).says[0].startswith("Hello again, Ada!")


def test_a_target_task_goes_before_what_was_asked():
    assert reply("Ada", {"asked": "name"}, "goodbye").task == "goodbye"


def test_the_flag_is_in_memory():
    assert reply("flag", {}).memory["handoff"] is True


def test_a_call_is_in_memory_beside_what_was():
    memory = reply(f"I am on {CALL}.", {"plate": "X1"}).memory
    assert memory == {"plate": "X1", "twilio": {"voice": {"CallSid": CALL}}}
    assert reply("hi", memory).memory == memory


def test_a_quote_shows_an_image():
    assert reply("quote", {}).shows[0].image == "quote.png"


@pytest.mark.parametrize("task", TASKS)
def test_every_task_says_something(task):
    assert all(reply("x", {}, task).says)


def test_markup_is_stripped():
    assert strip_markup("<speak>Hi! <break/> What is your plate?</speak>") == "Hi! What is your plate?"


MARKUP = {
    "none": ("Hello", "Hello"),
    "tags": ("<speak>Hello <break/> you</speak>", "Hello you"),
    "a sign that opens nothing": ("1 < 2 <b>yes</b>", "1 < 2 yes"),
    "signs without end": ("<" * 200_000, "<" * 200_000),  # each is looked at once
}


@pytest.mark.parametrize(("speech", "words"), MARKUP.values(), ids=MARKUP)
def test_markup_is_taken_out_of_speech(speech, words):
    assert words == strip_markup(speech)
