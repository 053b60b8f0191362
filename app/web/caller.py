"""Who calls, as far as the network says it."""

from __future__ import annotations

import ipaddress
import os

from flask import request

from app.config.file import BEHIND_PROXY_VARIABLE

NETWORK = 64  # bits of an IPv6 address that a site has to itself; the others are the caller's to choose


def address_of_caller() -> str:
    """The caller's address; of IPv6 its network. Behind a proxy of ours it is what that proxy saw: it stands last."""
    seen = request.remote_addr or ""
    if os.environ.get(BEHIND_PROXY_VARIABLE) == "1":
        seen = request.headers.get("X-Forwarded-For", "").rpartition(",")[2].strip() or seen
    return _counted_as(seen) or _counted_as(request.remote_addr or "") or "unknown"


def _counted_as(address: str) -> str:
    """'' for what is no address."""
    try:
        known = ipaddress.ip_address(address)
    except ValueError:
        return ""
    if isinstance(known, ipaddress.IPv4Address):
        return str(known)
    if known.ipv4_mapped:
        return str(known.ipv4_mapped)
    return str(ipaddress.ip_network((int(known), NETWORK), strict=False))
