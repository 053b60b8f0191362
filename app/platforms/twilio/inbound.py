"""What Twilio's inbound webhooks say, in our words: contents, profile, metadata.

Parameters: https://www.twilio.com/docs/messaging/guides/webhook-request. They vary by channel and grow without notice,
so what is not read here is kept.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from marshmallow import ValidationError, fields, validate
from msgspec.structs import replace

from app.core.address import address_of
from app.core.errors import BadWebhook
from app.core.events import Event, Ignored, Written
from app.core.message import Attachment, Content, Location, Profile, Text
from app.core.reading import Unreadable, clean_text, encoded, parsed
from app.core.schema import (
    ID_LIMIT,
    LABEL_LIMIT,
    OBJECT_LIMIT,
    TEXT_LIMIT,
    URL_LIMIT,
    Lenient,
    is_web_url,
    keepable,
    load,
    notice,
    shortened,
    text_field,
)
from app.platforms.twilio.message import JSON_PARAMETERS, MAX_MEDIA, NAMES, REFERRAL, WORDS

# Read into the message itself, or the same once more.
SPOKEN_FOR = {"MessageSid", "SmsSid", "SmsMessageSid", "AccountSid", "ApiVersion", "SmsStatus", "NumMedia", "From"}

# A person as one business knows them; those of a parent business (`CC.ENT.`) are no addresses.
BUSINESS_SCOPED = re.compile(r"whatsapp:[A-Z]{2}\.(?!ENT\.)[A-Za-z0-9]{1,128}")
WRITTEN = {"Body", "ButtonText", "ProfileName", "Address", "Label"}  # by people, who may copy anything

RAW_LIMIT = OBJECT_LIMIT - 2_048  # bytes of parameters; our names and the braces need room, too
BASE64_LEAST = 60


class _MessageSchema(Lenient):
    MessageSid = text_field(LABEL_LIMIT)
    To = text_field(ID_LIMIT)
    Body = text_field(TEXT_LIMIT, required=False)
    ButtonText = text_field(TEXT_LIMIT, required=False)
    Latitude = fields.Float(validate=validate.Range(-90, 90))
    Longitude = fields.Float(validate=validate.Range(-180, 180))


class _CustomerSchema(Lenient):
    From = text_field(ID_LIMIT)


_message, _customer = _MessageSchema(), _CustomerSchema()


def read(form: Mapping[str, str], token: str | None, media: Callable[[str], str]) -> list[Event]:
    """The messages in an inbound webhook: what it says, its files in order, its place. Ignored, if it says nothing.

    Args:
        token: names the webhook, if something does.
        media: the address that others may know for that of a file at Twilio.

    Raises:
        BadWebhook: a parameter that must be there is not, or one that is read breaks a rule.
    """
    said = {name: clean_text(value) if name in WRITTEN else value for name, value in form.items() if value}
    data = load(_message, said)
    customer, used = _customer_of(said), set(SPOKEN_FOR)
    contents = list(_contents(said, data, used, media))
    profile, aliases = _profile(said, customer, used), _aliases_of(said, customer)
    metadata = _metadata({name: value for name, value in said.items() if name not in used})
    return [
        Written(
            content,
            external_id=_numbered(data["MessageSid"], number),
            customer=customer,
            profile=profile,
            metadata=metadata if number == 0 else {},
            token=_numbered(token, number) if token else None,
            part=number,
            aliases=aliases,
        )
        for number, content in enumerate(contents)
    ] or [Ignored("message.empty")]


def _numbered(name: str, number: int) -> str:
    return f"{name}/{number}" if number else name


def _customer_of(said: Mapping[str, str]) -> str:
    """Whoever hides their number from businesses is known by their id alone."""
    sender = said.get("From", "")
    if not sender.rpartition(":")[2]:
        sender = _external_address(said)
    sender = load(_customer, {"From": sender} if sender else {})["From"]
    return address_of(sender)


def _external_address(said: Mapping[str, str]) -> str:
    """Only WhatsApp has these ids, with its name before them or without; '' for none."""
    ident = said.get("ExternalUserId", "")
    return ident if ":" in ident or not ident else f"whatsapp:{ident}"


def _aliases_of(said: Mapping[str, str], customer: str) -> tuple[str, ...]:
    """The customer's other address: whom WhatsApp names by number and by id has two."""
    named, number = _external_address(said), said.get("WaId", "")
    found = {named} if BUSINESS_SCOPED.fullmatch(named) else set()
    if BUSINESS_SCOPED.fullmatch(customer) and re.fullmatch(r"[1-9]\d{6,14}", number):
        found.add(f"whatsapp:+{number}")
    return tuple(found - {customer}) if customer.startswith("whatsapp:") else ()


