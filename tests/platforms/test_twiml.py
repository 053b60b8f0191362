"""Destination `twiml`: webhooks as Twilio makes them, with Twilio's own validator as the oracle for signatures."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, ClassVar
from urllib.parse import parse_qsl, urlencode

import pytest
import redis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from marshmallow import ValidationError
from msgspec.structs import replace
from twilio.request_validator import RequestValidator
from twilio.twiml.messaging_response import MessagingResponse

from app.core import errors
from app.core.errors import Failure, Kind, StoreUnavailable
from app.core.events import Answer, Event, Receipt, Reported, StatusReport, Webhook, Written
from app.core.message import Attachment, Card, Content, Image, Location, Message, Profile, QuickReply, Text, derived_id
from app.core.render import Capabilities, render
from app.core.session import Session
from app.core.status import climbs
from app.core.work import Achieved, Claim
from app.gateway import Gateway
from app.http import Http, Response
from app.inbox import Inbox
from app.platforms.destination import CallsUs, Delivery, TakesOver
from app.platforms.twilio.channel import TwilioChannel
from app.platforms.twilio.message import is_part
from app.platforms.twilio.webhooks import FORM
from app.platforms.twiml import destination as twiml
from app.platforms.twiml.destination import MAX_MESSAGES, TwimlDestination
from app.store.lanes import Lanes
from app.store.mailbox import Mailboxes
from tests.platforms.conformance import OUTCOMES, Calling, unused
from tests.support import fixtures
from tests.support.examples import examples
from tests.support.gateway import Clock, gateway, run_until_quiet
from tests.support.processes import free_port
from tests.support.sink import Call, Sink, Told, sink

ACCOUNT, TOKEN, OLD = "AC" + "1" * 32, "twilio-token-0001", "twilio-token-0000"
SERVICE = "MG" + "2" * 32
ID = "0123456789abcdef0123456789abcdef"
OURS = "whatsapp:+15551239999"
PNG = "https://cdn.example.test/a.png"
MESSAGE = Message(
    ID, "inbound", "chat", "webchat:ada", Text("Größe & 1+1 = 2 👍"), "customer", "chat", 1_767_225_600_123,
    profile=Profile(name="Ada Lovelace"),
)  # fmt: skip
REPLY = Message(ID, "outbound", "chat", "webchat:ada", Text("Hi"), "bot", "desk", 1_767_225_600_123)
VALUES: dict[str, Any] = {
    "type": "twiml",
    "account_sid": ACCOUNT,
    "auth_tokens": [TOKEN, OLD],
    "address": OURS,
    "callback_url": "http://127.0.0.1:9/in",
}
XML = {"content-type": "text/xml"}


def delivery(content: Content | None = None, **changes: Any) -> Delivery:
    message = replace(MESSAGE, content=content or MESSAGE.content, **changes)
    return Delivery(message, message.content, Session("desk"), unused, keep=unused)


def says(*texts: str, redirect: str = "", method: str | None = None) -> Told:
    """An answer by Twilio's library."""
    document = MessagingResponse()
    for text in texts:
        document.message(text)
    if redirect:
        document.redirect(redirect, method=method)
    return Told(body=str(document).encode(), headers=XML)


def to_report(status: Any = "delivered", error: str | None = None, **changes: Any) -> StatusReport:
    return StatusReport(replace(REPLY, **changes), status, error)


def callbacks(*targets: tuple[str, str]) -> dict[str, Any]:
    return {"status_callbacks": [{"url": url, "method": method} for method, url in targets]}


class TestTwimlDestination(Calling):
    adapter_class = TwimlDestination
    platform = "twiml"
    url_key = "callback_url"
    values: ClassVar[dict[str, Any]] = VALUES

    def outcomes(self) -> dict[str, Any]:
        return {name: row for name, row in OUTCOMES.items() if name != "a redirect"}  # it is followed, see below

    def calls(self) -> dict[str, Callable[[Any, Http], object]]:
        return {
            "deliver": lambda app, http: app.deliver(delivery(), http),
            "report": lambda app, http: app.report(to_report(metadata=callbacks(("POST", app.callback.url))), http),
        }


def built(**changes: Any) -> TwimlDestination:
    destination: TwimlDestination = TestTwimlDestination().build(**changes)
    return destination


def deliver(outside: Sink, told: Delivery | None = None, url: str = "/in", **changes: Any) -> Answer:
    app = built(callback_url=f"{outside.url}{url}", **changes)
    return app.deliver(told or delivery(), Http([outside.url]))


def report(outside: Sink, told: StatusReport, url: str = "/status", **changes: Any) -> None:
    built(status_callback_url=f"{outside.url}{url}", **changes).report(told, Http([outside.url]))


def params(call: Call) -> dict[str, str]:
    """The parameters of a call, each of which stands there once."""
    raw = call.path.partition("?")[2] if call.method == "GET" else call.body.decode()
    pairs = parse_qsl(raw, keep_blank_values=True, strict_parsing=True)
    assert len(pairs) == len(dict(pairs))
    return dict(pairs)


def asked(outside: Sink, told: Delivery | None = None, **changes: Any) -> dict[str, str]:
    """The parameters of the one call that a delivery makes."""
    outside.answers(Told(204, b""))
    deliver(outside, told, **changes)
    (call,) = outside.calls
    return params(call)


def assert_signed(outside: Sink, call: Call) -> None:
    """As an application checks it: by the address that was called, and the form if there is one."""
    form = {} if call.method == "GET" else params(call)
    signature = call.headers["x-twilio-signature"]
    assert RequestValidator(TOKEN).validate(outside.url + call.path, form, signature)
    assert not RequestValidator(OLD).validate(outside.url + call.path, form, signature)


# --- the call ---

# What follows the host in the configured address, and what is called.
ADDRESSES: dict[str, tuple[str, str]] = {
    "a path": ("/in", "/in"),
    "no path": ("", "/"),
    "a query": ("/in?tenant=7&a=b%20c", "/in?tenant=7&a=b%20c"),
    "odd letters": ("/größe?a=ü", "/gr%C3%B6%C3%9Fe?a=%C3%BC"),
    "a fragment": ("/in#rc=3&rp=5xx", "/in"),
    "a query and a fragment": ("/in?tenant=7#rc=3", "/in?tenant=7"),
}


@pytest.mark.parametrize(("url", "path"), ADDRESSES.values(), ids=ADDRESSES)
def test_a_form_is_signed_for_the_address_that_is_called(url: str, path: str, outside: Sink) -> None:
    outside.answers(Told(204, b""))
    deliver(outside, url=url)
    report(outside, to_report(), url)
    for call in outside.calls:
        assert ("POST", path, FORM) == (call.method, call.path, call.headers["content-type"])
        assert_signed(outside, call)
    assert [MESSAGE.content] == [Text(params(outside.calls[0])["Body"])]


