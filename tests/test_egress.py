"""Calls through a proxy, past it, and what TLS trusts."""

from __future__ import annotations

import shutil
import ssl
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pycurl
import pytest
from marshmallow import ValidationError

from app.core import errors
from app.core.errors import Failure, Kind
from app.egress import Egress, EgressSchema, authorities
from app.http import Http
from tests.support.processes import free_port
from tests.support.proxy import Proxy, http_proxy, socks_proxy
from tests.support.sink import Sink, Told
from tests.test_http import INSIDE, NAMES, failure, url_of
from tests.test_transport import OK, saying, secured, trusting

__all__ = ["trusting"]

PASSWORD = "proxy-password-0001"
LOGIN = "Basic cGF0Y2hiYXk6cHJveHktcGFzc3dvcmQtMDAwMQ=="  # patchbay and the password


@pytest.fixture
def proxy() -> Iterator[Proxy]:
    with http_proxy() as opened:
        yield opened


def through(proxy: Proxy, *direct: str, store: str = "certifi") -> Egress:
    scheme, _, rest = proxy.url.partition("://")
    values = {"proxy": f"{scheme}://patchbay:{PASSWORD}@{rest}", "direct": list(direct), "trust_store": store}
    made = EgressSchema().load(values)
    assert isinstance(made, Egress)
    return made


def named(url: str, name: str = "shop.example.test") -> str:
    """A URL whose name only the proxy knows."""
    return url.replace("127.0.0.1", name).replace("localhost", name)


# --- through it ---


def test_a_call_goes_through_the_proxy_and_only_the_proxy_gets_its_password(outside: Sink, proxy: Proxy) -> None:
    url = named(outside.url)
    assert Http([url], egress=through(proxy)).post(f"{url}/a?b=c", json={}, auth=("user", "pass")).ok
    (call,) = outside.calls
    assert [f"POST {url}/a?b=c HTTP/1.1"] == proxy.asked
    assert [LOGIN] == proxy.logins
    assert ("/a?b=c", url.removeprefix("http://"), b"{}") == (call.path, call.headers["host"], call.body)
    assert "Basic dXNlcjpwYXNz" == call.headers["authorization"]


@pytest.mark.parametrize("trusted", [True, False], ids=["of the configuration", "of an outsider"])
def test_a_secure_call_goes_through_a_tunnel_that_is_kept(trusted: bool, proxy: Proxy, trusting: Egress) -> None:
    def talk(connection: ssl.SSLSocket, over: object) -> None:
        connection.sendall(OK + b"X-Shop: yes\r\nContent-Length: 2\r\n\r\nab")
        connection.recv(65_536)
        connection.sendall(OK + b"Content-Length: 2\r\n\r\ncd")

    with secured(talk, "shop.example.test") as url:
        there = named(url)
        http = Http([there] if trusted else [], egress=through(proxy, store=trusting.authorities))
        first, second = http.post(there), http.post(there)
    assert (b"ab", b"cd", "yes") == (first.body, second.body, first.headers["x-shop"])
    assert "x-proxy" not in first.headers
    assert ([f"CONNECT {there.removeprefix('https://')} HTTP/1.1"], [LOGIN]) == (proxy.asked, proxy.logins)


def test_what_a_platform_says_within_a_tunnel_is_not_the_proxys(proxy: Proxy, trusting: Egress) -> None:
    with secured(saying(b"HTTP/1.1 407 No\r\nContent-Length: 0\r\n\r\n"), "shop.example.test") as url:
        there = named(url)
        assert 407 == Http([there], egress=through(proxy, store=trusting.authorities)).post(there).status


def test_an_answer_that_is_lost_within_a_tunnel_is_not_the_proxys(proxy: Proxy, trusting: Egress) -> None:
    with secured(saying(b""), "shop.example.test") as url:
        there = named(url)
        failed = failure(there, Http([there], egress=through(proxy, store=trusting.authorities)))
    assert (errors.UNAVAILABLE, True) == (failed.kind, failed.maybe_done)


def test_a_call_goes_through_socks_which_looks_the_name_up(outside: Sink) -> None:
    url = named(outside.url)
    with socks_proxy() as proxy:
        assert Http([url], egress=through(proxy)).post(url).ok
    assert ([url.removeprefix("http://")], [f"patchbay:{PASSWORD}"]) == (proxy.asked, proxy.logins)


