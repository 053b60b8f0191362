"""Where a worker's wake-ups go: to the broker, to its own threads, or back."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import pytest

from app.core.work import Wake
from app.store.workers import WorkerState
from app.tasks import MAX_QUEUES, SHARED, Publisher, create_celery
from tests.support.processes import RedisServer, free_port, wait_until
from workers.wakes import Wakes

OURS, THEIRS, GONE = Wake("inbound:desk", "a"), Wake("outbound:shop", "b"), Wake("inbound:gone", "c")
LANES = [OURS.lane, THEIRS.lane]


@dataclass
class Threads:
    """A pool that notes what it is given."""

    given: list[tuple[str, str]] = field(default_factory=list)
    looks: list[tuple[Callable[..., object], str]] = field(default_factory=list)
    ends: bool = False

    def apply_async(self, target: Callable[..., object], args: tuple[str, ...], *, callback: object) -> object:
        if self.ends:
            raise RuntimeError("cannot schedule new futures after shutdown")
        if len(args) == 1:
            self.looks.append((target, args[0]))
        else:
            self.given.append((args[0], args[1]))
        return None


@dataclass
class Worker:
    """It serves `OURS` alone."""

    wakes: Wakes
    publisher: Publisher
    threads: Threads
    given_back: list[Wake]

    def went(self, *wakes: Wake) -> tuple[Sequence[Wake], list[tuple[str, str]], list[Wake]]:
        """What was left, what is worked here, what was given back."""
        return self.wakes.publish(wakes), self.threads.given, self.given_back


def worker(broker_url: str) -> Worker:
    given_back: list[Wake] = []
    publisher = Publisher(create_celery(broker_url, LANES, timeout=1, retries=0), given_back.extend)
    wakes, threads = Wakes(lambda lane, token: None, LANES).over(publisher), Threads()
    wakes.lanes, wakes.pool, wakes.listens = frozenset([OURS.lane]), threads, True
    return Worker(wakes, publisher, threads, given_back)


@pytest.fixture
def nowhere() -> str:
    return f"redis://127.0.0.1:{free_port()}/0"


def test_what_is_published_is_worked_by_whoever_hears_of_it(redis_server: RedisServer) -> None:
    assert worker(redis_server.url).went(OURS, THEIRS) == ((), [], [])


def test_without_a_broker_it_is_worked_here_or_given_back(nowhere: str) -> None:
    assert worker(nowhere).went(OURS, THEIRS) == ((), [(OURS.lane, "a")], [THEIRS])


def test_one_that_is_away_is_looked_for_in_a_thread_of_its_own(nowhere: str, redis_server: RedisServer) -> None:
    away = worker(nowhere)
    away.went(OURS)
    assert [] == away.threads.looks, "it was only just tried"
    wait_until("it may be tried again", lambda: away.went(OURS) and away.threads.looks)
    look, lane = away.threads.looks[0]
    assert (False, OURS.lane) == (look(lane), lane)
    away.publisher.celery = create_celery(redis_server.url, LANES, retries=0)
    wait_until("it is back", lambda: look(lane))
    away.threads.given.clear()
    assert ((), [], []) == away.went(OURS)


def test_before_anybody_listens_nothing_is_published(redis_server: RedisServer) -> None:
    deaf = worker(redis_server.url)
    deaf.wakes.listens = False
    assert deaf.went(OURS, THEIRS) == ((), [(OURS.lane, "a")], [THEIRS])


def test_a_lane_that_left_the_configuration_is_worked_by_anybody(redis_server: RedisServer) -> None:
    assert worker(redis_server.url).went(GONE) == ((), [(GONE.lane, "c")], [])


@pytest.mark.parametrize("ends", [True, False], ids=["it ends", "it only just begins"])
def test_what_has_no_thread_to_work_it_is_given_back(nowhere: str, ends: bool) -> None:
    idle = worker(nowhere)
    idle.threads.ends = ends
    idle.wakes.pool = idle.threads if ends else None
    assert idle.went(OURS) == ((), [], [OURS])


MANY = [*LANES, *(f"inbound:d{number}" for number in range(MAX_QUEUES))]
ALL, SOME, OTHERS = (
    WorkerState("all@a", tuple(MANY)),
    WorkerState("some@a", (THEIRS.lane,)),
    WorkerState("others@a", (OURS.lane,)),
)
PASSED_ON: dict[str, tuple[list[WorkerState], list[str], list[Wake]]] = {
    "one that serves all hears of it by the queue that all share": ([OTHERS, ALL], [SHARED], []),
    "one that serves some by the lane's own": ([OTHERS, SOME], [THEIRS.lane], []),
    "and that one is meant for it": ([ALL, SOME], [THEIRS.lane], []),
    "nobody": ([OTHERS], [], [THEIRS]),
}


@pytest.mark.parametrize(("workers", "queues", "given_back"), PASSED_ON.values(), ids=PASSED_ON)
def test_what_another_one_serves_is_passed_on(
    workers: list[WorkerState], queues: list[str], given_back: list[Wake], redis_server: RedisServer
) -> None:
    back: list[Wake] = []
    wakes = Wakes(lambda lane, token: None, MANY).over(
        Publisher(create_celery(redis_server.url, MANY, retries=0), back.extend)
    )
    with redis_server.client() as client:
        client.flushall()
        wakes.pass_on(THEIRS, workers)
        assert [f"patchbay-celery:{queue}" for queue in queues] == client.keys("patchbay-celery:*")
        assert given_back == back
        wakes.pass_on(THEIRS, workers)
    assert [*given_back, THEIRS] == back, "it came back: who should have heard of it is gone"


@pytest.mark.parametrize(("wake", "serves"), [(OURS, True), (THEIRS, False), (GONE, True)])
def test_a_worker_knows_what_it_serves(wake: Wake, serves: bool, nowhere: str) -> None:
    assert serves == worker(nowhere).wakes.serves(wake.lane)
