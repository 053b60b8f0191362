"""Channel `twilio`: WhatsApp, Messenger and SMS, with Twilio's own validator as the oracle for signatures."""

from __future__ import annotations

import io
import time
from collections.abc import Callable
from email.utils import formatdate
from itertools import count
from typing import Any, BinaryIO, ClassVar
from urllib.parse import parse_qs, parse_qsl, urlencode, urlsplit

import orjson
import pytest
import redis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from itsdangerous import URLSafeTimedSerializer
from marshmallow import ValidationError
from msgspec.structs import replace
from twilio.request_validator import RequestValidator

from app.core import errors
from app.core.costs import Price
from app.core.errors import BadWebhook, Failure, Kind, Unverified
from app.core.events import Accepted, Event, File, Ignored, Receipt, Reply, Reported, Webhook, Written
from app.core.message import Attachment, Card, Content, Image, Location, Message, Profile, QuickReply, Text
from app.core.render import render
from app.core.schema import keepable, noticing
from app.gateway import Gateway
from app.http import Http
from app.inbox import Inbox
from app.platforms.channel import Ends, Outgoing, Types
from app.platforms.offers import Reports
from app.platforms.twilio.channel import ADDRESS, LOOK_BACK, MAX_FILE, TwilioChannel
from app.platforms.twilio.outcomes import ERRORS, STATUSES
from app.platforms.twilio.webhooks import FORM
from tests.platforms.conformance import BASE, FORM_BAD_BODIES, OUTCOMES, BadBody, Calling, Signing, changed
from tests.support import fixtures
from tests.support.examples import examples
from tests.support.gateway import Clock, gateway, recorder
from tests.support.sink import Call, Sink, Told
from tests.support.values import words
from workers.drain import Drainer

ACCOUNT, TOKEN, OLD = "AC" + "1" * 32, "twilio-token-0001", "twilio-token-0000"
SERVICE, TEMPLATE, SID = "MG" + "2" * 32, "HX" + "3" * 32, "SM" + "4" * 32
OURS, CUSTOMER, SMS_CUSTOMER = "whatsapp:+15551239999", "whatsapp:+15551230001", "sms:+15551230001"
CALLBACK = f"{BASE}/channels/desk"
MESSAGES = f"/2010-04-01/Accounts/{ACCOUNT}/Messages.json"
MESSAGE = Message(
    "0123456789abcdef0123456789abcdef", "outbound", "desk", CUSTOMER, Text("It left today. Größe & 1+1"), "agent",
    "people", 1_767_225_600_123,
)  # fmt: skip
PICTURE = Attachment("image", "https://cdn.example.test/a.jpg", "image/jpeg")
VALUES: dict[str, Any] = {
    "type": "twilio",
    "account_sid": ACCOUNT,
    "auth_tokens": [TOKEN],
    "address": OURS,
    "destination": "helper",
}


def built(**changes: Any) -> TwilioChannel:
    """The channel, named `desk`, as the configuration makes it."""
    values = {name: value for name, value in {**VALUES, **changes}.items() if value is not None}
    return TwilioChannel("desk", {**TwilioChannel.Settings().load(values), "callback": CALLBACK})


def signed(form: bytes, path: str = "/channels/desk", token: str = TOKEN) -> Webhook:
    """A form as Twilio sends and signs it."""
    url = BASE + path
    try:
        pairs = dict(parse_qsl(form.decode(), keep_blank_values=True, errors="strict", max_num_fields=1_000))
    except ValueError:
        pairs = {}
    headers = {"content-type": FORM, "x-twilio-signature": RequestValidator(token).compute_signature(url, pairs)}
    return Webhook("POST", url, path, headers, form)


def webhook(name: str, path: str = "/channels/desk", **fields: str | None) -> Webhook:
    """A fixture with other fields; None takes one away."""
    values = {**fixtures.value("twilio", name), **fields}
    return signed(urlencode({key: value for key, value in values.items() if value is not None}).encode(), path)


def read(name: str, path: str = "/channels/desk", channel: TwilioChannel | None = None, **fields: str | None) -> Any:
    """The one event in a fixture."""
    (event,) = (channel or built(**to(name))).parse(webhook(name, path, **fields))
    return event


def to(name: str) -> dict[str, str]:
    """The address of the channel that a fixture is for."""
    return {"address": fixtures.value("twilio", name)["To"]} if name.startswith("message_") else {}


class TestTwilioChannel(Signing, Calling):
    adapter_class = TwilioChannel
    platform = "twilio"
    good = "message_text"
    forms = True
    url_key = "api_url"
    values: ClassVar[dict[str, Any]] = VALUES

    def build(self, **changes: Any) -> TwilioChannel:
        # fixtures of several senders pass through here
        return built(**{"address": None, "messaging_service_sid": SERVICE, **changes})

    def sign(self, body: bytes, **changes: Any) -> Webhook:
        return signed(body, **changes)

    def rotated(self) -> TwilioChannel:
        return built(auth_tokens=["a-newer-twilio-token", TOKEN])

    def webhooks(self) -> list[str]:
        return [name for name in fixtures.names(self.platform) if not name.startswith("several_")]

    def spoils(self) -> dict[str, Callable[[Webhook], Webhook]]:
        return {
            "no header": lambda good: changed(good, x_twilio_signature=None),
            "an empty header": lambda good: changed(good, x_twilio_signature=""),
            "another token": lambda good: signed(good.body, token=OLD),
            "a changed body": lambda good: replace(good, body=good.body.replace(b"parcel", b"money")),
            "a field more": lambda good: replace(good, body=good.body + b"&a=b"),
            "an empty field less": lambda good: replace(webhook("message_image"), body=good.body),
            "another path": lambda good: replace(good, url=good.url + "/status"),
            "another host": lambda good: replace(good, url=good.url.replace("gate", "evil")),
            "a query more": lambda good: replace(good, url=good.url + "?a=b"),
            "a form that cannot be read": lambda good: replace(good, body=b"a=%FF"),
            "no body any more": lambda good: replace(good, body=b""),
        }

    def all_bad_bodies(self) -> dict[str, BadBody]:
        good = fixtures.value(self.platform, self.good)
        status = fixtures.value(self.platform, "status_delivered")

        def without(name: str, values: dict[str, str] = good) -> bytes:
            return orjson.dumps({key: value for key, value in values.items() if key != name})

        def with_(**values: str) -> bytes:
            return orjson.dumps({**good, **values})

        return {
            **FORM_BAD_BODIES,
            "empty": (b"", "MessageSid"),
            "no form": (b"{", "MessageSid"),
            "no field that we know": (b"\xff=\xff", "MessageSid"),
            "too many fields": (b"&".join(b"a=b" for _ in range(1_001)), ""),
            "no sid": (without("MessageSid"), "MessageSid"),
            "an empty sid": (with_(MessageSid=""), "MessageSid"),
            "a sid too long": (with_(MessageSid="S" * 257), "MessageSid"),
            "no sender": (without("From"), "From"),
            "an empty sender": (with_(From=""), "From"),
            "a channel without a sender": (with_(From="whatsapp:"), "From"),
            "a sender too long": (with_(From="+" + "1" * 256), "From"),
            "no recipient": (without("To"), "To"),
            "a text too long": (with_(Body="x" * 7_001), "Body"),
            "a latitude in words": (with_(Latitude="north", Longitude="1"), "Latitude"),
            "a latitude beyond the pole": (with_(Latitude="90.1", Longitude="1"), "Latitude"),
            "a longitude beyond the date line": (with_(Latitude="1", Longitude="-180.1"), "Longitude"),
            "a file that is no URL": (with_(MediaUrl0="a.png"), "MediaUrl0"),
            "a file with credentials": (with_(MediaUrl3="https://a:b@cdn.example.test/a.png"), "MediaUrl3"),
            "a file's URL too long": (with_(MediaUrl0="https://cdn.example.test/" + "x" * 2_000), "MediaUrl0"),
            "a status of no message": (without("MessageSid", status), "MessageSid"),
            "a status too long": (orjson.dumps({**status, "MessageStatus": "x" * 257}), "MessageStatus"),
        }

    def calls(self) -> dict[str, Callable[[Any, Http], object]]:
        outgoing = Outgoing(MESSAGE, MESSAGE.content)
        return {
            "send": lambda channel, http: channel.send(outgoing, http),
            "send again": lambda channel, http: channel.send(replace(outgoing, uncertain=True), http),
            "try the credentials": lambda channel, http: channel.try_credentials(http),
        }

    def test_what_twilio_has_no_call_for_is_not_offered(self) -> None:
        channel = self.build()
        for calling in (Reports, Types, Ends):
            assert not isinstance(channel, calling)
        assert (False, False) == (channel.capabilities.typing, channel.capabilities.statuses)


