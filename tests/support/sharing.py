"""How the processes that run the tests share them: file by file, as a file's tests share what is dear to start.

pytest-xdist's own way (`--dist loadgroup`) goes by marks that it writes into the tests' ids, which pytest 9.2 ignores
without a word.
"""

from __future__ import annotations

from typing import Any

import pytest
from _pytest.runner import runtestprotocol
from xdist.scheduler import LoadScopeScheduling

# One gateway and one browser for all of a folder.
TOGETHER = ("tests/journeys/browser/",)
# Each of these has processes or a server's data of its own.
ALONE = (
    "tests/store/test_engine.py",
    "tests/chaos/test_flex_once.py::test_a_",
    "tests/chaos/test_broker.py",
    "tests/chaos/test_failover.py",
    "tests/chaos/test_full.py",
    "tests/chaos/test_leases.py",
    "tests/chaos/test_many_lanes.py",
    "tests/chaos/test_ledger.py",
    "tests/chaos/test_missing.py",
)
# Few but long ones begin, or one process would work alone in the end.
FIRST = (
    "tests/journeys/browser/",
    "tests/journeys/test_up.py",
    "tests/chaos/",
    "tests/journeys/",
    "tests/store/test_engine.py",
    "tests/test_transport.py",
    "tests/test_http.py",
    "tests/sandbox/test_telegram.py",
    "tests/sandbox/test_messaging_inbound.py",
    "tests/core/test_text.py",
)
# What `make quick` leaves out, beside files that say so by themselves: whole Patchbays, a browser, a real Redis, and
# Flex as the sandbox serves it, where one test makes dozens of calls over sockets.
PROCESSES = ("tests/chaos/", "tests/journeys/")
FIXTURES = {"browser", "redis_server", "flex_sandbox"}
REAL = "redis"  # of the tests that run on both servers, those on the real one


class ByFile(LoadScopeScheduling):
    """Gives a process the tests of one file at a time."""

    def _split_scope(self, nodeid: str) -> str:
        return group_of(nodeid)


def group_of(nodeid: str) -> str:
    """Tests of one group run in one process, one after the other."""
    if nodeid.startswith(ALONE):
        return nodeid
    return next(filter(nodeid.startswith, TOGETHER), nodeid.partition("::")[0])


def place_of(nodeid: str) -> int:
    """Where among the others a test begins; those of one place stay as they are."""
    return next((place for place, first in enumerate(FIRST) if nodeid.startswith(first)), len(FIRST))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> ByFile:
    return ByFile(config, log)


def pytest_runtest_protocol(item: pytest.Item, nextitem: pytest.Item | None) -> bool | None:
    """A process that shares the tests tells of each what became of it, and nothing of what it began and put away
    without trouble: most tests take less time than five such messages."""
    if not hasattr(item.config, "workerinput"):
        return None
    for report in runtestprotocol(item, log=False, nextitem=nextitem):
        if report.when == "call" or not report.passed:
            item.ihook.pytest_runtest_logreport(report=report)
    return True


@pytest.hookimpl(tryfirst=True)  # before those that deselect by marks
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: place_of(item.nodeid))
    for item in items:
        if starts_something(item):
            item.add_marker("processes")


def starts_something(item: pytest.Item) -> bool:
    asked, chosen = getattr(item, "fixturenames", ()), getattr(item, "callspec", None)
    on_a_real_one = chosen is not None and chosen.params.get("client") == REAL
    return item.nodeid.startswith(PROCESSES) or not FIXTURES.isdisjoint(asked) or on_a_real_one
