"""Calls: the SSRF guard, limits of size and time, and what is kept between calls."""

from __future__ import annotations

import gzip
import io
import time
import zlib
from collections.abc import Callable
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Any

import pycurl
import pytest
import requests
from hypothesis import given
from hypothesis import strategies as st
from requests.structures import CaseInsensitiveDict

from app import transport as module
from app.core import errors
from app.core.errors import Failure, Kind
from app.http import MAX_BYTES, MAX_WAIT, Http, Response, called, kind_of
from app.request import host_and_port
from tests.support.processes import free_port
from tests.support.sink import Call, Sink, Told
from tests.support.values import QUICK


def failure(url: str, http: Http | None = None, **options: Any) -> Failure:
    with pytest.raises(Failure) as raised:
        (http or Http()).post(url, **options).json()
    return raised.value


def test_a_secret_that_did_not_go_out_is_not_quoted(outside: Sink) -> None:
    http = Http([outside.url], secrets=["never-sent-secret"])
    outside.answers(Told(400, b"." * 195 + b"never-sent-secret"), Told(400, b'{"message":"never-sent-secret"}'))
    with pytest.raises(Failure) as raised:
        http.post(outside.url).check()
    assert "HTTP 400: " + "." * 195 + "[reda" == raised.value.detail
    answer = http.post(outside.url)
    with pytest.raises(Failure) as raised:
        answer.check(answer.json()["message"])
    assert "HTTP 400: [redacted]" == raised.value.detail


# --- the SSRF guard ---

INSIDE = {
    "loopback": "127.0.0.1",
    "another loopback": "127.8.8.8",
    "a private network": "10.0.0.1",
    "a home network": "192.168.1.1",
    "the cloud's metadata": "169.254.169.254",
    "a carrier's network": "100.64.0.1",
    "this host": "0.0.0.0",
    "everybody": "255.255.255.255",
    "a group": "224.0.0.1",
    "IPv6 loopback": "::1",
    "IPv6 link": "fe80::1",
    "IPv6 private": "fd00::1",
    "IPv6 group": "ff02::1",
    "IPv4 within IPv6": "::ffff:127.0.0.1",
    "IPv4 behind a translator": "64:ff9b::7f00:1",
    "IPv4 behind a translator of one's own": "64:ff9b:1::7f00:1",
    "IPv4 as it once stood in IPv6": "::7f00:1",
    "IPv4 for a stateless translator": "::ffff:0:7f00:1",
    "IPv4 in a tunnel": "2002:7f00:1::",
    "a forgotten private network": "fec0::1",
}


def url_of(address: str) -> str:
    return f"http://[{address}]:8080/" if ":" in address else f"http://{address}:8080/"


@pytest.mark.parametrize("address", INSIDE.values(), ids=INSIDE)
def test_an_inside_address_is_refused(address: str) -> None:
    refused = failure(url_of(address))
    assert (refused.kind, refused.maybe_done) == (errors.REJECTED, False)