@pytest.mark.parametrize(("url", "path"), ADDRESSES.values(), ids=ADDRESSES)
def test_a_query_is_signed_with_the_address(url: str, path: str, outside: Sink) -> None:
    outside.answers(Told(204, b""))
    deliver(outside, url=url, callback_method="GET")
    report(outside, to_report(), url, status_callback_method="GET")
    for call in outside.calls:
        assert ("GET", b"", None) == (call.method, call.body, call.headers.get("content-type"))
        assert call.path.startswith(f"{path}{'&' if '?' in path else '?'}")
        assert_signed(outside, call)
    assert [MESSAGE.content] == [Text(params(outside.calls[0])["Body"])]


@settings(deadline=None, max_examples=examples(50), suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=st.text(st.characters(exclude_categories=["Cs"]), min_size=1), method=st.sampled_from(["POST", "GET"]))
def test_any_text_is_signed_and_arrives(text: str, method: str, outside: Sink) -> None:
    outside.calls.clear()
    outside.answers(Told(204, b""))
    deliver(outside, delivery(Text(text)), callback_method=method)
    (call,) = outside.calls
    assert_signed(outside, call)
    assert text == params(call)["Body"]


def test_it_calls_as_twilio_does(outside: Sink) -> None:
    outside.answers(Told(204, b""))
    for told in (delivery(), delivery(), delivery(id="f" * 32)):
        deliver(outside, told)
    assert {call.headers["user-agent"] for call in outside.calls} == {"TwilioProxy/1.1"}
    first, again, other = (call.headers["i-twilio-idempotency-token"] for call in outside.calls)
    assert first == again != other


# --- the form ---


def test_the_form_of_a_text(outside: Sink) -> None:
    sid = f"SM{ID}"
    assert {
        "MessageSid": sid, "SmsSid": sid, "SmsMessageSid": sid, "SmsStatus": "received",
        "AccountSid": ACCOUNT, "ApiVersion": "2010-04-01", "From": "webchat:ada", "To": OURS,
        "Body": "Größe & 1+1 = 2 👍", "NumMedia": "0", "NumSegments": "1", "ProfileName": "Ada Lovelace",
    } == asked(outside)  # fmt: skip


# The content, and the parameters that differ from those of a text.
CONTENTS: dict[str, tuple[Content, dict[str, str]]] = {
    "a picture": (Attachment("image", PNG, "image/png"), {
        "Body": "", "NumMedia": "1", "MediaUrl0": PNG, "MediaContentType0": "image/png"
    }),
    "a picture with words": (Attachment("image", PNG, "image/png", description="Look"), {
        "Body": "Look", "NumMedia": "1", "MediaUrl0": PNG, "MediaContentType0": "image/png"
    }),
    "a picture of no stated type": (Attachment("image", "https://cdn.example.test/1"), {
        "Body": "", "NumMedia": "1", "MediaUrl0": "https://cdn.example.test/1", "MediaContentType0": "image/jpeg"
    }),
    "a file of a name": (Attachment("file", "https://cdn.example.test/1", file_name="a.pdf"), {
        "Body": "", "NumMedia": "1", "MediaUrl0": "https://cdn.example.test/1", "MediaContentType0": "application/pdf"
    }),
    "a file of no name": (Attachment("file", "https://cdn.example.test/1"), {
        "Body": "", "NumMedia": "1", "MediaUrl0": "https://cdn.example.test/1",
        "MediaContentType0": "application/octet-stream",
    }),
    "a place": (Location(52.52, -0.0000001), {"Body": "", "Latitude": "52.52", "Longitude": "0"}),
    "a place with an address": (Location(10, 20, "Here"), {
        "Body": "", "Latitude": "10", "Longitude": "20", "Address": "Here"
    }),
}  # fmt: skip


@pytest.mark.parametrize(("content", "expected"), CONTENTS.values(), ids=CONTENTS)
def test_the_form_of_other_contents(content: Content, expected: dict[str, str], outside: Sink) -> None:
    sid = f"{'MM' if isinstance(content, Attachment) else 'SM'}{ID}"
    usual = asked(outside)
    outside.calls.clear()
    sids = dict.fromkeys(["MessageSid", "SmsSid", "SmsMessageSid"], sid)
    assert {**usual, **sids, **expected} == asked(outside, delivery(content))


def test_other_contents_are_said_in_words(outside: Sink) -> None:
    question = render(QuickReply("Well?", ("Yes", "No")), built().capabilities)
    assert question == (Text("Well?\n1. Yes\n2. No"),)
    card = render(Card("Look", (Image(PNG, "A plate"),)), built().capabilities)
    second = Delivery(MESSAGE, card[1], Session("desk"), unused, keep=unused, part=1)
    form = asked(outside, second)
    assert (f"MM{derived_id(ID, 1)}", "A plate", PNG) == (form["MessageSid"], form["Body"], form["MediaUrl0"])


# Who wrote, and what stands there of them.
CUSTOMERS: dict[str, tuple[str, str, str | None]] = {
    "a visitor": ("webchat:ada", "webchat:ada", None),
    "on WhatsApp": ("whatsapp:+15551230001", "whatsapp:+15551230001", "15551230001"),
    "on WhatsApp without a number": ("whatsapp:DE.1234", "whatsapp:DE.1234", None),
    "by SMS": ("sms:+15551230001", "+15551230001", None),
}


@pytest.mark.parametrize(("customer", "sender", "number"), CUSTOMERS.values(), ids=CUSTOMERS)
def test_who_wrote(customer: str, sender: str, number: str | None, outside: Sink) -> None:
    form = asked(outside, delivery(customer=customer))
    assert (sender, number) == (form["From"], form.get("WaId"))


TO = {
    "a number": ("+15551239999", "+15551239999"),
    "SMS": ("sms:12345", "12345"),
    "a shop": ("WebChat:Shop", "webchat:Shop"),
}


@pytest.mark.parametrize(("address", "shown"), TO.values(), ids=TO)
def test_to_whom(address: str, shown: str, outside: Sink) -> None:
    form = asked(outside, address=address, messaging_service_sid=SERVICE)
    assert (shown, SERVICE) == (form["To"], form["MessagingServiceSid"])


def test_a_late_message_tells_when_it_was_written(outside: Sink) -> None:
    late = replace(delivery(Text("hello")), written_at=1_800_000_000_000)
    found = asked(outside, late)
    assert ("2027-01-15 08:00 UTC", "hello") == (found["WrittenAt"], found["Body"])
    assert built().tells_age, "so that the words have no mark"