# --- signatures ---

VECTOR_TOKEN = "0123456789abcdef0123456789abcdef"
VECTORS: dict[str, tuple[str, str, bytes, str]] = {
    "a form": (
        "https://gw.example.test/hooks/twilio/in?tenant=7",
        FORM,
        urlencode(
            {
                "MessageSid": "SM" + "1" * 32,
                "From": CUSTOMER,
                "To": OURS,
                "Body": "Grüße & 1+1=2",
                "NumMedia": "0",
            }
        ).encode(),
        "TJBTUayazD2jlkJCKuqbzqXKidw=",
    ),
    "JSON": (
        "https://gw.example.test/hooks/twilio/json"
        "?bodySHA256=bacce9cde7b74222820e87fac66fab4b36a18bf7346732c4e9dd582c06d0e597",
        "application/json",
        b'{"eventType":"ping","n":1}',
        "fXWAsmZZVZl6ZLaJHRlwqlhAQb4=",
    ),
}


@pytest.mark.parametrize(("url", "kind", "body", "signature"), VECTORS.values(), ids=VECTORS)
def test_the_vectors_of_the_contract_verify(url: str, kind: str, body: bytes, signature: str) -> None:
    vector = Webhook("POST", url, urlsplit(url).path, {"content-type": kind, "x-twilio-signature": signature}, body)
    channel = built(auth_tokens=[VECTOR_TOKEN])
    channel.verify(vector)
    with pytest.raises(Unverified):
        channel.verify(replace(vector, body=body.replace(b"1", b"2")))


def test_a_webhook_by_get_is_verified_and_read() -> None:
    query = urlencode(fixtures.value("twilio", "message_text"))
    url = f"{CALLBACK}?{query}"
    headers = {"content-type": "", "x-twilio-signature": RequestValidator(TOKEN).compute_signature(url, {})}
    asked = Webhook("GET", url, "/channels/desk", headers, b"")
    built().verify(asked)
    assert [read("message_text")] == built().parse(asked)
    with pytest.raises(Unverified):
        built().verify(replace(asked, url=url.replace("parcel", "money")))


def test_json_webhooks_are_read_like_forms() -> None:
    body = fixtures.raw("twilio", "message_text")
    assert [read("message_text")] == built().parse(Webhook("POST", CALLBACK, "/channels/desk", {}, body))


# --- in ---


def sid(prefix: str, number: int) -> str:
    """As the fixtures have them."""
    return prefix + f"{number:02x}" * 16


ADA = Profile(name="Ada", phone="+15551230001")
PHONE = Profile(phone="+15551230001")
CONTEXT = {"type": "whatsapp", "data": {"context": {"ProfileName": "Ada", "WaId": "15551230001"}}}
WHATSAPP: dict[str, Any] = {
    "wa_id": "15551230001",
    "channel_metadata": CONTEXT,
    "twilio": {"NumSegments": "1", "To": OURS, "MessageType": "text"},
}
SMS_REST = {"NumSegments": "1", "To": "+15551239999"}


def of_type(kind: str, **more: Any) -> dict[str, Any]:
    return {**WHATSAPP, "twilio": {**WHATSAPP["twilio"], "MessageType": kind}, **more}


READ: dict[str, Event] = {
    "message_text": Written(
        Text("Where is my parcel? Größe & 1+1=2"), sid("SM", 1), CUSTOMER, profile=ADA, metadata=WHATSAPP
    ),
    "message_sms": Written(
        Text("Where is my parcel?"), sid("SM", 2), SMS_CUSTOMER, profile=replace(PHONE, country="US"),
        metadata={
            "twilio": {**SMS_REST, "FromCity": "PORTLAND", "FromState": "OR", "FromCountry": "US", "ToCountry": "US"}
        },
    ),
    "message_messenger": Written(
        Text("Hello"), sid("SM", 3), "messenger:9876543210",
        metadata={"twilio": {"NumSegments": "1", "To": "messenger:1234567890", "MessageType": "text"}},
    ),
    "message_location": Written(
        Location(52.520008, 13.404954, "The shop, Alexanderplatz 1"), sid("SM", 5), CUSTOMER, profile=ADA,
        metadata=of_type("location"),
    ),
    "message_button": Written(
        Text("Yes, please"), sid("SM", 6), CUSTOMER, profile=ADA,
        metadata=of_type("button", button_payload="confirm-7"),
    ),
    "message_reply": Written(
        Text("That one"), sid("SM", 7), CUSTOMER, profile=ADA,
        metadata=of_type(
            "text", reply_to=sid("SM", 0x44), reply_to_sender=OURS, forwarded=False, frequently_forwarded=False
        ),
    ),
    "message_forwarded": Written(
        Text("Look at this"), sid("SM", 8), CUSTOMER, profile=ADA,
        metadata=of_type("text", forwarded=True, frequently_forwarded=True),
    ),
    "message_no_phone": Written(
        Text("I hide my number"), sid("SM", 9), "whatsapp:DE.1234567890", profile=Profile(name="Ada"),
        metadata={
            "external_user_id": "whatsapp:DE.1234567890",
            **{name: value for name, value in WHATSAPP.items() if name != "wa_id"},
        },
    ),
    "message_referral": Written(
        Text("I saw your advertisement"), sid("SM", 10), CUSTOMER, profile=ADA,
        metadata={
            **WHATSAPP,
            "referral": {"NumMedia": "0", "SourceUrl": "https://fb.example.test/ad/7", "Headline": "Parcels, fast"},
        },
    ),
    "message_stop": Written(
        Text("STOP"), sid("SM", 11), SMS_CUSTOMER, profile=PHONE, metadata={"opt_out": "STOP", "twilio": SMS_REST}
    ),
    "message_base64": Written(
        Text("Where is my parcel? It was to come on Monday, and now it is Friday!"), sid("MM", 12), SMS_CUSTOMER,
        profile=PHONE, metadata={"twilio": SMS_REST},
    ),
    "message_fallback": Written(
        Text("Did you get this?"), sid("SM", 13), CUSTOMER, profile=ADA,
        metadata=of_type("text", error_code="11200", error_url="https://gate.example.test/channels/desk"),
    ),
    "status_delivered": Reported(sid("SM", 0x21), "delivered"),
    "status_failed": Reported(
        sid("SM", 0x22), "failed",
        "rejected: 63016 Failed to send freeform message because you are outside the allowed window.; "
        "they last wrote more than 24 hours ago, so WhatsApp takes only a template (content_sid)",
    ),
    "unsupported_empty": Ignored("message.empty"),
    "unsupported_status": Ignored("status.summoned"),
}  # fmt: skip


@pytest.mark.parametrize(("name", "expected"), READ.items(), ids=READ)
def test_it_reads(name: str, expected: Event) -> None:
    assert expected == read(name)


def test_every_fixture_has_its_reading() -> None:
    with_files = {"message_image", "several_image_text"}
    assert set(fixtures.names("twilio")) == set(READ) | with_files


def files(name: str, **fields: str | None) -> list[Any]:
    return built(media="pass").parse(webhook(name, **fields))


def test_a_message_with_text_and_files_is_several_in_order() -> None:
    events = files("several_image_text")
    first = sid("MM", 14)
    assert [first, f"{first}/1", f"{first}/2", f"{first}/3"] == [event.external_id for event in events]
    assert [0, 1, 2, 3] == [event.part for event in events]
    assert Text("The scratch, from both sides") == events[0].content
    assert [("image", "image/jpeg"), ("image", "image/png"), ("file", "application/pdf")] == [
        (event.content.kind, event.content.mime_type) for event in events[1:]
    ]
    assert {CUSTOMER} == {event.customer for event in events}
    assert [{}] * 3 == [event.metadata for event in events[1:]]
    assert of_type("image") == events[0].metadata


