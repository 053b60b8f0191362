"""Sockets: what a call makes of answers that come late, in pieces, garbled or not at all, and of kept connections."""

from __future__ import annotations

import socket
import ssl
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager, nullcontext, suppress
from pathlib import Path
from typing import NamedTuple

import pytest
import trustme

from app import transport as module
from app.core import errors
from app.core.errors import Failure, Kind
from app.egress import Egress
from app.http import Http
from app.transport import REUSE_WITHIN
from tests.support.processes import free_port
from tests.test_http import failure, resolve

Talk = Callable[[socket.socket, threading.Event], None]


@contextmanager
def talker(talk: Talk, tls: ssl.SSLContext | None = None) -> Iterator[str]:
    """A server that takes one request on each connection and then says whatever `talk` says; its URL."""
    over, taken = threading.Event(), list[socket.socket]()
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            while not over.is_set():
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                taken.append(connection)
                with connection, suppress(OSError):
                    talking = tls.wrap_socket(connection, server_side=True) if tls else connection
                    taken.append(talking)
                    talking.recv(65_536)
                    talk(talking, over)
                    talking.close()

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.getsockname()[1]}"
        finally:
            over.set()
            for end in (server, *taken):
                with suppress(OSError):
                    socket.socket.shutdown(end, socket.SHUT_RDWR)  # TLS's own has who still reads read what is sealed
    thread.join(5)


AUTHORITY = trustme.CA()