def test_a_file_is_fetched_through_the_proxy(outside: Sink, proxy: Proxy) -> None:
    outside.answers(Told(302, headers={"Location": "/there", "Connection": "close"}), Told(200, b"picture"))
    url = named(outside.url, "files.example.test")
    assert b"picture" == Http(egress=through(proxy)).fetch(f"{url}/a").body
    assert [f"GET {url}/a HTTP/1.1", f"GET {url}/there HTTP/1.1"] == proxy.asked


def test_the_environment_has_no_say(outside: Sink, proxy: Proxy, monkeypatch: pytest.MonkeyPatch) -> None:
    url = named(outside.url)
    monkeypatch.setenv("no_proxy", "*")
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{free_port()}")
    assert Http([url], egress=through(proxy)).post(url).ok
    assert 1 == len(proxy.asked)
    assert Http([outside.url]).post(outside.url).ok
    assert 1 == len(proxy.asked)


# --- past it ---


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_this_machine_is_called_past_the_proxy(host: str, outside: Sink, proxy: Proxy) -> None:
    url = outside.url.replace("127.0.0.1", host)
    assert Http([url], egress=through(proxy)).post(url).ok
    assert (1, []) == (len(outside.calls), proxy.asked)


DIRECT = {
    "its name": ("inside.localhost", True),
    "a name above it": ("localhost", True),
    "a network": ("127.0.0.0/8", False),
    "another name": ("elsewhere.example.test", False),
}


@pytest.mark.parametrize(("direct", "past"), DIRECT.values(), ids=DIRECT)
def test_what_the_configuration_excepts_is_called_past_the_proxy(
    direct: str, past: bool, outside: Sink, proxy: Proxy
) -> None:
    url = named(outside.url, "inside.localhost" if past else "shop.example.test")
    assert Http([url], egress=through(proxy, direct)).post(url).ok
    assert (1, not past) == (len(outside.calls), bool(proxy.asked))


def test_a_host_of_an_outsider_is_never_called_past_the_proxy(outside: Sink, proxy: Proxy) -> None:
    url = named(outside.url)
    assert Http(egress=through(proxy, "shop.example.test", "127.0.0.0/8")).post(url).ok
    assert 1 == len(proxy.asked)


@pytest.mark.parametrize("url", [*map(url_of, INSIDE.values()), *NAMES, "http://a.localhost./", "http://localhost./"])
def test_an_inside_address_of_an_outsider_does_not_reach_the_proxy(url: str, proxy: Proxy) -> None:
    refused = failure(url, Http(egress=through(proxy, "127.0.0.0/8", "localhost")))
    assert (errors.REJECTED, False, []) == (refused.kind, refused.maybe_done, proxy.asked)


# --- when it does not carry a call ---

REFUSALS: dict[str, tuple[str, bool, Kind, str]] = {
    "its password is wrong": ("407", True, errors.UNAVAILABLE, "no connection: the egress proxy says HTTP 407"),
    "its password is wrong, for an outsider's": (
        "407", False, errors.UNAVAILABLE, "no connection: the egress proxy says HTTP 407"),
    "it may not go there": ("403", True, errors.UNAVAILABLE, "no connection: the egress proxy says HTTP 403"),
    "an outsider may not go there": ("403", False, errors.REJECTED, "the egress proxy refuses shop.example.test"),
    "it does not get there": ("502", True, errors.UNAVAILABLE, "no connection: the egress proxy says HTTP 502"),
    "it is ill": ("503", False, errors.UNAVAILABLE, "no connection: the egress proxy says HTTP 503"),
}  # fmt: skip


@pytest.mark.parametrize(("status", "trusted", "kind", "detail"), REFUSALS.values(), ids=REFUSALS)
def test_a_proxy_that_opens_no_tunnel_proves_that_nothing_was_sent(
    status: str, trusted: bool, kind: Kind, detail: str, proxy: Proxy
) -> None:
    proxy.refuses = status
    url = "https://shop.example.test:4433"
    failed = failure(url, Http([url] if trusted else [], egress=through(proxy)))
    assert (kind, False, detail) == (failed.kind, failed.maybe_done, failed.detail)


def test_a_proxy_that_wants_another_password_speaks_for_itself(outside: Sink, proxy: Proxy) -> None:
    """The same status of a platform would end the message."""
    proxy.refuses = "407"
    url = named(outside.url)
    failed = failure(url, Http([url], egress=through(proxy)))
    assert (errors.UNAVAILABLE, False, []) == (failed.kind, failed.maybe_done, outside.calls)
    outside.answers(Told(407))
    assert 407 == Http([outside.url]).post(outside.url).status


