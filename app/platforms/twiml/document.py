"""What an application answers to Twilio's messaging webhook: messages, a redirect, and what nobody here can do.

Sources: https://www.twilio.com/docs/messaging/twiml, https://www.twilio.com/docs/api/errors.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from typing import Any, NoReturn
from urllib.parse import urljoin
from xml.etree import ElementTree

from msgspec import Struct

from app.core import errors
from app.core.address import address_of
from app.core.errors import Failure
from app.core.events import Said
from app.core.reading import REPLACEMENT, charset_of, clean_text, decoded
from app.core.schema import URL_LIMIT, is_web_url
from app.http import Response
from app.platforms.twilio.addresses import is_address
from app.platforms.twilio.message import MAX_MEDIA, is_callback_url, said

# Twilio's codes for answers that cannot be read.
PARSE_FAILURE, TOO_LARGE, CONTENT_TYPE = 12100, 11750, 12300

DOCUMENT_LIMIT = 64 * 1024  # bytes
XML_TYPES = ("text/xml", "application/xml", "text/html")  # the last one is what most frameworks call any string
MESSAGE_VERBS = ("Message", "Sms")  # the second one is its old name
METHODS = ("POST", "GET")
NAME = re.compile(r"[A-Za-z]{1,32}")
DECLARED = re.compile(rb"<\?xml[^>]*?\sencoding\s*=\s*[\"']([\w.:-]+)")
# What no document may hold (https://www.w3.org/TR/xml/#charsets), as it is or by its number.
ODD = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
LAST = 0x10FFFF
NUMBERED = re.compile(r"&#(?:x([0-9A-Fa-f]{1,8})|([0-9]{1,9}));")


class BadAnswer(Failure):
    """The answer is none that Twilio reads; `code` is Twilio's. What it answers was done all the same."""

    def __init__(self, code: int, detail: str) -> None:
        super().__init__(errors.UNPARSEABLE, detail, maybe_done=True)
        self.code = code


class Target(Struct, frozen=True):
    """Where to call, and how."""

    method: str
    url: str


class Document(Struct, frozen=True):
    """`messages` are lists of contents, one for each message; `redirect` leads to the document that goes on."""

    messages: tuple[tuple[Said, ...], ...] = ()
    redirect: Target | None = None
    unsupported: tuple[str, ...] = ()


def read(answer: Response, url: str, address: str, customer: str) -> Document:
    """The document in an answer that is a success. An empty body says nothing, whatever its type; a plain text is one
    message.

    Args:
        url: where it was found; relative addresses in it begin there.
        address: ours, the only one that messages may come from.
        customer: who wrote; messages without `to` are for them.

    Raises:
        BadAnswer: it is of another type, or no TwiML.
    """
    if not answer.body.strip():
        return Document()
    kind = answer.headers.get("content-type", "")
    mime_type = kind.partition(";")[0].strip().lower()
    if len(answer.body) > DOCUMENT_LIMIT:
        raise BadAnswer(TOO_LARGE, f"the answer has {len(answer.body)} bytes, Twilio reads {DOCUMENT_LIMIT}")
    if mime_type == "text/plain":
        return Document((tuple(_said(clean_text(decoded(answer.body, charset_of(kind))).strip())),))
    if mime_type not in XML_TYPES:
        raise BadAnswer(CONTENT_TYPE, f"the answer is {mime_type[:100] or 'of no type'}, not text/xml")
    return _Reader(url, address, customer).read(_root(answer.body, kind))


class _Plain(ElementTree.TreeBuilder):
    """Without document types, there are no entities that lead elsewhere or grow."""

    def doctype(self, *declared: Any) -> NoReturn:
        raise BadAnswer(PARSE_FAILURE, "the answer has a document type, TwiML has none")


def _root(body: bytes, content_type: str) -> ElementTree.Element:
    """The header's charset counts before the one that the document declares. One odd character is no reason to say
    nothing to the customer."""
    charset, declared = charset_of(content_type), DECLARED.match(body)
    text = decoded(body, charset, charset_of(f"charset={declared[1].decode()}") if declared else "")
    try:
        root = _parsed(text if charset else body, ODD.sub(REPLACEMENT, NUMBERED.sub(_numbered, text.replace("\0", ""))))
    except (ElementTree.ParseError, LookupError, ValueError) as error:  # the latter two: of an unknown encoding
        raise BadAnswer(PARSE_FAILURE, f"the answer is no XML: {error}") from None
    if root.tag != "Response":
        raise BadAnswer(PARSE_FAILURE, "the answer's root is not <Response>")
    return root


