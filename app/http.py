"""The only caller of requests: pooled connections, time limits, a size cap, the SSRF guard, and one palette of failures.

Hosts that the configuration names are trusted. Any other host (from a message, a callback or an API call) must resolve to
public addresses only, and the connection goes to the very address that was checked.
"""

from __future__ import annotations

import ipaddress
import socket
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http.cookiejar import DefaultCookiePolicy
from typing import Any
from urllib.parse import urlsplit

import orjson
import requests
import urllib3
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

from app.core import errors
from app.core.errors import Failure

MOST_BYTES = 2 * 1024 * 1024
CONNECT_TIMEOUT = 5.0
REUSE_WITHIN = (
    4.0  # a connection that was idle for longer may just be closing; a lost request is worse than a new connection
)

# Answers that speak about the message (permanent), by status. All other 4xx are `rejected` too.
KINDS = {
    401: errors.UNAUTHORISED,
    404: errors.MISCONFIGURED,
    408: errors.TIMED_OUT,
    410: errors.GONE,
    429: errors.THROTTLED,
}
GATEWAY_FAULTS = (502, 504)  # a proxy lost the platform's answer: the request may have been carried out


@dataclass(frozen=True)
class Response:
    """An answer of any status. `headers` have lower-case names."""

    status: int
    headers: Mapping[str, str]
    body: bytes

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
            Failure: of the kind that the status stands for.
        """
        if self.ok:
            return self
        said = detail or self.body[:200].decode("utf-8", "replace").strip()
        raise Failure(
            kind_of(self.status),
            f"HTTP {self.status}: {said}" if said else f"HTTP {self.status}",
            retry_after=self.retry_after(),
            maybe_done=self.status in GATEWAY_FAULTS,
        )

    def retry_after(self, now: float | None = None) -> float | None:
        """Seconds that a Retry-After header asks for: a number or an HTTP date; None without a readable one."""
        value = self.headers.get("retry-after", "").strip()
        if not value:
            return None
        try:
            return max(0.0, float(value))
        except ValueError:
            pass
        try:
            then = parsedate_to_datetime(value)
        except ValueError:
            return None
        then = then if then.tzinfo else then.replace(tzinfo=UTC)
        moment = datetime.fromtimestamp(now if now is not None else time.time(), UTC)
        return max(0.0, (then - moment).total_seconds())


def kind_of(status: int) -> errors.Kind:
    """The palette's word for an HTTP status that is no success. 3xx is a failure: redirects are not followed."""
    if status >= 500:
        return errors.UNAVAILABLE
    return KINDS.get(status, errors.REJECTED)


class Http:
    """One per process; safe to share between threads.

    Args:
        trusted: URLs from the configuration; their hosts and ports are exempt from the SSRF guard.
        pool: connections kept open to one host.
    """

    def __init__(self, trusted: Iterable[str] = (), pool: int = 64) -> None:
        guard = _Guard(frozenset(_host_port(url) for url in trusted))
        self._session = requests.Session()
        self._session.trust_env = False  # no proxies and no netrc from the environment; half again as fast
        self._session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        adapter = _GuardedAdapter(guard, pool)
        self._session.mount("https://", adapter)
        self._session.mount("http://", adapter)

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
        """POST one of `json`, `form` (form-encoded) or `body`; the answer, whatever its status.

        Args:
            timeout: seconds for the whole exchange after the connection stands.

        Raises:
            Failure: no answer: UNAVAILABLE (not connected, or the connection was lost), TIMED_OUT, REJECTED (the SSRF
                guard refused the address), UNPARSEABLE (an answer too large).
        """
        sent = dict(headers or {})
        data = body if body is not None else form
        if json is not None:
            data = orjson.dumps(json)
            sent.setdefault("content-type", "application/json")
        deadline = time.monotonic() + timeout
        try:
            answer = self._session.post(
                url,
                data=data,
                headers=sent,
                auth=auth,
                timeout=(min(CONNECT_TIMEOUT, timeout), timeout),
                allow_redirects=False,
                stream=True,
            )
            content = _read(answer.raw, deadline)
        except (requests.RequestException, urllib3.exceptions.HTTPError, OSError) as error:
            raise _failure(error) from None
        return Response(answer.status_code, {name.lower(): value for name, value in answer.headers.items()}, content)


