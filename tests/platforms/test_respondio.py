"""Destination `respondio`: respond.io's custom channel in both directions."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

import orjson
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from marshmallow import ValidationError
from msgspec.structs import replace

from app.core import errors
from app.core.errors import BadWebhook, Failure
from app.core.events import Accepted, Answer, StatusReport, Webhook, Written
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
    coordinate,
    derived_id,
)
from app.core.render import render
from app.core.schema import Noticed, noticing
from app.core.session import Session
from app.core.status import Status
from app.http import Http
from app.platforms.destination import Delivery, Handoff
from app.platforms.respondio.contacts import ALIAS, contact_id, contact_profile, conversation_of
from app.platforms.respondio.contents import content_from, content_to
from app.platforms.respondio.destination import RespondioDestination
from tests.platforms.conformance import Calling, Receiving, changed, post, unused
from tests.support import fixtures
from tests.support.sink import Sink, Told
from tests.support.values import THOROUGH, attachments, locations, quick_replies, texts

TOKEN = "desk-token-0001"
PHONE = "+15550000001"
CONVERSATION = "shop/webhook:customer-42"
CONTACT = "shop/webhook=3Acustomer=2D42"
AT = 1_767_225_600_123
MESSAGE = Message(
    "0123456789abcdef0123456789abcdef",
    "inbound",
    "shop",
    "webhook:customer-42",
    Text("Where is my parcel?"),
    "customer",
    "shop",
    AT,
    profile=Profile(name="Ada Lovelace", locale="en-GB", country="gb"),
)
REPLY = replace(MESSAGE, id="f" * 32, direction="outbound", content=Text("Good day!"), author="bot", profile=None)


class Memory:
    """What the store would remember of a delivery."""

    def __init__(self) -> None:
        self.kept: list[tuple[dict[str, Any], list[str]]] = []

    def __call__(self, progress: Mapping[str, Any], aliases: Sequence[str]) -> None:
        self.kept.append((dict(progress), list(aliases)))


def delivery(message: Message = MESSAGE, memory: Memory | None = None, **changes: Any) -> Delivery:
    return Delivery(
        message, changes.pop("content", message.content), Session("desk"), memory or Memory(), keep=unused, **changes
    )


def handoff(*transcript: Message, memory: Memory | None = None, told: int = 0) -> Handoff:
    return Handoff(
        CONVERSATION,
        Session("desk"),
        transcript,
        memory or Memory(),
        progress={"told": told} if told else {},
        keep=unused,
    )


class TestRespondioDestination(Receiving, Calling):
    adapter_class = RespondioDestination
    platform = "respondio"
    good = "message_text"
    path = "/destinations/desk/message"
    url_key = "webhook_url"
    values: ClassVar[dict[str, Any]] = {
        "type": "respondio",
        "webhook_url": "http://127.0.0.1:9/custom/channel/webhook/",
        "channel_id": "ch_1",
        "api_token": TOKEN,
    }

    def sign(self, body: bytes, **changes: Any) -> Webhook:
        return post(self.path, body, {"authorization": f"Bearer {TOKEN}"})

    def webhooks(self) -> list[str]:
        return [name for name in fixtures.names("respondio") if name != "message_phone"]

    def spoils(self) -> dict[str, Callable[[Webhook], Webhook]]:
        return {
            "no header": lambda good: changed(good, authorization=None),
            "an empty header": lambda good: changed(good, authorization=""),
            "no token": lambda good: changed(good, authorization="Bearer"),
            "a blank token": lambda good: changed(good, authorization="Bearer  "),
            "another token": lambda good: changed(good, authorization="Bearer desk-token-0002"),
            "a cut token": lambda good: changed(good, authorization=f"Bearer {TOKEN[:-1]}"),
            "a longer token": lambda good: changed(good, authorization=f"Bearer {TOKEN}x"),
            "another scheme": lambda good: changed(good, authorization=f"Basic {TOKEN}"),
            "no scheme": lambda good: changed(good, authorization=TOKEN),
            "no ASCII": lambda good: changed(good, authorization="Bearer schlüssel"),
        }

    def bad_bodies(self) -> dict[str, tuple[Any, str]]:
        good = fixtures.value("respondio", "message_text")

        def message(**fields: Any) -> dict[str, Any]:
            return {**good, "message": fields}

        def file(**fields: Any) -> dict[str, Any]:
            return message(
                type="attachment", attachment={"type": "image", "url": "https://cdn.example.test/a.png", **fields}
            )

        def place(**fields: Any) -> dict[str, Any]:
            return message(**{"type": "location", "latitude": 1, "longitude": 2, **fields})

        def choice(**fields: Any) -> dict[str, Any]:
            return message(**{"type": "quick_reply", "title": "Which?", "replies": ["A"], **fields})

        long_url = "https://cdn.example.test/" + "x" * 2000
        return {
            "no contact": ({"message": good["message"]}, "contactId"),
            "an empty contact": ({**good, "contactId": ""}, "contactId"),
            "a contact too long": ({**good, "contactId": "x" * 51}, "contactId"),
            "a contact that is a number": ({**good, "contactId": 42}, "contactId"),
            "a contact that we did not make": ({**good, "contactId": "somebody"}, "contactId"),
            "a contact in other letters": ({**good, "contactId": CONTACT.replace("=3A", "=3a")}, "contactId"),
            "a contact with a broken escape": ({**good, "contactId": "shop/webhook=3Ax=C3"}, "contactId"),
            "another channel": ({**good, "channelId": "ch_2"}, "channelId"),
            "a channel that is a number": ({**good, "channelId": 1}, "channelId"),
            "no message": ({"contactId": CONTACT}, "message"),
            "a message that is a word": ({**good, "message": "hi"}, "message"),
            "no type": (message(text="Hi"), "message.type"),
            "a type that is a list": (message(type=["text"]), "message.type"),
            "no text": (message(type="text"), "message.text"),
            "an empty text": (message(type="text", text=""), "message.text"),
            "a text too long": (message(type="text", text="x" * 7001), "message.text"),
            "no attachment": (message(type="attachment"), "message.attachment"),
            "an unknown attachment": (file(type="sticker"), "message.attachment.type"),
            "a url that is no web address": (file(url="ftp://cdn.example.test/"), "message.attachment.url"),
            "a url too long": (file(url=long_url), "message.attachment.url"),
            "a latitude too far": (place(latitude=90.1), "message.latitude"),
            "a longitude too far": (place(longitude=-180.1), "message.longitude"),
            "no title": (choice(title=""), "message.title"),
            "a title too long": (choice(title="x" * 257), "message.title"),
            "no replies": (choice(replies=[]), "message.replies"),
            "too many replies": (choice(replies=["A"] * 11), "message.replies"),
            "a reply too long": (choice(replies=["A", "x" * 257]), "message.replies.1"),
            **{name: (fixtures.value("respondio", name), "message.type") for name in unsupported()},
        }

    # the platform wants a 400 for a type that cannot be sent, so that the agent reads it; see `bad_bodies`
    test_it_passes_over_what_it_does_not_know = None

    def calls(self) -> dict[str, Callable[[Any, Http], object]]:
        return {
            "deliver": lambda desk, http: desk.deliver(delivery(), http),
            "open": lambda desk, http: desk.open(handoff(MESSAGE, REPLY), http),
            "report": lambda desk, http: desk.report(StatusReport(REPLY, "read", None, AT), http),
        }


def unsupported() -> list[str]:
    return fixtures.names("respondio", "unsupported_")


def destination(**changes: Any) -> RespondioDestination:
    built: RespondioDestination = TestRespondioDestination().build(**changes)
    return built


def on(outside: Sink, **changes: Any) -> tuple[RespondioDestination, Http]:
    return destination(webhook_url=outside.url, **changes), Http([outside.url])


def parse(name: str, **changes: Any) -> Written:
    (event,) = destination(**changes).parse(TestRespondioDestination().sign(fixtures.raw("respondio", name)))
    assert isinstance(event, Written)
    return event


# --- contact ids ---

ALPHABET = re.compile(r"[A-Za-z0-9_=+/@]{1,50}")
KEYS = {
    "plain": ("shop/webhook:42", "shop/webhook=3A42"),
    "a dash": (CONVERSATION, CONTACT),
    "an equals sign": ("shop/webhook:=3A", "shop/webhook=3A=3D3A"),
    "an e-mail address": ("shop/webhook:a@b.c", "shop/webhook=3Aa=40b=2Ec"),
    "umlauts": ("shop/webhook:ü", "shop/webhook=3A=C3=BC"),
    "slashes": ("shop/webhook:a/b", "shop/webhook=3Aa/b"),
}


@pytest.mark.parametrize(("conversation", "contact"), KEYS.values(), ids=KEYS)
def test_a_conversation_is_written_in_the_alphabet_of_contact_ids(conversation: str, contact: str) -> None:
    assert (contact, conversation) == (contact_id(conversation), conversation_of(contact))


unicode_text = st.text(st.characters(exclude_categories=["Cs"]) | st.sampled_from("=@/:A3"), max_size=60)


@THOROUGH
@given(unicode_text.map(lambda text: "c" + text.replace("/", "")), unicode_text)
@example("=3A", "=")
@example("@@a", "b")
@example("@@" + "0" * 40, "")
@example("a", "b" * 200)
def test_every_conversation_has_a_contact_id_that_can_be_read_back(channel: str, customer: str) -> None:
    conversation = f"{channel}/webhook:{customer}"
    contact = contact_id(conversation)
    assert ALPHABET.fullmatch(contact)
    if contact.startswith(ALIAS):
        assert (len(contact), conversation_of(contact)) == (42, None)
    else:
        assert conversation == conversation_of(contact)


def test_ids_of_exactly_fifty_characters_are_written_out_and_longer_ones_hashed() -> None:
    fits, too_long = "shop/webhook:" + "x" * 35, "shop/webhook:" + "x" * 36
    assert len(contact_id(fits)) == 50
    assert fits == conversation_of(contact_id(fits))
    assert contact_id(too_long).startswith(ALIAS)
    assert contact_id(too_long) != contact_id(too_long + "x")


@THOROUGH
@given(unicode_text)
def test_a_contact_id_that_we_did_not_make_stands_for_nothing(contact: str) -> None:
    conversation = conversation_of(contact)
    assert conversation is None or contact == contact_id(conversation)


# --- in ---

READ: dict[str, Content] = {
    "message_text": Text("It left today."),
    "message_no_channel": Text("It left today."),
    "message_image": Attachment("image", "https://cdn.example.test/map.png", "image/png", "map.png", "The way"),
    "message_file_nulls": Attachment("file", "https://cdn.example.test/bill.pdf"),
    "message_location": Location(48.137, 11.575, "Marienplatz"),
    "message_location_longtitude": Location(48.137, 11.575),
    "message_location_nested": Location(48.137, 11.575),
    "message_quick_reply": QuickReply("Is it there?", ("Yes", "No")),
}


@pytest.mark.parametrize(("name", "content"), READ.items(), ids=READ)
def test_it_reads_what_an_agent_wrote(name: str, content: Content) -> None:
    assert Written(content, conversation=CONVERSATION, author="agent", window=3.0) == parse(name)


def test_a_longitude_that_is_null_in_one_spelling_may_stand_in_the_other() -> None:
    place = {"type": "location", "latitude": 48.137, "longitude": None, "longtitude": 11.575}
    assert Location(48.137, 11.575) == content_from(place)


def test_a_contact_too_long_to_be_read_is_left_to_the_store() -> None:
    alias = contact_id("shop/webhook:" + "x" * 100)
    webhook = TestRespondioDestination().sign(
        fixtures.raw("respondio", "message_text").replace(CONTACT.encode(), alias.encode())
    )
    assert [Written(Text("It left today."), alias=alias, author="agent", window=3.0)] == destination().parse(webhook)


def test_with_phone_numbers_an_agent_may_write_first() -> None:
    event = parse("message_phone", id_type="phone", channel="shop")
    assert (event.conversation, event.alias, event.customer) == (None, PHONE, PHONE)


PHONES = {
    "no plus": "15550000001",
    "a leading zero": "+05550000001",
    "letters": "+1555CALLME1",
    "too short": "+15550",
    "too long": "+1555000000100000",
    "a line break": PHONE + "\n",
    "other digits": "+1555000000\N{ARABIC-INDIC DIGIT ONE}",
    "a contact id": CONTACT,
}


POSSIBLE = {
    "Mexico as it was": "+5215512345678",
    "eight digits": "+22312345",
    "Saint Helena": "+2901234",
    "fifteen digits": "+123456789012345",
    "no plan has it": "+999999999999",
}


@pytest.mark.parametrize("phone", POSSIBLE.values(), ids=POSSIBLE)
def test_no_numbering_plan_stands_between_a_customer_and_the_agents(phone: str, outside: Sink) -> None:
    desk, http = on(outside, id_type="phone")
    customer = replace(MESSAGE, customer=f"whatsapp:{phone}")
    desk.deliver(delivery(customer), http)
    assert phone == outside.calls[0].json["contactId"]
    body = {"contactId": phone, "message": {"type": "text", "text": "Hi"}}
    (event,) = desk.parse(TestRespondioDestination().sign(orjson.dumps(body)))
    assert (phone, phone) == (event.alias, event.customer)  # type: ignore[union-attr]


FILE = {"type": "image", "url": "https://cdn.example.test/a.png"}
DETAILS: dict[str, tuple[dict[str, Any], Attachment, list[Noticed]]] = {
    "an empty name": ({"fileName": ""}, Attachment("image", FILE["url"]), [("dropped", "fileName")]),
    "a long name": ({"fileName": "x" * 257}, Attachment("image", FILE["url"], None, "x" * 256), [("cut", "fileName")]),
    "a name that is a number": ({"fileName": 7}, Attachment("image", FILE["url"]), [("dropped", "fileName")]),
    "an empty type": ({"mimeType": ""}, Attachment("image", FILE["url"]), [("dropped", "mimeType")]),
    "half a type would be another one": (
        {"mimeType": "image/" + "x" * 256},
        Attachment("image", FILE["url"]),
        [("dropped", "mimeType")],
    ),
    "a long description": (
        {"description": "x" * 999},
        Attachment("image", FILE["url"], description="x" * 256),
        [("cut", "description")],
    ),
    "nulls": ({"fileName": None, "mimeType": None, "description": None}, Attachment("image", FILE["url"]), []),
}


@pytest.mark.parametrize(("more", "expected", "odd"), DETAILS.values(), ids=DETAILS)
def test_no_file_of_an_agents_is_refused_for_a_detail(
    more: dict[str, Any], expected: Attachment, odd: list[Noticed]
) -> None:
    with noticing() as noticed:
        assert expected == content_from({"type": "attachment", "attachment": {**FILE, **more}})
    assert odd == noticed


@pytest.mark.parametrize(("address", "kept"), [("", None), (None, None), (5, None), ("x" * 257, "x" * 256)])
def test_no_place_of_an_agents_is_refused_for_its_address(address: Any, kept: str | None) -> None:
    place = {"type": "location", "latitude": 1, "longitude": 2, "address": address}
    assert Location(1.0, 2.0, kept) == content_from(place)


def test_ids_may_be_numbers() -> None:
    body = {"channelId": 7, "contactId": CONTACT, "message": {"type": "text", "text": "Hi"}}
    assert destination(channel_id="7").parse(TestRespondioDestination().sign(orjson.dumps(body)))


def test_no_odd_character_refuses_an_agents_message() -> None:
    body = b'\xef\xbb\xbf{"contactId":"%b","message":{"type":"text","text":"a\\ud83d"},"n":NaN}' % CONTACT.encode()
    (event,) = destination().parse(TestRespondioDestination().sign(body))
    assert Text("a\ufffd") == event.content  # type: ignore[union-attr]


@pytest.mark.parametrize("phone", PHONES.values(), ids=PHONES)
def test_with_phone_numbers_a_contact_must_be_one(phone: str) -> None:
    body = {"contactId": phone, "message": {"type": "text", "text": "Hi"}}
    with pytest.raises(BadWebhook) as raised:
        destination(id_type="phone").parse(TestRespondioDestination().sign(orjson.dumps(body)))
    assert raised.value.field == "contactId"


def test_the_window_for_repeats_is_a_setting() -> None:
    assert parse("message_text", repeat_window=0).window == 0.0


PATHS = {"message": ("/destinations/desk/message", True), "a slash": ("/destinations/desk/message/", True)} | {
    "the base alone": ("/destinations/desk", False),
    "another one": ("/destinations/desk/messages", False),
}


@pytest.mark.parametrize(("path", "good"), PATHS.values(), ids=PATHS)
def test_the_platform_appends_message_to_the_base_url(path: str, good: bool) -> None:
    webhook = replace(TestRespondioDestination().a_good_one, path=path)
    if good:
        assert len(destination().parse(webhook)) == 1
    else:
        with pytest.raises(BadWebhook, match="/message"):
            destination().parse(webhook)


def test_it_acknowledges_with_our_id_and_refuses_with_a_sentence() -> None:
    webhook = TestRespondioDestination().a_good_one
    taken = destination().acknowledge(webhook, [Accepted(parse("message_text"), "m1")])
    refused = destination().refuse(webhook, 400, "message.type: No.")
    assert (taken.status, taken.body) == (200, {"mId": "m1"})
    assert (refused.status, refused.body) == (400, {"error": {"message": "message.type: No."}})


@pytest.mark.parametrize("name", unsupported())
def test_a_type_that_cannot_be_sent_is_refused_with_the_types_that_can(name: str) -> None:
    with pytest.raises(BadWebhook, match=r"text, attachment, location, quick_reply"):
        parse(name)


# --- out ---


def test_a_customers_message_goes_out_with_his_profile(outside: Sink) -> None:
    desk, http = on(outside)
    assert Answer(handles={"contact": CONTACT}) == desk.deliver(delivery(), http)
    (call,) = outside.calls
    assert {
        "channelId": "ch_1",
        "contactId": CONTACT,
        "events": [
            {
                "type": "message",
                "mId": MESSAGE.id,
                "timestamp": AT,
                "message": {"type": "text", "text": "Where is my parcel?"},
            }
        ],
        "contact": {
            "firstName": "Ada",
            "lastName": "Lovelace",
            "locale": "en-GB",
            "language": "en",
            "countryCode": "GB",
        },
    } == call.json
    assert f"Bearer {TOKEN}" == call.headers["authorization"]
    assert call.headers["content-type"] == "application/json"


def test_each_part_and_each_try_has_its_id(outside: Sink) -> None:
    desk, http = on(outside)
    for part in (0, 0, 1):
        desk.deliver(delivery(part=part), http)
    assert [MESSAGE.id, MESSAGE.id, derived_id(MESSAGE.id, 1)] == [c.json["events"][0]["mId"] for c in outside.calls]


CONTENTS: dict[str, tuple[Content, dict[str, Any]]] = {
    "text": (Text("Hi"), {"type": "text", "text": "Hi"}),
    "image": (
        Attachment("image", "https://cdn.example.test/a.png", "image/png", "a.png", "A"),
        {
            "type": "attachment",
            "attachment": {
                "type": "image",
                "url": "https://cdn.example.test/a.png",
                "mimeType": "image/png",
                "fileName": "a.png",
                "description": "A",
            },
        },
    ),
    "labels over the limit, with emoji across it": (
        Attachment("image", "https://cdn.example.test/a", None, "C:/pics/" + "n" * 251 + "👍.png", "x" * 255 + "👍"),
        {
            "type": "attachment",
            "attachment": {
                "type": "image",
                "url": "https://cdn.example.test/a",
                "fileName": "n" * 251 + ".png",
                "description": "x" * 255,
            },
        },
    ),
    "a file without its optional fields": (
        Attachment("file", "https://cdn.example.test/a"),
        {"type": "attachment", "attachment": {"type": "file", "url": "https://cdn.example.test/a"}},
    ),
    "a file whose name and type would be refused": (
        Attachment("file", "https://cdn.example.test/a", "pdf", "bill"),
        {"type": "attachment", "attachment": {"type": "file", "url": "https://cdn.example.test/a"}},
    ),
    "a video's description": (
        Attachment("video", "https://cdn.example.test/a.mp4", description="The door"),
        {"type": "attachment", "attachment": {"type": "video", "url": "https://cdn.example.test/a.mp4"}},
    ),
    "location": (Location(1.5, 2.5), {"type": "location", "latitude": 1.5, "longitude": 2.5}),
    "location with an address": (
        Location(1.5, 2.5, "Here"),
        {"type": "location", "latitude": 1.5, "longitude": 2.5, "address": "Here"},
    ),
    "quick reply": (QuickReply("Q", ("A", "B")), {"type": "quick_reply", "title": "Q", "replies": ["A", "B"]}),
}


@pytest.mark.parametrize(("content", "expected"), CONTENTS.values(), ids=CONTENTS)
def test_a_content_in_respondios_form(content: Content, expected: dict[str, Any]) -> None:
    assert expected == content_to(content)


def test_a_card_has_no_form_and_is_rendered_before() -> None:
    with pytest.raises(Failure) as raised:
        content_to(Card("Plates"))
    assert raised.value.kind == errors.UNSUPPORTED


def test_a_videos_description_follows_as_a_text() -> None:
    video = Attachment("video", "https://cdn.example.test/a.mp4", description="The door")
    assert (replace(video, description=None), Text("The door")) == render(video, destination().capabilities)


@pytest.mark.parametrize("spelling", ["longitude", "longtitude"])
def test_the_spelling_of_the_longitude_is_a_setting(spelling: str, outside: Sink) -> None:
    desk, http = on(outside, longitude_field=spelling)
    desk.deliver(delivery(content=Location(1.5, 2.5)), http)
    assert {"type": "location", "latitude": 1.5, spelling: 2.5} == outside.calls[0].json["events"][0]["message"]


@THOROUGH
@given(texts | attachments | locations | quick_replies, st.sampled_from(["longitude", "longtitude"]))
def test_a_content_comes_back_as_it_went(content: Content, spelling: str) -> None:
    form = content_to(content, spelling)
    assert None not in form.values()
    assert None not in form.get("attachment", {}).values()
    if isinstance(content, Attachment):
        form["attachment"].pop("description", None)
        returned = content_from(form)
        assert isinstance(returned, Attachment)
        assert (content.kind, content.url) == (returned.kind, returned.url)
    elif isinstance(content, Location):
        place = Location(coordinate(content.latitude), coordinate(content.longitude), content.address or None)
        assert place == content_from(form)
        assert b"e-" not in orjson.dumps([form["latitude"], form[spelling]])
    else:
        assert content == content_from(form)


PROFILES: dict[str, tuple[Profile, dict[str, str]]] = {
    "nothing": (Profile(), {}),
    "one name": (Profile(name="Ada"), {"firstName": "Ada"}),
    "two names": (Profile(name=" Ada  King Lovelace "), {"firstName": "Ada", "lastName": "King Lovelace"}),
    "names of fifty": (Profile(name="x" * 50 + " " + "y" * 50), {"firstName": "x" * 50, "lastName": "y" * 50}),
    "names too long": (Profile(name="x" * 51 + " " + "y" * 51), {"firstName": "x" * 50, "lastName": "y" * 50}),
    "a family across the limit": (Profile(name="x" * 49 + "👩‍👧 y"), {"firstName": "x" * 49, "lastName": "y"}),
    "a name on two lines": (Profile(name="Ada\nLovelace"), {"firstName": "Ada", "lastName": "Lovelace"}),
    "a blank name": (Profile(name="  "), {}),
    "an e-mail address of fifty": (Profile(email="a@" + "x" * 48), {"email": "a@" + "x" * 48}),
    "an e-mail address too long": (Profile(email="a@" + "x" * 49), {}),
    "an e-mail address that is none": (Profile(email="ada"), {}),
    "a phone of eighteen": (Profile(phone="+" + "1" * 17), {"phone": "+" + "1" * 17}),
    "a phone too long": (Profile(phone="+" + "1" * 18), {}),
    "a picture": (Profile(picture="https://cdn.example.test/a.png"), {"profilePic": "https://cdn.example.test/a.png"}),
    "a country": (Profile(country="GB"), {"countryCode": "GB"}),
    "a country in small letters": (Profile(country="gb"), {"countryCode": "GB"}),
    "half a country": (Profile(country="g"), {}),
    "a locale": (Profile(locale="pt_BR"), {"locale": "pt_BR", "language": "pt"}),
    "a language alone": (Profile(locale="de"), {"locale": "de", "language": "de"}),
    "a language of three letters": (Profile(locale="gsw-CH"), {"locale": "gsw-CH"}),
    "a locale that is none": (Profile(locale="*"), {}),
}


@pytest.mark.parametrize(("profile", "expected"), PROFILES.values(), ids=PROFILES)
def test_a_profile_holds_only_what_is_known_and_allowed(profile: Profile, expected: dict[str, str]) -> None:
    assert expected == contact_profile(profile)


@pytest.mark.parametrize("profile", [None, Profile()], ids=["none", "empty"])
def test_without_a_profile_there_is_no_contact(profile: Profile | None, outside: Sink) -> None:
    desk, http = on(outside)
    desk.deliver(delivery(replace(MESSAGE, profile=profile)), http)
    assert "contact" not in outside.calls[0].json


def test_a_long_conversation_key_is_remembered_by_its_alias(outside: Sink) -> None:
    desk, http = on(outside)
    memory, far = Memory(), replace(MESSAGE, customer="webhook:" + "x" * 100)
    desk.deliver(delivery(far, memory, progress={"a": 1}), http)
    contact = outside.calls[0].json["contactId"]
    assert contact.startswith(ALIAS)
    assert [({"a": 1}, [contact])] == memory.kept


def test_a_short_conversation_key_needs_no_memory(outside: Sink) -> None:
    desk, http = on(outside)
    memory = Memory()
    desk.deliver(delivery(MESSAGE, memory), http)
    assert memory.kept == []


# --- phone numbers ---


def test_the_phone_is_the_address_or_stands_in_the_profile(outside: Sink) -> None:
    desk, http = on(outside, id_type="phone")
    memory = Memory()
    desk.deliver(delivery(replace(MESSAGE, customer=f"webhook:{PHONE}"), memory), http)
    desk.deliver(delivery(replace(MESSAGE, profile=Profile(phone=PHONE)), memory), http)
    assert [call.json["contactId"] for call in outside.calls] == [PHONE, PHONE]
    assert memory.kept == [({}, [PHONE]), ({}, [PHONE])]


def test_a_customer_without_a_phone_cannot_be_shown(outside: Sink) -> None:
    desk, http = on(outside, id_type="phone")
    with pytest.raises(Failure) as raised:
        desk.deliver(delivery(), http)
    assert (raised.value.kind, outside.calls) == (errors.REJECTED, [])


def test_a_report_names_the_phone_that_the_agent_wrote_to(outside: Sink) -> None:
    desk, http = on(outside, id_type="phone")
    metadata = parse("message_phone", id_type="phone").metadata
    desk.report(StatusReport(replace(REPLY, metadata=metadata), "delivered", None, AT), http)
    assert outside.calls[0].json["contactId"] == PHONE


def test_a_handoff_finds_the_phone_wherever_the_transcript_has_it(outside: Sink) -> None:
    desk, http = on(outside, id_type="phone")
    desk.open(handoff(REPLY, replace(MESSAGE, profile=Profile(phone=PHONE))), http)
    assert [call.json["contactId"] for call in outside.calls] == [PHONE, PHONE]


def test_only_phone_numbers_let_agents_write_first() -> None:
    with pytest.raises(ValidationError) as raised:
        destination(channel="shop")
    assert list(raised.value.messages_dict) == ["channel"]


# --- statuses ---

REPORTS: dict[str, tuple[Status, str | None, dict[str, str]]] = {
    "sent": ("sent", None, {"value": "sent"}),
    "delivered": ("delivered", None, {"value": "delivered"}),
    "read": ("read", None, {"value": "read"}),
    "failed": ("failed", "63016: too late", {"value": "failed", "message": "63016: too late"}),
    "failed without a reason": (
        "failed",
        None,
        {"value": "failed", "message": "The message could not be delivered."},
    ),
    "failed with an empty reason": (
        "failed",
        "",
        {"value": "failed", "message": "The message could not be delivered."},
    ),
    "an old error of a later success": ("delivered", "was offline", {"value": "delivered"}),
}


@pytest.mark.parametrize(("status", "error", "expected"), REPORTS.values(), ids=REPORTS)
def test_a_report(status: Status, error: str | None, expected: dict[str, str], outside: Sink) -> None:
    desk, http = on(outside)
    desk.report(StatusReport(REPLY, status, error, AT), http)
    assert {
        "channelId": "ch_1",
        "contactId": CONTACT,
        "events": [{"type": "message_status", "mId": REPLY.id, "timestamp": AT, "status": expected}],
    } == outside.calls[0].json


# --- handoff ---


def told(outside: Sink) -> list[tuple[str, str]]:
    events = [event for call in outside.calls for event in call.json["events"]]
    return [(event["type"], event["mId"]) for event in events]


def test_a_handoff_tells_what_was_said_the_bots_part_as_echoes(outside: Sink) -> None:
    desk, http = on(outside)
    memory = Memory()
    assert Answer(handles={"contact": CONTACT}) == desk.open(handoff(MESSAGE, REPLY, memory=memory), http)
    assert [("message", MESSAGE.id), ("message_echo", REPLY.id)] == told(outside)
    assert memory.kept == [({"told": 1}, []), ({"told": 2}, [])]


def test_a_handoff_goes_on_where_an_earlier_try_stopped(outside: Sink) -> None:
    desk, http = on(outside)
    memory = Memory()
    outside.answers(Told(), Told(503))
    with pytest.raises(Failure):
        desk.open(handoff(MESSAGE, REPLY, memory=memory), http)
    assert memory.kept == [({"told": 1}, [])]
    outside.answers(Told())
    desk.open(handoff(MESSAGE, REPLY, told=1), http)
    assert [("message", MESSAGE.id), ("message_echo", REPLY.id), ("message_echo", REPLY.id)] == told(outside)


def test_a_handoff_with_nothing_said_makes_no_call(outside: Sink) -> None:
    desk, http = on(outside)
    assert Answer(handles=None) == desk.open(handoff(), http)
    assert outside.calls == []


def test_a_handoff_tells_a_card_in_parts(outside: Sink) -> None:
    desk, http = on(outside)
    card = replace(REPLY, content=Card("Plates", (Image("https://cdn.example.test/a.png"),)))
    desk.open(handoff(card), http)
    assert [("message_echo", REPLY.id), ("message_echo", derived_id(REPLY.id, 1))] == told(outside)


def test_a_handoff_remembers_an_alias(outside: Sink) -> None:
    desk, http = on(outside)
    memory, far = Memory(), replace(MESSAGE, customer="webhook:" + "x" * 100)
    desk.open(handoff(far, memory=memory), http)
    assert [({"told": 1}, [contact_id(far.conversation)])] == memory.kept


REFUSALS = {
    "a sentence": (b'{"error":{"message":"contactId is invalid"}}', "contactId is invalid"),
    "words": (b"Bad Request", "HTTP 400: Bad Request"),
    "nothing": (b"", "HTTP 400"),
}


@pytest.mark.parametrize(("body", "words"), REFUSALS.values(), ids=REFUSALS)
def test_the_operator_reads_why_respondio_refused(body: bytes, words: str, outside: Sink) -> None:
    outside.answers(Told(400, body))
    desk, http = on(outside)
    with pytest.raises(Failure) as raised:
        desk.deliver(delivery(), http)
    assert words in raised.value.detail


BAD_SETTINGS: dict[str, tuple[str, Any]] = {
    "no web address": ("webhook_url", "app.respond.io"),
    "no channel id": ("channel_id", ""),
    "an id type that does not exist": ("id_type", "email"),
    "a spelling that does not exist": ("longitude_field", "lng"),
    "a window too long": ("repeat_window", 61),
}


@pytest.mark.parametrize(("key", "value"), BAD_SETTINGS.values(), ids=BAD_SETTINGS)
def test_settings_are_checked(key: str, value: Any) -> None:
    with pytest.raises(ValidationError) as raised:
        destination(**{key: value})
    assert [key] == list(raised.value.messages_dict)
