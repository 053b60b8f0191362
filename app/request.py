"""What a call says: its URL, its head and its body, as requests would say them without a session: neither cookies nor a
netrc have a part in it.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, NamedTuple
from urllib.parse import urlencode, urlsplit

import requests
from requests.utils import check_header_validity

from app.core import errors
from app.core.errors import Failure
from app.core.reading import clean

USUAL_HEADERS = {"user-agent": "patchbay", "accept-encoding": "identity"}
UNSAID = {name: f"{name}:".encode() for name in ("accept", "expect", "content-type")}  # else libcurl has its own
FORM = "application/x-www-form-urlencoded"
PORTS = {"http": 80, "https": 443}

Address = tuple[str, int, bool]  # name, port, whether over TLS


class Target(NamedTuple):
    """Where a call goes: `url` as a signature speaks of it, `path` with its query, `host` as Host headers have it."""

    url: str
    path: str
    host: str
    address: Address


def host_and_port(url: str) -> tuple[str, int]:
    """Raises: ValueError, KeyError: it is no URL of HTTP."""
    parts = urlsplit(url)
    return parts.hostname or "", parts.port or PORTS[parts.scheme]


class Request(NamedTuple):
    """`lines` of the head as libcurl takes them (see its CURLOPT_HTTPHEADER); without a `body`, none is spoken of."""

    method: str
    lines: list[bytes]
    body: bytes | None


@lru_cache(maxsize=1024)
def target(url: str) -> Target:
    """Where requests would go for this URL; working it out is most of what preparing a request costs.

    Raises:
        Failure: MISCONFIGURED, no such URL can be.
    """
    request = requests.PreparedRequest()
    try:
        request.prepare_url(url, None)
        return _target(request.url or "")
    except (requests.RequestException, ValueError, KeyError):
        raise Failure(errors.MISCONFIGURED, "the URL is not valid") from None


def _target(url: str) -> Target:
    """Take an escaped URL apart. Raises: ValueError, KeyError: it is no URL of HTTP."""
    parts = urlsplit(url)
    name, port = host_and_port(url)
    if not name.encode("idna") or "%" in name:  # libcurl would read another name behind the escapes
        raise ValueError("no host")
    host = f"[{name}]" if ":" in name else name
    return Target(
        url=url.partition("#")[0],
        path=(parts.path or "/") + (f"?{parts.query}" if parts.query else ""),
        host=f"{host}:{port}" if port != PORTS[parts.scheme] else host,
        address=(name, port, parts.scheme == "https"),
    )


def request(to: Target, method: str, headers: Mapping[str, str], data: Any, auth: tuple[str, str] | None) -> Request:
    """A call to that target.

    Args:
        data: bytes, or a form (a mapping or pairs).
        auth: user and password.

    Raises:
        Failure: MISCONFIGURED, no such header can be.
    """
    body, kind = (data or b"", "") if data is None or isinstance(data, bytes) else _encoded(data)
    lines = {**USUAL_HEADERS, **({"content-type": kind} if kind else {})}
    lines |= {name.lower(): value for name, value in headers.items()} | {"host": to.host}
    try:
        if auth:
            lines["authorization"] = f"Basic {_basic(auth)}"
        head = [_line(name, value) for name, value in lines.items()]
        head += [unsaid for name, unsaid in UNSAID.items() if name not in lines]
        return Request(method, head, body if body or method != "GET" else None)
    except (requests.exceptions.InvalidHeader, UnicodeError):
        raise Failure(errors.MISCONFIGURED, "a header is not valid") from None


def _encoded(form: Any) -> tuple[bytes, str]:
    """A form without what is None, and its content type."""
    pairs = [pair for pair in (form.items() if isinstance(form, Mapping) else form) if pair[1] is not None]
    try:
        body = urlencode(pairs, doseq=True)
    except UnicodeEncodeError:  # half a surrogate pair, which a form cannot carry
        body = urlencode([tuple(pair) for pair in clean(pairs)], doseq=True)
    return body.encode(), FORM if pairs else ""


def _basic(auth: tuple[str, str]) -> str:
    return base64.b64encode(":".join(auth).encode("latin-1")).decode()


@lru_cache(maxsize=1024)
def _line(name: str, value: str) -> bytes:
    """One line of a head as libcurl takes it. To look whether it can be one costs as much as all the rest, and most
    come again and again.

    Raises:
        requests.exceptions.InvalidHeader, UnicodeError: it cannot.
    """
    check_header_validity((name, value))
    if "\0" in value:
        raise requests.exceptions.InvalidHeader
    return (f"{name}: {value}" if value.strip() else f"{name};").encode("latin-1")


def credentials(headers: Mapping[str, str], auth: tuple[str, str] | None) -> tuple[str, ...]:
    """What must not be quoted when the platform repeats it."""
    found = [value.rpartition(" ")[2] for name, value in headers.items() if name.lower() == "authorization"]
    if auth:
        found += [auth[1], _basic(auth)]
    return tuple(secret for secret in found if secret)
