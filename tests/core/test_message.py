"""Messages: one codec, keys that can be taken apart, ids that stay the same."""

from __future__ import annotations

import re

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.core.message import (
    Attachment,
    Card,
    Content,
    Image,
    Location,
    Message,
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
