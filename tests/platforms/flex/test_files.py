"""Files of customers on their way into Flex, and of agents on their way out."""

from __future__ import annotations

import time
from io import BytesIO
from typing import Any

import pytest
import requests
from msgspec.structs import replace

from app.core import errors
from app.core.errors import Failure, Unverified
from app.core.message import Attachment, derived_id
from app.http import MAX_MOVES, Response
from app.platforms.twilio.webhooks import FORM
from tests.platforms.flex.generations import Generation
from tests.platforms.flex.line import Line, failing
from tests.platforms.flex.world import A_LINK, CALLBACK, CUSTOMER, MESSAGE, OLD, TOKEN, Place, built
from tests.sandbox.flex import seen
from tests.support.sink import Sink, Told


def test_a_file_goes_up_and_its_name_along(place: Place, outside: Sink) -> None:
    outside.answers(Told(200, b"picture", {"Content-Type": "image/gif"}))
    place.line = Line(place.url, [outside.url])
    for mime, name in (("image/png", "a b.png"), (None, None)):
        file = Attachment("image", f"{outside.url}/a.png", mime, name)
        place.deliver(replace(MESSAGE, id=derived_id("x", name)), file)
    media = seen(place.url)["media"]
    assert [("image/png", "a b.png", 7), ("image/gif", None, 7)] == [
        (one["content_type"], one["filename"], one["size"]) for one in media
    ]
    assert [one["sid"] for one in media] == [one["media_sid"] for one in place.chats[0]["messages"]]
    assert [(CUSTOMER, None), (CUSTOMER, None)] == place.said()
    assert "authorization" not in outside.calls[0].headers


def test_a_file_behind_a_link_of_ours_goes_up_from_where_that_leads(place: Place, outside: Sink) -> None:
    outside.answers(Told(302, b"", {"Location": "/at-its-platform"}), Told(200, b"picture"))
    place.line = Line(place.url, [place.url, outside.url])
    place.deliver(content=Attachment("image", f"{outside.url}/channels/wa/media/x", "image/jpeg"))
    assert [("image/jpeg", 7)] == [(one["content_type"], one["size"]) for one in seen(place.url)["media"]]
    assert ["/channels/wa/media/x", "/at-its-platform"] == [call.path for call in outside.calls]


FITTING: dict[str, tuple[Attachment, str]] = {
    "with its name": (Attachment("file", A_LINK, file_name="a.zip"), f"a.zip: {A_LINK}"),
    "its name too long beside it": (Attachment("file", A_LINK, file_name="a" * 200), A_LINK),
    "too long itself": (
        Attachment("file", A_LINK + "x" * 100, file_name="a.zip"),
        "The customer sent a file, but its link is too long to be shown here: a.zip",
    ),
    "too long, without a name": (
        Attachment("video", A_LINK + "x" * 100),
        "The customer sent a file, but its link is too long to be shown here: video",
    ),
}


@pytest.mark.parametrize(("file", "body"), FITTING.values(), ids=FITTING)
def test_a_file_is_heard_of_however_long_its_link(
    file: Attachment, body: str, flex_sandbox: str, generation: Generation
) -> None:
    place = Place(generation.first, flex_sandbox, {"media": "link"})
    place.deliver(content=file)
    assert [(CUSTOMER, body)] == place.said()


LINKS: dict[str, tuple[Told, dict[str, Any]]] = {
    "it is not there": (Told(404), {}),
    "its host is ill": (Told(503), {}),
    "its host hangs up": (Told(drop=True), {}),
    "it is moved around without end": (Told(302, b"", {"Location": "/b.png"}), {}),
    "it is too large": (Told(200, b"x" * (16 * 1024 * 1024 + 1)), {}),
    "it is empty": (Told(200, b""), {}),
    "its type is refused": (Told(200, b"x"), {"mime_type": FORM}),
    "its type cannot be sent": (Told(200, b"x"), {"mime_type": "image/png\r\nx: y"}),
    "its type is no ASCII": (Told(200, b"x"), {"mime_type": "bild/größe👍"}),
    "files are to be links": (Told(200, b"x"), {"media": "link"}),
}


