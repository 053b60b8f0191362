"""A message as Twilio's Messaging API has it (sid, body, up to ten files, status words, error codes), and as ours.

Sources: https://www.twilio.com/docs/messaging/api/message-resource, https://www.twilio.com/docs/api/errors.

What an application says becomes one content or several. The last one speaks for the whole: it carries the sid, and in
its metadata `status_callbacks` (a list of `{"url", "method"}`), `twilio` (`body`, `media`, `direction`, and what else
its maker needs) and `parts`, the ids of the ones before it. Those have `{"twilio": {"part": true}}`, so that nobody
hears of them or lists them.
"""

from __future__ import annotations

import mimetypes
import re
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

import orjson
from marshmallow import ValidationError

from app.core import errors
from app.core.events import Said
from app.core.message import ATTACHMENT_KINDS, Attachment, Content, Direction, Location, Message, Text
from app.core.render import as_text
from app.core.schema import LABEL_LIMIT, URL_LIMIT, is_web_url, keepable
from app.core.status import Status
from app.core.text import cut

BODY_LIMIT = 1_600
MAX_MEDIA = 10

# Our names in a message's metadata for what Twilio says beside the content; all other parameters of its inbound webhook
# stand below `twilio` with their own names.
NAMES = {
    "OriginalRepliedMessageSid": "reply_to",
    "OriginalRepliedMessageSender": "reply_to_sender",
    "ButtonPayload": "button_payload",
    "OptOutType": "opt_out",
    "WaId": "wa_id",
    "ExternalUserId": "external_user_id",
    "Forwarded": "forwarded",
    "FrequentlyForwarded": "frequently_forwarded",
    "ErrorCode": "error_code",  # these two of a fallback: why the first address did not take the message
    "ErrorUrl": "error_url",
}
WORDS = {"true": True, "false": False}
JSON_PARAMETERS = {"ChannelMetadata": "channel_metadata"}
REFERRAL = "Referral"  # begins the parameters of click-to-chat advertisements
# What the message itself, or the one who tells of it, says; whatever was kept of another telling would contradict.
TOLD_ANEW = re.compile(r"Media(Url|ContentType)\d+|Error(Code|Url)|MessageStatus|MessagingServiceSid")

USUAL_TYPES = {"image": "image/jpeg", "audio": "audio/mpeg", "video": "video/mp4", "file": ""}

# Twilio's codes for what our errors begin with; 0: none.
CANCELED = "canceled"
UNKNOWN = 30008
CODES = {
    errors.OPTED_OUT.code: 21610,
    errors.GONE.code: 30003,
    errors.REJECTED.code: UNKNOWN,
    errors.UNSUPPORTED.code: 63005,  # the channel did not accept the content
    errors.THROTTLED.code: 63018,
    errors.TIMED_OUT.code: UNKNOWN,
    errors.UNAVAILABLE.code: UNKNOWN,
    errors.UNPARSEABLE.code: UNKNOWN,
    errors.UNAUTHORISED.code: 20003,
    errors.MISCONFIGURED.code: 21606,
    errors.UNEXPECTED.code: UNKNOWN,
    "poison": UNKNOWN,
    errors.EXPIRED.code: 30036,  # its validity period was over
    CANCELED: 0,
}
CODED = re.compile(r"(?:HTTP \d{3}: )?([1-9]\d{4})(?:[ :;,.]+(.*))?\Z", re.DOTALL)

SID = re.compile(r"(?:SM|MM)([0-9a-f]{32})\Z")
HOST = re.compile(r"(?!-)[A-Za-z0-9-]{1,63}(?<!-)(?:\.(?!-)[A-Za-z0-9-]{1,63}(?<!-))*\Z")
CALLBACK_RULE = (
    "Must be an absolute http or https URL without credentials, with a valid host name, which has no _ in it."
)


def said(body: str, media: Sequence[str], metadata: Mapping[str, Any], to: str | None = None) -> list[Said]:
    """A message of an application as contents; none, if it says nothing.

    Args:
        media: absolute http or https URLs.
        metadata: of the last content; `body` and `media` are added below its `twilio`. Where all of that is more than
            can be kept, the last URLs are left out there, and of the body what is beyond Twilio's limit.
        to: the address of somebody else than the customer who wrote.
    """
    contents = _contents(body, media)
    if not contents:
        return []
    *before, last = contents
    kept = list(media)
    told = {"body": cut(body, BODY_LIMIT, "characters"), "media": kept}
    marked = {**metadata, "twilio": {**metadata.get("twilio", {}), **told}}
    while kept and not _fits(marked):
        kept.pop()
    return [*(Said(content, {"twilio": {"part": True}}, to, part=True) for content in before), Said(last, marked, to)]


