"""What all of Twilio's products share: signatures as Twilio's own library makes them, errors, pages, credentials."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable, Mapping
from hashlib import sha256
from typing import Any
from urllib.parse import urlencode

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from marshmallow import ValidationError
from msgspec.structs import replace
from twilio.request_validator import RequestValidator

from app.core import errors
from app.core.address import address_of
from app.core.errors import BadWebhook, Failure, Kind, Unverified
from app.core.events import Webhook
from app.http import Http
from app.platforms.twilio.account import MAX_PAGES, Account, TwilioFailure, path_part
from app.platforms.twilio.addresses import is_address, on_the_wire
from app.platforms.twilio.settings import TwilioSchema
from app.platforms.twilio.webhooks import MAX_FIELDS, form_of
from tests.support.sink import Sink, Told
from tests.support.values import THOROUGH

ACCOUNT, TOKEN, OLD = "AC" + "1" * 32, "twilio-token-0001", "twilio-token-0000"
URL = "https://gate.example.test/destinations/people/new-message"
FORM = "application/x-www-form-urlencoded"
FIELDS = [("EventType", "onMessageSent"), ("Body", "Größe & more = ü👍"), ("Empty", "")]


def account(**changes: Any) -> Account:
    values = {"type": "any", "account_sid": ACCOUNT, "auth_tokens": [TOKEN], **changes}
    return Account(TwilioSchema().load(values))


def multi(fields: list[tuple[str, str]]) -> Any:
    """The fields as a web framework gives them to Twilio's library."""

    class Many(dict):  # type: ignore[type-arg]
        def getlist(self, name: str) -> list[str]:
            return [value for key, value in fields if key == name]

    return Many(fields)


def webhook(url: str, body: bytes, signature: str | None, kind: str = FORM, method: str = "POST") -> Webhook:
    headers = {"content-type": kind} | ({} if signature is None else {"x-twilio-signature": signature})
    return Webhook(method, url, "/destinations/people/new-message", headers, body)


def form(fields: list[tuple[str, str]] = FIELDS, url: str = URL, token: str = TOKEN, **more: Any) -> Webhook:
    """A form as Twilio signs it."""
    signature = RequestValidator(token).compute_signature(url, multi(fields))
    return webhook(url, urlencode(fields).encode(), signature, **more)


def json(
    body: bytes = b'{"EventType":"onMessageSent","Body":"\xc3\xbc"}', token: str = TOKEN, query: str = ""
) -> Webhook:
    """JSON as Twilio signs it: the URL holds the body's hash."""
    url = f"{URL}?{query}bodySHA256={sha256(body).hexdigest()}"
    return webhook(url, body, RequestValidator(token).compute_signature(url, {}), kind="application/json")


# --- signatures ---

GOOD: dict[str, Webhook] = {
    "a form": form(),
    "a form with a charset": form(kind=f"{FORM}; charset=UTF-8"),
    "a form in odd letters": form(kind="Application/X-WWW-Form-URLEncoded"),
    "a repeated field": form([("Filters", "b"), ("Filters", "a"), ("EventType", "x")]),
    "a field repeated with the same value": form([("Filters", "a"), ("Filters", "a")]),
    "a query beside the form": form(url=f"{URL}?kind=chat&a=b%20c"),
    "a port": form(url="https://gate.example.test:8443/destinations/people"),
    "nothing but a URL": form([], url=f"{URL}?EventType=x&Body=%C3%BC", method="GET"),
    "JSON": json(),
    "JSON beside a query": json(query="a=b&"),
    "a form that also has a hash": form(url=f"{URL}?bodySHA256={'0' * 64}"),
}


@pytest.mark.parametrize("good", GOOD.values(), ids=GOOD)
def test_it_takes_what_twilios_own_library_signed(good: Webhook) -> None:
    account().verify(good)