def test_nobody_knows_the_name(outside: Sink) -> None:
    assert "ProfileName" not in asked(outside, delivery(profile=None))
    outside.calls.clear()
    assert "ProfileName" not in asked(outside, delivery(profile=Profile(email="a@b.test")))


# What was kept of a message, and the parameters that this adds.
KEPT: dict[str, tuple[dict[str, Any], dict[str, str]]] = {
    "an answer to another one": (
        {"reply_to": "SM1", "reply_to_sender": "whatsapp:+1"},
        {"OriginalRepliedMessageSid": "SM1", "OriginalRepliedMessageSender": "whatsapp:+1"},
    ),
    "a button": ({"button_payload": "yes"}, {"ButtonPayload": "yes", "ButtonText": MESSAGE.content.text}),  # type: ignore[union-attr]  # it is a text
    "a keyword": ({"opt_out": "STOP"}, {"OptOutType": "STOP"}),
    "forwarded": ({"forwarded": True, "frequently_forwarded": False}, {
        "Forwarded": "true", "FrequentlyForwarded": "false"
    }),
    "another id": ({"external_user_id": "whatsapp:DE.1"}, {"ExternalUserId": "whatsapp:DE.1"}),
    "a number on WhatsApp": ({"wa_id": "15551230001"}, {"WaId": "15551230001"}),
    "what the channel says": ({"channel_metadata": {"type": "whatsapp"}}, {"ChannelMetadata": '{"type":"whatsapp"}'}),
    "what the channel says in words": ({"channel_metadata": "{"}, {"ChannelMetadata": "{"}),
    "an advertisement": ({"referral": {"Headline": "Buy"}}, {"ReferralHeadline": "Buy"}),
    "other parameters": ({"twilio": {"FromCity": "Berlin", "Future": "1"}}, {"FromCity": "Berlin", "Future": "1"}),
    "other parameters that are none": ({"twilio": {"A": 1, "B": None, "C": ["x"], "D": {"E": "F"}, "G": ""}}, {}),
    "other parameters that say it otherwise": ({
        "twilio": {"Body": "no", "From": "no", "NumMedia": "9", "MessageSid": "no", "AccountSid": "no"}
    }, {}),
    "other parameters that would say more": ({
        "twilio": {"MediaUrl0": "no", "MediaContentType9": "no", "ErrorCode": "1", "ErrorUrl": "no",
                   "MessageStatus": "read", "MessagingServiceSid": "no"}
    }, {}),
    "an earlier fallback": ({"error_code": "11205", "error_url": "https://a.test/"}, {}),
    "something of another kind": ({"reply_to": 5, "opt_out": ["STOP"], "referral": "x", "twilio": "x"}, {}),
    "something of a shop": ({"order": "7"}, {}),
}  # fmt: skip


@pytest.mark.parametrize(("metadata", "more"), KEPT.values(), ids=KEPT)
def test_what_was_kept_of_a_message_is_told(metadata: dict[str, Any], more: dict[str, str], outside: Sink) -> None:
    usual = asked(outside)
    outside.calls.clear()
    assert usual | more == asked(outside, delivery(metadata=metadata))


def test_what_was_kept_goes_with_the_first_part(outside: Sink) -> None:
    told = delivery(metadata={"opt_out": "STOP", "twilio": {"FromCity": "Berlin"}})
    form = asked(outside, replace(told, part=1))
    assert "OptOutType" not in form
    assert "FromCity" not in form


def from_twilio(form: dict[str, str]) -> list[Event]:
    values = {
        "type": "twilio",
        "account_sid": ACCOUNT,
        "auth_tokens": [TOKEN],
        "destination": "x",
        "address": form["To"],
    }
    settings_ = {**TwilioChannel.Settings().load(values), "media": "pass", "callback": "https://gate.test/channels/x"}
    webhook = Webhook("POST", "https://gate.test/", "/channels/x", {"content-type": FORM}, urlencode(form).encode())
    return TwilioChannel("x", settings_).parse(webhook)


# Renamed or said anew by who tells of it.
OF_THE_TELLER = {"MessageSid", "SmsSid", "SmsMessageSid", "AccountSid", "To", "ErrorCode", "ErrorUrl", "NumSegments"}


# One whose text the channel unpacks, and one whose sender is known by their id alone.
NOT_AS_IT_CAME = {"message_base64", "message_no_phone"}


@pytest.mark.parametrize("name", sorted({*fixtures.names("twilio", "message_")} - NOT_AS_IT_CAME))
def test_an_application_reads_what_twilio_told_the_channel(name: str, outside: Sink) -> None:
    form = {key: value for key, value in fixtures.value("twilio", name).items() if value}
    (event,) = from_twilio(form)
    assert isinstance(event, Written)
    told = delivery(event.content, customer=event.customer, profile=event.profile, metadata=event.metadata)
    found = asked(outside, told)
    label = f"{form['Label']}, {form['Address']}" if "Label" in form else form.get("Address")
    expected = form | ({"Address": label} if label else {})
    for key in expected.keys() - OF_THE_TELLER - {"Label"}:
        assert expected[key] == found[key], key
    assert found.keys() - form.keys() <= {"Body", "ButtonText", "WaId"}
    assert event.content == from_twilio({**found, "To": form["To"]})[0].content  # type: ignore[union-attr]  # a message


def test_a_file_with_its_words_is_one_webhook_there_and_here(outside: Sink) -> None:
    form = {**fixtures.value("twilio", "message_image"), "Body": "The scratch"}
    (event,) = from_twilio(form)
    assert isinstance(event, Written)
    found = asked(outside, delivery(event.content, customer=event.customer, metadata=event.metadata))
    for key in ("Body", "NumMedia", "MediaContentType0"):
        assert found[key] == form[key]
    assert found["MessageSid"].startswith("MM")


# --- the answer ---


def texts(answer: Answer) -> list[str]:
    return [reply.content.text for reply in answer.replies if hasattr(reply, "to") and isinstance(reply.content, Text)]


def test_an_answer_says_what_the_application_said(outside: Sink) -> None:
    document = MessagingResponse()
    document.message("One")
    document.message("Two", to="webchat:grace", action="/sent").media(PNG)
    outside.answers(Told(body=str(document).encode(), headers=XML))
    answer = deliver(outside)
    assert (answer.receipt, answer.handles, answer.end, answer.unsupported) == (
        Receipt(None, "delivered"),
        None,
        False,
        (),
    )
    one, two = answer.replies
    assert not isinstance(one, Content)
    assert not isinstance(two, Content)
    assert (one.content, one.to) == (Text("One"), None)
    assert (two.content, two.to) == (Attachment("image", PNG, "image/png", description="Two"), "webchat:grace")
    assert callbacks(("POST", f"{outside.url}/sent"))["status_callbacks"] == two.metadata["status_callbacks"]


