import pytest

from app.sandbox.checks import Refused
from app.sandbox.respondio.schema import webhook_check

from .calls import SETTINGS, message_event, status_event, text_message, webhook_body

CUSTOM = webhook_check(SETTINGS.respondio_channel_id, "custom")
PHONE = webhook_check(SETTINGS.respondio_channel_id, "phone")
PICTURE = "https://cdn.example.test/a.png"


def event(**fields):
    return webhook_body(message_event() | fields)


def message(**fields):
    return event(message=fields)


def attachment(**fields):
    return message(type="attachment", attachment={"type": "image", "url": PICTURE} | fields)


def location(**fields):
    return message(**{"type": "location", "latitude": 1.5, "longitude": -2} | fields)


def quick_reply(**fields):
    return message(**{"type": "quick_reply", "title": "When?", "replies": ["Now"]} | fields)


def contact(**fields):
    return webhook_body(message_event(), contact=fields)


def status(**fields):
    return webhook_body(status_event("m1", "sent") | fields)


def without(body, name):
    return {key: value for key, value in body.items() if key != name}


BODY = webhook_body(message_event())

TAKEN = {
    "text": BODY,
    "longest text": message(type="text", text="ö" * 7000),
    "longest ids": webhook_body(message_event("m" * 50), contact_id="a" * 50),
    "the whole alphabet": webhook_body(message_event(), contact_id="AZaz09_=+/@"),
    "echo": webhook_body(message_event(kind="message_echo")),
    "image": attachment(mimeType="image/png", fileName="a.png", description="d" * 256),
    "file": attachment(type="file", fileName="f" * 252 + ".pdf"),
    "location": location(address="a" * 256),
    "location as the manual spells it": message(type="location", latitude=-90, longtitude=180),
    "quick reply": quick_reply(title="t" * 256, replies=["r" * 256] * 10),
    "status": status(),
    "failure": webhook_body(status_event("m1", "failed", "30005")),
    "several events": webhook_body(message_event("m1"), message_event("m2")),
    "whole contact": contact(
        firstName="A" * 50,
        lastName="L" * 50,
        profilePic=PICTURE,
        locale="en_GB",
        countryCode="GB",
        timezone=-5.5,
        email="ada@example.test",
        phone="+15551230001",
        language="en",
    ),
    "empty contact": contact(),
}


@pytest.mark.parametrize("body", TAKEN.values(), ids=TAKEN)
def test_it_takes(body):
    CUSTOM(body, "")