@pytest.mark.parametrize(("told", "more"), LINKS.values(), ids=LINKS)
def test_a_file_that_cannot_be_brought_goes_as_its_link(
    told: Told,
    more: dict[str, Any],
    flex_sandbox: str,
    outside: Sink,
    generation: Generation,
) -> None:
    changes = {"media": more["media"]} if "media" in more else {}
    place = Place(generation.first, flex_sandbox, changes)
    place.line = Line(place.url, [outside.url])
    outside.answers(told)
    url = f"{outside.url}/a.png"
    place.deliver(content=Attachment("image", url, more.get("mime_type"), "a.png"))
    assert [(CUSTOMER, f"a.png: {url}")] == place.said()
    assert seen(place.url)["media"] == []
    tries = 1 + MAX_MOVES if told.status == 302 else 1
    assert (0 if more.get("media") == "link" else tries) == len(outside.calls)


@pytest.mark.parametrize("trusted", [False, True], ids=["inside", "a host of the configuration"])
def test_a_file_on_an_address_of_ours_is_not_fetched_for_a_customer(trusted: bool, place: Place, outside: Sink) -> None:
    if trusted:
        place.line = Line(place.url, hosts=[outside.url])
        assert place.line.request("GET", outside.url, timeout=5).ok
        outside.calls.clear()
    place.deliver(content=Attachment("file", f"{outside.url}/admin?do=x"))
    assert [(CUSTOMER, f"{outside.url}/admin?do=x")] == place.said()
    assert ([], []) == (outside.calls, seen(place.url)["media"])


@pytest.mark.parametrize("status", [429, 503])
def test_a_media_service_that_is_ill_is_waited_for(status: int, place: Place, outside: Sink) -> None:
    place.line = Line(place.url, [outside.url])
    place.line.instead = failing(status, "POST", "/Media")
    with pytest.raises(Failure) as raised:
        place.deliver(content=Attachment("file", f"{outside.url}/a"))
    assert raised.value.kind.retry
    assert place.said() == []


# --- files of agents ---


def test_a_link_to_an_agents_file_leads_to_where_it_is_now(place: Place) -> None:
    file = place.agents_file()
    assert file.url.startswith(f"{CALLBACK}/media/")
    where = place.desk.media(file.url.rpartition("/")[2], place.line, BytesIO())
    assert requests.get(where, timeout=5).content == b"picture"
    assert ("image", "image/png", "map.png") == (file.kind, file.mime_type, file.file_name)


def test_a_link_that_is_not_ours_leads_nowhere(place: Place) -> None:
    token = place.agents_file().url.rpartition("/")[2]
    settings = {**place.setup.adapter.Settings().load(place.values), "callback": CALLBACK}
    another = place.setup.adapter("other", settings)
    stranger = built(place.setup.adapter, {**place.values, "auth_tokens": [OLD]})
    for other in (another, stranger):
        with pytest.raises(Unverified):
            other.media(token, place.line, BytesIO())
    for forged in ("", "x", token[:-1], token + "x", "." + token, token.upper(), "é"):
        with pytest.raises(Unverified):
            place.desk.media(forged, place.line, BytesIO())


def test_a_link_outlives_a_rotation_of_tokens(place: Place) -> None:
    token = place.agents_file().url.rpartition("/")[2]
    rotated = built(place.setup.adapter, {**place.values, "auth_tokens": [OLD, TOKEN]})
    place.line.instead = lambda call: Response(200, {}, b'{"links":{"content_direct_temporary":"https://a"}}')
    assert "https://a" == rotated.media(token, place.line, BytesIO())


def test_a_link_expires(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    token = place.agents_file().url.rpartition("/")[2]
    now = int(time.time())
    for after, good in ((7 * 86_400 - 5, True), (7 * 86_400 + 5, False)):
        monkeypatch.setattr("itsdangerous.timed.TimestampSigner.get_timestamp", lambda self, a=after: now + a)
        if good:
            assert place.desk.media(token, place.line, BytesIO())
        else:
            with pytest.raises(Unverified):
                place.desk.media(token, place.line, BytesIO())


@pytest.mark.parametrize("body", [b"{}", b'{"links":null}', b'{"links":{}}', b'{"links":[]}'])
def test_a_file_of_which_twilio_does_not_say_where_it_is(body: bytes, place: Place) -> None:
    token = place.agents_file().url.rpartition("/")[2]
    place.line.instead = lambda call: Response(200, {}, body)
    with pytest.raises(Failure) as raised:
        place.desk.media(token, place.line, BytesIO())
    assert errors.UNPARSEABLE == raised.value.kind