def latin(kind: str = FORM, signed: str = "café", body: bytes = b"Body=caf%E9") -> Webhook:
    """A form in Latin-1; what its sender signed is a text."""
    return webhook(URL, body, RequestValidator(TOKEN).compute_signature(URL, {"Body": signed}), kind=kind)


ODD_FORMS: dict[str, tuple[Webhook, str]] = {
    "Latin-1 by its header": (latin(f"{FORM}; charset=ISO-8859-1"), "café"),
    "Latin-1 by its header, unescaped": (latin(f"{FORM}; charset=ISO-8859-1", body=b"Body=caf\xe9"), "café"),
    "Latin-1 that nobody names": (latin(), "caf\ufffd"),
    "no UTF-8, signed as it is read": (latin(signed="caf\ufffd"), "caf\ufffd"),
    "no UTF-8 where UTF-8 is named": (latin(f"{FORM}; charset=utf-8", "caf\ufffd"), "caf\ufffd"),
    "a byte order mark": (latin(signed="Hi", body=b"\xef\xbb\xbfBody=Hi"), "Hi"),
    "JSON with half a surrogate pair": (json(b'{"Body":"a\\ud83d"}'), "a\ufffd"),
    "JSON that is not UTF-8": (json(b'{"Body":"a\xff"}'), "a\ufffd"),
    "JSON with a byte order mark": (json(b'\xef\xbb\xbf{"Body":"a"}'), "a"),
    "JSON with a number that is none": (json(b'{"Body":"a","Score":NaN}'), "a"),
}


@pytest.mark.parametrize(("odd", "text"), ODD_FORMS.values(), ids=ODD_FORMS)
def test_no_odd_character_refuses_what_is_signed(odd: Webhook, text: str) -> None:
    account().verify(odd)
    assert {"Body": text} == form_of(odd)


def test_a_query_that_is_no_utf_8_is_read() -> None:
    assert {"Body": "caf\ufffd", "A": "ü"} == form_of(form([], url=f"{URL}?Body=caf%E9&A=%C3%BC", method="GET"))


def test_a_value_nested_too_deeply_is_named() -> None:
    with pytest.raises(BadWebhook) as raised:
        form_of(json(b'{"Body":' + b"[" * 500 + b"]" * 500 + b"}"))
    assert ("Body", "Must not be nested so deeply.") == (raised.value.field, raised.value.rule)


SIGNED = RequestValidator(TOKEN).compute_signature(f"{URL}?bodySHA256=", {})
SPOILS: dict[str, Callable[[], Webhook]] = {
    "no header": lambda: webhook(URL, form().body, None),
    "an empty header": lambda: webhook(URL, form().body, ""),
    "another token": lambda: form(token=OLD),
    "no ASCII": lambda: webhook(URL, form().body, "schlüssel"),
    "a cut signature": lambda: webhook(URL, form().body, form().headers["x-twilio-signature"][:-1]),
    "a longer signature": lambda: webhook(URL, form().body, form().headers["x-twilio-signature"] + "="),
    "a changed body": lambda: replace(form(), body=form().body.replace(b"Sent", b"Send")),
    "a field more": lambda: replace(form(), body=form().body + b"&Source=SDK"),
    "a blank field more": lambda: replace(form(), body=form().body + b"&Source="),
    "a repeated value changed": lambda: replace(form([("A", "1"), ("A", "2")]), body=b"A=1&A=3"),
    "no body any more": lambda: replace(form(), body=b""),
    "another URL": lambda: replace(form(), url=URL + "?a=b"),
    "another host": lambda: replace(form(), url=URL.replace("gate", "evil")),
    "another scheme": lambda: replace(form(), url=URL.replace("https", "http")),
    "a form that calls itself JSON": lambda: replace(
        form(), headers={**form().headers, "content-type": "application/json"}
    ),
    "a form without a type": lambda: replace(form(), headers={**form().headers, "content-type": ""}),
    "a form that is not UTF-8": lambda: webhook(URL, b"Body=\xff", RequestValidator(TOKEN).compute_signature(URL, {})),
    "a form whose escapes are not UTF-8": lambda: webhook(
        URL, b"Body=%FF", RequestValidator(TOKEN).compute_signature(URL, {})
    ),
    "more fields than anybody sends": lambda: form([(f"a{n}", "b") for n in range(MAX_FIELDS + 1)]),
    "JSON that was changed": lambda: replace(json(), body=b'{"EventType":"onMessageSend"}'),
    "JSON by another token": lambda: json(token=OLD),
    "JSON without a hash": lambda: webhook(URL, b"{}", RequestValidator(TOKEN).compute_signature(URL, {}), kind="json"),
    "JSON with a blank hash": lambda: webhook(f"{URL}?bodySHA256=", b"{}", SIGNED, kind="application/json"),
    "JSON with a blank hash after a good one": lambda: replace(json(), url=f"{json().url}&bodySHA256="),
    "JSON with a hash of other letters": lambda: webhook(f"{URL}?bodySHA256=%C3%BC", b"{}", SIGNED, kind="text/plain"),
}


