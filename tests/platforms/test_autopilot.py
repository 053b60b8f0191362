"""Destination `autopilot`: the form as the protocol wants it, and whatever real bots answer."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from typing import Any, ClassVar

import orjson
import pytest
from hypothesis import given
from marshmallow import ValidationError
from msgspec.structs import replace

from app.core import errors
from app.core.errors import Failure
from app.core.events import Answer, Receipt
from app.core.message import Card, Content, Image, Location, Message, Text
from app.core.render import render
from app.core.session import Session
from app.http import Http, Response
from app.platforms.autopilot.destination import AutopilotDestination
from app.platforms.destination import CallsUs, Delivery, TakesOver
from app.platforms.offers import Reports
from tests.platforms.conformance import Calling, unused
from tests.support import fixtures
from tests.support.sink import Call, Sink, Told
from tests.support.values import THOROUGH, spoiled

CALL, OTHER_CALL = "CA" + "c" * 32, "CA" + "d" * 32
ACCOUNT, ASSISTANT, TOKEN = "AC" + "1" * 32, "UA" + "2" * 32, "bot-token-0001"
DIALOGUE = "UK" + "3" * 32
MESSAGE = Message(
    "m1", "inbound", "shop", "webhook:customer-42", Text("I need a quote"), "customer", "shop", 1_767_225_600_000
)


def delivery(content: Content = MESSAGE.content, **changes: Any) -> Delivery:
    return Delivery(
        **{"message": MESSAGE, "content": content, "session": Session("desk"), "remember": unused, "keep": unused}
        | changes
    )


class TestAutopilotDestination(Calling):
    adapter_class = AutopilotDestination
    platform = "autopilot"
    url_key = "base_url"
    values: ClassVar[dict[str, Any]] = {
        "type": "autopilot",
        "account_sid": ACCOUNT,
        "auth_token": TOKEN,
        "assistant_sid": ASSISTANT,
        "handoff_tasks": ["talk_to_human"],
    }

    def outcomes(self) -> dict[str, Any]:
        """A bot that answers with a fault may have taken the question all the same."""
        doubtful = {
            "500": (Told(500), errors.UNAVAILABLE, True, None),
            "408": (Told(408), errors.TIMED_OUT, True, None),
        }
        return super().outcomes() | doubtful

    def calls(self) -> dict[str, Callable[[Any, Http], object]]:
        return {"deliver": lambda bot, http: bot.deliver(delivery(), http)}


class TestRecordings(Calling):
    """Twilio's Recordings API, asked for a first time and again after a lost answer."""

    adapter_class = AutopilotDestination
    platform = "autopilot"
    url_key = "recordings_url"
    values: ClassVar[dict[str, Any]] = {**TestAutopilotDestination.values, "record_calls": True}

    def calls(self) -> dict[str, Callable[[Any, Http], object]]:
        return {
            "record": lambda bot, http: bot.record(CALL, False, http),
            "record, perhaps again": lambda bot, http: bot.record(CALL, True, http),
        }


def destination(**changes: Any) -> AutopilotDestination:
    built: AutopilotDestination = TestAutopilotDestination().build(**changes)
    return built


def deliver(outside: Sink, *, told: Delivery | None = None, **changes: Any) -> Answer:
    bot = destination(base_url=outside.url, **changes)
    return bot.deliver(told or delivery(), Http([outside.url]))


def ask(outside: Sink, **options: Any) -> Call:
    """The one call that a delivery makes."""
    deliver(outside, **options)
    (call,) = outside.calls
    return call


def answer(outside: Sink, body: Any, **changes: Any) -> Answer:
    """What a delivery makes of an answer."""
    outside.answers(Told(200, body if isinstance(body, bytes) else orjson.dumps(body)))
    return deliver(outside, **changes)


# --- the question ---


def test_the_question_of_version_2(outside: Sink) -> None:
    call = ask(outside)
    assert call.method == "POST"
    assert f"/v2/{ACCOUNT}/{ASSISTANT}/custom/webchat" == call.path
    assert call.body == b"UserId=shop%2Fwebhook%3Acustomer-42&Text=I+need+a+quote&Language=en-US"
    assert call.headers["content-type"] == "application/x-www-form-urlencoded"
    assert call.headers["accept"] == "application/json"


def test_the_question_of_version_1_knows_no_language(outside: Sink) -> None:
    call = ask(outside, version="v1")
    assert f"/v1/{ACCOUNT}/{ASSISTANT}/custom/webchat" == call.path
    assert call.body == b"user_id=shop%2Fwebhook%3Acustomer-42&text=I+need+a+quote"


