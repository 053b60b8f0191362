"""The only caller of requests: pooled connections, time limits, a size cap, the SSRF guard, one palette of failures.

Hosts that the configuration names are trusted. Any other host (from a message, a callback or an API call) must resolve
to public addresses only, and the connection goes to the very address that was checked.
"""

from __future__ import annotations

import base64
import http.client
import io
import ipaddress
import math
import socket
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC
from email.utils import parsedate_to_datetime
from functools import lru_cache, partial
from typing import Any
from urllib.parse import urldefrag, urljoin, urlsplit

import orjson
import requests
import urllib3
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

from app.core import errors
from app.core.errors import Failure
from app.log import REDACTED

MOST_BYTES = 2 * 1024 * 1024
MOST_SAID = 4_096  # bytes of an error that are looked at
CONNECT_TIMEOUT = 5.0
REUSE_WITHIN = (
    4.0  # seconds; a connection idle for longer may just be closing, and a lost request is worse than a new one
)
MOST_WAIT = 3_600.0  # seconds that a platform may ask us to wait; a slip there must not stop a lane for years

# Answers that speak about the message (permanent), by status. All other 4xx are `rejected` too.
KINDS = {
    401: errors.UNAUTHORISED,
    404: errors.MISCONFIGURED,
    408: errors.TIMED_OUT,
    410: errors.GONE,
    429: errors.THROTTLED,
}
MOVED = (301, 302, 303, 307, 308)
MOST_MOVES = 2  # a link of ours, then one at its platform
GATEWAY_FAULTS = (502, 504)  # a proxy lost the platform's answer: the request may have been carried out

# Networks that lead to other addresses than they show, beside those that `ipaddress` knows.
TRANSLATED = tuple(ipaddress.ip_network(net) for net in ("64:ff9b::/96", "2002::/16", "fec0::/10", "192.88.99.0/24"))


@dataclass(frozen=True)
class Response:
    """An answer of any status. `headers` have lower-case names; `secrets` are the credentials that went out, `cookies`
    the values of its Set-Cookie headers, each by itself."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    secrets: tuple[str, ...] = field(default=(), repr=False)
    cookies: tuple[str, ...] = field(default=(), repr=False)

    @property
    def ok(self) -> bool:
        return 200 <= self.status < 300

    def json(self) -> Any:
        """The body as JSON.

        Raises:
            Failure: UNPARSEABLE; the platform did answer, so the request may have been carried out.
        """
        try:
            return orjson.loads(self.body)
        except orjson.JSONDecodeError as error:
            raise Failure(errors.UNPARSEABLE, f"the answer is not JSON: {error}", maybe_done=True) from None

    def check(self, detail: str = "") -> Response:
        """This response if it is a success.

        Args:
            detail: what the platform said, in words; the beginning of the body if empty.

        Raises:
            Failure: of the kind that the status stands for; a platform that repeats our credentials is not quoted.
        """
        if self.ok:
            return self
        said = detail or self.body[:MOST_SAID].decode("utf-8", "replace").strip()
        for secret in self.secrets:
            said = said.replace(secret, REDACTED)
        said = said if detail else said[:200]  # shortened last: half a secret would not be recognised
        raise Failure(
            kind_of(self.status),
            f"HTTP {self.status}: {said}" if said else f"HTTP {self.status}",
            retry_after=self.retry_after(),
            maybe_done=self.status in GATEWAY_FAULTS,
        )

    def retry_after(self, now: float | None = None) -> float | None:
        """Seconds that a Retry-After header asks for: a number or an HTTP date; None without a readable one."""
        value = self.headers.get("retry-after", "").strip()
        seconds = _number(value)
        if seconds is None:
            seconds = _seconds_until(value, time.time() if now is None else now)
        return None if seconds is None else min(max(0.0, seconds), MOST_WAIT)


def kind_of(status: int) -> errors.Kind:
    """The palette's word for an HTTP status that is no success. 3xx is a failure: redirects are not followed."""
    if status >= 500:
        return errors.UNAVAILABLE
    return KINDS.get(status, errors.REJECTED)