def _parsed(*tries: str | bytes) -> ElementTree.Element:
    """The first of these that can be read. Raises: ElementTree.ParseError, LookupError, ValueError: about the first."""
    first, *others = tries
    try:
        return ElementTree.fromstring(first, ElementTree.XMLParser(target=_Plain()))  # noqa: S314 - see _Plain
    except ElementTree.ParseError as error:
        for other in others:
            with suppress(ElementTree.ParseError):
                return _parsed(other)
        raise error from None


def _numbered(found: re.Match[str]) -> str:
    """A character by its number, if there is such a one."""
    number = int(found[1], 16) if found[1] else int(found[2])
    return found[0] if number <= LAST and not ODD.match(chr(number)) else REPLACEMENT


class _Reader:
    """Goes through one document and notes what nobody can do."""

    def __init__(self, url: str, address: str, customer: str) -> None:
        self._url = url
        self._address = address
        self._customer = customer
        self._unsupported: list[str] = []

    def read(self, root: ElementTree.Element) -> Document:
        messages, redirect = [], None
        if any(text and text.strip() for text in (root.text, *(verb.tail for verb in root))):
            self._unsupported.append("text")
        for verb in root:
            if verb.tag in MESSAGE_VERBS:
                messages.append(tuple(self._message(verb)))
            elif verb.tag == "Redirect":
                redirect = self._redirect(verb)
                break  # what follows is never reached
            else:
                self._unsupported.append(f"verb.{_name(verb)}")
        return Document(tuple(filter(None, messages)), redirect, tuple(self._unsupported))

    def _redirect(self, verb: ElementTree.Element) -> Target | None:
        url = self._from_here(_text(verb))
        if len(url) > URL_LIMIT or not is_web_url(url):
            self._unsupported.append("redirect")
            return None
        return Target(_method(verb), url)

    def _message(self, verb: ElementTree.Element) -> list[Said]:
        """The contents of one message; none, if it says nothing or cannot be sent that way."""
        to, sender = verb.get("to", "").strip(), verb.get("from", "").strip()
        if sender and address_of(sender) != self._address:
            self._unsupported.append("from")
            return []
        if to and not is_address(address_of(to)):
            self._unsupported.append("recipient")
            return []
        self._unsupported += [f"noun.{_name(noun)}" for noun in verb if noun.tag not in ("Body", "Media")]
        body = _text(verb) or "".join(_text(noun) for noun in verb.iterfind("Body"))
        somebody_else = address_of(to) if to and address_of(to) != self._customer else None
        found = _said(body, self._media(verb), self._callbacks(verb), somebody_else)
        if not found:
            self._unsupported.append("message")
        return found

    def _media(self, verb: ElementTree.Element) -> list[str]:
        named = [_text(noun) for noun in verb.iterfind("Media")]
        urls = [self._from_here(url) if url else "" for url in named]
        good = [url for url in urls if len(url) <= URL_LIMIT and is_web_url(url)][:MAX_MEDIA]
        self._unsupported += ["media"] * (len(urls) - len(good))
        return good

    def _callbacks(self, verb: ElementTree.Element) -> Iterator[Target]:
        """`action` and `statusCallback` mean the same; only the first one has a method."""
        for name, method in (("action", _method(verb)), ("statusCallback", "POST")):
            if verb.get(name, "").strip():
                url = self._from_here(verb.get(name, "").strip())
                if is_callback_url(url):
                    yield Target(method, url)
                else:
                    self._unsupported.append("callback")

    def _from_here(self, url: str) -> str:
        """The address that a relative one leads to; '' for none."""
        try:
            return urljoin(self._url, url)
        except ValueError:
            return ""


def _said(body: str, media: Sequence[str] = (), callbacks: Iterable[Target] = (), to: str | None = None) -> list[Said]:
    heard = [{"url": target.url, "method": target.method} for target in dict.fromkeys(callbacks)]
    metadata = {"status_callbacks": heard} if heard else {}
    return said(body, media, {**metadata, "twilio": {"direction": "outbound-reply"}}, to)


def _text(element: ElementTree.Element) -> str:
    """The words in an element, not those in others inside of it."""
    return "".join([element.text or "", *(inner.tail or "" for inner in element)]).strip()


def _name(element: ElementTree.Element) -> str:
    return element.tag if NAME.fullmatch(element.tag) else "other"


def _method(verb: ElementTree.Element) -> str:
    method = verb.get("method", "").strip().upper()
    return method if method in METHODS else METHODS[0]
