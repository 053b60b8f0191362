"""HTTP/1.1 calls over connections that are kept: the SSRF guard, one deadline for a whole answer, a cap on its size.

A request goes out as it was prepared; llhttp (by `httptools`), the parser of Node.js, reads what comes back: a
fourth of the work that urllib3 makes of it, and calls are most of what a worker does.
"""

from __future__ import annotations

import ipaddress
import select
import socket
import ssl
import threading
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import Future
from contextlib import suppress
from functools import lru_cache
from typing import Any, BinaryIO, NamedTuple
from urllib.parse import urlsplit

import certifi
import httptools

from app.core import errors
from app.core.errors import Failure

CONNECT_TIMEOUT = 5.0  # seconds for looking up the name, connecting, and the TLS handshake
LEAST_PATIENCE = 1.0  # seconds for one address of several
REUSE_WITHIN = (
    4.0  # seconds; a connection idle for longer may just be closing, and a lost request is worse than a new one
)
MOST_HEAD = 65_536  # bytes of an answer that are not its body ...
MOST_AROUND = 8  # ... and for each byte of its body: the worst chunks hold one
PIECE = 65_536
PORTS = {"http": 80, "https": 443}
# What servers send that keep the rules less well. They would be dangerous between two clients of one connection.
LENIENCIES = {
    "lenient_headers": True,
    "lenient_chunked_length": True,
    "lenient_optional_cr_before_lf": True,
    "lenient_spaces_after_chunk_size": True,
}

# Networks that lead to other addresses than they show, beside those that `ipaddress` knows.
TRANSLATED = tuple(
    ipaddress.ip_network(net)
    for net in (
        *("64:ff9b::/96", "64:ff9b:1::/48", "::/96", "::ffff:0:0:0/96"),
        *("2002::/16", "fec0::/10", "192.88.99.0/24"),
    )
)


Address = tuple[str, int, bool]  # name, port, whether over TLS
Found = tuple[Any, ...]  # one entry of `socket.getaddrinfo`


class Target(NamedTuple):
    """Where a call goes: `url` as a signature speaks of it, `path` with its query, `host` as Host headers have it."""

    url: str
    path: str
    host: str
    address: Address


def host_and_port(url: str) -> tuple[str, int]:
    """Raises: ValueError, KeyError: it is no URL of HTTP."""
    parts = urlsplit(url)
    return parts.hostname or "", parts.port or PORTS[parts.scheme]


def target(url: str) -> Target:
    """Take an escaped URL apart. Raises: ValueError, KeyError: it is no URL of HTTP."""
    parts = urlsplit(url)
    name, port = host_and_port(url)
    if not name.encode("idna"):
        raise ValueError("no host")
    host = f"[{name}]" if ":" in name else name
    return Target(
        url=url.partition("#")[0],
        path=(parts.path or "/") + (f"?{parts.query}" if parts.query else ""),
        host=f"{host}:{port}" if port != PORTS[parts.scheme] else host,
        address=(name, port, parts.scheme == "https"),
    )


