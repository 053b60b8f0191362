"""The live streams of chats: what they tell, how many there may be, and how much each may take.

An open stream holds a thread, so `patchbay receiver` starts threads for streams beside those for webhooks. Whoever
finds no place is told what is new in one short answer and comes again, the later the more there are: that browser
polls, without knowing it. An answer has a bound in bytes, after which the browser goes on from its position, and the
system cuts off who takes nothing.
"""

from __future__ import annotations

import os
import secrets
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import orjson
from cachetools import TTLCache

from app.config.file import THREADS_VARIABLE
from app.core.errors import StoreUnavailable
from app.core.events import TYPING_LASTS
from app.core.message import outward
from app.gateway import Gateway
from app.store.messages import LiveEntry
from app.web.stalled import end_stalled_writes

STREAM_FOR = 300.0  # seconds after which the browser connects anew, from where it was
WAIT = 1.5  # seconds between two signs of life
LOOK_AGAIN = 10.0  # seconds after which a quiet stream's reader is looked at

# Of one process. Each stream has a thread of its own; a poll has one of those for webhooks, but only while it reads.
MAX_STREAMS = int(os.environ.get(THREADS_VARIABLE) or 32)
MAX_POLLS = 4
STREAMS_PER_VISITOR = 4  # windows of one browser
STREAMS_PER_ADDRESS = 16  # a household, an office; further ones poll
STREAM_BYTES, POLL_BYTES = 262_144, 65_536  # of one answer, but for a single message that is longer

READY, STILL_HERE = b"event: ready\ndata: {}\n\n", b": still here\n\n"
# A poll is two requests, ticket and answer. Whoever polls gets turns, so many a second. What one process then bears, by
# idle windows behind one address:
#   windows  streams  polls/s  requests/s  a poll each
#        90       16       10          20     every 7 s
#       500       16       32          64    every 15 s
# The proxy lets 100 requests a second pass from one address; about 750 windows reach that.
POLLS_PER_ADDRESS, POLLS_IN_ALL = 10.0, 40.0  # a second, until `LATEST` has to do
SOONEST, LATEST = 2.0, 15.0  # seconds until a browser that polls comes again, and up to `SPREAD` more
SPREAD = 1.0

AT_ONCE, CROWDED = 0.2, 5.0  # seconds until the browser comes again: there is more; there is no place even to poll

# What a visitor may read about a message that failed. The operator's text may name hosts, accounts or bugs.
EXCUSES = {
    "rejected": "It was refused.",
    "unsupported": "This kind of message cannot be delivered here.",
}
EXCUSE = "It could not be delivered."