def called(url: str) -> str:
    """The URL as a call says it, which is what a signature speaks of: escaped, and without its fragment.

    Raises:
        Failure: MISCONFIGURED, no such URL can be.
    """
    try:
        return urldefrag(_prepared_url(url) or "").url
    except (requests.RequestException, UnicodeError) as error:
        raise _failure(error) from None


def _number(value: str) -> float | None:
    try:
        number = float(value)
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def _seconds_until(date: str, now: float) -> float | None:
    try:
        then = parsedate_to_datetime(date)
        return (then if then.tzinfo else then.replace(tzinfo=UTC)).timestamp() - now
    except (ValueError, OverflowError):
        return None


class Http:
    """One per process; safe to share between threads.

    Args:
        trusted: URLs from the configuration; their hosts and ports are exempt from the SSRF guard.
        files: URLs whose hosts and ports `fetch` may ask although they are not public.
        pool: connections kept open to one host.
    """

    def __init__(self, trusted: Iterable[str] = (), pool: int = 64, files: Iterable[str] = ()) -> None:
        guard = _Guard(frozenset(_host_port(url) for url in trusted))
        # The adapter without a session: no cookies, no redirects, no proxies and no netrc from the environment, and a
        # third less work for each call.
        self._adapter = _GuardedAdapter(guard, pool)
        self._strict = _GuardedAdapter(_Guard(frozenset(_host_port(url) for url in files)), 8)

    def post(
        self,
        url: str,
        *,
        json: Any = None,
        form: Any = None,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        auth: tuple[str, str] | None = None,
        timeout: float = 10.0,
    ) -> Response:
        """POST one of `json`, `form` (a mapping or pairs, form-encoded) or `body`; else like `request`."""
        sent = dict(headers or {})
        data = body if body is not None else form
        if json is not None:
            data = orjson.dumps(json)
            sent.setdefault("content-type", "application/json")
        return self.request("POST", url, data=data, headers=sent, auth=auth, timeout=timeout)

    def fetch(self, url: str, *, timeout: float = 10.0, most_bytes: int = MOST_BYTES) -> Response:
        """GET a file at an address that an outsider chose, and go where it has moved to, at most `MOST_MOVES` times.
        No credentials, and no host of the configuration is exempt from the SSRF guard; else like `request`."""
        for _ in range(MOST_MOVES):
            answer = self._call(self._strict, "GET", url, None, {}, None, timeout, most_bytes)
            where = answer.headers.get("location")
            if answer.status not in MOVED or not where:
                return answer
            url = urljoin(url, where)
        return self._call(self._strict, "GET", url, None, {}, None, timeout, most_bytes)

    def request(
        self,
        method: str,
        url: str,
        *,
        data: Any = None,
        headers: Mapping[str, str] | None = None,
        auth: tuple[str, str] | None = None,
        timeout: float = 10.0,
        most_bytes: int = MOST_BYTES,
    ) -> Response:
        """One call; the answer, whatever its status.

        Args:
            timeout: seconds from the end of the request to the end of the answer, however slowly that dribbles in.
            most_bytes: the largest answer that is read.

        Raises:
            Failure: no answer: UNAVAILABLE (not connected, or the connection was lost), TIMED_OUT, REJECTED (the SSRF
                guard refused the address), UNPARSEABLE (an answer too large or garbled), MISCONFIGURED (no such URL or
                header can be).
        """
        return self._call(self._adapter, method, url, data, dict(headers or {}), auth, timeout, most_bytes)

    @staticmethod
    def _call(
        adapter: _GuardedAdapter,
        method: str,
        url: str,
        data: Any,
        sent: dict[str, str],
        auth: tuple[str, str] | None,
        timeout: float,
        most_bytes: int,
    ) -> Response:
        try:
            request = _prepared(method, url, sent, data, auth)
            limits = (min(CONNECT_TIMEOUT, timeout), timeout)
            answer: Any = adapter.send(request, stream=True, timeout=limits)
            content = _read(answer, most_bytes)
        except (requests.RequestException, urllib3.exceptions.HTTPError, OSError, UnicodeError) as error:
            raise _failure(error) from None
        answered = {name.lower(): answer.headers[name] for name in answer.headers}
        cookies = tuple(answer.headers.getlist("set-cookie"))
        return Response(answer.status, answered, content, _credentials(sent, auth), cookies)