@pytest.mark.parametrize("spoiled", SPOILS.values(), ids=SPOILS)
def test_it_refuses_everything_else_and_says_why_without_a_secret(spoiled: Callable[[], Webhook]) -> None:
    bad = spoiled()
    with pytest.raises(Unverified) as raised:
        account().verify(bad)
    assert str(raised.value)
    assert TOKEN not in str(raised.value)


@THOROUGH
@given(
    st.text(st.sampled_from("bodySHA256=&;#%[]@:/?a\u00fc"), max_size=40).map(lambda text: f"{URL}?bodySHA256{text}"),
    st.binary(max_size=20),
    st.text(max_size=40),
    st.sampled_from([FORM, "application/json", "", "multipart/form-data"]),
)
def test_whatever_comes_is_refused_and_no_bug(url: str, body: bytes, signature: str, kind: str) -> None:
    with pytest.raises(Unverified):
        account().verify(webhook(url, body, signature, kind))


def test_every_token_of_a_rotation_is_good_for_signatures_and_the_first_for_calls(outside: Sink) -> None:
    rotating = account(auth_tokens=[TOKEN, OLD])
    for token in (TOKEN, OLD):
        rotating.verify(form(token=token))
        rotating.verify(json(token=token))
    with pytest.raises(Unverified):
        rotating.verify(form(token="twilio-token-0002"))
    rotating.call("GET", outside.url, Http([outside.url]))
    assert basic(ACCOUNT, TOKEN) == outside.calls[0].headers["authorization"]


def test_the_host_header_does_not_count() -> None:
    good = form()
    account().verify(replace(good, headers={**good.headers, "host": "evil.example.test"}))


words = st.text(st.characters(exclude_categories=["Cs"]), max_size=9)


@THOROUGH
@given(st.lists(st.tuples(words.filter(bool), words), max_size=9))
def test_any_form_that_twilio_signs_is_good_and_read_back(fields: list[tuple[str, str]]) -> None:
    signed = form(fields)
    account().verify(signed)
    assert dict(fields) == form_of(signed)


def test_a_form_is_read_from_the_body_or_else_from_the_query() -> None:
    assert form_of(form([("A", "1"), ("A", "2"), ("B", "")], url=f"{URL}?C=3")) == {"A": "2", "B": ""}
    assert form_of(form([], url=f"{URL}?C=3&C=%C3%BC&D=", method="GET")) == {"C": "ü", "D": ""}
    assert form_of(form([])) == {}


def test_json_is_read_like_a_form_and_null_is_nothing() -> None:
    body = b'{"A":"1","Index":4,"Media":[{"Sid":"ME1"}],"Attributes":{"a":true},"Body":null}'
    assert form_of(json(body)) == {"A": "1", "Index": "4", "Media": '[{"Sid":"ME1"}]', "Attributes": '{"a":true}'}