def shown(content: Content) -> tuple[str, list[str]]:
    """One content as Twilio has it: body and files. A place has neither, it stands in parameters of its own."""
    match content:
        case Attachment():
            return content.description or "", [content.url]
        case Location():
            return "", []
    return as_text(content), []


def mime_type_of(file: Attachment) -> str:
    """Where nobody named a file's type, its name or kind tells; '' where they do not."""
    guessed = (_type_by(name or "") for name in (file.file_name, file.url))
    stated = (file.mime_type or "").partition(";")[0].strip().lower()
    return stated or next(filter(None, guessed), None) or USUAL_TYPES[file.kind]


def parameters(metadata: Mapping[str, Any]) -> dict[str, str]:
    """What an inbound message's metadata says beside the content, as Twilio's parameters."""
    rest, referral = (_mapping(metadata.get(name)) for name in ("twilio", "referral"))
    found: dict[str, Any] = {**rest, **{REFERRAL + name: value for name, value in referral.items()}}
    found |= {name: metadata.get(ours) for name, ours in NAMES.items()}
    words = {name: str(value).lower() if isinstance(value, bool) else value for name, value in found.items()}
    for name, ours in JSON_PARAMETERS.items():
        value = metadata.get(ours)
        words[name] = orjson.dumps(value).decode() if value and not isinstance(value, str) else value
    return {
        name: value
        for name, value in words.items()
        if isinstance(value, str) and value and not TOLD_ANEW.fullmatch(name)
    }


def whole(message: Message) -> tuple[str, list[str]]:
    """Body and files of a message, with those that went before it as contents of their own."""
    kept = _kept(message)
    if isinstance(message.content, Attachment) and "media" in kept:
        return kept["body"], kept["media"]
    return shown(message.content)


def is_part(message: Message) -> bool:
    """Whether a later message speaks for this one."""
    return _kept(message).get("part") is True


def parts_of(message: Message) -> list[str]:
    """The ids of the messages that it speaks for."""
    return message.parts if _kept(message) else []


def sid_for(message_id: str, content: Content) -> str:
    """The sid under which an application knows a content of that id."""
    return ("MM" if isinstance(content, Attachment) else "SM") + message_id


def sid_of(message: Message) -> str:
    """The sid under which an application knows a message of ours."""
    return sid_for(message.id, message.content)


def id_of(sid: str) -> str | None:
    """The id of ours in a sid; None for one that we cannot have made."""
    found = SID.match(sid)
    return found[1] if found else None


def error_of(error: str) -> tuple[int, str]:
    """ErrorCode (0: none) and ErrorMessage of a failed message. A code of Twilio's in our error passes through."""
    kind, words = _taken_apart(error)
    if found := CODED.match(words):
        return int(found[1]), found[2] or ""
    return CODES.get(kind, UNKNOWN), words


def status_word(direction: Direction, status: Status, error: str = "") -> str:
    """A message's status in Twilio's words: ours for messages to customers, except where one was called off."""
    if direction == "inbound":
        return "received"
    return CANCELED if status == "failed" and _taken_apart(error)[0] == CANCELED else status


def is_callback_url(value: str) -> bool:
    """Whether Twilio would call it: absolute, http or https, with a valid host name, so without an underscore there."""
    return len(value) <= URL_LIMIT and is_web_url(value) and bool(HOST.match(urlsplit(value).hostname or ""))


def _type_by(name: str) -> str | None:
    """The type that a file's name or address ends with."""
    try:
        return mimetypes.guess_type(urlsplit(name).path)[0]
    except ValueError:  # it looks like an address, and is none
        return None


def _contents(body: str, media: Sequence[str]) -> list[Content]:
    """A description is short, so a longer body is a text of its own before the files."""
    files: list[Content] = [_file(url, body if number == 0 else "") for number, url in enumerate(media)]
    alone: list[Content] = [Text(body)] if body and (not files or len(body) > LABEL_LIMIT) else []
    return alone + files


def _file(url: str, description: str) -> Attachment:
    mime_type = _type_by(url)
    kind = (mime_type or "").partition("/")[0]
    described = description if 0 < len(description) <= LABEL_LIMIT else None
    return Attachment(kind if kind in ATTACHMENT_KINDS else "file", url, mime_type, description=described)


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _kept(message: Message) -> Mapping[str, Any]:
    """What `said` wrote down; below the same name stand an inbound message's parameters."""
    return _mapping(message.metadata.get("twilio")) if message.direction == "outbound" else {}


def _fits(metadata: Mapping[str, Any]) -> bool:
    try:
        keepable(metadata)
    except ValidationError:
        return False
    return True


def _taken_apart(error: str) -> tuple[str, str]:
    """The kind that our errors begin with ('' if none), and the words behind it."""
    kind, _, words = error.partition(":")
    return (kind, words.strip()) if kind in CODES else ("", error)