def test_an_empty_answer_says_nothing(outside: Sink) -> None:
    outside.answers(Told(200, b"", {}))
    assert Answer(Receipt(status="delivered")) == deliver(outside)


def test_a_redirect_leads_on_with_the_same_message(outside: Sink) -> None:
    outside.answers(says("One", redirect="next?a=b"), says("Two", redirect="/last", method="GET"), says("Three"))
    answer = deliver(outside, url="/sms/in?tenant=7")
    assert texts(answer) == ["One", "Two", "Three"]
    first, second, third = outside.calls
    assert [("POST", "/sms/in?tenant=7"), ("POST", "/sms/next?a=b")] == [(c.method, c.path) for c in (first, second)]
    assert ("GET", "/last") == (third.method, third.path.partition("?")[0])
    assert params(first) == params(second) == params(third)
    for call in outside.calls:
        assert_signed(outside, call)
    assert len({call.headers["i-twilio-idempotency-token"] for call in outside.calls}) == 3


def test_a_redirect_in_a_circle_comes_to_an_end(outside: Sink) -> None:
    outside.answers(says("Again", redirect="/in"))
    answer = deliver(outside)
    assert (texts(answer), answer.unsupported) == (["Again"] * 6, ("redirect",))
    assert len({call.headers["i-twilio-idempotency-token"] for call in outside.calls}) == 6


def test_as_many_redirects_as_there_may_be(outside: Sink) -> None:
    outside.answers(*[says(redirect="/in")] * 5, says("Here"))
    answer = deliver(outside)
    assert (texts(answer), answer.unsupported) == (["Here"], ())


def test_a_redirect_inside_is_refused() -> None:
    with sink() as app, sink() as inside:
        app.answers(says("One", redirect=f"{inside.url}/secret"))
        with pytest.raises(Failure) as raised:
            deliver(app)
        assert (raised.value.kind, raised.value.maybe_done) == (errors.REJECTED, True)
        assert inside.calls == []


def test_a_callback_inside_is_refused(outside: Sink) -> None:
    with pytest.raises(Failure) as raised:
        built().report(to_report(metadata=callbacks(("POST", f"{outside.url}/x"))), Http())
    assert (raised.value.kind, outside.calls) == (errors.REJECTED, [])


def test_an_application_cannot_flood_a_customer(outside: Sink) -> None:
    outside.answers(says(*["Hi"] * 40, redirect="/in"))
    answer = deliver(outside)
    assert (len(answer.replies), answer.unsupported) == (MAX_MESSAGES, ("redirect", "messages"))


def test_what_nobody_can_do_is_noted_once(outside: Sink) -> None:
    verbs = "".join(f"<{'V' * number}/>" for number in range(1, 40)) + "<Dial/>"
    outside.answers(Told(body=f"<Response><Dial/><Dial/>{verbs}</Response>".encode(), headers=XML))
    unsupported = deliver(outside).unsupported
    assert (unsupported[:3], len(unsupported)) == (("verb.Dial", "verb.V", "verb.VV"), 20)


# --- what HTTP says ---


@pytest.mark.parametrize(
    ("status", "method", "then"),
    [(301, "POST", "GET"), (302, "POST", "GET"), (303, "POST", "GET"), (307, "POST", "POST"), (308, "POST", "POST"),
     (307, "GET", "GET"), (302, "GET", "GET")],
)  # fmt: skip
def test_a_redirect_of_http_is_followed(status: int, method: str, then: str, outside: Sink) -> None:
    outside.answer = by_path(**{"in": Told(status, headers={"location": "sms/?a=b"}), "sms": says("Hi")})
    assert texts(deliver(outside, callback_method=method)) == ["Hi"]
    first, second = outside.calls
    assert (first.method, second.method, second.path[:9]) == (method, then, "/sms/?a=b")
    assert params(first).items() <= params(second).items()
    assert_signed(outside, second)


def test_a_redirect_of_http_in_a_circle_is_a_failure(outside: Sink) -> None:
    outside.answers(Told(302, headers={"location": "/in"}))
    with pytest.raises(Failure, match="302"):
        deliver(outside)
    assert len(outside.calls) == 6


def test_a_redirect_of_http_may_lead_to_public_hosts_alone(outside: Sink) -> None:
    outside.answers(Told(307, headers={"location": f"http://127.0.0.1:{free_port()}/"}))
    with pytest.raises(Failure) as raised:
        deliver(outside)
    assert raised.value.kind is errors.REJECTED


def test_a_status_is_told_to_the_address_that_is_named(outside: Sink) -> None:
    outside.answers(Told(302, headers={"location": "/elsewhere"}))
    with pytest.raises(Failure, match="302"):
        report(outside, to_report())
    assert len(outside.calls) == 1


def sets(*cookies: str) -> Told:
    """An answer that sets cookies; header names in capitals or not are the same."""
    names = ("Set-Cookie", "set-cookie", "SET-COOKIE")
    return dataclasses.replace(says("Hi"), headers={**XML, **dict(zip(names, cookies, strict=False))})


KEPT: dict[str, tuple[list[str], str | None]] = {
    "one": (["step=2; Path=/; HttpOnly"], "step=2"),
    "two": (["step=2", "cart=a%20b; Secure"], "step=2; cart=a%20b"),
    "one that is quoted": (['step="a b"'], 'step="a b"'),
    "one with a date in it": (["step=2; Expires=Fri, 31 Dec 2100 23:59:59 GMT"], "step=2"),
    "one that is over": (["step=2; Expires=Thu, 01 Jan 1970 00:00:00 GMT"], None),
    "one that lasts": (["step=2; Max-Age=60"], "step=2"),
    "one that is taken back": (["step=2; Max-Age=0"], None),
    "one whose age is none": (["step=2; Max-Age=soon"], "step=2"),
    "one whose date is none": (["step=2; Expires=soon"], "step=2"),
    "nothing": ([""], None),
    "no name": (["=2"], None),
    "a name that none can have": (["a b=2"], None),
}


@pytest.mark.parametrize(("cookies", "sent"), KEPT.values(), ids=KEPT)
def test_cookies_come_back_with_the_next_message(cookies: list[str], sent: str | None, outside: Sink) -> None:
    outside.answers(sets(*cookies))
    handles = deliver(outside).handles or {}
    outside.answers(says("Hi"))
    told = replace(delivery(), session=Session("desk", handles=handles, last_at=MESSAGE.at))
    assert deliver(outside, told).handles is None
    assert outside.calls[-1].headers.get("cookie") == sent