def test_a_form_that_cannot_be_read_is_a_bad_webhook_and_not_a_bug() -> None:
    body = b"&".join(b"a=b" for _ in range(MAX_FIELDS + 1))
    with pytest.raises(BadWebhook) as raised:
        form_of(webhook(URL, body, "any"))
    assert ("", "The form cannot be read.") == (raised.value.field, raised.value.rule)


# --- errors ---


def told(status: int, code: Any = None, message: Any = "No.", **headers: str) -> Told:
    body = {"code": code, "message": message, "more_info": "https://www.twilio.com/docs/errors/1", "status": status}
    return Told(status, orjson.dumps(body), {name.replace("_", "-"): value for name, value in headers.items()})


# What Twilio answers; the kind, its code and the words that the operator reads, for how long to wait, whether it may
# have been done.
ERRORS: dict[str, tuple[Told, Kind, int, str, float | None, bool]] = {
    "unauthorised": (told(401, 20003, "Go."), errors.UNAUTHORISED, 20003, "HTTP 401: 20003 Go.", None, False),
    "unauthorised in other words": (told(403, 20003), errors.UNAUTHORISED, 20003, "HTTP 403: 20003 No.", None, False),
    "too many": (told(429, 20429, retry_after="7"), errors.THROTTLED, 20429, "HTTP 429: 20429 No.", 7, False),
    "too many in other words": (told(400, 20429), errors.THROTTLED, 20429, "HTTP 400: 20429 No.", None, False),
    "too many, without a code": (told(429), errors.THROTTLED, 0, "HTTP 429: No.", None, False),
    "a bad parameter": (told(400, 20001), errors.REJECTED, 20001, "HTTP 400: 20001 No.", None, False),
    "forbidden": (told(403, 20403), errors.REJECTED, 20403, "HTTP 403: 20403 No.", None, False),
    "not found": (told(404, 20404), errors.MISCONFIGURED, 20404, "HTTP 404: 20404 No.", None, False),
    "a conflict": (told(409, 50353), errors.REJECTED, 50353, "HTTP 409: 50353 No.", None, False),
    "gone": (told(410, 1), errors.GONE, 1, "HTTP 410: 1 No.", None, False),
    "a fault": (told(500, 20500), errors.UNAVAILABLE, 20500, "HTTP 500: 20500 No.", None, False),
    "a lost answer": (told(502), errors.UNAVAILABLE, 0, "HTTP 502: No.", None, True),
    "away": (told(503, 20503, retry_after="3"), errors.UNAVAILABLE, 20503, "HTTP 503: 20503 No.", 3, False),
    "an answer too late": (told(504), errors.UNAVAILABLE, 0, "HTTP 504: No.", None, True),
    "a code in words": (told(400, "20003"), errors.REJECTED, 0, "HTTP 400: No.", None, False),
    "a message that is none": (told(400, 5, {"a": 1}), errors.REJECTED, 5, "HTTP 400: 5", None, False),
    "a message of several lines": (told(400, 5, "a\r\n b"), errors.REJECTED, 5, "HTTP 400: 5 a b", None, False),
    "HTML": (Told(503, b"<html>Away</html>"), errors.UNAVAILABLE, 0, "HTTP 503: <html>Away</html>", None, False),
    "an array": (Told(400, b"[1]"), errors.REJECTED, 0, "HTTP 400: [1]", None, False),
    "null": (Told(400, b"null"), errors.REJECTED, 0, "HTTP 400: null", None, False),
    "not UTF-8": (Told(400, b"\xff"), errors.REJECTED, 0, "HTTP 400: �", None, False),
    "nested without end": (Told(400, b"[" * 99_999), errors.REJECTED, 0, "HTTP 400: " + "[" * 200, None, False),
    "nothing": (Told(400, b""), errors.REJECTED, 0, "HTTP 400", None, False),
    "a redirect": (Told(302, b"", {"Location": "/"}), errors.REJECTED, 0, "HTTP 302", None, False),
}  # fmt: skip


