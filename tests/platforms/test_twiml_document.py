"""TwiML as applications answer it, most of it made by Twilio's own library."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from twilio.twiml.messaging_response import MessagingResponse

from app.core import errors
from app.core.events import Said
from app.core.message import Attachment, Content, Text
from app.http import Response
from app.platforms.twiml.document import DOCUMENT_LIMIT, BadAnswer, Document, Target, read
from tests.support.values import THOROUGH

HERE = "https://app.example.test/in/sms?tenant=7"
OURS, CUSTOMER = "sms:+15551239999", "webchat:ada"
PNG = "https://cdn.example.test/a.png"
XML = {"content-type": "text/xml; charset=utf-8"}
REPLY = {"direction": "outbound-reply"}


def answer(body: str | bytes, headers: Any = XML) -> Document:
    return read(Response(200, headers, body.encode() if isinstance(body, str) else body), HERE, OURS, CUSTOMER)


def response(inside: str) -> Document:
    return answer(f"<Response>{inside}</Response>")


def contents(document: Document) -> list[list[Content]]:
    return [[said.content for said in message] for message in document.messages]


def callbacks(document: Document) -> list[tuple[str, str]]:
    ((said,),) = document.messages
    return [(entry["method"], entry["url"]) for entry in said.metadata.get("status_callbacks", [])]


def picture(url: str, description: str | None = None) -> Attachment:
    return Attachment("image", url, "image/png", description=description)


# --- against Twilio's library ---

words = st.text(st.characters(exclude_categories=["Cs", "Cc", "Cn"]), max_size=300).map(str.strip)
some_words = words.filter(bool)
files = st.lists(st.sampled_from([PNG, "https://cdn.example.test/b?c=d&e=<f>"]), max_size=3)
messages = st.tuples(words, words, files).filter(any)
redirects = st.tuples(st.sampled_from(["https://other.example.test/x?a=b&c=d", "/next", "?step=2"]), st.sampled_from(
    ["GET", "POST"]
))  # fmt: skip
WHERE = {"/next": "https://app.example.test/next", "?step=2": "https://app.example.test/in/sms?step=2"}


@THOROUGH
@given(st.lists(st.one_of(messages, redirects), max_size=6))
def test_what_twilios_library_writes_is_read(verbs: list[Any]) -> None:
    written, expected, redirect = MessagingResponse(), [], None
    for verb in verbs:
        if len(verb) == 2:
            written.redirect(verb[0], method=verb[1])
            redirect = redirect or Target(verb[1], WHERE.get(verb[0], verb[0]))
            continue
        own, noun, media = verb
        message = written.message(own)
        if noun:
            message.body(noun)
        for url in media:
            message.media(url)
        if redirect is None:
            expected.append((own or noun, media))
    found = answer(str(written))
    assert [(said[-1].metadata["twilio"]["body"], said[-1].metadata["twilio"]["media"]) for said in found.messages] == [
        *expected
    ]
    assert (found.redirect, found.unsupported) == (redirect, ())


@THOROUGH
@given(st.binary(max_size=60) | st.text(max_size=60).map(lambda text: f"<Response>{text}</Response>".encode()))
def test_whatever_comes_is_read_or_bad(body: bytes) -> None:
    try:
        found = answer(body)
    except BadAnswer:
        return
    assert isinstance(found, Document)


# --- messages ---

MESSAGES: dict[str, tuple[str, list[list[Content]]]] = {
    "nothing": ("", []),
    "a text": ("<Message>Hi &amp; bye</Message>", [[Text("Hi & bye")]]),
    "a text with space around": ("<Message>\n  Hi\n  you\n</Message>", [[Text("Hi\n  you")]]),
    "a body": ("<Message><Body>Hi</Body></Message>", [[Text("Hi")]]),
    "a text before a body": ("<Message>Hi<Body>Ho</Body></Message>", [[Text("Hi")]]),
    "a text around others": (f"<Message>Hi <Media>{PNG}</Media>you</Message>", [[picture(PNG, "Hi you")]]),
    "a comment inside": ("<Message>Hi<!-- no --> you</Message>", [[Text("Hi you")]]),
    "marked text": ("<Message><![CDATA[1 < 2]]></Message>", [[Text("1 < 2")]]),
    "the old name": ("<Sms>Hi</Sms>", [[Text("Hi")]]),
    "several": ("<Message>One</Message><Message>Two</Message>", [[Text("One")], [Text("Two")]]),
    "a picture": (f"<Message><Media>{PNG}</Media></Message>", [[picture(PNG)]]),
    "a picture and a body": (f"<Message><Body>Look</Body><Media>{PNG}</Media></Message>", [[picture(PNG, "Look")]]),
    "two pictures": (
        f"<Message>Look<Media>{PNG}</Media><Media>{PNG}?2</Media></Message>",
        [[picture(PNG, "Look"), picture(f"{PNG}?2")]],
    ),
    "a picture with a long text": (
        f"<Message>{'x' * 300}<Media>{PNG}</Media></Message>",
        [[Text("x" * 300), picture(PNG)]],
    ),
    "a relative picture": (
        "<Message><Media>../a.png</Media></Message>", [[picture("https://app.example.test/a.png")]]
    ),
    "a text beyond Twilio's limit": (f"<Message>{'x' * 2_000}</Message>", [[Text("x" * 2_000)]]),
}  # fmt: skip


@pytest.mark.parametrize(("inside", "expected"), MESSAGES.values(), ids=MESSAGES)
def test_messages_become_contents(inside: str, expected: list[list[Content]]) -> None:
    found = response(inside)
    assert (expected, ()) == (contents(found), found.unsupported)


# What cannot be done, how it is called, and what is said all the same.
UNSUPPORTED: dict[str, tuple[str, list[str], list[list[Content]]]] = {
    "a verb of calls": ("<Dial>+1555</Dial><Message>Hi</Message>", ["verb.Dial"], [[Text("Hi")]]),
    "a verb in small letters": ("<message>Hi</message>", ["verb.message"], []),
    "a verb of odd letters": ("<Wörd/><a1/>", ["verb.other", "verb.other"], []),
    "a verb of another name space": ('<Message xmlns="urn:x">Hi</Message>', ["verb.other"], []),
    "a verb too long": (f"<{'x' * 33}/>", ["verb.other"], []),
    "a message in a message": ("<Message>Hi<Message>Ho</Message></Message>", ["noun.Message"], [[Text("Hi")]]),
    "text outside": ("Hi<Message>Ho</Message>", ["text"], [[Text("Ho")]]),
    "text behind": ("<Message>Ho</Message>Hi", ["text"], [[Text("Ho")]]),
    "an empty message": ("<Message/>", ["message"], []),
    "a blank message": ("<Message> <Body> </Body></Message>", ["message"], []),
    "a file": ("<Message>Hi<Media>file:///etc/passwd</Media></Message>", ["media"], [[Text("Hi")]]),
    "a file alone": ("<Message><Media>file:///etc/passwd</Media></Message>", ["media", "message"], []),
    "a picture with credentials": ("<Message>Hi<Media>https://a:b@c.test/</Media></Message>", ["media"], [
        [Text("Hi")]
    ]),
    "a picture of no address": ("<Message>Hi<Media> </Media></Message>", ["media"], [[Text("Hi")]]),
    "a picture that leads nowhere": ("<Message>Hi<Media>http://[</Media></Message>", ["media"], [[Text("Hi")]]),
    "too long an address": (f"<Message>Hi<Media>{PNG}{'x' * 2_000}</Media></Message>", ["media"], [[Text("Hi")]]),
    "too many pictures": (f"<Message>{f'<Media>{PNG}</Media>' * 12}</Message>", ["media", "media"], [
        [picture(PNG)] * 10
    ]),
    "from somebody else": ('<Message from="+15550000000">Hi</Message><Message>Ho</Message>', ["from"], [[Text("Ho")]]),
    "from a name": ('<Message from="Shop">Hi</Message>', ["from"], []),
    "to nobody there can be": (f'<Message to="{"1" * 300}">Hi</Message>', ["recipient"], []),
    "to a broken address": ('<Message to="webchat:a&#10;b">Hi</Message>', ["recipient"], []),
    "to an address without an end": ('<Message to="whatsapp:">Hi</Message>', ["recipient"], []),
    "to a number that is none": ('<Message to="whatsapp:+0">Hi</Message>', ["recipient"], []),
    "a callback with _": ('<Message action="https://a_b.test/">Hi</Message>', ["callback"], [[Text("Hi")]]),
    "a callback by mail": ('<Message statusCallback="mailto:a@b.test">Hi</Message>', ["callback"], [[Text("Hi")]]),
    "a redirect by mail": ("<Redirect>mailto:a@b.test</Redirect><Message>Hi</Message>", ["redirect"], []),
    "a redirect that leads nowhere": ("<Redirect>http://[</Redirect>", ["redirect"], []),
}  # fmt: skip


@pytest.mark.parametrize(("inside", "unsupported", "expected"), UNSUPPORTED.values(), ids=UNSUPPORTED)
def test_what_nobody_can_do_is_named(inside: str, unsupported: list[str], expected: list[list[Content]]) -> None:
    found = response(inside)
    assert (expected, unsupported, None) == (contents(found), list(found.unsupported), found.redirect)


FROM = {
    "ours": "+15551239999",
    "ours in full": "sms:+15551239999",
    "ours in capitals": "SMS:+15551239999",
    "nobody": "",
}


@pytest.mark.parametrize("sender", FROM.values(), ids=FROM)
def test_a_message_comes_from_our_address(sender: str) -> None:
    assert contents(response(f'<Message from="{sender}">Hi</Message>')) == [[Text("Hi")]]


TO: dict[str, tuple[str, str | None]] = {
    "a number": ("+15551230001", "sms:+15551230001"),
    "another channel": ("WhatsApp:+15551230001", "whatsapp:+15551230001"),
    "somebody else here": ("webchat:grace", "webchat:grace"),
    "whoever wrote": (CUSTOMER, None),
    "nobody": (" ", None),
}


@pytest.mark.parametrize(("to", "expected"), TO.values(), ids=TO)
def test_a_message_goes_to_somebody_else(to: str, expected: str | None) -> None:
    found = response(f'<Message to="{to}">{"x" * 300}<Media>{PNG}</Media></Message>')
    assert [expected, expected] == [said.to for said in found.messages[0]]


CALLBACKS: dict[str, tuple[str, list[tuple[str, str]]]] = {
    "none": ("", []),
    "an action": ('action="https://a.test/s"', [("POST", "https://a.test/s")]),
    "an action by GET": ('action="https://a.test/s" method="get"', [("GET", "https://a.test/s")]),
    "an action by a strange method": ('action="https://a.test/s" method="PUT"', [("POST", "https://a.test/s")]),
    "a relative one": ('action="status"', [("POST", "https://app.example.test/in/status")]),
    "a status callback": ('statusCallback="/s" method="GET"', [("POST", "https://app.example.test/s")]),
    "both": ('statusCallback="/s" action="/a" method="GET"', [
        ("GET", "https://app.example.test/a"), ("POST", "https://app.example.test/s")
    ]),
    "both the same": ('statusCallback="/s" action="/s"', [("POST", "https://app.example.test/s")]),
}  # fmt: skip


@pytest.mark.parametrize(("attributes", "expected"), CALLBACKS.values(), ids=CALLBACKS)
def test_a_message_names_who_hears_of_it(attributes: str, expected: list[tuple[str, str]]) -> None:
    assert expected == callbacks(response(f"<Message {attributes}>Hi</Message>"))


def test_a_message_says_that_it_is_a_reply() -> None:
    kept = {"twilio": {**REPLY, "body": "Hi", "media": []}}
    assert response("<Message>Hi</Message>").messages == ((Said(Text("Hi"), kept),),)


def test_nothing_after_a_redirect_is_read() -> None:
    found = response("<Message>One</Message><Redirect>two</Redirect><Message>Three</Message><Dial/>")
    assert [[Text("One")]] == contents(found)
    assert (Target("POST", "https://app.example.test/in/two"), ()) == (found.redirect, found.unsupported)


def test_an_empty_redirect_leads_back() -> None:
    assert Target("GET", HERE) == response('<Redirect method="GET"/>').redirect


# --- other answers ---

PLAIN: dict[str, tuple[str, bytes, str]] = {
    "a text": ("text/plain", b" Hi <b>\n", "Hi <b>"),
    "UTF-8": ("text/plain; charset=utf-8", "Größe".encode(), "Größe"),
    "UTF-8 by default": ("Text/Plain", "Größe".encode(), "Größe"),
    "Latin": ('text/plain; charset="iso-8859-1"', "Größe".encode("latin-1"), "Größe"),
    "an unknown encoding": ("text/plain; charset=klingon", b"Hi", "Hi"),
    "an encoding of something else": ("text/plain; charset=hex", b"4869", "4869"),
    "broken": ("text/plain", b"Hi \xff", "Hi \ufffd"),
    "half a character": ("text/plain; charset=utf-7", b"Hi +2AA-", "Hi \ufffd"),
}


@pytest.mark.parametrize(("kind", "body", "text"), PLAIN.values(), ids=PLAIN)
def test_a_plain_text_is_one_message(kind: str, body: bytes, text: str) -> None:
    assert [[Text(text)]] == contents(answer(body, {"content-type": kind}))


@pytest.mark.parametrize("kind", ["text/xml", "application/json", "text/html", "text/plain", ""])
@pytest.mark.parametrize("body", [b"", b" \r\n"])
def test_an_empty_answer_says_nothing_whatever_its_type(kind: str, body: bytes) -> None:
    assert Document() == answer(body, {"content-type": kind})


XMLS: dict[str, tuple[str, bytes]] = {
    "what Flask calls a string": ("text/html; charset=utf-8", b"<Response><Message>Hi</Message></Response>"),
    "the other name of its type": ("application/xml", b"<Response><Message>Hi</Message></Response>"),
    "a declaration": ("text/xml", b'<?xml version="1.0" encoding="UTF-8"?><Response><Message>Hi</Message></Response>'),
    "Latin": ("text/xml", '<?xml version="1.0" encoding="latin-1"?><Response><Message>Hi</Message></Response>'.encode(
        "latin-1"
    )),
    "UTF-16": ("text/xml", "<Response><Message>Hi</Message></Response>".encode("utf-16")),
}  # fmt: skip


@pytest.mark.parametrize(("kind", "body"), XMLS.values(), ids=XMLS)
def test_xml_in_several_coats(kind: str, body: bytes) -> None:
    assert [[Text("Hi")]] == contents(answer(body, {"content-type": kind}))


def says(text: str, declared: str = "") -> str:
    declaration = f'<?xml version="1.0" encoding="{declared}"?>' if declared else ""
    return f"{declaration}<Response><Message>{text}</Message></Response>"


CHARSETS: dict[str, tuple[str, bytes, str]] = {
    "by the header": ("text/xml; charset=iso-8859-1", says("Größe").encode("latin-1"), "Größe"),
    "by the header, of several bytes": ("text/xml; charset=big5", says("茶").encode("big5"), "茶"),
    "by the declaration": ("text/xml", says("Größe", "iso-8859-1").encode("latin-1"), "Größe"),
    "the header before the declaration": (
        "text/xml; charset=iso-8859-1", says("Größe", "UTF-8").encode("latin-1"), "Größe"
    ),
    "the declaration where the header cannot be": (
        "text/html; charset=utf-8", says("Größe", "iso-8859-1").encode("latin-1"), "Größe"
    ),
    "the mark before both": ("text/xml; charset=iso-8859-1", says("Größe", "UTF-8").encode("utf-8-sig"), "Größe"),
    "UTF-16": ("text/xml; charset=utf-16", says("Größe", "UTF-16").encode("utf-16"), "Größe"),
    "a header that nobody knows": ("text/xml; charset=klingon", says("Größe").encode(), "Größe"),
    "no UTF-8": ("text/xml", says("Gr@e").encode().replace(b"@", b"\xf6"), "Gr\ufffde"),
    "no UTF-8 although the header says so": (
        "text/xml; charset=utf-8", says("Gr@e").encode().replace(b"@", b"\xf6"), "Gr\ufffde"
    ),
    "half a surrogate pair by its number": ("text/xml", says("a&#xD83D;b").encode(), "a\ufffdb"),
    "NUL by its number": ("text/xml", says("a&#0;b").encode(), "a\ufffdb"),
    "beyond all characters": ("text/xml", says("a&#x110000;b&#99999999;").encode(), "a\ufffdb\ufffd"),
    "NUL": ("text/xml", says("a\0b").encode(), "ab"),
    "a character of a terminal": ("text/xml", says("a\x1bb").encode(), "a\ufffdb"),
    "good numbers beside a bad one": ("text/xml", says("&#x1F600;&#65;&#1;").encode(), "\U0001f600A\ufffd"),
}  # fmt: skip


@pytest.mark.parametrize(("kind", "body", "text"), CHARSETS.values(), ids=CHARSETS)
def test_no_odd_character_silences_an_application(kind: str, body: bytes, text: str) -> None:
    assert [[Text(text)]] == contents(answer(body, {"content-type": kind}))


@THOROUGH
@given(st.binary(), st.sampled_from(["", "; charset=latin-1", "; charset=utf-16", "; charset=utf-8"]))
def test_any_bytes_are_a_document_or_a_bad_answer(body: bytes, charset: str) -> None:
    for whole in (body, b"<Response><Message>" + body + b"</Message></Response>"):
        try:
            found = answer(whole, {"content-type": f"text/xml{charset}"})
        except BadAnswer:
            continue
        for message in found.messages:
            for said in message:
                str(said.content).encode()


BOMB = "".join(
    ["<!DOCTYPE Response [<!ENTITY a '", "ha" * 50, "'>"]
    + [f"<!ENTITY {new} '{f'&{old};' * 50}'>" for old, new in zip("abcde", "bcdef", strict=True)]
    + ["]><Response><Message>&f;</Message></Response>"]
)
OUTSIDE = '<!DOCTYPE Response [<!ENTITY a SYSTEM "file:///etc/passwd">]><Response><Message>&a;</Message></Response>'
BAD: dict[str, tuple[str, bytes, int, str]] = {
    "no XML": ("text/xml", b"Hi", 12100, "no XML"),
    "HTML": ("text/xml", b"<html><br></html>", 12100, "no XML"),
    "half of it": ("text/xml", b"<Response><Message>Hi", 12100, "no XML"),
    "another root": ("text/xml", b"<Message>Hi</Message>", 12100, "root"),
    "a root in small letters": ("text/xml", b"<response/>", 12100, "root"),
    "space before its declaration": ("text/xml", b' <?xml version="1.0"?><Response/>', 12100, "no XML"),
    "an unknown encoding": ("text/xml", b'<?xml version="1.0" encoding="klingon"?><Response/>', 12100, "no XML"),
    "an encoding of several bytes": ("text/xml", b'<?xml version="1.0" encoding="big5"?><Response/>', 12100, "no XML"),
    "a document type": ("text/xml", b"<!DOCTYPE Response><Response/>", 12100, "document type"),
    "a document type elsewhere": ("text/xml", b'<!DOCTYPE a SYSTEM "http://127.0.0.1/"><Response/>', 12100, "document"),
    "a document type in two bytes": (
        "text/xml", "<!DOCTYPE Response><Response/>".encode("utf-16"), 12100, "document type"
    ),
    "entities that grow": ("text/xml", BOMB.encode(), 12100, "document type"),
    "entities from outside": ("text/xml", OUTSIDE.encode(), 12100, "document type"),
    "an unknown entity": ("text/xml", b"<Response><Message>&a;</Message></Response>", 12100, "no XML"),
    "JSON": ("application/json", b"{}", 12300, "application/json"),
    "a page": ("text/html; charset=utf-8", b"<!DOCTYPE html><html></html>", 12100, "document type"),
    "a script": ("text/javascript", b"<Response/>", 12300, "text/javascript"),
    "no type": ("", b"<Response/>", 12300, "no type"),
    "too large": ("text/xml", b"<Response>" + b" " * DOCUMENT_LIMIT + b"</Response>", 11750, "bytes"),
    "too large a text": ("text/plain", b"x" * (DOCUMENT_LIMIT + 1), 11750, "bytes"),
}  # fmt: skip


@pytest.mark.parametrize(("kind", "body", "code", "detail"), BAD.values(), ids=BAD)
def test_what_twilio_could_not_read_is_bad(kind: str, body: bytes, code: int, detail: str) -> None:
    with pytest.raises(BadAnswer) as raised:
        answer(body, {"content-type": kind})
    assert (code, errors.UNPARSEABLE, True) == (raised.value.code, raised.value.kind, raised.value.maybe_done)
    assert detail in raised.value.detail


def test_the_largest_document_is_read_however_deep_it_is() -> None:
    room = DOCUMENT_LIMIT - len("<Response></Response>")
    deep = room // len("<a></a>")
    found = response("<a>" * deep + "</a>" * deep + " " * (room - deep * len("<a></a>")))
    assert found.unsupported == ("verb.a",)
