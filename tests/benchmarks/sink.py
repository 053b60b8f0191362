"""A light HTTP sink, as a process of its own: counts requests and notes when each came."""

from __future__ import annotations

import asyncio
import json
import re
import sys
import time
from pathlib import Path

ANSWER = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}"
LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
STAMP = re.compile(rb'"timestamp":(\d{13})')


class Arrivals:
    """`times` in Unix seconds; `events` the respond.io time stamps in ms (0 where a body has none)."""

    def __init__(self, out: Path) -> None:
        self.times: list[float] = []
        self.events: list[int] = []
        self._out = out

    def note(self, body: bytes) -> None:
        self.times.append(time.time())
        stamp = STAMP.search(body)
        self.events.append(int(stamp[1]) if stamp else 0)

    def told(self, head: bytes) -> bytes:
        """GET /count: how many came. /reset: forget them; /save: write them down."""
        if head.startswith(b"GET /reset"):
            self.times.clear()
            self.events.clear()
        if head.startswith(b"GET /save"):
            self._out.write_text(json.dumps({"times": self.times, "events": self.events}))
        body = str(len(self.times)).encode()
        return b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%s" % (len(body), body)


class Requests(asyncio.Protocol):
    """A connection on which whole requests are heard, each by `hear`."""

    def __init__(self) -> None:
        self._data = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self._data += data
        while (end := self._data.find(b"\r\n\r\n") + 4) > 3:
            length = LENGTH.search(self._data, 0, end)
            whole = end + (int(length[1]) if length else 0)
            if len(self._data) < whole:
                return
            request, self._data = self._data[:whole], self._data[whole:]
            self.hear(request, request[end:])

    def hear(self, request: bytes, body: bytes) -> None:
        raise NotImplementedError


class Connection(Requests):
    def __init__(self, arrivals: Arrivals) -> None:
        super().__init__()
        self._arrivals = arrivals

    def hear(self, request: bytes, body: bytes) -> None:
        if request.startswith(b"POST"):
            self._arrivals.note(body)
            self.transport.write(ANSWER)
        else:
            self.transport.write(self._arrivals.told(request))


async def serve(port: int, out: Path) -> None:
    arrivals = Arrivals(out)
    server = await asyncio.get_running_loop().create_server(lambda: Connection(arrivals), "127.0.0.1", port)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1]), Path(sys.argv[2])))