@pytest.mark.parametrize("others", [(), ("93.184.215.14",)], ids=["alone", "before a public one"])
@pytest.mark.parametrize("address", INSIDE.values(), ids=INSIDE)
def test_a_name_that_leads_inside_is_refused(
    address: str, others: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    url = "http://looks-public.example.test:8080/"
    resolve(monkeypatch, url, address, *others)
    refused = failure(url)
    assert (refused.kind, refused.detail) == (errors.REJECTED, "looks-public.example.test is not a public address")


def test_a_name_that_leads_inside_where_its_public_address_is_silent_is_refused(
    outside: Sink, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = outside.url.replace("127.0.0.1", "looks-public.example.test")
    resolve(monkeypatch, url, "127.0.0.9", "127.0.0.1")
    monkeypatch.setattr(module, "is_public", lambda where: where[0] == "127.0.0.9")
    assert (errors.REJECTED, []) == (failure(url).kind, outside.calls)


NAMES = [
    "http://localhost:8080/",
    "http://LOCALHOST/",
    "http://127.1:8080/",
    "http://2130706433/",
    "http://0x7f000001/",
]


@pytest.mark.parametrize("url", NAMES)
def test_other_words_for_loopback_are_refused(url: str) -> None:
    assert failure(url).kind == errors.REJECTED


def resolve(monkeypatch: pytest.MonkeyPatch, url: str, *addresses: str) -> None:
    """Have the name in this URL lead to these addresses."""
    name, port = host_and_port(url)
    there = ",".join(f"[{address}]" if ":" in address else address for address in addresses)
    monkeypatch.setitem(module.USUAL, pycurl.RESOLVE, [f"{name}:{port}:{there}"])


def test_a_configured_host_and_port_may_be_inside(outside: Sink) -> None:
    assert Http([f"{outside.url}/somewhere/else"]).post(f"{outside.url}/here").status == 200


def test_another_port_of_a_configured_host_is_refused(outside: Sink) -> None:
    assert failure(outside.url, Http([f"http://127.0.0.1:{free_port()}"])).kind == errors.REJECTED
    assert outside.calls == []


def fetched(url: str, http: Http, **options: Any) -> Response:
    return http.fetch(url, **{"timeout": 5, "most_bytes": 100, **options})


def test_a_file_is_fetched_from_no_host_that_only_the_configuration_trusts(outside: Sink) -> None:
    with pytest.raises(Failure) as raised:
        fetched(f"{outside.url}/admin", Http([outside.url]))
    assert (errors.REJECTED, False, []) == (raised.value.kind, raised.value.maybe_done, outside.calls)


def test_a_connection_that_was_kept_for_calls_is_not_used_to_fetch_a_file(outside: Sink) -> None:
    http = Http([outside.url])
    assert http.post(outside.url).ok
    with pytest.raises(Failure):
        fetched(outside.url, http)
    assert 1 == len(outside.calls)


def test_what_files_may_be_fetched_from_is_not_trusted_with_calls(outside: Sink) -> None:
    http = Http(files=[outside.url])
    outside.answers(Told(200, b"picture"))
    assert b"picture" == fetched(f"{outside.url}/a.png", http).body
    assert errors.REJECTED == failure(outside.url, http).kind
    (call,) = outside.calls
    assert ("GET", "/a.png", False) == (call.method, call.path, "authorization" in call.headers)


def test_a_file_has_limits(outside: Sink) -> None:
    http = Http(files=[outside.url])
    outside.answers(Told(200, b"x" * 101), Told(hang=True))
    for kind in (errors.UNPARSEABLE, errors.TIMED_OUT):
        with pytest.raises(Failure) as raised:
            fetched(outside.url, http, timeout=0.5)
        assert kind == raised.value.kind


@pytest.mark.parametrize("address", INSIDE.values(), ids=INSIDE)
def test_a_files_name_that_leads_inside_is_refused(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    resolve(monkeypatch, "http://files.example.test/", address)
    with pytest.raises(Failure) as raised:
        fetched("http://files.example.test/", Http(["http://shop.example.test"]))
    assert errors.REJECTED == raised.value.kind


def test_a_public_name_is_called_by_the_address_that_was_checked(
    outside: Sink, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A second look-up might lead inside: there is none, and the Host header still names the host."""
    url = outside.url.replace("127.0.0.1", "shop.example.test")
    checked: list[str] = []
    resolve(monkeypatch, url, "127.0.0.1")
    monkeypatch.setattr(module, "is_public", lambda where: not checked.append(where[0]))
    http = Http()
    http.post(f"{url}/")
    http.post(f"{url}/again")
    assert [url.removeprefix("http://")] * 2 == [call.headers["host"] for call in outside.calls]
    assert ["127.0.0.1"] == checked


def test_a_name_that_does_not_resolve_proves_that_nothing_was_done() -> None:
    for http in (Http(), Http(["http://nowhere.invalid"])):
        failed = failure("http://nowhere.invalid/", http)
        assert (failed.kind, failed.maybe_done) == (errors.UNAVAILABLE, False)


@pytest.mark.parametrize(
    ("status", "maybe_done"), [(500, False), (502, True), (503, False), (504, True), (520, True), (524, True)]
)
def test_only_a_proxy_that_lost_the_answer_leaves_it_open_whether_it_was_done(status: int, maybe_done: bool) -> None:
    with pytest.raises(Failure) as raised:
        Response(status, {}, b"").check()
    assert (raised.value.kind, raised.value.maybe_done) == (errors.UNAVAILABLE, maybe_done)


def test_a_redirect_is_not_followed(outside: Sink) -> None:
    outside.answers(Told(307, headers={"Location": f"{outside.url}/elsewhere"}))
    answer = Http([outside.url]).post(outside.url)
    assert (answer.status, len(outside.calls)) == (307, 1)
    with pytest.raises(Failure):
        answer.check()


def moved(where: str, status: int = 302) -> Told:
    return Told(status, headers={"Location": where} if where else {})


MOVES: dict[str, tuple[list[Told], int, list[str]]] = {
    "nowhere": ([Told(200)], 200, ["/a/b"]),
    "away": ([moved("/c"), Told(200)], 200, ["/a/b", "/c"]),
    "beside it": ([moved("c?d=e", 307), Told(200)], 200, ["/a/b", "/a/c?d=e"]),
    "by its name as it is": ([moved("/ö".encode().decode("latin-1")), Told(200)], 200, ["/a/b", "/%C3%B6"]),
    "twice": ([moved("/c", 301), moved("/d", 308), Told(200)], 200, ["/a/b", "/c", "/d"]),
    "without end": ([moved("/c")], 302, ["/a/b", "/c", "/c"]),
    "to no place": ([moved("")], 302, ["/a/b"]),
    "by another status": ([moved("/c", 300)], 300, ["/a/b"]),
    "and is gone": ([moved("/c"), Told(404)], 404, ["/a/b", "/c"]),
}


@pytest.mark.parametrize(("answers", "status", "paths"), MOVES.values(), ids=MOVES)
def test_a_file_is_fetched_where_it_has_moved_to(
    answers: list[Told], status: int, paths: list[str], outside: Sink
) -> None:
    outside.answers(*answers)
    assert status == Http(files=[outside.url]).fetch(f"{outside.url}/a/b").status
    assert [("GET", path) for path in paths] == [(call.method, call.path) for call in outside.calls]


BAD_MOVES = {
    "inside": ("http://127.0.0.2:9/", errors.REJECTED),
    "to a file": ("file:///etc/passwd", errors.MISCONFIGURED),
}


@pytest.mark.parametrize(("where", "kind"), BAD_MOVES.values(), ids=BAD_MOVES)
def test_a_file_that_has_moved_where_nobody_may_go(where: str, kind: Kind, outside: Sink) -> None:
    outside.answers(moved(where))
    with pytest.raises(Failure) as raised:
        Http(files=[outside.url]).fetch(outside.url)
    assert (kind, 1) == (raised.value.kind, len(outside.calls))


def test_a_fetched_file_has_a_largest_size(outside: Sink) -> None:
    outside.answers(moved("/c"), Told(200, b"123"))
    with pytest.raises(Failure):
        Http(files=[outside.url]).fetch(outside.url, most_bytes=2)


def test_a_file_has_one_time_out_wherever_it_has_moved_to(outside: Sink) -> None:
    def late(call: Call) -> Told:
        time.sleep(0.5)
        return moved("/c")

    outside.answer = late
    with pytest.raises(Failure) as raised:
        Http(files=[outside.url]).fetch(outside.url, timeout=1.2)
    assert errors.TIMED_OUT == raised.value.kind


BAD_URLS = {
    "no scheme": "shop.example.test/",
    "another scheme": "ftp://shop.example.test/",
    "no host": "http:///path",
    "a port out of range": "http://shop.example.test:99999/",
    "a label too long": f"http://{'x' * 64}.example.test/",
    "an empty label": "http://.example.test/",
    "a name of signs that none has": "http://shop;.example.test/",
    "nothing": "",
}


@pytest.mark.parametrize("url", BAD_URLS.values(), ids=BAD_URLS)
def test_a_url_that_can_be_none_is_our_own_fault(url: str) -> None:
    failed = failure(url)
    assert (failed.kind, failed.maybe_done) == (errors.MISCONFIGURED, False)


@pytest.mark.parametrize(
    "url", ["", "shop.example.test", "http:///path", f"http://{'ü' * 80}.example.test/", "http://[::1"]
)
def test_a_url_that_cannot_be_called_is_not_known_either(url: str) -> None:
    with pytest.raises(Failure, match="misconfigured"):
        called(url)


CALLED = {
    "https://shop.example.test": "/",
    "https://shop.example.test/größe?a=ü&b=%20#part": "/gr%C3%B6%C3%9Fe?a=%C3%BC&b=%20",
    "https://shop.example.test/a?b=c+d": "/a?b=c+d",
}


@pytest.mark.parametrize(("url", "path"), CALLED.items(), ids=CALLED)
def test_a_url_is_known_as_it_is_called(url: str, path: str, outside: Sink) -> None:
    assert f"https://shop.example.test{path}" == called(url)
    Http([outside.url]).request("GET", url.replace("https://shop.example.test", outside.url))
    assert [path] == [call.path for call in outside.calls]


HEADERS = {
    "a line break": "token\r\nx: y",
    "no Latin": "\N{GREEK SMALL LETTER ALPHA}" * 8,
    "an end of its own": "token\0x",
}


@pytest.mark.parametrize("value", HEADERS.values(), ids=HEADERS)
def test_a_header_that_can_be_none_is_our_own_fault(value: str, outside: Sink) -> None:
    http = Http([outside.url])
    ways: list[dict[str, Any]] = [{"headers": {"x-token": value}}]
    ways += [{"auth": ("user", value)}] if not value.isascii() else []
    for options in ways:
        failed = failure(outside.url, http, **options)
        assert failed.kind == errors.MISCONFIGURED
        assert value not in str(failed)


# --- what is sent ---


def test_json_forms_and_bodies(outside: Sink) -> None:
    http = Http([outside.url])
    http.post(outside.url, json={"a": "ü"})
    http.post(outside.url, form={"a": "b & c"})
    http.post(outside.url, body=b"raw", headers={"content-type": "text/x-raw"})
    http.post(outside.url, json={}, headers={"content-type": "application/x-own"})
    assert [
        ("application/json", '{"a":"ü"}'.encode()),
        ("application/x-www-form-urlencoded", b"a=b+%26+c"),
        ("text/x-raw", b"raw"),
        ("application/x-own", b"{}"),
    ] == [(call.headers["content-type"], call.body) for call in outside.calls]


REQUESTS: dict[str, tuple[str, dict[str, Any]]] = {
    "nothing to say": ("GET", {}),
    "no body where one is usual": ("POST", {}),
    "a delete": ("DELETE", {}),
    "an empty form": ("POST", {"data": {}}),
    "a form": ("POST", {"data": {"a": "b & c", "d": None}}),
    "a form of pairs": ("POST", {"data": [("a", "1"), ("a", "2")]}),
    "a form with headers": ("POST", {"data": {"a": "ü"}, "headers": {"x-one": "1", "X-Two": "2"}}),
    "a body": ("POST", {"data": b"\xff\x00", "headers": {"content-type": "text/x-raw"}}),
    "a get with a body": ("GET", {"data": b"why not"}),
    "credentials": ("GET", {"auth": ("user", "pass:word")}),
    "credentials in Latin 1": ("GET", {"auth": ("user", "päss")}),
    "headers of our own, written otherwise": ("GET", {"headers": {"User-Agent": "mine", "ACCEPT-ENCODING": "gzip"}}),
}


@pytest.mark.parametrize(("method", "options"), REQUESTS.values(), ids=REQUESTS)
def test_a_call_says_what_requests_would_say(method: str, options: dict[str, Any], outside: Sink) -> None:
    Http([outside.url]).request(method, outside.url, **options)
    usual = {"User-Agent": "patchbay", "Accept-Encoding": "identity"}
    headers = CaseInsensitiveDict({**usual, **CaseInsensitiveDict(options.get("headers", {}))})
    prepared = requests.Request(method, outside.url, **{**options, "headers": headers}).prepare()
    with requests.Session() as session:
        session.trust_env = False
        session.send(prepared)
    ours, theirs = outside.calls
    assert theirs == ours


def test_the_environment_has_no_say(outside: Sink, monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login someone password something\n")
    monkeypatch.setenv("NETRC", str(netrc))
    monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{free_port()}")
    Http([outside.url]).post(outside.url)
    assert "authorization" not in outside.calls[0].headers


def test_cookies_are_not_kept(outside: Sink) -> None:
    outside.answers(Told(headers={"Set-Cookie": "session=1; Path=/"}))
    http = Http([outside.url])
    http.post(outside.url)
    http.post(outside.url)
    assert ["cookie" in call.headers for call in outside.calls] == [False, False]


# --- what comes back ---


def test_an_answer_has_lower_case_headers_and_its_body(outside: Sink) -> None:
    outside.answers(Told(418, b'{"a":1}', {"X-Kettle": "Tea"}))
    answer = Http([outside.url]).post(outside.url)
    assert (answer.status, answer.headers["x-kettle"], answer.json(), answer.ok) == (418, "Tea", {"a": 1}, False)


def raw_deflate(data: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return packer.compress(data) + packer.flush()


PACKED: dict[str, tuple[str, Callable[[bytes], bytes]]] = {
    "gzip": ("gzip", gzip.compress),
    "gzip by its old name, shouted": ("X-GZIP", gzip.compress),
    "gzip in two pieces": ("gzip", lambda data: gzip.compress(data[:3]) + gzip.compress(data[3:])),
    "deflate": ("deflate", zlib.compress),
    "deflate without its wrapping": ("deflate", raw_deflate),
    "nothing": ("identity", lambda data: data),
}


@pytest.mark.parametrize(("encoding", "pack"), PACKED.values(), ids=PACKED)
def test_a_packed_answer_is_unpacked(encoding: str, pack: Callable[[bytes], bytes], outside: Sink) -> None:
    outside.answers(Told(200, pack(b'{"a":1}'), {"Content-Encoding": encoding}))
    assert Http([outside.url]).post(outside.url).json() == {"a": 1}


@pytest.mark.parametrize(("encoding", "pack"), [("", bytes), ("identity", bytes), ("gzip", gzip.compress)])
def test_a_download_goes_into_a_file_and_not_into_memory(
    encoding: str, pack: Callable[[bytes], bytes], outside: Sink
) -> None:
    into, http = io.BytesIO(), Http([outside.url])
    outside.answers(Told(200, pack(b"x" * 500_000), {"Content-Encoding": encoding} if encoding else {}))
    assert (200, b"") == ((found := http.download(outside.url, into)).status, found.body)
    assert b"x" * 500_000 == into.getvalue()


def test_what_is_no_success_is_no_file(outside: Sink) -> None:
    into = io.BytesIO()
    outside.answers(Told(404, b"not here"))
    assert (404, b"not here", b"") == (
        (found := Http([outside.url]).download(outside.url, into)).status,
        found.body,
        into.getvalue(),
    )


def test_a_download_has_a_largest_size(outside: Sink) -> None:
    outside.answers(Told(200, b"x" * 101))
    with pytest.raises(Failure) as raised:
        Http([outside.url]).download(outside.url, io.BytesIO(), most_bytes=100)
    assert_too_large(raised.value)


def test_the_largest_answer_is_read_and_a_larger_one_is_not(outside: Sink) -> None:
    http = Http([outside.url])
    outside.answers(Told(200, b"x" * MAX_BYTES))
    assert len(http.post(outside.url).body) == MAX_BYTES
    outside.answers(Told(200, b"x" * (MAX_BYTES + 1)))
    assert_too_large(failure(outside.url, Http([outside.url])))


LARGE = {
    "with its length": (b"x" * (MAX_BYTES + 1), {}),
    "in pieces": (b"%x\r\n%b\r\n0\r\n\r\n" % (MAX_BYTES + 1, b"x" * (MAX_BYTES + 1)), {"Transfer-Encoding": "chunked"}),
}


@pytest.mark.parametrize(("body", "headers"), LARGE.values(), ids=LARGE)
def test_an_answer_that_is_too_large_is_what_its_status_says(
    body: bytes, headers: dict[str, str], outside: Sink
) -> None:
    outside.answers(Told(202, body, headers), Told(503, body, headers))
    http = Http([outside.url])
    assert 202 == http.post(outside.url).check().status
    with pytest.raises(Failure) as raised:
        http.post(outside.url).check()
    assert (errors.UNAVAILABLE, "HTTP 503", False) == (raised.value.kind, raised.value.detail, raised.value.maybe_done)


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "deflate without its wrapping"])
def test_an_answer_that_unpacks_without_end_is_not_read(encoding: str, outside: Sink) -> None:
    name, pack = PACKED[encoding]
    outside.answers(Told(200, pack(b"\0" * (100 * MAX_BYTES)), {"Content-Encoding": name}))
    assert_too_large(failure(outside.url, Http([outside.url])))


def assert_too_large(failed: Failure) -> None:
    assert (failed.kind, failed.maybe_done) == (errors.UNPARSEABLE, True)
    assert "larger than" in failed.detail


GARBLED = {
    "no gzip": ("gzip", b"this is not packed"),
    "half of it": ("gzip", gzip.compress(b"x" * 99)[:-9]),
    "no deflate": ("deflate", b"this is not packed"),
    "half of it, deflated": ("deflate", zlib.compress(b"x" * 99)[:-9]),
    "half of it, deflated without its wrapping": ("deflate", raw_deflate(b"x" * 99)[:-2]),
}


def test_an_error_that_cannot_be_unpacked_is_what_its_status_says(outside: Sink) -> None:
    outside.answers(Told(503, b"no gzip", {"Content-Encoding": "gzip", "Retry-After": "7"}))
    with pytest.raises(Failure) as raised:
        Http([outside.url]).post(outside.url).check()
    assert (errors.UNAVAILABLE, "HTTP 503", 7.0) == (raised.value.kind, raised.value.detail, raised.value.retry_after)


ODD_JSON = {
    "half a surrogate pair": (b'{"a":"x\\ud83d"}', "", {"a": "x\ufffd"}),
    "a byte order mark": (b'\xef\xbb\xbf{"a":1}', "", {"a": 1}),
    "a number that is none": (b'{"a":NaN}', "", {"a": None}),
    "Latin-1": (b'{"a":"\xe9"}', "application/json; charset=latin-1", {"a": "é"}),
}


@pytest.mark.parametrize(("body", "kind", "value"), ODD_JSON.values(), ids=ODD_JSON)
def test_an_answers_json_is_read_leniently(body: bytes, kind: str, value: Any, outside: Sink) -> None:
    outside.answers(Told(200, body, {"Content-Type": kind}))
    assert value == Http([outside.url]).post(outside.url).json()


@pytest.mark.parametrize("where", ["http://[", "//[x", "http://[::1"])
def test_a_redirect_to_what_is_no_address_leads_nowhere(where: str) -> None:
    assert Response(302, {"location": where}, b"").moved_to("https://app.example.test/") is None


def test_what_cannot_be_encoded_goes_out_all_the_same(outside: Sink) -> None:
    http = Http([outside.url])
    http.post(outside.url, json={"a": "x\ud83d", "b": 10**30})
    http.post(outside.url, form={"a": "x\ud83d"})
    http.post(outside.url, form=[("a", "x\ud83d"), ("a", "y")])
    first, second, third = outside.calls
    assert {"a": "x\ufffd", "b": 1e30} == first.json
    assert ({"a": ["x\ufffd"]}, {"a": ["x\ufffd", "y"]}) == (second.form, third.form)


@pytest.mark.parametrize(("encoding", "body"), GARBLED.values(), ids=GARBLED)
def test_an_answer_that_cannot_be_unpacked_is_unparseable(encoding: str, body: bytes, outside: Sink) -> None:
    outside.answers(Told(200, body, {"Content-Encoding": encoding}))
    failed = failure(outside.url, Http([outside.url]))
    assert (failed.kind, failed.maybe_done) == (errors.UNPARSEABLE, True)


def test_an_answer_that_is_no_json_may_have_been_carried_out() -> None:
    with pytest.raises(Failure) as raised:
        Response(200, {}, b"<html>").json()
    assert (raised.value.kind, raised.value.maybe_done) == (errors.UNPARSEABLE, True)


CREDENTIALS: dict[str, dict[str, Any]] = {
    "a bearer": {"headers": {"Authorization": "Bearer desk-token-0001"}},
    "a password": {"auth": ("AC1", "desk-token-0001")},
}


@pytest.mark.parametrize("options", CREDENTIALS.values(), ids=CREDENTIALS)
def test_credentials_that_come_back_are_not_quoted(options: dict[str, Any], outside: Sink) -> None:
    outside.answer = lambda call: Told(401, f"{call.headers['authorization']} desk-token-0001 is bad".encode())
    answer = Http([outside.url]).post(outside.url, **options)
    with pytest.raises(Failure, match=r"\[redacted\] \[redacted\] is bad") as raised:
        answer.check()
    assert "desk-token-0001" not in str(raised.value)


def test_only_the_beginning_of_a_long_answer_is_quoted() -> None:
    with pytest.raises(Failure) as raised:
        Response(400, {}, b"\xff" + b"x" * 1000).check()
    assert 200 + len("HTTP 400: ") == len(raised.value.detail)


STATUSES: dict[int, Kind] = {
    301: errors.REJECTED,
    400: errors.REJECTED,
    401: errors.UNAUTHORISED,
    402: errors.REJECTED,
    403: errors.REJECTED,
    404: errors.MISCONFIGURED,
    408: errors.TIMED_OUT,
    409: errors.REJECTED,
    410: errors.GONE,
    413: errors.REJECTED,
    422: errors.REJECTED,
    429: errors.THROTTLED,
    500: errors.UNAVAILABLE,
    501: errors.UNAVAILABLE,
    503: errors.UNAVAILABLE,
    599: errors.UNAVAILABLE,
}


@pytest.mark.parametrize(("status", "kind"), STATUSES.items())
def test_every_status_has_its_kind(status: int, kind: Kind) -> None:
    assert kind == kind_of(status)


NOW = 1_767_225_600.0
WAITS: dict[str, tuple[str, float | None]] = {
    "seconds": ("120", 120.0),
    "none": ("0", 0.0),
    "a fraction": ("1.5", 1.5),
    "spaces": (" 7 ", 7.0),
    "negative": ("-5", 0.0),
    "years": ("999999999", MAX_WAIT),
    "without end": ("inf", None),
    "no number": ("nan", None),
    "a date": (format_datetime(datetime.fromtimestamp(NOW + 90, UTC), usegmt=True), 90.0),
    "a date without a zone": ("Thu, 01 Jan 2026 00:01:30", 90.0),
    "a date in another zone": ("Thu, 01 Jan 2026 01:01:30 +0100", 90.0),
    "a date that has passed": ("Wed, 31 Dec 2025 23:00:00 GMT", 0.0),
    "a date far away": ("Fri, 01 Jan 2100 00:00:00 GMT", MAX_WAIT),
    "a date that is none": ("Thu, 99 Foo 2026 00:00:00 GMT", None),
    "a word": ("soon", None),
    "empty": ("", None),
}


@pytest.mark.parametrize(("value", "seconds"), WAITS.values(), ids=WAITS)
def test_retry_after(value: str, seconds: float | None) -> None:
    assert seconds == Response(503, {"retry-after": value}, b"").retry_after(now=NOW)


@pytest.mark.parametrize("behind", [3_600.0, -3_600.0, 0.0], ids=["an hour behind", "an hour ahead", "right"])
def test_a_date_is_counted_from_the_answers_own(behind: float) -> None:
    said, then = (format_datetime(datetime.fromtimestamp(NOW + s, UTC), usegmt=True) for s in (0, 3))
    assert 3.0 == Response(429, {"retry-after": then, "date": said}, b"").retry_after(now=NOW - behind)
    assert 90.0 == Response(429, {"retry-after": then, "date": "soon"}, b"").retry_after(now=NOW - 87)
    assert 7.0 == Response(429, {"retry-after": "7", "date": said}, b"").retry_after(now=NOW - behind)


def test_without_a_retry_after_there_is_none() -> None:
    assert Response(503, {}, b"").retry_after() is None


@QUICK
@given(st.text(st.characters(codec="latin-1")))
def test_any_retry_after_is_a_bounded_wait_or_none(value: str) -> None:
    seconds = Response(503, {"retry-after": value}, b"").retry_after()
    assert seconds is None or 0 <= seconds <= MAX_WAIT
