"""A platform with limits, as a process of its own: `/slow` takes 200 ms a call, `/limited` too but only 20 at once,
`/quick` none, and `/wait-1500` so many ms. It tells of every call, and how many it has answered since a `/reset`."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections import Counter

from tests.benchmarks.sink import STAMP, Requests

DELAY, PLACES = 0.2, 20
OK = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%s"
REFUSED = b"HTTP/1.1 429 Too Many Requests\r\nretry-after: 1\r\ncontent-length: 2\r\n\r\n{}"


class Calls:
    """`seen`: of each call its path, when it came (Unix s), how many were there then (with it), whether it was refused,
    and the time stamp (ms) in its body."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, float, int, bool, int]] = []
        self.at_once: Counter[str] = Counter()
        self.answered = 0

    def take(self, path: str, body: bytes) -> bool:
        """Whether there is room."""
        stamp = STAMP.search(body)
        refused = path == "limited" and self.at_once[path] >= PLACES
        self.seen.append((path, time.time(), self.at_once[path] + 1, refused, int(stamp[1]) if stamp else 0))
        self.at_once[path] += not refused
        return not refused


class Connection(Requests):
    def __init__(self, calls: Calls) -> None:
        super().__init__()
        self._calls = calls

    def hear(self, request: bytes, body: bytes) -> None:
        if request.startswith(b"GET"):
            told = self._told(request.split(b" ")[1])
            self.transport.write(OK % (len(told), told))
            return
        path = request.split(b"/", 2)[1].split(b" ")[0].decode()
        if not self._calls.take(path, body):
            self.transport.write(REFUSED)
        elif path == "quick":
            self._end(path)
        else:
            delay = int(path[5:]) / 1000 if path.startswith("wait-") else DELAY
            asyncio.get_running_loop().call_later(delay, self._end, path)

    def _told(self, path: bytes) -> bytes:
        if path == b"/reset":
            self._calls.answered = 0
        return json.dumps(self._calls.seen if path == b"/seen" else self._calls.answered).encode()

    def _end(self, path: str) -> None:
        self._calls.at_once[path] -= 1
        self._calls.answered += 1
        self.transport.write(OK % (2, b"{}"))


async def serve(port: int) -> None:
    calls = Calls()
    server = await asyncio.get_running_loop().create_server(lambda: Connection(calls), "127.0.0.1", port, backlog=1_000)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1])))
