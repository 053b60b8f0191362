"""A light HTTP sink, as a process of its own: counts requests and notes when each came."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from pathlib import Path

ANSWER = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}"


class Arrivals:
    """`times` in Unix seconds; `events` the respond.io time stamps in ms (0 where a body has none)."""

    def __init__(self) -> None:
        self.times: list[float] = []
        self.events: list[int] = []

    def note(self, body: bytes) -> None:
        self.times.append(time.time())
        start = body.find(b'"timestamp":') + 12
        self.events.append(int(body[start : start + 13]) if start > 12 and body[start : start + 13].isdigit() else 0)


async def serve(port: int, out: Path) -> None:
    """Serve until GET /end; GET /count tells how many came, GET /reset forgets them."""
    arrivals = Arrivals()
    done = asyncio.Event()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                lower = head.lower()
                where = lower.find(b"content-length:")
                length = int(lower[where + 15 : lower.find(b"\r\n", where)]) if where > 0 else 0
                body = await reader.readexactly(length) if length else b""
                if head.startswith(b"POST"):
                    arrivals.note(body)
                    writer.write(ANSWER)
                else:
                    writer.write(_told(head, arrivals, out, done))
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    server = await asyncio.start_server(handle, "127.0.0.1", port)
    async with server:
        await done.wait()


def _told(head: bytes, arrivals: Arrivals, out: Path, done: asyncio.Event) -> bytes:
    if head.startswith(b"GET /reset"):
        arrivals.times.clear()
        arrivals.events.clear()
    if head.startswith(b"GET /save"):
        out.write_text(json.dumps({"times": arrivals.times, "events": arrivals.events}))
    if head.startswith(b"GET /end"):
        done.set()
    body = str(len(arrivals.times)).encode()
    return b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%s" % (len(body), body)


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1]), Path(sys.argv[2])))