def test_a_file_without_words_is_the_message_itself() -> None:
    (event,) = files("message_image")
    assert (sid("MM", 4), of_type("image")) == (event.external_id, event.metadata)


@pytest.mark.parametrize(("there", "taken"), [(10, 10), (11, 10)])
def test_ten_files_are_taken_and_what_is_beyond_is_kept(there: int, taken: int) -> None:
    urls = {f"MediaUrl{number}": f"https://cdn.example.test/{number}" for number in range(there)}
    events = files("message_text", Body="", **urls)
    assert [f"https://cdn.example.test/{n}" for n in range(taken)] == [event.content.url for event in events]
    assert (there > taken) == ("MediaUrl10" in events[0].metadata["twilio"])


def test_text_files_and_a_place_come_in_that_order() -> None:
    events = files("message_location", Body="x" * 257, MediaUrl0="https://cdn.example.test/a")
    assert ["text", "attachment", "location"] == [event.content.type for event in events]


@pytest.mark.parametrize("words", ["The scratch", "x" * 256])
def test_a_file_and_what_is_said_about_it_are_one_message(words: str) -> None:
    (event,) = files("message_image", Body=words)
    assert (sid("MM", 4), of_type("image")) == (event.external_id, event.metadata)
    assert (event.content.type, event.content.description) == ("attachment", words)


def test_what_is_said_about_several_files_comes_before_them() -> None:
    words, *attached = files("message_image", Body="Both sides", MediaUrl1="https://cdn.example.test/b")
    assert words.content == Text("Both sides")
    assert [event.content.description for event in attached] == [None, None]


PLACES: dict[str, tuple[dict[str, str | None], Content | None]] = {
    "only a label": ({"Address": None}, Location(52.520008, 13.404954, "The shop")),
    "only an address": ({"Label": ""}, Location(52.520008, 13.404954, "Alexanderplatz 1")),
    "no name": ({"Label": None, "Address": None}, Location(52.520008, 13.404954)),
    "a name too long": ({"Label": "x" * 300, "Address": None}, Location(52.520008, 13.404954, "x" * 256)),
    "half a place": ({"Longitude": ""}, None),
}


@pytest.mark.parametrize(("fields", "expected"), PLACES.values(), ids=PLACES)
def test_a_place_may_have_a_name(fields: dict[str, str | None], expected: Content | None) -> None:
    event = read("message_location", **fields)
    assert expected == getattr(event, "content", None)


BUTTONS: dict[str, tuple[dict[str, str | None], str, str | None]] = {
    "the button alone": ({"Body": None}, "Yes, please", None),
    "another body": ({"Body": "confirm"}, "Yes, please", "confirm"),
    "no button": ({"ButtonText": None}, "Yes, please", None),
}


@pytest.mark.parametrize(("fields", "text", "kept"), BUTTONS.values(), ids=BUTTONS)
def test_a_button_says_what_stands_on_it(fields: dict[str, str | None], text: str, kept: str | None) -> None:
    event = read("message_button", **fields)
    assert (Text(text), kept) == (event.content, event.metadata["twilio"].get("Body"))


SENDERS: dict[str, tuple[dict[str, str | None], str, str | None]] = {
    "a number": ({"From": "+15551230001", "WaId": None}, SMS_CUSTOMER, "+15551230001"),
    "a short code": ({"From": "12345", "WaId": None}, "sms:12345", None),
    "capitals": ({"From": "WhatsApp:+15551230001"}, CUSTOMER, "+15551230001"),
    "an id in place of a number": ({"From": "whatsapp:DE.7"}, "whatsapp:DE.7", "+15551230001"),
    "a number beside an id": ({"ExternalUserId": "whatsapp:DE.7"}, CUSTOMER, "+15551230001"),
    "an id alone": ({"From": None, "ExternalUserId": "whatsapp:DE.7", "WaId": "x"}, "whatsapp:DE.7", None),
    "a bare id alone": ({"From": "whatsapp:", "ExternalUserId": "DE.7", "WaId": "x"}, "whatsapp:DE.7", None),
    "another channel": ({"From": "rcs:agent_7", "WaId": None}, "rcs:agent_7", None),
}


@pytest.mark.parametrize(("fields", "customer", "phone"), SENDERS.values(), ids=SENDERS)
def test_who_writes(fields: dict[str, str | None], customer: str, phone: str | None) -> None:
    event = read("message_text", **fields)
    assert (customer, phone) == (event.customer, event.profile.phone)


ALIASES: dict[str, tuple[dict[str, str | None], tuple[str, ...]]] = {
    "a number alone": ({}, ()),
    "a number beside an id": ({"ExternalUserId": "whatsapp:DE.7"}, ("whatsapp:DE.7",)),
    "a number beside a bare id": ({"ExternalUserId": "US.13491208655302741918"}, ("whatsapp:US.13491208655302741918",)),
    "an id with letters": ({"ExternalUserId": "whatsapp:US.a1B2"}, ("whatsapp:US.a1B2",)),
    "an id beside a number": ({"From": "whatsapp:DE.7"}, ("whatsapp:+15551230001",)),
    "an id beside itself": ({"From": "whatsapp:DE.7", "ExternalUserId": "whatsapp:DE.7", "WaId": None}, ()),
    "an id alone": ({"From": "whatsapp:", "ExternalUserId": "whatsapp:DE.7", "WaId": ""}, ()),
    "an id of a parent business": ({"ExternalUserId": "whatsapp:DE.ENT.7"}, ()),
    "an id that is none": ({"ExternalUserId": "whatsapp:7"}, ()),
    "a number as WhatsApp writes it": ({"WaId": "5551230001"}, ()),
    "an id and a number that is none": ({"From": "whatsapp:DE.7", "WaId": "12"}, ()),
    "another channel": ({"From": "messenger:9", "ExternalUserId": "whatsapp:DE.7"}, ()),
}


@pytest.mark.parametrize(("fields", "aliases"), ALIASES.values(), ids=ALIASES)
def test_all_addresses_of_who_writes(fields: dict[str, str | None], aliases: tuple[str, ...]) -> None:
    assert aliases == read("message_text", **fields).aliases


LENGTHS: dict[str, tuple[dict[str, str | None], Profile | None]] = {
    "a name too long": ({"ProfileName": "x" * 300}, replace(ADA, name="x" * 256)),
    "a phone too long": ({"From": "+" + "1" * 32}, Profile(name="Ada")),
    "a longest phone": ({"From": "+" + "1" * 31}, replace(ADA, phone="+" + "1" * 31)),
    "a country's name": ({"FromCountry": "USA"}, ADA),
    "nothing": ({"ProfileName": "", "From": "12345", "WaId": None}, None),
}


@pytest.mark.parametrize(("fields", "profile"), LENGTHS.values(), ids=LENGTHS)
def test_a_profile_has_what_fits(fields: dict[str, str | None], profile: Profile | None) -> None:
    assert profile == read("message_text", **fields).profile


TYPES = {
    "unknown": ("x" * 300, "file", "x" * 256),
    "none": (None, "file", None),
    "a film": ("video/mp4", "video", "video/mp4"),
}


@pytest.mark.parametrize(("said", "kind", "kept"), TYPES.values(), ids=TYPES)
def test_a_files_type_says_its_kind(said: str | None, kind: str, kept: str | None) -> None:
    (event,) = files("message_image", MediaContentType0=said)
    assert (kind, kept) == (event.content.kind, event.content.mime_type)


PACKED = fixtures.value("twilio", "message_base64")["Body"]
NOT_PACKED = {
    "WhatsApp": ("message_text", {"Body": PACKED, "MessageSid": sid("MM", 12)}),
    "no MMS": ("message_base64", {"MessageSid": sid("SM", 12)}),
    "short": ("message_base64", {"Body": "SGVsbG8gdGhlcmU="}),
    "cut": ("message_base64", {"Body": PACKED[:-1]}),
    "with other characters": ("message_base64", {"Body": f"{PACKED[:40]}!{PACKED[40:]}"}),
    "words": ("message_base64", {"Body": "Where is my parcel? " * 8}),
    "no ASCII": ("message_base64", {"Body": "größer" * 12}),
    "no text inside": ("message_base64", {"Body": "AAECAwQF" * 10}),
    "not UTF-8 inside": ("message_base64", {"Body": "/////w8P" * 10}),
}


