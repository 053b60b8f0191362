"""Reads what a messaging webhook answers: TwiML with messages for the customer, or nothing."""

from dataclasses import dataclass
from xml.etree import ElementTree

from app.sandbox.checks import is_web_url

PARSE_FAILURE, BAD_CONTENT_TYPE, BAD_SCHEMA = 12100, 12300, 12200
MAX_LENGTH = 64_000
XML_TYPES = ("text/xml", "application/xml")
MESSAGE_ATTRIBUTES = {"to", "from", "action", "method", "statusCallback"}


class BadTwiml(Exception):  # the gateway's error, which is an answer of ours
    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code = code


@dataclass(frozen=True)
class Said:
    """One `<Message>`."""

    body: str
    media_urls: tuple[str, ...] = ()
    to: str | None = None
    callback: str | None = None


def read_twiml(content_type: str, raw: bytes) -> list[Said]:
    """An empty answer says nothing, whatever its type."""
    if not raw.strip():
        return []
    if content_type.partition(";")[0].strip().lower() not in XML_TYPES:
        raise BadTwiml(BAD_CONTENT_TYPE, f"The answer has the type {content_type or 'nothing'}, not text/xml")
    root = _parse(raw)
    if root.tag != "Response":
        raise BadTwiml(PARSE_FAILURE, f"The answer is <{root.tag}>, not <Response>")
    if root.text and root.text.strip():
        raise BadTwiml(BAD_SCHEMA, "Words stand in <Response> outside of <Message>")
    return [_read_message(child) for child in root]


def _parse(raw: bytes) -> ElementTree.Element:
    if len(raw) > MAX_LENGTH:
        raise BadTwiml(PARSE_FAILURE, f"The answer has {len(raw)} bytes, at most {MAX_LENGTH} are read")
    if b"<!DOCTYPE" in raw:
        raise BadTwiml(PARSE_FAILURE, "The answer has a document type, TwiML has none")
    try:
        return ElementTree.fromstring(raw)  # noqa: S314  # short, and entities need the document type refused above
    except ElementTree.ParseError as problem:
        raise BadTwiml(PARSE_FAILURE, f"The answer is not well-formed XML: {problem}") from problem


def _read_message(verb: ElementTree.Element) -> Said:
    if verb.tag != "Message":
        raise BadTwiml(BAD_SCHEMA, f"The sandbox reads <Message> only, not <{verb.tag}>")
    unknown = set(verb.attrib) - MESSAGE_ATTRIBUTES
    if unknown:
        raise BadTwiml(BAD_SCHEMA, f"<Message> has no {', '.join(sorted(unknown))}")
    for noun in verb:
        if noun.tag not in ("Body", "Media"):
            raise BadTwiml(BAD_SCHEMA, f"<Message> holds <{noun.tag}>")
    words = (verb.text or "").strip() or "".join((noun.text or "").strip() for noun in verb.iter("Body"))
    media_urls = tuple((noun.text or "").strip() for noun in verb.iter("Media"))
    if not words and not media_urls:
        raise BadTwiml(BAD_SCHEMA, "<Message> is empty")
    if not all(is_web_url(url) for url in media_urls):
        raise BadTwiml(BAD_SCHEMA, "<Media> must hold an absolute URL")
    return Said(words, media_urls, verb.get("to"), verb.get("statusCallback"))