@contextmanager
def secured(talk: Talk, name: str = "localhost", authority: trustme.CA = AUTHORITY) -> Iterator[str]:
    """A talker with a certificate for `name`; its URL on localhost."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert(name).configure_cert(context)
    with talker(talk, context) as url:
        yield url.replace("http://127.0.0.1", "https://localhost")


@pytest.fixture
def trusting(tmp_path: Path) -> Egress:
    """TLS as we speak it, with another authority."""
    AUTHORITY.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    return Egress(authorities=str(tmp_path / "ca.pem"))


class Opened(NamedTuple):
    url: str
    http: Http


Opens = Callable[[Talk], AbstractContextManager[Opened]]


@pytest.fixture(params=["plain", "over TLS"])
def opens(request: pytest.FixtureRequest, trusting: Egress) -> Opens:
    """Opens a talker, and what calls it: what holds of answers holds over TLS, too."""

    @contextmanager
    def opened(talk: Talk) -> Iterator[Opened]:
        with talker(talk) if request.param == "plain" else secured(talk) as url:
            yield Opened(url, Http([url], egress=trusting))

    return opened


def dribble(before: bytes) -> Talk:
    """Says `before` at once, then an x every 20 ms for ever."""

    def talk(connection: socket.socket, over: threading.Event) -> None:
        connection.sendall(before)
        while not over.wait(0.02):
            connection.sendall(b"x")

    return talk


DRIBBLES = {
    "the status line": b"HTTP/1.1 200 ",
    "a header": b"HTTP/1.1 200 OK\r\nX-Long: ",
    "a body": b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n",
    "a body without an end": b"HTTP/1.1 200 OK\r\n\r\n",
    "a chunk": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffff\r\n",
    "after a hint": b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nX: ",
}


@pytest.mark.parametrize("before", DRIBBLES.values(), ids=DRIBBLES)
def test_an_answer_that_dribbles_does_not_outlast_the_timeout(before: bytes, opens: Opens) -> None:
    with opens(dribble(before)) as (url, http):
        started = time.monotonic()
        failed = failure(url, http, timeout=0.3)
        took = time.monotonic() - started
    assert (failed.kind, failed.maybe_done) == (errors.TIMED_OUT, True)
    assert 0.25 < took < 2.0


def saying(words: bytes) -> Talk:
    return lambda connection, over: connection.sendall(words)


LOST = {
    "without an answer": b"",
    "within the status line": b"HTTP/1.1 2",
    "within the body": b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf",
    "within a chunk": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nff\r\nhalf",
    "behind a mere hint": b"HTTP/1.1 100 Continue\r\n\r\n",
    "with nonsense": b"SSH-2.0-OpenSSH_9.9\r\n",
    "with a chunk that has no length": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nhalf",
}


@pytest.mark.parametrize("words", LOST.values(), ids=LOST)
def test_a_lost_answer_may_have_been_carried_out(words: bytes, opens: Opens) -> None:
    with opens(saying(words)) as (url, http):
        failed = failure(url, http)
    assert (failed.kind, failed.maybe_done) == (errors.UNAVAILABLE, True)


BODY_LOST = {
    "its connection": saying(LOST["within the body"]),
    "its connection, in a chunk": saying(LOST["within a chunk"]),
    "its time": dribble(DRIBBLES["a body"]),
    "its time, in a chunk": dribble(DRIBBLES["a chunk"]),
}


@pytest.mark.parametrize("talk", BODY_LOST.values(), ids=BODY_LOST)
def test_a_success_whose_body_is_lost_is_one_for_whoever_does_not_need_it(talk: Talk, opens: Opens) -> None:
    with opens(talk) as (url, http):
        assert 200 == http.post(url, timeout=0.3).check().status


def silence(connection: socket.socket, over: threading.Event) -> None:
    over.wait(5)


def reset(connection: socket.socket, over: threading.Event) -> None:
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


UNHEARD: dict[str, tuple[Talk | None, bool, Kind, bool]] = {
    "nobody listens": (None, False, errors.UNAVAILABLE, False),
    "nobody listens over TLS": (None, True, errors.UNAVAILABLE, False),
    "it is reset within the handshake": (reset, True, errors.UNAVAILABLE, False),
    "it is reset behind the request": (reset, False, errors.UNAVAILABLE, True),
    "silence within the handshake": (silence, True, errors.UNAVAILABLE, False),
    "silence behind the request": (silence, False, errors.TIMED_OUT, True),
}


@pytest.mark.parametrize(("talk", "secure", "kind", "maybe_done"), UNHEARD.values(), ids=UNHEARD)
def test_only_what_was_not_sent_was_surely_not_done(
    talk: Talk | None, secure: bool, kind: Kind, maybe_done: bool
) -> None:
    with talker(talk) if talk else nullcontext(f"http://127.0.0.1:{free_port()}") as url:
        there = url.replace("http:", "https:") if secure else url
        failed = failure(there, Http([there]), json={"a": 1}, timeout=0.3)
    assert (kind, maybe_done) == (failed.kind, failed.maybe_done)


def test_a_platform_that_speaks_no_tls_was_sent_nothing() -> None:
    with talker(saying(b"HTTP/1.1 400 Bad Request\r\n\r\n")) as url:
        secure = url.replace("http:", "https:")
        failed = failure(secure, Http([secure]))
    assert (failed.kind, failed.maybe_done) == (errors.UNAVAILABLE, False)


def test_a_handshake_that_hangs_was_sent_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "CONNECT_TIMEOUT", 0.2)
    with talker(silence) as url:
        secure = url.replace("http:", "https:")
        started = time.monotonic()
        failed = failure(secure, Http([secure]))
        took = time.monotonic() - started
    assert (failed.kind, failed.maybe_done) == (errors.UNAVAILABLE, False)
    assert 0.15 < took < 2.0


def test_all_addresses_are_tried_within_one_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first address refuses, the second says nothing, the third is there."""
    with closing(socket.create_server(("127.0.0.3", 0), backlog=0)) as full, ExitStack() as stack:
        port = full.getsockname()[1]
        for _ in range(3):  # as many as the backlog holds, and those that wait for room
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(full.getsockname())
        there = stack.enter_context(socket.create_server(("127.0.0.4", port)))

        def serve() -> None:
            connection, _ = there.accept()
            with connection:
                connection.recv(65_536)
                connection.sendall(OK + b"Content-Length: 2\r\n\r\nok")

        threading.Thread(target=serve, daemon=True).start()
        url = f"http://many.example.test:{port}"
        resolve(monkeypatch, url, "127.0.0.2", "127.0.0.3", "127.0.0.4")
        monkeypatch.setattr(module, "CONNECT_TIMEOUT", 2.0)
        assert Http([url]).post(url).body == b"ok"


def test_a_request_that_nobody_reads_does_not_outlast_the_timeout(opens: Opens) -> None:
    with opens(silence) as (url, http):
        started = time.monotonic()
        failed = failure(url, http, timeout=0.3, body=b"x" * 64 * 1024 * 1024)
        took = time.monotonic() - started
    assert (failed.kind, failed.maybe_done) == (errors.TIMED_OUT, True)
    assert 0.25 < took < 2.0


