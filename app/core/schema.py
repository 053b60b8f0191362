"""The rules that content from outside must keep, as marshmallow schemas; a broken rule names its field.

Limits are those of respond.io's custom channel, the narrowest platform that carries every type
(https://respond.io/help/custom-channel/custom-channel).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import orjson
from marshmallow import EXCLUDE, Schema, ValidationError, fields, validate, validates_schema

from app.core.errors import BadWebhook
from app.core.message import ATTACHMENT_KINDS, Content, content_from_dict

ID_LIMIT = 256
TEXT_LIMIT = 7_000
URL_LIMIT = 2_000
LABEL_LIMIT = 256
REPLIES_LIMIT = 10
IMAGES_LIMIT = 10
OBJECT_LIMIT = 16 * 1024  # bytes of JSON; what Autopilot kept as memory
UNCLEAN = re.compile(r"^\s|\s$|[\x00-\x1f\x7f]")  # urlsplit would pass over these in silence


def is_web_url(value: str) -> bool:
    """Absolute, http or https, with a host, a port that is a number if there is one, and without credentials."""
    try:
        parts = urlsplit(value)
        host, _ = parts.hostname or "", parts.port
    except ValueError:
        return False
    clean = not UNCLEAN.search(value) and not re.search(r"[\s@]", parts.netloc)
    return clean and parts.scheme in ("http", "https") and bool(host)


def web_url(value: str) -> None:
    if not is_web_url(value):
        raise ValidationError("Must be an absolute http or https URL without credentials.")


class Lenient(Schema):
    """Platforms add fields without notice; what we do not know is no error."""

    class Meta:
        unknown = EXCLUDE


def text_field(limit: int, *, required: bool = True, least: int = 1) -> fields.String:
    """An optional one may also be null: many platforms write what is missing that way."""
    return fields.String(required=required, allow_none=not required, validate=validate.Length(min=least, max=limit))


def url_field(*, required: bool = True) -> fields.String:
    return fields.String(
        required=required,
        allow_none=not required,
        validate=validate.And(validate.Length(max=URL_LIMIT), web_url),
    )


def keepable(value: Mapping[str, Any]) -> None:
    """For objects of any shape that are stored: small, and no deeper than can be written again."""
    try:
        size = len(orjson.dumps([[value]]))  # it is stored inside of other objects
    except TypeError:
        raise ValidationError("Must not be nested so deeply.") from None
    if size > OBJECT_LIMIT:
        raise ValidationError(f"Must be at most {OBJECT_LIMIT} bytes of JSON.")


class TextSchema(Lenient):
    text = text_field(TEXT_LIMIT)


class AttachmentSchema(Lenient):
    kind = fields.String(required=True, validate=validate.OneOf(ATTACHMENT_KINDS))
    url = url_field()
    mime_type = text_field(LABEL_LIMIT, required=False)
    file_name = text_field(LABEL_LIMIT, required=False)
    description = text_field(LABEL_LIMIT, required=False)


class LocationSchema(Lenient):
    latitude = fields.Float(required=True, validate=validate.Range(-90, 90))
    longitude = fields.Float(required=True, validate=validate.Range(-180, 180))
    address = text_field(LABEL_LIMIT, required=False)


class QuickReplySchema(Lenient):
    title = text_field(LABEL_LIMIT)
    replies = fields.List(text_field(LABEL_LIMIT), required=True, validate=validate.Length(min=1, max=REPLIES_LIMIT))


class ImageSchema(Lenient):
    url = url_field()
    label = text_field(LABEL_LIMIT, required=False)


class CardSchema(Lenient):
    text = text_field(TEXT_LIMIT, least=0)
    images = fields.List(fields.Nested(ImageSchema), validate=validate.Length(max=IMAGES_LIMIT))

    @validates_schema
    def _shows_something(self, data: Mapping[str, Any], **kwargs: Any) -> None:
        if not data["text"] and not data.get("images"):
            raise ValidationError("Must not be empty where there are no images.", "text")


CONTENT_SCHEMAS: dict[str, Schema] = {
    "text": TextSchema(),
    "attachment": AttachmentSchema(),
    "location": LocationSchema(),
    "quick_reply": QuickReplySchema(),
    "card": CardSchema(),
}


class ContentField(fields.Field[Content]):
    """A content of any type, chosen by its `type`."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> Content:
        if not isinstance(value, Mapping):
            raise ValidationError("Must be an object.")
        kind = value.get("type")
        schema = CONTENT_SCHEMAS.get(kind) if isinstance(kind, str) else None
        if schema is None:
            raise ValidationError({"type": [f"Must be one of: {', '.join(CONTENT_SCHEMAS)}."]})
        return content_from_dict({"type": kind, **schema.load(value)})


class ProfileSchema(Lenient):
    name = text_field(LABEL_LIMIT, required=False)
    locale = text_field(35, required=False)
    email = text_field(LABEL_LIMIT, required=False)
    phone = text_field(32, required=False)
    picture = url_field(required=False)
    country = text_field(2, required=False)


def parse_json(body: bytes) -> dict[str, Any]:
    """The JSON object in a webhook's body.

    Raises:
        BadWebhook: the body is empty, not JSON, or not an object.
    """
    if not body:
        raise BadWebhook("", "The body is empty.")
    try:
        data = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise BadWebhook("", f"The body is not JSON: {error}.") from None
    if not isinstance(data, dict):
        raise BadWebhook("", "The body must be a JSON object.")
    return data


def load(schema: Schema, data: Any, at: str = "") -> dict[str, Any]:
    """What the schema makes of `data`.

    Raises:
        BadWebhook: the first broken rule, its field as a dotted path below `at`.
    """
    try:
        loaded: dict[str, Any] = schema.load(data)
    except ValidationError as error:
        field, rule = problems(error.messages)[0]
        raise BadWebhook(".".join(part for part in (at, field) if part), rule) from None
    return loaded


def problems(messages: Any, at: str = "") -> list[tuple[str, str]]:
    """Every (dotted path, rule) in marshmallow's nested error messages."""
    if isinstance(messages, dict):
        found = []
        for name, inner in messages.items():
            path = at if name == "_schema" else f"{at}.{name}" if at else str(name)
            found += problems(inner, path)
        return found
    return [(at, str(rule)) for rule in (messages if isinstance(messages, list) else [messages])]
