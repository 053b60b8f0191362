"""Channel `webhook`: Standard Webhooks in both directions, and its own envelope."""

from __future__ import annotations

import base64
import hmac
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, ClassVar

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from marshmallow import ValidationError
from msgspec.structs import replace
from standardwebhooks import webhooks as library

from app.core import errors
from app.core.errors import BadWebhook, Unverified
from app.core.events import Accepted, Ended, Event, Ignored, Receipt, Reported, StatusReport, Typing, Webhook, Written
from app.core.message import (
    Attachment,
    Card,
    Image,
    Location,
    Message,
    Profile,
    QuickReply,
    Text,
    content_to_dict,
    derived_id,
)
from app.http import MAX_BYTES, Http
from app.platforms.channel import Outgoing
from app.platforms.webhook.channel import WebhookChannel
from tests.platforms.conformance import Calling, Signing, changed, post
from tests.support import fixtures
from tests.support.sink import Sink, Told
from tests.support.values import THOROUGH, replaced, spoiled

OLD = "whsec_Z2F0ZXdheS10ZXN0LXNlY3JldC0yNGJ5"
NEW = "whsec_" + base64.b64encode(b"another-secret-of-32-bytes-long!").decode()
OTHER = "whsec_" + base64.b64encode(b"nobody-configured-this-1").decode()
VECTOR = b'{"type":"message.status","timestamp":"2026-01-01T00:00:00Z","data":{"id":"m-1","status":"delivered"}}'
VECTOR_HEADERS = {
    "webhook-id": "msg_0001",
    "webhook-timestamp": "1767225600",
    "webhook-signature": "v1,WWZtJtVRGCl31x/X035kmNguXkdG5W5n1A0xsEL5ZOk=",
}
MESSAGE = Message(
    id="0123456789abcdef0123456789abcdef",
    direction="outbound",
    channel="desk",
    customer="webhook:customer-42",
    content=Text("It left today. Größe & Farbe = klar"),
    author="agent",
    source="people",
    at=1_767_225_600_123,
    external_id="shop-1",
)


def signed(body: bytes, secret: str = OLD, at: float | None = None) -> Webhook:
    """The webhook as a stranger with the reference library would sign it."""
    moment = datetime.fromtimestamp(int(at if at is not None else datetime.now(UTC).timestamp()), UTC)
    text = body.decode("utf-8", "replace")
    headers = {
        "webhook-id": "msg_1",
        "webhook-timestamp": str(int(moment.timestamp())),
        "webhook-signature": library.Webhook(secret).sign("msg_1", moment, text),
    }
    return post("/channels/desk", body, headers)


def signature(webhook: Webhook) -> str:
    return webhook.headers["webhook-signature"]


