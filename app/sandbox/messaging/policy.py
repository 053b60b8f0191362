"""How a webhook URL wants to be called: connection overrides behind its `#`, which is never sent nor signed.

`rc` retries, `rp` on what, `ct`, `rt` and `tt` milliseconds to connect, to read and in all. The letters and the
ranges are unverified.
"""

import re
from dataclasses import dataclass, replace
from urllib.parse import parse_qsl

CONNECT_SECONDS = 5.0
PATIENCE_SECONDS = 15.0
MAX_RETRIES = 5
WORDS = ("4xx", "5xx", "ct", "rt", "all")


@dataclass(frozen=True)
class Policy:
    """Without overrides, a second try to connect and nothing else."""

    retries: int
    retried: frozenset[str]
    connect: float
    read: float
    total: float

    def within(self, seconds: float) -> "Policy":
        """The same for the time that is left."""
        left = max(seconds, 0.01)
        return replace(self, connect=min(self.connect, left), read=min(self.read, left), total=min(self.total, left))

    def retries_on(self, cause: str) -> bool:
        return cause in self.retried or ("all" in self.retried and cause != "")


def split(url: str) -> tuple[str, Policy]:
    """The URL that is called, and how. What cannot be read counts as not there."""
    bare, _, fragment = url.partition("#")
    wanted = dict(parse_qsl(fragment))
    words = [word for word in wanted.get("rp", "ct").split(",") if word in WORDS]
    policy = Policy(
        retries=min(_whole(wanted.get("rc"), 1), MAX_RETRIES),
        retried=frozenset(words),
        connect=_seconds(wanted.get("ct"), CONNECT_SECONDS),
        read=_seconds(wanted.get("rt"), PATIENCE_SECONDS),
        total=_seconds(wanted.get("tt"), PATIENCE_SECONDS),
    )
    return bare, policy


def _whole(value: str | None, default: int) -> int:
    return int(value) if value and re.fullmatch(r"[0-9]{1,6}", value) else default


def _seconds(value: str | None, default: float) -> float:
    milliseconds = _whole(value, 0)
    return min(milliseconds / 1000, default) if milliseconds else default
