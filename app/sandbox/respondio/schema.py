"""What respond.io takes: tables of every field of a custom channel's webhook and of its messages."""

from app.sandbox.checks import (
    Check,
    Field,
    Refused,
    as_object,
    integer,
    list_of,
    number,
    one_of,
    optional,
    record,
    text,
    url,
    variant,
)

MESSAGE_ID_LIMIT = 50
# Thirteen digits: seconds, microseconds and nanoseconds all fall outside.
TIMESTAMP = integer(1_000_000_000_000, 9_999_999_999_999, "an integer of milliseconds")

CONTACT_IDS = {
    "custom": text(50, 1, r"[A-Za-z0-9_=+/@]+", "made of A-Z a-z 0-9 _ = + / @ only"),
    "phone": text(50, 1, r"\+[1-9][0-9]{1,14}", "a phone number in E.164 with +"),
}
MESSAGE_ID = text(MESSAGE_ID_LIMIT, 1)

ATTACHMENT_FIELDS = {
    "type": Field(one_of(("image", "video", "audio", "file"))),
    "url": Field(url(2000)),
    "mimeType": optional(text(pattern=r"[\w.+-]+/[\w.+-]+(;.*)?", shape="a media type")),
    "fileName": optional(text(256, 1, r"[^/\\]*\.\w+", "a file name with extension")),
    "description": optional(text(256)),
}
_ATTACHMENT = record(ATTACHMENT_FIELDS)


def _attachment(value: object, path: str) -> None:
    _ATTACHMENT(value, path)
    entries = as_object(value, path)
    if "description" in entries and entries["type"] != "image":
        raise Refused(f"{path}.description", "is for images only")


# The manual prints `longtitude`; until a live workspace has been asked, both spellings pass, one at a time.
LONGITUDES = ("longitude", "longtitude")


def _location(value: object, path: str) -> None:
    spelling = next((name for name in LONGITUDES if name in as_object(value, path)), LONGITUDES[0])
    record(
        {
            "type": Field(text()),
            "latitude": Field(number(-90, 90)),
            spelling: Field(number(-180, 180)),
            "address": optional(text(256)),
        }
    )(value, path)


MESSAGE = variant(
    "type",
    {
        "text": record({"type": Field(text()), "text": Field(text(7000, 1))}),
        "attachment": record({"type": Field(text()), "attachment": Field(_attachment)}),
        "location": _location,
        "quick_reply": record(
            {
                "type": Field(text()),
                "title": Field(text(256, 1)),
                "replies": Field(list_of(text(256, 1), 1, 10)),
            }
        ),
    },
)

STATUSES = ("sent", "delivered", "read", "failed")
_STATUS = record({"value": Field(one_of(STATUSES)), "message": optional(text(minimum=1))})


def _status(value: object, path: str) -> None:
    _STATUS(value, path)
    entries = as_object(value, path)
    if entries["value"] == "failed" and "message" not in entries:
        raise Refused(f"{path}.message", "is missing")


_EVENT = {"type": Field(text()), "mId": Field(MESSAGE_ID), "timestamp": Field(TIMESTAMP)}
EVENT = variant(
    "type",
    {
        "message": record(_EVENT | {"message": Field(MESSAGE)}),
        "message_echo": record(_EVENT | {"message": Field(MESSAGE)}),
        "message_status": record(_EVENT | {"status": Field(_status)}),
    },
)

CONTACT = record(
    {
        "firstName": optional(text(50)),
        "lastName": optional(text(50)),
        "profilePic": optional(url()),
        "locale": optional(text(35, 2, r"[A-Za-z]{2,3}([_-][A-Za-z0-9]{2,8})*", "a locale code")),
        "countryCode": optional(text(2, 2, r"[A-Z]{2}", "an ISO 3166-1 alpha-2 code")),
        "timezone": optional(number(-24, 24)),
        "email": optional(text(50, 3, r"[^@\s]+@[^@\s]+", "an e-mail address")),
        "phone": optional(text(18, 1)),
        "language": optional(text(2, 2, r"[a-z]{2}", "an ISO 639-1 code")),
    }
)


def webhook_check(channel_id: str, id_type: str) -> Check:
    """The whole body of one call to the Webhook URL."""
    return record(
        {
            "channelId": Field(_exactly(channel_id)),
            "contactId": Field(CONTACT_IDS[id_type]),
            "events": Field(list_of(EVENT)),
            "contact": optional(CONTACT),
        }
    )


def _exactly(expected: str) -> Check:
    def check(value: object, path: str) -> None:
        text(minimum=1)(value, path)
        if value != expected:
            raise Refused(path, "is not the id of this channel")

    return check