TEXTS = {
    "an ampersand": ("Tom & Ada", b"Tom+%26+Ada"),
    "an equals sign": ("a=b", b"a%3Db"),
    "a plus sign": ("1+1", b"1%2B1"),
    "a percent sign": ("100%41", b"100%2541"),
    "umlauts": ("Größe", b"Gr%C3%B6%C3%9Fe"),
    "an emoji": ("👍", b"%F0%9F%91%8D"),
    "a line break": ("a\nb", b"a%0Ab"),
}


@pytest.mark.parametrize(("text", "encoded"), TEXTS.values(), ids=TEXTS)
def test_every_character_arrives(text: str, encoded: bytes, outside: Sink) -> None:
    call = ask(outside, told=delivery(Text(text)))
    assert b"&Text=" + encoded + b"&" in call.body
    assert [text] == call.form["Text"]


def test_a_location_is_said_in_words(outside: Sink) -> None:
    assert ask(outside, told=delivery(Location(52.5, 13.4, "Alexanderplatz"))).form["Text"] == [
        "Alexanderplatz (52.5, 13.4)"
    ]


AUTH = {"the account": ({}, ACCOUNT), "an API key": ({"username": "SK" + "5" * 32}, "SK" + "5" * 32)}


@pytest.mark.parametrize(("changes", "user"), AUTH.values(), ids=AUTH)
def test_it_signs_in_with_basic_auth(changes: dict[str, str], user: str, outside: Sink) -> None:
    expected = base64.b64encode(f"{user}:{TOKEN}".encode()).decode()
    assert f"Basic {expected}" == ask(outside, **changes).headers["authorization"]


TASKS = {"none": (None, ""), "plain": ("greeting", "?TargetTask=greeting"), "odd": ("a&b c", "?TargetTask=a%26b+c")}


@pytest.mark.parametrize(("task", "query"), TASKS.values(), ids=TASKS)
def test_a_target_task_stands_in_the_query(task: str | None, query: str, outside: Sink) -> None:
    call = ask(outside, told=delivery(target_task=task))
    assert f"/v2/{ACCOUNT}/{ASSISTANT}/custom/webchat{query}" == call.path


def test_names_and_languages_are_settings(outside: Sink) -> None:
    call = ask(outside, channel_name="shop/chat ü", language="de-DE")
    assert f"/v2/{ACCOUNT}/{ASSISTANT}/custom/shop%2Fchat%20%C3%BC" == call.path
    assert call.form["Language"] == ["de-DE"]


def test_a_base_url_may_have_a_path_and_a_slash(outside: Sink) -> None:
    destination(base_url=f"{outside.url}/bots/").deliver(delivery(), Http([outside.url]))
    assert f"/bots/v2/{ACCOUNT}/{ASSISTANT}/custom/webchat" == outside.calls[0].path


LONG = "Where is my parcel? " * 200