@pytest.mark.parametrize(("name", "fields"), NOT_PACKED.values(), ids=NOT_PACKED)
def test_what_only_looks_like_base64_is_left_alone(name: str, fields: dict[str, str | None]) -> None:
    expected = fields.get("Body") or fixtures.value("twilio", name)["Body"]
    assert Text(expected) == read(name, **fields).content


def test_base64_may_be_broken_into_lines() -> None:
    broken = f"{PACKED[:40]}\r\n{PACKED[40:]}\r\n"
    assert READ["message_base64"] == read("message_base64", Body=broken)


def test_the_fallback_gets_the_same_message_with_the_same_ids() -> None:
    at_first = read("message_fallback", ErrorCode=None, ErrorUrl=None)
    later = read("message_fallback", "/channels/desk/fallback")
    assert at_first == replace(later, metadata=at_first.metadata)
    assert ("11200", "https://gate.example.test/channels/desk") == (
        later.metadata["error_code"],
        later.metadata["error_url"],
    )


TOKENS = {"none": (None, None), "empty": ("", None), "one": ("tok-1", "tok-1"), "too long": ("x" * 256, None)}


@pytest.mark.parametrize(("header", "token"), TOKENS.values(), ids=TOKENS)
def test_the_idempotency_token_names_each_message_of_a_webhook(header: str | None, token: str | None) -> None:
    events: list[Any] = built().parse(changed(webhook("several_image_text"), i_twilio_idempotency_token=header))
    numbered = [token, f"{token}/1", f"{token}/2", f"{token}/3"] if token else [None] * 4
    assert numbered == [event.token for event in events]


def test_what_is_for_another_address_is_refused_by_name() -> None:
    for other in ("whatsapp:+15551239998", "+15551239999", "messenger:15551239999"):
        with pytest.raises(BadWebhook) as raised:
            read("message_text", To=other)
        assert "To" == raised.value.field
    assert read("message_text", channel=built(address=None, messaging_service_sid=SERVICE), To="whatsapp:+15551239998")
    assert read("message_sms", channel=built(address="sms:+15551239999"))


ODD_METADATA = {
    "no JSON": ("{", "{"),
    "a word": ('"x"', "x"),
    "a list": ("[1]", [1]),
    "a number that grows": ("[1e20]", "[1e20]"),
    "nested without end": ("[" * 400 + "]" * 400, "[" * 400 + "]" * 400),
}


@pytest.mark.parametrize(("value", "expected"), ODD_METADATA.values(), ids=ODD_METADATA)
def test_channel_metadata_that_cannot_be_used_is_kept_as_it_is(value: str, expected: Any) -> None:
    assert expected == read("message_text", ChannelMetadata=value).metadata["channel_metadata"]


def test_of_too_much_the_largest_parameters_are_dropped() -> None:
    event = read("message_text", Huge="x" * 20_000, Large="ü" * 5_000, Small="s", ChannelMetadata="y" * 15_000)
    assert {"Large", "Small"} <= set(event.metadata["twilio"])
    assert "channel_metadata" not in event.metadata
    keepable(event.metadata)


KNOWN = set().union(*(fixtures.value("twilio", name) for name in fixtures.names("twilio")))
strangers = st.dictionaries(
    (words | st.sampled_from(["ReferralBody", "ButtonPayload ", "MediaUrl", "MediaContentType10", "__proto__"])).filter(
        lambda name: name not in KNOWN and not name.startswith(("MediaUrl", "MessageStatus"))
    ),
    words | st.builds(str.__mul__, st.sampled_from(["a", "bü", '"']), st.integers(4_000, 9_000)),  # large ones
    max_size=6,
)


@settings(deadline=None, max_examples=examples(300))
@given(st.sampled_from(sorted(READ)), strangers)
def test_unknown_parameters_never_break_the_reading(name: str, more: dict[str, str]) -> None:
    asked = webhook(name, **more)
    channel = built(**to(name))
    channel.verify(asked)
    (event,) = channel.parse(asked)
    expected: Any = READ[name]
    if not isinstance(event, Written):
        assert expected == event
        return
    assert replace(expected, metadata={}) == replace(event, metadata={})
    keepable(event.metadata)
    if sum(len(orjson.dumps([key, value])) for key, value in more.items()) < 8_000:
        kept = {**event.metadata.get("twilio", {}), **event.metadata.get("referral", {})}
        assert {key.removeprefix("Referral"): value for key, value in more.items() if value}.items() <= kept.items()


def test_the_answer_is_empty_twiml() -> None:
    expected = Reply(200, "<Response/>", {"Content-Type": "text/xml"})
    assert expected == built().acknowledge(webhook("message_text"), [Accepted(READ["message_text"], "m1")])


# --- statuses in ---

WORDS = {
    "accepted": "queued", "scheduled": "queued", "queued": "queued", "sending": "queued", "sent": "sent",
    "partially_delivered": "sent", "delivered": "delivered", "read": "read", "undelivered": "failed",
    "failed": "failed", "canceled": "failed", "received": None, "receiving": None, "DELIVERED": None,
}  # fmt: skip


@pytest.mark.parametrize("path", ["/channels/desk/status", "/channels/desk"])
@pytest.mark.parametrize(("word", "status"), WORDS.items())
def test_every_status_word_of_twilio_has_ours(word: str, status: str | None, path: str) -> None:
    event = read("status_delivered", path, MessageStatus=word)
    if status is None:
        assert Ignored(f"status.{word}") == event
    else:
        assert (sid("SM", 0x21), status) == (event.ref, event.status)
        assert (status == "failed") == (event.error is not None)


def test_every_status_word_is_in_the_table() -> None:
    assert {word for word, status in WORDS.items() if status} == set(STATUSES)


def test_a_status_may_have_its_older_name() -> None:
    event = read("status_delivered", "/channels/desk/status", MessageStatus=None, SmsStatus="read")
    assert Reported(sid("SM", 0x21), "read") == event


RECEIVED = {
    "both names": {"MessageStatus": "received"},
    "in capitals": {"MessageStatus": "Received"},
    "the older name": {"SmsStatus": "received"},
    "on its way": {"MessageStatus": "receiving"},
}


@pytest.mark.parametrize("path", ["/channels/desk/status", "/channels/desk", "/channels/desk/fallback"])
@pytest.mark.parametrize("fields", RECEIVED.values(), ids=RECEIVED)
def test_a_message_is_one_although_it_has_a_status(fields: dict[str, str], path: str) -> None:
    event = read("message_text", path, **fields)
    expected: Any = READ["message_text"]
    assert (expected.content, expected.external_id) == (event.content, event.external_id)


def test_a_long_label_of_a_button_is_what_was_said() -> None:
    assert Text("x" * 300) == read("message_text", ButtonText="x" * 300).content


def test_details_that_are_too_long_are_cut_and_noticed() -> None:
    with noticing() as odd:
        event = read("message_text", ProfileName="x" * 257, FromCountry="USA")
    assert Profile(name="x" * 256, phone="+15551230001") == event.profile
    assert {("cut", "ProfileName"), ("dropped", "FromCountry")} == set(odd)


def test_nul_is_left_out_of_what_people_wrote() -> None:
    event = read("message_text", Body="a\0b", ProfileName="A\0da")
    assert (Text("ab"), "Ada") == (event.content, event.profile.name)


REASONS: dict[str, tuple[dict[str, str | None], str]] = {
    "a code and words": ({}, "rejected: 30007 Filtered"),
    "only a code": ({"ErrorMessage": None}, "rejected: 30007 undelivered"),
    "nothing": ({"ErrorCode": None, "ErrorMessage": None}, "rejected: undelivered"),
    "a code that is none": ({"ErrorCode": "9" * 5_000}, f"rejected: {'9' * 5_000} Filtered"),
    "opted out": ({"ErrorCode": "21610"}, f"opted_out: 21610 Filtered; {ERRORS[21610][1]}"),
    "throttled": ({"ErrorCode": "63018"}, f"throttled: 63018 Filtered; {ERRORS[63018][1]}"),
    "nobody there": ({"ErrorCode": "30005"}, f"gone: 30005 Filtered; {ERRORS[30005][1]}"),
}


