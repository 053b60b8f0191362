"""Cookies of applications: Twilio sends back what an application set in the same conversation, for four hours, and many
keep a dialogue's state there: https://www.twilio.com/docs/messaging/tutorials/how-to-create-sms-conversations/python.
"""

from __future__ import annotations

import re
import time
from collections.abc import Mapping, Sequence
from email.utils import parsedate_to_datetime
from http.cookies import CookieError, Morsel, SimpleCookie
from urllib.parse import urlsplit

import orjson

LIFE = 4 * 3_600_000  # ms of silence after which they are forgotten
NO_TIME = re.compile(r"-[0-9]+|0+")
LIMIT = 4 * 1024  # bytes of one conversation


class Cookies:
    """Of one conversation, by host (the path and the domain that a cookie names are passed over)."""

    def __init__(self, kept: Mapping[str, Mapping[str, str]]) -> None:
        self.kept = {host: dict(values) for host, values in kept.items()}

    def header(self, url: str) -> dict[str, str]:
        """The header of a call to that address; none, if nothing is kept for it."""
        values = self.kept.get(_host(url), {})
        return {"cookie": "; ".join(f"{name}={value}" for name, value in values.items())} if values else {}

    def take(self, url: str, lines: Sequence[str]) -> bool:
        """Keep what an answer from there sets, and drop what it takes back; False if that is too much."""
        values = dict(self.kept.get(_host(url), {}))
        for morsel in _morsels(lines):
            if _is_over(morsel):
                values.pop(morsel.key, None)
            else:
                values[morsel.key] = morsel.coded_value
        kept = {host: names for host, names in {**self.kept, _host(url): values}.items() if names}
        fits = len(orjson.dumps(kept)) <= LIMIT
        self.kept = kept if fits else self.kept
        return fits


def _morsels(lines: Sequence[str]) -> list[Morsel[str]]:
    found: list[Morsel[str]] = []
    for line in lines:
        cookie = SimpleCookie()
        try:
            cookie.load(line)
        except CookieError:
            continue  # a name that none can have
        found += cookie.values()
    return found


def _is_over(morsel: Morsel[str]) -> bool:
    if morsel["max-age"]:
        return bool(NO_TIME.fullmatch(str(morsel["max-age"])))
    try:
        return bool(morsel["expires"]) and parsedate_to_datetime(morsel["expires"]).timestamp() <= time.time()
    except (ValueError, OverflowError):
        return False


def _host(url: str) -> str:
    return urlsplit(url).netloc.lower()