class TestWebhookChannel(Signing, Calling):
    adapter_class = WebhookChannel
    platform = "webhook"
    good = "message_text"
    url_key = "send_url"
    values: ClassVar[dict[str, Any]] = {
        "type": "webhook",
        "secrets": [OLD],
        "send_url": "http://127.0.0.1:9/shop",
        "destination": "helper",
        "typing": True,
    }

    def sign(self, body: bytes, **changes: Any) -> Webhook:
        return signed(body)

    def rotated(self) -> WebhookChannel:
        channel: WebhookChannel = self.build(secrets=[NEW, OLD])
        channel.verify(signed(fixtures.raw("webhook", "message_text"), NEW))
        return channel

    def spoils(self) -> dict[str, Callable[[Webhook], Webhook]]:
        now = datetime.now(UTC).timestamp()
        return {
            "no id": lambda good: changed(good, webhook_id=None),
            "no timestamp": lambda good: changed(good, webhook_timestamp=None),
            "no signature": lambda good: changed(good, webhook_signature=None),
            "no headers at all": lambda good: post("/channels/desk", good.body, {}),
            "an empty signature": lambda good: changed(good, webhook_signature=""),
            "another body": lambda good: post("/channels/desk", good.body + b" ", good.headers),
            "a body that is no text": lambda good: post("/channels/desk", b"\xff", good.headers),
            "another id": lambda good: changed(good, webhook_id="msg_2"),
            "another timestamp": lambda good: changed(good, webhook_timestamp=str(int(now) - 2)),
            "another secret": lambda good: signed(good.body, OTHER),
            "an entry without a comma": lambda good: changed(good, webhook_signature="v1"),
            "an entry with two commas": lambda good: changed(good, webhook_signature=signature(good) + ",x"),
            "an unknown version": lambda good: changed(good, webhook_signature=signature(good).replace("v1,", "v2,")),
            "the asymmetric version": lambda good: changed(
                good, webhook_signature=signature(good).replace("v1,", "v1a,")
            ),
            "bad base64": lambda good: changed(good, webhook_signature="v1,*"),
            "no ASCII": lambda good: changed(good, webhook_signature="v1,ü"),
            "a cut signature": lambda good: changed(good, webhook_signature=signature(good)[:-4]),
            "too old": lambda good: signed(good.body, at=now - 3600),
            "too new": lambda good: signed(good.body, at=now + 3600),
            "a timestamp that is a word": lambda good: changed(good, webhook_timestamp="now"),
            "a timestamp that is no number": lambda good: changed(good, webhook_timestamp="nan"),
            "a timestamp without end": lambda good: changed(good, webhook_timestamp="9" * 400),
            "a good one behind too many": lambda good: changed(
                good, webhook_signature="v1,AAAA " * 10 + signature(good)
            ),
        }

    def bad_bodies(self) -> dict[str, tuple[Any, str]]:
        good = fixtures.value("webhook", "message_text")
        data = good["data"]

        def message(**changes: Any) -> dict[str, Any]:
            return {**good, "data": {**data, **changes}}

        return {
            "no type": ({"data": {}}, "type"),
            "a type that is a number": ({**good, "type": 5}, "type"),
            "an empty type": ({**good, "type": ""}, "type"),
            "a type too long": ({**good, "type": "x" * 65}, "type"),
            "no data": ({"type": "message.created"}, "data"),
            "data is a list": ({**good, "data": []}, "data"),
            "no id": ({**good, "data": {k: v for k, v in data.items() if k != "id"}}, "data.id"),
            "an empty id": (message(id=""), "data.id"),
            "an id too long": (message(id="x" * 257), "data.id"),
            "an id that is a fraction": (message(id=1.5), "data.id"),
            "an id that is true": (message(id=True), "data.id"),
            "no sender": ({**good, "data": {k: v for k, v in data.items() if k != "from"}}, "data.from"),
            "a sender that is a word": (message(**{"from": "customer-42"}), "data.from"),
            "a sender without an id": (message(**{"from": {"name": "Ada"}}), "data.from.id"),
            "a sender whose id is true": (message(**{"from": {"id": True}}), "data.from.id"),
            "no content": ({**good, "data": {k: v for k, v in data.items() if k != "content"}}, "data.content"),
            "an unknown content": (message(content={"type": "sticker"}), "data.content.type"),
            "a text too long": (message(content={"type": "text", "text": "x" * 7001}), "data.content.text"),
            "a status of no name": ({"type": "message.status", "data": {"status": "read"}}, "data.message_id"),
            "an unknown status": (
                {"type": "message.status", "data": {"message_id": "m", "status": "seen"}},
                "data.status",
            ),
            "a status that goes back": (
                {"type": "message.status", "data": {"message_id": "m", "status": "queued"}},
                "data.status",
            ),
            "typing of nobody": ({"type": "conversation.typing", "data": {}}, "data.from"),
            "an end of nobody": ({"type": "conversation.ended", "data": {"from": {}}}, "data.from.id"),
        }

    def outcomes(self) -> dict[str, Any]:
        """Standard Webhooks wants another try after whatever is no success and not the message's own fault."""
        again = (301, 302, 402, 403, 404, 405, 406, 409, 415, 421, 425, 428, 451, 501)
        never = {410: errors.GONE, 413: errors.REJECTED, 422: errors.REJECTED}
        rows = {str(status): (Told(status), errors.UNAVAILABLE, False, None) for status in again}
        rows |= {str(status): (Told(status), kind, False, None) for status, kind in never.items()}
        moved = Told(302, headers={"Location": "/elsewhere"})
        later = Told(404, headers={"Retry-After": "17"})
        return {
            **super().outcomes(),
            **rows,
            "a redirect": (moved, errors.UNAVAILABLE, False, None),
            "404 with seconds": (later, errors.UNAVAILABLE, False, (17, 17)),
        }

    def calls(self) -> dict[str, Callable[[Any, Http], object]]:
        return {
            "send": lambda channel, http: channel.send(Outgoing(MESSAGE, MESSAGE.content), http),
            "report": lambda channel, http: channel.report(StatusReport(MESSAGE, "read", None, 5), http),
            "typing": lambda channel, http: channel.typing(MESSAGE.customer, http),
            "ended": lambda channel, http: channel.ended(MESSAGE.customer, "end-1", http),
        }


