import http.client
import socket
import threading
from urllib.parse import urlsplit

import pytest
import requests
from flask import Flask, Response

from app.sandbox.server import build_server

from .calls import ASK_V2


@pytest.fixture
def connection(served):
    connection = http.client.HTTPConnection(urlsplit(served).netloc, timeout=5)
    yield connection
    connection.close()


def ask_for(connection, method, path, body=None, headers=None):
    connection.request(method, path, body=body, headers=headers or {})
    response = connection.getresponse()
    return response, response.read()


def test_a_connection_is_kept_alive(connection):
    sockets = set()
    for path in ("/inspect", "/faults", "/inspect"):
        response, _ = ask_for(connection, "GET", path)
        assert (response.status, response.version) == (200, 11)
        sockets.add(connection.sock)
    assert len(sockets) == 1
    assert None not in sockets


CONNECTIONS = {
    "nothing is said": ("HTTP/1.1", "", "keep-alive"),
    "keep it": ("HTTP/1.1", "Connection: keep-alive\r\n", "keep-alive"),
    "close it": ("HTTP/1.1", "Connection: close\r\n", "close"),
    "the old protocol": ("HTTP/1.0", "", "close"),
    "the old protocol, kept": ("HTTP/1.0", "Connection: keep-alive\r\n", "keep-alive"),
    "a length that is none": ("HTTP/1.1", "Content-Length: x\r\n", "close"),
    "a body in chunks": ("HTTP/1.1", "Transfer-Encoding: chunked\r\n", "close"),
    "a body too large": ("HTTP/1.1", "Content-Length: 99000000\r\n", "close"),
}


@pytest.mark.parametrize(("version", "header", "said"), CONNECTIONS.values(), ids=CONNECTIONS)
@pytest.mark.parametrize("path", ["/faults", "/nowhere", "/twilio/chat/v2/x"])
def test_an_answer_says_what_becomes_of_its_connection(served, path, version, header, said):
    with socket.create_connection(urlsplit(served).netloc.split(":"), timeout=5) as raw:
        raw.sendall(f"GET {path} {version}\r\nHost: x\r\n{header}\r\n".encode())
        answer = http.client.HTTPResponse(raw)
        answer.begin()
        answer.read()
        assert (said, "timeout=75" if said == "keep-alive" else None) == (
            answer.getheader("Connection"),
            answer.getheader("Keep-Alive"),
        )
        if said == "close":
            assert raw.recv(1) == b""
        else:
            raw.sendall(b"GET /faults HTTP/1.1\r\nHost: x\r\n\r\n")
            assert raw.recv(100).startswith(b"HTTP/1.1 200")


def test_a_client_that_keeps_its_connection_knows_when_it_is_gone(connection):
    ask_for(connection, "GET", "/inspect")
    kept = connection.sock
    for path in ("/nowhere", "/twilio/chat/v2/x", "/agent", "/faults"):
        ask_for(connection, "GET", path)
        assert connection.sock is kept
    ask_for(connection, "GET", "/faults", headers={"Connection": "close"})
    assert connection.sock is None
    assert ask_for(connection, "GET", "/faults")[0].status == 200


def test_a_session_goes_through_both(served):
    with requests.Session() as session:
        session.trust_env = False
        for headers in ({}, {"Connection": "close"}, {}, {}):
            assert session.get(f"{served}/faults", headers=headers).status_code == 200


STREAMS = {
    "in chunks": ("HTTP/1.1", "chunked", "keep-alive"),
    "by the old protocol": ("HTTP/1.0", None, "close"),
    "by the old protocol, kept": ("HTTP/1.0\r\nConnection: keep-alive", None, "close"),
}


@pytest.mark.parametrize(("version", "coding", "said"), STREAMS.values(), ids=STREAMS)
def test_an_answer_of_unknown_length_is_sent_as_it_is_made(version, coding, said):
    more, gone = threading.Event(), threading.Event()

    def pieces():
        yield b"one"
        more.wait(5)
        yield b""
        yield b"two"

    def view():
        response = Response(pieces(), content_type="text/event-stream")
        response.call_on_close(gone.set)
        return response

    app = Flask(__name__)
    app.add_url_rule("/", view_func=view)
    server = build_server(app, "127.0.0.1", 0)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    with socket.create_connection(("127.0.0.1", server.port), timeout=5) as raw:
        raw.sendall(f"GET / {version}\r\nHost: x\r\n\r\n".encode())
        answer = http.client.HTTPResponse(raw)
        answer.begin()
        assert answer.read1() == b"one"
        more.set()
        assert answer.read() == b"two"
        assert (coding, said) == (answer.getheader("Transfer-Encoding"), answer.getheader("Connection"))
        assert gone.wait(5)
    server.shutdown()
    server.server_close()


def test_a_body_that_nobody_read_does_not_spill_into_the_next_request(connection):
    response, _ = ask_for(connection, "POST", "/nowhere", body=b"GET /x HTTP/1.1\r\n\r\n" * 50)
    assert response.status == 404
    response, _ = ask_for(connection, "GET", "/faults")
    assert response.status == 200


def test_a_head_request_has_no_body(connection):
    assert ask_for(connection, "HEAD", "/inspect")[1] == b""
    assert ask_for(connection, "GET", "/inspect")[0].status == 200


def test_a_body_that_is_too_large_is_refused_unread(connection):
    connection.putrequest("POST", ASK_V2)
    connection.putheader("Content-Length", "1000001")
    connection.endheaders()
    assert connection.getresponse().status == 413


def test_a_body_without_length_is_refused(connection):
    connection.putrequest("POST", ASK_V2)  # the body is not sent: the server may hang up before it has all come
    connection.putheader("Transfer-Encoding", "chunked")
    connection.endheaders()
    response = connection.getresponse()
    assert (response.status, response.getheader("Connection")) == (411, "close")


@pytest.mark.parametrize("length", ["-1", "x", "1_0", "²"])
def test_a_length_that_is_no_number_is_refused(served, length):
    with socket.create_connection(urlsplit(served).netloc.split(":"), timeout=5) as raw:
        raw.sendall(f"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\n\r\n".encode("latin-1"))
        assert raw.recv(100).startswith(b"HTTP/1.1 411")


def test_requests_are_not_logged(connection, caplog):
    ask_for(connection, "GET", "/inspect")
    assert caplog.records == []


def test_requests_run_side_by_side(served):
    together = threading.Barrier(3, timeout=5)

    def call() -> None:
        connection = http.client.HTTPConnection(urlsplit(served).netloc, timeout=5)
        ask_for(connection, "GET", "/faults")
        together.wait()  # three connections are open at once, each on its own thread
        ask_for(connection, "GET", "/faults")
        connection.close()

    threads = [threading.Thread(target=call) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(5)
    assert not together.broken