REFUSED = {
    "no channel": (without(BODY, "channelId"), "channelId: is missing"),
    "another channel": (BODY | {"channelId": "ch_x"}, "channelId: is not the id of this channel"),
    "channel as number": (BODY | {"channelId": 1}, "channelId: must be a string, not a number"),
    "unknown field": (BODY | {"token": "x"}, "token: is not a known field"),
    "no contact id": (without(BODY, "contactId"), "contactId: is missing"),
    "id with a colon": (BODY | {"contactId": "telegram:1"}, "contactId: must be made of"),
    "id with a dash": (BODY | {"contactId": "a-b"}, "contactId: must be made of"),
    "id too long": (BODY | {"contactId": "a" * 51}, "contactId: must have at most 50 characters"),
    "id that is null": (BODY | {"contactId": None}, "contactId: must be a string, not null"),
    "no events": (BODY | {"events": []}, "events: must have 1 to"),
    "events as object": (BODY | {"events": message_event()}, "events: must be an array"),
    "unknown event": (event(type="typing"), "events[0].type: must be one of"),
    "event without type": (webhook_body(without(message_event(), "type")), "events[0].type: is missing"),
    "no mId": (webhook_body(without(message_event(), "mId")), "events[0].mId: is missing"),
    "mId misspelt": (webhook_body(without(message_event(), "mId") | {"mid": "1"}), "events[0].mid: is not"),
    "mId too long": (event(mId="m" * 51), "events[0].mId: must have at most 50 characters"),
    "mId empty": (event(mId=""), "events[0].mId: must not be empty"),
    "seconds": (event(timestamp=1767225600), "events[0].timestamp: must be an integer of milliseconds"),
    "microseconds": (event(timestamp=1767225600123456), "events[0].timestamp: must be an integer of"),
    "time as float": (event(timestamp=1767225600123.0), "events[0].timestamp: must be an integer of"),
    "time as text": (event(timestamp="1767225600123"), "events[0].timestamp: must be an integer of"),
    "message and status": (event(status={"value": "sent"}), "events[0].status: is not a known field"),
    "message missing": (webhook_body(without(message_event(), "message")), "events[0].message: is missing"),
    "unknown message": (message(type="email"), "events[0].message.type: must be one of"),
    "empty text": (message(type="text", text=""), "events[0].message.text: must not be empty"),
    "text too long": (message(type="text", text="x" * 7001), "events[0].message.text: must have at most"),
    "text with more": (message(**text_message(), x=1), "events[0].message.x: is not a known field"),
    "attachment without url": (
        message(type="attachment", attachment={"type": "image"}),
        "events[0].message.attachment.url: is missing",
    ),
    "attachment flat": (
        message(type="attachment", url=PICTURE),
        "events[0].message.url: is not a known field",
    ),
    "attachment of a kind unknown": (attachment(type="sticker"), "events[0].message.attachment.type: must"),
    "attachment as data": (attachment(url="data:image/png;base64,x"), "events[0].message.attachment.url: m"),
    "url too long": (attachment(url=PICTURE + "x" * 2000), "events[0].message.attachment.url: must have"),
    "name without extension": (attachment(fileName="a"), "events[0].message.attachment.fileName: must be"),
    "name too long": (attachment(fileName="f" * 253 + ".pdf"), "events[0].message.attachment.fileName: must"),
    "description of a file": (
        attachment(type="file", description="d"),
        "events[0].message.attachment.description: is for images only",
    ),
    "description too long": (attachment(description="d" * 257), "events[0].message.attachment.description"),
    "media type": (attachment(mimeType="png"), "events[0].message.attachment.mimeType: must be a media type"),
    "latitude": (location(latitude=90.1), "events[0].message.latitude: must lie between -90 and 90"),
    "longitude": (location(longitude=-181), "events[0].message.longitude: must lie between -180 and 180"),
    "longitude missing": (
        message(type="location", latitude=1),
        "events[0].message.longitude: is missing",
    ),
    "both longitudes": (location(longtitude=1), "events[0].message.longtitude: is not a known field"),
    "coordinate as text": (location(latitude="1"), "events[0].message.latitude: must be a number"),
    "address too long": (location(address="a" * 257), "events[0].message.address: must have at most 256"),
    "title too long": (quick_reply(title="t" * 257), "events[0].message.title: must have at most 256"),
    "eleven replies": (quick_reply(replies=["a"] * 11), "events[0].message.replies: must have 1 to 10"),
    "no replies": (quick_reply(replies=[]), "events[0].message.replies: must have 1 to 10"),
    "reply too long": (quick_reply(replies=["r" * 257]), "events[0].message.replies[0]: must have at most"),
    "reply as object": (quick_reply(replies=[{}]), "events[0].message.replies[0]: must be a string"),
    "status flat": (status(status="sent"), "events[0].status: must be an object, not a string"),
    "status unknown": (status(status={"value": "queued"}), "events[0].status.value: must be one of sent"),
    "failure without reason": (status(status={"value": "failed"}), "events[0].status.message: is missing"),
    "failure, reason empty": (webhook_body(status_event("m1", "failed", "")), "events[0].status.message: m"),
    "contact null": (BODY | {"contact": None}, "contact: must be an object, not null"),
    "first name null": (contact(firstName=None), "contact.firstName: must be a string, not null"),
    "first name too long": (contact(firstName="A" * 51), "contact.firstName: must have at most 50"),
    "last name too long": (contact(lastName="A" * 51), "contact.lastName: must have at most 50"),
    "picture": (contact(profilePic="a.png"), "contact.profilePic: must be an absolute http or https URL"),
    "locale": (contact(locale="english please"), "contact.locale: must be a locale code"),
    "country": (contact(countryCode="gb"), "contact.countryCode: must be an ISO 3166-1 alpha-2 code"),
    "time zone as text": (contact(timezone="+1"), "contact.timezone: must be a number, not a string"),
    "time zone": (contact(timezone=25), "contact.timezone: must lie between -24 and 24"),
    "e-mail too long": (contact(email="a" * 40 + "@example.test"), "contact.email: must have at most 50"),
    "e-mail": (contact(email="ada"), "contact.email: must be an e-mail address"),
    "phone too long": (contact(phone="+" + "1" * 18), "contact.phone: must have at most 18 characters"),
    "language": (contact(language="eng"), "contact.language: must have at most 2 characters"),
    "unknown contact field": (contact(name="Ada"), "contact.name: is not a known field"),
}


@pytest.mark.parametrize(("body", "message"), REFUSED.values(), ids=REFUSED)
def test_it_refuses_and_names_the_field(body, message):
    with pytest.raises(Refused) as caught:
        CUSTOM(body, "")
    assert str(caught.value).startswith(message)


@pytest.mark.parametrize("number", ["+15551230001", "+4912"])
def test_phone_numbers_as_ids(number):
    PHONE(webhook_body(message_event(), contact_id=number), "")


@pytest.mark.parametrize("number", ["15551230001", "+0155512", "+1 555", "visitor", "+1234567890123456"])
def test_other_ids_are_refused_where_phone_numbers_are_asked_for(number):
    with pytest.raises(Refused, match=r"contactId: must be a phone number in E\.164"):
        PHONE(webhook_body(message_event(), contact_id=number), "")
