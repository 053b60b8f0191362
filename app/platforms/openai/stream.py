"""Reads the body of an answer as it comes: a stream of server-sent events, or one object of JSON, whatever was asked
for. Only whole events count, and what was collected of them is an answer once it says so itself.

Source of the format: https://html.spec.whatwg.org/multipage/server-sent-events.html.
"""

from __future__ import annotations

from typing import Any, Protocol

from app.core import errors
from app.core.errors import Failure
from app.core.reading import Unreadable, parsed

END = b"[DONE]"
BLANK = b"\xef\xbb\xbf \t\r\n"  # what may stand before the first byte that tells which of the two it is


class Collects(Protocol):
    """Puts events together. `whole`: nothing that matters is missing any more."""

    whole: bool

    def add(self, event: Any) -> None:
        """Raises: Failure, the event tells of one."""

    def answer(self) -> Any:
        """The object that the server would have answered without a stream."""


class Reading:
    """`take` is given the body in pieces of any size; then `answer` says what it was."""

    def __init__(self, events: Collects) -> None:
        self._events = events
        self._is_stream: bool | None = None
        self._bytes = bytearray()  # of the object, or of a line that is not whole
        self._data: list[bytes] = []
        self._ended = False

    @property
    def whole(self) -> bool:
        """Whether the stream has said everything; a connection that is lost behind that is no loss."""
        return self._ended or self._events.whole

    def take(self, piece: bytes) -> None:
        """Raises: Failure: UNPARSEABLE, or what the server tells of."""
        self._bytes += piece
        if self._is_stream is None and (begin := self._bytes.lstrip(BLANK)[:1]):
            self._is_stream = begin not in b"{["
        if self._is_stream and b"\n" in piece:
            self._take_lines()

    def answer(self) -> Any:
        """Raises: Failure: UNPARSEABLE, it is no JSON or not whole."""
        if not self._is_stream:
            return _read(bytes(self._bytes))
        self.take(b"\n\n")  # the last event, where nothing stands behind it
        if not self.whole:
            raise Failure(errors.UNPARSEABLE, "the stream broke off", maybe_done=True)
        return self._events.answer()

    def _take_lines(self) -> None:
        *lines, rest = self._bytes.split(b"\n")
        self._bytes = rest
        for line in lines:
            self._take_line(bytes(line.rstrip(b"\r")))

    def _take_line(self, line: bytes) -> None:
        """Comments, which keep a connection alive, and names of events are passed over: the data says it again."""
        name, _, value = line.partition(b":")
        if name.lstrip(BLANK) == b"data":
            self._data.append(value.removeprefix(b" "))
        elif not line and self._data:
            data, self._data = b"\n".join(self._data), []
            self._take_event(data)

    def _take_event(self, data: bytes) -> None:
        if data.strip() == END:
            self._ended = True
        elif data.strip() and not self._ended:
            self._events.add(_read(data))


def _read(data: bytes) -> Any:
    try:
        return parsed(data)
    except Unreadable as error:
        raise Failure(errors.UNPARSEABLE, f"the answer is not JSON: {error}", maybe_done=True) from None
