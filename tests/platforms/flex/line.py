"""The wire between a Flex adapter and the sandbox: remembers calls, dies or answers in Twilio's place where told."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import orjson

from app.http import Http, Response

SID, SHORT = re.compile(r"([A-Z]{2})[0-9a-f]{32}"), r"{\1}"


class Died(Exception):
    """The worker was killed here."""


@dataclass(frozen=True)
class Call:
    method: str
    url: str
    data: Any
    headers: Mapping[str, str]

    @property
    def path(self) -> str:
        return urlsplit(self.url).path.removeprefix("/twilio")

    @property
    def form(self) -> list[tuple[str, str]]:
        return list(self.data.items()) if isinstance(self.data, Mapping) else list(self.data or [])

    def __str__(self) -> str:
        """Method and path with sids made short: `POST flex-api/v1/Channels`."""
        return f"{self.method} {SID.sub(SHORT, self.path.lstrip('/'))}"


class Line(Http):
    """Records calls. Dies after call `dies_after` was carried out; `instead` may answer in Twilio's place. `files` are
    hosts that customers' files may lie on as if they were public, `hosts` others that are configured."""

    def __init__(self, url: str, files: Sequence[str] = (), hosts: Sequence[str] = ()) -> None:
        super().__init__([url, *hosts], files=files)
        self.calls: list[Call] = []
        self.dies_after: int | None = None
        self.instead: Callable[[Call], Response | None] = lambda call: None

    def request(self, method: str, url: str, **options: Any) -> Response:
        call = Call(method, url, options.get("data"), options.get("headers") or {})
        self.calls.append(call)
        answer = self.instead(call) or super().request(method, url, **options)
        if self.dies_after == len(self.calls) - 1:
            raise Died
        return answer

    @property
    def made(self) -> list[str]:
        return [str(call) for call in self.calls]

    @property
    def posts(self) -> list[str]:
        return [str(call) for call in self.calls if call.method != "GET"]


def failing(status: int, method: str, path: str) -> Callable[[Call], Response | None]:
    """Twilio answers such calls with this status."""
    body = orjson.dumps({"code": 20000 + status, "message": "Told to fail", "status": status})
    return lambda call: Response(status, {}, body) if call.method == method and path in call.path else None


def failing_at(number: int, status: int, path: str = "/Messages") -> Callable[[Call], Response | None]:
    """Twilio answers the POST of this number to such a path with this status, once."""
    fails, left = failing(status, "POST", path), [number]

    def answer(call: Call) -> Response | None:
        answer = fails(call)
        left[0] -= answer is not None
        return answer if left[0] == -1 else None

    return answer