def _prepared(
    method: str, url: str, headers: Mapping[str, str], data: Any, auth: tuple[str, str] | None
) -> requests.PreparedRequest:
    request = requests.PreparedRequest()
    request.prepare_method(method)
    request.url = _prepared_url(url)
    request.prepare_headers(headers)
    request.prepare_body(data, None)
    if auth:
        request.prepare_auth(auth)
    request.hooks = {"response": []}
    return request


@lru_cache(maxsize=1024)
def _prepared_url(url: str) -> str | None:
    """The URL as requests sends it; working it out is most of what preparing a request costs."""
    request = requests.PreparedRequest()
    request.prepare_url(url, None)
    return request.url


BAD_URL = (requests.exceptions.InvalidURL, requests.exceptions.MissingSchema, requests.exceptions.InvalidSchema)


class _Refused(OSError):
    """The SSRF guard refused an address."""


class _NotConnected(OSError):
    """The connection never stood, so nothing can have been done."""


@dataclass(frozen=True)
class _Guard:
    trusted: frozenset[tuple[str, int]]

    def address(self, host: str, port: int) -> str:
        """The address to connect to.

        Raises:
            _Refused: the host is not configured, and not all its addresses are public.
        """
        if (host.lower(), port) in self.trusted:
            return host
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        addresses = [str(entry[4][0]) for entry in found]
        for address in addresses:
            if not _is_public(address):
                raise _Refused(f"{host} is not a public address")
        return addresses[0]


class _Guarded:
    """Mixed into urllib3's connections: connects only where the guard allows, drops connections that were idle, and
    holds the whole answer, headers and body, to one deadline."""

    guard: _Guard
    host: str
    port: int
    timeout: float
    response_class: Any
    _dns_host: str
    _last = 0.0

    def connect(self) -> None:
        """The connection and its TLS handshake; whatever goes wrong here, no request was sent."""
        try:
            super().connect()  # type: ignore[misc]  # urllib3's connection
        except _Refused:
            raise
        except (OSError, urllib3.exceptions.HTTPError) as error:
            raise _NotConnected(type(error).__name__) from error

    def _new_conn(self) -> socket.socket:
        name = self._dns_host
        self._dns_host = self.guard.address(self.host, self.port)
        self._last = time.monotonic()
        try:
            return super()._new_conn()  # type: ignore[misc,no-any-return]  # urllib3's connection
        finally:
            self._dns_host = name  # the Host header and the certificate's check go by the name

    def getresponse(self) -> Any:
        self.response_class = partial(_TimelyResponse, until=time.monotonic() + self.timeout)
        answer = super().getresponse()  # type: ignore[misc]  # urllib3's connection
        self._last = time.monotonic()
        return answer

    @property
    def is_connected(self) -> bool:
        fresh = time.monotonic() - self._last < REUSE_WITHIN
        return fresh and super().is_connected  # type: ignore[misc]  # urllib3's connection


class _TimelyResponse(http.client.HTTPResponse):
    """Reads no longer than `until` (monotonic seconds); a time limit on each read alone can be dribbled past."""

    def __init__(self, sock: socket.socket, *args: Any, until: float, **kwargs: Any) -> None:
        super().__init__(sock, *args, **kwargs)
        raw: io.RawIOBase = self.fp.detach()  # the buffered reader that was just made
        self.fp = io.BufferedReader(_Timely(raw, sock, until))


class _Timely(io.RawIOBase):
    def __init__(self, raw: io.RawIOBase, sock: socket.socket, until: float) -> None:
        self._raw, self._sock, self._until = raw, sock, until

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        left = self._until - time.monotonic()
        if left <= 0:
            raise TimeoutError("the answer did not end in time")
        self._sock.settimeout(left)
        return self._raw.readinto(buffer)

    def close(self) -> None:
        self._raw.close()
        super().close()


