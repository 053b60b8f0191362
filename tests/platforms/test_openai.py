"""Destination `openai`: questions that OpenAI's own library would ask, and whatever servers answer."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from functools import cache
from itertools import pairwise
from typing import Any, ClassVar, cast

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from marshmallow import ValidationError
from msgspec.structs import replace
from openai.types.chat import ChatCompletion
from openai.types.chat.completion_create_params import CompletionCreateParamsStreaming
from openai.types.responses import Response as ModelResponse
from openai.types.responses.response_create_params import ResponseCreateParamsStreaming
from pydantic import TypeAdapter

from app.core import errors
from app.core.errors import Failure, Kind
from app.core.events import Answer, Receipt
from app.core.message import Attachment, Author, Card, Content, Image, Location, Message, QuickReply, Text
from app.core.render import render
from app.core.session import Session
from app.http import Http, Response
from app.platforms.destination import CallsUs, Delivery, TakesOver, WantsHistory
from app.platforms.offers import Reports
from app.platforms.openai.destination import OpenaiDestination
from tests.platforms.conformance import OUTCOMES, Calling, unused
from tests.support import fixtures
from tests.support.sink import Call, Sink, Told
from tests.support.values import THOROUGH, contents, messages, odd_bodies

KEY = "sk-test-0001"
PICTURE = "https://cdn.example.test/receipt.jpg"
STREAM = {"content-type": "text/event-stream"}


def message(content: Content | str, author: Author = "customer", number: int = 0) -> Message:
    said = Text(content) if isinstance(content, str) else content
    direction = "inbound" if author == "customer" else "outbound"
    return Message(f"m{number}", direction, "shop", "webchat:v81", said, author, "shop", 1_767_225_600_000)  # type: ignore[arg-type]


def delivery(content: Content | str = "Where is my parcel?", *history: Message) -> Delivery:
    asked = message(content, number=99)
    return Delivery(asked, asked.content, Session("desk"), unused, unused, history=history)


class TestOpenaiDestination(Calling):
    adapter_class = OpenaiDestination
    platform = "openai"
    url_key = "base_url"
    answer: ClassVar[dict[str, Any]] = fixtures.value("openai", "chat_hand_over")
    values: ClassVar[dict[str, Any]] = {"type": "openai", "api_key": KEY, "model": "local-model"}

    def outcomes(self) -> dict[str, Any]:
        """Besides what a status says by itself, what these servers mean by it."""
        return {
            **OUTCOMES,
            "402": (Told(402), errors.UNAUTHORISED, False, None),
            "403": (Told(403), errors.UNAUTHORISED, False, None),
            "409": (Told(409), errors.UNAVAILABLE, False, None),
            "413": (Told(413), errors.REJECTED, False, None),
            "422": (Told(422), errors.REJECTED, False, None),
            "429 with thousandths": (
                Told(429, headers={"Retry-After-Ms": "1500", "Retry-After": "9"}),
                errors.THROTTLED,
                False,
                (1.5, 1.5),
            ),
            "429 with an age": (
                Told(429, headers={"Retry-After-Ms": "9999999"}),
                errors.THROTTLED,
                False,
                (3_600.0, 3_600.0),
            ),
            "429 for want of money": (
                Told(429, fixtures.raw("openai", "error_quota"), {"Retry-After": "9"}),
                errors.UNAUTHORISED,
                False,
                None,
            ),
        }

    def calls(self) -> dict[str, Callable[[Any, Http], object]]:
        return {
            "deliver": lambda bot, http: bot.deliver(delivery(), http),
            "try the credentials": lambda bot, http: bot.try_credentials(http),
        }


class TestWhole(TestOpenaiDestination):
    values: ClassVar[dict[str, Any]] = {**TestOpenaiDestination.values, "stream": False}


class TestResponses(TestOpenaiDestination):
    answer: ClassVar[dict[str, Any]] = fixtures.value("openai", "responses_hand_over")
    values: ClassVar[dict[str, Any]] = {**TestOpenaiDestination.values, "api": "responses"}


def destination(**changes: Any) -> OpenaiDestination:
    built: OpenaiDestination = TestOpenaiDestination().build(**changes)
    return built


def deliver(outside: Sink, told: Delivery | None = None, **changes: Any) -> Answer:
    bot = destination(**{"base_url": outside.url, **changes})
    return bot.deliver(told or delivery(), Http([outside.url], files=[outside.url]))


def ask(outside: Sink, told: Delivery | None = None, **changes: Any) -> Call:
    """The one question that a delivery asks."""
    outside.answers(Told(200, fixtures.raw("openai", f"{changes.get('api', 'chat')}_text")))
    deliver(outside, told, **changes)
    (call,) = outside.calls
    return call


def answer(outside: Sink, body: Any, **changes: Any) -> Answer:
    """What a delivery makes of an answer."""
    outside.answers(Told(200, body if isinstance(body, bytes) else orjson.dumps(body)))
    return deliver(outside, **changes)


def failure(outside: Sink, *answers: Told, told: Delivery | None = None, **changes: Any) -> Failure:
    outside.answers(*answers)
    with pytest.raises(Failure) as raised:
        deliver(outside, told, **changes)
    return raised.value


def stream(name: str) -> bytes:
    return (fixtures.FOLDER / "openai" / f"{name}.txt").read_bytes()


# --- the question ---

PARAMS = {"chat": CompletionCreateParamsStreaming, "responses": ResponseCreateParamsStreaming}
PRICES = {"price_input": "2.5", "price_cached": "1.25", "price_output": "10"}
HISTORY = (message("Hi"), message("Hello! How can I help?", "bot"), message(Attachment("image", PICTURE)))


@cache
def model_of(api: str) -> TypeAdapter[Any]:
    """Made once, as that takes the library a third of a second."""
    return TypeAdapter(cast("type[Any]", PARAMS[api]))


def as_the_library_has_it(api: str, body: dict[str, Any]) -> None:
    """Every field is one that the library knows, and all values are of its types."""
    assert body.keys() <= PARAMS[api].__annotations__.keys()
    adapter = model_of(api)
    adapter.dump_python(adapter.validate_python(body), warnings="error")  # lists are looked at when they are written


ASKED: dict[str, dict[str, Any]] = {
    "plain": {},
    "with a part": {"system_prompt": "Be brief.", "system_role": "developer"},
    "with prices": PRICES,
    "with bounds": {"max_tokens": 500},
    "with the older name": {"max_tokens": 500, "max_tokens_field": "max_tokens"},
    "with an end": {"end_tool": "end_conversation"},
    "by flag": {"handoff_by": "json"},
    "without handoff": {"handoff_by": "none"},
    "with pictures": {"images": "url"},
    "with a customer": {"customer_field": "safety_identifier"},
    "with more": {"parameters": {"temperature": 0.2, "metadata": {"shop": "one"}}},
}


@pytest.mark.parametrize("api", PARAMS)
@pytest.mark.parametrize("changes", ASKED.values(), ids=ASKED)
def test_the_library_could_have_asked_it(changes: dict[str, Any], api: str, outside: Sink) -> None:
    told = delivery(Attachment("image", PICTURE, description="A receipt"), *HISTORY)
    as_the_library_has_it(api, ask(outside, told, api=api, **changes).json)


TOOL = {
    "name": "hand_over",
    "description": "Fetch a person, if the customer asks for one or you cannot help them.",
    "parameters": {
        "type": "object",
        "properties": {
            "reason": {"type": "string", "description": "What the customer wants, and what was tried so far."}
        },
        "required": ["reason"],
    },
}


def test_a_question_by_chat_completions(outside: Sink) -> None:
    call = ask(outside, system_prompt="Be brief.\n")
    assert ("POST", "/v1/chat/completions") == (call.method, call.path)
    assert f"Bearer {KEY}" == call.headers["authorization"]
    assert call.headers["content-type"] == "application/json"
    assert call.json == {
        "model": "local-model",
        "stream": True,
        "tools": [{"type": "function", "function": TOOL}],
        "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "Where is my parcel?"},
        ],
    }


def test_a_question_by_responses_leaves_nothing_at_the_server(outside: Sink) -> None:
    call = ask(outside, api="responses", system_prompt="Be brief.", max_tokens=70)
    assert call.path == "/v1/responses"
    assert call.json == {
        "model": "local-model",
        "store": False,
        "max_output_tokens": 70,
        "stream": True,
        "tools": [{"type": "function", **TOOL, "strict": False}],
        "instructions": "Be brief.",
        "input": [{"role": "user", "content": "Where is my parcel?"}],
    }


BASES = {
    "": "/v1/chat/completions",
    "/": "/v1/chat/completions",
    "/v1": "/v1/chat/completions",
    "/v1/": "/v1/chat/completions",
    "/openai/v1beta": "/openai/v1beta/chat/completions",
}


@pytest.mark.parametrize(("base", "path"), BASES.items(), ids=BASES)
def test_the_base_url_is_that_of_the_libraries(base: str, path: str, outside: Sink) -> None:
    assert path == ask(outside, base_url=outside.url + base).path


def test_without_a_base_url_it_is_openais(monkeypatch: pytest.MonkeyPatch) -> None:
    called: list[str] = []

    def post(self: Http, url: str, **options: Any) -> Any:
        called.append(url)
        raise Failure(errors.UNAVAILABLE, "not here")

    monkeypatch.setattr(Http, "post", post)
    with pytest.raises(Failure):
        destination().deliver(delivery(), Http())
    assert called == ["https://api.openai.com/v1/chat/completions"]


def test_a_server_without_keys_is_sent_none(outside: Sink) -> None:
    assert "authorization" not in ask(outside, api_key=None).headers


def test_usage_is_asked_for_where_it_is_counted(outside: Sink) -> None:
    assert ask(outside, **PRICES).json["stream_options"] == {"include_usage": True}
    outside.calls.clear()
    assert "stream_options" not in ask(outside, stream=False, **PRICES).json


def test_a_customer_is_named_by_a_hash(outside: Sink) -> None:
    name = hashlib.sha256(b"shop/webchat:v81").hexdigest()
    for field in ("safety_identifier", "user"):
        call = ask(outside, customer_field=field)
        assert (name, b"v81" in call.body) == (call.json[field], False)
        outside.calls.clear()


def test_the_rest_of_the_api_is_open(outside: Sink) -> None:
    body = ask(outside, max_tokens=5, parameters={"temperature": 0.2, "max_completion_tokens": 9}).json
    assert (0.2, 5) == (body["temperature"], body["max_completion_tokens"])


def test_the_flag_is_explained_and_no_tool_offered(outside: Sink) -> None:
    body = ask(outside, system_prompt="Be brief.", handoff_by="json", end_tool="end_conversation").json
    assert "tools" not in body
    told = body["messages"][0]["content"]
    assert told.startswith('Be brief.\n\nAnswer with one object of JSON and nothing else: {"reply": ')
    assert '"hand_over": false' in told
    assert '"end_conversation": false' in told


# --- the turns ---

SAID: dict[str, tuple[Content, str]] = {
    "a text": (Text("Hi"), "Hi"),
    "an image": (Attachment("image", PICTURE, file_name="receipt.jpg"), "[image: receipt.jpg]"),
    "an image with words": (Attachment("image", PICTURE, None, "a.jpg", "A receipt"), "[image: A receipt - a.jpg]"),
    "a file without a name": (Attachment("file", PICTURE), "[file]"),
    "a voice": (Attachment("audio", PICTURE, "audio/ogg"), "[audio]"),
    "a place": (Location(52.5, 13.4, "Alexanderplatz"), "[location: Alexanderplatz (52.5, 13.4)]"),
    "a choice": (QuickReply("Which?", ("A", "B")), "Which?\n1. A\n2. B"),
    "a card": (Card("Look", (Image(PICTURE, "Plate"), Image(PICTURE))), "Look\n[image: Plate]\n[image]"),
    "a card without words": (Card("", (Image(PICTURE),)), "[image]"),
}


@pytest.mark.parametrize(("content", "words"), SAID.values(), ids=SAID)
def test_what_a_model_cannot_see_is_said_in_words(content: Content, words: str, outside: Sink) -> None:
    assert (content,) == render(content, destination().capabilities)
    assert ask(outside, delivery(content)).json["messages"] == [{"role": "user", "content": words}]


@pytest.mark.parametrize("text", ["", " ", "\n\t"], ids=["empty", "a space", "lines"])
def test_nobody_is_asked_nothing(text: str, outside: Sink) -> None:
    assert Answer(Receipt(status="delivered"), spent=0) == deliver(outside, delivery(text))
    assert outside.calls == []


def roles_of(body: dict[str, Any]) -> list[tuple[str, Any]]:
    return [(turn["role"], turn["content"]) for turn in body.get("messages") or body["input"]]


@pytest.mark.parametrize("api", PARAMS)
def test_the_conversation_comes_along_in_alternating_turns(api: str, outside: Sink) -> None:
    history = [
        message("Hi"),
        message(" "),
        message("I am Ada"),
        message("Hello!", "bot"),
        message("Please wait.", "system"),
        message("I am Kim.", "agent"),
        message("Hm"),
    ]
    assert roles_of(ask(outside, delivery("And now?", *history), api=api).json) == [
        ("user", "Hi\nI am Ada"),
        ("assistant", "Hello!\nPlease wait.\nI am Kim."),
        ("user", "Hm\nAnd now?"),
    ]


BOUNDS: dict[str, tuple[int, list[str]]] = {
    "none": (0, ["now"]),
    "not the newest": (7, ["now"]),
    "the newest alone": (8, ["bbbbbbbbbbbb", "now"]),
    "not all": (15, ["bbbbbbbbbbbb", "now"]),
    "all": (16, ["aaaaaaaaaaaa", "bbbbbbbbbbbb", "now"]),
}


@pytest.mark.parametrize(("tokens", "expected"), BOUNDS.values(), ids=BOUNDS)
def test_the_newest_turns_that_fit_come_along(tokens: int, expected: list[str], outside: Sink) -> None:
    """Twelve letters are estimated at four tokens, and four more for the turn."""
    told = delivery("now", message("a" * 12), message("b" * 12))
    ((_, text),) = roles_of(ask(outside, told, history_tokens=tokens).json)
    assert "\n".join(expected) == text


SHORTENED: dict[str, tuple[dict[str, Any], list[str]]] = {
    "whole": ({}, ["Hello!", "Hi", "Ho", "now"]),
    "by messages": ({"history_messages": 3}, ["Hi", "Ho", "now"]),
    "by tokens": ({"history_tokens": 7}, ["now"]),
}


@pytest.mark.parametrize(("bounds", "expected"), SHORTENED.values(), ids=SHORTENED)
def test_a_shortened_history_begins_with_the_customer(
    bounds: dict[str, Any], expected: list[str], outside: Sink
) -> None:
    """One that is whole may begin with a message of ours: it is what they answer."""
    told = delivery("now", message("Hello!", "bot"), message("Hi"), message("Ho", "bot"))
    assert expected == [text for _, text in roles_of(ask(outside, told, **bounds).json)]


def test_other_scripts_count_for_more(outside: Sink) -> None:
    told = delivery("now", message("包" * 12))
    assert roles_of(ask(outside, told, history_tokens=15).json) == [("user", "now")]


def test_it_wants_as_many_messages_as_are_configured() -> None:
    bot = destination(history_messages=7)
    assert isinstance(bot, WantsHistory)
    assert bot.history == 7


@THOROUGH
@given(contents, st.lists(messages, max_size=5), st.integers(0, 500), st.sampled_from(["none", "url"]))
def test_no_turn_is_empty_and_none_follows_its_own_side(
    content: Content, history: list[Message], tokens: int, images: str
) -> None:
    bodies: list[dict[str, Any]] = []

    class Recording(Http):
        def post(self, url: str, *, json: Any = None, **options: Any) -> Response:  # type: ignore[override]
            bodies.append(json)
            raise Failure(errors.UNAVAILABLE, "not here")

    bot = destination(history_tokens=tokens, images=images)
    try:
        bot.deliver(delivery(content, *history), Recording())
    except Failure:
        turns = roles_of(bodies[0])
        assert turns[-1][0] == "user"
        assert all(one[0] != other[0] for one, other in pairwise(turns))
        parts = [part for _, said in turns for part in ([said] if isinstance(said, str) else said)]
        assert all(part.strip() if isinstance(part, str) else part.get("text", "x").strip() for part in parts)
    else:
        assert bodies == []


# --- pictures ---

SHOWN: dict[str, Any] = {
    "chat": [{"type": "image_url", "image_url": {"url": PICTURE}}, {"type": "text", "text": "A receipt"}],
    "responses": [
        {"type": "input_image", "image_url": PICTURE, "detail": "auto"},
        {"type": "input_text", "text": "A receipt"},
    ],
}


@pytest.mark.parametrize("api", SHOWN)
def test_a_model_with_eyes_is_shown_pictures(api: str, outside: Sink) -> None:
    told = delivery(Attachment("image", PICTURE, description="A receipt"))
    assert [("user", SHOWN[api])] == roles_of(ask(outside, told, api=api, images="url").json)


def test_only_customers_show_pictures(outside: Sink) -> None:
    told = delivery("Hm?", message(Attachment("image", PICTURE), "bot"))
    assert roles_of(ask(outside, told, images="url").json) == [("assistant", "[image]"), ("user", "Hm?")]


def test_only_the_newest_pictures_are_shown(outside: Sink) -> None:
    mine = [message(Attachment("image", f"{PICTURE}?{n}", file_name=f"{n}.jpg")) for n in range(5)]
    ((_, said),) = roles_of(ask(outside, delivery("Which is best?", *mine), images="url").json)
    assert [part.get("text") or part["image_url"]["url"] for part in said] == [
        "[image: 0.jpg]",
        *(f"{PICTURE}?{n}" for n in range(1, 5)),
        "Which is best?",
    ]


def test_a_picture_may_come_as_data(outside: Sink) -> None:
    pictures = Told(200, b"\xff\xd8", {"content-type": "image/jpeg; q=1"})
    outside.answer = lambda call: pictures if call.method == "GET" else Told(200, fixtures.raw("openai", "chat_text"))
    deliver(outside, delivery(Attachment("image", f"{outside.url}/a.jpg")), images="data")
    (_, said) = roles_of(outside.calls[-1].json)[0]
    assert said == [{"type": "image_url", "image_url": {"url": "data:image/jpeg;base64,/9g="}}]
    assert "authorization" not in outside.calls[0].headers


NO_PICTURES = {
    "gone": Told(404),
    "no picture": Told(200, b"<html>", {"content-type": "text/html"}),
    "without a type": Told(200, b"\xff\xd8"),
    "dropped": Told(drop=True),
    "too large": Told(200, b"x" * (5 * 1024 * 1024 + 1), {"content-type": "image/png"}),
}


@pytest.mark.parametrize("told", NO_PICTURES.values(), ids=NO_PICTURES)
def test_a_picture_that_cannot_be_had_is_said_in_words(told: Told, outside: Sink) -> None:
    outside.answer = lambda call: told if call.method == "GET" else Told(200, fixtures.raw("openai", "chat_text"))
    content = Attachment("image", f"{outside.url}/a.jpg", file_name="a.jpg")
    deliver(outside, delivery(content), images="data")
    assert roles_of(outside.calls[-1].json) == [("user", "[image: a.jpg]")]


# --- the answer ---

GOOD = Receipt(status="delivered")
REASON = {"reason": "Wants a refund."}
ANSWERS: dict[str, Answer] = {
    "text": Answer(GOOD, (Text("It left today. 📦"),)),
    "hand_over": Answer(GOOD, (Text("I fetch somebody."),), handoff=True, memory=REASON),
    "hand_over_silent": Answer(GOOD, handoff=True),
    "refusal": Answer(GOOD, (Text("I cannot help with that."),)),
    "empty": Answer(GOOD, unsupported=("no_answer",)),
    "length": Answer(GOOD, (Text("Once upon a"),), unsupported=("length",)),
    "filtered": Answer(GOOD, unsupported=("content_filter",)),
}
LIBRARY: dict[str, Any] = {"chat": ChatCompletion, "responses": ModelResponse}


@pytest.mark.parametrize("streams", [True, False], ids=["asked for a stream", "whole"])
@pytest.mark.parametrize("api", LIBRARY)
@pytest.mark.parametrize(("name", "expected"), ANSWERS.items(), ids=ANSWERS)
def test_it_reads(name: str, expected: Answer, api: str, streams: bool, outside: Sink) -> None:
    """A server that answers in one piece is understood, whatever it was asked for."""
    body = fixtures.raw("openai", f"{api}_{name}")
    assert expected == answer(outside, body, api=api, stream=streams)


@pytest.mark.parametrize("api", LIBRARY)
@pytest.mark.parametrize("ends", [b"\n", b"\r\n"], ids=["lines", "lines of the Internet"])
def test_it_reads_a_stream(ends: bytes, api: str, outside: Sink) -> None:
    outside.answers(Told(200, stream(f"stream_{api}").replace(b"\n", ends), STREAM))
    spent = 200 * 2_500 + 1_000 * 1_250 + 80 * 10_000
    assert replace(ANSWERS["hand_over"], spent=spent) == deliver(outside, api=api, **PRICES)


def taking(*pieces: bytes, then: Failure | None = None) -> Http:
    """An outside world that sends these pieces, and fails then, if it does."""

    class Sending(Http):
        def post(self, url: str, *, take: Any = None, **options: Any) -> Response:  # type: ignore[override]
            for piece in pieces:
                take(piece)
            if then:
                raise then
            return Response(200, {}, b"")

    return Sending()


@pytest.mark.parametrize("api", LIBRARY)
@THOROUGH
@given(data=st.data())
def test_a_stream_comes_in_pieces_of_any_size(api: str, data: st.DataObject) -> None:
    whole = stream(f"stream_{api}")
    cuts = sorted(data.draw(st.lists(st.integers(0, len(whole)), max_size=20)))
    pieces = [whole[a:b] for a, b in zip([0, *cuts], [*cuts, len(whole)], strict=True)]
    assert ANSWERS["hand_over"] == destination(api=api).deliver(delivery(), taking(*pieces))


def chunks(*texts: str, ended: str | None = "stop") -> bytes:
    said = [{"index": 0, "delta": {"content": text}} for text in texts]
    said += [{"index": 0, "delta": {}, "finish_reason": ended}] if ended else []
    return b"".join(b"data: " + orjson.dumps({"choices": [one]}) + b"\n\n" for one in said)


DONE = b"data: [DONE]\n\n"
HELLO = Answer(GOOD, (Text("Hello you"),))
STREAMS: dict[str, bytes] = {
    "as it is to be": chunks("Hello ", "you") + DONE,
    "without an end mark": chunks("Hello ", "you"),
    "without a reason": chunks("Hello ", "you", ended=None) + DONE,
    "without a last line": (chunks("Hello ", "you", ended=None) + DONE).rstrip(),
    "with comments": b": wait\n\n:\n\n" + chunks("Hello ") + b": wait\n\n" + chunks("you") + DONE,
    "with names of events": b"event: chunk\nid: 1\n" + chunks("Hello ", "you") + DONE,
    "without a space": (chunks("Hello ", "you") + DONE).replace(b"data: ", b"data:"),
    "behind a byte order mark": b"\xef\xbb\xbf" + chunks("Hello ", "you") + DONE,
    "behind blank lines": b"\r\n\n" + chunks("Hello ", "you") + DONE,
    "on several lines": chunks("Hello ", "you").replace(b'{"choices"', b'{\ndata: "choices"') + DONE,
    "with another choice": chunks("Hello ", "you").replace(b"data: [D", b"") + chunks("x").replace(b":0", b":1"),
    "with more behind the end": chunks("Hello ", "you") + DONE + b"data: nothing that is JSON\n\n",
    "with words in parts": b'data: {"choices":[{"delta":{"content":[{"type":"text","text":"Hello you"}]}}]}\n\n' + DONE,
    "with megabytes around it": b": wait\n\n" * 400_000 + chunks("Hello ", "you") + DONE,
    "with odd events": b"data: 5\n\ndata: {}\n\ndata: \n\n" + chunks("Hello ", "you") + DONE,
}


@pytest.mark.parametrize("body", STREAMS.values(), ids=STREAMS)
def test_streams_of_all_kinds_are_read(body: bytes, outside: Sink) -> None:
    outside.answers(Told(200, body, STREAM))
    assert HELLO == deliver(outside)


@pytest.mark.parametrize("index", ["", '"index":null,', '"index":"0",'])
def test_a_call_in_a_stream_may_have_no_number(index: str, outside: Sink) -> None:
    """Some servers say a call as a whole, and none of which it is."""
    call = f'{{{index}"function":{{"name":"hand_over","arguments":"{{}}"}}}}'
    body = f'data: {{"choices":[{{"delta":{{"tool_calls":[{call}]}},"finish_reason":"tool_calls"}}]}}\n\n'
    outside.answers(Told(200, body.encode(), STREAM))
    assert Answer(GOOD, handoff=True) == deliver(outside)


def test_what_breaks_behind_the_end_of_an_answer_is_no_loss() -> None:
    lost = Failure(errors.TIMED_OUT, "no answer in time", maybe_done=True)
    assert HELLO == destination().deliver(delivery(), taking(chunks("Hello ", "you"), then=lost))
    with pytest.raises(Failure) as raised:
        destination().deliver(delivery(), taking(chunks("Hello ", ended=None), then=lost))
    assert (raised.value.kind, raised.value.maybe_done) == (errors.TIMED_OUT, True)


def test_half_a_stream_is_no_answer(outside: Sink) -> None:
    failed = failure(outside, Told(200, chunks("Hello ", ended=None), STREAM))
    assert (failed.kind, failed.maybe_done) == (errors.UNPARSEABLE, True)


def test_a_stream_of_responses_may_say_its_parts_once(outside: Sink) -> None:
    short = fixtures.value("openai", "responses_hand_over")
    item = [{"type": "response.output_item.done", "item": one} for one in short["output"]]
    events = [*item, {"type": "response.completed", "response": {**short, "output": []}}]
    body = b"".join(b"data: " + orjson.dumps(event) + b"\n\n" for event in events)
    outside.answers(Told(200, body, STREAM))
    assert ANSWERS["hand_over"] == deliver(outside, api="responses")


BROKEN: dict[str, tuple[str, bytes, Kind]] = {
    "a fault": ("chat", b'data: {"error":{"message":"Down","type":"server_error"}}\n\n', errors.UNAVAILABLE),
    "without a name": ("chat", b'data: {"error":{"message":"Down"}}\n\n', errors.UNAVAILABLE),
    "in a word": ("chat", b'data: {"error":"Down"}\n\n', errors.UNAVAILABLE),
    "too many": ("chat", b'data: {"error":{"code":429,"message":"Slow"}}\n\n', errors.THROTTLED),
    "no such model": ("chat", b'data: {"error":{"code":"model_not_found"}}\n\n', errors.MISCONFIGURED),
    "refused": ("chat", b'data: {"error":{"type":"invalid_request_error"}}\n\n', errors.REJECTED),
    "no JSON": ("chat", b"data: {\n\n", errors.UNPARSEABLE),
    "an event": ("responses", b'data: {"type":"error","code":"server_error","message":"Down"}\n\n', errors.UNAVAILABLE),
    "an event of too many": ("responses", b'data: {"type":"error","code":"rate_limit_exceeded"}\n\n', errors.THROTTLED),
    "the older form": ("responses", b'data: {"error":{"code":"server_error"}}\n\n', errors.UNAVAILABLE),
    "an event of failure": (
        "responses",
        b'data: {"type":"response.failed","response":{"status":"failed","error":{"code":"rate_limit_exceeded"}}}\n\n',
        errors.THROTTLED,
    ),
    "one that is no answer": ("chat", b'{"error":{"message":"Down"}}', errors.UNAVAILABLE),
}


@pytest.mark.parametrize(("api", "body", "kind"), BROKEN.values(), ids=BROKEN)
def test_an_error_in_mid_stream_has_its_kind(api: str, body: bytes, kind: Kind, outside: Sink) -> None:
    before = chunks("Hel", ended=None) if body.startswith(b"data") and api == "chat" else b""
    assert kind is failure(outside, Told(200, before + body, STREAM), api=api).kind


FAILED: dict[str, tuple[Any, Kind]] = {
    "throttled": ({"code": "rate_limit_exceeded", "message": "Slow"}, errors.THROTTLED),
    "a fault": ({"code": "server_error", "message": "Down"}, errors.UNAVAILABLE),
    "refused": ({"code": "invalid_prompt", "message": "No"}, errors.REJECTED),
    "a picture": ({"code": "failed_to_download_image", "message": "No"}, errors.REJECTED),
    "for no reason": (None, errors.UNAVAILABLE),
}


@pytest.mark.parametrize(("error", "kind"), FAILED.values(), ids=FAILED)
def test_a_failed_response_is_no_success(error: Any, kind: Kind, outside: Sink) -> None:
    body = {**fixtures.value("openai", "responses_failed"), "error": error}
    assert kind is failure(outside, Told(200, orjson.dumps(body)), api="responses").kind


UNREADABLE: dict[str, tuple[str, bytes]] = {
    "nothing": ("chat", b""),
    "a page": ("chat", b"<html>Hello</html>"),
    "a list": ("chat", b"[]"),
    "no choices": ("chat", b'{"choices":[]}'),
    "no message": ("chat", b'{"choices":[{"finish_reason":"stop"}]}'),
    "half an object": ("chat", b'{"choices":[{"mess'),
    "queued": ("responses", b'{"status":"queued","output":[]}'),
    "in progress": ("responses", b'{"status":"in_progress","output":[]}'),
    "cancelled": ("responses", b'{"status":"cancelled","output":[]}'),
    "no status": ("responses", b'{"output":[]}'),
    "no output": ("responses", b'{"status":"completed"}'),
    "a word": ("responses", b'"hi"'),
}


@pytest.mark.parametrize(("api", "body"), UNREADABLE.values(), ids=UNREADABLE)
@pytest.mark.parametrize("streams", [True, False], ids=["asked for a stream", "whole"])
def test_an_answer_that_cannot_be_read(streams: bool, api: str, body: bytes, outside: Sink) -> None:
    failed = failure(outside, Told(200, body), api=api, stream=streams)
    assert (failed.kind, failed.maybe_done) == (errors.UNPARSEABLE, True)


VALID = {
    api: [fixtures.value("openai", name) for name in fixtures.names("openai", f"{api}_")]
    for api in ("chat", "responses")
}


@pytest.mark.parametrize("handoff_by", ["tool", "json"])
@pytest.mark.parametrize("api", VALID)
@THOROUGH
@given(data=st.data())
def test_whatever_a_server_answers_is_an_answer_or_a_failure(api: str, handoff_by: str, data: st.DataObject) -> None:
    body, is_stream = data.draw(odd_bodies(VALID[api])), data.draw(st.booleans())
    pieces = [b"data: ", body, b"\n\n", DONE] if is_stream else [body]
    bot = destination(api=api, handoff_by=handoff_by, **PRICES)
    try:
        found = bot.deliver(delivery(), taking(*pieces))
    except Failure:
        return
    assert isinstance(found, Answer)
    assert all(isinstance(reply, Text) and reply.text.strip() for reply in found.replies)


# --- what the model does beside speaking ---


def test_it_may_end_the_conversation(outside: Sink) -> None:
    body = fixtures.raw("openai", "chat_end")
    assert Answer(GOOD, (Text("Goodbye!"),), end=True) == answer(outside, body, end_tool="end_conversation")


def test_a_tool_that_nobody_offered_is_told_to_the_operator(outside: Sink) -> None:
    assert Answer(GOOD, unsupported=("tool",)) == answer(outside, fixtures.raw("openai", "chat_unknown_tool"))
    told = answer(outside, fixtures.raw("openai", "chat_hand_over"), handoff_by="none")
    assert Answer(GOOD, (Text("I fetch somebody."),), unsupported=("tool",)) == told


def test_the_tool_goes_by_the_name_in_the_configuration(outside: Sink) -> None:
    body = fixtures.raw("openai", "chat_hand_over").replace(b'"hand_over"', b'"fetch"')
    assert answer(outside, body, handoff_tool="fetch").handoff
    assert not answer(outside, body).handoff


def says(text: Any, **more: Any) -> dict[str, Any]:
    return {"choices": [{"message": {"role": "assistant", "content": text}, "finish_reason": "stop"}], **more}


FLAGS: dict[str, tuple[str, Answer]] = {
    "set": (
        '{"reply": "I fetch somebody.", "hand_over": true, "reason": " Wants a refund. "}',
        Answer(GOOD, (Text("I fetch somebody."),), handoff=True, memory=REASON),
    ),
    "set without a word": ('{"hand_over": true}', Answer(GOOD, handoff=True)),
    "not set": ('{"reply": "Hi", "hand_over": false}', Answer(GOOD, (Text("Hi"),))),
    "in a fence": ('```json\n{"reply": "Hi"}\n```', Answer(GOOD, (Text("Hi"),))),
    "in a text": ('{"reply": "Hi", "hand_over": "true"}', Answer(GOOD, (Text("Hi"),), handoff=True)),
    "the end": ('{"reply": "Bye", "bye": true}', Answer(GOOD, (Text("Bye"),), end=True)),
    "both": ('{"reply": "Bye", "bye": true, "hand_over": true}', Answer(GOOD, (Text("Bye"),), handoff=True)),
    "a reply that is none": ('{"reply": [1]}', Answer(GOOD, unsupported=("no_answer",))),
    "an object of its own": ('{"a": 1}', Answer(GOOD, (Text('{"a": 1}'),))),
    "plain words": ("Hi", Answer(GOOD, (Text("Hi"),))),
    "broken off": (
        '```json\n{"reply": "Hi \\"you\\" \\ud83d',
        Answer(GOOD, (Text('Hi "you" \N{REPLACEMENT CHARACTER}'),)),
    ),
    "broken off in a character": ('{"reply": "Hi \\u00', Answer(GOOD, (Text("Hi"),))),
    "broken off behind a flag": (
        '{"hand_over": true, "reply": "I fetch',
        Answer(GOOD, (Text("I fetch"),), handoff=True),
    ),
    "broken off in the reason": ('{"hand_over": true, "reason": "Wa', Answer(GOOD, handoff=True)),
    "a comma too many": (
        '{"reply": "Bye\n", "hand_over": false, "bye": true,}',
        Answer(GOOD, (Text("Bye"),), end=True),
    ),
    "an escape that is none": (r'{"reply": "I\'m \x \\", "bye": true}', Answer(GOOD, (Text("I'm x \\"),), end=True)),
    "a flag in the reply": ('{"reply": "\\"bye\\": true",}', Answer(GOOD, (Text('"bye": true'),))),
    "an example in words": ('Write "reply": "Hi", and', Answer(GOOD, (Text('Write "reply": "Hi", and'),))),
}


@pytest.mark.parametrize(("text", "expected"), FLAGS.values(), ids=FLAGS)
def test_a_flag_does_what_a_tool_does(text: str, expected: Answer, outside: Sink) -> None:
    assert expected == answer(outside, says(text), handoff_by="json", end_tool="bye")


SPOKEN: dict[str, tuple[Any, str]] = {
    "plain": ("Hi", "Hi"),
    "around it": ("\n\n Hi \n", "Hi"),
    "in parts": ([{"type": "text", "text": "H"}, {"type": "thinking"}, {"type": "text", "text": "i"}], "Hi"),
    "thoughts": ("<think>\nHe greets.\n</think>\n\nHi", "Hi"),
    "thoughts without a beginning": ("He greets.\n</think>\n\nHi", "Hi"),
    "thoughts without an end": ("<think>He greets", ""),
    "null": (None, ""),
    "a number": (5, ""),
}


@pytest.mark.parametrize(("content", "text"), SPOKEN.values(), ids=SPOKEN)
def test_the_customer_reads_what_is_said(content: Any, text: str, outside: Sink) -> None:
    assert ((Text(text),) if text else ()) == answer(outside, says(content)).replies


def test_an_answer_without_end_is_cut(outside: Sink) -> None:
    found = answer(outside, says("x" * 7_001))
    assert ((Text("x" * 7_000),), ("long_text",)) == (found.replies, found.unsupported)


def test_something_may_be_said_in_the_place_of_nothing(outside: Sink) -> None:
    for name in ("empty", "filtered", "unknown_tool"):
        body = fixtures.raw("openai", f"chat_{name}")
        assert answer(outside, body, no_answer="I do not know.").replies == (Text("I do not know."),)
    assert answer(outside, fixtures.raw("openai", "chat_hand_over_silent"), no_answer="I do not know.").replies == ()


def test_a_long_reason_is_cut(outside: Sink) -> None:
    call = {"function": {"name": "hand_over", "arguments": json.dumps({"reason": "x" * 5_000})}}
    body = {"choices": [{"message": {"tool_calls": [call]}}]}
    assert answer(outside, body).memory == {"reason": "x" * 1_000}


# --- what it costs ---

SPENT: dict[str, tuple[dict[str, Any], Any, int | None]] = {
    "some from the cache": (
        PRICES,
        {"prompt_tokens": 1200, "prompt_tokens_details": {"cached_tokens": 1000}, "completion_tokens": 80},
        200 * 2_500 + 1_000 * 1_250 + 80 * 10_000,
    ),
    "all as new": (
        {"price_input": "2.5", "price_output": "10"},
        {"prompt_tokens": 1200, "prompt_tokens_details": {"cached_tokens": 1000}, "completion_tokens": 80},
        1_200 * 2_500 + 80 * 10_000,
    ),
    "rounded": ({"price_input": "0.000000001", "price_output": 0}, {"prompt_tokens": 500_000}, 1),
    "rounded down": ({"price_input": "0.000000001", "price_output": 0}, {"prompt_tokens": 499_999}, 0),
    "more cached than read": (
        PRICES,
        {"prompt_tokens": 4, "prompt_tokens_details": {"cached_tokens": 9}, "completion_tokens": 0},
        4 * 1_250,
    ),
    "nonsense": (PRICES, {"prompt_tokens": -4, "completion_tokens": "many"}, None),
    "more than can be": (PRICES, {"prompt_tokens": 2**63, "completion_tokens": None}, None),
    "an empty object": (PRICES, {}, None),
    "not told": (PRICES, None, None),
    "without prices": ({}, {"prompt_tokens": 1200, "completion_tokens": 80}, None),
}


@pytest.mark.parametrize(("prices", "usage", "nanos"), SPENT.values(), ids=SPENT)
def test_what_it_cost(prices: dict[str, Any], usage: Any, nanos: int | None, outside: Sink) -> None:
    assert nanos == answer(outside, says("Hi", usage=usage), **prices).spent


# --- errors ---

ERRORS: dict[str, tuple[int, Any, Kind, str]] = {
    "no money": (429, fixtures.value("openai", "error_quota"), errors.UNAUTHORISED, "insufficient_quota: You exceeded"),
    "no model": (404, fixtures.value("openai", "error_no_model"), errors.MISCONFIGURED, "model_not_found: The model"),
    "no model, by another status": (400, fixtures.value("openai", "error_no_model"), errors.MISCONFIGURED, ""),
    "a wrong key, by another status": (400, {"error": {"code": "invalid_api_key"}}, errors.UNAUTHORISED, ""),
    "a status is more than a type": (429, {"error": {"type": "invalid_request_error"}}, errors.THROTTLED, ""),
    "a fault of a type": (400, {"error": {"type": "server_error"}}, errors.REJECTED, ""),
    "in a word": (404, {"error": "model 'x' not found"}, errors.MISCONFIGURED, "model 'x' not found"),
    "without a wrapping": (400, {"object": "error", "message": "No.", "code": 40001}, errors.REJECTED, "40001: No."),
    "in a list": (400, [{"error": {"code": 400, "message": "No."}}], errors.REJECTED, "400: No."),
    "other JSON": (400, {"detail": "No."}, errors.REJECTED, '{"detail":"No."}'),
}


@pytest.mark.parametrize(("status", "body", "kind", "detail"), ERRORS.values(), ids=ERRORS)
def test_an_error_has_its_kind_and_its_words(status: int, body: Any, kind: Kind, detail: str, outside: Sink) -> None:
    failed = failure(outside, Told(status, orjson.dumps(body)))
    assert kind is failed.kind
    assert failed.detail.startswith(f"HTTP {status}: {detail}")


@pytest.mark.parametrize("name", ["error", "error_too"], ids=["in mid-stream", "with a status"])
def test_a_server_that_repeats_our_key_is_not_quoted(name: str, outside: Sink) -> None:
    status = 200 if name == "error" else 401
    body = orjson.dumps({"error": {"message": f"{'x' * 495}{KEY} is wrong"}})
    failed = failure(outside, Told(status, b"data: " + body + b"\n\n" if status == 200 else body, STREAM))
    assert "sk-" not in failed.detail
    assert len(failed.detail) <= 500


LONG = Told(400, fixtures.raw("openai", "error_too_long"))
TOO_LONG: dict[str, Told] = {
    "by its code": LONG,
    "by its type": Told(400, b'{"error":{"code":400,"type":"exceed_context_size_error","message":"No."}}'),
    "in words": Told(400, b'{"object":"error","message":"This model\'s maximum context length is 4096 tokens."}'),
    "by another status": Told(413, b'{"error":{"message":"The prompt is too long."}}'),
    "in mid-stream": Told(200, b'data: {"error":{"code":"context_length_exceeded"}}\n\n', STREAM),
}


@pytest.mark.parametrize("told", TOO_LONG.values(), ids=TOO_LONG)
def test_what_is_too_long_is_asked_once_with_half_the_history(told: Told, outside: Sink) -> None:
    outside.answers(told, Told(200, fixtures.raw("openai", "chat_text")))
    history = [message(f"m{n}", "bot" if n % 2 else "customer") for n in range(5)]
    assert ANSWERS["text"] == deliver(outside, delivery("now", *history))
    first, second = (roles_of(call.json) for call in outside.calls)
    assert [text for _, text in first] == ["m0", "m1", "m2", "m3", "m4\nnow"]
    assert second == [("user", "m4\nnow")]


def test_what_is_still_too_long_is_rejected(outside: Sink) -> None:
    assert errors.REJECTED is failure(outside, LONG, told=delivery("now", message("Hi"), message("Ho"))).kind
    assert len(outside.calls) == 2
    outside.calls.clear()
    assert errors.REJECTED is failure(outside, LONG).kind
    assert len(outside.calls) == 1


def test_another_refusal_is_not_asked_again(outside: Sink) -> None:
    refused = Told(400, b'{"error":{"message":"Bad value of temperature."}}')
    assert errors.REJECTED is failure(outside, refused, told=delivery("now", message("Hi"))).kind
    assert len(outside.calls) == 1


# --- the rest ---


def test_a_question_is_asked_again_unless_the_server_acts_by_itself() -> None:
    assert destination().capabilities.resend_safe
    assert not destination(resend_after_timeout=False).capabilities.resend_safe


def test_it_says_all_in_its_answers() -> None:
    for more in (TakesOver, CallsUs, Reports):
        assert not isinstance(destination(), more)


BAD_SETTINGS: dict[str, tuple[str, Any]] = {
    "no model": ("model", ""),
    "another api": ("api", "assistants"),
    "a base url without a scheme": ("base_url", "localhost:11434"),
    "a short key": ("api_key", "sk"),
    "a tool with a space": ("handoff_tool", "hand over"),
    "two tools by one name": ("end_tool", "hand_over"),
    "what other settings say": ("parameters", {"model": "x", "store": True}),
    "a price without the other": ("price_output", 3),
    "a price of the cache alone": ("price_cached", 3),
    "a price below nothing": ("price_input", -1),
    "a role of its own": ("system_role", "user"),
    "pictures in words": ("images", "yes"),
}


@pytest.mark.parametrize(("key", "value"), BAD_SETTINGS.values(), ids=BAD_SETTINGS)
def test_settings_are_checked(key: str, value: Any) -> None:
    with pytest.raises(ValidationError) as raised:
        destination(**{key: value})
    assert [key] == list(raised.value.messages_dict)


@pytest.mark.parametrize("name", ["reply", "reason"])
@pytest.mark.parametrize("key", ["handoff_tool", "end_tool"])
def test_a_flag_has_a_name_of_its_own(key: str, name: str) -> None:
    destination(**{key: name})
    with pytest.raises(ValidationError) as raised:
        destination(**{key: name, "handoff_by": "json"})
    assert [key] == list(raised.value.messages_dict)


@pytest.mark.parametrize("api", LIBRARY)
def test_the_library_reads_what_the_fixtures_hold(api: str) -> None:
    for name in fixtures.names("openai", f"{api}_"):
        LIBRARY[api].model_validate(fixtures.value("openai", name))
