"""The only caller of platforms: what is sent and what came back, limits of size and time, one palette of failures.

Hosts that the configuration names are trusted. Any other host (from a message, a callback or an API call) must resolve
to public addresses only, and the connection goes to the very address that was checked (`app.transport`).
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Mapping
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import Any, BinaryIO
from urllib.parse import urljoin

from msgspec import Struct

from app.core import errors
from app.core.errors import Failure
from app.core.reading import Unreadable, clean_text, encoded, parsed
from app.core.shown import shown
from app.egress import Egress
from app.log import REDACTED
from app.packed import PACKED, unpacked
from app.request import credentials, host_and_port, request, target
from app.transport import Answer, Choose, Headers, Take, Transport

MAX_BYTES = 2 * 1024 * 1024
MAX_SAID = 4_096  # bytes of an error that are looked at
MAX_WAIT = 3_600.0  # seconds that a platform may ask us to wait; a slip there must not stop a lane for years

# Answers that speak about the message (permanent), by status. All other 4xx are `rejected` too.
KINDS = {
    401: errors.UNAUTHORISED,
    404: errors.MISCONFIGURED,
    408: errors.TIMED_OUT,
    410: errors.GONE,
    429: errors.THROTTLED,
}
MOVED = (301, 302, 303, 307, 308)
MAX_MOVES = 2  # a link of ours, then one at its platform
GATEWAY_FAULTS = (502, 504, 520, 524)  # a proxy lost the platform's answer: the request may have been carried out

STRAIGHT = Egress()


class Response(Struct, frozen=True):
    """An answer of any status. `headers` have lower-case names; `received` is its body, or what kept a success's from
    being read; `secrets` are what may not be quoted, `cookies` the values of its Set-Cookie headers, each by itself."""

    status: int
    headers: Mapping[str, str]
    received: bytes | Failure
    secrets: tuple[str, ...] = ()
    cookies: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return shown(self, "secrets", "cookies")

    @property
    def ok(self) -> bool:
        return _is_success(self.status)

    @property
    def body(self) -> bytes:
        """Empty where an error's could not be read: its status says enough.

        Raises:
            Failure: UNPARSEABLE (too large, garbled), TIMED_OUT, UNAVAILABLE (the connection was lost within it). The
                request was carried out, so whoever needs no body need not ask for it.
        """
        if isinstance(self.received, Failure):
            raise self.received
        return self.received

    def moved_to(self, url: str) -> str | None:
        """Where a redirect that answers a call to `url` leads; None if it is none, or leads nowhere."""
        where = self.headers.get("location") if self.status in MOVED else None
        try:
            return urljoin(url, where.encode("latin-1").decode("utf-8", "replace")) if where else None
        except ValueError:  # it is no address
            return None

    def json(self) -> Any:
        """The body as JSON, read leniently (see `app.core.reading`).

        Raises:
            Failure: UNPARSEABLE; the platform did answer, so the request may have been carried out.
        """
        try:
            return parsed(self.body, self.headers.get("content-type", ""))
        except Unreadable as error:
            raise Failure(errors.UNPARSEABLE, f"the answer is not JSON: {error}", maybe_done=True) from None

    def check(self, detail: str = "") -> Response:
        """This response if it is a success.

        Args:
            detail: what the platform said, in words; the beginning of the body if empty.

        Raises:
            Failure: of the kind that the status stands for; a secret that a platform repeats is not quoted.
        """
        if self.ok:
            return self
        said = clean_text(detail or self.body[:MAX_SAID].decode("utf-8", "replace")).strip()
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
        """Seconds that a Retry-After header asks for: a number or an HTTP date; None without a readable one.

        A date is counted from the answer's own, as our clock may be another one than the platform's; `now` (Unix
        seconds, by default that clock's) only counts where the answer has none.
        """
        value = self.headers.get("retry-after", "").strip()
        seconds = _number(value)
        then = _moment(value) if seconds is None else None
        if then is not None:
            said = _moment(self.headers.get("date", ""))
            seconds = then - (said or now or time.time())
        return None if seconds is None else min(max(0.0, seconds), MAX_WAIT)


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
    return target(url).url


def _number(value: str) -> float | None:
    try:
        number = float(value)
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def _moment(date: str) -> float | None:
    """Unix seconds of an HTTP date; None if it is none."""
    try:
        then = parsedate_to_datetime(date)
        return (then if then.tzinfo else then.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        return None


class Http:
    """One per process; safe to share between threads.

    Args:
        trusted: URLs from the configuration; their hosts and ports are exempt from the SSRF guard.
        files: URLs whose hosts and ports `fetch` may ask although they are not public.
        pool: idle connections that are kept, to all hosts together.
        egress: how calls leave the house.
        secrets: what no failure may quote, besides the credentials that a call carries.
    """

    def __init__(
        self,
        trusted: Iterable[str] = (),
        pool: int = 256,
        files: Iterable[str] = (),
        egress: Egress = STRAIGHT,
        secrets: Iterable[str] = (),
    ) -> None:
        self._secrets = tuple(sorted(secrets, key=len, reverse=True))  # one may be a part of another
        self._transport = Transport(map(host_and_port, trusted), pool, egress)
        self._strict = Transport(map(host_and_port, files), 8, egress)

    def post(
        self,
        url: str,
        *,
        json: Any = None,
        form: Any = None,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        **options: Any,
    ) -> Response:
        """POST one of `json`, `form` (a mapping or pairs, form-encoded) or `body`; else like `request`."""
        sent = dict(headers or {})
        data = body if body is not None else form
        if json is not None:
            data = encoded(json)
            sent.setdefault("content-type", "application/json")
        return self.request("POST", url, data=data, headers=sent, **options)

    def fetch(self, url: str, *, timeout: float = 10.0, most_bytes: int = MAX_BYTES) -> Response:
        """GET a file at an address that an outsider chose, and go where it has moved to, at most `MAX_MOVES` times,
        all within one time-out. No credentials, and no host of the configuration is exempt from the SSRF guard; a
        success that cannot be read is a failure, else like `request`."""
        until = time.monotonic() + timeout
        for _ in range(1 + MAX_MOVES):
            answer = self._call(self._strict, "GET", url, None, {}, None, until - time.monotonic(), most_bytes)
            where = answer.moved_to(url)
            if where is None:
                break
            url = where
        if isinstance(answer.received, Failure):
            raise answer.received
        return answer

    def download(
        self,
        url: str,
        into: BinaryIO,
        *,
        auth: tuple[str, str] | None = None,
        timeout: float = 10.0,
        most_bytes: int = MAX_BYTES,
    ) -> Response:
        """GET what may be large: the body of a success is written into `into` as it comes, so it never lies in memory
        as a whole, and the answer's own is empty; else like `request`."""
        choose = _of_success(into.write, packed=True)
        answer = self._call(self._transport, "GET", url, None, {}, auth, timeout, most_bytes, choose)
        if answer.ok and answer.headers.get("content-encoding", "identity").lower() != "identity":
            into.seek(0)
            whole = unpacked(into.read(), answer.headers["content-encoding"].lower(), most_bytes)
            into.seek(0)
            into.truncate()
            into.write(whole)
        return answer

    def request(
        self,
        method: str,
        url: str,
        *,
        data: Any = None,
        headers: Mapping[str, str] | None = None,
        auth: tuple[str, str] | None = None,
        timeout: float = 10.0,
        most_bytes: int = MAX_BYTES,
        take: Take | None = None,
    ) -> Response:
        """One call; the answer, whatever its status.

        Args:
            method: any but HEAD, whose answers speak of a body that does not come.
            timeout: seconds for the whole call, however slowly it goes (see `app.transport`).
            most_bytes: the largest answer that is read.
            take: is given the body of a success piece by piece, as it comes, so that a stream of events can be read
                while it is still written; the answer's own is empty then. What it raises ends the call, and is raised.

        Raises:
            Failure: no answer: UNAVAILABLE (not connected, or the connection was lost), TIMED_OUT, REJECTED (the SSRF
                guard refused the address), MISCONFIGURED (no such URL or header can be). With `take` also UNPARSEABLE
                (an answer too large, or packed).
        """
        choose = _of_success(take, packed=False) if take else None
        return self._call(self._transport, method, url, data, dict(headers or {}), auth, timeout, most_bytes, choose)

    def _call(
        self,
        transport: Transport,
        method: str,
        url: str,
        data: Any,
        sent: dict[str, str],
        auth: tuple[str, str] | None,
        timeout: float,
        most_bytes: int,
        choose: Choose | None = None,
    ) -> Response:
        to = target(url)
        answer = transport.call(to, request(to, method, sent, data, auth), timeout, most_bytes, choose)
        headers: dict[str, str] = {}
        for name, value in answer.headers:
            headers[name] = f"{headers[name]}, {value}" if name in headers else value
        cookies = [value for name, value in answer.headers if name == "set-cookie"] if "set-cookie" in headers else ()
        received = _received(answer, headers.get("content-encoding", "").lower(), most_bytes, choose)
        secrets = (*credentials(sent, auth), *self._secrets)
        return Response(answer.status, headers, received, secrets, tuple(cookies))


def _is_success(status: int) -> bool:
    return 200 <= status < 300


def _of_success(take: Take, *, packed: bool) -> Choose:
    """Have the body of a success taken, by one who can make use of a `packed` one or not."""

    def choose(status: int, headers: Headers) -> Take | None:
        if not _is_success(status):
            return None
        if not packed and dict(headers).get("content-encoding", "").lower() in PACKED:
            raise Failure(errors.UNPARSEABLE, "the answer is packed, although that was not asked for", maybe_done=True)
        return take

    return choose


def _received(answer: Answer, encoding: str, most_bytes: int, choose: Choose | None) -> bytes | Failure:
    """The body unpacked, or what keeps it from being read; nothing if it is an error's: its status says enough.

    Raises:
        Failure: it is a success whose body was to be taken as it comes, and did not come whole.
    """
    success = _is_success(answer.status)
    try:
        if isinstance(answer.body, Failure):
            raise answer.body
        return answer.body if choose and success else unpacked(answer.body, encoding, most_bytes)
    except Failure as failure:
        if choose and success:
            raise
        return failure if success else b""