class _GuardedAdapter(HTTPAdapter):
    """Sends without the search for proxies, which there are none of, and answers with urllib3's own response: the one
    that requests would wrap around it, with its cookies and history, costs as much again as reading the answer."""

    def __init__(self, guard: _Guard, pool: int) -> None:
        self._guard = guard
        super().__init__(pool_connections=64, pool_maxsize=pool, max_retries=0)

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        http = type("Http", (_Guarded, HTTPConnection), {"guard": self._guard})
        https = type("Https", (_Guarded, HTTPSConnection), {"guard": self._guard})
        self.poolmanager.pool_classes_by_scheme = {
            "http": type("HttpPool", (HTTPConnectionPool,), {"ConnectionCls": http}),
            "https": type("HttpsPool", (HTTPSConnectionPool,), {"ConnectionCls": https}),
        }

    def get_connection_with_tls_context(self, request: Any, verify: Any, proxies: Any = None, cert: Any = None) -> Any:
        try:
            host, tls = self.build_connection_pool_key_attributes(request, verify, cert)
        except ValueError as error:
            raise requests.exceptions.InvalidURL(error, request=request) from error
        return self.poolmanager.connection_from_host(**host, pool_kwargs=tls)

    def request_url(self, request: requests.PreparedRequest, proxies: Any) -> str:
        return request.path_url

    def build_response(self, req: Any, resp: Any) -> Any:
        return resp


def _host_port(url: str) -> tuple[str, int]:
    parts = urlsplit(url)
    return (parts.hostname or "").lower(), parts.port or (443 if parts.scheme == "https" else 80)


def _is_public(address: str) -> bool:
    ip = ipaddress.ip_address(address.partition("%")[0])
    return ip.is_global and not ip.is_multicast and not any(ip in network for network in TRANSLATED)


def _credentials(headers: Mapping[str, str], auth: tuple[str, str] | None) -> tuple[str, ...]:
    """What must not be quoted when the platform repeats it."""
    found = [value.rpartition(" ")[2] for name, value in headers.items() if name.lower() == "authorization"]
    if auth:
        found += [auth[1], base64.b64encode(":".join(auth).encode()).decode()]
    return tuple(secret for secret in found if secret)


def _read(raw: Any, most_bytes: int) -> bytes:
    """The whole body, as long as it stays below the cap."""
    body: bytes = raw.read(most_bytes + 1, decode_content=True)
    if len(body) > most_bytes:
        raw.close()
        raise Failure(errors.UNPARSEABLE, f"the answer is larger than {most_bytes} bytes", maybe_done=True)
    return body


def _failure(error: Exception) -> Failure:
    """Our word for what requests or urllib3 raised. Only a connection that never stood proves that nothing was done."""
    chain = list(_causes(error))
    for kinds, failure in RAISED:
        if cause := next((cause for cause in chain if isinstance(cause, kinds)), None):
            return failure(cause)
    return Failure(errors.UNAVAILABLE, "the connection was lost before the answer", maybe_done=True)


# In the order in which they are looked for among the causes of an exception.
RAISED: tuple[tuple[tuple[type[BaseException], ...], Callable[[BaseException], Failure]], ...] = (
    ((_Refused,), lambda cause: Failure(errors.REJECTED, str(cause))),
    (
        (urllib3.exceptions.LocationValueError, requests.exceptions.InvalidHeader, UnicodeError, *BAD_URL),
        lambda _: Failure(errors.MISCONFIGURED, "the URL or a header is not valid"),
    ),
    (
        (urllib3.exceptions.ConnectTimeoutError,),
        lambda _: Failure(errors.UNAVAILABLE, "no connection in time"),
    ),
    ((_NotConnected,), lambda _: Failure(errors.UNAVAILABLE, "no connection")),
    (
        (requests.exceptions.Timeout, urllib3.exceptions.TimeoutError, TimeoutError),
        lambda _: Failure(errors.TIMED_OUT, "no answer in time", maybe_done=True),
    ),
    (
        (requests.exceptions.ContentDecodingError, urllib3.exceptions.DecodeError),
        lambda _: Failure(errors.UNPARSEABLE, "the answer's encoding is garbled", maybe_done=True),
    ),
)


def _causes(error: BaseException) -> Iterable[BaseException]:
    """The exception, what it wraps (requests and urllib3 keep it in args and `reason`) and what it was raised from."""
    seen: set[int] = set()
    stack = [error]
    while stack:
        current = stack.pop()
        if id(current) in seen:
            continue
        seen.add(id(current))
        yield current
        linked = [*current.args, current.__cause__, current.__context__, getattr(current, "reason", None)]
        stack += [other for other in linked if isinstance(other, BaseException)]
