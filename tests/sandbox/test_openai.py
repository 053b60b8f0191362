"""The stand-in for servers that speak OpenAI's API: that library talks to it, and so does the adapter."""

import json

import pytest
from openai import APIStatusError, AuthenticationError, BadRequestError, DefaultHttpxClient, NotFoundError, OpenAI
from openai.types.responses import ResponseCompletedEvent, ResponseOutputItemDoneEvent, ResponseTextDeltaEvent
from pydantic import TypeAdapter

from app.core.message import Message, Text
from app.core.session import Session
from app.http import Http
from app.platforms.destination import Delivery
from app.platforms.openai.destination import OpenaiDestination
from app.sandbox.openai.api import OpenaiSettings
from tests.platforms.conformance import unused

from .calls import inspect

KEY, MODEL = OpenaiSettings().openai_api_key, OpenaiSettings().openai_model
BEARER = {"Authorization": f"Bearer {KEY}"}
TOOL = {
    "name": "hand_over",
    "description": "Fetch a person",
    "parameters": {"type": "object", "properties": {"reason": {"type": "string"}}},
}
CHAT_TOOLS = [{"type": "function", "function": TOOL}]
TOOLS = [{"type": "function", **TOOL, "strict": False}]
AGENT = "I want to talk to an agent"


@pytest.fixture
def library(served):
    http = DefaultHttpxClient(
        verify=False
    )  # reading the authorities that it would never ask takes longer than the calls
    with OpenAI(base_url=f"{served}/openai/v1", api_key=KEY, max_retries=0, http_client=http) as client:
        yield client


def turns(*texts):
    """The customer's and the model's, in turn; the last one is the customer's."""
    count = len(texts)
    return [{"role": "assistant" if (count - n) % 2 == 0 else "user", "content": text} for n, text in enumerate(texts)]


def whole(model):
    """The model itself, if everything in it is of the library's types."""
    type(model).model_validate(model.model_dump(by_alias=True))
    TypeAdapter(type(model)).validate_json(model.to_json())
    return model


def test_the_library_gets_an_answer(library):
    found = whole(library.chat.completions.create(model=MODEL, messages=turns("hello")))
    (choice,) = found.choices
    assert choice.message.content.startswith("Hello!")
    assert (choice.finish_reason, choice.message.tool_calls) == ("stop", None)
    assert found.usage.total_tokens == found.usage.prompt_tokens + found.usage.completion_tokens > 0


def test_the_library_gets_a_stream(library):
    options = {"include_usage": True}
    stream = library.chat.completions.create(model=MODEL, messages=turns("hello"), stream=True, stream_options=options)
    chunks = [whole(chunk) for chunk in stream]
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert text == "Hello! I am a small model. Tell me your name, or ask for a person."
    assert len(chunks) > 5
    assert [chunk.choices[0].finish_reason for chunk in chunks if chunk.choices][-1] == "stop"
    assert [chunk.usage is not None for chunk in chunks] == [*[False] * (len(chunks) - 1), True]


def test_a_stream_says_what_was_spent_only_if_it_is_asked_for(library):
    stream = library.chat.completions.create(model=MODEL, messages=turns("hello"), stream=True)
    assert [chunk.usage for chunk in stream if chunk.usage] == []


def test_the_library_gets_a_response(library):
    found = whole(library.responses.create(model=MODEL, input="hello", instructions="Be brief.", store=False))
    assert found.output_text.startswith("Hello!")
    assert (found.status, found.error, found.store) == ("completed", None, False)


def test_the_library_gets_a_response_as_a_stream(library):
    events = [whole(one) for one in library.responses.create(model=MODEL, input=AGENT, tools=TOOLS, stream=True)]
    assert [event.sequence_number for event in events] == list(range(len(events)))
    text = "".join(event.delta for event in events if isinstance(event, ResponseTextDeltaEvent))
    items = [event.item for event in events if isinstance(event, ResponseOutputItemDoneEvent)]
    assert isinstance(events[-1], ResponseCompletedEvent)
    assert text == events[-1].response.output_text == "One moment, I'll get a colleague."
    assert [item.type for item in items] == ["message", "function_call"]


def test_it_calls_the_tool_that_is_offered(library):
    asked = {"model": MODEL, "messages": turns(AGENT)}
    (call,) = library.chat.completions.create(**asked, tools=CHAT_TOOLS).choices[0].message.tool_calls
    assert (call.function.name, json.loads(call.function.arguments)) == (
        "hand_over",
        {"reason": f"They wrote: {AGENT}"},
    )
    stream = library.chat.completions.create(**asked, tools=CHAT_TOOLS, stream=True)
    parts = [part for chunk in stream for part in chunk.choices[0].delta.tool_calls or []]
    assert "".join(part.function.arguments for part in parts) == call.function.arguments
    assert library.chat.completions.create(**asked).choices[0].message.content == "There is nobody but me."