class Places:
    """So many places in all, and so many for holders with something in common."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._lock = threading.Lock()
        self._held = 0
        self.shares: Counter[str] = Counter()

    def take(self, shares: Mapping[str, int]) -> bool:
        """Take a place, if there is one; `shares` by what is in common: how many may be held with it."""
        with self._lock:
            free = self._held < self._most and all(self.shares[key] < most for key, most in shares.items())
            if free:
                self._held += 1
                self.shares.update(shares.keys())
            return free

    def leave(self, shares: Mapping[str, int]) -> None:
        with self._lock:
            self._held -= 1
            self.shares.subtract(shares.keys())
            self.shares = +self.shares  # forgets whoever holds none


class Turns:
    """When whoever polls is to come again: so many a second of those with something in common, one after the other."""

    def __init__(self, timer: Callable[[], float] = time.monotonic) -> None:
        self._timer = timer
        self._lock = threading.Lock()
        # the last turn given; what a flood from many addresses pushes out costs some evenness, no more
        self._last: TTLCache[str, float] = TTLCache(4_096, ttl=LATEST, timer=timer)

    def next(self, paces: Mapping[str, float]) -> float:
        """Seconds from now, `SOONEST` to `LATEST`; `paces` by what is in common: how many may come a second."""
        with self._lock:
            now = self._timer()
            return max(self._turn(key, a_second, now) for key, a_second in paces.items()) - now

    def _turn(self, key: str, a_second: float, now: float) -> float:
        after_the_last = self._last.get(key, now) + 1 / a_second
        turn = self._last[key] = min(max(after_the_last, now + SOONEST), now + LATEST)
        return turn


class Stopping:
    """Whether this process was told to end.

    A server waits for the answers it is giving, so endless ones must know. Servers replace signal handlers after they
    have loaded the application; the wake-up descriptor is the standard library's way to hear of a signal all the same.
    """

    def __init__(self) -> None:
        self._told = threading.Event()
        self._reader: int | None = None

    def watch(self) -> None:
        """Listen from now on; only the main thread may, and only where nobody else does."""
        if self._reader is not None or threading.current_thread() is not threading.main_thread():
            return
        reader, writer = os.pipe()
        os.set_blocking(reader, False)
        os.set_blocking(writer, False)
        before = signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
        if before == -1:
            self._reader = reader
            return
        signal.set_wakeup_fd(before)
        os.close(reader)
        os.close(writer)

    def told(self) -> bool:
        if self._reader is not None and not self._told.is_set():
            try:
                numbers = os.read(self._reader, 256)
            except BlockingIOError:
                numbers = b""
            if signal.SIGTERM in numbers or signal.SIGINT in numbers:
                self._told.set()
        return self._told.is_set()


stream_places, poll_places, poll_turns = Places(MAX_STREAMS), Places(MAX_POLLS), Turns()
stopping = Stopping()


def watch() -> None:
    """Have streams end when this process is told to; for the main thread, once."""
    stopping.watch()


def stream(
    gateway: Gateway, conversation: str, after: str, address: str, forgotten: Callable[[], bool]
) -> Iterator[bytes]:
    """What the visitor is told from a position on.

    Args:
        after: a position; '0' for the beginning.
        address: where the visitor's browser is.
        forgotten: whether the visitor is no longer to be told anything. May raise StoreUnavailable.
    """
    shares = {f"visitor {conversation}": STREAMS_PER_VISITOR, f"address {address}": STREAMS_PER_ADDRESS}
    end_stalled_writes()
    try:
        if stream_places.take(shares):
            yield from _held(gateway, conversation, after, shares, forgotten)
        else:
            yield _poll(gateway, conversation, after, address)
    except StoreUnavailable:
        return  # the browser comes again by itself


def _held(
    gateway: Gateway, conversation: str, after: str, shares: Mapping[str, int], forgotten: Callable[[], bool]
) -> Iterator[bytes]:
    try:
        yield b"retry: %d\n\n" % (_soon() * 1000)
        yield from until(forgotten, _told(gateway, conversation, after, STREAM_FOR, STREAM_BYTES, _soon()))
    finally:
        stream_places.leave(shares)


def until(forgotten: Callable[[], bool], chunks: Iterator[bytes]) -> Iterator[bytes]:
    """Who comes again after that is refused, as with every token that was taken back."""
    look = 0.0
    for chunk in chunks:
        if chunk is not STILL_HERE or time.monotonic() >= look:
            if forgotten():
                yield come_again(AT_ONCE)
                return
            look = time.monotonic() + LOOK_AGAIN
        yield chunk


def _poll(gateway: Gateway, conversation: str, after: str, address: str) -> bytes:
    """All of one answer at once: whoever reads it slowly holds no thread."""
    turn = poll_turns.next({"": POLLS_IN_ALL, address: POLLS_PER_ADDRESS})
    if not poll_places.take({}):
        return come_again(max(turn, CROWDED))
    try:
        pause = turn + SPREAD * secrets.randbelow(1000) / 1000
        return b"".join(_told(gateway, conversation, after, 0.0, POLL_BYTES, pause))
    finally:
        poll_places.leave({})


def _told(gateway: Gateway, conversation: str, after: str, seconds: float, most: int, pause: float) -> Iterator[bytes]:
    """First everything that is there, then what comes within `seconds`, up to about `most` bytes; last, to come again
    after a `pause`."""
    began, left = time.monotonic(), most
    waits = False
    while not stopping.told():
        entries = gateway.live.live(conversation, after, WAIT if waits else 0)
        after = entries[-1].position if entries else after
        chunk = b"".join(map(_event, entries)) if entries else (STILL_HERE if waits else READY)
        waits = waits or not entries
        left -= len(chunk)
        if chunk:
            yield chunk
        late = time.monotonic() - began >= (seconds if waits else STREAM_FOR)  # whoever reads slowly is late, too
        if left <= 0 or (late and not waits):
            yield come_again(AT_ONCE)
            return
        if late:
            break
    yield come_again(pause)


def come_again(seconds: float) -> bytes:
    """The last word of an answer: when to come again. Browsers that know events alone are told by the first line."""
    return b'retry: %d\nevent: again\ndata: {"seconds": %.1f}\n\n' % (seconds * 1000, seconds)


def _soon() -> float:
    """Browsers that lost their stream together do not come again together."""
    return 1.5 + secrets.randbelow(1500) / 1000


def _event(entry: LiveEntry) -> bytes:
    data = _data(entry)
    if data is None:
        return b""
    return b"id: %s\nevent: %s\ndata: %s\n\n" % (entry.position.encode(), entry.kind.encode(), orjson.dumps(data))


def _data(entry: LiveEntry) -> dict[str, Any] | None:
    """What the browser is told of an entry; None if it is out of date: an old hint, or a message that was forgotten."""
    at = int(entry.position.partition("-")[0])
    match entry.kind:
        case "status":
            return {"id": entry.message_id, "status": entry.status, "error": _excuse(entry.status, entry.error)}
        case "typing":
            return {"at": at} if time.time() * 1000 - at < TYPING_LASTS else None
        case "message":
            return _message(entry)
    return {"at": at}


def _message(entry: LiveEntry) -> dict[str, Any] | None:
    if entry.record is None:
        return None
    message, status = entry.record.message, entry.record.status
    return {
        "id": message.id,
        "client_id": message.external_id if message.direction == "inbound" else None,
        "author": message.author,
        "at": message.at,
        "content": outward(message.content),
        "status": status,
        "error": _excuse(status, entry.record.error),
    }


def _excuse(status: str, error: str) -> str:
    return EXCUSES.get(error.partition(":")[0], EXCUSE) if status == "failed" else ""
