"""What Telegram's updates say, in our words.

Source: https://core.telegram.org/bots/api#update and the types that it leads to. What identifies a message or makes it
is strict; anything else may be missing. An update of a kind that is no turn is passed over unread.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from marshmallow import fields, validate

from app.core.events import Event, Ignored, Opted, Written
from app.core.message import Attachment, Content, Location, Profile, Text
from app.core.reading import clean_text
from app.core.schema import (
    LABEL_LIMIT,
    LOCALE_LIMIT,
    TEXT_LIMIT,
    Detail,
    Lenient,
    code_field,
    id_field,
    label_field,
    load,
    shortened,
    text_field,
)
from app.core.text import cut_name
from app.platforms.telegram.api import MAX_FILE

PROVIDER = "telegram"
ALLOWED = ("message", "edited_message", "callback_query", "my_chat_member")  # kinds of updates that we ask for
KIND_LIMIT = 64  # characters under which what is passed over is counted

# A message's one file: where it stands, its kind (None: as its type says) and its type where Telegram names none.
FILES: Mapping[str, tuple[str | None, str | None]] = {
    "photo": ("image", "image/jpeg"),
    "animation": ("video", "video/mp4"),  # it stands under `document` once more
    "video": ("video", "video/mp4"),
    "video_note": ("video", "video/mp4"),
    "voice": ("audio", "audio/ogg"),
    "audio": ("audio", "audio/mpeg"),
    "sticker": ("image", "image/webp"),
    "document": (None, None),
}
# What a message can be that is no turn, or that we cannot say: polls, games, and what happens in a chat.
UNREAD = (
    "poll", "dice", "game", "story", "checklist", "invoice", "successful_payment", "paid_media", "gift", "giveaway",
    "pinned_message", "users_shared", "chat_shared", "write_access_allowed", "web_app_data", "passport_data",
    "message_auto_delete_timer_changed", "connected_website",
)  # fmt: skip

Link = Callable[[str, str], str]
"""The address of ours for a file, from its id at Telegram and its type ('' if nobody knows)."""


class _ChatSchema(Lenient):
    id = id_field()
    type = text_field(32)


class _FromSchema(Lenient):
    first_name = label_field()
    last_name = label_field()
    username = label_field()
    language_code = code_field(LOCALE_LIMIT)


class _FileSchema(Lenient):
    file_id = id_field()
    mime_type = code_field()
    file_name = label_field(by=cut_name)
    file_size = Detail(fields.Integer())
    width = Detail(fields.Integer(), load_default=0)
    height = Detail(fields.Integer(), load_default=0)
    emoji = label_field()
    is_video = Detail(fields.Boolean(), load_default=False)
    is_animated = Detail(fields.Boolean(), load_default=False)


class _PlaceSchema(Lenient):
    latitude = fields.Float(required=True, validate=validate.Range(-90, 90))
    longitude = fields.Float(required=True, validate=validate.Range(-180, 180))


class _VenueSchema(Lenient):
    location = fields.Nested(_PlaceSchema, required=True)
    title = label_field()
    address = label_field()


class _ContactSchema(Lenient):
    phone_number = text_field(64)
    first_name = label_field()
    last_name = label_field()


class _NamedSchema(Lenient):
    message_id = id_field()


class _MessageSchema(_NamedSchema):
    chat = fields.Nested(_ChatSchema, required=True)
    sender = Detail(fields.Nested(_FromSchema), data_key="from", load_default=dict)
    text = text_field(TEXT_LIMIT, required=False)
    caption = text_field(TEXT_LIMIT, required=False)
    photo = fields.List(fields.Nested(_FileSchema), validate=validate.Length(min=1))
    animation, video, video_note, voice, audio, sticker, document = (fields.Nested(_FileSchema) for _ in range(7))
    location = fields.Nested(_PlaceSchema)
    venue = fields.Nested(_VenueSchema)
    contact = fields.Nested(_ContactSchema)
    reply_to_message = Detail(fields.Nested(_NamedSchema))
    forward_origin = Detail(fields.Dict())
    media_group_id = code_field()


class _CustomerSchema(_FromSchema):
    id = id_field()


class _PressedMessageSchema(Lenient):
    chat = fields.Nested(_ChatSchema, required=True)


class _CallbackSchema(Lenient):
    id = id_field()
    sender = fields.Nested(_CustomerSchema, required=True, data_key="from")
    message = fields.Nested(_PressedMessageSchema)
    data = text_field(TEXT_LIMIT, required=False)


class _MemberSchema(Lenient):
    status = text_field(32)


class _MembershipSchema(Lenient):
    chat = fields.Nested(_ChatSchema, required=True)
    old_chat_member = fields.Nested(_MemberSchema, required=True)
    new_chat_member = fields.Nested(_MemberSchema, required=True)


class _UpdateSchema(Lenient):
    update_id = id_field()
    message, callback_query, my_chat_member = (fields.Dict() for _ in range(3))


_update, _message, _callback, _membership = _UpdateSchema(), _MessageSchema(), _CallbackSchema(), _MembershipSchema()


def read(update: Mapping[str, Any], link: Link) -> list[Event]:
    """The events of one update, at least one. Raises: BadWebhook."""
    data = load(_update, update)
    if "message" in data:
        return _written(load(_message, data["message"], "message"), data["message"], link)
    if "callback_query" in data:
        return [_pressed(load(_callback, data["callback_query"], "callback_query"))]
    if "my_chat_member" in data:
        return [_member(load(_membership, data["my_chat_member"], "my_chat_member"))]
    other = next((name for name in update if name != "update_id"), "update.empty")
    return [Ignored(clean_text(other)[:KIND_LIMIT] or "update.empty")]


def named(chat: str, message: object) -> str:
    """A message's id for us: Telegram counts them in each chat anew."""
    return f"{chat}/{message}"