def test_it_sets_the_flag_that_is_explained(library):
    part = {"role": "system", "content": 'Answer in JSON: {"reply": "", "hand_over": false}'}
    found = library.chat.completions.create(model=MODEL, messages=[part, *turns(AGENT)])
    assert json.loads(found.choices[0].message.content)["hand_over"] is True


SAYS = {
    "its own memory is empty": (("Who am I?",), "You have not told me your name."),
    "what it is told": (("My name is Ada", "Nice to meet you, Ada.", "Who am I?"), "You are Ada."),
    "the last name": (("My name is Ada", "Nice.", "My name is Bo"), "Nice to meet you, Bo."),
    "an order": (
        ("Where is my parcel?",),
        "Your order left our warehouse this morning. It should be with you tomorrow.",
    ),
    "anything": (("blue",), "You said: blue"),
    "the end": (("bye",), "Goodbye!"),
}


@pytest.mark.parametrize(("texts", "said"), SAYS.values(), ids=SAYS)
def test_it_knows_what_it_is_told_and_nothing_else(texts, said, library):
    assert library.chat.completions.create(model=MODEL, messages=turns(*texts)).choices[0].message.content == said


def test_it_sees_pictures(library):
    picture = {"type": "image_url", "image_url": {"url": "https://cdn.example.test/a.png"}}
    asked = [{"role": "user", "content": [picture, {"type": "text", "text": "What is it?"}]}]
    found = library.chat.completions.create(model=MODEL, messages=asked)
    assert found.choices[0].message.content == "I see 1 picture."


ENDS = {
    "a refusal": ("forbidden", {}, "stop", None, "I cannot help with that."),
    "a filter": ("filtered", {}, "content_filter", "Well, ", None),
    "nothing": ("silence", {}, "stop", None, None),
    "too short a limit": ("blue and green", {"max_completion_tokens": 3}, "length", "You said: blue", None),
    "by the older name": ("blue and green", {"max_tokens": 3}, "length", "You said: blue", None),
}


@pytest.mark.parametrize(("text", "more", "reason", "content", "refusal"), ENDS.values(), ids=ENDS)
def test_it_may_end_otherwise(text, more, reason, content, refusal, library):
    choice = library.chat.completions.create(model=MODEL, messages=turns(text), **more).choices[0]
    assert (choice.finish_reason, choice.message.content, choice.message.refusal) == (reason, content, refusal)


INCOMPLETE = {"max_output_tokens": ("blue and green", {"max_output_tokens": 3}), "content_filter": ("filtered", {})}


@pytest.mark.parametrize(("reason", "asked"), INCOMPLETE.items(), ids=INCOMPLETE)
def test_a_response_may_be_incomplete(reason, asked, library):
    text, more = asked
    found = whole(library.responses.create(model=MODEL, input=text, **more))
    assert (found.status, found.incomplete_details.reason) == ("incomplete", reason)
    events = list(library.responses.create(model=MODEL, input=text, stream=True, **more))
    assert events[-1].type == "response.incomplete"


def test_the_library_reads_its_errors(library, served):
    with pytest.raises(NotFoundError) as raised:
        library.chat.completions.create(model="another", messages=turns("hello"))
    assert (raised.value.code, raised.value.param) == ("model_not_found", "model")
    with pytest.raises(BadRequestError) as raised:
        library.responses.create(model=MODEL, input="word " * 10_000)
    assert raised.value.code == "context_length_exceeded"
    with pytest.raises(AuthenticationError) as raised:
        OpenAI(base_url=f"{served}/openai/v1", api_key="another", max_retries=0).models.list()
    assert raised.value.code == "invalid_api_key"
    assert [model.id for model in library.models.list()] == [MODEL]


CHAT = {"model": MODEL, "messages": turns("hello")}
RESPONSE = {"model": MODEL, "input": turns("hello")}
REFUSED = {
    "no model": ("chat/completions", {"messages": turns("hello")}, "model: is missing"),
    "no messages": ("chat/completions", {"model": MODEL}, "messages: is missing"),
    "empty messages": ("chat/completions", CHAT | {"messages": []}, "messages: must have 1 to any number of entries"),
    "an unknown field": ("chat/completions", CHAT | {"foo": 1}, "foo: is not a known field"),
    "an empty turn": ("chat/completions", CHAT | {"messages": turns("")}, "messages[0].content: must not be empty"),
    "a blank turn": ("chat/completions", CHAT | {"messages": turns(" ")}, "messages[0].content: must not be blank"),
    "a role of its own": (
        "chat/completions",
        CHAT | {"messages": [{"role": "customer", "content": "Hi"}]},
        "messages[0].role: must be one of system, developer, user, assistant",
    ),
    "nothing asked": ("chat/completions", CHAT | {"messages": turns("Hi", "Ho")[:1]}, "messages: must end with"),
    "a flat tool": ("chat/completions", CHAT | {"tools": TOOLS}, "tools[0].description: is not a known field"),
    "a tool with a space": (
        "responses",
        RESPONSE | {"tools": [TOOLS[0] | {"name": "hand over"}]},
        "tools[0].name: must be letters, digits, _ or -",
    ),
    "a wrapped tool": ("responses", RESPONSE | {"tools": CHAT_TOOLS}, "tools[0].function: is not a known field"),
    "messages of the other form": ("responses", CHAT, "messages: is not a known field"),
    "parts of the other form": (
        "responses",
        RESPONSE | {"input": [{"role": "user", "content": [{"type": "text", "text": "Hi"}]}]},
        "input[0].content[0].type: must be one of input_text, input_image",
    ),
    "a long name of a customer": ("responses", RESPONSE | {"safety_identifier": "x" * 65}, "safety_identifier: must"),
}