class Answer(NamedTuple):
    """`headers` in their order, with lower-case names; `body` as it came, perhaps packed."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes


class Transport:
    """Safe to share between threads.

    Args:
        trusted: hosts and ports that are exempt from the SSRF guard.
        pool: idle connections that are kept.
    """

    def __init__(self, trusted: Iterable[tuple[str, int]], pool: int) -> None:
        self._trusted = frozenset(trusted)
        self._pool = pool
        self._idle: list[_Connection] = []  # the longest idle first
        self._lock = threading.Lock()

    def call(
        self, address: Address, request: bytes, timeout: float, most_bytes: int, into: BinaryIO | None = None
    ) -> Answer:
        """One call; the answer, whatever its status.

        Args:
            timeout: seconds for the request and its answer, however slowly they go; a new connection has
                `CONNECT_TIMEOUT` or as many beforehand, whichever is less.
            most_bytes: the largest body that is read.
            into: takes the body of a success as it comes; the answer's own is empty then.

        Raises:
            Failure: REJECTED (the guard refused the address), UNAVAILABLE (not connected, or the connection was lost),
                TIMED_OUT, UNPARSEABLE (too large). Only a connection that never stood proves that nothing was done.
        """
        connection = self._idle_one(address) or self._new(address, min(CONNECT_TIMEOUT, timeout))
        try:
            return connection.ask(request, timeout, most_bytes, into)
        except TimeoutError:
            raise Failure(errors.TIMED_OUT, "no answer in time", maybe_done=True) from None
        except (OSError, httptools.HttpParserError, httptools.HttpParserUpgrade):
            raise Failure(errors.UNAVAILABLE, "the connection was lost before the answer", maybe_done=True) from None
        finally:
            self._done_with(connection)

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

    def _done_with(self, connection: _Connection) -> None:
        if not connection.usable:
            connection.close()
            return
        connection.last = time.monotonic()
        over = []
        with self._lock:
            self._idle.append(connection)
            while self._idle and (len(self._idle) > self._pool or connection.last - self._idle[0].last > REUSE_WITHIN):
                over.append(self._idle.pop(0))
        for idle in over:
            idle.close()

    def _new(self, address: Address, timeout: float) -> _Connection:
        """A connection and its TLS handshake; whatever goes wrong here, no request was sent."""
        name, port, secure = address
        until = time.monotonic() + timeout
        try:
            sock = _connected(self._checked(name, port, until), until)
            try:
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                if secure:
                    sock.settimeout(_left(until))
                    sock = _tls().wrap_socket(sock, server_hostname=name.rstrip("."))
            except BaseException:
                sock.close()
                raise
        except TimeoutError:
            raise Failure(errors.UNAVAILABLE, "no connection in time") from None
        except OSError:
            raise Failure(errors.UNAVAILABLE, "no connection") from None
        return _Connection(address, sock)

    def _checked(self, name: str, port: int, until: float) -> list[Found]:
        """The addresses to connect to.

        Raises:
            Failure: the host is not trusted, and not all its addresses are public.
            OSError: the name does not resolve (in time).
        """
        found = _look_up(name, port, until)
        if (name, port) not in self._trusted and not all(_is_public(str(entry[4][0])) for entry in found):
            raise Failure(errors.REJECTED, f"{name} is not a public address")
        return found


def _left(until: float) -> float:
    """The seconds that are left. Raises: TimeoutError: none."""
    left = until - time.monotonic()
    if left <= 0:
        raise TimeoutError
    return left


def _look_up(name: str, port: int, until: float) -> list[Found]:
    """What a name leads to. The system's resolver knows no time-out; a thread that waits for it is left behind."""
    found: Future[list[Found]] = Future()

    def ask() -> None:
        try:
            found.set_result(socket.getaddrinfo(name, port, type=socket.SOCK_STREAM))
        except Exception as error:
            found.set_exception(error)

    threading.Thread(target=ask, daemon=True).start()
    return found.result(_left(until))


def _connected(found: Sequence[Found], until: float) -> socket.socket:
    """A socket that stands to one of the addresses, tried one by one. Raises: OSError: none answered."""
    failed = OSError("no address")
    for number, one in enumerate(found):
        left = _left(until)
        try:
            return _connected_to(one, min(left, max(LEAST_PATIENCE, left / (len(found) - number))))
        except OSError as error:
            failed = error
    raise failed


def _connected_to(one: Found, timeout: float) -> socket.socket:
    family, kind, protocol, _, address = one
    sock = socket.socket(family, kind, protocol)
    try:
        sock.settimeout(timeout)
        sock.connect(address)
    except BaseException:
        sock.close()
        raise
    return sock


@lru_cache(maxsize=1)
def _tls() -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=certifi.where())
    context.set_alpn_protocols(["http/1.1"])
    return context


def _is_public(address: str) -> bool:
    ip = ipaddress.ip_address(address.partition("%")[0])
    return ip.is_global and not ip.is_multicast and not any(ip in network for network in TRANSLATED)