@pytest.mark.parametrize(("answer", "kind", "code", "detail", "wait", "maybe_done"), ERRORS.values(), ids=ERRORS)
def test_an_error_in_the_palettes_words(
    answer: Told, kind: Kind, code: int, detail: str, wait: float | None, maybe_done: bool, outside: Sink
) -> None:
    outside.answers(answer)
    with pytest.raises(TwilioFailure) as raised:
        account().call("POST", outside.url, Http([outside.url]), {"a": "b"})
    failure = raised.value
    assert (kind, answer.status, code, detail) == (failure.kind, failure.status, failure.code, failure.detail)
    assert (wait, maybe_done) == (failure.retry_after, failure.maybe_done)


QUOTES = {"in a message": 0, "at the edge of what is quoted": 292, "beyond": 400}


@pytest.mark.parametrize("before", QUOTES.values(), ids=QUOTES)
def test_credentials_are_never_quoted_not_even_in_part(before: int, outside: Sink) -> None:
    secret = basic(ACCOUNT, TOKEN).removeprefix("Basic ")
    for repeated in (TOKEN, secret):
        outside.answers(told(400, 5, "x" * before + repeated + "y" * 99))
        with pytest.raises(TwilioFailure) as raised:
            account().call("GET", outside.url, Http([outside.url]))
        said = str(raised.value)
        assert repeated[:6] not in said
        assert len(said) < 350


def test_an_answer_is_read_leniently(outside: Sink) -> None:
    outside.answers(Told(200, b'\xef\xbb\xbf{"body":"a\\ud83d","price":NaN,"sid":"SM1"}'))
    assert {"body": "a\ufffd", "sid": "SM1"} == account().call("GET", outside.url, Http([outside.url]))


ODD_ANSWERS: dict[str, dict[str, Any]] = {
    "a sid that is a number": {"sid": 5},
    "an index in words": {"index": "four"},
    "an index without end": {"index": "9" * 40},
    "an index that is true": {"index": True},
    "links that are a word": {"links": "a"},
    "a channel within, without a text": {"channel": {"sid": []}},
}


@pytest.mark.parametrize("body", ODD_ANSWERS.values(), ids=ODD_ANSWERS)
def test_what_is_none_of_what_its_name_says_makes_an_answer_unreadable(body: dict[str, Any], outside: Sink) -> None:
    outside.answers(Told(200, orjson.dumps(body)))
    with pytest.raises(Failure) as raised:
        account().call("GET", outside.url, Http([outside.url]))
    assert (errors.UNPARSEABLE, True) == (raised.value.kind, raised.value.maybe_done)


@pytest.mark.parametrize("body", [{}, {"sid": None}])
def test_what_is_asked_for_and_missing_makes_an_answer_unreadable(body: dict[str, Any], outside: Sink) -> None:
    outside.answers(Told(200, orjson.dumps(body)))
    found = account().call("GET", outside.url, Http([outside.url]))
    assert found.get("sid") is None
    with pytest.raises(Failure, match="the answer has no sid") as raised:
        found["sid"]
    assert (errors.UNPARSEABLE, True) == (raised.value.kind, raised.value.maybe_done)


LISTS: dict[str, Any] = {"a word": "abc", "numbers": [1], "an object": {"a": 1}, "lists": [[]]}


@pytest.mark.parametrize("entries", LISTS.values(), ids=LISTS)
def test_a_list_is_one_of_objects(entries: Any, outside: Sink) -> None:
    outside.answers(Told(200, orjson.dumps({"messages": entries})))
    with pytest.raises(Failure) as raised:
        list(account().listed(outside.url, "messages", Http([outside.url])))
    assert errors.UNPARSEABLE is raised.value.kind