def test_a_connection_is_used_again_unless_it_was_idle_for_long(monkeypatch: pytest.MonkeyPatch, opens: Opens) -> None:
    connections: list[int] = []

    def talk(connection: socket.socket, over: threading.Event) -> None:
        connections.append(0)
        while not over.is_set():
            connections[-1] += 1
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")
            if not connection.recv(65_536):
                return

    clock = StoppedClock()
    monkeypatch.setattr(module, "time", clock)
    with opens(talk) as (url, http):
        http.post(url)
        clock.now += REUSE_WITHIN - 0.1
        http.post(url)
        assert connections == [2]
        clock.now += REUSE_WITHIN + 0.1
        http.post(url)
        assert connections == [2, 1]


class StoppedClock:
    now = 1000.0

    def monotonic(self) -> float:
        return self.now


def test_a_connection_that_was_closed_meanwhile_is_not_used_again(opens: Opens) -> None:
    gone = threading.Event()

    def answer_and_leave(connection: socket.socket, over: threading.Event) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")
        connection.close()
        gone.set()

    with opens(answer_and_leave) as (url, http):
        for _ in range(3):
            assert 200 == http.post(url).status
            assert gone.wait(5)
            gone.clear()


@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
def test_a_request_that_was_lost_on_a_kept_connection_is_not_sent_again(method: str, opens: Opens) -> None:
    """It may have been carried out: whether it may go out twice is not for the transport to say."""
    asked: list[bytes] = []

    def talk(connection: socket.socket, over: threading.Event) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")
        asked.append(connection.recv(65_536))

    with opens(talk) as (url, http):
        http.request(method, url)
        with pytest.raises(Failure) as raised:
            http.request(method, url)
    assert (errors.UNAVAILABLE, True) == (raised.value.kind, raised.value.maybe_done)
    assert 1 == sum(map(bool, asked))


def test_what_an_answer_left_of_its_time_is_not_the_limit_of_the_next_request() -> None:
    size = 8 * 1024 * 1024  # more than the sockets hold, so sending waits for the reader

    def talk(connection: socket.socket, over: threading.Event) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n")
        over.wait(1.5)
        connection.sendall(b"{")
        over.wait(0.02)
        connection.sendall(b"}")
        over.wait(0.7)
        read = 0
        while read < size:
            read += len(connection.recv(1024 * 1024))
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nlast")

    with talker(talk) as url:
        http = Http([url])
        http.post(url, timeout=2)
        assert b"last" == http.post(url, body=b"x" * size, timeout=5).body


