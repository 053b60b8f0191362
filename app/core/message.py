"""What a message is: content, who wrote it, on which conversation. Frozen values and their one codec.

A content says which it is in its field `type`. What is not set is not written; what a stored message says beside the
fields that we know is passed over, as a later version may have written it.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Mapping
from typing import Any, Literal

from msgspec import Struct, convert, field, json, to_builtins

from app.core.reading import encoded, stored

Direction = Literal["inbound", "outbound"]
Author = Literal["customer", "bot", "agent", "system"]
LEAST_DEGREES = 1e-5  # a metre
ATTACHMENT_KINDS = ("image", "video", "audio", "file")


class _Tagged(Struct, frozen=True, omit_defaults=True, tag_field="type"):
    @property
    def type(self) -> str:
        return str(self.__struct_config__.tag)


class Text(_Tagged, frozen=True, tag="text"):
    text: str


class Attachment(_Tagged, frozen=True, tag="attachment"):
    """`kind` is one of ATTACHMENT_KINDS; `url` is absolute, http or https."""

    kind: str
    url: str
    mime_type: str | None = None
    file_name: str | None = None
    description: str | None = None


class Location(_Tagged, frozen=True, tag="location"):
    """Degrees, -90..90 and -180..180."""

    latitude: float
    longitude: float
    address: str | None = None


class QuickReply(_Tagged, frozen=True, tag="quick_reply"):
    title: str
    replies: tuple[str, ...]


class Image(Struct, frozen=True, omit_defaults=True):
    url: str
    label: str | None = None


class Card(_Tagged, frozen=True, omit_defaults=False, tag="card"):
    """What a bot shows beside what it says: a text and pictures with labels."""

    text: str
    images: tuple[Image, ...] = ()


Content = Text | Attachment | Location | QuickReply | Card


class Profile(Struct, frozen=True, omit_defaults=True):
    """What the channel knows of the customer; every part may be missing."""

    name: str | None = None
    locale: str | None = None
    email: str | None = None
    phone: str | None = None
    picture: str | None = None
    country: str | None = None


class Message(Struct, frozen=True, omit_defaults=True):
    """One message of one conversation.

    `id` is ours; `external_id` is the id that the platform it came from gave it. `customer` is the customer's address
    (`provider:identifier`), `channel` the channel's name. `source` names the channel or destination it came from.
    `at` is when Patchbay took it, in Unix milliseconds.
    """

    id: str
    direction: Direction
    channel: str
    customer: str
    content: Content
    author: Author
    source: str
    at: int
    external_id: str | None = None
    profile: Profile | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict)

    @property
    def conversation(self) -> str:
        return conversation_key(self.channel, self.customer)

    @property
    def parts(self) -> list[str]:
        """The ids of the messages before it for which it speaks (see `app.core.events.Said`): it fails with each."""
        found = self.metadata.get("parts") if self.direction == "outbound" else None
        return [part for part in found if isinstance(part, str)] if isinstance(found, list) else []


def conversation_key(channel: str, customer: str) -> str:
    """`channel` is a configured name and holds no slash, so the key can be taken apart again."""
    return f"{channel}/{customer}"


def split_conversation(conversation: str) -> tuple[str, str]:
    """(channel name, customer address) of a conversation key."""
    channel, _, customer = conversation.partition("/")
    return channel, customer


def new_id() -> str:
    """32 hex characters: fits every platform's alphabet and length, of which some take 50 characters and no dashes."""
    return secrets.token_hex(16)


def derived_id(parent: str, part: object) -> str:
    """The same parent and part always give the same id, so work that is done again makes the same message."""
    return hashlib.sha256(f"{parent}/{part}".encode()).hexdigest()[:32]


def content_to_dict(content: Content) -> dict[str, Any]:
    """The wire form of Patchbay's own JSON: `type` and the fields that are set."""
    data: dict[str, Any] = to_builtins(content)
    for several in ("replies", "images"):
        if several in data:
            data[several] = list(data[several])
    return data


def outward(content: Content) -> dict[str, Any]:
    """The wire form for others: places to the sixth decimal, which is a hand's breadth."""
    data = content_to_dict(content)
    if isinstance(content, Location):
        data |= {"latitude": coordinate(content.latitude), "longitude": coordinate(content.longitude)}
    return data


def coordinate(degrees: float) -> float:
    """Degrees as a number of JSON: to the sixth decimal, and never so small that it would be written as 1e-06."""
    return round(degrees, 6) + 0.0 if abs(degrees) >= LEAST_DEGREES else 0.0


def content_from_dict(data: Mapping[str, Any]) -> Content:
    """The inverse of `content_to_dict` for data that is known to be valid (see `app.core.schema` for other data)."""
    found: Content = convert(data, Content)
    return found


_WRITTEN, _READ = json.Encoder(), json.Decoder(Message)


def encode(message: Message) -> bytes:
    """The form in which a message is stored. Raises: TypeError, it can be no JSON."""
    try:
        return _WRITTEN.encode(message)
    except UnicodeEncodeError:  # half of a surrogate pair
        return encoded(to_builtins(message))


def decode(raw: str | bytes) -> Message:
    """The inverse of `encode`, of any version before this one, too. Raises: ValueError, it is no message."""
    try:
        return _READ.decode(raw)
    except ValueError:
        return convert(stored(raw), Message, strict=False)