def test_socks_that_refuses_proves_that_nothing_was_sent(outside: Sink) -> None:
    with socks_proxy() as proxy:
        proxy.refuses = "all"
        url = named(outside.url)
        failed = failure(url, Http([url], egress=through(proxy)))
    assert (errors.UNAVAILABLE, False, []) == (failed.kind, failed.maybe_done, outside.calls)


def test_a_proxy_that_is_not_there_proves_that_nothing_was_sent(outside: Sink) -> None:
    url = named(outside.url)
    failed = failure(url, Http([url], egress=through(Proxy(f"http://127.0.0.1:{free_port()}"))))
    assert (errors.UNAVAILABLE, False, []) == (failed.kind, failed.maybe_done, outside.calls)


def test_no_failure_tells_the_password(proxy: Proxy) -> None:
    proxy.refuses = "407"
    way = through(proxy)
    with pytest.raises(Failure) as raised:
        Http(["https://shop.example.test"], egress=way).post("https://shop.example.test")
    assert PASSWORD not in f"{raised.value!r} {raised.value} {way!r} {way}"


# --- what TLS trusts ---


def test_the_systems_authorities_are_trusted_where_the_configuration_says_so(
    trusting: Egress, monkeypatch: pytest.MonkeyPatch
) -> None:
    with secured(saying(OK + b"Content-Length: 2\r\n\r\nab")) as url:
        assert errors.UNAVAILABLE == failure(url, Http([url])).kind
    monkeypatch.setenv("SSL_CERT_FILE", trusting.authorities)
    with secured(saying(OK + b"Content-Length: 2\r\n\r\nab")) as url:
        assert errors.UNAVAILABLE == failure(url, Http([url])).kind, "certifi's are the usual ones"
    with secured(saying(OK + b"Content-Length: 2\r\n\r\nab")) as url:
        system = Egress(authorities=authorities("system"))
        assert b"ab" == Http([url], egress=system).post(url).body


@pytest.mark.skipif(shutil.which("openssl") is None, reason="there is no openssl to sort a directory of authorities")
def test_a_systems_directory_of_authorities_is_not_trusted_beside_the_file(
    trusting: Egress, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where a system has no bundle, new handles come with its directory."""
    subprocess.run(["openssl", "rehash", tmp_path], check=True)
    made = pycurl.Curl

    def as_on_that_system() -> pycurl.Curl:
        handle = made()
        handle.setopt(pycurl.CAPATH, str(tmp_path))
        return handle

    monkeypatch.setattr(pycurl, "Curl", as_on_that_system)
    with secured(saying(OK + b"Content-Length: 2\r\n\r\nab")) as url:
        failed = failure(url, Http([url]))
    assert "no connection: its certificate is not trusted" == failed.detail


WRONG: dict[str, tuple[str, object]] = {
    "another scheme": ("proxy", "ftp://proxy.example.test:21"),
    "SOCKS that does not look names up": ("proxy", "socks5://proxy.example.test:1080"),
    "no scheme": ("proxy", "proxy.example.test:3128"),
    "no port": ("proxy", f"http://patchbay:{PASSWORD}@proxy.example.test"),
    "a port out of range": ("proxy", f"http://patchbay:{PASSWORD}@proxy.example.test:99999"),
    "no host": ("proxy", "http://:3128"),
    "a path": ("proxy", f"http://patchbay:{PASSWORD}@proxy.example.test:3128/path"),
    "a line break": ("proxy", f"http://patchbay:{PASSWORD}@proxy.example.test:3128\n"),
    "two hosts in one": ("direct", ["a.example.test,b.example.test"]),
    "no list": ("direct", "a.example.test"),
    "no such file": ("trust_store", "/nowhere/ca.pem"),
    "a file of something else": ("trust_store", __file__),
    "a word": ("trust_store", "systems"),
}


@pytest.mark.parametrize(("key", "value"), WRONG.values(), ids=WRONG)
def test_a_setting_that_cannot_be_is_named(key: str, value: object) -> None:
    with pytest.raises(ValidationError) as raised:
        EgressSchema().load({key: value})
    assert [key] == list(raised.value.messages)
    assert PASSWORD not in str(raised.value)