@pytest.mark.parametrize(("path", "body", "message"), REFUSED.values(), ids=REFUSED)
def test_it_refuses_a_body_and_names_the_field(path, body, message, client):
    response = client.post(f"/openai/v1/{path}", json=body, headers=BEARER)
    error = response.get_json()["error"]
    assert (response.status_code, error["type"], error["code"]) == (400, "invalid_request_error", None)
    assert error["message"].startswith(message)
    assert error["param"] == message.partition(":")[0]
    assert inspect(client, "openai")["refused"][0]["field"] == error["param"]
    assert inspect(client, "openai")["calls"] == []


def test_it_has_faults_in_its_own_form(client, library):
    told = {"target": "openai", "kind": "fail", "status": 429, "retry_after": 3}
    assert client.post("/faults", json=told).status_code < 300
    response = client.post("/openai/v1/chat/completions", json=CHAT, headers=BEARER)
    assert (response.status_code, response.headers["Retry-After"]) == (429, "3")
    assert response.get_json()["error"]["type"] == "requests"


def test_a_fault_is_an_error_to_the_library(served, library):
    Http([served]).post(f"{served}/faults", json={"target": "openai", "kind": "fail", "status": 500}).check()
    with pytest.raises(APIStatusError) as raised:
        library.chat.completions.create(**CHAT)
    assert raised.value.status_code == 500


def test_it_remembers_what_it_was_asked_until_it_is_reset(client):
    client.post("/openai/v1/responses", json=RESPONSE, headers=BEARER)
    (call,) = inspect(client, "openai")["calls"]
    assert (call["path"], call["text"], call["turns"]) == (
        "responses",
        "hello",
        [{"author": "user", "text": "hello"}],
    )
    client.delete("/inspect")
    assert inspect(client, "openai") == {"calls": [], "refused": []}


# --- the adapter ---

WAYS = {
    f"{api}, {how}, {by}": {"api": api, "stream": how == "stream", "handoff_by": by}
    for api in ("chat", "responses")
    for how in ("stream", "whole")
    for by in ("tool", "json")
}


def said(number, text, author="customer"):
    direction = "inbound" if author == "customer" else "outbound"
    return Message(f"m{number}", direction, "ai", "webchat:v81", Text(text), author, "ai", 1_767_225_600_000)


@pytest.fixture
def ask(served, request):
    settings = OpenaiDestination.Settings().load(
        {
            "type": "openai",
            "base_url": f"{served}/openai/v1",
            "api_key": KEY,
            "model": MODEL,
            "system_prompt": "Be brief.",
            "price_input": 1,
            "price_output": 1,
            **request.param,
        }
    )
    destination, http = OpenaiDestination("ai", settings), Http([served])

    def ask(text, *history):
        message = said(99, text)
        return destination.deliver(
            Delivery(message, message.content, Session("ai"), unused, unused, history=history), http
        )

    return ask


@pytest.mark.parametrize("ask", WAYS.values(), ids=WAYS, indirect=True)
def test_the_adapter_speaks_to_it(ask):
    hello = ask("hello")
    assert hello.replies == (Text("Hello! I am a small model. Tell me your name, or ask for a person."),)
    assert (hello.handoff, hello.unsupported) == (False, ())
    assert hello.spent > 0
    past = (said(1, "My name is Ada"), said(2, "Nice to meet you, Ada.", "bot"))
    assert ask("Who am I?", *past).replies == (Text("You are Ada."),)
    assert ask("forbidden").replies == (Text("I cannot help with that."),)
    assert ask("silence").unsupported == ("no_answer",)
    assert ask("filtered").unsupported == ("content_filter",)
    handed = ask(AGENT, *past)
    assert handed.replies == (Text("One moment, I'll get a colleague."),)
    assert (handed.handoff, handed.memory) == (True, {"reason": f"They wrote: {AGENT}"})


@pytest.mark.parametrize("ask", [{"history_tokens": 30_000}], indirect=True)
def test_the_adapter_says_less_where_that_is_too_long(ask):
    past = [said(1, "My name is Ada " + "x" * 20_000), said(2, "y" * 20_000, "bot")]
    assert ask("Who am I?", *past).replies == (Text("You have not told me your name."),)