ADDRESSES = {
    "Mexico as it was": ("whatsapp:+5215512345678", True),
    "Mexico as it is": ("whatsapp:+525512345678", True),
    "eight digits": ("+22312345", True),
    "seven digits": ("whatsapp:+2901234", True),
    "fifteen digits": ("whatsapp:+123456789012345", True),
    "sixteen digits": ("whatsapp:+1234567890123456", False),
    "no plan has it": ("+999999999999", True),
    "other digits": ("whatsapp:+1555000000\N{ARABIC-INDIC DIGIT ONE}", False),
    "a short code": ("72345", True),
    "a short code of other digits": ("7234\N{ARABIC-INDIC DIGIT ONE}", False),
}


@pytest.mark.parametrize(("value", "is_one"), ADDRESSES.values(), ids=ADDRESSES)
def test_a_number_is_an_address_whatever_todays_plans_say(value: str, is_one: bool) -> None:
    address = address_of(value)
    assert (is_one, value) == (is_address(address), on_the_wire(address))


def test_an_answer_that_is_no_json_object_may_have_been_a_success(outside: Sink) -> None:
    for body in (b"<html>", b"[]", b"null", b'"CH1"'):
        outside.answers(Told(201, body))
        with pytest.raises(Failure) as raised:
            account().call("POST", outside.url, Http([outside.url]), {})
        assert (errors.UNPARSEABLE, True) == (raised.value.kind, raised.value.maybe_done)
    outside.answers(Told(204, b""))
    assert account().call("DELETE", outside.url, Http([outside.url])) == {}


# --- calls ---


