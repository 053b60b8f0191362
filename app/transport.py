"""HTTP/1.1 calls by libcurl over connections that are kept: the SSRF guard, one deadline for a whole call, caps on what
is read.

What decides whether a call may be made again is whether its request began to go out. libcurl says so itself, once the
connection stands with its TLS and its way through a proxy (`PREREQFUNCTION`), and it may begin only once: libcurl would
send a request a second time, unasked, where a kept connection was lost before the answer.
"""

from __future__ import annotations

import re
import select
import socket
import threading
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any, NamedTuple

import pycurl

from app.core import errors
from app.core.errors import Failure
from app.egress import LOOPBACK, Egress
from app.guard import is_public, shows_inside
from app.packed import too_large
from app.request import Address, Request, Target

pycurl.global_init(pycurl.GLOBAL_ALL)  # once, before there are threads

CONNECT_TIMEOUT = 5.0  # seconds for looking up the name, connecting, and the TLS handshake
REUSE_WITHIN = (
    4.0  # seconds; a connection idle for longer may just be closing, and a lost request is worse than a new one
)
PIECE = 65_536  # bytes that are read at once

Headers = list[tuple[str, str]]  # in their order, with lower-case names
Take = Callable[[bytes], object]
Choose = Callable[[int, Headers], Take | None]


class Answer(NamedTuple):
    """`body` as it came, perhaps packed, or what kept it from coming whole."""

    status: int
    headers: Headers
    body: bytes | Failure


class Transport:
    """Safe to share between threads; not over a fork.

    Args:
        trusted: hosts and ports that are exempt from the SSRF guard.
        pool: idle connections that are kept.
        egress: the way out.
    """

    def __init__(self, trusted: Iterable[tuple[str, int]], pool: int, egress: Egress) -> None:
        self._trusted = frozenset(trusted)
        self._pool = pool
        self._egress = egress
        self._idle: list[_Connection] = []  # the longest idle first
        self._lock = threading.Lock()

    def call(
        self, to: Target, request: Request, timeout: float, most_bytes: int, choose: Choose | None = None
    ) -> Answer:
        """One call; the answer, whatever its status.

        Args:
            timeout: seconds for the whole call, however slowly it goes; within them a connection must stand after
                `CONNECT_TIMEOUT`.
            most_bytes: the largest body that is read.
            choose: given the status and headers, says what takes the body as it comes (the answer's own is empty
                then). What that raises ends the call, and is raised.

        Raises:
            Failure: REJECTED (the guard refused the address), UNAVAILABLE (not connected, or the connection was lost),
                TIMED_OUT, MISCONFIGURED (no host has such a name). Only a connection that never stood proves that
                nothing was done.
        """
        connection = self._idle_one(to.address) or self._new(to)
        try:
            answer = connection.ask(request, to, timeout, most_bytes, choose)
        except BaseException:
            connection.close()
            raise
        self._keep(connection)
        return answer

    def _new(self, to: Target) -> _Connection:
        """Raises: Failure: REJECTED, behind a proxy."""
        trusted = to.address[:2] in self._trusted
        if self._egress.proxy and not trusted and shows_inside(to.address[0]):
            raise _refusal(to.address[0])
        return _Connection(to.address, self._egress, trusted=trusted)

    def _idle_one(self, address: Address) -> _Connection | None:
        """The connection that was used last, unless it was closed meanwhile."""
        while connection := self._last_used(address):
            if time.monotonic() - connection.last < REUSE_WITHIN and not connection.has_news():
                return connection
            connection.close()
        return None

    def _last_used(self, address: Address) -> _Connection | None:
        with self._lock:
            for number in reversed(range(len(self._idle))):
                if self._idle[number].address == address:
                    return self._idle.pop(number)
        return None

    def _keep(self, connection: _Connection) -> None:
        connection.last = time.monotonic()
        over = []
        with self._lock:
            self._idle.append(connection)
            while self._idle and (len(self._idle) > self._pool or connection.last - self._idle[0].last > REUSE_WITHIN):
                over.append(self._idle.pop(0))
        for idle in over:
            idle.close()


