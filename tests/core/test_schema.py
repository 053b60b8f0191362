"""The rules for content from outside: at a limit it passes, one beyond it the field and the rule are named."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from marshmallow import Schema, ValidationError

from app.core.errors import BadWebhook
from app.core.message import Card, Content, Image
from app.core.schema import (
    ContentField,
    Detail,
    Moment,
    Noticed,
    ProfileSchema,
    id_field,
    is_web_url,
    keepable,
    load,
    metadata_field,
    noticing,
    parse_json,
    problems,
)
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
    "latitude, most": (location(latitude=90), location(latitude=90.001), "latitude", RANGE.format(-90, 90)),
    "latitude, least": (location(latitude=-90), location(latitude=-90.001), "latitude", RANGE.format(-90, 90)),
    "longitude, most": (location(longitude=180), location(longitude=180.1), "longitude", RANGE.format(-180, 180)),
    "longitude, least": (location(longitude=-180), location(longitude=-181), "longitude", RANGE.format(-180, 180)),
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


# --- what decorates ---


def nested(depth: int) -> dict[str, Any]:
    value: dict[str, Any] = {}
    for _ in range(depth):
        value = {"a": value}
    return value


NAMED = Schema.from_dict({"id": id_field(), "at": Detail(Moment()), "metadata": metadata_field()})()
DETAILS: dict[str, tuple[dict[str, Any], Any, list[Noticed]]] = {
    "a mime type": (attachment(mime_type="x" * 257), None, [("dropped", "mime_type")]),
    "a file name": (attachment(file_name="x" * 257), "x" * 256, [("cut", "file_name")]),
    "an empty file name": (attachment(file_name=""), None, [("dropped", "file_name")]),
    "a file name that is a number": (attachment(file_name=5), None, [("dropped", "file_name")]),
    "no file name": (attachment(file_name=None), None, []),
    "a description": (attachment(description="x" * 9_000), "x" * 256, [("cut", "description")]),
    "a description that is a list": (attachment(description=["x"]), None, [("dropped", "description")]),
    "an address": (location(address="x" * 257), "x" * 256, [("cut", "address")]),
    "an empty address": (location(address=""), None, [("dropped", "address")]),
}


@pytest.mark.parametrize(("content", "kept", "odd"), DETAILS.values(), ids=DETAILS)
def test_no_content_is_refused_for_a_detail(content: dict[str, Any], kept: Any, odd: list[Noticed]) -> None:
    with noticing() as noticed:
        loaded = load(ENVELOPE, {"content": content})["content"]
    (name,) = {"mime_type", "file_name", "description", "address"} & set(content)
    assert (kept, odd) == (getattr(loaded, name), noticed)


PROFILES: dict[str, tuple[dict[str, Any], dict[str, Any], list[Noticed]]] = {
    "an empty e-mail address": ({"email": ""}, {}, [("dropped", "email")]),
    "half an e-mail address is another one": ({"email": "x" * 257}, {}, [("dropped", "email")]),
    "a long name": ({"name": "x" * 257}, {"name": "x" * 256}, [("cut", "name")]),
    "a country of three letters": ({"country": "USA"}, {}, [("dropped", "country")]),
    "a phone that is a number": ({"phone": 15551230001}, {}, [("dropped", "phone")]),
    "a picture that is none": ({"picture": "me.png"}, {}, [("dropped", "picture")]),
    "a picture that is an object": ({"picture": {"url": "a"}}, {}, [("dropped", "picture")]),
    "a locale that is true": ({"locale": True}, {}, [("dropped", "locale")]),
    "all that is good": ({"name": "Ada", "country": "GB"}, {"name": "Ada", "country": "GB"}, []),
}


@pytest.mark.parametrize(("given", "kept", "odd"), PROFILES.values(), ids=PROFILES)
def test_nobody_is_refused_for_a_detail(given: dict[str, Any], kept: dict[str, Any], odd: list[Noticed]) -> None:
    with noticing() as noticed:
        assert kept == load(ProfileSchema(), given)
    assert odd == noticed


def test_a_detail_that_is_odd_many_times_is_noticed_once() -> None:
    images = [{"url": f"{HOST}a.png", "label": "x" * 257}] * 5
    with noticing() as noticed:
        loaded = load(ENVELOPE, {"content": card(images=images)})["content"]
    assert [("cut", "label")] == noticed
    assert ["x" * 256] * 5 == [image.label for image in loaded.images]


def test_nobody_has_to_notice() -> None:
    assert load(ProfileSchema(), {"email": ""}) == {}


METADATA: dict[str, tuple[Any, dict[str, Any], list[Noticed]]] = {
    "null": (None, {}, []),
    "a list": ([], {}, [("dropped", "metadata")]),
    "a word": ("order", {}, [("dropped", "metadata")]),
    "too much": ({"a": "x" * 17_000}, {}, [("dropped", "metadata")]),
    "nested too deeply": (nested(300), {}, [("dropped", "metadata")]),
    "an object": ({"order": 7}, {"order": 7}, []),
}


@pytest.mark.parametrize(("given", "kept", "odd"), METADATA.values(), ids=METADATA)
def test_metadata_is_an_object_or_nothing(given: Any, kept: dict[str, Any], odd: list[Noticed]) -> None:
    with noticing() as noticed:
        assert kept == load(NAMED, {"id": "1", "metadata": given})["metadata"]
    assert odd == noticed


NEW_YEAR = datetime(2026, 1, 1, tzinfo=UTC)
MOMENTS: dict[str, tuple[Any, datetime | None]] = {
    "ISO": ("2026-01-01T00:00:00Z", NEW_YEAR),
    "ISO elsewhere": ("2026-01-01T01:00:00+01:00", NEW_YEAR),
    "ISO without a zone": ("2026-01-01T00:00:00", NEW_YEAR),
    "seconds": (1_767_225_600, NEW_YEAR),
    "seconds and a fraction": (1_767_225_600.0, NEW_YEAR),
    "milliseconds": (1_767_225_600_000, NEW_YEAR),
    "seconds as a text": ("1767225600", NEW_YEAR),
    "milliseconds as a text": ("1767225600000", NEW_YEAR),
    "a word": ("yesterday", None),
    "beyond all years": (10**30, None),
    "true": (True, None),
    "a list": ([1], None),
}


@pytest.mark.parametrize(("given", "moment"), MOMENTS.values(), ids=MOMENTS)
def test_a_time_is_written_in_many_ways(given: Any, moment: datetime | None) -> None:
    with noticing() as noticed:
        assert moment == load(NAMED, {"id": "1", "at": given}).get("at")
    assert noticed == ([] if moment else [("dropped", "at")])


IDS: dict[str, tuple[Any, str | None]] = {
    "a word": ("a-1", "a-1"),
    "a number": (12345, "12345"),
    "nought": (0, "0"),
    "a number that counts beyond 53 bits": (1234567890123456789, "1234567890123456789"),
    "true": (True, None),
    "a fraction": (1.0, None),
    "null": (None, None),
    "empty": ("", None),
    "too long": ("x" * 257, None),
    "too long a number": (10**257, None),
    "a list": ([1], None),
}


@pytest.mark.parametrize(("given", "name"), IDS.values(), ids=IDS)
def test_a_whole_number_is_an_id(given: Any, name: str | None) -> None:
    if name is None:
        with pytest.raises(BadWebhook) as raised:
            load(NAMED, {"id": given})
        assert raised.value.field == "id"
    else:
        assert name == load(NAMED, {"id": given})["id"]


def test_null_is_missing_where_it_may_be() -> None:
    assert Card("Plates") == load(ENVELOPE, {"content": card(images=None)})["content"]


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