@pytest.mark.parametrize("text", ["x" * 2049, "👍" * 1025, LONG], ids=["letters", "emoji", "sentences"])
def test_a_long_text_is_asked_in_several_questions(text: str, outside: Sink) -> None:
    for part in render(Text(text), destination().capabilities):
        deliver(outside, told=delivery(part))
    asked = [call.form["Text"][0] for call in outside.calls]
    assert text == "".join(asked)
    assert [] == [len(part) for part in asked if not 0 < len(part.encode("utf-16-le")) // 2 <= 2048]


def test_the_longest_text_is_one_question(outside: Sink) -> None:
    assert (Text("x" * 2048),) == render(Text("x" * 2048), destination().capabilities)


def test_a_long_text_is_cut_if_so_configured(outside: Sink) -> None:
    (part,) = render(Text("x" * 2047 + "👍"), destination(long_text="cut").capabilities)
    assert ["x" * 2047] == ask(outside, told=delivery(part), long_text="cut").form["Text"]


def test_the_limit_is_a_setting(outside: Sink) -> None:
    assert 2 == len(render(Text("x" * 60), destination(text_limit=30).capabilities))
    assert ["x" * 3000] == ask(outside, told=delivery(Text("x" * 3000)), text_limit=5000).form["Text"]


# --- the answer ---

PLATE = Card("For example", (Image("https://cdn.example.test/plate.png", "Plate"),))
ANSWERS: dict[str, Answer] = {
    "answer_v2": Answer(
        Receipt(status="delivered"),
        replies=(Text("Good day! Which plate?"), PLATE),
        handles={"dialogue": DIALOGUE, "task": "quote"},
        memory={"plate_asked": True, "twilio": {"custom.webchat": {}}},
    ),
    "answer_v1": Answer(
        Receipt(status="delivered"),
        replies=(Text("Good day! Which plate & colour?"),),
        handles={"dialogue": DIALOGUE, "task": "quote"},
        memory={"plate_asked": True, "twilio": {"custom.webchat": {}}},
    ),
    "answer_end": Answer(
        Receipt(status="delivered"),
        replies=(Text("Goodbye."),),
        handles={"dialogue": DIALOGUE, "task": "goodbye"},
        end=True,
        memory={"plate_asked": True, "twilio": {"custom.webchat": {}}},
    ),
    "answer_handoff_task": Answer(
        Receipt(status="delivered"),
        replies=(Text("I fetch somebody."),),
        handles={"dialogue": DIALOGUE, "task": "talk_to_human"},
        handoff=True,
        memory={"plate": "M-PB 1"},
    ),
    "answer_handoff_memory": Answer(
        Receipt(status="delivered"),
        replies=(Text("One moment."),),
        handles={"dialogue": DIALOGUE, "task": "quote"},
        handoff=True,
        memory={"handoff": True, "plate": "M-PB 1"},
    ),
}


@pytest.mark.parametrize(("name", "expected"), ANSWERS.items(), ids=ANSWERS)
def test_it_reads(name: str, expected: Answer, outside: Sink) -> None:
    assert expected == answer(outside, fixtures.raw("autopilot", name))


@pytest.mark.parametrize("version", ["v1", "v2"])
@pytest.mark.parametrize("name", ["answer_v1", "answer_v2"])
def test_either_form_is_read_whatever_the_version(name: str, version: str, outside: Sink) -> None:
    assert ANSWERS[name] == answer(outside, fixtures.raw("autopilot", name), version=version)


LISTENS: dict[str, tuple[dict[str, Any], bool]] = {
    "an empty object": ({"listen": {}}, True),
    "an object": ({"listen": {"tasks": ["quote"]}}, True),
    "true": ({"listen": True}, True),
    "false": ({"listen": False}, False),
    "null": ({"listen": None}, False),
    "missing": ({}, False),
    "in words": ({"listen": "false"}, False),
    "in other letters": ({"Listen": "yes"}, True),
}


@pytest.mark.parametrize("wrapped", [True, False], ids=["v2", "v1"])
@pytest.mark.parametrize(("listen", "goes_on"), LISTENS.values(), ids=LISTENS)
def test_a_bot_that_does_not_listen_has_ended(
    listen: dict[str, Any], goes_on: bool, wrapped: bool, outside: Sink
) -> None:
    said = {"says": [{"text": "Hi"}], **listen}
    assert goes_on != answer(outside, {"response": said} if wrapped else said).end


SAYS: dict[str, tuple[Any, list[str]]] = {
    "text before speech": ([{"text": "Hi", "speech": "<b>Hi</b>"}], ["Hi"]),
    "only speech": ([{"speech": "Hi"}], ["Hi"]),
    "an empty text": ([{"text": "", "speech": "Hi"}], ["Hi"]),
    "a text of the wrong type": ([{"text": 5, "speech": "Hi"}], ["Hi"]),
    "speech with tags": ([{"speech": '<speak>Hi <break time="1s"/>you &amp; me</speak>'}], ["Hi you & me"]),
    "speech that is no SSML": ([{"speech": "1 < 2 & 3 > 2"}], ["1 < 2 & 3 > 2"]),
    "a text keeps its tags": ([{"text": "Use <b>"}], ["Use <b>"]),
    "blank": ([{"text": " \n"}, {"text": "Hi"}], ["Hi"]),
    "several": ([{"text": "One"}, {"text": "Two"}], ["One", "Two"]),
    "no objects": (["Hi", 5, None, {"text": "Yes"}], ["Hi", "5", "Yes"]),
    "no list": ({"text": "Hi"}, ["Hi"]),
    "a word": ("Hi", ["Hi"]),
    "a number": ({"text": 42}, ["42"]),
    "a fraction": ([4.5], ["4.5"]),
    "zero": ({"text": 0}, ["0"]),
    "an object inside": ([{"text": {"text": "Hi"}}], ["Hi"]),
    "a list inside": ([{"text": ["One", "Two"]}], ["One", "Two"]),
    "lists inside of lists": ([["One"], [["Two"]]], ["One", "Two"]),
    "a body": ([{"body": "Hi"}], ["Hi"]),
    "a message": ([{"message": "Hi"}], ["Hi"]),
    "say": ([{"say": {"speech": "<b>Hi</b>"}}], ["Hi"]),
    "capital letters": ([{"Text": "Hi"}, {"SPEECH": "<b>you</b>"}], ["Hi", "you"]),
    "a word in SSML": ("<speak>Hi<break/>you</speak>", ["Hi you"]),
    "what it may say beside": ([{"text": "Hi", "emotion": 5}], ["Hi"]),
    "null": (None, []),
    "nothing": ([{}, [], "", {"text": ""}, {"text": None}], []),
}


@pytest.mark.parametrize(("says", "texts"), SAYS.values(), ids=SAYS)
def test_what_a_bot_says(says: Any, texts: list[str], outside: Sink) -> None:
    replies = answer(outside, {"response": {"says": says, "listen": True}}).replies
    assert [Text(text) for text in texts] == list(replies)


IMAGE = "https://cdn.example.test/a.png"
SHOWS: dict[str, tuple[Any, list[Card]]] = {
    "a text": ([{"display_text": "Look"}], [Card("Look")]),
    "a text and no images": ([{"display_text": "Look", "images": []}], [Card("Look")]),
    "only images": ([{"images": [{"url": IMAGE}]}], [Card("", (Image(IMAGE),))]),
    "a label": ([{"images": [{"url": IMAGE, "label": "A"}]}], [Card("", (Image(IMAGE, "A"),))]),
    "a label of the wrong type": ([{"images": [{"url": IMAGE, "label": 5}]}], [Card("", (Image(IMAGE),))]),
    "a label too long": ([{"images": [{"url": IMAGE, "label": "x" * 300}]}], [Card("", (Image(IMAGE, "x" * 256),))]),
    "an image without a url": ([{"display_text": "Look", "images": [{"label": "A"}]}], [Card("Look")]),
    "an image that is no web address": ([{"images": [{"url": "file:///etc/passwd"}]}], []),
    "an image with too long a url": ([{"images": [{"url": IMAGE + "x" * 2000}]}], []),
    "images that are no list": ([{"display_text": "Look", "images": IMAGE}], [Card("Look", (Image(IMAGE),))]),
    "an image that is an object": ([{"image": {"src": IMAGE, "alt": "A"}}], [Card("", (Image(IMAGE, "A"),))]),
    "images that are addresses": ([{"images": [IMAGE, IMAGE]}], [Card("", (Image(IMAGE), Image(IMAGE)))]),
    "an image alone": ([{"url": IMAGE, "label": "A"}], [Card("", (Image(IMAGE, "A"),))]),
    "an image alone, with a text": ({"url": IMAGE, "text": "Look"}, [Card("Look", (Image(IMAGE),))]),
    "an image of no known type": ([{"url": "https://cdn.example.test/7"}], [Card("", (Image(IMAGE[:-5] + "7"),))]),
    "an image's address": (IMAGE, [Card("", (Image(IMAGE),))]),
    "images' addresses in a list": ([[IMAGE], "Look"], [Card("", (Image(IMAGE),)), Card("Look")]),
    "a link": ([{"title": "Terms", "url": f"{IMAGE}.pdf"}], [Card(f"Terms\n{IMAGE}.pdf")]),
    "a body": ([{"body": "Look"}], [Card("Look")]),
    "a heading above a text": ([{"title": "Soup", "text": "Hot"}], [Card("Soup\nHot")]),
    "a heading above a body, with an image": (
        [{"Caption": "Soup", "body": "Hot", "image": IMAGE}],
        [Card("Soup\nHot", (Image(IMAGE),))],
    ),
    "a heading above nothing": ([{"title": "Soup", "text": " "}], [Card("Soup")]),
    "a heading beside the text that counts": ([{"title": "Soup", "text": "S", "display_text": "Look"}], [Card("Look")]),
    "a heading with a value for machines": ([{"title": "Yes", "value": "/yes"}], [Card("Yes")]),
    "a body as Autopilot's action has it": (
        {"body": "Look", "images": [{"label": "A", "url": IMAGE}]},
        [Card("Look", (Image(IMAGE, "A"),))],
    ),
    "other letters": ([{"displayText": "Look"}, {"DISPLAY_TEXT": "Here"}], [Card("Look"), Card("Here")]),
    "a number": ([42], [Card("42")]),
    "an emoji across the limit of a label": (
        [{"images": [{"url": IMAGE, "label": "x" * 255 + "🇩🇪"}]}],
        [Card("", (Image(IMAGE, "x" * 255),))],
    ),
    "a text of the wrong type": ([{"display_text": {"a": 1}}], []),
    "a blank text": ([{"display_text": "  "}], []),
    "nothing": ([{}], []),
    "no objects": (["Look", None], [Card("Look")]),
    "no list": ("Look", [Card("Look")]),
}


@pytest.mark.parametrize(("shows", "cards"), SHOWS.values(), ids=SHOWS)
def test_what_a_bot_shows(shows: Any, cards: list[Card], outside: Sink) -> None:
    replies = answer(outside, {"response": {"shows": shows, "listen": True}}).replies
    assert cards == list(replies)


WHOLE: dict[str, tuple[dict[str, Any], list[Content]]] = {
    "a response that is a word": ({"response": "Hi"}, [Text("Hi")]),
    "a response that is a list": ({"response": ["Hi", {"text": "you"}]}, [Text("Hi"), Text("you")]),
    "a response beside what is said": ({"response": {"listen": True}, "says": "Hi"}, [Text("Hi")]),
    "capital letters": ({"Response": {"Says": [{"Text": "Hi"}]}}, [Text("Hi")]),
    "say": ({"say": "Hi"}, [Text("Hi")]),
    "a text": ({"text": "Hi"}, [Text("Hi")]),
    "replies": ({"replies": ["Hi", {"text": "you"}]}, [Text("Hi"), Text("you")]),
    "actions": ({"actions": [{"say": "Hi"}, {"show": {"body": "Look"}}]}, [Text("Hi"), Card("Look")]),
    "actions in a response": ({"response": {"actions": [{"say": {"speech": "Hi"}}]}}, [Text("Hi")]),
    "actions in an object": ({"actions": {"say": "Hi", "show": {"body": "Look"}}}, [Text("Hi"), Card("Look")]),
}


@pytest.mark.parametrize(("body", "told"), WHOLE.values(), ids=WHOLE)
def test_what_a_bot_of_ones_own_answers(body: dict[str, Any], told: list[Content], outside: Sink) -> None:
    read = answer(outside, body)
    assert (told, ()) == (list(read.replies), read.unsupported)


def test_actions_say_what_happens_next(outside: Sink) -> None:
    told = answer(outside, {"actions": [{"remember": {"plate": "M-PB 1"}}, {"handoff": {"uri": "taskrouter"}}]})
    assert (told.handoff, dict(told.memory), told.unsupported) == (True, {"plate": "M-PB 1"}, ())
    assert not answer(outside, {"actions": [{"say": "Hi"}, {"listen": True}]}).end
    assert not answer(outside, {"actions": [{"say": "Hi"}, "listen"]}).end
    assert answer(outside, {"actions": [{"say": "Hi"}]}).end


UNSUPPORTED: dict[str, tuple[dict[str, Any], tuple[str, ...]]] = {
    "a text of the wrong type": ({"says": [{"text": {"a": 1}}]}, ("says",)),
    "a text that is true": ({"says": [{"text": True}]}, ("says",)),
    "a text by no known name": ({"says": [{"utter": "Hi"}]}, ("says",)),
    "one among others": ({"says": ["Hi", {"utter": "Hi"}]}, ("says",)),
    "too deep": ({"says": [[[[[[[["Hi"]]]]]]]]}, ("says",)),
    "a card of the wrong type": ({"shows": [{"display_text": {"a": 1}}]}, ("shows",)),
    "a card by no known name": ({"shows": [{"carousel": [1]}]}, ("shows",)),
    "an image that is no web address": ({"shows": [{"images": [{"url": "file:///etc/passwd"}]}]}, ("image",)),
    "an image with too long a url": ({"shows": [{"images": [{"url": IMAGE + "x" * 2000}]}]}, ("image",)),
    "an image without a url": ({"shows": [{"display_text": "Look", "images": [{"label": "A"}]}]}, ("image",)),
    "an image that is a number": ({"shows": [{"url": 5}]}, ("image",)),
    "an action": ({"actions": [{"say": "Hi"}, {"collect": {"name": "x"}}]}, ("action.collect",)),
    "an action with a name of any kind": ({"actions": {"x" * 99: 1}}, ("action.other",)),
    "actions that are numbers": ({"actions": [5]}, ("actions",)),
    "a reply by no known name": ({"response": {"utterance": "Hi", "listen": True}}, ("response",)),
    "several": ({"says": [True], "shows": [True], "actions": [{"play": {}}]}, ("says", "shows", "action.play")),
    "nothing said": ({"response": {"listen": True}, "dialogue": {"sid": "UK"}}, ()),
    "nothing in it": ({"says": [], "shows": None, "id": "a1"}, ()),
}


@pytest.mark.parametrize(("body", "named"), UNSUPPORTED.values(), ids=UNSUPPORTED)
def test_what_cannot_be_read_is_named(body: dict[str, Any], named: tuple[str, ...], outside: Sink) -> None:
    assert named == answer(outside, body).unsupported


HANDOFFS: dict[str, tuple[dict[str, Any], bool]] = {
    "the task": ({"current_task": "talk_to_human"}, True),
    "another task": ({"current_task": "quote"}, False),
    "a task that is a list": ({"current_task": ["talk_to_human"]}, False),
    "the flag": ({"memory": {"handoff": True}}, True),
    "the flag beside more than is kept": ({"memory": {"handoff": True, "a": "x" * 20_000}}, True),
    "the flag turned down": ({"memory": {"handoff": False}}, False),
    "the flag in other words": ({"memory": {"handoff": "no"}}, False),
    "no memory": ({"memory": None}, False),
}


@pytest.mark.parametrize(("dialogue", "handoff"), HANDOFFS.values(), ids=HANDOFFS)
def test_a_bot_hands_over_by_task_or_flag(dialogue: dict[str, Any], handoff: bool, outside: Sink) -> None:
    read = answer(outside, {"response": {"says": []}, "dialogue": dialogue})
    assert (handoff, not handoff) == (read.handoff, read.end)


def test_a_handoff_takes_the_memory_along_unless_it_is_more_than_can_be_kept(outside: Sink) -> None:
    def memory(value: Any) -> Any:
        body = {"dialogue": {"current_task": "talk_to_human", "memory": value}}
        return dict(answer(outside, json.dumps(body).encode()).memory)

    deep: Any = {}
    for _ in range(400):
        deep = {"a": deep}
    assert memory({"plate": "M-PB 1"}) == {"plate": "M-PB 1"}
    assert memory({"a": "x" * 20_000}) == {}
    assert memory(deep) == {}


UNREADABLE = {"no JSON": b"<html>", "a list": b"[]", "a word": b'"hi"', "null": b"null", "empty": b""}


@pytest.mark.parametrize("body", UNREADABLE.values(), ids=UNREADABLE)
def test_an_answer_that_cannot_be_read_may_have_advanced_the_dialogue(body: bytes, outside: Sink) -> None:
    with pytest.raises(Failure) as raised:
        answer(outside, body)
    assert (raised.value.kind, raised.value.maybe_done) == (errors.UNPARSEABLE, True)


@THOROUGH
@given(spoiled([fixtures.value("autopilot", name) for name in ANSWERS]))
def test_whatever_a_bot_answers_is_read_or_unparseable(body: Any) -> None:
    bot = destination()
    if not isinstance(body, dict):
        with pytest.raises(Failure):
            bot.answer_from(body)
    else:
        assert isinstance(bot.answer_from(body), Answer)


ERRORS = {
    "Twilio's own": (fixtures.raw("autopilot", "error_401"), "HTTP 401: 20003 Authenticate"),
    "only a message": (b'{"message":"No."}', "HTTP 401: No."),
    "other JSON": (b'{"detail":"No."}', 'HTTP 401: {"detail":"No."}'),
    "a list": (b"[1]", "HTTP 401: [1]"),
    "words": (b"Nope", "HTTP 401: Nope"),
    "nothing": (b"", "HTTP 401"),
}


@pytest.mark.parametrize(("body", "detail"), ERRORS.values(), ids=ERRORS)
def test_the_operator_reads_what_the_bot_said(body: bytes, detail: str, outside: Sink) -> None:
    outside.answers(Told(401, body))
    with pytest.raises(Failure) as raised:
        deliver(outside)
    assert detail == raised.value.detail


# --- the call in which it speaks ---

CALLS: dict[str, tuple[Any, str | None]] = {
    "of the phone": ({"twilio": {"voice": {"CallSid": CALL, "From": "+15551230001"}}}, CALL),
    "of a channel by another name": ({"twilio": {"custom.phone": {"CallSid": CALL}}}, CALL),
    "in capital digits": ({"twilio": {"voice": {"CallSid": "CA" + "AB" * 16}}}, "CA" + "AB" * 16),
    "of the second channel": ({"twilio": {"chat": {}, "voice": {"CallSid": CALL}}}, CALL),
    "of two channels": ({"twilio": {"voice": {"CallSid": CALL}, "sip": {"CallSid": OTHER_CALL}}}, CALL),
    "after one that is none": ({"twilio": {"a": {"CallSid": "CA1"}, "b": 5, "voice": {"CallSid": CALL}}}, CALL),
    "beside more than is kept": ({"twilio": {"voice": {"CallSid": CALL}}, "a": "x" * 20_000}, CALL),
    "too short": ({"twilio": {"voice": {"CallSid": CALL[:-1]}}}, None),
    "too long": ({"twilio": {"voice": {"CallSid": CALL + "c"}}}, None),
    "with a line break": ({"twilio": {"voice": {"CallSid": CALL + "\n"}}}, None),
    "with a path": ({"twilio": {"voice": {"CallSid": "CA/../" + "c" * 32}}}, None),
    "no hex digits": ({"twilio": {"voice": {"CallSid": "CA" + "g" * 32}}}, None),
    "another kind of sid": ({"twilio": {"voice": {"CallSid": DIALOGUE}}}, None),
    "a list": ({"twilio": {"voice": {"CallSid": [CALL]}}}, None),
    "by another key": ({"twilio": {"voice": {"call_sid": CALL}}}, None),
    "of no channel": ({"twilio": {"CallSid": CALL}}, None),
    "somewhere else": ({"CallSid": CALL, "voice": {"CallSid": CALL}}, None),
    "deeper": ({"twilio": {"voice": {"call": {"CallSid": CALL}}}}, None),
    "a channel that is a list": ({"twilio": {"voice": [{"CallSid": CALL}]}}, None),
    "channels that are a list": ({"twilio": [{"CallSid": CALL}]}, None),
    "channels that are a word": ({"twilio": CALL}, None),
    "nothing": ({"twilio": None}, None),
    "no memory": (None, None),
}


@pytest.mark.parametrize(("memory", "call"), CALLS.values(), ids=CALLS)
def test_the_call_stands_in_memory(memory: Any, call: str | None) -> None:
    body = {"response": {}, "dialogue": {"memory": memory}}
    assert call == destination(record_calls=True).answer_from(body).record
    assert destination().answer_from(body).record is None


@THOROUGH
@given(spoiled([{"voice": {"CallSid": CALL}}, {"chat": {}, "voice": {"CallSid": CALL}}]))
def test_whatever_stands_there_names_a_call_or_none(channels: Any) -> None:
    named = destination(record_calls=True).answer_from({"dialogue": {"memory": {"twilio": channels}}}).record
    whole = isinstance(channels, dict) and any(c == {"CallSid": CALL} for c in channels.values())
    assert named in ([CALL] if whole else [None, CALL])


def record(outside: Sink, *answers: Told, uncertain: bool = False, **changes: Any) -> bool:
    outside.answers(*answers or [Told(201, b'{"sid":"RE1"}')])
    bot = destination(**{"record_calls": True, "recordings_url": outside.url, **changes})
    return bot.record(CALL, uncertain, Http([outside.url]))


RECORDINGS = f"/2010-04-01/Accounts/{ACCOUNT}/Calls/{CALL}/Recordings.json"
FORMS: dict[str, tuple[dict[str, Any], dict[str, list[str]]]] = {
    "plain": ({}, {"RecordingChannels": ["mono"]}),
    "in two channels": ({"record_channels": "dual"}, {"RecordingChannels": ["dual"]}),
    "with a callback": (
        {"recording_status_callback": "https://crm.example.test/r?a=1&b=2"},
        {"RecordingChannels": ["mono"], "RecordingStatusCallback": ["https://crm.example.test/r?a=1&b=2"]},
    ),
}


@pytest.mark.parametrize(("changes", "form"), FORMS.values(), ids=FORMS)
def test_a_recording_is_started_by_one_call(changes: dict[str, Any], form: dict[str, Any], outside: Sink) -> None:
    assert record(outside, **changes)
    (call,) = outside.calls
    assert ("POST", RECORDINGS, form) == (call.method, call.path, call.form)


OWN = {"recordings_account_sid": "AC" + "9" * 32, "recordings_auth_token": "twilio-token-0002"}
ACCOUNTS: dict[str, tuple[dict[str, str], str, str]] = {
    "the bot's": ({}, ACCOUNT, f"{ACCOUNT}:{TOKEN}"),
    "the bot's, with an API key": ({"username": "SK" + "5" * 32}, ACCOUNT, f"SK{'5' * 32}:{TOKEN}"),
    "its own": (OWN, "AC" + "9" * 32, f"AC{'9' * 32}:twilio-token-0002"),
    "its own beside a bot's API key": (
        {**OWN, "username": "SK" + "5" * 32},
        "AC" + "9" * 32,
        f"AC{'9' * 32}:twilio-token-0002",
    ),
}


@pytest.mark.parametrize(("changes", "account", "login"), ACCOUNTS.values(), ids=ACCOUNTS)
def test_the_account_of_the_calls(changes: dict[str, str], account: str, login: str, outside: Sink) -> None:
    assert record(outside, **changes)
    (call,) = outside.calls
    assert f"/2010-04-01/Accounts/{account}/Calls/{CALL}/Recordings.json" == call.path
    assert f"Basic {base64.b64encode(login.encode()).decode()}" == call.headers["authorization"]


def test_a_bot_with_a_token_of_its_own_never_sees_twilios(outside: Sink) -> None:
    deliver(outside, record_calls=True, **OWN)
    expected = base64.b64encode(f"{ACCOUNT}:{TOKEN}".encode()).decode()
    assert f"Basic {expected}" == outside.calls[0].headers["authorization"]


def test_after_a_lost_answer_the_list_is_asked_first(outside: Sink) -> None:
    there = Told(200, b'{"recordings":[{"sid":"RE1"}],"next_page_uri":"/2010-04-01/x.json?Page=1"}')
    assert record(outside, there, uncertain=True)
    assert [("GET", f"{RECORDINGS}?PageSize=1")] == [(call.method, call.path) for call in outside.calls]


def test_where_the_list_has_none_it_is_started(outside: Sink) -> None:
    assert record(outside, Told(200, b'{"recordings":[],"next_page_uri":null}'), Told(201), uncertain=True)
    assert ["GET", "POST"] == [call.method for call in outside.calls]


def test_a_call_that_cannot_be_recorded_any_more_is_no_failure(outside: Sink) -> None:
    over = Told(400, b'{"code":21220,"message":"Requested resource is not eligible for recording","status":400}')
    assert not record(outside, Told(200, b'{"recordings":[]}'), over, uncertain=True)
    assert not record(outside, over)


OTHERWISE = {"another rule": 21609, "no such call": 20404}


@pytest.mark.parametrize("code", OTHERWISE.values(), ids=OTHERWISE)
def test_what_an_operator_can_mend_is_one(code: int, outside: Sink) -> None:
    with pytest.raises(Failure) as raised:
        record(outside, Told(400, b'{"code":%d,"message":"No."}' % code))
    assert f"HTTP 400: {code} No." == raised.value.detail


def test_nothing_is_recorded_once_that_is_switched_off(outside: Sink) -> None:
    assert not record(outside, record_calls=False)
    assert outside.calls == []


def test_both_calls_fit_into_the_lease_of_one(monkeypatch: pytest.MonkeyPatch) -> None:
    waited: list[float] = []

    def request(self: Http, *args: Any, timeout: float, **options: Any) -> Any:
        waited.append(timeout)
        return Response(200, {}, b'{"recordings":[]}')

    monkeypatch.setattr(Http, "request", request)
    assert destination(record_calls=True, timeout=30).record(CALL, True, Http())
    assert [15, 15] == waited


def test_without_a_recordings_url_it_is_twilios(monkeypatch: pytest.MonkeyPatch) -> None:
    called: list[str] = []

    def request(self: Http, method: str, url: str, **options: Any) -> Any:
        called.append(url)
        return Response(201, {}, b"{}")

    monkeypatch.setattr(Http, "request", request)
    assert destination(record_calls=True).record(CALL, False, Http())
    assert [f"https://api.twilio.com{RECORDINGS}"] == called


# --- the rest ---


def test_a_question_is_asked_twice_only_if_the_operator_accepts_that() -> None:
    assert not destination().capabilities.resend_safe
    assert destination(resend_after_timeout=True).capabilities.resend_safe


def test_it_says_all_in_its_answers() -> None:
    for more in (TakesOver, CallsUs, Reports):
        assert not isinstance(destination(), more)


def test_without_a_base_url_it_is_the_historic_host(monkeypatch: pytest.MonkeyPatch) -> None:
    called: list[str] = []

    def post_(self: Http, url: str, **options: Any) -> Any:
        called.append(url)
        raise Failure(errors.UNAVAILABLE, "not here")

    monkeypatch.setattr(Http, "post", post_)
    with pytest.raises(Failure):
        destination().deliver(delivery(), Http())
    assert [f"https://channels.autopilot.twilio.com/v2/{ACCOUNT}/{ASSISTANT}/custom/webchat"] == called


BAD_SETTINGS: dict[str, tuple[str, Any]] = {
    "an account's sid too short": ("account_sid", "AC" + "1" * 31),
    "an account's sid with a line break": ("account_sid", ACCOUNT + "\n"),
    "another kind of sid": ("assistant_sid", ACCOUNT),
    "an unknown version": ("version", "v3"),
    "a base url without a scheme": ("base_url", "bots.example.test"),
    "an empty token": ("auth_token", ""),
    "late": ("late", "later"),
    "no channel name": ("channel_name", ""),
    "three channels of a recording": ("record_channels", "triple"),
    "a callback without a scheme": ("recording_status_callback", "crm.example.test/r"),
    "a recordings url without a scheme": ("recordings_url", "api.twilio.com"),
    "a recordings account of another kind": ("recordings_account_sid", ASSISTANT),
    "a recordings token without its account": ("recordings_auth_token", "twilio-token-0002"),
}


@pytest.mark.parametrize(("key", "value"), BAD_SETTINGS.values(), ids=BAD_SETTINGS)
def test_settings_are_checked(key: str, value: Any) -> None:
    with pytest.raises(ValidationError) as raised:
        destination(**{key: value})
    assert [key] == list(raised.value.messages_dict)


def test_an_account_for_recordings_needs_its_token() -> None:
    with pytest.raises(ValidationError) as raised:
        destination(recordings_account_sid=ACCOUNT)
    assert ["recordings_auth_token"] == list(raised.value.messages_dict)


def test_parts_of_a_message_are_asked_by_the_same_customer(outside: Sink) -> None:
    deliver(outside, told=replace(delivery(), part=1))
    assert outside.calls[0].form["UserId"] == ["shop/webhook:customer-42"]