def callback_of(external_id: str | None) -> str | None:
    """The id of the query that a pressed button is; None for what is no button."""
    found = (external_id or "").partition("callback/")
    return found[2] if not found[0] and found[1] else None


def _written(data: Mapping[str, Any], raw: Mapping[str, Any], link: Link) -> list[Event]:
    chat = data["chat"]
    if chat["type"] != "private":
        return [Ignored("message.group")]
    contents = list(_contents(data, link))
    if not contents:
        return [Ignored(f"message.{next((name for name in UNREAD if name in raw), 'other')}")]
    external_id = named(chat["id"], data["message_id"])
    return [
        Written(
            content,
            external_id=f"{external_id}/{part}" if part else external_id,
            customer=f"{PROVIDER}:{chat['id']}",
            profile=_profile(data["sender"]),
            metadata=_metadata(data) if part == 0 else {},
            part=part,
        )
        for part, content in enumerate(contents)
    ]


def _contents(data: Mapping[str, Any], link: Link) -> Iterator[Content]:
    """What a message says: a text, or a file with a caption, or a place, or a contact."""
    if data.get("text"):
        yield Text(clean_text(data["text"]))
    if name := next((name for name in FILES if data.get(name)), None):
        yield from _file(name, _largest(data[name]), clean_text(data.get("caption") or ""), link)
    if venue := data.get("venue"):
        words = ", ".join(filter(None, (venue.get("title"), venue.get("address"))))
        yield Location(**venue["location"], address=shortened(clean_text(words), LABEL_LIMIT, "address") or None)
    elif place := data.get("location"):
        yield Location(**place)
    if contact := data.get("contact"):
        yield Text(clean_text("\n".join(filter(None, (_name(contact), contact["phone_number"])))))


def _file(name: str, file: Mapping[str, Any], caption: str, link: Link) -> Iterator[Content]:
    """A file with its caption, where that is short enough to describe it, else followed by it."""
    kind, usual = _sort_of(name, file)
    mime_type = file.get("mime_type") or usual
    described = caption or (clean_text(file.get("emoji") or ""))
    short = len(described) <= LABEL_LIMIT
    file_name = clean_text(file.get("file_name") or "") or None
    if (file.get("file_size") or 0) > MAX_FILE:  # nobody could fetch it
        yield Text(f"[{file_name or kind}: larger than the {MAX_FILE // 1_000_000} MB that Telegram gives to bots]")
        short = False
    else:
        url = link(file["file_id"], mime_type or "")
        yield Attachment(kind, url, mime_type, file_name, described if short and described else None)
    if described and not short:
        yield Text(described)


def _sort_of(name: str, file: Mapping[str, Any]) -> tuple[str, str | None]:
    """The kind of attachment, and the type that such files have."""
    if name == "sticker" and file["is_video"]:
        return "video", "video/webm"
    if name == "sticker" and file["is_animated"]:
        return "file", "application/x-tgsticker"
    kind, usual = FILES[name]
    family = (file.get("mime_type") or "").partition("/")[0]
    return kind or (family if family in ("image", "video", "audio") else "file"), usual


def _largest(file: Any) -> Mapping[str, Any]:
    """A photo comes in several sizes."""
    sizes = file if isinstance(file, list) else [file]
    largest: Mapping[str, Any] = max(sizes, key=lambda one: (one["width"] or 0) * (one["height"] or 0))
    return largest


def _metadata(data: Mapping[str, Any]) -> dict[str, Any]:
    """What else is known, under our names."""
    found: dict[str, Any] = {}
    if answered := data.get("reply_to_message"):
        found["reply_to"] = named(data["chat"]["id"], answered["message_id"])
    if data.get("forward_origin") is not None:
        found["forwarded"] = True
    if data.get("media_group_id"):
        found["media_group_id"] = data["media_group_id"]
    if data["sender"].get("username"):
        found["username"] = clean_text(data["sender"]["username"])
    command, _, start = clean_text(data.get("text") or "").partition(" ")
    if command == "/start" and start:
        found["start"] = start
    return found


def _pressed(data: Mapping[str, Any]) -> Event:
    """A button below a message; those that we send answer with plain text, so another program sent it."""
    sender = data["sender"]
    chat = data["message"]["chat"] if "message" in data else {"id": sender["id"], "type": "private"}
    if chat["type"] != "private":
        return Ignored("callback_query.group")
    text = clean_text(data.get("data") or "")
    if not text:
        return Ignored("callback_query.game")
    return Written(
        Text(text),
        external_id=f"callback/{data['id']}",
        customer=f"{PROVIDER}:{chat['id']}",
        profile=_profile(sender),
        metadata={"button_payload": text},
    )


def _member(data: Mapping[str, Any]) -> Event:
    """Customers block a bot and let it in again; whoever only began a chat says nothing about messages."""
    chat, old, new = data["chat"], data["old_chat_member"]["status"], data["new_chat_member"]["status"]
    if chat["type"] == "private" and "kicked" in (old, new) and old != new:
        return Opted(f"{PROVIDER}:{chat['id']}", "out" if new == "kicked" else "in")
    return Ignored("my_chat_member")


def _profile(sender: Mapping[str, Any]) -> Profile | None:
    name, locale = shortened(_name(sender), LABEL_LIMIT, "name"), sender.get("language_code")
    return Profile(name=name or None, locale=locale) if name or locale else None


def _name(person: Mapping[str, Any]) -> str:
    return clean_text(" ".join(filter(None, (person.get("first_name"), person.get("last_name")))))
