"""The rules for content from outside: at a limit it passes, one beyond it the field and the rule are named."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from marshmallow import Schema, ValidationError

from app.core.errors import BadWebhook
from app.core.message import Card, Content, Image
from app.core.schema import ContentField, ProfileSchema, is_web_url, keepable, load, parse_json, problems
from tests.support.values import QUICK, spoiled, words

ENVELOPE = Schema.from_dict({"content": ContentField(required=True)})()
BETWEEN = "Length must be between {} and {}."
RANGE = "Must be greater than or equal to {} and less than or equal to {}."
HOST = "https://cdn.example.test/"


def text(**changes: Any) -> dict[str, Any]:
    return {"type": "text", "text": "Hi", **changes}


def attachment(**changes: Any) -> dict[str, Any]:
    return {"type": "attachment", "kind": "file", "url": f"{HOST}a.pdf", **changes}


def location(**changes: Any) -> dict[str, Any]:
    return {"type": "location", "latitude": 1.5, "longitude": 2.5, **changes}


def quick_reply(**changes: Any) -> dict[str, Any]:
    return {"type": "quick_reply", "title": "Which?", "replies": ["A"], **changes}


def card(**changes: Any) -> dict[str, Any]:
    return {"type": "card", "text": "Plates", "images": [{"url": f"{HOST}a.png"}], **changes}


# (at the limit, one beyond it, field, rule)
LIMITS: dict[str, tuple[dict[str, Any], dict[str, Any], str, str]] = {
    "text, longest": (text(text="x" * 7000), text(text="x" * 7001), "text", BETWEEN.format(1, 7000)),
    "text, shortest": (text(text="x"), text(text=""), "text", BETWEEN.format(1, 7000)),
    "url": (
        attachment(url=HOST + "x" * (2000 - len(HOST))),
        attachment(url=HOST + "x" * (2001 - len(HOST))),
        "url",
        "Longer than maximum length 2000.",
    ),
    "mime type": (
        attachment(mime_type="x" * 256),
        attachment(mime_type="x" * 257),
        "mime_type",
        BETWEEN.format(1, 256),
    ),
    "file name": (
        attachment(file_name="x" * 256),
        attachment(file_name="x" * 257),
        "file_name",
        BETWEEN.format(1, 256),
    ),
    "description": (
        attachment(description="x" * 256),
        attachment(description="x" * 257),
        "description",
        BETWEEN.format(1, 256),
    ),
    "latitude, most": (location(latitude=90), location(latitude=90.001), "latitude", RANGE.format(-90, 90)),
    "latitude, least": (location(latitude=-90), location(latitude=-90.001), "latitude", RANGE.format(-90, 90)),
    "longitude, most": (location(longitude=180), location(longitude=180.1), "longitude", RANGE.format(-180, 180)),
    "longitude, least": (location(longitude=-180), location(longitude=-181), "longitude", RANGE.format(-180, 180)),
    "address": (location(address="x" * 256), location(address="x" * 257), "address", BETWEEN.format(1, 256)),
    "title": (quick_reply(title="x" * 256), quick_reply(title="x" * 257), "title", BETWEEN.format(1, 256)),
    "replies, most": (
        quick_reply(replies=["A"] * 10),
        quick_reply(replies=["A"] * 11),
        "replies",
        BETWEEN.format(1, 10),
    ),
    "replies, least": (quick_reply(replies=["A"]), quick_reply(replies=[]), "replies", BETWEEN.format(1, 10)),
    "a reply": (
        quick_reply(replies=["A", "x" * 256]),
        quick_reply(replies=["A", "x" * 257]),
        "replies.1",
        BETWEEN.format(1, 256),
    ),
    "a card's text": (card(text="x" * 7000), card(text="x" * 7001), "text", BETWEEN.format(0, 7000)),
    "a card's images": (
        card(images=[{"url": f"{HOST}a.png"}] * 10),
        card(images=[{"url": f"{HOST}a.png"}] * 11),
        "images",
        "Longer than maximum length 10.",
    ),
    "an image's label": (
        card(images=[{"url": f"{HOST}a.png", "label": "x" * 256}]),
        card(images=[{"url": f"{HOST}a.png", "label": "x" * 257}]),
        "images.0.label",
        BETWEEN.format(1, 256),
    ),
    "a card shows something": (
        card(text=""),
        card(text="", images=[]),
        "text",
        "Must not be empty where there are no images.",
    ),
}


@pytest.mark.parametrize(("at_the_limit", "beyond", "field", "rule"), LIMITS.values(), ids=LIMITS)
def test_every_limit_has_its_edge(at_the_limit: dict[str, Any], beyond: dict[str, Any], field: str, rule: str) -> None:
    ENVELOPE.load({"content": at_the_limit})
    with pytest.raises(BadWebhook) as raised:
        load(ENVELOPE, {"content": beyond}, "data")
    assert (f"data.content.{field}", rule) == (raised.value.field, raised.value.rule)


UNREADABLE: dict[str, tuple[Any, str]] = {
    "no object": ("Hi", "content"),
    "null": (None, "content"),
    "no type": ({"text": "Hi"}, "content.type"),
    "an unknown type": ({"type": "sticker"}, "content.type"),
    "a type of the wrong type": ({"type": ["text"]}, "content.type"),
    "text is a number": (text(text=5), "content.text"),
    "text is missing": ({"type": "text"}, "content.text"),
    "text is null": (text(text=None), "content.text"),
    "an unknown kind": (attachment(kind="sticker"), "content.kind"),
    "a url without a host": (attachment(url="https://"), "content.url"),
    "latitude is a word": (location(latitude="north"), "content.latitude"),
    "latitude is no number": (location(latitude="NaN"), "content.latitude"),
    "longitude is true": (location(longitude=True), "content.longitude"),
    "replies is a word": (quick_reply(replies="A"), "content.replies"),
    "an image is a word": (card(images=["a.png"]), "content.images.0"),
    "an image without a url": (card(images=[{"label": "A"}]), "content.images.0.url"),
}


@pytest.mark.parametrize(("content", "field"), UNREADABLE.values(), ids=UNREADABLE)
def test_what_breaks_a_rule_names_its_field(content: Any, field: str) -> None:
    with pytest.raises(BadWebhook) as raised:
        load(ENVELOPE, {"content": content})
    assert field == raised.value.field


def test_fields_that_we_do_not_know_are_passed_over() -> None:
    loaded = load(ENVELOPE, {"content": card(colour="red", images=[{"url": f"{HOST}a.png", "size": 5}])})
    assert {"content": Card("Plates", (Image(f"{HOST}a.png"),))} == loaded


def test_an_optional_field_may_be_null() -> None:
    assert {"content": Card("Plates", (Image(f"{HOST}a.png"),))} == load(
        ENVELOPE, {"content": card(images=[{"url": f"{HOST}a.png", "label": None}])}
    )
    assert load(ProfileSchema(), {"name": None, "picture": None}) == {"name": None, "picture": None}


@QUICK
@given(spoiled([text(), attachment(), location(), quick_reply(), card()]))
def test_any_json_is_a_content_or_a_named_problem(value: Any) -> None:
    assert isinstance(read(value), (Content, BadWebhook))


def read(value: Any) -> Content | BadWebhook:
    try:
        content: Content = load(ENVELOPE, {"content": value})["content"]
    except BadWebhook as error:
        return error if error.field.startswith("content") and error.rule else pytest.fail("names no field")
    return content


URLS = {
    "https": ("https://cdn.example.test/a.png", True),
    "http with a port": ("http://127.0.0.1:8000/a?b=c#d", True),
    "an IPv6 host": ("http://[::1]:8000/", True),
    "an international host": ("https://bücher.example/ü", True),
    "a space in the path": ("https://cdn.example.test/a b.png", True),
    "another scheme": ("ftp://cdn.example.test/", False),
    "a script": ("javascript:alert(1)", False),
    "data": ("data:text/plain,hi", False),
    "no scheme": ("//cdn.example.test/a", False),
    "a path": ("/a.png", False),
    "nothing": ("", False),
    "no host": ("https:///a.png", False),
    "only a port": ("https://:80/", False),
    "credentials": ("https://user:pass@cdn.example.test/", False),
    "a user": ("https://user@cdn.example.test/", False),
    "a port out of range": ("https://cdn.example.test:99999/", False),
    "a port that is no number": ("https://cdn.example.test:http/", False),
    "a broken IPv6 host": ("https://[::1/", False),
    "a line break": ("https://cdn.example.test/\na", False),
    "a tab in the host": ("https://cdn.\texample.test/", False),
    "a space in the host": ("https://cdn example.test/", False),
    "a space before it": (" https://cdn.example.test/", False),
    "a zero byte": ("https://cdn.example.test/\0", False),
}


@pytest.mark.parametrize(("url", "expected"), URLS.values(), ids=URLS)
def test_a_web_url_is_absolute_and_clean(url: str, expected: bool) -> None:
    assert expected == is_web_url(url)


@QUICK
@given(words)
def test_any_text_is_a_web_url_or_not(url: str) -> None:
    assert is_web_url(url) in (True, False)
    assert is_web_url(f"https://{url}") in (True, False)


BODIES = {
    "empty": (b"", "The body is empty."),
    "not JSON": (b"{", "The body is not JSON"),
    "not UTF-8": (b'{"a":"\xff"}', "The body is not JSON"),
    "NaN": (b'{"a":NaN}', "The body is not JSON"),
    "half a surrogate": (b'{"a":"\\ud800"}', "The body is not JSON"),
    "nested without end": (b"[" * 100_000, "The body is not JSON"),
    "a list": (b"[]", "The body must be a JSON object."),
    "a word": (b'"hi"', "The body must be a JSON object."),
    "null": (b"null", "The body must be a JSON object."),
}


@pytest.mark.parametrize(("body", "rule"), BODIES.values(), ids=BODIES)
def test_a_body_must_be_a_json_object(body: bytes, rule: str) -> None:
    with pytest.raises(BadWebhook) as raised:
        parse_json(body)
    assert raised.value.field == ""
    assert raised.value.rule.startswith(rule)


def nested(depth: int) -> dict[str, Any]:
    value: dict[str, Any] = {}
    for _ in range(depth):
        value = {"a": value}
    return value


TOO_MUCH = {"too deep to be written again": nested(300), "too long": {"a": "x" * 16 * 1024}}


@pytest.mark.parametrize("value", TOO_MUCH.values(), ids=TOO_MUCH)
def test_an_object_of_any_shape_has_bounds(value: dict[str, Any]) -> None:
    keepable(nested(100))
    keepable({"a": "x" * 16_000})
    with pytest.raises(ValidationError, match="Must"):
        keepable(value)


PROBLEMS = {
    "a list of rules": ({"a": ["One.", "Two."]}, [("a", "One."), ("a", "Two.")]),
    "a list's entry": ({"a": {0: ["One."]}}, [("a.0", "One.")]),
    "the object itself": ({"a": {"_schema": ["One."]}}, [("a", "One.")]),
    "the whole": ({"_schema": ["One."]}, [("", "One.")]),
    "a single text": ({"a": "One."}, [("a", "One.")]),
}


@pytest.mark.parametrize(("messages", "expected"), PROBLEMS.values(), ids=PROBLEMS)
def test_every_problem_has_a_dotted_path(messages: Any, expected: list[tuple[str, str]]) -> None:
    assert expected == problems(messages)
