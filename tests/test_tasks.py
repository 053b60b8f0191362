"""The settings of Celery that depend on its broker, and what is told of a broker that is away."""

from __future__ import annotations

import pytest
from structlog.testing import capture_logs

from app.core.work import Wake
from app.tasks import MAX_QUEUES, SHARED, Publisher, create_celery, queues_of, served_by
from tests.support.processes import RedisServer, free_port, wait_until

BROKERS = {
    "redis://127.0.0.1/1": True,
    "rediss://127.0.0.1/1": True,
    "redis+socket:///run/redis.sock": True,
    "sentinel://127.0.0.1:26379/mymaster/0": True,
    "redis+sentinel://127.0.0.1:26379/mymaster/0": True,
    "amqp://127.0.0.1": False,
    "amqps://127.0.0.1": False,
}


@pytest.mark.parametrize(("broker_url", "without"), BROKERS.items(), ids=BROKERS)
def test_hints_are_taken_without_a_word_from_redis_alone(broker_url: str, without: bool) -> None:
    queues = create_celery(broker_url, ["inbound:desk", "outbound:shop"]).conf.task_queues
    assert [without, without] == [queue.no_ack for queue in queues]


def test_a_broker_that_is_away_is_told_once_and_so_is_its_return(
    redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    nowhere = f"redis://:geheim@127.0.0.1:{free_port()}/0"
    wakes = [Wake("inbound:desk", "t"), Wake("outbound:shop", "t")]
    forgotten: list[Wake] = []
    publisher = Publisher(
        create_celery(nowhere, ["inbound:desk", "outbound:shop"], timeout=1, retries=0), forgotten.extend
    )
    with capture_logs() as logs:
        for _ in range(3):
            assert publisher.publish(wakes) == wakes
        assert wakes * 3 == forgotten
        wait_until("it may try again", lambda: not publisher.rests)
        monkeypatch.setattr(
            publisher, "celery", create_celery(redis_server.url, ["inbound:desk", "outbound:shop"], retries=0)
        )
        assert publisher.publish(wakes) == ()
    assert ["wake-up not published", "broker is back"] == [line["event"] for line in logs]
    assert logs[0]["broker"] == nowhere.replace("geheim", "**")


def test_a_lane_that_is_no_longer_configured_is_told_once_and_is_no_outage(redis_server: RedisServer) -> None:
    publisher = Publisher(create_celery(redis_server.url, ["inbound:desk"], retries=0))
    with capture_logs() as logs:
        for _ in range(3):
            assert publisher.publish([Wake("inbound:desk", "t"), Wake("inbound:gone", "t")])
    assert [("wake-up not published", "inbound:gone")] == [(line["event"], line["lane"]) for line in logs]


FEW = [f"inbound:d{number}" for number in range(MAX_QUEUES)]
MANY = [*FEW, "inbound:one-more"]


@pytest.mark.parametrize(("lanes", "queue"), [(FEW, FEW[3]), (MANY, SHARED)], ids=["few", "many"])
def test_the_queues_of_a_worker_do_not_become_more_with_the_lanes(
    lanes: list[str], queue: str, redis_server: RedisServer
) -> None:
    publisher = Publisher(create_celery(redis_server.url, lanes, retries=0))
    with redis_server.client() as client:
        client.flushall()
        assert publisher.publish([Wake(FEW[3], "t")]) == ()
        assert [f"patchbay-celery:{queue}"] == client.keys("patchbay-celery:*")


def test_a_lane_that_shares_its_queue_has_one_of_its_own_all_the_same(redis_server: RedisServer) -> None:
    publisher = Publisher(create_celery(redis_server.url, MANY, retries=0))
    with redis_server.client() as client:
        client.flushall()
        assert publisher.send([Wake(FEW[3], "t")], own_queue=True) == ()
        assert [f"patchbay-celery:{FEW[3]}"] == client.keys("patchbay-celery:*")


def test_among_many_too_a_lane_that_is_no_longer_configured_is_no_outage(redis_server: RedisServer) -> None:
    publisher = Publisher(create_celery(redis_server.url, MANY, retries=0))
    assert [Wake("inbound:gone", "t")] == publisher.publish([Wake(FEW[0], "t"), Wake("inbound:gone", "t")])
    assert not publisher.is_away


HEARD = {
    "few, all of them": (FEW, FEW, FEW),
    "few, some of them": (FEW[:2], FEW, FEW[:2]),
    "many, all of them": (MANY, MANY, [SHARED]),
    "many, some of them": (MANY[:2], MANY, [SHARED, *MANY[:2]]),
}


@pytest.mark.parametrize(("chosen", "lanes", "queues"), HEARD.values(), ids=HEARD)
def test_a_worker_hears_of_the_lanes_that_it_serves(chosen: list[str], lanes: list[str], queues: list[str]) -> None:
    assert queues == queues_of(chosen, lanes)
    assert {*chosen} == served_by(queues, lanes)