def _contents(
    said: Mapping[str, str], data: Mapping[str, Any], used: set[str], media: Callable[[str], str]
) -> Iterator[Content]:
    """What is said, and which parameters that took."""
    text, files = data.get("ButtonText") or data.get("Body") or "", list(_files(said, used, media))
    used |= {name for name in ("ButtonText", "Body") if text and data.get(name) == text}
    if data["MessageSid"].startswith("MM") and ":" not in said.get("From", ""):
        text = _decoded(text)
    if len(files) == 1 and 0 < len(text) <= LABEL_LIMIT:  # a file and what is said about it
        files, text = [replace(files[0], description=text)], ""
    if text:
        yield Text(text)
    yield from files
    if "Latitude" in data and "Longitude" in data:
        used |= {"Latitude", "Longitude", "Address", "Label"}
        named = ", ".join(said[name] for name in ("Label", "Address") if name in said)
        yield Location(data["Latitude"], data["Longitude"], shortened(named, LABEL_LIMIT, "Address") or None)


def _files(said: Mapping[str, str], used: set[str], media: Callable[[str], str]) -> Iterator[Attachment]:
    for number in range(MAX_MEDIA):
        url, kind = said.get(f"MediaUrl{number}"), said.get(f"MediaContentType{number}", "")
        if url:
            if not is_web_url(url) or len(url) > URL_LIMIT:
                raise BadWebhook(f"MediaUrl{number}", "Must be an absolute http or https URL.")
            used |= {f"MediaUrl{number}", f"MediaContentType{number}"}
            yield _file(media(url), kind)


def _file(url: str, mime_type: str) -> Attachment:
    kind = mime_type.partition("/")[0]
    return Attachment(kind if kind in ("image", "video", "audio") else "file", url, mime_type[:LABEL_LIMIT] or None)


def _decoded(text: str) -> str:
    """Long SMS come as MMS with their text in base64 now and then. Only what can hardly be anything else is decoded."""
    packed = "".join(text.splitlines()).strip()
    if len(packed) < BASE64_LEAST:
        return text
    try:
        plain = base64.b64decode(packed, validate=True).decode()
    except ValueError:  # no base64, or no UTF-8 inside
        return text
    return plain if plain and all(char.isprintable() or char.isspace() for char in plain) else text


def _profile(said: Mapping[str, str], customer: str, used: set[str]) -> Profile | None:
    number = customer.partition(":")[2]
    phone = number if number.startswith("+") else f"+{said['WaId']}" if said.get("WaId", "").isdecimal() else ""
    name, country = said.get("ProfileName", ""), said.get("FromCountry", "")
    used.add("ProfileName")
    if country and len(country) != 2:
        notice("dropped", "FromCountry")
    profile = Profile(
        name=shortened(name, LABEL_LIMIT, "ProfileName") or None,
        phone=phone if 0 < len(phone) <= 32 else None,
        country=country if len(country) == 2 else None,
    )
    return profile if profile != Profile() else None


def _metadata(values: Mapping[str, str]) -> dict[str, Any]:
    """Parameters under our names, those of an advertisement together, the rest with its own names."""
    found: dict[str, Any] = {}
    referral: dict[str, str] = {}
    rest: dict[str, str] = {}
    for name, value in _as_much_as_fits(values).items():
        if name in NAMES:
            found[NAMES[name]] = WORDS.get(value, value)
        elif name in JSON_PARAMETERS:
            found[JSON_PARAMETERS[name]] = _parsed(value)
        elif name.startswith(REFERRAL):
            referral[name.removeprefix(REFERRAL)] = value
        else:
            rest[name] = value
    return found | {key: part for key, part in (("referral", referral), ("twilio", rest)) if part}


def _as_much_as_fits(values: Mapping[str, str]) -> dict[str, str]:
    """The parameters without the largest ones, if they are too large together."""
    sizes = {name: len(encoded([name, value])) for name, value in values.items()}
    total = sum(sizes.values())
    dropped = set()
    for name in sorted(sizes, key=lambda name: -sizes[name]):
        if total > RAW_LIMIT:
            dropped.add(name)
            total -= sizes[name]
    for name in dropped:
        notice("dropped", name if name in NAMES or name in JSON_PARAMETERS else "parameters")
    return {name: value for name, value in values.items() if name not in dropped}


def _parsed(value: str) -> Any:
    """JSON that takes no more room than its text may, else the text."""
    try:
        found = parsed(value)
        keepable({"": found})
        return found if len(encoded(found)) <= len(value.encode()) else value
    except (Unreadable, ValidationError):
        return value