class _Connection:
    """A handle of libcurl, which makes the connection anew where it was closed. `last`: when it was used."""

    def __init__(self, address: Address, egress: Egress, *, trusted: bool) -> None:
        self.address = address
        self.last = 0.0
        self._guarded = not trusted
        self._sent = self._refused = False
        self._curl = pycurl.Curl()
        self._curl.unsetopt(pycurl.CAPATH)  # a system's directory of authorities would be trusted beside our file
        self._set(USUAL | _way_out(egress, trusted) | {pycurl.PREREQFUNCTION: self._begin})
        if self._guarded and not egress.proxy:
            self._curl.setopt(pycurl.OPENSOCKETFUNCTION, self._open)

    def close(self) -> None:
        self._curl.close()

    def has_news(self) -> bool:
        """Whether there is something to read although nothing was asked: its end, most of the time. libcurl itself
        looks no more than once a second."""
        number = self._curl.getinfo(pycurl.ACTIVESOCKET)
        if number < 0:
            return False
        readable = select.poll()
        readable.register(number, select.POLLIN)
        return bool(readable.poll(0))

    def ask(
        self, request: Request, to: Target, timeout: float, most_bytes: int, choose: Choose | None = None
    ) -> Answer:
        """Raises: Failure: there was no answer."""
        reading = _Reading(choose)
        self._sent = self._refused = False
        self._set(_options(request, to, timeout, most_bytes) | reading.options())
        try:
            self._curl.perform()
        except pycurl.error as error:
            if not (RAGGED in str(error) and reading.ends_with_connection()):
                failure = self._failure(int(error.args[0]), most_bytes)
                if reading.raised or not reading.has_head():
                    raise reading.raised or failure from None
                return reading.answer()._replace(body=failure)
        answer = reading.answer()
        if answer.status == PROXY_WANTS_LOGIN and not self.address[2] and self._curl.getinfo(pycurl.USED_PROXY):
            raise self._unconnected(0, answer.status)
        return answer

    def _set(self, options: dict[int, Any]) -> None:
        for option, value in options.items():
            self._curl.setopt(option, value)

    def _begin(self, *where: Any) -> int:
        """The request is about to go out."""
        if self._sent:
            return pycurl.PREREQFUNC_ABORT
        self._sent = True
        return pycurl.PREREQFUNC_OK

    def _open(self, purpose: int, address: tuple[int, int, int, Any]) -> socket.socket | int:
        """A socket for an address that the name led to, if it is public."""
        family, kind, protocol, where = address
        self._refused = self._refused or not is_public(where)
        with suppress(OSError):  # too many are open
            return pycurl.SOCKET_BAD if self._refused else socket.socket(family, kind, protocol)
        return pycurl.SOCKET_BAD

    def _failure(self, code: int, most_bytes: int) -> Failure:
        if not self._sent:
            return self._unconnected(code, int(self._curl.getinfo(pycurl.HTTP_CONNECTCODE)))
        if code == pycurl.E_OPERATION_TIMEDOUT:
            return Failure(errors.TIMED_OUT, "no answer in time", maybe_done=True)
        if code == pycurl.E_FILESIZE_EXCEEDED:
            return too_large(most_bytes)
        return Failure(errors.UNAVAILABLE, "the connection was lost before the answer", maybe_done=True)

    def _unconnected(self, code: int, proxy_said: int) -> Failure:
        """Nothing was sent. `proxy_said`: a status, if there is a proxy and it did not open the way."""
        if self._refused:
            return _refusal(self.address[0])
        if code == pycurl.E_URL_MALFORMAT:  # libcurl knows more of hosts' names than who prepared the URL
            return Failure(errors.MISCONFIGURED, "the URL is not valid")
        if proxy_said == PROXY_FORBIDS and self._guarded:
            return Failure(errors.REJECTED, f"the egress proxy refuses {self.address[0]}")
        if proxy_said >= 300:
            return Failure(errors.UNAVAILABLE, f"no connection: the egress proxy says HTTP {proxy_said}")
        return Failure(errors.UNAVAILABLE, UNCONNECTED.get(code, "no connection"))


def _refusal(name: str) -> Failure:
    return Failure(errors.REJECTED, f"{name} is not a public address")