def reminded(cookies: dict[str, str], at: int = MESSAGE.at, url: str = "") -> Delivery:
    return replace(delivery(), session=Session("desk", handles={"cookies": {url: cookies}}, last_at=at))


def test_cookies_are_changed_and_taken_back(outside: Sink) -> None:
    host = outside.url.removeprefix("http://")
    outside.answers(sets("a=2", "b=; Max-Age=0", "c=3"))
    answer = deliver(outside, reminded({"a": "1", "b": "1"}, url=host))
    assert answer.handles == {"cookies": {host: {"a": "2", "c": "3"}}}
    outside.answers(sets("a=; Max-Age=0"))
    assert deliver(outside, reminded({"a": "1"}, url=host)).handles == {"cookies": {}}


@pytest.mark.parametrize(("hours", "sent"), [(3.9, "a=1"), (4.1, None)])
def test_cookies_are_forgotten_after_four_silent_hours(hours: float, sent: str | None, outside: Sink) -> None:
    outside.answers(says("Hi"))
    deliver(outside, reminded({"a": "1"}, MESSAGE.at - int(hours * 3_600_000), outside.url.removeprefix("http://")))
    assert outside.calls[0].headers.get("cookie") == sent


def test_cookies_go_to_their_own_host_alone(outside: Sink) -> None:
    with sink() as other:
        outside.answers(dataclasses.replace(sets("a=1"), body=says("One", redirect=f"{other.url}/more").body))
        other.answers(says("Two", redirect=f"{outside.url}/last"), says("Three"))
        outside.answer = lambda call, first=outside.answer: says("Three") if call.path == "/last" else first(call)
        app = built(callback_url=f"{outside.url}/in")
        assert texts(app.deliver(delivery(), Http([outside.url, other.url]))) == ["One", "Two", "Three"]
        assert "cookie" not in other.calls[0].headers
    assert outside.calls[-1].headers["cookie"] == "a=1"


def test_more_cookies_than_can_be_kept_are_noted(outside: Sink) -> None:
    outside.answers(sets("a=1", f"b={'x' * 5_000}"))
    answer = deliver(outside)
    assert (answer.unsupported, answer.handles, texts(answer)) == (("cookies",), None, ["Hi"])


# --- failures ---

# How the first call fails, and Twilio's code for it.
FAILING: dict[str, tuple[Told, str]] = {
    "500": (Told(500), "11200"),
    "503": (Told(503, headers={"retry-after": "7"}), "11200"),
    "404": (Told(404), "11200"),
    "401": (Told(401), "11200"),
    "429": (Told(429), "11200"),
    "408": (Told(408), "11200"),
    "a redirect of HTTP to nowhere": (Told(302), "11200"),
    "a redirect of HTTP to no address of the web": (
        Told(302, headers={"location": "mailto:ada@example.test"}),
        "11200",
    ),
    "a redirect of HTTP that is too long": (Told(302, headers={"location": "/" + "x" * 2_000}), "11200"),
    "no answer in time": (Told(hang=True), "11205"),
    "a dropped connection": (Told(drop=True), "11205"),
    "no XML": (Told(body=b"Hi", headers=XML), "12100"),
    "another root": (Told(body=b"<Hi/>", headers=XML), "12100"),
    "a document type": (Told(body=b"<!DOCTYPE Response><Response/>", headers=XML), "12100"),
    "JSON": (Told(body=b"{}", headers={"content-type": "application/json"}), "12300"),
    "no type": (Told(body=b"<Response/>"), "12300"),
    "too large": (Told(body=b" " * 70_000 + b"<Response/>", headers=XML), "11750"),
    "far too large": (Told(body=b" " * 3_000_000, headers=XML), "11200"),
}


def by_path(**answers: Told) -> Callable[[Call], Told]:
    return lambda call: answers[call.path.partition("?")[0].strip("/")]


@pytest.mark.parametrize(("failing", "code"), FAILING.values(), ids=FAILING)
def test_the_fallback_is_asked_and_counts(failing: Told, code: str, outside: Sink) -> None:
    outside.answer = by_path(**{"in": failing}, fallback=says("Instead", redirect="/more"), more=says("And more"))
    patience = 0.4 if failing.hang else 10.0
    answer = deliver(outside, url="/in?a=b#rc=1", fallback_url=f"{outside.url}/fallback", timeout=patience)
    assert (texts(answer), answer.receipt.status) == (["Instead", "And more"], "delivered")
    first, fallback, more = outside.calls
    expected = params(first) | {"ErrorCode": code, "ErrorUrl": f"{outside.url}/in?a=b"}
    assert [expected, expected] == [params(fallback), params(more)]
    assert len({call.headers["i-twilio-idempotency-token"] for call in outside.calls}) == 3
    for call in outside.calls:
        assert_signed(outside, call)


def test_the_fallback_is_asked_if_there_is_no_connection(outside: Sink) -> None:
    url = f"http://127.0.0.1:{free_port()}/in"
    app = built(callback_url=url, fallback_url=f"{outside.url}/fallback", fallback_method="GET")
    outside.answers(says("Instead"))
    assert texts(app.deliver(delivery(), Http([url, outside.url]))) == ["Instead"]
    (call,) = outside.calls
    assert ("GET", "11205", url) == (call.method, params(call)["ErrorCode"], params(call)["ErrorUrl"])
    assert_signed(outside, call)


def test_what_was_said_before_a_redirect_that_failed_is_kept(outside: Sink) -> None:
    outside.answer = by_path(**{"in": says("One", redirect="/gone")}, gone=Told(410), fallback=says("Two"))
    answer = deliver(outside, fallback_url=f"{outside.url}/fallback")
    assert texts(answer) == ["One", "Two"]
    assert f"{outside.url}/gone" == params(outside.calls[-1])["ErrorUrl"]