@pytest.mark.parametrize(("fields", "error"), REASONS.values(), ids=REASONS)
def test_a_failure_says_why(fields: dict[str, str | None], error: str) -> None:
    event = read("status_failed", **{"ErrorCode": "30007", "ErrorMessage": "Filtered", **fields})
    assert error == event.error


# --- out ---


def created(**fields: Any) -> dict[str, Any]:
    """A message as Twilio's API shows it, one second after ours was taken."""
    return {
        "sid": SID, "status": "queued", "to": CUSTOMER, "from": OURS, "body": MESSAGE.content.text,  # type: ignore[union-attr]
        "num_media": "0", "direction": "outbound-api", "error_code": None, "error_message": None,
        "date_created": formatdate(MESSAGE.at // 1000 + 1), **fields,
    }  # fmt: skip


def told(**fields: Any) -> Told:
    return Told(201, orjson.dumps(created(**fields)))


def sent(outside: Sink, content: Content = MESSAGE.content, message: Message = MESSAGE, **changes: Any) -> Receipt:
    outgoing = {name: changes.pop(name) for name in ("part", "uncertain") if name in changes}
    channel = built(api_url=outside.url, **changes)
    return channel.send(Outgoing(message, content, **outgoing), Http([outside.url]))


def form(outside: Sink) -> dict[str, str]:
    """The one form that was posted."""
    (call,) = outside.calls
    assert ("POST", MESSAGES) == (call.method, call.path)
    assert all(len(values) == 1 for values in call.form.values())
    return {name: values[0] for name, values in call.form.items()}


STATUS_URL = {"StatusCallback": f"{CALLBACK}/status"}
ROUTES: dict[str, tuple[dict[str, Any], str, dict[str, str]]] = {
    "WhatsApp": ({}, CUSTOMER, {"To": CUSTOMER, "From": OURS, **STATUS_URL}),
    "SMS": ({"address": "+15551239999"}, SMS_CUSTOMER, {"To": "+15551230001", "From": "+15551239999", **STATUS_URL}),
    "SMS, written out": (
        {"address": "sms:+15551239999"}, SMS_CUSTOMER, {"To": "+15551230001", "From": "+15551239999", **STATUS_URL}
    ),
    "Messenger": (
        {"address": "messenger:77"}, "messenger:9", {"To": "messenger:9", "From": "messenger:77", **STATUS_URL}
    ),
    "a service": (
        {"address": None, "messaging_service_sid": SERVICE},
        CUSTOMER,
        {"To": CUSTOMER, "MessagingServiceSid": SERVICE, **STATUS_URL},
    ),
    "a sender of a service": (
        {"messaging_service_sid": SERVICE},
        CUSTOMER,
        {"To": CUSTOMER, "From": OURS, "MessagingServiceSid": SERVICE, **STATUS_URL},
    ),
    "without statuses": ({"status_callback": False}, CUSTOMER, {"To": CUSTOMER, "From": OURS}),
}  # fmt: skip


@pytest.mark.parametrize(("changes", "customer", "expected"), ROUTES.values(), ids=ROUTES)
def test_a_text_goes_out(changes: dict[str, Any], customer: str, expected: dict[str, str], outside: Sink) -> None:
    outside.answers(told())
    sent(outside, message=replace(MESSAGE, customer=customer), **changes)
    assert {"Body": "It left today. Größe & 1+1", **expected} == form(outside)


A_DOCUMENT = Attachment("file", "https://cdn.example.test/a.zip", "application/zip", "a.zip")
LONG_URL = "https://cdn.example.test/" + "x" * 1_500
CONTENTS: dict[str, tuple[str, Content, dict[str, str]]] = {
    "a picture": ("whatsapp", PICTURE, {"MediaUrl": PICTURE.url}),
    "a picture with words": (
        "whatsapp", replace(PICTURE, description="The scratch"), {"MediaUrl": PICTURE.url, "Body": "The scratch"}
    ),
    "a picture of no stated type": ("whatsapp", replace(PICTURE, mime_type=None), {"MediaUrl": PICTURE.url}),
    "a picture of no telling name": (
        "whatsapp", Attachment("image", "https://cdn.example.test/7"), {"MediaUrl": "https://cdn.example.test/7"}
    ),
    "a picture by its file's name": (
        "whatsapp", Attachment("file", "https://x.example.test/7?a=b.zip", None, "a.png"),
        {"MediaUrl": "https://x.example.test/7?a=b.zip"},
    ),
    "a picture by its address": (
        "whatsapp",
        Attachment("file", "https://x.example.test/a.jpg?b=c.zip"),
        {"MediaUrl": "https://x.example.test/a.jpg?b=c.zip"},
    ),
    "a type with a parameter": ("whatsapp", replace(PICTURE, mime_type="Image/JPG; q=1"), {"MediaUrl": PICTURE.url}),
    "a GIF in WhatsApp": ("whatsapp", replace(PICTURE, mime_type="image/gif"), {"Body": PICTURE.url}),
    "a GIF by SMS": ("sms", replace(PICTURE, mime_type="image/gif"), {"MediaUrl": PICTURE.url}),
    "a GIF in Messenger": ("messenger", replace(PICTURE, mime_type="image/gif"), {"MediaUrl": PICTURE.url}),
    "a channel of no table": ("rcs", PICTURE, {"Body": PICTURE.url}),
    "a file that nobody carries": ("whatsapp", A_DOCUMENT, {"Body": "a.zip: https://cdn.example.test/a.zip"}),
    "a file of no type": (
        "whatsapp", Attachment("file", "https://cdn.example.test/7"), {"Body": "https://cdn.example.test/7"}
    ),
    "a link with too long a name": (
        "whatsapp", Attachment("file", LONG_URL, "application/zip", "n" * 100), {"Body": LONG_URL}
    ),
    "a place": (
        "whatsapp", Location(52.5, 13.4, "Alexanderplatz"),
        {"Body": "Alexanderplatz (52.5, 13.4)", "PersistentAction": "geo:52.5,13.4|Alexanderplatz"},
    ),
    "a place without a name": (
        "whatsapp", Location(-1, 13.25), {"Body": "-1, 13.25", "PersistentAction": "geo:-1,13.25"}
    ),
    "a place with noise": (
        "whatsapp", Location(52.520_008_000_000_003, 0.000_001),
        {"Body": "52.520008, 0.000001", "PersistentAction": "geo:52.520008,0.000001"},
    ),
    "a place by SMS": ("sms", Location(52.5, 13.4, "Alexanderplatz"), {"Body": "Alexanderplatz (52.5, 13.4)"}),
    "a question": ("sms", QuickReply("Which?", ("Red", "Blue")), {"Body": "Which?\n1. Red\n2. Blue"}),
}  # fmt: skip
SENDER_OF = {"whatsapp": OURS, "sms": "+15551239999", "messenger": "messenger:77", "rcs": OURS}


@pytest.mark.parametrize(("provider", "content", "expected"), CONTENTS.values(), ids=CONTENTS)
def test_a_content_goes_out(provider: str, content: Content, expected: dict[str, str], outside: Sink) -> None:
    outside.answers(told())
    sent(outside, content, replace(MESSAGE, customer=f"{provider}:+15551230001"), address=SENDER_OF[provider])
    posted = form(outside)
    assert expected == {name: posted[name] for name in posted if name not in ("To", "From", "StatusCallback")}


PARTS: dict[str, tuple[str, Content, list[Content]]] = {
    "a long text": (OURS, Text("x" * 3_300), [Text("x" * 1_600), Text("x" * 1_600), Text("x" * 100)]),
    "emoji of two units each": (OURS, Text("👍" * 1_000), [Text("👍" * 800), Text("👍" * 200)]),
    "a flag across the limit": (OURS, Text("x" * 1_598 + "🇩🇪"), [Text("x" * 1_598), Text("🇩🇪")]),
    "a text that fits": (OURS, Text("x" * 1_600), [Text("x" * 1_600)]),
    "a question": (OURS, QuickReply("Which?", ("Red", "Blue")), [Text("Which?\n1. Red\n2. Blue")]),
    "a card": (
        OURS, Card("These", (Image("https://cdn.example.test/a.jpg", "A"),)),
        [Text("These"), Attachment("image", "https://cdn.example.test/a.jpg", description="A")],
    ),
    "a described sound in WhatsApp": (
        OURS, Attachment("audio", "https://cdn.example.test/a.ogg", description="Listen"),
        [Attachment("audio", "https://cdn.example.test/a.ogg"), Text("Listen")],
    ),
    "a described picture in Messenger": ("messenger:7", replace(PICTURE, description="A"), [PICTURE, Text("A")]),
    "a described sound by SMS": (
        "+15551239999", Attachment("audio", "https://cdn.example.test/a.ogg", description="Listen"),
        [Attachment("audio", "https://cdn.example.test/a.ogg", description="Listen")],
    ),
    "a place in WhatsApp": (OURS, Location(1, 2), [Location(1, 2)]),
    "a place in Messenger": ("messenger:7", Location(1, 2), [Text("1, 2")]),
}  # fmt: skip


@pytest.mark.parametrize(("address", "content", "parts"), PARTS.values(), ids=PARTS)
def test_what_is_carried_in_how_many_parts(address: str, content: Content, parts: list[Content]) -> None:
    assert parts == list(render(content, built(address=address).capabilities))


def test_a_link_too_long_for_any_message_is_not_cut(outside: Sink) -> None:
    with pytest.raises(Failure) as raised:
        sent(outside, Attachment("file", LONG_URL + "y" * 100, "application/zip"))
    assert (errors.UNSUPPORTED, []) == (raised.value.kind, outside.calls)


VARIABLES: dict[str, tuple[Any, dict[str, str]]] = {
    "none": (None, {}),
    "an empty object": ({}, {}),
    "an object": ({"1": "Ada", "2": "ü"}, {"ContentVariables": '{"1":"Ada","2":"ü"}'}),
    "a string": ('{"1": "Ada"}', {"ContentVariables": '{"1": "Ada"}'}),
}


@pytest.mark.parametrize(("variables", "expected"), VARIABLES.values(), ids=VARIABLES)
def test_a_template_goes_in_place_of_the_text(variables: Any, expected: dict[str, str], outside: Sink) -> None:
    outside.answers(told())
    message = replace(MESSAGE, metadata={"content_sid": TEMPLATE, "content_variables": variables})
    assert Receipt(SID, "queued") == sent(outside, message=message)
    assert Receipt() == sent(outside, message=message, part=1)  # the text's other parts are said, too
    posted = form(outside)
    assert {"ContentSid": TEMPLATE, **expected} == {
        name: posted[name] for name in posted if name not in ("To", "From", "StatusCallback")
    }


def test_what_is_no_templates_sid_is_no_template(outside: Sink) -> None:
    outside.answers(told())
    sent(outside, message=replace(MESSAGE, metadata={"content_sid": 5}))
    assert "Body" in form(outside)


RECEIPTS: dict[str, tuple[dict[str, Any], dict[str, Any], Receipt]] = {
    "queued": ({}, {}, Receipt(SID, "queued")),
    "accepted": ({"status": "accepted"}, {}, Receipt(SID, "queued")),
    "sent": ({"status": "sent"}, {}, Receipt(SID, "sent")),
    "delivered": ({"status": "delivered"}, {}, Receipt(SID, "delivered")),
    "an unknown word": ({"status": "flying"}, {}, Receipt(SID, "queued")),
    "queued, and nobody will say more": ({}, {"status_callback": False}, Receipt(SID, "sent")),
    "delivered at once": ({"status": "delivered"}, {"status_callback": False}, Receipt(SID, "delivered")),
}


@pytest.mark.parametrize(("fields", "changes", "expected"), RECEIPTS.values(), ids=RECEIPTS)
def test_the_receipt(fields: dict[str, Any], changes: dict[str, Any], expected: Receipt, outside: Sink) -> None:
    outside.answers(told(**fields))
    assert expected == sent(outside, **changes)


@pytest.mark.parametrize("value", [None, "", 5])
def test_an_answer_without_a_sid_leaves_the_outcome_open(value: Any, outside: Sink) -> None:
    outside.answers(told(sid=value))
    with pytest.raises(Failure) as raised:
        sent(outside)
    assert (errors.UNPARSEABLE, True) == (raised.value.kind, raised.value.maybe_done)


def test_an_answer_that_says_failed_is_a_failure(outside: Sink) -> None:
    outside.answers(told(status="failed", error_code=63018, error_message="Slow down"))
    with pytest.raises(Failure) as raised:
        sent(outside)
    assert (errors.THROTTLED, False) == (raised.value.kind, raised.value.maybe_done)
    assert raised.value.detail.startswith("63018 Slow down; ")


# --- errors ---

CODES: dict[int, tuple[int, Kind]] = {
    20003: (401, errors.UNAUTHORISED),
    20429: (429, errors.THROTTLED),
    21211: (400, errors.REJECTED),
    21214: (400, errors.GONE),
    21408: (400, errors.MISCONFIGURED),
    21606: (400, errors.MISCONFIGURED),
    21610: (400, errors.OPTED_OUT),
    21611: (400, errors.THROTTLED),
    21614: (400, errors.GONE),
    30003: (400, errors.GONE),
    30005: (400, errors.GONE),
    30006: (400, errors.GONE),
    63003: (400, errors.GONE),
    63007: (400, errors.MISCONFIGURED),
    63016: (400, errors.REJECTED),
    63018: (429, errors.THROTTLED),
}
BY_STATUS = {(400, 21617): errors.REJECTED, (404, 20404): errors.MISCONFIGURED, (503, 20503): errors.UNAVAILABLE}


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [(status, code, kind) for code, (status, kind) in CODES.items()]
    + [(status, code, kind) for (status, code), kind in BY_STATUS.items()],
)
def test_an_error_of_twilio_has_its_kind(status: int, code: int, kind: Kind, outside: Sink) -> None:
    body = {"code": code, "message": "No.", "status": status, "more_info": "https://www.twilio.com/docs/errors"}
    outside.answers(Told(status, orjson.dumps(body), {"Retry-After": "9"}))
    with pytest.raises(Failure) as raised:
        sent(outside)
    failure, sentence = raised.value, ERRORS.get(code, (kind, ""))[1]
    assert (kind, 9.0, False) == (failure.kind, failure.retry_after, failure.maybe_done)
    assert f"HTTP {status}: {code} No." + (f"; {sentence}" if sentence else "") == failure.detail


