"""A message as Twilio has it and as ours: contents, sids, status words, error codes, callback addresses."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.core import errors
from app.core.events import Said
from app.core.message import Attachment, Content, Location, Message, QuickReply, Text, new_id
from app.core.schema import keepable
from app.platforms.twilio.message import (
    BODY_LIMIT,
    CODES,
    error_of,
    id_of,
    is_callback_url,
    is_part,
    mime_type_of,
    said,
    shown,
    sid_of,
    status_word,
    whole,
)
from tests.support.values import THOROUGH, contents

PNG, PDF, BARE = "https://a.test/a.png?x=1", "https://a.test/b.PDF", "http://a.test/media/ME1"
REPLY = {"twilio": {"direction": "outbound-reply"}}
LONG = "x" * 257


def message(content: Content, metadata: Any = None, direction: Any = "outbound", message_id: str = "a" * 32) -> Message:
    return Message(message_id, direction, "shop", "sms:+1555", content, "bot", "app", 1, metadata=metadata or {})


SAYS: dict[str, tuple[str, list[str], list[Content]]] = {
    "nothing": ("", [], []),
    "a text": ("Hi", [], [Text("Hi")]),
    "a text beyond Twilio's limit": ("x" * 2_000, [], [Text("x" * 2_000)]),
    "a picture": ("", [PNG], [Attachment("image", PNG, "image/png")]),
    "a picture with words": ("Hi", [PNG], [Attachment("image", PNG, "image/png", description="Hi")]),
    "as many words as a description may have": (LONG[1:], [PNG], [
        Attachment("image", PNG, "image/png", description=LONG[1:])
    ]),
    "one word more": (LONG, [PNG], [Text(LONG), Attachment("image", PNG, "image/png")]),
    "several files": ("Hi", [PDF, PNG, BARE], [
        Attachment("file", PDF, "application/pdf", description="Hi"),
        Attachment("image", PNG, "image/png"),
        Attachment("file", BARE),
    ]),
    "a sound": ("", ["https://a.test/a.mp3"], [Attachment("audio", "https://a.test/a.mp3", "audio/mpeg")]),
    "a film": ("", ["https://a.test/a.mp4"], [Attachment("video", "https://a.test/a.mp4", "video/mp4")]),
}  # fmt: skip


@pytest.mark.parametrize(("body", "media", "expected"), SAYS.values(), ids=SAYS)
def test_what_is_said_becomes_contents(body: str, media: list[str], expected: list[Content]) -> None:
    assert expected == [part.content for part in said(body, media, REPLY)]


def test_the_last_content_speaks_for_the_whole() -> None:
    callbacks = [{"url": "https://a.test/status", "method": "POST"}]
    first, second, last = said(LONG, [PNG, PDF], {"status_callbacks": callbacks, **REPLY}, "whatsapp:+1555")
    part = {"twilio": {"part": True}}
    mine = {"direction": "outbound-reply", "body": LONG, "media": [PNG, PDF]}
    assert [
        Said(Text(LONG), part, "whatsapp:+1555", part=True),
        Said(Attachment("image", PNG, "image/png"), part, "whatsapp:+1555", part=True),
    ] == [first, second]
    assert not last.part
    assert (last.metadata, last.to) == ({"status_callbacks": callbacks, "twilio": mine}, "whatsapp:+1555")
    made = [message(each.content, each.metadata) for each in (first, second, last)]
    assert [is_part(each) for each in made] == [True, True, False]
    assert (LONG, [PNG, PDF]) == whole(made[2])


def test_whatever_is_said_can_be_kept() -> None:
    urls = [f"https://a.test/{n}{'x' * 1_970}" for n in range(10)]
    callbacks = [{"url": url, "method": "POST"} for url in urls[:2]]
    parts = said("\x01" * 50_000, urls, {"status_callbacks": callbacks, **REPLY})
    assert urls == [part.content.url for part in parts if isinstance(part.content, Attachment)]
    kept = parts[-1].metadata["twilio"]
    keepable(parts[-1].metadata)
    assert urls[: len(kept["media"])] == kept["media"]
    assert len(kept["body"]) == BODY_LIMIT
    assert len(said("Hi", urls[:6], REPLY)[-1].metadata["twilio"]["media"]) == 6


SHOWN: dict[str, tuple[Content, tuple[str, list[str]]]] = {
    "a text": (Text("Hi"), ("Hi", [])),
    "a file": (Attachment("file", PDF), ("", [PDF])),
    "a described file": (Attachment("file", PDF, description="Hi"), ("Hi", [PDF])),
    "a place": (Location(1, 2, "Here"), ("", [])),
    "a question": (QuickReply("Well?", ("Yes",)), ("Well?\n1. Yes", [])),
}


@pytest.mark.parametrize(("content", "expected"), SHOWN.values(), ids=SHOWN)
def test_a_content_as_twilio_has_it(content: Content, expected: tuple[str, list[str]]) -> None:
    assert expected == shown(content) == whole(message(content))


TYPES: dict[str, tuple[Attachment, str]] = {
    "stated": (Attachment("file", PNG, "Image/WebP; q=1", "a.pdf"), "image/webp"),
    "by its name": (Attachment("file", PNG, file_name="a.pdf"), "application/pdf"),
    "by its address": (Attachment("file", PNG, file_name="a"), "image/png"),
    "by its kind": (Attachment("audio", BARE), "audio/mpeg"),
    "unknown": (Attachment("file", BARE), ""),
}


@pytest.mark.parametrize(("file", "expected"), TYPES.values(), ids=TYPES)
def test_the_type_of_a_file(file: Attachment, expected: str) -> None:
    assert expected == mime_type_of(file)


def test_what_a_customers_message_carries_is_not_ours() -> None:
    theirs = message(Attachment("file", PDF), {"twilio": {"part": True, "media": "x", "body": 1}}, "inbound")
    assert (is_part(theirs), whole(theirs)) == (False, ("", [PDF]))
    assert not is_part(message(Text("Hi")))


@THOROUGH
@given(contents)
def test_sids_lead_back_to_ids(content: Content) -> None:
    ours = new_id()
    sid = sid_of(message(content, message_id=ours))
    assert ("MM" if isinstance(content, Attachment) else "SM") == sid[:2]
    assert ours == id_of(sid)


@pytest.mark.parametrize("sid", ["", "SM", "SM" + "g" * 32, "SM" + "A" * 32, "RM" + "a" * 32, "SM" + "a" * 32 + "\n"])
def test_a_sid_of_somebody_else_has_no_id(sid: str) -> None:
    assert id_of(sid) is None


ERRORS: dict[str, tuple[int, str]] = {
    "opted_out: he wrote STOP": (21610, "he wrote STOP"),
    "gone: HTTP 410: blocked": (30003, "HTTP 410: blocked"),
    "rejected: HTTP 422: the customer left": (30008, "HTTP 422: the customer left"),
    "unsupported: longer than 1,600 characters": (63005, "longer than 1,600 characters"),
    "throttled: HTTP 429": (63018, "HTTP 429"),
    "timed_out: no answer in time": (30008, "no answer in time"),
    "unavailable: no connection": (30008, "no connection"),
    "unparseable: the answer is not JSON": (30008, "the answer is not JSON"),
    "unauthorised: HTTP 401: Authenticate": (20003, "HTTP 401: Authenticate"),
    "misconfigured: HTTP 404": (21606, "HTTP 404"),
    "unexpected: KeyError": (30008, "KeyError"),
    "poison: tried 3 times alone without a result": (30008, "tried 3 times alone without a result"),
    "canceled: by the application": (0, "by the application"),
    "canceled": (0, ""),
    "lost": (30008, "lost"),
    "lost: in the mail": (30008, "lost: in the mail"),
    "": (30008, ""),
    "rejected: 63016 Failed to send freeform message; he last wrote long ago": (
        63016,
        "Failed to send freeform message; he last wrote long ago",
    ),
    "gone: HTTP 400: 21614 not a mobile number": (21614, "not a mobile number"),
    "gone: 30006": (30006, ""),
    "30003 switched off": (30003, "switched off"),
    "rejected: 630160 is no code": (30008, "630160 is no code"),
    "rejected: 01234 is no code": (30008, "01234 is no code"),
    "rejected: the code 63016 is not in front": (30008, "the code 63016 is not in front"),
}


@pytest.mark.parametrize(("error", "expected"), ERRORS.items(), ids=ERRORS)
def test_an_error_in_twilios_words(error: str, expected: tuple[int, str]) -> None:
    assert expected == error_of(error)


def test_every_error_of_the_palette_has_a_code() -> None:
    assert errors.PALETTE.keys() <= CODES.keys()


WORDS: dict[str, tuple[Any, Any, str, str]] = {
    "from a customer": ("inbound", "delivered", "", "received"),
    "from a customer, failed": ("inbound", "failed", "canceled: x", "received"),
    **{word: ("outbound", word, "", word) for word in ("queued", "sent", "delivered", "read", "failed")},
    "called off": ("outbound", "failed", "canceled: by the application", "canceled"),
    "failed for another reason": ("outbound", "failed", "rejected: canceled: x", "failed"),
    "called off and read all the same": ("outbound", "read", "canceled: x", "read"),
}


@pytest.mark.parametrize(("direction", "status", "error", "word"), WORDS.values(), ids=WORDS)
def test_a_status_in_twilios_words(direction: Any, status: Any, error: str, word: str) -> None:
    assert word == status_word(direction, status, error)


URLS: dict[str, bool] = {
    "https://app.example.test/status": True,
    "http://127.0.0.1:8000/status?a_b=c#rc=3": True,
    "https://localhost": True,
    "https://app.example.test/" + "x" * 1_975: True,
    "https://app.example.test/" + "x" * 1_976: False,
    "https://my_app.example.test/status": False,
    "https://app.-example.test/": False,
    "https://app-.example.test/": False,
    "https://app.example-.test/": False,
    "https://app..test/": False,
    "https://-/": False,
    "/status": False,
    "ftp://app.example.test/": False,
    "https://user:secret@app.example.test/": False,
    "https://app.example.test:port/": False,
    "": False,
}


@pytest.mark.parametrize(("url", "good"), URLS.items(), ids=[url[:40] for url in URLS])
def test_where_twilio_would_call(url: str, good: bool) -> None:
    assert good == is_callback_url(url)


@THOROUGH
@given(st.text() | st.builds("http://{}/{}".format, st.text(), st.text()))
def test_any_address_is_good_or_not_and_never_a_crash(url: str) -> None:
    assert is_callback_url(url) in (True, False)


@pytest.mark.parametrize("name", ["//[x", "http://[", "a\ud83d.png", "\0"])
def test_a_file_may_be_called_anything(name: str) -> None:
    assert mime_type_of(Attachment("image", "https://cdn.example.test/x", None, name)) in ("image/jpeg", "image/png")
