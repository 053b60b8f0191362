"""The rules that content from outside must keep, as marshmallow schemas; a broken rule names its field.

What identifies (ids, kinds, addresses) and what is said keeps its rules strictly. What only decorates is a `Detail`: it
is cut or dropped, and that is noticed, but no message is refused for it.

Limits are those of the narrowest platform that carries every type.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any, Literal
from urllib.parse import urlsplit

import orjson
from marshmallow import EXCLUDE, Schema, ValidationError, fields, missing, pre_load, validate, validates_schema

from app.core.errors import BadWebhook
from app.core.message import ATTACHMENT_KINDS, Content, content_from_dict
from app.core.reading import Unreadable, parsed
from app.core.text import Unit, cut, cut_name

ID_LIMIT = 256
TEXT_LIMIT = 7_000
URL_LIMIT = 2_000
LABEL_LIMIT = 256
REPLIES_LIMIT = 10
IMAGES_LIMIT = 10
LOCALE_LIMIT = 35
OBJECT_LIMIT = 16 * 1024  # bytes of JSON
MILLISECONDS = 10**11  # a time beyond is none in seconds: they reach it in the year 5138
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


Cut = Callable[[str, int, Unit], str]
Noticed = tuple[Literal["dropped", "cut"], str]
"""What happened to a detail, and the name of its field."""

_noticed: ContextVar[list[Noticed] | None] = ContextVar("noticed", default=None)


@contextmanager
def noticing() -> Iterator[list[Noticed]]:
    """The details that are dropped or cut meanwhile, each once."""
    found: list[Noticed] = []
    token = _noticed.set(found)
    try:
        yield found
    finally:
        _noticed.reset(token)


def notice(what: Literal["dropped", "cut"], field: str) -> None:
    """A detail was dropped or cut; whoever wants to know is `noticing`."""
    found = _noticed.get()
    if found is not None and (what, field) not in found:
        found.append((what, field))


def shortened(text: str, limit: int, field: str, by: Cut = cut) -> str:
    """As much of a label as there is room for, by `cut` or, for names of files, `cut_name`."""
    if len(text) > limit:
        notice("cut", field)
    return by(text, limit, "characters")


class Lenient(Schema):
    """Platforms add fields without notice, and write null for what is missing; neither is an error."""

    class Meta:
        unknown = EXCLUDE

    @pre_load
    def _null_is_missing(self, data: Any, **kwargs: Any) -> Any:
        if not isinstance(data, Mapping) or None not in data.values():
            return data
        needed = {field.data_key or name for name, field in self.load_fields.items() if field.required}
        kept = needed | {field.data_key or name for name, field in self.load_fields.items() if field.allow_none}
        return {name: value for name, value in data.items() if value is not None or name in kept}


class Detail(fields.Field[Any]):
    """A field that the message can do without: where it breaks the rule of `inner`, it is as if it were missing.

    Args:
        limit: the characters that a text may have; what is beyond is left out, and the rest stays.
        by: how it is cut, see `shortened`.
    """

    def __init__(self, inner: fields.Field[Any], *, limit: int = 0, by: Cut = cut, **more: Any) -> None:
        super().__init__(allow_none=True, **more)
        self._inner = inner
        self._limit = limit
        self._by = by

    def deserialize(self, value: Any, attr: str | None = None, data: Any = None, **kwargs: Any) -> Any:
        absent = value is None and self.load_default is not missing
        return super().deserialize(missing if absent else value, attr, data, **kwargs)

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> Any:
        if self._limit and isinstance(value, str):
            value = shortened(value, self._limit, attr or "", self._by)
        try:
            return self._inner.deserialize(value, attr, data, **kwargs)
        except ValidationError:
            notice("dropped", attr or "")
            default = self.load_default
            return default() if callable(default) else default


class Id(fields.String):
    """What a platform calls something; some count, so a whole number is a name as well."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> str:
        is_number = isinstance(value, int) and not isinstance(value, bool)
        return str(super()._deserialize(str(value) if is_number else value, attr, data, **kwargs))


class Moment(fields.Field[datetime]):
    """A time: ISO 8601, or Unix seconds or milliseconds, also as a text."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> datetime:
        try:
            if isinstance(value, str) and not re.fullmatch(r"-?[0-9]+(\.[0-9]+)?", value):
                then = datetime.fromisoformat(value)
                return then if then.tzinfo else then.replace(tzinfo=UTC)
            if isinstance(value, bool):
                raise TypeError
            seconds = float(value)
            return datetime.fromtimestamp(seconds / 1000 if abs(seconds) > MILLISECONDS else seconds, UTC)
        except (TypeError, ValueError, OverflowError, OSError):
            raise ValidationError("Must be a time.") from None


def id_field(limit: int = ID_LIMIT) -> Id:
    return Id(required=True, validate=validate.Length(min=1, max=limit))


def label_field(limit: int = LABEL_LIMIT, by: Cut = cut) -> Detail:
    """A name, a title, a remark: too long a one is cut."""
    return Detail(fields.String(validate=validate.Length(min=1)), limit=limit, by=by)


def code_field(limit: int = LABEL_LIMIT) -> Detail:
    """What half of would mean something else, such as a language or an e-mail address: too long a one is dropped."""
    return Detail(fields.String(validate=validate.Length(min=1, max=limit)))


def metadata_field() -> Detail:
    return Detail(fields.Dict(keys=fields.String(), validate=keepable), load_default=dict)


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
    mime_type = code_field()
    file_name = label_field(by=cut_name)
    description = label_field()


class LocationSchema(Lenient):
    latitude = fields.Float(required=True, validate=validate.Range(-90, 90))
    longitude = fields.Float(required=True, validate=validate.Range(-180, 180))
    address = label_field()


class QuickReplySchema(Lenient):
    title = text_field(LABEL_LIMIT)
    replies = fields.List(text_field(LABEL_LIMIT), required=True, validate=validate.Length(min=1, max=REPLIES_LIMIT))


class ImageSchema(Lenient):
    url = url_field()
    label = label_field()


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
    name = label_field()
    locale = code_field(LOCALE_LIMIT)
    email = code_field()
    phone = code_field(32)
    picture = Detail(url_field())
    country = code_field(2)


def parse_json(body: bytes, content_type: str = "") -> dict[str, Any]:
    """The JSON object in a webhook's body.

    Args:
        content_type: the header, which may name a charset.

    Raises:
        BadWebhook: the body is empty, not JSON, or not an object.
    """
    if not body:
        raise BadWebhook("", "The body is empty.")
    try:
        data = parsed(body, content_type)
    except Unreadable as error:
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