def basic(user: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


KEYS: dict[str, tuple[dict[str, str], str]] = {
    "the account's token": ({}, basic(ACCOUNT, TOKEN)),
    "an API key": (
        {"api_key_sid": "SK" + "2" * 32, "api_key_secret": "key-secret-0001"},
        basic("SK" + "2" * 32, "key-secret-0001"),
    ),
}


@pytest.mark.parametrize(("changes", "header"), KEYS.values(), ids=KEYS)
def test_calls_are_made_with(changes: Mapping[str, str], header: str, outside: Sink) -> None:
    account(**changes).call("POST", f"{outside.url}/v1/A", Http([outside.url]), [("a", "1"), ("a", "2"), ("b", "ü&")])
    (call,) = outside.calls
    assert (header, FORM) == (call.headers["authorization"], call.headers["content-type"])
    assert ("POST", "/v1/A", {"a": ["1", "2"], "b": ["ü&"]}) == (call.method, call.path, call.form)


def test_what_is_not_there_is_none_and_may_be_removed_again(outside: Sink) -> None:
    outside.answers(told(404, 20404))
    http = Http([outside.url])
    assert account().find(outside.url, http) is None
    account().remove(outside.url, http)
    assert ["GET", "DELETE"] == [call.method for call in outside.calls]
    outside.answers(told(403, 20403))
    for verb in (account().find, account().remove):
        with pytest.raises(TwilioFailure):
            verb(outside.url, http)


def test_a_file_is_fetched_as_it_is_and_a_redirect_is_not_followed(outside: Sink) -> None:
    http = Http([outside.url])
    outside.answers(Told(200, b"\xff\x00", {"Content-Type": "image/png"}))
    into = io.BytesIO()
    found = account().download(outside.url, http, into, 2)
    assert (b"\xff\x00", b"", "image/png") == (into.getvalue(), found.body, found.headers["content-type"])
    assert basic(ACCOUNT, TOKEN) == outside.calls[0].headers["authorization"]
    outside.answers(Told(307, b"", {"Location": f"{outside.url}/there"}))
    assert (307, 2) == (account().download(outside.url, http, io.BytesIO(), 2).status, len(outside.calls))


FETCHES: dict[str, tuple[Told, Kind]] = {
    "too large": (Told(200, b"123"), errors.UNPARSEABLE),
    "not there": (Told(404), errors.MISCONFIGURED),
    "away": (Told(503), errors.UNAVAILABLE),
}


@pytest.mark.parametrize(("answer", "kind"), FETCHES.values(), ids=FETCHES)
def test_a_file_that_cannot_be_fetched(answer: Told, kind: Kind, outside: Sink) -> None:
    outside.answers(answer)
    with pytest.raises(Failure) as raised:
        account().download(outside.url, Http([outside.url]), io.BytesIO(), 2)
    assert kind == raised.value.kind


def pages(outside: Sink, name: str = "things") -> None:
    """Three pages of two entries each, their links as a proxy's client sees them: with another host."""

    def answer(call: Any) -> Told:
        number = int(call.path.rpartition("Page=")[2]) if "Page=" in call.path else 0
        following = f"https://api.twilio.example.test/v1/Things?A=b%3Ac&PageToken=x&Page={number + 1}"
        entries = [{"n": 2 * number}, {"n": 2 * number + 1}]
        meta = {"meta": {"next_page_url": following if number < 2 else None}}
        old = {"next_page_uri": following.partition(".test")[2]} if number < 2 else {}
        return Told(200, orjson.dumps({name: entries, **(meta if name == "things" else old)}))

    outside.answer = answer


@pytest.mark.parametrize("name", ["things", "old_things"])
def test_a_list_is_read_page_after_page_on_the_configured_host(name: str, outside: Sink) -> None:
    pages(outside, name)
    found = list(account().listed(f"{outside.url}/v1/Things?A=b%3Ac", name, Http([outside.url])))
    assert list(range(6)) == [one["n"] for one in found]
    assert [
        "/v1/Things?A=b%3Ac",
        "/v1/Things?A=b%3Ac&PageToken=x&Page=1",
        "/v1/Things?A=b%3Ac&PageToken=x&Page=2",
    ] == [call.path for call in outside.calls]


def test_a_list_ends_where_enough_was_found(outside: Sink) -> None:
    pages(outside)
    assert 3 == len(list(account().listed(f"{outside.url}/v1/Things", "things", Http([outside.url]), 3)))
    assert 2 == len(outside.calls)


@pytest.mark.parametrize("entries", [[], [{"n": 1}]], ids=["empty pages", "full pages"])
def test_a_list_that_always_has_another_page_ends_all_the_same(entries: list[Any], outside: Sink) -> None:
    body = {"things": entries, "meta": {"next_page_url": "https://api.twilio.example.test/v1/Things?Page=1"}}
    outside.answers(Told(200, orjson.dumps(body)))
    found = list(account().listed(f"{outside.url}/v1/Things", "things", Http([outside.url])))
    assert (MAX_PAGES, MAX_PAGES * len(entries)) == (len(outside.calls), len(found))


def test_a_list_that_is_not_there_is_empty(outside: Sink) -> None:
    outside.answers(Told(200, b'{"things":null,"meta":null}'))
    assert [] == list(account().listed(outside.url, "things", Http([outside.url])))


def test_a_name_is_one_segment_of_a_url() -> None:
    assert "a%2Fb%3Ac%3F%C3%BC%20" == path_part("a/b:c?ü ")


BAD_SETTINGS: dict[str, tuple[dict[str, Any], str]] = {
    "no tokens": ({"auth_tokens": []}, "auth_tokens"),
    "too many tokens": ({"auth_tokens": [TOKEN] * 5}, "auth_tokens"),
    "a short token": ({"auth_tokens": ["short"]}, "auth_tokens"),
    "an account that is none": ({"account_sid": "SK" + "1" * 32}, "account_sid"),
    "half a key": ({"api_key_sid": "SK" + "1" * 32}, "api_key_secret"),
    "the other half": ({"api_key_secret": "key-secret-0001"}, "api_key_secret"),
}


@pytest.mark.parametrize(("changes", "key"), BAD_SETTINGS.values(), ids=BAD_SETTINGS)
def test_settings_are_checked(changes: dict[str, Any], key: str) -> None:
    with pytest.raises(ValidationError) as raised:
        account(**changes)
    assert [key] == list(raised.value.messages_dict)