def test_silence_after_a_late_beginning_gets_no_time_of_its_own() -> None:
    def talk(connection: socket.socket, over: threading.Event) -> None:
        over.wait(1.7)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{")
        over.wait(10)

    with talker(talk) as url:
        http = Http([url])
        started = time.monotonic()
        assert errors.TIMED_OUT == failure(url, http, timeout=2).kind
        assert time.monotonic() - started < 3.6  # another two seconds from the beginning would be 3.7


def test_a_body_in_chunks_is_put_together_and_its_connection_used_again(opens: Opens) -> None:
    chunks = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"
    connections: list[int] = []

    def talk(connection: socket.socket, over: threading.Event) -> None:
        connections.append(0)
        connection.sendall(chunks)
        connection.recv(65_536)
        connection.sendall(chunks)

    with opens(talk) as (url, http):
        assert [b"abcde", b"abcde"] == [http.post(url).body, http.post(url).body]
    assert [0] == connections


OK = b"HTTP/1.1 200 OK\r\n"
READ: dict[str, tuple[bytes, bytes]] = {
    "a length": (OK + b"Content-Length: 2\r\n\r\nab", b"ab"),
    "no body": (b"HTTP/1.1 204 No Content\r\n\r\n", b""),
    "a body that the status forbids": (b"HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n", b""),
    "the end of the connection": (OK + b"\r\nab", b"ab"),
    "the end of an older connection": (b"HTTP/1.0 200 OK\r\n\r\nab", b"ab"),
    "an encoding that ends with the connection": (OK + b"Transfer-Encoding: identity\r\n\r\nab", b"ab"),
    "chunks with a trailer": (OK + b"Transfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\nX-Sum: 1\r\n\r\n", b"ab"),
    "hints before it": (b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nX-Sum: 2\r\n\r\n" + OK
        + b"Content-Length: 2\r\n\r\nab", b"ab"),
    # kept less well, but there is no doubt about what was meant
    "no reason": (b"HTTP/1.1 200\r\nContent-Length: 2\r\n\r\nab", b"ab"),
    "bare line feeds": (b"HTTP/1.1 200 OK\nContent-Length: 2\n\nab", b"ab"),
    "a folded header": (OK + b"X-Long: a\r\n b\r\nContent-Length: 2\r\n\r\nab", b"ab"),
    "a length beside chunks": (
        OK + b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n", b"ab"),
    "a space behind a chunk's length": (OK + b"Transfer-Encoding: chunked\r\n\r\n2 \r\nab\r\n0\r\n\r\n", b"ab"),
    "more than was announced": (OK + b"Content-Length: 2\r\n\r\nabcd", b"ab"),
    "more behind a closing answer": (OK + b"Connection: close\r\nContent-Length: 2\r\n\r\nabcd", b"ab"),
}  # fmt: skip


@pytest.mark.parametrize("cut", [False, True], ids=["at once", "byte by byte"])
@pytest.mark.parametrize(("words", "body"), READ.values(), ids=READ)
def test_an_answer_is_read_as_it_was_meant(words: bytes, body: bytes, cut: bool, opens: Opens) -> None:
    def talk(connection: socket.socket, over: threading.Event) -> None:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for piece in [words[n : n + 1] for n in range(len(words))] if cut else [words]:
            connection.sendall(piece)

    with opens(talk) as (url, http):
        answer = http.post(url)
    assert (body, None) == (answer.body, answer.headers.get("x-sum"))


def test_a_header_that_comes_twice_is_one_but_for_cookies(opens: Opens) -> None:
    words = b"X-A: 1\r\nx-a: 2\r\nX-Empty:\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2 \r\nContent-Length: 0\r\n\r\n"
    with opens(saying(OK + words)) as (url, http):
        answer = http.post(url)
    assert ("1, 2", "", ("a=1", "b=2")) == (answer.headers["x-a"], answer.headers["x-empty"], answer.cookies)


def test_odd_headers_are_headers_and_no_head_of_their_own(opens: Opens) -> None:
    words = b"X-Long: a\r\n b: c\r\nHTTP/2-Settings: x\r\nHTTP/1.1 500: y\r\nContent-Length: 0\r\n\r\n"
    with opens(saying(OK + words)) as (url, http):
        answer = http.post(url)
    assert (200, "a b: c", "x") == (answer.status, answer.headers["x-long"], answer.headers["http/2-settings"])


UNUSABLE = {
    "it says so": OK + b"Connection: close\r\nContent-Length: 2\r\n\r\nab",
    "it is an old one": b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nab",
    "more came than was announced": OK + b"Content-Length: 2\r\n\r\nabcd",
    "another answer came that nobody asked for": (OK + b"Content-Length: 2\r\n\r\nab") * 2,
}


@pytest.mark.parametrize("words", UNUSABLE.values(), ids=UNUSABLE)
def test_a_connection_is_not_used_again_when(words: bytes, opens: Opens) -> None:
    asked: list[bytes] = []

    def talk(connection: socket.socket, over: threading.Event) -> None:
        connection.sendall(words)
        asked.append(connection.recv(65_536))  # ends when the connection does

    with opens(talk) as (url, http):
        assert [b"ab", b"ab"] == [http.post(url).body, http.post(url).body]
    assert not any(asked)


CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"
ENDLESS = {
    "a head": (OK, b"X-More: and more\r\n" * 100),
    "trailers": (CHUNKED + b"0\r\n", b"X-More: and more\r\n" * 100),
    "one trailer": (CHUNKED + b"0\r\nX-More: ", b"and more" * 100),
    "hints": (b"", b"HTTP/1.1 103 Early Hints\r\nX-More: and more\r\n\r\n" * 100),
}


@pytest.mark.parametrize(("beginning", "more"), ENDLESS.values(), ids=ENDLESS)
def test_what_has_no_end_beside_a_body_is_not_kept(beginning: bytes, more: bytes, opens: Opens) -> None:
    def talk(connection: socket.socket, over: threading.Event) -> None:
        connection.sendall(beginning)
        while not over.is_set():
            connection.sendall(more)

    with opens(talk) as (url, http):
        failed = failure(url, http, timeout=20)
    assert (errors.UNAVAILABLE, True) == (failed.kind, failed.maybe_done)


def test_an_extension_of_a_chunk_that_has_no_end_has_no_more_time_than_others(opens: Opens) -> None:
    def talk(connection: socket.socket, over: threading.Event) -> None:
        connection.sendall(CHUNKED + b"2;more=")
        while not over.is_set():
            connection.sendall(b"and more" * 100)

    with opens(talk) as (url, http):
        failed = failure(url, http, timeout=0.3)
    assert (errors.TIMED_OUT, True) == (failed.kind, failed.maybe_done)


def test_the_smallest_chunks_are_a_body_all_the_same(opens: Opens) -> None:
    with opens(saying(CHUNKED + b"01\r\na\r\n" * 50_000 + b"0\r\n\r\n")) as (url, http):
        assert http.post(url).body == b"a" * 50_000


def test_who_refuses_a_long_request_before_its_end_is_heard() -> None:
    def talk(connection: socket.socket, over: threading.Event) -> None:
        connection.sendall(b"HTTP/1.1 413 Too Large\r\nContent-Length: 4\r\n\r\nlong")
        connection.shutdown(socket.SHUT_WR)
        connection.close()  # what it did not read breaks the pipe

    with talker(talk) as url:
        answer = Http([url]).post(url, body=b"x" * 32 * 1024 * 1024)
    assert (413, b"long") == (answer.status, answer.body)


@pytest.mark.parametrize("most", [0, 1])
def test_no_more_connections_are_kept_than_asked_for(most: int) -> None:
    ended = threading.Semaphore(0)

    def talk(connection: socket.socket, over: threading.Event) -> None:
        connection.sendall(OK + b"Content-Length: 0\r\n\r\n")
        if not connection.recv(65_536):
            ended.release()

    with talker(talk) as one, talker(talk) as two:
        http = Http([one, two], pool=most)
        http.post(one)
        http.post(two)
        assert ended.acquire(timeout=5)


def test_idle_connections_are_ended_by_calls_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = StoppedClock()
    monkeypatch.setattr(module, "time", clock)
    ended = threading.Event()

    def talk(connection: socket.socket, over: threading.Event) -> None:
        connection.sendall(OK + b"Content-Length: 0\r\n\r\n")
        if not connection.recv(65_536):
            ended.set()

    with talker(talk) as one, talker(saying(OK + b"Content-Length: 0\r\n\r\n")) as two:
        http = Http([one, two])
        http.post(one)
        clock.now += REUSE_WITHIN + 1
        http.post(two)
        assert ended.wait(5)


# --- read as it comes ---


def test_what_comes_is_taken_while_the_rest_is_still_being_written(opens: Opens) -> None:
    heard, pieces = threading.Event(), list[bytes]()

    def talk(connection: socket.socket, over: threading.Event) -> None:
        connection.sendall(CHUNKED + b"8\r\ndata: 1\n\r\n")
        assert heard.wait(5), "the first piece waits for nothing"
        connection.sendall(b"8\r\ndata: 2\n\r\n0\r\n\r\n")

    def take(piece: bytes) -> None:
        pieces.append(piece)
        heard.set()

    with opens(talk) as (url, http):
        answer = http.post(url, json={"stream": True}, take=take)
    assert ([b"data: 1\n", b"data: 2\n"], 200, b"") == (pieces, answer.status, answer.body)


def test_who_takes_may_have_had_enough(opens: Opens) -> None:
    class Enough(Exception):
        pass

    def take(piece: bytes) -> None:
        raise Enough

    with opens(dribble(CHUNKED + b"8\r\ndata: 1\n\r\n")) as (url, http):
        with pytest.raises(Enough):
            http.post(url, take=take)
        with pytest.raises(Enough):
            http.post(url, take=take)


def test_only_a_success_is_taken(opens: Opens) -> None:
    pieces: list[bytes] = []
    with opens(saying(b"HTTP/1.1 429 Slow Down\r\nContent-Length: 4\r\n\r\nwait")) as (url, http):
        answer = http.post(url, take=pieces.append)
    assert (429, b"wait", []) == (answer.status, answer.body, pieces)


def test_what_is_taken_has_the_same_time_and_size_as_other_answers(opens: Opens) -> None:
    pieces: list[bytes] = []
    with opens(dribble(OK + b"\r\ndata: 1\n")) as (url, http):
        failed = failure(url, http, take=pieces.append, timeout=0.3)
    assert (errors.TIMED_OUT, b"data: 1\n") == (failed.kind, pieces[0])
    with opens(dribble(OK + b"\r\ndata: 1\n")) as (url, http):
        failed = failure(url, http, take=pieces.append, most_bytes=9)
    assert (errors.UNPARSEABLE, True) == (failed.kind, failed.maybe_done)


@pytest.mark.parametrize("encoding", ["gzip", "DEFLATE"])
def test_what_is_packed_is_not_taken(encoding: str) -> None:
    pieces: list[bytes] = []
    words = OK + f"Content-Encoding: {encoding}\r\nContent-Length: 4\r\n\r\n\x1f\x00zz".encode()
    with talker(saying(words)) as url:
        failed = failure(url, Http([url]), take=pieces.append)
    assert (errors.UNPARSEABLE, True, []) == (failed.kind, failed.maybe_done, pieces)


# --- over TLS ---


def test_the_handshake_and_the_answer_share_one_time(trusting: Egress) -> None:
    """Each of them alone would be in time."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    AUTHORITY.issue_cert("localhost").configure_cert(context)
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            with suppress(OSError):
                connection, _ = server.accept()
                time.sleep(0.4)
                with context.wrap_socket(connection, server_side=True) as talking:
                    talking.recv(65_536)
                    time.sleep(0.4)
                    talking.sendall(OK + b"Content-Length: 0\r\n\r\n")

        threading.Thread(target=serve, daemon=True).start()
        url = f"https://localhost:{server.getsockname()[1]}"
        failed = failure(url, Http([url], egress=trusting), timeout=0.6)
    assert (errors.TIMED_OUT, True) == (failed.kind, failed.maybe_done)


def test_who_refuses_a_long_request_before_its_end_is_heard_over_tls_too(trusting: Egress) -> None:
    def talk(connection: socket.socket, over: threading.Event) -> None:
        connection.sendall(b"HTTP/1.1 413 Too Large\r\nContent-Length: 4\r\n\r\nlong")
        over.wait(0.3)  # the pipe is full by then; now it is closed

    with secured(talk) as url:
        answer = Http([url], egress=trusting).post(url, body=b"x" * 32 * 1024 * 1024)
    assert (413, b"long") == (answer.status, answer.body)


STRANGERS: dict[str, tuple[str, trustme.CA]] = {
    "from an authority that nobody knows": ("localhost", trustme.CA()),
    "for another name": ("elsewhere.example.test", AUTHORITY),
}


@pytest.mark.parametrize(("name", "authority"), STRANGERS.values(), ids=STRANGERS)
def test_a_certificate_proves_nothing(name: str, authority: trustme.CA, trusting: Egress) -> None:
    told: list[bytes] = []

    def talk(connection: socket.socket, over: threading.Event) -> None:
        told.append(connection.recv(65_536))

    with secured(talk, name, authority) as url:
        failed = failure(url, Http([url], egress=trusting))
    assert (errors.UNAVAILABLE, False, False) == (failed.kind, failed.maybe_done, any(told))
    assert "no connection: its certificate is not trusted" == failed.detail


def test_the_certificate_is_for_the_name_and_the_connection_to_the_address_that_was_checked(
    monkeypatch: pytest.MonkeyPatch, trusting: Egress
) -> None:
    monkeypatch.setattr(module, "is_public", lambda where: where[0] == "127.0.0.1")
    with secured(saying(OK + b"Content-Length: 2\r\n\r\nab"), "shop.example.test") as url:
        named = url.replace("localhost", "shop.example.test")
        resolve(monkeypatch, named, "127.0.0.1")
        assert b"ab" == Http(egress=trusting).post(named).body
