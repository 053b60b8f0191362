"""Say a content with what a platform can carry: nothing is dropped, what cannot be shown becomes text."""

from __future__ import annotations

from collections.abc import Iterator

from msgspec import Struct
from msgspec.structs import replace

from app.core.message import ATTACHMENT_KINDS, Attachment, Card, Content, Location, QuickReply, Text
from app.core.text import Unit, length, split

EVERYTHING = frozenset({"text", "attachment", "location", "quick_reply", "card"})


class Capabilities(Struct, frozen=True):
    """What a platform can do.

    `contents` are the content types it carries as they are, `text_limit` counts in `text_unit` (None: no limit of its
    own); where nobody knows what a platform counts, it is UTF-16 units, which are never fewer than the code points.
    `described` are the kinds of attachment whose description it shows.
    `typing`: it can show that somebody types. `statuses`: it wants to know what became of the messages that came from
    it. `resend_safe`: a repeated send is recognised there. `live`: the customer reads from Patchbay's own event stream.
    `people`: humans answer, so whoever writes from there holds the conversation. `keywords`: it knows what a customer's
    STOP, START and HELP mean, so it is told of them although they are answered already. `templates`: it keeps messages
    that were approved beforehand, and sends the one that a message's metadata names as `content_sid`.
    """

    contents: frozenset[str] = frozenset({"text"})
    text_limit: int | None = None
    described: frozenset[str] = frozenset(ATTACHMENT_KINDS)
    typing: bool = False
    statuses: bool = False
    resend_safe: bool = False
    live: bool = False
    people: bool = False
    keywords: bool = False
    templates: bool = False
    text_unit: Unit = "utf16"


def render(content: Content, capabilities: Capabilities) -> tuple[Content, ...]:
    """One or more contents that the platform can carry, in the order in which they are to be sent."""
    if content.type == "text":
        return tuple(_split(content.text, capabilities))  # type: ignore[union-attr]  # Text, by its type
    if content.type in capabilities.contents:
        return tuple(_described(content, capabilities))
    if isinstance(content, Card) and "attachment" in capabilities.contents:
        return tuple(part for piece in _card_parts(content) for part in render(piece, capabilities))
    return tuple(_in_words(content, capabilities))


def as_text(content: Content) -> str:
    """The content in words, for platforms and logs of a conversation that know only text."""
    match content:
        case Text():
            return content.text
        case Attachment():
            name = " - ".join(part for part in (content.description, content.file_name) if part)
            return f"{name}: {content.url}" if name else content.url
        case Location():
            point = f"{degrees(content.latitude)}, {degrees(content.longitude)}"
            return f"{content.address} ({point})" if content.address else point
        case QuickReply():
            return "\n".join([content.title, *(f"{n}. {reply}" for n, reply in enumerate(content.replies, 1))])
        case Card():
            return "\n".join(as_text(part) for part in _card_parts(content))


def as_link(file: Attachment, limit: int, unit: Unit) -> str | None:
    """The file in words that fit: its address alone, where that with its name is too long; None, where it is, too."""
    return next((text for text in (as_text(file), file.url) if length(text, unit) <= limit), None)


def _card_parts(card: Card) -> list[Content]:
    images = [Attachment("image", image.url, description=image.label) for image in card.images]
    return [Text(card.text), *images] if card.text else list(images)


def _described(content: Content, capabilities: Capabilities) -> Iterator[Content]:
    """The content, with a description that the platform does not show as a text behind it."""
    if isinstance(content, Attachment) and content.description and content.kind not in capabilities.described:
        yield replace(content, description=None)
        yield from _split(content.description, capabilities)
    else:
        yield content


def degrees(value: float) -> str:
    """To the sixth decimal, which is a hand's breadth."""
    return f"{round(value, 6) + 0.0:.6f}".rstrip("0").rstrip(".")


def _in_words(content: Content, capabilities: Capabilities) -> Iterator[Content]:
    """The content as texts. A file's address has one of its own, where it would be torn else: half a link is none."""
    text, limit = as_text(content), capabilities.text_limit
    if isinstance(content, Attachment) and limit and length(text, capabilities.text_unit) > limit:
        yield from _split(text.removesuffix(content.url), capabilities)
        text = content.url
    yield from _split(text, capabilities)


def _split(text: str, capabilities: Capabilities) -> Iterator[Content]:
    """Texts that the platform takes; they make the text again when they are joined."""
    limit = capabilities.text_limit
    return map(Text, split(text, limit, capabilities.text_unit) if limit else [text] if text else [])
