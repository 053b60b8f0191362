"""Messages: one codec, keys that can be taken apart, ids that stay the same."""

from __future__ import annotations

import re

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import ValidationError

from app.core.message import (
    Attachment,
    Card,
    Content,
    Image,
    Location,
    Message,
    Profile,
    QuickReply,
    Text,
    content_from_dict,
    content_to_dict,
    conversation_key,
    decode,
    derived_id,
    encode,
    new_id,
    split_conversation,
)
from tests.support.values import QUICK, contents, messages, words

WIRE = {
    "text": (Text("Hi"), {"type": "text", "text": "Hi"}),
    "attachment": (
        Attachment("image", "https://cdn.example.test/a.png", "image/png", "a.png", "A plate"),
        {
            "type": "attachment",
            "kind": "image",
            "url": "https://cdn.example.test/a.png",
            "mime_type": "image/png",
            "file_name": "a.png",
            "description": "A plate",
        },
    ),
    "attachment without its optional fields": (
        Attachment("file", "https://cdn.example.test/a"),
        {"type": "attachment", "kind": "file", "url": "https://cdn.example.test/a"},
    ),
    "location": (
        Location(52.5, 13.4, "Alexanderplatz"),
        {"type": "location", "latitude": 52.5, "longitude": 13.4, "address": "Alexanderplatz"},
    ),
    "quick reply": (
        QuickReply("Which one?", ("Red", "Blue")),
        {"type": "quick_reply", "title": "Which one?", "replies": ["Red", "Blue"]},
    ),
    "card": (
        Card("Plates", (Image("https://cdn.example.test/a.png", "A"), Image("https://cdn.example.test/b.png"))),
        {
            "type": "card",
            "text": "Plates",
            "images": [
                {"url": "https://cdn.example.test/a.png", "label": "A"},
                {"url": "https://cdn.example.test/b.png"},
            ],
        },
    ),
}


@QUICK
@given(messages)
def test_a_message_survives_its_codec(message: Message) -> None:
    assert message == decode(encode(message))


EVERYTHING = Message(
    "m1",
    "inbound",
    "shop",
    "webhook:42",
    Location(52.0, 13.4),
    "customer",
    "shop",
    1_767_225_600_000,
    external_id="x\0\u00e9",
    profile=Profile(name="Ada"),
    metadata={"a": [1, None, {"b": 0.5}]},
)
STORED = (
    b'{"id":"m1","direction":"inbound","channel":"shop","customer":"webhook:42",'
    b'"content":{"type":"location","latitude":52.0,"longitude":13.4},"author":"customer","source":"shop",'
    b'"at":1767225600000,"external_id":"x\\u0000\xc3\xa9","profile":{"name":"Ada"},'
    b'"metadata":{"a":[1,null,{"b":0.5}]}}'
)
SOMEHOW = {
    "as we write it": STORED,
    "as text": STORED.decode(),
    "a fraction written as a whole number": STORED.replace(b"52.0", b"52"),
    "with what only a later version knows": STORED.replace(b'"at":', b'"mood":{"type":"good"},"at":').replace(
        b'"latitude"', b'"height":3,"latitude"'
    ),
}


def test_a_message_is_stored_as_it_ever_was() -> None:
    assert STORED == encode(EVERYTHING)


@pytest.mark.parametrize("raw", SOMEHOW.values(), ids=SOMEHOW)
def test_a_stored_message_is_read_whoever_wrote_it(raw: bytes | str) -> None:
    assert decode(raw) == EVERYTHING


ODD = {
    "half of a pair": ("a\ud83d", "a\N{REPLACEMENT CHARACTER}"),
    "a pair": ("\U0001f600", "\U0001f600"),
    "NUL": ("a\0b", "a\0b"),
}


@pytest.mark.parametrize(("text", "stored"), ODD.values(), ids=ODD)
def test_no_character_stops_a_message_from_being_stored(text: str, stored: str) -> None:
    message = Message("m1", "inbound", "shop", "webhook:42", Text(text), "customer", "shop", 0, metadata={"a": "b"})
    assert decode(encode(message)).content == Text(stored)


def test_a_half_that_was_stored_costs_only_itself() -> None:
    raw = encode(Message("m1", "inbound", "shop", "webhook:42", Text("hi"), "customer", "shop", 0))
    assert decode(raw.replace(b"hi", b"hi\\ud83d")).content == Text("hi\N{REPLACEMENT CHARACTER}")


@pytest.mark.parametrize("raw", [b"", b"[]", b"{}", b'{"id":"m1"}', STORED.replace(b"location", b"dance")])
def test_what_is_no_message_is_none(raw: bytes) -> None:
    with pytest.raises(ValueError):
        decode(raw)


def test_a_content_of_a_kind_that_is_unknown_is_none() -> None:
    with pytest.raises(ValidationError, match="dance"):
        content_from_dict({"type": "dance"})


@QUICK
@given(contents)
def test_a_content_survives_the_wire(content: Content) -> None:
    assert content == content_from_dict(orjson.loads(orjson.dumps(content_to_dict(content))))


@pytest.mark.parametrize(("content", "wire"), WIRE.values(), ids=WIRE)
def test_the_wire_form_holds_the_fields_that_are_set(content: Content, wire: dict[str, object]) -> None:
    assert wire == content_to_dict(content)


def test_a_stored_message_names_only_what_is_known() -> None:
    message = Message("m1", "inbound", "shop", "webhook:42", Text("Hi"), "customer", "shop", 1_767_225_600_000)
    assert orjson.loads(encode(message)) == {
        "id": "m1",
        "direction": "inbound",
        "channel": "shop",
        "customer": "webhook:42",
        "content": {"type": "text", "text": "Hi"},
        "author": "customer",
        "source": "shop",
        "at": 1_767_225_600_000,
    }


@QUICK
@given(st.from_regex(r"[a-z0-9][a-z0-9_-]{0,31}", fullmatch=True), words)
def test_a_conversation_key_can_be_taken_apart(channel: str, identifier: str) -> None:
    customer = f"webhook:{identifier}"
    assert (channel, customer) == split_conversation(conversation_key(channel, customer))


def test_a_message_knows_its_conversation() -> None:
    message = Message("m1", "inbound", "shop", "webhook:a/b", Text("Hi"), "customer", "shop", 0)
    assert message.conversation == "shop/webhook:a/b"


def test_new_ids_differ_and_fit_every_platform() -> None:
    ids = {new_id() for _ in range(1000)}
    assert len(ids) == 1000
    assert all(re.fullmatch(r"[0-9a-f]{32}", made) for made in ids)


def test_derived_ids_stay_the_same_and_tell_parents_and_parts_apart() -> None:
    assert derived_id("m1", 1) == derived_id("m1", 1)
    assert len({derived_id("m1", 1), derived_id("m1", 2), derived_id("m2", 1), derived_id("m1", "reply-1")}) == 4
    assert re.fullmatch(r"[0-9a-f]{32}", derived_id("m1", 1))