class _Refused(OSError):
    """The SSRF guard refused an address."""


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
            if not ipaddress.ip_address(address.partition("%")[0]).is_global:
                raise _Refused(f"{host} is not a public address")
        return addresses[0]


class _Guarded:
    """Mixed into urllib3's connections: connects only where the guard allows, and drops connections that were idle."""

    guard: _Guard
    host: str
    port: int
    _dns_host: str
    _last = 0.0

    def _new_conn(self) -> socket.socket:
        self._dns_host = self.guard.address(self.host, self.port)
        self._last = time.monotonic()
        return super()._new_conn()  # type: ignore[misc,no-any-return]  # urllib3's connection

    def getresponse(self) -> Any:
        answer = super().getresponse()  # type: ignore[misc]  # urllib3's connection
        self._last = time.monotonic()
        return answer

    @property
    def is_connected(self) -> bool:
        fresh = time.monotonic() - self._last < REUSE_WITHIN
        return fresh and super().is_connected  # type: ignore[misc]  # urllib3's connection


class _GuardedAdapter(HTTPAdapter):
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


def _host_port(url: str) -> tuple[str, int]:
    parts = urlsplit(url)
    return (parts.hostname or "").lower(), parts.port or (443 if parts.scheme == "https" else 80)


def _read(raw: Any, deadline: float) -> bytes:
    """The whole body, as long as it stays below the cap and the platform does not dribble past the deadline."""
    pieces: list[bytes] = []
    size = 0
    while piece := raw.read1(65_536, decode_content=True):
        pieces.append(piece)
        size += len(piece)
        if size > MOST_BYTES:
            raw.close()
            raise Failure(errors.UNPARSEABLE, f"the answer is larger than {MOST_BYTES} bytes", maybe_done=True)
        if time.monotonic() > deadline:
            raw.close()
            raise Failure(errors.TIMED_OUT, "the answer did not end in time", maybe_done=True)
    return b"".join(pieces)


def _failure(error: Exception) -> Failure:
    """Our word for what requests or urllib3 raised. Only a connection that never stood proves that nothing was done."""
    chain = list(_causes(error))
    for cause in chain:
        if isinstance(cause, _Refused):
            return Failure(errors.REJECTED, str(cause))
    if any(isinstance(cause, (requests.exceptions.InvalidURL, requests.exceptions.MissingSchema)) for cause in chain):
        return Failure(errors.MISCONFIGURED, "the URL is not valid")
    if any(isinstance(cause, urllib3.exceptions.ConnectTimeoutError) for cause in chain):
        return Failure(errors.UNAVAILABLE, "no connection in time")
    if any(isinstance(cause, (urllib3.exceptions.NewConnectionError, requests.exceptions.SSLError)) for cause in chain):
        return Failure(errors.UNAVAILABLE, "no connection")
    if any(
        isinstance(cause, (requests.exceptions.Timeout, urllib3.exceptions.TimeoutError, TimeoutError))
        for cause in chain
    ):
        return Failure(errors.TIMED_OUT, "no answer in time", maybe_done=True)
    return Failure(errors.UNAVAILABLE, "the connection was lost before the answer", maybe_done=True)


def _causes(error: BaseException | None) -> Iterable[BaseException]:
    """The exception, what it wraps (requests and urllib3 keep it in args and `reason`) and what it was raised from."""
    seen: set[int] = set()
    stack = [error]
    while stack:
        current = stack.pop()
        if current is None or id(current) in seen:
            continue
        seen.add(id(current))
        yield current
        stack += [arg for arg in current.args if isinstance(arg, BaseException)]
        stack += [current.__cause__, current.__context__, getattr(current, "reason", None)]