class _Connection:
    """`usable`: the last answer ended in such a way that another request can follow. `last`: when it did."""

    def __init__(self, address: Address, sock: socket.socket) -> None:
        self.address = address
        self.usable = False
        self.last = 0.0
        self._socket = sock
        self._readable = select.poll()
        self._readable.register(sock, select.POLLIN)

    def close(self) -> None:
        self._socket.close()

    def has_news(self) -> bool:
        """Whether there is something to read although nothing was asked: its end, most of the time."""
        return bool(self._readable.poll(0))

    def ask(self, request: bytes, timeout: float, most_bytes: int, into: BinaryIO | None = None) -> Answer:
        """Send a request and read its answer.

        Raises:
            TimeoutError, OSError, httptools.HttpParserError, httptools.HttpParserUpgrade: there was none.
            Failure: it is too large.
        """
        self.usable = False
        until = time.monotonic() + timeout
        # who refuses a long request may have answered before it ended
        with suppress(BrokenPipeError, ssl.SSLEOFError):
            self._send(request, until)
        reading = _Reading(into)
        while not reading.whole:
            self._socket.settimeout(_left(until))
            reading.feed(self._socket.recv(PIECE))
            if reading.size > most_bytes:
                raise Failure(errors.UNPARSEABLE, f"the answer is larger than {most_bytes} bytes", maybe_done=True)
        self.usable = reading.keep_alive
        return Answer(reading.status, reading.headers, b"".join(reading.body))

    def _send(self, request: bytes, until: float) -> None:
        """By ourselves, because over TLS `sendall` has its time-out for each piece."""
        rest = memoryview(request)
        while rest:
            self._socket.settimeout(_left(until))
            rest = rest[self._socket.send(rest) :]


class _Reading:
    """An answer as it comes; the methods `on_...` are what the parser calls."""

    def __init__(self, into: BinaryIO | None = None) -> None:
        self._into = into  # for the body of a success
        self.status = 0
        self.headers: list[tuple[str, str]] = []
        self.body: list[bytes] = []
        self.size = 0  # of the body so far
        self.whole = False
        self.keep_alive = False
        self._fed = 0  # bytes so far
        self._has_head = False
        self._parser = httptools.HttpResponseParser(self)
        self._parser.set_dangerous_leniencies(**LENIENCIES)

    def feed(self, data: bytes) -> None:
        """What came next; nothing: the connection has ended."""
        if not data:
            if not (self._has_head and self.status >= 200 and self._ends_with_connection()):
                raise ConnectionError("the answer is not whole")
            self.whole = True
            return
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError:
            if not self.whole:  # else it is what comes behind the answer
                raise
        self._fed += len(data)
        if not self.whole and self._fed > MOST_HEAD + (MOST_AROUND + 1) * self.size:
            raise ConnectionError("the answer has too much around its body")

    def on_message_begin(self) -> None:
        self.keep_alive = False  # if this comes behind the answer
        if not self.whole:  # what came before, like 100, was only a hint
            self.headers, self._has_head = [], False

    def on_header(self, name: bytes, value: bytes) -> None:
        if not (self.whole or self._has_head):  # else a trailer
            self.headers.append((name.decode("latin-1").lower(), value.decode("latin-1").strip()))

    def on_headers_complete(self) -> None:
        if not self.whole:
            self.status, self._has_head = self._parser.get_status_code(), True

    def on_body(self, data: bytes) -> None:
        if self.whole:
            return
        if self._into and 200 <= self.status < 300:
            self._into.write(data)
        else:
            self.body.append(data)
        self.size += len(data)

    def on_message_complete(self) -> None:
        if self.status >= 200 and not self.whole:
            self.whole, self.keep_alive = True, self._parser.should_keep_alive()

    def _ends_with_connection(self) -> bool:
        framing = {name: value for name, value in self.headers if name in ("content-length", "transfer-encoding")}
        return "content-length" not in framing and "chunked" not in framing.get("transfer-encoding", "").lower()
