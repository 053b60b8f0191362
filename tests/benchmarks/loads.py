"""What the benchmark compares Patchbay with, and the load that it makes. Each runs as a process of its own."""

from __future__ import annotations

import json
import os
import socket
import sys
import threading
import time
from collections.abc import Sequence
from datetime import UTC, datetime

import requests
from flask import Flask
from standardwebhooks.webhooks import Webhook

from tests.support.gateway import SECRET

TEXT = "x" * 200
EVENT = {
    "channelId": "ch_1",
    "contactId": "shop/webhook=3Av=2D1",
    "events": [{"type": "message", "mId": "m" * 32, "timestamp": 1, "message": {"type": "text", "text": TEXT}}],
}


def create_empty_app() -> Flask:
    """The smallest endpoint that takes a webhook: reads the body, answers 202."""
    from flask import request

    app = Flask("empty")

    @app.post("/empty")
    def empty() -> tuple[dict[str, str], int]:
        request.get_data()
        return {}, 202

    return app


def signed_requests(host: str, path: str, count: int, prefix: str, conversations: int) -> list[bytes]:
    """Complete HTTP requests with signed webhooks, made before the clock runs."""
    signer = Webhook(SECRET)
    now = datetime.fromtimestamp(int(time.time()), UTC)
    made = []
    for number in range(count):
        body = json.dumps(
            {
                "type": "message.created",
                "data": {
                    "id": f"{prefix}-{number}",
                    "from": {"id": f"v-{number % conversations}"},
                    "content": {"type": "text", "text": TEXT},
                },
            }
        )
        head = (
            f"POST {path} HTTP/1.1\r\nhost: {host}\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n"
            f"webhook-id: {prefix}-{number}\r\nwebhook-timestamp: {int(now.timestamp())}\r\n"
            f"webhook-signature: {signer.sign(f'{prefix}-{number}', now, body)}\r\n\r\n"
        )
        made.append((head + body).encode())
    return made


def fire(port: int, made: Sequence[bytes], connections: int = 16) -> float:
    """Send all requests over some kept-alive connections; requests per second. Any answer but 202 is an error."""

    def client(share: Sequence[bytes]) -> None:
        with socket.create_connection(("127.0.0.1", port)) as connection:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for request in share:
                connection.sendall(request)
                answer = read_answer(connection)
                if not answer.startswith(b"HTTP/1.1 202"):
                    raise SystemExit(f"unexpected answer: {answer[:200]!r}")

    threads = [threading.Thread(target=client, args=(made[n::connections],)) for n in range(connections)]
    started = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return len(made) / (time.perf_counter() - started)


def read_answer(connection: socket.socket) -> bytes:
    data = b""
    while b"\r\n\r\n" not in data:
        piece = connection.recv(65_536)
        if not piece:
            raise SystemExit("the connection was closed")
        data += piece
    head, _, rest = data.partition(b"\r\n\r\n")
    lower = head.lower()
    where = lower.find(b"content-length:")
    length = int(lower[where + 15 :].split(b"\r\n")[0]) if where > 0 else 0
    while len(rest) < length:
        rest += connection.recv(65_536)
    return data


def bare_loop(url: str, count: int) -> None:
    """Pooled `requests` posts, as anybody would write them."""
    with requests.Session() as session:
        for _ in range(count):
            session.post(url, json=EVENT, headers={"authorization": "Bearer desk-token-0001"}, timeout=10)


def create_chain() -> "Celery":  # type: ignore[name-defined]  # noqa: F821, UP037 - imported where it is needed
    """A plain Celery application: one task each for dedup, translate, deliver and status."""
    from celery import Celery
    from redis import Redis

    celery = Celery("chain", broker=os.environ["CHAIN_BROKER"])
    celery.conf.update(task_ignore_result=True, broker_connection_retry_on_startup=True)
    client = Redis.from_url(os.environ["CHAIN_BROKER"])
    session = requests.Session()

    @celery.task(name="dedup")
    def dedup(message: dict[str, str]) -> dict[str, str]:
        client.set(f"chain:seen:{message['id']}", "1", nx=True, ex=3600)
        client.setnx("chain:began", str(time.time()))
        return message

    @celery.task(name="translate")
    def translate(message: dict[str, str]) -> dict[str, object]:
        return {"id": message["id"], "event": EVENT}

    @celery.task(name="deliver")
    def deliver(message: dict[str, object]) -> dict[str, object]:
        session.post(os.environ["CHAIN_URL"], json=message["event"], timeout=10)
        return message

    @celery.task(name="status")
    def status(message: dict[str, object]) -> None:
        client.hset(f"chain:message:{message['id']}", "status", "sent")
        client.set("chain:ended", str(time.time()))
        client.incr("chain:count")

    return celery


if __name__ == "__main__":
    bare_loop(sys.argv[1], int(sys.argv[2]))
