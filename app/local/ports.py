"""Ports: whether one is free before a server takes it, and who can reach a server there.

Servers of several processes share their port with each other, and would so with a second server, in silence.
"""

from __future__ import annotations

import errno
import ipaddress
import os
import socket
from typing import Any

HIGHEST = 65_535


class PortRefused(Exception):
    """A server cannot listen where it should; the text is one line that says why."""


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach what listens on `host`, a name or an address."""
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def claim(host: str, port: int, what: str) -> str:
    """Look whether `what` would have a port to itself; the address that `host` stands for.

    Args:
        host: a name or an address; '' for all addresses.

    Raises:
        PortRefused: somebody listens there, or nobody can.
    """
    if not 0 < port <= HIGHEST:  # the system would take another one in its place
        raise PortRefused(f"Cannot listen on port {port}: ports are 1 to {HIGHEST}. Give {what} another one.")
    try:
        found = socket.getaddrinfo(host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (OSError, UnicodeError):
        raise PortRefused(f"Cannot listen on {host}: there is no such host.") from None
    refusals = {address[0]: _refusal(family, address) for family, _, _, _, address in found}
    if errno.EADDRINUSE in refusals.values():
        raise PortRefused(f"Port {port} of {host} is in use: stop what listens there, or give {what} another port.")
    free = [str(address) for address, number in refusals.items() if not number]
    if not free:
        reason = os.strerror(next(iter(refusals.values())))
        raise PortRefused(f"Cannot listen on port {port} of {host}: {reason}.")
    return free[0]


def _refusal(family: int, address: Any) -> int:
    """The system's reason against listening there alone, by its number; 0 if there is none."""
    try:
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # what was closed a moment ago is no reason
            probe.bind(address)
    except OSError as error:
        return error.errno or errno.EIO
    return 0