def channel(**changes: Any) -> WebhookChannel:
    built: WebhookChannel = TestWebhookChannel().build(**changes)
    return built


ANYTHING = {"nothing": {}, "null": {"data": None}, "a list": {"data": [1]}, "a word": {"data": "x"}}


@pytest.mark.parametrize("more", ANYTHING.values(), ids=ANYTHING)
def test_an_event_that_we_do_not_know_may_hold_anything(more: dict[str, Any]) -> None:
    webhook = TestWebhookChannel().sign(orjson.dumps({"type": "customer.moved", **more}))
    assert [Ignored("customer.moved")] == channel().parse(webhook)


def text(name: str) -> str:
    return fixtures.raw("webhook", name).decode()


# --- signatures ---


@pytest.fixture
def new_year(monkeypatch: pytest.MonkeyPatch) -> None:
    """The library's clock stands at the moment of the contract's test vector."""

    class Frozen(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> datetime:
            return datetime.fromtimestamp(1_767_225_600, tz)

    monkeypatch.setattr(library, "datetime", Frozen)


@pytest.mark.usefixtures("new_year")
def test_the_vector_of_the_contract_verifies() -> None:
    channel().verify(post("/channels/desk", VECTOR, VECTOR_HEADERS))


TOLERANCE = {
    "just old enough": (-300, True),
    "too old": (-301, False),
    "just new": (300, True),
    "too new": (301, False),
}


@pytest.mark.usefixtures("new_year")
@pytest.mark.parametrize(("seconds", "verifies"), TOLERANCE.values(), ids=TOLERANCE)
def test_five_minutes_to_either_side_are_tolerated(seconds: int, verifies: bool) -> None:
    webhook = signed(VECTOR, at=1_767_225_600 + seconds)
    if verifies:
        channel().verify(webhook)
    else:
        with pytest.raises(Unverified, match="more than five minutes off"):
            channel().verify(webhook)


SEVERAL = {
    "a good one behind others": "v1,AAAA v1a,AAAA v2,xyz nonsense v1,* {good}",
    "a good one before others": "{good} v1,AAAA nonsense",
    "more than one space between": "v1,AAAA   {good}  ",
    "twice the same": "{good} {good}",
}


@pytest.mark.parametrize("entries", SEVERAL.values(), ids=SEVERAL)
def test_one_good_entry_among_several_is_enough(entries: str) -> None:
    good = signed(VECTOR)
    channel().verify(changed(good, webhook_signature=entries.format(good=signature(good))))


def test_a_secret_that_was_taken_away_verifies_no_more() -> None:
    with pytest.raises(Unverified, match="does not match"):
        channel(secrets=[NEW]).verify(signed(VECTOR, OLD))


def test_without_verification_anything_passes() -> None:
    channel(secrets=[], verification="none").verify(post("/channels/desk", b"{}", {}))


BAD_SECRETS = {
    "no prefix": OLD.removeprefix("whsec_"),
    "an asymmetric key": OLD.replace("whsec_", "whsk_"),
    "too short": "whsec_" + base64.b64encode(b"x" * 23).decode(),
    "too long": "whsec_" + base64.b64encode(b"x" * 65).decode(),
    "no base64": "whsec_not-base64-at-all-not-base64-at-all",
    "only the prefix": "whsec_" + "=" * 10,
}


@pytest.mark.parametrize("secret", BAD_SECRETS.values(), ids=BAD_SECRETS)
def test_a_secret_must_be_one(secret: str) -> None:
    with pytest.raises(ValidationError) as raised:
        channel(secrets=[OLD, secret])
    assert raised.value.messages == {"secrets": {"1": ["Must be whsec_ and 24 to 64 bytes in base64."]}}
    assert secret not in str(raised.value)


GOOD_SECRETS = {"24 bytes": 24, "25 bytes": 25, "26 bytes": 26, "64 bytes": 64}


@pytest.mark.parametrize("padded", [True, False], ids=["padded", "bare"])
@pytest.mark.parametrize("size", GOOD_SECRETS.values(), ids=GOOD_SECRETS)
def test_a_secret_may_have_its_padding_or_not(size: int, padded: bool) -> None:
    secret = "whsec_" + base64.b64encode(b"k" * size).decode()
    secret = secret if padded else secret.rstrip("=")
    channel(secrets=[secret]).verify(signed(VECTOR, secret))


def test_verification_needs_a_secret() -> None:
    with pytest.raises(ValidationError) as raised:
        channel(secrets=[])
    assert list(raised.value.messages_dict) == ["secrets"]


def raw_signature(body: bytes, secret: str = OLD, at: int | None = None) -> dict[str, str]:
    """As somebody signs who follows the standard by hand: over the bytes, whatever they are."""
    moment = str(at or int(datetime.now(UTC).timestamp()))
    key = base64.b64decode(secret.removeprefix("whsec_"))
    digest = hmac.new(key, f"msg_1.{moment}.".encode() + body, "sha256").digest()
    return {
        "webhook-id": "msg_1",
        "webhook-timestamp": moment,
        "webhook-signature": f"v1,{base64.b64encode(digest).decode()}",
    }


def a_text(text: bytes) -> bytes:
    return (
        b'{"type":"message.created","data":{"id":"1","from":{"id":"c"},"content":{"type":"text","text":"%b"}}}' % text
    )


LATIN = {"content-type": "application/json; charset=iso-8859-1"}
ODD_TEXTS: dict[str, tuple[bytes, dict[str, str], str]] = {
    "half a surrogate pair": (a_text(b"Hi \\ud83d"), {}, "Hi \ufffd"),
    "a byte order mark": (b"\xef\xbb\xbf" + a_text(b"Hi"), {}, "Hi"),
    "Latin-1": (a_text(b"caf\xe9"), LATIN, "café"),
    "no UTF-8": (a_text(b"caf\xe9"), {}, "caf\ufffd"),
    "NaN beside it": (a_text(b"Hi").replace(b'{"id":"1"', b'{"score":NaN,"id":"1"'), {}, "Hi"),
    "NUL": (a_text(b"a\\u0000b"), {}, "ab"),
    "the same name twice": (a_text(b"Hi").replace(b'"text":"Hi"', b'"text":"Ho","text":"Hi"'), {}, "Hi"),
}


@pytest.mark.parametrize(("body", "kind", "expected"), ODD_TEXTS.values(), ids=ODD_TEXTS)
def test_no_odd_character_refuses_what_is_signed(body: bytes, kind: dict[str, str], expected: str) -> None:
    webhook = post("/channels/desk", body, {**raw_signature(body), **kind})
    channel().verify(webhook)
    assert [Written(Text(expected), external_id="1", customer="webhook:c")] == channel().parse(webhook)


def test_a_sender_may_have_signed_the_text_and_sent_other_bytes() -> None:
    body = a_text("café".encode("latin-1"))
    told = raw_signature(a_text("café".encode()))
    channel().verify(post("/channels/desk", body, {**told, **LATIN}))
    with pytest.raises(Unverified):
        channel().verify(post("/channels/desk", body, told))


def test_odd_bytes_are_signed_one_by_one() -> None:
    told = raw_signature(a_text(b"caf\xe9"))
    with pytest.raises(Unverified):
        channel().verify(post("/channels/desk", a_text(b"caf\xe8"), told))


def svix(headers: dict[str, str]) -> dict[str, str]:
    return {name.replace("webhook-", "svix-"): value for name, value in headers.items()}


def test_the_headers_may_have_their_older_names() -> None:
    webhook = post("/channels/desk", VECTOR, svix(raw_signature(VECTOR)))
    channel().verify(webhook)
    (ended,) = channel().parse(replace(webhook, body=fixtures.raw("webhook", "ended")))
    assert Ended("msg_1", customer="webhook:customer-42") == ended


SPELLINGS = {
    "old names, another secret": lambda: svix(raw_signature(VECTOR, OTHER)),
    "old names, too old": lambda: svix(raw_signature(VECTOR, at=1_767_225_600)),
    "half of each": lambda: {
        **{name: value for name, value in raw_signature(VECTOR).items() if name != "webhook-signature"},
        "svix-signature": raw_signature(VECTOR)["webhook-signature"],
    },
}


@pytest.mark.parametrize("headers", SPELLINGS.values(), ids=SPELLINGS)
def test_the_older_names_prove_no_less(headers: Callable[[], dict[str, str]]) -> None:
    with pytest.raises(Unverified):
        channel().verify(post("/channels/desk", VECTOR, headers()))


# --- in ---

CUSTOMER = "webhook:customer-42"
READ: dict[str, Event] = {
    "message_text": Written(
        Text("Where is my parcel? Größe & Farbe = offen"),
        external_id="shop-1",
        customer=CUSTOMER,
        profile=Profile(name="Ada", locale="en-GB", phone="+15550000001"),
        metadata={"order": 1007, "target_task": "quote"},
    ),
    "message_attachment": Written(
        Attachment("image", "https://cdn.example.test/scratch.jpg", "image/jpeg", "scratch.jpg", "The scratch"),
        external_id="shop-2",
        customer=CUSTOMER,
    ),
    "message_location": Written(
        Location(52.520008, 13.404954, "Alexanderplatz"), external_id="shop-3", customer=CUSTOMER
    ),
    "message_quick_reply": Written(
        QuickReply("Which colour?", ("Red", "Blue")), external_id="shop-4", customer=CUSTOMER
    ),
    "message_card": Written(
        Card("These two", (Image("https://cdn.example.test/a.png", "A"), Image("https://cdn.example.test/b.png"))),
        external_id="shop-5",
        customer=CUSTOMER,
    ),
    "message_bare": Written(Text("Hi"), external_id="shop-6", customer=CUSTOMER),
    "status_delivered": Reported("0123456789abcdef0123456789abcdef", "delivered"),
    "status_failed": Reported("0123456789abcdef0123456789abcdef", "failed", "The phone is switched off."),
    "typing": Typing(customer=CUSTOMER),
    "ended": Ended("msg_1", customer=CUSTOMER),
}


# A plain text message, and what may stand in each of its places: every limit from both sides, and what is odd.
PLAIN = {"type": "message.created", "data": {"id": "1", "from": {"id": "c"}, "content": {"type": "text", "text": "Hi"}}}
MISSING = object()
ODD = [MISSING, None, "", 5, True, [], {}, ["x"]]
IDS = ["x", "x" * 256, "x" * 257, "ü" * 256, " ", "\x00", *ODD]
PLACES: dict[tuple[str, ...], list[Any]] = {
    ("type",): ["message.status", "x" * 64, "x" * 65, *ODD],
    ("timestamp",): ["2026-01-01T00:00:00Z", "2026-01-01T00:00:00", "2026-13-01T00:00:00Z", "2026-01-01", *ODD],
    ("version",): ODD,
    ("data",): ODD,
    ("data", "id"): IDS,
    ("data", "thread"): ODD,
    ("data", "metadata"): [{"order": 7}, {"order": "x" * 17_000}, *ODD],
    ("data", "from"): ODD,
    ("data", "from", "id"): IDS,
    ("data", "from", "name"): ["Ada", "x" * 257, *ODD],
    ("data", "from", "shoe_size"): ODD,
    ("data", "content"): ODD,
    ("data", "content", "type"): ["card", "sticker", *ODD],
    ("data", "content", "text"): ["x" * 7000, "x" * 7001, "ü" * 7000, *ODD],
    ("data", "content", "emphasis"): ODD,
}
CHANGES = [(place, value) for place, values in PLACES.items() for value in values]


def with_changes(changes: list[tuple[tuple[str, ...], Any]]) -> Any:
    body = PLAIN
    for place, value in sorted(changes, key=lambda change: -len(change[0])):  # the inner ones first
        body = without(body, place) if value is MISSING else replaced(body, place, value)
    return body


def without(body: Any, place: tuple[str, ...]) -> Any:
    name, *rest = place
    if not rest:
        return {key: value for key, value in body.items() if key != name}
    return {**body, name: without(body[name], tuple(rest))}


SENT = [fixtures.value("webhook", name) for name in READ]


def outcome(body: Any) -> object:
    """The events, or the broken rule and its field."""
    try:
        return channel().parse(post("/channels/desk", orjson.dumps(body), {}))
    except BadWebhook as error:
        return error.field, error.rule


def same_as_the_schemas(body: Any) -> bool:
    short = outcome(body)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("app.platforms.webhook.channel.plain_text", lambda body: None)
        return short == outcome(body)


def test_the_short_way_answers_as_the_schemas_do_in_every_place() -> None:
    assert [] == [change for change in CHANGES if not same_as_the_schemas(with_changes([change]))]


@THOROUGH
@given(st.lists(st.sampled_from(CHANGES), max_size=3).map(with_changes) | spoiled([PLAIN, *SENT]))
def test_the_short_way_answers_as_the_schemas_do(body: Any) -> None:
    assert same_as_the_schemas(body)


SHORT_WAY = {
    "as bare as can be": PLAIN,
    "with a time": {**PLAIN, "timestamp": "2026-01-01T00:00:00Z"},
    "with what nobody knows": {**PLAIN, "version": 2, "data": {**PLAIN["data"], "thread": "t"}},  # type: ignore[dict-item]
}


@pytest.mark.parametrize("body", SHORT_WAY.values(), ids=SHORT_WAY)
def test_a_plain_text_is_read_without_the_schemas(body: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr("app.platforms.webhook.channel.load")
    assert [Written(Text("Hi"), external_id="1", customer="webhook:c")] == outcome(body)


@pytest.mark.parametrize(("name", "expected"), READ.items(), ids=READ)
def test_it_reads(name: str, expected: Event) -> None:
    assert [expected] == channel().parse(signed(fixtures.raw("webhook", name)))


def test_every_fixture_has_its_reading() -> None:
    assert set(fixtures.names("webhook")) - set(fixtures.names("webhook", "unsupported_")) == set(READ)


def taken(**changes: Any) -> Any:
    """The event that the fixture with a text becomes with other fields in its data."""
    body = fixtures.value("webhook", "message_text")
    (event,) = channel().parse(signed(orjson.dumps({**body, "data": {**body["data"], **changes}})))
    return event


DETAILS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "an empty e-mail address": ({"from": {"id": "c", "email": ""}}, {"profile": None}),
    "a long name": ({"from": {"id": "c", "name": "x" * 257}}, {"profile": Profile(name="x" * 256)}),
    "a name that is a number": ({"from": {"id": "c", "name": 5}}, {"profile": None}),
    "a picture that is no URL": ({"from": {"id": "c", "name": "A", "picture": "me"}}, {"profile": Profile(name="A")}),
    "a country of three letters": ({"from": {"id": "c", "country": "USA"}}, {"profile": None}),
    "metadata is null": ({"metadata": None}, {"metadata": {}}),
    "metadata is a list": ({"metadata": []}, {"metadata": {}}),
    "metadata too large": ({"metadata": {"a": "x" * 17_000}}, {"metadata": {}}),
    "an id that is a number": ({"id": 12345}, {"external_id": "12345"}),
    "a customer whose id is a number": ({"from": {"id": 12345}}, {"customer": "webhook:12345"}),
}


@pytest.mark.parametrize(("changes", "expected"), DETAILS.values(), ids=DETAILS)
def test_no_message_is_refused_for_a_detail(changes: dict[str, Any], expected: dict[str, Any]) -> None:
    event = taken(**changes)
    assert expected == {name: getattr(event, name) for name in expected}
    assert event.content == READ["message_text"].content  # type: ignore[union-attr]


@pytest.mark.parametrize(
    "timestamp", [1_767_225_600, "1767225600", 1_767_225_600_123, "yesterday", None, [], "", 1e300]
)
def test_no_message_is_refused_for_its_time(timestamp: Any) -> None:
    body = {**fixtures.value("webhook", "message_text"), "timestamp": timestamp}
    assert [READ["message_text"]] == channel().parse(signed(orjson.dumps(body)))


def test_a_report_may_name_a_number_and_say_much() -> None:
    data = {"message_id": 7, "status": "failed", "error": "x" * 1_001}
    report = orjson.dumps({"type": "message.status", "data": data})
    assert [Reported("7", "failed", "x" * 1_000)] == channel().parse(signed(report))


def test_customers_are_named_by_the_configured_provider() -> None:
    (event,) = channel(provider="crm").parse(signed(fixtures.raw("webhook", "typing")))
    assert Typing(customer="crm:customer-42") == event


PROVIDERS = {"capitals": "CRM", "a digit first": "1crm", "a line break": "crm\n", "too long": "c" * 33, "empty": ""}


@pytest.mark.parametrize("provider", PROVIDERS.values(), ids=PROVIDERS)
def test_a_provider_is_a_plain_word(provider: str) -> None:
    with pytest.raises(ValidationError):
        channel(provider=provider)


def test_it_acknowledges_with_a_line_for_each_event() -> None:
    event = READ["message_bare"]
    reply = channel().acknowledge(signed(b"{}"), [Accepted(event, "m1")])
    assert reply.status == 202
    assert reply.body == {"accepted": [{"id": "shop-6", "message_id": "m1", "duplicate": False}]}


# --- out ---


def send(outside: Sink, call: str, **changes: Any) -> Any:
    adapter, http = TestWebhookChannel().adapter_on(outside.url, **changes)
    return TestWebhookChannel().calls()[call](adapter, http)


@pytest.mark.parametrize("call", TestWebhookChannel().calls())
def test_a_stranger_with_the_library_can_verify_what_we_send(call: str, outside: Sink) -> None:
    send(outside, call, secrets=[NEW, OLD])
    (sent,) = outside.calls
    assert sent.headers["content-type"] == "application/json"
    assert "." not in sent.headers["webhook-id"]
    library.Webhook(NEW).verify(sent.body, sent.headers)
    with pytest.raises(library.WebhookVerificationError):
        library.Webhook(OLD).verify(sent.body, sent.headers)


PLACES_OUT = {
    "noise": (52.520_008_000_000_003, 52.520008),
    "hardly anything": (0.000_001, 0.0),
    "a metre": (0.000_01, 0.00001),
    "below nought": (-0.000_000_1, 0.0),
    "many digits": (13.123_456_789, 13.123457),
}


@pytest.mark.parametrize(("degrees", "expected"), PLACES_OUT.values(), ids=PLACES_OUT)
def test_a_place_goes_out_without_noise_and_exponents(degrees: float, expected: float, outside: Sink) -> None:
    adapter, http = TestWebhookChannel().adapter_on(outside.url)
    adapter.send(Outgoing(MESSAGE, Location(degrees, degrees)), http)
    (sent,) = outside.calls
    content = sent.json["data"]["content"]
    assert (expected, expected) == (content["latitude"], content["longitude"])
    assert b"e-" not in sent.body


def test_what_cannot_be_encoded_goes_out_all_the_same(outside: Sink) -> None:
    adapter, http = TestWebhookChannel().adapter_on(outside.url)
    adapter.send(Outgoing(MESSAGE, Text("a\ud83d")), http)
    assert "a\ufffd" == outside.calls[0].json["data"]["content"]["text"]


def test_a_message_goes_out_with_its_content(outside: Sink) -> None:
    send(outside, "send")
    assert {
        "type": "message.created",
        "timestamp": "2026-01-01T00:00:00.123000Z",
        "data": {
            "id": MESSAGE.id,
            "to": {"id": "customer-42"},
            "author": "agent",
            "content": content_to_dict(MESSAGE.content),
        },
    } == outside.calls[0].json


def test_a_report_goes_out_with_both_ids(outside: Sink) -> None:
    adapter, http = TestWebhookChannel().adapter_on(outside.url)
    adapter.report(StatusReport(MESSAGE, "failed", "No phone.", 1_767_225_601_000), http)
    assert {
        "type": "message.status",
        "timestamp": "2026-01-01T00:00:01Z",
        "data": {
            "id": "shop-1",
            "message_id": MESSAGE.id,
            "to": {"id": "customer-42"},
            "status": "failed",
            "error": "No phone.",
        },
    } == outside.calls[0].json
    assert f"{MESSAGE.id}_failed" == outside.calls[0].headers["webhook-id"]


@pytest.mark.parametrize("kind", ["typing", "ended"])
def test_hints_go_out_by_customer(kind: str, outside: Sink) -> None:
    send(outside, kind)
    body = outside.calls[0].json
    assert (f"conversation.{kind}", {"to": {"id": "customer-42"}}) == (body["type"], body["data"])


def test_a_repeated_send_has_the_same_id_and_a_new_part_another(outside: Sink) -> None:
    adapter, http = TestWebhookChannel().adapter_on(outside.url)
    for part in (0, 0, 1):
        adapter.send(Outgoing(MESSAGE, MESSAGE.content, part), http)
    assert [MESSAGE.id, MESSAGE.id, derived_id(MESSAGE.id, 1)] == [c.headers["webhook-id"] for c in outside.calls]


def test_without_secrets_nothing_is_signed(outside: Sink) -> None:
    send(outside, "send", secrets=[], verification="none")
    assert "webhook-signature" not in outside.calls[0].headers


ANSWERS = {
    "an id": (b'{"id":"crm-7"}', "crm-7"),
    "no body": (b"", None),
    "no JSON": (b"OK", None),
    "a list": (b"[]", None),
    "null": (b"null", None),
    "a word": (b'"id"', None),
    "no id": (b"{}", None),
    "an id that is a number": (b'{"id":7}', "7"),
    "a long number": (b'{"id":1234567890123456789}', "1234567890123456789"),
    "a fraction": (b'{"id":7.5}', None),
    "true": (b'{"id":true}', None),
    "an id with half a character": (b'{"id":"a\\ud83d"}', "a\ufffd"),
    "an empty id": (b'{"id":""}', None),
    "the longest id": (orjson.dumps({"id": "x" * 256}), "x" * 256),
    "an id too long": (orjson.dumps({"id": "x" * 257}), None),
    "more than is read": (orjson.dumps({"id": "x" * MAX_BYTES}), None),
}


@pytest.mark.parametrize(("body", "external_id"), ANSWERS.values(), ids=ANSWERS)
def test_the_receivers_answer_may_carry_an_id(body: bytes, external_id: str | None, outside: Sink) -> None:
    outside.answers(Told(202, body))
    assert Receipt(external_id=external_id) == send(outside, "send")


def test_statuses_can_be_kept_to_ourselves() -> None:
    assert channel().capabilities.statuses
    assert not channel(statuses=False).capabilities.statuses