# Both answers; the kind of the failure, whether it may have been carried out, how long to wait, and what it says.
BOTH: dict[str, tuple[Told, Told, Kind, bool, float | None, str]] = {
    "the first one decides": (
        Told(500, b"oh"), Told(429, b"no"), errors.UNAVAILABLE, False, None, "HTTP 500: oh; the fallback: HTTP 429: no"
    ),
    "unless only the other one is worth a try": (
        Told(404, b"oh"), Told(503, b"no", {"retry-after": "7"}), errors.UNAVAILABLE, False, 7,
        "HTTP 404: oh; the fallback: HTTP 503: no",
    ),
    "neither is": (
        Told(404, b""), Told(400, b""), errors.MISCONFIGURED, False, None, "HTTP 404; the fallback: HTTP 400"
    ),
    "the first one may have been carried out": (
        Told(504, b""), Told(400, b""), errors.UNAVAILABLE, True, None, "HTTP 504; the fallback: HTTP 400"
    ),
    "the other one may": (
        Told(500, b""), Told(body=b"Hi", headers=XML), errors.UNAVAILABLE, True, None,
        "HTTP 500; the fallback: the answer is no XML: syntax error: line 1, column 0",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("first", "second", "kind", "done", "wait", "detail"), BOTH.values(), ids=BOTH)
def test_if_both_fail_the_failure_names_both(
    first: Told, second: Told, kind: Kind, done: bool, wait: float | None, detail: str, outside: Sink
) -> None:
    outside.answer = by_path(**{"in": first}, fallback=second)
    with pytest.raises(Failure) as raised:
        deliver(outside, fallback_url=f"{outside.url}/fallback")
    failure = raised.value
    assert (kind, done, wait, detail) == (failure.kind, failure.maybe_done, failure.retry_after, failure.detail)
    assert len(outside.calls) == 2


def test_a_document_that_cannot_be_read_may_have_been_carried_out(outside: Sink) -> None:
    for told, code in (FAILING[label] for label in ("no XML", "JSON", "too large")):
        outside.answers(told)
        with pytest.raises(Failure) as raised:
            deliver(outside)
        assert (raised.value.kind, raised.value.maybe_done) == (errors.UNPARSEABLE, True), code


def test_a_redirect_that_fails_was_preceded_by_a_call_that_did_not(outside: Sink) -> None:
    outside.answer = by_path(**{"in": says(redirect="/next")}, next=Told(500))
    with pytest.raises(Failure) as raised:
        deliver(outside)
    assert (raised.value.kind, raised.value.maybe_done) == (errors.UNAVAILABLE, True)


def test_a_call_of_unknown_outcome_is_made_again_unless_the_operator_forbids_it() -> None:
    assert built().capabilities.resend_safe
    assert not built(resend_after_timeout=False).capabilities.resend_safe


@dataclass
class Slow(Http):
    """Answers with a redirect, and each answer takes so many seconds; remembers how long it was to wait."""

    seconds: float
    now: float = 0.0
    calls: list[tuple[str, float]] = field(default_factory=list)

    def request(self, method: str, url: str, *, timeout: float = 0.0, **options: Any) -> Response:
        self.calls.append((url.rpartition("/")[2], timeout))
        self.now += min(self.seconds, timeout)
        if timeout < self.seconds:
            raise Failure(errors.TIMED_OUT, "no answer in time", maybe_done=True)
        return Response(200, XML, b"<Response><Redirect/></Response>")


def test_callback_and_fallback_each_end_within_the_time_out(monkeypatch: pytest.MonkeyPatch) -> None:
    http = Slow(6.0)
    monkeypatch.setattr(twiml.time, "monotonic", lambda: http.now)
    with pytest.raises(Failure, match="timed_out: no answer in time; the fallback: no answer in time"):
        built(fallback_url="http://127.0.0.1:9/fallback").deliver(delivery(), http)
    assert [("in", 15), ("in", 9), ("in", 3), ("fallback", 15), ("fallback", 9), ("fallback", 3)] == http.calls
    assert http.now <= 15 * TwimlDestination.calls


def test_callbacks_about_one_message_end_together_within_the_time_out(monkeypatch: pytest.MonkeyPatch) -> None:
    http = Slow(15.0)
    monkeypatch.setattr(twiml.time, "monotonic", lambda: http.now)
    with pytest.raises(Failure, match="timed_out"):
        built().report(to_report(metadata=callbacks(("POST", "http://a.test/1"), ("POST", "http://a.test/2"))), http)
    assert [("1", 15)] == http.calls


# --- statuses ---


def test_the_form_of_a_status(outside: Sink) -> None:
    sid = f"SM{ID}"
    report(outside, to_report("read"))
    assert {
        "MessageSid": sid, "SmsSid": sid, "MessageStatus": "read", "SmsStatus": "read", "To": "webchat:ada",
        "From": OURS, "AccountSid": ACCOUNT, "ApiVersion": "2010-04-01", "ChannelPrefix": "webchat",
    } == params(outside.calls[0])  # fmt: skip


# The report, and the parameters that it adds or changes.
REPORTS: dict[str, tuple[StatusReport, dict[str, str]]] = {
    "sent": (to_report("sent"), {"MessageStatus": "sent"}),
    "delivered": (to_report("delivered", "rejected: earlier"), {"MessageStatus": "delivered"}),
    "failed": (to_report("failed", "gone: HTTP 410: blocked"), {
        "MessageStatus": "failed", "ErrorCode": "30003", "ErrorMessage": "HTTP 410: blocked"
    }),
    "failed with a code of Twilio's": (to_report("failed", "rejected: 63016 Too late; they wrote long ago"), {
        "MessageStatus": "failed", "ErrorCode": "63016", "ErrorMessage": "Too late; they wrote long ago"
    }),
    "failed for no known reason": (to_report("failed"), {
        "MessageStatus": "failed", "ErrorCode": "30008", "ErrorMessage": ""
    }),
    "failed for want of a connection": (to_report("failed", "unavailable: no connection"), {
        "MessageStatus": "failed", "ErrorCode": "30008", "ErrorMessage": "no connection"
    }),
    "called off": (to_report("failed", "canceled: by the application"), {"MessageStatus": "canceled"}),
    "a picture": (to_report("sent", content=Attachment("image", PNG)), {
        "MessageStatus": "sent", "MessageSid": f"MM{ID}"
    }),
    "by SMS": (to_report("sent", customer="sms:+15551230001"), {
        "MessageStatus": "sent", "To": "+15551230001", "ChannelPrefix": ""
    }),
}  # fmt: skip


@pytest.mark.parametrize(("told", "more"), REPORTS.values(), ids=REPORTS)
def test_the_form_of_other_statuses(told: StatusReport, more: dict[str, str], outside: Sink) -> None:
    report(outside, to_report("read"))
    report(outside, told, messaging_service_sid=SERVICE)
    usual, found = map(params, outside.calls)
    same = {"SmsStatus": more["MessageStatus"], "SmsSid": more.get("MessageSid", usual["SmsSid"])}
    expected = usual | {"MessagingServiceSid": SERVICE} | more | same
    assert {name: value for name, value in expected.items() if value or name != "ChannelPrefix"} == found


def test_a_message_has_callbacks_of_its_own(outside: Sink) -> None:
    own = callbacks(("GET", f"{outside.url}/a?b=c"), ("POST", f"{outside.url}/d"))
    report(outside, to_report(metadata={**own, "twilio": {"direction": "outbound-reply"}}))
    assert [("GET", "/a"), ("POST", "/d")] == [(call.method, call.path.partition("?")[0]) for call in outside.calls]
    for call in outside.calls:
        assert_signed(outside, call)
    assert params(outside.calls[0]).items() >= params(outside.calls[1]).items()


def test_each_status_has_a_token_of_its_own_that_stays(outside: Sink) -> None:
    own = callbacks(("POST", f"{outside.url}/a"), ("POST", f"{outside.url}/b"))
    for told in (to_report("sent", metadata=own), to_report("sent", metadata=own), to_report("read", metadata=own)):
        report(outside, told)
    tokens = [call.headers["i-twilio-idempotency-token"] for call in outside.calls]
    assert tokens[:2] == tokens[2:4]
    assert len(set(tokens)) == 4


def test_of_several_callbacks_a_failing_one_comes_before_those_behind(outside: Sink) -> None:
    own = callbacks(*[("POST", f"{outside.url}/{name}") for name in "abc"])
    outside.answer = lambda call: Told(503 if call.path == "/b" else 200)
    with pytest.raises(Failure, match="unavailable"):
        report(outside, to_report(metadata=own))
    assert [call.path for call in outside.calls] == ["/a", "/b"]


def test_nobody_is_told_of_a_part_nor_where_nobody_asks(outside: Sink) -> None:
    report(outside, to_report(metadata={"twilio": {"part": True}}))
    built().report(to_report(), Http([outside.url]))
    assert outside.calls == []


# --- the rest ---


def test_what_it_can_do() -> None:
    carries = frozenset({"text", "attachment", "location"})
    assert Capabilities(carries, statuses=True, resend_safe=True, keywords=True) == built().capabilities


def test_it_says_all_in_its_answers() -> None:
    for more in (TakesOver, CallsUs):
        assert not isinstance(built(), more)


BAD_SETTINGS: dict[str, tuple[str, Any, str]] = {
    "no callback": ("callback_url", None, "null"),
    "a relative callback": ("callback_url", "/in", "absolute"),
    "a callback with _": ("callback_url", "https://my_app.example.test/in", "no _"),
    "a callback with credentials": ("callback_url", "https://a:b@app.example.test/in", "credentials"),
    "a fallback with _": ("fallback_url", "https://my_app.example.test/in", "no _"),
    "a fallback by mail": ("fallback_url", "mailto:a@b.test", "absolute"),
    "a status callback with _": ("status_callback_url", "https://my_app.example.test/in", "no _"),
    "a method": ("callback_method", "PUT", "POST, GET"),
    "a fallback's method": ("fallback_method", "post", "POST, GET"),
    "a status callback's method": ("status_callback_method", "", "POST, GET"),
    "an address of nothing": ("address", "", "provider:identifier"),
    "an address of a word": ("address", "shop", "provider:identifier"),
    "an address with a space": ("address", "webchat:my shop", "provider:identifier"),
    "an address with a line break": ("address", f"{OURS}\n", "provider:identifier"),
    "an address without end": ("address", "webchat:" + "x" * 256, "provider:identifier"),
    "another kind of sid": ("messaging_service_sid", ACCOUNT, "MG"),
    "no account": ("account_sid", "AC1", "AC"),
    "no token": ("auth_tokens", [], "1"),
    "no time": ("session_timeout", 0, "1"),
}


@pytest.mark.parametrize(("key", "value", "rule"), BAD_SETTINGS.values(), ids=BAD_SETTINGS)
def test_settings_are_checked(key: str, value: Any, rule: str) -> None:
    with pytest.raises(ValidationError) as raised:
        built(**{key: value})
    assert [key] == list(raised.value.messages_dict)
    assert rule in str(raised.value.messages_dict[key])


# --- in the house ---


@dataclass
class House:
    """A gateway whose customers are answered by an application, and a shop that is told."""

    gateway: Gateway
    redis: redis.Redis
    clock: Clock
    app: Sink
    shop: Sink

    def write(self, text: str, customer: str = "ada") -> str:
        inbox = Inbox(self.gateway)
        taken = inbox.accept("shop", Written(Text(text), external_id=f"m-{text}", customer=f"webhook:{customer}"))
        self.gateway.publisher.publish(inbox.wakes)
        run_until_quiet(self.gateway)
        return str(taken.message_id)

    def hear(self, ref: str, *statuses: Any, work: bool = True) -> None:
        for status in statuses:
            inbox = Inbox(self.gateway)
            inbox.accept("shop", Reported(ref, status))
            self.gateway.publisher.publish(inbox.wakes)
            if work:
                run_until_quiet(self.gateway)
        run_until_quiet(self.gateway)

    def told(self, path: str = "/status") -> list[str]:
        """The statuses that the application was told of."""
        return [params(call)["MessageStatus"] for call in self.app.calls if call.path == path]

    def said(self) -> list[tuple[str, str]]:
        """(customer, text) that the shop was given."""
        told = [call.json["data"] for call in self.shop.calls if call.json["type"] == "message.created"]
        return [(data["to"]["id"], data["content"].get("text", "")) for data in told]


@pytest.fixture
def house(redis_client: redis.Redis) -> Iterator[House]:
    with sink() as app, sink() as shop:
        table = {**VALUES, "callback_url": f"{app.url}/in", "status_callback_url": f"{app.url}/status"}
        changes = {"channels__shop": {"destination": "app"}, "destinations__app": table}
        clock = Clock()
        yield House(gateway(redis_client, clock, send_url=shop.url, **changes), redis_client, clock, app, shop)


def test_a_lease_outlasts_callback_and_fallback(house: House) -> None:
    assert house.gateway.lanes["inbound:app"].lease == (5 + 15) + (5 + 15) + 10


def test_a_customer_is_answered_and_another_one_hears_of_it(house: House) -> None:
    document = MessagingResponse()
    document.message("Hello")
    document.message("Ada wrote", to="webhook:grace")
    document.message("Nobody", to="+15551230001")
    document.append(MessagingResponse().add_child("Dial", "+1555"))
    house.app.answer = by_path(**{"in": Told(body=str(document).encode(), headers=XML)}, status=Told(204, b""))
    mine = house.write("hi")
    assert [("ada", "Hello"), ("grace", "Ada wrote")] == sorted(house.said())
    record = house.gateway.store.messages.read(mine)
    assert record is not None
    assert record.status == "delivered"
    counts = house.gateway.store.lanes.counts()
    assert (counts["unsupported:app:verb.Dial"], counts["unsupported:app:recipient"]) == (1, 1)


def test_an_application_is_not_asked_again_for_what_could_not_be_counted(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(self: Lanes, what: str) -> None:
        raise StoreUnavailable("gone")

    monkeypatch.setattr(Lanes, "count", away)
    document = MessagingResponse()
    document.message("Hello")
    document.append(MessagingResponse().add_child("Dial", "+1555"))
    house.app.answer = by_path(**{"in": Told(body=str(document).encode(), headers=XML)}, status=Told(204, b""))
    house.write("hi")
    assert house.said() == [("ada", "Hello")]


def test_an_application_may_keep_its_place_in_a_cookie(house: House) -> None:
    """As in Twilio's own tutorials: the number of the message stands in a cookie."""

    def count(call: Call) -> Told:
        number = int(call.headers.get("cookie", "n=0").removeprefix("n=")) + 1
        return dataclasses.replace(says(f"Message {number}"), headers={**XML, "set-cookie": f"n={number}; Path=/"})

    house.app.answer = lambda call: count(call) if call.path == "/in" else Told(204, b"")
    for text, customer in (("a", "ada"), ("b", "ada"), ("c", "ben"), ("d", "ada")):
        house.write(text, customer)
    expected = [("ada", "Message 1"), ("ada", "Message 2"), ("ben", "Message 1"), ("ada", "Message 3")]
    assert house.said() == expected


def test_a_document_that_could_not_be_read_is_asked_for_again_and_said_once(house: House) -> None:
    answers = [Told(body=b"<Response><Message>Hello</Message>", headers=XML), says("Hello")]
    house.app.answer = lambda call: answers.pop(0) if call.path == "/in" else Told(204, b"")
    house.write("hi")
    assert house.said() == []
    house.clock.advance(600)
    run_until_quiet(house.gateway)
    assert [("ada", "Hello")] == house.said()
    first, again = (call for call in house.app.calls if call.path == "/in")
    assert (first.body, first.headers["i-twilio-idempotency-token"]) == (
        again.body, again.headers["i-twilio-idempotency-token"]
    )  # fmt: skip


def test_what_was_said_to_one_part_is_not_lost_when_another_one_fails(house: House) -> None:
    parts = [says("Nice", "Really"), Told(503), says("A picture!")]
    house.app.answer = lambda call: parts.pop(0) if call.path == "/in" else Told(204, b"")
    inbox = Inbox(house.gateway)
    card = Card("Look", (Image(PNG),))
    inbox.accept("shop", Written(card, external_id="m-1", customer="webhook:ada"))
    house.gateway.publisher.publish(inbox.wakes)
    run_until_quiet(house.gateway)
    assert house.said() == []
    house.clock.advance(600)
    run_until_quiet(house.gateway)
    assert [("ada", words) for words in ("Nice", "Really", "A picture!")] == house.said()


def test_an_application_is_asked_about_each_part_once_though_redis_was_out_of_reach_between(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("workers.lease.AGAIN", 0.0)
    remember, outages = Mailboxes.remember, iter([True, True])

    def flaky(self: Mailboxes, claim: Claim, lease: float, achieved: Achieved) -> bool:
        if next(outages, False):
            raise StoreUnavailable("gone")
        return remember(self, claim, lease, achieved)

    monkeypatch.setattr(Mailboxes, "remember", flaky)
    parts = [says("Nice"), says("A picture!")]
    house.app.answer = lambda call: parts.pop(0) if call.path == "/in" else Told(204, b"")
    inbox = Inbox(house.gateway)
    inbox.accept("shop", Written(Card("Look", (Image(PNG),)), external_id="m-1", customer="webhook:ada"))
    house.gateway.publisher.publish(inbox.wakes)
    run_until_quiet(house.gateway)
    assert house.said() == [("ada", "Nice"), ("ada", "A picture!")]
    assert next(outages, None) is None


def test_what_was_said_to_one_part_is_said_though_another_one_is_given_up(house: House) -> None:
    parts = [says("Nice"), Told(400), says("Nice"), says("A picture!")]
    house.app.answer = lambda call: parts.pop(0) if call.path == "/in" else Told(204, b"")
    inbox = Inbox(house.gateway)
    inbox.accept("shop", Written(Card("Look", (Image(PNG),)), external_id="m-1", customer="webhook:ada"))
    house.gateway.publisher.publish(inbox.wakes)
    run_until_quiet(house.gateway)
    assert house.said() == [("ada", "Nice")]
    (letter,) = house.gateway.store.dead_letters.newest()
    house.gateway.publisher.publish(house.gateway.store.dead_letters.replay(letter.id)[1])
    run_until_quiet(house.gateway)
    assert house.said() == [("ada", "Nice"), ("ada", "A picture!")]


def test_one_message_in_several_parts_is_reported_once(house: House) -> None:
    document = MessagingResponse()
    message = document.message("x" * 300, action="/mine")
    message.media(PNG)
    message.media(f"{PNG}?2")
    house.app.answer = by_path(**{"in": Told(body=str(document).encode(), headers=XML)}, mine=Told(204, b""))
    house.write("hi")
    assert len(house.shop.calls) == 3 + 1  # and what became of the customer's own
    (call,) = (call for call in house.app.calls if call.path == "/mine")
    assert params(call)["MessageSid"].startswith("MM")
    assert house.told("/mine") == ["sent"]
    *parts, last = [record.message for record in house.gateway.store.messages.timeline("shop/webhook:ada")][-3:]
    assert (last.metadata["parts"], [is_part(part) for part in parts]) == ([part.id for part in parts], [True, True])
    assert all("parts" not in part.metadata for part in parts)


RANK = {"sent": 1, "failed": 2, "delivered": 3, "read": 4}  # a proof of delivery outranks a failure
reported = st.lists(st.sampled_from(list(RANK)), min_size=1, max_size=5).flatmap(
    lambda statuses: st.tuples(st.permutations(statuses), st.permutations(statuses), st.booleans())
)


@settings(deadline=None, max_examples=examples(25), suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(reported)
def test_reports_in_any_order_come_to_the_same_and_rise(house: House, orders: tuple[Any, Any, bool]) -> None:
    one, other, work = orders
    ends = []
    for order in (one, other):
        house.redis.flushall()
        house.gateway.declare()
        house.app.calls.clear()
        house.shop.calls.clear()
        house.app.answer = by_path(**{"in": says("Hello")}, status=Told(204, b""))
        house.write("hi")
        (ref,) = (call.json["data"]["id"] for call in house.shop.calls if call.json["type"] == "message.created")
        house.hear(ref, *order, work=work)
        record = house.gateway.store.messages.read(ref)
        assert record is not None
        ends.append(record.status)
        heard = house.told()
        assert heard[0] == "sent"
        assert sorted(heard, key=RANK.__getitem__) == heard
        assert len(set(heard)) == len(heard)
        assert all(climbs(before, after) for before, after in pairwise(heard))  # type: ignore[arg-type]  # they are statuses
        assert record.status == heard[-1]
    assert ends[0] == ends[1] == max(["sent", *one], key=RANK.__getitem__)
