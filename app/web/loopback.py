"""Whether a request was made on this machine, by nobody's order from elsewhere: for channels without verification.

The address of whoever connects proves little. A proxy or a tunnel on this machine connects from loopback, too, and so
does the browser of its user, whatever site's page asks it to.
"""

from __future__ import annotations

import ipaddress
import re
from urllib.parse import urlsplit

from flask import Request

# Headers that proxies, tunnels and content networks add: who has one was not the first to be asked.
FORWARDED = re.compile(
    r"(forwarded|via|cdn-loop|x-forwarded.*|x-real-ip|x-original-.*|x-(cluster-)?client-ip|true-client-ip"
    r"|fastly-.*|cf-.*|x-envoy-.*|x-amzn-.*|x-azure-.*|x-appengine-.*|x-vercel-.*|fly-.*|ngrok-.*|tailscale-.*)\Z"
)


def is_from_this_machine(request: Request) -> bool:
    """A direct connection over loopback, to a name of loopback, and for no other site's page."""
    if any(FORWARDED.match(name.lower()) for name in request.headers.keys()):  # noqa: SIM118 - pairs without it
        return False
    origin = request.headers.get("Origin")
    if origin is not None and not _is_loopback(_host_of(origin)):
        return False
    if request.headers.get("Sec-Fetch-Site") == "cross-site":
        return False
    return _is_loopback(request.remote_addr or "") and _is_loopback(_host_of(f"//{request.headers.get('Host', '')}"))


def _host_of(url: str) -> str:
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
