"""Proxies for tests: they look names up by leading them all to this machine, and remember what they were asked for."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from urllib.parse import urlsplit


@dataclass
class Proxy:
    """`asked`: the request line of each call or tunnel, or the name and port for SOCKS. `logins`: what went with it.
    `refuses`: answer this status to all."""

    url: str = ""
    asked: list[str] = field(default_factory=list)
    logins: list[str] = field(default_factory=list)
    refuses: str = ""


@contextmanager
def http_proxy() -> Iterator[Proxy]:
    """Carries calls over plain HTTP on, one for each connection, and opens tunnels for others."""
    with _serving(_speak_http, "http") as proxy:
        yield proxy


@contextmanager
def socks_proxy() -> Iterator[Proxy]:
    """SOCKS 5, with user and password."""
    with _serving(_speak_socks, "socks5h") as proxy:
        yield proxy


@contextmanager
def _serving(speak: Callable[[Proxy, socket.socket], None], scheme: str) -> Iterator[Proxy]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        proxy = Proxy(f"{scheme}://127.0.0.1:{server.getsockname()[1]}")
        taken: list[socket.socket] = []

        def serve() -> None:
            with suppress(OSError):
                while True:
                    connection, _ = server.accept()
                    taken.append(connection)
                    threading.Thread(target=_quietly, args=(speak, proxy, connection), daemon=True).start()

        threading.Thread(target=serve, daemon=True).start()
        try:
            yield proxy
        finally:
            for end in (server, *taken):
                with suppress(OSError):
                    end.shutdown(socket.SHUT_RDWR)


def _quietly(speak: Callable[[Proxy, socket.socket], None], proxy: Proxy, connection: socket.socket) -> None:
    with connection, suppress(OSError):
        speak(proxy, connection)


def _speak_http(proxy: Proxy, caller: socket.socket) -> None:
    head = b""
    while b"\r\n\r\n" not in head:
        head += _some(caller)
    line, _, rest = head.decode("latin-1").partition("\r\n")
    method, where, _ = line.split(" ")
    proxy.asked.append(line)
    lines = rest.split("\r\n")
    proxy.logins += [told.partition(": ")[2] for told in lines if told.lower().startswith("proxy-authorization")]
    if proxy.refuses:
        caller.sendall(f"HTTP/1.1 {proxy.refuses} No\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".encode())
        return
    port = int(where.rpartition(":")[2]) if method == "CONNECT" else urlsplit(where).port
    with socket.create_connection(("127.0.0.1", port or 80)) as platform:
        if method == "CONNECT":
            caller.sendall(b"HTTP/1.1 200 Connection established\r\nX-Proxy: yes\r\n\r\n")
        else:
            parts = urlsplit(where)
            kept = [told for told in lines if not told.lower().startswith("proxy-")]
            path = f"{parts.path}?{parts.query}" if parts.query else parts.path
            platform.sendall("\r\n".join((f"{method} {path} HTTP/1.1", *kept)).encode("latin-1"))
        _carry(caller, platform)


def _speak_socks(proxy: Proxy, caller: socket.socket) -> None:
    count = _exactly(caller, 2)[1]
    _exactly(caller, count)
    caller.sendall(b"\x05\x02")  # by user and password
    user = _exactly(caller, _exactly(caller, 2)[1])
    password = _exactly(caller, _exactly(caller, 1)[0])
    proxy.logins.append(f"{user.decode()}:{password.decode()}")
    caller.sendall(b"\x01\x00")
    kind = _exactly(caller, 4)[3]
    assert kind == 3, "a name, not an address that somebody else looked up"
    name = _exactly(caller, _exactly(caller, 1)[0]).decode()
    port = int.from_bytes(_exactly(caller, 2))
    proxy.asked.append(f"{name}:{port}")
    if proxy.refuses:
        caller.sendall(b"\x05\x02\x00\x01" + bytes(6))
        return
    with socket.create_connection(("127.0.0.1", port)) as platform:
        caller.sendall(b"\x05\x00\x00\x01" + bytes(6))
        _carry(caller, platform)


def _carry(one: socket.socket, other: socket.socket) -> None:
    """Both ways, until one end is over."""

    def over(source: socket.socket, sink: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(65_536):
                sink.sendall(data)
        for end in (source, sink):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    back = threading.Thread(target=over, args=(other, one), daemon=True)
    back.start()
    over(one, other)
    back.join()


def _some(source: socket.socket) -> bytes:
    data = source.recv(65_536)
    if not data:
        raise ConnectionError
    return data


def _exactly(source: socket.socket, count: int) -> bytes:
    data = b""
    while len(data) < count:
        piece = source.recv(count - len(data))
        if not piece:
            raise ConnectionError
        data += piece
    return data


class Relay:
    """A TCP proxy of one port that keeps its sessions: who is connected stays where it is, whoever comes is led to
    `target` as it is by then. With `tls` it speaks that with callers."""

    def __init__(self, target: int, tls: ssl.SSLContext | None = None) -> None:
        self.target = target
        self._tls = tls
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._server.getsockname()[1])
        self._ends: list[socket.socket] = []
        threading.Thread(target=self._serve, daemon=True).start()

    def close(self) -> None:
        for end in (self._server, *self._ends):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()

    def _serve(self) -> None:
        with suppress(OSError):
            while True:
                caller, _ = self._server.accept()
                threading.Thread(target=self._relay, args=(caller,), daemon=True).start()

    def _relay(self, caller: socket.socket) -> None:
        with caller, suppress(OSError), socket.create_connection(("127.0.0.1", self.target)) as server:
            self._ends += [caller, server]
            caller = self._tls.wrap_socket(caller, server_side=True) if self._tls else caller
            _carry(caller, server)
