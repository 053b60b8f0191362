"""What many tests share: a real Redis server of their own, and recorders in place of the outside world."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
import redis
import requests

from app.sandbox import SandboxSettings, make_server
from app.store.connection import connect
from tests.support.browser import browser
from tests.support.examples import load_profiles
from tests.support.garbage import pytest_collection
from tests.support.ledgers import pytest_addoption, pytest_runtest_logreport, pytest_terminal_summary
from tests.support.processes import RedisServer
from tests.support.sharing import (
    pytest_collection_modifyitems,
    pytest_runtest_protocol,
    pytest_xdist_make_scheduler,
)
from tests.support.sink import outside, sinkhole

pytest.register_assert_rewrite("tests.platforms.conformance")  # or a failed one shows no values

__all__ = [
    "browser",
    "outside",
    "pytest_addoption",
    "pytest_collection",
    "pytest_collection_modifyitems",
    "pytest_runtest_logreport",
    "pytest_runtest_protocol",
    "pytest_terminal_summary",
    "pytest_xdist_make_scheduler",
    "sinkhole",
]

load_profiles()


@pytest.fixture(scope="session")
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """A Redis server on a free loopback port, started once and ended with the tests."""
    server = RedisServer(tmp_path_factory.mktemp("redis"))
    server.start()
    yield server
    server.stop()


@pytest.fixture
def redis_client(redis_server: RedisServer) -> Iterator[redis.Redis]:
    """A client on an empty database."""
    client = connect(redis_server.url, timeout=5, name="tests")
    client.flushall()
    yield client
    client.close()


@pytest.fixture(scope="session")
def served_sandbox() -> Iterator[str]:
    """The base URL of one sandbox for all tests, whatever the environment says."""
    server = make_server("127.0.0.1", 0, SandboxSettings())
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    yield f"http://127.0.0.1:{server.port}"
    server.shutdown()
    server.server_close()


@pytest.fixture
def flex_sandbox(served_sandbox: str) -> str:
    """The same sandbox with nothing in it."""
    requests.delete(f"{served_sandbox}/inspect", timeout=5)
    return served_sandbox
