"""What a content is at Telegram: a method and its parameters.

Texts go without `parse_mode`, so nothing in them is taken for markup. Files are fetched by Telegram from the address
that we name; it takes only some types that way, and the others go as links.
Source: https://core.telegram.org/bots/api#sending-files.
"""

from __future__ import annotations

import mimetypes
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from app.core import errors
from app.core.errors import Failure
from app.core.message import Attachment, Content, Location, QuickReply
from app.core.reading import clean_text
from app.core.render import Capabilities, as_link, as_text, degrees
from app.core.text import Unit, cut, length

UNIT: Unit = "utf16"
TEXT_UNITS, CAPTION_UNITS = 4096, 1024
CAPABILITIES = Capabilities(
    contents=frozenset({"text", "attachment", "location", "quick_reply"}),
    text_limit=TEXT_UNITS,
    text_unit=UNIT,
    typing=True,
)

# By type, the method that sends such a file from an address, and the name of the file there.
PHOTO, VIDEO, AUDIO, VOICE = (
    ("sendPhoto", "photo"),
    ("sendVideo", "video"),
    ("sendAudio", "audio"),
    ("sendVoice", "voice"),
)
ANIMATION, DOCUMENT = ("sendAnimation", "animation"), ("sendDocument", "document")
BY_TYPE: Mapping[str, tuple[str, str]] = {
    "image/jpeg": PHOTO,
    "image/jpg": PHOTO,
    "image/png": PHOTO,
    "image/webp": PHOTO,
    "image/gif": ANIMATION,
    "video/mp4": VIDEO,
    "audio/mpeg": AUDIO,
    "audio/mp3": AUDIO,
    "audio/mp4": AUDIO,
    "audio/x-m4a": AUDIO,
    "audio/ogg": VOICE,
    "application/pdf": DOCUMENT,
    "application/zip": DOCUMENT,
}
BY_KIND: Mapping[str, tuple[str, str]] = {"image": PHOTO, "video": VIDEO, "audio": AUDIO}  # where nobody knows the type

Call = tuple[str, dict[str, Any]]


def call_for(content: Content) -> Call:
    """The method that says this, and its parameters but for the chat. Raises: Failure, nothing can say it."""
    match content:
        case Attachment():
            return _file(content) or link_to(content)
        case Location(address=None):
            return "sendLocation", _point(content)
        case Location(address=address):
            where = f"{degrees(content.latitude)}, {degrees(content.longitude)}"
            return "sendVenue", {**_point(content), "title": clean_text(address or where), "address": where}
        case QuickReply():
            return "sendMessage", {**_text(content.title), "reply_markup": _keyboard(content.replies)}
    return "sendMessage", _text(as_text(content))


def link_to(file: Attachment) -> Call:
    """A file as its address in words. Raises: Failure, it is too long."""
    text = as_link(file, TEXT_UNITS, UNIT)
    if text is None:
        raise Failure(errors.UNSUPPORTED, f"the file's address is longer than Telegram's {TEXT_UNITS} units")
    return "sendMessage", _text(text)


def _text(text: str) -> dict[str, Any]:
    text = clean_text(text)
    if length(text, UNIT) > TEXT_UNITS:
        raise Failure(errors.UNSUPPORTED, f"longer than Telegram's {TEXT_UNITS} units")
    return {"text": text}


def _file(file: Attachment) -> Call | None:
    """None, if Telegram takes no such file from an address."""
    found = _type_of(file)
    way = BY_TYPE.get(found) if found else BY_KIND.get(file.kind)
    if way is None:
        return None
    method, name = way
    caption = cut(clean_text(file.description or ""), CAPTION_UNITS, UNIT)
    return method, {name: file.url, **({"caption": caption} if caption else {})}


def _type_of(file: Attachment) -> str:
    """As somebody said, else as the name tells; '' if nobody knows."""
    if file.mime_type:
        return file.mime_type.partition(";")[0].strip().lower()
    names = filter(None, (file.file_name, _path(file.url)))
    return next((found for name in names if (found := mimetypes.guess_type(f"/{name}", strict=False)[0])), "")


def _path(url: str) -> str:
    try:
        return urlsplit(url).path
    except ValueError:
        return ""


def _point(place: Location) -> dict[str, Any]:
    return {"latitude": round(place.latitude, 6) + 0.0, "longitude": round(place.longitude, 6) + 0.0}


def _keyboard(replies: tuple[str, ...]) -> dict[str, Any]:
    """A button a row, gone once one was pressed: the customer then says what stands on it."""
    rows = [[{"text": clean_text(reply)}] for reply in replies]
    return {"keyboard": rows, "one_time_keyboard": True, "resize_keyboard": True}
