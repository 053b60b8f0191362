"""What each method of the Bot API takes. Source: https://core.telegram.org/bots/api#available-methods."""

import json
from collections.abc import Mapping

from flask import Request

from app.sandbox.checks import (
    Check,
    Field,
    Json,
    Refused,
    as_object,
    boolean,
    integer,
    list_of,
    number,
    one_of,
    optional,
    read_json_body,
    record,
    text,
)

UPDATES = (
    "message", "edited_message", "channel_post", "edited_channel_post", "callback_query", "my_chat_member",
    "chat_member", "message_reaction", "inline_query", "poll",
)  # fmt: skip
ACTIONS = ("typing", "upload_photo", "upload_document", "record_voice")
TEXT_UNITS, CAPTION_UNITS = 4096, 1024
SECRET = text(256, minimum=1, pattern="[A-Za-z0-9_-]+", shape="letters, digits, _ and -")


def units(maximum: int, minimum: int = 0) -> Check:
    """A text whose length counts in UTF-16 units, and that is no half character."""
    is_text = text()

    def check(value: object, path: str) -> None:
        is_text(value, path)
        try:
            length = len(str(value).encode("utf-16-le")) // 2
        except UnicodeEncodeError as problem:
            raise Refused(path, "strings must be encoded in UTF-8") from problem
        if length < minimum or (minimum and not str(value).strip()):
            raise Refused(path, "is empty")
        if length > maximum:
            raise Refused(path, "is too long")

    return check


BUTTON = record({"text": Field(units(256, 1))})
KEYBOARD = record(
    {
        "keyboard": Field(list_of(list_of(BUTTON))),
        "one_time_keyboard": optional(boolean),
        "resize_keyboard": optional(boolean),
    }
)
CHAT = {
    "chat_id": Field(integer(-(2**52), 2**52)),
    "disable_notification": optional(boolean),
    "protect_content": optional(boolean),
    "reply_markup": optional(KEYBOARD),
}
PLACE = {"latitude": Field(number(-90, 90)), "longitude": Field(number(-180, 180))}
FILES = ("photo", "video", "animation", "audio", "voice", "document")


def _file(name: str) -> Check:
    return record({**CHAT, name: Field(text(2000, minimum=1)), "caption": optional(units(CAPTION_UNITS))})


METHODS: Mapping[str, Check] = {
    "getMe": record({}),
    "setWebhook": record(
        {
            "url": Field(text(2000)),
            "secret_token": optional(SECRET),
            "allowed_updates": optional(list_of(one_of(UPDATES), minimum=0)),
            "max_connections": optional(integer(1, 100)),
            "drop_pending_updates": optional(boolean),
        }
    ),
    "deleteWebhook": record({"drop_pending_updates": optional(boolean)}),
    "getWebhookInfo": record({}),
    "sendMessage": record({**CHAT, "text": Field(units(TEXT_UNITS, 1))}),
    **{f"send{name.capitalize()}": _file(name) for name in FILES},
    "sendLocation": record({**CHAT, **PLACE}),
    "sendVenue": record({**CHAT, **PLACE, "title": Field(units(256, 1)), "address": Field(units(256, 1))}),
    "sendChatAction": record({"chat_id": CHAT["chat_id"], "action": Field(one_of(ACTIONS))}),
    "getFile": record({"file_id": Field(text(256, minimum=1))}),
    "answerCallbackQuery": record({"callback_query_id": Field(text(256, minimum=1))}),
}
# As text they stand in forms and addresses; there these are JSON.
NO_TEXTS = {
    "chat_id", "disable_notification", "protect_content", "reply_markup", "latitude", "longitude", "allowed_updates",
    "max_connections", "drop_pending_updates",
}  # fmt: skip


def read_parameters(request: Request) -> Json:
    """From a JSON body, a form, or the address."""
    if request.mimetype == "application/json":
        return as_object(read_json_body(request.mimetype, request.get_data()), "body")
    return {name: _read(name, value) for name, value in request.values.items()}


def _read(name: str, value: str) -> object:
    try:
        return json.loads(value) if name in NO_TEXTS else value
    except ValueError as problem:
        raise Refused(name, "is not valid JSON") from problem