PROXY_FORBIDS = 403
PROXY_WANTS_LOGIN = 407
QUICK_EXIT, SUPPRESS_CONNECT_HEADERS = 322, 265  # libcurl's numbers; pycurl has no names for them
USUAL: dict[int, Any] = {
    pycurl.NOSIGNAL: 1,
    pycurl.HTTP_VERSION: pycurl.CURL_HTTP_VERSION_1_1,
    pycurl.PROTOCOLS: pycurl.PROTO_HTTP | pycurl.PROTO_HTTPS,
    pycurl.SSLVERSION: pycurl.SSLVERSION_TLSv1_2,
    pycurl.PATH_AS_IS: 1,
    QUICK_EXIT: 1,  # else closing waits for a resolver that outlasted the time
    SUPPRESS_CONNECT_HEADERS: 1,  # that a proxy opened a tunnel is no answer
    pycurl.MAXCONNECTS: 1,
    pycurl.BUFFERSIZE: PIECE,
}
UNCONNECTED = {
    pycurl.E_OPERATION_TIMEDOUT: "no connection in time",
    pycurl.E_COULDNT_RESOLVE_HOST: "no connection: its name is not known",
    pycurl.E_COULDNT_RESOLVE_PROXY: "no connection: the egress proxy's name is not known",
    pycurl.E_PEER_FAILED_VERIFICATION: "no connection: its certificate is not trusted",
}
STATUS_LINE = re.compile(rb"HTTP/[\d.]+\s+(\d{3})", re.IGNORECASE)
RAGGED = "unexpected eof while reading"  # a connection over TLS that just ends, as many servers have it


def _way_out(egress: Egress, trusted: bool) -> dict[int, Any]:
    """Nothing is left open here, or the environment would have a say."""
    return {
        pycurl.CAINFO: egress.authorities,
        pycurl.PROXY: egress.proxy,
        pycurl.NOPROXY: ",".join((*LOOPBACK, *egress.direct)) if trusted else "",
    }


def _options(request: Request, to: Target, timeout: float, most_bytes: int) -> dict[int, Any]:
    """What differs from call to call."""
    body = {pycurl.HTTPGET: 1} if request.body is None else {pycurl.POSTFIELDS: request.body}
    return {
        **body,
        pycurl.URL: f"{'https' if to.address[2] else 'http'}://{to.host}{to.path}",
        pycurl.CUSTOMREQUEST: request.method,
        pycurl.HTTPHEADER: request.lines,
        pycurl.TIMEOUT_MS: _milliseconds(timeout),
        pycurl.CONNECTTIMEOUT_MS: _milliseconds(min(CONNECT_TIMEOUT, timeout)),
        pycurl.MAXFILESIZE_LARGE: most_bytes,
    }


def _milliseconds(seconds: float) -> int:
    return max(1, int(seconds * 1000))  # none at all would mean without end


class _Reading:
    """An answer as it comes. `raised`: what kept it from being taken."""

    def __init__(self, choose: Choose | None) -> None:
        self.raised: BaseException | None = None
        self._choose = choose
        self._take: Take | None = None
        self._lines: list[bytes] = []
        self._body: list[bytes] = []

    def options(self) -> dict[int, Any]:
        return {
            pycurl.HEADERFUNCTION: self._lines.append,
            pycurl.WRITEFUNCTION: self._chosen if self._choose else self._body.append,
        }

    def answer(self) -> Answer:
        return Answer(*_head_of(self._lines), b"".join(self._body))

    def has_head(self) -> bool:
        """Whether its status and headers came, which tell what became of the request."""
        status, _ = _head_of(self._lines)
        return status >= 200 and not self._lines[-1].strip()

    def ends_with_connection(self) -> bool:
        """Whether nothing else says where its body ends."""
        told = dict(_head_of(self._lines)[1])
        framed = "content-length" in told or "chunked" in told.get("transfer-encoding", "").lower()
        return self.has_head() and not framed

    def _chosen(self, data: bytes) -> int:
        """Raising here would only print; taking nothing ends the call."""
        try:
            if self._choose:
                self._take, self._choose = self._choose(*_head_of(self._lines)) or self._body.append, None
            if self._take:
                self._take(data)
        except BaseException as error:
            self.raised = error
            return 0
        return len(data)


def _head_of(lines: list[bytes]) -> tuple[int, Headers]:
    """The status and headers of the last answer among these: hints, and what a proxy says, come before it, trailers
    after its empty line."""
    status, whole = 0, True
    headers: Headers = []
    for line in lines:
        if whole and (begins := STATUS_LINE.match(line)):
            status, headers, whole = int(begins[1]), [], False
        elif not line.strip():
            whole = True
        elif not whole:
            name, _, value = line.decode("latin-1").partition(":")
            headers.append((name.strip().lower(), value.strip()))
    return status, headers
