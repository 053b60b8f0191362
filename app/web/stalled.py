"""Whoever takes nothing of a long answer must not hold the thread that writes it."""

from __future__ import annotations

import os
import socket
import sys
from contextlib import suppress
from threading import Condition

from cachetools import cached

STALLED = 20.0  # seconds in which a caller must take something of what waits for them


@cached({}, condition=Condition())  # once, also where a crowd comes first
def end_stalled_writes() -> None:
    """Have the system close connections whose peer takes nothing of what waits for it, for their writes hold threads.

    The server has no such setting and keeps its sockets to itself, so this process's own are looked up, once it serves;
    connections inherit it from the listening one. Linux only; elsewhere the proxy in front does it alone.
    """
    if sys.platform != "linux":
        return
    for name in os.listdir("/proc/self/fd"):
        with suppress(OSError):
            _set(int(name))


def _set(descriptor: int) -> None:
    """Raises: OSError, it is no TCP socket."""
    found = socket.socket(fileno=descriptor)
    try:
        found.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(STALLED * 1000))
    finally:
        found.detach()  # it is somebody else's to close
