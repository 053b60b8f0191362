"""Say a content with what a platform can carry: nothing is dropped, what cannot be shown becomes text."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from app.core.message import Attachment, Card, Content, Location, QuickReply, Text

EVERYTHING = frozenset({"text", "attachment", "location", "quick_reply", "card"})


@dataclass(frozen=True)
class Capabilities:
    """What a platform can do.

    `contents` are the content types it carries as they are, `text_limit` counts characters (None: no limit of its own).
    `typing`: it can show that somebody types. `statuses`: it wants to know what became of the messages that came from
    it. `resend_safe`: a repeated send is recognised there. `live`: the customer reads from Patchbay's own event stream.
    `people`: humans answer, so whoever writes from there holds the conversation.
    """

    contents: frozenset[str] = frozenset({"text"})
    text_limit: int | None = None
    typing: bool = False
    statuses: bool = False
    resend_safe: bool = False
    live: bool = False
    people: bool = False


def render(content: Content, capabilities: Capabilities) -> tuple[Content, ...]:
    """One or more contents that the platform can carry, in the order in which they are to be sent."""
    if content.type == "text":
        return tuple(_split(content.text, capabilities.text_limit))  # type: ignore[union-attr]  # Text, by its type
    if content.type in capabilities.contents:
        return (content,)
    if isinstance(content, Card):
        return tuple(part for piece in _card_parts(content) for part in render(piece, capabilities))
    return tuple(_split(as_text(content), capabilities.text_limit))


def as_text(content: Content) -> str:
    """The content in words, for platforms and logs of a conversation that know only text."""
    match content:
        case Text():
            return content.text
        case Attachment():
            name = content.description or content.file_name
            return f"{name}: {content.url}" if name else content.url
        case Location():
            point = f"{content.latitude:g}, {content.longitude:g}"
            return f"{content.address} ({point})" if content.address else point
        case QuickReply():
            return "\n".join([content.title, *(f"{n}. {reply}" for n, reply in enumerate(content.replies, 1))])
        case Card():
            return "\n".join(as_text(part) for part in _card_parts(content))


def _card_parts(card: Card) -> list[Content]:
    images = [Attachment("image", image.url, description=image.label) for image in card.images]
    return [Text(card.text), *images] if card.text else list(images)


def _split(text: str, limit: int | None) -> Iterator[Content]:
    """Pieces of at most `limit` characters, cut at the last white space that leaves a piece at least half full."""
    while limit and len(text) > limit:
        cut = max(text.rfind(" ", limit // 2, limit + 1), text.rfind("\n", limit // 2, limit + 1))
        cut = cut if cut > 0 else limit
        yield Text(text[:cut])
        text = text[cut:].lstrip() if text[cut : cut + 1].isspace() else text[cut:]
    if text:
        yield Text(text)
