"""What links to files lead to: had from the platform once for all who ask, few at a time, and kept for a while.

A call holds a receiver's thread for as long as the platform takes, and each is one on the operator's account. So few
threads at once may wait for files, the others are told to come again; who asks for the same file waits for the same
call. Files lie on disk, unlinked: whoever still reads one that is kept no longer has it all the same.
"""

from __future__ import annotations

import os
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from typing import BinaryIO

from cachetools import TLRUCache
from msgspec import Struct

from app.core.errors import Failure, Unverified
from app.core.events import File

KEEP, KEEP_FAILURE = 60.0, 5.0  # seconds; addresses at platforms are good for some minutes
KEEP_BYTES = 64 * 1024 * 1024
ENTRY = 2_048  # bytes that count for whatever is kept
PATIENCE = 2.0  # seconds that one of the few waits until there are fewer
PIECE = 65_536

Fetch = Callable[[BinaryIO], File | str]
"""Writes a file and says what it is, or says where it lies. Raises: Unverified, Failure."""


class Crowded(Exception):
    """As many as may wait for files do so already."""


class Found(Struct, frozen=True):
    """Where the file is (`where`), or the file itself (`size` bytes of `mime_type`), or why it cannot be had."""

    where: str = ""
    file: BinaryIO | None = None
    size: int = 0
    mime_type: str = ""
    failure: Failure | Unverified | None = None

    @property
    def keep(self) -> float:
        return KEEP_FAILURE if self.failure else KEEP


def pieces(file: BinaryIO) -> Iterator[bytes]:
    """What is in it, read by position, so that many can read it at once."""
    at = 0
    while piece := os.pread(file.fileno(), PIECE, at):
        at += len(piece)
        yield piece


class Shelf:
    """One per process; safe to share between threads.

    Args:
        calls: at the same time to platforms.
        waiting: threads at the same time that wait for one of them, or make it.
        sending: threads at the same time that send what is too large to be given away at once.
        timer: seconds, from any moment on.
    """

    def __init__(self, calls: int, waiting: int, sending: int, timer: Callable[[], float] = time.monotonic) -> None:
        self._calls = threading.BoundedSemaphore(calls)
        self._waiting = threading.BoundedSemaphore(waiting)
        self._sending = threading.BoundedSemaphore(sending)
        self._lock = threading.Lock()
        self.kept: TLRUCache[str, Found] = TLRUCache(
            KEEP_BYTES,
            ttu=lambda _, found, now: now + found.keep,
            timer=timer,
            getsizeof=lambda found: ENTRY + found.size,
        )
        self.coming: dict[str, Future[Found]] = {}

    def get(self, name: str, fetch: Fetch) -> Found:
        """What the link of that name leads to. Raises: Crowded."""
        with self._lock:
            kept = self.kept.get(name)
        if kept is not None:
            return kept
        with _place(self._waiting):
            coming, first = self._join(name)
            if first:
                self._have(name, coming, fetch)
            return coming.result()

    def send(self) -> Callable[[], None]:
        """A place for a thread that sends a large file; what gives it back. Raises: Crowded."""
        if not self._sending.acquire(blocking=False):
            raise Crowded
        return self._sending.release

    def _join(self, name: str) -> tuple[Future[Found], bool]:
        """What is on its way under that name, and whether nobody has gone for it yet."""
        with self._lock:
            if (kept := self.kept.get(name)) is not None:  # meanwhile
                done: Future[Found] = Future()
                done.set_result(kept)
                return done, False
            first = name not in self.coming
            return self.coming.setdefault(name, Future()), first

    def _have(self, name: str, coming: Future[Found], fetch: Fetch) -> None:
        """Go for it, and tell all who wait."""
        try:
            with _place(self._calls, PATIENCE):
                found = _fetched(fetch)
        except BaseException as error:
            with self._lock:
                del self.coming[name]
            coming.set_exception(error)
            return
        with self._lock:
            del self.coming[name]
            if ENTRY + found.size <= KEEP_BYTES:
                self.kept[name] = found
        coming.set_result(found)


@contextmanager
def _place(places: threading.BoundedSemaphore, wait: float = 0.0) -> Iterator[None]:
    if not places.acquire(timeout=wait) if wait else not places.acquire(blocking=False):
        raise Crowded
    try:
        yield
    finally:
        places.release()


def _fetched(fetch: Fetch) -> Found:
    file: BinaryIO = tempfile.TemporaryFile(buffering=0)  # noqa: SIM115 - closed with the last one who has it
    try:
        found = fetch(file)
    except (Failure, Unverified) as failure:
        return Found(failure=failure.with_traceback(None))
    if isinstance(found, str):
        return Found(where=found)
    return Found(file=file, size=os.fstat(file.fileno()).st_size, mime_type=found.mime_type)