def test_every_code_of_the_table_is_tried() -> None:
    assert set(CODES) == set(ERRORS)


def test_who_opted_out_is_not_tried_again_and_says_nothing_against_twilio() -> None:
    assert (False, False, None) == (errors.OPTED_OUT.retry, errors.OPTED_OUT.sick, errors.OPTED_OUT.pause)


# --- after an unknown outcome ---


def again(
    outside: Sink, *listed: dict[str, Any], content: Content = MESSAGE.content, **changes: Any
) -> tuple[Any, int]:
    """The receipt of another try while Twilio lists these messages, and how many were posted."""

    def answer(call: Call) -> Told:
        if call.method == "POST":
            return told(sid="SM" + "9" * 32)
        return Told(200, orjson.dumps({"messages": list(listed), "next_page_uri": None}))

    outside.answer = answer
    receipt = sent(outside, content, uncertain=True, **changes)
    return receipt, sum(call.method == "POST" for call in outside.calls)


FOUND: dict[str, tuple[dict[str, Any], Content]] = {
    "the text": ({}, MESSAGE.content),
    "in the second in which ours was taken": ({"date_created": formatdate(MESSAGE.at // 1000)}, MESSAGE.content),
    "by a clock that is behind": ({"date_created": formatdate(MESSAGE.at // 1000 - 2)}, MESSAGE.content),
    "white space at its ends": ({"body": " It left today. Größe & 1+1\n"}, MESSAGE.content),
    "already delivered": ({"status": "delivered"}, MESSAGE.content),
    "a picture": ({"body": "", "num_media": "1"}, PICTURE),
    "a picture without any body": ({"body": None, "num_media": "1"}, PICTURE),
    "a picture with words": ({"body": "The scratch", "num_media": "1"}, replace(PICTURE, description="The scratch")),
    "a place": ({"body": "1, 2"}, Location(1, 2)),
}


@pytest.mark.parametrize(("fields", "content"), FOUND.values(), ids=FOUND)
def test_what_twilio_has_already_is_not_sent_again(fields: dict[str, Any], content: Content, outside: Sink) -> None:
    receipt, posts = again(outside, created(sid="SM" + "8" * 32, body="else"), created(**fields), content=content)
    assert (SID, 0) == (receipt.external_id, posts)
    assert STATUSES[fields.get("status", "queued")] == receipt.status


OTHERS: dict[str, dict[str, Any]] = {
    "another text": {"body": "It left."},
    "before ours was taken": {"date_created": formatdate(MESSAGE.at // 1000 - 3)},
    "of no time": {"date_created": None},
    "of a time that is none": {"date_created": "soon"},
    "the customer's": {"direction": "inbound", "status": "received"},
    "with a file": {"num_media": "1"},
    "failed": {"status": "failed"},
    "undelivered": {"status": "undelivered"},
}


@pytest.mark.parametrize("fields", OTHERS.values(), ids=OTHERS)
def test_what_is_not_there_is_sent(fields: dict[str, Any], outside: Sink) -> None:
    receipt, posts = again(outside, created(**fields))
    assert ("SM" + "9" * 32, 1) == (receipt.external_id, posts)


def test_only_that_customers_last_messages_are_looked_at(outside: Sink) -> None:
    again(outside)
    looked = outside.calls[0]
    assert ("GET", MESSAGES) == (looked.method, urlsplit(looked.path).path)
    query = parse_qs(urlsplit(looked.path).query)
    assert {"To": [CUSTOMER], "From": [OURS], "PageSize": [str(LOOK_BACK)]} == query
    outside.calls.clear()
    again(outside, address=None, messaging_service_sid=SERVICE)
    assert {"To", "PageSize"} == set(parse_qs(urlsplit(outside.calls[0].path).query))


def test_a_template_cannot_be_looked_for(outside: Sink) -> None:
    message = replace(MESSAGE, metadata={"content_sid": TEMPLATE})
    assert 1 == again(outside, created(), message=message)[1]
    assert ["POST"] == [call.method for call in outside.calls]


def test_a_certain_try_is_not_looked_for(outside: Sink) -> None:
    outside.answers(told())
    sent(outside)
    assert ["POST"] == [call.method for call in outside.calls]


# --- files ---

FILE = ("MM" + "6" * 32, "ME" + "7" * 32)
AT_TWILIO = f"/2010-04-01/Accounts/{ACCOUNT}/Messages/{FILE[0]}/Media/{FILE[1]}"


def shown(url: str, **changes: Any) -> str:
    """What others are told of a file's address."""
    event = read("message_text", channel=built(**changes), Body="", MediaUrl0=url)
    found: str = event.content.url
    return found


# --- prices ---

CHARGED: dict[str, tuple[dict[str, Any], Price | None]] = {
    "not known yet": ({"price": None, "price_unit": "USD"}, None),
    "no price at all": ({}, None),
    "charged": ({"price": "-0.00750", "price_unit": "USD"}, Price(7_500_000, "USD")),
    "a unit in small letters": ({"price": "-0.005", "price_unit": "usd"}, Price(5_000_000, "USD")),
    "for nothing": ({"price": "0", "price_unit": "USD"}, Price(0, "USD")),
    "without a minus": ({"price": "0.005", "price_unit": "EUR"}, Price(5_000_000, "EUR")),
}


def priced(outside: Sink, ref: str = SID) -> Price | None:
    return built(api_url=outside.url).price(ref, Http([outside.url]))


@pytest.mark.parametrize(("answer", "price"), CHARGED.values(), ids=CHARGED)
def test_what_twilio_charged(answer: dict[str, Any], price: Price | None, outside: Sink) -> None:
    outside.answers(Told(200, orjson.dumps({**created(), **answer})))
    assert price == priced(outside)


@pytest.mark.parametrize("ref", [SID, f"{SID}/2"], ids=["a message", "part of one"])
def test_a_price_is_asked_for_by_the_messages_sid(ref: str, outside: Sink) -> None:
    priced(outside, ref)
    (call,) = outside.calls
    assert ("GET", MESSAGES.replace(".json", f"/{SID}.json")) == (call.method, call.path)


def test_a_message_that_twilio_has_no_more_has_no_price(outside: Sink) -> None:
    outside.answers(Told(404))
    assert priced(outside) is None


@pytest.mark.parametrize("outcome", [name for name in OUTCOMES if name != "404"])
def test_a_price_that_cannot_be_asked_for_says_why(outcome: str, outside: Sink) -> None:
    answer, kind, *_ = OUTCOMES[outcome]
    outside.answers(answer)
    with pytest.raises(Failure) as raised:
        priced(outside)
    assert (kind, False) == (raised.value.kind, TOKEN in str(raised.value))


@pytest.mark.parametrize("price", ["", "--1", "-1e-3", "cheap", "-1001", 5e-05, [], "-0.0000000001"], ids=str)
def test_a_price_that_is_no_amount_cannot_be_read(price: Any, outside: Sink) -> None:
    outside.answers(Told(200, orjson.dumps({"price": price, "price_unit": "USD"})))
    with pytest.raises(Failure) as raised:
        priced(outside)
    assert errors.UNPARSEABLE is raised.value.kind


def test_a_file_stands_behind_a_link_of_ours(outside: Sink) -> None:
    link = shown(f"https://api.twilio.com{AT_TWILIO}")
    assert link.startswith(f"{CALLBACK}/media/")
    outside.answers(Told(307, b"", {"Location": "https://media.example.test/7?sig=a"}))
    assert "https://media.example.test/7?sig=a" == fetched(outside, link)
    (call,) = outside.calls
    assert ("GET", AT_TWILIO) == (call.method, call.path)
    assert call.headers["authorization"].startswith("Basic ")


def fetched(outside: Sink, link: str, into: BinaryIO | None = None, **changes: Any) -> File | str:
    channel = built(api_url=outside.url, **changes)
    return channel.media(link.rpartition("/")[2], Http([outside.url]), into or io.BytesIO())


def test_a_file_that_twilio_gives_itself_is_passed_on(outside: Sink) -> None:
    for headers, body in (({"Content-Type": "image/png"}, b"picture"), ({}, b"?")):
        into = io.BytesIO()
        outside.answers(Told(200, body, headers))
        found = fetched(outside, shown(f"https://api.twilio.com{AT_TWILIO}"), into)
        assert (File(headers.get("Content-Type", "")), body) == (found, into.getvalue())


def test_a_file_at_the_configured_host_counts_as_twilios_and_so_does_one_at_its_own() -> None:
    proxied = {"api_url": "https://proxy.example.test/tw/"}
    assert shown(f"https://api.twilio.com{AT_TWILIO}", **proxied).startswith(CALLBACK)
    assert shown(f"https://proxy.example.test/tw{AT_TWILIO}", api_url="https://proxy.example.test/tw/").startswith(
        CALLBACK
    )


ELSEWHERE = {
    "another host": f"https://evil.example.test{AT_TWILIO}",
    "a host that begins alike": f"https://api.twilio.com.evil.example.test{AT_TWILIO}",
    "another port": f"https://api.twilio.com:444{AT_TWILIO}",
    "another scheme": f"http://api.twilio.com{AT_TWILIO}",
    "another account": f"https://api.twilio.com{AT_TWILIO.replace('AC1', 'AC2')}",
    "a way up": f"https://api.twilio.com/2010-04-01/Accounts/{ACCOUNT}/Messages/{FILE[0]}/Media/../../Keys.json",
    "more behind it": f"https://api.twilio.com{AT_TWILIO}/../../x",
    "a query": f"https://api.twilio.com{AT_TWILIO}?a=b",
    "something else of the account": f"https://api.twilio.com/2010-04-01/Accounts/{ACCOUNT}/Recordings/RE1",
}


@pytest.mark.parametrize("url", ELSEWHERE.values(), ids=ELSEWHERE)
def test_our_credentials_go_nowhere_else(url: str) -> None:
    assert url == shown(url)


def test_links_can_be_left_as_they_are() -> None:
    assert f"https://api.twilio.com{AT_TWILIO}" == shown(f"https://api.twilio.com{AT_TWILIO}", media="pass")


def test_a_link_that_is_forged_expired_or_of_another_channel_is_refused(
    outside: Sink, monkeypatch: pytest.MonkeyPatch
) -> None:
    link = shown(f"https://api.twilio.com{AT_TWILIO}")
    other = TwilioChannel("other", {**TwilioChannel.Settings().load(VALUES), "callback": CALLBACK})
    for bad in (
        link[:-1],
        link + "x",
        "x",
        other.links.to(*FILE),
        other.links.to("x"),
        built().links.to("x"),
        URLSafeTimedSerializer(TOKEN, salt="media of channel desk").dumps(5),
    ):
        with pytest.raises(Unverified):
            fetched(outside, bad)
    with pytest.raises(Unverified):
        fetched(outside, link, auth_tokens=[OLD])
    now = int(time.time())
    monkeypatch.setattr("itsdangerous.timed.TimestampSigner.get_timestamp", lambda self: now + 61)
    outside.answers(Told(200, b"x"))
    assert fetched(outside, link)
    with pytest.raises(Unverified):
        fetched(outside, link, media_keep=60)


def test_a_link_outlives_a_rotation_of_the_tokens(outside: Sink) -> None:
    outside.answers(Told(200, b"x"))
    assert fetched(outside, shown(f"https://api.twilio.com{AT_TWILIO}"), auth_tokens=["a-newer-twilio-token", TOKEN])


def test_a_file_that_was_deleted_is_behind_no_link_any_more(outside: Sink) -> None:
    outside.answers(Told(404, b'{"code":20404,"message":"Not found"}'))
    with pytest.raises(Unverified):
        fetched(outside, shown(f"https://api.twilio.com{AT_TWILIO}"))


BAD_FILES: dict[str, tuple[Told, Kind]] = {
    "a fault": (Told(500), errors.UNAVAILABLE),
    "our credentials refused": (Told(401, b'{"code":20003,"message":"No."}'), errors.UNAUTHORISED),
    "a redirect to nowhere": (Told(307), errors.UNPARSEABLE),
    "a redirect to a script": (Told(307, headers={"Location": "javascript:alert(1)"}), errors.UNPARSEABLE),
    "a redirect with credentials": (Told(307, headers={"Location": "https://a:b@x.test/"}), errors.UNPARSEABLE),
    "too large": (Told(200, b"x" * (MAX_FILE + 1)), errors.UNPARSEABLE),
}


@pytest.mark.parametrize(("answer", "kind"), BAD_FILES.values(), ids=BAD_FILES)
def test_a_file_that_cannot_be_had(answer: Told, kind: Kind, outside: Sink) -> None:
    outside.answers(answer)
    with pytest.raises(Failure) as raised:
        fetched(outside, shown(f"https://api.twilio.com{AT_TWILIO}"))
    assert kind == raised.value.kind
    TestTwilioChannel().assert_silent(raised.value)


# --- settings ---

GOOD_ADDRESSES = [
    "rcs:shop_agent",
    "whatsapp:+15551239999",
    "messenger:1234567890",
    "+15551239999",
    "sms:+15551239999",
    "12345",
]
BAD_ADDRESSES = ["", "whatsapp:15551239999", "whatsapp:", "+0555123999", "messenger:page", "fax:+15551239999", "12",
                 "+15551239999\n", " +15551239999", "WHATSAPP:+15551239999"]  # fmt: skip


@pytest.mark.parametrize("address", GOOD_ADDRESSES)
def test_a_sender_is_an_address(address: str) -> None:
    assert ADDRESS.fullmatch(address)
    channel = built(address=address)
    assert channel.provider == (address.partition(":")[0] if ":" in address else "sms")


@pytest.mark.parametrize("address", BAD_ADDRESSES)
def test_what_is_no_address_is_refused(address: str) -> None:
    with pytest.raises(ValidationError) as raised:
        built(address=address)
    assert ["address"] == list(raised.value.messages_dict)


def test_a_sender_or_a_service_is_required() -> None:
    with pytest.raises(ValidationError) as raised:
        built(address=None)
    assert {"address": ["Required, or messaging_service_sid."]} == raised.value.messages
    assert "sms" == built(address=None, messaging_service_sid=SERVICE).provider


# --- with the store ---


@pytest.fixture
def house(redis_client: redis.Redis, outside: Sink) -> Gateway:
    """A gateway whose Twilio takes everything."""
    numbers = count()
    outside.answer = lambda call: told(sid=f"SM{next(numbers):032x}")
    desk = {**VALUES, "api_url": outside.url, "handoff": "desk"}
    return gateway(redis_client, Clock(), channels__wa=desk)


def test_a_lease_is_long_enough_to_look_before_sending(house: Gateway) -> None:
    lanes = house.lanes
    assert [lanes[f"{kind}:wa"].lease for kind in ("outbound", "status")] == [(5 + 10) * 2 + 10] * 2


def agent_writes(built: Gateway) -> str:
    inbox = Inbox(built)
    event = Written(Text("Hello"), author="agent", conversation=f"wa/{CUSTOMER}", window=0.0)
    accepted = inbox.accept("desk", event)
    built.publisher.publish(inbox.wakes)
    assert accepted.message_id
    return accepted.message_id


def report(built: Gateway, ref: str, word: str) -> None:
    asked = webhook("status_failed", "/channels/wa/status", MessageSid=ref, MessageStatus=word)
    for event in built.channels["wa"].parse(asked):
        Inbox(built).accept("wa", event)


RANKS = ["queued", "sent", "failed", "delivered", "read"]


@settings(deadline=None, max_examples=examples(60), suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    early=st.lists(st.sampled_from(sorted(STATUSES)), max_size=8),
    late=st.lists(st.sampled_from(sorted(STATUSES)), max_size=8),
    order=st.randoms(use_true_random=False),
)
def test_status_callbacks_in_any_order_and_number_end_in_the_same_state(
    early: list[str], late: list[str], order: Any, house: Gateway, outside: Sink, redis_client: redis.Redis
) -> None:
    """The highest that anybody said, `failed` below proof of delivery; outward it only ever rises. Callbacks that come
    before Twilio's answer count as those after it."""
    seen = []
    for words_early, words_late in ((early, late), *(shuffled(early, late, order) for _ in range(2))):
        message_id, number = agent_writes(house), len(outside.calls)
        ref = f"SM{number:032x}"
        for word in words_early:
            report(house, ref, word)
        send_what_waits(house)
        for word in words_late:
            report(house, ref, word)
        record = house.store.messages.read(message_id)
        assert record is not None
        assert (record.status == "failed") == bool(record.error)
        seen.append(record.status)
        told_outward = reports(redis_client, message_id)
        assert told_outward == sorted(told_outward, key=RANKS.index)
        assert len(told_outward) == len(set(told_outward))
        assert not told_outward or told_outward[-1] == record.status
    said = [STATUSES[word] for word in early + late]
    assert {max([*said, "queued"], key=RANKS.index)} == set(seen)


def shuffled(early: list[str], late: list[str], order: Any) -> tuple[list[str], list[str]]:
    """The same callbacks and some of them twice, in another order, cut elsewhere."""
    every = [*early, *late, *order.sample(early + late, order.randint(0, len(early + late)))]
    order.shuffle(every)
    cut = order.randint(0, min(len(every), 15))
    return every[:cut], every[cut:]


def send_what_waits(built: Gateway) -> None:
    """Drain the channel's lane alone, so that what is to be told outward still lies in its mailbox."""
    wakes = recorder(built).wakes
    for wake in [wake for wake in wakes if wake.lane == "outbound:wa"]:
        Drainer(built).drain(wake.lane, wake.token)
    wakes.clear()


def reports(client: redis.Redis, message_id: str) -> list[str]:
    """The statuses that the message's source is to hear of, in order."""
    items = client.lrange(f"{{patchbay}}:q:wa/{CUSTOMER}|status:desk", 0, -1)
    found = [item.split() for item in items]
    return [status for _, ident, status in found if ident == message_id]
