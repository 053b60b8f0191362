"""Contents in respond.io's form.

Source: https://respond.io/help/custom-channel/custom-channel.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from marshmallow import Schema, fields, pre_load, validate

from app.core import errors
from app.core.errors import BadWebhook, Failure
from app.core.message import ATTACHMENT_KINDS, Attachment, Content, Location, QuickReply, Text, coordinate
from app.core.schema import (
    LABEL_LIMIT,
    REPLIES_LIMIT,
    TEXT_LIMIT,
    Lenient,
    code_field,
    label_field,
    load,
    text_field,
    url_field,
)
from app.core.text import Unit, cut, cut_name

UNIT: Unit = "utf16"  # of every limit of theirs; the manual does not say, and these are never fewer
FILE_NAME = re.compile(r"[^/\\]*\.\w+")  # the manual wants an extension
MIME_TYPE = re.compile(r"[\w.+-]+/[\w.+-]+(;.*)?")


class _TextSchema(Lenient):
    text = text_field(TEXT_LIMIT)


class _FileSchema(Lenient):
    type = fields.String(required=True, validate=validate.OneOf(ATTACHMENT_KINDS))
    url = url_field()
    mimeType = code_field()
    fileName = label_field(by=cut_name)
    description = label_field()


class _AttachmentSchema(Lenient):
    attachment = fields.Nested(_FileSchema, required=True)


class _LocationSchema(Lenient):
    """Both spellings and a nested `location` object are in use."""

    latitude = fields.Float(required=True, validate=validate.Range(-90, 90))
    longitude = fields.Float(required=True, validate=validate.Range(-180, 180))
    address = label_field()

    @pre_load
    def _one_spelling(self, data: Mapping[str, Any], **kwargs: Any) -> dict[str, Any]:
        flat = {**data, **data["location"]} if isinstance(data.get("location"), Mapping) else dict(data)
        if flat.get("longitude") is None and "longtitude" in flat:
            flat["longitude"] = flat["longtitude"]
        return flat


class _QuickReplySchema(Lenient):
    title = text_field(LABEL_LIMIT)
    replies = fields.List(text_field(LABEL_LIMIT), required=True, validate=validate.Length(min=1, max=REPLIES_LIMIT))


MESSAGE_SCHEMAS: dict[str, Schema] = {
    "text": _TextSchema(),
    "attachment": _AttachmentSchema(),
    "location": _LocationSchema(),
    "quick_reply": _QuickReplySchema(),
}


def content_to(content: Content, longitude: str = "longitude") -> dict[str, Any]:
    """A content in respond.io's form."""
    match content:
        case Text(text):
            return {"type": "text", "text": text}
        case Attachment():
            inner = {
                "type": content.kind,
                "url": content.url,
                "mimeType": _matching(MIME_TYPE, content.mime_type),
                "fileName": _matching(FILE_NAME, _file_name(content)),
                "description": _label(content.description) if content.kind == "image" else None,
            }
            return {"type": "attachment", "attachment": {k: v for k, v in inner.items() if v is not None}}
        case Location():
            point = {
                "type": "location",
                "latitude": coordinate(content.latitude),
                longitude: coordinate(content.longitude),
            }
            return {**point, "address": _label(content.address)} if content.address else point
        case QuickReply(title, replies):
            return {"type": "quick_reply", "title": _label(title), "replies": [_label(reply) for reply in replies]}
    raise Failure(errors.UNSUPPORTED, f"respond.io has no message type for {content.type}")


def _label(text: str | None) -> str | None:
    return text and cut(text, LABEL_LIMIT, UNIT)


def _file_name(file: Attachment) -> str | None:
    """Without the folders that some systems put before it."""
    name = re.split(r"[/\\]", file.file_name or "")[-1]
    return cut_name(name, LABEL_LIMIT, UNIT)


def _matching(pattern: re.Pattern[str], value: str | None) -> str | None:
    return value if value and pattern.fullmatch(value) else None


def content_from(data: Mapping[str, Any]) -> Content:
    """An agent's message as content.

    Raises:
        BadWebhook: the type is unknown, or a field breaks its rule.
    """
    kind = data.get("type")
    schema = MESSAGE_SCHEMAS.get(kind) if isinstance(kind, str) else None
    if schema is None:
        raise BadWebhook("message.type", f"Must be one of: {', '.join(MESSAGE_SCHEMAS)}.")
    values = load(schema, data, "message")
    match kind:
        case "text":
            return Text(values["text"])
        case "attachment":
            inner = values["attachment"]
            return Attachment(
                inner["type"], inner["url"], inner.get("mimeType"), inner.get("fileName"), inner.get("description")
            )
        case "location":
            return Location(values["latitude"], values["longitude"], values.get("address") or None)
    return QuickReply(values["title"], tuple(values["replies"]))
