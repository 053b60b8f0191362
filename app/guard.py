"""The SSRF guard's rule: which addresses an outsider may have us call."""

from __future__ import annotations

import ipaddress
import socket
from typing import Any

# Networks that lead to other addresses than they show, beside those that `ipaddress` knows.
TRANSLATED = tuple(
    ipaddress.ip_network(net)
    for net in (
        *("64:ff9b::/96", "64:ff9b:1::/48", "::/96", "::ffff:0:0:0/96"),
        *("2002::/16", "fec0::/10", "192.88.99.0/24"),
    )
)


def shows_inside(name: str) -> bool:
    """Whether a host's name tells by itself that it leads inside; with numbers as the system's resolver reads them."""
    name = name.rstrip(".")
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        return not is_public((name if ":" in name else socket.inet_ntoa(socket.inet_aton(name)),))
    except OSError:
        return False


def is_public(where: Any) -> bool:
    """Whether a socket's address is one that everybody may reach."""
    try:
        ip = ipaddress.ip_address(str(where[0]).partition("%")[0])
    except (ValueError, LookupError, TypeError):  # it is no address of the Internet
        return False
    return ip.is_global and not ip.is_multicast and not any(ip in network for network in TRANSLATED)
