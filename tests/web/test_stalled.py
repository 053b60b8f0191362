"""What cuts off whoever takes nothing: set once, on sockets alone, and nothing is left over."""

from __future__ import annotations

import os
import socket
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import pytest

from app.web import stalled

CROWD = 8

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="it looks at /proc")


@pytest.fixture(autouse=True)
def _not_done_yet() -> Iterator[None]:
    stalled.end_stalled_writes.cache_clear()
    yield
    stalled.end_stalled_writes.cache_clear()


def test_it_is_set_on_sockets_and_leaves_no_descriptor() -> None:
    reader, writer = os.pipe()
    with socket.create_server(("127.0.0.1", 0)) as listener, os.fdopen(reader), os.fdopen(writer, "wb"):
        before = os.listdir("/proc/self/fd")
        stalled.end_stalled_writes()
        assert before == os.listdir("/proc/self/fd")
        assert stalled.STALLED * 1000 == listener.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT)
        with socket.create_connection(listener.getsockname()):
            pass  # it still listens


def test_a_first_crowd_has_it_done_once(monkeypatch: pytest.MonkeyPatch) -> None:
    together, looked, os_listdir = threading.Barrier(CROWD), list[str](), os.listdir

    def look(path: str) -> list[str]:
        if path != "/proc/self/fd":  # somebody imports something for the first time
            return os_listdir(path)
        looked.append(path)
        with suppress(threading.BrokenBarrierError):
            together.wait(0.5)  # time for all of them to get here, if nothing keeps them
        return []

    monkeypatch.setattr(stalled.os, "listdir", look)
    with ThreadPoolExecutor(CROWD) as pool:
        for one in [pool.submit(stalled.end_stalled_writes) for _ in range(CROWD)]:
            one.result()
    assert ["/proc/self/fd"] == looked
